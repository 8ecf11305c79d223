"""Looks on at rigs of the real iblutil, which can tell little and are asked rarely."""

from __future__ import annotations

from typing import Any

import pytest

from multirig.conductor.observer import Observer
from multirig.config import Uri
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import RigState

pytestmark = [
    pytest.mark.iblutil,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:iblutil.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:iblutil.*"),
]
TRANSPORTS = pytest.mark.parametrize("scheme", ["udp", "tcp"])


@TRANSPORTS
async def test_sees_what_a_foreign_peer_says_of_itself(lab: Any, scheme: str) -> None:
    async with lab, Observer() as observer:
        rig = await lab.ibl_rig(scheme, main_sync=True)
        rig.status = Status.RUNNING
        await observer.follow({"main": Uri.parse(rig.uri)})
        await lab.until(lambda: observer.sightings()["main"].heard_at is not None)
        seen = observer.sightings()["main"]
        assert (seen.is_multirig, seen.problem) == (False, None)
        assert (seen.report.doing, str(seen.report.exp_ref)) == (RigState.RUNNING, rig.exp_ref)
        assert seen.info.more["rig_version"] == "8.24.7"
        await rig.settle()
        assert rig.events() == [Event.EXPINFO]
        assert rig.errors == []


@TRANSPORTS
async def test_a_foreign_peer_is_never_asked_while_a_session_with_it_is_led_from_here(
    lab: Any, scheme: str
) -> None:
    async with lab, Observer() as observer:
        rig = await lab.ibl_rig(scheme, main_sync=True)
        observer.suspend(["main"])
        await observer.follow({"main": Uri.parse(rig.uri)})
        conductor = await lab.conductor({"main": rig})
        await conductor.agree("SP_01")
        await observer.ping("main", 0.2)
        await conductor.init()
        await conductor.start()
        await observer.ping("main", 0.2)
        await conductor.stop()
        await conductor.cleanup()
        assert rig.events().count(Event.EXPINFO) == 1
        assert observer.sightings()["main"].heard_at is None


async def test_it_is_asked_again_when_that_session_is_over(lab: Any) -> None:
    async with lab, Observer() as observer:
        rig = await lab.ibl_rig(main_sync=True)
        observer.suspend(["main"])
        await observer.follow({"main": Uri.parse(rig.uri)})
        observer.resume()
        await lab.until(lambda: observer.sightings()["main"].heard_at is not None)


async def test_a_session_goes_on_beside_an_observer_that_asks_in_its_middle(lab: Any) -> None:
    async with lab, Observer() as observer:
        rig = await lab.ibl_rig(main_sync=True)
        await observer.follow({"main": Uri.parse(rig.uri)})
        conductor = await lab.conductor({"main": rig})
        for step in (conductor.init, conductor.start, conductor.stop, conductor.cleanup):
            if step == conductor.init:
                await conductor.agree("SP_01")
            assert (await observer.ping("main")).problem is None
            await rig.settle()
            await step()
            await rig.settle()
        assert rig.errors == []


async def test_a_foreign_peer_that_does_not_answer_is_a_problem(lab: Any) -> None:
    async with lab, Observer() as observer:
        rig = await lab.ibl_rig(silent=frozenset({Event.EXPINFO}))
        await observer.follow({"main": Uri.parse(rig.uri)})
        seen = await observer.ping("main", 0.3)
        assert seen.problem == "does not answer: its program has the question; look at its screen"
