"""``--wait``: a rig whose address, or whose drive, comes later than it does."""

from __future__ import annotations

import time
from collections.abc import Callable

from multirig.cli import render
from multirig.errors import NotThereYet

WAIT = 5.0
"""Seconds from one look for it to the next."""
LOOK = 0.5
"""Seconds until an end that is wanted is taken."""


def run_when_all_is_there(run: Callable[[], None], is_unwanted: Callable[[], bool]) -> None:
    """Run a rig; where its address or a folder is not there, say so once, and try again and again.

    Parameters
    ----------
    run : callable
        Runs it; raises NotThereYet.
    is_unwanted : callable
        Whether somebody wants its end meanwhile.
    """
    told = ""
    while True:
        try:
            run()
            return
        except NotThereYet as error:
            if str(error) != told:
                told = str(error)
                render.warn(f"{told}; it may come yet, and is tried every {WAIT:g} s")
            until = time.monotonic() + WAIT
            while time.monotonic() < until:
                if is_unwanted():
                    return
                time.sleep(LOOK)
