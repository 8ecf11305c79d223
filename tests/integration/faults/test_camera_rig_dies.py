"""A rig with a camera is killed while it records: it comes back, and records on in the same session."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tests.conftest import listen

import multirig
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import write
from multirig.protocol.words import Word

CAMERA = {
    "type": "camera",
    "cameras": [{"label": "left", "source": "test", "fps": 30, "size": [160, 120]}],
    "min_free_gb": 0,
}
PARTS = ("", ".part2")


def decode(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.mark.limit(60)
async def test_a_camera_rig_that_is_killed_records_on_and_both_parts_can_be_read(
    lab: Any, until: Any
) -> None:
    cameras = lab.rig("cameras", adapter=CAMERA)
    await asyncio.gather(lab.rig("ephys", main_sync=True).open(), cameras.open())
    conductor = await lab.conductor()
    noticed = listen(conductor, Noticed)
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(1.6)
    cameras.kill()
    folder = cameras.data / "mylab" / "Subjects" / Path(*exp_ref.folder_parts()) / "raw_video_data"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    await cameras.open()
    await until(lambda: Notice.RESUMED in [one.notice for one in noticed], limit=20)
    await asyncio.sleep(0.7)
    stopped = await session.stop()
    assert all(isinstance(one, Word) for one in stopped.values()), stopped
    await session.cleanup()

    assert {name: (folder / name).read_bytes() for name in before} == before
    spans = []
    for part in PARTS:
        shown = decode(folder / f"_iblrig_leftCamera.raw{part}.mp4")
        stamps = np.load(folder / f"_iblrig_leftCamera.times{part}.npy")
        both = min(len(shown), len(stamps))
        assert both >= 10
        np.testing.assert_allclose(shown[:both], (stamps - stamps[0])[:both], atol=1e-3)  # fitted meanwhile
        spans.append((stamps[0], stamps[-1]))
    assert spans[1][0] > spans[0][1], "one clock for both, and a gap between them"
    report = next(one for one in write(stopped["cameras"]).args if isinstance(one, dict))
    told = {one["path"].rpartition("/")[2]: one["frames"] for one in report["files"]}
    assert [name for name in told if name.endswith(".npy")] == [
        "_iblrig_leftCamera.times.npy",
        "_iblrig_leftCamera.times.part2.npy",
    ]
    assert all(frames >= 10 for name, frames in told.items() if name.endswith(".npy"))
    assert [one.notice for one in noticed if one.rig == "ephys"] == []

    found = multirig.load([session.folder, folder.parent])
    times, frames = found.times("left"), found.frames("left")
    held = [np.load(folder / f"_iblrig_leftCamera.times{part}.npy") for part in PARTS]
    pictures = [len(decode(folder / f"_iblrig_leftCamera.raw{part}.mp4")) for part in PARTS]
    pairs = [one[:count] for one, count in zip(held, pictures, strict=True)]
    assert np.array_equal(times, np.concatenate(pairs) - found.zero.at)
    assert len(frames) == len(times) == sum(1 for _ in frames)
    frames.close()
