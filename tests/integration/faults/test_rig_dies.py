"""A rig is killed, held, or its disk is full: the others go on, and the operator is told which one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import listen

from multirig.conductor.conductor import Conductor
from multirig.conductor.observer import Observer
from multirig.conductor.session import Session
from multirig.config import Uri
from multirig.errors import MultirigError, SessionFailed
from multirig.lifecycle.session_events import Heard, Limits
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import write
from multirig.protocol.events import SECOND
from multirig.protocol.words import RigState, Word

ENDURES = bool(os.environ.get("MULTIRIG_ENDURE"))
LIMIT = 4 * SECOND
LIMITS = Limits(agree=LIMIT, initialise=LIMIT, start=LIMIT, stop=LIMIT, cleanup=LIMIT)
"""Long for a rig on a busy machine, short for one that is dead."""
HELD_FOR = 10.0 if ENDURES else 3.0
"""Seconds for which a program stands still."""
HEALTHY = ("ephys", "left", "body") if ENDURES else ("ephys",)
VICTIM = "right"
MOMENTS: dict[str, tuple[int, str | None]] = {
    "before the agreement": (0, None),
    "initialising": (1, "initialise"),
    "initialised": (2, None),
    "starting": (2, "start"),
    "running": (3, None),
    "stopping": (3, "stop"),
    "stopped": (4, None),
    "cleaning up": (4, "cleanup"),
}
"""How many steps are done when it dies, and which hook of its adapter is at work then."""
CHOSEN = [*MOMENTS] if ENDURES else ["starting", "running", "stopping"]
"""All of them with ``make endure``."""


def steps_of(session: Session) -> list[Any]:
    return [
        session.agree,
        session.init,
        session.start,
        session.stop,
        session.cleanup,
    ]


def blamed(outcome: Any) -> dict[str, Exception]:
    """Return which rigs a step could not be done on, as the operator is told."""
    if isinstance(outcome, SessionFailed):
        return dict(outcome.causes)
    if isinstance(outcome, dict):
        return {name: one for name, one in outcome.items() if isinstance(one, MultirigError)}
    return {}


async def record(conductor: Conductor) -> Any:
    """Record a session; return its reference."""
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.1)
    for outcomes in (await session.stop(), await session.cleanup()):
        assert all(isinstance(one, Word) for one in outcomes.values()), outcomes
    return exp_ref


# -- killed --------------------------------------------------------------------------------------------------


@pytest.mark.limit(100)
async def test_a_rig_that_is_killed_at_any_moment_is_named_and_the_others_are_stopped_and_let_go(
    labs: Any,
) -> None:
    async def watch(moment: str) -> str:
        try:
            await kill_a_rig(labs.make(), moment)
        except (AssertionError, MultirigError) as error:
            return f"{moment}: {error!r}"
        return ""

    problems = await asyncio.gather(*map(watch, CHOSEN))
    assert [one for one in problems if one] == []


async def kill_a_rig(lab: Any, moment: str) -> None:
    """Lead a session in which a rig is killed, then another one with that rig back."""
    done, hook = MOMENTS[moment]
    await lab.open_rigs(*HEALTHY)
    victim = lab.rig(VICTIM, adapter={"delay": {hook: 60.0} if hook else {}})
    await victim.open()
    await lab.lay_bad_cables()  # a PC that is off is silence: nothing says that its port is closed
    conductor = await lab.conductor(limits=LIMITS)
    session = conductor.session("SP_01")
    steps = steps_of(session)
    for step in steps[:done]:
        await step()
    if hook is None:
        await asyncio.sleep(0.1)
        victim.kill()
    told = {}
    for step in steps[done:]:
        going = asyncio.ensure_future(step())
        if hook is not None:
            await victim.does(hook)
            victim.kill()
            hook = None
        outcome: Any = (await asyncio.gather(going, return_exceptions=True))[0]
        assert isinstance(outcome, dict | MultirigError), outcome
        told |= blamed(outcome)
        if session.state is SessionState.IDLE:
            break
    assert conductor.current is None
    assert told.keys() == {VICTIM}
    assert "\n" not in str(told[VICTIM])
    for name in HEALTHY:
        hooks = [one for one, _ in lab.rigs[name].hooks()]
        assert hooks[-1:] in ([], ["cleanup"]), hooks
        assert ("start" in hooks) <= ("stop" in hooks)
        assert lab.rigs[name].rows() > 0 or "start" not in hooks
    assert victim.rows() > 0 or moment in list(MOMENTS)[:4], "what was recorded is gone"
    await come_back(lab, victim, conductor)


async def come_back(lab: Any, victim: Any, conductor: Conductor) -> None:
    """Start the rig's program again and record another session with it."""
    victim.kill()
    victim.config.write_text(victim.config.read_text().replace("60.0", "0.0"))
    await victim.open()
    exp_ref = await record(conductor)
    for rig in lab.rigs.values():
        assert rig.starts()[str(exp_ref)] == 1
        assert max(rig.starts().values()) == 1, rig.hooks()
        assert rig.rows(exp_ref) > 0


# -- killed, and back in the same session ------------------------------------------------------------------


@pytest.mark.limit(60)
async def test_a_rig_that_dies_and_comes_back_records_on_in_the_same_session_and_tells_the_gap(
    lab: Any, until: Any
) -> None:
    _, victim = await lab.open_rigs("ephys", VICTIM)
    conductor = await lab.conductor()
    noticed = listen(conductor, Noticed)
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.5)
    victim.kill()
    before = victim.rows(exp_ref)
    await victim.open()
    await victim.does("resume")
    await until(lambda: Notice.RESUMED in [one.notice for one in noticed if one.rig == VICTIM], 10)
    await asyncio.sleep(0.3)
    assert victim.rows(exp_ref) > before > 0
    outcomes = await session.stop()
    assert blamed(outcomes) | blamed(await session.cleanup()) == {}
    assert victim.starts() == lab.rigs["ephys"].starts() == {str(exp_ref): 1}
    files = [Path(one["path"]).name for one in write(outcomes[VICTIM]).args[0]["files"]]
    assert {"rows-0.txt", "rows-1.txt"} <= {*files}
    assert {one.rig for one in noticed} == {VICTIM}


# -- held ----------------------------------------------------------------------------------------------------


@pytest.mark.limit(60)
async def test_a_rig_that_hangs_for_a_while_records_on_and_is_stopped_with_the_others(labs: Any) -> None:
    await asyncio.gather(hold_a_rig(labs.make(), is_stopped_meanwhile=False), hold_a_rig(labs.make(), True))


async def hold_a_rig(lab: Any, is_stopped_meanwhile: bool) -> None:
    await lab.open_rigs("ephys", VICTIM)
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.2)
    victim = lab.rigs[VICTIM]
    victim.hold()
    stopping = asyncio.ensure_future(session.stop()) if is_stopped_meanwhile else None
    await asyncio.sleep(HELD_FOR)
    if stopping is not None:
        assert not stopping.done(), "a rig that is held is waited for"
        assert ("stop", str(exp_ref)) in lab.rigs["ephys"].hooks(), "the healthy one waited for the other"
    victim.go_on()
    if stopping is None:
        held = victim.rows(exp_ref)
        await asyncio.sleep(0.5)
        assert victim.rows(exp_ref) > held
        stopping = asyncio.ensure_future(session.stop())
    assert blamed(await stopping) == {}
    assert blamed(await session.cleanup()) == {}
    assert all(rig.starts() == {str(exp_ref): 1} and rig.rows(exp_ref) > 0 for rig in lab.rigs.values())


# -- a full disk ---------------------------------------------------------------------------------------------

OWN_MOUNTS = ("unshare", "-Urm", "sh", "-c")


def can_mount() -> bool:
    """Whether a program may have mounts of its own here."""
    if shutil.which("unshare") is None:
        return False
    try:
        command = [*OWN_MOUNTS, "mount -t tmpfs tmpfs /tmp"]
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.limit(60)
@pytest.mark.skipif(not can_mount(), reason="a small disk cannot be mounted here without rights")
async def test_a_rig_whose_disk_is_full_says_so_and_keeps_what_it_wrote(lab: Any, until: Any) -> None:
    await lab.open_rigs("ephys")
    full = lab.rig(VICTIM, adapter={"rows": 100})
    full.data.mkdir(parents=True)
    await full.open(*OWN_MOUNTS, f'mount -t tmpfs -o size=256k tmpfs "{full.data}" && exec "$@"', "sh")
    conductor = await lab.conductor()
    alarms = listen(conductor, Heard, lambda heard: (heard.rig, str(write(heard.word).args)))
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await full.says("free some space")
    reason = "No space left on device"
    await until(lambda: any(rig == VICTIM and reason in text for rig, text in alarms))
    before = lab.rigs["ephys"].rows(exp_ref)
    await asyncio.sleep(0.2)
    assert lab.rigs["ephys"].rows(exp_ref) > before, "the healthy one was stopped too"
    # seen from outside, the disk of its own is only below the program's own root
    full.data = Path(f"/proc/{full.process.pid}/root") / full.data.relative_to("/")
    written = full.rows(exp_ref)
    assert written > 1000
    told = blamed(await session.stop()) | blamed(await session.cleanup())
    assert told.keys() <= {VICTIM}
    assert full.rows(exp_ref) == written
    assert lab.rigs["ephys"].hooks()[-1][0] == "cleanup"


# -- seen by somebody who looks on --------------------------------------------------------------------------


async def test_a_rig_that_is_killed_while_it_records_is_seen_to_be_gone_and_to_be_back(
    lab: Any, until: Any
) -> None:
    async with Observer() as observer:
        [rig] = await lab.open_rigs("main", adapter={"type": "fake"})
        await observer.follow({"main": Uri.parse(rig.uri)})
        conductor = await lab.conductor()
        session = conductor.session("SP_01")
        await session.agree()
        await session.init()
        await session.start()
        await until(lambda: observer.sightings()["main"].report.state == RigState.RUNNING)
        rig.kill()
        await until(lambda: observer.sightings()["main"].problem, 15)
        assert "multirig serve" in str(observer.sightings()["main"].problem)
        await rig.open()
        await until(lambda: observer.sightings()["main"].problem is None, 15)
        await until(lambda: observer.sightings()["main"].report.gap)
        assert "its program died" in str(observer.sightings()["main"].report.failure)
        with contextlib.suppress(MultirigError):
            await session.stop()
