"""The one way to lead: what a stop, an interrupt and Ctrl-C do in every step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.conftest import listen

from multirig.conductor.leading import BEFORE_START, IMPATIENCE, EndedEarly, Wishes, lead
from multirig.errors import MultirigError, SessionFailed
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_events import Moved
from multirig.lifecycle.session_states import SessionState
from multirig.record.account import account


def are_free(lab: Any) -> bool:
    return all(rig.machine.state is RigState.CONNECTED for rig in lab.rigs.values())


async def test_a_session_ends_when_its_time_is_over_and_has_its_verdict_then(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    session = (await lab.conductor()).session("SP_01")
    prepared: list[SessionState] = []

    async def prepare() -> None:
        prepared.append(session.state)

    assert await lead(session, Wishes(0.05), prepare=prepare) is None
    assert prepared == [SessionState.AGREED]
    assert session.is_over
    assert are_free(lab)
    assert account(session.folder).verdict == "GOOD"


async def test_a_stop_ends_a_recording_in_good_order(lab: Any, until: Any) -> None:
    await lab.rigs_of_a_session("cam")
    session = (await lab.conductor()).session("SP_01")
    wishes = Wishes()
    leading = asyncio.create_task(lead(session, wishes))
    await until(lambda: session.state is SessionState.RUNNING)
    wishes.press_ctrl_c()
    assert await asyncio.wait_for(leading, 5) is None
    assert account(session.folder).verdict == "GOOD"


@pytest.mark.parametrize("hook", ["initialise", "start"])
async def test_a_stop_before_the_recording_ends_everything_at_once(lab: Any, until: Any, hook: str) -> None:
    await lab.rig("main", main_sync=True)
    cam = await lab.rig("cam", fake={"hang": [hook]})
    session = (await lab.conductor()).session("SP_01")
    wishes = Wishes()
    leading = asyncio.create_task(lead(session, wishes))
    await until(lambda: hook in cam.adapter.calls)
    wishes.stop()
    with pytest.raises(EndedEarly, match="before anything was recorded"):
        await asyncio.wait_for(leading, 5)
    assert are_free(lab)
    assert account(session.folder).interruption == BEFORE_START


async def test_an_end_that_is_wanted_before_the_agreement_touches_nobody(lab: Any) -> None:
    (rig,) = await lab.rigs_of_a_session()
    session = (await lab.conductor()).session("SP_01")
    wishes = Wishes()
    wishes.interrupt("the animal is ill")
    with pytest.raises(EndedEarly, match="the animal is ill"):
        await lead(session, wishes)
    assert rig.adapter.calls == []


async def test_an_interrupt_says_why_and_waits_for_nobody(lab: Any, until: Any) -> None:
    await lab.rigs_of_a_session("cam")
    session = (await lab.conductor()).session("SP_01")
    wishes = Wishes()
    leading = asyncio.create_task(lead(session, wishes))
    await until(lambda: session.state is SessionState.RUNNING)
    wishes.interrupt("smoke in the room")
    await asyncio.wait_for(leading, 5)
    told = account(session.folder)
    assert (told.verdict, told.interruption) == ("INTERRUPTED", "smoke in the room")
    assert are_free(lab)


async def test_a_second_ctrl_c_does_not_wait_for_a_rig_that_is_slow_to_stop(lab: Any, until: Any) -> None:
    await lab.rigs_of_a_session()
    cam = await lab.rig("cam", fake={"hang": ["stop"]}, limits={"stop": 3})
    session = (await lab.conductor()).session("SP_01")
    wishes = Wishes()
    states = listen(session, Moved, lambda moved: moved.state)
    leading = asyncio.create_task(lead(session, wishes))
    await until(lambda: session.state is SessionState.RUNNING)
    wishes.press_ctrl_c()
    await until(lambda: "stop" in cam.adapter.calls)
    wishes.press_ctrl_c()
    await until(lambda: SessionState.INTERRUPTING in states)
    await asyncio.wait_for(leading, 15)
    assert account(session.folder).interruption == IMPATIENCE


async def test_a_session_that_an_essential_rig_has_ended_is_an_error_after_the_others_were_stopped(
    lab: Any, until: Any
) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail_after": 0.05})
    policies = {"cam": RigPolicy(role=Role.ESSENTIAL)}
    session = (await lab.conductor(policies=policies)).session("SP_01")
    lost = await asyncio.wait_for(lead(session, Wishes()), 10)
    assert isinstance(lost, SessionFailed)
    assert list(lost.causes) == ["cam"]
    assert are_free(lab)


async def test_a_beginning_that_fails_releases_the_rigs_that_were_ready(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"start": "no light"}})
    session = (await lab.conductor()).session("SP_01")
    with pytest.raises(SessionFailed, match="no light"):
        await lead(session, Wishes())
    assert are_free(lab)


async def test_a_fault_of_what_is_prepared_releases_everybody_and_is_raised(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()

    async def fail() -> None:
        raise MultirigError("the description cannot be written")

    with pytest.raises(MultirigError, match="cannot be written"):
        await lead(conductor.session("SP_01"), Wishes(), prepare=fail)
    assert conductor.current is None
    assert await lead(conductor.session("SP_01"), Wishes(0.01)) is None
