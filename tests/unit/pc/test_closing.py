"""A program that Windows tells to end is held open until it has ended by itself."""

from __future__ import annotations

import pytest

from multirig.pc.closing import CLOSE, LOG_OFF, SHUT_DOWN, WINDOWS_LIMIT, Closing


class Program:
    """Is told to end, and remembers it."""

    def __init__(self) -> None:
        self.times = 0

    def end(self) -> bool:
        self.times += 1
        return True


@pytest.mark.parametrize("event", [CLOSE, LOG_OFF, SHUT_DOWN])
def test_windows_is_held_off_for_as_long_as_it_can_be(event: int) -> None:
    program = Program()
    waited: list[float] = []
    closing = Closing(program.end)
    assert closing.hear(event, wait=waited.append)
    assert closing.has_begun
    assert program.times == 1
    assert waited[0] > WINDOWS_LIMIT


def test_a_program_that_is_told_twice_is_asked_once() -> None:
    program = Program()
    waited: list[float] = []
    closing = Closing(program.end)
    assert closing.hear(CLOSE, wait=waited.append)
    assert closing.hear(SHUT_DOWN, wait=waited.append)
    assert program.times == 1
    assert len(waited) == 2


@pytest.mark.parametrize("event", [0, 1, 3, 99])
def test_ctrl_c_and_ctrl_break_are_not_for_it(event: int) -> None:
    program = Program()
    waited: list[float] = []
    closing = Closing(program.end)
    assert not closing.hear(event, wait=waited.append)
    assert not closing.has_begun
    assert program.times == len(waited) == 0


def test_where_nobody_takes_the_word_windows_does_what_it_does() -> None:
    waited: list[float] = []
    closing = Closing(lambda: False)
    assert not closing.hear(CLOSE, wait=waited.append)
    assert not closing.has_begun
    assert waited == []
