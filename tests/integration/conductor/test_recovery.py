"""A conductor dies in the middle of a session, and another one takes its place; a rig dies, and is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import listen

from multirig.conductor.conductor import Conductor
from multirig.errors import ConfigError, SessionFailed
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol import words
from multirig.protocol.dialect import write
from multirig.record.account import account
from multirig.record.journal import FILE_NAME, read_summary
from multirig.record.recovery import find_open
from multirig.record.verdict import Word, judge


async def die(lab: Any, conductor: Any) -> None:
    """Let a conductor be gone without a word, as a program that is killed."""
    conductor.current.journal._journal._release()  # as the system does for it
    conductor.current.journal._journal = None
    await conductor.detach()
    lab.conductors.remove(conductor)


async def die_in(lab: Any, state: SessionState, **options: Any) -> Any:
    """Begin a session, and let its conductor die in a state; return the session's folder."""
    conductor = await lab.conductor(**options)
    session = conductor.session("SP_01")
    await session.agree()
    folder = session.folder
    for step, reached in (
        (session.init, SessionState.INITIALIZED),
        (session.start, SessionState.RUNNING),
        (session.stop, SessionState.STOPPED),
    ):
        if session.state is not state:
            await step()
            assert session.state is reached
    await die(lab, conductor)
    return folder


async def come_back(lab: Any, folder: Any) -> Any:
    """Return the session, led by another conductor."""
    # in a thread, as who may not block reads it
    conductor = await asyncio.to_thread(Conductor.from_journal, folder, network=lab.network)
    lab.conductors.append(conductor)
    await conductor.open()
    return conductor.current


async def test_a_recording_goes_on_and_is_ended_in_good_order(lab: Any) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    folder = await die_in(lab, SessionState.RUNNING)
    assert [one.folder for one in find_open(lab.folder / "pc" / "mylab" / "Subjects")] == [folder]
    session = await come_back(lab, folder)
    found = await session.recover()
    assert set(found) == {"main", "cam"}
    await session.go_on()
    assert session.state is SessionState.RUNNING
    assert [rig.adapter.calls.count("start") for rig in rigs] == [1, 1]
    ended = await session.stop()
    assert all(isinstance(one, words.Word) for one in ended.values())
    await session.cleanup()
    assert all(rig.machine.state is RigState.CONNECTED for rig in rigs)
    summary = read_summary(folder)
    assert summary.state == "idle"
    assert [rig.files_total for rig in summary.rigs.values()] == [1, 1]
    assert find_open(lab.folder / "pc" / "mylab" / "Subjects") == []


async def test_a_recording_whose_conductor_died_before_the_rigs_answered_has_run(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    folder = await die_in(lab, SessionState.RUNNING)
    journal = folder / FILE_NAME
    lines = journal.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if '"trigger":"start"' in line)
    journal.write_text("".join(lines[: start + 1]))
    session = await come_back(lab, folder)
    await session.recover()
    await session.stop()
    await session.cleanup()
    verdict = judge(read_summary(folder))
    assert verdict.word is Word.INTERRUPTED
    assert verdict.reasons[0].startswith("the program that led it died as its rigs were started")


@pytest.mark.parametrize("state", [SessionState.INITIALIZED, SessionState.RUNNING, SessionState.STOPPED])
async def test_from_every_state_the_rigs_can_be_let_go(lab: Any, state: SessionState) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    session = await come_back(lab, await die_in(lab, state))
    await session.recover()
    await session.interrupt("its conductor has died")
    await session.cleanup()
    assert all(rig.machine.state is RigState.CONNECTED for rig in rigs)


async def test_what_an_essential_rig_does_not_record_does_not_go_on_and_can_be_stopped(lab: Any) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    folder = await die_in(lab, SessionState.RUNNING, policies={"cam": RigPolicy(role=Role.ESSENTIAL)})
    await rigs[1].stop_here()
    session = await come_back(lab, folder)
    await session.recover()
    with pytest.raises(SessionFailed, match="cam: does not record"):
        await session.go_on()
    await session.stop()
    assert rigs[0].machine.state is RigState.STOPPED


async def test_a_session_whose_conductor_lives_is_not_recovered(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    with pytest.raises(ConfigError, match=r"another program on this PC \(process \d+\) leads the session"):
        Conductor.from_journal(session.folder, network=lab.network)
    assert find_open(lab.folder / "pc" / "mylab" / "Subjects") == []


async def test_a_session_that_is_over_is_not_recovered(lab: Any) -> None:
    await lab.rigs_of_a_session()
    folder = await die_in(lab, SessionState.STOPPED)
    session = await come_back(lab, folder)
    await session.recover()
    await session.cleanup()
    await session.conductor.close()
    with pytest.raises(ConfigError, match="nothing to recover"):
        Conductor.from_journal(folder, network=lab.network)


async def test_what_a_session_knows_of_its_rigs_survives_its_conductor(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    policies = {"cam": RigPolicy(role=Role.ESSENTIAL, stop=90 * 10**9)}
    session = await come_back(lab, await die_in(lab, SessionState.RUNNING, policies=policies))
    assert session.conductor.policies == policies
    assert session.conductor.exchange.machine.policies == policies


# -- rigs that die ------------------------------------------------------------------------------------------


async def kill(lab: Any, name: str) -> None:
    """Let a rig be gone without a word."""
    rig = lab.rigs.pop(name)
    rig._background.spawn = lambda work: work.close()
    await rig.runtime.close()
    for task in (*rig._background._tasks, *rig._hooks.end()):
        task.cancel()
    await asyncio.to_thread(rig._awake.close)


async def test_a_rig_that_dies_while_it_records_is_noticed_and_reports_its_gap_when_it_is_back(
    lab: Any, until: Callable[..., Any]
) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    notices = listen(conductor, Noticed)
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await kill(lab, "cam")
    back = await lab.rig("cam")
    assert back.machine.state is RigState.STOPPED
    assert back.machine.exp_ref == exp_ref
    await until(lambda: [one.notice for one in notices] == [Notice.RESTARTED])
    assert f"its program died while it recorded {exp_ref}" in notices[0].text
    ended = await session.stop()
    answer = ended["cam"]
    assert isinstance(answer, words.Word)
    assert write(answer).args[0]["gaps"][0]["seconds"] >= 0
    assert "start" not in back.adapter.calls
    await session.cleanup()
    assert back.machine.state is RigState.CONNECTED


async def test_a_rig_that_dies_is_silent_within_two_seconds_and_ends_the_session_if_it_is_essential(
    lab: Any, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.lifecycle.watch.LOST_AFTER", 3 * 10**9)
    main, _ = await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor(policies={"cam": RigPolicy(role=Role.ESSENTIAL)})
    notices = listen(conductor, Noticed)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    lab.network.postman = lambda data, source, target: () if "cam" in (source.host, target.host) else (0.0,)
    await until(lambda: [one.notice for one in notices] == [Notice.SILENT])
    await until(lambda: main.machine.state is RigState.STOPPED)
    assert [one.notice for one in notices] == [Notice.SILENT, Notice.LOST]
    assert session.lost is notices[-1]
    lab.network.postman = lambda data, source, target: (0.0,)
    ended = await asyncio.wait_for(session.stop(), 10)
    assert isinstance(ended["main"], words.Word)
    await session.cleanup()


async def test_a_rig_knows_after_its_death_which_numbers_are_used(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await session.stop()
    await session.cleanup()
    await lab.rigs.pop("cam").close()
    back = await lab.rig("cam")
    assert back.machine.state is RigState.CONNECTED
    assert exp_ref in back.machine.memory().started


async def test_a_rig_that_died_while_it_recorded_is_in_the_verdict_with_its_gap(
    lab: Any, until: Callable[..., Any]
) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    notices = listen(conductor, Noticed)
    session = conductor.session("SP_01")
    await session.agree()
    folder = session.folder
    await session.init()
    await session.start()
    await kill(lab, "cam")
    await lab.rig("cam")
    await until(lambda: [one.notice for one in notices] == [Notice.RESTARTED])
    await session.stop()
    await session.cleanup()
    told = account(folder)
    assert told.verdict is Word.INCOMPLETE  # what the fake counts is lost with its program
    assert told.reasons[0] == "cam recorded, and has no file to show for it"
    assert any(one.startswith("cam: recorded nothing from ") for one in told.reasons)
    assert any("its program died while it recorded" in one for one in told.reasons)


async def test_a_rig_says_once_that_its_conductor_is_not_heard_and_once_that_it_is_again(
    lab: Any, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    main = (await lab.rigs_of_a_session())[0]
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    lab.network.postman = lambda data, source, target: ()
    await until(lambda: "is not heard any more; the rig goes on" in caplog.text)
    assert main.snapshot().conductor_silent > 1
    lab.network.postman = lambda data, source, target: (0.0,)
    await until(lambda: "is heard again" in caplog.text)
    assert caplog.text.count("is not heard any more; the rig goes on") == 1
