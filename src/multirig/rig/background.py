"""What a rig does beside its hooks, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from multirig.rig.limits import CANCEL_LIMIT


class Background:
    """Tasks that nobody waits for, held so that they are not lost."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}  # in their order

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something be done."""
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    async def close(self, more: Iterable[asyncio.Task[Any]] = ()) -> None:
        """End them all, and some more; those that do not notice are left behind."""
        tasks = [*more, *self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_LIMIT)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
