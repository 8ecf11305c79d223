"""What a session was: plain values, drawn from its history by `recount`. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from multirig.lifecycle.policy import Role
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.words import File, Finding, RigStart
from multirig.record.limits import is_of_other_clock
from multirig.record.sources import find_sources
from multirig.record.timing import ClockSummary, Spread


@dataclass(slots=True, kw_only=True)
class Remark:
    """What was noticed of a rig while the session went on."""

    seconds: float | None
    """Since the agreed start, `Summary.zero`; None: before all recorded."""
    notice: str
    text: str


@dataclass(slots=True, kw_only=True)
class Incident:
    """What happened to a rig or to the session, in words."""

    seconds: float | None
    """Since the agreed start, `Summary.zero`; None: before all recorded."""
    rig: str | None
    """None: the session as a whole."""
    text: str


@dataclass(slots=True, kw_only=True)
class Marker:
    """What the task, or somebody, marked in the experiment."""

    at: float
    """Seconds on the session clock."""
    seconds: float | None
    """Since the agreed start, `Summary.zero`; None: before all recorded."""
    text: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class RigSummary:
    """What one rig recorded."""

    address: str
    role: str = Role.EXPECTED.value
    """What becomes of a session without it: essential, expected, optional."""
    was_started: bool = False
    """Whether it said that it records."""
    has_ended: bool = False
    """Whether it answered the stop or the interrupt."""
    says_files: bool = False
    """Whether that answer told what was recorded; IBL's peers say nothing of it."""
    files: list[File] = field(default_factory=list)
    """What it recorded, as it says."""
    files_total: int = 0
    bytes_total: int = 0
    manifest: str | None = None
    """Name of the rig's own list of files, in its session folder."""
    started_at: float | None = None
    """Seconds on the conductor's clock."""
    start: RigStart | None = None
    """How it started; None: it does not tell, as IBL's peers do not."""
    started_within: float | None = None
    """Seconds from the command to the answer of a rig that does not tell: somewhere in there it started."""
    stopped_at: float | None = None
    ended_early: float | None = None
    """Seconds by which its recording had ended before the session was told to stop; None: not known."""
    dropped: int | None = None
    """Frames that could not be written."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """from and to (ISO times of day) and seconds in which nothing was recorded: its program had died."""
    clock_offset: float | None = None
    """Seconds that were added to the rig's own clock to get the conductor's."""
    clock_bound: float | None = None
    """Seconds by which the rig's times may be off the conductor's clock; None: not measured."""
    clock: ClockSummary | None = None
    """What the conductor read of its clock; None: nothing, as with IBL's peers."""
    still_records: str | None = None
    """Why it may still record, now that the session is over; None: it does not, by its own word."""
    findings: list[Finding] = field(default_factory=list)
    """What it has seen itself and told, oldest first."""
    problems: list[str] = field(default_factory=list)
    """What went wrong on this rig, oldest first."""
    remarks: list[Remark] = field(default_factory=list)
    """What was noticed and is no fault: silence that ended, an answer that came late."""

    @property
    def is_foreign(self) -> bool:
        """Whether it has said no more than IBL's peers do: it is no multirig."""
        return not self.says_files and self.start is None and self.clock is None and self.clock_bound is None

    @property
    def frames(self) -> int | None:
        """Frames, samples or rows of all its sources; None: it tells of none."""
        counts = [source.frames for source in find_sources(self.files) if source.is_counted]
        return sum(counts) if counts else None

    @property
    def first(self) -> float | None:
        """When its first frame was, in seconds on the conductor's clock."""
        known = (one.first for one in self.files if not is_of_other_clock(one.first, self.started_at))
        return min((first for first in known if first is not None), default=None)


@dataclass(slots=True, kw_only=True)
class StepSummary:
    """One step of the session."""

    name: str
    seconds: float
    """From the request until the last rig had its outcome."""


@dataclass(slots=True, kw_only=True)
class CutOff:
    """An end that somebody made to a session since the program that led it had died before."""

    died: float | None = None
    """Seconds from the start until the last that it noted; None: it died before all rigs recorded."""
    asked: float | None = None
    """For how many seconds the session was to be recorded; None: nobody had said."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """A session as its journal tells it."""

    exp_ref: str | None = None
    subject: str | None = None
    pc: str | None = None
    """Name of the PC that led it, by the last program that did; None: its journal does not say it."""
    person: str | None = None
    """Name of who led it; None: there was no name, as at a terminal."""
    began: str | None = None
    """ISO time of day on the conductor's PC."""
    began_at: float | None = None
    """The same moment in seconds on the conductor's clock."""
    ended: str | None = None
    """ISO time of day of the last line of the journal."""
    ended_at: float | None = None
    """The same moment in seconds on the conductor's clock."""
    state: str = SessionState.IDLE.value
    """Where the session was when the journal ended."""
    attempts: int = 0
    """How often somebody began it: a number that was given back is tried again."""
    recoveries: int = 0
    """How often a conductor took the place of one that had died."""
    agreed_start: float | None = None
    """The instant at which the first rigs were to start, in seconds on the conductor's clock.

    Where no rig knows instants, as IBL's peers do not, when they were told to; None: they never were.
    """
    running_from: float | None = None
    """When all rigs recorded, in seconds on the conductor's clock; None: they never did."""
    running_until: float | None = None
    """When they were told to stop."""
    interruption: str | None = None
    """Why the session was interrupted, if it was."""
    task_died: float | None = None
    """Seconds from the start to the last word of the task that led it, if it died while all recorded."""
    cut_off: CutOff | None = None
    """How it ended, if the program that led it died and nobody went on with it to its end."""
    rigs: dict[str, RigSummary] = field(default_factory=dict)
    start_spread: Spread | None = None
    """How near to each other the rigs' adapters were told to start; None: fewer than two rigs tell it."""
    first_spread: Spread | None = None
    """How near to each other the rigs' first frames were, by those whose clock is known."""
    markers: list[Marker] = field(default_factory=list)
    """What was marked, oldest first."""
    steps: list[StepSummary] = field(default_factory=list)
    happenings: list[Incident] = field(default_factory=list)
    """What happened to the rigs, oldest first."""
    remarks: list[Remark] = field(default_factory=list)
    """What was noticed of the PC that led the session."""
    unwritten: str | None = None
    """What of the journal its disk did not take, and where it lies; None: all stands in it."""
    unreadable: list[int] = field(default_factory=list)
    """Lines of the journal that cannot be read."""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)

    @property
    def zero(self) -> float:
        """Zero of all times that are told: the agreed start, in seconds on the conductor's clock.

        Where none was agreed it is when the first rig began: its first frame, or its start.
        """
        if self.agreed_start is not None:
            return self.agreed_start
        plans = [rig.start.planned for rig in self.rigs.values() if rig.start is not None]
        if (planned := min((one for one in plans if one is not None), default=None)) is not None:
            return planned
        firsts = [rig.first for rig in self.rigs.values() if rig.first is not None]
        starts = [rig.started_at for rig in self.rigs.values() if rig.started_at is not None]
        return float(min([*firsts, *starts], default=0.0))

    @property
    def length(self) -> float | None:
        """For how many seconds all rigs were to record, where that is known."""
        begin, end = self.running_from, self.running_until
        return None if begin is None or end is None or end < begin else end - begin

    @property
    def silent_starts(self) -> dict[str, RigSummary]:
        """The rigs that were started, and do not tell when by the session clock."""
        return {
            name: rig
            for name, rig in self.rigs.items()
            if rig.was_started and (rig.start is None or rig.start.called is None or rig.start.bound is None)
        }

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known to have gone wrong."""
        return not any(rig.problems for rig in self.rigs.values())
