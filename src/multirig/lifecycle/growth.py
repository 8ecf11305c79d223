"""Whether a recording grows: the proof that it is one."""

from __future__ import annotations

from multirig.protocol.events import SECOND
from multirig.protocol.words import Health


class Growth:
    """Tells from a recording's own figures for how long nothing has come in.

    Parameters
    ----------
    stall_after : int, optional
        Nanoseconds without growth after which a recording counts as stalled; None: never.
    """

    def __init__(self, stall_after: int | None) -> None:
        self.stall_after = stall_after
        self._most: tuple[int, int] | None = None
        self._grown_at = 0

    def begin(self, now: int) -> None:
        """A recording begins."""
        self._most = (0, 0)
        self._grown_at = now

    def end(self) -> None:
        """It is over: nothing has to grow any more."""
        self._most = None

    def measure(self, health: Health, now: int) -> None:
        """Take the figures of now."""
        if self._most is None:
            return
        most = self._most[0] if health.frames is None else health.frames, health.bytes
        # frames are what counts: a header may be written, or a preview, while no frame comes in
        grows = most[1] > self._most[1] if health.frames is None else most[0] > self._most[0]
        if health.frames is None and not health.bytes:
            grows = True  # neither frames nor bytes: a device that cannot tell stalls nowhere
        if grows:
            self._grown_at = now
        self._most = most

    def stalled(self, now: int) -> float | None:
        """Return for how many seconds nothing has come in, if that is too long."""
        if self._most is None or self.stall_after is None or now - self._grown_at <= self.stall_after:
            return None
        return (now - self._grown_at) / SECOND
