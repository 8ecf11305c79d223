"""What is told of a session, for all threads: the session's own writes, the channel reads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from multirig.dashboard.leading.teller import Teller
from multirig.dashboard.snapshot import SessionNow


class Board:
    """Guards a `Teller`, and wakes whoever waits for a change."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._lock = threading.Lock()
        self._on_change: list[Callable[[], None]] = []

    @property
    def now(self) -> SessionNow:
        """What is told at the moment."""
        return self._teller.now

    def tell(self, change: Callable[[Teller], None]) -> None:
        """Let something be told; may be called from any thread."""
        with self._lock:
            before = self._teller.now.revision
            change(self._teller)
            has_changed = self._teller.now.revision != before
        if has_changed:
            for callback in list(self._on_change):
                callback()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each change, in the thread of whoever told; it must not block."""
        self._on_change.append(callback)
