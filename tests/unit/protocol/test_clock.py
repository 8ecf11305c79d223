from hypothesis import given
from hypothesis import strategies as st

from multirig.protocol.clock import ClockEstimate
from multirig.protocol.events import SECOND

TIMES = st.integers(0, 10**18)
DELAYS = st.integers(0, 5 * SECOND)
AHEAD = st.integers(-(10**18), 10**18)


def exchange(clock, ahead, sent, there, busy, back):
    """Let the clock see one exchange with a peer that is ahead by so much; return when it ended."""
    heard = sent + there + ahead
    received = sent + there + busy + back
    clock.add(sent, heard, heard + busy, received)
    return received


def test_before_the_first_exchange_nothing_is_known():
    assert ClockEstimate().best is None


@given(ahead=AHEAD, sent=TIMES, there=DELAYS, busy=DELAYS, back=DELAYS)
def test_the_offset_is_within_its_bound_however_unequal_the_ways(ahead, sent, there, busy, back):
    clock = ClockEstimate()
    exchange(clock, ahead, sent, there, busy, back)
    assert clock.best is not None
    assert abs(clock.best.offset - ahead) <= clock.best.bound
    assert clock.best.bound <= (there + back) // 2 + 1


@given(ahead=AHEAD, ways=st.lists(st.tuples(DELAYS, DELAYS, DELAYS), min_size=1, max_size=200))
def test_the_best_is_the_shortest_round_trip_of_the_recent_exchanges(ahead, ways):
    clock = ClockEstimate()
    now = 0
    for there, busy, back in ways:
        now = exchange(clock, ahead, now, there, busy, back)
    shortest = min(there + back for there, _, back in ways[-ClockEstimate.WINDOW :])
    assert clock.best is not None
    assert clock.best.bound == shortest // 2 + 1
    assert abs(clock.best.offset - ahead) <= clock.best.bound


def test_an_exchange_of_another_conversation_is_not_counted():
    clock = ClockEstimate()
    clock.add(sent=100, heard=50, answered=40, received=200)
    clock.add(sent=100, heard=0, answered=500, received=200)
    assert clock.best is None


def test_an_old_exchange_leaves_the_window_even_if_it_was_the_best():
    clock = ClockEstimate()
    exchange(clock, ahead=7, sent=0, there=1, busy=0, back=1)
    for number in range(ClockEstimate.WINDOW):
        exchange(clock, ahead=9000, sent=10_000 * (number + 1), there=100, busy=0, back=100)
    assert clock.best is not None
    assert clock.best.offset == 9000
    assert clock.best.bound == 101
