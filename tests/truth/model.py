"""What a case of the truth suite is: pure data. `lab` tells how it is played, `judge` how it is judged."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Truth(enum.Enum):
    """What a case makes true of its session."""

    HONEST = "all that was to be recorded is there"
    BAD = "something that was to be recorded is wrong or missing"
    REFUSED = "it must not begin at all"


GOOD, DEGRADED, INCOMPLETE = "GOOD", "DEGRADED", "INCOMPLETE"
INTERRUPTED, ABORTED, NOTHING = "INTERRUPTED", "ABORTED", "nothing recorded"
UNVERIFIED = "GOOD, not verified"
"""GOOD of a session with a rig whose data nobody has proved."""
NOT_GOOD = (DEGRADED, INCOMPLETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a camera does wrong, in seconds since the recording began."""

    kind: str
    """silent, hiccup (late, at once), close, rate, cut."""
    at: float = 0.0
    seconds: float | None = None
    """For how long; None: for good."""
    value: float | None = None
    """Frames a second from then on, of ``rate``."""
    every: int | None = None
    """Of ``cut``: each so many-th picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cam:
    """A camera of a rig, and the source that it shows."""

    label: str = "left"
    over: str = "http"
    """http, rtsp, ts, or test: the pattern that FFmpeg draws."""
    rate: float = 30.0
    """Frames a second that its source really gives."""
    fps: float | None = None
    """What the rig's config says of it."""
    jitter: float = 0.05
    loss: float = 0.0
    """Share of the datagrams of a transport stream that never arrive."""
    faults: tuple[Fault, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A rig of a session: one of cameras, of a program, or of IBL's kind."""

    name: str = "cams"
    cams: tuple[Cam, ...] = ()
    program: Mapping[str, Any] | None = None
    """What the program does; see `sources.recorder`."""
    adapter: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the adapter; with a type, all of them."""
    ibl: Mapping[str, Any] | None = None
    """A rig made of iblutil; see `sources.ibl_rig`."""
    role: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the rig's config."""
    scheme: str = "udp"
    is_off: bool = False
    """It is in the rigs file, and its PC is not there."""
    clock: tuple[float, float] | None = None
    """Its clock jumps: so many seconds after the begin, by so many."""
    disk: int | None = None
    """Its data folder is a disk of its own with so many bytes."""
    longest: int | None = None
    """It is reached on a path that loses datagrams of more bytes."""
    environment: Mapping[str, str] = field(default_factory=dict)
    shares: str | None = None
    """The data folder is that of this rig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is done to the lab, in seconds since the recording began."""

    at: float
    what: str
    """kill, terminate, hang up, restart (a rig); cut, mend (the network of the leading PC)."""
    rig: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What must be said."""

    words: str
    """A regular expression, found in a line whatever its case."""
    about: tuple[str | float, ...] = ()
    """Figures that stand in the same line: their values, or what the judge has measured: ``hole:left``."""
    within: float = 0.25
    """By how much of it the figure may be off; half a second always."""
    where: str = "reasons"
    """reasons, notes (reasons too), or output: anything that the command has said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One session, the truth that it makes, and what must be said of it."""

    name: str
    rigs: tuple[Rig, ...]
    truth: Truth
    seconds: float = 6.0
    """How long it records."""
    stop: str = "end"
    """How it is ended: end (its time is over), interrupt, terminate, hang up, kill (of the conductor)."""
    acts: tuple[Act, ...] = ()
    words: tuple[str, ...] = (GOOD,)
    """What the verdict may be."""
    says: tuple[Say, ...] = ()
    lists: tuple[str, ...] = ()
    """Names of files that must stand in the verdict's account."""
    never: tuple[str, ...] = ()
    """What must stand nowhere in what was said: regular expressions."""
    task: str | None = None
    """How the task ends that leads it; None: no task."""
    then: tuple[str, ...] = ()
    """A command that is run afterwards, such as ``recover --stop``."""
    leader_disk: int | None = None
    """The leading PC's data folder is a disk of its own with so many bytes."""
    network: bool = False
    """It has a network of its own, in which the leading PC reaches the rigs at 10.9.0.1."""
    load: int = 0
    """Processes that keep this PC busy meanwhile."""
    options: tuple[str, ...] = ()
    """Further options of the command."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the leading PC's programs."""
    limit: float = 90.0
    """Seconds that all of it may take on a busy PC."""

    @property
    def kind(self) -> str:
        """What it is a variation of: the first word of its name, or two of an honest one."""
        first, second, *_ = [*self.name.split("/"), ""]
        return f"{first}/{second}" if first == "honest" else first
