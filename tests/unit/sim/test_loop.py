"""Ordinary coroutines in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from multirig.protocol.events import SECOND
from multirig.sim.loop import Restless, make_loop
from multirig.sim.world import Clock, Network, World


class Pc:
    """A PC of a world: a clock and a loop."""

    def __init__(self, world: World, clock: Clock | None = None) -> None:
        self.world = world
        self.clock = Clock() if clock is None else clock
        self.loop = make_loop(self)

    def read_clock(self) -> int:
        return self.clock.read(self.world.time)

    def wake_at(self, at: int, wake: Callable[[int], None], alarm: int) -> None:
        self.world.after(self.clock.until(at, self.world.time) + 1, wake, alarm)

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.loop.run(self.loop.create_task, coroutine)


@pytest.fixture
def world() -> World:
    return World(0, Network())


@pytest.fixture
def pc(world: World) -> Pc:
    return Pc(world)


def test_an_hour_passes_at_once_and_all_happens_in_its_order(world: World, pc: Pc) -> None:
    seen: list[tuple[str, int]] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, world.time // SECOND))

    async def both() -> None:
        await asyncio.gather(sleep("long", 3600), sleep("short", 2))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        seen.append(("end", world.time // SECOND))

    pc.begin(both())
    began = time.perf_counter()
    world.run(2 * 3600 * SECOND)
    assert seen == [("short", 2), ("long", 3600), ("end", 3630)]
    assert time.perf_counter() - began < 5


def test_a_loop_shows_the_clock_of_its_pc(world: World) -> None:
    pc = Pc(world, Clock(offset=100 * SECOND, drift=0.5))
    seen: list[float] = []

    async def look() -> None:
        seen.append(asyncio.get_running_loop().time())
        await asyncio.sleep(15)
        seen.append(asyncio.get_running_loop().time())

    pc.begin(look())
    world.run(9 * SECOND)
    assert seen == [100.0]
    world.run(10 * SECOND + 10)
    assert seen[1] == pytest.approx(115.0)


def test_what_waits_for_a_time_comes_when_the_clock_jumps_past_it(world: World, pc: Pc) -> None:
    seen: list[int] = []

    async def sleep() -> None:
        await asyncio.sleep(1000)
        seen.append(world.time)

    pc.begin(sleep())
    world.run(SECOND)
    pc.clock.offset += 5000 * SECOND
    pc.loop.notice_clock()
    assert seen == [SECOND]


def test_a_frozen_program_takes_first_what_came_and_then_what_is_due(world: World, pc: Pc) -> None:
    seen: list[str] = []

    async def sleep() -> None:
        await asyncio.sleep(1)
        seen.append("timer")

    pc.begin(sleep())
    pc.loop.freeze()
    world.after(2 * SECOND, pc.loop.run, seen.append, "datagram")
    world.run(5 * SECOND)
    assert seen == []
    pc.loop.thaw()
    assert seen == ["datagram", "timer"]


def test_nothing_of_a_dead_program_has_any_effect(
    world: World, pc: Pc, recwarn: pytest.WarningsRecorder
) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def held() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(1)
            seen.append("generator")

    async def work() -> None:
        try:
            async with held():
                await asyncio.Event().wait()
        finally:
            other = asyncio.create_task(asyncio.sleep(1))
            await asyncio.wait([other], timeout=1)
            pc.loop.call_soon(seen.append, "callback")
            seen.append("end")

    async def wait_for(task: asyncio.Task[None]) -> None:
        for _ in range(9):  # it does not even notice that it is disposed of
            with contextlib.suppress(BaseException):
                await asyncio.wait([task])

    async def begin() -> None:
        for coroutine in (work(), asyncio.sleep(5)):
            task = asyncio.create_task(coroutine)
            task.add_done_callback(lambda _: seen.append("done"))
            held_tasks.append(asyncio.create_task(wait_for(task)))
        asyncio.get_running_loop().call_later(2, seen.append, "timer")
        asyncio.get_running_loop().run_in_executor(None, seen.append, "thread")

    held_tasks: list[object] = []
    pc.begin(begin())
    pc.loop.die()
    pc.loop.run(seen.append, "datagram")
    world.run(100 * SECOND)
    assert seen == []
    assert not recwarn.list


def test_threads_are_done_in_the_order_in_which_they_were_asked_for(world: World, pc: Pc) -> None:
    seen: list[object] = []

    def fail() -> None:
        raise ValueError("no")

    async def work() -> None:
        threads = [asyncio.to_thread(seen.append, number) for number in range(5)]
        await asyncio.gather(*threads)
        try:
            await asyncio.to_thread(fail)
        except ValueError as error:
            seen.append(str(error))

    pc.begin(work())
    assert seen == []
    world.run(SECOND)
    assert seen == [0, 1, 2, 3, 4, "no"]


def test_a_program_that_does_the_same_for_ever_is_found_out(pc: Pc) -> None:
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Restless):
        pc.begin(spin())


def test_what_a_program_does_not_notice_is_raised_where_it_was_woken(pc: Pc) -> None:
    async def fail() -> None:
        raise ValueError("nobody waits for this")

    async def begin() -> None:
        await asyncio.wait([asyncio.create_task(fail())])

    with pytest.raises(ValueError, match="nobody waits"):
        pc.begin(begin())


SEED = """
from multirig.sim.lab import run
from multirig.sim.scenario import draw
for seed in (2, 11, 23):
    print("\\n".join(run(draw(seed)).trace()))
"""


def test_a_seed_gives_the_same_trace_in_every_interpreter() -> None:
    def trace(hashes: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        command = [sys.executable, "-X", "utf8", "-c", SEED]
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout.decode()

    first = trace("1")
    assert len(first.splitlines()) > 100
    assert first == trace("2")
