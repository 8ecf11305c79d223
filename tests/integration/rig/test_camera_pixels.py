"""What is read from a recorded video, by the programs that labs read with, against what the camera gave."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from multirig.rig.adapters.camera.options import CameraOptions
from multirig.rig.adapters.camera.pixels import FULL, LIMITED, UNKNOWN
from multirig.rig.adapters.camera.video import Video

WIDTH, HEIGHT = 256, 64
GREYS = np.arange(WIDTH)


def make_frame(form: str, colour_range: int = UNKNOWN, size: tuple[int, int] = (WIDTH, HEIGHT)) -> VideoFrame:
    """Return a picture of noise; of a grey format a ramp."""
    frame = VideoFrame(*size, form)
    noise = np.random.default_rng(1)
    depth = frame.format.components[0].bits
    for plane in frame.planes:
        if depth > 8:
            values = noise.integers(0, 1 << depth, plane.buffer_size // 2).astype("<u2")
        else:
            values = noise.integers(0, 256, plane.buffer_size).astype(np.uint8)
        plane.update(values.tobytes())
    if form.startswith("gray"):
        ramp = (GREYS * ((1 << depth) - 1) // 255).astype("<u2" if depth > 8 else np.uint8)
        rows = np.zeros((size[1], frame.planes[0].line_size // ramp.itemsize), ramp.dtype)
        rows[:, : size[0]] = ramp[: size[0]]
        frame.planes[0].update(rows.tobytes())
    frame.color_range = colour_range
    return frame


def record(path: Path, frame: VideoFrame, **options: Any) -> Video:
    video = Video(path, frame, 30, CameraOptions(label="left", source="test", **{"crf": 0, **options}))
    for number in range(3):
        video.write(10**9 + number * 33_333_333, frame)
    video.close()
    return video


def values(frame: VideoFrame, number: int) -> np.ndarray:
    """Return the samples of a plane, without what pads its lines."""
    plane, component = frame.planes[number], frame.format.components[number]
    kind = "<u2" if component.bits > 8 else np.uint8
    return np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)[:, : component.width]


def decode(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def read_by_pyav(path: Path) -> np.ndarray:
    return np.asarray(decode(path).to_ndarray(format="bgr24"))


def read_by_ffmpeg(path: Path) -> np.ndarray:
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg on this PC")
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"],
        capture_output=True,
        check=True,
    )
    height, width = read_by_pyav(path).shape[:2]
    return np.frombuffer(done.stdout, np.uint8).reshape(height, width, 3)


def read_by_opencv(path: Path) -> np.ndarray:
    cv2 = pytest.importorskip("cv2", reason="there is no OpenCV on this PC")
    capture = cv2.VideoCapture(str(path))
    is_read, picture = capture.read()
    capture.release()
    assert is_read
    return np.asarray(picture)


READERS = [read_by_pyav, read_by_ffmpeg, read_by_opencv]


@pytest.mark.parametrize(
    ("form", "colour_range", "kept"),
    [
        ("yuvj420p", FULL, "yuv420p"),
        ("yuv420p", UNKNOWN, "yuv420p"),
        ("yuv420p", LIMITED, "yuv420p"),
        ("yuv420p", FULL, "yuv420p"),
        ("yuv422p", UNKNOWN, "yuv422p"),
        ("yuvj422p", FULL, "yuv422p"),
        ("yuv444p", LIMITED, "yuv444p"),
        ("yuv444p", FULL, "yuv444p"),
        ("yuv420p10le", LIMITED, "yuv420p10le"),
        ("yuv420p10le", FULL, "yuv420p10le"),
        ("yuv422p10le", UNKNOWN, "yuv422p10le"),
    ],
)
def test_a_lossless_video_holds_every_value_of_every_plane(
    tmp_path: Path, form: str, colour_range: int, kept: str
) -> None:
    frame = make_frame(form, colour_range)
    video = record(tmp_path / "video.mp4", frame)
    found = decode(video.path)
    assert video.pixels.name == kept
    assert found.format.name.replace("yuvj", "yuv") == kept
    assert found.color_range == colour_range
    for number in range(3):
        assert np.array_equal(values(found, number), values(frame, number))


@pytest.mark.parametrize("form", ["yuyv422", "uyvy422", "nv12"])
def test_what_is_only_laid_out_otherwise_in_a_lossless_video_comes_back_as_it_was(
    tmp_path: Path, form: str
) -> None:
    frame = make_frame(form)
    found = decode(record(tmp_path / "video.mp4", frame).path).reformat(format=form)
    assert [bytes(plane) for plane in found.planes] == [bytes(plane) for plane in frame.planes]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("form", ["rgb24", "bgr24", "bayer_rggb8"])
def test_a_lossless_video_of_a_camera_that_gives_rgb_is_rgb(
    tmp_path: Path, form: str, read: Callable[[Path], np.ndarray]
) -> None:
    frame = make_frame(form)
    video = record(tmp_path / "video.mp4", frame)
    assert video.pixels.name == "gbrp"
    # of a chip with one colour for each pixel FFmpeg makes up the others, and that is what is kept
    assert np.array_equal(read(video.path), frame.reformat(format="rgb24").to_ndarray()[:, :, ::-1])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("crf", [0, 18])
@pytest.mark.parametrize(
    "form", ["gray", "gray10le", "gray12le", "gray16le", "rgb24", "yuvj420p", "yuyv422", "yuvj422p", "tagged"]
)
def test_every_grey_is_read_as_the_camera_gave_it(
    tmp_path: Path, form: str, crf: int, read: Callable[[Path], np.ndarray]
) -> None:
    ramp = np.tile(GREYS.astype(np.uint8), (HEIGHT, 1))
    if form.startswith("gray"):
        frame = make_frame(form)
    elif form == "rgb24":
        frame = VideoFrame.from_ndarray(np.repeat(ramp[:, :, None], 3, 2), format=form)
    elif form in ("yuyv422", "tagged"):
        frame = VideoFrame.from_ndarray(np.stack([ramp, np.full_like(ramp, 128)], -1), format="yuyv422")
        frame.color_range = FULL if form == "tagged" else UNKNOWN
    elif form == "yuvj422p":
        frame = make_frame(form, FULL)
        frame.planes[0].update(ramp.tobytes())
        for plane in frame.planes[1:]:
            plane.update(b"\x80" * plane.buffer_size)
    else:
        colours = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        frame = VideoFrame.from_ndarray(np.concatenate([ramp, colours]), format=form)
    video = record(tmp_path / "video.mp4", frame, crf=crf, colour_range="full")
    if read is read_by_pyav and video.pixels.name.endswith("10le") and av.__version__ < "18":
        pytest.skip("this PyAV does not mind the range of 10 bits")
    assert np.abs(read(video.path).astype(int) - GREYS[:, None]).max() <= 3 - (crf == 0)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("colour_range", [UNKNOWN, LIMITED, FULL])
def test_colours_are_read_from_the_video_as_they_are_from_the_source(
    tmp_path: Path, colour_range: int, read: Callable[[Path], np.ndarray]
) -> None:
    # SMPTE's colour bars in the camera's own range
    bars = av.open("smptebars=size=256x64", format="lavfi")
    form = "yuvj420p" if colour_range == FULL else "yuv420p"
    frame = next(bars.decode(video=0)).reformat(format=form)
    frame.color_range = colour_range
    wanted = frame.to_ndarray(format="bgr24").astype(int)
    video = record(tmp_path / "video.mp4", frame, crf=12)
    assert np.abs(read(video.path) - wanted).mean() < 2
    bars.close()


@pytest.mark.parametrize(("form", "bits"), [("gray10le", 0), ("gray12le", 2), ("gray16le", 6), ("gray", 0)])
def test_values_of_more_than_ten_bits_lose_their_lowest_and_that_is_known(
    tmp_path: Path, form: str, bits: int
) -> None:
    frame = make_frame(form)
    video = record(tmp_path / "video.mp4", frame)
    assert video.pixels.bits_lost == bits
    lost = values(decode(video.path), 0) - values(frame, 0) / (1 << bits)
    assert np.abs(lost).max() < (2.5 if bits else 0.5)  # FFmpeg dithers what it rounds


@pytest.mark.parametrize(
    ("size", "kept"),
    [((63, 62), "yuv444p"), ((62, 63), "yuv422p"), ((63, 61), "yuv444p"), ((62, 62), "yuv420p")],
)
def test_a_video_has_the_size_of_its_source_odd_as_it_may_be(
    tmp_path: Path, size: tuple[int, int], kept: str
) -> None:
    frame = make_frame("gray", size=size)
    video = record(tmp_path / "video.mp4", frame, crf=18)
    found = decode(video.path)
    assert (found.width, found.height) == video.pixels.size == size
    assert video.pixels.name == found.format.name.replace("yuvj", "yuv") == kept
    assert np.abs(values(found, 0).astype(int) - values(frame, 0)).max() <= 3


@pytest.mark.parametrize("form", ["yuv422p", "yuyv422", "yuv444p", "rgb24", "nv12", "gray"])
def test_a_video_that_is_not_lossless_is_one_that_every_player_shows(tmp_path: Path, form: str) -> None:
    video = record(tmp_path / "video.mp4", make_frame(form), crf=23)
    assert video.pixels.name == decode(video.path).format.name.replace("yuvj", "yuv") == "yuv420p"


def test_the_matrix_and_the_primaries_of_a_source_are_those_of_the_video(tmp_path: Path) -> None:
    frame = make_frame("yuv420p", LIMITED)
    if not hasattr(frame, "color_primaries"):
        pytest.skip("this PyAV does not tell them")
    frame.colorspace, frame.color_primaries, frame.color_trc = 9, 9, 14  # BT.2020, of 10 bits
    found = decode(record(tmp_path / "video.mp4", frame).path)
    assert (found.colorspace, found.color_primaries, found.color_trc) == (9, 9, 14)


def test_a_source_that_changes_its_format_goes_on_with_the_values_that_it_gives(tmp_path: Path) -> None:
    frames = [make_frame("yuvj420p", FULL), make_frame("yuv420p", FULL), make_frame("gray")]
    video = Video(tmp_path / "video.mp4", frames[0], 30, CameraOptions(label="left", source="test", crf=0))
    for number, frame in enumerate(frames):
        video.write(10**9 + number * 33_333_333, frame)
    video.close()
    with av.open(str(video.path)) as container:
        for found, frame in zip(container.decode(video=0), frames, strict=True):
            assert np.array_equal(values(found, 0), values(frame, 0))
