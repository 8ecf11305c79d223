"""What every destination can do, and what may go wrong there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeVar

from multirig.collect.control import Control
from multirig.collect.hashing import BLAKE2B
from multirig.errors import MultirigError
from multirig.record.spelling import unspell

MARK_NAME = "_multirig_destination.json"
"""In a destination: the number by which it is known again."""

_Result = TypeVar("_Result")

Digests: TypeAlias = Mapping[str, str]
"""Checksums in hexadecimal, by the name of the hash."""


class DestinationError(MultirigError, RuntimeError):
    """A file could not be written or read there; the message says why, in words that follow its name."""


class NameTaken(DestinationError):
    """There is a file of that name already: it is not overwritten."""


class DestinationAway(DestinationError):
    """The destination cannot be reached now, or is not the place that it was: nothing can be done there."""


class DestinationFull(DestinationError):
    """Its disk, or what may be used of it, is full."""


class Destination(ABC):
    """A place for files; all that it does blocks, and may be called by several threads at once.

    Names are relative to it, with forward slashes, spelled as a rig's list spells them
    (`multirig.record.spelling`).
    """

    text: str
    """As the person has written it."""
    root: Path | None = None
    """The folder, where it is one that this PC's system reaches."""
    hashes: tuple[str, ...] = (BLAKE2B,)
    """Checksums of a file that `compare` may need, as `hashlib` calls them."""
    can_resume = True
    """Whether a file goes on where a break has cut it off."""
    many = 256
    """Small files that are best done together."""

    @abstractmethod
    def open(self, mark: str | None) -> str:
        """Return the mark by which the place is known again; one that has none gets one.

        Parameters
        ----------
        mark : str or None
            By which it is known; None: it was never used from here.

        Raises
        ------
        DestinationAway
            It cannot be reached, or another place lies there now: a share that is not mounted.
        """

    @abstractmethod
    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the bytes of each file below a folder, by name relative to it; empty: there is none."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return the bytes of a file; None: there is none."""

    @abstractmethod
    def send(self, source: Path, name: str, start: int, control: Control) -> Digests:
        """Copy a file, or what is behind its first bytes, and return its checksums as it was read here.

        Parameters
        ----------
        source : pathlib.Path
        name : str
            Under which name; its folder is made.
        start : int
            Bytes that are there already.
        control : Control
            Asked before each piece.
        """

    @abstractmethod
    def settle(self, names: Iterable[str]) -> None:
        """See to it that what was sent is on the far disk, and read back from there, past any cache."""

    @abstractmethod
    def compare(self, name: str, digests: Digests, size: int, control: Control) -> bool:
        """Whether a file there is what these checksums are of, as it is read back now.

        BLAKE2b is always among them; where others of `hashes` are not, it is read back for that one.
        """

    @abstractmethod
    def put(self, name: str, final: str) -> None:
        """Give a file another name, whose folder is made. Raises NameTaken: nothing is overwritten."""

    def send_many(
        self, files: Sequence[tuple[Path, str]], control: Control
    ) -> list[Digests | DestinationError | OSError]:
        """Copy small files, each from its beginning; return for each what `send` would, or has raised.

        Raises
        ------
        DestinationAway, DestinationFull, Ended
            None of the others can be copied either.
        """
        return [catch(self.send, source, name, 0, control) for source, name in files]

    def compare_many(
        self, files: Sequence[tuple[str, Digests, int]], control: Control
    ) -> list[bool | DestinationError | OSError]:
        """Compare files, given as to `compare`; return for each what that would, or has raised.

        Raises
        ------
        DestinationAway, DestinationFull, Ended
            None of the others can be compared either.
        """
        return [catch(self.compare, name, digests, size, control) for name, digests, size in files]

    def put_many(self, names: Sequence[tuple[str, str]]) -> list[DestinationError | OSError | None]:
        """Give files other names, given as to `put`; return for each None, or what went wrong.

        Raises
        ------
        DestinationAway, DestinationFull
            None of the others can be renamed either.
        """
        return [catch(self.put, name, final) for name, final in names]

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file of ours, if it is there."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return a small file; None: there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a small file of ours, whole, over one that may be there."""

    def is_here(self, name: str, path: Path) -> bool:
        """Whether a file there is the very file at a path here, by a link: there is no copy then."""
        return False

    def close(self) -> None:
        """Let go of it."""
        return


def catch(do: Callable[..., _Result], *given: Any) -> _Result | DestinationError | OSError:
    """Return what comes of it, or what is wrong with this one alone."""
    try:
        return do(*given)
    except (DestinationAway, DestinationFull):
        raise
    except (DestinationError, OSError) as error:
        return error


def check_name(name: str) -> PurePosixPath:
    """Return a name as a path on the disk, which lies below whatever it is joined to.

    Raises
    ------
    DestinationError
        It does not: anybody may have written it.
    """
    path = PurePosixPath(unspell(name))
    if path.is_absolute() or not path.parts or ".." in path.parts or ":" in path.parts[0] or "\0" in name:
        raise DestinationError(f"{name!r:.100} is no path below a folder")
    return path
