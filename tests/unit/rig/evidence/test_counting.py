"""How fast frames come that are counted: made-up counts."""

from __future__ import annotations

import pytest

from multirig.protocol.events import SECOND
from multirig.rig.evidence.counting import Counting


def count(rate: float, *, every: float = 1.0, seconds: float = 16.0, hole: float = 0.0) -> Counting:
    """Look twice a second at what a program reports now and then."""
    counting = Counting()
    for look in range(int(seconds * 2)):
        reported = look / 2 // every * every
        frames = int(rate * (min(reported, 5.0) + max(0.0, reported - 5.0 - hole)))
        counting.look(frames, look * SECOND // 2)
    return counting


def test_what_comes_at_the_rate_that_is_expected_is_right() -> None:
    for rate in (29.5, 30, 30.5):
        for every in (0.5, 1, 3):
            assert count(rate, every=every).find_wrong_rate(30) is None


def test_a_third_of_the_frames_is_told() -> None:
    assert count(10).find_wrong_rate(30) == pytest.approx(10, rel=0.1)


def test_a_hole_in_the_middle_is_told() -> None:
    assert count(30, hole=5).find_wrong_rate(30) == pytest.approx(20, rel=0.1)


def test_of_nothing_and_of_a_moment_nothing_is_known() -> None:
    assert Counting().find_wrong_rate(30) is None
    assert count(10, seconds=2).find_wrong_rate(30) is None
