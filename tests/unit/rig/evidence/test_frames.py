"""What the times of frames tell of them: made-up streams of known truth."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.protocol.words import Evidence
from multirig.rig.evidence.frames import HOLES, MARKS, FrameStatistics

SECOND = 1_000_000_000


def collect(seconds: Iterable[float]) -> FrameStatistics:
    statistics = FrameStatistics()
    statistics.extend(round(one * SECOND) for one in seconds)
    return statistics


def stream(rate: float, length: float, *, jitter: float = 0.0, seed: int = 1) -> list[float]:
    """Return the times of a camera that gives all its frames, each off by up to so much of a period."""
    rng = random.Random(seed)
    return sorted((n + rng.uniform(-jitter, jitter) / 2) / rate + 100 for n in range(round(rate * length)))


def hold_up(times: list[float], begin: float, end: float) -> list[float]:
    """Return the times of arrival when what was taken within that time came at its end, in a burst."""
    held = 0
    arrived = []
    for time in times:
        if begin <= time < end:
            held += 1
            arrived.append(end + held * 0.0003)
        else:
            arrived.append(max(time, end + held * 0.0003 + 0.0001) if time >= end else time)
    return arrived


def test_the_ends_are_known_and_frames_are_counted() -> None:
    statistics = collect([5.0, 5.5, 6.0])
    assert (statistics.count, statistics.first, statistics.last) == (3, 5 * SECOND, 6 * SECOND)


@pytest.mark.parametrize("times", [[], [5.0]])
def test_nothing_is_said_of_too_few_frames(times: list[float]) -> None:
    assert collect(times).conclude() == Evidence(backwards=0)


def test_two_frames_have_a_gap_and_no_rate() -> None:
    assert collect([5.0, 7.0]).conclude() == Evidence(backwards=0, longest_gap=2.0, gap_at=5.0)


@given(
    rate=st.floats(0.15, 1000),
    frames=st.integers(3, 1000),
    jitter=st.floats(0, 0.4),
    seed=st.integers(0, 1 << 30),
)
def test_an_honest_camera_has_its_rate_and_misses_nothing(
    rate: float, frames: int, jitter: float, seed: int
) -> None:
    statistics = collect(stream(rate, frames / rate, jitter=jitter, seed=seed))
    found = statistics.conclude(asked=rate)
    assert found.rate == pytest.approx(rate, rel=max(0.01, min(0.45, 8 * jitter / frames)))
    assert (found.missing, found.backwards, found.bursts) == (0, 0, 0)
    assert found.longest_gap == pytest.approx(1 / rate, rel=0.45)


@given(rate=st.floats(5, 100), at=st.floats(1.5, 6), hole=st.floats(1.5, 8), seed=st.integers(0, 1 << 30))
def test_a_hole_is_found_with_its_place_its_length_and_what_is_missing(
    rate: float, at: float, hole: float, seed: int
) -> None:
    sent = stream(rate, 20, jitter=0.2, seed=seed)
    times = [time for time in sent if not 100 + at <= time < 100 + at + hole]
    lost = len(sent) - len(times)
    found = collect(times).conclude()
    assert found.rate == pytest.approx(rate, rel=0.05)
    assert found.longest_gap == pytest.approx(hole, abs=2.5 / rate)
    assert found.gap_at == pytest.approx(100 + at, abs=1.2 / rate)
    assert found.missing == pytest.approx(lost, abs=2 + 0.02 * lost)


def test_a_hiccup_is_a_burst_and_loses_nothing() -> None:
    times = hold_up(stream(30, 10), 103.0, 104.5)
    found = collect(times).conclude()
    assert found.missing == 0
    assert found.bursts == 45
    assert found.bound == pytest.approx(1.47, abs=0.05)
    assert found.rate == pytest.approx(30, rel=0.02)


@pytest.mark.parametrize("jitter", [0.0, 0.3])
@pytest.mark.parametrize(("begin", "length"), [(0.5, 2.5), (0.6, 2.5), (1.5, 2.5), (0.3, 2.2), (2.4, 2.5)])
@pytest.mark.parametrize("asked", [30.0, None])
def test_a_hiccup_of_half_the_recording_moves_no_rate(
    begin: float, length: float, jitter: float, asked: float | None
) -> None:
    times = hold_up(stream(30, 5, jitter=jitter), 100 + begin, 100 + begin + length)
    found = collect(times).conclude(asked=asked)
    assert found.rate == pytest.approx(30, rel=0.06)
    assert found.missing == 0
    assert found.bound == pytest.approx(length, abs=0.3)


def test_a_hiccup_just_before_the_end_loses_nothing_either() -> None:
    times = hold_up(stream(30, 10), 108.2, 109.7)
    found = collect([time for time in times if time < 109.9]).conclude()
    assert found.missing == 0


def test_a_hole_is_told_rather_than_a_longer_hiccup() -> None:
    times = hold_up(stream(30, 20), 103.0, 106.0)
    found = collect([time for time in times if not 112 <= time < 114]).conclude()
    assert (found.longest_gap, found.gap_at) == (pytest.approx(2, abs=0.1), pytest.approx(112, abs=0.1))
    assert found.missing == pytest.approx(60, abs=2)


def test_a_camera_that_slows_down_at_the_end_is_told_by_the_rate_in_the_middle() -> None:
    times = [*stream(30, 20), *(120 + n / 10 for n in range(50))]
    assert collect(times).rate == pytest.approx(30, rel=0.02)


def test_times_that_do_not_rise_are_counted_once_each() -> None:
    times = [*stream(30, 2), *(time + 1.5 for time in stream(30, 2))]
    times[10] = times[9]
    assert collect(times).conclude().backwards == 2


def test_a_steady_source_with_a_hole_is_steady_and_events_are_not() -> None:
    rng = random.Random(4)
    assert collect([time for time in stream(100, 20, jitter=0.2) if not 105 < time < 109]).is_steady
    assert not collect(sorted(rng.uniform(0, 100) for _ in range(3000))).is_steady


def test_times_are_told_on_the_session_clock() -> None:
    found = FrameStatistics()
    found.extend([0, SECOND, 4 * SECOND])
    assert found.conclude(lambda stamp: stamp + 10 * SECOND).gap_at == 11


def test_hours_of_frames_need_no_more_memory() -> None:
    statistics = collect(stream(1000, 60, jitter=0.4))
    assert len(statistics._marks) <= 2 * MARKS
    assert len(statistics._holes) <= HOLES
    assert len(statistics._open) <= HOLES
    assert statistics.rate == pytest.approx(1000, rel=0.001)
