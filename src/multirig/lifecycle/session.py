"""The life of a session: the machine by which a conductor leads it, over the table of `session_states`.

Everything goes to all rigs at once and ends when each has an outcome. A step of the beginning that fails on
one rig is rolled back on all; the end of a session always completes on the healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from multirig.errors import (
    AgreementError,
    IllegalTransition,
    MultirigError,
    ProtocolError,
    RemoteProtocolError,
    SessionFailed,
    Unconfirmed,
)
from multirig.lifecycle.agreement import LED_BY, RECOVER, TAKE_OVER, agree, information, led_by_another
from multirig.lifecycle.broadcast import Broadcast, Outcome
from multirig.lifecycle.leader import BEAT_EVERY
from multirig.lifecycle.policy import DEFAULT_POLICY, RigPolicy, Role, waves
from multirig.lifecycle.rig_events import MARK, RESUME, START_AT
from multirig.lifecycle.session_events import (
    AgreeRequested,
    AskRequested,
    ClockRead,
    Complained,
    Finished,
    Heard,
    Limits,
    Marked,
    Moved,
    Progressed,
    RigsChosen,
    StepRequested,
    TokenShared,
)
from multirig.lifecycle.session_states import EVENT_OF, UNTOUCHED, SessionState, SessionTrigger, next_state
from multirig.lifecycle.watch import GRAVE, Notice, Noticed, Watch
from multirig.protocol.events import (
    RESTARTED,
    SECOND,
    Address,
    Confirmed,
    Fail,
    Rebooted,
    Received,
    Record,
    Refused,
    Replied,
    Reply,
    Send,
    Settle,
    Tell,
    TimedOut,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status

_BACKWARDS = frozenset({Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP})
"""Who was started last is stopped first."""
_REACHED = {Event.EXPINIT: Status.INITIALIZED, Event.EXPSTART: Status.RUNNING}
"""The status that proves a command whose answer is missing."""
_FITTING = {Event.EXPINIT: {Status.INITIALIZED, Status.RUNNING}, Event.EXPSTART: {Status.RUNNING}}
"""What an answer may say; a main sync that records already is as ready as can be."""
_BEGINNINGS = frozenset({Event.EXPINIT, Event.EXPSTART})
MAX_ROUNDS = 4
"""A step is one message to all, and two more if it is rolled back."""
WAVE_LIMIT = 5 * SECOND
"""Rigs that are stopped before others hold them up no longer."""
POLL_LIMIT = 5 * SECOND
"""How long a peer of IBL may take to say its status."""
STATUS_LIMIT = SECOND
"""A rig whose answer is missing is asked for its status; it has this long."""
INFORMED_FOR = 10 * SECOND
"""Longer than copies of an answer are sent: a peer that asks again by then has been told already."""
MARK_LIMIT = 5 * SECOND
"""How long a rig is told of a marker; the journal has it in any case."""
COMPLAINT_LIMIT = 5 * SECOND
"""How long a rig is told that what it said could not be handled."""


class SessionMachine:
    """The rules by which a conductor leads a session, pure.

    Parameters
    ----------
    limits : Limits
        How long each step may take on a rig.
    may_have_token : set of str
        Names of rigs that may be given the Alyx token when they ask.
    """

    def __init__(self, *, limits: Limits | None = None, may_have_token: frozenset[str] = frozenset()) -> None:
        self.limits = limits or Limits()
        self.may_have_token = may_have_token
        self.alyx: tuple[str | None, Mapping[str, Any]] = (None, {})
        self.state = SessionState.IDLE
        self.exp_ref: ExpRef | None = None
        self.rigs: Mapping[str, Address] = {}
        self.policies: Mapping[str, RigPolicy] = {}
        self.found: Mapping[str, Outcome] = {}
        """What each rig said of itself when the session was recovered."""
        self.ended: Mapping[str, Outcome] = {}
        """What became of the last stop or interrupt on each rig."""
        self.lost: Noticed | None = None
        """Why the session ended by itself: what happened to an essential rig."""
        self.has_run = False
        """Whether all have begun to record in this session."""
        self.watch = Watch()
        self._multirigs: set[str] = set()
        self._absent: set[str] = set()
        """Optional rigs that take no part in this session."""
        self._failing: set[str] = set()
        """Optional rigs that could not begin: they are stopped and cleaned up, and not started."""
        self._waves: list[list[str]] = []
        """Who is still to be asked in this step, one group after the other."""
        self._wave_until: int | None = None
        self._held: dict[str, int] = {}
        """Who starts by the command itself, and when that leaves: IBL's peers know no instant."""
        self.clocks: dict[str, ClockRead] = {}
        """What was last known of each rig's clock."""
        self._retried: set[str] = set()
        """Rigs that were restarted in this step, and have been asked again."""
        self._resuming: set[str] = set()
        """Rigs that were restarted and have been told to record on."""
        self._beat_at: int | None = None
        self._polled: dict[str, int] = {}
        """Who is asked for its status while it records, and how often."""
        self._poll_at: dict[str, int] = {}
        self._now = 0
        self._names: dict[Address, str] = {}
        self._open: dict[int, Broadcast] = {}
        self._step: Broadcast | None = None
        self._requested: int | None = None
        """Number of the step that somebody waits for."""
        self._asked = 0
        """Number of the last step that was asked for; a journal brings it back."""
        self._agreement: AgreeRequested | None = None
        self._failed: tuple[str, dict[str, MultirigError]] | None = None
        """Why a roll-back is going on."""
        self._spared: frozenset[str] = frozenset()
        """Rigs that were recording before we came; nothing of ours stops them until the session runs."""
        self._informed: dict[Address, int] = {}
        """When we last answered each peer's EXPINFO."""
        self._joins = False
        self._rounds = 0
        """Messages sent for the step that somebody waits for: a roll-back adds two."""

    @property
    def last_number(self) -> int:
        """Number of the last step that was asked for."""
        return self._asked

    @property
    def joins(self) -> bool:
        """Whether some rig records under the agreed reference already."""
        return self._joins

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Take what happened; return what to send, to write down and to tell."""
        self._now = now
        match event:
            case Told(address=address, message=message):
                return self._hear(address, message)
            case Replied() | Refused() | TimedOut() | Unreached():
                return self._take(event, now)
            case Received(address=address, message=message):
                out = [Record(event=_without_secrets(event), at=now), *self._receive(event, message, now)]
                return [*out, *self._hear(address, message)]
            case Confirmed(address=address):
                return self._hear(address, None)
            case Noticed():
                return [Record(event=event, at=now), *self._notice(event)]
            case Rebooted(address=address):
                return self._ask_restarted(address)
            case Upgraded(address=address):
                if (name := self._names.get(address)) is not None:
                    self._multirigs.add(name)
            case RigsChosen(rigs=rigs, policies=policies):
                waves(rigs, policies)  # rigs that wait for each other are refused here
                self.rigs, self.policies = dict(rigs), dict(policies)
                self._names = {address: name for name, address in rigs.items()}
                return [Record(event=event, at=now)]
            case AgreeRequested():
                return [Record(event=event, at=now), *self._request(event, SessionTrigger.AGREE)]
            case ClockRead(rig=rig):
                self.clocks[rig] = event
                return [Record(event=event, at=now)]
            case Marked():
                return [Record(event=event, at=now), *self._mark(event)]
            case StepRequested(trigger=trigger):
                return [Record(event=event, at=now), *self._request(event, trigger)]
            case AskRequested():
                return self._ask(event)
            case TokenShared(url=url, token=token, names=names):
                self.alyx, self.may_have_token = (url, token), names
            case Complained(rig=rig) if rig in self.rigs:
                return [self._complain(event)]
        return []

    # -- heartbeats ---------------------------------------------------------------------------------------

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        times = (self._beat_at, self._wave_until, *self._held.values(), *self._poll_at.values())
        return min((one for one in times if one is not None), default=None)

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Say what the session does, look who is silent, and do not wait for slow ones among the stopped."""
        self._now = now
        out: list[Any] = []
        if self._wave_until is not None and self._wave_until <= now:
            out += self._send_wave()
        out += self._send_held()
        if self._beat_at is not None and self._beat_at <= now:
            out += self._beat()
        for name, at in list(self._poll_at.items()):
            if at <= now:
                self._poll_at[name] = now + self._polled[name]
                out.append(self._send_aside(name, _POLL, _HOW_ARE_YOU))
        return out

    def _beat(self) -> list[Any]:
        if self.state in UNTOUCHED:
            self._beat_at = None
            return []
        self._beat_at = self._now + BEAT_EVERY
        news = {"state": self.state.value, "exp_ref": str(self.exp_ref) if self.exp_ref else None}
        message = Message(Event.EXPSTATUS, (int(self._status), news))
        out: list[Any] = [Tell(address=address, message=message) for address in self.rigs.values()]
        for noticed in self.watch.check(self._now):
            out += self._note(noticed)
        return out

    @property
    def _status(self) -> Status:
        return Status.RUNNING if self.state is SessionState.RUNNING else Status.CONNECTED

    def _hear(self, address: Address, message: Message | None) -> list[Any]:
        """Take a sign of life of a rig."""
        name = self._names.get(address)
        if name is None or self.state is not SessionState.RUNNING:
            return []
        news = None
        if message is not None and message.event is Event.EXPSTATUS:
            _, news = information(message)
            if news.get("gap") and news.get("state") == "stopped":
                self.watch.hear(name, None, self._now)
                return self._take_restarted(name, news)
        return self._note(self.watch.hear(name, news or None, self._now))

    def _note(self, noticed: Noticed | None) -> list[Any]:
        """Take what was noticed just now, as a journal will bring it back."""
        return [] if noticed is None else list(self.handle(noticed, self._now))

    def _notice(self, noticed: Noticed) -> list[Any]:
        """Take what is known of a rig; without an essential one the session does not go on."""
        self.watch.note(noticed)
        name, grave = noticed.rig, noticed.notice in GRAVE
        if not grave or self.state is not SessionState.RUNNING or self._role(name) is not Role.ESSENTIAL:
            return [noticed]
        why = f"{name}, which is essential, {noticed.text}"
        data = {"error": "an essential rig was lost", "message": why}
        self._requested = None
        self.lost = noticed
        return [noticed, *self._enter(next_state(self.state, SessionTrigger.INTERRUPT), data)]

    def _watch_recording(self) -> None:
        """Begin to watch who records."""
        self._polled = {
            name: every
            for name in self.rigs
            if name not in self._multirigs and (every := self._policy(name).poll_every) is not None
        }
        watched = self._multirigs - self._absent - self._failing
        self.watch.begin([name for name in self.rigs if name in watched], self._polled, self._now)
        self._poll_at = {name: self._now + every for name, every in self._polled.items()}

    def _ask_restarted(self, address: Address) -> list[Any]:
        """Ask a rig that was restarted in the middle of a recording what it does."""
        name = self._names.get(address)
        if name is None or self.state is not SessionState.RUNNING:
            return []
        return [self._send_aside(name, _RESTART, _HOW_ARE_YOU)]

    def _send_aside(self, name: str, kind: str, message: Message, limit: int = POLL_LIMIT) -> Send:
        """Send something that is no step; its outcome comes under ``(kind, rig)``."""
        return Send(address=self.rigs[name], message=message, key=(kind, name), limit=limit)

    def _take_aside(self, kind: str, name: str, event: Replied | Refused | TimedOut | Unreached) -> list[Any]:
        """Take the outcome of what is no step: a poll, a question after a restart, a resumption."""
        if self.state is not SessionState.RUNNING or name not in self.rigs:
            return []
        if kind == _POLL:
            return self._take_poll(name, event)
        status, news = information(event.message) if isinstance(event, Replied) else (None, {})
        if kind == _RESUME:
            if isinstance(event, Replied):
                self._resuming.discard(name)
                text = "records again, into further files; see its gap"
                return self._note(Noticed(rig=name, notice=Notice.RESUMED, text=text))
            text = f"was restarted and cannot record on: {getattr(event, 'reason', 'it did not answer')}"
            return self._note(Noticed(rig=name, notice=Notice.RESTARTED, text=text))
        if not isinstance(event, Replied):
            return []  # it will be silent, or be heard
        if status is Status.RUNNING and self._is_ours(news.get("exp_ref")):
            return []
        return self._take_restarted(name, news)

    def _take_restarted(self, name: str, news: Mapping[str, Any]) -> list[Any]:
        """Let a rig that was restarted record on, if it can."""
        if name in self._resuming or self.watch.knows(name, Notice.RESTARTED):
            return []
        if news.get("resumes") is True and self._is_ours(news.get("exp_ref")):
            self._resuming.add(name)
            message = Message(Event.EXPSTART, (str(self.exp_ref), {RESUME: True}))
            return [self._send_aside(name, _RESUME, message, self._limit_of(name, Event.EXPSTART))]
        text = f"was restarted: {news.get('failure') or 'it does not record any more'}"
        return self._note(Noticed(rig=name, notice=Notice.RESTARTED, text=text, data=news))

    def _take_poll(self, name: str, event: Replied | Refused | TimedOut | Unreached) -> list[Any]:
        if not isinstance(event, Replied):
            return []
        status, data = information(event.message)
        if status is None:
            return []
        return self._note(self.watch.hear(name, {"state": status.name.lower(), **data}, self._now))

    # -- what rigs mean to the session ----------------------------------------------------------------------

    def _policy(self, name: str) -> RigPolicy:
        return self.policies.get(name, DEFAULT_POLICY)

    def _role(self, name: str) -> Role:
        return self._policy(name).role

    def _serious(self, errors: Mapping[str, MultirigError]) -> dict[str, MultirigError]:
        """Return the errors without those of rigs that the session can do without."""
        return {name: error for name, error in errors.items() if self._role(name) is not Role.OPTIONAL}

    # -- steps ------------------------------------------------------------------------------------------

    def _request(self, event: AgreeRequested | StepRequested, trigger: SessionTrigger) -> list[Any]:
        try:
            state = next_state(self.state, trigger)
        except IllegalTransition as error:
            return [Finished(number=event.number, outcomes={}, error=error)]
        missing = self._missing() if trigger is SessionTrigger.GO_ON else {}
        if missing and (failed := self._objection_to_going_on(missing)) is not None:
            return [Finished(number=event.number, outcomes={}, error=failed)]
        out: list[Any] = []
        if self._step is not None and self._requested is not None:  # only an interrupt comes in between
            interrupted = SessionFailed(str(self.state), {}, "it was interrupted")
            out.append(
                Finished(number=self._requested, outcomes=self._outcomes(self._step), error=interrupted)
            )
        if isinstance(event, AgreeRequested):
            self._agreement = event
            self.exp_ref = None
            self._spared = frozenset()
            self.lost = None
            self.clocks.clear()
            self.has_run = False
            self._absent.clear()
            self._failing.clear()
        self._requested = self._asked = event.number
        self._rounds = 0
        data = event.data if isinstance(event, StepRequested) else {}
        out += self._enter(state, data)
        if self._step is None and self._requested is not None:  # nothing to wait for
            out.append(Finished(number=event.number, outcomes={}))
            self._requested = None
        for name, why in missing.items():
            out += self._note(Noticed(rig=name, notice=Notice.STOPPED, text=str(why)))
        return out

    def _enter(self, state: SessionState, data: Mapping[str, Any]) -> list[Any]:
        """Go to a state, and send what belongs to it."""
        self.state = state
        self.watch.end()
        self._poll_at.clear()
        self._waves, self._wave_until, self._held = [], None, {}
        self._retried.clear()
        self._resuming.clear()
        if state is SessionState.RUNNING:
            self.has_run = True
            self._spared = frozenset()
            self._watch_recording()
        elif state is SessionState.RECOVERED and not self._missing():
            self.has_run = True  # the last answers came after its conductor had died
        if state in UNTOUCHED:
            self._beat_at = None
        elif self._beat_at is None:
            self._beat_at = self._now
        out: list[Any] = [Moved(state=state, exp_ref=self.exp_ref)]
        event = EVENT_OF.get(state)
        if event is None:
            self._step = None
            return out
        groups = self._groups(event)
        names = [name for group in groups for name in group]
        self._rounds += 1
        self._step = Broadcast(
            number=-(MAX_ROUNDS * self._asked + self._rounds),  # below the conductor's own numbers
            message=self._message(event, data),
            rigs={name: self.rigs[name] for name in names},
            limit=self._limit(event),
            limits={name: self._limit_of(name, event) for name in names},
            overtakes=event is Event.EXPINTERRUPT,
            lasting=event in (Event.EXPEND, Event.EXPINTERRUPT),
        )
        if not names:
            return [*out, *self._conclude()]
        self._waves = groups
        return [*out, *self._send_wave()]

    def _groups(self, event: Event) -> list[list[str]]:
        """Return who is asked in a step, in groups one after the other."""
        names = [name for name in self.rigs if name not in self._absent]
        if event is Event.EXPSTART:
            names = [name for name in names if name not in self._failing]
        if event in _BACKWARDS:
            names = [name for name in names if name not in self._spared]
        if event not in _BEGINNINGS and event is not Event.EXPEND:  # an interrupt waits for nobody
            return [names[::-1] if event in _BACKWARDS else names] if names else []
        groups = waves(names, self.policies)
        return [group[::-1] for group in reversed(groups)] if event in _BACKWARDS else groups

    def _send_wave(self) -> list[Any]:
        """Ask the next group of the step."""
        step = self._step
        if step is None or not self._waves:
            self._wave_until = None
            return []
        names = self._waves.pop(0)
        ends = step.message.event is Event.EXPEND and bool(self._waves)
        self._wave_until = self._now + WAVE_LIMIT if ends else None
        if step.message.event is Event.EXPSTART:
            names = self._set_instant(step, names)
        return list(step.sends(names))

    def _set_instant(self, step: Broadcast, names: list[str]) -> list[str]:
        """Let these rigs start at one instant that all can have heard of; return who is told now.

        IBL's peers start when they are told: they are told at that instant, unless nobody else is there.
        """
        timed = [name for name in names if name in self._multirigs]
        if not timed:
            return names
        slowest = max((one.round_trip for name in timed if (one := self.clocks.get(name))), default=0)
        at = self._now + self.limits.lead + 2 * slowest
        exp_ref, data = step.message.args
        for name in timed:
            step.messages[name] = Message(step.message.event, (exp_ref, {**(data or {}), START_AT: at}))
            step.waits[name] = at - self._now
        self._held = {name: at for name in names if name not in self._multirigs}
        return timed

    def _send_held(self) -> list[Any]:
        due = [name for name, at in self._held.items() if at <= self._now]
        if not due or self._step is None:
            return []
        self._held = {name: at for name, at in self._held.items() if name not in due}
        return list(self._step.sends(due))

    def _missing(self) -> dict[str, MultirigError]:
        """Return the rigs that do not record, when a session was recovered."""
        out: dict[str, MultirigError] = {}
        for name in self.rigs:
            outcome = self.found.get(name)
            if not isinstance(outcome, Message):
                out[name] = outcome if outcome is not None else Unconfirmed("was not asked")
                continue
            status, data = information(outcome)
            if isinstance(theirs := data.get(LED_BY), str):
                out[name] = RemoteProtocolError(led_by_another(theirs))
            elif status is not Status.RUNNING or not self._is_ours(data.get("exp_ref")):
                said = data.get("state") or (status.name if status is not None else "?")
                out[name] = RemoteProtocolError(f"does not record {self.exp_ref}; it is {said}")
        return out

    def _objection_to_going_on(self, missing: Mapping[str, MultirigError]) -> SessionFailed | None:
        """Return why a session that was recovered cannot go on."""
        serious = self._serious(missing)
        if self.has_run:  # what all have begun goes on as it would with a conductor that lives
            serious = {name: one for name, one in serious.items() if self._role(name) is Role.ESSENTIAL}
        if not serious and len(missing) < len(self.rigs):
            return None
        return SessionFailed("going on", serious or dict(missing), "the session can be stopped or cleaned up")

    def _message(self, event: Event, data: Mapping[str, Any]) -> Message:
        exp_ref = str(self.exp_ref) if self.exp_ref else None
        match event:
            case Event.EXPINFO if self.state is SessionState.RECOVERING:
                return Message(event, (int(Status.CONNECTED), {"exp_ref": exp_ref, RECOVER: True, **data}))
            case Event.EXPINFO:
                info = dict(self._agreement.info) if self._agreement else {}
                return Message(event, (int(Status.CONNECTED), info))
            case Event.EXPSTART:
                return Message(event, (exp_ref, dict(data) or None))
            case Event.EXPINIT if self._agreement is not None and self._agreement.takes_over:
                data = {**data, TAKE_OVER: True}
        return Message(event, ({"exp_ref": exp_ref, **data} | {"exp_ref": exp_ref},))

    def _limit(self, event: Event) -> int:
        limits = self.limits
        return {
            Event.EXPINFO: limits.agree,
            Event.EXPINIT: limits.initialise,
            Event.EXPSTART: limits.start,
            Event.EXPEND: limits.stop,
            Event.EXPINTERRUPT: limits.stop,
            Event.EXPCLEANUP: limits.cleanup,
        }[event]

    def _limit_of(self, name: str, event: Event) -> int:
        policy = self._policy(name)
        own = {
            Event.EXPINIT: policy.initialise,
            Event.EXPSTART: policy.start,
            Event.EXPEND: policy.stop,
            Event.EXPINTERRUPT: policy.stop,
            Event.EXPCLEANUP: policy.cleanup,
        }.get(event)
        return self._limit(event) if own is None else own

    def _conclude(self) -> list[Any]:
        """Every rig has an outcome: judge the step and go on."""
        step = self._step
        if step is None:
            return []
        errors = self._errors(step)
        error: MultirigError | None = None
        if self.state is SessionState.AGREEING:
            error = self._agree(step, errors)
            failed = error is not None
        elif self.state in (SessionState.INITIALIZING, SessionState.STARTING):
            serious = self._serious(errors)
            failed = bool(serious)
            self._failing |= errors.keys()
            if failed:
                self._failed = (_STEP_NAMES[step.message.event], serious)
        else:
            failed = bool(errors)
            if self.state is SessionState.RECOVERING:
                self.found = self._outcomes(step)
            elif self.state in (SessionState.STOPPING, SessionState.INTERRUPTING):
                self.ended = self._outcomes(step)
        trigger = SessionTrigger.SOME_FAILED if failed else SessionTrigger.ALL_DONE
        was, state = self.state, next_state(self.state, trigger)
        if state is SessionState.IDLE and was is not SessionState.AGREEING:
            error = self._rolled_back(step)
        out = self._enter(state, {})
        if self._step is None and self._requested is not None:
            out.append(Finished(number=self._requested, outcomes=self._outcomes(step), error=error))
            self._requested = None
        return out

    def _agree(self, step: Broadcast, errors: dict[str, MultirigError]) -> MultirigError | None:
        request = self._agreement
        if (serious := self._serious(errors)) or request is None:
            return SessionFailed("agreement", serious, "no rig has been touched")
        self._absent = {*errors}
        try:
            answers = {name: one for name, one in self._outcomes(step).items() if isinstance(one, Message)}
            self.exp_ref = agree(
                answers,
                subject=request.subject,
                date=request.date,
                here=request.here,
                takes_over=request.takes_over,
            )
        except AgreementError as error:
            return error
        said = {name: information(answer) for name, answer in answers.items()}
        self._joins = any(status is Status.RUNNING for status, _ in said.values())
        self._spared = frozenset(
            name
            for name, (status, data) in said.items()
            # what is taken over is ours to end: nobody else can any more
            if status is Status.RUNNING and not (request.takes_over and LED_BY in data)
        )
        return None

    def _rolled_back(self, step: Broadcast) -> SessionFailed | None:
        if self._failed is None:
            return None
        name, causes = self._failed
        self._failed = None
        left = [rig for rig in self._errors(step) if rig not in causes]
        if left:
            consequence = f"everything was rolled back, but not confirmed by {', '.join(left)}: look there"
        else:
            consequence = "the other rigs were stopped and cleaned up"
        if self._spared:
            consequence += f"; {', '.join(sorted(self._spared))} was recording before and goes on"
        return SessionFailed(name, causes, consequence)

    def _outcomes(self, step: Broadcast) -> dict[str, Outcome]:
        return step.ordered(self.rigs)

    def _errors(self, step: Broadcast) -> dict[str, MultirigError]:
        return {name: one for name, one in self._outcomes(step).items() if isinstance(one, MultirigError)}

    # -- outcomes ---------------------------------------------------------------------------------------

    def _take(self, event: Replied | Refused | TimedOut | Unreached, now: int) -> list[Any]:
        key = event.key
        if not isinstance(key, tuple) or len(key) < 2:
            return []
        number, name = key[:2]
        out = self._hear(event.address, None) if isinstance(event, Replied) else []
        if isinstance(number, str):
            return [*out, *self._take_aside(number, name, event)]
        return [*out, *self._take_step(number, name, event, now)]

    def _take_step(
        self, number: Any, name: str, event: Replied | Refused | TimedOut | Unreached, now: int
    ) -> list[Any]:
        key: Any = event.key
        if (asked := self._open.get(number)) is not None:
            return self._take_answer(asked, name, event) if asked.awaits(name) else []
        if not isinstance(number, int) or number > 0:
            return []  # a late answer to a question, which may hold a secret
        step = self._step
        record = Record(event=event, at=now)
        if step is None or step.number != number or not step.awaits(name):
            return [record]  # late, or overtaken: written down, and of no further effect
        if isinstance(event, Refused) and event.reason == RESTARTED and name not in self._retried:
            self._retried.add(name)
            return [record, step.send(name)]
        if len(key) == 3:
            outcome = self._judge_status(step, name, event, had=key[2])
        elif isinstance(event, TimedOut) and step.message.event in _REACHED:
            return [record, self._ask_status(step, name, event)]
        else:
            outcome = self._check(step, step.judge(name, event))
        return [record, *self._settle(step, name, outcome)]

    def _ask_status(self, step: Broadcast, name: str, event: TimedOut) -> Send:
        return Send(
            address=self.rigs[name],
            message=Message(Event.EXPSTATUS, (int(Status.CONNECTED),)),
            key=(step.number, name, event.confirmed),
            limit=STATUS_LIMIT,
        )

    def _settle(self, step: Broadcast, name: str, outcome: Outcome) -> list[Any]:
        complete = step.take(name, outcome)
        number = self._requested if self._requested is not None else step.number
        news = Progressed(number=number, event=step.message.event, rig=name, outcome=outcome)
        if complete:
            return [news, *self._conclude()]
        waiting = {one for wave in self._waves for one in wave}
        if self._waves and step.outcomes.keys() >= step.rigs.keys() - waiting:
            if step.message.event in _BEGINNINGS and self._serious(self._errors(step)):
                return [news, *self._conclude()]  # nobody else is asked
            return [news, *self._send_wave()]
        return [news]

    def _check(self, step: Broadcast, outcome: Outcome) -> Outcome:
        """Refuse an answer that speaks of another session or another status."""
        event = step.message.event
        if not isinstance(outcome, Message) or event not in _REACHED:
            return outcome
        first, second = [*outcome.args, None, None][:2]
        named, data = (first, second) if event is Event.EXPSTART else (None, first)
        if isinstance(data, dict):
            named = named or data.get("exp_ref")
            status = data.get("status")
            if status is not None and information(Message(event, (status,)))[0] not in _FITTING[event]:
                return RemoteProtocolError(f"answered {event.name} with status {status!r}")
        if isinstance(named, str | dict) and named and not self._is_ours(named):
            return RemoteProtocolError(f"answered {event.name} for {named} instead of {self.exp_ref}")
        return outcome

    def _is_ours(self, named: object) -> bool:
        """Whether a peer speaks of our session; it may write the reference in any form."""
        try:
            return ExpRef.parse(named) == self.exp_ref
        except ProtocolError:
            return False

    def _judge_status(
        self, step: Broadcast, name: str, event: Replied | Refused | TimedOut | Unreached, *, had: bool
    ) -> Outcome:
        """Unknown is an outcome: what a rig says of itself decides."""
        message = step.message
        if not isinstance(event, Replied):  # then what is known of the command itself: had the rig got it?
            return step.judge(name, TimedOut(address=event.address, key=event.key, confirmed=had))
        status, data = information(event.message)
        if status is _REACHED[message.event] and self._is_ours(data.get("exp_ref")):
            return Message(message.event, message.args)
        state = data.get("state", status.name if status is not None else "?")
        return Unconfirmed(
            f"did not answer {message} within {step.limit_of(name) / SECOND:g} s and says that it is "
            f"{state}: look at its screen"
        )

    # -- questions --------------------------------------------------------------------------------------

    def _ask(self, event: AskRequested) -> list[Any]:
        names = tuple(self.rigs) if event.rigs is None else event.rigs
        rigs = {name: self.rigs[name] for name in names if name in self.rigs}
        if not rigs:
            return [Finished(number=event.number, outcomes={})]
        broadcast = Broadcast(
            number=event.number,
            message=event.message,
            rigs=rigs,
            limit=event.limit,
            overtakes=event.message.event is Event.EXPINTERRUPT,
            needs_reply=event.needs_reply,
        )
        self._open[event.number] = broadcast
        return list(broadcast.sends())

    def _take_answer(
        self, asked: Broadcast, name: str, event: Replied | Refused | TimedOut | Unreached
    ) -> list[Any]:
        outcome = asked.judge(name, event)
        out: list[Any] = [
            Progressed(number=asked.number, event=asked.message.event, rig=name, outcome=outcome)
        ]
        if asked.take(name, outcome):
            del self._open[asked.number]
            out.append(Finished(number=asked.number, outcomes=asked.ordered(asked.rigs)))
        return out

    def _mark(self, event: Marked) -> list[Any]:
        """Tell every multirig that records; IBL's peers know no such message."""
        if self.state not in (SessionState.STARTING, SessionState.RUNNING):
            return []
        mark = {"text": event.text, "data": dict(event.data), "at": event.at / SECOND}
        news = {"exp_ref": str(self.exp_ref), MARK: mark}
        message = Message(Event.EXPSTATUS, (int(self._status), news))
        told = self._multirigs - self._absent - self._failing
        return [
            Send(address=address, message=message, key=None, limit=MARK_LIMIT, needs_reply=False)
            for name, address in self.rigs.items()
            if name in told
        ]

    def _complain(self, event: Complained) -> Send:
        message = Message(Event.ERROR, (event.reason, int(event.event)))
        return Send(
            address=self.rigs[event.rig], message=message, key=None, limit=COMPLAINT_LIMIT, needs_reply=False
        )

    # -- what rigs say by themselves ------------------------------------------------------------------------

    def _receive(self, event: Received, message: Message, now: int) -> list[Any]:
        name = self._names.get(event.address, str(event.address))
        if message.event is Event.ALYX:
            return [*self._share_token(event, name), Heard(rig=name, message=message)]
        if message.event is Event.EXPINFO and self._may_inform(event.address, now):
            exp_ref = str(self.exp_ref) if self.exp_ref and self.state is not SessionState.IDLE else None
            status = Status.RUNNING if self.state is SessionState.RUNNING else Status.CONNECTED
            info = {"exp_ref": exp_ref, "main_sync": False}
            answer: Any = Reply(token=event.token, message=Message(Event.EXPINFO, (int(status), info)))
        else:
            answer = Settle(token=event.token)
        return [answer, Heard(rig=name, message=message)]

    def _may_inform(self, address: Address, now: int) -> bool:
        """Whether an EXPINFO is a question: one that soon follows our answer may answer that, without end.

        What a rig answers to a conductor that has died comes to its successor as a question.
        """
        self._informed = {one: at for one, at in self._informed.items() if now - at < INFORMED_FOR}
        if address in self._informed:
            return False
        self._informed[address] = now
        return True

    def _share_token(self, event: Received, name: str) -> list[Any]:
        args = event.message.args
        if len(args) > 1 and isinstance(args[1], dict) and args[1]:
            self.alyx = (args[0] if isinstance(args[0], str) else None, args[1])
            return [Settle(token=event.token)]
        if name in self.may_have_token:
            return [Reply(token=event.token, message=Message(Event.ALYX, self.alyx))]
        reason = f"{name} may not be given the Alyx token: allow it by name on the conductor's PC"
        return [Fail(token=event.token, message=Message(Event.ERROR, (reason, int(Event.ALYX))))]


def _without_secrets(event: Received) -> Received:
    """Return what may be written down: an Alyx token must not lie next to the data."""
    if event.message.event is not Event.ALYX:
        return event
    return replace(event, message=Message(Event.ALYX, event.message.args[:1]))


_POLL, _RESTART, _RESUME = "poll", "restart", "resume"
"""What is asked aside of the steps."""
_HOW_ARE_YOU = Message(Event.EXPSTATUS, (int(Status.CONNECTED),))
_STEP_NAMES = {Event.EXPINIT: "initialise", Event.EXPSTART: "start"}
