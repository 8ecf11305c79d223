"""The peer's clock, from exchanges over any network: the truth is always within the bound."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.protocol.clock import ClockMap

SECOND = 1_000_000_000
US, MS = 1000, 1_000_000


class Peer:
    """A clock with an offset and a drift, over a network whose delays are drawn."""

    def __init__(self, seed, offset=0, drift=0.0, there=(5 * US, 50 * US), back=(5 * US, 50 * US)):
        self.dice = random.Random(seed)
        self.offset, self.drift, self.there, self.back = offset, drift, there, back

    def reads(self, time):
        return time + self.offset + round(time * self.drift)

    def exchange(self, clock, time):
        heard = time + self.dice.randint(*self.there)
        answered = heard + self.dice.randint(1 * US, 20 * US)
        received = answered + self.dice.randint(*self.back)
        clock.add(time, self.reads(heard), self.reads(answered), received)
        return received

    def burst(self, clock, time, count=8):
        for _ in range(count):
            time = self.exchange(clock, time) + 1 * US
        return time

    def error(self, clock, time):
        reading = clock.read(time)
        return abs(self.reads(time) - time - reading.offset), reading.bound


def test_before_the_first_exchange_nothing_is_known():
    clock = ClockMap()
    assert clock.read(0) is None
    assert clock.to_peer(7) == clock.from_peer(7) == 7


def test_one_exchange_tells_the_offset_within_half_of_the_round_trip():
    clock = ClockMap()
    clock.add(1000, 5_000_600, 5_000_900, 2100)
    reading = clock.read(2100)
    assert reading.offset == pytest.approx(5_000_000 - 800, abs=2)
    assert reading.bound == pytest.approx(400, abs=3)
    assert reading.round_trip == 800


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    offset=st.integers(-(10**15), 10**15),
    drift=st.floats(-190e-6, 190e-6),
    there=st.integers(1 * US, 20 * MS),
    back=st.integers(1 * US, 20 * MS),
)
def test_the_truth_is_always_within_the_bound(seed, offset, drift, there, back):
    clock = ClockMap()
    peer = Peer(seed, offset, drift, (there, there * 3), (back, back * 3))
    time = 0
    for _ in range(40):
        time = peer.burst(clock, time, peer.dice.randint(1, 8))
        for later in (0, 100 * MS, 3 * SECOND):
            error, bound = peer.error(clock, time + later)
            assert error <= bound + 2
        time += peer.dice.randint(100 * MS, 6 * SECOND)
    for past in range(0, time, SECOND):
        error, bound = peer.error(clock, past)
        assert error <= bound + 2
    assert clock.steps == ()


def test_after_a_minute_the_drift_is_known_and_the_bound_stays_narrow():
    clock, peer = ClockMap(), Peer(1, 7 * SECOND, 42e-6)
    for second in range(0, 64, 4):
        peer.burst(clock, second * SECOND)
    reading = clock.read(64 * SECOND)
    assert reading.drift == pytest.approx(42, abs=2)
    assert reading.bound < 50 * US


@pytest.mark.parametrize("size", [20 * SECOND, 3 * MS, -3 * MS])
def test_a_jump_is_found_with_the_third_exchange_after_it_and_the_bound_is_true_meanwhile(size):
    clock, peer = ClockMap(), Peer(2, -5 * SECOND, -30e-6)
    for second in range(0, 40, 4):
        peer.burst(clock, second * SECOND)
    before = clock.to_peer(30 * SECOND)
    peer.offset += size
    time = 40 * SECOND
    for _ in range(3):
        time = peer.exchange(clock, time)
        error, bound = peer.error(clock, time)
        assert error <= bound
    (step,) = clock.steps
    assert step.size == pytest.approx(size, abs=100 * US)
    assert peer.error(clock, time)[1] < 100 * US
    assert clock.to_peer(30 * SECOND) == before


def test_a_lone_wrong_exchange_changes_nothing():
    clock, peer = ClockMap(), Peer(3)
    time = peer.burst(clock, 0)
    clock.add(time, time + 50 * MS, time + 50 * MS, time + 10)
    peer.burst(clock, time + 20)
    assert clock.steps == ()
    assert clock.ignored == 0
    assert clock.read(time).bound < 20 * US


def test_stamps_that_cannot_be_true_are_ignored():
    clock = ClockMap()
    clock.add(100, 50, 40, 200)
    clock.add(200, 50, 60, 100)
    clock.add(0, 10, 500, 100)
    assert clock.ignored == 3
    assert clock.read(0) is None


def test_times_go_there_and_back_and_never_backwards():
    clock, peer = ClockMap(), Peer(4, 3600 * SECOND, 80e-6)
    for second in range(0, 300, 4):
        peer.burst(clock, second * SECOND)
    times = range(-5 * SECOND, 310 * SECOND, SECOND // 7)
    there = [clock.to_peer(time) for time in times]
    assert all(one < other for one, other in pairwise(there))
    assert all(abs(clock.from_peer(one) - time) <= 2 for one, time in zip(there, times, strict=True))


def test_a_day_takes_little_memory():
    clock, peer = ClockMap(), Peer(5, drift=20e-6)
    for second in range(0, 86_400, 60):
        for part in range(4):
            peer.exchange(clock, second * SECOND + part * SECOND // 4)
    assert len(clock._epochs[0].all) <= 86_400 // 4 + 20


def test_a_clock_that_jumps_all_the_time_does_not_fill_the_memory():
    clock, peer = ClockMap(), Peer(6)
    for second in range(3000):
        peer.offset += 10 * MS
        peer.burst(clock, second * SECOND, 4)
    assert len(clock.steps) <= 64
    assert len(clock._epochs) <= 65
