"""The conductor is killed at each step: the rigs record on, and another one ends the session."""

from __future__ import annotations

import asyncio
import os
import re
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
    if moment == "running":  # a minute was asked for
        assert code == 1, recovery.said()
        assert "the program that led it died while its rigs recorded" in recovery.said()
    assert code == 0 or not began or moment in ("starting", "running"), recovery.said()
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


@pytest.mark.limit(60)
async def test_a_recording_without_its_conductor_goes_on_or_ends_by_itself_as_each_rig_was_told(
    lab: Any,
) -> None:
    patient = lab.rig("ephys", main_sync=True)
    careful = lab.rig("right", on_lost_conductor={"stop_after": "3 s"})
    await asyncio.gather(patient.open(), careful.open())
    conductor = lab.run("--seconds", "60")
    for rig in (patient, careful):
        await rig.says("is running")
    conductor.kill()
    await careful.does("stop")
    assert careful.rows() > 0
    recorded = patient.rows()
    data = ("--data", str(lab.folder / "pc"))
    recovery = lab.command("recover", "--go-on", "--seconds", "1", *data)
    assert await recovery.ends() != 0
    assert re.search("right +stopped +stopped by itself", recovery.said()), recovery.said()
    await asyncio.sleep(0.3)
    assert patient.rows() > recorded, "the rig that records was stopped with the other"
    recovery = lab.command("recover", "--stop", *data)
    await recovery.ends()
    assert "Traceback" not in recovery.said()
    for rig in (patient, careful):
        assert rig.hooks()[-1][0] == "cleanup", f"{rig.hooks()}\n{recovery.said()}"
        assert max(rig.starts().values()) == 1


@pytest.mark.limit(60)
async def test_a_session_goes_on_under_another_conductor_until_that_one_ends_it(lab: Any) -> None:
    rigs = await lab.open_rigs("ephys", "right")
    conductor = lab.run("--seconds", "60")
    for rig in rigs:
        await rig.says("is running")
    conductor.kill()
    recorded = [rig.rows() for rig in rigs]
    recovery = lab.command("recover", "--go-on", "--seconds", "1", "--data", str(lab.folder / "pc"))
    assert await recovery.ends() == 0, recovery.said()
    for rig, rows in zip(rigs, recorded, strict=True):
        assert rig.rows() > rows
        assert [hook for hook, _ in rig.hooks()] == ["initialise", "start", "stop", "cleanup"]
