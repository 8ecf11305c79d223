"""When it is collected by itself."""

from __future__ import annotations

import asyncio
import datetime

import pytest

from multirig.collect import schedule
from multirig.collect.schedule import Schedule
from multirig.config import CollectRules

SOON = 0.02


async def nothing() -> bool:
    return False


async def something() -> bool:
    return True


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "SETTLE", 0.0)
    monkeypatch.setattr(schedule, "LONGEST_SLEEP", 0.001)


async def waits(work: asyncio.Task[None]) -> bool:
    """Whether it still waits a little later."""
    await asyncio.wait({work}, timeout=SOON)
    return not work.done()


async def test_after_each_session_and_not_without_one() -> None:
    made = Schedule(CollectRules(to="/mnt/lab"))
    for _ in range(2):
        waiting = asyncio.create_task(made.wait(nothing))
        assert await waits(waiting)
        made.note_session_over()
        await asyncio.wait_for(waiting, 1)


async def test_a_session_that_was_over_before_it_waits_counts() -> None:
    made = Schedule(CollectRules(to="/mnt/lab"))
    made.note_session_over()
    await asyncio.wait_for(made.wait(nothing), 1)


async def test_what_is_left_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "AGAIN", SOON)
    await asyncio.wait_for(Schedule(CollectRules(to="/mnt/lab")).wait(something), 1)


async def test_at_a_time_of_day_sessions_do_not_matter_and_the_clock_is_looked_at_anew() -> None:
    now = [datetime.datetime(2026, 11, 30, 19, 0)]
    made = Schedule(CollectRules(to="/mnt/lab", when="at 20:00"), clock=lambda: now[0])
    waiting = asyncio.create_task(made.wait(something))
    made.note_session_over()
    assert await waits(waiting)
    now[0] = datetime.datetime(2026, 11, 30, 20, 0)  # as after a sleep of the PC
    await asyncio.wait_for(waiting, 1)
