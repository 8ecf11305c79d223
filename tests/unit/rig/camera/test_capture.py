"""A source that went away is opened again often enough, and not too often."""

from __future__ import annotations

from itertools import accumulate, takewhile

import pytest

from multirig.rig.adapters.camera.capture import FIRST_WAIT, LONGEST_WAIT, find_wait


def tries_within(seconds: float) -> list[float]:
    """Return when a source that is never there is opened again, if that takes no time."""
    moments = accumulate(range(10_000), lambda away, _: away + find_wait(away), initial=FIRST_WAIT)
    return list(takewhile(lambda at: at < seconds, moments))


@pytest.mark.parametrize("away", [0.0, 0.3, 1.0, 2.0, 3.7, 10.0, 19.0])
def test_a_camera_comes_back_at_most_a_quarter_later_than_it_could(away: float) -> None:
    back = next(at for at in tries_within(60) if at >= away)
    assert back <= 1.25 * away + FIRST_WAIT


def test_a_camera_that_stays_away_is_tried_every_few_seconds() -> None:
    assert find_wait(3600) == LONGEST_WAIT
    assert len(tries_within(60)) < 40
