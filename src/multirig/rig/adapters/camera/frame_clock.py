"""A source's own clock against this PC's: when its frames were taken. Pure, of bounded memory.

A frame that was stamped ``s`` by its source arrives at ``s + offset + delay``. The delay is never less than
some constant, which nothing here can see, and now and then far more: a busy network, a busy PC. The two
clocks drift apart, slowly. So the offset at any moment is the lowest that frames around it allow, where a
frame that is farther away allows as much more as the clocks can have drifted meanwhile: a lower envelope. A
frame that comes late lies above it and moves nothing.

Where the source's clock jumps or begins again (a restart, a wrap of its counter) another `Epoch` begins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from threading import Lock

SECOND = 1_000_000_000
MAX_DRIFT = 200e-6
"""One clock gains at most so much on the other: 100 ppm of the source, 100 ppm of this PC."""
WANDER = 20e-6
"""By which the drift may differ from its mean over a recording, as things grow warm."""
LONG = 30 * SECOND
"""From which on the drift is known well enough to be taken away."""
JUMP = SECOND // 20
"""By which a step of the source's clock must differ from the time that went by to be a jump."""
CONFIRMED = 10 * SECOND
"""Frames that have come late for so long are not late: the source's clock has stood still meanwhile."""
SETTLED = 2 * SECOND
"""The same, at the end of a recording and after a step: what was held up would have been made up for."""
WINDOW = 10 * SECOND
"""In each such stretch some frame is taken to come without more delay than the least."""
LEAST_FALL = 0.5
"""Share of a delay that must be made up for, to show that it was one."""
MAX_BINS = 8192
"""Stretches of which the earliest arrival is kept; when there are more, each two become one."""
TRUSTED = SECOND // 40
"""A clock whose frames are mostly later than this is none: made up by the reader, or counted."""
EPOCHS_AT_ONCE = 3
EPOCH_EVERY = 20 * SECOND
"""A clock that begins anew more often than that, and more than a few times, is none."""

FEWEST = 10
"""Intervals of which a rate can be told."""
OFF_RATE = 0.25
"""Of a period, by which an interval may differ from a number of them."""
ON_RATE = 0.97
"""Share of the intervals that must not."""
IN_A_ROW = 5
"""So many equal intervals, longer than usual, are another rate."""


@dataclass(frozen=True, slots=True)
class Point:
    """The earliest arrival of a stretch of time."""

    stamp: int
    """By the source's clock; ns."""
    offset: int
    """What this PC's clock showed when it came, less that; ns."""


class Epoch:
    """A stretch of time in which the source's clock went evenly.

    Parameters
    ----------
    stamp, offset : int
        Of its first frame; ns.
    settle : callable
        Decides what only more frames could tell for certain: call it at the end of a recording, before `fit`.
    """

    def __init__(self, stamp: int, offset: int, settle: Callable[[], None] = lambda: None) -> None:
        self.settle = settle
        self.last = stamp
        self.later: Epoch | None = None
        """To which frames from `until` on belong: that a clock had stood still is known only afterwards."""
        self.until: int | None = None
        self._width = SECOND // 2
        self._points = [Point(stamp, offset)]
        self._bin = stamp // self._width
        self._lowest = offset
        """The envelope at the newest frame, as far as it is known by then."""

    def add(self, stamp: int, offset: int) -> None:
        """Take the next frame."""
        self._lowest = min(offset, self._lowest + round(MAX_DRIFT * (stamp - self.last)))
        self.last = stamp
        number = stamp // self._width
        if number != self._bin:
            self._bin = number
            self._points.append(Point(stamp, offset))
            if len(self._points) > MAX_BINS:
                self._merge()
        elif offset < self._points[-1].offset:
            self._points[-1] = Point(stamp, offset)

    @property
    def lowest(self) -> int:
        """The offset at the newest frame, as well as it can be known without those to come; ns."""
        return self._lowest

    def split(self, stamp: int) -> Epoch:
        """Say that another epoch had begun at that time; return it."""
        points = list(self._points)
        here = bisect_left(points, stamp, key=lambda point: point.stamp)
        theirs = points[here:]
        later = Epoch(theirs[0].stamp, theirs[0].offset, self.settle)
        later._points, later._width, later._bin, later.last = theirs, self._width, self._bin, self.last
        later._lowest = min(point.offset + round(MAX_DRIFT * (self.last - point.stamp)) for point in theirs)
        self._points = points[:here]
        self.until, self.later = stamp, later
        return later

    def fit(self, first: int, last: int) -> Fit:
        """Return the offsets for frames that were stamped from `first` to `last`."""
        points = list(self._points)  # the thread that reads goes on
        drift = find_drift(points)
        slack = MAX_DRIFT if drift is None else find_slack(points, drift)
        offsets = find_envelope(points, drift or 0.0, slack)
        late = [
            Point(point.stamp, point.offset - offset) for point, offset in zip(points, offsets, strict=True)
        ]
        begin = max(0, bisect_right(points, first, key=lambda point: point.stamp) - 1)
        end = max(begin + 1, bisect_right(points, last, key=lambda point: point.stamp))
        quality = judge(late[begin:end], slack)
        return Fit([point.stamp for point in points], offsets, drift or 0.0, quality)

    def begin_bin(self, stamp: int) -> None:
        """Let the frame of that stamp begin a stretch, whatever came before it."""
        self._bin = stamp // self._width - 1

    def _merge(self) -> None:
        self._width *= 2
        self._bin //= 2
        merged: list[Point] = []
        for point in self._points:
            if merged and merged[-1].stamp // self._width == point.stamp // self._width:
                merged[-1] = min(merged[-1], point, key=lambda one: one.offset)
            else:
                merged.append(point)
        self._points = merged


@dataclass(frozen=True, slots=True)
class Fit:
    """What the source's clock showed when, for a stretch of time."""

    stamps: Sequence[int]
    """Of the source's clock, rising; ns."""
    offsets: Sequence[int]
    """What this PC's clock showed more, at each of them; ns."""
    drift: float
    """How fast that grows, before the first and after the last of them."""
    quality: Quality

    def place(self, stamp: int) -> int:
        """Return when a frame that was stamped so was there; this PC's clock, ns."""
        after = bisect_right(self.stamps, stamp)
        if after in (0, len(self.stamps)):
            end = min(after, len(self.stamps) - 1)
            return stamp + self.offsets[end] + round(self.drift * (stamp - self.stamps[end]))
        x, y = self.stamps[after - 1], self.offsets[after - 1]
        return stamp + y + (self.offsets[after] - y) * (stamp - x) // (self.stamps[after] - x)


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a clock is known."""

    bound: int
    """By how much a frame's time may be off, besides the constant delay; ns."""
    is_clock: bool
    """Whether it goes as a clock does."""


class FrameClock:
    """Follows the clock of one source, frame by frame, in the order in which they come."""

    def __init__(self) -> None:
        self._epoch: Epoch | None = None
        self._last = 0
        self._offset = 0
        """Of the frame before."""
        self._lock = Lock()
        """Held for a moment: the end of a recording is settled by another thread than the one that reads."""
        self._late_since: tuple[int, int, int, bool] | None = None
        """Stamp and arrival from which on all frames are late, by how much, and whether it began at once."""

    def add(self, stamp: int, arrival: int) -> tuple[Epoch, int]:
        """Take a frame; return its epoch, and when it was there as far as that is known now (ns).

        Parameters
        ----------
        stamp : int
            By the source's clock; ns.
        arrival : int
            By this PC's; ns.
        """
        with self._lock:
            offset, epoch = arrival - stamp, self._epoch
            fell = self._offset - offset
            if epoch is None or stamp < self._last or (fell > JUMP and offset < epoch.lowest - JUMP):
                self._epoch = epoch = Epoch(stamp, offset, self.settle)
                self._late_since = None
            else:
                epoch = self._follow(epoch, stamp, arrival)
            self._last, self._offset = stamp, offset
            return epoch, stamp + epoch.lowest

    def settle(self) -> None:
        """Decide at the end of a recording what only more frames could tell for certain."""
        with self._lock:
            epoch, late = self._epoch, self._late_since
            if epoch is not None and late is not None:
                since, arrival, _, at_once = late
                if at_once and self._last + self._offset - arrival > SETTLED:
                    self._epoch = epoch.split(since)
                    self._late_since = None

    def _follow(self, epoch: Epoch, stamp: int, arrival: int) -> Epoch:
        offset = arrival - stamp
        late = offset - epoch.lowest
        if self._late_since is None:
            if late > JUMP:
                self._late_since = stamp, arrival, late, offset - self._offset > JUMP
                epoch.begin_bin(stamp)
        elif late < LEAST_FALL * self._late_since[2]:
            self._late_since = None
        epoch.add(stamp, offset)
        if self._late_since is not None and arrival - self._late_since[1] > CONFIRMED:
            self._epoch = epoch = epoch.split(self._late_since[0])
            self._late_since = None
        return epoch


def find_drift(points: Sequence[Point]) -> float | None:
    """Return how fast the offset grows, by the edge of the lower hull below the middle; None: too short."""
    first, last = points[0].stamp, points[-1].stamp
    if last - first < LONG:
        return None
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and _is_above(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    middle = (first + last) // 2
    right = min(max(1, bisect_right(hull, middle, key=lambda point: point.stamp)), len(hull) - 1)
    begin, end = hull[right - 1], hull[right]
    slope = (end.offset - begin.offset) / (end.stamp - begin.stamp)
    return min(MAX_DRIFT, max(-MAX_DRIFT, slope))


def find_slack(points: Sequence[Point], drift: float) -> float:
    """Return by how much the drift may differ from what was found, for a while."""
    offsets = find_envelope(points, drift, MAX_DRIFT)
    late = sorted(point.offset - offset for point, offset in zip(points, offsets, strict=True))
    usual = late[len(late) // 2]
    return min(MAX_DRIFT, WANDER + 2 * usual / (points[-1].stamp - points[0].stamp))


def find_envelope(points: Sequence[Point], drift: float, slack: float) -> list[int]:
    """Return the offset at each of the points: the lowest that all of them allow."""
    lowest = [point.offset for point in points]
    for order, up in ((range(1, len(points)), -1), (range(len(points) - 2, -1, -1), 1)):
        for here in order:
            there = here + up
            distance = points[here].stamp - points[there].stamp
            allowed = lowest[there] + round(drift * distance + slack * abs(distance))
            lowest[here] = min(lowest[here], allowed)
    return lowest


def split(epoch: Epoch, stamps: Sequence[int]) -> Iterator[tuple[Epoch, Sequence[int]]]:
    """Give the stamps of an epoch, and of those that had begun meanwhile as it turned out."""
    here: Epoch | None = epoch
    while here is not None and stamps:
        until = here.until
        end = len(stamps) if until is None else bisect_left(stamps, until)
        if end:
            yield here, stamps[:end]
        stamps, here = stamps[end:], here.later


def is_clock(qualities: Sequence[Quality], duration: int) -> bool:
    """Whether what stamped the frames of so many nanoseconds, in so many epochs, is a clock at all."""
    few = len(qualities) <= EPOCHS_AT_ONCE + duration // EPOCH_EVERY
    return few and all(one.is_clock for one in qualities)


def _is_above(begin: Point, point: Point, end: Point) -> bool:
    """Whether a point is not below the line from one to the other."""
    return (point.offset - begin.offset) * (end.stamp - begin.stamp) >= (end.offset - begin.offset) * (
        point.stamp - begin.stamp
    )


def judge(late: Sequence[Point], slack: float) -> Quality:
    """Judge a fit by how late the earliest frame of each stretch was, and by what the clocks may drift."""
    worst = start = stop = 0
    for point in late:
        while late[start].stamp < point.stamp - WINDOW // 2:
            start += 1
        while stop < len(late) and late[stop].stamp <= point.stamp + WINDOW // 2:
            stop += 1
        near = (one.offset + round(2 * slack * abs(one.stamp - point.stamp)) for one in late[start:stop])
        worst = max(worst, min(near))
    ranked = sorted(point.offset for point in late)
    usual = ranked[len(ranked) // 4]  # of a short recording, a hiccup may hold up the half
    return Quality(worst + 4 * usual + round(slack * SECOND), usual < TRUSTED)


def count_missing(stamps: Sequence[int]) -> int | None:
    """Return how many frames are missing by the source's stamps; None: they follow no rate.

    An interval of twice the usual one is a missing frame, unless there are several of them in a row: that is
    a source that has slowed down; or unless the next one is as much shorter: that frame was taken late.
    """
    lengths = [max(0, end - begin) for begin, end in pairwise(stamps)]
    if len(lengths) < FEWEST:
        return None
    period = max(1, sorted(lengths)[len(lengths) // 2])
    counts = [max(1, round(length / period)) for length in lengths]
    regular = sum(
        abs(length - periods * period) < OFF_RATE * period
        for length, periods in zip(lengths, counts, strict=True)
    )
    if regular < ON_RATE * len(lengths):
        return None
    missing = 0
    for periods, row in groupby(range(len(counts)), key=counts.__getitem__):
        places = list(row)
        if periods > 1 and len(places) < IN_A_ROW:
            missing += sum(_count_after(lengths[place : place + periods], period) for place in places)
    return missing


def _count_after(lengths: Sequence[int], period: int) -> int:
    """Return how many frames are missing in the first of some intervals, less those that came soon after."""
    sums = accumulate(lengths)
    return max(0, min(round(total / period) - number for number, total in enumerate(sums, 1)))


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame was there, as far as that is known when it comes."""

    arrival: int
    """When it had come; this PC's clock, ns."""
    at: int
    """When it was there, less nothing that is constant; the same clock, ns."""
    by_source: bool = False
    """Whether the source's clock says so."""
    epoch: Epoch | None = None
    """Of the source's clock, where it is not this PC's own."""
    stamp: int = 0
    """By the source's clock; ns."""


def arrived(arrival: int) -> Moment:
    """Return the moment of a frame of which is known only when it came."""
    return Moment(arrival, arrival)
