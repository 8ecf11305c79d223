"""Who looks on: observers, whom a rig tells how it is though they do not lead it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from multirig.protocol.events import SECOND, Address, Tell, Token
from multirig.protocol.words import Report

TELL_EVERY = SECOND
"""Between two heartbeats to whoever looks on: a screen needs no more."""
TELL_AGAIN = SECOND // 5
"""After a change: what is told once may be lost, and nobody shall wait a second for it."""
LONGEST_LEASE = 30.0
"""Seconds for which somebody is told without asking again: a screen that is closed is soon forgotten."""
MAX_WATCHERS = 16
"""Observers at once; past it one goes of the PC that has most, the one that has not asked for longest."""


@dataclass(slots=True)
class _Lease:
    """One observer."""

    address: Address
    until: int


class Watchers:
    """Keeps the leases of observers: each is told for so long, and has no say."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}
        """By the boot id of their programs, the one that has asked last at the end."""
        self._tell_at: int | None = None

    def __bool__(self) -> bool:
        return bool(self._leases)

    def watch(self, token: Token, seconds: float, now: int) -> None:
        """Begin a lease, or go on with one; 0 s end it."""
        self._leases.pop(token.peer, None)
        if seconds > 0:
            while len(self._leases) >= MAX_WATCHERS:
                del self._leases[self._find_one_too_many()]
            until = now + round(min(seconds, LONGEST_LEASE) * SECOND)
            self._leases[token.peer] = _Lease(token.address, until)
            if self._tell_at is None:
                self._tell_at = now + TELL_EVERY

    def _find_one_too_many(self) -> str:
        counts = Counter(one.address.host for one in self._leases.values())
        return max(self._leases, key=lambda boot: counts[self._leases[boot].address.host])

    def get_timer(self) -> int | None:
        """Return when somebody is to be told, or None."""
        return self._tell_at if self._leases else None

    def is_due(self, now: int) -> bool:
        """Whether it is time for a heartbeat."""
        return self._tell_at is not None and self._tell_at <= now

    def tell(self, report: Report, now: int, *, is_news: bool, besides: str | None) -> list[Tell]:
        """Tell everybody whose lease lasts.

        Parameters
        ----------
        report : Report
        now : int
        is_news : bool
            Whether something has changed; it is told again soon.
        besides : str or None
            Boot id of whoever is told anyway, since it leads.
        """
        self._leases = {boot: one for boot, one in self._leases.items() if one.until > now}
        pause = TELL_AGAIN if is_news else TELL_EVERY
        self._tell_at = now + pause if self._leases else None
        told = (one.address for boot, one in self._leases.items() if boot != besides)
        return [Tell(address=address, word=report) for address in told]
