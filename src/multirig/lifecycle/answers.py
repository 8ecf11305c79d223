"""What a rig answers to those who wait for the end of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from multirig.lifecycle.leader import Leader
from multirig.lifecycle.recording import Recording
from multirig.lifecycle.rig_states import SATISFIED, STATUS, RigState
from multirig.protocol.events import SECOND, Fail, Reply, Send, Token
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


class Asked(NamedTuple):
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
        self._waiting: list[Asked] = []
        self.ends_here = False
        """Whether a recording is being ended by somebody at this rig, and not by its leader."""

    def wait(self, event: Event, token: Token, exp_ref: ExpRef | None) -> None:
        """Note that somebody waits for the end of a command."""
        self._waiting.append(Asked(event, token, exp_ref))

    def disappoint(self, state: RigState, failure: str | None) -> list[Fail]:
        """Tell at once those whose command will not be done any more."""
        goals = _GOALS[state]
        reason = failure or f"was overtaken: the rig is {state}"
        failed = [fail(one.event, one.token, reason) for one in self._waiting if one.event not in goals]
        self._waiting = [one for one in self._waiting if one.event in goals]
        return failed

    def give(
        self, state: RigState, exp_ref: ExpRef | None, failure: str | None, now: int, leader: Leader | None
    ) -> list[Reply | Fail | Send]:
        """Tell everybody who waits what became of the command, and the leader what was ended here."""
        out: list[Reply | Fail | Send] = []
        for one in self._waiting:
            if state in SATISFIED[one.event] or _tells_account(one, state):
                out.append(Reply(token=one.token, word=self._success(one, state, exp_ref, failure, now)))
            else:
                out.append(fail(one.event, one.token, failure or f"the rig is {state}"))
        self._waiting.clear()
        ends_here, self.ends_here = self.ends_here, False
        if ends_here and leader is not None and state is not RigState.CONNECTED:
            # nobody may be there any more when it asks
            asked = Asked(Event.EXPINTERRUPT, leader.token, exp_ref)
            out += tell(leader, self._success(asked, state, exp_ref, failure, now))
        return out

    def _success(
        self, asked: Asked, state: RigState, exp_ref: ExpRef | None, failure: str | None, now: int
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
        if state is RigState.BROKEN:
            word = replace(word, state=state)
        return recording.add_account(word, token, asked.exp_ref, now)


def _tells_account(asked: Asked, state: RigState) -> bool:
    """Whether what a rig has recorded is told, although it could not be stopped as it should."""
    return asked.event in _GOALS[RigState.STOPPING] and asked.token.wire == 2 and state is RigState.BROKEN


def fail(event: Event, token: Token, reason: str) -> Fail:
    """Return the answer that something could not be done."""
    return Fail(token=token, word=Complaint(text=reason, about=event))


TELL_LIMIT = 5 * SECOND
"""How long a conductor is told what it has not asked."""


def tell(leader: Leader | None, word: Word) -> list[Send]:
    """Return a word that is sent at once, unasked; IBL's conductors take that badly."""
    if leader is None or not leader.beats:
        return []
    return [Send(address=leader.address, word=word, key=None, limit=TELL_LIMIT, needs_reply=False)]
