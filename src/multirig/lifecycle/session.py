"""The life of a session: the machine by which a conductor leads it, over the table of `session_states`.

Everything goes to all rigs at once and ends when each has an outcome. A step of the beginning that fails on
one rig is rolled back on all; the end of a session always completes on the healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from multirig.errors import AgreementError, IllegalTransition, MultirigError, SessionFailed
from multirig.lifecycle.agreement import agree, check_handed_over
from multirig.lifecycle.asides import Asides
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.going_on import fail_beginning, find_missing, object_to_going_on
from multirig.lifecycle.handing_over import say_handed_over
from multirig.lifecycle.leader import BEAT_EVERY
from multirig.lifecycle.marks import MARK, Marks
from multirig.lifecycle.members import Members
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.questions import Questions
from multirig.lifecycle.session_events import (
    BY,
    AgreeRequested,
    AskRequested,
    ClockRead,
    Complained,
    Finished,
    HandingTold,
    Heard,
    Limits,
    Marked,
    Moved,
    Progressed,
    RigsChosen,
    SessionFound,
    StepRequested,
    TokenShared,
)
from multirig.lifecycle.session_states import EVENT_OF, UNTOUCHED, SessionState, SessionTrigger, next_state
from multirig.lifecycle.step import LinkOutcome, Step
from multirig.lifecycle.tokens import TokenDesk, gives_to
from multirig.lifecycle.watch import GRAVE, Notice, Noticed, Watch
from multirig.protocol.dialect import make_command
from multirig.protocol.events import (
    SECOND,
    Address,
    Confirmed,
    Rebooted,
    Received,
    Record,
    Refused,
    Relocated,
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
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import (
    AlyxToken,
    AskInfo,
    AskToken,
    Beat,
    CleanedUp,
    Complaint,
    Info,
    Initialise,
    LeaderInfo,
    Marker,
    Report,
    RigState,
    Stopped,
    Verbatim,
    Word,
)

MAX_ROUNDS = 4
"""A step is one message to all, and two more if it is rolled back."""
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
        self.state = SessionState.IDLE
        self.exp_ref: ExpRef | None = None
        self.members = Members(self.limits)
        self.found: Mapping[str, Outcome] = {}
        """What each rig said of itself when the session was recovered."""
        self.ended: Mapping[str, Outcome] = {}
        """What became of the last stop or interrupt on each rig."""
        self.lost: Noticed | None = None
        """Why the session ended by itself: what happened to an essential rig."""
        self.has_run = False
        """Whether all have begun to record in this session."""
        self.joins = False
        """Whether some rig records under the agreed reference already."""
        self.watch = Watch()
        self.marks = Marks()
        self.clocks: dict[str, ClockRead] = {}
        """What was last known of each rig's clock."""
        self.last_number = 0
        """Number of the last step that was asked for; a journal brings it back."""
        self.tokens = TokenDesk(gives_to(may_have_token))
        self._asides = Asides(self.members, self.watch)
        self._questions = Questions()
        self._beat_at: int | None = None
        self._now = 0
        self._step: Step | None = None
        self._requested: int | None = None
        """Number of the step that somebody waits for."""
        self._agreement: AgreeRequested | None = None
        self._taken: set[str] = set()
        """Rigs that another conductor leads and that are to be taken over."""
        self._failed: tuple[str, dict[str, MultirigError]] | None = None
        """Why a roll-back is going on."""
        self._rounds = 0
        """Messages sent for the step that somebody waits for: a roll-back adds two."""

    @property
    def rigs(self) -> Mapping[str, Address]:
        """The rigs of the session, in the order in which they are started."""
        return self.members.rigs

    @property
    def policies(self) -> Mapping[str, RigPolicy]:
        """What those mean to the session of which something else is said than usual."""
        return self.members.policies

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Take what happened; return what to send, to write down and to tell."""
        self._now = now
        record = [Record(event=event, at=now)]
        match event:
            case Told(address=address, word=word):
                return self._hear(address, word)
            case Replied() | Refused() | TimedOut() | Unreached():
                return self._take(event)
            case Received(address=address, word=word):
                safe = Record(event=_without_secrets(event), at=now)
                return [safe, *self._receive(event), *self._hear(address, word)]
            case Confirmed(address=address):
                return self._hear(address, None)
            case Noticed():
                return [*record, *self._notice(event)]
            case Rebooted(address=address):
                name = self.members.name_at(address)
                if name is not None and self.state is SessionState.RUNNING:
                    return [self._asides.ask_restarted(name)]
            case Relocated(address=address, now_at=now_at):
                if self.members.name_at(address) is not None:
                    self.members.move(address, now_at)
                    return record
            case Upgraded(address=address):
                if (name := self.members.name_at(address)) is not None:
                    self.members.multirigs.add(name)
                    if isinstance(self.found.get(name), MultirigError) and self.state not in UNTOUCHED:
                        # it was asked on wire 1.0, where nobody is told who comes back
                        back = AskInfo(exp_ref=self.exp_ref, recover=True)
                        return [self._send_unasked(name, back, COMPLAINT_LIMIT)]
            case RigsChosen(rigs=rigs, policies=policies):
                self.members.choose(rigs, policies)
                return record
            case SessionFound(exp_ref=exp_ref):
                state = next_state(self.state, SessionTrigger.FIND)
                self.exp_ref = exp_ref
                return self._enter(state, {})
            case AgreeRequested():
                return [*record, *self._request(event, SessionTrigger.AGREE)]
            case ClockRead(rig=rig):
                self.clocks[rig] = event
                return record
            case Marked():
                return [*record, *self._mark(event)]
            case StepRequested(trigger=trigger):
                return [*record, *self._request(event, trigger)]
            case AskRequested():
                return self._questions.ask(event, self.members.rigs)
            case Complained(rig=rig) if rig in self.members.rigs:
                complaint = Complaint(text=event.reason, about=event.event)
                return [self._send_unasked(rig, complaint, COMPLAINT_LIMIT)]
            case TokenShared(token=token, rigs=names):
                self.tokens.token, self.tokens.objects = token, gives_to(names)
        return []

    # -- heartbeats ---------------------------------------------------------------------------------------

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        step = self._step.get_timer() if self._step is not None else None
        times = (self._beat_at, step, self._asides.get_timer())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Say what the session does, look who is silent, and do not wait for slow ones among the stopped."""
        self._now = now
        out: list[Any] = []
        if (step := self._step) is not None:
            out += step.handle_timer(now)
            for name, missed in step.give_up_optional(now):
                out += [Record(event=missed, at=now), *self._take_step(missed, (step.number, name))]
        if self._beat_at is not None and self._beat_at <= now:
            out += self._beat()
        return [*out, *self._asides.handle_timer(now)]

    def _beat(self) -> list[Any]:
        if self.state in UNTOUCHED:
            self._beat_at = None
            return []
        late = self._now - (self._now if self._beat_at is None else self._beat_at)
        self._beat_at = self._now + BEAT_EVERY
        beat = Beat(status=self._status, state=self.state.value, exp_ref=self.exp_ref)
        out: list[Any] = [Tell(address=address, word=beat) for address in self.members.rigs.values()]
        for noticed in self.watch.check(self._now, late):
            out += self._note(noticed)
        return out

    @property
    def _status(self) -> Status:
        return Status.RUNNING if self.state is SessionState.RUNNING else Status.CONNECTED

    def _hear(self, address: Address, word: Word | None) -> list[Any]:
        """Take a sign of life of a rig."""
        name = self.members.name_at(address)
        if name is None or self.state is not SessionState.RUNNING:
            return []
        report = word if isinstance(word, Report) and word.state is not None else None
        if report is not None and report.state is RigState.RUNNING:
            self.members.ended.discard(name)
        if report is not None and report.gap is not None and report.state is RigState.STOPPED:
            self.watch.hear(name, None, self._now)
            return self._note(self._asides.resume(name, report, self.exp_ref))
        return self._note(self.watch.hear(name, report, self._now))

    def _note(self, news: Noticed | Send | None) -> list[Any]:
        """Take what was noticed just now, as a journal will bring it back."""
        match news:
            case None:
                return []
            case Noticed():
                return list(self.handle(news, self._now))
        return [news]

    def _notice(self, noticed: Noticed) -> list[Any]:
        """Take what is known of a rig; without an essential one the session does not go on."""
        self.watch.note(noticed)
        name, grave = noticed.rig, noticed.notice in GRAVE
        is_essential = self.members.role(name) is Role.ESSENTIAL
        if not (grave and is_essential and self.state is SessionState.RUNNING):
            return [noticed]
        why = f"{name}, which is essential, {noticed.text}"
        data = {"error": "an essential rig was lost", "message": why}
        self._requested = None
        self.lost = noticed
        return [noticed, *self._enter(next_state(self.state, SessionTrigger.INTERRUPT), data)]

    # -- steps ------------------------------------------------------------------------------------------

    def _request(self, event: AgreeRequested | StepRequested, trigger: SessionTrigger) -> list[Any]:
        try:
            state = next_state(self.state, trigger)
        except IllegalTransition as error:
            return [Finished(number=event.number, outcomes={}, error=error)]
        missing = self._missing() if trigger is SessionTrigger.GO_ON else {}
        if (
            missing
            and (failed := object_to_going_on(self.members, missing, has_run=self.has_run)) is not None
        ):
            return [Finished(number=event.number, outcomes={}, error=failed)]
        out: list[Any] = []
        if self._step is not None and self._requested is not None:  # only an interrupt comes in between
            interrupted = SessionFailed(str(self.state), {}, "it was interrupted")
            out.append(Finished(number=self._requested, outcomes=self._step.outcomes(), error=interrupted))
        if isinstance(event, AgreeRequested):
            self._agreement = event
            self.exp_ref = None
            self.lost = None
            self.clocks.clear()
            self.has_run = False
            self._taken.clear()
            self.found = {}
            self.marks.begin()
            self.members.begin()
        self._requested = self.last_number = event.number
        self._rounds = 0
        out += self._enter(state, event.data if isinstance(event, StepRequested) else {})
        if self._step is None and self._requested is not None:  # nothing to wait for
            out.append(Finished(number=event.number, outcomes={}))
            self._requested = None
        for name, why in missing.items():
            out += self._note(Noticed(rig=name, notice=Notice.STOPPED, text=str(why)))
        return out

    def _missing(self) -> dict[str, MultirigError]:
        """Return the rigs that do not record, when a session was recovered."""
        return find_missing(self.members, self.found, self.exp_ref)

    def _enter(self, state: SessionState, data: Mapping[str, Any]) -> list[Any]:
        """Go to a state, and send what belongs to it."""
        self.state = state
        self._asides.end()
        if state is SessionState.RUNNING:
            self.has_run = True
            self.members.spared = frozenset()
            planned = self._agreement.seconds if self._agreement is not None else None
            self._asides.begin(self._now, None if planned is None else self._now + round(planned * SECOND))
        elif state is SessionState.RECOVERED and not self._missing():
            self.has_run = True  # the last answers came after its conductor had died
        if state in UNTOUCHED:
            self._beat_at = None
        elif self._beat_at is None:
            self._beat_at = self._now
        moved = Moved(state=state, exp_ref=self.exp_ref)
        event = EVENT_OF.get(state)
        if event is None:
            self._step = None
            return [moved]
        self._rounds += 1
        step = self._step = Step(
            -(MAX_ROUNDS * self.last_number + self._rounds),  # below the conductor's own numbers
            self._find_word(event, data),
            self.exp_ref,
            members=self.members,
            clocks=self.clocks,
            lead=self.limits.lead,
        )
        return [moved, *(step.send_wave(self._now) if step.waves else self._conclude(step))]

    def _find_word(self, event: Event, data: Mapping[str, Any]) -> Word:
        """Return what all rigs are told in this state."""
        agreement = self._agreement
        if self.state is SessionState.RECOVERING:
            takes_over = data.get("take_over") is True
            return AskInfo(exp_ref=self.exp_ref, recover=True, take_over=takes_over)
        if event is Event.EXPINFO:
            return agreement.ask if agreement is not None else AskInfo()
        told = {key: value for key, value in data.items() if key != BY}
        command = make_command(event, self.exp_ref, told)
        if isinstance(command, Initialise) and agreement is not None and agreement.takes_over:
            return replace(command, take_over=True)
        return command

    def _conclude(self, step: Step) -> list[Any]:
        """Every rig has an outcome: judge the step and go on."""
        errors = step.errors()
        error: MultirigError | None = None
        failed = bool(errors)
        match self.state:
            case SessionState.AGREEING:
                error = self._agree(step, errors)
                if error is None and (again := self._ask_for_higher(step) or self._ask_for_leave(step)):
                    return again
                failed = error is not None
            case SessionState.INITIALIZING | SessionState.STARTING:
                serious = self.members.serious(errors)
                failed = bool(serious)
                self.members.failing |= errors.keys()
                if failed:
                    self._failed = (_STEP_NAMES[step.event], serious)
            case SessionState.RECOVERING:
                self.found = step.outcomes()
            case SessionState.STOPPING | SessionState.INTERRUPTING:
                self.ended = step.outcomes()
        trigger = SessionTrigger.SOME_FAILED if failed else SessionTrigger.ALL_DONE
        was, state = self.state, next_state(self.state, trigger)
        if state is SessionState.IDLE and was is not SessionState.AGREEING and self._failed is not None:
            error = fail_beginning(*self._failed, errors, self.members)
            self._failed = None
        out = self._enter(state, {})
        if self._step is None and self._requested is not None:
            out.append(Finished(number=self._requested, outcomes=step.outcomes(), error=error))
            self._requested = None
        return out

    def _agree(self, step: Step, errors: dict[str, MultirigError]) -> MultirigError | None:
        request = self._agreement
        if (serious := self.members.serious(errors)) or request is None:
            return SessionFailed("agreement", serious, "no rig has been touched")
        self.members.absent = {*errors}
        answers = {name: answer for name, answer in step.outcomes().items() if isinstance(answer, Info)}
        try:
            self.exp_ref = agree(
                answers,
                subject=request.subject,
                date=request.date,
                here=request.here,
                takes_over=request.takes_over,
                zone=request.zone,
            )
            check_handed_over(answers)
        except AgreementError as error:
            return error
        for name, info in answers.items():
            self.members.note(name, info)
        running = {name: info for name, info in answers.items() if info.status is Status.RUNNING}
        self.joins = bool(running)
        # what is taken over is ours to end: nobody else can any more
        led = {name for name, info in running.items() if (info.led_by or info.decided) is not None}
        self.members.spared = frozenset(running) - (self._taken | led if request.takes_over else set())
        least = request.ask.min_sequence
        has_asked_for_it = self._rounds > 1 and not request.ask.would_take_over
        if has_asked_for_it and least is not None and self.exp_ref.sequence < least:
            return AgreementError(
                f"the main sync gives {self.exp_ref} again, and other rigs have data up to {least - 1}: "
                f"let it begin with number {least}, or move its older sessions back. A task that appends "
                "goes on only with rigs that still record"
            )
        return None

    def _ask_for_higher(self, step: Step) -> list[Any] | None:
        """Ask once more, for a number that is free on all rigs, where the main sync's is not."""
        request, exp_ref = self._agreement, self.exp_ref
        if request is None or exp_ref is None or self._rounds > 1 or self.members.spared:
            return None
        told = [one.min_sequence for one in step.outcomes().values() if isinstance(one, Info)]
        least = max((one for one in told if one is not None), default=0)
        if least <= exp_ref.sequence:
            return None
        self._agreement = replace(request, ask=replace(request.ask, min_sequence=least))
        return self._enter(SessionState.AGREEING, {})

    def _ask_for_leave(self, step: Step) -> list[Any] | None:
        """Ask once more, now that all else is agreed, where rigs are to be taken over from others."""
        request = self._agreement
        if request is None or not request.takes_over or request.ask.would_take_over:
            return None
        answers = step.outcomes().items()
        self._taken |= {name for name, one in answers if isinstance(one, Info) and one.led_by is not None}
        if not self._taken:
            return None
        ask = replace(request.ask, exp_ref=self.exp_ref, would_take_over=True)
        self._agreement = replace(request, ask=ask)
        return self._enter(SessionState.AGREEING, {})

    # -- outcomes ---------------------------------------------------------------------------------------

    def _take(self, event: LinkOutcome) -> list[Any]:
        key = event.key
        if not isinstance(key, tuple) or len(key) < 2:
            return []
        number, name = key[:2]
        out = self._hear(event.address, None) if isinstance(event, Replied) else []
        if number == MARK:
            return [*out, *self._send_marks(name, self.marks.take(name, event))]
        if isinstance(number, str):
            if self.state is SessionState.RUNNING and name in self.members.rigs:
                out += self._note(self._asides.take(number, name, event, self.exp_ref, self._now))
            return out
        if (answered := self._questions.take(number, name, event)) is not None:
            return [*out, *answered]
        if not isinstance(number, int) or number > 0:
            return out  # a late answer to a question, which may hold a secret
        return [*out, Record(event=event, at=self._now), *self._take_step(event, key)]

    def _take_step(self, event: LinkOutcome, key: tuple[Any, ...]) -> list[Any]:
        """Take what came of the step; what is late, or overtaken, is of no further effect."""
        step, name = self._step, key[1]
        if self.members.unreleased.get(name, (None,))[0] == key[0]:  # it is ready for another session now
            del self.members.unreleased[name]
            return list(step.release(name)) if step is not None else []
        if step is None or step.number != key[0] or not step.broadcast.awaits(name):
            return []
        if (told := step.wait_for_person(name, event, self._now)) is not None:
            return [HandingTold(rig=name, text=text) for text in told]
        outcome = step.take(name, event, had=key[2] if len(key) == 3 else None)
        if isinstance(outcome, Send):
            return [outcome]
        if isinstance(event, TimedOut) and isinstance(outcome, CleanedUp):
            self.members.unreleased[name] = (step.number, self._now + self.limits.cleanup)
        is_over = step.note(name, outcome, self._now)
        number = self._requested if self._requested is not None else step.number
        news: list[Any] = [Progressed(number=number, event=step.event, rig=name, outcome=outcome)]
        if isinstance(outcome, Info) and outcome.led_by is None and outcome.decided is not None:
            news.append(HandingTold(rig=name, text=say_handed_over(outcome.decided)))
        if is_over:
            return [*news, *self._conclude(step)]
        return [*news, *(step.send_wave(self._now) if step.is_wave_over() else [])]

    # -- what is said aside of the steps --------------------------------------------------------------------

    def _mark(self, event: Marked) -> list[Send]:
        """Tell every multirig that records; IBL's peers know no such message."""
        if self.state not in (SessionState.STARTING, SessionState.RUNNING):
            return []
        marker = Marker(
            text=event.text,
            data=event.data,
            at=event.at / SECOND,
            exp_ref=self.exp_ref,
            status=self._status,
        )
        told = self.members.recording()
        names = [name for name in self.members.rigs if name in told]
        return [send for name in names for send in self._send_marks(name, self.marks.add(name, marker))]

    def _send_marks(self, name: str, markers: Iterable[Marker]) -> list[Send]:
        return [replace(self._send_unasked(name, one, MARK_LIMIT), key=(MARK, name)) for one in markers]

    def _send_unasked(self, name: str, word: Word, limit: int) -> Send:
        address = self.members.rigs[name]
        return Send(address=address, word=word, key=None, limit=limit, needs_reply=False)

    def _receive(self, event: Received) -> list[Any]:
        """Take what a rig says by itself."""
        name = self.members.name_at(event.address) or str(event.address)
        answer: Any = Settle(token=event.token)
        match event.word:
            case AlyxToken() | AskToken() as word:
                answer = self.tokens.take(word, event.token, name)
            case Stopped() if name in self.members.rigs:
                self.members.ended.add(name)
            case Info() if self._questions.may_inform(event.address, self._now):
                exp_ref = self.exp_ref if self.state is not SessionState.IDLE else None
                answer = Reply(token=event.token, word=LeaderInfo(status=self._status, exp_ref=exp_ref))
        return [answer, Heard(rig=name, word=event.word)]


def _without_secrets(event: Received) -> Received:
    """Return what may be written down: an Alyx token must not lie next to the data."""
    if not isinstance(event.word, AlyxToken):
        return event
    return replace(event, word=Verbatim(Event.ALYX, (event.word.url,)))


_STEP_NAMES = {Event.EXPINIT: "initialise", Event.EXPSTART: "start"}
