"""A program that Windows tells to end is held open until it has ended by itself."""

from __future__ import annotations

import pytest

from multirig.pc.closing import CLOSE, LOG_OFF, SHUT_DOWN, WINDOWS_LIMIT, Closing


@pytest.mark.parametrize("event", [CLOSE, LOG_OFF, SHUT_DOWN])
def test_windows_is_held_off_for_as_long_as_it_can_be(event: int) -> None:
    told: list[int] = []
    waited: list[float] = []
    closing = Closing(lambda: told.append(event) is None)
    assert closing.hear(event, wait=waited.append)
    assert closing.has_begun
    assert told == [event]
    assert waited[0] > WINDOWS_LIMIT


def test_a_program_that_is_told_twice_is_asked_once() -> None:
    told: list[str] = []
    waited: list[float] = []
    closing = Closing(lambda: told.append("end") is None)
    assert closing.hear(CLOSE, wait=waited.append)
    assert closing.hear(SHUT_DOWN, wait=waited.append)
    assert told == ["end"]
    assert len(waited) == 2


@pytest.mark.parametrize("event", [0, 1, 3, 99])
def test_ctrl_c_and_ctrl_break_are_not_for_it(event: int) -> None:
    told: list[str] = []
    waited: list[float] = []
    closing = Closing(lambda: told.append("end") is None)
    assert not closing.hear(event, wait=waited.append)
    assert not closing.has_begun
    assert told == waited == []


def test_where_nobody_takes_the_word_windows_does_what_it_does() -> None:
    waited: list[float] = []
    closing = Closing(lambda: False)
    assert not closing.hear(CLOSE, wait=waited.append)
    assert not closing.has_begun
    assert waited == []
