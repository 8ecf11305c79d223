"""How many frames the program has reported, written and lost, and how fast they come."""

from __future__ import annotations

import time
from collections import deque

RATE_WINDOW = 2.0
"""Seconds over which the rate is taken; programs report their progress about once a second."""
ANEW = 0.5
"""Of a count of frames, below which it has begun anew."""


class Progress:
    """What the program said of its progress."""

    def __init__(self) -> None:
        self.frames: int | None = None
        """Frames so far, in all its files; None before the first report."""
        self.dropped = 0
        """Frames that it has lost so far, in all its files."""
        self._newest = 0
        """What it said last of its frames; it may count anew in each file."""
        self._newest_dropped = 0
        """The same of those that it has lost."""
        self._reports: deque[tuple[float, int]] = deque()

    def add_dropped(self, dropped: int) -> None:
        """Take in a report of what it has lost."""
        self.dropped += _count_on(self._newest_dropped, dropped)
        self._newest_dropped = dropped

    def add(self, frames: int) -> None:
        """Take in a report that has just come."""
        now = time.perf_counter()
        if self.frames is None:
            self.frames = 0
        if frames >= self._newest or frames <= self._newest * ANEW:  # else two lines have changed places
            self.frames += _count_on(self._newest, frames)
            self._newest = frames
        self._reports.append((now, self.frames))
        while len(self._reports) > 2 and self._reports[1][0] < now - RATE_WINDOW:
            self._reports.popleft()

    def measure_rate(self) -> float | None:
        """Return frames per second over the last seconds; 0 once no more come, None before two reports."""
        if len(self._reports) < 2:
            return None
        (first_time, first), (before_time, _) = self._reports[0], self._reports[-2]
        last_time, last = self._reports[-1]
        # a program may report less often than this looks back
        patience = max(RATE_WINDOW, 2 * (last_time - before_time))
        if time.perf_counter() > last_time + patience:
            return 0.0
        return (last - first) / (last_time - first_time)


def _count_on(before: int, now: int) -> int:
    """Return by how much a counter has gone on that may have begun anew."""
    return now - before if now >= before else now
