"""The network goes away, addresses change, services are restarted: rigs are stopped all the same."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest


async def open_rigs(lab: Any, cable: Any, scheme: str = "udp") -> list[Any]:
    """Start two rigs on the PC there."""
    rigs = [
        lab.rig(name, main_sync=name == "ephys", uri=f"{scheme}://0.0.0.0:{port}")
        for name, port in (("ephys", 11001), ("right", 11002))
    ]
    await asyncio.gather(*(one.open(*cable.enter(1)) for one in rigs))
    return rigs


async def record(lab: Any, cable: Any, *options: str) -> Any:
    """Lead a session from the PC here, and wait until all record."""
    leading = lab.run("--no-check", *options, before=cable.enter(0), at=cable.THERE)
    await asyncio.gather(*(one.says("is running") for one in lab.rigs.values()))
    await leading.says("recording")
    return leading


def are_released(rigs: list[Any]) -> bool:
    return all([hook for hook, _ in rig.hooks()][-2:] == ["stop", "cleanup"] for rig in rigs)


@pytest.mark.limit(60)
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_a_network_that_is_away_for_seconds_at_the_stop_leaves_no_rig_behind(
    lab: Any, cable: Any, scheme: str
) -> None:
    rigs = await open_rigs(lab, cable, scheme)
    leading = await record(lab, cable)
    cable.here("ip link set wire down")
    leading.signal(signal.SIGINT)
    await asyncio.sleep(4)
    cable.here("ip link set wire up")
    code = await leading.ends()
    assert are_released(rigs), leading.said()
    assert code == 0, leading.said()
    assert "GOOD" in leading.said()


@pytest.mark.limit(60)
async def test_a_rig_whose_service_is_restarted_at_the_stop_is_accounted_for(lab: Any, cable: Any) -> None:
    rigs = await open_rigs(lab, cable)
    leading = await record(lab, cable)
    rigs[1].kill()
    leading.signal(signal.SIGINT)
    await asyncio.sleep(3)
    await rigs[1].open(*cable.enter(1))
    await leading.ends()
    assert [hook for hook, _ in rigs[1].hooks()][-1] == "cleanup", leading.said()
    assert "did not say what" not in leading.said(), leading.said()


@pytest.mark.limit(60)
async def test_the_session_goes_on_when_the_leading_pc_gets_another_address(lab: Any, cable: Any) -> None:
    rigs = await open_rigs(lab, cable)
    leading = await record(lab, cable)
    cable.here(f"ip address del {cable.HERE}/24 dev wire")
    cable.here("ip address add 10.90.0.77/24 dev wire")
    await asyncio.sleep(6)
    leading.signal(signal.SIGINT)
    assert await leading.ends() == 0, leading.said()
    assert are_released(rigs), leading.said()


@pytest.mark.limit(60)
async def test_the_session_goes_on_when_a_rig_gets_another_address(lab: Any, cable: Any) -> None:
    rigs = await open_rigs(lab, cable)
    leading = await record(lab, cable)
    cable.there(f"ip address del {cable.THERE}/24 dev wire")
    cable.there("ip address add 10.90.0.78/24 dev wire")
    await asyncio.sleep(6)
    leading.signal(signal.SIGINT)
    assert await leading.ends() == 0, leading.said()
    assert are_released(rigs), leading.said()


@pytest.mark.limit(60)
async def test_a_rig_answers_from_an_address_that_its_pc_got_after_it_began(lab: Any, cable: Any) -> None:
    rigs = await open_rigs(lab, cable)
    cable.there("ip address add 10.90.0.79/24 dev wire")
    leading = lab.run("--seconds", "1", "--no-check", before=cable.enter(0), at="10.90.0.79")
    assert await leading.ends() == 0, leading.said()
    assert are_released(rigs), leading.said()
