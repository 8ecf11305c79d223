"""The journal: every input of a session in order, durable, one JSON object a line.

Fed back into a `SessionMachine` it gives the same session again. A torn last line, as a crash leaves it, is
no error.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from multirig import formats
from multirig.errors import ConfigError
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import (
    AgreeRequested,
    ClockRead,
    Marked,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Noticed
from multirig.protocol.events import Received, Refused, Replied, TimedOut, Unreached
from multirig.version import __version__

FILE_NAME = "_multirig_journal.jsonl"
"""In the session folder on the conductor's PC."""
LOCK_NAME = ".multirig_journal.lock"
"""Beside the journal, while somebody writes it."""
BEGINNING = "Opened"
"""Kind of the line that begins an attempt at a session; a folder may see several."""
RECOVERY = "Recovered"
"""Kind of the line with which another program goes on where the one before has died."""
FORMAT = 2
"""Of the lines that follow; stands in each of those two. Format 1, of multirig 0.1, says no number."""
_INPUTS = {
    one.__name__: one
    for one in (
        AgreeRequested,
        ClockRead,
        Marked,
        Noticed,
        Received,
        Refused,
        Replied,
        RigsChosen,
        StepRequested,
        TimedOut,
        Unreached,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a journal."""

    at: int
    """Nanoseconds on the session clock: the conductor's ``time.perf_counter_ns()``."""
    wall: str
    """ISO time of day on the conductor's PC."""
    kind: str
    """Name of the input, or of the note."""
    data: dict[str, Any]

    def to_input(self) -> Any | None:
        """Return the machine's input that this line records; None for a note."""
        if self.kind not in _INPUTS:
            return None
        data = dict(self.data)
        if isinstance(data.get("key"), list):
            data["key"] = tuple(data["key"])
        return _adapter(self.kind).validate_python(data)


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


def input_line(event: Any, at: int) -> bytes:
    """Return an input of the machine as a line; ValueError for what no line can hold."""
    kind = type(event).__name__
    return _line(kind, _adapter(kind).dump_python(event, mode="json"), at)


def beginning_line(at: int, kind: str = BEGINNING) -> bytes:
    """Return the line that begins an attempt at a session, or goes on with one."""
    return _line(kind, {"version": __version__, formats.KEY: FORMAT}, at)


def _line(kind: str, data: dict[str, Any], at: int) -> bytes:
    wall = datetime.datetime.now().astimezone().isoformat(timespec="microseconds")
    line = {"at": at, "wall": wall, "kind": kind, "data": data}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


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


def parse_journal(data: bytes, path: object = FILE_NAME) -> Iterator[Entry]:
    """Return the entries of a journal that was read already, oldest first.

    Parameters
    ----------
    data : bytes
        What stands in the file.
    path : object
        How the file is called in an error.

    Raises
    ------
    ConfigError
        A line other than the last is not one of a journal, or it is of a format that is not known here.
    """
    for number, entry in _parse_lines(data, path):
        if entry is None:
            raise ConfigError(
                f"{path}, line {number}: this is no line of a journal; "
                "restore the file, or delete that line and lose what it tells"
            )
        yield entry


def read_readable(folder: Path) -> tuple[list[Entry], list[int]]:
    """Return what can be read of a journal that is damaged, and the numbers of the lines that cannot.

    Raises
    ------
    ConfigError
        There is no journal, or it is of a format that is not known here.
    """
    lines = list(_parse_lines(_read(folder), folder / FILE_NAME))
    entries = [entry for _, entry in lines if entry is not None]
    return entries, [number for number, entry in lines if entry is None]


def _read(folder: Path) -> bytes:
    try:
        return (folder / FILE_NAME).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"no journal in {folder}: {error.strerror or error}; is it a session folder?"
        ) from None


def _parse_lines(data: bytes, path: object) -> Iterator[tuple[int, Entry | None]]:
    """Yield each line with its number; None for one that is no line of a journal."""
    lines = data.split(b"\n")
    torn = len(lines) - 1  # what stands behind the last line feed was never finished
    for number, line in enumerate(lines[:torn], 1):
        if line.strip():
            found: Any = None
            entry: Entry | None = None
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(line)
            _check_format(found, path)
            with contextlib.suppress(ValueError, RecursionError):
                read = _entry().validate_python(found)
                read.to_input()
                entry = read
            yield number, entry


def _check_format(line: object, path: object) -> None:
    """Refuse what follows a line that says that it is of a newer format."""
    match line:
        case {"kind": kind, "data": {formats.KEY: int(found), **rest}} if kind in (BEGINNING, RECOVERY):
            formats.check_format(found, FORMAT, path, rest.get("version"))


def holds_start(folder: Path) -> bool:
    """Whether a session was started under this folder's number, by its journal."""
    if not (folder / FILE_NAME).exists():
        return False
    inputs = (entry.to_input() for entry in read_journal(folder))
    return any(isinstance(one, StepRequested) and one.trigger is SessionTrigger.START for one in inputs)


def replay(folder: Path) -> SessionMachine:
    """Return the session machine as it was when the journal ends."""
    return rebuild(read_journal(folder))


def rebuild(entries: Iterable[Entry]) -> SessionMachine:
    """Return the session machine that the entries of a journal make, oldest first."""
    machine = SessionMachine()
    for entry in entries:
        if entry.kind == BEGINNING:  # whoever made the attempt before was another, or had given it up
            machine = SessionMachine()
        elif (event := entry.to_input()) is not None:
            list(machine.handle(event, entry.at))
    return machine


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_INPUTS[kind])


@cache
def _entry() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)
