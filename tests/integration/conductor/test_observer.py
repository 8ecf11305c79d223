"""Looks on at real rigs, on a memory network and on loopback sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from multirig.conductor.observer import Observer
from multirig.config import Uri
from multirig.errors import ConfigError, MultirigError
from multirig.protocol.words import Report, RigState
from multirig.record.account import account
from multirig.rig.adapter import Health
from multirig.rig.adapters.fake import PICTURE, Fake

Until = Callable[..., Any]


class Writing(Fake):
    """Has written a megabyte as soon as it records."""

    def health(self) -> Health:
        return replace(super().health(), bytes=1_000_000)


def uris(lab: Any, *names: str) -> dict[str, Uri]:
    """Return where the rigs of a lab are, as a rigs file would say."""
    where = {name: str(rig.addresses[0]) for name, rig in lab.rigs.items() if not names or name in names}
    return {name: Uri.parse(text.replace("memory://", "udp://")) for name, text in where.items()}


@pytest.mark.parametrize("over", ["memory", "udp", "tcp"])
async def test_an_observer_sees_what_a_rig_is_and_does(lab: Any, until: Until, over: str) -> None:
    async with lab, Observer(network=lab.network if over == "memory" else None) as observer:
        rig = await lab.rig("main", over=over, main_sync=True)
        told: list[str] = []
        observer.on_change(told.append)
        await observer.follow(uris(lab))
        await until(lambda: observer.sightings()["main"].report.adapter)
        seen = observer.sightings()["main"]
        assert (seen.name, seen.is_multirig, seen.problem) == ("main", True, None)
        report = seen.report
        assert (report.state, report.adapter, report.main_sync) == (RigState.CONNECTED, "fake", True)
        assert report.version == seen.info.version
        assert report.disk_free > 0
        told.clear()
        exp_ref = await rig.start_here("SP_01")
        await until(lambda: observer.sightings()["main"].report.state is RigState.RUNNING)
        assert observer.sightings()["main"].report.exp_ref == exp_ref
        assert "main" in told


@pytest.mark.parametrize("over", ["memory", "udp"])
async def test_an_observer_sees_what_the_cameras_see_and_which_there_are(
    lab: Any, until: Until, over: str
) -> None:
    async with lab, Observer(network=lab.network if over == "memory" else None) as observer:
        rig = await lab.rig("main", over=over, main_sync=True, fake={"cameras": ["left", "right"]})
        await observer.follow(uris(lab))
        labels = ("left", "right")
        await until(lambda: observer.sightings()["main"].report.cameras == labels)
        await rig.start_here("SP_01")
        shown = await observer.pictures("main")
        assert [(one.label, one.jpeg) for one in shown] == [("left", PICTURE), ("right", PICTURE)]
        assert observer.sightings()["main"].report.cameras == labels


async def test_there_are_no_pictures_of_a_rig_that_has_no_cameras_or_is_not_heard(lab: Any) -> None:
    async with lab, Observer(network=lab.network) as observer:
        await lab.rig("main")
        await observer.follow({**uris(lab), "gone": Uri.parse("udp://gone:11001")})
        await observer.ping("main")
        assert await observer.pictures("main") == []
        assert await observer.pictures("gone", limit=0.1) == []
        with pytest.raises(ConfigError, match="there is no rig left: add it to the rigs file"):
            await observer.pictures("left")


async def test_what_rigs_do_is_told_as_it_happens(lab: Any, until: Until) -> None:
    async with lab, Observer(network=lab.network) as observer:
        await lab.rigs_of_a_session("cam")
        conductor = await lab.conductor()
        states: dict[str, list[str]] = {"main": [], "cam": []}

        def note(name: str) -> None:
            state = observer.sightings()[name].report.state
            if state is not None and state.value not in states[name][-1:]:
                states[name].append(state.value)

        observer.on_change(note)
        await observer.follow(uris(lab))
        await until(lambda: all(one == ["connected"] for one in states.values()))
        session = conductor.session("SP_01")
        exp_ref = await session.agree()
        await session.init()
        await session.start()
        await until(lambda: all(one[-1] == "running" for one in states.values()))
        seen = observer.sightings()["cam"]
        assert seen.report.exp_ref == exp_ref
        assert seen.report.led_by.startswith(conductor.exchange.node.name)
        await until(lambda: (health := observer.sightings()["cam"].report.health) and health.frames)
        await session.stop()
        await session.cleanup()
        await until(lambda: all(one[-1] == "connected" for one in states.values()))
        for one in states.values():  # a heartbeat may be overtaken by the next one
            assert [state for state in one if state in ("initialised", "running", "stopped")] == [
                "initialised",
                "running",
                "stopped",
            ]


async def test_a_failure_is_told_at_once(lab: Any, until: Until) -> None:
    async with lab, Observer(network=lab.network) as observer:
        rig = await lab.rig("main", main_sync=True, fake={"fail": {"start": "no light"}})
        await observer.follow(uris(lab))
        await until(lambda: observer.sightings()["main"].report.state)
        with pytest.raises(MultirigError):
            await rig.start_here("SP_01")
        await until(lambda: observer.sightings()["main"].report.state is RigState.BROKEN)
        assert observer.sightings()["main"].report.failure == "start: no light"


@pytest.mark.parametrize("over", ["udp", "tcp"])
async def test_a_rig_that_is_gone_is_a_problem_and_no_more_once_it_is_back(
    lab: Any, until: Until, over: str
) -> None:
    async with lab, Observer() as observer:
        rig = await lab.rig("main", over=over, main_sync=True)
        where = uris(lab)
        await observer.follow(where)
        await until(lambda: observer.sightings()["main"].report.state)
        await rig.close()
        told: list[str] = []
        observer.on_change(told.append)
        await until(lambda: observer.sightings()["main"].problem, 15)
        problem = observer.sightings()["main"].problem or ""
        assert problem.startswith("has not been heard for ")
        assert "multirig serve" in problem
        assert told == ["main"]
        rig = await lab.rig("main", over=over, main_sync=True, uri=str(where["main"]))
        await until(lambda: observer.sightings()["main"].problem is None, 15)
        rig.choose_subject("SP_02")
        await until(lambda: observer.sightings()["main"].report.subject == "SP_02")


async def test_a_name_that_nobody_knows_is_a_problem_of_that_rig_alone(lab: Any, until: Until) -> None:
    async with lab, Observer() as observer:
        await lab.rig("main", over="udp")
        nowhere = Uri.parse("udp://no-such-pc.invalid:11001")
        await observer.follow({**uris(lab), "cam": nowhere})
        await until(lambda: observer.sightings()["main"].report.state)
        await until(lambda: observer.sightings()["cam"].problem, 10)
        seen = observer.sightings()["cam"]
        assert (seen.address, seen.heard_at, seen.report) == (None, None, Report())
        assert seen.problem is not None
        assert seen.problem.startswith("is not found: the name 'no-such-pc.invalid'")
        assert "IP address" in ((await observer.ping("cam")).problem or "")
        with pytest.raises(ConfigError, match="there is no rig ephys"):
            await observer.ping("ephys")


async def test_whom_to_follow_may_change_at_any_time(lab: Any, until: Until) -> None:
    async with lab, Observer(network=lab.network) as observer:
        for name in ("main", "cam"):
            await lab.rig(name)
        await observer.follow(uris(lab, "main"))
        await until(lambda: observer.sightings()["main"].report.state)
        await observer.follow(uris(lab, "cam"))
        assert observer.sightings().keys() == {"cam"}
        await until(lambda: observer.sightings()["cam"].report.state)
        await until(lambda: not lab.rigs["main"].machine.watchers)
        await observer.follow({"main": uris(lab)["cam"], "left": uris(lab)["main"]})
        await until(lambda: observer.sightings()["left"].report.state)
        assert observer.sightings()["main"].report.state is RigState.CONNECTED


async def test_the_rigs_forget_an_observer_that_has_left(lab: Any, until: Until) -> None:
    async with lab:
        rig = await lab.rig("main", over="udp")
        async with Observer() as one, Observer() as other:
            for observer in (one, other):
                await observer.follow(uris(lab))
                await until(lambda seen=observer.sightings: seen()["main"].report.state)
        await until(lambda: not rig.machine.watchers)


async def test_two_observers_see_the_same(lab: Any, until: Until) -> None:
    async with lab, Observer(network=lab.network) as one, Observer(network=lab.network) as other:
        rig = await lab.rig("main", main_sync=True)
        for observer in (one, other):
            await observer.follow(uris(lab))
        await rig.start_here("SP_01")
        for observer in (one, other):
            await until(lambda seen=observer.sightings: seen()["main"].report.state is RigState.RUNNING)


async def test_a_ping_asks_now(lab: Any) -> None:
    async with lab, Observer(network=lab.network) as observer:
        await lab.rig("main", main_sync=True)
        await observer.follow(uris(lab))
        seen = await observer.ping("main")
        assert (seen.problem, seen.info.adapter) == (None, "fake")
        before = seen.heard_at
        after = (await observer.ping("main")).heard_at
        assert before is not None
        assert after is not None
        assert after > before
        await lab.rigs["main"].close()
        assert (await observer.ping("main", 0.5)).problem.startswith("has not been heard for 0 s: ")


async def test_clocks_are_measured_beside_it(lab: Any, until: Until) -> None:
    async with lab, Observer() as observer:
        await lab.rig("main", over="udp")
        await observer.follow(uris(lab))
        await until(lambda: observer.sightings()["main"].offset is not None, 15)
        seen: Any = observer.sightings()["main"]
        assert abs(seen.offset) <= seen.bound < 0.1  # both programs have the same clock
        assert seen.round_trip > 0


async def test_a_session_is_not_changed_by_those_who_look_on(lab: Any, until: Until) -> None:
    async with lab, Observer(network=lab.network) as observer:
        rigs = await lab.rigs_of_a_session("cam", on_lost_conductor={"stop_after": "10 s"})
        conductor = await lab.conductor()
        await observer.follow(uris(lab))
        session = conductor.session("SP_01")
        await session.agree()
        await session.init()
        await session.start()
        await until(lambda: observer.sightings()["cam"].report.state is RigState.RUNNING)
        await observer.ping("cam")
        for rig in rigs:
            assert rig.machine.leader.token.peer == conductor.exchange.node.boot
        await session.stop()
        folder = session.folder
        await session.cleanup()
    assert account(folder).verdict == "GOOD"
    assert observer.node.boot not in next(folder.glob("*journal*")).read_text()


async def test_a_recording_tells_for_how_many_hours_there_is_room(
    lab: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.rig.rate.SHORTEST", 0.05)
    async with lab, Observer(network=lab.network) as observer:
        rig = await lab.rig("main", main_sync=True, adapter=Writing())
        await observer.follow(uris(lab))
        await until(lambda: observer.sightings()["main"].report.state)
        assert observer.sightings()["main"].report.hours_left is None
        await rig.start_here("SP_01")
        await until(lambda: observer.sightings()["main"].report.hours_left is not None)
        await rig.stop_here()
        await until(lambda: observer.sightings()["main"].report.state is RigState.CONNECTED)
        assert observer.sightings()["main"].report.hours_left > 0


@pytest.mark.parametrize("over", ["memory", "udp", "tcp"])
async def test_a_rig_that_is_left_and_followed_again_or_renamed_is_known_at_once(
    lab: Any, until: Until, over: str
) -> None:
    async with lab, Observer(network=lab.network if over == "memory" else None) as observer:
        await lab.rig("main", over=over)
        [uri] = uris(lab).values()
        for rigs in ({"main": uri}, {}, {"main": uri}, {"renamed": uri}):
            await observer.follow(rigs)
            for name in rigs:
                await until(lambda name=name: observer.sightings()[name].report.adapter)
                seen = observer.sightings()[name]
                assert (seen.is_multirig, seen.problem) == (True, None)
            assert observer.sightings().keys() == rigs.keys()
