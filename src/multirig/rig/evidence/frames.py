"""What the times of frames tell of them, taken one by one: rate, gaps, bursts. Pure, and of bounded memory.

A camera adapter has one `FrameStatistics` for each file; clock tables are read through one as well::

    statistics = FrameStatistics()
    ...
    statistics.add(stamp)  # of each frame that is in the file, in the file's order; takes a microsecond
    ...
    evidence = statistics.conclude(session.to_session_time, asked=30.0)
    File(..., frames=statistics.count, evidence=replace(evidence, source="left", stamped_by="arrival"))
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from multirig.protocol.words import Evidence
from multirig.record.limits import find_fair_gap

SECOND = 1_000_000_000
HOLES = 16
"""Intervals that are remembered, the longest: in which of them frames are missing is judged at the end."""
MARKS = 64
"""Times that are remembered for the rate, at equal numbers of frames: so many, or up to twice as many."""
BLOCKS = 16
"""Stretches of equal numbers of frames, of whose rates the middle one counts."""
CATCH_UP = 5 * SECOND
"""After a hole, within which frames that were held up come: or as long as the hole was, if that is less."""
BURST = 0.25
"""Of a period: frames that follow each other in less were held up somewhere."""
STEADY = 0.2
"""Of a period, by which almost all intervals of a steady source may differ from it."""
ALMOST_ALL = 0.99
OFTEN = 0.05
"""Share of the intervals that must be alike to be the usual ones."""
MANY = 0.1
"""Share of the frames that came in bursts, from which on they may be in the middle of all."""
_FINE = 3
"""Bits: each doubling of the length of an interval is counted in eight steps."""


@dataclass(slots=True)
class Hole:
    """Two neighbours that are far from each other."""

    begin: int
    """Time of the first of them, ns."""
    end: int
    """Time of the second, ns."""
    number: int
    """Of the second, counted from 1."""
    after: int | None = None
    """Frames that came within as long again as the hole, `CATCH_UP` at most; None: that is not over."""

    @property
    def length(self) -> int:
        """Nanoseconds."""
        return self.end - self.begin

    @property
    def until(self) -> int:
        """Until when frames count that were held up by it."""
        return self.end + min(self.length, CATCH_UP)


class FrameStatistics:
    """Counts the times of the frames, samples or rows of one file, in the order in which they are in it.

    Times are nanoseconds on any one clock that goes evenly. Call it from one thread at a time.
    """

    def __init__(self) -> None:
        self.count = 0
        """Frames."""
        self.first: int | None = None
        """Time of the first one."""
        self.last: int | None = None
        """Time of the last one."""
        self.backwards = 0
        """Frames whose time is not later than that of the frame before."""
        self._marks: list[int] = []
        self._stride = 1
        self._lengths: dict[int, int] = {}
        """How many intervals there were of each length, by `_find_step`."""
        self._holes: list[tuple[int, int, Hole]] = []
        """The longest intervals, as a heap."""
        self._open: list[Hole] = []
        """Those of which the time after them is not over."""

    def add(self, stamp: int) -> None:
        """Take the next frame's time."""
        last, self.last = self.last, stamp
        number = self.count
        self.count = number + 1
        if number % self._stride == 0:
            self._mark(stamp)
        if last is None:
            self.first = stamp
            return
        length = stamp - last
        if length <= 0:
            self.backwards += 1
            length = 0
        step = _find_step(length)
        self._lengths[step] = self._lengths.get(step, 0) + 1
        if self._open:
            self._close(stamp)
        if len(self._holes) < HOLES or length > self._holes[0][0]:
            self._note(Hole(last, stamp, number + 1))

    def extend(self, stamps: Iterable[int]) -> None:
        """Take the times of further frames."""
        for stamp in stamps:
            self.add(stamp)

    @property
    def rate(self) -> float | None:
        """Frames a second in the middle: holes, bursts and a bad quarter move it little; None: too few."""
        middle, usual = self._find_middle_rate(), self._find_usual_rate()
        if middle is None or usual is None or self.first is None or self.last is None:
            return middle
        if self._count_shorter(BURST * SECOND / usual) < MANY * self.count or self.last <= self.first:
            return middle
        mean = (self.count - 1) * SECOND / (self.last - self.first)
        return min(middle, mean, key=lambda rate: abs(math.log(rate / usual)))

    def _find_usual_rate(self) -> float | None:
        """Return about how many frames a second there are in most of the time that is no hole."""
        best = most = 0.0
        for low in self._lengths:
            alike = [(step, number) for step, number in self._lengths.items() if 0 <= step - low < 1 << _FINE]
            intervals = sum(number for _, number in alike)
            took = sum(number * _find_length(step) for step, number in alike)
            if took > most and intervals >= OFTEN * self.count:
                best, most = intervals * SECOND / took, took
        return best or None

    def _find_middle_rate(self) -> float | None:
        parts = max(1, (len(self._marks) - 1) // BLOCKS)
        marks = self._marks[::parts]
        lengths = [end - begin for begin, end in pairwise(marks) if end > begin]
        return self._stride * parts * SECOND / statistics.median(lengths) if len(lengths) > 1 else None

    @property
    def is_steady(self) -> bool:
        """Whether almost all intervals are alike: then the rate is one, and no average of anything."""
        if (rate := self.rate) is None:
            return False
        period = SECOND / rate
        low, high = _find_step(int(period * (1 - STEADY))), _find_step(int(period * (1 + STEADY)))
        alike = sum(number for step, number in self._lengths.items() if low <= step <= high)
        return alike >= ALMOST_ALL * (self.count - 1)

    def conclude(
        self, to_session_time: Callable[[int], int] = lambda stamp: stamp, *, asked: float | None = None
    ) -> Evidence:
        """Return what the times tell: rate, longest gap, missing, backwards, bursts and their bound.

        ``missing`` counts frames in holes that are longer than a source of this rate may have, less those
        that came late, in a burst; where a source numbers its frames, put what the numbers tell there.
        ``longest_gap`` is the longest hole in which frames are missing, or else the longest interval.
        ``bound`` says by how much frames that came in a burst may be stamped too late; None: there was none,
        or the source's own clock has stamped them (say so by ``stamped_by``).

        Parameters
        ----------
        to_session_time : callable, optional
            From the clock of the times to the conductor's; ns.
        asked : float, optional
            Frames a second that were asked of the source, or that it has promised.
        """
        longest = max((hole for _, _, hole in self._holes), key=lambda hole: hole.length, default=None)
        evidence = Evidence(asked=asked, rate=self.rate, backwards=self.backwards)
        if (rate := self.rate or asked) is not None and longest is not None:
            losses = [(self._count_lost(hole, rate), hole) for _, _, hole in self._holes]
            most, worst = max(losses, key=lambda loss: loss[0])
            longest = worst if most else longest
            bursts = self._count_shorter(BURST * SECOND / rate)
            evidence = replace(
                evidence,
                missing=sum(lost for lost, _ in losses),
                bursts=bursts,
                bound=max(self._measure_lateness(hole, rate) for _, hole in losses) if bursts else None,
            )
        if longest is None:
            return evidence
        return replace(
            evidence,
            longest_gap=longest.length / SECOND,
            gap_at=to_session_time(longest.begin) / SECOND,
        )

    def _mark(self, stamp: int) -> None:
        self._marks.append(stamp)
        if len(self._marks) > 2 * MARKS:
            del self._marks[1::2]
            self._stride *= 2

    def _note(self, hole: Hole) -> None:
        """Keep a hole, in the place of the shortest that is kept."""
        entry = (hole.length, hole.number, hole)
        if len(self._holes) < HOLES:
            heapq.heappush(self._holes, entry)
        else:
            dropped = heapq.heappushpop(self._holes, entry)[2]
            self._open = [one for one in self._open if one is not dropped]
        self._open.append(hole)

    def _close(self, stamp: int) -> None:
        """End the time after holes that is over by now; the newest frame is not in it any more."""
        for hole in self._open:
            if stamp > hole.until:
                hole.after = self.count - 1 - hole.number
        self._open = [hole for hole in self._open if hole.after is None]

    def _count_held_up(self, hole: Hole, rate: float) -> float:
        """Return how many frames of a hole came after it, over those that were due then."""
        came, until = hole.after, hole.until
        if came is None:  # the recording ended before
            came, until = self.count - hole.number, self.last or until
        return max(0.0, came - max(0, until - hole.end) / SECOND * rate)

    def _count_lost(self, hole: Hole, rate: float) -> int:
        """Return how many frames are missing in a hole that is longer than it may be."""
        lost = hole.length / SECOND * rate - 1 - self._count_held_up(hole, rate)
        return round(lost) if (lost + 1) / rate > find_fair_gap(rate) else 0

    def _measure_lateness(self, hole: Hole, rate: float) -> float:
        """Return by how many seconds a frame may have come late after a hole."""
        return min(hole.length / SECOND, self._count_held_up(hole, rate) / rate)

    def _count_shorter(self, length: float) -> int:
        """Return how many intervals are shorter than so many nanoseconds."""
        limit = _find_step(int(length))
        return sum(number for step, number in self._lengths.items() if step < limit)


def _find_length(step: int) -> float:
    """Return the length, in nanoseconds, in the middle of a step."""
    if step < 2 << _FINE:
        return float(step)
    bits = (step >> _FINE) - 1
    return (step - (bits << _FINE) + 0.5) * (1 << bits)


def _find_step(length: int) -> int:
    """Return the step of an interval: longer ones have higher steps, eight to each doubling."""
    if length < 2 << _FINE:
        return length
    bits = length.bit_length() - 1 - _FINE
    return (bits << _FINE) + (length >> bits)
