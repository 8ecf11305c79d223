"""What goes between a rig's machine and its own service, and the keys of what it says to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.lifecycle.rig_states import RigState
from multirig.protocol.events import Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event

_RECORDING = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING, RigState.FAILING})
_RECORDED = frozenset({RigState.STOPPED, RigState.BROKEN})


# -- events from the rig's own service -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The hooks of a `Call` have run."""

    number: int
    report: Mapping[str, Any]
    """What they have to tell (files after a stop), for the answer."""
    failure: str | None = None
    """What one of them could not do, and a later one made good: a clean-up ends what a stop could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """All that takes time before a start is done: the rig waits for the instant."""

    number: int
    """Of the `Call` that starts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A hook of a `Call` raised."""

    number: int
    reason: str
    report: Mapping[str, Any] = field(default_factory=dict)
    """What the hooks have to tell all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broke:
    """The recording failed by itself."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the service gathered for an EXPINFO."""

    token: Token
    info: Mapping[str, Any]
    """For others: name, date, device; ``exp_ref`` is the next free one where it was asked for."""
    room: int | None = None
    """As the `Describe` said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesOffered:
    """The cameras of which there can be live pictures are others than before."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesTaken:
    """What `TakePictures` has asked for."""

    token: Token
    pictures: tuple[Mapping[str, Any], ...]
    """``label``, ``jpeg`` (base64) and ``age`` (seconds or None), in the order of the cameras."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a rig must still know after its program has died."""

    state: RigState
    exp_ref: ExpRef | None
    started: tuple[ExpRef, ...]
    """References that were started here; there may be data under them."""
    stopped: tuple[ExpRef, ...]
    """References that were stopped here before they were started."""

    @property
    def is_recording(self) -> bool:
        """Whether the adapter may have been recording."""
        return self.exp_ref in self.started and self.state in _RECORDING

    @property
    def has_recorded(self) -> bool:
        """Whether there is a recording that nobody has cleaned up."""
        return self.is_recording or (self.exp_ref in self.started and self.state in _RECORDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The program has been started again; this is what it knew before, and what it finds."""

    memory: Memory
    report: Mapping[str, Any] = field(default_factory=dict)
    """Files that are there, as after a stop."""
    gap: Mapping[str, Any] | None = None
    """``from`` and ``to`` (ISO times of day) and ``seconds`` in which nothing was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The adapter's proof of recording, as of now."""

    health: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceMeasured:
    """The disk where the data goes, as of now."""

    free: int
    """Bytes."""
    hours_left: float | None
    """Hours of recording for which that is enough; None: nothing tells how much a recording needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulsed:
    """The rig has given a sync pulse."""

    at: float
    """When its edge rose: seconds on the session clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """Somebody at the rig's own keyboard wants something."""

    event: Event
    exp_ref: ExpRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectChosen:
    """The operator says who is recorded here; None: whoever a conductor asks for."""

    subject: str | None


# -- effects for the rig's own service ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Gather what an EXPINFO asks for and report `Described`."""

    token: Token
    subject: str | None
    """Whose next free number shall be offered; None: no number is wanted of this rig."""
    at_least: int = 1
    """The lowest number that is free on the asker's PC too."""
    room: int | None = None
    """Bytes of answer that the asker reads; None: as many as there are."""
    check: Mapping[str, Any] | None = None
    """What is planned, where the asker wants to know what speaks for and against it (``seconds``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePictures:
    """Get a small live picture of each camera and report `PicturesTaken`."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """The rig is in another state."""

    state: RigState
    exp_ref: ExpRef | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Put this where it survives the death of the program, before the hooks of a `Call` that follows run."""

    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LedBy:
    """Another conductor leads the rig now; for the log."""

    leader: str
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A command was refused; for the log."""

    event: Event
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Write down what has happened in the experiment, and tell the adapter."""

    text: str
    data: Mapping[str, Any]
    """More on it."""
    at: float
    """When, in seconds on the session clock."""
    received: int
    """When it was heard here; ns on the rig's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHandled:
    """A peer says that it could not handle what this rig had told it; for the log."""

    about: str
    """Name of the message."""
    reason: str


MARK = "mark"
"""Key in an EXPSTATUS of the conductor: a marker (``text``, ``data``, ``at``)."""
WATCH = "watch"
"""Key in an EXPSTATUS of somebody who looks on: for how many seconds it wants to be told; 0: no more."""
PULSE = "pulse"
"""Key in what a rig says of itself: the sync pulse that it has just given (``at``)."""
PICTURES = "pictures"
"""Key in an EXPSTATUS: live pictures are wanted; in its answer: they; in a rig's news: labels of cameras."""
MIN_SEQUENCE = "min_sequence"
"""Key in an EXPINFO: the first number that is free on the conductor's PC."""
CHECK = "check"
"""Key in an EXPINFO: what is planned (``seconds``); the rig tells what speaks for and against it."""
PREFLIGHT = "preflight"
"""Key in the answer to that: what the rig has found of its PC."""
REHEARSAL = "rehearsal"
"""Key in EXPINIT and EXPSTART: record for a try, use up no number and remove it at the clean-up."""
RESUME = "resume"
"""Key in an EXPSTART: go on with the recording that the death of the rig's program has cut off."""
CLOCK_PORT = "clock_port"
"""Key in the answer to an EXPINFO, and in a rig's news: the UDP port at which its clock can be measured."""
START_AT = "start_at"
"""Key in an EXPSTART: the instant at which all begin to record, on the session clock; ns."""
MAX_NAMES = 64
"""Conductors whose names are remembered."""
MAX_REMEMBERED = 256
"""References that are remembered as recorded or given up; a lab needs weeks for so many."""
MAX_LISTED_FILES = 100
"""Files named in an answer; the totals always count all."""
MAX_FAILURE_TEXT = 300
"""Characters of a failure in an answer: some peers read a thousand bytes in all."""
SPARED = (PREFLIGHT, "experiment_description", "device")
"""What is left out of an answer that would be too long for its reader, the first one first."""
