"""Pictures that come damaged are recorded and counted, and honest ones are not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import av.error
import pytest
from tests.integration.rig.test_camera import (
    NetworkCamera,
    build,
    decode,
    make_session,
    network,
    times,
    video,
)
from tests.integration.rig.test_camera import _no_thread_is_left as _no_thread_is_left
from tests.integration.rig.test_camera import network_camera as network_camera

from multirig.rig.adapter import Finding, Level
from multirig.rig.adapters.camera.damage import Decoder, is_cut_off, is_damaged

JPEGS = 30


def encode(path: Path, codec: str, form: str, **options: str) -> Path:
    """Write a moving picture, a key frame in every second."""
    with (
        av.open("testsrc2=size=320x240:rate=30:duration=4", format="lavfi") as source,
        av.open(str(path), "w") as container,
    ):
        stream: Any = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, form, 30
        for frame in source.decode(video=0):
            frame.pict_type = 0
            container.mux(stream.encode(frame.reformat(format=form)))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = encode(tmp_path_factory.mktemp("jpegs") / "film.avi", "mjpeg", "yuvj420p")
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size][:JPEGS]


def look(path: Path, form: str | None = None) -> tuple[int, list[int]]:
    """Return how many pictures there are, and which of them are damaged."""
    count, damaged = 0, []
    with av.open(str(path), format=form) as container:
        decoder = Decoder(container.streams.video[0])
        for packet in container.demux(video=0):
            try:
                frames = decoder.decode(packet)
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                if is_damaged(frame):
                    damaged.append(count)
                count += 1
    return count, damaged


def look_at_jpegs(path: Path, jpegs: Sequence[bytes]) -> tuple[int, list[int]]:
    head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    path.write_bytes(b"".join(head % len(one) + one + b"\r\n" for one in jpegs))
    return look(path, "mpjpeg")


def cut(jpeg: bytes) -> bytes:
    return jpeg[: len(jpeg) * 8 // 10]


@pytest.mark.parametrize(
    "harm",
    [
        cut,
        lambda jpeg: cut(jpeg) + b"\xff\xd9",
        lambda jpeg: jpeg[: len(jpeg) // 2] + jpeg[len(jpeg) // 2 + 1400 :],
        lambda jpeg: jpeg[:-2],
    ],
    ids=["cut off", "cut off, with an end", "a part is missing", "without an end"],
)
def test_a_jpeg_that_is_not_whole_is_shown_and_counted(
    tmp_path: Path, jpegs: list[bytes], harm: Callable[[bytes], bytes]
) -> None:
    come = [harm(one) if number % 5 == 4 else one for number, one in enumerate(jpegs)]
    assert look_at_jpegs(tmp_path / "stream", come) == (JPEGS, [4, 9, 14, 19, 24, 29])


@pytest.mark.parametrize(
    "make",
    [
        lambda jpeg: jpeg,
        lambda jpeg: jpeg + bytes(len(jpeg)),
        lambda jpeg: jpeg + random.Random(jpeg).randbytes(500),
        lambda jpeg: jpeg + b"\xff" * 9,
        lambda jpeg: jpeg[:-2],
        lambda jpeg: jpeg[:2] + b"\xff\xe1\x00\x04ab\xff\xe0\x00\x03a" + jpeg[2:],
        lambda jpeg: jpeg[:2] + b"\xff\xe1" + (len(jpeg) + 2).to_bytes(2, "big") + jpeg + jpeg[2:],
    ],
    ids=[
        "plain",
        "zeros behind",
        "noise behind",
        "filled",
        "never an end",
        "odd headers",
        "a small one within",
    ],
)
def test_no_camera_is_blamed_for_how_it_makes_its_jpegs(
    tmp_path: Path, jpegs: list[bytes], make: Callable[[bytes], bytes]
) -> None:
    assert look_at_jpegs(tmp_path / "stream", [make(one) for one in jpegs]) == (JPEGS, [])


def test_a_jpeg_is_cut_off_although_the_small_one_in_its_head_is_whole(jpegs: list[bytes]) -> None:
    whole = jpegs[0][:2] + b"\xff\xe1" + (len(jpegs[0]) + 2).to_bytes(2, "big") + jpegs[0] + jpegs[1][2:]
    assert not is_cut_off(whole)
    assert is_cut_off(whole[:-300])


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_what_is_lost_of_a_stream_is_counted_and_nothing_of_an_honest_one(tmp_path: Path, codec: str) -> None:
    whole = encode(tmp_path / "whole.ts", codec, "yuv420p", bf="0")
    data = whole.read_bytes()
    count, damaged = look(whole)
    assert (count, damaged) == (120, [])

    rests = data[188 * (len(data) // 564) :]  # whoever joins in the middle of a group waits for a key frame
    (tmp_path / "joined.ts").write_bytes(rests)
    count, damaged = look(tmp_path / "joined.ts")
    assert 30 < count < 120
    assert damaged == []

    lots = random.Random(1)
    datagrams = [data[place : place + 7 * 188] for place in range(0, len(data), 7 * 188)]
    kept = [one for number, one in enumerate(datagrams) if number < 2 or lots.random() > 0.03]
    (tmp_path / "lossy.ts").write_bytes(b"".join(kept))
    count, damaged = look(tmp_path / "lossy.ts")
    lost = len(datagrams) - len(kept)
    assert lost / 2 <= len(damaged) <= 3 * lost


class Flaky(NetworkCamera):
    """Cuts every fifth picture, where it is told to."""

    def __init__(self, picture: bytes) -> None:
        self.count = 0
        self.whole, self.cut = picture, cut(picture)
        super().__init__(picture)

    @property
    def picture(self) -> bytes:
        if self.behaviour != "flicker":
            return self.whole
        self.count += 1
        return self.cut if self.count % 5 == 0 else self.whole

    @picture.setter
    def picture(self, picture: bytes) -> None:
        self.whole = picture


def test_damaged_pictures_are_in_the_video_and_told_while_they_come_and_at_the_end(
    tmp_path: Path, network_camera: NetworkCamera
) -> None:
    flaky = Flaky(network_camera.picture)
    camera, session = build(network(flaky)), make_session(tmp_path)
    told: list[Finding] = []

    async def run() -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        await asyncio.sleep(0.3)
        told.extend(camera.findings())
        flaky.behaviour = "flicker"
        for _ in range(200):
            await asyncio.sleep(0.02)
            if len(camera.findings()) > len(told):
                break
        told.extend(camera.findings())
        await asyncio.sleep(0.3)
        assert [one.text for one in camera.findings()] == [one.text for one in told], "told once"
        flaky.behaviour = "show"
        await asyncio.sleep(0.1)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    flaky.close()
    [finding] = told
    assert replace(finding, text="", at=None) == Finding(level=Level.WARNING, kind="camera", text="")
    assert "gives damaged pictures: check its cable, its network and its power" in finding.text
    [last] = camera.findings()
    assert (last.level, last.kind) == (Level.NOTE, "camera"), "its files tell how many"
    assert finding.at is not None
    assert last.at == pytest.approx(finding.at, abs=1e-3)
    assert last.until is not None
    assert last.at < last.until
    [evidence] = [one.evidence for one in camera.files() if one.path.endswith(".mp4")]
    assert evidence is not None
    assert evidence.damaged == flaky.count // 5 >= 4
    assert (evidence.source, evidence.size) == ("left", (160, 120))
    assert (evidence.pixel_format, evidence.colour_range) == ("yuv420p", "full")
    assert len(decode(video(session))) == len(times(session)) == camera.health().frames
