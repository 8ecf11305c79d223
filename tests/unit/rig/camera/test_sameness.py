"""Cameras that show one picture for long, or change its size: made-up pictures."""

from __future__ import annotations

import time
from itertools import chain, repeat

import numpy as np
from av.video.frame import VideoFrame

from multirig.rig.adapters.camera.options import NANOSECONDS
from multirig.rig.adapters.camera.sameness import Resized, Sameness

RATE = 20


def picture(number: int, size: tuple[int, int] = (160, 120)) -> VideoFrame:
    values = np.random.default_rng(number).integers(100, 103, (size[1] * 3 // 2, size[0]), dtype=np.uint8)
    return VideoFrame.from_ndarray(values, format="yuv420p")


def look(*pictures: VideoFrame, rate: float = RATE) -> Sameness:
    sameness = Sameness()
    for number, one in enumerate(pictures):
        sameness.look(one, int(number / rate * NANOSECONDS))
    return sameness


def test_noise_is_enough_to_be_another_picture() -> None:
    found = look(*map(picture, range(100)))
    assert (found.longest, found.resized) == (None, None)


def test_a_picture_that_stands_still_is_told_with_its_time() -> None:
    found = look(*chain(map(picture, range(50)), repeat(picture(1), 100), map(picture, range(50)))).longest
    assert found is not None
    assert found.is_long
    assert abs(found.began / NANOSECONDS - 2.5) <= 0.3
    assert abs(found.ended / NANOSECONDS - 7.5) <= 0.3


def test_a_picture_that_stands_still_for_a_second_is_nothing() -> None:
    found = look(*chain(map(picture, range(50)), repeat(picture(1), 20), map(picture, range(50)))).longest
    assert found is not None
    assert not found.is_long


def test_a_few_pictures_of_a_slow_camera_may_be_the_same() -> None:
    found = look(*[picture(1)] * 8, rate=1).longest
    assert found is not None
    assert not found.is_long


def test_another_size_is_told_with_its_time_and_number() -> None:
    found = look(*map(picture, range(80)), *(picture(number, (320, 240)) for number in range(20))).resized
    assert found == Resized(before=(160, 120), after=(320, 240), at=4 * NANOSECONDS, frames=20)


def test_a_look_at_a_large_picture_costs_next_to_nothing() -> None:
    large = picture(1, (1920, 1080))
    begin = time.process_time()
    look(*[large] * 2000, rate=100)
    assert time.process_time() - begin < 0.5
