"""Turns what a conductor reports into what the console is told: one `SessionNow` after another. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from multirig.dashboard.snapshot import (
    Alarm,
    MarkerNow,
    Order,
    Outcome,
    SessionNow,
    Step,
    StepNow,
    Trouble,
)
from multirig.errors import AgreementError, MultirigError, SessionFailed
from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.clock_gate import Objection
from multirig.lifecycle.session_events import HandingTold, Heard, Marked, Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.pc.finding import Finding
from multirig.protocol.messages import Event
from multirig.protocol.words import Report, Word
from multirig.record.account import Account
from multirig.record.history import Happening, History
from multirig.record.timing import Spread, say_spread
from multirig.record.trouble import find_trouble
from multirig.wording import one_line, refused

MAX_KEPT = 100
"""Alarms and markers that are told: whoever wants more has the journal."""
GOOD_NOTICES = frozenset({Notice.BACK, Notice.GROWING, Notice.RESUMED, Notice.ROOM})

_STEP_OF_STATE: Mapping[SessionState, Step] = {
    SessionState.AGREEING: Step.AGREE,
    SessionState.INITIALIZING: Step.INITIALISE,
    SessionState.STARTING: Step.START,
    SessionState.STOPPING: Step.STOP,
    SessionState.INTERRUPTING: Step.INTERRUPT,
    SessionState.ABORTING: Step.INTERRUPT,
    SessionState.CLEANING: Step.CLEAN_UP,
    SessionState.ROLLING_BACK: Step.CLEAN_UP,
    SessionState.RECOVERING: Step.AGREE,
}
_STEP_OF_EVENT: Mapping[Event, Step] = {
    Event.EXPINFO: Step.AGREE,
    Event.EXPINIT: Step.INITIALISE,
    Event.EXPSTART: Step.START,
    Event.EXPEND: Step.STOP,
    Event.EXPINTERRUPT: Step.INTERRUPT,
    Event.EXPCLEANUP: Step.CLEAN_UP,
}
_STEP_OF_FAILURE: Mapping[str, Step] = {
    "connect": Step.AGREE,
    "agreement": Step.AGREE,
    "check": Step.AGREE,
    "going on": Step.AGREE,
    **{step.value: step for step in Step},
    **{event.name: step for event, step in _STEP_OF_EVENT.items()},
}
"""What a `SessionFailed` calls its step."""


class Teller:
    """Holds what is told of one session; `take` takes what happens, as it comes or from the journal.

    Parameters
    ----------
    order : Order
        What was asked for.
    """

    def __init__(self, order: Order) -> None:
        self.now = SessionNow(order=order)
        """What is told at the moment."""
        self._rigs = list(order.rigs)
        self._alarms = 0
        self._jumps: dict[str, int] | None = None
        """How often each clock has jumped; None: nobody records yet, so that it does not matter."""
        self._objections: list[Objection] = []
        self._refused: dict[str, int] = {}
        """How many messages of an address are told next."""

    # -- what happens -----------------------------------------------------------------------------------

    def take(self, happening: Happening, at: float) -> None:
        """Take what happened next; `at` in seconds since 1970, here and below."""
        match happening:
            case Moved(state=state, exp_ref=exp_ref):
                self.take_state(state, None if exp_ref is None else str(exp_ref), at)
            case Progressed():
                self._take_progress(happening)
            case Noticed(rig=rig, text=text, notice=notice):
                self.warn(rig, text, at, is_bad=notice not in GOOD_NOTICES)
            case HandingTold(rig=rig, text=text):
                self.warn(rig, text, at, is_bad=False)
            case Heard(rig=rig, word=word):
                self._take_message(rig, word, at)
            case Marked(text=text):
                self._take_marker(text, at)

    def catch_up(self, history: History) -> None:
        """Take what happened in a session before another program went on with it."""
        for moment in history.last_attempt:
            for happening in moment.happenings:
                self.take(happening, moment.time)
        self._change(
            state=SessionState.IDLE.value, step=None, ended_at=None
        )  # until the rigs have been asked

    # -- how far it is ----------------------------------------------------------------------------------

    def follow(self, order: Order) -> None:
        """Take what a session turns out to be of that was ordered by its folder alone."""
        self._rigs = list(order.rigs)
        self._change(order=order)

    def take_state(self, state: SessionState, exp_ref: str | None, at: float) -> None:
        """Take the state that a session has come to."""
        left = self.now.step
        step = _STEP_OF_STATE.get(state)
        steps = [one for one in self.now.steps if one.step is not left or one.outcome is not Outcome.WAITING]
        if step is not None:
            steps = [one for one in steps if one.step is not step]
            steps += [StepNow(rig=rig, step=step, outcome=Outcome.WAITING) for rig in self._rigs]
        changes: dict[str, Any] = {"state": state.value, "step": step, "steps": tuple(steps)}
        if exp_ref is not None:
            changes |= {"exp_ref": exp_ref}
        if state is SessionState.RUNNING:
            changes |= {"began_at": self.now.began_at or at, "ended_at": None}
        elif self.now.state == SessionState.RUNNING.value:
            changes |= {"ended_at": at}
        self._change(**changes)

    def take_folder(self, folder: str | None) -> None:
        """Take where this PC's part of the session lies."""
        if folder is not None and folder != self.now.folder:
            self._change(folder=folder)

    def _take_progress(self, progress: Progressed) -> None:
        """Take a rig's outcome in a step; what it answers to other questions is none."""
        step = _STEP_OF_EVENT.get(progress.event)
        waiting = (progress.rig, step, Outcome.WAITING)
        if step is not None and any((one.rig, one.step, one.outcome) == waiting for one in self.now.steps):
            failed = isinstance(progress.outcome, MultirigError)
            self._settle(progress.rig, step, say_line(progress.outcome) if failed else None)

    def take_findings(self, findings: Mapping[str, Iterable[Finding]]) -> None:
        """Take what the look at each PC has found."""
        told = {name: tuple(one.to_json() for one in found) for name, found in findings.items()}
        if told != self.now.findings:
            self._change(findings=told)

    def take_obstacles(self, find_obstacle: Callable[[str], str | None]) -> None:
        """Take what keeps rigs from hearing us that are waited for."""
        steps = tuple(
            replace(one, reason=find_obstacle(one.rig)) if one.outcome is Outcome.WAITING else one
            for one in self.now.steps
        )
        if steps != self.now.steps:
            self._change(steps=steps)

    def take_spread(self, spread: Spread | None) -> None:
        """Take how near to each other the rigs started."""
        told = None if spread is None else say_spread(spread, "started")
        if told is not None and told != self.now.spread:
            self._change(spread=told)

    def take_reports(self, reports: Mapping[str, Report]) -> None:
        """Take which rigs are multirigs, and tell by themselves how they are."""
        if new := [rig for rig in reports if rig not in self.now.multirigs]:
            self._change(multirigs=(*self.now.multirigs, *new))

    def _take_marker(self, text: str, at: float) -> None:
        """Take a marker that was set."""
        began = self.now.began_at
        marker = MarkerNow(seconds=max(0.0, at - began) if began is not None else 0.0, text=text)
        self._change(markers=(*self.now.markers, marker)[-MAX_KEPT:])

    # -- what is the matter -----------------------------------------------------------------------------

    def _take_message(self, rig: str, word: Word, at: float) -> None:
        """Take what a rig says by itself; how it records is noticed, and told as that."""
        if isinstance(word, Report):
            return
        is_running = self.now.state == SessionState.RUNNING.value
        if trouble := find_trouble(word, is_running=is_running):
            self.warn(rig, trouble, at)

    def take_objections(self, objections: Iterable[Objection], at: float) -> None:
        """Take what was wrong with clocks at the start, and did not keep it from happening."""
        for one in objections:
            if one not in self._objections:
                self._objections.append(one)
                self.warn(one.rig, one.text, at)

    def take_jumps(self, jumps: Mapping[str, int], at: float) -> None:
        """Take how often each rig's clock has jumped; what is new since the last time is an alarm."""
        if self._jumps is not None:
            for rig, count in jumps.items():
                if count > self._jumps.get(rig, count):
                    self.warn(rig, "its clock has jumped: did that PC sleep, or was its clock set?", at)
        self._jumps = dict(jumps)

    def take_refused(self, counts: Mapping[str, int], at: float) -> None:
        """Take how many messages of each address were refused; the first, and ten times as many, are told."""
        for host, count in counts.items():
            if count >= self._refused.get(host, 1):
                self._refused[host] = 10 ** len(str(count))
                self.warn(None, f"{refused({host: count})}: this PC's log says why", at, is_bad=False)

    def warn(self, rig: str | None, text: str, at: float, *, is_bad: bool = True) -> None:
        """Tell of something that was noticed."""
        self._alarms += 1
        alarm = Alarm(number=self._alarms, at=at, rig=rig, text=one_line(text), is_bad=is_bad)
        self._change(alarms=(*self.now.alarms, alarm)[-MAX_KEPT:])

    def take_trouble(self, error: BaseException, step: str) -> None:
        """Take why a session could not begin or go on.

        Parameters
        ----------
        error : BaseException
            What was raised.
        step : str
            In which step, where the error itself does not say.
        """
        known = Step.AGREE if isinstance(error, AgreementError) else None
        if isinstance(error, SessionFailed):
            known = _STEP_OF_FAILURE.get(error.step)
        trouble = say_trouble(error, known.value if known is not None else step, self._rigs)
        for rig, why in trouble.causes.items():
            if known is not None and rig in self._rigs:
                self._settle(rig, known, why)
        self._change(trouble=trouble)

    def finish(self, told: Account | None, left: str | None = None) -> None:
        """Take that nothing more will happen, and what the session turned out to be.

        `left` says which rigs may still record, and what ends that.
        """
        if left is not None:
            known = self.now.trouble
            trouble = Trouble(step=Step.STOP.value, text=left)
            if known is not None:
                trouble = replace(known, text=f"{known.text}; {left}")
            self._change(trouble=trouble)
        if told is None:
            self._change(is_over=True, step=None)
            return
        recorded = {
            name: {"frames": rig.frames, "bytes": rig.bytes_total, "dropped": rig.dropped}
            for name, rig in told.rigs.items()
            if rig.says_files
        }
        self._change(
            is_over=True,
            step=None,
            verdict=told.verdict.value,
            reasons=tuple(told.reasons),
            unverified=dict(told.unverified),
            recorded=recorded,
        )

    # -- inside -----------------------------------------------------------------------------------------

    def _change(self, **changes: Any) -> None:
        self.now = replace(self.now, revision=self.now.revision + 1, **changes)

    def _settle(self, rig: str, step: Step, failure: str | None) -> None:
        """Let a rig's latest word on a step replace the one before, in its place."""
        outcome = Outcome.DONE if failure is None else Outcome.FAILED
        latest = StepNow(rig=rig, step=step, outcome=outcome, reason=failure)
        steps = list(self.now.steps)
        places = [place for place, one in enumerate(steps) if (one.rig, one.step) == (rig, step)]
        if places:
            steps[places[0]] = latest
        else:
            steps.append(latest)
        self._change(steps=tuple(steps))


def say_trouble(error: BaseException, step: str, rigs: Sequence[str] = ()) -> Trouble:
    """Return an error as the console shows it: rig by rig, and the whole in one line.

    Parameters
    ----------
    error : BaseException
        What was raised.
    step : str
        The step, as people call it.
    rigs : sequence of str
        Who may be meant by it.
    """
    text = say_line(error)
    if isinstance(error, SessionFailed):
        causes = {rig: say_line(cause) for rig, cause in error.causes.items()}
        head = f"{step} failed" + (f" on {', '.join(causes)}" if causes else "")
        whys = "; ".join(
            causes.values() if len(causes) == 1 else (f"{rig}: {why}" for rig, why in causes.items())
        )
        rest = f" ({error.consequence})" if error.consequence else ""
        return Trouble(step=step, causes=causes, text=f"{head}: {whys}{rest}" if whys else head + rest)
    if isinstance(error, AgreementError):  # its line begins with the rig that disagrees, where it is one
        for rig in rigs:
            if text.startswith(f"{rig} "):
                return Trouble(step=step, causes={rig: text[len(rig) + 1 :]}, text=text)
    return Trouble(step=step, causes={THIS_PC: text}, text=text)


def say_line(what: object) -> str:
    """Return an error's words as one line."""
    words = one_line(str(what))
    if isinstance(what, MultirigError) and words:
        return words
    kind = type(what).__name__
    return f"{kind}: {words}" if words else kind
