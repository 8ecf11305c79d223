"""Lines to an operator who waits: which rigs have not answered yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator

REMIND_AFTER = 3.0
"""Seconds until the operator hears who is waited for."""
REMIND_EVERY = 10.0
"""Seconds between two such lines."""


class Reminder:
    """Tells the operator which rigs are waited for, if it takes long."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.find_obstacle: Callable[[str], str | None] = lambda rig: None
        """Returns why a rig does not hear us, where that is known."""
        self._awaited: dict[str, None] = {}

    @contextlib.contextmanager
    def waiting(self, step: str, rigs: Iterable[str]) -> Iterator[None]:
        """Remind the operator for as long as a step takes; in an event loop."""
        self._awaited = dict.fromkeys(rigs)
        reminding = asyncio.ensure_future(self._remind(step))
        try:
            yield
        finally:
            reminding.cancel()

    def answered(self, rig: str) -> None:
        """Wait for a rig no longer."""
        self._awaited.pop(rig, None)

    async def _remind(self, step: str) -> None:
        await asyncio.sleep(REMIND_AFTER)
        while True:
            if self._awaited:
                self._tell(f"{step}: waiting for {', '.join(map(self._say, self._awaited))}")
            await asyncio.sleep(REMIND_EVERY)

    def _say(self, rig: str) -> str:
        obstacle = self.find_obstacle(rig)
        return rig if obstacle is None else f"{rig} ({obstacle})"
