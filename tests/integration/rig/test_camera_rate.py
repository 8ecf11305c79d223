"""The rate and the number of frames that readers tell of a recorded video."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from multirig.rig.adapters.camera.options import CameraOptions
from multirig.rig.adapters.camera.video import CLOCK_RATE, Video, choose_last_length


def record(path: Path, rate: float, count: int, *, jitter: float = 0.001, drift: float = 0.0) -> list[int]:
    """Record that many pictures; return their times, ns from the first."""
    frame = VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
    video = Video(path, frame, rate, CameraOptions(label="left", source="test"))
    lots = random.Random(1)
    period = 1e9 / rate * (1 + drift)
    times = [round(number * period + lots.uniform(0, jitter) * 1e9) for number in range(count)]
    for stamp in times:
        video.write(10**12 + stamp, frame)
    video.close()
    return [one - times[0] for one in times]


@pytest.mark.parametrize("drift", [-25e-6, 0.0, 25e-6])
@pytest.mark.parametrize("rate", [30.0, 30000 / 1001, 7.0, 25.0, 150.0, 0.15, 1.0])
def test_every_reader_tells_the_rate_that_the_camera_was_asked_for(
    tmp_path: Path, rate: float, drift: float
) -> None:
    times = record(tmp_path / "video.mp4", rate, 300, drift=drift)
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 300
        assert stream.average_rate is not None
        assert float(stream.average_rate) == pytest.approx(rate, rel=1e-6)
        assert int(stream.average_rate) == int(rate)
        shown = [frame.time for frame in container.decode(stream)]
    assert shown == pytest.approx([one / 1e9 for one in times], abs=2 / CLOCK_RATE)
    cv2 = pytest.importorskip("cv2", reason="there is no OpenCV on this PC")
    capture = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=1e-6)
    assert int(capture.get(cv2.CAP_PROP_FPS)) == int(rate)
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 300
    capture.release()


def test_a_frame_is_found_by_its_number_also_where_the_camera_is_slower_than_it_says(tmp_path: Path) -> None:
    """OpenCV, and so ibllib, seeks a frame by its number over the rate: 30 would be three frames off here."""
    record(tmp_path / "video.mp4", 30.0, 3000, drift=1e-3)
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        rate = stream.average_rate
        found = [round(float(packet.pts * stream.time_base * rate)) for packet in packets(stream)]
    assert found == list(range(3000))


def packets(stream: Any) -> list[Any]:
    """Return what a video is made of."""
    return [packet for packet in stream.container.demux(stream) if packet.pts is not None]


def test_a_rate_that_was_never_kept_is_not_told(tmp_path: Path) -> None:
    assert choose_last_length(301, 900_000, Fraction(25)) == 3000  # 30 a second came
    assert choose_last_length(301, 885_000, Fraction(30)) == 2950  # and here 30.5
    assert choose_last_length(301, 1_800_000, Fraction(30)) == 6000  # half of them are missing
    assert choose_last_length(1, 0, Fraction(30)) == 3000


def test_a_video_that_was_cut_off_by_a_kill_tells_its_frames_and_rate_too(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    program = f"""
        import os
        from pathlib import Path

        import numpy as np
        from av.video.frame import VideoFrame

        from multirig.rig.adapters.camera.options import CameraOptions
        from multirig.rig.adapters.camera.video import Video

        frame = VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
        video = Video(Path({str(path)!r}), frame, 30, CameraOptions(label="left", source="test"))
        for number in range(100):
            video.write(10**9 + number * 33_333_333, frame)
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        assert float(stream.average_rate) == pytest.approx(30, rel=1e-4)
        count = sum(1 for _ in container.decode(stream))
    assert count >= 99
    cv2 = pytest.importorskip("cv2", reason="there is no OpenCV on this PC")
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == count
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30, rel=1e-4)
    capture.release()
