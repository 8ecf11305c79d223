"""Sync pulses: while a rig records it raises its line at random intervals, and notes when."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from multirig.config import SyncPulses
from multirig.errors import AdapterError, ConfigError
from multirig.protocol.clock import Reading
from multirig.rig.adapter import Adapter, Session
from multirig.rig.computer import Computer
from multirig.sync.pulses import Pulse

SPREAD = 0.5
"""Intervals are between this much less and this much more than their mean, each as likely as the others:
never so short that two pulses run together, never so long that one seems to be missing."""
LIMIT = 2.0
"""Seconds that the adapter may take for a pulse beyond its length."""

log = logging.getLogger("multirig.rig")


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
    computer : Computer
        The PC: its clock and its dice.
    read_session_clock : callable
        What was known of the session clock at a time of this PC; ns.
    write : callable
        Writes a pulse into the session.
    report : callable
        Called with each pulse, once it is over.

    Raises
    ------
    ConfigError
        The adapter has no `pulse` of its own.
    """

    def __init__(
        self,
        rig: str,
        adapter: Adapter,
        timing: SyncPulses | None,
        *,
        computer: Computer,
        read_session_clock: Callable[[int], Reading | None],
        write: Callable[[Session, Pulse], Awaitable[None]],
        report: Callable[[Pulse], None],
    ) -> None:
        if timing is not None and type(adapter).pulse is Adapter.pulse:
            raise ConfigError(
                f"rig {rig}: sync_pulses: the adapter {type(adapter).__name__} gives no pulses: "
                "take the key out, or use an adapter with a pulse hook"
            )
        self._rig = rig
        self._adapter = adapter
        self._timing = timing
        self._computer = computer
        self._read_session_clock = read_session_clock
        self._write = write
        self._report = report
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
        session = self._adapter.session
        while True:
            pause = timing.mean * self._computer.draw(1 - SPREAD, 1 + SPREAD)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), pause)
                return
            try:
                pulse = await self._give(timing.length)
                await self._write(session, pulse)
            except Exception as error:  # noqa: BLE001  the log gets it; pulses never end a recording
                self._complain(error)
            else:
                self._report(pulse)

    async def _give(self, seconds: float) -> Pulse:
        called = 0

        async def give() -> int | None:
            nonlocal called
            called = self._computer.read_clock()  # here, since the loop may be busy before it comes to us
            return await self._adapter.pulse(seconds)

        try:
            told = await asyncio.wait_for(give(), seconds + LIMIT)
        except asyncio.TimeoutError:
            raise AdapterError(f"it was not over after {seconds + LIMIT:g} s; look at the line") from None
        rose = called if told is None else told
        reading = self._read_session_clock(rose)
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
