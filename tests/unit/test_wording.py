"""Figures as people read them."""

from __future__ import annotations

import pytest

from multirig import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4, "4 s"), (99, "99 s"), (100, "2 min"), (7200, "120 min"), (3 * 3600, "3 h"), (72 * 3600, "3 days")],
)
def test_a_stretch_of_time_to_plan_with_is_whole(seconds: float, text: str) -> None:
    assert wording.about(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00005, "50 µs"), (0.25, "250 ms"), (2.5, "2.50 s"), (61, "1 min 01 s")],
)
def test_how_long_something_took_fits_its_size(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_short_time_has_the_digits_that_count_or_those_that_are_asked_for() -> None:
    assert [wording.span(one) for one in (0.00002, 0.002, -1.5)] == ["0.020 ms", "2.00 ms", "-1.50 s"]
    assert [wording.span(one, digits=1) for one in (0.07, 2.24)] == ["70.0 ms", "2.2 s"]


def test_a_time_that_is_not_known_is_nothing() -> None:
    assert (wording.since(None), wording.since(2), wording.since(0.5, digits=3)) == ("", "+2.0 s", "+0.500 s")
    assert (wording.time_of_day(None), wording.time_of_day("2026-01-31T12:01:03+00:00")) == ("?", "12:01:03")


def test_what_is_fresh_does_not_flicker() -> None:
    assert [wording.ago(one) for one in (2.9, 12)] == ["now", "12 s ago"]
    assert wording.ago(2, is_fresh=False) == "2 s ago"


def test_a_clock_is_told_at_a_glance_and_with_all_its_digits() -> None:
    assert wording.clock_offset(0.001234, 0.000012) == "+1.23 ms ± 12 µs"
    assert (wording.clock_offset(0.0, None), wording.clock_offset(7200, None)) == ("0 µs", "+2.0 h")
    assert (wording.ahead(-0.002), wording.ahead(3.0)) == ("2.0000 ms behind", "3.000000 s ahead")


def test_counts_and_sizes_and_lists_are_short() -> None:
    assert [wording.count(one, "rig") for one in (1, 2)] == ["1 rig", "2 rigs"]
    assert [wording.size(one) for one in (9, 2_500, 3e12)] == ["9 B", "2.5 kB", "3.0 TB"]
    assert wording.listed("abcde") == "a, b, c and 2 more"
    assert (wording.listed("ab"), wording.listed("a"), wording.listed("")) == ("a and b", "a", "")
    assert wording.stopwatch(4051) == "1:07:31"
