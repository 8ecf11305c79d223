"""The journal as a conductor writes it: append-only, and durable; `multirig.record.journal` reads it."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import threading
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from multirig.conductor.surroundings import read_wall_clock
from multirig.errors import ConfigError, why_not
from multirig.lifecycle.watch import Notice
from multirig.record.entries import BEGINNING, beginning_line, input_line
from multirig.record.journal import FILE_NAME, LOCK_NAME
from multirig.record.recovery import find_leader
from multirig.record.spare import find_rest, read_spare, remove_spare, say_gone, write_spare

LINE_END = b"\n"

log = logging.getLogger("multirig.conductor")


class FolderInUse(ConfigError):
    """Another program on this PC leads the session in a folder."""


class JournalFile(Protocol):
    """A journal on a disk, held by one program at a time; what it does may block, and raise OSError."""

    def write(self, data: bytearray) -> int:
        """Hand bytes to the system; return how many it took."""

    def sync(self) -> None:
        """Return when all of them are on the disk."""

    def take_rest(self) -> bytes:
        """Return what stood behind it and lies elsewhere, since its disk did not take it."""

    def is_there(self) -> bool:
        """Whether it is still where it was opened."""

    def keep_rest(self, rest: bytes) -> str:
        """Keep elsewhere what its disk does not take, if there is any; all of it where it is gone."""

    def close(self) -> None:
        """Let another program go on with it."""


class LockedFile:
    """The journal in a session folder, which is made; behind its last whole line.

    Raises
    ------
    ConfigError
        The folder cannot be written, or another program on this PC leads the session in it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # the system lets go of it when the program dies
            self._lock = FileLock(folder / LOCK_NAME, thread_local=False)
            self._lock.acquire(timeout=0)
            with contextlib.suppress(OSError):  # Windows lets nobody else write it
                (folder / LOCK_NAME).write_text(str(os.getpid()), encoding="ascii")
        except Timeout:
            leader = find_leader(folder) or "another program on this PC"
            raise FolderInUse(f"{leader} leads the session in {folder}: end it there, or close it") from None
        except OSError as error:
            raise _cannot_write(folder, error) from None
        try:
            self._folder = folder
            self._rest = _read_rest(folder)
            if not self._rest:  # else it goes on in the middle of that line
                _cut_torn_line(folder / FILE_NAME)
            self._file: FileIO = (folder / FILE_NAME).open("a+b", buffering=0)
        except OSError as error:
            self._lock.release()
            raise _cannot_write(folder, error) from None

    def write(self, data: bytearray) -> int:
        """Hand bytes to the system; return how many it took."""
        return self._file.write(data)

    def sync(self) -> None:
        """Return when all of them are on the disk."""
        os.fsync(self._file.fileno())

    def take_rest(self) -> bytes:
        """Return what stood behind it and lies elsewhere, since its disk did not take it."""
        return self._rest

    def is_there(self) -> bool:
        """Whether its folder was neither moved nor removed since it was opened."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), (self._folder / FILE_NAME).stat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError):  # a network drive that is away for a while; it was closed
            return True

    def keep_rest(self, rest: bytes) -> str:
        """Keep elsewhere what its disk does not take, if there is any; all of it where it is gone."""
        if not self.is_there():
            self._file.seek(0)
            return str(write_spare(self._folder, self._file.readall() + rest))
        if rest:
            return str(write_spare(self._folder, rest))
        if self._rest:
            remove_spare(self._folder)
        return ""

    def close(self) -> None:
        """Let another program go on with it."""
        self._file.close()
        self._lock.release()


class Journal:
    """Append-only; lines are kept in memory until the session has a folder.

    A line is with the operating system before anything that follows from it leaves this PC, so it survives
    the death of the program; `sync` makes it survive the death of the PC.

    Parameters
    ----------
    open_file : callable
        Opens the file in a session folder.
    wall : callable
        Returns the time of day, with its zone.
    beginning : str
        Kind of the first line.
    leader : mapping of str to str, optional
        What that line says of who leads.
    tell : callable
        Is told once that the disk takes no more, and once that it has taken all again; in any thread.
    """

    def __init__(
        self,
        open_file: Callable[[Path], JournalFile] = LockedFile,
        *,
        wall: Callable[[], datetime.datetime] = read_wall_clock,
        beginning: str = BEGINNING,
        leader: Mapping[str, str] | None = None,
        tell: Callable[[Notice, str], None] = lambda notice, text: None,
    ) -> None:
        self._open_file = open_file
        self._wall = wall
        self._beginning, self._leader = beginning, leader
        self._unwritten = bytearray()
        self._lock = threading.Lock()
        """Held while bytes move, and not while the disk turns: `sync` runs in another thread."""
        self._file: JournalFile | None = None
        self.folder: Path | None = None
        """Of the session, once it has one."""
        self._is_begun = False
        self._is_closed = False
        self._tell = tell
        self._has_failed = False
        self._is_gone = False
        """Whether its folder is not there any more."""
        self.loss: str | None = None
        """What could not be written where it belongs, once it is closed, and where it is."""

    def open(self, folder: Path) -> None:
        """Go on in a session folder, with all that was kept so far; blocks.

        Raises
        ------
        ConfigError
            The folder cannot be written, or another program on this PC leads the session in it.
        """
        self._file = self._open_file(folder)
        self.folder = folder
        with self._lock:
            self._unwritten[:0] = self._file.take_rest()
        try:
            self._write()
        except OSError as error:
            self._release()
            raise _cannot_write(folder, error) from None
        if self._is_closed:  # while the disk was slow
            self._release()

    def append(self, event: Any, at: int) -> None:
        """Write down an input of the machine.

        Raises
        ------
        OSError
            It could not be written now; it is kept, and tried again with the next.
        ValueError
            It cannot be written at all: a peer's message that is nested without end.
        """
        wall = self._wall()
        lines = input_line(event, at, wall)
        if not self._is_begun:
            self._is_begun = True
            lines = beginning_line(at, self._beginning, wall, self._leader) + lines
        with self._lock:
            self._unwritten += lines
        self._write()

    def write_down(self, event: Any, at: int) -> None:
        """Append an input; a full disk here does not end a recording there, and is told once."""
        try:
            self.append(event, at)
        except ValueError as error:
            log.error("the journal misses a line: %s; the session goes on", error)
        except OSError as error:
            self._note_failure(error)
        else:
            if self._has_failed and not self._unwritten:
                self._has_failed = False
                self._tell(Notice.ROOM, "its disk takes the journal again, and nothing of it is missing")

    def _note_failure(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._tell(
                Notice.DISK,
                f"its disk takes no more of the journal ({why_not(error)}): free space in "
                f"{self.folder}; what happens is kept in this program until then, and the session goes on",
            )

    def look(self) -> None:
        """Tell once that the folder of the session was moved or removed, and once that it is back."""
        if (file := self._file) is None or file.is_there() is not self._is_gone:
            return
        self._is_gone = not self._is_gone
        if self._is_gone:
            self._tell(
                Notice.DISK,
                f"the session's folder {self.folder} was moved or removed: put it back now; what happens "
                "goes into the user's state folder otherwise, and the session goes on",
            )
        else:
            self._tell(Notice.ROOM, f"the session's folder {self.folder} is back")

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
            file.sync()
        except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
            raise _cannot_write(self.folder, error) from error

    def try_to_sync(self) -> None:
        """Sync; a disk that does not take it is logged, since what the rigs have done is done."""
        try:
            self.sync()
        except ConfigError as error:
            log.error("%s", error)
            if isinstance(cause := error.__cause__, OSError):
                self._note_failure(cause)

    def close(self) -> None:
        """Put everything on the disk; lines of a session that never had a folder are dropped.

        What the disk does not take is kept elsewhere; the journal is closed all the same.
        """
        self._is_closed = True
        self.try_to_sync()
        self._keep_rest()
        self._release()

    def _keep_rest(self) -> None:
        if (file := self._file) is None:
            return
        with self._lock:
            rest = bytes(self._unwritten)
        try:
            where = file.keep_rest(rest)
        except OSError as error:
            where, reason = "", why_not(error)
            self.loss = (
                f"{rest.count(LINE_END)} lines of the journal could not be written into {self.folder}, nor "
                f"elsewhere ({reason}): they are lost, and the verdict is drawn from the others"
            )
        if where and not file.is_there():
            self.loss = say_gone(self.folder, where) if self.folder is not None else None
        elif where:
            self.loss = f"its disk did not take the end of the journal, which lies in {where}"
        if self.loss is not None:
            log.error("%s", self.loss)

    def _write(self) -> None:
        with self._lock:
            while self._unwritten and self._file is not None:  # a disk that is nearly full takes a part
                del self._unwritten[: self._file.write(self._unwritten)]

    def _release(self) -> None:
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()


def _cannot_write(folder: Path | None, error: Exception) -> ConfigError:
    return ConfigError(
        f"cannot write the journal in {folder}: {why_not(error)}; "
        "choose another --data folder or free some space"
    )


def _read_rest(folder: Path) -> bytes:
    """Return what lies elsewhere of a journal."""
    spare = read_spare(folder)
    try:
        return find_rest((folder / FILE_NAME).read_bytes(), spare) if spare else spare
    except FileNotFoundError:
        return spare


def _cut_torn_line(path: Path) -> None:
    """Take away what a crash left unfinished, so that the next line does not stick to it."""
    if path.is_file():
        lines = path.read_bytes()
        whole = lines.rfind(b"\n") + 1
        if whole < len(lines):
            os.truncate(path, whole)
