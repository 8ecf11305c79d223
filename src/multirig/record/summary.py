"""What a session was, drawn from its journal and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from multirig.lifecycle.policy import DEFAULT_POLICY, Role
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import (
    AgreeRequested,
    ClockRead,
    Marked,
    Progressed,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.session_states import EVENT_OF, SessionState, SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.events import Received, Refused, Replied, TimedOut, Unreached
from multirig.protocol.messages import Event, Message
from multirig.record.journal import BEGINNING, Entry
from multirig.record.timing import ClockSummary, RigStart, Spread, find_spread, number

_ENDS = (Event.EXPEND, Event.EXPINTERRUPT)
HARMLESS = frozenset({Notice.SILENT, Notice.BACK, Notice.GROWING, Notice.RESUMED})
"""What is noticed of a rig and is no fault in itself: a gap and a stall are told beside it."""


@dataclass(slots=True, kw_only=True)
class Remark:
    """What was noticed of a rig while the session went on."""

    seconds: float | None
    """Since the recording began; None: before it."""
    notice: str
    text: str


@dataclass(slots=True, kw_only=True)
class Happening:
    """What happened, for whoever reads how the session went."""

    seconds: float | None
    """Since the recording began; None: before it."""
    rig: str | None
    """None: the session as a whole."""
    text: str


@dataclass(slots=True, kw_only=True)
class Marker:
    """What the task, or somebody, marked in the experiment."""

    at: float
    """Seconds on the session clock."""
    seconds: float | None
    """Since the recording began; None: before it."""
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
    files: list[dict[str, Any]] = field(default_factory=list)
    """path, bytes, frames, first and last (seconds on the conductor's clock), blake2b; as the rig says."""
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
    problems: list[str] = field(default_factory=list)
    """What went wrong on this rig, oldest first."""
    remarks: list[Remark] = field(default_factory=list)
    """What was noticed and is no fault: silence that ended, an answer that came late."""

    @property
    def first(self) -> float | None:
        """When its first frame was, in seconds on the conductor's clock."""
        return min((at for one in self.files if (at := number(one.get("first"))) is not None), default=None)


@dataclass(slots=True, kw_only=True)
class StepSummary:
    """One step of the session."""

    name: str
    seconds: float
    """From the request until the last rig had its outcome."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """A session as its journal tells it."""

    exp_ref: str | None = None
    subject: str | None = None
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
    running_from: float | None = None
    """When all rigs recorded, in seconds on the conductor's clock; None: they never did."""
    running_until: float | None = None
    """When they were told to stop."""
    interruption: str | None = None
    """Why the session was interrupted, if it was."""
    rigs: dict[str, RigSummary] = field(default_factory=dict)
    start_spread: Spread | None = None
    """How near to each other the rigs' adapters were told to start; None: fewer than two rigs tell it."""
    first_spread: Spread | None = None
    """How near to each other the rigs' first frames were, by those whose clock is known."""
    markers: list[Marker] = field(default_factory=list)
    """What was marked, oldest first."""
    steps: list[StepSummary] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    """What happened to the rigs, oldest first."""
    unreadable: list[int] = field(default_factory=list)
    """Lines of the journal that cannot be read."""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)

    @property
    def zero(self) -> float:
        """When the first rig began, in seconds on the conductor's clock: its first frame, or its start."""
        firsts = [rig.first for rig in self.rigs.values() if rig.first is not None]
        starts = [rig.started_at for rig in self.rigs.values() if rig.started_at is not None]
        return float(min([*firsts, *starts], default=0.0))

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


def summarise(entries: Iterable[Entry], unreadable: Iterable[int] = ()) -> Summary:
    """Return what a journal's entries say of the session.

    Parameters
    ----------
    entries : iterable of Entry
        The lines that can be read.
    unreadable : iterable of int
        Numbers of the lines that cannot.
    """
    teller = _Teller()
    for entry in entries:
        teller.take(entry)
    summary = teller.finish()
    summary.unreadable = list(unreadable)
    return summary


class _Teller:
    """Feeds a journal to a machine, and writes down what comes of it."""

    def __init__(self) -> None:
        self._summary = Summary()
        self._machine = SessionMachine()
        self._step: tuple[str, int, int] | None = None
        self._start_asked: int | None = None
        """When the rigs were told to start."""
        self._open: dict[str, tuple[Event | None, str]] = {}
        """What each rig could not do, or did not answer, as a problem that may yet turn out to be none."""
        self._told: dict[str, int] = {}
        """When a rig last told of trouble by itself: the conductor notices the same."""
        self._stopped: set[str] = set()
        """Rigs that are known to have ended their recording by themselves."""

    def take(self, entry: Entry) -> None:
        """Take one line."""
        summary = self._summary
        summary.ended, summary.ended_at = entry.wall, entry.at / 1e9
        if entry.kind == BEGINNING:
            self._machine = SessionMachine()
            summary.attempts += 1
        event = entry.to_input()
        if event is None:
            return
        before = self._machine.state
        effects = list(self._machine.handle(event, entry.at))
        self._move(before, event, entry)
        match event:
            case RigsChosen(rigs=rigs):
                self._choose(event, {name: str(address) for name, address in rigs.items()})
            case AgreeRequested(subject=subject):
                self._begin_again()
                summary.subject, summary.began, summary.began_at = subject, entry.wall, entry.at / 1e9
            case StepRequested(trigger=SessionTrigger.START):
                self._ask_start(entry.at)
            case ClockRead(rig=rig) if rig in summary.rigs:
                self._take_clock(event)
            case Marked(text=text, at=at, data=data):
                marker = Marker(at=at / 1e9, seconds=self._since(at), text=text, data=dict(data))
                summary.markers.append(marker)
            case Replied(key=(_, str(rig), *_), message=message) if rig in summary.rigs:
                self._take_reply(rig, message, entry.at)
            case Refused(key=(_, str(rig), *_), reason=reason) if rig in summary.rigs:
                self._open[rig] = (EVENT_OF.get(before), reason)
                self._note(rig, reason, entry.at)
            case TimedOut(key=(_, str(rig), *_)) if rig in summary.rigs:
                problem = f"no answer in the step '{self._step[0] if self._step else '?'}'"
                self._open[rig] = (EVENT_OF.get(before), problem)
                self._note(rig, problem, entry.at)
            case Unreached(key=(_, str(rig), *_), reason=reason) if rig in summary.rigs:
                self._note(rig, reason, entry.at)
            case Received():
                self._take_news(event, entry.at, is_running=before is SessionState.RUNNING)
            case Noticed(rig=rig) if rig in summary.rigs:
                self._take_notice(event, entry.at)
        for effect in effects:
            if isinstance(effect, Progressed):
                self._take_outcome(effect)
        match event:
            case AgreeRequested() | StepRequested():
                self._finish_step()
                trigger = event.trigger if isinstance(event, StepRequested) else SessionTrigger.AGREE
                self._step = (trigger.value, entry.at, entry.at)
            case Replied() | Refused() | TimedOut() | Unreached() if self._step is not None:
                self._step = (*self._step[:2], entry.at)
        if self._machine.exp_ref is not None:
            summary.exp_ref = str(self._machine.exp_ref)

    def finish(self) -> Summary:
        """Return the whole."""
        self._finish_step()
        summary = self._summary
        summary.state = self._machine.state.value
        starts = {name: rig.start for name, rig in summary.rigs.items() if rig.start is not None}
        summary.start_spread = find_spread(
            {name: told for name, one in starts.items() if (told := one.instant) is not None}
        )
        summary.first_spread = find_spread(
            {
                name: (rig.first, rig.clock_bound)
                for name, rig in summary.rigs.items()
                if rig.first is not None and rig.clock_bound is not None
            }
        )
        return summary

    def _choose(self, event: RigsChosen, addresses: Mapping[str, str]) -> None:
        """Take who takes part; a conductor that recovers a session names the same rigs again."""
        before = self._summary.rigs
        keeps = self._machine.state is not SessionState.IDLE
        self._summary.rigs = {
            name: before[name] if keeps and name in before else RigSummary(address=address)
            for name, address in addresses.items()
        }
        for name, rig in self._summary.rigs.items():
            rig.role = event.policies.get(name, DEFAULT_POLICY).role.value

    def _begin_again(self) -> None:
        """Forget an attempt: a number that was given back is tried again, and only the last one counts."""
        summary = self._summary
        summary.rigs = {
            name: RigSummary(address=one.address, role=one.role) for name, one in summary.rigs.items()
        }
        summary.steps, summary.happenings, summary.markers = [], [], []
        self._step = self._start_asked = None
        summary.running_from = summary.running_until = summary.interruption = None
        summary.recoveries = 0
        self._open.clear()
        self._told.clear()
        self._stopped.clear()

    def _move(self, before: SessionState, event: Any, entry: Entry) -> None:
        """Note what the session as a whole has come to."""
        summary, state = self._summary, self._machine.state
        if state is before:
            return
        if self._machine.has_run and summary.running_from is None:
            summary.running_from = entry.at / 1e9
        ends = state in (SessionState.STOPPING, SessionState.INTERRUPTING)
        if ends and summary.running_from is not None and summary.running_until is None:
            summary.running_until = entry.at / 1e9
        if state is SessionState.INTERRUPTING and before is not SessionState.STOPPED:
            summary.interruption = _reason(event)
            self._happen(None, f"was interrupted: {summary.interruption}", entry.at)
        if state is SessionState.RECOVERING:
            summary.recoveries += 1
            self._happen(None, "another program took the place of the one that led it and had died", entry.at)

    def _take_outcome(self, effect: Progressed) -> None:
        """An answer that was missing has come, or was found out."""
        rig = self._summary.rigs.get(effect.rig)
        if rig is None or not isinstance(effect.outcome, Message):
            return
        if effect.event is Event.EXPSTART:
            rig.was_started = True
        self._excuse(
            effect.rig,
            effect.event,
            f"its answer to {effect.event.name} was lost; asked again, it had done it",
        )

    def _excuse(self, name: str, event: Event, text: str) -> None:
        """Take back a problem that was none in the end."""
        rig, (open_event, problem) = self._summary.rigs[name], self._open.get(name, (None, ""))
        if open_event is event and problem in rig.problems:
            rig.problems.remove(problem)
            rig.remarks.append(Remark(seconds=None, notice="late", text=text))

    def _take_reply(self, name: str, message: Message, at: int) -> None:
        rig = self._summary.rigs[name]
        data = next((one for one in message.args if isinstance(one, dict)), {})
        if message.event is Event.EXPSTART and isinstance(data.get("started_at"), float):
            rig.started_at = data["started_at"]
        if message.event is Event.EXPSTART:
            self._take_start(rig, data, at)
        if message.event is Event.EXPCLEANUP and isinstance(digests := data.get("digests"), dict):
            for one in rig.files:
                one["blake2b"] = one.get("blake2b") or digests.get(one["path"])
        if isinstance(gaps := data.get("gaps"), list):
            rig.gaps = [one for one in gaps if isinstance(one, dict)]
        if message.event not in _ENDS:
            return
        self._excuse(name, message.event, f"answered {message.event.name} late")
        rig.has_ended = True
        if isinstance(files := data.get("files"), list):
            rig.files = [one for one in files if isinstance(one, dict) and "path" in one]
        rig.says_files = rig.says_files or "files_total" in data
        rig.files_total = data.get("files_total", rig.files_total)
        rig.bytes_total = data.get("bytes_total", rig.bytes_total)
        rig.stopped_at = data.get("stopped_at", rig.stopped_at)
        ago, until = data.get("ended_ago"), self._summary.running_until
        if isinstance(ago, int | float) and until is not None and rig.ended_early is None:
            rig.ended_early = max(0.0, ago - (at / 1e9 - until))
        rig.manifest = data.get("manifest", rig.manifest)
        health, clock = data.get("health"), data.get("clock")
        if isinstance(health, dict):
            rig.dropped = health.get("dropped")
        if isinstance(clock, dict):
            rig.clock_offset, rig.clock_bound = clock.get("offset"), clock.get("bound")
        if data.get("failure"):
            self._note(name, str(data["failure"]), None)

    def _take_start(self, rig: RigSummary, data: Mapping[str, Any], at: int) -> None:
        if isinstance(start := data.get("start"), dict):
            rig.start, rig.started_within = RigStart.read(start), None
        elif rig.start is None and rig.started_within is None and self._start_asked is not None:
            rig.started_within = (at - self._start_asked) / 1e9

    def _ask_start(self, at: int) -> None:
        self._start_asked = at
        for rig in self._summary.rigs.values():
            if rig.clock is not None:
                rig.clock.hold_worst()

    def _take_clock(self, read: ClockRead) -> None:
        rig = self._summary.rigs[read.rig]
        if rig.clock is None:
            rig.clock = ClockSummary.begin(read)
        else:
            rig.clock.take(read)
        if self._start_asked is not None and self._summary.running_until is None:
            rig.clock.hold_worst()

    def _take_news(self, event: Received, at: int, *, is_running: bool) -> None:
        address = str(event.address)
        name = next((name for name, one in self._summary.rigs.items() if one.address == address), None)
        data = next((one for one in event.message.args if isinstance(one, dict)), {})
        trouble = find_trouble(event.message, data, is_running=is_running)
        if name is None or trouble is None:
            return
        if data.get("failure") or name not in self._stopped:  # it says so in each state on its way
            self._note(name, trouble, at)
        self._told[name] = at
        self._stopped.add(name)

    def _take_notice(self, event: Noticed, at: int) -> None:
        rig = self._summary.rigs[event.rig]
        if event.notice in (Notice.BACK, Notice.RESUMED):
            self._stopped.discard(event.rig)
        if event.notice in HARMLESS:
            remark = Remark(seconds=self._since(at), notice=event.notice.value, text=event.text)
            rig.remarks.append(remark)
            self._happen(event.rig, event.text, at)
        elif self._told.pop(event.rig, None) != at:  # else the rig has said so itself
            self._note(event.rig, event.text, at)

    def _note(self, name: str, problem: str, at: int | None) -> None:
        rig = self._summary.rigs[name]
        if problem not in rig.problems:
            rig.problems.append(problem)
            if at is not None:
                self._happen(name, problem, at)

    def _happen(self, rig: str | None, text: str, at: int) -> None:
        self._summary.happenings.append(Happening(seconds=self._since(at), rig=rig, text=text))

    def _since(self, at: int) -> float | None:
        began = self._summary.running_from
        return None if began is None else at / 1e9 - began

    def _finish_step(self) -> None:
        if self._step is not None:
            name, asked, done = self._step
            self._summary.steps.append(StepSummary(name=name, seconds=(done - asked) / 1e9))


def _reason(event: Any) -> str:
    """Return why a session is interrupted."""
    match event:
        case StepRequested(data=data):
            return " ".join(str(data.get("message") or data.get("error") or "no reason given").split())
        case Noticed(rig=rig, text=text):
            return f"{rig}, which is essential, {text}"
    return "an essential rig was lost"


def find_trouble(message: Message, data: Mapping[str, Any], *, is_running: bool) -> str | None:
    """Return what is wrong with a rig by what it said unasked, if something is."""
    if data.get("failure"):
        return str(data["failure"])
    if not is_running:
        return None
    if message.event in _ENDS:
        return f"said {message}: it was stopped at its own screen"
    if message.event is Event.EXPSTATUS and data.get("state", "running") != "running":
        return f"is {data['state']}: it was stopped at its own keyboard"
    return None
