"""A cable is cut for a while, one way or both, or a connection is reset: the session goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from multirig.errors import MultirigError
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.watch import Notice
from multirig.protocol.events import SECOND
from multirig.protocol.words import Word
from multirig.sim.relay import Way

CUTS: dict[str, tuple[Way, ...]] = {
    "both ways": (),
    "towards the rig": (Way.TO_TARGET,),
    "towards the conductor": (Way.TO_CLIENT,),
}


async def begin(lab: Any, scheme: str = "udp", **options: Any) -> tuple[Any, str, list[Any]]:
    """Record on two rigs, over cables that are good so far."""
    await lab.open_rigs("ephys", "right", scheme=scheme)
    await lab.lay_bad_cables()
    conductor = await lab.conductor(**options)
    noticed: list[Any] = []
    conductor.on_notice(noticed.append)
    exp_ref = await conductor.agree("SP_01")
    await conductor.init()
    await conductor.start()
    await asyncio.sleep(0.3)
    return conductor, str(exp_ref), noticed


async def end(lab: Any, conductor: Any, exp_ref: str) -> None:
    """End the session; every rig takes part."""
    for outcomes in (await conductor.stop(), await conductor.cleanup()):
        assert all(isinstance(one, Word) for one in outcomes.values()), outcomes
    for rig in lab.rigs.values():
        assert [hook for hook, _ in rig.hooks()] == ["initialise", "start", "stop", "cleanup"]
        assert rig.starts() == {exp_ref: 1}
        assert rig.rows() > 0


@pytest.mark.limit(60)
async def test_a_cable_that_is_cut_for_a_while_is_noticed_and_both_rigs_record_on(
    labs: Any, until: Any
) -> None:
    async def cut(ways: tuple[Way, ...]) -> None:
        lab = labs.make()
        conductor, exp_ref, noticed = await begin(lab)
        lab.relays["right"].cut(*ways)
        before = lab.rigs["right"].rows()
        await asyncio.sleep(3)
        assert lab.rigs["right"].rows() > before
        lab.relays["right"].heal()
        if Way.TO_TARGET not in ways:  # else it is heard all the time
            await until(lambda: Notice.BACK in [one.notice for one in noticed], 10)
            assert Notice.SILENT in [one.notice for one in noticed]
        assert {one.rig for one in noticed} <= {"right"}
        await end(lab, conductor, exp_ref)

    await asyncio.gather(*map(cut, CUTS.values()))


@pytest.mark.limit(60)
async def test_a_stop_that_a_rig_does_not_hear_completes_on_the_other_and_reaches_it_when_it_is_back(
    lab: Any,
) -> None:
    limits = Limits(stop=2 * SECOND, cleanup=2 * SECOND)
    conductor, exp_ref, _ = await begin(lab, limits=limits)
    lab.relays["right"].cut()
    outcomes = await conductor.stop()
    assert isinstance(outcomes["ephys"], Word)
    assert isinstance(outcomes["right"], MultirigError)
    assert "stop" not in [hook for hook, _ in lab.rigs["right"].hooks()]
    lab.relays["right"].heal()
    await lab.rigs["right"].does("stop")
    assert lab.rigs["right"].starts() == {exp_ref: 1}


@pytest.mark.limit(60)
async def test_a_connection_that_is_reset_while_rigs_record_is_made_again(lab: Any) -> None:
    conductor, exp_ref, _ = await begin(lab, "tcp")
    for _ in range(3):
        for relay in lab.relays.values():
            relay.reset()
        await asyncio.sleep(0.5)
    assert all(relay.counts.connections > 1 for relay in lab.relays.values())
    await end(lab, conductor, exp_ref)
