"""One start on all rigs: the instant, and clocks that are good enough for it."""

from __future__ import annotations

import asyncio
import datetime
import time
from dataclasses import replace
from typing import Any

import pytest

from multirig.errors import SessionFailed
from multirig.lifecycle.clock_gate import ClockGate, Reaction
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.clock import ClockMap
from multirig.protocol.dialect import write
from multirig.protocol.events import SECOND
from multirig.record.account import account

LEAD = Limits(lead=SECOND // 5)


async def ready(lab: Any, *names: str, **options: Any) -> Any:
    """Return a session whose rigs are initialised."""
    over = options.pop("over", "udp")
    await lab.rigs_of_a_session(*names, over=over)
    conductor = await lab.conductor(over=over, **options)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    return session


@pytest.mark.parametrize("over", ["memory", "udp", "tcp"])
async def test_all_rigs_start_at_the_instant_and_tell_how_it_was(lab: Any, over: str) -> None:
    session = await ready(lab, "cam", "ephys", over=over, limits=LEAD)
    replies = await session.start()
    starts = [write(one).args[1]["start"] for one in replies.values()]
    [planned] = {one["planned"] for one in starts}
    for one in starts:
        assert one["heard"] < planned
        assert planned - one["bound"] <= one["called"] <= one["returned"]
        assert one["late"] == pytest.approx(one["called"] - planned, abs=1e-6)
    spread = session.start_spread
    assert spread.rigs == 3
    assert spread.seconds == pytest.approx(
        max(one["called"] for one in starts) - min(one["called"] for one in starts)
    )
    await session.stop()
    await session.cleanup()
    told = account(session.folder or lab.folder)
    assert told.start_spread == spread


async def test_a_rig_that_hears_too_late_starts_at_once_and_says_how_late(lab: Any) -> None:
    session = await ready(lab, "cam", over="memory", limits=Limits(lead=SECOND // 50))

    def slow(data: bytes, source: Any, target: Any) -> list[float]:
        return [1.5] if target.host == "cam" and b"start_at" in data else [0.0]

    lab.network.postman = slow
    replies = await session.start()
    late = write(replies["cam"]).args[1]["start"]["late"]
    assert late > 0.5
    assert write(replies["main"]).args[1]["start"]["late"] < late


async def test_an_adapter_is_armed_before_it_is_started(lab: Any) -> None:
    rig = await lab.rig("cam", main_sync=True)
    order = []

    async def arm() -> None:
        await asyncio.sleep(0.05)
        order.append("armed")

    start = rig.adapter.start

    async def begin() -> None:
        order.append("started")
        await start()

    rig.adapter.arm, rig.adapter.start = arm, begin
    conductor = await lab.conductor(limits=LEAD)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    replies = await session.start()
    assert order == ["armed", "started"]
    assert write(replies["cam"]).args[1]["start"]["late"] < 0.05


async def test_a_stop_overtakes_rigs_that_wait_for_the_instant(lab: Any) -> None:
    session = await ready(lab, "cam", over="memory", limits=Limits(lead=3 * SECOND))
    starting = asyncio.create_task(session.start())
    await asyncio.sleep(0.1)
    await session.interrupt("enough")
    with pytest.raises(SessionFailed):
        await starting
    assert [rig.adapter.calls.count("start") for rig in lab.rigs.values()] == [0, 0]
    await session.cleanup()
    assert {rig.machine.state for rig in lab.rigs.values()} == {RigState.CONNECTED}


async def test_an_instant_that_is_far_away_is_not_waited_for(lab: Any, caplog: Any) -> None:
    session = await ready(lab, over="memory", limits=Limits(lead=60 * SECOND))
    replies = await asyncio.wait_for(session.start(), 10)
    assert write(replies["main"]).args[1]["start"]["late"] < -50
    assert "it starts at once" in caplog.text


async def test_clocks_that_are_not_good_enough_keep_a_session_from_starting(lab: Any) -> None:
    gate = ClockGate(wide=Reaction.REFUSE, max_bound=0)
    session = await ready(lab, "cam", clock_gate=gate)
    with pytest.raises(SessionFailed, match="start failed on main, cam"):
        await session.start()
    assert session.state is SessionState.INITIALIZED
    assert [rig.adapter.calls.count("start") for rig in lab.rigs.values()] == [0, 0]
    session.conductor.clock_gate = ClockGate(max_bound=0)
    await session.start()
    assert {(one.rig, one.reaction) for one in session.objections} == {
        ("main", Reaction.FLAG),
        ("cam", Reaction.FLAG),
    }


async def test_a_rig_at_another_day_is_refused_before_anybody_records(lab: Any) -> None:
    session = await ready(lab, "cam")
    yesterday = (datetime.date.today() - datetime.timedelta(days=1)).isoformat()
    session.information["cam"] = replace(session.information["cam"], date=yesterday, time=None)
    with pytest.raises(SessionFailed, match="set the clock that is wrong"):
        await session.start()


async def test_what_is_known_of_the_clocks_is_in_the_journal_and_beside_the_data(lab: Any) -> None:
    session = await ready(lab, "cam")
    await session.start()
    folder = session.folder
    await session.stop()
    await session.cleanup()
    offsets = (folder / "_multirig_clock.offsets.csv").read_text().splitlines()
    starts = (folder / "_multirig_sync.starts.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in offsets[1:]} == {"main", "cam"}
    assert {line.split(",")[0] for line in starts[1:]} == {"main", "cam"}
    for line in offsets[1:]:
        _, _, offset, bound, *_ = line.split(",")
        assert abs(float(offset)) <= float(bound) + 1e-9  # all in one program: the truth is 0


async def test_a_session_of_another_date_that_was_asked_for_starts(lab: Any) -> None:
    conductor = await lab.conductor(main_sync=True)
    session = conductor.session("SP_01", date=datetime.date(2024, 5, 6))
    await session.agree()
    await session.init()
    await session.start()
    assert session.state is SessionState.RUNNING


async def test_a_rig_that_gets_another_leader_while_it_waits_keeps_to_the_clock_of_the_first(
    lab: Any,
) -> None:
    rig = await lab.rig("cam", main_sync=True)
    begun: list[int] = []
    start = rig.adapter.start

    async def begin() -> None:
        begun.append(time.perf_counter_ns())
        await start()

    rig.adapter.start = begin
    conductor = await lab.conductor(limits=Limits(lead=SECOND // 2))
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    asked = time.perf_counter_ns()
    starting = asyncio.create_task(session.start())
    while rig.machine.state is not RigState.STARTING:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    hours_ahead = ClockMap()
    hours_ahead.add(0, 7 * 3600 * SECOND, 7 * 3600 * SECOND, 1000)
    rig.clock.find = lambda: hours_ahead  # as after a take-over
    await starting
    assert begun[0] - asked >= SECOND // 2
