"""What is to be done with a file that is to be collected. Pure.

The ledger only remembers; what is decided here is decided by what both disks say now, so that a program that
dies at any moment, or a ledger that is lost, costs time and nothing else.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias


class FileState(str, enum.Enum):
    """How far a file has come."""

    WAITING = "waiting"
    """Nothing, or not all of it, is at the destination."""
    COLLECTED = "collected"
    """It was read back there, is the same as here, and has its name."""
    CLEARED = "cleared"
    """It was collected, and removed here."""
    CHANGED = "changed"
    """It is not what the rig's list says that it recorded."""
    MISSING = "missing"
    """The rig's list has it, and it is not on this PC."""
    COLLIDES = "collides"
    """Another file lies at the destination under its name."""
    FAILED = "failed"
    """It could not be copied, or came back different."""

    def __str__(self) -> str:
        return self.value

    @property
    def is_there(self) -> bool:
        """Whether the destination has it whole."""
        return self in (FileState.COLLECTED, FileState.CLEARED)

    @property
    def needs_help(self) -> bool:
        """Whether trying again does not help: a person has to look."""
        return self in (FileState.CHANGED, FileState.MISSING, FileState.COLLIDES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger remembers of a file at one destination."""

    state: FileState
    bytes: int
    """Of what was brought there last; where nothing was, of the file here."""
    changed_at: int = 0
    """When it was last changed here, as far as its disk says: ns since 1970; 0: not known."""
    blake2b: str | None = None
    """The checksum of what was brought there last; None: nothing was."""
    why: str = ""
    """What stands between it and the destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A file on this PC, as it is now."""

    bytes: int
    changed_at: int
    said: int | None = None
    """Bytes that it had when it was recorded, by the rig's list; None: no list has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """What lies at the destination under its name, as it is now."""

    bytes: int | None = None
    """Of the file; None: there is none."""
    part: int | None = None
    """Of the beginning of ours, that was not finished; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Nothing is to be done."""

    state: FileState
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Read the file there and here: they may be the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Copy it, from here on."""

    start: int
    """Bytes that are there."""
    replaces: bool = False
    """Whether ours of before lies under its name: it is put aside first."""


Step: TypeAlias = Settle | Compare | Copy


def decide(known: Known | None, here: Here | None, there: There) -> Step:
    """Return what is to be done with a file.

    Parameters
    ----------
    known : Known or None
        What the ledger remembers of it; None: nothing. It may be wrong.
    here : Here or None
        None: it is not on this PC.
    there : There
    """
    if here is None:
        if known is not None and known.state.is_there and there.bytes == known.bytes:
            return Settle(state=FileState.CLEARED)
        return Settle(state=FileState.MISSING, why="it stands in the rig's list, and is not on its disk")
    if here.said is not None and here.bytes != here.said:
        why = f"it has {here.bytes:,} bytes, and had {here.said:,} when it was recorded"
        return Settle(state=FileState.CHANGED, why=why)
    start = there.part or 0
    copy = Copy(start=start if start <= here.bytes else 0)
    if there.bytes is None:
        return copy
    if there.bytes != here.bytes:
        if is_replaced(known, here, there):
            return Copy(start=0, replaces=True)  # what was begun may be of the old one
        why = f"another file of that name lies there, with {there.bytes:,} bytes instead of {here.bytes:,}"
        return Settle(state=FileState.COLLIDES, why=why)
    if (
        known is not None
        and known.state is FileState.COLLECTED
        and (known.bytes, known.changed_at) == (here.bytes, here.changed_at)
    ):
        return Settle(state=FileState.COLLECTED)
    return Compare()


def is_replaced(known: Known | None, here: Here, there: There) -> bool:
    """Whether what lies there is ours of before, of a file that has grown since, such as a log.

    What a rig's list has never changes: such a file is another one then.
    """
    return (
        known is not None and known.blake2b is not None and known.bytes == there.bytes and here.said is None
    )


def differs(here: str, there: str, said: str | None, *, was_there: bool) -> Settle | None:
    """Return what a file is whose checksums are not all the same; None: they are.

    Parameters
    ----------
    here, there : str
        Checksum of the file as it was read here, and as it was read back there.
    said : str or None
        The one that the rig's list has; None: it has none.
    was_there : bool
        Whether it lay there before, and was not copied now.
    """
    if said is not None and here != said:
        why = "it has another checksum than when it was recorded"
        return Settle(state=FileState.CHANGED, why=why)
    if here == there:
        return None
    if was_there:
        why = "another file of that name and size lies there"
        return Settle(state=FileState.COLLIDES, why=why)
    return Settle(state=FileState.FAILED, why="what was read back there is not what was copied")
