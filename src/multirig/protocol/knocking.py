"""Asks a peer what it can take, again and again until it answers."""

from __future__ import annotations

from dataclasses import dataclass

from multirig.protocol.events import SECOND

FIRST_PAUSE = SECOND * 15 // 100
"""Nanoseconds until the question is repeated; the pauses double up to the next one."""
LAST_PAUSE = SECOND // 2


@dataclass(slots=True)
class _Question:
    until: int
    """When nothing more is asked."""
    retry_at: int
    pause: int = FIRST_PAUSE


class Knocking:
    """What is being asked, by the bytes that question and answer shall have."""

    def __init__(self) -> None:
        self._open: dict[int, _Question] = {}

    def begin(self, size: int, now: int, limit: int) -> None:
        """Ask from now on, for so many nanoseconds; a question that is open is only asked for longer."""
        if size in self._open:
            self._open[size].until = now + limit
        else:
            self._open[size] = _Question(now + limit, now)

    def end(self, size: int) -> bool:
        """Take the answer; return whether it was waited for."""
        return self._open.pop(size, None) is not None

    def clear(self) -> None:
        """Ask nothing any more."""
        self._open.clear()

    def take_due(self, now: int) -> list[int]:
        """Return what shall be asked now."""
        due = []
        for size, one in self._open.items():
            if one.retry_at <= now:
                one.retry_at = now + one.pause
                one.pause = min(one.pause * 2, LAST_PAUSE)
                due.append(size)
        return due

    def take_late(self, now: int) -> list[int]:
        """Return, and forget, what has been asked for long enough."""
        late = [size for size, one in self._open.items() if one.until <= now]
        for size in late:
            del self._open[size]
        return late

    def __len__(self) -> int:
        return len(self._open)

    def get_timer(self) -> int | None:
        """Return when one of these has something to say, or None."""
        return min((min(one.retry_at, one.until) for one in self._open.values()), default=None)
