from __future__ import annotations

import asyncio
import datetime
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import StepBegan, StepEnded
from multirig.conductor.storage import SubjectsFolder
from multirig.errors import (
    AgreementError,
    ConfigError,
    IllegalTransition,
    LocalProtocolError,
    MultirigError,
    NoMainSync,
    RigUnreachable,
    SessionFailed,
    SeveralMainSyncs,
    Unconfirmed,
)
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_events import Heard, Limits, Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.dialect import write
from multirig.protocol.events import SECOND, Address
from multirig.protocol.messages import Event
from multirig.protocol.words import AlyxToken, Word
from multirig.rig.adapters.fake import Fake

TODAY = datetime.date.today()
HOOKS = ["initialise", "start", "stop", "cleanup"]
QUICK = Limits(
    agree=SECOND // 3,
    initialise=SECOND // 3,
    start=SECOND // 3,
    stop=SECOND // 3,
    cleanup=SECOND // 3,
    lead=0,
)


def ref(sequence: int = 1, subject: str = "SP_01") -> str:
    return f"{TODAY}_{sequence}_{subject}"


async def record(conductor: Any, subject: str = "SP_01") -> dict[str, Any]:
    """Lead a whole session and return what the rigs said of their stop."""
    session = conductor.session(subject)
    await session.agree()
    await session.init()
    await session.start()
    ended: dict[str, Any] = await session.stop()
    await session.cleanup()
    return ended


def are_free(lab: Any) -> bool:
    return all(rig.machine.state is RigState.CONNECTED for rig in lab.rigs.values())


def has_stopped(rig: Any) -> bool:
    """Whether each start was followed by a stop."""
    calls = "".join(one[:3] for one in rig.adapter.calls)
    return calls.rfind("sto") >= calls.rfind("sta")


def drop_from_to(*hosts: str) -> Callable[[bytes, Address, Address], Iterable[float]]:
    """Return a postman who loses whatever these hosts send or should get."""
    return lambda data, source, target: () if {source.host, target.host} & {*hosts} else (0.0,)


# -- the steps ---------------------------------------------------------------------------------------------


async def test_every_step_brings_a_result_for_every_rig_in_their_order(lab: Any) -> None:
    await lab.rigs_of_a_session("left", "right")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    assert session.state is SessionState.IDLE
    assert str(await session.agree()) == ref()
    for step, event, state in (
        (session.init, Event.EXPINIT, SessionState.INITIALIZED),
        (session.start, Event.EXPSTART, SessionState.RUNNING),
        (session.stop, Event.EXPEND, SessionState.STOPPED),
        (session.cleanup, Event.EXPCLEANUP, SessionState.IDLE),
    ):
        results = await step()
        assert list(results) == ["main", "left", "right"]
        assert {one.event for one in results.values()} == {event}
        assert session.state is state
    assert are_free(lab)
    assert all(rig.adapter.calls == HOOKS for rig in lab.rigs.values())


async def test_an_interrupt_ends_the_session_for_all(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    results = await session.interrupt("smoke", error="OSError")
    assert all(write(one).args[0]["files_total"] == 1 for one in results.values())
    assert session.state is SessionState.STOPPED
    await session.cleanup()
    assert are_free(lab)


async def test_an_interrupt_overtakes_a_start_that_goes_on(lab: Any, until: Callable[..., Any]) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"hang": ["start"]})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    starting = asyncio.create_task(session.start())
    await until(lambda: "start" in lab.rigs["cam"].adapter.calls)
    results = await session.interrupt("the operator pressed the button")
    assert all(isinstance(one, Word) for one in results.values())
    with pytest.raises(SessionFailed, match=r"^starting failed \(it was interrupted\)$"):
        await starting
    await session.cleanup()
    assert are_free(lab)


async def test_a_step_out_of_turn_is_refused_and_changes_nothing(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    for step in (session.init, session.start, session.stop, session.cleanup):
        with pytest.raises(IllegalTransition, match=r"^cannot .* while the session is idle$"):
            await step()
    with pytest.raises(IllegalTransition):
        await session.interrupt("x")
    await session.agree()
    with pytest.raises(IllegalTransition, match="a session agrees once"):
        await session.agree()
    await session.init()
    with pytest.raises(IllegalTransition, match="cannot agree while the session is initialised"):
        await conductor.session("SP_02").agree()
    assert str(session.exp_ref) == ref()
    await session.start()
    assert session.state is SessionState.RUNNING


async def test_whoever_agreed_on_the_wrong_subject_agrees_again(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_02")
    await session.agree()
    session = conductor.session("SP_01")
    assert str(await session.agree()) == ref()
    await session.init()


async def test_a_question_goes_to_all_or_to_some(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    answers = await conductor.request(Event.EXPSTATUS, 0)
    assert {name: write(one).args[0] for name, one in answers.items()} == {"main": 0, "cam": 0}
    assert list(await conductor.request(32, 0, rigs=["cam"])) == ["cam"]
    assert await conductor.request(Event.EXPSTATUS, 0, rigs=[]) == {}
    with pytest.raises(ConfigError, match="no rig is called left, right; known: main, cam"):
        await conductor.request(Event.EXPSTATUS, 0, rigs=["cam", "left", "right"])


async def test_the_reports_tell_what_is_recorded_now(lab: Any) -> None:
    await lab.rigs_of_a_session("cam", fake={"rate": 1000})
    conductor = await lab.conductor()
    assert await conductor.reports() == {}
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.6)
    reports = await conductor.reports()
    assert list(reports) == ["main", "cam"]
    assert all(one.doing is RigState.RUNNING and one.health.frames > 0 for one in reports.values())


async def test_data_that_no_message_can_carry_is_refused_before_anything_happens(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    for step in (
        conductor.session("SP_01", info={"thing": object()}).agree(),
        conductor.request(Event.EXPSTATUS, object()),
    ):
        with pytest.raises(LocalProtocolError, match="holds a object, which a message cannot carry"):
            await step
    assert conductor.current is None
    session = conductor.session("SP_01", info={"day": TODAY, "gain": float("nan")})
    await session.agree()
    with pytest.raises(LocalProtocolError, match=r"initialise\.thing holds a object"):
        await session.init({"thing": object()})
    assert session.state is SessionState.AGREED
    await session.init({"where": lab.folder})


# -- agreeing ----------------------------------------------------------------------------------------------


async def test_this_pc_can_be_the_main_sync(lab: Any) -> None:
    await lab.rig("cam")
    conductor = await lab.conductor(main_sync=True, lab="cortexlab")
    for number in (1, 2):
        session = conductor.session("SP_01")
        assert str(await session.agree()) == ref(number)
        folder = lab.folder / "pc" / "cortexlab" / "Subjects" / "SP_01" / str(TODAY) / f"{number:03d}"
        assert session.folder == folder
        assert folder.is_dir()
        await session.init()
        await session.start()
        await session.stop()
        await session.cleanup()


async def test_this_pc_and_a_rig_cannot_both_be_the_main_sync(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor(main_sync=True)
    with pytest.raises(SeveralMainSyncs, match="main, this PC"):
        await conductor.session("SP_01").agree()


def test_a_main_sync_needs_a_folder_to_count_in() -> None:
    with pytest.raises(ConfigError, match="data folder"):
        Conductor({}, main_sync=True)


async def test_rigs_that_do_not_agree_are_left_untouched_and_may_be_asked_again(lab: Any) -> None:
    rig = await lab.rig("cam")
    conductor = await lab.conductor()
    with pytest.raises(NoMainSync, match="cam"):
        await conductor.session("SP_01").agree()
    assert conductor.current is None
    assert rig.adapter.calls == []
    with pytest.raises(NoMainSync):
        await conductor.session("SP_01").agree()


async def test_a_main_sync_that_finds_no_number_says_why(lab: Any) -> None:
    rig = await lab.rig("main", main_sync=True)
    day = rig.config.data_folder / "mylab" / "Subjects" / "SP_01" / str(TODAY)
    (day / "999").mkdir(parents=True)
    with pytest.raises(
        AgreementError, match=r"^main is the main sync but gave no experiment reference: .*999"
    ):
        await (await lab.conductor()).session("SP_01").agree()


async def test_a_subject_that_cannot_name_a_folder_is_refused_before_anybody_is_asked(lab: Any) -> None:
    with pytest.raises(LocalProtocolError, match="cannot name a folder"):
        await (await lab.conductor()).session("../x").agree()


def test_a_lab_that_cannot_name_a_folder_is_refused_before_anything_is_opened(lab: Any) -> None:
    with pytest.raises(ConfigError, match="cannot name a folder"):
        lab.make_conductor(lab="a/b")


async def test_a_session_may_say_where_it_is_recorded_and_that_this_pc_is_the_main_sync(lab: Any) -> None:
    await lab.rig("left")
    conductor = await lab.conductor(data_folder=None)
    with pytest.raises(ConfigError, match="data folder"):
        conductor.session("SP_01", main_sync=True)
    storage = SubjectsFolder(lab.folder / "elsewhere" / "Subjects")
    session = conductor.session("SP_01", storage=storage, main_sync=True)
    exp_ref = await session.agree()
    assert exp_ref.sequence == 1
    assert session.folder == lab.folder.joinpath("elsewhere", "Subjects", *exp_ref.folder_parts())
    assert (session.folder / "_multirig_journal.jsonl").is_file()


async def test_what_each_rig_said_in_the_agreement_is_kept(lab: Any) -> None:
    await lab.rigs_of_a_session("left")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    assert {name: info.main_sync for name, info in session.information.items()} == {
        "main": True,
        "left": False,
    }


async def test_the_session_expects_only_its_next_steps(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    expected = []
    session = conductor.session("SP_01")
    await session.agree()
    for step in (session.init, session.start, session.stop, session.cleanup):
        expected.append({event for event in Event if session.expects(event)})
        await step()
    assert expected == [
        {Event.EXPINFO, Event.EXPINIT, Event.EXPINTERRUPT, Event.EXPCLEANUP},
        {Event.EXPSTART, Event.EXPINTERRUPT, Event.EXPCLEANUP},
        {Event.EXPEND, Event.EXPINTERRUPT},
        {Event.EXPINTERRUPT, Event.EXPCLEANUP},
    ]


async def test_a_rig_that_is_silent_counts_as_not_reached_until_it_answers(lab: Any) -> None:
    await lab.rigs_of_a_session("left")
    conductor = await lab.conductor()
    assert conductor.is_reached("left")
    is_cut = True
    lab.network.postman = lambda data, source, target: () if is_cut and target.host == "left" else (0.0,)
    await conductor.request(Event.EXPINFO, 0, {}, limit=0.2)
    assert not conductor.is_reached("left")
    assert conductor.is_reached("main")
    is_cut = False
    await conductor.request(Event.EXPINFO, 0, {})
    assert conductor.is_reached("left")


# -- one rig is sick ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["initialise", "start"])
async def test_a_rig_that_fails_is_named_with_its_cause_and_the_others_are_rolled_back(
    lab: Any, step: str
) -> None:
    await lab.rigs_of_a_session("left")
    await lab.rig("right", fake={"fail": {step: "no light: open the shutter"}, "fail_times": {step: 1}})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    if step == "start":
        await session.init()
    with pytest.raises(SessionFailed) as caught:
        await (session.start() if step == "start" else session.init())
    assert str(caught.value) == (
        f"{step} failed on right (the other rigs were stopped and cleaned up)\n"
        f"└─ right: {step}: no light: open the shutter"
    )
    assert session.state is SessionState.IDLE
    assert are_free(lab)
    assert all(rig.adapter.calls[-1] == "cleanup" for rig in lab.rigs.values())
    assert all(has_stopped(rig) for rig in lab.rigs.values())
    ended = await record(conductor)
    assert all(isinstance(one, Word) for one in ended.values())


async def test_a_rig_that_is_not_there_is_told_at_once_and_nobody_is_touched(lab: Any) -> None:
    await lab.rigs_of_a_session("left", "right")
    await lab.rigs["right"].close()
    conductor = await lab.conductor()
    with pytest.raises(SessionFailed) as caught:
        await asyncio.wait_for(conductor.session("SP_01").agree(), 1)
    assert str(caught.value) == (
        "agreement failed on right (no rig has been touched)\n"
        "└─ right: nothing listens there (memory://right:11001)"
    )
    assert isinstance(caught.value.causes["right"], RigUnreachable)
    assert all(rig.adapter.calls == [] for rig in lab.rigs.values())


@pytest.mark.parametrize("step", ["init", "start"])
async def test_a_rig_that_dies_before_a_step_is_named_and_the_others_are_rolled_back(
    lab: Any, step: str
) -> None:
    await lab.rigs_of_a_session("left", "right")
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    if step == "start":
        await session.init()
    await lab.rigs["right"].close()
    with pytest.raises(SessionFailed) as caught:
        await getattr(session, step)()
    assert list(caught.value.causes) == ["right"]
    assert "nothing listens there" in str(caught.value)
    assert are_free(lab)


@pytest.mark.parametrize("step", ["initialise", "start"])
async def test_a_rig_that_is_too_slow_is_named_with_what_it_says_of_itself(lab: Any, step: str) -> None:
    await lab.rigs_of_a_session("left")
    await lab.rig("right", fake={"hang": [step]})
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    if step == "start":
        await session.init()
    with pytest.raises(SessionFailed) as caught:
        await (session.start() if step == "start" else session.init())
    cause = caught.value.causes["right"]
    assert isinstance(cause, Unconfirmed)
    doing = {"initialise": "initialising", "start": "starting"}[step]
    assert f"within 0.333333 s and says that it is {doing}: look at its screen" in str(cause)
    assert are_free(lab)


async def test_a_rig_that_starts_while_its_answer_is_lost_is_believed(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()

    def lose_replies(data: bytes, source: Address, target: Address) -> Iterable[float]:
        return () if source.host == "cam" and b'"m":[2,' in data else (0.0,)

    lab.network.postman = lose_replies
    began = await session.start()
    assert list(began) == ["main", "cam"]
    assert session.state is SessionState.RUNNING


@pytest.mark.parametrize("step", ["stop", "cleanup"])
@pytest.mark.parametrize("sickness", ["dead", "deaf", "failing", "slow"])
async def test_the_end_completes_on_the_healthy_whatever_the_sick_do(
    lab: Any, step: str, sickness: str
) -> None:
    script = {"failing": {"fail": {step: "no"}}, "slow": {"hang": [step]}}.get(sickness, {})
    await lab.rigs_of_a_session("left")
    sick = await lab.rig("right", fake=script, limits={"stop": 0.5, "cleanup": 0.5})
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    if step == "cleanup":
        await session.stop()
    if sickness == "dead":
        await sick.close()
    if sickness == "deaf":
        lab.network.postman = drop_from_to("right")
    results = await getattr(session, step)()
    assert isinstance(results["main"], Word)
    assert isinstance(results["left"], Word)
    assert isinstance(results["right"], MultirigError)
    if step == "stop":
        assert session.state is SessionState.STOPPED
        await session.cleanup()
    assert session.state is SessionState.IDLE
    assert lab.rigs["main"].machine.state is RigState.CONNECTED
    assert lab.rigs["left"].machine.state is RigState.CONNECTED


async def test_a_roll_back_that_a_rig_does_not_confirm_says_where_to_look(lab: Any) -> None:
    await lab.rigs_of_a_session("deaf")
    await lab.rig("sick", fake={"fail": {"start": "no light"}, "delay": {"start": 0.1}})
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    deaf = []

    def lose_behind_its_answer(data: bytes, source: Address, target: Address) -> Iterable[float]:
        if deaf:
            return drop_from_to("deaf")(data, source, target)
        if source.host == "deaf" and b'"m":[2,' in data:
            deaf.append(data)
        return (0.0,)

    lab.network.postman = lose_behind_its_answer
    with pytest.raises(SessionFailed, match="not confirmed by deaf: look there"):
        await session.start()
    assert deaf


async def test_a_deaf_rig_is_stopped_when_it_is_back(lab: Any, until: Callable[..., Any]) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    lab.network.postman = drop_from_to("cam")
    results = await session.stop()
    assert isinstance(results["cam"], Unconfirmed)
    assert "does not hear EXPEND" in str(results["cam"])
    await session.cleanup()
    assert lab.rigs["cam"].machine.state is RigState.RUNNING
    lab.network.postman = drop_from_to()
    await until(lambda: lab.rigs["cam"].machine.state is RigState.STOPPED)
    ended = await record(conductor)
    assert all(isinstance(one, Word) for one in ended.values())


async def test_the_stop_of_an_earlier_session_leaves_the_next_one_alone(lab: Any) -> None:
    """A deaf rig is restarted by hand; what it missed comes when it is ready for the next session."""
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    lab.network.postman = drop_from_to("cam")
    await session.stop()
    cam = lab.rigs["cam"]
    await cam.stop_here()
    other = lab.make_conductor(rigs={"cam": "udp://cam:11001"}, data_folder=None)
    lab.network.postman = lambda data, source, target: (
        () if {source.port, target.port} == {50_001, 11001} else (0.0,)
    )
    await other.open()
    await other.request(Event.EXPINIT, {"exp_ref": ref(9)})
    assert cam.machine.state is RigState.INITIALIZED
    lab.network.postman = drop_from_to()
    await asyncio.sleep(2.2)
    assert cam.machine.state is RigState.INITIALIZED


async def test_a_rig_that_is_restarted_in_the_middle_of_a_step_takes_it_all_the_same(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    first = await lab.rig("cam", fake={"hang": ["start"]})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    lab.network.postman = drop_from_to("cam")  # as it is when the power goes
    starting = asyncio.create_task(session.start())
    await first.close()
    second = await lab.rig("cam")
    lab.network.postman = drop_from_to()
    await asyncio.wait_for(starting, 5)
    assert second.machine.state is RigState.RUNNING
    assert second.adapter.calls == ["initialise", "start"]
    ended = await session.stop()
    assert all(isinstance(one, Word) for one in ended.values())


# -- opening -----------------------------------------------------------------------------------------------


async def test_two_names_of_one_rig_are_an_error_before_anything_is_sent(lab: Any) -> None:
    conductor = lab.make_conductor(rigs={"a": "udp://cam:1", "b": "udp://cam:2", "c": "udp://CAM:1"})
    with pytest.raises(ConfigError, match="a and c have the same address"):
        await conductor.open()


async def test_names_that_are_not_known_are_told_all_at_once(lab: Any) -> None:
    rigs = {"a": "udp://127.0.0.1:1", "b": "udp://no-such-pc.invalid:1", "c": "tcp://nor-this.invalid:1"}
    conductor = lab.make_conductor(over="udp", rigs=rigs)
    with pytest.raises(SessionFailed) as caught:
        await conductor.open()
    assert list(caught.value.causes) == ["b", "c"]
    assert "no-such-pc.invalid" in str(caught.value)
    assert "nor-this.invalid" in str(caught.value)
    assert "use the IP address" in str(caught.value)


async def test_an_opening_that_is_cancelled_leaves_no_socket(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = lab.make_conductor(over="udp", rigs={"a": "udp://127.0.0.1:1", "b": "udp://slow.example:1"})
    connect = conductor.exchange.runtime.connect

    async def slow(scheme: str, host: str, port: int) -> Address:
        if host == "slow.example":
            await asyncio.Event().wait()
        address: Address = await connect(scheme, host, port)
        return address

    monkeypatch.setattr(conductor.exchange.runtime, "connect", slow)
    opening = asyncio.create_task(conductor.open())
    await asyncio.sleep(0.05)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not conductor.exchange.runtime._transports["udp"]._paths


async def test_it_is_a_context_manager(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    async with lab.make_conductor() as conductor:
        session = conductor.session("SP_01")
        await session.agree()
        await session.init()
    assert are_free(lab)


# -- who listens -------------------------------------------------------------------------------------------


async def take_all(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_the_stream_of_a_session_holds_each_outcome_of_each_rig_and_ends_with_the_session(
    lab: Any,
) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    streams = [asyncio.create_task(take_all(session.events())) for _ in range(2)]
    thrown_away = session.events()
    del thrown_away
    async with session:
        await session.init()
        await session.start()
        await session.stop()
    events, same = await asyncio.wait_for(asyncio.gather(*streams), 5)
    assert events == same
    assert Counter((one.event, one.rig) for one in events if isinstance(one, Progressed)) == {
        (event, rig): 1
        for event in (Event.EXPINFO, Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP)
        for rig in ("main", "cam")
    }
    assert [one.step.value for one in events if isinstance(one, StepBegan)] == [
        "agree",
        "initialise",
        "start",
        "stop",
        "clean up",
    ]
    assert [one.error for one in events if isinstance(one, StepEnded)] == [None] * 5
    assert [one.state for one in events if isinstance(one, Moved)][-1] is SessionState.IDLE
    assert isinstance(events[-1], StepEnded)
    assert (session.folder / "_multirig_verdict.json").exists()
    assert await take_all(session.events()) == []


async def test_a_step_that_fails_or_is_given_up_says_so_in_the_stream(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"start": "no light"}})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    stream = asyncio.create_task(take_all(session.events()))
    await session.agree()
    await session.init()
    with pytest.raises(SessionFailed):
        await session.start()
    ended = [one for one in await asyncio.wait_for(stream, 5) if isinstance(one, StepEnded)]
    assert isinstance(ended[-1].error, SessionFailed)
    assert are_free(lab)


async def test_what_a_rig_says_by_itself_is_in_the_stream_of_the_conductor(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail_after": 0.05})
    conductor = await lab.conductor()
    stream = conductor.events()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()

    async def hear() -> Heard:
        return await anext(one async for one in stream if isinstance(one, Heard))

    heard = await asyncio.wait_for(hear(), 5)
    assert heard.rig == "cam"
    assert "scripted failure" in write(heard.word).args[1]["failure"]
    await conductor.close()
    assert all(not isinstance(one, Heard) for one in await asyncio.wait_for(take_all(stream), 5))


async def test_a_token_is_not_written_into_the_log(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    other = await lab.conductor()
    stream = conductor.events()
    conductor.exchange._perform(
        Heard(rig="main", word=AlyxToken(url="https://alyx", credentials={"token": "secret"}))
    )
    heard = await anext(stream)
    assert isinstance(heard, Heard)
    assert isinstance(heard.word, AlyxToken)
    assert heard.word.credentials == {"token": "secret"}
    await other.request(Event.ALYX, "https://alyx", {"user": {"token": "secret"}}, needs_reply=False)
    assert "ALYX" in caplog.text
    assert "secret" not in caplog.text


# -- closing and cancelling --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["agree", "init", "start", "stop"])
async def test_closing_in_the_middle_of_a_session_leaves_every_rig_free(lab: Any, step: str) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    for name in ("agree", "init", "start", "stop"):
        await getattr(session, name)()
        if name == step:
            break
    await conductor.close()
    assert are_free(lab)
    assert all(has_stopped(rig) for rig in lab.rigs.values())


@pytest.mark.parametrize("hook", ["initialise", "start"])
@pytest.mark.parametrize("cancelled", [True, False])
async def test_closing_while_a_step_goes_on_leaves_nothing_running(
    lab: Any, until: Callable[..., Any], hook: str, cancelled: bool
) -> None:
    await lab.rig("main", main_sync=True)
    cam = await lab.rig("cam", fake={"hang": [hook]})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    if hook == "start":
        await session.init()
    step = asyncio.create_task(session.init() if hook == "initialise" else session.start())
    await until(lambda: hook in cam.adapter.calls)
    if cancelled:
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
    await conductor.close()
    if not cancelled:
        with pytest.raises(SessionFailed, match="interrupted"):
            await step
    assert are_free(lab)
    assert cam.adapter.health().frames == 0


async def test_closing_while_a_roll_back_goes_on_waits_for_its_end(
    lab: Any, until: Callable[..., Any]
) -> None:
    main = await lab.rig("main", main_sync=True, fake={"delay": {"stop": 0.1, "cleanup": 0.1}})
    await lab.rig("cam", fake={"fail": {"start": "no light"}})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    starting = asyncio.create_task(session.start())
    await until(lambda: session.state is SessionState.ABORTING)
    starting.cancel()
    await conductor.close()
    assert main.adapter.calls[-2:] == ["stop", "cleanup"]
    assert are_free(lab)


@pytest.mark.parametrize("step", ["stop", "cleanup"])
async def test_closing_while_the_end_goes_on_waits_for_it(
    lab: Any, until: Callable[..., Any], step: str
) -> None:
    main = await lab.rig("main", main_sync=True, fake={"delay": {step: 0.1}})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    if step == "cleanup":
        await session.stop()
    ending = asyncio.create_task(getattr(session, step)())
    await until(lambda: step in main.adapter.calls)
    await conductor.close()
    assert isinstance((await ending)["main"], Word)
    assert main.adapter.calls == HOOKS


async def test_a_question_that_is_open_when_it_is_closed_ends_with_an_error(lab: Any) -> None:
    await lab.rig("cam")
    conductor = await lab.conductor()
    lab.network.postman = drop_from_to("cam")
    question = asyncio.create_task(conductor.request(Event.EXPSTATUS, 0))
    agreeing = asyncio.create_task(conductor.session("SP_01").agree())
    await asyncio.sleep(0.05)
    await conductor.close()
    for one in (question, agreeing):
        with pytest.raises(MultirigError, match="the conductor was closed"):
            await one


async def test_whoever_asks_a_closed_conductor_is_told_so_and_does_not_wait(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    await conductor.close()
    await conductor.close()
    for step in (
        conductor.session("SP_01").agree(),
        conductor.request(Event.EXPSTATUS, 0),
    ):
        with pytest.raises(MultirigError, match="the conductor is closed"):
            await asyncio.wait_for(step, 1)


async def test_a_conductor_that_was_never_opened_can_be_closed(lab: Any) -> None:
    await lab.make_conductor(rigs={}).close()


# -- bad networks, many rigs -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_session_completes_though_three_messages_of_ten_are_lost(lab: Any, seed: int) -> None:
    await lab.rigs_of_a_session("cam")
    dice = random.Random(seed)
    lab.network.postman = lambda data, source, target: () if dice.random() < 0.3 else (0.0,)
    ended = await record(await lab.conductor())
    assert all(write(one).args[0]["files_total"] == 1 for one in ended.values())
    assert all(rig.adapter.calls == HOOKS for rig in lab.rigs.values())
    lab.network.postman = drop_from_to()


@pytest.mark.parametrize("seed", [4, 5])
async def test_a_session_completes_though_messages_come_late_twice_and_out_of_order(
    lab: Any, seed: int
) -> None:
    await lab.rigs_of_a_session("cam")
    dice = random.Random(seed)
    lab.network.postman = lambda data, source, target: [
        dice.random() * 0.05 for _ in range(dice.choice([1, 2]))
    ]
    conductor = await lab.conductor()
    for _ in range(3):
        ended = await record(conductor)
        assert all(write(one).args[0]["files_total"] == 1 for one in ended.values())
    assert all(rig.adapter.calls == HOOKS * 3 for rig in lab.rigs.values())


@dataclass(kw_only=True)
class Idle(Fake):
    """Costs nothing, so that two hundred of them are no burden to this PC."""

    write_file: bool = False

    def files(self) -> list[Any]:
        return []


async def messages_per_rig(lab: Any, count: int) -> Counter[tuple[str, bytes]]:
    """Lead a session of so many rigs; return what a rig got and sent of each kind, copies not counted."""
    for number in range(count):
        await lab.rig(f"rig{number}", main_sync=number == 0, adapter=Idle())
    sent: set[tuple[str, bytes, Address, bytes]] = set()

    def note(data: bytes, source: Address, target: Address) -> Iterable[float]:
        rig, way = (source, "sent") if source.host.startswith("rig") else (target, "got")
        if data[:1] == b"[":
            sent.add((way, data[1:].split(b",")[0], rig, b""))
        elif (
            b'"n":' in data and b'"m":' in data
        ):  # what a busy PC sends again has the same number; mere receipts have none
            kind = data.split(b'"m":[')[1].split(b",")[0]
            sent.add((way, kind, rig, data.split(b'"n":')[1].split(b",")[0]))
        return (0.0,)

    lab.network.postman = note
    conductor = await lab.conductor(data_folder=None)
    ended = await record(conductor)
    assert len(ended) == count
    assert all(isinstance(one, Word) for one in ended.values())
    await conductor.close()
    total = Counter((way, kind) for way, kind, _, _ in sent)
    assert {number % count for number in total.values()} == {0}
    return Counter({kind: number // count for kind, number in total.items()})


@pytest.mark.limit(60)
async def test_two_hundred_rigs_take_no_more_messages_each_than_two(lab: Any) -> None:
    few = await messages_per_rig(lab, 2)
    await asyncio.gather(*(rig.close() for rig in lab.rigs.values()))
    lab.rigs.clear()
    many = await messages_per_rig(lab, 200)
    assert few == many
    assert few == {(way, kind): 1 for way in ("got", "sent") for kind in (b"64", b"1", b"2", b"4", b"8")}
