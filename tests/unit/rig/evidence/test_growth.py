"""How files grow while a rig records: made-up sizes."""

from __future__ import annotations

from multirig.protocol.events import SECOND
from multirig.rig.evidence.growth import Grown, Growth

HALF = SECOND // 2


def grow(
    growth: Growth, path: str, begin: float, end: float, *, every: float = 0.5, until: float = 20
) -> int:
    """Let a file grow from one time to another, looked at four times a second; return its size at the end."""
    size = 0
    for look in range(int(until * 4) + 1):
        now = look / 4
        if begin <= now <= end:
            size = 1000 * (1 + int((now - begin) / every))
        if now >= begin:
            growth.look({path: size}, round(now * SECOND))
    return size


def test_what_grew_to_the_stop_did() -> None:
    growth = Growth()
    size = grow(growth, "a.avi", 0, 20)
    assert growth.judge("a.avi", size, 20 * SECOND) == Grown(growing=True, grew_at=20 * SECOND)


def test_what_grew_steadily_and_then_no_more_did_not_though_it_was_closed_with_a_few_bytes() -> None:
    growth = Growth()
    size = grow(growth, "a.avi", 0, 12)
    assert growth.judge("a.avi", size + 400, 20 * SECOND) == Grown(growing=False, grew_at=12 * SECOND)


def test_what_is_written_in_large_pieces_may_pause_as_long_again() -> None:
    growth = Growth()
    size = grow(growth, "a.bin", 0, 16, every=4)
    assert growth.judge("a.bin", size, 20 * SECOND).growing is True


def test_what_grew_evenly_for_two_seconds_and_then_no_more_did_not() -> None:
    growth = Growth()
    size = grow(growth, "a.bin", 0, 2, every=0.05, until=6)
    assert growth.judge("a.bin", size, 6 * SECOND) == Grown(growing=False, grew_at=2 * SECOND)


def test_even_growth_is_known_though_looks_are_late_and_the_first_piece_and_the_last_are_small() -> None:
    growth = Growth()
    for now, size in ((0, 10), (250, 70), (500, 570), (900, 1270), (1150, 1870), (1700, 2770), (2100, 2800)):
        growth.look({"a.bin": size}, now * SECOND // 1000)
    assert growth.judge("a.bin", 2800, 6 * SECOND).growing is False


def test_of_a_file_that_grew_seldom_nothing_is_known() -> None:
    growth = Growth()
    size = grow(growth, "a.bin", 0, 1)
    assert growth.judge("a.bin", size, 20 * SECOND) == Grown(grew_at=SECOND)


def test_of_a_file_that_grew_unevenly_and_not_for_long_nothing_is_known() -> None:
    """Events have no end to be waited for: a burst of them at the beginning is no fault."""
    growth = Growth()
    for look, size in enumerate((10, 20, 20, 80, 90, 90, 90, 100, 160, 170, 200, 210, 210, 260)):
        growth.look({"events.bin": size}, look * SECOND // 4)
    assert growth.judge("events.bin", 260, 20 * SECOND) == Grown(grew_at=13 * SECOND // 4)


def test_a_file_that_another_one_followed_need_not_grow_on() -> None:
    growth = Growth()
    size = grow(growth, "v/0.avi", 0, 10)
    growth.look({"v/1.avi": 10}, 10 * SECOND + HALF)
    growth.look({"elsewhere/1.bin": 10}, 10 * SECOND + HALF)
    assert growth.judge("v/0.avi", size, 20 * SECOND) == Grown(grew_at=10 * SECOND)


def test_a_table_that_is_written_at_the_end_is_proved_and_a_video_is_not() -> None:
    assert Growth().judge("trials.npy", 5000, 20 * SECOND).growing is True
    assert Growth().judge("right.avi", 5000, 20 * SECOND) == Grown()
    assert Growth().judge("trials.npy", 0, 20 * SECOND) == Grown()


def test_what_was_there_from_the_beginning_and_never_grew_proves_nothing() -> None:
    growth = Growth()
    growth.look({"gains.bin": 300}, 0)
    assert growth.judge("gains.bin", 300, 20 * SECOND) == Grown()


def test_a_file_that_is_cut_off_has_not_grown_by_that() -> None:
    growth = Growth()
    growth.look({"a.bin": 300}, 0)
    growth.look({"a.bin": 100}, SECOND)
    assert growth.judge("a.bin", 100, 20 * SECOND) == Grown()


def write(growth: Growth, times: list[tuple[float, float]], *, until: float, rate: float = 1e6) -> int:
    """Let a file grow steadily in some stretches of time, looked at four times a second; return its size."""
    size = 0.0
    for look in range(int(until * 4) + 1):
        now = look / 4
        size = sum(max(0.0, min(now, end) - begin) for begin, end in times) * rate
        growth.look({"v.avi": int(size)}, round(now * SECOND))
    return int(size)


def test_a_break_does_not_hide_a_later_end() -> None:
    growth = Growth()
    size = write(growth, [(0, 2), (4.2, 8)], until=16)
    assert growth.judge("v.avi", size, 16 * SECOND) == Grown(growing=False, grew_at=8 * SECOND)


def test_a_break_is_told_with_its_length_though_there_are_two() -> None:
    growth = Growth()
    write(growth, [(0, 3), (6.5, 10), (14, 20)], until=20)
    first, second = growth.find_breaks("v.avi")
    assert (first.begin, second.begin) == (3 * SECOND, 10 * SECOND)
    assert 3.2 * SECOND <= first.length <= 3.8 * SECOND
    assert first.is_grave


def test_what_a_buffer_held_meanwhile_is_no_break() -> None:
    growth = Growth()
    for look in range(80):
        now = look / 4
        growth.look({"v.avi": int(1e6 * (4.0 if 4 <= now < 8 else now))}, round(now * SECOND))
    assert growth.find_breaks("v.avi") == []


def test_trials_with_pauses_between_them_are_no_breaks_and_no_end() -> None:
    growth = Growth()
    size = write(growth, [(begin, begin + 5) for begin in range(0, 60, 10)], until=59)
    assert growth.find_breaks("v.avi") == []
    assert growth.judge("v.avi", size, 59 * SECOND).growing is True


def test_large_pieces_are_no_breaks() -> None:
    growth = Growth()
    grow(growth, "a.bin", 0, 100, every=4, until=100)
    assert growth.find_breaks("a.bin") == []


def test_a_break_of_a_small_list_is_no_grave_one() -> None:
    growth = Growth()
    write(growth, [(0, 10), (20, 30)], until=30, rate=500)
    assert [one.is_grave for one in growth.find_breaks("v.avi")] == [False]


def test_a_break_that_somebody_expects_is_none() -> None:
    growth = Growth()
    size = write(growth, [(0, 3), (6.5, 12)], until=20)
    assert growth.find_breaks("v.avi", fair_pause=5 * SECOND) == []
    assert growth.judge("v.avi", size, 20 * SECOND, fair_pause=10 * SECOND).growing is True


def test_where_nobody_looked_nothing_stood_still() -> None:
    growth = Growth()
    for look in [*range(0, 40), *range(60, 80)]:
        growth.look({"v.avi": look * 1000 if look < 40 else 40_000 + look}, look * SECOND // 4)
    assert growth.find_breaks("v.avi") == []
