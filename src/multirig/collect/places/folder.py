"""A folder on this PC, or a share that the system has connected."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from multirig.collect.control import Control
from multirig.collect.hashing import BLAKE2B, Hasher
from multirig.collect.places.base import (
    MARK_NAME,
    Destination,
    DestinationAway,
    DestinationError,
    DestinationFull,
    Digests,
    NameTaken,
    check_name,
)
from multirig.collect.places.marks import check_mark, new_mark, parse_mark
from multirig.collect.places.reading import open_past_cache
from multirig.errors import why_not
from multirig.record.spelling import spell
from multirig.writing import is_full, patiently, rename_new, write_whole

BATCH = 32 << 20
"""Bytes after which the system is told to begin to put them on the disk."""


class Folder(Destination):
    """Files are read back past the system's cache, so that a share's server, or the disk, has to give them.

    Parameters
    ----------
    text : str
        As the person has written it.
    root : pathlib.Path
        It must be there: a share that is not connected is no empty folder.
    """

    def __init__(self, text: str, root: Path) -> None:
        self.text = text
        self.root: Path = root
        self._made: set[Path] = set()
        """Folders that are there."""
        self._mark: str | None = None
        """By which it was opened."""
        self._disk: tuple[int, int] | None = None
        """Which folder of which disk that was, as the system numbers them."""

    def open(self, mark: str | None) -> str:
        """Return the mark in the folder; one that was never used gets one."""
        path = self.root / MARK_NAME
        try:
            if not self.root.is_dir():
                raise DestinationAway(
                    f"{self.text} is not there: connect the share or the disk, or make the folder"
                )
            found = parse_mark(path.read_bytes(), path) if path.exists() else None
            if found is None and mark is None:
                found = self._leave_mark(path)
        except OSError as error:
            raise DestinationAway(f"{self.text} cannot be used: {why_not(error)}") from None
        self._mark = check_mark(found, mark, self.text)
        self._disk = self._find_disk()
        return self._mark

    def _find_disk(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.root)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _stay(self) -> None:
        """Raise DestinationAway where another folder lies there now than the one that was opened.

        A share that is not connected any more leaves the folder on which it was: what is copied there would
        be on this PC's own disk, and be read back from it.
        """
        disk = self._find_disk()
        if disk is not None and disk == self._disk:
            return
        self._made.clear()
        with contextlib.suppress(OSError):  # connected anew, it may have another number
            found = parse_mark((self.root / MARK_NAME).read_bytes(), self.root / MARK_NAME)
            if self._mark in (None, found):
                self._disk = disk
                return
        raise DestinationAway(f"{self.text} is gone: connect the share or the disk again")

    def _leave_mark(self, path: Path) -> str:
        """Leave a mark; where another PC does so at this moment, there is one in the end, for both."""
        mark, data = new_mark()
        beside = path.with_name(f".{path.name}.{mark}.new")
        try:
            write_whole(beside, data)
            with contextlib.suppress(FileExistsError):
                rename_new(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        return parse_mark(path.read_bytes(), path)

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the bytes of each file below a folder."""
        self._stay()
        top = self._place(folder)
        found: dict[str, int] = {}
        with self._telling():
            for where, _, names in os.walk(top, onerror=_refuse):
                for name in names:
                    path = Path(where, name)
                    with contextlib.suppress(FileNotFoundError):
                        found[spell(path.relative_to(top).as_posix())] = path.stat().st_size
        return found

    def size(self, name: str) -> int | None:
        """Return the bytes of a file."""
        self._stay()
        with self._telling():
            try:
                return self._place(name).stat().st_size
            except FileNotFoundError:
                return None

    def send(self, source: Path, name: str, start: int, control: Control) -> Digests:
        """Copy a file; what is there already is read here, for its checksum, and not written again."""
        self._stay()
        place = self._place(name)
        with self._telling():
            self._make(place.parent)
            if start and _is_linked(place):  # never into a file that has another name, too
                start = 0
        size = source.stat().st_size
        with Hasher(size=size) as hasher, source.open("rb", buffering=0) as read:
            left = start
            while left > 0 and (got := read.readinto(piece := hasher.lend()[:left])):
                control.may_go_on()
                hasher.feed(piece[:got])
                left -= got
            with self._telling(), _open(place, is_new=not start) as write:
                if start:
                    write.truncate(start - left)
                    write.seek(start - left)
                begun = done = start - left
                while got := self._read(read, piece := hasher.lend()):
                    control.may_go_on()
                    _write_all(write, piece[:got])
                    hasher.feed(piece[:got])
                    control.count(got)
                    done += got
                    if done - begun >= BATCH:
                        _begin_writing(write.fileno(), begun, done - begun)
                        begun = done
        return hasher.digests()

    @staticmethod
    def _read(source: Any, piece: memoryview) -> int:
        """Read on here: what is wrong with this PC's own disk is not told as the destination's."""
        try:
            return int(source.readinto(piece))
        except OSError as error:
            raise _Source(error) from None

    def settle(self, names: Iterable[str]) -> None:
        """Write what the system still keeps, and let it forget."""
        places = [self._place(name) for name in names]
        with self._telling():
            sync(places)

    def compare(self, name: str, digests: Digests, size: int, control: Control) -> bool:
        """Read a file back, past the system's cache."""
        with self._telling(), open_past_cache(self._place(name)) as pieces, Hasher(size=size) as hasher:
            done = 0
            for piece in pieces(hasher.lend):
                control.may_go_on()
                hasher.feed(piece)
                done += len(piece)
        return done == size and hasher.digests()[BLAKE2B] == digests[BLAKE2B]

    def put(self, name: str, final: str) -> None:
        """Give a file its name, in one step in which nothing can come between."""
        self._stay()
        place, goal = self._place(name), self._place(final)
        with self._telling():
            self._make(goal.parent)
            try:
                rename_new(place, goal)
            except FileExistsError:
                raise NameTaken(f"{final} is there already") from None

    def remove(self, name: str) -> None:
        """Remove a file of ours."""
        with self._telling():
            patiently(lambda: self._place(name).unlink(missing_ok=True))

    def read(self, name: str) -> bytes | None:
        """Return a small file."""
        self._stay()
        with self._telling():
            try:
                return self._place(name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, whole."""
        self._stay()
        place = self._place(name)
        with self._telling():
            self._make(place.parent)
            write_whole(place, data)

    def is_here(self, name: str, path: Path) -> bool:
        """Whether both are one file, by whatever links."""
        try:
            return os.path.samefile(self._place(name), path)
        except OSError:
            return False

    # -- inside -----------------------------------------------------------------------------------------

    def _place(self, name: str) -> Path:
        return _join(self.root, name)

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            # the root itself is never made: below a share that is not connected it would be the PC's own disk
            missing = []
            place = folder
            while place != self.root and not place.is_dir():
                missing.append(place)
                place = place.parent
            if not self.root.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.root))
            for place in reversed(missing):
                with contextlib.suppress(FileExistsError):
                    place.mkdir()
            self._made.add(folder)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Say what went wrong there in our words."""
        try:
            yield
        except _Source as error:
            raise error.error from None
        except OSError as error:
            self._made.clear()
            if is_full(error):
                raise DestinationFull(f"{self.text} is full: free space there") from None
            if not (self.root / MARK_NAME).is_file():
                raise DestinationAway(
                    f"{self.text} is gone ({why_not(error)}): connect the share or the disk again"
                ) from None
            raise DestinationError(f"{self.text} does not take it, or give it: {why_not(error)}") from None


class _Source(Exception):
    """Carries what is wrong with this PC's own file past what is told of the destination."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_linked(place: Path) -> bool:
    """Whether a file has more names than one: we were cut off while it got its own."""
    try:
        found = os.lstat(place)
    except FileNotFoundError:
        return True
    return found.st_nlink > 1 or not stat.S_ISREG(found.st_mode)


def _open(place: Path, *, is_new: bool) -> Any:
    """Open a file to write to; a new one is none that was there."""
    if not is_new:
        return open(place, "r+b", buffering=0)
    try:
        return open(place, "xb", buffering=0)
    except FileExistsError:
        patiently(place.unlink)
        return open(place, "xb", buffering=0)


@lru_cache(4096)
def _join(root: Path, name: str) -> Path:
    """Return where a file lies; each is asked for several times while a bundle is copied."""
    return root / check_name(name)


def _begin_writing(fd: int, start: int, size: int) -> None:
    """Let the system put on the disk what it has of a file now, and not at its end, where it can be told."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):  # of what is not on the disk yet it only begins to write
            os.posix_fadvise(fd, start, size, os.POSIX_FADV_DONTNEED)


def _write_all(file: Any, piece: memoryview) -> None:
    while piece:
        piece = piece[file.write(piece) :]


# -- what the system keeps ----------------------------------------------------------------------------------


def sync(places: list[Path]) -> None:
    """Put files on their disk: all at once where the system can, else one after the other."""
    if not places:
        return
    if len(places) > 1 and (call := _find_syncfs()) is not None:
        fd = os.open(places[0], os.O_RDONLY)
        try:
            if call(fd) == 0:
                return
        finally:
            os.close(fd)
    for place in places:
        fd = os.open(place, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@cache
def _find_syncfs() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
