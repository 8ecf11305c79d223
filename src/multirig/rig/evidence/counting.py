"""How fast the frames came that a rig counted, though no file tells of them. Pure."""

from __future__ import annotations

from multirig.protocol.events import SECOND
from multirig.record.limits import RATE_SHARE

SHORT = 2.0
"""Seconds in which a rate cannot be told apart from chance."""
LATE = 1.0
"""Seconds by which the first count, or the last, may have been seen too late."""


class Counting:
    """Takes the number of frames so far, each time somebody looks; times are ns of this PC's clock."""

    def __init__(self) -> None:
        self.count: int | None = None
        """Frames so far; None: nobody counts them."""
        self._first: tuple[int, int] | None = None
        """When the count was first seen to have changed, and what it was."""
        self._last: tuple[int, int] | None = None
        """The same of the last time."""

    def look(self, count: int | None, now: int) -> None:
        """Take what has been counted."""
        if count is None or count == self.count:
            return
        if self.count is not None:
            self._last = (now, count)
            self._first = self._first or self._last
        self.count = count

    def find_wrong_rate(self, promised: float) -> float | None:
        """Return the frames a second that came, where these are not those that somebody expects."""
        if self._first is None or self._last is None:
            return None
        seconds = (self._last[0] - self._first[0]) / SECOND
        if seconds < SHORT:
            return None
        rate = (self._last[1] - self._first[1]) / seconds
        return rate if abs(rate / promised - 1) > max(RATE_SHARE, LATE / seconds) else None
