"""Looks on: what every rig of the lab does, whoever leads it; a screen shows it, and no session notices."""

from __future__ import annotations

import asyncio
import logging
import platform
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from multirig.conductor.clocks import Clocks
from multirig.conductor.questions import Questions
from multirig.conductor.sighting import Sighting
from multirig.conductor.surroundings import read_access
from multirig.conductor.whereabouts import Whereabouts
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.keyring.door import make_leading_door
from multirig.lifecycle.observer import (
    Answered,
    Asked,
    Changed,
    Decided,
    DecisionTaken,
    Followed,
    ObserverMachine,
    PicturesAnswered,
    PicturesAsked,
    Suspended,
)
from multirig.lifecycle.session_events import ClockRead
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import SECOND, Address, Ignored, Oversized, Relocated, Upgraded
from multirig.protocol.node import Node
from multirig.protocol.words import Decide, Picture, Report
from multirig.runtime import Runtime
from multirig.transports.base import Network, allow_open_sockets
from multirig.trust.admission import is_this_pc

FIRST_LOOK = 0.5
"""Seconds for which `Observer.follow` waits for names; those that take longer come later."""

log = logging.getLogger("multirig.conductor")


class Observer:
    """Watches rigs, and disturbs nobody.

    Use it as an asynchronous context manager::

        async with Observer() as observer:
            await observer.follow({"cameras": Uri.parse("udp://192.168.1.20")})
            ...
            observer.sightings()["cameras"].report.health

    Parameters
    ----------
    network : Network, optional
        For rehearsal and tests without a network; the rigs' addresses are then those on it.
    """

    def __init__(self, *, network: Network | None = None) -> None:
        self.machine = ObserverMachine()
        self.access = read_access()
        """By what it tells who is of its lab."""
        boot, name = secrets.token_hex(8), platform.node() or "observer"
        door = make_leading_door(self.access, boot=boot, name=name)
        self.node = Node(boot=boot, name=name, machine=self.machine, hears=hear_rig, door=door)
        self.runtime = Runtime(self.node, self._perform, network=network, watch=self.access.watch)
        self._scheme = network.scheme if network is not None else None
        self._whereabouts = Whereabouts(self._resolve, self._is_heard, self._note_found)
        self._tasks: set[asyncio.Task[None]] = set()
        self._suspended: frozenset[str] = frozenset()
        self._callbacks: list[Callable[[str], None]] = []
        self._questions = Questions[Sequence[Picture]]()
        self._decisions = Questions[str]()
        self._reads: dict[str, ClockRead] = {}
        self._clocks = Clocks(self.runtime, self._reports, report=self._note_clock)
        self._clocks.follow(self._whereabouts.addresses)

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to look; there is nobody to look at yet."""
        self._clocks.keep(True)
        self._spawn(self._whereabouts.keep_finding())

    async def close(self) -> None:
        """Look no more; the rigs are told."""
        await self.follow({})
        self._questions.cancel()
        self._decisions.cancel()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._clocks.close()
        await self.runtime.close()

    async def __aenter__(self) -> Observer:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        await self.close()

    # -- whom to look at ----------------------------------------------------------------------------------

    async def follow(self, rigs: Mapping[str, Uri]) -> None:
        """Say which rigs there are now; those that were followed before and are not among them are left.

        A name that is not known on this network is a `Sighting.problem`, and tried again and again.

        Parameters
        ----------
        rigs : mapping of str to Uri
            Name of each rig and where it listens.
        """
        allow_open_sockets(len(rigs) + 64)
        added = self._whereabouts.follow(rigs)
        self._reads = {name: read for name, read in self._reads.items() if name in rigs and name not in added}
        self._follow_addresses()
        looks = [self._spawn(self._whereabouts.find(name)) for name in added]
        if looks:
            await asyncio.wait(looks, timeout=FIRST_LOOK)

    def suspend(self, names: Iterable[str]) -> None:
        """Ask nothing of these while a session with them is led from this PC, unless they are multirigs.

        A foreign peer may take a question of somebody else badly, and whoever leads it knows how it is. One
        that was not heard before is not asked either.
        """
        self._suspended = frozenset(names)
        self._follow_addresses()

    @property
    def suspended(self) -> frozenset[str]:
        """Of whom nothing is asked now."""
        return self._suspended

    def resume(self) -> None:
        """Ask everybody again."""
        self.suspend(())

    # -- what is known --------------------------------------------------------------------------------------

    def sightings(self) -> dict[str, Sighting]:
        """Return what is known of each rig, in the order in which they were named."""
        return {name: self._sighting(name) for name in self._whereabouts.uris}

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Have something called with a rig's name when there is news of it.

        That is: another state, reference, failure, leader or subject, a recording that stalls or grows again,
        or that the rig is heard again or not any more. It is called in the event loop and must not block.
        """
        self._callbacks.append(callback)

    async def ping(self, name: str, limit: float = 3.0) -> Sighting:
        """Ask a rig now.

        Parameters
        ----------
        name : str
            Of a rig that is followed.
        limit : float
            Seconds that the answer may take.

        Returns
        -------
        Sighting
            What is known then; `Sighting.problem` where it has not answered.

        Raises
        ------
        ConfigError
            No rig of that name is followed.
        """
        self._whereabouts.check(name)
        if name not in self._whereabouts.addresses:
            await self._whereabouts.find(name)
        if (address := self._whereabouts.addresses.get(name)) is not None:
            await self._ask(Asked, address, limit)
        return self._sighting(name)

    async def pictures(self, name: str, limit: float = 2.0) -> list[Picture]:
        """Return what a rig's cameras see now; a rig makes pictures at most twice a second.

        Parameters
        ----------
        name : str
            Of a rig that is followed. Of which cameras there are pictures stands in its news; where it has so
            many that they do not fit into a message, they take turns.
        limit : float
            Seconds that the answer may take.

        Returns
        -------
        list of Picture
            None of them where the rig has no cameras, is no multirig, or does not answer.

        Raises
        ------
        ConfigError
            No rig of that name is followed.
        """
        self._whereabouts.check(name)
        if (address := self._whereabouts.addresses.get(name)) is None:
            return []
        return [*(await self._ask(PicturesAsked, address, limit) or ())]

    async def decide(self, name: str, word: Decide, limit: float = 3.0) -> None:
        """Say whether a rig of this PC may be taken over by the PC that wants it.

        Parameters
        ----------
        name : str
            Of a rig that is followed.
        word : Decide
            What was decided, of whom, and by whom.
        limit : float
            Seconds that the answer may take.

        Raises
        ------
        MultirigError
            It is too late, or the rig does not take it from here; ConfigError: no such rig is followed.
        """
        self._whereabouts.check(name)
        problem: str | None = "is not heard"
        if (address := self._whereabouts.addresses.get(name)) is not None:

            def put(number: int) -> None:
                self.runtime.feed(
                    Decided(address=address, number=number, word=word, limit=round(limit * SECOND))
                )

            problem = await self._decisions.ask(put, limit)
        if problem != "":
            raise MultirigError(f"{name} {problem or 'has not heard it: look at its screen'}")

    async def _ask(
        self, kind: type[Asked | PicturesAsked], address: Address, limit: float
    ) -> Sequence[Picture] | None:
        """Ask a rig, and return its pictures where those were asked for."""

        def put(number: int) -> None:
            self.runtime.feed(kind(address=address, number=number, limit=round(limit * SECOND)))

        return await self._questions.ask(put, limit)

    def _sighting(self, name: str) -> Sighting:
        uri, address = self._whereabouts.uris[name], self._whereabouts.addresses.get(name)
        seen = self.machine.seen.get(address) if address is not None else None
        now = self.runtime.clock()
        problem = self._whereabouts.problems.get(name) if seen is None else seen.problem(now)
        read = self._reads.get(name) if problem is None else None
        return Sighting(
            name=name,
            uri=str(uri),
            address=str(address) if address is not None else None,
            is_here=address is not None and is_this_pc(address.host),
            is_multirig=seen is not None and seen.is_multirig,
            at=now,
            heard_at=seen.heard_at if seen is not None else None,
            info=seen.info if seen is not None else None,
            report=seen.report if seen is not None else Report(),
            problem=problem,
            offset=read.offset / SECOND if read is not None else None,
            bound=read.bound / SECOND if read is not None else None,
            round_trip=read.round_trip / SECOND if read is not None else None,
        )

    def _reports(self) -> dict[str, Report]:
        """Return how each rig is, by its last word."""
        seen, found = self.machine.seen, self._whereabouts.addresses.items()
        return {name: seen[address].report for name, address in found if address in seen}

    def _note_clock(self, read: ClockRead) -> None:
        self._reads[read.rig] = read

    # -- finding ------------------------------------------------------------------------------------------

    async def _resolve(self, uri: Uri) -> Address:
        return await self.runtime.connect(self._scheme or uri.scheme, uri.host, uri.port)

    def _is_heard(self, address: Address) -> bool:
        seen = self.machine.seen.get(address)
        return seen is not None and seen.trouble is None

    def _note_found(self, name: str) -> None:
        self._follow_addresses()
        self._report(name)

    def _follow_addresses(self) -> None:
        """Let the machine know whom to look at."""
        addresses = self._whereabouts.addresses
        spared = (addresses[name] for name in self._suspended if name in addresses)
        self.runtime.feed(Suspended(addresses=frozenset(spared)))
        before = frozenset(self.machine.seen)
        self.runtime.feed(Followed(addresses=frozenset(addresses.values())))
        for address in self.machine.seen.keys() - before:  # one that was left, and is back, greets no more
            if (boot := self.node.peers.boot_of(address)) is not None:
                self.runtime.feed(Upgraded(address=address, boot=boot, name=""))

    # -- effects ------------------------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Changed(address=address):
                for name in self._whereabouts.names_at(address):
                    self._report(name)
            case Relocated(address=address, now_at=now_at):
                if names := self._whereabouts.names_at(address):
                    self._whereabouts.move(address, now_at)
                    self._follow_addresses()
                    log.warning("%s is at %s now, and no more at %s", ", ".join(names), now_at, address)
            case Answered(number=number):
                self._questions.settle(number, None)
            case DecisionTaken(number=number, problem=problem):
                self._decisions.settle(number, problem)
            case PicturesAnswered(number=number, pictures=pictures):
                self._questions.settle(number, pictures)
            case Ignored() | Oversized():
                log.log(logging.WARNING if effect.first else logging.DEBUG, "%s", effect)
            case _:
                log.debug("%s", effect)

    def _report(self, name: str) -> None:
        for callback in self._callbacks:
            try:
                callback(name)
            except Exception:  # whoever shows it must not hold up the look-out
                log.exception("showing the news of %s failed", name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
