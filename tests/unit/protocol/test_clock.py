"""The true offset is within its bound, whatever the network and the crystals do; a jump is found."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.protocol import clock as clock_rules
from multirig.protocol.clock import (
    CONFIRMED_BY,
    FLOOR,
    MAX_BINS,
    MAX_DRIFT,
    MAX_STEPS,
    MAX_SUSPENSE,
    WANDER,
    ClockMap,
    Step,
)
from multirig.protocol.events import SECOND

MS = SECOND // 1000
US = SECOND // 1_000_000
TIMES = st.integers(0, 10**18)
DELAYS = st.integers(0, 5 * SECOND)
AHEAD = st.integers(-(10**18), 10**18)


def exchange(clock, ahead, sent, there=50 * US, busy=10 * US, back=50 * US, slack=0):
    """Let the clock see one exchange with a peer that is ahead by so much; return when it ended."""
    heard = sent + there + ahead
    received = sent + there + busy + back
    clock.add(sent, heard, heard + busy, received, slack=slack)
    return received


def burst(clock, ahead, at, count=8):
    """Let the clock see some quick exchanges; return when the last ended."""
    for _ in range(count):
        at = exchange(clock, ahead, at) + MS
    return at


def minutes(clock, ahead, at, count=1):
    """Let the clock see a burst every 5 s; return when the last ended."""
    for _ in range(12 * count):
        end = burst(clock, ahead, at)
        at += 5 * SECOND
    return end


@dataclass
class Crystals:
    """How far a peer's clock is ahead: its rate swings with the temperature, its steps are as told."""

    ahead: int = 0
    drift: float = 0.0
    """As a fraction."""
    swing: float = 0.0
    """Highest change of the drift, as a share of what is assumed at most."""
    period: int = 600 * SECOND
    steps: list[tuple[int, int]] = field(default_factory=list)

    def offset(self, at: int) -> int:
        jumps = sum(size for when, size in self.steps if at >= when)
        # a drift that goes up and down in straight lines: the most that the assumption allows
        half = self.period // 2
        rounds, rest = divmod(at, self.period)
        rate = WANDER * self.swing
        whole = rate * half * half  # a triangle, all of it above zero
        if rest <= half:
            part = rate * rest * rest / 2
        else:
            left = self.period - rest
            part = whole - rate * left * left / 2
        return self.ahead + jumps + round(self.drift * at) + round(rounds * whole + part)


class Network:
    """Carries exchanges from a seed: jitter, unequal ways, losses, busy peers, stamps that are off."""

    def __init__(self, seed, crystals, *, there=50 * US, back=50 * US, jitter=100 * US, loss=0.3, slack=0):
        self.random = random.Random(seed)
        self.crystals = crystals
        self.there, self.back, self.jitter = there, back, jitter
        self.loss, self.slack = loss, slack

    def exchange(self, at):
        """Return the stamps of one exchange; None if it is lost."""
        there = self.there + round(self.random.expovariate(1) * self.jitter)
        back = self.back + round(self.random.expovariate(1) * self.jitter)
        busy = self.random.choice([0, 20 * US, 20 * US, 20 * US, SECOND])
        if self.random.random() < self.loss:
            return None
        heard, answered, received = at + there, at + there + busy, at + there + busy + back
        return (
            at,
            heard + self.crystals.offset(heard) + self.random.randint(-self.slack, self.slack),
            answered + self.crystals.offset(answered) + self.random.randint(-self.slack, self.slack),
            received,
        )

    def exchanges(self, seconds, *, every=5 * SECOND, count=6, start=0):
        """Yield those of bursts, in the order in which they end."""
        at = start
        while at < start + seconds * SECOND:
            for number in range(count):
                if (one := self.exchange(at + number * MS)) is not None:
                    yield one
            at += every

    def fill(self, clock, seconds, **keys):
        """Let the clock see them; return when the last ended."""
        end = keys.get("start", 0)
        for one in self.exchanges(seconds, **keys):
            clock.add(*one, slack=self.slack)
            end = max(end, one[3])
        return end


CRYSTALS = st.builds(
    Crystals,
    ahead=st.sampled_from([0, 7 * 3600 * SECOND, -(10**18)]),
    drift=st.floats(-150e-6, 150e-6),
    swing=st.sampled_from([0.0, 0.3, 0.9]),
    period=st.sampled_from([120 * SECOND, 600 * SECOND]),
)
NETWORKS = st.builds(
    Network,
    st.integers(0, 2**32),
    CRYSTALS,
    there=st.sampled_from([20 * US, 200 * US, 20 * MS]),
    back=st.sampled_from([20 * US, 200 * US, 5 * MS]),
    jitter=st.sampled_from([0, 10 * US, 300 * US, 10 * MS]),
    loss=st.sampled_from([0, 0.3, 0.8]),
    slack=st.sampled_from([0, 5 * US]),
)


def errors(clock, crystals, times):
    """Yield by how much each reading is wrong, and its bound."""
    for at in times:
        if (reading := clock.read(at)) is not None:
            yield abs(reading.offset - crystals.offset(at)), reading.bound


# -- what one exchange says -------------------------------------------------------------------------------


def test_before_the_first_exchange_nothing_is_known():
    clock = ClockMap()
    assert clock.read(0) is None
    assert clock.to_peer(5) == clock.from_peer(5) == 5
    assert list(clock.steps) == []


@given(ahead=AHEAD, sent=TIMES, there=DELAYS, busy=DELAYS, back=DELAYS)
def test_the_offset_is_within_its_bound_however_unequal_the_ways(ahead, sent, there, busy, back):
    clock = ClockMap()
    received = exchange(clock, ahead, sent, there, busy, back)
    reading = clock.read(received)
    assert reading is not None
    assert abs(reading.offset - ahead) <= reading.bound
    whole = there + busy + back
    assert (there + back) // 2 <= reading.bound <= max((there + back) // 2 + MAX_DRIFT * whole, FLOOR) + 3
    assert there + back <= reading.round_trip <= there + back + MAX_DRIFT * whole + 1


def test_no_bound_is_narrower_than_what_python_sees():
    clock = ClockMap()
    for number in range(100):
        exchange(clock, 5, number * MS, there=0, busy=0, back=0)
    assert clock.read(100 * MS).bound > FLOOR


def test_slack_widens_the_bound():
    exact, slack = ClockMap(), ClockMap()
    end = exchange(exact, 0, 0)
    exchange(slack, 0, 0, slack=30 * US)
    assert slack.read(end).bound - exact.read(end).bound == pytest.approx(30 * US, abs=2)


def test_while_the_drift_is_unknown_the_bound_grows_as_fast_as_crystals_may_drift():
    clock = ClockMap()
    end = exchange(clock, 0, 0)
    for later in (SECOND, 10 * SECOND, 1000 * SECOND):
        grown = clock.read(end + later).bound - clock.read(end).bound
        assert grown == pytest.approx(MAX_DRIFT * later, abs=10)
    assert clock.read(end).drift == 0


@pytest.mark.parametrize(
    "stamps",
    [
        (100, 50, 40, 200),
        (100, 0, 500, 200),
        (200, 0, 0, 100),
        (100, 0.5, 0.5, 200),
        (100, None, 0, 200),
        (True, 0, 0, 200),
        (100, "0", "0", 200),
        (0, 10**400, 10**400, 200),
        (0, float("nan"), 0, 200),
    ],
)
def test_impossible_stamps_are_counted_and_have_no_effect(stamps):
    clock = ClockMap()
    clock.add(*stamps)
    assert clock.read(0) is None
    assert clock.ignored == 1


@pytest.mark.parametrize("drift", [-MAX_DRIFT, MAX_DRIFT])
def test_a_peer_that_answers_after_seconds_tells_the_truth_also_with_another_rate(drift):
    crystals = Crystals(ahead=SECOND, drift=drift * 0.999)
    clock = ClockMap()
    heard, answered = 20 * US, 10 * SECOND
    clock.add(0, heard + crystals.offset(heard), answered + crystals.offset(answered), answered + 20 * US)
    assert clock.ignored == 0
    for error, bound in errors(clock, crystals, (0, 5 * SECOND, answered)):
        assert error <= bound <= 5 * MS


# -- what many say together -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(network=NETWORKS, seconds=st.sampled_from([1, 20, 200]))
def test_the_truth_is_within_the_bound_at_every_moment(network, seconds):
    clock = ClockMap()
    crystals = network.crystals
    for number, one in enumerate(network.exchanges(seconds)):
        clock.add(*one, slack=network.slack)
        if number % 7 == 0:
            now = one[3]
            for error, bound in errors(clock, crystals, (now, now + SECOND, now - 3 * SECOND)):
                assert error <= bound
    assert list(clock.steps) == []
    assert clock.outliers == clock.ignored == 0
    for error, bound in errors(clock, crystals, range(0, (seconds + 20) * SECOND, 1_300 * MS)):
        assert error <= bound


@settings(max_examples=30, deadline=None)
@given(network=NETWORKS, seconds=st.sampled_from([20, 200]))
def test_the_order_in_which_exchanges_are_told_matters_little(network, seconds):
    told = list(network.exchanges(seconds))
    shuffled = network.random.sample(told, len(told))
    for order in (shuffled, told[::-1]):
        clock = ClockMap()
        for one in order:
            clock.add(*one, slack=network.slack)
        assert list(clock.steps) == []
        for error, bound in errors(clock, network.crystals, range(0, seconds * SECOND, 900 * MS)):
            assert error <= bound


@pytest.mark.parametrize("mutant", ["half a bound", "no wander", "steady crystals"])
def test_a_bound_that_is_too_narrow_is_noticed(mutant, monkeypatch):
    crystals = Crystals(drift=-150e-6, swing=0.9, period=1200 * SECOND)
    if mutant == "no wander":
        monkeypatch.setattr(clock_rules, "WANDER", 0.0)
    if mutant == "steady crystals":
        monkeypatch.setattr(clock_rules, "MAX_DRIFT", 1e-6)
    share = 2 if mutant == "half a bound" else 1
    network = Network(1, crystals, there=400 * US, back=10 * US, jitter=20 * US)
    clock = ClockMap()
    wrong = 0
    for one in network.exchanges(600):
        clock.add(*one)
        told = errors(clock, crystals, (one[3], one[3] + 4 * SECOND))
        wrong += any(error > bound / share for error, bound in told)
    monkeypatch.undo()
    assert wrong or clock.steps or clock.outliers


def test_the_bound_shrinks_to_the_least_delay_of_either_way():
    crystals = Crystals(ahead=10**15, drift=40e-6)
    network = Network(3, crystals, there=100 * US, back=100 * US, jitter=200 * US, loss=0.3)
    clock = ClockMap()
    end = network.fill(clock, 300, count=8)
    reading = clock.read(end)
    assert reading.bound <= 180 * US
    assert abs(reading.offset - crystals.offset(end)) <= 60 * US
    assert reading.drift == pytest.approx(40, abs=3)
    assert 200 * US <= reading.round_trip <= 500 * US


def test_the_two_ways_are_filtered_each_for_itself():
    clock = ClockMap()
    exchange(clock, 0, 0, there=10 * US, back=10 * MS)
    end = exchange(clock, 0, 20 * MS, there=10 * MS, back=10 * US)
    assert clock.read(end).bound <= 20 * US


def test_of_the_past_is_known_what_was_heard_before_and_after():
    crystals = Crystals(drift=80e-6)
    clock = ClockMap()
    Network(5, crystals, jitter=0, loss=0).fill(clock, 600)
    before = clock.read(2_500 * MS)
    assert before.bound <= 100 * US, "the drift became known later"
    assert before.drift == pytest.approx(80, abs=4)


# -- conversions ------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(network=NETWORKS, seconds=st.sampled_from([1, 30, 300]))
def test_conversions_are_monotone_and_continuous_and_have_an_inverse(network, seconds):
    clock = ClockMap()
    network.fill(clock, seconds)
    step = 50 * MS
    times = range(-SECOND, (seconds + 5) * SECOND, step)
    theirs = [clock.to_peer(at) for at in times]
    for one, other in pairwise(theirs):
        assert 0 < other - one < 2 * step
    for at in times[::13]:
        assert abs(clock.from_peer(clock.to_peer(at)) - at) <= 1
        assert abs(clock.to_peer(at + 1) - clock.to_peer(at)) <= 2
        if (reading := clock.read(at)) is not None:
            assert reading.offset == clock.to_peer(at) - at


def test_conversions_follow_the_drift():
    crystals = Crystals(ahead=3600 * SECOND, drift=-90e-6, swing=0.5)
    clock = ClockMap()
    Network(2, crystals, jitter=20 * US).fill(clock, 600)
    for at in range(60 * SECOND, 540 * SECOND, SECOND):
        assert abs(clock.to_peer(at) - at - crystals.offset(at)) <= 60 * US


# -- jumps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [20 * SECOND, 3 * MS, -3 * MS, -20 * SECOND, 10**17])
def test_a_jump_is_found_by_three_exchanges_that_agree(size):
    clock = ClockMap()
    end = minutes(clock, SECOND, 0)
    for number in range(CONFIRMED_BY):
        assert list(clock.steps) == []
        end = exchange(clock, SECOND + size, end + SECOND + number * MS)
        reading = clock.read(end)
        assert abs(reading.offset - SECOND - size) <= reading.bound, "it covers the suspicion too"
    [step] = clock.steps
    assert step.size == pytest.approx(size, abs=MS)
    assert clock.read(end).bound <= MS
    assert clock.to_peer(30 * SECOND) == pytest.approx(31 * SECOND, abs=100 * US), "the past stays as it was"
    between = clock.read(step.at)
    assert between.bound >= abs(size) - MS, "when it jumped is not known"


def test_a_clock_that_is_steered_a_little_has_not_jumped():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    end = burst(clock, 300 * US, end + SECOND)
    assert list(clock.steps) == []
    reading = clock.read(end)
    assert abs(reading.offset - 300 * US) <= reading.bound <= 100 * US


def test_while_a_suspicion_lasts_both_stories_are_within_the_bound():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    end = exchange(clock, 5 * MS, end + SECOND)
    reading = clock.read(end)
    assert abs(reading.offset - 5 * MS) <= reading.bound
    assert abs(reading.offset) <= reading.bound


@pytest.mark.parametrize("count", [1, 2])
def test_lone_outliers_are_dropped(count):
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    for number in range(count):
        end = exchange(clock, (number + 1) * SECOND, end + MS)
    end = burst(clock, 0, end + MS)
    assert list(clock.steps) == []
    assert clock.outliers == count
    assert clock.read(end).bound <= 100 * US


def test_outliers_that_do_not_agree_make_no_jump():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    for number in range(10):
        end = exchange(clock, (number + 1) * SECOND, end + MS)
    assert list(clock.steps) == []
    end = burst(clock, 0, end + MS)
    assert clock.outliers == 10
    assert clock.read(end).bound <= 100 * US


def test_a_suspicion_that_nothing_settles_ends_at_last():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    exchange(clock, SECOND, end + MS)
    for _ in range(MAX_SUSPENSE):
        end = exchange(clock, 0, end + MS, there=2 * SECOND, back=2 * SECOND)
    assert clock.outliers == 1
    assert clock.read(end).bound <= 2 * SECOND


def test_probes_that_are_told_late_are_no_step_back():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    end = minutes(clock, SECOND, end + SECOND)
    [step] = clock.steps
    for number in range(20):
        exchange(clock, 0, 20 * SECOND + number * MS)
    assert list(clock.steps) == [step]
    assert clock.outliers == 0
    assert clock.read(end).bound <= 100 * US


def test_an_exchange_that_a_jump_fell_into_is_no_witness():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    clock.add(end + MS, end + 2 * MS, end + 2 * MS + 30 * SECOND, end + 4 * MS)
    assert clock.ignored == 1
    end = burst(clock, 30 * SECOND, end + 5 * MS)
    assert [round(one.size / SECOND) for one in clock.steps] == [30]
    assert abs(clock.read(end).offset - 30 * SECOND) <= clock.read(end).bound <= 100 * US


def test_wide_exchanges_after_a_jump_do_not_spoil_the_time_before():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    exchange(clock, 3 * MS, end + SECOND, there=5 * MS, back=3 * MS - 10 * US)
    burst(clock, 3 * MS, end + 2 * SECOND)
    assert len(clock.steps) == 1
    for error, bound in errors(clock, Crystals(), range(0, end, SECOND)):
        assert error <= bound <= 600 * US


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([20 * SECOND, 3 * MS, -3 * MS, -7 * SECOND]),
    jitter=st.sampled_from([0, 50 * US, 300 * US]),
    when=st.integers(60 * SECOND, 120 * SECOND),
)
def test_around_a_jump_the_bound_is_honest_as_soon_as_it_can_be(seed, size, jitter, when):
    crystals = Crystals(ahead=10**14, drift=30e-6, swing=0.5, steps=[(when, size)])
    network = Network(seed, crystals, jitter=jitter)
    clock = ClockMap()
    for one in network.exchanges(200):
        clock.add(*one)
        if one[3] < when or one[0] > when + 15 * SECOND:
            for error, bound in errors(clock, crystals, (one[3],)):
                assert error <= bound
    assert [one.size for one in clock.steps] == [pytest.approx(size, abs=2 * MS)]
    for error, bound in errors(clock, crystals, range(0, 200 * SECOND, SECOND)):
        assert error <= bound


def test_after_a_jump_back_a_time_of_the_peer_is_the_later_one():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    minutes(clock, -10 * SECOND, end + SECOND)
    [step] = clock.steps
    for at in (5 * SECOND, step.at + SECOND, step.at + 30 * SECOND):
        assert abs(clock.from_peer(clock.to_peer(at)) - at) <= 1
    again = clock.to_peer(step.at - SECOND)
    assert clock.from_peer(again) == pytest.approx(step.at + 9 * SECOND, abs=MS)


def test_a_time_that_was_jumped_over_is_that_of_the_jump():
    clock = ClockMap()
    end = minutes(clock, 0, 0)
    minutes(clock, 100 * SECOND, end + SECOND)
    [step] = clock.steps
    assert clock.from_peer(step.at + 50 * SECOND) == step.at - 1


# -- memory -----------------------------------------------------------------------------------------------


def size(clock):
    return sum(len(epoch.bins) for epoch in clock._epochs) + len(clock._recent) + len(clock._waiting)


def test_a_clock_that_jumps_to_and_fro_fills_no_memory():
    clock = ClockMap()
    at = 0
    for number in range(3 * MAX_STEPS):
        at = burst(clock, (number % 2) * SECOND, at + MS, count=3)
    assert len(clock.steps) == MAX_STEPS
    assert len(clock._epochs) <= MAX_STEPS
    assert size(clock) <= 2 * MAX_STEPS
    assert all(isinstance(one, Step) for one in clock.steps)


def test_a_day_is_kept_and_no_more():
    crystals = Crystals(drift=50e-6)
    clock = ClockMap()
    for number in range(MAX_BINS + 500):
        at = number * 5 * SECOND
        clock.add(at, at + 50 * US + crystals.offset(at), at + 60 * US + crystals.offset(at), at + 110 * US)
    assert len(clock._epochs[0].bins) == MAX_BINS
    day = at - 24 * 3600 * SECOND
    for moment in range(day, at, 977 * SECOND):
        assert abs(clock.to_peer(moment) - moment - crystals.offset(moment)) <= 20 * US
