"""Trains of sync pulses, made up: what is recorded of them is found again, or refused."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multirig.errors import MultirigError, SyncError
from multirig.sync import Alignment, align


def send(count: int, seed: int = 1, begin: float = 4000.0) -> list[float]:
    """Return pulses at random intervals with a mean of 5 s."""
    rng = random.Random(seed)
    times = [begin]
    for _ in range(count - 1):
        times.append(times[-1] + rng.uniform(2.5, 7.5))
    return times


class Recorder:
    """A device with a clock of its own, which misses some pulses and sees others that were not there."""

    def __init__(
        self,
        *,
        offset: float = 0.0,
        drift: float = 0.0,
        jitter: float = 0.0,
        missing: float = 0.0,
        extra: float = 0.0,
        seed: int = 2,
    ) -> None:
        self.offset, self.drift, self.jitter = offset, drift, jitter
        self.missing, self.extra = missing, extra
        self.rng = random.Random(seed)

    def clock(self, session: float) -> float:
        return session * (1 + self.drift * 1e-6) + self.offset

    def record(self, sent: list[float]) -> list[float]:
        seen = [time + self.rng.gauss(0, self.jitter) for time in sent if self.rng.random() >= self.missing]
        false = [self.rng.uniform(sent[0], sent[-1]) for _ in range(round(self.extra * len(sent)))]
        return sorted(self.clock(time) for time in [*seen, *false])


def worst_error(found: Alignment, recorder: Recorder, times: list[float]) -> float:
    back = found.to_session([recorder.clock(time) for time in times])
    return max(abs(one - time) for one, time in zip(back, times, strict=True))


def test_a_perfect_recording_on_another_clock_is_found_to_the_microsecond():
    sent = send(100)
    recorder = Recorder(offset=-3600.5, drift=80.0)
    found = align(recorder.record(sent), sent)
    assert found.pairs == tuple((place, place) for place in range(100))
    assert worst_error(found, recorder, sent) < 1e-6
    assert found.drift == pytest.approx(80.0, abs=0.01)
    assert found.offset == pytest.approx(sent[0] - recorder.clock(sent[0]), abs=1e-6)
    assert (found.missing, found.extra, found.is_trustworthy) == (0, 0, True)
    assert found.rms <= found.largest < 1e-6


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(60, 300),
    offset=st.floats(-40_000, 40_000),
    drift=st.floats(-200, 200),
    jitter=st.floats(0, 2e-3),
    missing=st.floats(0, 0.2),
    extra=st.floats(0, 0.2),
    late=st.floats(0, 0.3),
    early=st.floats(0, 0.3),
)
@example(120, 149, 0.0, 0.0, 0.0, 0.0, 0.1875, 0.25, 0.0625)
def test_a_bad_recording_is_placed_within_its_jitter(
    seed, count, offset, drift, jitter, missing, extra, late, early
):
    sent = send(count, seed)
    part = sent[int(count * late) : count - int(count * early)]
    recorder = Recorder(
        offset=offset, drift=drift, jitter=jitter, missing=missing, extra=extra, seed=seed + 1
    )
    found = align(recorder.record(part), sent)
    assert worst_error(found, recorder, part) < 2 * jitter + 1e-5
    assert found.is_trustworthy, found.reason
    assert {sent[pair.sent] for pair in found.pairs} <= {*part}


# Two trains that have nothing to do with each other, and of which five or six pulses fit.
FITTING_BY_CHANCE = [
    (20, 29, 7619),
    (27, 40, 1423),
    (21, 25, 2839),
    (39, 38, 6474),
    (39, 38, 17351),
    (40, 28, 20212),
    (28, 32, 35842),
]


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), count=st.integers(20, 200), other=st.integers(20, 200))
@example(20029, 24, 21)
def test_the_pulses_of_another_session_are_never_trusted(seed, count, other):
    try:
        found = align(send(count, seed), send(other, seed + 1))
    except SyncError:
        return
    assert not found.is_trustworthy


@pytest.mark.parametrize(
    ("count", "other", "seed"),
    [*FITTING_BY_CHANCE, *((20 + seed % 21, 20 + seed * 7 % 181, seed) for seed in range(100))],
)
def test_the_pulses_of_another_session_are_refused(count, other, seed):
    with pytest.raises(SyncError, match="fit"):
        align(send(count, seed), send(other, seed + 1))


def test_five_pulses_of_which_as_many_do_not_fit_are_refused():
    sent = send(50)
    recorded = [sent[place] + (1.2 if place in (22, 24, 26, 27, 28) else 0.0) for place in range(20, 30)]
    with pytest.raises(SyncError, match="only 5 of 10 recorded pulses fit"):
        align(recorded, sent)


def test_what_is_missing_and_what_is_too_many_is_counted():
    sent = send(60)
    recorded = sorted([*sent[:20], *sent[23:], sent[10] + 1.1, sent[40] + 0.9])
    found = align(recorded, sent)
    assert (len(found.pairs), found.missing, found.extra) == (57, 3, 2)
    assert {pair.sent for pair in found.pairs}.isdisjoint({20, 21, 22})


@pytest.mark.parametrize("beside", [-4e-3, -1e-4, 1e-4, 4e-3])
def test_a_false_pulse_beside_a_true_one_does_not_take_its_place(beside):
    sent = send(40)
    found = align(sorted([*sent, *(sent[place] + beside for place in (5, 20, 33))]), sent)
    assert (len(found.pairs), found.missing, found.extra) == (40, 0, 3)
    assert found.largest < 1e-6


@pytest.mark.parametrize("beside", [-4e-3, 4e-3])
def test_a_false_pulse_in_the_place_of_a_missing_one_does_not_bend_the_line(beside):
    sent = send(40)
    found = align([*sent[:20], sent[20] + beside, *sent[21:]], sent)
    assert (len(found.pairs), found.missing, found.extra) == (39, 1, 1)
    assert found.largest < 1e-6


def test_a_false_pulse_does_not_cost_the_true_ones_of_its_piece():
    sent = send(300)
    found = align([*sent[:20], sent[20] + 4e-3, *sent[21:]], sent)
    assert (len(found.pairs), found.missing, found.extra) == (299, 1, 1)


def test_pulses_before_and_after_the_recording_are_not_missing():
    sent = send(100)
    found = align([time - 9.0 for time in sent[30:70]], sent)
    assert (found.pairs[0], found.pairs[-1]) == ((0, 30), (39, 69))
    assert (found.missing, found.extra) == (0, 0)


def test_a_clock_that_changes_its_drift_is_followed():
    sent = send(1500)

    def warm(time: float) -> float:
        """A recorder that gets 8 ppm faster over the two hours."""
        return time + 8e-6 * (time - sent[0]) ** 2 / (sent[-1] - sent[0])

    found = align([warm(time) for time in sent], sent)
    assert len(found.pairs) == 1500
    assert found.largest < 0.5e-3


def test_a_recording_that_pauses_for_an_hour_is_taken_up_again():
    sent = send(1000)
    recorder = Recorder(offset=77.0, drift=120.0, jitter=1e-3)
    found = align(recorder.record([*sent[:100], *sent[820:]]), sent)
    assert len(found.pairs) > 270
    assert worst_error(found, recorder, [*sent[:100], *sent[820:]]) < 2e-3


@pytest.mark.parametrize("count", [5, 100])
def test_a_regular_train_is_refused_in_words(count):
    sent = [100.0 + 5.0 * number for number in range(count)]
    with pytest.raises(SyncError, match=r"every 5 s, so that any could be any: use random intervals"):
        align([time + 0.25 for time in sent], sent)


def test_a_train_that_repeats_itself_is_refused():
    gaps = [3.1, 6.2, 4.4, 5.7, 2.9]
    sent = [0.0]
    for number in range(100):
        sent.append(sent[-1] + gaps[number % 5])
    with pytest.raises(SyncError, match="fit in several ways"):
        align([time + 1e4 for time in sent[20:70]], sent)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_fewer_than_five_pulses_are_refused(count):
    with pytest.raises(SyncError, match=f"recorded: {count} pulses are too few: 5"):
        align(send(50)[:count], send(50))


def test_five_pulses_are_matched_and_not_yet_trusted():
    sent = send(50)
    found = align([time + 500.0 for time in sent[20:25]], sent)
    assert [pair.sent for pair in found.pairs] == [20, 21, 22, 23, 24]
    assert not found.is_trustworthy
    assert found.reason == "only 5 pulses fit: the drift is little more than a guess"


def test_a_line_full_of_noise_is_not_trusted():
    sent = send(200)
    recorder = Recorder(missing=0.5, extra=1.0, jitter=1e-3)
    found = align(recorder.record(sent), sent)
    assert not found.is_trustworthy
    assert "look at the line" in found.reason


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        ([1.0, 2.0, math.nan, 4.0, 5.0], "recorded: number 2 is nan"),
        ([1.0, 2.0, 2.0, 4.0, 5.0], "recorded: pulse 2 is not later than the one before it"),
        (["1.0"] * 5, "recorded: number 0 is '1.0'"),
    ],
)
def test_what_is_no_train_is_refused_with_its_place(recorded, words):
    with pytest.raises(MultirigError, match=words):
        align(recorded, send(20))


@pytest.mark.parametrize("jitter", [0.0, -1.0, math.inf, math.nan])
def test_a_jitter_that_cannot_be_is_refused(jitter):
    with pytest.raises(SyncError, match="jitter is"):
        align(send(20), send(20), jitter=jitter)


def test_an_array_gives_an_array():
    numpy = pytest.importorskip("numpy")
    sent = numpy.array(send(30))
    found = align(sent + 12.5, sent)
    back = found.to_session(sent + 12.5)
    assert isinstance(back, numpy.ndarray)
    assert numpy.allclose(back, sent, atol=1e-7)
