"""Where a rig keeps which program it has started: found again whatever a restart has changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from multirig.protocol.exp_ref import ExpRef
from multirig.state import state_folder


def programs_folder() -> Path:
    """Return where all rigs of this user on this PC note the programs that they have started."""
    return state_folder() / "programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepsake:
    """Where to look for a program that was started by an earlier life of a rig."""

    path: Path
    """The rig's own file, in its data folder."""
    register: Path
    """The folder in which all rigs of this PC note theirs: no change of a config hides what stands there."""
    rig: str = ""
    """The rig's name."""
    addresses: tuple[str, ...] = ()
    """Where it listens: only one rig at a time can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Programs that run on this PC, were started by a rig, and are watched by nobody."""

    own: str | None = None
    """Those of an earlier life of this rig; None: there is none."""
    exp_ref: ExpRef | None = None
    """The session of which they are."""
    others: tuple[str, ...] = ()
    """A line for each that another rig has left."""
