"""The life of a rig: the machine that walks the table of `rig_states`.

A command whose state is reached already is answered, not refused, since a conductor that missed the answer
asks again. Stopping is possible from everywhere; it preempts what is going on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from multirig.errors import IllegalTransition
from multirig.lifecycle.answers import MAX_FAILURE_TEXT, Answers, fail, tell
from multirig.lifecycle.fitting import fit_pictures
from multirig.lifecycle.handing_over import HandingOver, HandingRule
from multirig.lifecycle.leader import Leader, Leadership
from multirig.lifecycle.numbers import Numbers
from multirig.lifecycle.obedience import (
    begins,
    choose_trigger,
    explain,
    is_free,
    is_of_session,
    object_to_beginning,
    object_to_reference,
)
from multirig.lifecycle.picture_turns import PictureTurns
from multirig.lifecycle.recording import Recording
from multirig.lifecycle.rig_events import (
    Answered,
    Armed,
    Attended,
    Broke,
    ClockPortOpened,
    Commanded,
    Denied,
    Describe,
    Described,
    Done,
    Entered,
    Failed,
    Gather,
    Gathered,
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
    STATUS,
    RigTransition,
    RigTrigger,
    next_transition,
)
from multirig.lifecycle.tokens import TokenDesk, gives_to_nobody
from multirig.lifecycle.watchers import Watchers
from multirig.protocol import codec
from multirig.protocol.brief import shorten
from multirig.protocol.dialect import make_command
from multirig.protocol.events import (
    SECOND,
    Call,
    Fail,
    Received,
    Reply,
    Settle,
    Tell,
    Token,
    Told,
    Upgraded,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Clear, Collect
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import (
    AlyxToken,
    AskInfo,
    AskToken,
    Beat,
    CleanUp,
    Command,
    Complaint,
    Decide,
    Initialise,
    Interrupt,
    Invalid,
    Lease,
    Marker,
    Report,
    RigState,
    Start,
    Stop,
    WantPictures,
    Word,
)


class RigMachine:
    """The rules of one rig, pure.

    Parameters
    ----------
    name : str
        For answers and errors.
    main_sync : bool
        Whether this rig owns the experiment's number.
    objects_to_token : callable
        Why the sender of a request, at an IP address, is not given the Alyx token; empty: it is.
    subject : str, optional
        Who is recorded here, as the operator says; conductors with another subject are refused.
    stop_after : int, optional
        Nanoseconds for which the conductor may be silent before a recording is stopped; None: it goes on.
    stall_after : int, optional
        Nanoseconds for which a recording may not grow before it counts as stalled; None: never.
    resumes : bool
        Whether the adapter can go on with a recording after the program has died.
    about : Report, optional
        What others are told of this rig and does not change: its adapter, the version of its program.
    take_over : HandingRule, optional
        What is done where another conductor wants to take it over from one that is heard.
    """

    def __init__(  # noqa: PLR0913  what a rig's config says, each given by name
        self,
        *,
        name: str,
        main_sync: bool = False,
        objects_to_token: Callable[[Token, str], str] = gives_to_nobody,
        subject: str | None = None,
        stop_after: int | None = None,
        stall_after: int | None = None,
        resumes: bool = False,
        about: Report | None = None,
        take_over: HandingRule | None = None,
    ) -> None:
        self.name = name
        self.main_sync = main_sync
        self.subject = subject
        """Who is recorded here, as the operator says."""
        self.stop_after = stop_after
        self.resumes = resumes
        self.state = RigState.CONNECTED
        self.exp_ref: ExpRef | None = None
        """The session that this rig is in."""
        self.failure: str | None = None
        """What is broken, until a clean-up."""
        self.is_armed = False
        """Whether it could begin to record at once, and waits for the instant to do so."""
        self.rehearses = False
        """Whether the session is only tried: nothing is to be kept of it."""
        self.leadership = Leadership()
        self.handing = HandingOver(take_over or HandingRule(), self.leadership)
        self.numbers = Numbers()
        self.recording = Recording(stall_after)
        self.watchers = Watchers()
        self._about = about or Report()
        self.cameras: tuple[str, ...] = ()
        """Labels of the cameras of which there can be live pictures."""
        self._clock_port: int | None = None
        self.space: SpaceMeasured | None = None
        """How full the disk is."""
        self._answers = Answers(self.recording)
        self.tokens = TokenDesk(objects_to_token)
        self._picture_turns = PictureTurns()
        self._now = 0
        self._kept: Memory | None = None
        self._call = 0

    @property
    def leader(self) -> Leader | None:
        """The conductor that leads this rig."""
        return self.leadership.leader

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Take what happened; return answers, calls and news.

        Raises
        ------
        IllegalTransition
            `SubjectChosen` in the middle of another subject's session, `Answered` where nobody was asked;
            nothing has changed.
        """
        self._now = now
        before = self._gist() if self.watchers else None
        out = [*self._handle(event), *self.handing.take_news()]
        return out if before in (None, self._gist()) else [*out, *self._tell_watchers(is_news=True)]

    def _handle(self, event: Any) -> Iterable[Any]:
        now = self._now
        match event:
            case Received(word=word, token=token):
                self.leadership.hear(token.peer if token.wire == 2 else token.address, now)
                return self._receive(word, token)
            case Told(address=address, word=word, boot=boot):
                self.leadership.hear(boot, now)
                is_ours = isinstance(word, Beat) and word.exp_ref == self.exp_ref is not None
                if is_ours and self.leader is None:  # a restart has left nobody
                    self.leadership.take(Token(address, 2, 0, boot), now)
            case Upgraded(boot=boot, name=name):
                self.leadership.note_name(boot, name)
            case Restored():
                return self._restore(event)
            case Commanded(event=command, exp_ref=exp_ref):
                before = self.state
                if STATUS[before] is Status.RUNNING:
                    self._note(event.why)
                out = self._command(make_command(command, exp_ref, {}), None)
                self._answers.ends_here = self.state is RigState.STOPPING
                return out if self.state is before else [*out, *tell(self.leader, self.report())]
            case Done() | Armed() | Failed():
                return self._take_outcome(event)
            case Broke(reason=reason):
                if (self.state, RigTrigger.BROKE) in RIG_TABLE:
                    self._note(reason)
                    return [*self._step(RigTrigger.BROKE), *tell(self.leader, self.report())]
            case Described():
                return [self._inform(event)]
            case Measured(health=health, findings=findings):
                self.recording.measure(health, now, findings)
            case SpaceMeasured():
                self.space = event
            case ClockPortOpened(port=port):
                self._clock_port = port
            case PicturesOffered(labels=labels):
                self.cameras = labels
            case PicturesTaken(token=token, pictures=pictures):
                report = fit_pictures(self.report(), pictures, self._picture_turns, token.peer)
                return [Reply(token=token, word=report)]
            case Gathered(token=token, holdings=holdings):
                return [Reply(token=token, word=replace(holdings, status=STATUS[self.state]))]
            case Pulsed(at=at):
                return tell(self.leader, replace(self.report(), pulse=at))
            case SubjectChosen(subject=subject):
                self._choose(subject)
            case Attended(is_attended=is_attended):
                self.handing.attend(is_attended=is_attended, now=now)
            case Answered(allows=allows):
                if not self.handing.answer(allows=allows):
                    raise IllegalTransition(self.state, "yes or no", "nobody wants to take the rig over")
        return []

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        times = (self.leadership.beat_at, self.watchers.get_timer(), self.handing.get_timer())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Say how we are to whoever leads or looks on; stop where a leader was silent for too long."""
        self._now = now
        before = self._gist()
        out: list[Any] = []
        if self.leadership.is_beat_due(now):
            limit = self.stop_after
            if self.state is RigState.RUNNING and limit is not None and self.leadership.is_lost(limit, now):
                self._note(
                    f"stopped by itself: {self.leader} was not heard for {limit / SECOND:g} s "
                    "(on_lost_conductor in this rig's config)"
                )
                out += self._step(RigTrigger.END)
            out += self._beat()
        self.handing.handle_timer(now)
        out += self.handing.take_news()
        is_news = self._gist() != before
        if is_news or self.watchers.is_due(now):
            out += self._tell_watchers(is_news=is_news)
        return out

    # -- how it is ----------------------------------------------------------------------------------------

    def report(self) -> Report:
        """Return how this rig is now."""
        leader, recording, exp_ref, space = self.leader, self.recording, self.exp_ref, self.space
        return Report(
            status=STATUS[self.state],
            adapter=self._about.adapter,
            version=self._about.version,
            is_open=self._about.is_open,
            state=self.state,
            exp_ref=exp_ref,
            failure=self.failure,
            armed=self.is_armed,
            health=recording.health,
            stalled=recording.stalled(self._now),
            findings=tuple(one for one in recording.findings if one.until is None),
            led_by=str(leader) if leader is not None else None,
            leader=leader.token.peer if leader is not None else None,
            gap=recording.gaps[-1] if recording.gaps else None,
            resumes=self.can_resume,
            main_sync=self.main_sync,
            subject=exp_ref.subject if exp_ref is not None else self.subject,
            disk_free=space.free if space is not None else None,
            hours_left=space.hours_left if space is not None else None,
            clock_port=self._clock_port,
            cameras=self.cameras,
            wanted_by=self.handing.asker,
            asking=self.handing.seconds_left(self._now),
        )

    def _beat(self) -> list[Tell]:
        """Say how we are, now and every while from now on."""
        leader = self.leadership.begin_beat(self._now)
        return [] if leader is None else [Tell(address=leader.address, word=self.report())]

    def _gist(self) -> tuple[Any, ...]:
        """Return what those who look on are told at once when it changes."""
        leader = self.leader
        led_by = (leader.token.peer, leader.address) if leader is not None else None
        wanted_by = self.handing.asker
        return self.state, self.is_armed, self.exp_ref, self.failure, led_by, self.subject, wanted_by

    def _tell_watchers(self, *, is_news: bool) -> list[Tell]:
        leader = self.leader
        boot = leader.token.peer if leader is not None and leader.beats else None
        return self.watchers.tell(self.report(), self._now, is_news=is_news, besides=boot)

    # -- after a restart ----------------------------------------------------------------------------------

    def _restore(self, event: Restored) -> list[Any]:
        memory, gap = event.memory, event.gap
        self.numbers.restore(memory.started, memory.stopped)
        if event.left is not None:
            ends = "'multirig stop' ends it, and the next session does"
            self._note(f"{event.left}, still runs and is watched by nobody: {ends}")
        elif not memory.has_recorded:
            return []
        self.exp_ref = memory.exp_ref
        self.recording.restore(memory.exp_ref, event.recorded)
        if event.goes_on:
            self.state = RigState.RUNNING
            self.recording.move(RigState.STARTING, self.state, None, self._now)
            return [Entered(state=self.state, exp_ref=self.exp_ref, failure=None)]
        if memory.is_recording and gap is not None:
            self.recording.gaps = (gap,)
            since = f" from {_clock(gap.since)} on" if gap.since else " since then"
            # a resumption takes it back
            self._note(f"its program died while it recorded {self.exp_ref}; nothing was recorded{since}")
        self.state = RigState.STOPPED
        return [Entered(state=self.state, exp_ref=self.exp_ref, failure=self.failure)]

    @property
    def can_resume(self) -> bool:
        """Whether the recording that was cut off can go on."""
        return self.resumes and bool(self.recording.gaps) and self.state is RigState.STOPPED

    def memory(self) -> Memory:
        """Return what must survive the death of the program."""
        return Memory(
            state=self.state,
            exp_ref=self.exp_ref,
            started=tuple(self.numbers.started),
            stopped=tuple(self.numbers.stopped),
        )

    # -- what it hears ------------------------------------------------------------------------------------

    def _receive(self, word: Word, token: Token) -> list[Any]:
        match word:
            case AskInfo():
                return self._introduce(word, token)
            case Initialise() | Start() | Stop() | Interrupt() | CleanUp():
                return self._command(word, token)
            case Marker() if token.wire == 2:
                is_ours = is_of_session(word, self.state, self.exp_ref) and self.leadership.is_led_by(token)
                marks = [Mark(marker=replace(word, received=self._now))] if is_ours else []
                return [*marks, Settle(token=token)]
            case Lease(seconds=seconds) if token.wire == 2:
                self.watchers.watch(token, seconds, self._now)
                if word.attends:
                    self.handing.attend_by_page(token, seconds, self._now)
                return [Settle(token=token) if seconds <= 0 else Reply(token=token, word=self.report())]
            case Decide() if token.wire == 2:
                why_not = self.handing.decide(word, token, self._now)
                return self._refuse(word.event, token, why_not) if why_not else [Settle(token=token)]
            case WantPictures() if token.wire == 2:
                return [TakePictures(token=token)]
            case AskHoldings() | Collect() | Clear() if token.wire == 2:
                return [Gather(token=token, wish=word)]
            case AlyxToken() | AskToken():
                answer = self.tokens.take(word, token, token.address.host)
                if isinstance(answer, Fail):
                    return [answer, Denied(event=word.event, reason=answer.word.text)]
                return [answer]
            case Complaint(text=text, about=about):
                about_what = about.name if about is not None else "a message"
                return [Settle(token=token), NotHandled(about=about_what, reason=text)]
            case Invalid(event=event, reason=reason):
                return self._refuse(event, token, reason)
        # the status; IBL's peers take it as it is
        report = self.report() if token.wire == 2 else Report(status=STATUS[self.state])
        return [Reply(token=token, word=report)]

    def _introduce(self, word: AskInfo, token: Token) -> list[Any]:
        """Have an answer gathered to who we are; who asks may lead from now on."""
        state, status, own = self.state, STATUS[self.state], self.exp_ref
        is_back = word.recover and own is not None and word.exp_ref == own
        gives_way = is_back and self.leadership.is_back(token, status, self._now)
        if word.take_over or word.would_take_over:
            allows = self.handing.judge(token, own, word.exp_ref, status, self._now).allows
            gives_way |= word.take_over and allows
        out = self._take_over(token) if gives_way else []
        counts = is_free(state, self.exp_ref) and self.subject in (None, word.subject)
        wanted = self.main_sync and counts
        follows = counts and not wanted and not word.recover and word.check is None
        is_foreign = token.wire == 1 and word.greeting is None
        return [
            *out,
            Describe(
                token=token,
                subject=word.subject if wanted else None,
                at_least=word.min_sequence or 1,
                follows=word.subject if follows else None,
                offered=word.exp_ref if follows else None,
                room=codec.TIMELINE_LIMIT - 1 if is_foreign else None,
                check=word.check,
                whose=word.whose,
            ),
        ]

    def _inform(self, event: Described) -> Reply:
        """Answer who we are."""
        info, exp_ref, failure = event.info, self.exp_ref, self.failure
        if info.exp_ref is not None and is_free(self.state, exp_ref):
            # a session may have begun while the number was looked for
            exp_ref = self.numbers.offered = info.exp_ref
        token, leadership = event.token, self.leadership
        known = self.handing.tell(token, self.exp_ref, self._now)
        is_refused = leadership.object_to(token, STATUS[self.state], self._now) is not None
        info = replace(
            info,
            status=STATUS[self.state],
            main_sync=self.main_sync,
            exp_ref=exp_ref,
            subject=exp_ref.subject if exp_ref else self.subject,
            state=self.state,
            clock_port=self._clock_port,
            failure=info.failure if failure is None else failure[:MAX_FAILURE_TEXT],
            set_up_for=self.subject,
            led_by=str(self.leader) if is_refused and not known.allows else None,
            asking=known.asking,
            decided=known.why,
            begun_by=leadership.begun_by if event.whose else None,
            recording_for=self.recording.seconds(self._now) if event.whose else None,
        )
        return Reply(
            token=event.token, word=info if event.room is None else shorten(info, self.name, event.room)
        )

    # -- commands ---------------------------------------------------------------------------------------

    def _choose(self, subject: str | None) -> None:
        """Note who is recorded here from now on."""
        theirs = self.exp_ref
        if not is_free(self.state, theirs) and subject not in (None, theirs.subject if theirs else None):
            why = f"the rig is {self.state} {theirs}; 'stop' ends that session"
            raise IllegalTransition(self.state, f"subject {subject}", why)
        self.subject = subject
        self.numbers.withdraw_other(subject)

    def _take_over(self, token: Token) -> list[Any]:
        """Let another conductor lead, and tell the one that did."""
        before = self.leader
        if self.state is RigState.CONNECTED or self.leadership.is_led_by(token):
            return []
        leader = self.leadership.take(token, self._now)
        self.handing.end(token)
        news = LedBy(leader=str(leader), before=str(before) if before is not None else None)
        return [news, *tell(before, replace(self.report(), taken_over_by=str(leader)))]

    def _command(self, command: Command, token: Token | None) -> list[Any]:
        """Judge a command; a refusal changes nothing."""
        trigger = choose_trigger(command, self.state, self.exp_ref, can_resume=self.can_resume)
        if (reason := object_to_reference(command, self.state, self.exp_ref)) is not None:
            return self._refuse(command.event, token, reason)
        news: list[Any] = []
        own, status = self.exp_ref, STATUS[self.state]
        if command.take_over and token is not None:
            judged = self.handing.judge(token, own, command.exp_ref, status, self._now)
            news = self._take_over(token) if judged.allows else []
        if (reason := self.leadership.object_to(token, status, self._now)) is not None:
            reason = self.handing.explain(reason, token, own, self._now)
            return self._refuse(command.event, token, reason)
        try:
            transition = next_transition(self.state, trigger)
        except IllegalTransition as error:
            reason = explain(error, self.state, self.exp_ref, self.failure)
            return [*news, *self._refuse(command.event, token, reason)]
        if transition.hooks and (reason := self._begin(command, trigger)) is not None:
            return [*news, *self._refuse(command.event, token, reason)]
        if token is not None:
            if isinstance(command, Initialise | Start):
                self.leadership.take(token, self._now)
                if transition.hooks:
                    self.leadership.note_beginning(token if isinstance(command, Start) else None)
            self._answers.wait(command.event, token, command.exp_ref)
        return [*news, *self._enter(transition, command.at if isinstance(command, Start) else None)]

    def _begin(self, command: Command, trigger: RigTrigger) -> str | None:
        """Note what a command that is obeyed makes of the session; return why it is not, if so."""
        if trigger is RigTrigger.RESUME:
            self.failure = None
            return None
        own, numbers = self.exp_ref, self.numbers
        offered = numbers.offered if self.main_sync else None
        wanted = command.exp_ref or (offered if is_free(self.state, own) else own)
        rehearses = self.rehearses
        if begins(command, wanted, own):
            rehearses = isinstance(command, Initialise | Start) and command.rehearsal
        is_used = wanted in numbers.started
        reason = object_to_beginning(
            command, wanted, rehearses=rehearses, is_used=is_used, subject=self.subject
        )
        if reason is not None:
            return reason
        self.rehearses = rehearses
        if isinstance(command, Initialise | Start):
            self.exp_ref, self.failure = wanted, None
            self.recording.begin(wanted)
        if not rehearses:  # its reference stands for nothing
            numbers.note(command, self.exp_ref)
        return None

    def _refuse(self, event: Event, token: Token | None, reason: str) -> list[Any]:
        news = Denied(event=event, reason=reason)
        return [news] if token is None else [fail(event, token, reason), news]

    # -- walking the table ------------------------------------------------------------------------------

    def _take_outcome(self, event: Done | Failed | Armed) -> list[Any]:
        """Take what came of hooks."""
        if not isinstance(event, Armed):
            self.recording.take(event.recorded, event.gap if isinstance(event, Done) else None)
        if event.number != self._call or self.state not in MOVING:
            return []  # not of those that run now: it is late
        match event:
            case Armed():
                self.is_armed = self.state is RigState.STARTING
                return []
            case Done(failure=failure):
                self._note(failure)
                return self._step(RigTrigger.DONE)
            case Failed(reason=reason):
                self._note(reason)
                return self._step(RigTrigger.FAILED)

    def _step(self, trigger: RigTrigger) -> list[Any]:
        return self._enter(next_transition(self.state, trigger))

    def _note(self, failure: str | None) -> None:
        """Add to what is broken."""
        if failure is not None:
            self.failure = failure if self.failure in (None, failure) else f"{self.failure}; then {failure}"

    def _enter(self, transition: RigTransition, start_at: int | None = None) -> list[Any]:
        before, self.state = self.state, transition.to
        self.is_armed = False
        self.recording.move(before, self.state, self.leader, self._now)
        out: list[Any] = []
        memory = self.memory()
        if (transition.hooks or self.state is not before) and memory != self._kept:
            self._kept = memory
            out.append(Keep(memory=memory))
        if transition.hooks:
            self._call += 1
            call = Call(
                number=self._call,
                hooks=transition.hooks,
                preempts=transition.preempts,
                exp_ref=self.exp_ref,
                start_at=start_at,
                heard_at=self._now,
            )
            out.append(call)
        if self.state in MOVING:
            out += self._answers.disappoint(self.state, self.failure)
        else:
            out += self._answers.give(self.state, self.exp_ref, self.failure, self._now, self.leader)
        if self.state is RigState.CONNECTED:  # the answers still spoke of the session
            self.exp_ref = self.failure = None
            self.rehearses = False
            self.leadership.end()
            self.handing.end()
            self.recording.forget()
        if self.state is not before:
            out.append(Entered(state=self.state, exp_ref=self.exp_ref, failure=self.failure))
            out += self._beat()
        return out


def _clock(text: str) -> str:
    """Return the time of day of an ISO time, to the second."""
    return text.partition("T")[2][:8] or text
