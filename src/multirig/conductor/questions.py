"""Questions that wait for their outcome."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

PATIENCE = 0.5
"""Seconds that a question may take longer than its limit."""


class Questions(Generic[Answer]):
    """Those that are open, by number; whoever asks waits for the answer."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[Answer | None]] = {}
        self._numbers = itertools.count(1)

    async def ask(self, put: Callable[[int], None], limit: float) -> Answer | None:
        """Put a question, and return its answer; None where there is none within so many seconds.

        `put` asks, with the number under which `settle` brings the outcome.
        """
        number = next(self._numbers)
        answered = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            put(number)
            await asyncio.wait([answered], timeout=limit + PATIENCE)
        finally:
            del self._open[number]
        return answered.result() if answered.done() and not answered.cancelled() else None

    def settle(self, number: int, answer: Answer | None) -> None:
        """Take the outcome of a question."""
        waiting = self._open.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def cancel(self) -> None:
        """Let everybody who waits do so no longer: there is no answer."""
        for waiting in self._open.values():
            waiting.cancel()
