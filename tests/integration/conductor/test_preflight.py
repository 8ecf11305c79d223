"""A conductor that looks before it begins, and rehearses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from multirig.conductor.preflight import find_hindrance
from multirig.conductor.rehearsal import is_ready, rehearse
from multirig.config import AdapterConfig
from multirig.errors import AdapterError, MultirigError
from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.rig_states import RigState
from multirig.pc.finding import Level, worst
from multirig.rig.adapters.fake import Fake
from multirig.rig.loading import build_adapter
from multirig.rig.rehearsal import FOLDER

SECONDS = 0.2


class Unplugged(Fake):
    def check(self) -> None:
        raise AdapterError("the camera is not plugged in: plug it in")


async def test_every_rig_and_this_pc_are_looked_at(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    found = await conductor.check(60)
    assert list(found) == ["main", "cam", THIS_PC]
    assert {"answer", "disk", "folder", "adapter", "time"} <= {one.check for one in found["cam"]}
    assert {"disk", "folder", "main sync"} <= {one.check for one in found[THIS_PC]}
    assert worst(found["cam"]) is not Level.FAILURE
    assert find_hindrance(found, {}) is None
    assert conductor.current is None


async def test_a_check_touches_nobody_and_uses_up_no_number(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    await conductor.check()
    session = conductor.session("SP_01")
    assert str(await session.agree()).endswith("_1_SP_01")
    assert lab.rigs["cam"].adapter.calls == []


async def test_what_is_wrong_with_a_rig_hinders_and_names_it(lab: Any) -> None:
    await lab.rigs_of_a_session()
    await lab.rig("cam", adapter=Unplugged())
    hindrance = find_hindrance(await (await lab.conductor()).check(), {})
    assert "cam: the camera is not plugged in" in str(hindrance)


async def test_a_rehearsal_needs_no_main_sync_and_leaves_nothing(lab: Any) -> None:
    await lab.rig("cam")
    await lab.rig("eyes")
    conductor = await lab.conductor()
    found, rehearsed = await rehearse(conductor, SECONDS)
    assert is_ready(found, rehearsed)
    for name in ("cam", "eyes"):
        one = rehearsed[name]
        assert one.is_ready, one.problems
        assert one.frames
        assert one.bytes > 0
        assert lab.rigs[name].machine.state is RigState.CONNECTED
        assert not list((lab.folder / name).rglob("*.csv"))
        assert not (lab.folder / name / FOLDER).exists()
    assert not list((lab.folder / "pc").rglob("*rehearsal*"))


async def test_a_camera_counts_the_frames_of_each_rehearsal_anew(lab: Any) -> None:
    pytest.importorskip("av")
    camera = {"type": "camera", "cameras": [{"label": "left", "source": "test", "fps": 30, "size": [64, 48]}]}
    await lab.rig("cam", adapter=build_adapter(AdapterConfig.model_validate(camera), "cam"))
    conductor = await lab.conductor()
    for _ in range(3):
        _, rehearsed = await rehearse(conductor, 1.0)
        assert 15 < (rehearsed["cam"].rate or 0) < 45


async def test_a_session_after_a_rehearsal_has_the_first_number(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    await rehearse(conductor, SECONDS)
    session = conductor.session("rehearsal")
    assert str(await session.agree()).endswith("_1_rehearsal")
    await session.init()
    await session.start()
    await session.stop()
    await session.cleanup()
    assert list((lab.folder / "cam" / "mylab").rglob("fake.csv"))


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        ({"fail": {"initialise": "no light"}}, "no light"),
        ({"fail": {"start": "no film"}}, "no film"),
        ({"fail": {"stop": "no end"}}, "no end"),
        ({"rate": 0.0}, "recorded nothing"),
        ({"fail_after": 0.05}, "scripted failure"),
        ({"write_file": False}, "recorded nothing"),
    ],
)
async def test_a_rig_that_does_not_record_is_not_ready_and_the_others_are(
    lab: Any, fake: dict[str, Any], words: str
) -> None:
    await lab.rig("cam")
    await lab.rig("sick", fake=fake)
    found, rehearsed = await rehearse(await lab.conductor(), SECONDS)
    assert not is_ready(found, rehearsed)
    assert rehearsed["cam"].is_ready, rehearsed["cam"].problems
    assert words in " ".join(rehearsed["sick"].problems)
    assert lab.rigs["sick"].machine.state is RigState.CONNECTED
    assert not (lab.folder / "sick" / FOLDER).exists()


async def test_a_rig_that_records_is_left_alone(lab: Any) -> None:
    rig = await lab.rig("cam")
    exp_ref = await rig.start_here("SP_01")
    _, rehearsed = await rehearse(await lab.conductor(), SECONDS)
    assert f"is running {exp_ref}" in rehearsed["cam"].problems[0]
    assert rig.machine.state is RigState.RUNNING


async def test_whoever_has_enough_of_a_rehearsal_leaves_no_rig_recording(lab: Any, until: Any) -> None:
    rig = await lab.rig("cam")
    going = asyncio.ensure_future(rehearse(await lab.conductor(), 30))
    await until(lambda: rig.machine.state is RigState.RUNNING)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert rig.machine.state is RigState.CONNECTED


async def test_a_session_that_goes_on_is_not_rehearsed(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    with pytest.raises(MultirigError, match="rehearse when it is over"):
        await rehearse(conductor, SECONDS)


async def test_a_rehearsal_of_no_time_or_without_end_is_refused(lab: Any) -> None:
    await lab.rig()
    conductor = await lab.conductor()
    for seconds in (0, 3600):
        with pytest.raises(MultirigError, match="cannot be rehearsed"):
            await rehearse(conductor, seconds)
