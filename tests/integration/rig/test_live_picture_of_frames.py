from __future__ import annotations

import io

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from multirig.rig.adapters.camera.live import LivePicture, encode_small, fit


def decode(jpeg: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as container:
        [frame] = container.decode(video=0)
        return frame


def frame_of(width: int, height: int, noise: int = 0, level: int = 128, form: str = "rgb24") -> av.VideoFrame:
    pixels = np.full((height, width, 3), level, np.uint8)
    if noise:
        pixels = np.random.default_rng(1).integers(128 - noise, 128 + noise, pixels.shape, np.uint8)
    return av.VideoFrame.from_ndarray(pixels).reformat(format=form)


@pytest.mark.parametrize(
    ("source", "small"),
    [
        ((1280, 1024), (240, 192)),
        ((640, 480), (240, 180)),
        ((480, 640), (240, 320)),
        ((1080, 1920), (180, 320)),
        ((160, 120), (160, 120)),
        ((161, 121), (160, 120)),
        ((4000, 2), (240, 2)),
        ((2, 4000), (2, 320)),
    ],
)
def test_a_picture_keeps_its_shape_and_is_never_enlarged(
    source: tuple[int, int], small: tuple[int, int]
) -> None:
    assert fit(*source) == small


@pytest.mark.parametrize("form", ["rgb24", "yuv420p", "yuyv422", "gray", "nv12", "gray10le", "yuvj422p"])
def test_frames_of_any_kind_are_shown_as_bright_as_they_are(form: str) -> None:
    jpeg = encode_small(frame_of(640, 480, level=200, form=form), VideoReformatter())
    assert jpeg is not None
    shown = decode(jpeg)
    assert (shown.width, shown.height) == (240, 180)
    assert shown.to_ndarray(format="rgb24").mean() == pytest.approx(200, abs=4)


def test_a_picture_is_made_coarser_until_it_fits() -> None:
    calm, noisy = frame_of(640, 480, noise=20), frame_of(240, 180, noise=120)
    jpegs = [encode_small(frame, VideoReformatter(), 12_000) for frame in (calm, noisy)]
    assert all(jpeg is not None and len(jpeg) <= 12_000 for jpeg in jpegs)
    jpeg = encode_small(calm, VideoReformatter(), 3_000)
    assert jpeg is not None
    assert len(jpeg) <= 3_000
    assert decode(jpeg).width == 240


def test_a_picture_that_is_too_large_even_so_is_made_smaller_or_left_out() -> None:
    noisy = frame_of(240, 180, noise=120)
    jpeg = encode_small(noisy, VideoReformatter(), 3_000)
    assert jpeg is not None
    assert len(jpeg) <= 3_000
    assert decode(jpeg).width == 120
    assert encode_small(noisy, VideoReformatter(), 100) is None


def test_one_frame_is_encoded_once_however_often_it_is_asked_for() -> None:
    live = LivePicture("left")
    with live:
        assert live.take() is None
        live.show(1, frame_of(64, 48))
        first = live.take()
        assert first is not None
        assert (first.label, first.at) == ("left", 1)
        assert live.take() is first
        live.show(2, frame_of(64, 48))
        assert live.last is first
        second = live.take()
        assert second is not None
        assert second.at == 2


def test_nothing_is_held_of_a_source_that_is_closed() -> None:
    live = LivePicture("left")
    with live:
        live.show(1, frame_of(64, 48))
        live.take()
        assert live.can_be_seen
    live.show(2, frame_of(64, 48))
    assert not live.can_be_seen
    assert live.last is live.take() is None
