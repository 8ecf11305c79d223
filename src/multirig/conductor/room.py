"""The room on the leading PC's disk, looked at while a session goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from multirig.conductor.surroundings import in_thread
from multirig.lifecycle.defects import NEARLY_FULL
from multirig.lifecycle.watch import Notice
from multirig.wording import size

LOOK_EVERY = 2.0
"""Seconds between two looks."""


async def watch_room(
    measure: Callable[[], int | None],
    tell: Callable[[Notice, str], None],
    look: Callable[[], None] = lambda: None,
) -> None:
    """Tell once that a disk is nearly full, and once that there is room again.

    Parameters
    ----------
    measure : callable
        Returns the bytes that are free; None: not known. It may block.
    tell : callable
        Takes what is noticed.
    look : callable
        Looks at what else may happen to the session's folder; it may block.
    """
    is_short = False
    while True:
        await in_thread(look)
        free = await in_thread(measure)
        if free is not None and not is_short and free < NEARLY_FULL:
            is_short = True
            tell(Notice.DISK, f"its disk is nearly full ({size(free)} free): free space in its data folder")
        elif free is not None and is_short and free > 2 * NEARLY_FULL:
            is_short = False
            tell(Notice.ROOM, "its disk has room again")
        await asyncio.sleep(LOOK_EVERY)
