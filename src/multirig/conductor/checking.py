"""Looks at every PC before a session: what each rig says of itself, and what is found on this one."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from multirig.conductor import preflight
from multirig.conductor.events import EventStream
from multirig.conductor.exchange import Exchange
from multirig.conductor.preflight import find_hindrance as find_hindrance
from multirig.conductor.proofs import proof_of
from multirig.errors import MultirigError
from multirig.keyring.saying import say_leading_access
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session_events import Progressed
from multirig.pc.checking import Check, run_checks
from multirig.pc.disk import check_folder, check_space
from multirig.pc.finding import Finding, Level
from multirig.pc.ping import is_elsewhere, ping
from multirig.pc.reader import this_pc
from multirig.pc.system import check_clock, check_restart, check_sleep
from multirig.protocol.messages import Event, Status
from multirig.version import __version__

CHECK_LIMIT = 10.0
"""Seconds that a rig has to look at its PC and to answer: as many as for the agreement."""


class Look:
    """One look at all PCs; begins to look at this one when it is made.

    Parameters
    ----------
    exchange : Exchange
        Talks to the rigs.
    events : EventStream
        What happens from now on: when each rig answers.
    folder : pathlib.Path, optional
        Where this PC's part of sessions goes.
    """

    def __init__(self, exchange: Exchange, events: EventStream, folder: Path | None) -> None:
        self._exchange = exchange
        self._wall = exchange.pc.wall
        self._here = asyncio.ensure_future(run_checks(_checks_of_this_pc(folder, self._wall)))
        self._asked = self._wall()
        self._heard: dict[str, datetime.datetime] = {}
        self._passes: dict[str, bool] = {}
        self._pings: dict[str, bool | None] = {}
        self._noting = asyncio.ensure_future(self._note(events))

    async def ask(self, seconds: float | None, rigs: Iterable[str] | None) -> dict[str, Outcome]:
        """Ask rigs what they find for a session of so many seconds; return each one's EXPINFO."""
        info = {"subject": None, "check": {"seconds": seconds}}
        return await self._exchange.request(
            Event.EXPINFO, int(Status.CONNECTED), info, rigs=rigs, limit=CHECK_LIMIT
        )

    async def try_paths(self, rigs: Iterable[str]) -> None:
        """Find out whether long messages will pass, too."""
        self._passes = await self._exchange.try_paths(rigs)

    async def try_pings(self, outcomes: Mapping[str, Outcome]) -> None:
        """Find out whether the PCs of rigs that do not answer are there at all."""
        silent = [name for name, one in outcomes.items() if isinstance(one, MultirigError)]
        at = {name: self._exchange.addresses[name].host for name in silent}
        hosts = {name: host for name, host in at.items() if is_elsewhere(host)}
        pc = this_pc()
        told = await asyncio.gather(*(asyncio.to_thread(ping, pc, host) for host in hosts.values()))
        self._pings = dict(zip(hosts, told, strict=True))

    async def _note(self, events: EventStream) -> None:
        """Note when each rig answers: the others may take long."""
        async for event in events:
            if isinstance(event, Progressed) and event.event is Event.EXPINFO:
                self._heard.setdefault(event.rig, self._wall())

    async def end(self) -> list[Finding]:
        """Return what was found on this PC; nothing is noted any more."""
        self._noting.cancel()
        said = say_leading_access(self._exchange.pc.access)
        goes_out = any(is_elsewhere(one.host) for one in self._exchange.addresses.values())
        keys = [
            Finding(
                check="key",
                level=Level.FAILURE if one.hinders and goes_out else Level.WARNING,
                text=one.text,
            )
            for one in said
        ]
        return [*await self._here, *keys]

    def judge(
        self,
        outcomes: Mapping[str, Outcome],
        here: list[Finding],
        *,
        policies: Mapping[str, RigPolicy],
        is_main_sync: bool,
    ) -> dict[str, list[Finding]]:
        """Return what speaks for and against a session, by PC.

        Parameters
        ----------
        outcomes : mapping of str to Message or MultirigError
            Each rig's EXPINFO, or why there is none.
        here : list of Finding
            Of this PC.
        policies : mapping of str to RigPolicy
            What rigs mean to the session.
        is_main_sync : bool
            Whether this PC is to own the number.
        """
        answers = {
            name: preflight.Answer(
                outcome=outcome,
                asked=self._asked,
                heard=self._heard.get(name) or self._wall(),
                round_trip=self._exchange.round_trip(name),
                passes=self._passes.get(name),
                address=str(self._exchange.addresses[name]),
                pings=self._pings.get(name),
                proof=proof_of(self._exchange, name),
                is_elsewhere=is_elsewhere(self._exchange.addresses[name].host),
            )
            for name, outcome in outcomes.items()
        }
        return preflight.judge(
            answers, here, version=__version__, policies=policies, is_main_sync=is_main_sync
        )


def _checks_of_this_pc(folder: Path | None, wall: Callable[[], datetime.datetime]) -> dict[str, Check]:
    pc = this_pc()
    checks: dict[str, Check] = {}
    if folder is not None:
        checks = {"disk": lambda: check_space(folder), "folder": lambda: check_folder(folder, None)}
    return {
        **checks,
        "clock": lambda: check_clock(pc, wall()),
        "sleep": lambda: check_sleep(pc),
        "restart": lambda: check_restart(pc),
    }
