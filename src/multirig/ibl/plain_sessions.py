"""Sessions without trials: one that only lasts, and one that is never run."""

from __future__ import annotations

import time
from typing import Any

from multirig.ibl.base_session import BaseSession
from multirig.ibl.session_paths import stop_file
from multirig.ibl.task_wishes import LOOK_EVERY


class SpontaneousSession(BaseSession):
    """A session that lasts for some time, or until somebody stops it, while others record.

    Parameters
    ----------
    duration_secs : float, optional
        How long it runs; without it until a file ``.stop`` lies in the session's folder.
    **kwargs
        Those of `BaseSession`.
    """

    def __init__(self, duration_secs: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.duration_secs = duration_secs

    def start_hardware(self) -> None:
        """There is none."""

    def _run(self) -> None:
        began = time.monotonic()
        while not self.stop_requested:
            left = LOOK_EVERY
            if self.duration_secs is not None:
                left = min(left, began + self.duration_secs - time.monotonic())
            if left <= 0:
                return
            time.sleep(left)
        stop_file(self.paths).unlink(missing_ok=True)


class EmptySession(BaseSession):
    """Says where a session would go; its paths are all that it is for."""

    protocol_name = "empty"

    def start_hardware(self) -> None:
        """There is none."""

    def _run(self) -> None:
        """Do nothing."""
