"""What a rig tells of its PC before a session, and how it rehearses one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from multirig.config import AdapterConfig
from multirig.errors import AdapterError
from multirig.lifecycle.rig_states import RigState
from multirig.pc.finding import Finding, Level, read_findings
from multirig.protocol.dialect import write
from multirig.protocol.messages import Event
from multirig.rig.adapters.fake import Fake
from multirig.rig.adapters.process import Process
from multirig.rig.rate import recall_rate, remember_rate
from multirig.rig.rehearsal import FOLDER, rehearsal_folder

REF = "2024-05-06_1_rehearsal"
ADAPTER = AdapterConfig.model_validate({"type": "fake", "rate": 30})


class Unplugged(Fake):
    def check(self) -> None:
        raise AdapterError("the camera is not plugged in: plug it in")


async def ask(conductor: Any, **data: Any) -> dict[str, Any]:
    (answer,) = (await conductor.request(Event.EXPINFO, 0, data)).values()
    return dict(write(answer).args[1])


async def find(conductor: Any, seconds: float | None = 60) -> dict[str, Finding]:
    answer = await ask(conductor, check={"seconds": seconds})
    return {one.check: one for one in read_findings(answer["preflight"])}


async def test_a_rig_that_is_asked_tells_what_speaks_for_a_session(lab: Any) -> None:
    await lab.rig()
    found = await find(await lab.conductor())
    assert {"disk", "folder", "adapter", "version", "clock", "sleep"} <= found.keys()
    assert found["folder"].level is Level.OK
    assert found["adapter"].level is Level.OK
    assert "Python" in found["version"].text


async def test_a_rig_that_is_not_asked_writes_no_probe_and_tells_nothing(lab: Any) -> None:
    await lab.rig()
    assert "preflight" not in await ask(await lab.conductor(), subject=None)


async def test_what_speaks_against_a_session_is_told_without_passwords(lab: Any) -> None:
    class Leaking(Fake):
        def check(self) -> None:
            raise AdapterError("rtsp://admin:p@ss/w0rd@camera.lab does not answer")

    await lab.rig(adapter=Leaking())
    found = await find(await lab.conductor())
    assert found["adapter"].text == "rtsp://***@camera.lab does not answer"


async def test_an_adapter_that_could_not_record_is_a_failure(lab: Any) -> None:
    await lab.rig(adapter=Unplugged())
    found = await find(await lab.conductor())
    assert found["adapter"].level is Level.FAILURE
    assert "not plugged in" in found["adapter"].text


async def test_an_adapter_in_a_session_is_not_asked(lab: Any) -> None:
    rig = await lab.rig(adapter=Unplugged())
    await rig.start_here("SP_01")
    assert "adapter" not in await find(await lab.conductor())


async def test_a_rehearsal_records_and_leaves_nothing_behind(lab: Any) -> None:
    rig = await lab.rig()
    conductor = await lab.conductor()
    await ask(conductor)
    await conductor.request(Event.EXPINIT, {"exp_ref": REF, "rehearsal": True})
    (started,) = (await conductor.request(Event.EXPSTART, REF, {"rehearsal": True})).values()
    assert rig.machine.state is RigState.RUNNING, started
    assert (lab.folder / "cam" / FOLDER).is_dir()
    await asyncio.sleep(0.05)
    (stopped,) = (await conductor.request(Event.EXPEND, {"exp_ref": REF})).values()
    assert write(stopped).args[0]["files_total"] == 1
    assert write(stopped).args[0]["files"][0]["frames"] > 0
    await conductor.request(Event.EXPCLEANUP, {"exp_ref": REF})
    assert rig.machine.state is RigState.CONNECTED
    assert not (lab.folder / "cam" / FOLDER).exists()
    assert not (lab.folder / "cam" / "mylab").exists()


async def test_the_same_rehearsal_can_be_made_again(lab: Any) -> None:
    rig = await lab.rig()
    conductor = await lab.conductor()
    await ask(conductor)  # what is multirig's own is said on its own wire only
    for _ in range(2):
        await conductor.request(Event.EXPINIT, {"exp_ref": REF, "rehearsal": True})
        await conductor.request(Event.EXPSTART, REF, {"rehearsal": True})
        assert rig.machine.state is RigState.RUNNING
        await conductor.request(Event.EXPCLEANUP, {"exp_ref": REF})
        assert rig.machine.state is RigState.CONNECTED


async def test_a_rig_that_is_set_up_for_a_subject_rehearses_all_the_same(lab: Any) -> None:
    rig = await lab.rig()
    rig.choose_subject("SP_01")
    conductor = await lab.conductor()
    await ask(conductor)
    await conductor.request(Event.EXPINIT, {"exp_ref": REF, "rehearsal": True})
    assert rig.machine.state is RigState.INITIALIZED


async def test_a_recording_is_not_made_a_rehearsal_on_the_way(lab: Any) -> None:
    rig = await lab.rig()
    conductor = await lab.conductor()
    await ask(conductor)
    await conductor.request(Event.EXPINIT, {"exp_ref": REF})
    await conductor.request(Event.EXPSTART, REF, {"rehearsal": True})
    await conductor.request(Event.EXPEND, {"exp_ref": REF})
    await conductor.request(Event.EXPCLEANUP, {"exp_ref": REF})
    assert rig.machine.state is RigState.CONNECTED
    assert list((lab.folder / "cam" / "mylab").rglob("fake.csv"))


async def test_what_a_rehearsal_left_behind_is_removed_at_the_next_start(lab: Any) -> None:
    left = rehearsal_folder(lab.folder / "cam", "cam") / "mylab"
    left.mkdir(parents=True)
    (left / "video.mp4").write_text("cut off")
    await lab.rig()
    assert not (lab.folder / "cam" / FOLDER).exists()


def test_the_rate_of_the_last_recordings_is_known_as_long_as_the_adapter_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rate.json"
    assert recall_rate(path, ADAPTER) is None
    remember_rate(path, ADAPTER, 3000, 3.0)
    remember_rate(path, ADAPTER, 2000, 4.0)
    assert recall_rate(path, ADAPTER) == 1000
    assert recall_rate(path, AdapterConfig.model_validate({"type": "fake", "rate": 60})) is None


@pytest.mark.parametrize(("size", "seconds"), [(1000, 0.5), (0, 10.0)])
def test_a_recording_that_was_too_short_or_empty_says_nothing(
    tmp_path: Path, size: int, seconds: float
) -> None:
    remember_rate(tmp_path / "rate.json", ADAPTER, size, seconds)
    assert recall_rate(tmp_path / "rate.json", ADAPTER) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"adapter": 1, "rates": [1.0]}', '{"rates": "x"}'])
def test_a_rate_that_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "rate.json").write_text(text)
    assert recall_rate(tmp_path / "rate.json", ADAPTER) is None


def test_a_program_that_is_not_there_is_found_before_the_session() -> None:
    with pytest.raises(AdapterError, match="not found"):
        Process(command=["no-such-program"]).check()


@pytest.mark.parametrize("program", ["{python}", "{folder}/program"])
def test_a_program_that_is_there_or_depends_on_the_session_is_no_fault(program: str) -> None:
    Process(command=[program]).check()


@pytest.mark.parametrize("source", ["/no/such/video.mp4", "/dev/video-none", "http://127.0.0.1:9/stream"])
def test_a_camera_that_is_not_there_is_found_without_opening_it(source: str) -> None:
    pytest.importorskip("av")
    from multirig.rig.adapters.camera import Camera
    from multirig.rig.adapters.camera.options import CameraOptions

    with pytest.raises(AdapterError, match="camera left"):
        Camera(cameras=[CameraOptions(label="left", source=source)]).check()


def test_a_camera_that_is_there_or_cannot_be_looked_for_is_no_fault(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from multirig.rig.adapters.camera import Camera
    from multirig.rig.adapters.camera.options import CameraOptions

    video = tmp_path / "video.mp4"
    video.write_text("")
    sources = ["test", str(video), "video=Integrated Camera", "udp://127.0.0.1:9"]
    labelled = [CameraOptions(label=f"c{n}", source=source) for n, source in enumerate(sources)]
    Camera(cameras=labelled).check()
