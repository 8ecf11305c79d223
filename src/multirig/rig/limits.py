"""Runs hooks of an adapter so that each ends, whatever the adapter does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from multirig.config import Limits
from multirig.errors import AdapterError

CANCEL_LIMIT = 5.0
"""Seconds that a hook may take to notice that it was cancelled."""
T = TypeVar("T")

log = logging.getLogger("multirig.rig")


def widen(limits: Limits, least: Mapping[str, float]) -> Limits:
    """Return the limits of a rig's config, but none that is shorter than its adapter needs."""
    return limits.model_copy(
        update={step: max(getattr(limits, step), seconds) for step, seconds in least.items()}
    )


class HookLimits:
    """Ends a hook that takes too long, and remembers those that do not notice that they were ended.

    Parameters
    ----------
    limits : Limits
        Seconds that each hook may take.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stuck: dict[asyncio.Task[Any], None] = {}
        """Hooks that run though they were cancelled, in their order."""

    async def run(self, hook: str, work: Coroutine[Any, Any, T], *, more: float = 0.0) -> T:
        """Run a hook in a task of its own; whatever it does, this ends.

        Parameters
        ----------
        hook : str
            Whose limit it is.
        work : coroutine
            The hook.
        more : float
            Seconds that it may take longer.

        Raises
        ------
        AdapterError
            It did not finish in time.
        """
        limit = getattr(self._limits, hook) + more
        task = asyncio.create_task(work, name=hook)
        task.add_done_callback(self._retire)
        try:
            done, _ = await asyncio.wait([task], timeout=limit)
        finally:  # also when a stop preempts it
            if not task.done():
                self._stuck[task] = None  # at once, since a stop may preempt the wait for its end too
                task.cancel()
                await asyncio.wait([task], timeout=CANCEL_LIMIT)
            if not task.done():
                log.error("%s of the adapter does not notice that it was cancelled", hook)
        if not done:
            raise AdapterError(
                f"the adapter did not finish within {limit:g} s; look at its program or device"
            )
        if task.cancelled():
            raise AdapterError("the adapter gave up by itself (details are in this rig's log)")
        return task.result()

    def check(self) -> None:
        """Refuse to call a rig idle while a hook that was cancelled may still begin to record.

        Raises
        ------
        AdapterError
            There is one.
        """
        if self._stuck:
            hooks = ", ".join(sorted({task.get_name() for task in self._stuck}))
            raise AdapterError(f"{hooks} of the adapter still runs though it was cancelled: restart this rig")

    def stuck(self) -> list[asyncio.Task[Any]]:
        """Return the hooks that run though they were cancelled."""
        return [*self._stuck]

    def _retire(self, task: asyncio.Task[Any]) -> None:
        self._stuck.pop(task, None)
        if not task.cancelled():
            task.exception()  # one that nobody waits for any more is no news
