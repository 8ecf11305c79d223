"""A path that carries no long datagrams, between real sockets: what is said is said all the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from multirig.lifecycle.agreement import THIS_PC
from multirig.pc.finding import Level
from multirig.protocol.messages import Event
from multirig.protocol.words import Info, Picture, Report, Stopped
from multirig.record.account import account
from multirig.rig.adapters.fake import PICTURE, Fake
from multirig.sim.relay import Relay

LONGEST = 1_200
CAMERAS = ("left", "right", "body", "belly")


@dataclass(kw_only=True)
class Loaded(Fake):
    """Shows large pictures, says much of its device, and writes many files."""

    count: int = 0
    picture: int = 0

    async def stop(self) -> None:
        await super().stop()
        for number in range(self.count):
            (self.session.folder / f"trial {number:04} with a name of some length.csv").write_text("1\n")

    def pictures(self) -> list[Picture]:
        return [Picture(label=one, jpeg=PICTURE.ljust(self.picture, b"\0")) for one in CAMERAS]

    def picture_labels(self) -> tuple[str, ...]:
        return CAMERAS

    def describe(self) -> dict[str, Any]:
        return {"device": "fake", "settings": {f"property {number}": number for number in range(300)}}


@contextlib.asynccontextmanager
async def behind(lab: Any, **faults: Any) -> AsyncIterator[tuple[Any, Relay]]:
    """Lead the rigs through a relay each; without it nothing is changed."""
    async with contextlib.AsyncExitStack() as stack:
        relays = {}
        for name, rig in lab.rigs.items():
            relays[name] = await stack.enter_async_context(Relay(str(rig.addresses[0]), **faults))
        conductor = await lab.conductor(over="udp", rigs={name: relay.uri for name, relay in relays.items()})
        try:
            yield conductor, next(iter(relays.values()))
        finally:
            await conductor.close()
            lab.conductors.clear()


@pytest.mark.parametrize("count", [60, 600])
@pytest.mark.limit(60)
async def test_where_fragments_are_dropped_a_rig_with_many_files_is_recorded_whole(
    lab: Any, count: int
) -> None:
    await lab.rig("cam", over="udp", adapter=Loaded(count=count), main_sync=True)
    async with behind(lab, longest=LONGEST) as (conductor, relay):
        async with conductor.session("SP_01") as session:
            await session.init()
            await session.start()
            await asyncio.sleep(0.3)
            stopped = (await session.stop())["cam"]
            await session.cleanup()
        assert isinstance(stopped, Stopped), stopped
        assert stopped.recorded is not None
        assert stopped.files_total == len(stopped.recorded.files or ()) == count + 1
        assert relay.counts.too_long == 0
    told = account(session.folder)
    assert told.verdict == "GOOD", told.reasons
    assert len(told.rigs["cam"].files) == count + 1


@pytest.mark.limit(60)
async def test_where_fragments_are_dropped_four_cameras_show_pictures_and_a_stop_is_not_held_up(
    lab: Any,
) -> None:
    await lab.rig("cam", over="udp", adapter=Loaded(picture=12_000), main_sync=True)
    async with behind(lab, longest=LONGEST) as (conductor, relay):
        async with conductor.session("SP_01") as session:
            await session.init()
            await session.start()
            looking = [
                asyncio.create_task(conductor.request(Event.EXPSTATUS, 0, {"pictures": True}))
                for _ in range(5)
            ]
            reports = [(await one)["cam"] for one in looking]
            await session.stop()
            await session.cleanup()
        for report in reports:
            assert isinstance(report, Report), report
            assert [len(one.jpeg) for one in report.pictures or ()] == [12_000] * 4
        assert relay.counts.too_long == 0
    assert account(session.folder).verdict == "GOOD"


@pytest.mark.limit(60)
async def test_with_a_third_of_all_datagrams_lost_too_everything_is_told(lab: Any) -> None:
    await lab.rig("cam", over="udp", adapter=Loaded(count=60, picture=6_000), main_sync=True)
    async with behind(lab, longest=LONGEST, loss=0.3, duplication=0.2, reordering=0.2, seed=5) as (
        conductor,
        _,
    ):
        async with conductor.session("SP_01") as session:
            info = session.information["cam"]
            assert isinstance(info, Info)
            assert len(info.device["settings"]) == 300
            await session.init()
            await session.start()
            stopped = (await session.stop())["cam"]
            await session.cleanup()
        assert isinstance(stopped, Stopped), stopped
        assert len(stopped.recorded.files or ()) == 61 if stopped.recorded else False


async def test_the_check_passes_where_full_datagrams_do(lab: Any) -> None:
    await lab.rig("cam", over="udp", adapter=Loaded(), main_sync=True)
    async with behind(lab, longest=LONGEST) as (conductor, relay):
        found = (await conductor.check(60))["cam"]
        assert [one.level for one in found if one.check == "path"] == [Level.OK]
        assert relay.counts.too_long == 0


@pytest.mark.limit(60)
async def test_the_check_says_which_rig_only_short_datagrams_reach_and_what_to_do(lab: Any) -> None:
    await lab.rig("cam", over="udp", main_sync=True)
    async with behind(lab, longest=1_000) as (conductor, _):
        found = await conductor.check(60)
        assert [*found] == ["cam", THIS_PC]
        [path] = [one for one in found["cam"] if one.check == "path"]
        assert path.level is Level.FAILURE
        for word in ("1,200 bytes", "short ones do", "MTU", "VPN", "fragments", "tcp://"):
            assert word in path.text


async def test_over_tcp_nothing_is_cut_and_no_path_is_tried(lab: Any) -> None:
    await lab.rig("cam", over="tcp", adapter=Loaded(count=600), main_sync=True)
    conductor = await lab.conductor(over="tcp")
    assert not [one for one in (await conductor.check(60))["cam"] if one.check == "path"]
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        stopped = (await session.stop())["cam"]
        await session.cleanup()
    assert isinstance(stopped, Stopped)
    assert stopped.recorded is not None
    assert len(stopped.recorded.files or ()) == 601
