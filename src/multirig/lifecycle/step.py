"""One step of a session: a word to all its rigs, group after group, and what became of it on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from multirig.errors import MultirigError, RemoteProtocolError, Unconfirmed
from multirig.lifecycle.broadcast import Broadcast, Outcome
from multirig.lifecycle.handing_over import say_asking
from multirig.lifecycle.members import BACKWARDS, BEGINNINGS, Members
from multirig.lifecycle.policy import Role
from multirig.lifecycle.session_events import ClockRead
from multirig.protocol.events import RESTARTED, SECOND, Refused, Replied, Send, TimedOut, Unreached
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import (
    AskInfo,
    AskStatus,
    CleanedUp,
    Info,
    Initialise,
    Ready,
    Report,
    Start,
    Started,
    Stopped,
    Word,
)

LinkOutcome: TypeAlias = Replied | Refused | TimedOut | Unreached
"""What a link reports of something that was sent."""

WAVE_LIMIT = 5 * SECOND
"""Rigs that are stopped before others hold them up no longer."""
OPTIONAL_LIMIT = 3 * SECOND
"""Optional rigs that have not answered that much later than all others take no part in the session."""
ASK_EVERY = SECOND
"""A rig whose person is asked whether it may be taken over is asked again so soon."""
ASKING_LIMIT = 360 * SECOND
"""How long a rig may ask its person: a little more than its config may say."""
STATUS_LIMIT = SECOND
"""A rig whose answer is missing is asked for its status; it has this long."""
_REACHED = {Event.EXPINIT: Status.INITIALIZED, Event.EXPSTART: Status.RUNNING}
"""The status that proves a command whose answer is missing."""
_FITTING = {Event.EXPINIT: {Status.INITIALIZED, Status.RUNNING}, Event.EXPSTART: {Status.RUNNING}}
"""What an answer may say; a main sync that records already is as ready as can be."""


class Step:
    """A step on its way; it is over when each rig has an outcome.

    Parameters
    ----------
    number : int
        By which its outcomes are known.
    word : Word
        What all are told.
    exp_ref : ExpRef or None
        The session.
    members : Members
        Who is told, in which order, and how long each may take.
    clocks : mapping of str to ClockRead
        What is known of each rig's clock.
    lead : int
        Nanoseconds from the command to the instant at which all begin.
    """

    def __init__(
        self,
        number: int,
        word: Word,
        exp_ref: ExpRef | None,
        *,
        members: Members,
        clocks: Mapping[str, ClockRead],
        lead: int,
    ) -> None:
        self.event = word.event
        self.waves = members.groups(self.event)
        """Who is still to be asked, one group after the other."""
        self._exp_ref = exp_ref
        self._members = members
        self._clocks = clocks
        self._lead = lead
        self._wave_until: int | None = None
        self._optional_until: int | None = None
        """Until when it is waited for optional rigs alone, to say who they are."""
        self._held: dict[str, int] = {}
        """IBL's peers that are told later, and when: they know no instant to start at, or clean up still."""
        self._asking_until: dict[str, int] = {}
        """Rigs whose person is asked, and until when that is waited for at most."""
        self._retried: set[str] = set()
        """Rigs that were restarted in this step, and have been asked again."""
        names = [name for group in self.waves for name in group]
        self.broadcast = Broadcast(
            number=number,
            word=word,
            rigs={name: members.rigs[name] for name in names},
            limit=members.limit(self.event),
            limits={name: members.limit_of(name, self.event) for name in names},
            overtakes=self.event is Event.EXPINTERRUPT,
            lasting=self.event in (Event.EXPEND, Event.EXPINTERRUPT),
            gives_up=isinstance(word, AskInfo) and not word.recover,
            ended=frozenset(members.ended if self.event in BACKWARDS else ()),
        )

    @property
    def number(self) -> int:
        """By which its outcomes are known."""
        return self.broadcast.number

    # -- asking ---------------------------------------------------------------------------------------------

    def send_wave(self, now: int) -> list[Send]:
        """Ask the next group."""
        self._wave_until = None
        if not self.waves:
            return []
        names = self.waves.pop(0)
        if self.event is Event.EXPEND and self.waves:
            self._wave_until = now + WAVE_LIMIT
        if self.event is Event.EXPSTART:
            names = self._set_instant(names, now)
        elif self.event is Event.EXPINIT:
            names = self._hold_unreleased(names, now)
        return list(self.broadcast.sends(names))

    def _set_instant(self, names: list[str], now: int) -> list[str]:
        """Let these rigs start at one instant that all can have heard of; return who is told now.

        IBL's peers start when they are told: they are told at that instant, unless nobody else is there.
        """
        word, broadcast = self.broadcast.word, self.broadcast
        timed = [name for name in names if name in self._members.multirigs]
        if not timed or not isinstance(word, Start):
            return names
        slowest = max((read.round_trip for name in timed if (read := self._clocks.get(name))), default=0)
        at = now + self._lead + 2 * slowest
        for name in timed:
            broadcast.words[name] = replace(word, at=at)
            broadcast.waits[name] = at - now
        self._held = {name: at for name in names if name not in timed}
        return timed

    def _hold_unreleased(self, names: list[str], now: int) -> list[str]:
        """Let IBL's peers end the clean-up before; return who is told now."""
        untils = {name: self._members.unreleased.get(name, (0, 0))[1] for name in names}
        self._held = {name: until for name, until in untils.items() if now < until}
        return [name for name in names if name not in self._held]

    def release(self, name: str) -> list[Send]:
        """Tell a rig what was held back, if something was."""
        return [self.broadcast.send(name)] if self._held.pop(name, None) is not None else []

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        times = [*self._held.values(), self._wave_until, self._optional_until]
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> list[Send]:
        """Do not wait for slow ones among the stopped; start those that start by the command itself."""
        out: list[Send] = []
        if self._wave_until is not None and self._wave_until <= now:
            out += self.send_wave(now)
        if due := [name for name, at in self._held.items() if at <= now]:
            self._held = {name: at for name, at in self._held.items() if name not in due}
            out += self.broadcast.sends(due)
        return out

    def give_up_optional(self, now: int) -> list[tuple[str, TimedOut]]:
        """Return the optional rigs that have not said who they are: the others begin without them."""
        if self._optional_until is None or now < self._optional_until:
            return []
        self._optional_until = None
        return [
            (name, TimedOut(address=self.broadcast.rigs[name], key=(self.number, name), confirmed=False))
            for name in self._awaited()
        ]

    def _awaited(self) -> list[str]:
        return [name for name in self.broadcast.rigs if self.broadcast.awaits(name)]

    # -- outcomes -------------------------------------------------------------------------------------------

    def wait_for_person(self, name: str, event: LinkOutcome, now: int) -> tuple[str, ...] | None:
        """Ask a rig again soon whose person is still asked whether it may be taken over.

        Returns
        -------
        tuple of str or None
            What is to be told of that; None: nothing is waited for.
        """
        match event:
            case Replied(word=Info(asking=float(seconds), led_by=str(leader))) if now < (
                self._asking_until.get(name, now + 1)
            ):
                is_new = name not in self._asking_until
                self._asking_until.setdefault(name, now + ASKING_LIMIT)
                self._held[name] = now + ASK_EVERY
                return (say_asking(leader, seconds),) if is_new else ()
        self._held.pop(name, None)
        return None

    def take(self, name: str, event: LinkOutcome, *, had: bool | None) -> Send | Outcome:
        """Return a rig's outcome, or what it is asked before that is known.

        Parameters
        ----------
        name : str
            Which rig.
        event : Replied, Refused, TimedOut or Unreached
            What its link reports.
        had : bool or None
            Where it was asked for its status: whether it had got the command. None: it was not.
        """
        broadcast = self.broadcast
        if isinstance(event, Refused) and event.reason == RESTARTED and name not in self._retried:
            self._retried.add(name)
            return broadcast.send(name)
        if had is not None:
            return self._judge_status(name, event, had=had)
        if isinstance(event, TimedOut) and event.confirmed and self._may_be_silent(name):
            return CleanedUp()
        if isinstance(event, TimedOut) and self.event in _REACHED:
            key = (self.number, name, event.confirmed)
            return Send(address=broadcast.rigs[name], word=AskStatus(), key=key, limit=STATUS_LIMIT)
        outcome = broadcast.judge(name, event)
        if isinstance(outcome, Stopped) and outcome.status is Status.RUNNING:
            return RemoteProtocolError("says that it still records: stop it there")
        return self._check(outcome) if isinstance(outcome, Ready | Started) else outcome

    def _may_be_silent(self, name: str) -> bool:
        """Whether a rig that has heard of this step need not answer: many an IBL service does no clean-up."""
        return self.event is Event.EXPCLEANUP and name in self._members.foreign

    def _check(self, word: Ready | Started) -> Outcome:
        """Refuse an answer that speaks of another session or another status."""
        event = self.event
        if event not in _REACHED:
            return word
        if word.strange_status is not None:
            return RemoteProtocolError(f"answered {event.name} with status {word.strange_status}")
        if word.status is not None and word.status not in _FITTING[event]:
            return RemoteProtocolError(f"answered {event.name} with status {word.status.name}")
        named = word.exp_ref or word.strange_ref
        if named is not None and named != self._exp_ref:
            return RemoteProtocolError(f"answered {event.name} for {named} instead of {self._exp_ref}")
        return word

    def _judge_status(self, name: str, event: LinkOutcome, *, had: bool) -> Outcome:
        """Unknown is an outcome: what a rig says of itself decides."""
        broadcast = self.broadcast
        report = event.word if isinstance(event, Replied) else None
        if not isinstance(report, Report):  # then what is known of the command: had the rig got it?
            return broadcast.judge(name, TimedOut(address=event.address, key=event.key, confirmed=had))
        if report.status is _REACHED[self.event] and report.exp_ref == self._exp_ref:
            done = Ready if isinstance(broadcast.word, Initialise) else Started
            return done(exp_ref=report.exp_ref, status=report.status)
        state = report.state or (report.status.name if report.status is not None else "?")
        return Unconfirmed(
            f"did not answer {self.event.name} within {broadcast.limit_of(name) / SECOND:g} s and says that "
            f"it is {state}: look at its screen"
        )

    def note(self, name: str, outcome: Outcome, now: int) -> bool:
        """Note a rig's outcome; return whether the step is over by that."""
        if self.broadcast.take(name, outcome):
            return True
        if self.broadcast.gives_up and self._optional_until is None:
            awaited = self._awaited()
            roles = {self._members.role(one) for one in awaited}
            is_late = roles == {Role.OPTIONAL} and not self._asking_until.keys() & {*awaited}
            self._optional_until = now + OPTIONAL_LIMIT if is_late else None
        gives_up = self.event in BEGINNINGS and bool(self._members.serious(self.errors()))
        return self.is_wave_over() and gives_up  # then nobody else is asked

    def is_wave_over(self) -> bool:
        """Whether all who were asked so far have an outcome, and others are still to be asked."""
        waiting = {name for wave in self.waves for name in wave}
        return bool(self.waves) and self.broadcast.outcomes.keys() >= self.broadcast.rigs.keys() - waiting

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcomes that are in, in the order of the rigs."""
        return self.broadcast.ordered(self._members.rigs)

    def errors(self) -> dict[str, MultirigError]:
        """Return those that are errors."""
        return {name: one for name, one in self.outcomes().items() if isinstance(one, MultirigError)}
