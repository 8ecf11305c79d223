"""``--wait``: a rig whose address, or whose drive, comes later than it does."""

from __future__ import annotations

import time
from collections.abc import Callable

from multirig.cli import render
from multirig.errors import NotThereYet

WAIT = 5.0
"""Seconds from one look for it to the next."""


def run_when_all_is_there(run: Callable[[], None]) -> None:
    """Run a rig; where its address or a folder is not there, say so once, and try again and again."""
    told = ""
    while True:
        try:
            return run()
        except NotThereYet as error:
            if str(error) != told:
                told = str(error)
                render.warn(f"{told}; it may come yet, and is tried every {WAIT:g} s")
            time.sleep(WAIT)
