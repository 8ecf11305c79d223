"""A session's summary, drawn from its history moment by moment. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.defects import is_same_moment
from multirig.lifecycle.policy import DEFAULT_POLICY
from multirig.lifecycle.session_events import (
    AgreeRequested,
    ClockRead,
    Marked,
    Moved,
    Progressed,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.session_states import EVENT_OF, SessionState, SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed, find_noticed
from multirig.protocol.dialect import write_gap
from multirig.protocol.events import Received, Refused, Relocated, Replied, TimedOut, Unreached
from multirig.protocol.messages import Event
from multirig.protocol.words import CleanedUp, Finding, Recorded, Started, Stopped, Word
from multirig.record.entries import RECOVERY
from multirig.record.history import Moment, find_rig
from multirig.record.recording_on import RecordingOn
from multirig.record.summary import CutOff, Incident, Marker, Remark, RigSummary, StepSummary, Summary
from multirig.record.timing import ClockSummary, find_spread, find_start_spread
from multirig.record.trouble import find_failure, find_trouble

HARMLESS = frozenset(
    {
        Notice.SILENT,
        Notice.BACK,
        Notice.GROWING,
        Notice.RESUMED,
        Notice.DISK,
        Notice.ROOM,
        Notice.WANTED,
    }
)
"""What is noticed of a rig and is no fault in itself: a gap, a stall, a full disk are reported beside it."""
_SECOND = 1e9


def summarise(moments: Iterable[Moment], unreadable: Iterable[int] = ()) -> Summary:
    """Return what the moments of a session come to.

    Parameters
    ----------
    moments : iterable of Moment
        Of a `History`, or as a `Replay` yields them: they need not be kept.
    unreadable : iterable of int
        Lines of the journal that cannot be read; looked at when there are no more moments.
    """
    recount = Recount()
    for moment in moments:
        recount.take(moment)
    summary = recount.finish()
    summary.unreadable = list(unreadable)
    return summary


class Recount:
    """Draws the summary of a session, moment by moment."""

    def __init__(self) -> None:
        self._summary = Summary()
        self._step: tuple[str, int, int] | None = None
        """Which step is taken, when it was asked for, and when a rig last had its outcome."""
        self._start_asked: int | None = None
        """When the rigs were told to start."""
        self._open: dict[str, tuple[Event | None, str]] = {}
        """What each rig could not do, or did not answer, as a problem that may yet turn out to be none."""
        self._reported: dict[str, int] = {}
        """When a rig last reported trouble: the conductor notices the same."""
        self._found: dict[str, list[Finding]] = {}
        """What each rig has found itself while it recorded; what it says in the end takes its place."""
        self._recording = RecordingOn()
        self._restarted: dict[str, int] = {}
        """When it was noticed that a rig was restarted and does not record any more."""
        self._stopped: set[str] = set()
        """Rigs that are known to have ended their recording unasked."""
        self._knows_plan = False
        """Whether a rig has said at which instant it was to start."""
        self._by_task = False
        """Whether a task leads the session."""
        self._asked: float | None = None
        """For how many seconds it was to be recorded."""
        self._began_late = False
        """Whether it was found only by whoever took the dead program's place that all record."""
        self._last_word = 0
        """When the program that led it before wrote its last line."""

    def take(self, moment: Moment) -> None:
        """Take what happened next."""
        summary = self._summary
        if moment.kind == RECOVERY:
            self._last_word = round((summary.ended_at or 0.0) * _SECOND)
        if moment.is_beginning or moment.kind == RECOVERY:
            summary.pc, summary.person = moment.pc, moment.person
        summary.ended, summary.ended_at = moment.wall, moment.at / _SECOND
        summary.attempts += moment.is_beginning
        summary.state = moment.after.value
        if moment.event is None:
            return
        self._recording.take(moment)
        if moment.after is not moment.before:
            self._take_state(moment)
        self._take_event(moment)
        for happening in moment.happenings:
            match happening:
                case Progressed(rig=rig, event=event, outcome=Word()) if rig in summary.rigs:
                    self._take_outcome(rig, event)
                case Moved(exp_ref=exp_ref) if exp_ref is not None:
                    summary.exp_ref = str(exp_ref)
        self._time_step(moment)

    def finish(self) -> Summary:
        """Return the whole."""
        self._finish_step()
        summary = self._summary
        if self._began_late:
            summary.running_from = _find_beginning(summary)
        until = summary.running_until
        for name, at in self._restarted.items():
            rig = summary.rigs[name]
            if rig.gaps and until is not None:  # it knows only when its program was there again
                rig.gaps = [*rig.gaps[:-1], prolong(rig.gaps[-1], max(0.0, until - at / _SECOND))]
        if summary.state == SessionState.IDLE.value:
            for name, rig in summary.rigs.items():
                rig.still_records = self._recording.why(name)
        summary.start_spread = find_start_spread({name: rig.start for name, rig in summary.rigs.items()})
        summary.first_spread = find_spread(
            {
                name: (rig.first, rig.clock_bound)
                for name, rig in summary.rigs.items()
                if rig.first is not None and rig.clock_bound is not None
            }
        )
        return summary

    # -- the session as a whole -----------------------------------------------------------------------------

    def _take_state(self, moment: Moment) -> None:
        """Note what the session as a whole has come to."""
        summary, state, at = self._summary, moment.after, moment.at
        if moment.has_run and summary.running_from is None:
            summary.running_from = at / _SECOND
            self._began_late = moment.before is not SessionState.STARTING
        is_left = moment.before is SessionState.RECOVERED and state is SessionState.STOPPING
        # one that was to last until it is ended is ended by that
        is_first = (
            summary.running_until is None
        )  # it had not been told to stop before, by the program that died
        if is_left and is_first and moment.has_run and (self._began_late or self._asked is not None):
            died = None if self._began_late else self._since(self._last_word)
            summary.cut_off = CutOff(died=died, asked=self._asked)
        ends = state in (SessionState.STOPPING, SessionState.INTERRUPTING)
        if ends and summary.running_from is not None and summary.running_until is None:
            summary.running_until = at / _SECOND
        if state is SessionState.INTERRUPTING and moment.before is not SessionState.STOPPED:
            summary.interruption = _find_reason(moment.event)
            self._happen(None, f"was interrupted: {summary.interruption}", at)
        if state is SessionState.RECOVERING:
            summary.recoveries += 1
            if self._by_task and moment.has_run and summary.running_until is None:
                summary.task_died = self._since(self._last_word)
            self._happen(None, "another program took the place of the one that led it and had died", at)

    def _take_event(self, moment: Moment) -> None:
        summary, at = self._summary, moment.at
        match event := moment.event:
            case RigsChosen():
                self._choose(event, is_idle=moment.after is SessionState.IDLE)
            case AgreeRequested(subject=subject):
                self._begin_again()
                self._by_task, self._asked = event.by_task, event.seconds
                summary.subject, summary.began, summary.began_at = subject, moment.wall, at / _SECOND
            case StepRequested(trigger=SessionTrigger.START):
                self._ask_start(at)
            case Marked(text=text, at=marked_at, data=data):
                marker = Marker(
                    at=marked_at / _SECOND, seconds=self._since(marked_at), text=text, data=dict(data)
                )
                summary.markers.append(marker)
            case Received():
                self._take_received(moment)
            case ClockRead(rig=rig) if rig in summary.rigs:
                self._take_clock(event)
            case Relocated():
                self._move(event, at)
            case Noticed(rig=rig, notice=notice, text=text) if rig == THIS_PC:
                summary.remarks.append(Remark(seconds=self._since(at), notice=notice.value, text=text))
                self._happen(None, f"{THIS_PC}: {text}", at)
            case Noticed(rig=rig) if rig in summary.rigs:
                self._take_notice(event, at)
            case _ if (name := find_rig(event)) in summary.rigs:
                self._take_answer(name, moment)

    def _choose(self, event: RigsChosen, *, is_idle: bool) -> None:
        """Take who takes part; a conductor that recovers a session names the same rigs again."""
        before = {} if is_idle else self._summary.rigs
        self._summary.rigs = {
            name: before.get(name) or RigSummary(address=str(address)) for name, address in event.rigs.items()
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
        summary.remarks = []
        self._step = self._start_asked = None
        summary.agreed_start = summary.running_from = summary.running_until = summary.interruption = None
        summary.task_died = summary.cut_off = None
        self._began_late = self._knows_plan = False
        summary.recoveries = 0
        self._open.clear()
        self._found.clear()
        self._recording.begin_again()
        self._reported.clear()
        self._restarted.clear()
        self._stopped.clear()

    def _time_step(self, moment: Moment) -> None:
        match event := moment.event:
            case AgreeRequested() | StepRequested():
                self._finish_step()
                trigger = event.trigger if isinstance(event, StepRequested) else SessionTrigger.AGREE
                self._step = (trigger.value, moment.at, moment.at)
            case Replied() | Refused() | TimedOut() | Unreached() if self._step is not None:
                self._step = (*self._step[:2], moment.at)

    def _finish_step(self) -> None:
        if self._step is not None:
            name, asked, done = self._step
            self._summary.steps.append(StepSummary(name=name, seconds=(done - asked) / _SECOND))

    # -- what a rig has done --------------------------------------------------------------------------------

    def _take_answer(self, name: str, moment: Moment) -> None:
        """Take what became of a step on a rig."""
        asked = EVENT_OF.get(moment.before)
        match moment.event:
            case Replied():
                self._take_reply(name, moment.word, moment.at)
                return
            case Refused(reason=reason):
                self._open[name] = (asked, reason)
            case TimedOut() if any(_is_excused(one, name) for one in moment.happenings):
                return  # an IBL peer that does not answer EXPCLEANUP
            case TimedOut():
                reason = f"no answer in the step '{self._step[0] if self._step else '?'}'"
                self._open[name] = (asked, reason)
            case Unreached(reason=reason):
                pass
        self._note(name, reason, moment.at)

    def _take_reply(self, name: str, word: Word | None, at: int) -> None:
        rig = self._summary.rigs[name]
        if (gaps := getattr(word, "gaps", None)) is not None:
            rig.gaps = [write_gap(gap) for gap in gaps]
        match word:
            case Started(recorded=recorded):
                self._take_start(rig, recorded, at)
            case Stopped(event=event):
                self._excuse(name, event, f"answered {event.name} late")
                self._take_end(name, word, at)
                if word.failure:
                    self._note(name, word.failure, None)
            case CleanedUp(digests=digests) if digests is not None:
                rig.files = [
                    replace(file, blake2b=file.blake2b or digests.get(file.path)) for file in rig.files
                ]

    def _take_start(self, rig: RigSummary, recorded: Recorded, at: int) -> None:
        if recorded.started_at is not None:
            rig.started_at = recorded.started_at
        if recorded.start is not None:
            rig.start, rig.started_within = recorded.start, None
            planned, first = recorded.start.planned, self._summary.agreed_start
            if planned is not None and (first is None or not self._knows_plan or planned < first):
                self._summary.agreed_start, self._knows_plan = planned, True
        elif rig.start is None and rig.started_within is None and self._start_asked is not None:
            rig.started_within = (at - self._start_asked) / _SECOND

    def _take_end(self, name: str, word: Stopped, at: int) -> None:
        rig = self._summary.rigs[name]
        if rig.files and not word.files_total:
            return  # it was started again since it has told of them, and knows nothing of the session
        rig.has_ended = True
        if word.files_total is not None:
            rig.says_files, rig.files_total = True, word.files_total
        if word.bytes_total is not None:
            rig.bytes_total = word.bytes_total
        until = self._summary.running_until
        if word.ended_ago is not None and until is not None and rig.ended_early is None:
            rig.ended_early = max(0.0, word.ended_ago - (at / _SECOND - until))
        if (recorded := word.recorded) is not None:
            self._take_recorded(rig, recorded)
            self._take_findings(name, recorded.findings)

    def _take_findings(self, name: str, findings: Sequence[Finding] | None) -> None:
        """Take what a rig has found, in the words that it has for it in the end."""
        if findings is None:
            return
        rig = self._summary.rigs[name]
        rig.findings = list(findings)
        for one in self._found.pop(name, []):
            if one.text in rig.problems and any(is_same_moment(one, other) for other in findings):
                rig.problems.remove(one.text)

    def _take_recorded(self, rig: RigSummary, recorded: Recorded) -> None:
        if recorded.files is not None:
            rig.files = list(recorded.files)
        if rig.started_at is None:
            rig.started_at = recorded.started_at
        if recorded.stopped_at is not None:
            rig.stopped_at = recorded.stopped_at
        if recorded.manifest is not None:
            rig.manifest = recorded.manifest
        if recorded.health is not None:
            rig.dropped = recorded.health.dropped
        if recorded.clock is not None:
            rig.clock_offset, rig.clock_bound = recorded.clock.offset, recorded.clock.bound

    def _take_outcome(self, name: str, event: Event) -> None:
        """An answer that was missing has come, or was found out."""
        if event is Event.EXPSTART:
            self._summary.rigs[name].was_started = True
        self._excuse(name, event, f"its answer to {event.name} was lost; asked again, it had done it")

    def _excuse(self, name: str, event: Event, text: str) -> None:
        """Take back a problem that was none in the end."""
        rig, (open_event, problem) = self._summary.rigs[name], self._open.get(name, (None, ""))
        if open_event is event and problem in rig.problems:
            rig.problems.remove(problem)
            rig.remarks.append(Remark(seconds=None, notice="late", text=text))

    # -- clocks ---------------------------------------------------------------------------------------------

    def _ask_start(self, at: int) -> None:
        self._start_asked = at
        if self._summary.agreed_start is None:
            self._summary.agreed_start = at / _SECOND
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

    # -- what is wrong with a rig ---------------------------------------------------------------------------

    def _take_received(self, moment: Moment) -> None:
        address, word = str(moment.event.address), moment.word
        name = next((name for name, one in self._summary.rigs.items() if one.address == address), None)
        if name is None or word is None:
            return
        if isinstance(word, Stopped) and word.recorded is not None:
            self._take_end(name, word, moment.at)
        trouble = find_trouble(word, is_running=moment.before is SessionState.RUNNING)
        if trouble is None:
            return
        if find_failure(word) or name not in self._stopped:  # it says so in each state on its way
            self._note(name, trouble, moment.at)
        self._reported[name] = moment.at
        self._stopped.add(name)

    def _take_notice(self, event: Noticed, at: int) -> None:
        if event.notice in (Notice.BACK, Notice.RESUMED):
            self._stopped.discard(event.rig)
            self._restarted.pop(event.rig, None)
        if event.notice is Notice.RESTARTED:
            self._restarted.setdefault(event.rig, at)
        if event.notice in HARMLESS:
            remark = Remark(seconds=self._since(at), notice=event.notice.value, text=event.text)
            self._summary.rigs[event.rig].remarks.append(remark)
            self._happen(event.rig, event.text, at)
        elif self._reported.pop(event.rig, None) != at:  # else the rig has said so itself
            self._note(event.rig, event.text, at)
            self._found.setdefault(event.rig, []).extend(find_noticed(event))

    def _move(self, event: Relocated, at: int) -> None:
        for name, rig in self._summary.rigs.items():
            if rig.address == str(event.address):
                rig.address = str(event.now_at)
                text = f"is reached at {event.now_at} now, and no more at {event.address}"
                rig.remarks.append(Remark(seconds=self._since(at), notice="moved", text=text))
                self._happen(name, text, at)

    def _note(self, name: str, problem: str, at: int | None) -> None:
        rig = self._summary.rigs[name]
        if problem not in rig.problems:
            rig.problems.append(problem)
            if at is not None:
                self._happen(name, problem, at)

    def _happen(self, rig: str | None, text: str, at: int) -> None:
        self._summary.happenings.append(Incident(seconds=self._since(at), rig=rig, text=text))

    def _since(self, at: int) -> float | None:
        summary = self._summary
        return None if summary.running_from is None else at / _SECOND - summary.zero


def prolong(gap: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return a gap that lasts longer, to the end of the session; what cannot be read stays."""
    more = datetime.timedelta(seconds=seconds)
    try:
        until = (datetime.datetime.fromisoformat(str(gap["to"])) + more).isoformat(timespec="milliseconds")
        return {**gap, "to": until, "seconds": round(float(gap["seconds"]) + seconds, 3)}
    except (KeyError, TypeError, ValueError, OverflowError):
        return gap


def _find_beginning(summary: Summary) -> float | None:
    """Return by the rigs' own words since when all record, where nobody was there to see it."""
    begun = [rig.first if rig.started_at is None else rig.started_at for rig in summary.rigs.values()]
    known = [at for at in begun if at is not None]
    if summary.running_from is None or not known:
        return summary.running_from
    return min(summary.running_from, max(known))


def _find_reason(event: Any) -> str:
    """Return why a session is interrupted."""
    match event:
        case StepRequested(data=data):
            return " ".join(str(data.get("message") or data.get("error") or "no reason given").split())
        case Noticed(rig=rig, text=text):
            return f"{rig}, which is essential, {text}"
    return "an essential rig was lost"


def _is_excused(happening: object, name: str) -> bool:
    """Whether a rig that has not answered is taken for released all the same."""
    return (
        isinstance(happening, Progressed)
        and happening.rig == name
        and isinstance(happening.outcome, CleanedUp)
    )
