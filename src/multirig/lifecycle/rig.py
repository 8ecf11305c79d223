"""The life of a rig: the machine that walks the table of `rig_states`.

A command whose state is reached already is answered, not refused, since a conductor that missed the answer
asks again. Stopping is possible from everywhere; it preempts what is going on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from multirig.errors import IllegalTransition, ProtocolError
from multirig.lifecycle.agreement import (
    LED_BY,
    RECOVER,
    SET_UP_FOR,
    TAKE_OVER,
    led_by_another,
    set_up_otherwise,
)
from multirig.lifecycle.growth import Growth
from multirig.lifecycle.leader import BEAT_EVERY, Leader
from multirig.lifecycle.picture_turns import PictureTurns
from multirig.lifecycle.rig_events import (
    CHECK,
    CLOCK_PORT,
    MARK,
    MAX_FAILURE_TEXT,
    MAX_LISTED_FILES,
    MAX_NAMES,
    MAX_REMEMBERED,
    MIN_SEQUENCE,
    PICTURES,
    PULSE,
    REHEARSAL,
    RESUME,
    SPARED,
    START_AT,
    WATCH,
    Armed,
    Broke,
    Commanded,
    Denied,
    Describe,
    Described,
    Done,
    Entered,
    Failed,
    Keep,
    LedBy,
    Mark,
    Measured,
    Memory,
    NotHandled,
    PicturesOffered,
    PicturesTaken,
    Pulsed,
    Restored,
    SpaceMeasured,
    SubjectChosen,
    TakePictures,
)
from multirig.lifecycle.rig_states import (
    MOVING,
    RIG_TABLE,
    SATISFIED,
    STATUS,
    RigState,
    RigTransition,
    RigTrigger,
    next_transition,
)
from multirig.lifecycle.watchers import Watchers
from multirig.protocol import codec
from multirig.protocol.events import (
    SECOND,
    Call,
    Fail,
    Received,
    Reply,
    Send,
    Settle,
    Tell,
    Token,
    Told,
    Upgraded,
)
from multirig.protocol.exp_ref import MAX_SEQUENCE, ExpRef
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.node import GREETING


class _Waiting(NamedTuple):
    """Who waits for the end of a command."""

    event: Event
    token: Token
    exp_ref: ExpRef | None
    """As the command named it."""


class RigMachine:
    """The rules of one rig, pure.

    Parameters
    ----------
    name : str
        For answers and errors.
    main_sync : bool
        Whether this rig owns the experiment's number.
    may_have_token : callable
        Whether the peer at an IP address may be given the Alyx token.
    subject : str, optional
        Who is recorded here, as the operator says; conductors with another subject are refused.
    stop_after : int, optional
        Nanoseconds for which the conductor may be silent before a recording is stopped; None: it goes on.
    stall_after : int, optional
        Nanoseconds for which a recording may not grow before it counts as stalled; None: never.
    resumes : bool
        Whether the adapter can go on with a recording after the program has died.
    about : mapping, optional
        What others are told of this rig and does not change: its adapter, the version of its program.
    """

    def __init__(
        self,
        *,
        name: str,
        main_sync: bool = False,
        may_have_token: Callable[[str], bool] = lambda host: False,
        subject: str | None = None,
        stop_after: int | None = None,
        stall_after: int | None = None,
        resumes: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.about = dict(about or {})
        self.main_sync = main_sync
        self.may_have_token = may_have_token
        self.subject = subject
        self.state = RigState.CONNECTED
        self.exp_ref: ExpRef | None = None
        """The session that this rig is in."""
        self.offered: ExpRef | None = None
        """As main sync: the number that was last offered, until it is started."""
        self.failure: str | None = None
        """What is broken, until a clean-up."""
        self.is_armed = False
        """Whether it could begin to record at once, and waits for the instant to do so."""
        self.rehearses = False
        """Whether the session is only tried: nothing is to be kept of it."""
        self.leader: Leader | None = None
        """The conductor that leads this rig."""
        self._begun_from: str | None = None
        """IP address of the PC whose conductor has begun to record."""
        self.stop_after = stop_after
        self.resumes = resumes
        self.clock_port: int | None = None
        """UDP port at which this PC's clock can be measured."""
        self.gaps: tuple[Mapping[str, Any], ...] = ()
        """When this session was not recorded, since the program had died; the last one may still go on."""
        self._growth = Growth(stall_after)
        self._names: dict[str, str] = {}
        """Of conductors, by boot id."""
        self._beat_at: int | None = None
        self._now = 0
        self._kept: Memory | None = None
        self.health: Mapping[str, Any] = {}
        self.space: SpaceMeasured | None = None
        """How full the disk is."""
        self.watchers = Watchers()
        self.report: Mapping[str, Any] = {}
        """What the last finished hooks had to tell."""
        self.pictures: tuple[str, ...] = ()
        """Labels of the cameras of which there can be live pictures."""
        self._picture_turns = PictureTurns()
        self.alyx: tuple[str | None, Mapping[str, Any]] = (None, {})
        self._report_of: ExpRef | None = None
        """Of which session that is."""
        self._ended: tuple[int, Leader | None] | None = None
        """When its recording ended, and who led it then."""
        self._waiting: list[_Waiting] = []
        self._call = 0
        self._started: deque[ExpRef] = deque(maxlen=MAX_REMEMBERED)
        """Never started again: there is data under them."""
        self._stopped: deque[ExpRef] = deque(maxlen=MAX_REMEMBERED)
        """Never offered again: other rigs may have data under them."""

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Take what happened; return answers, calls and news.

        Raises
        ------
        IllegalTransition
            `SubjectChosen` in the middle of another subject's session; nothing has changed.
        """
        self._now = now
        if not self.watchers:
            return self._handle(event)
        before = self._gist()
        out = self._handle(event)
        return out if self._gist() == before else [*out, *self._tell_watchers(is_news=True)]

    def _handle(self, event: Any) -> Iterable[Any]:
        now = self._now
        match event:
            case Received(message=message, token=token):
                self._hear(token.peer if token.wire == 2 else token.address)
                return self._receive(message, token)
            case Told(address=address, message=message, boot=boot):
                self._hear(boot)
                self._follow(Token(address, 2, 0, boot), message)
            case Upgraded(boot=boot, name=name):
                self._note_name(boot, name)
            case Restored():
                return self._restore(event)
            case Commanded(event=command, exp_ref=exp_ref):
                before = self.state
                out = self._command(command, exp_ref, None)
                return out if self.state is before else [*out, *self._tell_conductor()]
            case Done(number=number, report=report, failure=failure):
                self._take_report(report)
                if self._awaits(number):
                    self._note(failure)
                    return self._step(RigTrigger.DONE)
            case Armed(number=number):
                if self._awaits(number):
                    self.is_armed = self.state is RigState.STARTING
            case Failed(number=number, reason=reason, report=report):
                self._take_report(report)
                if self._awaits(number):
                    self._note(reason)
                    return self._step(RigTrigger.FAILED)
            case Broke(reason=reason):
                if (self.state, RigTrigger.BROKE) in RIG_TABLE:
                    self._note(reason)
                    return [*self._step(RigTrigger.BROKE), *self._tell_conductor()]
            case Described():
                return self._inform(event)
            case Measured(health=health):
                self.health = health
                self._growth.measure(health, now)
            case SpaceMeasured():
                self.space = event
            case PicturesOffered(labels=labels):
                self.pictures = labels
            case PicturesTaken():
                return self._show(event)
            case Pulsed(at=at):
                return self._tell_conductor({PULSE: {"at": at}})
            case SubjectChosen(subject=subject):
                self._choose(subject)
        return []

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        times = (self._beat_at, self.watchers.get_timer())
        return min((one for one in times if one is not None), default=None)

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Say how we are to whoever leads or looks on; stop where a leader was silent for too long."""
        self._now = now
        before = self._gist()
        out = self._look_at_leader() if self._beat_at is not None and self._beat_at <= now else []
        is_news = self._gist() != before
        if is_news or self.watchers.is_due(now):
            out += self._tell_watchers(is_news=is_news)
        return out

    def _look_at_leader(self) -> list[Any]:
        """Say how we are to whoever leads; stop where it was not heard for too long."""
        now = self._now
        leader = self.leader
        if leader is None or not leader.beats:
            self._beat_at = None
            return []
        limit = self.stop_after
        if limit is not None and self.state is RigState.RUNNING and now - leader.heard > limit:
            self._note(
                f"stopped by itself: {leader} was not heard for {limit / SECOND:g} s "
                "(on_lost_conductor in this rig's config)"
            )
            return [*self._step(RigTrigger.END), *self._beat()]
        return self._beat()

    def _beat(self) -> list[Any]:
        """Say how we are, now and every while from now on."""
        if self.leader is None or not self.leader.beats:
            return []
        self._beat_at = self._now + BEAT_EVERY
        return [Tell(address=self.leader.address, message=self._status_message(self.leader.token))]

    # -- who looks on -----------------------------------------------------------------------------------

    def _watch(self, seconds: float, token: Token) -> list[Any]:
        """Tell somebody for a while how we are, or no more; it leads nobody by that."""
        self.watchers.watch(token, seconds, self._now)
        if seconds <= 0:
            return [Settle(token=token)]
        return [Reply(token=token, message=self._status_message(token))]

    def _gist(self) -> tuple[Any, ...]:
        """Return what those who look on are told at once when it changes."""
        leader = self.leader
        led_by = (leader.token.peer, leader.address) if leader is not None else None
        return self.state, self.is_armed, self.exp_ref, self.failure, led_by, self.subject

    def _tell_watchers(self, *, is_news: bool) -> list[Any]:
        leader = self.leader
        boot = leader.token.peer if leader is not None and leader.beats else None
        message = Message(Event.EXPSTATUS, (int(STATUS[self.state]), self._news()))
        return [*self.watchers.tell(message, self._now, is_news=is_news, besides=boot)]

    # -- who leads --------------------------------------------------------------------------------------

    def _hear(self, who: object) -> None:
        leader = self.leader
        if leader is not None and who == (leader.token.peer if leader.beats else leader.address):
            leader.heard = self._now

    def _follow(self, token: Token, message: Message) -> None:
        """Be led by whoever leads this session, where a restart has left nobody."""
        data = message.args[1] if len(message.args) > 1 else None
        theirs = data.get("exp_ref") if isinstance(data, dict) else None
        if self.leader is None and self.exp_ref is not None and theirs == str(self.exp_ref):
            self._lead(token)

    def _lead(self, token: Token) -> None:
        """Note who leads from now on."""
        name = self._names.get(token.peer, "") if token.wire == 2 else ""
        self.leader = Leader(token=token, name=name, heard=self._now)
        self._beat_at = self._now if token.wire == 2 else None

    def _gives_way(self, token: Token, data: Mapping[str, Any]) -> bool:
        """Whether an EXPINFO makes its sender the leader: it says so, or comes back to what it has led."""
        if data.get(TAKE_OVER) is True:
            return True
        if data.get(RECOVER) is not True or self.exp_ref is None or data.get("exp_ref") != str(self.exp_ref):
            return False
        leads_from = self.leader.address.host if self.leader is not None else None
        is_its_own = token.address.host in (leads_from, self._begun_from)  # another may have joined since
        return is_its_own or self._objection_to_sender(token) is None

    def _take_over(self, token: Token) -> list[Any]:
        """Let another conductor lead, and tell the one that did."""
        before = self.leader
        if self.state is RigState.CONNECTED or (before is not None and before.is_sender_of(token)):
            return []
        self._lead(token)
        out: list[Any] = [LedBy(leader=str(self.leader), before=str(before) if before is not None else None)]
        if before is not None and before.beats:
            news = {**self._news(), "taken_over_by": str(self.leader)}
            message = Message(Event.EXPSTATUS, (int(STATUS[self.state]), news))
            where = before.address
            out.append(Send(address=where, message=message, key=None, limit=TELL_LIMIT, needs_reply=False))
        return out

    def _objection_to_sender(self, token: Token | None) -> str | None:
        """Return why somebody may not command this rig, if another one leads it."""
        leader = self.leader
        if token is None or leader is None or leader.is_sender_of(token) or leader.is_silent(self._now):
            return None
        if not leader.beats and STATUS[self.state] is Status.STOPPED:
            return None  # nothing tells whether it is still there, and nothing is recorded
        return led_by_another(str(leader))

    # -- after a restart ----------------------------------------------------------------------------------

    def _restore(self, event: Restored) -> list[Any]:
        memory = event.memory
        self._started.extend(memory.started)
        self._stopped.extend(memory.stopped)
        if not memory.has_recorded:
            return []
        self.exp_ref = memory.exp_ref
        self.report = dict(event.report)
        self._report_of = memory.exp_ref
        if memory.is_recording and event.gap is not None:
            self.gaps = (event.gap,)
            seconds = event.gap.get("seconds")
            about = f" from {_clock(event.gap.get('from'))}" if event.gap.get("from") else ""
            self._note(
                f"its program died while it recorded {self.exp_ref}; nothing was recorded{about}"
                + (f" for {seconds:.0f} s" if isinstance(seconds, int | float) else "")
            )
        self.state = RigState.STOPPED
        return [Entered(state=self.state, exp_ref=self.exp_ref, failure=self.failure)]

    def _take_report(self, report: Mapping[str, Any]) -> None:
        """Note what hooks have to tell; one that has ended a gap says how long it was."""
        gap = report.get("gap")
        if gap and self.gaps:
            self.gaps = (*self.gaps[:-1], gap)
        self.report = {**self.report, **{key: value for key, value in report.items() if key != "gap"}}

    @property
    def can_resume(self) -> bool:
        """Whether the recording that was cut off can go on."""
        return self.resumes and bool(self.gaps) and self.state is RigState.STOPPED

    def memory(self) -> Memory:
        """Return what must survive the death of the program."""
        return Memory(
            state=self.state,
            exp_ref=self.exp_ref,
            started=tuple(self._started),
            stopped=tuple(self._stopped),
        )

    def _choose(self, subject: str | None) -> None:
        """Note who is recorded here from now on."""
        theirs = self.exp_ref
        if theirs is not None and not self._is_free and subject not in (None, theirs.subject):
            why = f"the rig is {self.state} {theirs}; 'stop' ends that session"
            raise IllegalTransition(self.state, f"subject {subject}", why)
        self.subject = subject
        if self.offered is not None and subject not in (None, self.offered.subject):
            self.offered = None

    # -- commands ---------------------------------------------------------------------------------------

    def _receive(self, message: Message, token: Token) -> list[Any]:
        args = message.args
        match message.event:
            case Event.EXPINFO:
                data = args[1] if len(args) > 1 else None
                data = data if isinstance(data, dict) else {}
                asker = _multirig(token, data)
                out = self._take_over(asker) if self._gives_way(asker, data) else []
                subject = data.get("subject")
                wanted = isinstance(subject, str) and self.main_sync and self._is_free
                wanted = wanted and self.subject in (None, subject)
                is_foreign = token.wire == 1 and GREETING not in data
                room = codec.TIMELINE_LIMIT - 1 if is_foreign else None
                return [
                    *out,
                    Describe(
                        token=token,
                        subject=subject if wanted else None,
                        at_least=_sequence(data.get(MIN_SEQUENCE)),
                        room=room,
                        check=check if isinstance(check := data.get(CHECK), dict) else None,
                    ),
                ]
            case Event.EXPSTATUS if token.wire == 2 and (mark := _marker(args)) is not None:
                return [*self._mark(mark, token), Settle(token=token)]
            case Event.EXPSTATUS if token.wire == 2 and (lease := _lease(args)) is not None:
                return self._watch(lease, token)
            case Event.EXPSTATUS if token.wire == 2 and _wants_pictures(args):
                return [TakePictures(token=token)]
            case Event.EXPSTATUS:
                return [Reply(token=token, message=self._status_message(token))]
            case Event.ALYX:
                return self._share_token(args, token)
            case Event.EXPINIT | Event.EXPSTART | Event.EXPEND | Event.EXPINTERRUPT | Event.EXPCLEANUP:
                try:
                    exp_ref = _named_reference(message)
                except ProtocolError as error:
                    return self._refuse(message.event, token, str(error))
                flags = next((one for one in args if isinstance(one, dict)), {})
                resumes = message.event is Event.EXPSTART and flags.get(RESUME) is True
                takes_over = flags.get(TAKE_OVER) is True
                return self._command(
                    message.event,
                    exp_ref,
                    token,
                    resumes=resumes,
                    takes_over=takes_over,
                    rehearses=flags.get(REHEARSAL) is True,
                    start_at=at if type(at := flags.get(START_AT)) is int else None,
                )
        return [Settle(token=token), _complaint(args)]  # an error that answers nothing

    def _mark(self, mark: Mapping[str, Any], token: Token) -> list[Any]:
        """Take a marker of whoever leads the recording that goes on here."""
        leads = self.leader is not None and self.leader.is_sender_of(token)
        if not leads or self.state not in _MARKED or mark["exp_ref"] != str(self.exp_ref):
            return []  # also a late one, of a session that is over here
        return [Mark(text=mark["text"], data=mark["data"], at=mark["at"], received=self._now)]

    def _note_name(self, boot: str, name: str) -> None:
        """Note how the PC of a conductor is called."""
        self._names.pop(boot, None)
        while len(self._names) >= MAX_NAMES:
            del self._names[next(iter(self._names))]
        self._names[boot] = name[:MAX_FAILURE_TEXT]

    def _command(
        self,
        event: Event,
        exp_ref: ExpRef | None,
        token: Token | None,
        *,
        resumes: bool = False,
        takes_over: bool = False,
        rehearses: bool = False,
        start_at: int | None = None,
    ) -> list[Any]:
        """Judge a command; a refusal changes nothing."""
        trigger = _TRIGGERS[event]
        if resumes and self.can_resume:
            trigger = RigTrigger.RESUME
        if (
            trigger is RigTrigger.INIT
            and self.state in (RigState.INITIALIZING, RigState.INITIALIZED, RigState.RUNNING)
            and exp_ref in (None, self.exp_ref)
        ):
            trigger = RigTrigger.INIT_AGAIN
        wanted = exp_ref or self._default_reference()
        if (reason := self._objection(event, exp_ref)) is not None:
            return self._refuse(event, token, reason)
        news = self._take_over(token) if takes_over and token is not None else []
        if (reason := self._objection_to_sender(token)) is not None:
            return self._refuse(event, token, reason)
        try:
            transition = next_transition(self.state, trigger)
        except IllegalTransition as error:
            return [*news, *self._refuse(event, token, self._explain(error))]
        if transition.hooks:
            if trigger is RigTrigger.RESUME:
                self.failure = None
            else:
                rehearses = rehearses if self._begins(event, wanted) else self.rehearses
                if (reason := self._objection_to_beginning(event, wanted, rehearses)) is not None:
                    return [*news, *self._refuse(event, token, reason)]
                self.rehearses = rehearses
                self._remember(event, wanted)
        if token is not None:
            if event in _BEGINNINGS:
                self._lead(token)
                if transition.hooks:
                    self._begun_from = token.address.host if event is Event.EXPSTART else None
            self._waiting.append(_Waiting(event, token, exp_ref))
        return [*news, *self._enter(transition, start_at)]

    def _begins(self, event: Event, wanted: ExpRef | None) -> bool:
        """Whether a command begins a session, and does not go on with the one that has begun."""
        return event is Event.EXPINIT or (event is Event.EXPSTART and wanted != self.exp_ref)

    def _objection(self, event: Event, exp_ref: ExpRef | None) -> str | None:
        """Return why a command that names another session is refused, if it is."""
        if exp_ref is None or self.exp_ref is None or exp_ref == self.exp_ref:
            return None
        if self.state in _BUSY:
            return f"is {self.state} {self.exp_ref}; end that session first (asked for {exp_ref})"
        if self.state is RigState.INITIALIZED and event is not Event.EXPINIT:
            # also the EXPEND of an earlier session, which a rig that was deaf gets when it is back
            return f"is {self.state} for {self.exp_ref}, not for {exp_ref}"
        return None

    def _objection_to_beginning(self, event: Event, wanted: ExpRef | None, rehearses: bool) -> str | None:
        if event is Event.EXPSTART and wanted is None:
            return "EXPSTART names no experiment reference and none was given before"
        if rehearses:  # whoever is recorded here, and under which numbers, is not touched by it
            return None
        if event in _BEGINNINGS and wanted in self._started:
            return f"{wanted} has been recorded here already; begin a new session to get a new number"
        if event in _BEGINNINGS and wanted is not None and self.subject not in (None, wanted.subject):
            return set_up_otherwise(str(self.subject), wanted.subject)
        return None

    def _remember(self, event: Event, wanted: ExpRef | None) -> None:
        """Note what a command that is obeyed makes of the session."""
        if event in _BEGINNINGS:
            self.exp_ref = wanted
            self.failure = None
            self.report = {}
            self._report_of, self._ended = wanted, None
            self.health = {}
            self.gaps = ()
        if self.rehearses:  # its reference stands for nothing
            return
        if event is Event.EXPSTART and wanted is not None:
            self._started.append(wanted)
            self.offered = None if self.offered == wanted else self.offered
        if event in _ENDINGS and self.exp_ref is not None and self.exp_ref not in self._stopped:
            self._stopped.append(self.exp_ref)

    def _default_reference(self) -> ExpRef | None:
        if self._is_free:
            return self.offered if self.main_sync else None
        return self.exp_ref

    @property
    def _is_free(self) -> bool:
        """Whether no session goes on here: the last one is over, cleaned up or not."""
        return self.exp_ref is None or STATUS[self.state] is Status.STOPPED

    def skip_used(self, exp_ref: ExpRef) -> ExpRef:
        """Return the reference, or the first after it that was neither started nor stopped here.

        A folder may have been moved away, and what was stopped here may have been started on another rig.

        Raises
        ------
        LocalProtocolError
            The day's numbers are used up.
        """
        while exp_ref in self._started or exp_ref in self._stopped:
            exp_ref = replace(exp_ref, sequence=exp_ref.sequence + 1)
        return exp_ref

    def _explain(self, error: IllegalTransition) -> str:
        if self.failure is not None:
            return f"is {self.state}: {self.failure}; clean it up first"
        about = f" {self.exp_ref}" if self.exp_ref else ""
        return f"{error}{about}"

    def _refuse(self, event: Event, token: Token | None, reason: str) -> list[Any]:
        news = Denied(event=event, reason=reason)
        return [news] if token is None else [self._fail(event, token, reason), news]

    # -- walking the table ------------------------------------------------------------------------------

    def _step(self, trigger: RigTrigger) -> list[Any]:
        return self._enter(next_transition(self.state, trigger))

    def _awaits(self, number: int) -> bool:
        """Whether a report is that of the hooks that run now: others are late."""
        return number == self._call and self.state in MOVING

    def _note(self, failure: str | None) -> None:
        """Add to what is broken."""
        if failure is not None:
            self.failure = failure if self.failure in (None, failure) else f"{self.failure}; then {failure}"

    def _enter(self, transition: RigTransition, start_at: int | None = None) -> list[Any]:
        before, self.state = self.state, transition.to
        self.is_armed = False
        if STATUS[before] is Status.RUNNING and STATUS[self.state] is not Status.RUNNING:
            self._ended = self._now, self.leader
        out: list[Any] = []
        if transition.hooks or self.state is not before:
            out += self._keep()
        if transition.hooks:
            self._call += 1
            out.append(
                Call(
                    number=self._call,
                    hooks=transition.hooks,
                    preempts=transition.preempts,
                    exp_ref=str(self.exp_ref) if self.exp_ref else None,
                    start_at=start_at,
                    heard_at=self._now,
                )
            )
        if self.state in MOVING:
            out += self._disappoint(transition)
        else:
            out += self._answer()
        if self.state is RigState.RUNNING:
            if before is not RigState.RUNNING:
                self._growth.begin(self._now)
        else:
            self._growth.end()
        if self.state is RigState.CONNECTED:  # the answers still spoke of the session
            self.exp_ref = self.failure = self.leader = self._begun_from = None
            self.rehearses = False
            self.health = {}
            self.gaps = ()
        if self.state is not before:
            out.append(Entered(state=self.state, exp_ref=self.exp_ref, failure=self.failure))
            out += self._beat()
        return out

    def _keep(self) -> list[Any]:
        memory = self.memory()
        if memory == self._kept:
            return []
        self._kept = memory
        return [Keep(memory=memory)]

    def _disappoint(self, transition: RigTransition) -> list[Any]:
        """Tell at once those whose command will not be done any more."""
        goal = {
            RigState.INITIALIZING: (Event.EXPINIT,),
            RigState.STARTING: (Event.EXPSTART,),
            RigState.STOPPING: (Event.EXPEND, Event.EXPINTERRUPT),
            RigState.CLEANING: (Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP),
            RigState.FAILING: (Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP),
        }[transition.to]
        reason = self.failure or f"was overtaken: the rig is {self.state}"
        failed = [(one.event, one.token) for one in self._waiting if one.event not in goal]
        self._waiting = [one for one in self._waiting if one.event in goal]
        return [self._fail(event, token, reason) for event, token in failed]

    def _answer(self) -> list[Any]:
        """Tell everybody who waits what became of the command."""
        out: list[Any] = []
        for one in self._waiting:
            if self.state in SATISFIED[one.event]:
                out.append(Reply(token=one.token, message=self._success(one)))
            else:
                out.append(self._fail(one.event, one.token, self.failure or f"the rig is {self.state}"))
        self._waiting.clear()
        return out

    # -- answers ----------------------------------------------------------------------------------------

    def _success(self, asked: _Waiting) -> Message:
        event, token = asked.event, asked.token
        status = int(STATUS[self.state])
        exp_ref = str(self.exp_ref) if self.exp_ref else None
        data: dict[str, Any] = {"exp_ref": exp_ref, "status": status}
        match event:
            case Event.EXPSTART:
                data = {"status": status, **{key: one for key, one in self.report.items() if key != "files"}}
                return Message(event, (exp_ref, data if token.wire == 2 else {"status": status}))
            case Event.EXPEND | Event.EXPINTERRUPT:
                data |= self._account(asked)
            case Event.EXPCLEANUP if token.wire == 2 and (late := self._late_digests()):
                data["digests"] = late
        if self.gaps and token.wire == 2:
            data["gaps"] = [dict(gap) for gap in self.gaps]
        if self.failure is not None:
            data["failure"] = self.failure[:MAX_FAILURE_TEXT]
        return Message(event, (data,))

    def _account(self, asked: _Waiting) -> dict[str, Any]:
        """What was recorded; a foreign peer gets the totals, since it may read a thousand bytes only."""
        # after a clean-up the last session is still remembered, and may be another one
        report = self.report if asked.exp_ref in (None, self._report_of) else {}
        files = list(report.get("files", []))
        account: dict[str, Any] = {
            "files_total": len(files),
            "bytes_total": sum(one.get("bytes", 0) for one in files),
        }
        if asked.token.wire == 2:
            account |= {key: value for key, value in report.items() if key != "files"}
            account["files"] = files[:MAX_LISTED_FILES]
            account |= self._tell_end(asked.token) if report else {}
        return account

    def _tell_end(self, token: Token) -> dict[str, Any]:
        """Say how long ago the recording ended; its times mean nothing to who did not lead it then."""
        if self._ended is None:
            return {}
        at, leader = self._ended
        end: dict[str, Any] = {"ended_ago": round((self._now - at) / SECOND, 3)}
        if leader is None or not leader.is_sender_of(token):
            end["clock"] = {"offset": 0.0, "bound": None}
        return end

    def _late_digests(self) -> dict[str, Any]:
        """Checksums, by path, that were not ready when the files were listed."""
        made = self.report.get("digests", {})
        listed = [one for one in self.report.get("files", []) if one.get("blake2b") is None]
        return {one["path"]: made[one["path"]] for one in listed[:MAX_LISTED_FILES] if one["path"] in made}

    def _status_message(self, token: Token) -> Message:
        status = int(STATUS[self.state])
        if token.wire == 1:  # IBL's peers take the status as it is
            return Message(Event.EXPSTATUS, (status,))
        return Message(Event.EXPSTATUS, (status, self._news()))

    def _news(self) -> dict[str, Any]:
        space = self.space
        return {
            **self.about,
            "state": self.state.value,
            "exp_ref": str(self.exp_ref) if self.exp_ref else None,
            "failure": self.failure,
            **({"armed": True} if self.is_armed else {}),
            "health": dict(self.health),
            "stalled": self._growth.stalled(self._now),
            "led_by": str(self.leader) if self.leader is not None else None,
            "leader": self.leader.token.peer if self.leader is not None else None,
            "gap": dict(self.gaps[-1]) if self.gaps else None,
            "resumes": self.can_resume,
            "main_sync": self.main_sync,
            "subject": self.exp_ref.subject if self.exp_ref else self.subject,
            "disk_free": space.free if space is not None else None,
            "hours_left": space.hours_left if space is not None else None,
            CLOCK_PORT: self.clock_port,
            **({PICTURES: list(self.pictures)} if self.pictures else {}),
        }

    def _show(self, event: PicturesTaken) -> list[Any]:
        """Answer with the pictures that fit into a message; the others have their turn next time."""
        status, news = int(STATUS[self.state]), self._news() | {PICTURES: []}
        around = len(codec.encode_text(Message(Event.EXPSTATUS, (status, news)))) + FRAME_ROOM
        sizes = [len(codec.encode_text(Message(Event.EXPSTATUS, (one,)))) for one in event.pictures]
        chosen = self._picture_turns.choose(event.token.peer, sizes, codec.MAX_DATAGRAM - around)
        news[PICTURES] = [event.pictures[which] for which in chosen]
        return [Reply(token=event.token, message=Message(Event.EXPSTATUS, (status, news)))]

    def _inform(self, event: Described) -> list[Any]:
        info = dict(event.info)
        offered = info.pop("exp_ref", None)
        exp_ref = self.exp_ref
        if offered and self._is_free:  # a session may have begun while the number was looked for
            exp_ref = self.offered = ExpRef.parse(offered)
        data = {
            "main_sync": self.main_sync,
            "exp_ref": str(exp_ref) if exp_ref else None,
            "subject": exp_ref.subject if exp_ref else self.subject,
            "state": self.state.value,
            **({CLOCK_PORT: self.clock_port} if self.clock_port is not None else {}),
            **info,
        }
        if self.failure is not None:
            data["failure"] = self.failure[:MAX_FAILURE_TEXT]
        if self.subject is not None:
            data[SET_UP_FOR] = self.subject
        if self._objection_to_sender(event.token) is not None:
            data[LED_BY] = str(self.leader)
        if event.room is not None:
            self._shorten(data, event.room)
        return [Reply(token=event.token, message=Message(Event.EXPINFO, (int(STATUS[self.state]), data)))]

    def _shorten(self, data: dict[str, Any], room: int) -> None:
        """Leave out what is good to know, until the message fits with the greeting that is still to come."""
        greeting = {GREETING: {"wire": 2, "boot": "0" * 16, "name": self.name}}
        for key in SPARED:
            message = Message(Event.EXPINFO, (int(STATUS[self.state]), data | greeting))
            if len(codec.encode_array(message)) > room:
                data.pop(key, None)

    def _share_token(self, args: tuple[Any, ...], token: Token) -> list[Any]:
        url = args[0] if args and isinstance(args[0], str) else None
        credentials = args[1] if len(args) > 1 and isinstance(args[1], dict) else {}
        if credentials:
            self.alyx = (url, credentials)
            return [Settle(token=token)]  # the sender of a token waits for the receipt only
        if not self.may_have_token(token.address.host):
            reason = (
                "may not be given the Alyx token: name its address in 'alyx_token_to' of this rig's config"
            )
            return self._refuse(Event.ALYX, token, f"{token.address.host} {reason}")
        return [Reply(token=token, message=Message(Event.ALYX, self.alyx))]

    def _fail(self, event: Event, token: Token, reason: str) -> Fail:
        return Fail(token=token, message=Message(Event.ERROR, (reason, int(event))))

    def _tell_conductor(self, more: Mapping[str, Any] | None = None) -> list[Any]:
        """A failure is told at once; IBL's conductors take what they did not ask for badly."""
        if self.leader is None or not self.leader.beats:
            return []
        message = Message(Event.EXPSTATUS, (int(STATUS[self.state]), {**self._news(), **(more or {})}))
        address = self.leader.address
        return [Send(address=address, message=message, key=None, limit=TELL_LIMIT, needs_reply=False)]


FRAME_ROOM = 1_024
"""Bytes that are kept free for what wire 2 writes around a message."""
TELL_LIMIT = 5 * SECOND
"""How long a conductor is told what it has not asked."""
_BUSY = frozenset({RigState.INITIALIZING, RigState.STARTING, RigState.RUNNING, RigState.STOPPING})
"""States in which a rig is deaf to whoever leads another session."""
_MARKED = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING})
"""States in which a marker has its place in what is recorded here."""
_BEGINNINGS = frozenset({Event.EXPINIT, Event.EXPSTART})
_ENDINGS = frozenset({Event.EXPEND, Event.EXPINTERRUPT})
_TRIGGERS = {
    Event.EXPINIT: RigTrigger.INIT,
    Event.EXPSTART: RigTrigger.START,
    Event.EXPEND: RigTrigger.END,
    Event.EXPINTERRUPT: RigTrigger.END,
    Event.EXPCLEANUP: RigTrigger.CLEANUP,
}


def _multirig(token: Token, data: Mapping[str, Any]) -> Token:
    """Return who asks: a first EXPINFO comes on wire 1.0, and may say that its sender is a multirig."""
    about = data.get(GREETING)
    boot = about.get("boot") if isinstance(about, dict) else None
    return Token(token.address, 2, 0, boot) if token.wire == 1 and isinstance(boot, str) and boot else token


def _clock(text: object) -> str:
    """Return the time of day of an ISO time, to the second."""
    return str(text).partition("T")[2][:8] or str(text)


def _complaint(args: tuple[Any, ...]) -> NotHandled:
    """Read ``[0, text, event]``, of which peers write all sorts."""
    reason = " ".join(str(args[0]).split()) if args else ""
    try:
        about = Event.parse(args[1]).name if len(args) > 1 else "a message"
    except ProtocolError:
        about = "a message"
    return NotHandled(about=about, reason=reason[:MAX_FAILURE_TEXT] or "no reason given")


def _marker(args: tuple[Any, ...]) -> dict[str, Any] | None:
    """Return the marker that an EXPSTATUS holds, with the session that it belongs to."""
    said = args[1] if len(args) > 1 and isinstance(args[1], dict) else {}
    match said.get(MARK):
        case {"text": str(text), "at": int() | float() as at, "data": dict(data)}:
            return {"text": text, "data": data, "at": float(at), "exp_ref": said.get("exp_ref")}
    return None


def _lease(args: tuple[Any, ...]) -> float | None:
    """Return for how many seconds somebody wants to be told how we are, if an EXPSTATUS asks for that."""
    seconds = args[1].get(WATCH) if len(args) > 1 and isinstance(args[1], dict) else None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return seconds if is_number else None


def _wants_pictures(args: tuple[Any, ...]) -> bool:
    """Whether an EXPSTATUS asks for live pictures."""
    return len(args) > 1 and isinstance(args[1], dict) and args[1].get(PICTURES) is True


def _sequence(value: object) -> int:
    """Return the lowest number that a conductor wants, if it names a sensible one."""
    return value if type(value) is int and 1 <= value <= MAX_SEQUENCE else 1


def _named_reference(message: Message) -> ExpRef | None:
    """Return the experiment reference that a command names, if it names one.

    EXPINIT carries it in a map or as it is, EXPSTART as its first argument, the others may carry it in a map.
    """
    data = message.args[0] if message.args else None
    if isinstance(data, dict):
        data = data.get("exp_ref") if {"date", "sequence", "subject"} - data.keys() else data
    elif message.event not in (Event.EXPINIT, Event.EXPSTART):
        return None
    return ExpRef.parse(data) if data else None
