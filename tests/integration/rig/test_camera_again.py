"""Each camera for itself: one that fails is opened again, and the others lose nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.rig.test_camera import (
    AHEAD,
    NetworkCamera,
    build,
    decode,
    encode_pictures,
    make_session,
    network,
    times,
)
from tests.integration.rig.test_camera import _no_thread_is_left as _no_thread_is_left
from tests.integration.rig.test_camera import network_camera as network_camera

from multirig.errors import AdapterError
from multirig.rig.adapter import Finding, Level, Session
from multirig.rig.adapters.camera import Camera

Until = Callable[[Callable[[], bool]], Any]


@pytest.fixture
def other_camera(network_camera: NetworkCamera) -> Iterator[NetworkCamera]:
    camera = NetworkCamera(network_camera.picture)
    yield camera
    camera.close()


async def begin(camera: Camera, session: Session) -> None:
    camera.session = session
    await camera.initialise()
    await camera.start()


async def until(holds: Callable[[], bool], limit: float = 6.0) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def names(session: Session) -> list[str]:
    return sorted(path.name.removeprefix("_iblrig_") for path in session.folder.iterdir())


def over(findings: Any) -> list[Finding]:
    return [one for one in findings if one.until is not None]


@pytest.mark.parametrize(
    ("form", "behaviour", "reason"),
    [
        ("mpjpeg", "freeze", r"gives no frames, or too slowly|can no longer be read \(it does not answer\)"),
        ("mpjpeg", "end", r"can no longer be read \(Input/output error\)|cannot be opened .*"),
        ("mjpeg", "end", "has ended|cannot be opened .*"),
    ],
)
def test_a_camera_that_fails_goes_on_in_a_further_part_and_the_other_loses_nothing(
    tmp_path: Path,
    network_camera: NetworkCamera,
    other_camera: NetworkCamera,
    form: str,
    behaviour: str,
    reason: str,
) -> None:
    network_camera.format = form
    healthy = network(other_camera, label="right", stall_limit=5)  # also on a PC that is busy with others
    camera = build(network(network_camera, stall_limit=0.5), healthy)
    session = make_session(tmp_path)

    async def run() -> None:
        await begin(camera, session)
        watch = asyncio.create_task(camera.watch())
        await asyncio.sleep(0.3)
        network_camera.behaviour = behaviour
        await until(lambda: bool(camera.findings()))
        [alarm] = camera.findings()
        assert (alarm.level, alarm.kind, alarm.until) == (Level.ALARM, "camera", None)
        told = (
            f"camera left: [a-z]+://127.* ({reason}): check the address, the network and the camera's power"
        )
        assert re.fullmatch(f"{told}; it is opened again and again", alarm.text)
        network_camera.behaviour = "show"
        await until(lambda: bool(over(camera.findings())))
        await asyncio.sleep(0.4)
        assert not watch.done()
        watch.cancel()
        await camera.stop()

    asyncio.run(run())
    assert names(session) == [
        "leftCamera.raw.mp4",
        "leftCamera.raw.part2.mp4",
        "leftCamera.times.npy",
        "leftCamera.times.part2.npy",
        "rightCamera.raw.mp4",
        "rightCamera.times.npy",
    ]
    right = times(session, "right")
    assert np.max(np.diff(right)) < 0.4
    before = times(session)
    after = np.load(session.folder / "_iblrig_leftCamera.times.part2.npy")
    assert len(decode(session.folder / "_iblrig_leftCamera.raw.part2.mp4")) == len(after) > 5
    assert right[-1] - after[-1] < 0.3
    # a PC that is busy with others may say more, of frames that came late
    [finding] = [one for one in camera.findings() if one.kind == "camera" and "left" in one.text]
    assert finding.level == Level.WARNING
    assert finding.at == pytest.approx(before[-1], abs=1e-3)
    assert finding.until == pytest.approx(after[0], abs=1e-3)
    assert f"camera left gave nothing for {after[0] - before[-1]:.1f} s" in finding.text
    assert "and went on in part 2" in finding.text
    assert sum(one.frames or 0 for one in camera.files() if one.path.endswith(".mp4")) == (
        len(before) + len(after) + len(right)
    )
    asyncio.run(camera.cleanup())


def test_a_camera_that_does_not_come_back_is_an_alarm_and_stop_does_not_wait_for_it(
    tmp_path: Path, network_camera: NetworkCamera, other_camera: NetworkCamera
) -> None:
    camera = build(network(network_camera, stall_limit=0.5), network(other_camera, label="right"))
    session = make_session(tmp_path)

    async def run() -> float:
        await begin(camera, session)
        watch = asyncio.create_task(camera.watch())
        await asyncio.sleep(0.2)
        network_camera.behaviour = "end"
        await until(lambda: bool(camera.findings()))
        await asyncio.sleep(0.5)
        assert not watch.done()
        watch.cancel()
        began = time.monotonic()
        await camera.stop()
        await camera.cleanup()
        return time.monotonic() - began

    assert asyncio.run(run()) < 3
    [alarm] = camera.findings()
    assert (alarm.level, alarm.until) == (Level.ALARM, None)
    assert alarm.text.endswith("; it did not come back before the stop")
    assert len(times(session, "right")) > len(times(session)) + 20
    assert len(names(session)) == 4


def test_only_when_no_camera_can_be_had_for_long_the_rig_has_failed(
    tmp_path: Path, network_camera: NetworkCamera, other_camera: NetworkCamera
) -> None:
    camera = build(
        network(network_camera, stall_limit=0.4), network(other_camera, label="right"), give_up_after=1.0
    )

    async def run() -> None:
        await begin(camera, make_session(tmp_path))
        watch = asyncio.create_task(camera.watch())
        network_camera.behaviour = "end"
        await asyncio.sleep(1.6)
        assert not watch.done()
        other_camera.behaviour = "end"
        await asyncio.sleep(0.5)
        assert not watch.done()
        with pytest.raises(AdapterError, match=r"^no camera has given anything for 1 s: camera left: .*"):
            await asyncio.wait_for(watch, 3)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())


def test_a_camera_that_fails_between_two_sessions_is_there_for_the_next(
    tmp_path: Path, network_camera: NetworkCamera
) -> None:
    camera = build(network(network_camera, open_limit=2))

    async def run() -> None:
        camera.session = make_session(tmp_path)
        await camera.initialise()
        network_camera.behaviour = "end"
        await asyncio.sleep(0.3)
        with pytest.raises(AdapterError, match="camera left: http"):
            await camera.initialise()
        network_camera.behaviour = "show"
        await begin(camera, camera.session)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    assert len(times(camera.session)) > 0


def test_a_camera_that_is_away_at_the_start_is_told(tmp_path: Path, network_camera: NetworkCamera) -> None:
    camera = build(network(network_camera, stall_limit=0.5))

    async def run() -> None:
        camera.session = make_session(tmp_path)
        await camera.initialise()
        network_camera.behaviour = "end"
        await asyncio.sleep(0.3)
        with pytest.raises(AdapterError, match=r"^camera left: http://.*: check the address"):
            await camera.start()
        await camera.cleanup()

    asyncio.run(run())
    assert not names(camera.session)


def test_a_film_that_has_ended_is_told(tmp_path: Path) -> None:
    film = encode_pictures(tmp_path / "film.mp4", 10, 25)
    camera = build({"source": str(film), "fps": None, "size": None})

    async def run() -> None:
        await begin(camera, make_session(tmp_path))
        assert not camera.findings()
        await until(lambda: bool(camera.findings()))
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    [finding] = camera.findings()
    assert finding.level is Level.NOTE
    assert finding.text == f"camera left has ended with its file {film}"
    assert finding.at == finding.until == pytest.approx(times(camera.session)[-1], abs=0.1)


@pytest.mark.parametrize("source", ["network", "test"])
def test_a_camera_of_one_frame_in_seconds_is_waited_for(
    tmp_path: Path, network_camera: NetworkCamera, source: str
) -> None:
    slow: dict[str, Any] = {"fps": 0.7, "stall_limit": 0.4, "open_limit": 0.4, "size": None}
    network_camera.pause = 1 / 0.7
    camera = build(network(network_camera, **slow) if source == "network" else slow)

    async def run() -> None:
        await begin(camera, make_session(tmp_path))
        watch = asyncio.create_task(camera.watch())
        await asyncio.sleep(3.2)
        assert not watch.done()
        watch.cancel()
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    assert not camera.findings()
    assert len(times(camera.session)) >= 2


def test_a_read_that_never_returns_is_left_behind_and_the_source_opened_anew(
    tmp_path: Path, network_camera: NetworkCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multirig.rig.adapters.camera.source import Source

    sleeps, real = [True], Source.read

    def read(source: Source) -> Any:
        for number, item in enumerate(real(source)):
            yield item
            if number == 30 and sleeps:
                sleeps.clear()
                time.sleep(2.5)  # what no time limit of libav ends: a driver that hangs

    monkeypatch.setattr(Source, "read", read)
    camera = build(network(network_camera, stall_limit=0.5))

    async def run() -> None:
        await begin(camera, make_session(tmp_path))
        watch = asyncio.create_task(camera.watch())
        await until(lambda: bool(over(camera.findings())))
        await asyncio.sleep(0.3)
        watch.cancel()
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    [finding] = camera.findings()
    assert finding.until is not None
    assert 0.5 < finding.until - (finding.at or 0) < 2.4
    after = np.load(camera.session.folder / "_iblrig_leftCamera.times.part2.npy")
    assert len(after) > 5
    assert after[0] > AHEAD / 1e9
