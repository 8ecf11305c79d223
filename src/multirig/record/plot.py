"""What a picture of a session shows: clocks, states and messages on one time axis, and the starts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from multirig.lifecycle.session_events import (
    AgreeRequested,
    ClockRead,
    Marked,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.events import Received, Refused, Replied, TimedOut
from multirig.protocol.messages import Event
from multirig.protocol.words import Info, Recorded, Report, RigStart, RigState, Started, Word
from multirig.record.history import History, Moment, find_rig
from multirig.record.story import CONDUCTOR, Line, say_marker
from multirig.record.summary import RigSummary, Summary

UNKNOWN = "not known"
"""State of a rig that does not answer, or is not heard."""
STATES: tuple[str, ...] = (*(state.value for state in RigState), UNKNOWN)
"""All that a rig may be shown in."""
_ASKED: Mapping[SessionTrigger, RigState] = {
    SessionTrigger.INIT: RigState.INITIALIZING,
    SessionTrigger.START: RigState.STARTING,
    SessionTrigger.STOP: RigState.STOPPING,
    SessionTrigger.INTERRUPT: RigState.STOPPING,
    SessionTrigger.CLEANUP: RigState.CLEANING,
}
"""What a rig is in from a command on."""
_ANSWERED: Mapping[Event, RigState] = {
    Event.EXPINFO: RigState.CONNECTED,
    Event.EXPINIT: RigState.INITIALIZED,
    Event.EXPSTART: RigState.RUNNING,
    Event.EXPEND: RigState.STOPPED,
    Event.EXPINTERRUPT: RigState.STOPPED,
    Event.EXPCLEANUP: RigState.CONNECTED,
}
"""What a rig is in from its answer on."""
_NOTICED: Mapping[Notice, str] = {
    Notice.LOST: UNKNOWN,
    Notice.BACK: RigState.RUNNING.value,
    Notice.RESUMED: RigState.RUNNING.value,
}
"""What a rig is in from then on; the others say so themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A rig's clock against the session's; one value a reading."""

    rig: str
    seconds: Sequence[float]
    """On the picture's axis."""
    offsets: Sequence[float]
    """Milliseconds by which the clock had moved since the first reading."""
    bounds: Sequence[float]
    """Milliseconds by which the clock may be off, either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPoints:
    """A rig's start, in milliseconds from the agreed instant, or else the first start; None: not known."""

    rig: str
    heard: float | None
    called: float | None
    returned: float | None
    first: float | None
    """Its first frame, sample or row."""
    bound: float
    """By how much these may be wrong, either way; 0 where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a rig was in, as far as this PC knows; seconds on the picture's axis."""

    begin: float
    end: float
    state: str
    """One of `STATES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A message, a command or a marker."""

    seconds: float
    """On the picture's axis."""
    who: str
    """A rig, or this PC."""
    text: str
    is_marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All that is to be drawn."""

    title: str
    axis: str
    """What the seconds of the picture count from."""
    curves: Sequence[Curve]
    starts: Sequence[StartPoints]
    start_axis: str
    """What the milliseconds of the starts count from."""
    spread: str
    """How near to each other the rigs started, in words."""
    states: Mapping[str, Sequence[Span]]
    """Of each rig, oldest first."""
    ticks: Sequence[Tick]


def compose(history: History, summary: Summary, lines: Sequence[Line]) -> Picture:
    """Return what a picture of a session shows.

    Parameters
    ----------
    history : History
        What happened; the last attempt is shown.
    summary : Summary
        What it comes to.
    lines : sequence of Line
        All of it in words, by `tell`.
    """
    moments = history.last_attempt
    recorded = summary.zero > 0.0
    zero = summary.zero if recorded else (moments[0].at / 1e9 if moments else 0.0)
    following = _Following(zero, summary.rigs)
    for moment, line in zip(moments, lines[len(lines) - len(moments) :], strict=True):
        following.take(moment, line.who, line.what)
    starts, start_axis = _compose_starts(summary)
    began = (summary.began or "")[:19].replace("T", " ")
    return Picture(
        title=f"{summary.exp_ref or 'session without a number'}, {began}",
        axis=f"seconds since {'the agreed start' if recorded else 'the session was asked for'}",
        curves=_compose_curves(history.clocks, zero),
        starts=starts,
        start_axis=start_axis,
        spread=_say_spread(summary),
        states=following.finish(),
        ticks=following.ticks,
    )


def _compose_curves(reads: Iterable[ClockRead], zero: float) -> list[Curve]:
    by_rig: dict[str, list[ClockRead]] = {}
    for read in reads:
        by_rig.setdefault(read.rig, []).append(read)
    return [
        Curve(
            rig=rig,
            seconds=[one.at / 1e9 - zero for one in found],
            offsets=[(one.offset - found[0].offset) / 1e6 for one in found],
            bounds=[one.bound / 1e6 for one in found],
        )
        for rig, found in by_rig.items()
    ]


def _compose_starts(summary: Summary) -> tuple[list[StartPoints], str]:
    """Return the starts, and what they count from."""
    told = {name: rig.start for name, rig in summary.rigs.items() if rig.start is not None}
    planned = [one.planned for one in told.values() if one.planned is not None]
    called = [one.called for one in told.values() if one.called is not None]
    firsts = [rig.first for rig in summary.rigs.values() if rig.first is not None]
    base = min(planned or called or firsts, default=0.0)

    def since(at: float | None) -> float | None:
        return None if at is None else (at - base) * 1e3

    starts = []
    for name, rig in summary.rigs.items():
        start = told.get(name)
        bound = start.bound if start is not None and start.bound is not None else rig.clock_bound
        if start is not None or rig.first is not None:
            starts.append(
                StartPoints(
                    rig=name,
                    heard=since(start.heard) if start is not None else None,
                    called=since(start.called) if start is not None else None,
                    returned=since(start.returned) if start is not None else None,
                    first=since(rig.first),
                    bound=(bound or 0.0) * 1e3,
                )
            )
    source = "the agreed instant" if planned else "the first start" if called else "the first frame"
    return starts, f"milliseconds since {source}"


def _say_spread(summary: Summary) -> str:
    if (spread := summary.start_spread) is None:
        return "fewer than two rigs tell when they started"
    near = f"{spread.seconds * 1e3:.3f} ms ± {spread.bound * 1e3:.3f} ms"
    return f"{spread.rigs} rigs started within {near} of each other"


@dataclass(slots=True)
class _Following:
    """Follows what each rig is in."""

    zero: float
    rigs: Mapping[str, RigSummary]
    ticks: list[Tick] = field(default_factory=list)
    _spans: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """When each rig came into a state."""
    _names: dict[str, str] = field(default_factory=dict)
    _end: float = 0.0

    def take(self, moment: Moment, who: str, what: str) -> None:
        """Take what happened next, and what that is in words."""
        at = moment.at / 1e9 - self.zero
        self._end = at
        match event := moment.event:
            case None | ClockRead():
                return
            case RigsChosen(rigs=rigs):
                self._names = {str(address): name for name, address in rigs.items()}
                return
            case Marked():
                marker = say_marker(event.text, event.data)
                self.ticks.append(
                    Tick(seconds=event.at / 1e9 - self.zero, who=CONDUCTOR, text=marker, is_marker=True)
                )
                return
            case AgreeRequested():
                self._spans.clear()
            case StepRequested(trigger=trigger) if trigger in _ASKED:
                for rig in self.rigs:
                    self._move(rig, at, _ASKED[trigger].value)
            case Received(address=address):
                self._move(self._names.get(str(address), ""), at, _find_state(moment.word))
            case Noticed(rig=rig, notice=notice):
                self._move(rig, at, _NOTICED.get(notice))
            case _ if (name := find_rig(event)) is not None:
                self._take_answer(name, moment, at)
        self.ticks.append(Tick(seconds=at, who=who if who in self.rigs else CONDUCTOR, text=what))

    def finish(self) -> dict[str, list[Span]]:
        """Return what each rig was in, from when to when."""
        found = {}
        for rig in self.rigs:
            moves = self._spans.get(rig, [])
            ends = [*(at for at, _ in moves[1:]), self._end]
            found[rig] = [
                Span(begin=begin, end=max(begin, end), state=state)
                for (begin, state), end in zip(moves, ends, strict=False)
            ]
        return found

    def _take_answer(self, rig: str, moment: Moment, at: float) -> None:
        match moment.event:
            case Replied(word=word):
                self._take_reply(rig, word.event, word, at)
            case Refused():
                self._move(rig, at, RigState.BROKEN.value)
            case TimedOut():
                self._move(rig, at, UNKNOWN)

    def _take_reply(self, rig: str, event: Event, word: Word | None, at: float) -> None:
        match word:
            case Started(recorded=Recorded(start=RigStart(returned=float(returned)))):
                at = min(at, returned - self.zero)
        state = _find_state(word)
        if state is None and event in _ANSWERED:
            state = _ANSWERED[event].value
        self._move(rig, at, state)

    def _move(self, rig: str, at: float, state: str | None) -> None:
        if rig in self.rigs and state is not None:
            moves = self._spans.setdefault(rig, [])
            if not moves or moves[-1][1] != state:
                moves.append((max(at, moves[-1][0]) if moves else at, state))


def _find_state(word: Word | None) -> str | None:
    """Return what a multirig says that it is in."""
    match word:
        case Info(state=RigState() as state) | Report(state=RigState() as state):
            return state.value
    return None
