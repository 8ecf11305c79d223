"""What holds up a copy: an operator who ends it, a recording on this PC, a limit of the network's share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from multirig.errors import MultirigError
from multirig.pc.recording import is_recording

LOOK_EVERY = 0.1
"""Seconds between two looks whether anything is recorded: a recording is got ready for longer than that."""


class Ended(MultirigError):
    """The copy was told to end."""


class Control:
    """Asked before each piece of work, of any thread; it returns when the piece may be done.

    Parameters
    ----------
    rate : float, optional
        Bytes a second that all threads together may move; None: as many as they can.
    is_busy : callable
        Whether anything is recorded on this PC.
    clock : callable
        Seconds, never backwards.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        is_busy: Callable[[], bool] = is_recording,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate = rate
        self.moved = 0
        """Bytes that were copied, by all threads."""
        self.waits = False
        """Whether it steps aside now: something is recorded."""
        self._is_busy, self._clock = is_busy, clock
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._free_at = 0.0
        """When the bytes that were moved are paid for."""

    def end(self) -> None:
        """Let no more be done."""
        self._end.set()

    @property
    def is_ended(self) -> bool:
        """Whether no more is to be done."""
        return self._end.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, unless it is to end; return whether it is."""
        return self._end.wait(seconds)

    def may_go_on(self) -> None:
        """Wait while something is recorded on this PC. Raises Ended."""
        with self._lock:
            now = self._clock()
            looks = now - self._looked_at >= LOOK_EVERY or self.waits
            if looks:
                self._looked_at = now
                self.waits = self._is_busy()
        while self.waits:
            if self._end.wait(LOOK_EVERY):
                break
            self.waits = self._is_busy()
        self.raise_if_ended()

    def raise_if_ended(self) -> None:
        """Raise Ended if it is to end; it never waits."""
        if self._end.is_set():
            raise Ended("the copy was ended; it goes on from here when it is begun again")

    def must_wait(self) -> bool:
        """Look whether something is recorded on this PC now; it never waits."""
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= LOOK_EVERY or self.waits:
                self._looked_at = now
                self.waits = self._is_busy()
            return self.waits

    def count(self, size: int) -> None:
        """Take note of bytes that were moved, and wait as the limit demands. Raises Ended."""
        with self._lock:
            self.moved += size
        self.pay(size)

    def pay(self, size: int) -> None:
        """Wait as the limit demands for bytes that are no progress: read back, say. Raises Ended."""
        with self._lock:
            if not self.rate:
                return
            now = self._clock()
            self._free_at = max(self._free_at, now) + size / self.rate
            pause = self._free_at - now
        if pause > 0 and self._end.wait(pause):
            self.may_go_on()
