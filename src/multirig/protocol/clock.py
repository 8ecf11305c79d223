"""The other side's clock: how far it is ahead of ours, how fast it runs, and how wrong that may be.

A message cannot arrive before it was sent. So each exchange of two messages gives an interval in which the
offset must lie: it is at most ``heard - sent`` and at least ``answered - received``, and its width is the
time that both were on their way. What is told here is the middle of what all intervals of the last minute
have in common, each carried to the time asked for at the measured drift and widened by what the drift may
be wrong; the bound is half of its width. The quickest message of each direction counts, also if the ways
differ. As long as the clocks keep to `MAX_DRIFT` and `WANDER`, the truth is within the bound: the bound
rests on no guess about how a network delays.

Source: intervals after K. Marzullo and S. Owicki, "Maintaining the time in a distributed system" (1983); the
single exchange is F. Cristian's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MAX_DRIFT = 200e-6
"""By how much a clock may gain on another one: each crystal of a PC is right to 100 parts in a million."""
WANDER = 1e-6
"""By how much a drift may change within `WINDOW`, as a room warms up."""
WINDOW = 60_000_000_000
"""Exchanges that are so far from a time say nothing of it any more; ns."""
BURST = 10_000_000
"""Exchanges so close to each other are one measurement; ns."""
BIN = 4_000_000_000
"""Of older measurements the best in so long a time is kept; ns."""
RECENT = 8
"""The newest measurements are all kept."""
BASELINE = 5_000_000_000
"""A drift is told from two measurements that are so far apart at least; ns."""
CONFIRMED = 3
"""Exchanges that agree with each other and not with those before are a jump, not a fault."""
SMALLEST_STEP = 500_000
"""A smaller contradiction is no jump: the estimate begins anew, and nothing is told; ns."""
FLOOR = 200
"""Nanoseconds that reading a clock takes: nothing is known better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of the peer's clock at a time."""

    at: int
    """That time, on our clock; ns."""
    offset: int
    """Nanoseconds to add to our time to get the peer's."""
    bound: int
    """By how much that may be wrong, either way; ns."""
    drift: float
    """How much faster the peer's clock runs than ours, in parts per million."""
    round_trip: int
    """The shortest that both ways took together; ns."""


@dataclass(frozen=True, slots=True)
class Step:
    """One of the two clocks has jumped."""

    at: int
    """Our time when it was seen first; ns."""
    size: int
    """By how much the peer's clock is further ahead since; ns."""


@dataclass(slots=True)
class _Interval:
    """In which the offset lies at a time, by one or several exchanges close to each other."""

    at: int
    low: int
    high: int
    round_trip: int

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def width(self) -> int:
        return self.high - self.low

    def carried(self, at: int, drift: float, doubt: float) -> tuple[float, float]:
        """Return low and high at another time."""
        moved, widened = (at - self.at) * drift, abs(at - self.at) * doubt
        return self.low + moved - widened, self.high + moved + widened

    def meets(self, other: _Interval) -> bool:
        """Whether both can be true of clocks that did not jump."""
        low, high = self.carried(other.at, 0.0, MAX_DRIFT)
        return low <= other.high and other.low <= high


class _Epoch:
    """What was measured while no clock jumped, oldest first; memory grows by one measurement in `BIN`."""

    def __init__(self) -> None:
        self.all: list[_Interval] = []
        self._times: list[int] = []
        self._knots: dict[int, float] = {}
        """The offset at the time of a measurement, by its number."""

    def add(self, new: _Interval) -> None:
        """Take a measurement; it may come a little late."""
        place = bisect_right(self._times, new.at)
        before = self.all[place - 1] if place else None
        if before is not None and new.at - before.at <= BURST and before.meets(new):
            low, high = before.carried(new.at, 0.0, MAX_DRIFT)
            before.low, before.high = max(new.low, int(low)), min(new.high, int(high) + 1)
            before.at = self._times[place - 1] = new.at
            before.round_trip = min(before.round_trip, new.round_trip)
        else:
            self.all.insert(place, new)
            self._times.insert(place, new.at)
            self._thin()
        self._forget_knots(new.at)

    def _thin(self) -> None:
        """Keep the better one of two that are old and in the same bin."""
        old = len(self.all) - RECENT
        if old < 1:
            return
        one, other = self.all[old - 1], self.all[old]
        if one.at // BIN == other.at // BIN:
            worse = old - 1 if one.width > other.width else old
            del self.all[worse], self._times[worse]
            self._knots = {number: one for number, one in self._knots.items() if number < worse}

    def _forget_knots(self, at: int) -> None:
        first = bisect_left(self._times, at - WINDOW)
        for number in range(first, len(self.all) + RECENT):
            self._knots.pop(number, None)

    def near(self, at: int) -> Sequence[_Interval]:
        """Return what was measured around a time; the nearest one, if nothing was."""
        first, last = bisect_left(self._times, at - WINDOW), bisect_right(self._times, at + WINDOW)
        if first == last:
            first = min(first, len(self.all) - 1)
            if first and abs(at - self._times[first - 1]) < abs(at - self._times[first]):
                first -= 1
            last = first + 1
        return self.all[first:last]

    def drift(self, near: Sequence[_Interval]) -> tuple[float, float]:
        """Return the drift as parts of one, and by how much it may be wrong.

        The best measurement of the earlier half is compared with the best one of the later half.
        """
        if near[-1].at - near[0].at >= BASELINE:
            middle = (near[0].at + near[-1].at) // 2
            one = min((each for each in near if each.at <= middle), key=lambda each: each.width)
            other = min((each for each in near if each.at > middle), key=lambda each: each.width)
            length = other.at - one.at
            doubt = (one.width + other.width) / 2 / length + WANDER
            drift = (other.middle - one.middle) / length
            if doubt < MAX_DRIFT and abs(drift) <= MAX_DRIFT + doubt:
                return drift, doubt
        return 0.0, MAX_DRIFT

    def bounds(self, at: int, newest: int | None = None) -> tuple[float, float, float, int]:
        """Return the lowest and the highest offset at a time, the drift, and the shortest round trip."""
        near = self.near(at)
        drift, doubt = self.drift(near)
        edges = [one.carried(at, drift, doubt) for one in near]
        low, low_of = max((edge[0], number) for number, edge in enumerate(edges))
        high, high_of = min((edge[1], number) for number, edge in enumerate(edges))
        if low > high:  # the drift has changed more than it should: both may be true
            spare = max(near[low_of].width, near[high_of].width)
            low, high = high - spare, low + spare
        return low, high, drift, min(one.round_trip for one in near)

    def offset(self, at: int) -> float:
        """Return the offset at a time, between two measurements on a straight line."""
        place = bisect_right(self._times, at)
        if not 0 < place < len(self._times):
            number = 0 if place == 0 else len(self._times) - 1
            return self._knot(number) + (at - self._times[number]) * self.drift(self.near(at))[0]
        begin, end = self._times[place - 1], self._times[place]
        one, other = self._knot(place - 1), self._knot(place)
        return one + (other - one) * ((at - begin) / (end - begin))

    def _knot(self, number: int) -> float:
        if number not in self._knots:
            low, high, _, _ = self.bounds(self._times[number])
            self._knots[number] = (low + high) / 2
        return self._knots[number]


class ClockMap:
    """The peer's clock as seen from ours, now and for as long as it was measured."""

    def __init__(self) -> None:
        self._epochs: list[_Epoch] = []
        self._begins: list[int] = []
        """Our time from which each epoch is valid."""
        self._steps: list[Step] = []
        self._suspects: list[_Interval] = []
        """What contradicts all before, until it is confirmed or given up."""
        self.ignored = 0
        """Exchanges whose stamps cannot be true."""

    @property
    def steps(self) -> Sequence[Step]:
        """Jumps of one clock against the other, oldest first."""
        return tuple(self._steps)

    def add(self, sent: int, heard: int, answered: int, received: int, *, slack: int = 0) -> None:
        """Take one exchange; all in nanoseconds.

        Parameters
        ----------
        sent, received : int
            When our message left and the answer came, on our clock.
        heard, answered : int
            When the peer got it and answered, on the peer's clock.
        slack : int
            By how much a stamp may be wrong.
        """
        elapsed = received - sent
        low = answered - received - slack
        high = heard - sent + slack + int(elapsed * MAX_DRIFT) + 1
        if elapsed < 0 or answered < heard or slack < 0 or high < low:
            self.ignored += 1
            return
        self._take(_Interval(received, low, high, max(0, elapsed - (answered - heard))))

    def _take(self, new: _Interval) -> None:
        if not self._epochs:
            self._begin(new, new.at)
            return
        low, high, _, _ = self._epochs[-1].bounds(new.at)
        if new.low <= high + 1 and low <= new.high + 1:
            self._epochs[-1].add(new)
            self._suspects.clear()
            return
        self._suspects = [one for one in self._suspects if one.meets(new)] + [new]
        if len(self._suspects) >= CONFIRMED:
            first = self._suspects[0]
            low, high, _, _ = self._epochs[-1].bounds(first.at)
            size = round(first.middle - (low + high) / 2)
            if abs(size) >= SMALLEST_STEP:
                self._steps.append(Step(first.at, size))
            suspects, self._suspects = self._suspects, []
            self._begin(first, min(one.at for one in suspects))
            for one in suspects[1:]:
                self._epochs[-1].add(one)

    def _begin(self, first: _Interval, at: int) -> None:
        if len(self._epochs) >= MAX_EPOCHS:
            del self._epochs[1], self._begins[1]
            del self._steps[:-MAX_EPOCHS]
        self._epochs.append(_Epoch())
        self._begins.append(at)
        self._epochs[-1].add(first)

    def _epoch(self, at: int) -> _Epoch | None:
        if not self._epochs:
            return None
        return self._epochs[max(0, bisect_right(self._begins, at) - 1)]

    def read(self, at: int) -> Reading | None:
        """Return what is known of the peer's clock at a time.

        Parameters
        ----------
        at : int
            Our time, ns: now, past, or a little in the future.

        Returns
        -------
        Reading or None
            None before the first exchange.
        """
        epoch = self._epoch(at)
        if epoch is None:
            return None
        low, high, drift, round_trip = epoch.bounds(at)
        if (
            self._suspects and epoch is self._epochs[-1]
        ):  # has it jumped? until that is known, both may be true
            edges = [one.carried(at, drift, MAX_DRIFT) for one in self._suspects]
            low, high = min(low, *(one[0] for one in edges)), max(high, *(one[1] for one in edges))
        offset = round((low + high) / 2)
        bound = max(FLOOR, round((high - low) / 2) + 1)
        return Reading(at=at, offset=offset, bound=bound, drift=drift * 1e6, round_trip=round_trip)

    def to_peer(self, at: int) -> int:
        """Return one of our times on the peer's clock; ns. Unchanged before the first exchange."""
        epoch = self._epoch(at)
        return at if epoch is None else at + round(epoch.offset(at))

    def from_peer(self, theirs: int) -> int:
        """Return one of the peer's times on our clock; ns. Unchanged before the first exchange."""
        ours = theirs
        for _ in range(3):  # the offset hardly changes with the time at which it is asked for
            ours = theirs - (self.to_peer(ours) - ours)
        return ours


MAX_EPOCHS = 64
"""A clock that jumps again and again must not fill the memory."""
