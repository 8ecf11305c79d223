"""The other side's clock against ours, and how wrong that may be, from the four stamps of exchanges.

Source: the offset of one exchange as in NTP (RFC 5905); the limits of both directions kept apart as in
Zhang, Liu and Xia, "Clock synchronization algorithms for network measurements" (INFOCOM 2002).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_DRIFT = 200e-6
"""One clock gains at most so much on the other: 100 ppm of each PC, twice what crystals are sold with."""
WANDER = 2e-6 / 60 / 1e9
"""The drift changes by at most so much a nanosecond: 2 ppm a minute, of PCs that warm by 1 K a minute."""
FLOOR = 1_000
"""Nanoseconds; no bound is narrower, since nobody sees what Python does between a stamp and a datagram."""
BIN = 5_000_000_000
"""Nanoseconds; of each such stretch of time only the tightest limits are kept."""
MAX_BINS = 20_000
"""Stretches that are kept: more than a day."""
CONFIRMED_BY = 3
"""So many exchanges that agree make a suspicion a step, or dispel it."""
MAX_SUSPENSE = 64
"""Exchanges that may wait for a suspicion to be settled; one that nothing has confirmed by then was none."""
SMALLEST_STEP = 500_000
"""Nanoseconds; less is no jump but a clock that is steered: a new epoch begins, and nothing is told."""
MAX_STEPS = 1_000
"""Jumps that are remembered, the newest."""
NOW = 1_000_000_000
"""Nanoseconds for which limits are known well enough to see that an exchange says nothing new."""
MAX_RECENT = 64
"""Exchanges that can be judged anew when a clock turns out to have jumped."""
SPANS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
"""How many stretches apart offsets are compared for the drift: from seconds to minutes."""
REACH = 64
"""Later stretches that still sharpen what is known of an earlier one."""
WIDEST_KNOT = BIN // 20
"""A limit this wide, in nanoseconds either way, bends no conversion; so conversions stay monotone."""
CLOSEST_KNOTS = BIN // 5
"""Two bends of a conversion are at least so far apart, in nanoseconds."""
MAX_TURNS = 64
"""Of the search for a time of ours that is one of the peer's; three or four do."""
MAX_STAMP = 2**63
"""Stamps beyond this are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of the peer's clock at one moment."""

    at: int
    """The moment, on our clock; ns."""
    offset: int
    """Nanoseconds to add to our time to get the peer's."""
    bound: int
    """Nanoseconds either way: the true offset is within it."""
    drift: float
    """How much faster the peer's clock runs than ours; ppm."""
    round_trip: int
    """Of the quickest exchange around that moment; ns."""


@dataclass(frozen=True, slots=True)
class Step:
    """A jump of one clock against the other."""

    at: int
    """When, on our clock; ns."""
    size: int
    """Nanoseconds by which the peer's clock is further ahead since."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What one exchange proves: the peer's clock is not behind its own stamps.

    When we sent, the peer's clock had not yet reached ``heard``; when the answer came it had passed
    ``answered``. Each limit is exact at its own moment, whatever the ways took and however long the peer
    was busy.
    """

    sent: int
    most: int
    """The offset at ``sent`` was at most this."""
    received: int
    least: int
    """The offset at ``received`` was at least this."""

    def agrees(self, other: _Exchange) -> bool:
        """Whether one clock without a jump can have shown both."""
        return not self.is_above(other) and not other.is_above(self)

    def is_above(self, other: _Exchange) -> bool:
        """Whether the offset was higher at the end of this one than it can have been for the other."""
        return self.least - other.most > MAX_DRIFT * abs(self.received - other.sent)


@dataclass(frozen=True, slots=True)
class _Line:
    """A stretch of time over which the offset is taken for a straight line."""

    start: int | None
    """None: since ever."""
    end: int | None
    """None: for ever."""
    x: int
    """A point of it: our time and the offset."""
    y: int
    dx: int
    """To another point; 0 if there is none."""
    dy: int
    slope: float
    """Where there is no other point."""

    def holds(self, at: int) -> bool:
        """Whether it is about this time."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def offset(self, at: int) -> int:
        """Return the offset at a time."""
        if self.dx:
            return self.y + self.dy * (at - self.x) // self.dx
        return self.y + round(self.slope * (at - self.x))


@dataclass(slots=True)
class _Bin:
    """What is known from one stretch of time."""

    number: int
    at: int
    """When its last exchange ended."""
    most_at: int
    most: int
    least_at: int
    least: int
    round_trip: int
    low: int = 0
    """Limits of the offset at `at`, from this stretch and all before."""
    high: int = 0
    slowest: float = -MAX_DRIFT
    """Limits of the drift at `at`, from this stretch and all before."""
    fastest: float = MAX_DRIFT
    knot: tuple[int, int] | None = None
    """The offset at `at` and its bound, from the stretches behind and ahead."""
    known_at: int = -1
    """How much had been heard when `knot` was found."""


def _carry(dt: int, slowest: float, fastest: float) -> tuple[int, int]:
    """Return the limits of how the offset changes over a time, with the drift at one end of it."""
    if dt >= 0:
        span, low, high = dt, slowest * dt, fastest * dt
    else:
        span, low, high = -dt, fastest * dt, slowest * dt
    wander = WANDER * span * span / 2
    furthest = MAX_DRIFT * span
    low, high = low - wander, high + wander
    # written out, since nothing is asked more often
    return (
        math.floor(low if low > -furthest else -furthest),
        math.ceil(high if high < furthest else furthest),
    )


class _Epoch:
    """The time between two jumps, in which the offset only drifts."""

    def __init__(self, since: int | None = None, doubtful: tuple[int, int] = (0, 0)) -> None:
        self.since = since
        """When it began, on our clock; ns. None: before all that is known."""
        self.doubtful = doubtful
        """From when to when it is not known whether it had begun."""
        self.bins: list[_Bin] = []
        self._settled = 0
        """So many bins have their limits."""
        self._heard = 0
        self._line: _Line | None = None
        """Where an offset was last asked for."""

    # -- what goes in -----------------------------------------------------------------------------------

    def put(self, one: _Exchange) -> None:
        """Take an exchange, in whatever order."""
        number = one.received // BIN
        bins = self.bins
        index = len(bins) if not bins or bins[-1].number < number else bisect_left(bins, number, key=_number)
        slowest, fastest = self._drift(max(0, min(index, len(bins) - 1)), one.received)
        change = _carry(one.received - one.sent, slowest, fastest)[1]
        round_trip = max(0, one.most + change - one.least)
        if index == len(bins) or bins[index].number != number:
            kept = _Bin(number, one.received, one.sent, one.most, one.received, one.least, round_trip)
            bins.insert(index, kept)
        else:
            kept = bins[index]
            kept.at = max(kept.at, one.received)
            kept.round_trip = min(kept.round_trip, round_trip)
            # whatever is the tighter limit at the later of both moments
            dt = one.sent - kept.most_at
            change = _carry(abs(dt), slowest, fastest)[1]
            if (one.most <= kept.most + change) if dt >= 0 else (one.most + change < kept.most):
                kept.most_at, kept.most = one.sent, one.most
            dt = one.received - kept.least_at
            change = _carry(abs(dt), slowest, fastest)[0]
            if (one.least >= kept.least + change) if dt >= 0 else (one.least + change > kept.least):
                kept.least_at, kept.least = one.received, one.least
        self._settled = min(self._settled, max(index, len(bins) - REACH))
        self._change()

    def forget(self, count: int) -> None:
        """Forget the oldest stretches."""
        del self.bins[:count]
        self._settled = max(0, self._settled - count)
        self._change()

    def cut(self, number: int) -> None:
        """Forget all stretches from this one on."""
        del self.bins[bisect_left(self.bins, number, key=_number) :]
        self._settled = min(self._settled, len(self.bins))
        self._change()

    # -- what comes out ---------------------------------------------------------------------------------

    def limits(self, at: int) -> tuple[int, int]:
        """Return the least and the most that the offset can be at a time."""
        self._settle()
        bins = self.bins
        is_now = bool(bins) and bins[-1].at <= at
        index = len(bins) - 1 if is_now else max(0, bisect_right(bins, at, key=_at) - 1)
        slowest, fastest = self._drift(index, at)
        if is_now:
            one = bins[index]
            least, most = _carry(at - one.at, slowest, fastest)
            least, most = one.low + least, one.high + most
            return (least, most) if least <= most else (most, least)
        low = high = None
        for nth in range(index, min(index + REACH, len(bins))):
            one = bins[nth]
            least, most = _carry(at - one.at, slowest, fastest)
            least, most = one.low + least, one.high + most
            if low is None or high is None:
                low, high = least, most
                continue
            low, high = max(low, least), min(high, most)
            if abs(at - one.at) * (fastest - slowest) > abs(high - low):
                break  # what is further away is too uncertain to say more
        if low is None or high is None:
            raise LookupError("nothing was heard in this epoch")
        return (low, high) if low <= high else (high, low)

    def drift(self, at: int) -> float:
        """Return the drift at a time, as a fraction."""
        self._settle()
        index = max(0, bisect_right(self.bins, at, key=_at) - 1)
        slowest, fastest = self._drift(index, at)
        return (slowest + fastest) / 2

    def round_trip(self, at: int) -> int:
        """Return the shortest round trip around a time."""
        index = max(0, bisect_right(self.bins, at, key=_at) - 1)
        return min(one.round_trip for one in self.bins[max(0, index - SPANS[5]) : index + 2])

    def offset(self, at: int) -> int:
        """Return the offset at a time, as conversions take it: continuous, straight between two bends."""
        line = self._line
        if line is None or not line.holds(at):
            line = self._line = self._find_line(at)
        return line.offset(at)

    def invert(self, theirs: int) -> int:
        """Return when the peer's clock showed a time."""
        at = theirs - self.bins[-1].low
        for _ in range(MAX_TURNS):  # each turn leaves at most as much of the error as the clocks drift apart
            at, before = theirs - self.offset(at), at
            if at == before:
                break
        return at

    # -- inside -----------------------------------------------------------------------------------------

    def _change(self) -> None:
        self._heard += 1
        self._line = None

    def _find_line(self, at: int) -> _Line:
        self._settle()
        bins = self.bins
        right = bisect_right(bins, at, key=_at)
        left = right - 1
        while left >= 0 and not self._bends(left):
            left -= 1
        while right < len(bins) and not self._bends(right):
            right += 1
        if left < 0 or right == len(bins):
            end = bins[right] if left < 0 else bins[left]
            start, until = (None, end.at) if left < 0 else (end.at, None)
            return _Line(start, until, end.at, self._knot(end)[0], 0, 0, self.drift(end.at))
        one, other = bins[left], bins[right]
        offset = self._knot(one)[0]
        return _Line(one.at, other.at, one.at, offset, other.at - one.at, self._knot(other)[0] - offset, 0.0)

    def _bends(self, index: int) -> bool:
        bins = self.bins
        if index == len(bins) - 1:
            return True
        if bins[index + 1].at - bins[index].at < CLOSEST_KNOTS:
            return False
        return self._knot(bins[index])[1] <= WIDEST_KNOT

    def _knot(self, one: _Bin) -> tuple[int, int]:
        is_final = one.known_at == MAX_STAMP
        if one.knot is None or not (is_final or one.known_at == self._heard):
            low, high = self.limits(one.at)
            one.knot = (low + high) // 2, (high - low + 1) // 2
            is_old = one.number + 2 * REACH < self.bins[-1].number
            one.known_at = MAX_STAMP if is_old else self._heard
        return one.knot

    def _drift(self, index: int, at: int) -> tuple[float, float]:
        """Return the limits of the drift at a time, from the stretches up to it and some ahead."""
        bins = self.bins
        slowest, fastest = -MAX_DRIFT, MAX_DRIFT
        ahead = 0
        while index + ahead < len(bins) and ahead <= REACH:
            one = bins[index + ahead]
            change = WANDER * abs(one.at - at)
            if one.slowest - change > slowest:
                slowest = one.slowest - change
            if one.fastest + change < fastest:
                fastest = one.fastest + change
            ahead = 2 * ahead if ahead else 1
        return (slowest, fastest) if slowest <= fastest else (-MAX_DRIFT, MAX_DRIFT)

    def _settle(self) -> None:
        """Find the limits of what was heard since."""
        for index in range(self._settled, len(self.bins)):
            self._find_limits(index)
        self._settled = len(self.bins)

    def _find_limits(self, index: int) -> None:
        """Find the limits of one stretch, from those before: offset, drift, and the offset again."""
        bins = self.bins
        one = bins[index]
        one.slowest, one.fastest = -MAX_DRIFT, MAX_DRIFT
        if index:
            change = WANDER * (one.at - bins[index - 1].at)
            one.slowest = max(one.slowest, bins[index - 1].slowest - change)
            one.fastest = min(one.fastest, bins[index - 1].fastest + change)
        self._find_offset(index)
        for span in SPANS:
            if span > index:
                break
            other = bins[index - span]
            dt = one.at - other.at
            # the mean drift between two moments, and by how much the present one may differ from it
            change = WANDER * dt / 2
            one.slowest = max(one.slowest, (one.low - other.high) / dt - change)
            one.fastest = min(one.fastest, (one.high - other.low) / dt + change)
        if one.slowest > one.fastest:  # the drift has changed faster than assumed
            one.slowest, one.fastest = -MAX_DRIFT, MAX_DRIFT
        self._find_offset(index)

    def _find_offset(self, index: int) -> None:
        one = self.bins[index]
        slowest, fastest = one.slowest, one.fastest
        low, high = one.least, one.most
        if one.at != one.least_at:
            low += _carry(one.at - one.least_at, slowest, fastest)[0]
        if one.at != one.most_at:
            high += _carry(one.at - one.most_at, slowest, fastest)[1]
        if index:
            before = self.bins[index - 1]
            least, most = _carry(one.at - before.at, slowest, fastest)
            low, high = max(low, before.low + least), min(high, before.high + most)
        one.low, one.high = (low, high) if low <= high else (high, low)


def _number(one: _Bin) -> int:
    return one.number


def _at(one: _Bin) -> int:
    return one.at


class ClockMap:
    """The peer's clock as seen from ours, at all times since the first exchange.

    Each exchange gives two hard limits of the offset (peer's time minus ours): at most ``heard - sent`` when
    we sent, at least ``answered - received`` when the answer came. Half the distance of the two is half the
    round trip. The limits of many exchanges are carried to the moment that is asked for, both directions
    for themselves, each widened by what the drift may have done meanwhile; what is left between the highest
    lower limit and the lowest upper one holds the truth. The estimate is its middle, the bound half of it.

    The drift has hard limits too: from one moment to another, dt later, it was on average at least (lower
    limit then - upper limit before) / dt and at most (upper - lower) / dt. It is within `MAX_DRIFT` to begin
    with, and what is known of it holds at another moment up to `WANDER` times the time between. Thus a limit
    of age dt is widened by dt times the uncertainty of the drift, and by WANDER dt² / 2.

    An exchange that contradicts all this is a suspicion: until it is settled the bound covers what was known
    and what the suspicion says. `CONFIRMED_BY` exchanges that agree with each other against what was known
    are a jump (sleep, reboot of a virtual machine, a debugger): a new epoch begins, older times are converted
    as before. As many that agree with what was known against the suspicion dispel it: a stamp was wrong.

    Notes
    -----
    The bound is honest as long as the stamps are, and the clocks drift and wander within the limits above. Of
    a jump nothing can be known before the first exchange after it. A clock that is slewed faster than
    `MAX_DRIFT` breaks with what was known of it again and again, each time as if it had jumped; a break
    smaller than `SMALLEST_STEP` is told as none. What happens between a stamp and the wire is no part of the
    bound: see `FLOOR`, and ``slack``.
    """

    def __init__(self) -> None:
        self.ignored = 0
        """Exchanges with stamps that are impossible."""
        self.outliers = 0
        """Exchanges that contradicted the others and that nothing has confirmed."""
        self._steps: deque[Step] = deque(maxlen=MAX_STEPS)
        self._epochs = [_Epoch()]
        self._recent: deque[_Exchange] = deque(maxlen=MAX_RECENT)
        """Of the present epoch."""
        self._suspects: list[_Exchange] = []
        """They contradict what is known."""
        self._waiting: list[_Exchange] = []
        """They came after a suspect, and do not."""
        self._known: tuple[int, int, int] | None = None
        """The limits at the last exchange that has sharpened them: time, least, most."""

    @property
    def steps(self) -> Sequence[Step]:
        """The jumps of one clock against the other that were found, oldest first."""
        return tuple(self._steps)

    # -- what goes in -----------------------------------------------------------------------------------

    def add(self, sent: int, heard: int, answered: int, received: int, *, slack: int = 0) -> None:
        """Take one exchange, in whatever order; impossible stamps are counted and have no effect.

        Parameters
        ----------
        sent, received : int
            When our message left and the answer came, on our clock; ns.
        heard, answered : int
            When the peer got it and answered, on the peer's clock; ns.
        slack : int
            By how much the stamps of either direction may be wrong; ns.
        """
        for stamp in (sent, heard, answered, received, slack):
            if type(stamp) is not int or not -MAX_STAMP < stamp < MAX_STAMP:
                self.ignored += 1
                return
        slack = max(0, slack)
        one = _Exchange(sent, heard - sent + slack, received, answered - received - slack)
        # while the peer is busy for seconds, a clock that runs faster makes a short round trip negative
        is_short = one.most - one.least < -MAX_DRIFT * (received - sent)
        if received < sent or answered + 2 * slack < heard or is_short:
            self.ignored += 1
            return
        self._take(one)

    def _take(self, one: _Exchange) -> None:
        if self._says_nothing(one):
            return
        epoch = self._epochs[-1]
        if epoch.since is not None and one.sent < epoch.since:
            self._take_late(one)
        elif not epoch.bins or (not self._suspects and not self._contradicts(one)):
            self._accept(one)
        elif self._contradicts(one):
            self._suspect(one)
        else:
            self._waiting.append(one)
            last = max(other.received for other in self._suspects)
            against = [
                late
                for late in self._waiting
                if late.received > last and not any(late.agrees(other) for other in self._suspects)
            ]
            if len(against) >= CONFIRMED_BY or self._is_full():
                self._dispel()

    def _says_nothing(self, one: _Exchange) -> bool:
        """Whether an exchange was so slow that it neither sharpens nor contradicts what is known."""
        if self._known is None or self._suspects:
            return False
        at, least, most = self._known
        away = max(abs(one.sent - at), abs(one.received - at))
        spare = int(away * MAX_DRIFT) + 1
        return away < NOW and one.least < least - spare and one.most > most + spare

    def _accept(self, one: _Exchange) -> None:
        epoch = self._epochs[-1]
        epoch.put(one)
        self._known = (one.received, *epoch.limits(one.received))
        self._recent.append(one)
        if sum(len(epoch.bins) for epoch in self._epochs) > MAX_BINS:
            self._epochs[0].forget(1)
            if not self._epochs[0].bins:
                self._forget_epoch()

    def _take_late(self, one: _Exchange) -> None:
        """Take an exchange that began before the last jump; one that spans a jump says nothing."""
        epoch, later = self._epoch(one.sent)
        ends_before = later is None or one.received < later.doubtful[0]
        if ends_before and one.sent > epoch.doubtful[1] and not self._contradicts(one, epoch):
            epoch.put(one)
        else:
            self.outliers += 1

    def _forget_epoch(self) -> None:
        """Forget the oldest."""
        del self._epochs[0]
        self._epochs[0].since = None

    def _contradicts(self, one: _Exchange, epoch: _Epoch | None = None) -> bool:
        """Whether an exchange cannot be true if what was known is."""
        epoch = epoch if epoch is not None else self._epochs[-1]
        return one.most < epoch.limits(one.sent)[0] or one.least > epoch.limits(one.received)[1]

    def _suspect(self, one: _Exchange) -> None:
        if any(other.received > one.received and not other.agrees(one) for other in self._recent):
            # it comes late, and the clock went on as before after it
            self.outliers += 1
            return
        self._suspects.append(one)
        allies = [other for other in self._suspects if other.agrees(one)]
        if len(allies) >= CONFIRMED_BY:
            self._begin_epoch(allies)
        elif self._is_full():
            self._dispel()

    def _is_full(self) -> bool:
        return len(self._suspects) + len(self._waiting) >= MAX_SUSPENSE

    def _dispel(self) -> None:
        """Go on as before the suspicion."""
        self.outliers += len(self._suspects)
        waiting, self._waiting, self._suspects = self._waiting, [], []
        for one in waiting:
            self._take(one)

    def _begin_epoch(self, allies: list[_Exchange]) -> None:
        """Let what a jump has been shown by be all that is known from now on."""
        before = self._epochs[-1]
        others = [one for one in self._suspects + self._waiting if one not in allies]
        proven = self._proven(allies)
        shown = max(proven, min(one.received for one in allies))
        # what came after the last proof may belong to either epoch
        kept = [one for one in self._recent if one.received <= proven] or [self._recent[0]]
        before.cut(proven // BIN)
        for one in kept:
            if one.received // BIN >= proven // BIN or not before.bins:
                before.put(one)
        since = (proven + shown) // 2
        epoch = _Epoch(since, (proven, shown))
        for one in allies:
            epoch.put(one)
        size = sum(epoch.limits(shown)) // 2 - sum(before.limits(shown)) // 2
        if abs(size) >= SMALLEST_STEP:
            self._steps.append(Step(since, size))
        self._epochs.append(epoch)
        self._known = None
        if len(self._epochs) > MAX_STEPS:
            self._forget_epoch()
        self._recent.clear()
        self._recent.extend(allies)
        self._suspects, self._waiting = [], []
        for one in others:
            if one.received > shown and all(one.agrees(ally) for ally in allies):
                self._take(one)
            else:
                self.outliers += 1

    # -- what comes out ---------------------------------------------------------------------------------

    def read(self, at: int) -> Reading | None:
        """Return what is known of the peer's clock at a time; None before the first exchange.

        Parameters
        ----------
        at : int
            On our clock, ns; of the past, or of the near future.
        """
        if not self._epochs[-1].bins:
            return None
        epoch, _ = self._epoch(at)
        offset = self.to_peer(at) - at
        limits = list(self._all_limits(at, epoch))
        low, high = min(low for low, _ in limits), max(high for _, high in limits)
        return Reading(
            at=at,
            offset=offset,
            bound=max(offset - low, high - offset, FLOOR) + 1,
            drift=epoch.drift(at) * 1e6,
            round_trip=epoch.round_trip(at),
        )

    def to_peer(self, at: int) -> int:
        """Return a time of ours on the peer's clock, ns; our own before the first exchange."""
        epoch = self._epochs[-1]
        if not epoch.bins:
            return at
        if epoch.since is not None and at < epoch.since:
            epoch, _ = self._epoch(at)
        return at + epoch.offset(at)

    def from_peer(self, theirs: int) -> int:
        """Return a time of the peer on our clock, ns; if a jump has made it twice, the later one.

        A time that was jumped over is that of the jump.
        """
        if not self._epochs[-1].bins:
            return theirs
        until: int | None = None
        for epoch in reversed(self._epochs):
            at = epoch.invert(theirs)
            if until is not None:
                at = min(at, until - 1)
            if epoch.since is None or at >= epoch.since:
                break
            until = epoch.since
        return at

    def _epoch(self, at: int) -> tuple[_Epoch, _Epoch | None]:
        """Return the epoch of a time, and the next one."""
        later = None
        for epoch in reversed(self._epochs):
            if epoch.since is None or at >= epoch.since:
                return epoch, later
            later = epoch
        raise LookupError("the first epoch has no beginning")

    def _all_limits(self, at: int, epoch: _Epoch) -> Iterator[tuple[int, int]]:
        """Yield what every possible story of the clocks says of a time."""
        yield epoch.limits(at)
        for earlier, later in pairwise(self._epochs):
            if later.doubtful[0] < at < later.doubtful[1]:
                yield earlier.limits(at)
                yield later.limits(at)
        if self._suspects and at > self._proven(self._suspects):
            for one in self._suspects:
                low, high = (
                    _carry(at - one.received, -MAX_DRIFT, MAX_DRIFT)[0],
                    MAX_DRIFT * abs(at - one.sent),
                )
                yield one.least + low, one.most + math.ceil(high)

    def _proven(self, suspects: list[_Exchange]) -> int:
        """Return until when the clock cannot have jumped yet to where suspects say that it is."""
        proofs = [
            one.received if any(one.is_above(other) for other in suspects) else one.sent
            for one in self._recent
            if not all(one.agrees(other) for other in suspects)
        ]
        return max(proofs, default=self._recent[0].sent)
