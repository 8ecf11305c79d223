from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from multirig.errors import (
    ConfigError,
    IllegalTransition,
    RemoteProtocolError,
    RigUnreachable,
    SessionFailed,
    SeveralMainSyncs,
    Unconfirmed,
)
from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.questions import INFORMED_FOR
from multirig.lifecycle.session import SessionMachine
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
)
from multirig.lifecycle.session_states import (
    EVENT_OF,
    SESSION_TABLE,
    SessionState,
    SessionTrigger,
    next_state,
)
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import hear_rig, hear_verbatim, write
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
    Relocated,
    Replied,
    Reply,
    Send,
    Settle,
    Tell,
    TimedOut,
    Token,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.words import AskInfo, Stopped

DATE = datetime.date(2024, 5, 6)
REF, OTHER = ExpRef(DATE, 2, "SP_01"), ExpRef(DATE, 3, "SP_01")
NAMES = ("main", "cam", "ephys")
S = SessionState
T = SessionTrigger


def address(name: str) -> Address:
    return Address("udp", name, 11001)


def well(send: Send, name: str, exp_ref: ExpRef = REF, leaders: tuple[str, ...] = ("main",)) -> Message:
    """Return what a healthy rig answers."""
    match write(send.word).event:
        case Event.EXPINFO if write(send.word).args[1].get("recover"):
            return Message(Event.EXPINFO, (20, {"state": "running", "exp_ref": str(exp_ref)}))
        case Event.EXPINFO:
            leads = name in leaders
            return Message(
                Event.EXPINFO, (0, {"main_sync": leads, "exp_ref": str(exp_ref) if leads else None})
            )
        case Event.EXPINIT:
            return Message(Event.EXPINIT, ({"exp_ref": str(exp_ref), "status": 10},))
        case Event.EXPSTART:
            return Message(Event.EXPSTART, (str(exp_ref), {"status": 20}))
        case Event.EXPSTATUS:
            return Message(Event.EXPSTATUS, (10, {"state": "starting", "exp_ref": str(exp_ref)}))
    return Message(write(send.word).event, ({},))


class Session:
    """A session machine, and the rigs that it speaks to."""

    def __init__(
        self,
        *names: str,
        limits: Limits | None = None,
        token_to: str = "",
        policies: Mapping[str, RigPolicy] | None = None,
        seconds: float | None = None,
    ) -> None:
        self.seconds = seconds
        self.machine = SessionMachine(limits=limits, may_have_token=frozenset([token_to]))
        self.out: list[Any] = []
        self.open: dict[Any, Send] = {}
        self._numbers = itertools.count(1)
        self.feed(RigsChosen(rigs={name: address(name) for name in names}, policies=policies or {}))

    @property
    def state(self) -> SessionState:
        return self.machine.state

    def feed(self, event: Any, at: int = 0) -> list[Any]:
        return self._note(list(self.machine.handle(event, at)))

    def tick(self, at: int) -> list[Any]:
        """Let it be a time."""
        return self._note(list(self.machine.handle_timer(at)))

    def _note(self, actions: list[Any]) -> list[Any]:
        self.out += actions
        self.open |= {one.key: one for one in actions if isinstance(one, Send)}
        return actions

    def agree(self, here: ExpRef | None = None) -> int:
        number = next(self._numbers)
        self.feed(
            AgreeRequested(
                number=number,
                subject="SP_01",
                date=DATE,
                ask=AskInfo(subject="SP_01"),
                here=here,
                seconds=self.seconds,
            )
        )
        return number

    def request(self, trigger: SessionTrigger, **data: Any) -> int:
        number = next(self._numbers)
        self.feed(StepRequested(number=number, trigger=trigger, data=data))
        return number

    def ask(self, message: Message, rigs: tuple[str, ...] | None = None) -> int:
        number = next(self._numbers)
        self.feed(AskRequested(number=number, word=hear_verbatim(message), rigs=rigs))
        return number

    def finished(self, number: int) -> Finished:
        [one] = [one for one in self.out if isinstance(one, Finished) and one.number == number]
        return one

    def sends(self, name: str) -> list[Event]:
        return [
            write(one.word).event
            for one in self.out
            if isinstance(one, Send) and one.address == address(name)
        ]

    def now(self, name: str) -> Send:
        """Return what the rig has not answered yet."""
        return next(one for key, one in self.open.items() if key[1] == name)

    def reply(self, name: str, message: Message | None = None) -> list[Any]:
        send = self.now(name)
        del self.open[send.key]
        return self.feed(
            Replied(address=send.address, key=send.key, word=hear_rig(message or well(send, name)))
        )

    def refuse(self, name: str, reason: str = "no light") -> list[Any]:
        send = self.now(name)
        del self.open[send.key]
        return self.feed(Refused(address=send.address, key=send.key, reason=reason))

    def unreach(self, name: str) -> list[Any]:
        send = self.now(name)
        del self.open[send.key]
        return self.feed(Unreached(address=send.address, key=send.key, reason="nothing listens there"))

    def time_out(self, name: str, *, confirmed: bool = True) -> list[Any]:
        send = self.now(name)
        del self.open[send.key]
        return self.feed(TimedOut(address=send.address, key=send.key, confirmed=confirmed))

    def reply_all(self) -> None:
        for key in list(self.open):
            self.reply(key[1])


WAYS: dict[SessionState, tuple[SessionTrigger, ...]] = {
    S.IDLE: (),
    S.AGREEING: (T.AGREE,),
    S.AGREED: (T.AGREE, T.ALL_DONE),
    S.INITIALIZING: (T.AGREE, T.ALL_DONE, T.INIT),
    S.INITIALIZED: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE),
    S.STARTING: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START),
    S.RUNNING: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START, T.ALL_DONE),
    S.STOPPING: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START, T.ALL_DONE, T.STOP),
    S.STOPPED: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START, T.ALL_DONE, T.STOP, T.ALL_DONE),
    S.INTERRUPTING: (T.AGREE, T.ALL_DONE, T.INTERRUPT),
    S.CLEANING: (T.AGREE, T.ALL_DONE, T.CLEANUP),
    S.ABORTING: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START, T.SOME_FAILED),
    S.ROLLING_BACK: (T.AGREE, T.ALL_DONE, T.INIT, T.SOME_FAILED),
    S.RECOVERING: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START, T.ALL_DONE, T.RECOVER),
    S.RECOVERED: (T.AGREE, T.ALL_DONE, T.INIT, T.ALL_DONE, T.START, T.ALL_DONE, T.RECOVER, T.ALL_DONE),
}


def walk(session: Session, trigger: SessionTrigger) -> int | None:
    match trigger:
        case T.AGREE:
            return session.agree()
        case T.ALL_DONE:
            session.reply_all()
        case T.RECOVER:
            number = session.request(trigger)
            session.open = {key: one for key, one in session.open.items() if "recover" in str(one)}
            return number
        case T.SOME_FAILED:
            session.refuse("cam")
            session.reply_all()
        case _:
            return session.request(trigger)
    return None


def session_in(state: SessionState, *names: str, **options: Any) -> Session:
    session = Session(*(names or NAMES), **options)
    for trigger in WAYS[state]:
        walk(session, trigger)
    assert session.state is state
    return session


# -- the table ---------------------------------------------------------------------------------------------


def test_every_row_of_the_table_is_walked() -> None:
    for (state, trigger), to in SESSION_TABLE.items():
        session = session_in(state)
        before = len(session.out)
        walk(session, trigger)
        moves = [one.state for one in session.out[before:] if isinstance(one, Moved)]
        assert moves[0] is to, (state, trigger)
        if to in EVENT_OF:
            sent = [one for one in session.out[before:] if isinstance(one, Send)]
            assert [write(one.word).event for one in sent[: len(NAMES)]] == [EVENT_OF[to]] * len(NAMES)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("trigger", [T.AGREE, T.ABANDON, T.INIT, T.START, T.STOP, T.INTERRUPT, T.CLEANUP])
def test_a_request_that_the_table_does_not_know_is_refused_and_changes_nothing(state: S, trigger: T) -> None:
    if (state, trigger) in SESSION_TABLE:
        return
    session = session_in(state)
    facts = session.machine.state, session.machine.exp_ref, dict(session.open)
    number = walk(session, trigger)
    assert number is not None
    assert isinstance(session.finished(number).error, IllegalTransition)
    assert str(session.finished(number).error) == f"cannot {trigger} while the session is {state}"
    assert (session.machine.state, session.machine.exp_ref, session.open) == facts


def test_every_state_in_which_rigs_are_at_work_ends_in_any_case() -> None:
    for state in EVENT_OF:
        assert (state, T.ALL_DONE) in SESSION_TABLE
        assert (state, T.SOME_FAILED) in SESSION_TABLE
    with pytest.raises(IllegalTransition):
        next_state(S.IDLE, T.ALL_DONE)


# -- a session ---------------------------------------------------------------------------------------------


def test_a_session_goes_through_its_steps_and_reports_every_rig() -> None:
    session = Session(*NAMES)
    steps = [session.agree()]
    session.reply_all()
    for trigger in (T.INIT, T.START, T.STOP, T.CLEANUP):
        steps.append(session.request(trigger))
        session.reply_all()
    assert [one.state for one in session.out if isinstance(one, Moved)] == [
        S.AGREEING,
        S.AGREED,
        S.INITIALIZING,
        S.INITIALIZED,
        S.STARTING,
        S.RUNNING,
        S.STOPPING,
        S.STOPPED,
        S.CLEANING,
        S.IDLE,
    ]
    for number in steps:
        assert session.finished(number).error is None
        assert tuple(session.finished(number).outcomes) == NAMES
    assert len([one for one in session.out if isinstance(one, Progressed)]) == 5 * len(NAMES)


def test_all_rigs_are_sent_a_step_at_once_and_stops_backwards() -> None:
    session = session_in(S.STARTING)
    assert [one.address.host for one in session.open.values()] == ["main", "cam", "ephys"]
    session.reply_all()
    session.request(T.STOP)
    assert [one.address.host for one in session.open.values()] == ["ephys", "cam", "main"]


def test_every_message_names_the_session_and_the_data_given_cannot_change_that() -> None:
    session = session_in(S.AGREED)
    session.request(T.INIT, exp_ref="2024-05-06_99_SP_99", more=1)
    assert write(session.now("cam").word) == Message(Event.EXPINIT, ({"exp_ref": str(REF), "more": 1},))
    session.reply_all()
    session.request(T.START, k=1)
    assert write(session.now("cam").word) == Message(Event.EXPSTART, (str(REF), {"k": 1}))
    session.reply_all()
    session.request(T.INTERRUPT, message="smoke")
    assert write(session.now("cam").word).args == ({"exp_ref": str(REF), "message": "smoke"},)
    assert session.machine.exp_ref == REF


def test_without_data_the_start_is_as_ibl_writes_it() -> None:
    assert write(session_in(S.STARTING).now("cam").word) == Message(Event.EXPSTART, (str(REF), None))


def test_each_step_has_its_own_limit() -> None:
    limits = Limits(agree=1, initialise=2, start=3, stop=4, cleanup=5)
    found = {
        state: session_in(state, limits=limits).now("main").limit
        for state in (S.AGREEING, S.INITIALIZING, S.STARTING, S.STOPPING, S.INTERRUPTING, S.CLEANING)
    }
    assert list(found.values()) == [1, 2, 3, 4, 4, 5]


def starting(*foreign: str, round_trip: int = 0) -> Session:
    """Return a session that starts on main, cam and ephys; those that are not foreign are multirigs."""
    session = Session("main", "cam", "ephys", limits=Limits(lead=100))
    for name in ("main", "cam", "ephys"):
        if name not in foreign:
            session.feed(Upgraded(address=address(name), boot=name, name=name))
    session.agree()
    session.reply_all()
    session.request(T.INIT)
    session.reply_all()
    for name in ("main", "cam"):
        session.feed(ClockRead(rig=name, at=0, offset=7, bound=1, drift=0.0, round_trip=round_trip))
    session.feed(StepRequested(number=99, trigger=T.START, data={"why": "now"}), at=1000)
    return session


def test_who_has_asked_is_for_the_journal_and_not_for_the_rigs() -> None:
    session = session_in(S.RUNNING)
    asked = StepRequested(number=98, trigger=T.STOP, data={"by": "ada", "why": "now"})
    session.feed(asked)
    assert write(session.now("main").word).args == ({"exp_ref": str(REF), "why": "now"},)
    assert any(isinstance(one, Record) and one.event == asked for one in session.out)


def test_all_rigs_are_told_the_same_instant_far_enough_ahead_for_the_slowest() -> None:
    session = starting(round_trip=30)
    told = [write(session.now(name).word).args for name in ("main", "cam", "ephys")]
    assert told == [(str(REF), {"why": "now", "start_at": 1000 + 100 + 60})] * 3
    assert session.now("cam").limit == session.machine.limits.start + 160
    assert Record(event=session.machine.clocks["cam"], at=0) in session.out


def test_a_peer_that_knows_no_instant_is_told_at_that_instant() -> None:
    session = starting("ephys")
    assert session.sends("ephys")[-1] is Event.EXPINIT
    assert session.machine.get_timer() is not None
    session.tick(1099)
    assert session.sends("ephys")[-1] is Event.EXPINIT
    session.tick(1100)
    assert write(session.now("ephys").word) == Message(Event.EXPSTART, (str(REF), {"why": "now"}))
    session.reply_all()
    assert session.state is S.RUNNING


def test_peers_among_themselves_are_started_at_once() -> None:
    session = starting("main", "cam", "ephys")
    assert {write(session.now(name).word).args[1].get("start_at") for name in ("main", "cam", "ephys")} == {
        None
    }


def test_an_interrupt_takes_back_what_was_to_be_told_later() -> None:
    session = starting("ephys")
    session.request(T.INTERRUPT)
    session.tick(1100)
    assert Event.EXPSTART not in session.sends("ephys")


def test_a_session_of_this_pc_alone_needs_no_rig() -> None:
    session = Session()
    session.agree(here=REF)
    for trigger in (T.INIT, T.START, T.STOP, T.CLEANUP):
        assert session.finished(session.request(trigger)).error is None
    assert session.state is S.IDLE


# -- agreeing ----------------------------------------------------------------------------------------------


def test_a_rig_that_does_not_answer_keeps_the_others_untouched() -> None:
    session = Session(*NAMES)
    number = session.agree()
    session.unreach("cam")
    session.reply_all()
    error = session.finished(number).error
    assert isinstance(error, SessionFailed)
    assert str(error) == (
        "agreement failed on cam (no rig has been touched)\n└─ cam: nothing listens there (udp://cam:11001)"
    )
    assert session.state is S.IDLE
    assert session.sends("main") == [Event.EXPINFO]


def test_rigs_that_do_not_agree_are_named_in_their_order_and_not_touched() -> None:
    session = Session(*NAMES)
    number = session.agree()
    for name in ("ephys", "cam", "main"):
        session.reply(name, well(session.now(name), name, leaders=("main", "ephys")))
    error = session.finished(number).error
    assert isinstance(error, SeveralMainSyncs)
    assert "main, ephys" in str(error)
    assert session.state is S.IDLE


def test_an_agreement_may_be_asked_for_again_since_nobody_has_been_touched() -> None:
    session = session_in(S.AGREED)
    number = session.agree()
    assert session.machine.exp_ref is None
    session.reply_all()
    assert session.finished(number).error is None
    assert session.machine.exp_ref == REF


def test_an_agreement_that_is_abandoned_sends_nothing() -> None:
    session = session_in(S.AGREED)
    number = session.request(T.ABANDON)
    assert session.finished(number).error is None
    assert session.state is S.IDLE
    assert not session.open


# -- failing -----------------------------------------------------------------------------------------------


def test_a_failed_initialisation_is_rolled_back_on_every_rig() -> None:
    session = session_in(S.AGREED)
    number = session.request(T.INIT)
    session.refuse("cam", "initialise: no camera")
    assert session.state is S.INITIALIZING
    session.reply_all()
    assert session.state is S.ROLLING_BACK
    session.reply_all()
    assert session.state is S.IDLE
    for name in NAMES:
        assert session.sends(name)[-2:] == [Event.EXPINIT, Event.EXPCLEANUP]
    assert str(session.finished(number).error) == (
        "initialise failed on cam (the other rigs were stopped and cleaned up)\n└─ cam: initialise: no camera"
    )


def test_a_failed_start_is_interrupted_and_rolled_back_on_every_rig() -> None:
    session = session_in(S.INITIALIZED)
    number = session.request(T.START)
    session.refuse("ephys")
    session.unreach("cam")
    session.reply_all()
    assert session.state is S.ABORTING
    session.reply_all()
    session.reply_all()
    assert session.state is S.IDLE
    for name in NAMES:
        assert session.sends(name)[-3:] == [Event.EXPSTART, Event.EXPINTERRUPT, Event.EXPCLEANUP]
    error = session.finished(number).error
    assert isinstance(error, SessionFailed)
    assert list(error.causes) == ["cam", "ephys"]
    assert isinstance(error.causes["cam"], RigUnreachable)


def test_a_roll_back_that_a_rig_does_not_confirm_is_said_so() -> None:
    session = session_in(S.ROLLING_BACK)
    session.time_out("ephys", confirmed=False)
    session.reply_all()
    error = str([one for one in session.out if isinstance(one, Finished)][-1].error)
    assert "not confirmed by ephys: look there" in error


def test_a_stop_completes_on_the_healthy_whatever_the_sick_do() -> None:
    session = session_in(S.RUNNING)
    number = session.request(T.STOP)
    session.time_out("cam", confirmed=False)
    session.unreach("ephys")
    session.reply_all()
    finished = session.finished(number)
    assert finished.error is None
    assert session.state is S.STOPPED
    assert isinstance(finished.outcomes["main"], Stopped)
    assert isinstance(finished.outcomes["cam"], Unconfirmed)
    assert isinstance(finished.outcomes["ephys"], RigUnreachable)


def test_a_rig_that_answers_the_stop_and_records_on_has_not_done_it() -> None:
    session = session_in(S.STOPPING)
    session.reply("cam", Message(Event.EXPEND, ({"status": 20},)))
    session.reply_all()
    assert session.state is S.STOPPED
    (error,) = [one.outcome for one in session.out if isinstance(one, Progressed) and one.rig == "cam"][-1:]
    assert str(error) == "says that it still records: stop it there"


def test_a_deaf_rig_gets_the_stop_when_it_is_back() -> None:
    for state in (S.STOPPING, S.INTERRUPTING, S.ABORTING):
        assert all(one.lasting for one in session_in(state).open.values())
    for state in (S.AGREEING, S.INITIALIZING, S.STARTING, S.CLEANING):
        assert not any(one.lasting for one in session_in(state).open.values())


@pytest.mark.parametrize(
    ("state", "args", "words"),
    [
        (S.INITIALIZING, ({"exp_ref": str(OTHER), "status": 10},), f"for {OTHER} instead of {REF}"),
        (S.INITIALIZING, ({"exp_ref": "junk"},), "for junk instead of"),
        (S.INITIALIZING, ({"status": 30},), "with status STOPPED"),
        (S.INITIALIZING, ({"status": "STOPPED"},), "with status STOPPED"),
        (S.INITIALIZING, ({"status": [1]},), "with status"),
        (S.STARTING, (str(OTHER), {"status": 20}), f"for {OTHER} instead of {REF}"),
        (S.STARTING, ({"date": "2024-05-06", "sequence": 9, "subject": "SP_01"},), "instead of"),
        (S.STARTING, (str(REF), {"status": 10}), "with status INITIALIZED"),
        (S.STARTING, (None, {"exp_ref": str(OTHER)}), f"for {OTHER} instead of"),
    ],
)
def test_an_answer_of_another_session_or_status_is_an_error_of_that_rig(
    state: S, args: tuple[Any, ...], words: str
) -> None:
    session = session_in(state)
    session.reply("cam", Message(EVENT_OF[state], args))
    session.reply_all()
    assert session.state in (S.ABORTING, S.ROLLING_BACK)
    session.reply_all()
    session.reply_all()
    error = [one for one in session.out if isinstance(one, Finished)][-1].error
    assert isinstance(error, SessionFailed)
    assert list(error.causes) == ["cam"]
    assert isinstance(error.causes["cam"], RemoteProtocolError)
    assert words in str(error.causes["cam"])


@pytest.mark.parametrize(
    ("state", "args"),
    [
        (S.INITIALIZING, ()),
        (S.INITIALIZING, (None,)),
        (S.INITIALIZING, ({"status": "initialized"},)),
        (S.INITIALIZING, ({"exp_ref": "2024-05-06_002_SP_01"},)),
        (S.INITIALIZING, ({"exp_ref": {"date": "2024-05-06", "sequence": 2, "subject": "SP_01"}},)),
        (S.STARTING, ()),
        (S.STARTING, ("2024-05-06_002_SP_01", None)),
        (S.STARTING, ({"date": "2024-05-06", "sequence": 2, "subject": "SP_01"}, {"status": "RUNNING"})),
        (S.STARTING, (17, [1])),
    ],
)
def test_an_answer_in_a_peers_own_words_is_taken(state: S, args: tuple[Any, ...]) -> None:
    session = session_in(state)
    session.reply("cam", Message(EVENT_OF[state], args))
    session.reply_all()
    assert session.state in (S.INITIALIZED, S.RUNNING)


# -- unknown is an outcome ---------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [str(REF), "2024-05-06_002_SP_01"])
def test_a_rig_whose_answer_is_missing_is_asked_and_believed(named: str) -> None:
    session = session_in(S.STARTING)
    session.time_out("cam")
    assert write(session.now("cam").word).event is Event.EXPSTATUS
    session.reply("cam", Message(Event.EXPSTATUS, (20, {"state": "running", "exp_ref": named})))
    session.reply_all()
    assert session.state is S.RUNNING


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((10, {"state": "starting", "exp_ref": str(REF)}), "says that it is starting"),
        ((20, {"state": "running", "exp_ref": str(OTHER)}), "says that it is running"),
        ((20,), "says that it is RUNNING"),
        ((), "says that it is ?"),
    ],
)
def test_a_rig_that_is_not_where_it_should_be_has_failed(args: tuple[Any, ...], words: str) -> None:
    session = session_in(S.STARTING)
    session.time_out("cam")
    out = session.reply("cam", Message(Event.EXPSTATUS, args))
    [news] = [one for one in out if isinstance(one, Progressed)]
    assert isinstance(news.outcome, Unconfirmed)
    assert words in str(news.outcome)


@pytest.mark.parametrize(
    ("confirmed", "words"), [(True, "did not answer within 35 s"), (False, "does not hear EXPSTART")]
)
def test_a_rig_that_does_not_say_either_is_judged_by_what_is_known(confirmed: bool, words: str) -> None:
    session = session_in(S.STARTING)
    session.time_out("cam", confirmed=confirmed)
    [news] = [one for one in session.time_out("cam", confirmed=False) if isinstance(one, Progressed)]
    assert isinstance(news.outcome, Unconfirmed)
    assert words in str(news.outcome)


def test_the_answer_that_comes_late_but_before_the_status_counts_and_is_told_once() -> None:
    session = session_in(S.STARTING)
    late = session.now("cam")
    session.time_out("cam")
    session.feed(Replied(address=late.address, key=late.key, word=hear_rig(well(late, "cam"))))
    session.reply("cam", Message(Event.EXPSTATUS, (10, {"state": "starting"})))
    session.reply_all()
    assert session.state is S.RUNNING
    told = [one for one in session.out if isinstance(one, Progressed) and one.event is Event.EXPSTART]
    assert sorted(one.rig for one in told) == sorted(NAMES)


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING, S.STOPPING, S.CLEANING])
def test_a_rig_that_was_restarted_is_asked_again_once(state: S) -> None:
    session = session_in(state)
    again = [one for one in session.refuse("cam", RESTARTED) if isinstance(one, Send)]
    assert [(one.address, write(one.word).event) for one in again] == [(address("cam"), EVENT_OF[state])]
    assert session.state is state
    session.refuse("cam", RESTARTED)
    session.reply_all()
    assert session.state is not state


# -- interrupting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING, S.STOPPING])
def test_an_interrupt_overtakes_the_step_that_goes_on_and_ends_it_for_whoever_waits(state: S) -> None:
    session = session_in(state)
    session.reply("main")
    overtaken = list(session.open.values())
    session.request(T.INTERRUPT, message="smoke")
    cut_short = [one for one in session.out if isinstance(one, Finished)][-1]
    assert isinstance(cut_short.error, SessionFailed)
    assert str(cut_short.error) == f"{state} failed (it was interrupted)"
    assert list(cut_short.outcomes) == ["main"]
    interrupts = [one for one in session.open.values() if write(one.word).event is Event.EXPINTERRUPT]
    assert all(one.overtakes for one in interrupts)
    for one in overtaken:
        session.feed(Replied(address=one.address, key=one.key, word=hear_rig(well(one, one.address.host))))
        del session.open[one.key]
    assert session.state is S.INTERRUPTING
    session.reply_all()
    assert session.state is S.STOPPED


def test_only_an_interrupt_overtakes() -> None:
    for state in (S.INITIALIZING, S.STARTING, S.STOPPING, S.CLEANING):
        assert not any(one.overtakes for one in session_in(state).open.values())


# -- questions ---------------------------------------------------------------------------------------------


def test_a_question_brings_every_rigs_answer_and_does_not_move_the_session() -> None:
    session = session_in(S.RUNNING)
    number = session.ask(Message(Event.EXPSTATUS, (0,)))
    session.unreach("cam")
    session.reply_all()
    assert list(session.finished(number).outcomes) == list(NAMES)
    assert isinstance(session.finished(number).outcomes["cam"], RigUnreachable)
    assert session.state is S.RUNNING


def test_a_question_may_go_to_some_and_to_nobody() -> None:
    session = session_in(S.IDLE)
    number = session.ask(Message(Event.EXPSTATUS, (0,)), ("cam", "cam"))
    assert list(session.open) == [(number, "cam")]
    assert session.finished(session.ask(Message(Event.EXPSTATUS), ())).outcomes == {}


def test_questions_are_not_written_down_nor_are_their_late_answers_since_they_may_hold_a_token() -> None:
    session = session_in(S.RUNNING)
    session.ask(Message(Event.ALYX, (None, {})), ("cam",))
    send = session.now("cam")
    out = session.time_out("cam")
    token = Message(Event.ALYX, ("https://alyx", {"token": "abc"}))
    out += session.feed(Replied(address=send.address, key=send.key, word=hear_rig(token)))
    assert not [one for one in out if isinstance(one, Record)]


def test_an_interrupting_question_overtakes() -> None:
    session = session_in(S.IDLE)
    session.ask(Message(Event.EXPINTERRUPT, ({},)))
    assert all(one.overtakes for one in session.open.values())


# -- what rigs say by themselves ---------------------------------------------------------------------------


def say(session: Session, name: str, event: Event, *args: Any) -> list[Any]:
    token = Token(address(name), 2, 1, "boot")
    return session.feed(Received(address=address(name), word=hear_rig(Message(event, args)), token=token))


def test_what_a_rig_says_is_told_with_its_name_and_written_down() -> None:
    out = say(session_in(S.RUNNING), "cam", Event.EXPSTATUS, 30, {"failure": "the cable is out"})
    assert [type(one) for one in out] == [Record, Settle, Heard]
    assert out[-1].rig == "cam"


def test_a_stranger_is_told_by_its_address() -> None:
    assert say(session_in(S.RUNNING), "x", Event.EXPSTATUS, 0)[-1].rig == "udp://x:11001"


@pytest.mark.parametrize(
    ("state", "status", "exp_ref"),
    [(S.RUNNING, 20, str(REF)), (S.INITIALIZED, 0, str(REF)), (S.IDLE, 0, None)],
)
def test_whoever_asks_is_told_of_the_session(state: S, status: int, exp_ref: str | None) -> None:
    session = session_in(S.CLEANING) if state is S.IDLE else session_in(state)
    if state is S.IDLE:
        session.reply_all()
    out = say(session, "cam", Event.EXPINFO, 0, {})
    [answer] = [write(one.word) for one in out if isinstance(one, Reply)]
    assert answer == Message(Event.EXPINFO, (status, {"exp_ref": exp_ref, "main_sync": False}))


def test_what_may_answer_our_answer_is_not_answered_so_that_two_do_not_inform_each_other_for_ever() -> None:
    session = session_in(S.RUNNING)
    kinds = [type(one) for _ in range(3) for one in say(session, "cam", Event.EXPINFO, 0, {})]
    assert kinds == [Record, Reply, Heard, *2 * [Record, Settle, Heard]]
    assert Reply in [type(one) for one in say(session, "ephys", Event.EXPINFO, 0, {})]
    token = Token(address("cam"), 1, 9)
    again = Received(address=address("cam"), word=hear_rig(Message(Event.EXPINFO, (0, {}))), token=token)
    assert Reply in [type(one) for one in session.machine.handle(again, INFORMED_FOR)]


def test_the_token_is_shared_with_those_who_may_have_it_and_never_written_down() -> None:
    session = session_in(S.RUNNING, token_to="cam")
    out = say(session, "main", Event.ALYX, "https://alyx", {"user": {"token": "abc"}})
    [given] = [one for one in say(session, "cam", Event.ALYX, None, {}) if isinstance(one, Reply)]
    assert write(given.word).args == ("https://alyx", {"user": {"token": "abc"}})
    refused = say(session, "ephys", Event.ALYX, None, {})
    [denied] = [write(one.word).args[0] for one in refused if isinstance(one, Fail)]
    assert "ephys may not be given the Alyx token" in denied
    assert "abc" not in str([one for one in out + refused if isinstance(one, Record)])


# -- any sequence of events --------------------------------------------------------------------------------

NEXT: Mapping[SessionState, set[SessionState]] = {
    state: {to for (one, _), to in SESSION_TABLE.items() if one is state} for state in S
}
requests = st.sampled_from([T.ABANDON, T.INIT, T.START, T.STOP, T.INTERRUPT, T.CLEANUP])
kinds = st.sampled_from(
    ["well"] * 6
    + ["led", "misled", "other", "status", "garbage", "running", "refused", "silent", "deaf", "gone"]
)


def answered(send: Send, name: str, kind: str) -> Any:
    """Return what becomes of a message, well or badly."""
    where: dict[str, Any] = {"address": send.address, "key": send.key}
    event = write(send.word).event
    match kind:
        case "refused":
            return Refused(reason="no light", **where)
        case "silent" | "deaf":
            return TimedOut(confirmed=kind == "silent", **where)
        case "gone":
            return Unreached(reason="nothing listens there", **where)
        case "led" | "misled":
            message = well(send, name, leaders=(name,) if kind == "led" else ())
        case "other":
            message = well(send, name, OTHER)
        case "status":
            message = Message(event, ({"status": 30},))
        case "garbage":
            message = Message(event, ([1], None, "x"))
        case "running":
            leads = {"main_sync": name == "main", "exp_ref": str(REF)}
            message = Message(event, (20, {"state": "running", **leads}))
        case _:
            message = well(send, name)
    return Replied(word=hear_rig(message), **where)


class AnySequence(RuleBasedStateMachine):
    """Whatever is asked, answered, refused, lost and repeated: the rules of the session hold."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = SessionMachine(may_have_token=frozenset(["cam"]))
        self.shadow = SessionMachine()
        self.state = S.IDLE
        self.numbers = itertools.count(1)
        self.requested: list[int] = []
        self.finished: dict[int, Finished] = {}
        self.open: dict[Any, Send] = {}
        self.sent: list[Send] = []
        self.answers: dict[str, Any] = {}
        self.here: ExpRef | None = None
        self.spared: set[str] = set()
        self.told: dict[str, list[Event]] = {}
        self.proven: set[str] = set()
        self.settled: dict[Token, int] = {}

    @initialize(count=st.integers(0, 4), steps=st.integers(0, 10))
    def rigs(self, count: int, steps: int) -> None:
        self.names = ["main", "cam", "ephys", "photometry"][:count]
        self.feed(RigsChosen(rigs={name: address(name) for name in self.names}))
        for _ in range(steps):
            self.forward()

    def feed(self, event: Any) -> list[Any]:
        out = list(self.machine.handle(event, 0))
        for one in out:
            self.take(one)
        for one in out:  # what was written down is all that matters
            if isinstance(one, Record):
                list(self.shadow.handle(one.event, one.at))
        if self.state in EVENT_OF and not self.open:  # an IBL peer may clean up still: then it is waited for
            for one in self.machine.handle_timer(60 * SECOND):
                if not isinstance(one, Send) or one.key is not None:
                    self.take(one)
        return out

    def take(self, action: Any) -> None:
        match action:
            case Moved(state=state):
                assert state in NEXT[self.state]
                self.move(state)
            case Send(word=word):
                key: Any = action.key
                message = write(word)
                if message.event is Event.EXPSTART:
                    claims = [info.main_sync for info in self.answers.values()]
                    assert sum(claims) + (self.here is not None) == 1
                if message.event is Event.EXPINTERRUPT:
                    assert action.overtakes
                if key[0] < 0 and len(key) == 2:  # a step, and no question
                    self.told.setdefault(key[1], []).append(message.event)
                    assert action.lasting is (message.event in (Event.EXPEND, Event.EXPINTERRUPT))
                    assert key[1] not in self.spared or message.event in (Event.EXPINIT, Event.EXPSTART)
                assert key not in {one.key for one in self.sent}
                self.open[key] = action
                self.sent.append(action)
            case Finished(number=number, error=error):
                assert number in self.requested
                assert number not in self.finished
                self.finished[number] = action
                if isinstance(error, SessionFailed):
                    assert set(error.causes) <= set(self.names)
                    rolled_back = {
                        "start": [Event.EXPSTART, Event.EXPINTERRUPT, Event.EXPCLEANUP],
                        "initialise": [Event.EXPINIT, Event.EXPCLEANUP],
                    }
                    for name in self.names if error.step in rolled_back else ():
                        events = rolled_back[error.step]
                        assert self.told[name] == (events[:1] if name in self.spared else events)
            case Reply(token=token) | Fail(token=token) | Settle(token=token):
                self.settled[token] += 1

    def move(self, state: SessionState) -> None:
        before, self.state = self.state, state
        if state in (S.INITIALIZING, S.STARTING):
            self.told, self.proven = {}, set()
        if state is S.AGREEING:
            self.answers, self.spared = {}, set()
        if state is S.AGREED:
            self.spared = {name for name, one in self.answers.items() if one.status is Status.RUNNING}
        if state is S.RUNNING:
            self.spared = set()
        if before is S.STARTING and state is S.RUNNING:
            assert self.proven == set(self.names)

    # what is asked of it

    @rule(here=st.sampled_from([None, None, REF]))
    def agree(self, here: ExpRef | None) -> None:
        number = self.new_number()
        if (self.state, T.AGREE) in SESSION_TABLE:
            self.here = here
        request = AgreeRequested(number=number, subject="SP_01", date=DATE, ask=AskInfo(), here=here)
        self.judged(number, T.AGREE, lambda: self.feed(request))

    @rule(trigger=requests)
    def request(self, trigger: SessionTrigger) -> None:
        number = self.new_number()
        self.judged(number, trigger, lambda: self.feed(StepRequested(number=number, trigger=trigger)))

    @rule()
    def forward(self) -> None:
        """What a session does that goes well."""
        if self.state in EVENT_OF:
            for send in list(self.open.values()):
                self.outcome(send, "well")
        elif self.state is S.IDLE:
            self.agree(here=None if "main" in self.names else REF)
        else:
            self.request(
                {S.AGREED: T.INIT, S.INITIALIZED: T.START, S.RUNNING: T.STOP, S.STOPPED: T.CLEANUP}[
                    self.state
                ]
            )

    def judged(self, number: int, trigger: SessionTrigger, feed: Any) -> None:
        before, exp_ref, legal = self.state, self.machine.exp_ref, (self.state, trigger) in SESSION_TABLE
        out = feed()
        if not legal:
            assert isinstance(self.finished[number].error, IllegalTransition)
            assert {type(one) for one in out} == {Record, Finished}
            assert (self.machine.state, self.machine.exp_ref) == (before, exp_ref)

    def new_number(self) -> int:
        self.requested.append(next(self.numbers))
        return self.requested[-1]

    @rule(event=st.sampled_from([Event.EXPSTATUS, Event.EXPINTERRUPT, Event.ALYX]))
    def ask(self, event: Event) -> None:
        before = self.machine.state
        self.feed(AskRequested(number=self.new_number(), word=hear_verbatim(Message(event, (0,)))))
        assert self.machine.state is before

    # what becomes of what it sent

    def outcome(self, send: Send, kind: str) -> None:
        name = send.address.host
        event = answered(send, name, kind)
        of_step = self.open.pop(send.key, None) is not None and self.is_current(send)
        if of_step and isinstance(event, Replied):
            if write(send.word).event is Event.EXPINFO:
                self.answers[name] = event.word
            if kind in ("well", "led", "misled", "garbage") and write(send.word).event is Event.EXPSTART:
                self.proven.add(name)
            if kind == "running" and write(send.word).event is Event.EXPSTATUS:
                self.proven.add(name)
            if kind == "running" and write(send.word).event is Event.EXPSTART:
                self.proven.add(name)
        self.feed(event)

    def is_current(self, send: Send) -> bool:
        expected = EVENT_OF.get(self.state)
        key: Any = send.key
        return len(key) == 3 or write(send.word).event is expected

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 11), kind=kinds)
    def one_outcome(self, which: int, kind: str) -> None:
        waiting = list(self.open.values())
        self.outcome(waiting[which % len(waiting)], kind)

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 200), kind=kinds)
    def once_more(self, which: int, kind: str) -> None:
        """The outcome of something that has had its outcome: of no effect."""
        send = self.sent[-1 - which % len(self.sent)]
        if send.key in self.open or self.may_still_answer(send):
            return
        before = self.machine.state, self.machine.exp_ref, len(self.finished)
        out = self.feed(answered(send, send.address.host, kind))
        assert {type(one) for one in out} <= {Record}
        assert (self.machine.state, self.machine.exp_ref, len(self.finished)) == before

    def may_still_answer(self, send: Send) -> bool:
        """Whether a command has timed out, and its rig is being asked for its status now."""
        asked: Any = send.key
        keys: list[Any] = list(self.open)
        return any(len(key) == 3 and key[:2] == asked[:2] for key in keys)

    @rule(
        key=st.sampled_from(
            [None, 3, "x", (), (1,), ("x", "y"), (-1, "cam"), (-5, "stranger"), (2**40, "cam")]
        )
    )
    def unknown_key(self, key: Any) -> None:
        before = self.machine.state, len(self.finished)
        self.feed(Refused(address=address("cam"), key=key, reason="what?"))
        assert (self.machine.state, len(self.finished)) == before

    @rule(number=st.integers(1, 80))
    def unknown_rig(self, number: int) -> None:
        """A key of a step with a name that is none of its rigs."""
        before = self.machine.state, len(self.finished)
        self.feed(Refused(address=address("cam"), key=(-number, "stranger"), reason="what?"))
        assert (self.machine.state, len(self.finished)) == before

    # what rigs say by themselves

    @rule(
        name=st.sampled_from(["main", "cam", "stranger"]),
        event=st.sampled_from([Event.EXPINFO, Event.EXPSTATUS, Event.ALYX, Event.EXPSTART, Event.ERROR]),
        args=st.sampled_from([(), (0,), (0, {}), (None, {"token": "secret"}), ([1], None)]),
    )
    def said(self, name: str, event: Event, args: tuple[Any, ...]) -> None:
        token = Token(address(name), 2, next(self.numbers), "boot")
        self.settled[token] = 0
        before = self.machine.state
        out = self.feed(Received(address=address(name), word=hear_rig(Message(event, args)), token=token))
        assert self.settled[token] == 1
        assert self.machine.state is before
        if event is Event.ALYX:
            assert "secret" not in str([one for one in out if isinstance(one, Record)])

    # what always holds

    @invariant()
    def what_was_written_down_gives_the_same_session(self) -> None:
        assert self.shadow.state is self.machine.state is self.state
        assert self.shadow.exp_ref == self.machine.exp_ref

    @invariant()
    def who_leads_a_session_knows_which(self) -> None:
        if self.state not in (S.IDLE, S.AGREEING):
            assert self.machine.exp_ref is not None

    @invariant()
    def a_step_that_goes_on_waits_for_somebody(self) -> None:
        if self.state in EVENT_OF:
            assert self.open

    def teardown(self) -> None:
        for _ in range(10):
            for send in list(self.open.values()):
                self.outcome(send, "well")
        assert not self.open
        assert self.state not in EVENT_OF
        assert sorted(self.finished) == self.requested


AnySequence.TestCase.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
TestAnySequence = AnySequence.TestCase


def joined(state: SessionState) -> Session:
    """Return a session whose main sync was recording before, in a state."""
    session = Session(*NAMES)
    session.agree()
    session.reply("main", Message(Event.EXPINFO, (20, {"main_sync": True, "exp_ref": str(REF)})))
    session.reply_all()
    assert session.machine.joins
    for trigger in WAYS[state][2:]:
        if trigger is T.ALL_DONE and session.state is S.INITIALIZING:
            session.reply("main", Message(Event.EXPINIT, ({"exp_ref": str(REF), "status": 20},)))
        walk(session, trigger)
    return session


def test_a_main_sync_that_records_already_is_joined() -> None:
    assert joined(S.RUNNING).state is S.RUNNING


@pytest.mark.parametrize("state", [S.AGREED, S.INITIALIZING, S.INITIALIZED, S.STARTING])
def test_what_was_recording_before_is_not_stopped_by_an_interrupt_of_the_beginning(state: S) -> None:
    session = joined(state)
    session.request(T.INTERRUPT)
    session.reply_all()
    session.request(T.CLEANUP)
    session.reply_all()
    assert session.state is S.IDLE
    assert not {Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP} & set(session.sends("main"))
    assert Event.EXPCLEANUP in session.sends("cam")


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING])
def test_what_was_recording_before_is_not_stopped_by_a_failed_beginning(state: S) -> None:
    session = joined(state)
    number = session.machine._requested
    assert number is not None
    session.refuse("cam")
    session.reply("main", Message(Event.EXPINIT, ({"status": 20},)) if state is S.INITIALIZING else None)
    session.reply_all()
    session.reply_all()
    session.reply_all()
    assert session.state is S.IDLE
    assert not {Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP} & set(session.sends("main"))
    assert "main was recording before and goes on" in str(session.finished(number).error)


def test_once_the_session_runs_what_was_joined_is_stopped_with_the_others() -> None:
    session = joined(S.RUNNING)
    session.request(T.STOP)
    assert Event.EXPEND in session.sends("main")


# -- what could not be handled here ------------------------------------------------------------------------


def test_a_complaint_goes_to_the_rig_that_is_concerned_and_nobody_waits_for_an_answer() -> None:
    session = Session("main", "cam")
    (sent,) = session.feed(Complained(rig="cam", event=Event.EXPSTATUS, reason="ValueError: boom"))
    assert sent.address == address("cam")
    assert write(sent.word) == Message(Event.ERROR, ("ValueError: boom", 32))
    assert not sent.needs_reply
    assert sent.key is None


def test_a_complaint_about_nobody_is_dropped() -> None:
    assert Session("main").feed(Complained(rig="ephys", event=Event.EXPINFO, reason="boom")) == []


def test_each_answer_to_a_question_is_told_as_it_comes() -> None:
    session = Session("main", "cam")
    session.feed(AskRequested(number=1, word=hear_verbatim(Message(Event.EXPSTATUS, (0,)))))
    sends = list(session.open.values())
    told = []
    for send in sends:
        answer = Message(Event.EXPSTATUS, (0, {}))
        told.append(session.feed(Replied(address=send.address, key=send.key, word=hear_rig(answer))))
    assert [[type(one) for one in some] for some in told] == [[Progressed], [Progressed, Finished]]
    assert [some[0].rig for some in told] == ["main", "cam"]


# -- what rigs mean to the session --------------------------------------------------------------------------

OPTIONAL = {"cam": RigPolicy(role=Role.OPTIONAL)}
ESSENTIAL = {"cam": RigPolicy(role=Role.ESSENTIAL)}


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING])
def test_a_session_begins_without_an_optional_rig_that_fails(state: S) -> None:
    session = session_in(state, policies=OPTIONAL)
    session.refuse("cam")
    session.reply_all()
    assert session.state in (S.INITIALIZED, S.RUNNING)
    if state is S.INITIALIZING:
        session.request(T.START)
        assert Event.EXPSTART not in session.sends("cam"), "what is not ready is not started"
        session.reply_all()
    session.request(T.STOP)
    assert session.sends("cam")[-1] is Event.EXPEND, "but it is stopped: nobody knows what it has begun"


def test_an_optional_rig_that_is_not_there_takes_no_part() -> None:
    session = session_in(S.AGREEING, policies=OPTIONAL)
    session.unreach("cam")
    session.reply_all()
    assert session.state is S.AGREED
    session.request(T.INIT)
    session.reply_all()
    assert session.state is S.INITIALIZED
    assert session.sends("cam") == [Event.EXPINFO]


@pytest.mark.parametrize("role", [Role.ESSENTIAL, Role.EXPECTED])
def test_nothing_begins_without_any_other_rig(role: Role) -> None:
    session = session_in(S.INITIALIZING, policies={"cam": RigPolicy(role=role)})
    session.refuse("cam")
    session.reply_all()
    assert session.state is S.ROLLING_BACK


def test_each_rig_may_have_time_limits_of_its_own() -> None:
    session = session_in(S.INITIALIZING, policies={"cam": RigPolicy(initialise=90 * SECOND)})
    assert {name: session.now(name).limit for name in NAMES} == {
        "main": 35 * SECOND,
        "cam": 90 * SECOND,
        "ephys": 35 * SECOND,
    }
    session.time_out("cam")
    session.reply("cam", Message(Event.EXPSTATUS, (0, {"state": "initialising"})))
    [news] = [one for one in session.out if isinstance(one, Progressed) and one.rig == "cam"][-1:]
    assert "within 90 s" in str(news.outcome)


AFTER = {"cam": RigPolicy(after=("main",)), "ephys": RigPolicy(after=("cam", "not chosen today"))}


def asked(session: Session) -> list[str]:
    """Return who is asked now."""
    return [key[1] for key in session.open]


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING])
def test_a_rig_is_asked_after_those_that_it_waits_for(state: S) -> None:
    session = session_in(S.AGREED, policies=AFTER)
    session.request(T.INIT)
    if state is S.STARTING:
        for name in NAMES:
            session.reply(name)
        session.request(T.START)
    for name in NAMES:
        assert asked(session) == [name]
        session.reply(name)
    assert session.state in (S.INITIALIZED, S.RUNNING)


def ordered_session(state: S) -> Session:
    session = session_in(S.AGREED, policies=AFTER)
    for trigger in (T.INIT, T.START, T.STOP)[: 3 if state is S.STOPPING else 2]:
        session.request(trigger)
        if trigger is not T.STOP:
            for name in NAMES:
                session.reply(name)
    assert session.state is state
    return session


def test_nobody_else_is_asked_where_one_has_failed_and_all_are_cleaned_up() -> None:
    session = session_in(S.AGREED, policies=AFTER)
    session.request(T.INIT)
    session.reply("main")
    session.refuse("cam")
    assert session.state is S.ROLLING_BACK
    assert Event.EXPINIT not in session.sends("ephys")
    assert sorted(asked(session)) == sorted(NAMES)


def test_whoever_began_last_is_stopped_first() -> None:
    session = ordered_session(S.STOPPING)
    for name in reversed(NAMES):
        assert asked(session) == [name]
        session.reply(name)
    assert session.state is S.STOPPED


def test_a_sick_rig_holds_up_the_stop_of_the_others_for_five_seconds_at_most() -> None:
    session = ordered_session(S.STOPPING)
    session.tick(4 * SECOND)
    assert asked(session) == ["ephys"]
    session.tick(5 * SECOND)
    assert asked(session) == ["ephys", "cam"]
    session.tick(10 * SECOND)
    assert asked(session) == ["ephys", "cam", "main"]


def test_an_interrupt_waits_for_nobody() -> None:
    session = ordered_session(S.RUNNING)
    session.request(T.INTERRUPT)
    assert asked(session) == ["ephys", "cam", "main"]


def test_rigs_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="main, cam wait for each other"):
        Session(
            "main", "cam", policies={"main": RigPolicy(after=("cam",)), "cam": RigPolicy(after=("main",))}
        )


# -- heartbeats ---------------------------------------------------------------------------------------------


def running(**options: Any) -> Session:
    """Return a session that records, with rigs that send heartbeats."""
    session = Session(*NAMES, **options)
    for name in NAMES:
        session.feed(Upgraded(address=address(name), boot=name, name=name))
    for trigger in WAYS[S.RUNNING]:
        walk(session, trigger)
    assert session.state is S.RUNNING
    return session


def hear(session: Session, name: str, at: int, state: str = "running", **news: Any) -> list[Any]:
    data = {"state": state, "exp_ref": str(REF), "failure": None, "stalled": None, "gap": None, **news}
    message = Message(Event.EXPSTATUS, (20, data))
    return session.feed(Told(address=address(name), word=hear_rig(message), boot=name), at)


def noticed(session: Session) -> list[tuple[str, Notice]]:
    return [(one.rig, one.notice) for one in session.out if isinstance(one, Noticed)]


def test_every_rig_is_told_every_quarter_of_a_second_what_the_session_does() -> None:
    assert session_in(S.AGREED).machine.get_timer() is None
    session = session_in(S.INITIALIZING)
    assert session.machine.get_timer() == 0
    beats = session.tick(0)
    assert [one.address for one in beats if isinstance(one, Tell)] == [address(name) for name in NAMES]
    assert write(beats[0].word).args[1] == {"state": "initialising", "exp_ref": str(REF)}
    assert session.machine.get_timer() == SECOND // 4


def test_nothing_is_told_any_more_once_the_session_is_over() -> None:
    session = session_in(S.STOPPED)
    session.request(T.CLEANUP)
    session.reply_all()
    assert session.state is S.IDLE
    assert session.machine.get_timer() is None


def watch_until(session: Session, end: int, *, dead: str = "", since: int = 0) -> None:
    """Let time go by, with every rig's heartbeat four times a second, but for one that has died."""
    for at in range(0, end, SECOND // 4):
        for name in NAMES:
            if name != dead or at < since:
                hear(session, name, at)
        session.tick(at)


def test_a_dead_rig_is_noticed_within_two_seconds_and_given_up_after_fifteen() -> None:
    session = running()
    watch_until(session, 3 * SECOND, dead="cam", since=SECOND)
    assert noticed(session) == [("cam", Notice.SILENT)]
    session = running()
    watch_until(session, 20 * SECOND, dead="cam", since=SECOND)
    assert noticed(session) == [("cam", Notice.SILENT), ("cam", Notice.LOST)]
    assert session.state is S.RUNNING, "the others go on"


def test_a_rig_that_is_heard_again_is_back() -> None:
    session = running()
    watch_until(session, 4 * SECOND, dead="cam", since=SECOND)
    hear(session, "cam", 4 * SECOND)
    assert noticed(session) == [("cam", Notice.SILENT), ("cam", Notice.BACK)]


def test_a_leading_pc_that_stood_still_says_so_and_nothing_against_the_rigs() -> None:
    session = running()
    watch_until(session, 4 * SECOND)
    session.tick(10 * SECOND)
    assert noticed(session) == [(THIS_PC, Notice.FOUND)]
    [told] = [one for one in session.out if isinstance(one, Noticed)]
    assert told.text.startswith("it stood still for 6 s")
    for rig in NAMES:
        hear(session, rig, 10 * SECOND)
    session.tick(10 * SECOND + SECOND // 4)
    assert noticed(session) == [(THIS_PC, Notice.FOUND)]


def test_a_rig_that_is_silent_after_its_pc_stood_still_is_told_in_its_time() -> None:
    session = running()
    watch_until(session, 4 * SECOND)
    session.tick(10 * SECOND)
    for at in range(10 * SECOND, 14 * SECOND, SECOND // 4):
        session.tick(at)
    assert (THIS_PC, Notice.FOUND) in noticed(session)
    assert ("cam", Notice.SILENT) in noticed(session)


def test_a_confirmation_is_a_sign_of_life_too() -> None:
    session = running()
    hear(session, "cam", 0)
    session.feed(Confirmed(address=address("cam"), key="x"), 3 * SECOND)
    watch = session.machine.watch
    assert "cam" not in [one.rig for one in watch.check(4 * SECOND)]


@pytest.mark.parametrize(
    ("news", "notice"),
    [
        ({"state": "broken", "failure": "the cable is out"}, Notice.BROKEN),
        ({"state": "failing", "failure": "the cable is out"}, Notice.BROKEN),
        ({"state": "connected", "exp_ref": None}, Notice.STOPPED),
        ({"stalled": 11.0}, Notice.STALLED),
        ({"taken_over_by": "PC two"}, Notice.TAKEN_OVER),
    ],
)
def test_what_a_rig_says_of_itself_is_noticed_once_and_written_down(news: Any, notice: Notice) -> None:
    session = running()
    hear(session, "cam", 0)
    hear(session, "cam", 1, **news)
    hear(session, "cam", 2, **news)
    assert noticed(session) == [("cam", notice)]
    assert [
        one.event.notice for one in session.out if isinstance(one, Record) and isinstance(one.event, Noticed)
    ]


def test_each_thing_that_a_rig_has_found_is_noticed_once() -> None:
    dark = {"level": "warning", "kind": "camera", "text": "right gives nothing"}
    full = {"level": "alarm", "kind": "disk", "text": "the disk is nearly full"}
    good_to_know = {"level": "note", "kind": "camera", "text": "left was opened again"}
    session = running()
    for at in range(4):
        hear(session, "cam", at, findings=[good_to_know, dark, full])
    hear(session, "cam", 4)
    hear(session, "cam", 5, findings=[dark])
    assert noticed(session) == [("cam", Notice.FOUND), ("cam", Notice.FOUND)]


def test_what_a_rig_has_found_is_noticed_once_though_it_counts_on_and_knows_the_clock_better() -> None:
    session = running()
    for at in range(4):
        dark = {"level": "warning", "kind": "camera", "text": f"right lost {at} of {30 * at} frames"}
        hear(session, "cam", at, findings=[{**dark, "at": 100 + at / 1000}])
    assert noticed(session) == [("cam", Notice.FOUND)]
    hear(session, "cam", 5, findings=[{**dark, "at": 104.0}])
    hear(session, "cam", 6, findings=[{**dark, "at": 104.0, "text": "left lost 3 of 90 frames"}])
    assert noticed(session) == [("cam", Notice.FOUND)] * 3, "later, and another one"


def test_old_heartbeats_from_before_the_recording_alarm_nobody() -> None:
    session = running()
    for at in range(3):
        hear(session, "cam", at, state="initialised")
    assert noticed(session) == []
    hear(session, "cam", 3, state="initialised")
    assert noticed(session) == [("cam", Notice.STOPPED)]


def test_what_has_stalled_and_grows_again_is_told() -> None:
    session = running()
    hear(session, "cam", 0, stalled=12.0)
    hear(session, "cam", 1)
    assert noticed(session) == [("cam", Notice.STALLED), ("cam", Notice.GROWING)]


def test_a_disk_is_told_once_before_it_is_full_and_once_when_it_is() -> None:
    session = running()
    for at, (hours, free) in enumerate(
        [
            (2.0, 9e9),
            (0.9, 4e9),
            (0.8, 3e9),
            (0.09, 3e8),
            (0.08, 2e8),
            (0.0, 0),
            (0.0, 0),
            (5.0, 9e9),
            (0.9, 4e9),
        ]
    ):
        hear(session, "cam", at, hours_left=hours, disk_free=int(free))
    assert noticed(session) == [("cam", notice) for notice in (*[Notice.DISK] * 3, Notice.ROOM, Notice.DISK)]


def test_a_disk_that_lasts_until_the_planned_end_is_no_news() -> None:
    for seconds, is_told in ((600.0, False), (7200.0, True)):
        session = running(seconds=seconds)
        hear(session, "cam", 0, hours_left=0.9, disk_free=10**9)
        assert noticed(session) == ([("cam", Notice.DISK)] if is_told else [])


def test_everything_is_interrupted_once_an_essential_rig_is_lost() -> None:
    session = running(policies=ESSENTIAL)
    watch_until(session, 20 * SECOND, dead="cam", since=SECOND)
    assert session.state is S.INTERRUPTING
    for name in NAMES:
        assert session.sends(name)[-1] is Event.EXPINTERRUPT
    why = write(session.now("main").word).args[0]["message"]
    assert why.startswith("cam, which is essential, was not heard for 15 s")
    session.reply_all()
    assert session.state is S.STOPPED
    assert set(session.machine.ended) == set(NAMES)


def test_a_replayed_notice_has_the_same_effect() -> None:
    session = running(policies=ESSENTIAL)
    session.feed(Noticed(rig="cam", notice=Notice.BROKEN, text="the cable is out"))
    assert session.state is S.INTERRUPTING


# -- a rig that was restarted while it recorded ------------------------------------------------------------

GAP = {"from": "2024-05-06T12:01:03", "to": "2024-05-06T12:01:20", "seconds": 17.0}
BACK: dict[str, Any] = {"state": "stopped", "exp_ref": str(REF), "failure": "its program died", "gap": GAP}


def test_a_rig_that_was_restarted_is_asked_what_it_does_and_records_on_where_it_can() -> None:
    session = running(policies=ESSENTIAL)
    session.feed(Rebooted(address=address("cam"), boot="cam2"))
    assert write(session.now("cam").word).event is Event.EXPSTATUS
    session.reply("cam", Message(Event.EXPSTATUS, (30, {**BACK, "resumes": True})))
    assert write(session.now("cam").word) == Message(Event.EXPSTART, (str(REF), {"resume": True}))
    hear(session, "cam", 1, **BACK, resumes=True)  # meanwhile it says so by itself
    session.reply("cam")
    assert noticed(session) == [("cam", Notice.RESUMED)]
    assert session.state is S.RUNNING
    hear(session, "cam", 2, gap=GAP)
    assert noticed(session) == [("cam", Notice.RESUMED)]


def test_a_rig_that_begins_to_record_on_was_not_stopped_by_anybody() -> None:
    session = running()
    hear(session, "cam", 1)
    hear(session, "cam", 2, **BACK, resumes=True)
    for number in range(3, 10):
        hear(session, "cam", number, state="starting", exp_ref=str(REF), gap=GAP)
    assert noticed(session) == []


def test_a_rig_that_cannot_record_on_is_told_of_and_ends_the_session_if_it_is_essential() -> None:
    for policies, state in (({}, S.RUNNING), (ESSENTIAL, S.INTERRUPTING)):
        session = running(policies=policies)
        hear(session, "cam", 1, **BACK, resumes=False)
        hear(session, "cam", 2, **BACK, resumes=False)
        assert noticed(session) == [("cam", Notice.RESTARTED)]
        assert session.state is state
        [told] = [one for one in session.out if isinstance(one, Noticed)]
        assert told.text == (
            "was restarted and does not record any more: its program died; where its data are needed, "
            "end the session and begin another one"
        )


def test_a_rig_that_fails_to_record_on_is_told_of() -> None:
    session = running()
    hear(session, "cam", 1, **BACK, resumes=True)
    session.refuse("cam", "no light")
    assert noticed(session) == [("cam", Notice.RESTARTED)]
    [told] = [one for one in session.out if isinstance(one, Noticed)]
    assert told.text == "was restarted and cannot record on: no light"


# -- IBL's peers --------------------------------------------------------------------------------------------


def test_a_peer_of_ibl_is_asked_for_its_status_only_where_somebody_wants_that() -> None:
    session = session_in(S.RUNNING)
    session.tick(60 * SECOND)
    assert Event.EXPSTATUS not in session.sends("cam")
    session = session_in(S.RUNNING, policies={"cam": RigPolicy(poll_every=5 * SECOND)})
    for at in range(0, 5 * SECOND + 1, SECOND):
        session.tick(at)
    assert session.sends("cam")[-1] is Event.EXPSTATUS
    session.reply("cam", Message(Event.EXPSTATUS, (20,)))
    assert noticed(session) == []
    for at in range(6 * SECOND, 10 * SECOND + 1, SECOND):
        session.tick(at)
    session.reply("cam", Message(Event.EXPSTATUS, (30,)))
    assert noticed(session) == [("cam", Notice.STOPPED)]


def test_a_peer_of_ibl_that_does_not_answer_its_polls_is_silent() -> None:
    session = session_in(S.RUNNING, policies={"cam": RigPolicy(poll_every=5 * SECOND)})
    for at in range(0, 14 * SECOND, SECOND // 4):
        session.tick(at)
    assert noticed(session) == [("cam", Notice.SILENT)]


# -- a conductor that died ----------------------------------------------------------------------------------


def recovered(*, cam: Message | None = None, **options: Any) -> Session:
    """Return a session whose conductor has died while it recorded, and is back."""
    session = session_in(S.RUNNING, **options)
    session.request(T.RECOVER)
    for name in NAMES:
        session.reply(name, cam if name == "cam" else None)
    assert session.state is S.RECOVERED
    return session


@pytest.mark.parametrize("more", [{}, {"take_over": True}])
def test_everybody_is_asked_and_led_again(more: dict[str, Any]) -> None:
    session = session_in(S.STARTING)
    session.open.clear()
    session.request(T.RECOVER, **more)
    assert [write(session.now(name).word).args[1] for name in NAMES] == [
        {"exp_ref": str(REF), "recover": True, **more}
    ] * 3


def test_a_session_that_everybody_records_goes_on() -> None:
    session = recovered()
    number = session.request(T.GO_ON)
    assert session.finished(number).error is None
    assert session.state is S.RUNNING


def test_a_rig_that_was_not_there_then_is_asked_as_soon_as_it_is() -> None:
    session = session_in(S.RUNNING)
    session.request(T.RECOVER)
    session.reply("main")
    session.reply("ephys")
    session.unreach("cam")
    session.request(T.INTERRUPT)
    assert session.feed(Upgraded(address=address("main"), boot="boot", name="main")) == []
    [send] = session.feed(Upgraded(address=address("cam"), boot="boot", name="cam"))
    assert write(send.word).args[1] == {"exp_ref": str(REF), "recover": True}


STOPPED_RIG = Message(Event.EXPINFO, (30, {"state": "stopped", "exp_ref": str(REF)}))


def test_a_session_goes_on_without_a_rig_that_is_not_essential_and_says_so() -> None:
    session = recovered(cam=STOPPED_RIG)
    number = session.request(T.GO_ON)
    assert session.finished(number).error is None
    assert session.state is S.RUNNING
    assert noticed(session) == [("cam", Notice.STOPPED)]


def test_a_session_that_an_essential_rig_does_not_record_does_not_go_on_and_can_be_stopped() -> None:
    session = recovered(cam=STOPPED_RIG, policies=ESSENTIAL)
    number = session.request(T.GO_ON)
    assert "cam: does not record 2024-05-06_2_SP_01; it is stopped" in str(session.finished(number).error)
    assert session.state is S.RECOVERED
    session.request(T.STOP)
    session.reply_all()
    assert session.state is S.STOPPED


def test_a_session_does_not_go_on_with_a_rig_that_another_conductor_leads_by_now() -> None:
    led = Message(Event.EXPINFO, (20, {"state": "running", "exp_ref": str(REF), "led_by": "PC two"}))
    session = recovered(cam=led, policies=ESSENTIAL)
    number = session.request(T.GO_ON)
    assert "cam: is led by PC two" in str(session.finished(number).error)
    assert session.state is S.RECOVERED


def test_a_rig_that_does_not_answer_is_known_by_its_error_and_does_not_hold_up_the_recovery() -> None:
    session = session_in(S.RUNNING)
    session.request(T.RECOVER)
    session.unreach("cam")
    session.reply_all()
    assert session.state is S.RECOVERED
    assert isinstance(session.machine.found["cam"], RigUnreachable)


def test_a_session_that_nobody_records_any_more_does_not_go_on() -> None:
    session = session_in(S.RUNNING)
    session.request(T.RECOVER)
    for name in NAMES:
        session.reply(name, STOPPED_RIG)
    number = session.request(T.GO_ON)
    assert str(session.finished(number).error).startswith("going on failed on main, cam, ephys")


def test_a_session_that_not_all_have_begun_does_not_go_on() -> None:
    session = session_in(S.STARTING)
    session.open.clear()
    session.request(T.RECOVER)
    for name in NAMES:
        session.reply(name, STOPPED_RIG if name == "cam" else None)
    number = session.request(T.GO_ON)
    assert str(session.finished(number).error).startswith("going on failed on cam")
    assert session.state is S.RECOVERED


# -- markers -----------------------------------------------------------------------------------------------


def marks(actions: list[Any]) -> dict[str, dict[str, Any]]:
    """Return what each rig is told of a marker."""
    told = [one for one in actions if isinstance(one, Send) and write(one.word).event is Event.EXPSTATUS]
    return {one.address.host: write(one.word).args[1] for one in told}


def test_a_rig_that_has_another_address_is_told_there_and_the_journal_has_it() -> None:
    session = running()
    moved = Relocated(address=address("cam"), now_at=Address("udp", "10.0.0.78", 11001))
    assert session.feed(moved) == [Record(event=moved, at=0)]
    assert session.machine.rigs["cam"] == moved.now_at
    assert session.machine.members.name_at(moved.now_at) == "cam"
    session.request(T.STOP)
    assert session.now("cam").address == moved.now_at


def test_a_marker_is_written_down_and_told_to_every_multirig_that_records() -> None:
    session = session_in(S.RUNNING)
    for name in ("main", "ephys"):
        session.feed(Upgraded(address=address(name), boot="boot", name=name))
    marked = Marked(text="sneezed", at=3 * SECOND // 2, data={"trial": 7})
    out = session.feed(marked, 2 * SECOND)
    assert out[0] == Record(event=marked, at=2 * SECOND)
    mark = {"text": "sneezed", "data": {"trial": 7}, "at": 1.5}
    told = {"exp_ref": str(REF), "mark": mark}
    assert marks(out) == {"main": told, "ephys": told}
    assert not any(one.needs_reply or one.overtakes for one in out if isinstance(one, Send))


@pytest.mark.parametrize("state", [one for one in SessionState if one not in (S.STARTING, S.RUNNING)])
def test_a_marker_is_told_to_nobody_before_the_rigs_are_started_and_after_they_are_stopped(
    state: SessionState,
) -> None:
    session = session_in(state)
    session.feed(Upgraded(address=address("main"), boot="boot", name="main"))
    assert session.feed(Marked(text="late", at=1)) == [Record(event=Marked(text="late", at=1), at=0)]


def test_a_marker_while_the_rigs_are_started_is_told_too() -> None:
    session = session_in(S.STARTING)
    session.feed(Upgraded(address=address("main"), boot="boot", name="main"))
    assert list(marks(session.feed(Marked(text="go", at=1)))) == ["main"]


def info(name: str, **data: Any) -> Message:
    """Return who a rig is, as it says itself; main owns the number."""
    leads = name == "main"
    return Message(Event.EXPINFO, (0, {"main_sync": leads, "exp_ref": str(REF) if leads else None, **data}))


NOT_NEEDED = RigPolicy(role=Role.OPTIONAL)


def test_an_optional_rig_that_is_silent_holds_up_nobody() -> None:
    session = Session(*NAMES, policies={"ephys": NOT_NEEDED})
    number = session.agree()
    session.reply("main")
    assert session.machine.get_timer() is None
    session.reply("cam")
    at = session.machine.get_timer()
    assert at is not None
    assert at <= 3 * SECOND
    session.tick(at)
    finished = session.finished(number)
    assert finished.error is None
    assert isinstance(finished.outcomes["ephys"], Unconfirmed)
    assert session.state is S.AGREED
    [missed] = [one for one in session.out if isinstance(one, Record) and isinstance(one.event, TimedOut)]
    assert missed.event.key[1] == "ephys"  # so that a journal tells the same
    session.open.clear()
    session.request(T.INIT)
    assert {key[1] for key in session.open} == {"main", "cam"}


def test_an_expected_rig_is_waited_for_however_many_optional_ones_have_answered() -> None:
    session = Session(*NAMES, policies={"ephys": NOT_NEEDED, "cam": NOT_NEEDED})
    session.agree()
    session.reply("cam")
    assert session.machine.get_timer() is None
    session.tick(5 * SECOND)
    assert session.state is S.AGREEING


def test_a_rig_is_waited_for_as_long_as_it_says_that_it_takes() -> None:
    policies = {"ephys": RigPolicy(initialise=7 * SECOND)}
    session = Session(*NAMES, policies=policies)
    session.agree()
    session.reply("main", info("main", limits={"initialise": 120, "stop": 5, "start": "soon", "dance": 9}))
    session.reply("cam", info("cam", limits={"initialise": 10**6}))
    session.reply("ephys", info("ephys", limits={"initialise": 120}))
    session.request(T.INIT)
    assert session.now("main").limit == 125 * SECOND
    assert session.now("cam").limit == 30 * 60 * SECOND  # nobody is waited for without end
    assert session.now("ephys").limit == 7 * SECOND  # what the rigs file says goes before
    session.reply_all()
    session.request(T.START)
    assert {one.limit for one in session.open.values()} == {session.now("cam").limit}
    session.reply_all()
    session.request(T.STOP)
    assert session.now("main").limit == Limits().stop


def test_a_number_of_this_pc_is_one_that_is_free_on_every_rig_in_one_try() -> None:
    session = Session("left", "right")
    number = session.agree(here=REF)
    session.reply("left", info("left", min_sequence=9))
    session.reply("right", info("right", min_sequence=7))
    assert session.finished(number).error is None
    assert session.machine.exp_ref == ExpRef(DATE, 9, "SP_01")
    assert session.sends("left") == [Event.EXPINFO]


def test_a_main_sync_is_asked_once_more_for_a_number_that_is_free_on_every_rig() -> None:
    session = Session(*NAMES)
    number = session.agree()
    session.reply("main")
    session.reply("cam", info("cam", min_sequence=5))
    session.reply("ephys")
    assert session.state is S.AGREEING
    asked = session.now("main").word
    assert isinstance(asked, AskInfo)
    assert (asked.subject, asked.min_sequence) == ("SP_01", 5)
    session.reply("main", info("main", exp_ref=f"{DATE}_5_SP_01"))
    session.reply_all()
    assert session.finished(number).error is None
    assert session.machine.exp_ref == ExpRef(DATE, 5, "SP_01")


def test_a_main_sync_that_gives_a_used_number_again_is_refused_before_a_rig_is_touched() -> None:
    session = Session(*NAMES)
    number = session.agree()
    for _ in range(2):
        session.reply("main")
        session.reply("cam", info("cam", min_sequence=5))
        session.reply("ephys")
    assert "other rigs have data up to 4: let it begin with number 5" in str(session.finished(number).error)
    assert session.state is S.IDLE
    assert session.sends("cam") == [Event.EXPINFO, Event.EXPINFO]
