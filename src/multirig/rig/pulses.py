"""Sync pulses: while a rig records it raises its line at random intervals, and notes when."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from multirig.config import SyncPulses
from multirig.errors import AdapterError, ConfigError
from multirig.protocol.clock import Reading
from multirig.rig.adapter import Adapter
from multirig.sync.pulses import PULSE_COLUMNS, PULSES_NAME, Pulse

SPREAD = 0.5
"""Intervals are between this much less and this much more than their mean, each as likely as the others:
never so short that two pulses run together, never so long that one seems to be missing."""
LIMIT = 2.0
"""Seconds that the adapter may take for a pulse beyond its length."""

log = logging.getLogger("multirig.rig")


def check_pulses(rig: str, timing: SyncPulses | None, adapter: Adapter) -> None:
    """Refuse pulses that the adapter cannot give.

    Raises
    ------
    ConfigError
        It has no `pulse` of its own.
    """
    if timing is not None and type(adapter).pulse is Adapter.pulse:
        raise ConfigError(
            f"rig {rig}: sync_pulses: the adapter {type(adapter).__name__} gives no pulses: "
            "take the key out, or use an adapter with a pulse hook"
        )


class Pulser:
    """Gives a rig's pulses.

    Parameters
    ----------
    rig : str
        Name of the rig, for its log.
    adapter : Adapter
        Whose line it is.
    timing : SyncPulses, optional
        How often and for how long; None: there are none.
    read_clock : callable
        What was known of the session clock at a time of this PC; ns.
    tell : callable
        Called with each pulse, once it is over.
    """

    def __init__(
        self,
        rig: str,
        adapter: Adapter,
        timing: SyncPulses | None,
        *,
        read_clock: Callable[[int], Reading | None],
        tell: Callable[[Pulse], None],
    ) -> None:
        self._rig = rig
        self._adapter = adapter
        self._timing = timing
        self._read_clock = read_clock
        self._tell = tell
        self._has_failed = False
        """Whether this recording's log says already that pulses fail."""

    @contextlib.asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Give pulses in the meantime; one that has begun is ended."""
        if self._timing is None:
            yield
            return
        over = asyncio.Event()
        pulsing = asyncio.create_task(self._pulse(self._timing, over))
        try:
            yield
        finally:
            over.set()
            await asyncio.wait([pulsing], timeout=self._timing.length + LIMIT)
            pulsing.cancel()

    async def _pulse(self, timing: SyncPulses, over: asyncio.Event) -> None:
        self._has_failed = False
        path = self._adapter.session.folder / PULSES_NAME
        while True:
            pause = timing.mean * random.uniform(1 - SPREAD, 1 + SPREAD)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), pause)
                return
            try:
                pulse = await self._give(timing.length)
                await asyncio.to_thread(_append, path, pulse)
            except Exception as error:  # noqa: BLE001  the log gets it; pulses never end a recording
                self._complain(error)
            else:
                self._tell(pulse)

    async def _give(self, seconds: float) -> Pulse:
        called = 0

        async def give() -> int | None:
            nonlocal called
            called = time.perf_counter_ns()  # here, since the loop may be busy before it comes to us
            return await self._adapter.pulse(seconds)

        try:
            told = await asyncio.wait_for(give(), seconds + LIMIT)
        except asyncio.TimeoutError:
            raise AdapterError(f"it was not over after {seconds + LIMIT:g} s; look at the line") from None
        rose = called if told is None else told
        reading = self._read_clock(rose)
        return Pulse(
            at=self._adapter.session.to_session_time(rose) / 1e9,
            bound=None if reading is None else reading.bound / 1e9,
            rig_time=rose,
            length=seconds,
        )

    def _complain(self, error: Exception) -> None:
        if not self._has_failed:
            told = isinstance(error, AdapterError | OSError)
            log.error(
                "%s: a sync pulse failed (%s); the recording goes on, look at the line before the next one",
                self._rig,
                error if told else f"{type(error).__name__}: {error}",
                exc_info=not told,
            )
        self._has_failed = True


def _append(path: Path, pulse: Pulse) -> None:
    """Write a line that is on its way to the disk at once: what was given stays known if the program dies."""
    bound = "" if pulse.bound is None else f"{pulse.bound:.9f}"
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            table.writerow(PULSE_COLUMNS)
        table.writerow((f"{pulse.at:.9f}", bound, pulse.rig_time, f"{pulse.length:.6g}"))
