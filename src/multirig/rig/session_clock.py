"""The session clock, as a rig knows it: the clock of the conductor that leads the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from multirig.errors import ConfigError
from multirig.lifecycle.rig import RigMachine
from multirig.protocol.clock import SMALLEST_STEP, ClockMap, Reading, Step
from multirig.protocol.events import SECOND
from multirig.protocol.node import Node
from multirig.protocol.words import Finding, Level
from multirig.transports.probe import ClockPort, Exchange
from multirig.trust.admission import Admission
from multirig.wording import span

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
        self._port = ClockPort(
            node.boot,
            permits=lambda host: node.door.admits(host) is Admission.OPEN,
            report=self._take_exchange,
            find_seal=node.door.find_clock_seal,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last: ClockMap | None = None
        self._of_command: ClockMap | None = None
        self._changes: list[Step] = []
        """Jumps since another map took the place of one before: another conductor leads."""

    def begin(self) -> None:
        """Forget the last session's: another conductor may lead the next one."""
        self._last = None
        self._changes.clear()

    def note_command(self) -> None:
        """Note whose command is carried out next: another conductor may lead before that is done."""
        self._of_command = self.find()

    def find(self) -> ClockMap | None:
        """Return what is known of the clock of whoever leads; of who led last, if nobody does."""
        leader = self._machine.leader
        if leader is not None and (clock := self._node.peers.clock(leader.address)) is not None:
            if clock is not self._last:
                self._change(clock)
            self._last = clock
        return self._last

    def _change(self, clock: ClockMap) -> None:
        """Note what it means to the times of a recording that they are made with another map from now on."""
        now = self._clock()
        before, after = self._last.read(now) if self._last is not None else None, clock.read(now)
        if before is not None and after is not None:
            size = after.offset - before.offset
            if abs(size) > before.bound + after.bound + SMALLEST_STEP:
                self._changes.append(Step(now, size))

    def find_jumps(self, since: int) -> tuple[Finding, ...]:
        """Return how the clock by which times are stamped has jumped since a time of this PC, ns."""
        clock = self.find()
        steps = [*(clock.steps if clock is not None else ()), *self._changes]
        jumps = sorted((step for step in steps if step.at >= since), key=lambda step: step.at)
        more = f", the first of {len(jumps)} jumps" if len(jumps) > 1 else ""
        return tuple(
            Finding(
                level=Level.WARNING,
                kind="clock",
                text=f"its view of the leading PC's clock jumped by {_say_size(step)}{more}: "
                "times before and after that cannot be compared; did a PC sleep, or was its clock set?",
                at=self.to_session_time(step.at) / SECOND,
                until=self.to_session_time(step.at) / SECOND,
            )
            for step in jumps[:1]
        )

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


def _say_size(step: Step) -> str:
    return span(abs(step.size) / SECOND, digits=1)
