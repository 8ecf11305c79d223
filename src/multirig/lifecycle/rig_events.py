"""What goes between a rig's machine and its own service."""

from __future__ import annotations

from dataclasses import dataclass, field

from multirig.protocol.events import Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Clear, Collect, Holdings
from multirig.protocol.messages import Event
from multirig.protocol.words import Finding, Gap, Health, Info, Marker, Picture, Plan, Recorded, RigState

_RECORDING = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING, RigState.FAILING})
_RECORDED = frozenset({RigState.STOPPED, RigState.BROKEN})


# -- events from the rig's own service -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The hooks of a `Call` have run."""

    number: int
    recorded: Recorded = field(default_factory=Recorded)
    """What they have to tell (files after a stop), for the answer."""
    gap: Gap | None = None
    """The gap that one of them has ended."""
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
    recorded: Recorded = field(default_factory=Recorded)
    """What the hooks have to tell all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broke:
    """The recording failed by itself."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the service gathered for an EXPINFO."""

    token: Token
    info: Info
    """Without what the machine knows; ``exp_ref`` is the next free one where it was asked for."""
    room: int | None = None
    """As the `Describe` said."""
    whose: bool = False
    """As the `Describe` said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesOffered:
    """The cameras of which there can be live pictures are others than before."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesTaken:
    """What `TakePictures` has asked for."""

    token: Token
    pictures: tuple[Picture, ...]
    """In the order of the cameras."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What `Gather` has asked for."""

    token: Token
    holdings: Holdings
    """Without what the machine knows."""


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
    recorded: Recorded = field(default_factory=Recorded)
    """Files that are there, as after a stop."""
    gap: Gap | None = None
    """In which nothing was recorded."""
    goes_on: bool = False
    """Whether what it drives has recorded on by itself, and is watched again."""
    left: str | None = None
    """What still runs of that session and is watched by nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The adapter's proof of recording, as of now."""

    health: Health
    findings: tuple[Finding, ...] = ()
    """What was seen since the recording began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceMeasured:
    """The disk where the data goes, as of now."""

    free: int
    """Bytes."""
    hours_left: float | None
    """Hours of recording for which that is enough; None: nothing tells how much a recording needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPortOpened:
    """This PC's clock can be measured from now on."""

    port: int
    """UDP."""


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
    why: str | None = None
    """Why a recording that goes on is ended, in words for whoever leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """Somebody can be asked something at the rig itself, or nobody can any more."""

    is_attended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Somebody at the rig has said whether it may be taken over."""

    allows: bool


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
    follows: str | None = None
    """Of whom the free number here is to be told, if it is above the one that another PC offers."""
    offered: ExpRef | None = None
    """The number that another PC offers; None: it has told none yet."""
    room: int | None = None
    """Bytes of answer that the asker reads; None: as many as there are."""
    check: Plan | None = None
    """What is planned, where the asker wants to know what speaks for and against it."""
    whose: bool = False
    """Whether the asker wants to know who has begun what is recorded here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePictures:
    """Get a small live picture of each camera and report `PicturesTaken`."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Do what is wished of the sessions on this PC, and report `Gathered`."""

    token: Token
    wish: AskHoldings | Collect | Clear


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
class AskedHere:
    """Ask the person at the rig whether it may be taken over, and report `Answered`."""

    asker: str
    """Who wants to take it over, in words."""
    leader: str
    """Who leads it, in words."""
    exp_ref: ExpRef | None
    """The session that it is in."""
    seconds: float
    """How long there is to answer."""

    def __str__(self) -> str:
        wish = f"{self.asker} wants to take over from {self.leader}"
        return f"{wish}: type yes or no ({self.seconds:.0f} s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedHere:
    """Whether the rig may be taken over; nobody needs to be asked any more."""

    asker: str
    allows: bool | None
    """None: that has become needless."""
    why: str
    """By whom or what it was decided."""

    def __str__(self) -> str:
        if self.allows is None:
            return f"whether {self.asker} may take over is not asked any more: {self.why}"
        return f"{self.asker} {'may' if self.allows else 'may not'} take over: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A command was refused; for the log."""

    event: Event
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Write down what has happened in the experiment, and tell the adapter."""

    marker: Marker


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHandled:
    """A peer says that it could not handle what this rig had told it; for the log."""

    about: str
    """Name of the message."""
    reason: str
