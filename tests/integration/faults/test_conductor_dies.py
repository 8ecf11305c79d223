"""The conductor is killed at each step: the rigs record on, and another one ends the session."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from multirig.errors import MultirigError

MOMENTS: dict[str, str | None] = {
    "initialising": "initialise",
    "starting": "start",
    "running": None,
    "stopping": "stop",
    "cleaning up": "cleanup",
}
"""Which hook is at work on a rig when the conductor dies."""
CHOSEN = [*MOMENTS] if os.environ.get("MULTIRIG_ENDURE") else ["starting", "running"]
"""All of them with ``make endure``."""
SLOW = 2.0
"""Seconds that this hook takes: long enough to hit it."""


@pytest.mark.limit(100)
async def test_after_the_death_of_a_conductor_the_session_is_recovered_and_nothing_was_started_twice(
    labs: Any,
) -> None:
    async def watch(moment: str) -> str:
        try:
            await kill_the_conductor(labs.make(), moment)
        except (AssertionError, MultirigError) as error:
            return f"{moment}: {error!r}"
        return ""

    problems = await asyncio.gather(*map(watch, CHOSEN))
    assert [one for one in problems if one] == []


async def kill_the_conductor(lab: Any, moment: str) -> None:
    """Lead a session with a program that is killed, end it with another one, and record the next."""
    hook = MOMENTS[moment]
    healthy, slow = (
        lab.rig("ephys", main_sync=True),
        lab.rig("right", adapter={"delay": {hook: SLOW} if hook else {}}),
    )
    await asyncio.gather(healthy.open(), slow.open())
    conductor = lab.run("--seconds", "60" if hook is None else "0.5")
    await slow.does(hook or "start")
    if hook is None:
        await slow.says("is running")
        await healthy.says("is running")
    conductor.kill()
    began = hook != "initialise"
    if moment in ("starting", "running"):
        await slow.says("is running")
        before = [rig.rows() for rig in lab.rigs.values()]
        await asyncio.sleep(1)
        after = [rig.rows() for rig in lab.rigs.values()]
        assert all(one < other for one, other in zip(before, after, strict=True)), (
            "a rig has stopped by itself"
        )
    recovery = lab.command("recover", "--stop", "--data", str(lab.folder / "pc"))
    code = await recovery.ends()
    assert "Traceback" not in recovery.said(), recovery.said()
    assert code == 0 or not began or moment == "starting", recovery.said()
    for rig in lab.rigs.values():
        hooks = [one for one, _ in rig.hooks()]
        assert hooks[-1] == "cleanup", f"{rig.name} was left behind: {hooks}\n{recovery.said()}"
        assert hooks.count("start") == began
        assert (rig.rows() > 0) is began
    for name in ("ephys", "right"):
        assert name in recovery.said()
    next_session = lab.run("--seconds", "0.5")
    assert await next_session.ends() == 0, next_session.said()
    for rig in lab.rigs.values():
        assert max(rig.starts().values()) == 1
        assert rig.hooks()[-1][0] == "cleanup"
