"""What computers say to each other: one class a meaning, whichever wire carries it.

A word is checked where it comes in, by `multirig.protocol.dialect`, and handed on as it is: nothing above the
links looks into a message. None is said of what is not known, or was not said.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status

MAX_INTEGER = (1 << 63) - 1
"""What 64 bits hold; a larger number, either way, is refused where it comes in."""


class RigState(enum.Enum):
    """What a rig is doing."""

    CONNECTED = "connected"
    """Nothing; ready for a session."""
    INITIALIZING = "initialising"
    INITIALIZED = "initialised"
    """Ready to record at once."""
    STARTING = "starting"
    RUNNING = "running"
    """Recording."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    """The recording is closed and counted."""
    CLEANING = "cleaning up"
    FAILING = "failing"
    """Something failed; what was half-started is being stopped."""
    BROKEN = "broken"
    """Something failed and is remembered until a clean-up."""

    def __str__(self) -> str:
        return self.value


class Word:
    """Something that one computer says to another."""

    __slots__ = ("_said",)

    _said: Message
    """As a peer has said it, where one has: what it said beyond the word's fields is kept for the journal."""

    if TYPE_CHECKING:

        @property
        def event(self) -> Event:
            """The event of the message that carries it."""

    def __str__(self) -> str:
        return self.event.name


# -- what words are made of ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """By this in an EXPINFO two multirigs know each other."""

    wire: int
    """Version of the wire that the sender speaks."""
    boot: str
    """Boot id of its program."""
    name: str = ""
    """Of its PC, or of the rig."""
    hello: str = ""
    """The beginning of a handshake, in base64: whoever has it is to be spoken to under a seal only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A session that is planned."""

    seconds: float | None = None
    """How long it shall be; None: until it is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Proof of recording, cheap enough to ask for many times a second."""

    frames: int | None = None
    """Frames, samples or rows written so far; None where the device cannot tell."""
    bytes: int = 0
    """Bytes on disk so far."""
    dropped: int = 0
    """Frames that were seen and could not be written."""
    rate: float | None = None
    """Frames per second over the last second or so; None where the device cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which nothing was recorded, since the rig's program had died."""

    since: str | None = None
    """ISO time of day on the rig's PC."""
    until: str | None = None
    """ISO time of day on the rig's PC; of a gap that may still last: when the program was there again."""
    seconds: float | None = None
    """How long it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a camera saw a moment ago."""

    label: str
    """Which of the rig's cameras; always the same for the same one."""
    jpeg: bytes
    """A JPEG file; about 240 pixels wide is enough."""
    at: int | None = None
    """When it was taken: the rig's ``time.perf_counter_ns()``; None: not known, or another PC's."""
    age: float | None = None
    """Seconds for which the frame was old when the rig answered; None: the rig cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What somebody expects of what a device records: what is worse is told; None: the usual limits."""

    fps: float | None = None
    """Frames, samples or rows a second."""
    longest_gap: float | None = None
    """Seconds that may lie between two frames."""
    missing: float | None = None
    """Share of the frames that may be missing: 0.01 is one in a hundred."""
    damaged: float | None = None
    """Share of the pictures that may be damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What can be known of what a file holds; None is said of what is not known."""

    source: str | None = None
    """Which of the rig's sources it is of, a camera's label: a recording in several parts has one."""
    asked: float | None = None
    """Frames a second that were asked of the source, or that it has promised."""
    rate: float | None = None
    """Frames a second that it gave, in the middle."""
    longest_gap: float | None = None
    """Seconds between the two neighbours that are farthest from each other."""
    gap_at: float | None = None
    """Time of the first of these two: seconds on the conductor's clock."""
    missing: int | None = None
    """Frames that the source numbered, or that its rate promised, and that are not there."""
    dropped: int | None = None
    """Frames that were seen and could not be written."""
    damaged: int | None = None
    """Pictures that came damaged."""
    backwards: int | None = None
    """Times that do not rise."""
    bursts: int | None = None
    """Frames that came in bursts, and whose times are those of their arrival."""
    stamped_by: str | None = None
    """Whose clock stamped the frames: ``source`` (stream, driver or camera), or ``arrival`` at this PC."""
    bound: float | None = None
    """Seconds by which a frame's time may be off the rig's clock, besides the source's constant delay."""
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    pixel_format: str | None = None
    """As FFmpeg names it."""
    colour_range: str | None = None
    """``full`` or ``limited``."""
    growing: bool | None = None
    """Whether it grew until the stop."""
    grew_at: float | None = None
    """When it last grew: seconds on the conductor's clock."""
    expected: Expected | None = None
    """What the rig's config says of it."""


class Level(str, enum.Enum):
    """How grave a finding is."""

    NOTE = "note"
    """Good to know; it takes nothing from the session."""
    WARNING = "warning"
    """A part of what was to be recorded is lost, or not to be trusted."""
    ALARM = "alarm"
    """The same, and more is lost the longer it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a rig has seen, and whoever leads must know; it is no failure of the whole rig."""

    level: Level
    """How grave it is."""
    kind: str
    """What it is about, a word: ``camera``, ``clock``, ``disk``, ``orphan``, ``program``, ``server``."""
    text: str
    """What is the matter and what to do next, in words that follow the rig's name and a colon."""
    at: float | None = None
    """When it began: seconds on the conductor's clock."""
    until: float | None = None
    """When it was over, seconds on the conductor's clock: `at`, of a moment. None: it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a finished recording."""

    path: str
    """Relative to the session folder, with forward slashes."""
    bytes: int
    """Size on disk."""
    frames: int | None = None
    """What it holds: frames, samples or rows; None where the device cannot tell."""
    first: float | None = None
    """Time of the first frame: seconds on the conductor's clock."""
    last: float | None = None
    """Time of the last frame: seconds on the conductor's clock."""
    blake2b: str | None = None
    """BLAKE2b checksum of 32 bytes, in hexadecimal; None: not made yet, or the file cannot be read."""
    evidence: Evidence | None = None
    """What is known of what it holds; None: nothing, or the rig is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RigStart:
    """How a rig started, by its own word; seconds on the session clock, None: not known."""

    planned: float | None = None
    """When it was to start."""
    heard: float | None = None
    """When it heard the command."""
    called: float | None = None
    """When its adapter was told to start."""
    returned: float | None = None
    """When its adapter had started."""
    late: float | None = None
    """Seconds by which the call was later than planned."""
    bound: float | None = None
    """Seconds by which these times may be off the session clock."""

    @property
    def instant(self) -> tuple[float, float] | None:
        """When its adapter was told to start, and how wrong that may be; None where it is not known."""
        return None if self.called is None or self.bound is None else (self.called, self.bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """What a rig added to its own clock to get the conductor's."""

    offset: float | None = None
    """Seconds."""
    bound: float | None = None
    """Seconds by which the rig's times may be off the conductor's clock; None: not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a rig knows of what it records in a session."""

    started_at: float | None = None
    """When it had begun: seconds on the session clock."""
    start: RigStart | None = None
    """How it started."""
    files: tuple[File, ...] | None = None
    """What it has recorded; None: it is not stopped yet, or its data lie where nobody counts them."""
    is_kept: bool = False
    """Whether there is a manifest, with checksums: none is written of a rehearsal."""
    manifest: str | None = None
    """Name of the manifest in the rig's session folder; None: it could not be written."""
    health: Health | None = None
    """Its proof of recording when it was stopped."""
    stopped_at: float | None = None
    """When it was stopped: seconds on the session clock."""
    clock: ClockOffset | None = None
    """What its times were made with."""
    digests: Mapping[str, str] | None = None
    """BLAKE2b checksums, by path, that were made after the files were listed."""
    findings: tuple[Finding, ...] | None = None
    """What was seen while it was recorded, oldest first; None: nothing is said of that."""

    def __bool__(self) -> bool:
        return self != _NOTHING

    def followed_by(self, later: Recorded) -> Recorded:
        """Return what is known when something more is."""
        news = {
            name: value
            for name in ("started_at", "start", "health", "stopped_at", "clock", "digests", "findings")
            if (value := getattr(later, name)) is not None
        }
        if later.files is not None:
            news |= {"files": later.files, "is_kept": later.is_kept, "manifest": later.manifest}
        return replace(self, **news)


_NOTHING = Recorded()


# -- words of whoever leads or looks on, as a rig hears them ---------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AskInfo(Word):
    """Who are you, and which experiment are you in?"""

    event: ClassVar[Event] = Event.EXPINFO
    exp_ref: ExpRef | None = None
    """The asker's own."""
    subject: str | None = None
    """Who shall be recorded; None: no number is wanted."""
    main_sync: bool = False
    """Whether the asker's PC owns the experiment's number."""
    experiment_description: Mapping[str, Any] | None = None
    """The asker's part of it."""
    spec_version: str | None = None
    """Of IBL's EXPINFO."""
    min_sequence: int | None = None
    """The first number that is free on the asker's PC."""
    check: Plan | None = None
    """What is planned, where the asker wants to know what speaks for and against it."""
    recover: bool = False
    """The asker is back in its session, and leads the rig unless another conductor does by now."""
    take_over: bool = False
    """The asker leads the rig from now on, if whoever leads it now, or the person there, lets it."""
    would_take_over: bool = False
    """The asker would take the rig over by its next command: it is to be decided whether it may."""
    whose: bool = False
    """The asker wants to know who has begun what is recorded there, and when."""
    greeting: Greeting | None = None
    """Of a multirig."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else the asker says of the experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderInfo(Word):
    """Who leads, as a conductor answers a rig that asks."""

    event: ClassVar[Event] = Event.EXPINFO
    status: Status
    """RUNNING while the session runs."""
    exp_ref: ExpRef | None
    """Of the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialise(Word):
    """Get ready."""

    event: ClassVar[Event] = Event.EXPINIT
    exp_ref: ExpRef | None = None
    """For this session; None: the one that the rig knows of."""
    rehearsal: bool = False
    """Record for a try, use up no number and remove it at the clean-up."""
    take_over: bool = False
    """The sender leads the rig from now on, if it may take it over from whoever did."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else goes along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Word):
    """Record."""

    event: ClassVar[Event] = Event.EXPSTART
    exp_ref: ExpRef | None = None
    """Under this number; None: the one that the rig knows of."""
    at: int | None = None
    """When all begin, on the session clock; ns. None: at once."""
    resume: bool = False
    """Go on with the recording that the death of the rig's program has cut off."""
    rehearsal: bool = False
    """Record for a try, use up no number and remove it at the clean-up."""
    take_over: bool = False
    """The sender leads the rig from now on, if it may take it over from whoever did."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else goes along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Word):
    """Stop recording."""

    event: ClassVar[Event] = Event.EXPEND
    exp_ref: ExpRef | None = None
    """The session that is over; None: whichever goes on."""
    take_over: bool = False
    """The sender leads the rig from now on, if it may take it over from whoever did."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else goes along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Word):
    """Stop recording now: something is wrong."""

    event: ClassVar[Event] = Event.EXPINTERRUPT
    exp_ref: ExpRef | None = None
    """The session that is over; None: whichever goes on."""
    take_over: bool = False
    """The sender leads the rig from now on, if it may take it over from whoever did."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Why: ``error``, ``message`` and what else the sender knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp(Word):
    """Close programs and devices; be ready for another session."""

    event: ClassVar[Event] = Event.EXPCLEANUP
    exp_ref: ExpRef | None = None
    """The session that is over; None: whichever it was."""
    take_over: bool = False
    """The sender leads the rig from now on, if it may take it over from whoever did."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else goes along."""


Command: TypeAlias = Initialise | Start | Stop | Interrupt | CleanUp
"""What moves a rig from one state to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus(Word):
    """What are you doing?"""

    event: ClassVar[Event] = Event.EXPSTATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Word):
    """A conductor's heartbeat: it is there, and leads this session."""

    event: ClassVar[Event] = Event.EXPSTATUS
    status: Status = Status.CONNECTED
    """RUNNING while the session runs."""
    state: str
    """Where the session is."""
    exp_ref: ExpRef | None
    """Which session it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker(Word):
    """Something happened in the experiment that is to be found again in the data."""

    event: ClassVar[Event] = Event.EXPSTATUS
    text: str
    """What happened, in a line."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """More on it: whatever JSON can carry."""
    at: float
    """When it happened: seconds on the conductor's clock."""
    exp_ref: ExpRef | None = None
    """In which session."""
    status: Status = Status.RUNNING
    """RUNNING while the session runs."""
    received: int | None = None
    """When this PC heard of it: its ``time.perf_counter_ns()``; None on the conductor's PC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(Word):
    """Keep me informed how you are: the wish of an observer, which leads nobody."""

    event: ClassVar[Event] = Event.EXPSTATUS
    seconds: float
    """For how long; 0: no more."""
    attends: bool = False
    """Whether somebody is before its screen who may say there whether the rig is handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantPictures(Word):
    """Show me what your cameras see."""

    event: ClassVar[Event] = Event.EXPSTATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide(Word):
    """Whether a rig may be taken over: what was said on a page of its own PC."""

    event: ClassVar[Event] = Event.EXPSTATUS
    allows: bool
    """Whether it may."""
    asker: str
    """Who wants it, as the rig calls it: another one may want it by now."""
    by: str | None = None
    """Name of the person who has said it; None: it has none."""


# -- words of a rig, as whoever leads or looks on hears them ---------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Info(Word):
    """Who a rig is, and what it takes part in."""

    event: ClassVar[Event] = Event.EXPINFO
    status: Status | None = None
    """What it does; None: it has said nothing that can be read."""
    main_sync: bool = False
    """Whether it owns the experiment's number."""
    exp_ref: ExpRef | None = None
    """The session that it is in, or the number that it offers."""
    strange_ref: str | None = None
    """What it names instead of a reference, where that is none."""
    subject: str | None = None
    """Who is recorded there."""
    state: RigState | None = None
    """What it does, as a multirig says it."""
    clock_port: int | None = None
    """UDP port at which its clock can be measured."""
    name: str | None = None
    """As its own config has it."""
    date: str | None = None
    """The day there; ISO."""
    adapter: str | None = None
    """Type of its adapter."""
    collection: str | None = None
    """Folder inside the session folder for what it writes."""
    writes: tuple[str, ...] = ()
    """What it writes: patterns of paths below the session folder; see `multirig.lifecycle.owners`."""
    folder: str | None = None
    """The same for all rigs that write below one folder, whatever they call it."""
    disk_free: int | None = None
    """Bytes free where its data goes."""
    version: str | None = None
    """Of multirig there."""
    device: Any = None
    """What its adapter says of its device."""
    experiment_description: Mapping[str, Any] | None = None
    """Its part of the description."""
    preflight: tuple[Mapping[str, Any], ...] | None = None
    """What speaks for and against a session there: check, level, text of each finding; None: not asked."""
    time: str | None = None
    """The time of day there, with its zone; ISO. None: not asked."""
    failure: str | None = None
    """What is broken there, or why it has no number to offer."""
    min_sequence: int | None = None
    """The lowest number that is free there, where it is above the one that was asked for."""
    limits: Mapping[str, float] | None = None
    """Seconds that steps may take there, by the name of the step, where that is not the usual."""
    set_up_for: str | None = None
    """The subject that an operator has chosen there; it takes part in no other session."""
    led_by: str | None = None
    """The conductor that leads it, where that is neither the asker nor lets the asker take it over."""
    asking: float | None = None
    """Seconds for which the person there is still asked whether the asker may take it over."""
    decided: str | None = None
    """What was decided of the asker's wish to take it over, and by whom; ``led_by`` tells whether it may."""
    begun_by: str | None = None
    """The conductor that has begun what is recorded there, heard or not; None: not asked, or nobody's."""
    recording_for: float | None = None
    """Seconds for which that is recorded; None: not asked, or nothing is."""
    greeting: Greeting | None = None
    """Of a multirig."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else it says."""

    @property
    def doing(self) -> RigState | None:
        """Its state; of a peer that says no more, what its status means."""
        return _doing(self.state, self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Word):
    """It is ready to record."""

    event: ClassVar[Event] = Event.EXPINIT
    exp_ref: ExpRef | None = None
    """For which session."""
    strange_ref: str | None = None
    """What it names instead of a reference, where that is none."""
    status: Status | None = None
    """What it does."""
    strange_status: str | None = None
    """What it calls its status, where that is none."""
    gaps: tuple[Gap, ...] | None = None
    """When it recorded nothing in this session; None: it says nothing of it."""
    failure: str | None = None
    """What is broken there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Word):
    """It records."""

    event: ClassVar[Event] = Event.EXPSTART
    exp_ref: ExpRef | None = None
    """Under which number."""
    strange_ref: str | None = None
    """What it names instead of a reference, where that is none."""
    status: Status | None = None
    """What it does."""
    strange_status: str | None = None
    """What it calls its status, where that is none."""
    recorded: Recorded = field(default_factory=Recorded)
    """How it started; without the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Word):
    """Its recording is closed."""

    event: Event = Event.EXPEND
    """EXPINTERRUPT where it answers that."""
    exp_ref: ExpRef | None = None
    """Of which session."""
    status: Status | None = None
    """What it does."""
    state: RigState | None = None
    """BROKEN where it could not stop as it should; what it has recorded is told all the same."""
    files_total: int | None = None
    """How many files there are; None: it says nothing of them, as IBL's peers."""
    bytes_total: int | None = None
    """Bytes in all of them."""
    recorded: Recorded | None = None
    """What it recorded; of too many files the first are named. None: only the totals, for IBL's peers."""
    ended_ago: float | None = None
    """Seconds for which the recording was over when it said so."""
    gaps: tuple[Gap, ...] | None = None
    """When it recorded nothing in this session; None: it says nothing of it."""
    failure: str | None = None
    """What is broken there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedUp(Word):
    """It is ready for another session."""

    event: ClassVar[Event] = Event.EXPCLEANUP
    exp_ref: ExpRef | None = None
    """The session that is over."""
    status: Status | None = None
    """What it does."""
    digests: Mapping[str, str] | None = None
    """BLAKE2b checksums, by path, that were not ready when the files were listed."""
    gaps: tuple[Gap, ...] | None = None
    """When it recorded nothing in this session; None: it says nothing of it."""
    failure: str | None = None
    """What is broken there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Word):
    """How a rig is: asked for, as its heartbeat, or at once when something changes."""

    event: ClassVar[Event] = Event.EXPSTATUS
    status: Status | None = None
    """What it does, in IBL's words; None: it has said nothing that can be read."""
    adapter: str | None = None
    """Type of its adapter."""
    version: str | None = None
    """Of multirig there."""
    state: RigState | None = None
    """What it does; None: it is no multirig, and its status is all."""
    exp_ref: ExpRef | None = None
    """The session that it is in."""
    failure: str | None = None
    """What is broken there, until a clean-up."""
    armed: bool = False
    """Whether it could begin to record at once, and waits for the instant to do so."""
    health: Health | None = None
    """Its proof of recording."""
    stalled: float | None = None
    """Seconds for which its recording has not grown, if that is too long."""
    findings: tuple[Finding, ...] = ()
    """What is the matter there now, beside a failure."""
    led_by: str | None = None
    """The conductor that leads it: name and address."""
    leader: str | None = None
    """Boot id of that conductor."""
    gap: Gap | None = None
    """The last time in which it recorded nothing in this session; it may still go on."""
    resumes: bool = False
    """Whether the recording that was cut off can go on."""
    main_sync: bool = False
    """Whether it owns the experiment's number."""
    subject: str | None = None
    """Who is recorded there, or for whom it is set up."""
    disk_free: int | None = None
    """Bytes free where its data goes."""
    hours_left: float | None = None
    """Hours of recording for which that is enough."""
    clock_port: int | None = None
    """UDP port at which its clock can be measured."""
    cameras: tuple[str, ...] = ()
    """Labels of the cameras of which there can be live pictures."""
    pictures: tuple[Picture, ...] | None = None
    """What they see, where that was asked for."""
    taken_over_by: str | None = None
    """Another conductor, which leads the rig now: the last that its leader hears."""
    wanted_by: str | None = None
    """Another conductor that wants to take it over, while the person there is asked."""
    asking: float | None = None
    """Seconds for which the person there is still asked about that."""
    is_open: bool = False
    """Whether whoever reaches it may command it, without a key."""
    pulse: float | None = None
    """When the sync pulse rose that it has just given: seconds on the session clock."""

    @property
    def doing(self) -> RigState | None:
        """Its state; of a peer that says no more, what its status means."""
        return _doing(self.state, self.status)

    @property
    def is_resuming(self) -> bool:
        """Whether it is about to record on after its program had died."""
        return self.state is RigState.STARTING and self.gap is not None


_STATE_OF = {
    Status.CONNECTED: RigState.CONNECTED,
    Status.INITIALIZED: RigState.INITIALIZED,
    Status.RUNNING: RigState.RUNNING,
    Status.STOPPED: RigState.STOPPED,
}
"""What a multirig would call the state of a foreign peer."""


def _doing(state: RigState | None, status: Status | None) -> RigState | None:
    return state or (_STATE_OF[status] if status is not None else None)


# -- words of both sides ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AlyxToken(Word):
    """An Alyx token."""

    event: ClassVar[Event] = Event.ALYX
    url: str | None = None
    """Of the database."""
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The token, by user; empty: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskToken(Word):
    """May I have your Alyx token?"""

    event: ClassVar[Event] = Event.ALYX
    url: str | None = None
    """Of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint(Word):
    """It could not be done."""

    event: ClassVar[Event] = Event.ERROR
    text: str
    """Why."""
    about: Event | None = None
    """What; None: something that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Word):
    """The peer has it, which is all that was wanted."""

    event: Event
    """What it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid(Word):
    """A message that means nothing: it is refused."""

    event: Event
    """Of which kind it is."""
    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class Verbatim(Word):
    """What IBL's array interface says or hears, as it is."""

    event: Event
    """What kind of message."""
    args: tuple[Any, ...] = ()
    """What goes with it."""
