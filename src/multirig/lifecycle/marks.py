"""Which markers the rigs have, and which are still on their way: the journal has all of them."""

from __future__ import annotations

from collections import Counter, deque

from multirig.lifecycle.step import LinkOutcome
from multirig.protocol.events import Replied
from multirig.protocol.words import Marker

MARK = "mark"
"""Kind of their keys: the outcome of one comes under ``(MARK, rig)``."""
WINDOW = 50
"""Markers that may be on their way to a rig: more at once, and it takes none of them."""


class Marks:
    """Lets markers go to the rigs, each at the pace at which it confirms them."""

    def __init__(self) -> None:
        self._on_way: Counter[str] = Counter()
        self._waiting: dict[str, deque[Marker]] = {}
        self._lost: Counter[str] = Counter()

    def begin(self) -> None:
        """Another session begins."""
        self._on_way.clear()
        self._waiting.clear()
        self._lost.clear()

    def add(self, name: str, marker: Marker) -> list[Marker]:
        """Take a marker for a rig; return what may leave now."""
        self._waiting.setdefault(name, deque()).append(marker)
        return self._release(name)

    def take(self, name: str, event: LinkOutcome) -> list[Marker]:
        """Take what became of one; return what may leave now."""
        self._on_way[name] -= 1
        if not isinstance(event, Replied):
            self._lost[name] += 1
        return self._release(name)

    def count_open(self) -> Counter[str]:
        """Return how many each rig has not confirmed yet, where there are some."""
        return +(self._on_way + Counter({name: len(rest) for name, rest in self._waiting.items()}))

    def count_lacking(self) -> Counter[str]:
        """Return how many each rig may lack, where there are some."""
        return self.count_open() + self._lost

    def _release(self, name: str) -> list[Marker]:
        waiting = self._waiting.get(name, deque())
        leaving = [waiting.popleft() for _ in range(min(len(waiting), WINDOW - self._on_way[name]))]
        self._on_way[name] += len(leaving)
        return leaving
