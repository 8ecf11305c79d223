"""When a program that has ended is started again."""

from __future__ import annotations

import pytest

from multirig.install.restarts import PAUSES, STEADY, Next, Restarts


@pytest.mark.parametrize("code", [0, 130, 143, -2, -15, 0xC000013A])
def test_an_end_that_somebody_wanted_is_one(code: int) -> None:
    assert Restarts().judge(code, 1.0) is Next.DONE


def test_a_wrong_config_is_not_tried_for_ever() -> None:
    assert Restarts().judge(2, 1.0) is Next.GIVEN_UP


@pytest.mark.parametrize("code", [1, -9, -11, 0xC0000005, 3])
def test_a_crash_is_no_end(code: int) -> None:
    assert Restarts().judge(code, 1.0) is Next.AGAIN


def test_crashes_in_a_row_wait_longer_and_longer_and_one_after_a_long_run_does_not() -> None:
    restarts = Restarts()
    pauses = []
    for _ in range(len(PAUSES) + 2):
        assert restarts.judge(1, 1.0) is Next.AGAIN
        pauses.append(restarts.pause)
    assert pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    restarts.judge(1, STEADY + 1)
    assert restarts.pause == PAUSES[0]
