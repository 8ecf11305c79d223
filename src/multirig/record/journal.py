"""The journal's file: append-only and durable; a torn last line, as a crash leaves it, is no error."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from multirig.errors import ConfigError
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import StepRequested
from multirig.lifecycle.session_states import SessionTrigger
from multirig.record.entries import (
    BEGINNING,
    Entry,
    beginning_line,
    input_line,
    parse_journal,
    parse_lines,
)
from multirig.record.history import History, Replay, rebuild, retrace
from multirig.record.recount import summarise
from multirig.record.summary import Summary

FILE_NAME = "_multirig_journal.jsonl"
"""In the session folder on the conductor's PC."""
LOCK_NAME = ".multirig_journal.lock"
"""Beside the journal, while somebody writes it."""


class Journal:
    """Append-only; lines are kept in memory until the session has a folder.

    A line is with the operating system before anything that follows from it leaves this PC, so it survives
    the death of the program; `sync` makes it survive the death of the PC.
    """

    def __init__(self, *, beginning: str = BEGINNING) -> None:
        self._beginning = beginning
        self._guard: FileLock | None = None
        """Held as long as this program lives and leads; the system lets go of it when the program dies."""
        self._unwritten = bytearray()
        self._lock = threading.Lock()
        """Held while bytes move, and not while the disk turns: `sync` runs in another thread."""
        self._file: FileIO | None = None
        self.folder: Path | None = None
        """Of the session, once it has one."""
        self._is_begun = False
        self._is_closed = False

    def open(self, folder: Path) -> None:
        """Go on in a session folder, with all that was kept so far.

        Raises
        ------
        ConfigError
            The folder cannot be written, or another program on this PC leads the session in it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._guard = FileLock(folder / LOCK_NAME, thread_local=False)
            self._guard.acquire(timeout=0)
            _cut_torn_line(folder / FILE_NAME)
            self._file = (folder / FILE_NAME).open("ab", buffering=0)
            self.folder = folder
            self._write()
        except Timeout:
            self._guard = None
            raise ConfigError(
                f"another program on this PC leads the session in {folder}: end it there, or close it"
            ) from None
        except OSError as error:
            self._let_go()
            raise _cannot_write(folder, error) from None
        if self._is_closed:  # while the disk was slow
            self._let_go()

    def append(self, event: Any, at: int) -> None:
        """Write down an input of the machine.

        Raises
        ------
        OSError
            It could not be written now; it is kept, and tried again with the next.
        ValueError
            It cannot be written at all: a peer's message that is nested without end.
        """
        lines = input_line(event, at)
        if not self._is_begun:
            self._is_begun = True
            lines = beginning_line(at, self._beginning) + lines
        with self._lock:
            self._unwritten += lines
        self._write()

    def sync(self) -> None:
        """Return when every line is on the disk; blocks, so call it in a thread.

        Raises
        ------
        ConfigError
            The disk does not take them.
        """
        if (file := self._file) is None:
            return
        try:
            self._write()
            os.fsync(file.fileno())
        except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
            raise _cannot_write(Path(file.name).parent, error) from None

    def close(self) -> None:
        """Put everything on the disk; lines of a session that never had a folder are dropped.

        Raises
        ------
        ConfigError
            The disk does not take them; the journal is closed all the same.
        """
        self._is_closed = True
        try:
            self.sync()
        finally:
            self._let_go()

    def _write(self) -> None:
        with self._lock:
            while self._unwritten and self._file is not None:  # a disk that is nearly full takes a part
                del self._unwritten[: self._file.write(self._unwritten)]

    def _let_go(self) -> None:
        with self._lock:
            file, self._file = self._file, None
            guard, self._guard = self._guard, None
        if file is not None:
            file.close()
        if guard is not None:
            guard.release()


def _cannot_write(folder: Path, error: Exception) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) else None
    return ConfigError(
        f"cannot write the journal in {folder}: {reason or error}; "
        "choose another --data folder or free some space"
    )


def _cut_torn_line(path: Path) -> None:
    """Take away what a crash left unfinished, so that the next line does not stick to it."""
    if path.is_file():
        lines = path.read_bytes()
        whole = lines.rfind(b"\n") + 1
        if whole < len(lines):
            os.truncate(path, whole)


def read_journal(folder: Path) -> Iterator[Entry]:
    """Return the entries of a session's journal, oldest first.

    Parameters
    ----------
    folder : Path
        The session folder.

    Raises
    ------
    ConfigError
        There is no journal, a line other than the last is not one of a journal, or it is of a format that
        is not known here.
    """
    yield from parse_journal(_read(folder), folder / FILE_NAME)


def read_summary(folder: Path) -> Summary:
    """Return what a session was, by what can be read of its journal; it blocks, and keeps no line.

    Raises
    ------
    ConfigError
        There is no journal, or it is of a format that is not known here.
    """
    replay = Replay()
    return summarise(replay.run(parse_lines(_read(folder), folder / FILE_NAME)), replay.unreadable)


def read_history(folder: Path) -> History:
    """Return a session's history, by what can be read of its journal; it blocks.

    Raises
    ------
    ConfigError
        There is no journal, or it is of a format that is not known here.
    """
    return retrace(parse_lines(_read(folder), folder / FILE_NAME))


def replay(folder: Path) -> SessionMachine:
    """Return the session machine as it was when the journal ends.

    Raises
    ------
    ConfigError
        There is no journal, a line other than the last is not one of a journal, or it is of a format that
        is not known here.
    """
    return rebuild(read_journal(folder))


def holds_start(folder: Path) -> bool:
    """Whether a session was started under this folder's number, by its journal."""
    if not (folder / FILE_NAME).exists():
        return False
    events = (entry.event for entry in read_journal(folder))
    return any(isinstance(one, StepRequested) and one.trigger is SessionTrigger.START for one in events)


def _read(folder: Path) -> bytes:
    try:
        return (folder / FILE_NAME).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"no journal in {folder}: {error.strerror or error}; is it a session folder?"
        ) from None
