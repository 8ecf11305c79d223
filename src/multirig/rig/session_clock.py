"""The session clock, as a rig knows it: the clock of the conductor that leads the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from multirig.errors import ConfigError
from multirig.lifecycle.rig import RigMachine
from multirig.protocol.clock import ClockMap, Reading
from multirig.protocol.events import SECOND
from multirig.protocol.node import Node
from multirig.transports.probe import ClockPort, Exchange

WAIT_LIMIT = 5 * SECOND
"""An instant that is further away is none: one of the clocks is wrong."""

log = logging.getLogger("multirig.rig")


class SessionClock:
    """What a rig knows of the clock of whoever leads its session, or led it last.

    Parameters
    ----------
    node : Node
        Which measures the clocks of its peers.
    machine : RigMachine
        Which knows who leads.
    clock : callable
        This PC's own; ns.
    """

    def __init__(self, node: Node, machine: RigMachine, clock: Callable[[], int]) -> None:
        self._node = node
        self._machine = machine
        self._clock = clock
        self._port = ClockPort(node.boot, permits=node.permits, report=self._take_exchange)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last: ClockMap | None = None
        self._of_command: ClockMap | None = None

    def begin(self) -> None:
        """Forget the last session's: another conductor may lead the next one."""
        self._last = None

    def note_command(self) -> None:
        """Note whose command is carried out next: another conductor may lead before that is done."""
        self._of_command = self.find()

    def find(self) -> ClockMap | None:
        """Return what is known of the clock of whoever leads; of who led last, if nobody does."""
        leader = self._machine.leader
        if leader is not None and (clock := self._node.peers.clock(leader.address)) is not None:
            self._last = clock
        return self._last

    def read(self, local: int) -> Reading | None:
        """Return what was known of the session clock at a time of this PC; ns."""
        clock = self.find()
        return clock.read(local) if clock is not None else None

    def to_session_time(self, local: int) -> int:
        """Return a time of this PC on the session clock; both in nanoseconds."""
        clock = self.find()
        return clock.to_peer(local) if clock is not None else local

    def find_instant(self, planned: int | None) -> int:
        """Return when an instant on the session clock is on this PC's, as far as is known now; ns."""
        now, clock = self._clock(), self._of_command
        if planned is None or clock is None or (reading := clock.read(now)) is None:
            return now
        at = planned - reading.offset
        if at - now > WAIT_LIMIT:
            log.warning(
                "%s was to start %.1f s from now: it starts at once", self._machine.name, (at - now) / SECOND
            )
            return now
        return at

    # -- to be measured more closely than by messages -----------------------------------------------------

    def open_port(self, host: str, port: int) -> int | None:
        """Let conductors measure this PC's clock; return where, or None: they have what messages tell."""
        self._loop = asyncio.get_running_loop()
        try:
            return self._port.open(host, port)
        except ConfigError as error:
            log.warning("%s: %s; its clock is measured less closely", self._machine.name, error)
            return None

    async def close_port(self) -> None:
        """Let nobody measure it any more."""
        await asyncio.to_thread(self._port.close)

    def _take_exchange(self, boot: str, exchange: Exchange) -> None:
        """Take what the clock port has measured, from its thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the program ends
                self._loop.call_soon_threadsafe(self._node.peers.note_exchanges, boot, [exchange])
