"""Keeps the rigs' clocks measured while a session is led, or looked at."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date as Date
from datetime import datetime

from multirig.errors import AgreementError, SessionFailed
from multirig.lifecycle.clock_gate import ClockGate, KnownClock, Objection, Reaction, judge_clocks
from multirig.lifecycle.days import day_here
from multirig.lifecycle.session_events import ClockRead
from multirig.protocol.events import SECOND, Address
from multirig.protocol.words import Info, Report
from multirig.runtime import Runtime
from multirig.transports.probe import ClockProber, Target

EVERY = 4.0
"""Seconds between two looks at all clocks: a crystal that gains 10 ppm has gone astray by 40 µs."""

log = logging.getLogger("multirig.conductor")


class Clocks:
    """Measures the rigs' clocks, and tells what is known of them.

    Parameters
    ----------
    runtime : Runtime
        Of the node whose links keep what is known.
    reports : callable
        Returns what each rig last said of itself.
    report : callable
        Takes what is known of a clock after each look at it.
    """

    def __init__(
        self,
        runtime: Runtime,
        reports: Callable[[], Mapping[str, Report]],
        *,
        report: Callable[[ClockRead], None],
    ) -> None:
        self._runtime = runtime
        self._reports = reports
        self._report = report
        self._prober: ClockProber | None = None
        self._ports: dict[str, int] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._addresses: Mapping[str, Address] = {}
        self._steps_before: dict[str, int] = {}
        """How often each clock had jumped when the rigs agreed."""

    def follow(self, addresses: Mapping[str, Address]) -> None:
        """Say where the rigs are, by name."""
        self._addresses = addresses

    def note_port(self, rig: str, port: int | None) -> None:
        """Take where a rig's clock can be measured, if it says so."""
        if port is not None:
            self._ports[rig] = port

    async def measure(self) -> None:
        """Look at all clocks now."""
        targets = list(self._targets())
        if targets:
            if self._prober is None:
                self._prober = ClockProber(self._runtime.node.boot)
            measured = await asyncio.wrap_future(self._prober.measure(targets))
            for boot, exchanges in measured.items():
                self._runtime.node.peers.note_exchanges(boot, exchanges)
        for read in self._read():
            self._report(read)

    def begin(self) -> None:
        """Note what is known as the rigs agree: jumps count from here."""
        self._steps_before = {
            rig: len(clock.steps)
            for rig, address in self._addresses.items()
            if (clock := self._runtime.node.peers.clock(address)) is not None
        }

    def judge(
        self, gate: ClockGate, told: Mapping[str, Info], *, date: Date, now: datetime
    ) -> Sequence[Objection]:
        """Return what speaks against a start.

        Parameters
        ----------
        gate : ClockGate
            What follows from what.
        told : mapping of str to Info
            What each rig that takes part said when it agreed.
        date : datetime.date
            On this PC, when the rigs agreed.
        now : datetime.datetime
            The time of day on this PC, with its zone.

        Raises
        ------
        SessionFailed
            By the rules of this PC nobody may start.
        """
        known = self.known({name: day_here(info, now.tzinfo) for name, info in told.items()})
        taking_part = {name: clock for name, clock in known.items() if name in told}
        objections = judge_clocks(gate, taking_part, date=date, today=now.date())
        for objection in objections:
            log.warning("%s: %s", objection.rig, objection.text)
        refused = {one.rig: AgreementError(one.text) for one in objections if one.reaction is Reaction.REFUSE}
        if refused:
            raise SessionFailed("start", refused, "nobody has begun to record; see clock in multirig.yaml")
        return objections

    def known(self, dates: Mapping[str, Date | None]) -> dict[str, KnownClock]:
        """Return what is known of each clock, for `judge_clocks`.

        Parameters
        ----------
        dates : mapping of str to datetime.date
            Which day it was by each rig's clock when it agreed.
        """
        reads = {one.rig: one for one in self._read()}
        out = {}
        for rig, address in self._addresses.items():
            took = self._runtime.node.peers.round_trip(address)
            out[rig] = KnownClock(
                read=reads.get(rig),
                steps_before=self._steps_before.get(rig, 0),
                date=dates.get(rig),
                round_trip=None if took is None else took / SECOND,
            )
        return out

    def keep(self, wanted: bool) -> None:
        """Look at the clocks again and again, or not any more."""
        if wanted and self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        elif not wanted and self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None

    async def close(self) -> None:
        """Measure no more."""
        keeper = self._keeper
        self.keep(False)
        if keeper is not None:
            await asyncio.wait([keeper])
        prober, self._prober = self._prober, None
        if prober is not None:
            with contextlib.suppress(RuntimeError):  # the program ends and begins no more threads
                await asyncio.to_thread(prober.close)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            for rig, report in self._reports().items():  # of one that was restarted it is another
                self.note_port(rig, report.clock_port)
            await self.measure()

    def _targets(self) -> list[Target]:
        out = []
        for rig, port in self._ports.items():
            address = self._addresses.get(rig)
            boot = self._runtime.node.peers.boot_of(address) if address is not None else None
            if address is not None and boot is not None and address.scheme != "memory":
                channel = self._runtime.node.door.channel_to(boot)
                out.append(Target(boot, address.host, port, channel.clock if channel is not None else None))
        return out

    def _read(self) -> list[ClockRead]:
        out = []
        now = self._runtime.clock()
        for rig, address in self._addresses.items():
            clock = self._runtime.node.peers.clock(address)
            if clock is not None and (reading := clock.read(now)) is not None:
                out.append(
                    ClockRead(
                        rig=rig,
                        at=now,
                        offset=reading.offset,
                        bound=reading.bound,
                        drift=reading.drift,
                        round_trip=reading.round_trip,
                        steps=len(clock.steps),
                    )
                )
        return out
