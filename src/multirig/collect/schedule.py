"""When what is recorded is collected without anybody asking for it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Awaitable, Callable

from multirig.config import CollectRules

AGAIN = 15 * 60.0
"""Seconds after which is tried again what could not be collected."""
SETTLE = 5.0
"""Seconds between the end of a session and its collection: what is still written is then closed."""
LONGEST_SLEEP = 60.0
"""Seconds after which the time of day is looked at again: a PC that was asleep, or whose clock was set."""


class Schedule:
    """Waits until it is time: after each session, and again while something is left; or once a day.

    Parameters
    ----------
    rules : CollectRules
        Of the config.
    clock : callable
        Returns the time of day.
    """

    def __init__(
        self, rules: CollectRules, clock: Callable[[], datetime.datetime] = datetime.datetime.now
    ) -> None:
        self._rules, self._clock = rules, clock
        self._session_over = asyncio.Event()

    def note_session_over(self) -> None:
        """A session is over."""
        self._session_over.set()

    async def wait(self, has_left: Callable[[], Awaitable[bool]]) -> None:
        """Return when it is to be collected.

        Parameters
        ----------
        has_left : callable
            Whether anything was left the last time, so that it is tried again without a session.
        """
        if (at := self._rules.next_time(self._clock())) is not None:
            while (left := (at - self._clock()).total_seconds()) > 0:
                await asyncio.sleep(min(left, LONGEST_SLEEP))
            return
        pause = AGAIN if await has_left() else None
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._session_over.wait(), pause)
            await asyncio.sleep(SETTLE)
        self._session_over.clear()
