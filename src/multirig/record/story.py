"""The journal, told to people: a line for each entry, in words."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multirig.lifecycle.policy import DEFAULT_POLICY, Role
from multirig.lifecycle.session_events import (
    BY,
    AgreeRequested,
    ClockRead,
    Marked,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.session_states import EVENT_OF, SessionState, SessionTrigger
from multirig.lifecycle.watch import Noticed
from multirig.protocol.events import Received, Refused, Replied, TimedOut, Unreached
from multirig.protocol.messages import Event
from multirig.protocol.words import (
    AlyxToken,
    AskToken,
    Info,
    Recorded,
    Report,
    RigStart,
    RigState,
    Started,
    Stopped,
    Word,
)
from multirig.record.entries import RECOVERY
from multirig.record.history import Moment, find_rig
from multirig.record.trouble import find_failure, find_trouble
from multirig.wording import ahead, count, one_line

CONDUCTOR = "this PC"
"""Who did what no rig did."""


class Kind(str, enum.Enum):
    """What a line of a journal is about."""

    STEP = "step"
    """What was asked of all rigs."""
    ANSWER = "answer"
    """A rig has done what was asked."""
    NEWS = "news"
    """A rig said something by itself."""
    ALARM = "alarm"
    """A rig could not, or did not answer; something is wrong with it, or well again."""
    MARKER = "marker"
    CLOCK = "clock"
    """What was read of a rig's clock."""
    OTHER = "other"
    """Who took part, and who led."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry of a journal, in words."""

    kind: Kind
    wall: str
    """ISO time of day on the conductor's PC."""
    seconds: float | None
    """Since the agreed start; None before all rigs record."""
    who: str
    """A rig, or `CONDUCTOR`."""
    what: str


@dataclass(slots=True)
class _Start:
    """When all were to start, as far as a journal has told it; nanoseconds on the session clock."""

    at: int | None = None
    _is_agreed: bool = False

    def take(self, moment: Moment) -> None:
        """Take what happened next."""
        match moment.event, moment.word:
            case StepRequested(trigger=SessionTrigger.START), _ if self.at is None:
                self.at = moment.at
            case _, Started(recorded=Recorded(start=RigStart(planned=float(planned)))):
                at = round(planned * 1e9)
                self.at = min(at, self.at) if self._is_agreed and self.at is not None else at
                self._is_agreed = True


def tell(moments: Iterable[Moment]) -> Iterator[Line]:
    """Yield what happened, a line for each moment."""
    names: dict[str, str] = {}
    zero: int | None = None
    start = _Start()
    for moment in moments:
        event = moment.event
        if moment.is_beginning or isinstance(event, AgreeRequested):
            zero, start = None, _Start()
        start.take(moment)
        if zero is None and moment.after is SessionState.RUNNING:
            zero = moment.at if start.at is None else start.at
        if isinstance(event, RigsChosen):
            names = {str(address): name for name, address in event.rigs.items()}
        who, what = _say(moment, names)
        seconds = None if zero is None else (moment.at - zero) / 1e9
        yield Line(kind=_sort(moment), wall=moment.wall, seconds=seconds, who=who, what=one_line(what))


def choose(
    lines: Iterable[Line], *, who: Collection[str] = (), kinds: Collection[Kind] = ()
) -> Iterator[Line]:
    """Yield the lines of some rigs and kinds; of all where none is named.

    Parameters
    ----------
    lines : iterable of Line
        What `tell` yields.
    who : collection of str
        Names of rigs, or `CONDUCTOR`.
    kinds : collection of Kind
        What they are about.
    """
    return (one for one in lines if (not who or one.who in who) and (not kinds or one.kind in kinds))


def _sort(moment: Moment) -> Kind:
    match moment.event:
        case AgreeRequested() | StepRequested():
            return Kind.STEP
        case Replied(word=Stopped(state=RigState.BROKEN)):
            return Kind.ALARM
        case Replied():
            return Kind.ANSWER
        case Refused() | TimedOut() | Unreached() | Noticed():
            return Kind.ALARM
        case Received() if moment.word is not None:
            trouble = find_trouble(moment.word, is_running=moment.before is SessionState.RUNNING)
            return Kind.NEWS if trouble is None else Kind.ALARM
        case ClockRead():
            return Kind.CLOCK
        case Marked():
            return Kind.MARKER
    return Kind.OTHER


def _say(moment: Moment, names: Mapping[str, str]) -> tuple[str, str]:
    """Return who did what."""
    match event := moment.event:
        case RigsChosen():
            return CONDUCTOR, f"leads {_list_rigs(event)}"
        case AgreeRequested(subject=subject):
            return CONDUCTOR, f"asked all rigs for a session of {subject}"
        case StepRequested(trigger=trigger, data=data):
            why = data.get("message") or data.get("error")
            by = f", by {data[BY]}" if data.get(BY) else ""
            return CONDUCTOR, f"asked for the step '{trigger}'{by}{f': {why}' if why else ''}"
        case Received(address=address, word=word):
            return names.get(str(address), str(address)), f"said {word}{_say_word(word)}"
        case Noticed(rig=rig, text=text):
            return rig, text
        case ClockRead(rig=rig):
            return rig, _say_clock(event)
        case Marked(text=text, data=data):
            return CONDUCTOR, f"marked: {say_marker(text, data)}"
    if (rig_asked := find_rig(event)) is not None:
        return rig_asked, _say_answer(moment, EVENT_OF.get(moment.before))
    leader = say_leader(moment.pc, moment.person)
    if moment.is_beginning:
        return CONDUCTOR, f"opened the journal (multirig {moment.version}{f', {leader}' if leader else ''})"
    if moment.kind == RECOVERY:
        words = "took the place of the program that led the session and had died"
        return CONDUCTOR, f"{words} ({leader})" if leader else words
    return CONDUCTOR, f"noted '{moment.kind}'"


def say_leader(pc: str | None, person: str | None) -> str:
    """Return who leads, and where; empty where that is not known."""
    return " ".join([*(("led by", person) if person else ()), *(("on", pc) if pc else ())])


def _say_answer(moment: Moment, asked: Event | None) -> str:
    """Return what became of a step on a rig."""
    step = asked.name if asked is not None else "a step that was over"
    match moment.event:
        case Replied(word=Stopped(state=RigState.BROKEN, failure=failure)):
            more = ", ".join(part for part in _say_more(moment.word) if part)
            return f"could not do {step}: {failure or 'it is broken'}{f' ({more})' if more else ''}"
        case Replied(word=word):
            return f"answered {word}{_say_word(word)}"
        case Refused(reason=reason):
            return f"could not do {step}: {reason}"
        case TimedOut(confirmed=confirmed):
            known = "it has got the message" if confirmed else "nobody knows whether it has got the message"
            return f"did not answer {step} in time; {known}"
        case Unreached(reason=reason):
            return f"was not reached for {step}: {reason}"
    return f"answered {step}"


def _list_rigs(event: RigsChosen) -> str:
    rigs = []
    for name, address in event.rigs.items():
        role = event.policies.get(name, DEFAULT_POLICY).role
        rigs.append(f"{name} at {address}" + (f" ({role})" if role is not Role.EXPECTED else ""))
    return ", ".join(rigs) or "no rigs"


def _say_clock(read: ClockRead) -> str:
    jumps = f", jumps so far: {read.steps}" if read.steps else ""
    return (
        f"clock is {ahead(read.offset / 1e9)} ± {read.bound / 1e6:.3f} ms, "
        f"drift {read.drift:+.2f} ppm, round trip {read.round_trip / 1e6:.3f} ms{jumps}"
    )


def say_marker(text: str, data: Mapping[str, Any]) -> str:
    """Return a marker in words: its text, and what belongs to it."""
    more = ", ".join(f"{key} {value}" for key, value in data.items())
    return f"{text} ({more})" if more else text


def _say_word(word: Word | None) -> str:
    """Return what a rig said, as far as people care: state, files, failure."""
    said = [_say_state(word), *_say_more(word)]
    if getattr(word, "gaps", None):
        said.append("with a gap in its recording")
    said.append((find_failure(word) if word is not None else None) or "")
    text = ", ".join(part for part in said if part)
    return f": {text}" if text else ""


def _say_state(word: Word | None) -> str:
    """Return what a rig does; of a peer that says no more, by its status."""
    state, status = getattr(word, "state", None), getattr(word, "status", None)
    return str(state) if state is not None else status.name.lower() if status is not None else ""


def _say_handing(info: Info) -> Iterator[str]:
    """Yield what a rig says of the wish to take it over."""
    if info.led_by is not None:
        yield f"led by {info.led_by}"
    if info.asking is not None:
        yield "asks the person there whether it may be taken over"
    if info.decided is not None:
        yield f"{'not handed over' if info.led_by is not None else 'may be taken over'}: {info.decided}"


def _say_more(word: Word | None) -> Iterator[str]:
    match word:
        case Info(main_sync=main_sync, exp_ref=exp_ref, strange_ref=strange):
            yield "the main sync" if main_sync else ""
            yield f"at {exp_ref or strange}" if exp_ref or strange else ""
            yield from _say_handing(word)
        case AlyxToken() | AskToken():
            yield "an Alyx token, or the wish for one"
        case Stopped(files_total=int(files), bytes_total=volume):
            yield f"{count(files, 'file')}, {volume or 0:,} bytes"
        case Started(recorded=Recorded(start=RigStart(late=float(late)))):
            yield f"{late * 1000:.3f} ms after the agreed instant"
        case Report(pulse=float(pulse)):
            yield f"gave a sync pulse at {pulse:.6f} s of the session clock"
