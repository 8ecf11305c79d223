"""Live pictures of real cameras: they show what is seen, and cost no frame."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import TypeAdapter

import multirig.rig.viewfinder
from multirig.protocol.dialect import write
from multirig.protocol.messages import Event
from multirig.protocol.words import Picture, Word
from multirig.rig.adapter import MAX_PICTURE
from multirig.rig.adapters.camera import Camera

REF = "2024-05-06_1_SP_01"


def build(*cameras: dict[str, Any], **options: Any) -> Camera:
    defaults = {"label": "left", "source": "test", "fps": 60, "size": [640, 480]}
    listed = [defaults | camera for camera in cameras or ({},)]
    return TypeAdapter(Camera).validate_python({"cameras": listed, "min_free_gb": 0, **options})


def decode(jpeg: bytes) -> Any:
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as container:
        [frame] = container.decode(video=0)
        return frame.to_ndarray(format="rgb24")


def last_frame(folder: Path) -> Any:
    """Return the last frame of the only video below a folder."""
    [path] = folder.rglob("*.mp4")
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)][-1]


async def watch(lab: Any, camera: Camera) -> Any:
    await lab.rig(adapter=camera)
    conductor = await lab.conductor()
    await conductor.request(Event.EXPINFO, 0, {})
    return conductor


async def look_until_new(conductor: Any, before: list[Picture]) -> list[Picture]:
    """Return pictures that are all others than before: a busy PC shows the last ones for a while."""
    while True:
        now = await look(conductor)
        if len(now) == len(before) and all(a.jpeg != b.jpeg for a, b in zip(now, before, strict=True)):
            return now
        await asyncio.sleep(0.05)


async def order(conductor: Any, event: Event) -> dict[str, Any]:
    [answer] = (await conductor.request(event, {"exp_ref": REF})).values()
    assert isinstance(answer, Word), answer
    return write(answer).args[0] if isinstance(write(answer).args[0], dict) else {}


async def look(conductor: Any) -> list[Picture]:
    [report] = (await conductor.request(Event.EXPSTATUS, 0, {"pictures": True})).values()
    return [*(report.pictures or ())]


@contextlib.asynccontextmanager
async def watched(conductor: Any, rate: float) -> AsyncIterator[list[list[Picture]]]:
    """Ask for pictures so often, meanwhile."""
    seen: list[list[Picture]] = []

    async def ask() -> None:
        while True:
            seen.append(await look(conductor))
            await asyncio.sleep(1 / rate)

    asking = asyncio.create_task(ask())
    try:
        yield seen
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def test_a_camera_shows_its_first_picture_before_the_start_and_new_ones_after_it(
    lab: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)
    camera = build({"label": "left"}, {"label": "body", "size": [320, 400]})
    conductor = await watch(lab, camera)
    assert await look(conductor) == []
    await order(conductor, Event.EXPINIT)
    waiting = await look(conductor)
    assert [(one.label, decode(one.jpeg).shape) for one in waiting] == [
        ("left", (180, 240, 3)),
        ("body", (300, 240, 3)),
    ]
    assert all(len(one.jpeg) <= MAX_PICTURE for one in waiting)
    await until(lambda: lab.rigs["cam"].machine.cameras == ("left", "body"))
    await asyncio.sleep(0.05)
    assert [one.jpeg for one in await look(conductor)] == [one.jpeg for one in waiting]
    await order(conductor, Event.EXPSTART)
    moving = await look_until_new(conductor, waiting)
    assert [(one.label, decode(one.jpeg).shape) for one in moving] == [
        ("left", (180, 240, 3)),
        ("body", (300, 240, 3)),
    ]
    assert all(one.age is not None for one in moving)
    await order(conductor, Event.EXPEND)
    await order(conductor, Event.EXPCLEANUP)
    assert await look(conductor) == []
    await until(lambda: lab.rigs["cam"].machine.cameras == ())


async def test_a_picture_shows_what_is_recorded(lab: Any) -> None:
    wedge = "color=size=480x360:rate=30,geq=lum='16+X*219/W':cb=128:cr=128"
    conductor = await watch(lab, build({"source": wedge, "format": "lavfi", "size": None, "fps": 30}))
    await order(conductor, Event.EXPSTART)
    await asyncio.sleep(0.3)
    [picture] = await look(conductor)
    shown = decode(picture.jpeg).mean((0, 2))
    await order(conductor, Event.EXPEND)
    recorded = last_frame(lab.folder).mean((0, 2)).reshape(240, -1).mean(1)
    assert np.ptp(recorded) > 100
    assert np.abs(shown - recorded).mean() < 5


@pytest.mark.parametrize("rate", [None, 10.0])
async def test_no_frame_is_lost_while_pictures_are_asked_for_ten_times_a_second(
    lab: Any, rate: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)  # each of them is made anew
    # a disk that other programs keep busy for a second is no fault of the pictures
    camera = build({"label": "left", "queue": 120}, {"label": "right", "queue": 120})
    conductor = await watch(lab, camera)
    seen: list[list[Picture]] = []
    async with contextlib.AsyncExitStack() as stack:
        if rate is not None:
            seen = await stack.enter_async_context(watched(conductor, rate))
        await order(conductor, Event.EXPSTART)
        await asyncio.sleep(3)
        report = await order(conductor, Event.EXPEND)
    health = camera.health()
    assert health.dropped == 0
    videos = [one for one in report["files"] if one["path"].endswith(".mp4")]
    assert len(videos) == 2
    for one in videos:  # for as long as it was recorded, since a busy PC stops late
        assert one["frames"] == pytest.approx((one["last"] - one["first"]) * 60 + 1, rel=0.1)
        assert one["frames"] > 2 * 60
    assert sum(one["frames"] for one in videos) == health.frames
    if rate is not None:
        assert len({one.jpeg for pictures in seen for one in pictures if one.label == "left"}) > 1


async def test_where_frames_wait_for_the_encoder_the_last_picture_is_shown_again(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)
    camera = build()
    conductor = await watch(lab, camera)
    await order(conductor, Event.EXPSTART)
    while not (pictures := await look(conductor)):  # the first frame may be late on a busy PC
        await asyncio.sleep(0.02)
    [first] = pictures
    with monkeypatch.context() as patch:
        patch.setattr("multirig.rig.adapters.camera.recording.Recording.is_behind", True)
        await asyncio.sleep(0.2)
        [same] = await look(conductor)
    await look_until_new(conductor, [first])
    assert same.jpeg == first.jpeg
    assert same.age is not None
    assert first.age is not None
    assert same.age > first.age + 0.15


async def test_a_camera_that_is_let_go_of_while_pictures_are_taken_closes_all_the_same(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)
    conductor = await watch(lab, build(*({"label": label, "fps": 120} for label in "abc")))
    async with watched(conductor, 200):
        for _ in range(5):
            await order(conductor, Event.EXPINIT)
            await asyncio.sleep(0.02)
            await order(conductor, Event.EXPCLEANUP)
    assert await look(conductor) == []
