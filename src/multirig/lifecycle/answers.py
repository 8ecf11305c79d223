"""What a rig answers to those who wait for the end of a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from multirig.lifecycle.recording import Recording
from multirig.lifecycle.rig_states import SATISFIED, STATUS, RigState
from multirig.protocol.events import Fail, Reply, Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import CleanedUp, Complaint, Ready, Started, Stopped, Word

MAX_FAILURE_TEXT = 300
"""Characters of a failure in an answer: some peers read a thousand bytes in all."""
_GOALS: Mapping[RigState, frozenset[Event]] = {
    RigState.INITIALIZING: frozenset({Event.EXPINIT}),
    RigState.STARTING: frozenset({Event.EXPSTART}),
    RigState.STOPPING: frozenset({Event.EXPEND, Event.EXPINTERRUPT}),
    RigState.CLEANING: frozenset({Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP}),
    RigState.FAILING: frozenset({Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP}),
}
"""Which commands may yet be done from where the rig is moving to."""


class _Waiting(NamedTuple):
    """Who waits for the end of a command."""

    event: Event
    token: Token
    exp_ref: ExpRef | None
    """As the command named it."""


class Answers:
    """Keeps who waits, and gives each its answer.

    Parameters
    ----------
    recording : Recording
        What the answers tell of the session.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._waiting: list[_Waiting] = []

    def wait(self, event: Event, token: Token, exp_ref: ExpRef | None) -> None:
        """Note that somebody waits for the end of a command."""
        self._waiting.append(_Waiting(event, token, exp_ref))

    def disappoint(self, state: RigState, failure: str | None) -> list[Fail]:
        """Tell at once those whose command will not be done any more."""
        goals = _GOALS[state]
        reason = failure or f"was overtaken: the rig is {state}"
        failed = [fail(one.event, one.token, reason) for one in self._waiting if one.event not in goals]
        self._waiting = [one for one in self._waiting if one.event in goals]
        return failed

    def give(
        self, state: RigState, exp_ref: ExpRef | None, failure: str | None, now: int
    ) -> list[Reply | Fail]:
        """Tell everybody who waits what became of the command."""
        out: list[Reply | Fail] = []
        for one in self._waiting:
            if state in SATISFIED[one.event]:
                out.append(Reply(token=one.token, word=self._success(one, state, exp_ref, failure, now)))
            else:
                out.append(fail(one.event, one.token, failure or f"the rig is {state}"))
        self._waiting.clear()
        return out

    def _success(
        self, asked: _Waiting, state: RigState, exp_ref: ExpRef | None, failure: str | None, now: int
    ) -> Word:
        event, token, status = asked.event, asked.token, STATUS[state]
        recording = self._recording
        failure = failure[:MAX_FAILURE_TEXT] if failure is not None else None
        gaps = (recording.gaps or None) if token.wire == 2 else None
        match event:
            case Event.EXPINIT:
                return Ready(exp_ref=exp_ref, status=status, gaps=gaps, failure=failure)
            case Event.EXPSTART if token.wire == 1:
                return Started(exp_ref=exp_ref, status=status)
            case Event.EXPSTART:
                return Started(exp_ref=exp_ref, status=status, recorded=recording.how_it_started())
            case Event.EXPCLEANUP:
                digests = (recording.late_digests() or None) if token.wire == 2 else None
                return CleanedUp(exp_ref=exp_ref, status=status, digests=digests, gaps=gaps, failure=failure)
        word = Stopped(event=event, exp_ref=exp_ref, status=status, gaps=gaps, failure=failure)
        return recording.add_account(word, token, asked.exp_ref, now)


def fail(event: Event, token: Token, reason: str) -> Fail:
    """Return the answer that something could not be done."""
    return Fail(token=token, word=Complaint(text=reason, about=event))
