"""A rig's own service in virtual time: what takes minutes in a lab takes none here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from multirig.errors import MultirigError
from multirig.lifecycle.rig_states import RigState
from multirig.protocol.events import SECOND, Address, Received, Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Initialise, Start
from multirig.rig.rehearsal import LIMIT
from multirig.rig.service import RigService
from multirig.sim.lab import quiet
from multirig.sim.rig import RigComputer
from multirig.sim.scenario import DATE, RigPlan
from multirig.sim.world import Network, World


class Rig:
    """A rig in a world of its own, and somebody at its keyboard."""

    def __init__(self) -> None:
        self.world = World(0, Network())
        where = Address("udp", "10.0.1.1", 11001)
        self.pc = RigComputer(self.world, RigPlan(name="cam"), where, date=DATE)
        self.pc.boot()

    @property
    def service(self) -> RigService:
        assert self.pc.service is not None
        return self.pc.service

    def begin(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        assert self.pc.loop is not None
        tasks: list[asyncio.Task[Any]] = []
        self.pc.loop.run(lambda: tasks.append(asyncio.create_task(work())))
        return tasks[0]

    def feed(self, event: Any) -> None:
        assert self.pc.loop is not None
        self.pc.loop.run(self.service.runtime.feed, event)

    def wait(self, seconds: float) -> None:
        self.world.run(self.world.time + round(seconds * SECOND))


@pytest.fixture
def rig() -> Iterator[Rig]:
    with quiet():
        rig = Rig()
        yield rig
        rig.pc.die()


def test_an_hour_is_recorded_frame_by_frame(rig: Rig) -> None:
    starting = rig.begin(lambda: rig.service.start_here("SP_01"))
    rig.wait(3600)
    assert str(starting.result()) == f"{DATE}_1_SP_01"
    rig.begin(rig.service.stop_here)
    rig.wait(1)
    assert rig.service.machine.state is RigState.CONNECTED
    assert [*rig.pc.disk.sessions.values()] == [[pytest.approx(360_000, abs=1)]]


def test_a_hook_that_does_not_notice_its_end_keeps_the_rig_broken_until_it_has_gone(rig: Rig) -> None:
    rig.pc.device.troubles["start"] = "stuck"
    starting = rig.begin(lambda: rig.service.start_here("SP_01"))
    rig.wait(1)
    stopping = rig.begin(rig.service.stop_here)
    rig.wait(6)  # it has five seconds to notice
    assert isinstance(starting.exception(), MultirigError)
    assert "start of the adapter still runs" in str(stopping.exception())
    assert rig.service.machine.state is RigState.BROKEN
    rig.wait(10)
    rig.begin(rig.service.stop_here)
    rig.wait(1)
    assert rig.service.machine.state is RigState.CONNECTED
    assert rig.pc.device.session is None


def test_a_hook_that_never_returns_is_ended_at_its_limit(rig: Rig) -> None:
    rig.pc.device.troubles["start"] = "hang"
    starting = rig.begin(lambda: rig.service.start_here("SP_01"))
    rig.wait(29)
    assert not starting.done()
    rig.wait(2)
    assert "did not finish within 30 s" in str(starting.exception())


def test_a_rehearsal_that_nobody_ends_is_ended_by_the_rig(rig: Rig) -> None:
    address = Address("udp", "10.0.1.1", 1)
    exp_ref = ExpRef.parse(f"{DATE}_1_rehearsal")
    commands = Initialise(exp_ref=exp_ref, rehearsal=True), Start(exp_ref=exp_ref, rehearsal=True)
    for number, word in enumerate(commands):
        rig.feed(Received(address=address, word=word, token=Token(address, 1, number)))
        rig.wait(1)
    assert rig.service.machine.state is RigState.RUNNING
    rig.wait(LIMIT - 3)
    assert rig.service.machine.state is RigState.RUNNING
    rig.wait(3)
    assert rig.service.machine.state is RigState.CONNECTED
    assert not rig.pc.disk.rehearsals
    assert not rig.pc.disk.sessions
