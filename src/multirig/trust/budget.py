"""How much strangers may cost: so much from one address, so much from all, and no memory beyond."""

from __future__ import annotations

from collections import OrderedDict

MAX_SOURCES = 256
"""Addresses that are told apart; of more, the one that was heard longest ago is forgotten."""
SECOND = 1_000_000_000
RECENT = 600 * SECOND
"""Nanoseconds for which screens show who was refused."""


class Bucket:
    """Lets so many things through a second, and a few more at once.

    Parameters
    ----------
    rate : float
        A second.
    at_once : float
        After a pause.
    """

    __slots__ = ("_at", "_at_once", "_left", "_rate")

    def __init__(self, rate: float, at_once: float) -> None:
        self._rate = rate
        self._at_once = self._left = at_once
        self._at: int | None = None

    def take(self, now: int) -> bool:
        """Return whether one more may pass; ``now`` is in nanoseconds."""
        if self._at is not None:
            self._left = min(self._at_once, self._left + self._rate * (now - self._at) / SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def is_spent(self, now: int) -> bool:
        """Whether nothing may pass at the moment."""
        at = self._at
        return at is not None and self._left + self._rate * (now - at) / SECOND < 1


class Budget:
    """The same for each source, and for all together.

    Parameters
    ----------
    each, all_of_them : tuple of (float, float)
        A second, and at once.
    """

    def __init__(self, *, each: tuple[float, float], all_of_them: tuple[float, float]) -> None:
        self._each = each
        self._all = Bucket(*all_of_them)
        self._sources: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, source: str, now: int) -> bool:
        """Return whether one more of a source may pass."""
        bucket = self._sources.get(source)
        if bucket is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.popitem(last=False)
            bucket = self._sources[source] = Bucket(*self._each)
        else:
            self._sources.move_to_end(source)
        return bucket.take(now) and self._all.take(now)

    def is_spent(self, source: str, now: int) -> bool:
        """Whether nothing more of a source may pass at the moment; costs it nothing."""
        bucket = self._sources.get(source)
        return (bucket is not None and bucket.is_spent(now)) or self._all.is_spent(now)


NEWS = (0.2, 20)
"""Refusals that are told: a second, and at once. Of more, as with sources that are made up, none is."""


class Refusals:
    """How often each source was refused; told at the first, the tenth, the hundredth …"""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._news = Bucket(*NEWS)
        self._told: dict[str, int] = {}
        """When it was last told of a source; ns."""
        self.total = 0
        """Of all sources, also of those that are forgotten."""

    def note(self, source: str, now: int, *, from_count: int = 1) -> int | None:
        """Count one more; return how many there were if that is to be told.

        Parameters
        ----------
        source : str
            Who was refused.
        now : int
            Nanoseconds.
        from_count : int
            Fewer than so many are not told.
        """
        self.total += 1
        count = self._counts.get(source, 0) + 1
        if count == 1 and len(self._counts) >= MAX_SOURCES:
            if self._news.is_spent(now):  # nobody is forgotten for addresses that are made up
                return None
            forgotten, _ = self._counts.popitem(last=False)
            self._told.pop(forgotten, None)
        self._counts[source] = count
        is_new = from_count == 1 and source not in self._told  # those before it were usual
        is_due = count >= from_count and (count in _ROUND or is_new)
        if not is_due or not self._news.take(now):
            return None
        self._counts.move_to_end(source)
        self._told[source] = now
        return count

    def note_quietly(self, source: str, now: int) -> bool:
        """Count one more unless that is to be told; return whether it was counted."""
        count = self._counts.get(source)
        if count is None and len(self._counts) < MAX_SOURCES:
            return False
        if (count is None or count + 1 in _ROUND) and not self._news.is_spent(now):
            return False
        if count is not None:
            self._counts[source] = count + 1
        self.total += 1
        return True

    def forgive(self, source: str, fewer_than: int) -> None:
        """Forget a source of which few were refused: it has proved now that it is of the lab."""
        if self._counts.get(source, 0) < fewer_than:
            self._counts.pop(source, None)
            self._told.pop(source, None)

    def counts(self) -> dict[str, int]:
        """Return how often each was refused; whom it was told of last stands at the end."""
        return dict(self._counts)

    def recent(self, now: int) -> dict[str, int]:
        """Return the same of those of whom it was told lately; for screens."""
        since = now - RECENT
        return {one: count for one, count in self._counts.items() if self._told.get(one, since - 1) >= since}


_ROUND = frozenset(10**power for power in range(19))
