from __future__ import annotations

import datetime
import itertools
import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from multirig.errors import IllegalTransition, LocalProtocolError
from multirig.lifecycle.answers import MAX_FAILURE_TEXT
from multirig.lifecycle.handing_over import HandingRule
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import (
    Armed,
    Broke,
    ClockPortOpened,
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
    SubjectChosen,
    TakePictures,
)
from multirig.lifecycle.rig_states import (
    MOVING,
    RIG_TABLE,
    SATISFIED,
    STATUS,
    RigState,
    RigTrigger,
    next_transition,
)
from multirig.protocol.codec import MAX_DATAGRAM, TIMELINE_LIMIT, encode_array, encode_text
from multirig.protocol.dialect import (
    hear_leader,
    hear_rig,
    read_gap,
    read_health,
    read_recorded,
    write,
    write_file,
)
from multirig.protocol.events import (
    SECOND,
    Address,
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
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.words import File, Health, Info, Marker, Picture, Plan, Recorded, Stopped

GREETING = "multirig"

DATE = datetime.date(2024, 5, 6)
ONE, TWO = ExpRef(DATE, 1, "SP_01"), ExpRef(DATE, 2, "SP_01")
PEER, OTHER_PC = Address("udp", "10.0.0.1", 50_000), Address("udp", "10.0.0.9", 50_000)
ALLOW = HandingRule(ask=None, allows=True)
GAP = {"from": "2024-05-06T12:01:03+01:00", "to": "2024-05-06T12:01:20+01:00", "seconds": 17.0}
S = RigState
T = RigTrigger


LATE = {"files": [{"path": "a", "bytes": 5}]}


class Rig:
    """A rig machine, and whoever speaks to it."""

    def __init__(self, *, wire: int = 2, **options: Any) -> None:
        self.machine = RigMachine(name="cam", **options)
        self.wire = wire
        self.out: list[Any] = []
        self._tokens = itertools.count(1)

    @property
    def state(self) -> RigState:
        return self.machine.state

    @property
    def call(self) -> Call:
        """The last call of the adapter."""
        return [one for one in self.out if isinstance(one, Call)][-1]

    def feed(self, event: Any) -> list[Any]:
        actions = list(self.machine.handle(event, 0))
        self.out += actions
        return actions

    def ask(self, event: Event, *args: Any) -> list[Any]:
        token = Token(PEER, self.wire, next(self._tokens), "boot")
        return self.feed(Received(address=PEER, word=hear_leader(Message(event, args)), token=token))

    def init(self, exp_ref: object = ONE) -> list[Any]:
        return self.ask(Event.EXPINIT, {"exp_ref": str(exp_ref)} if exp_ref else None)

    def start(self, exp_ref: object = ONE) -> list[Any]:
        return self.ask(Event.EXPSTART, str(exp_ref) if exp_ref else None, None)

    def end(self, exp_ref: object = None) -> list[Any]:
        return self.ask(Event.EXPEND, {"exp_ref": str(exp_ref)} if exp_ref else [])

    def cleanup(self, exp_ref: object = None) -> list[Any]:
        return self.ask(Event.EXPCLEANUP, {"exp_ref": str(exp_ref)} if exp_ref else None)

    def done(self, failure: str | None = None, **report: Any) -> list[Any]:
        done = Done(
            number=self.call.number,
            recorded=read_recorded(report),
            gap=read_gap(report.get("gap")),
            failure=failure,
        )
        return self.feed(done)

    def fail(self, reason: str = "no light") -> list[Any]:
        return self.feed(Failed(number=self.call.number, reason=reason))

    def restore(self, state: RigState = S.RUNNING, **report: Any) -> list[Any]:
        """Come back after a death in a state."""
        memory = Memory(state=state, exp_ref=ONE, started=(ONE,), stopped=())
        return self.feed(Restored(memory=memory, recorded=read_recorded(report), gap=read_gap(GAP)))

    def resume(self) -> list[Any]:
        return self.ask(Event.EXPSTART, str(ONE), {"resume": True})

    def tick(self, now: int) -> list[Any]:
        actions = list(self.machine.handle_timer(now))
        self.out += actions
        return actions


WAYS: dict[RigState, tuple[str, ...]] = {
    S.CONNECTED: (),
    S.INITIALIZING: ("init",),
    S.INITIALIZED: ("init", "done"),
    S.STARTING: ("init", "done", "start"),
    S.RUNNING: ("init", "done", "start", "done"),
    S.STOPPING: ("init", "done", "start", "done", "end"),
    S.STOPPED: ("init", "done", "start", "done", "end", "done"),
    S.CLEANING: ("init", "done", "start", "done", "end", "done", "cleanup"),
    S.FAILING: ("init", "done", "start", "fail"),
    S.BROKEN: ("init", "done", "start", "fail", "done"),
}


def rig_in(state: RigState, **options: Any) -> Rig:
    rig = Rig(**options)
    for step in WAYS[state]:
        getattr(rig, step)()
    assert rig.state is state
    rig.out = [one for one in rig.out if isinstance(one, Call)]
    return rig


def info_of(data: dict[str, Any]) -> Info:
    """Return what the rig's service has gathered."""
    info = hear_rig(Message(Event.EXPINFO, (0, data)))
    assert isinstance(info, Info)
    return info


def reply(actions: list[Any]) -> Message:
    [answer] = [one for one in actions if isinstance(one, Reply)]
    return write(answer.word)


def refusal(actions: list[Any]) -> str:
    [answer] = [one for one in actions if isinstance(one, Fail)]
    assert write(answer.word).event is Event.ERROR
    assert write(answer.word).args[1] in list(Event)
    text: str = write(answer.word).args[0]
    return text


# -- the table ---------------------------------------------------------------------------------------------


def test_every_row_of_the_table_is_walked() -> None:
    for (state, trigger), transition in RIG_TABLE.items():
        rig = rig_in(state)
        match trigger:
            case T.INIT:
                out = rig.init(TWO)
            case T.INIT_AGAIN:
                out = rig.init(ONE)
            case T.START:
                out = rig.start(ONE)
            case T.RESUME:
                rig = Rig(resumes=True)
                rig.restore()
                out = rig.resume()
            case T.END:
                out = rig.end(ONE)
            case T.CLEANUP:
                out = rig.cleanup(ONE)
            case T.DONE:
                out = rig.done()
            case T.FAILED:
                out = rig.fail()
            case T.BROKE:
                out = rig.feed(Broke(reason="the camera is gone"))
        assert rig.state is transition.to, (state, trigger)
        calls = [one for one in out if isinstance(one, Call)]
        assert [(one.hooks, one.preempts) for one in calls] == (
            [(transition.hooks, transition.preempts)] if transition.hooks else []
        ), (state, trigger)
        assert any(isinstance(one, Entered) for one in out) is (transition.to is not state)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("trigger", list(T))
def test_what_is_not_in_the_table_raises_and_names_state_and_trigger(state: S, trigger: T) -> None:
    if (state, trigger) in RIG_TABLE:
        assert next_transition(state, trigger) is RIG_TABLE[state, trigger]
    else:
        with pytest.raises(IllegalTransition, match=rf"^{trigger} is not possible while {state}$"):
            next_transition(state, trigger)


def test_it_can_be_stopped_and_cleaned_up_from_everywhere() -> None:
    for state in S:
        assert (state, T.END) in RIG_TABLE
        assert (state, T.CLEANUP) in RIG_TABLE


def test_hooks_that_run_always_come_to_an_end_that_the_table_knows() -> None:
    for state in MOVING:
        assert (state, T.DONE) in RIG_TABLE
        assert (state, T.FAILED) in RIG_TABLE


def test_a_moving_state_is_entered_with_hooks_or_waits_for_those_that_run() -> None:
    for (state, _), transition in RIG_TABLE.items():
        if transition.to in MOVING and not transition.hooks:
            assert state in MOVING


def test_every_way_back_from_a_start_goes_through_a_stop() -> None:
    reached = {(S.CONNECTED, False)}
    while True:
        further = {
            (cell.to, (started or "start" in cell.hooks) and "stop" not in cell.hooks)
            for at, started in reached
            for (state, _), cell in RIG_TABLE.items()
            if state is at
        }
        if further <= reached:
            break
        reached |= further
    assert {state for state, _ in reached} == set(S)
    assert (S.CONNECTED, True) not in reached


def test_a_rig_that_is_still_stopping_counts_as_running() -> None:
    assert STATUS[S.STOPPING] is Status.RUNNING
    assert set(STATUS) == set(S)


# -- a session ---------------------------------------------------------------------------------------------


def test_a_session_runs_each_hook_once_and_answers_when_it_is_done() -> None:
    rig = Rig()
    assert [type(one) for one in rig.init()] == [Keep, Call, Entered, Tell]
    assert reply(rig.done()) == Message(Event.EXPINIT, ({"exp_ref": str(ONE), "status": 10},))
    rig.start()
    assert reply(rig.done(started_at=1.5)) == Message(
        Event.EXPSTART, (str(ONE), {"status": 20, "started_at": 1.5})
    )
    rig.end(ONE)
    files = [write_file(File(path="a.mp4", bytes=3), is_kept=False)]
    account = reply(rig.done(files=files, stopped_at=2.5)).args[0]
    assert account == {
        "exp_ref": str(ONE),
        "status": 30,
        "files": files,
        "files_total": 1,
        "bytes_total": 3,
        "started_at": 1.5,
        "stopped_at": 2.5,
        "ended_ago": 0.0,
    }
    rig.cleanup(ONE)
    assert reply(rig.done()) == Message(Event.EXPCLEANUP, ({"exp_ref": str(ONE), "status": 0},))
    assert [one.hooks for one in rig.out if isinstance(one, Call)] == [
        ("initialise",),
        ("start",),
        ("stop",),
        ("cleanup",),
    ]
    assert (rig.machine.exp_ref, rig.machine.failure, rig.machine.leader) == (None, None, None)


def test_a_foreign_conductor_is_told_totals_only_and_the_bare_status() -> None:
    rig = Rig(wire=1)
    rig.init()
    rig.done()
    rig.start()
    assert reply(rig.done(started_at=1.5)).args == (str(ONE), {"status": 20})
    rig.end()
    files = [{"path": f"{number}.mp4", "bytes": 2} for number in range(50)]
    assert reply(rig.done(files=files)).args == (
        {"exp_ref": str(ONE), "status": 30, "files_total": 50, "bytes_total": 100},
    )
    assert reply(rig.ask(Event.EXPSTATUS, 0)) == Message(Event.EXPSTATUS, (30,))


def test_all_files_are_listed_and_counted() -> None:
    rig = rig_in(S.STOPPING)
    rig.end()
    files = [{"path": f"{number}", "bytes": 1} for number in range(600)]
    out = [one for one in rig.done(files=files) if isinstance(one, Reply)]
    for one in out:
        account = write(one.word).args[0]
        assert len(account["files"]) == account["files_total"] == account["bytes_total"] == 600


def test_a_start_without_an_init_does_both() -> None:
    rig = Rig()
    rig.start()
    assert rig.call.hooks == ("initialise", "start")
    assert rig.call.exp_ref == ONE


@pytest.mark.parametrize(
    "named",
    [
        str(ONE),
        "2024-05-06_001_SP_01",
        {"exp_ref": str(ONE)},
        {"date": "2024-05-06", "sequence": 1, "subject": "SP_01"},
    ],
)
def test_a_reference_may_come_in_any_form(named: object) -> None:
    for event in (Event.EXPINIT, Event.EXPSTART):
        rig = Rig()
        rig.ask(event, named)
        assert rig.machine.exp_ref == ONE


@pytest.mark.parametrize("args", [(17,), ("calibration",), ({"exp_ref": "junk"},), ([1],), (True,)])
def test_a_reference_that_is_none_is_refused_and_changes_nothing(args: tuple[Any, ...]) -> None:
    rig = Rig()
    assert "is not an experiment reference" in refusal(rig.ask(Event.EXPINIT, *args))
    assert "is not an experiment reference" in refusal(rig.ask(Event.EXPSTART, *args))
    assert rig.state is S.CONNECTED


def test_a_start_that_names_nothing_after_nothing_is_refused() -> None:
    assert "names no experiment reference" in refusal(Rig().start(None))


def test_a_start_that_names_nothing_after_an_init_that_named_nothing_is_refused() -> None:
    rig = Rig()
    rig.init(None)
    rig.done()
    assert rig.state is S.INITIALIZED
    assert "names no experiment reference" in refusal(rig.start(None))
    assert rig.start(ONE)
    assert rig.call.exp_ref == ONE


def test_a_start_that_names_nothing_means_the_reference_of_the_init() -> None:
    rig = rig_in(S.INITIALIZED)
    rig.start(None)
    assert rig.call.exp_ref == ONE


# -- asking again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (S.INITIALIZED, "init"),
        (S.RUNNING, "start"),
        (S.STOPPED, "end"),
        (S.CONNECTED, "end"),
        (S.CONNECTED, "cleanup"),
    ],
)
def test_to_ask_for_the_state_that_it_is_in_is_answered_at_once(state: S, command: str) -> None:
    rig = rig_in(state)
    out = getattr(rig, command)(ONE)
    assert reply(out).args
    assert not [one for one in out if isinstance(one, Call)]
    assert rig.state is state


@pytest.mark.parametrize(
    ("state", "command"),
    [(S.INITIALIZING, "init"), (S.STARTING, "start"), (S.STOPPING, "end"), (S.CLEANING, "cleanup")],
)
def test_to_ask_again_while_it_is_being_done_waits_for_the_same_end(state: S, command: str) -> None:
    rig = rig_in(state)
    assert getattr(rig, command)(ONE) == []
    out = rig.done()
    assert len([one for one in out if isinstance(one, Reply)]) == 2


@pytest.mark.parametrize("state", [S.INITIALIZING, S.INITIALIZED])
def test_an_init_without_a_reference_may_be_asked_again(state: S) -> None:
    rig = Rig()
    rig.init(None)
    if state is S.INITIALIZED:
        rig.done()
    out = rig.init(None) + (rig.done() if state is S.INITIALIZING else [])
    assert [one for one in out if isinstance(one, Reply)]
    assert not [one for one in out if isinstance(one, Fail)]


# -- other sessions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING, S.RUNNING, S.STOPPING])
@pytest.mark.parametrize("command", ["init", "start", "end", "cleanup"])
def test_a_busy_rig_refuses_another_session_and_says_what_it_is_at(state: S, command: str) -> None:
    rig = rig_in(state)
    text = refusal(getattr(rig, command)(TWO))
    assert text == f"is {state} {ONE}; end that session first (asked for {TWO})"
    assert rig.state is state
    assert rig.machine.exp_ref == ONE


@pytest.mark.parametrize("command", ["start", "end", "cleanup"])
def test_a_late_command_of_an_earlier_session_leaves_a_rig_that_is_ready_alone(command: str) -> None:
    rig = rig_in(S.INITIALIZED)
    assert refusal(getattr(rig, command)(TWO)) == f"is initialised for {ONE}, not for {TWO}"
    assert rig.state is S.INITIALIZED


def test_a_rig_that_is_ready_takes_the_init_of_another_session() -> None:
    rig = rig_in(S.INITIALIZED)
    rig.init(TWO)
    assert rig.call.hooks == ("cleanup", "initialise")
    assert rig.machine.exp_ref == TWO


def test_what_was_recorded_is_never_started_again() -> None:
    rig = rig_in(S.STOPPED)
    assert "has been recorded here already" in refusal(rig.init(ONE))
    rig.cleanup()
    rig.done()
    assert "has been recorded here already" in refusal(rig.start(ONE))
    assert "has been recorded here already" in refusal(rig.init(ONE))
    rig.init(TWO)
    assert rig.state is S.INITIALIZING


def test_a_rehearsal_uses_up_no_number_and_can_be_made_again() -> None:
    rig = Rig(subject="SP_02")
    for _ in range(2):
        rig.ask(Event.EXPINIT, {"exp_ref": str(ONE), "rehearsal": True})
        rig.done()
        rig.ask(Event.EXPSTART, str(ONE), {"rehearsal": True})
        rig.done()
        assert rig.state is S.RUNNING
        assert rig.machine.rehearses
        assert ONE not in rig.machine.memory().started
        rig.end(ONE)
        rig.done()
        rig.cleanup(ONE)
        rig.done()
        assert not rig.machine.rehearses
    assert rig.machine.numbers.skip_used(ONE) == ONE


def test_what_began_as_a_session_does_not_become_a_rehearsal() -> None:
    rig = rig_in(S.INITIALIZED)
    rig.ask(Event.EXPSTART, str(ONE), {"rehearsal": True})
    assert not rig.machine.rehearses
    assert ONE in rig.machine.memory().started


def test_what_began_as_a_rehearsal_does_not_become_a_session() -> None:
    rig = Rig()
    rig.ask(Event.EXPINIT, {"exp_ref": str(ONE), "rehearsal": True})
    rig.done()
    rig.start(ONE)
    assert rig.machine.rehearses


def test_a_session_after_a_rehearsal_is_a_session() -> None:
    rig = Rig()
    rig.ask(Event.EXPINIT, {"exp_ref": str(ONE), "rehearsal": True})
    rig.done()
    rig.init(TWO)
    assert not rig.machine.rehearses


def test_a_rig_in_a_session_is_not_let_rehearse() -> None:
    rig = rig_in(S.RUNNING)
    assert "end that session first" in refusal(
        rig.ask(Event.EXPINIT, {"exp_ref": str(TWO), "rehearsal": True})
    )
    assert not rig.machine.rehearses


def test_what_was_cleaned_up_before_it_started_may_be_begun_again() -> None:
    rig = rig_in(S.INITIALIZED)
    rig.cleanup()
    rig.done()
    rig.init(ONE)
    assert rig.state is S.INITIALIZING


def test_a_new_session_after_a_stop_needs_no_cleanup_since_ibls_conductors_send_none() -> None:
    rig = rig_in(S.STOPPED)
    rig.init(None)
    assert rig.call.hooks == ("cleanup", "initialise")
    rig = rig_in(S.STOPPED)
    rig.init(TWO)
    assert rig.call.exp_ref == TWO


def test_a_failure_is_forgotten_by_the_session_that_follows() -> None:
    rig = rig_in(S.BROKEN)
    rig.end()
    rig.done()
    assert rig.state is S.STOPPED
    assert rig.machine.failure == "no light"
    rig.init(TWO)
    assert rig.machine.failure is None
    assert "failure" not in reply(rig.done()).args[0]


# -- stopping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.INITIALIZING, S.STARTING])
@pytest.mark.parametrize("event", [Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP])
def test_to_stop_preempts_what_goes_on_and_tells_whoever_waits_for_it(state: S, event: Event) -> None:
    rig = rig_in(state)
    out = rig.ask(event, None)
    assert rig.call.preempts
    assert rig.call.hooks[0] == "stop"
    assert refusal(out) == f"was overtaken: the rig is {rig.state}"
    assert len([one for one in rig.done() if isinstance(one, Reply)]) == 1


def test_what_the_preempted_hooks_report_late_is_of_no_effect() -> None:
    rig = rig_in(S.STARTING)
    late = rig.call.number
    rig.end()
    assert rig.feed(Done(number=late)) == []
    assert rig.feed(Failed(number=late, reason="was cancelled")) == []
    assert rig.state is S.STOPPING
    assert rig.machine.failure is None


def test_a_cleanup_in_the_middle_of_a_stop_stops_again_so_that_no_failure_is_passed_over() -> None:
    rig = rig_in(S.STOPPING)
    late = rig.call.number
    rig.cleanup()
    assert rig.call.hooks == ("stop", "cleanup")
    assert not rig.call.preempts
    rig.feed(Failed(number=late, reason="stop: stuck", recorded=read_recorded(LATE)))
    assert rig.state is S.CLEANING
    answers = [write(one.word) for one in rig.done() if isinstance(one, Reply)]
    assert [one.event for one in answers] == [Event.EXPEND, Event.EXPCLEANUP]
    assert answers[0].args[0]["bytes_total"] == 5
    assert rig.state is S.CONNECTED


def test_what_a_cleanup_made_good_is_told_and_the_rig_is_free() -> None:
    rig = rig_in(S.RUNNING)
    rig.cleanup()
    answer = reply(rig.done(failure="stop: the program hangs"))
    assert answer.args[0]["failure"] == "stop: the program hangs"
    assert rig.state is S.CONNECTED
    assert rig.machine.failure is None


# -- failing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "event"), [(S.INITIALIZING, Event.EXPINIT), (S.STARTING, Event.EXPSTART)])
def test_a_failure_is_told_at_once_with_its_reason_and_what_was_begun_is_stopped(
    state: S, event: Event
) -> None:
    rig = rig_in(state)
    out = rig.fail("no light")
    [answer] = [one for one in out if isinstance(one, Fail)]
    assert write(answer.word) == Message(Event.ERROR, ("no light", int(event)))
    assert rig.call.hooks == ("stop",)
    rig.done()
    assert rig.state is S.BROKEN


def test_a_broken_rig_says_why_until_it_is_cleaned_up() -> None:
    rig = rig_in(S.BROKEN)
    assert refusal(rig.start()) == "is broken: no light; clean it up first"
    assert "no light" in refusal(rig.init(TWO))
    assert reply(rig.ask(Event.EXPSTATUS, 0)).args[1]["failure"] == "no light"
    rig.cleanup()
    assert rig.call.hooks == ("stop", "cleanup")
    rig.done()
    assert rig.state is S.CONNECTED
    rig.init(TWO)
    assert rig.state is S.INITIALIZING


def test_a_second_failure_is_added_to_the_first() -> None:
    rig = rig_in(S.FAILING)
    rig.fail("stop: stuck")
    assert rig.machine.failure == "no light; then stop: stuck"


def test_a_recording_that_fails_by_itself_is_told_to_the_conductor_at_once() -> None:
    rig = rig_in(S.RUNNING)
    rig.feed(Measured(health=read_health({"frames": 17}) or Health()))
    out = rig.feed(Broke(reason="the cable is out"))
    [news] = [one for one in out if isinstance(one, Send)]
    assert news.address == PEER
    assert not news.needs_reply
    assert write(news.word) == Message(
        Event.EXPSTATUS,
        (
            30,
            {
                "state": "failing",
                "exp_ref": str(ONE),
                "failure": "the cable is out",
                "health": {"frames": 17, "bytes": 0, "dropped": 0, "rate": None},
                "stalled": None,
                "led_by": str(PEER),
                "leader": "boot",
                "gap": None,
                "resumes": False,
                "main_sync": False,
                "subject": "SP_01",
                "disk_free": None,
                "hours_left": None,
                "clock_port": None,
            },
        ),
    )


def test_a_sync_pulse_is_told_to_whoever_leads_and_needs_no_answer() -> None:
    rig = rig_in(S.RUNNING)
    [sent] = rig.feed(Pulsed(at=12.5))
    assert isinstance(sent, Send)
    assert not sent.needs_reply
    assert write(sent.word).event is Event.EXPSTATUS
    assert write(sent.word).args[0] == Status.RUNNING
    assert (write(sent.word).args[1]["pulse"], write(sent.word).args[1]["state"]) == ({"at": 12.5}, "running")
    assert rig_in(S.RUNNING, wire=1).feed(Pulsed(at=12.5)) == []


def test_ibls_conductors_are_not_told_what_they_did_not_ask_for() -> None:
    rig = rig_in(S.RUNNING, wire=1)
    assert not [one for one in rig.feed(Broke(reason="out")) if isinstance(one, Send)]


@pytest.mark.parametrize("state", [one for one in S if one is not S.RUNNING])
def test_a_recording_can_only_fail_while_it_runs(state: S) -> None:
    rig = rig_in(state)
    assert rig.feed(Broke(reason="out")) == []
    assert rig.state is state


# -- the rig's own keyboard --------------------------------------------------------------------------------


def test_the_keyboard_starts_and_stops_without_an_answer_to_anybody() -> None:
    rig = Rig()
    rig.feed(Commanded(event=Event.EXPSTART, exp_ref=ONE))
    rig.done()
    assert rig.state is S.RUNNING
    rig.feed(Commanded(event=Event.EXPEND))
    rig.done()
    rig.feed(Commanded(event=Event.EXPCLEANUP))
    rig.done()
    assert rig.state is S.CONNECTED
    assert {type(one) for one in rig.out} == {Keep, Call, Entered}


def test_a_stop_at_the_keyboard_is_told_to_the_conductor_whose_session_it_ends() -> None:
    rig = rig_in(S.RUNNING)
    out = rig.feed(Commanded(event=Event.EXPEND))
    [news] = [one for one in out if isinstance(one, Send)]
    assert write(news.word).args[1]["state"] == "stopping"


def test_a_command_at_the_keyboard_that_is_refused_is_only_logged() -> None:
    rig = rig_in(S.RUNNING)
    [denied] = rig.feed(Commanded(event=Event.EXPSTART, exp_ref=TWO))
    assert isinstance(denied, Denied)
    assert rig.machine.exp_ref == ONE


# -- the number of the session -----------------------------------------------------------------------------


def info(rig: Rig, subject: object = "SP_01", free: ExpRef | None = ONE) -> dict[str, Any]:
    """Ask who it is; its service finds the next free number where one is wanted."""
    [wanted] = rig.ask(Event.EXPINFO, 0, {"subject": subject})
    assert isinstance(wanted, Describe)
    found = {"exp_ref": str(rig.machine.numbers.skip_used(free))} if wanted.subject and free else {}
    answer = reply(rig.feed(Described(token=wanted.token, info=info_of({"name": "cam", **found}))))
    assert answer.event is Event.EXPINFO
    data: dict[str, Any] = answer.args[1]
    return data


def test_a_rig_that_is_not_the_main_sync_gives_no_number() -> None:
    assert info(Rig())["exp_ref"] is None


def test_the_main_sync_offers_the_next_free_number() -> None:
    data = info(Rig(main_sync=True))
    assert (data["exp_ref"], data["subject"], data["main_sync"]) == (str(ONE), "SP_01", True)


@pytest.mark.parametrize("args", [(), (0,), (0, None), (0, {}), (0, {"subject": 17}), (0, [1])])
def test_without_a_subject_there_is_nothing_to_offer(args: tuple[Any, ...]) -> None:
    rig = Rig(main_sync=True)
    [wanted] = rig.ask(Event.EXPINFO, *args)
    assert wanted.subject is None


@pytest.mark.parametrize("state", [S.INITIALIZING, S.INITIALIZED, S.STARTING, S.RUNNING, S.STOPPING])
def test_the_main_sync_in_a_session_gives_that_ones_number(state: S) -> None:
    rig = rig_in(state, main_sync=True)
    assert info(rig, "SP_99")["exp_ref"] == str(ONE)


@pytest.mark.parametrize("state", [S.STOPPED, S.CLEANING, S.FAILING, S.BROKEN])
def test_the_main_sync_whose_session_is_over_offers_a_new_number(state: S) -> None:
    rig = rig_in(state, main_sync=True)
    assert info(rig)["exp_ref"] == str(TWO)


def test_an_offer_is_held_until_it_is_started_whoever_asks_for_what() -> None:
    rig = Rig(main_sync=True)
    info(rig)
    info(rig, None)
    rig.init(None)
    assert rig.machine.exp_ref == ONE
    rig.done()
    assert rig.machine.numbers.offered == ONE
    rig.start(None)
    assert rig.machine.numbers.offered is None


def test_a_late_start_after_the_session_finds_no_offer_to_record_again() -> None:
    rig = Rig(main_sync=True)
    info(rig)
    for step in WAYS[S.CLEANING]:
        getattr(rig, step)()
    rig.done()
    assert rig.state is S.CONNECTED
    assert "names no experiment reference" in refusal(rig.start(None))


def test_a_session_that_began_while_the_number_was_looked_for_is_told_instead() -> None:
    rig = Rig(main_sync=True)
    [wanted] = rig.ask(Event.EXPINFO, 0, {"subject": "SP_01"})
    rig.start(TWO)
    answer = reply(rig.feed(Described(token=wanted.token, info=info_of({"exp_ref": str(ONE)}))))
    assert answer.args[1]["exp_ref"] == str(TWO)
    assert rig.machine.numbers.offered is None


def test_a_number_that_was_started_or_stopped_here_is_not_offered_again() -> None:
    rig = rig_in(S.INITIALIZED, main_sync=True)
    rig.end()
    rig.done()
    rig.cleanup()
    rig.done()
    assert info(rig)["exp_ref"] == str(TWO)
    assert rig.machine.numbers.skip_used(TWO) == TWO


def test_a_number_whose_session_was_only_initialised_is_offered_again() -> None:
    rig = rig_in(S.INITIALIZED, main_sync=True)
    rig.cleanup()
    rig.done()
    assert info(rig)["exp_ref"] == str(ONE)


def test_past_the_last_number_of_a_day_there_is_an_error() -> None:
    rig = Rig(main_sync=True)
    last = ExpRef(DATE, 999, "SP_01")
    rig.start(last)
    with pytest.raises(LocalProtocolError):
        rig.machine.numbers.skip_used(last)


# -- other questions ---------------------------------------------------------------------------------------


def test_the_token_is_given_to_those_who_may_have_it_only() -> None:
    rig = Rig(objects_to_token=lambda asker, host: "" if host == PEER.host else "no")
    assert isinstance(rig.ask(Event.ALYX, "https://alyx", {"user": {"token": "abc"}})[0], Settle)
    assert reply(rig.ask(Event.ALYX, None, {})).args == ("https://alyx", {"user": {"token": "abc"}})
    rig = Rig()
    assert "may not be given the Alyx token" in refusal(rig.ask(Event.ALYX, None, {}))


@pytest.mark.parametrize(
    ("args", "about", "reason"),
    [
        (("ValueError: boom", 32), "EXPSTATUS", "ValueError: boom"),
        (("ValueError:\n  boom", "expstart"), "EXPSTART", "ValueError: boom"),
        (("no parser", '[2, "x'), "a message", "no parser"),
        (("odd", None), "a message", "odd"),
        (("lonely",), "a message", "lonely"),
        ((17, [1]), "a message", "17"),
        (("",), "a message", "no reason given"),
        ((), "a message", "no reason given"),
    ],
)
def test_what_the_conductor_could_not_handle_is_told_to_the_log_in_one_line(
    args: tuple[Any, ...], about: str, reason: str
) -> None:
    for state in S:
        rig = rig_in(state)
        settled, news = rig.ask(Event.ERROR, *args)
        assert isinstance(settled, Settle)
        assert news == NotHandled(about=about, reason=reason)
        assert rig.state is state


def test_an_endless_complaint_is_cut() -> None:
    assert len(Rig().ask(Event.ERROR, "x" * 10_000, 32)[1].reason) == MAX_FAILURE_TEXT


# -- an answer that fits its reader ------------------------------------------------------------------------


def told(rig: Rig, asked: dict[str, Any] | None = None, **info: Any) -> dict[str, Any]:
    [wanted] = rig.ask(Event.EXPINFO, 0, asked)
    message = reply(rig.feed(Described(token=wanted.token, info=info_of(info), room=wanted.room)))
    data: dict[str, Any] = message.args[1]
    if wanted.room is not None:
        greeted = data | {GREETING: {"wire": 2, "boot": secrets.token_hex(8), "name": rig.machine.name}}
        assert len(encode_array(replace(message, args=(0, greeted)))) < TIMELINE_LIMIT
    return data


SMALL, LARGE = {"a": "x" * 100}, {"a": "x" * 950}


def test_a_multirig_is_told_everything_before_and_after_the_upgrade() -> None:
    for rig, asked in (
        (Rig(wire=2), None),
        (Rig(wire=1), {GREETING: {"wire": 2, "boot": "b", "name": "pc"}}),
    ):
        data = told(rig, asked, device=LARGE, experiment_description=LARGE)
        assert data["device"] == data["experiment_description"] == LARGE


def test_a_foreign_peer_is_told_what_fits_and_the_description_goes_first() -> None:
    assert {"device", "experiment_description"} <= told(
        Rig(wire=1), device=SMALL, experiment_description=SMALL
    ).keys()
    data = told(Rig(wire=1), device=SMALL, experiment_description=LARGE)
    assert "experiment_description" not in data
    assert data["device"] == SMALL
    assert "device" not in told(Rig(wire=1), device=LARGE, experiment_description=SMALL)


@pytest.mark.parametrize(
    ("asked", "check"), [({"check": {"seconds": 60}}, Plan(seconds=60)), ({"check": 1}, None)]
)
def test_a_check_is_passed_on_to_whoever_looks(asked: dict[str, Any], check: Any) -> None:
    (wanted,) = Rig().ask(Event.EXPINFO, 0, asked)
    assert wanted.check == check


@given(st.integers(0, 900), st.integers(0, 900))
def test_whatever_there_is_to_tell_it_fits(device: int, description: int) -> None:
    told(Rig(wire=1), device="x" * device, experiment_description="y" * description)


# -- an operator's subject ---------------------------------------------------------------------------------

OTHER = ExpRef(DATE, 1, "SP_02")
OTHERWISE = (
    "is set up for subject SP_02, you asked for SP_01: correct the subject, "
    "or type 'subject SP_01' at that PC"
)


def test_a_rig_that_is_set_up_for_a_subject_says_so() -> None:
    data = info(Rig(subject="SP_02"))
    assert data["set_up_for"] == data["subject"] == "SP_02"
    assert "set_up_for" not in info(Rig())


@pytest.mark.parametrize("command", ["init", "start"])
def test_it_refuses_to_begin_a_session_of_another_subject(command: str) -> None:
    rig = Rig(subject="SP_02")
    out = getattr(rig, command)(ONE)
    assert refusal(out) == OTHERWISE
    assert not any(isinstance(one, Call) for one in out)
    assert rig.state is S.CONNECTED
    assert getattr(rig, command)(OTHER)
    assert rig.machine.exp_ref == OTHER


def test_a_main_sync_that_is_set_up_for_a_subject_gives_no_number_for_another() -> None:
    rig = Rig(main_sync=True, subject="SP_02")
    assert info(rig, "SP_01")["exp_ref"] is None
    assert info(rig, "SP_02", OTHER)["exp_ref"] == str(OTHER)


def test_an_offer_is_forgotten_when_another_subject_is_chosen() -> None:
    rig = Rig(main_sync=True)
    info(rig)
    rig.feed(SubjectChosen(subject="SP_02"))
    assert "names no experiment reference" in refusal(rig.start(None))


def test_an_offer_for_the_subject_that_is_chosen_is_kept() -> None:
    rig = Rig(main_sync=True)
    info(rig)
    rig.feed(SubjectChosen(subject="SP_01"))
    rig.start(None)
    assert rig.machine.exp_ref == ONE


def test_a_start_that_names_nothing_is_judged_by_the_reference_that_it_means() -> None:
    rig = Rig(subject="SP_02")
    rig.init(None)
    rig.done()
    assert refusal(rig.start(ONE)) == OTHERWISE
    rig.start(OTHER)
    assert rig.state is S.STARTING


def test_the_subject_can_be_cleared() -> None:
    rig = Rig(subject="SP_02")
    assert rig.feed(SubjectChosen(subject=None)) == []
    rig.init(ONE)
    assert rig.machine.exp_ref == ONE


@pytest.mark.parametrize("state", [S.INITIALIZING, S.INITIALIZED, S.STARTING, S.RUNNING, S.STOPPING])
def test_another_subject_cannot_be_chosen_in_the_middle_of_a_session(state: S) -> None:
    rig = rig_in(state)
    with pytest.raises(IllegalTransition, match=rf"the rig is {state} {ONE}; 'stop' ends that session"):
        rig.feed(SubjectChosen(subject="SP_02"))
    assert (rig.state, rig.machine.subject) == (state, None)
    rig.feed(SubjectChosen(subject="SP_01"))
    assert rig.machine.subject == "SP_01"
    rig.feed(SubjectChosen(subject=None))
    assert rig.machine.subject is None


@pytest.mark.parametrize("state", [S.CONNECTED, S.STOPPED, S.CLEANING, S.FAILING, S.BROKEN])
def test_between_sessions_any_subject_can_be_chosen(state: S) -> None:
    rig = rig_in(state)
    rig.feed(SubjectChosen(subject="SP_02"))
    assert rig.machine.subject == "SP_02"


def test_a_session_is_stopped_and_cleaned_up_whoever_the_rig_is_set_up_for_by_then() -> None:
    rig = rig_in(S.STOPPED)
    rig.feed(SubjectChosen(subject="SP_02"))
    assert reply(rig.end(ONE))
    rig.cleanup(ONE)
    assert reply(rig.done())
    assert rig.state is S.CONNECTED
    assert rig.machine.subject == "SP_02"


# -- any sequence of events --------------------------------------------------------------------------------

TRIGGERS = {
    Event.EXPINIT: {T.INIT, T.INIT_AGAIN},
    Event.EXPSTART: {T.START},
    Event.EXPEND: {T.END},
    Event.EXPINTERRUPT: {T.END},
    Event.EXPCLEANUP: {T.CLEANUP},
}
commands = st.sampled_from(list(TRIGGERS))
references = st.sampled_from([ONE, TWO, None])
garbage = st.sampled_from([(), (17,), ("junk",), ({"exp_ref": "junk"},), ([],), (None, None, None), (True,)])


class AnySequence(RuleBasedStateMachine):
    """Whatever is asked, done, failed and repeated: the rules of the rig hold."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.answers: dict[Token, int] = {}
        self.asked: list[Describe] = []
        self.calls: list[Call] = []
        self.needs_stop = False

    @initialize(main_sync=st.booleans(), state=st.sampled_from(list(S)))
    def a_rig(self, main_sync: bool, state: RigState) -> None:
        self.machine = RigMachine(name="cam", main_sync=main_sync, objects_to_token=lambda asker, host: "")
        for step in WAYS[state]:
            match step:
                case "done":
                    self.done(None)
                case "fail":
                    self.failed("no light")
                case _:
                    event = {"init": Event.EXPINIT, "start": Event.EXPSTART, "end": Event.EXPEND}
                    self.command(event.get(step, Event.EXPCLEANUP), ONE, 2)

    # what it does is checked, whatever led to it

    def feed(self, event: Any, triggers: set[RigTrigger]) -> list[Any]:
        machine = self.machine
        before = self.facts()
        out = list(machine.handle(event, 0))
        if machine.state is not before[0] or any(isinstance(one, Call) for one in out):
            cells = [RIG_TABLE[before[0], one] for one in triggers if (before[0], one) in RIG_TABLE]
            made = {one.hooks for one in out if isinstance(one, Call)}
            assert any(cell.to is machine.state and made <= {cell.hooks} for cell in cells)
        if any(isinstance(one, Denied) for one in out):
            assert self.facts() == before
            assert not any(isinstance(one, Call | Entered) for one in out)
        for one in out:
            self.take(one)
        return out

    def facts(self) -> tuple[Any, ...]:
        machine = self.machine
        offered, recorded = machine.numbers.offered, machine.recording.how_it_started()
        return machine.state, machine.exp_ref, machine.failure, offered, recorded

    def take(self, action: Any) -> None:
        match action:
            case Reply(token=token, word=word):
                self.answers[token] += 1
                if isinstance(word, Stopped) and word.state is RigState.BROKEN:
                    assert self.machine.state is RigState.BROKEN
                    assert token.wire == 2
                elif word.event in SATISFIED:
                    assert self.machine.state in SATISFIED[word.event]
            case Fail(token=token) | Settle(token=token):
                self.answers[token] += 1
            case Describe():
                self.asked.append(action)
            case Call(number=number, hooks=hooks, exp_ref=exp_ref):
                assert not self.calls or number > self.calls[-1].number
                if "start" in hooks:
                    assert exp_ref is not None
                    assert not any("start" in one.hooks and one.exp_ref == exp_ref for one in self.calls)
                    self.needs_stop = True
                if "stop" in hooks:
                    self.needs_stop = False
                self.calls.append(action)

    def token(self, wire: int) -> Token:
        token = Token(PEER, wire, next(self.numbers), "boot")
        self.answers[token] = 0
        return token

    def receive(self, message: Message, wire: int, triggers: set[RigTrigger]) -> list[Any]:
        return self.feed(Received(address=PEER, word=hear_leader(message), token=self.token(wire)), triggers)

    # what happens to it

    @rule(event=commands, exp_ref=references, wire=st.sampled_from([1, 2]))
    def command(self, event: Event, exp_ref: ExpRef | None, wire: int) -> None:
        before = self.facts()
        named = str(exp_ref) if exp_ref else None
        args = (named, None) if event is Event.EXPSTART else ({"exp_ref": named},)
        out = self.receive(Message(event, args), wire, TRIGGERS[event])
        other = exp_ref is not None and before[1] is not None and exp_ref != before[1]
        if other and before[0] in (S.INITIALIZING, S.STARTING, S.RUNNING, S.STOPPING):
            assert self.facts() == before
            assert str(before[1]) in refusal(out)

    @rule(event=commands, args=garbage)
    def garbled_command(self, event: Event, args: tuple[Any, ...]) -> None:
        self.receive(Message(event, args), 1, TRIGGERS[event])

    @rule(event=commands, exp_ref=references)
    def keyboard(self, event: Event, exp_ref: ExpRef | None) -> None:
        self.feed(Commanded(event=event, exp_ref=exp_ref), TRIGGERS[event])

    @precondition(lambda self: self.calls)
    @rule(failure=st.sampled_from([None, None, None, "stop: stuck"]))
    def done(self, failure: str | None) -> None:
        self.feed(Done(number=self.calls[-1].number, recorded=Recorded(files=()), failure=failure), {T.DONE})

    @precondition(lambda self: self.calls)
    @rule(reason=st.sampled_from(["no light", "stuck"]))
    def failed(self, reason: str) -> None:
        self.feed(Failed(number=self.calls[-1].number, reason=reason), {T.FAILED})

    @precondition(lambda self: self.calls and self.machine.state not in MOVING)
    @rule(fails=st.booleans())
    def reported_twice(self, fails: bool) -> None:
        number = self.calls[-1].number
        self.of_no_effect(Failed(number=number, reason="x") if fails else Done(number=number))

    @rule(number=st.integers(-1, 40), fails=st.booleans())
    def reported_late(self, number: int, fails: bool) -> None:
        if not self.calls or number != self.calls[-1].number:
            self.of_no_effect(Failed(number=number, reason="x") if fails else Done(number=number))

    @rule()
    def broke(self) -> None:
        if self.machine.state is S.RUNNING:
            self.feed(Broke(reason="the cable is out"), {T.BROKE})
        else:
            self.of_no_effect(Broke(reason="the cable is out"))

    @rule(event=st.sampled_from([object(), None, Measured(health=read_health({"frames": 1}) or Health())]))
    def something_else(self, event: Any) -> None:
        self.of_no_effect(event)

    def of_no_effect(self, event: Any) -> None:
        before = self.facts()
        assert self.feed(event, set()) == []
        assert self.facts() == before

    @rule(subject=st.sampled_from(["SP_01", None]), wire=st.sampled_from([1, 2]))
    def info(self, subject: str | None, wire: int) -> None:
        self.receive(Message(Event.EXPINFO, (0, {"subject": subject})), wire, set())

    @precondition(lambda self: self.asked)
    @rule(free=st.sampled_from([ONE, TWO, None]))
    def described(self, free: ExpRef | None) -> None:
        wanted = self.asked.pop(0)
        found = {"exp_ref": str(self.machine.numbers.skip_used(free))} if wanted.subject and free else {}
        self.feed(Described(token=wanted.token, info=info_of(found)), set())

    @rule(wire=st.sampled_from([1, 2]), event=st.sampled_from([Event.EXPSTATUS, Event.ALYX, Event.ERROR]))
    def question(self, wire: int, event: Event) -> None:
        self.receive(Message(event, (None, {})), wire, set())

    # what always holds

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        assert max(self.answers.values(), default=0) <= 1

    @invariant()
    def who_is_free_has_forgotten_the_session(self) -> None:
        if self.calls and self.machine.state is S.CONNECTED:
            assert (self.machine.exp_ref, self.machine.failure) == (None, None)
            assert not self.needs_stop

    @invariant()
    def who_is_broken_knows_why(self) -> None:
        if self.calls and self.machine.state in (S.FAILING, S.BROKEN):
            assert self.machine.failure

    @invariant()
    def who_is_running_knows_what(self) -> None:
        if self.calls and self.machine.state in (S.STARTING, S.RUNNING):
            assert self.machine.exp_ref is not None

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        while self.asked:
            self.described(None)
        while self.machine.state in MOVING:
            self.done(None)
        assert set(self.answers.values()) <= {1}
        self.nobody_is_answered_twice()


AnySequence.TestCase.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
TestAnySequence = AnySequence.TestCase


# -- heartbeats, and who leads ------------------------------------------------------------------------------


def from_other(rig: Rig, event: Event, *args: Any, wire: int = 2, now: int = 0) -> list[Any]:
    """Let another conductor ask for something."""
    token = Token(OTHER_PC, wire, 1, "other" if wire == 2 else "")
    out = list(
        rig.machine.handle(
            Received(address=OTHER_PC, word=hear_leader(Message(event, args)), token=token), now
        )
    )
    rig.out += out
    return out


def beat_of_conductor(rig: Rig, now: int, exp_ref: object = ONE, boot: str = "boot") -> None:
    """Let a heartbeat of a conductor come."""
    message = Message(Event.EXPSTATUS, (0, {"state": "running", "exp_ref": str(exp_ref)}))
    rig.machine.handle(Told(address=PEER, word=hear_leader(message), boot=boot), now)


def test_whoever_leads_is_told_every_quarter_of_a_second_how_the_rig_is() -> None:
    rig = rig_in(S.RUNNING)
    assert rig.machine.get_timer() == SECOND // 4
    (beat,) = rig.tick(SECOND // 4)
    assert isinstance(beat, Tell)
    assert beat.address == PEER
    assert write(beat.word).args[1]["state"] == "running"
    assert rig.machine.get_timer() == SECOND // 2


def test_a_change_is_told_at_once() -> None:
    rig = rig_in(S.RUNNING)
    beats = [one for one in rig.end() if isinstance(one, Tell)]
    assert [write(one.word).args[1]["state"] for one in beats] == ["stopping"]


def test_nobody_is_told_anything_by_a_rig_that_nobody_leads_or_that_ibls_conductor_leads() -> None:
    assert Rig().machine.get_timer() is None
    rig = rig_in(S.RUNNING, wire=1)
    assert rig.machine.get_timer() is None
    assert not [one for one in rig.out if isinstance(one, Tell)]


@pytest.mark.parametrize("event", [Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPINTERRUPT])
def test_a_second_conductor_is_told_who_leads_and_changes_nothing(event: Event) -> None:
    for state in (S.INITIALIZED, S.RUNNING, S.STOPPED):
        rig = rig_in(state)
        out = from_other(rig, event, {"exp_ref": str(ONE)} if event is not Event.EXPSTART else str(ONE))
        assert "is led by udp://10.0.0.1:50000: end the session there, or take it over" in refusal(out)
        assert rig.state is state


def test_whoever_was_silent_for_two_seconds_leads_no_more() -> None:
    rig = rig_in(S.RUNNING)
    assert refusal(from_other(rig, Event.EXPEND, now=SECOND))
    beat_of_conductor(rig, 2 * SECOND)
    assert refusal(from_other(rig, Event.EXPEND, now=3 * SECOND))
    from_other(rig, Event.EXPEND, now=4 * SECOND)
    assert rig.state is S.STOPPING


def test_ibls_conductor_leads_until_its_recording_is_closed_and_any_program_of_its_pc_is_it() -> None:
    rig = rig_in(S.RUNNING, wire=1)
    assert refusal(from_other(rig, Event.EXPEND, wire=1, now=3600 * SECOND))
    same_pc = Token(Address("udp", PEER.host, 50_001), 1, 7)
    message = Message(Event.EXPEND, ({},))
    rig.feed(Received(address=same_pc.address, word=hear_leader(message), token=same_pc))
    assert rig.state is S.STOPPING
    rig.done()
    from_other(rig, Event.EXPINIT, {"exp_ref": str(TWO)}, wire=1)
    assert rig.state is S.INITIALIZING


def take_over(rig: Rig, **more: Any) -> list[Any]:
    rig.feed(Upgraded(address=OTHER_PC, boot="other", name="PC two"))
    return from_other(rig, Event.EXPINFO, 0, {"take_over": True, **more})


def test_another_conductor_takes_over_by_saying_so_where_that_is_allowed_and_the_first_one_is_told() -> None:
    rig = rig_in(S.RUNNING, take_over=ALLOW)
    out = take_over(rig)
    [news] = [one for one in out if isinstance(one, Send)]
    assert news.address == PEER
    assert write(news.word).args[1]["taken_over_by"] == "PC two (10.0.0.9)"
    assert isinstance(out[0], LedBy)
    assert "is led by PC two (10.0.0.9)" in refusal(rig.end())
    from_other(rig, Event.EXPEND)
    assert rig.state is S.STOPPING


def come_back(rig: Rig, exp_ref: ExpRef, now: int = 0) -> str | None:
    """Let another conductor come back to its session; return who leads the rig then."""
    from_other(rig, Event.EXPINFO, 0, {"exp_ref": str(exp_ref), "recover": True}, now=now)
    return rig.machine.leader.token.peer if rig.machine.leader is not None else None


def test_a_conductor_that_comes_back_leads_a_rig_again_that_nobody_else_leads() -> None:
    assert come_back(rig_in(S.RUNNING), ONE, now=4 * SECOND) == "other"


def test_a_conductor_that_comes_back_at_once_follows_the_dead_program_of_its_own_pc() -> None:
    rig = rig_in(S.RUNNING)
    token = Token(Address("udp", PEER.host, 50_001), 2, 1, "next")
    message = Message(Event.EXPINFO, (0, {"exp_ref": str(ONE), "recover": True}))
    rig.feed(Received(address=token.address, word=hear_leader(message), token=token))
    assert rig.machine.leader.token.peer == "next"


def test_a_conductor_that_comes_back_takes_no_rig_from_another_one_that_has_begun_meanwhile() -> None:
    """Its session was not started yet, so that the next conductor was given the same number."""
    rig = rig_in(S.RUNNING)
    assert come_back(rig, ONE) == "boot"
    assert "is led by" in refusal(from_other(rig, Event.EXPINTERRUPT, {"exp_ref": str(ONE)}))
    assert rig.state is S.RUNNING


def test_a_conductor_that_comes_back_to_what_it_has_begun_leads_it_whoever_has_joined_since() -> None:
    """Whoever joins a recording spares it when its own beginning fails: then nobody would end it."""
    rig = rig_in(S.RUNNING)
    from_other(rig, Event.EXPINIT, {"exp_ref": str(ONE)}, now=4 * SECOND)
    assert rig.machine.leader.token.peer == "other"
    token = Token(Address("udp", PEER.host, 50_001), 2, 1, "next")
    message = Message(Event.EXPINFO, (0, {"exp_ref": str(ONE), "recover": True}))
    out = list(
        rig.machine.handle(
            Received(address=token.address, word=hear_leader(message), token=token), 5 * SECOND
        )
    )
    assert rig.machine.leader.token.peer == "next"
    [news] = [one for one in out if isinstance(one, Send)]
    assert news.address == OTHER_PC


def test_a_conductor_that_comes_back_to_another_session_leads_nothing() -> None:
    assert come_back(rig_in(S.RUNNING), TWO, now=4 * SECOND) == "boot"


def test_an_info_says_who_leads_to_everybody_else() -> None:
    rig = rig_in(S.RUNNING)
    out = from_other(rig, Event.EXPINFO, 0, {})
    [describe] = [one for one in out if isinstance(one, Describe)]
    assert "led_by" in reply(rig.feed(Described(token=describe.token, info=info_of({})))).args[1]
    [describe] = [one for one in rig.ask(Event.EXPINFO, 0, {}) if isinstance(one, Describe)]
    assert "led_by" not in reply(rig.feed(Described(token=describe.token, info=info_of({})))).args[1]


def test_a_recording_goes_on_without_its_conductor_unless_it_is_told_otherwise() -> None:
    rig = rig_in(S.RUNNING)
    rig.tick(7 * 24 * 3600 * SECOND)
    assert rig.state is S.RUNNING


def test_a_recording_is_stopped_once_its_conductor_was_not_heard_for_so_long() -> None:
    rig = rig_in(S.RUNNING, stop_after=600 * SECOND)
    rig.tick(599 * SECOND)
    beat_of_conductor(rig, 599 * SECOND)
    rig.tick(1100 * SECOND)
    assert rig.state is S.RUNNING
    rig.tick(1200 * SECOND)
    assert rig.state is S.STOPPING
    rig.done()
    why = "(on_lost_conductor in this rig's config)"
    assert rig.machine.failure == f"stopped by itself: udp://10.0.0.1:50000 was not heard for 600 s {why}"


# -- proof of recording -----------------------------------------------------------------------------------


def measured(rig: Rig, now: int, **health: Any) -> Any:
    """Measure, and return for how long the rig says that it is stalled."""
    list(rig.machine.handle(Measured(health=read_health(health) or Health()), now))
    return write(rig.tick(now)[0].word).args[1]["stalled"]


@pytest.mark.parametrize(
    ("before", "after"),
    [({"frames": 5, "bytes": 1}, {"frames": 5, "bytes": 900}), ({"bytes": 7}, {"bytes": 7})],
)
def test_a_recording_that_does_not_grow_is_stalled_though_its_process_lives(before: Any, after: Any) -> None:
    rig = rig_in(S.RUNNING, stall_after=10 * SECOND)
    assert measured(rig, SECOND, **before) is None
    assert measured(rig, 11 * SECOND, **after) is None
    assert measured(rig, 12 * SECOND, **after) == 11.0
    assert measured(rig, 13 * SECOND, **{key: value + 1000 for key, value in after.items()}) is None


def test_a_camera_that_never_gives_a_frame_is_stalled_too() -> None:
    rig = rig_in(S.RUNNING, stall_after=10 * SECOND)
    assert measured(rig, 11 * SECOND, frames=0, bytes=44) == 11.0


def test_a_device_that_cannot_tell_stalls_nowhere() -> None:
    rig = rig_in(S.RUNNING, stall_after=10 * SECOND)
    assert measured(rig, 60 * SECOND, frames=None, bytes=0) is None


def test_nothing_has_to_grow_once_it_is_stopped() -> None:
    rig = rig_in(S.STOPPED, stall_after=10 * SECOND)
    assert measured(rig, 60 * SECOND, frames=5) is None


# -- after the death of its program -----------------------------------------------------------------------


def test_what_must_survive_is_kept_before_the_hooks_run() -> None:
    rig = Rig()
    out = rig.start()
    kinds = [type(one) for one in out]
    assert kinds.index(Keep) < kinds.index(Call)
    [keep] = [one for one in out if isinstance(one, Keep)]
    assert keep.memory.is_recording
    assert keep.memory.started == (ONE,)


@pytest.mark.parametrize("state", [S.STARTING, S.RUNNING, S.STOPPING, S.FAILING])
def test_a_rig_that_died_while_it_recorded_is_back_stopped_and_tells_of_the_gap(state: RigState) -> None:
    rig = Rig()
    rig.restore(state, files=[write_file(File(path="a.mp4", bytes=3), is_kept=False)])
    assert rig.state is S.STOPPED
    account = reply(rig.end(ONE)).args[0]
    assert account["files_total"] == 1
    assert account["gaps"] == [GAP]
    assert account["failure"] == (
        f"its program died while it recorded {ONE}; nothing was recorded from 12:01:03 on"
    )


@pytest.mark.parametrize("state", [S.STOPPED, S.BROKEN])
def test_a_rig_that_died_after_it_had_stopped_still_tells_what_it_recorded(state: RigState) -> None:
    rig = Rig()
    rig.restore(state, files=[write_file(File(path="a.mp4", bytes=3), is_kept=False)])
    account = reply(rig.end(ONE)).args[0]
    assert account["files_total"] == 1
    assert "gaps" not in account


@pytest.mark.parametrize("state", [S.CONNECTED, S.INITIALIZING, S.INITIALIZED, S.CLEANING])
def test_a_rig_that_died_without_a_recording_is_back_as_new(state: RigState) -> None:
    rig = Rig()
    rig.restore(state)
    assert rig.state is S.CONNECTED


def test_a_reference_is_never_started_again_whatever_died_in_between() -> None:
    rig = Rig()
    rig.restore(S.CONNECTED)
    assert "has been recorded here already" in refusal(rig.start(ONE))
    rig = Rig(resumes=True)
    rig.restore()
    assert "EXPSTART is not possible" in refusal(rig.start(ONE)) or "died" in refusal(rig.start(ONE))


def test_a_recording_goes_on_after_a_restart_where_the_adapter_can() -> None:
    rig = Rig(resumes=True)
    rig.restore(files=[write_file(File(path="a.mp4", bytes=3), is_kept=False)])
    rig.resume()
    assert rig.call.hooks == ("initialise", "resume")
    longer = {**GAP, "seconds": 40.0}
    assert reply(rig.done(gap=longer)).args[1] == {"status": 20}
    assert rig.state is S.RUNNING
    assert rig.machine.failure is None
    assert reply(rig.resume()).args[0] == str(ONE), "to ask again is answered"
    rig.end(ONE)
    assert reply(rig.done()).args[0]["gaps"] == [longer]


def test_a_recording_does_not_go_on_where_the_adapter_cannot() -> None:
    rig = Rig()
    rig.restore()
    assert refusal(rig.resume())
    assert rig.state is S.STOPPED


def test_after_a_restart_it_is_led_by_whoever_leads_its_session() -> None:
    rig = Rig()
    rig.restore()
    beat_of_conductor(rig, SECOND, TWO)
    assert rig.machine.leader is None
    beat_of_conductor(rig, SECOND, ONE)
    assert rig.machine.leader is not None
    assert rig.machine.get_timer() == SECOND


def test_a_new_session_may_begin_after_a_death_without_further_ado() -> None:
    rig = Rig()
    rig.restore()
    rig.init(TWO)
    assert rig.state is S.INITIALIZING
    assert rig.machine.failure is None
    assert rig.machine.recording.gaps == ()


def test_a_command_may_take_over_too_and_one_for_another_session_does_not() -> None:
    rig = rig_in(S.RUNNING, take_over=ALLOW)
    refusal(from_other(rig, Event.EXPINIT, {"exp_ref": str(TWO), "take_over": True}))
    assert rig.machine.leader.token.peer == "boot"
    from_other(rig, Event.EXPINIT, {"exp_ref": str(ONE), "take_over": True})
    assert rig.machine.leader.token.peer == "other"
    assert rig.state is S.RUNNING


# -- what an account is worth ------------------------------------------------------------------------------


def account_of(rig: Rig, exp_ref: object, now: int, *, other: bool = False) -> dict[str, Any]:
    """Ask for the end of a session; return what the rig says of it."""
    token = Token(OTHER_PC, 2, 9, "other") if other else Token(PEER, 2, 9, "boot")
    message = Message(Event.EXPEND, ({"exp_ref": str(exp_ref)},))
    event = Received(address=token.address, word=hear_leader(message), token=token)
    data: dict[str, Any] = reply(list(rig.machine.handle(event, now))).args[0]
    return data


def recorded(**options: Any) -> Rig:
    """Return a rig that has recorded a session and been cleaned up, one second after it began."""
    rig = rig_in(S.RUNNING, **options)
    message = Message(Event.EXPEND, ({"exp_ref": str(ONE)},))
    token = Token(PEER, rig.wire, 8, "boot")
    rig.out += rig.machine.handle(Received(address=PEER, word=hear_leader(message), token=token), SECOND)
    report = {"files": [{"path": "a", "bytes": 3}], "clock": {"offset": 1.0, "bound": 0.1}}
    rig.out += rig.machine.handle(Done(number=rig.call.number, recorded=read_recorded(report)), SECOND)
    rig.cleanup(ONE)
    rig.done()
    assert rig.state is S.CONNECTED
    return rig


def test_whoever_asks_late_is_told_how_long_ago_the_recording_ended() -> None:
    account = account_of(recorded(), ONE, 31 * SECOND)
    assert account["files_total"] == 1
    assert account["ended_ago"] == 30.0
    assert account["clock"] == {"offset": 1.0, "bound": 0.1}


def test_a_recording_that_failed_ended_then_and_not_when_it_was_told_to_stop() -> None:
    rig = rig_in(S.RUNNING)
    rig.out += rig.machine.handle(Broke(reason="the program is gone"), SECOND)
    rig.done()
    assert rig.state is S.BROKEN
    message = Message(Event.EXPEND, ({"exp_ref": str(ONE)},))
    token = Token(PEER, 2, 8, "boot")
    rig.out += rig.machine.handle(Received(address=PEER, word=hear_leader(message), token=token), 5 * SECOND)
    told = Done(number=rig.call.number, recorded=read_recorded({"files": [{"path": "a", "bytes": 3}]}))
    assert reply(list(rig.machine.handle(told, 5 * SECOND))).args[0]["ended_ago"] == 4.0


def test_who_did_not_lead_when_it_ended_learns_that_its_times_are_another_clocks() -> None:
    assert account_of(recorded(), ONE, 31 * SECOND, other=True)["clock"]["bound"] is None


def test_the_files_of_one_session_are_never_told_as_those_of_another() -> None:
    account = account_of(recorded(), TWO, 31 * SECOND)
    assert account["files_total"] == 0
    assert account["files"] == []
    assert "ended_ago" not in account


def test_ibls_conductor_is_told_no_more_than_it_can_read() -> None:
    rig = recorded(wire=1)
    token = Token(PEER, 1, 9)
    message = Message(Event.EXPEND, ({"exp_ref": str(ONE)},))
    data = reply(
        list(rig.machine.handle(Received(address=PEER, word=hear_leader(message), token=token), SECOND))
    ).args[0]
    assert data.keys() == {"exp_ref", "status", "files_total", "bytes_total"}


# -- markers -----------------------------------------------------------------------------------------------

SNEEZE = {"text": "sneezed", "data": {"trial": 7}, "at": 12.5}


def mark(rig: Rig, exp_ref: object = ONE, what: object = SNEEZE) -> list[Any]:
    return rig.ask(Event.EXPSTATUS, 20, {"exp_ref": str(exp_ref), "mark": what})


@pytest.mark.parametrize("state", list(RigState))
def test_a_marker_of_the_leader_is_taken_while_a_recording_goes_on_here(state: RigState) -> None:
    rig = rig_in(state)
    *marks, receipt = mark(rig)
    assert isinstance(receipt, Settle)
    taken = [Mark(marker=Marker(text="sneezed", data={"trial": 7}, at=12.5, exp_ref=ONE, received=0))]
    assert marks == (taken if state in (S.STARTING, S.RUNNING, S.STOPPING) else [])
    assert rig.state is state


def test_a_marker_of_somebody_who_does_not_lead_is_ignored() -> None:
    rig = rig_in(S.RUNNING)
    token = Token(OTHER_PC, 2, 1, "another boot")
    message = Message(Event.EXPSTATUS, (20, {"exp_ref": str(ONE), "mark": SNEEZE}))
    assert rig.feed(Received(address=OTHER_PC, word=hear_leader(message), token=token)) == [
        Settle(token=token)
    ]


def test_a_late_marker_of_another_session_is_ignored() -> None:
    [receipt] = mark(rig_in(S.RUNNING), TWO)
    assert isinstance(receipt, Settle)


@pytest.mark.parametrize("what", [None, 7, {}, {"text": 7, "data": {}, "at": 1.0}, {"text": "a", "at": 1.0}])
def test_what_is_no_marker_is_the_question_how_the_rig_is(what: object) -> None:
    [answer] = mark(rig_in(S.RUNNING), what=what)
    assert isinstance(answer, Reply)
    assert write(answer.word).event is Event.EXPSTATUS


def test_nobody_marks_on_wire_1() -> None:
    [answer] = mark(rig_in(S.RUNNING, wire=1))
    assert isinstance(answer, Reply)


# -- the instant of a start ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "planned"), [({"start_at": 5_000}, 5_000), ({"start_at": "soon"}, None)])
def test_the_instant_of_a_start_goes_to_the_hooks_with_the_time_at_which_it_was_heard(
    told: dict[str, Any], planned: int | None
) -> None:
    rig = Rig()
    rig.init()
    rig.done()
    message = Message(Event.EXPSTART, (str(ONE), told))
    token = Token(PEER, 2, 9, "boot")
    out = rig.machine.handle(Received(address=PEER, word=hear_leader(message), token=token), 1_234)
    [call] = [one for one in out if isinstance(one, Call)]
    assert (call.start_at, call.heard_at) == (planned, 1_234)


def test_a_rig_tells_where_its_clock_can_be_measured() -> None:
    rig = Rig()
    rig.feed(ClockPortOpened(port=4711))
    [reply] = rig.ask(Event.EXPSTATUS, 0)
    assert write(reply.word).args[1]["clock_port"] == 4711


# -- armed ----------------------------------------------------------------------------------------------


def armed(rig: Rig) -> list[bool]:
    """What those who look on are told of it, message by message."""
    told = [one for one in rig.out if isinstance(one, Tell) and one.address == OTHER_PC]
    return [write(one.word).args[1].get("armed", False) for one in told]


def test_those_who_look_on_are_told_at_once_that_a_rig_is_armed_and_no_longer_than_it_is() -> None:
    rig = Rig()
    rig.feed(
        Received(
            address=OTHER_PC,
            word=hear_leader(Message(Event.EXPSTATUS, (0, {"watch": 10}))),
            token=Token(OTHER_PC, 2, 1, "observer"),
        )
    )
    rig.init(), rig.done(), rig.start()
    before = armed(rig)
    rig.feed(Armed(number=rig.call.number))
    assert armed(rig) == [*before, True]
    rig.done()
    assert rig.state is S.RUNNING
    assert armed(rig)[-1] is False


def test_what_a_start_that_was_overtaken_has_armed_is_no_news() -> None:
    rig = Rig()
    rig.init(), rig.done(), rig.start()
    late = rig.call.number
    rig.end()
    rig.feed(Armed(number=late))
    assert not rig.machine.is_armed
    rig.feed(Armed(number=rig.call.number))
    assert not rig.machine.is_armed


# -- pictures ------------------------------------------------------------------------------------------------


def pictures_of(actions: list[Any]) -> list[Any]:
    listed: list[Any] = reply(actions).args[1]["pictures"]
    return listed


def take(rig: Rig, count: int, size: int = 16_000) -> list[Any]:
    """Ask for pictures, as many as that; return the answer."""
    [asked] = rig.ask(Event.EXPSTATUS, 0, {"pictures": True})
    assert isinstance(asked, TakePictures)
    jpeg = b"x" * (size * 3 // 4)
    taken = tuple(Picture(label=str(number), jpeg=jpeg, age=0.1) for number in range(count))
    return rig.feed(PicturesTaken(token=asked.token, pictures=taken))


@pytest.mark.parametrize("state", list(S))
def test_whoever_asks_for_pictures_gets_them_with_the_report_in_any_state(state: RigState) -> None:
    rig = rig_in(state)
    rig.feed(PicturesOffered(labels=("0", "1")))
    answer = reply(take(rig, 2))
    [status] = [write(one.word) for one in rig.ask(Event.EXPSTATUS, 0)]
    assert answer.event is Event.EXPSTATUS
    assert answer.args[0] == status.args[0] == STATUS[state]
    assert [one["label"] for one in answer.args[1]["pictures"]] == ["0", "1"]
    assert {**answer.args[1], "pictures": None} == {**status.args[1], "pictures": None}


def test_the_news_name_the_cameras_only_where_there_are_any() -> None:
    rig = Rig()
    assert "pictures" not in reply(rig.ask(Event.EXPSTATUS, 0)).args[1]
    assert rig.feed(PicturesOffered(labels=("left", "right"))) == []
    assert reply(rig.ask(Event.EXPSTATUS, 0)).args[1]["pictures"] == ["left", "right"]
    rig.feed(PicturesOffered(labels=()))
    assert "pictures" not in reply(rig.ask(Event.EXPSTATUS, 0)).args[1]


def test_a_rig_without_cameras_answers_that_there_are_no_pictures() -> None:
    assert pictures_of(take(Rig(), 0)) == []


def test_peers_of_wire_1_that_ask_for_pictures_get_the_status_only() -> None:
    [answer] = Rig(wire=1).ask(Event.EXPSTATUS, 0, {"pictures": True})
    assert isinstance(answer, Reply)
    assert write(answer.word) == Message(Event.EXPSTATUS, (0,))


@pytest.mark.parametrize("asked", [False, None, 1, "yes", ["left"]])
def test_only_a_clear_wish_for_pictures_is_one(asked: object) -> None:
    [answer] = Rig().ask(Event.EXPSTATUS, 0, {"pictures": asked})
    assert isinstance(answer, Reply)


def test_pictures_never_fill_more_than_a_datagram_and_each_camera_has_its_turn() -> None:
    rig, seen = Rig(), set()
    rig.machine.failure = "x" * MAX_FAILURE_TEXT
    for _ in range(3):
        answer = reply(take(rig, 8, size=20_000))
        assert len(encode_text(answer)) < MAX_DATAGRAM - 1_000
        assert len(answer.args[1]["pictures"]) == 3
        seen |= {one["label"] for one in answer.args[1]["pictures"]}
    assert len(seen) == 8


def test_a_rig_whose_program_was_left_is_in_its_session_until_somebody_ends_it() -> None:
    rig = Rig()
    memory = Memory(state=S.INITIALIZING, exp_ref=ONE, started=(), stopped=())
    left = "bonsai (process 7), started for 2024-05-06_1_SP_01"
    [entered] = rig.feed(Restored(memory=memory, left=left))
    assert (rig.state, rig.machine.exp_ref) == (S.STOPPED, ONE)
    assert entered.failure.startswith(f"{left}, still runs and is watched by nobody: 'multirig stop' ends it")
    rig.cleanup()
    assert rig.call.hooks == ("cleanup",)
    rig.done()
    assert (rig.state, rig.machine.failure) == (S.CONNECTED, None)
    rig.feed(Restored(memory=memory, left=left))
    rig.init(TWO)
    assert rig.call.hooks == ("cleanup", "initialise")
