"""The other side's clock, from the four stamps of an exchange."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offset:
    """How far the peer's clock is ahead of ours."""

    offset: int
    """Nanoseconds to add to our time to get the peer's."""
    bound: int
    """Nanoseconds either way: half the round trip, the most that an asymmetric path can hide."""
    at: int
    """Our time when it was measured."""


class ClockEstimate:
    """Keeps the best of the recent exchanges: the one with the shortest round trip.

    Source: Cristian's method; the offset of an exchange is exact up to half of its round trip.
    """

    WINDOW = 64
    """Exchanges that are kept; older ones may have drifted away."""

    def __init__(self) -> None:
        self._recent: deque[Offset] = deque(maxlen=self.WINDOW)
        self._best: Offset | None = None

    def add(self, sent: int, heard: int, answered: int, received: int) -> None:
        """Take one exchange, in nanoseconds.

        Parameters
        ----------
        sent, received : int
            When our message left and the answer came, on our clock.
        heard, answered : int
            When the peer got it and answered, on the peer's clock.
        """
        round_trip = (received - sent) - (answered - heard)
        if round_trip < 0 or answered < heard:
            return  # stamps of another conversation, or a clock that stepped
        offset = Offset(((heard - sent) + (answered - received)) // 2, round_trip // 2 + 1, received)
        leaves = self._recent[0] if len(self._recent) == self.WINDOW else None
        self._recent.append(offset)
        if self._best is None or offset.bound <= self._best.bound:
            self._best = offset
        elif leaves is self._best:
            self._best = min(self._recent, key=lambda one: one.bound)

    @property
    def best(self) -> Offset | None:
        """The exchange with the shortest round trip of the window; None before the first."""
        return self._best
