"""To do something at an instant."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

from multirig.pc.instant import come_near, undisturbed, wait_for

SECOND = 1_000_000_000


async def test_an_instant_is_never_too_early():
    for wait in (0.0, 0.001, 0.03, 0.1):
        at = time.perf_counter_ns() + int(wait * SECOND)
        wait_for(await come_near(lambda at=at: at))  # type: ignore[misc]
        assert time.perf_counter_ns() >= at


async def test_others_have_their_turn_until_shortly_before():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    counting = asyncio.create_task(count())
    at = time.perf_counter_ns() + SECOND // 5
    assert await come_near(lambda: at) == at
    counting.cancel()
    assert turns > 3


async def test_an_instant_that_is_known_better_meanwhile_is_the_better_one():
    began = time.perf_counter_ns()
    first, better = began + SECOND, began + SECOND // 10
    at = await come_near(lambda: better if time.perf_counter_ns() > began + SECOND // 50 else first)
    assert at == better


def test_an_instant_that_is_over_is_not_waited_for():
    wait_for(time.perf_counter_ns() - SECOND)


def settings():
    scheduled = None
    if hasattr(os, "sched_getscheduler"):
        scheduled = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    return gc.isenabled(), sys.getswitchinterval(), scheduled


def test_whatever_is_set_meanwhile_is_as_it_was_afterwards():
    before = settings()
    one, other = undisturbed(), undisturbed()
    one.__enter__()
    assert not gc.isenabled()
    other.__enter__()
    one.__exit__(None, None, None)
    assert not gc.isenabled()  # another one still wants it quiet
    other.__exit__(None, None, None)
    assert settings() == before


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no such priorities")
def test_what_is_started_meanwhile_runs_as_usual():
    found = []
    with undisturbed():
        thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
        thread.start()
        thread.join()
        command = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
        found.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    assert found == [os.SCHED_OTHER] * 2


def test_it_is_put_back_after_an_error_too():
    before = settings()
    with pytest.raises(RuntimeError), undisturbed():
        raise RuntimeError("no light")
    assert settings() == before
