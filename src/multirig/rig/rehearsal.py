"""Where a rig records when it rehearses, and how that is removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import Commanded
from multirig.protocol.messages import Event
from multirig.rig.memory import memory_file

FOLDER = ".multirig_rehearsal"
LIMIT = 120.0
"""Seconds after which a rehearsal that nobody ends is ended by the rig itself."""

log = logging.getLogger("multirig.rig")


class RehearsalLimit:
    """Ends a rehearsal that nobody ends.

    Parameters
    ----------
    machine : RigMachine
        Which knows whether the session is a rehearsal.
    feed : callable
        Takes what the rules are to be told.
    """

    def __init__(self, machine: RigMachine, feed: Callable[[Commanded], None]) -> None:
        self._machine = machine
        self._feed = feed
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin a session; one that is a rehearsal has its limit."""
        self.end()
        if self._machine.rehearses:
            self._timer = asyncio.get_running_loop().call_later(LIMIT, self._break_off)

    def end(self) -> None:
        """End nothing."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _break_off(self) -> None:
        if self._machine.rehearses:
            log.warning("%s ends a rehearsal that nobody has ended", self._machine.name)
            self._feed(Commanded(event=Event.EXPCLEANUP))


def rehearsal_folder(data_folder: Path, name: str) -> Path:
    """Return what stands in the place of the data folder; each rig has one of its own."""
    return data_folder / FOLDER / memory_file(data_folder, name).stem.lstrip(".")


def remove_rehearsal(folder: Path) -> None:
    """Remove what was recorded in a rehearsal; what is in use still is removed at the next one."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("%s could not be removed; the next start of this rig tries again", folder)
    with contextlib.suppress(OSError):  # another rig rehearses beside this one
        folder.parent.rmdir()
