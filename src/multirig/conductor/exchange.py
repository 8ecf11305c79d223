"""Joins the machine of a session to the rigs' addresses: what is asked of it, and who waits for what."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from multirig.conductor.clocks import Clocks
from multirig.conductor.surroundings import Surroundings
from multirig.config import Uri
from multirig.errors import ConfigError, MultirigError, RigUnreachable, SessionFailed
from multirig.keyring.door import make_leading_door
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import (
    AgreeRequested,
    AskRequested,
    Finished,
    HandingTold,
    Heard,
    Limits,
    Moved,
    Progressed,
    StepRequested,
)
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Noticed
from multirig.protocol.codec import plain
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import (
    SECOND,
    Address,
    Ignored,
    Oversized,
    PathTried,
    Record,
    Relocated,
    Upgraded,
)
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.protocol.words import Info, Verbatim
from multirig.runtime import Runtime
from multirig.transports.base import Network, allow_open_sockets

PATHS_LIMIT = 5.0
"""Seconds for full datagrams to be tried on all paths: a little longer than each link does."""
CONNECT_LIMIT = 5.0
"""Seconds for the names of all rigs to be resolved."""

log = logging.getLogger("multirig.conductor")


class Exchange:
    """A node on the network, and the questions that are open on it.

    Parameters
    ----------
    machine : SessionMachine
        The rules, in whatever state.
    perform : callable
        Takes what comes of a session.
    pc : Surroundings
        The PC that it runs on.
    network : Network, optional
        For rehearsal and tests without a network; the rigs' addresses are then those on it.
    """

    def __init__(
        self,
        machine: SessionMachine,
        perform: Callable[[Any], None],
        *,
        pc: Surroundings,
        network: Network | None,
    ) -> None:
        self.machine = machine
        self.pc = pc
        self.node = Node(
            boot=pc.boot,
            name=pc.name,
            machine=machine,
            hears=hear_rig,
            door=make_leading_door(pc.access, boot=pc.boot, name=pc.name),
        )
        self.runtime = Runtime(
            self.node, self._perform, clock=pc.clock, network=network, watch=pc.access.watch
        )
        self.clocks = Clocks(self.runtime, machine.watch.reports, report=self.feed)
        self.addresses: dict[str, Address] = {}
        """Where each rig was found."""
        self.is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheme = network.scheme if network is not None else None
        self._pass_on = perform
        self._numbers = itertools.count(machine.last_number + 1)
        self._waiting: dict[int, asyncio.Future[Finished]] = {}
        self._paths: dict[Address, asyncio.Future[bool]] = {}

    async def find(self, rigs: Mapping[str, Uri], optional: Container[str] = ()) -> None:
        """Find every rig's address; optional ones that are not found are as good as unreachable.

        Raises
        ------
        SessionFailed
            Names that are not known on this network, all at once.
        ConfigError
            Two names mean the same rig.
        """
        self._loop = asyncio.get_running_loop()
        allow_open_sockets(len(rigs) + 64)
        tries = [
            self.runtime.connect(self._scheme or uri.scheme, uri.host, uri.port) for uri in rigs.values()
        ]
        results = await asyncio.gather(
            *(asyncio.wait_for(one, CONNECT_LIMIT) for one in tries), return_exceptions=True
        )
        causes: dict[str, Exception] = {}
        for name, result in zip(rigs, results, strict=True):
            if isinstance(result, Address):
                self.addresses[name] = result
            elif isinstance(result, MultirigError):
                causes[name] = result
            elif isinstance(result, asyncio.TimeoutError):
                causes[name] = RigUnreachable(
                    f"the name {rigs[name].host!r} is not found: use the IP address"
                )
            elif isinstance(result, BaseException):
                raise result
        for name in [name for name in causes if name in optional]:
            uri, why = rigs[name], str(causes.pop(name))
            log.warning("%s: %s", name, why)
            self.addresses[name] = Address(self._scheme or uri.scheme, uri.host, uri.port)
            self.runtime.unfound[self.addresses[name]] = why
        if clashes := _find_clash(self.addresses):
            raise ConfigError(f"{' and '.join(clashes)} have the same address: name each rig once")
        if causes:
            raise SessionFailed("connect", causes)
        self.clocks.follow(self.addresses)

    def round_trip(self, rig: str) -> float | None:
        """Return the seconds that a message and its receipt take, at best."""
        clock = self.node.peers.clock(self.addresses[rig])
        reading = clock.read(self.now()) if clock is not None else None
        return reading.round_trip / SECOND if reading is not None else None

    def now(self) -> int:
        """Return the time on the session clock; ns."""
        return self.runtime.clock()

    def feed(self, event: Any) -> None:
        """Tell the machine something that happened on this PC."""
        self.runtime.feed(event)

    def feed_from_any_thread(self, event: Any) -> None:
        """Tell the machine something: at once in the thread of the event loop, soon from another one."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or here is self._loop:
            self.feed(event)
        else:
            with contextlib.suppress(RuntimeError):  # the loop ends just now, and the session with it
                self._loop.call_soon_threadsafe(self.feed, event)

    def check_open(self) -> None:
        """Raise MultirigError where nothing can be asked any more."""
        if self.is_closed:
            raise MultirigError("the conductor is closed; make another one")

    def new_agreement(self, **wanted: Any) -> AgreeRequested:
        """Return a request for an agreement, under a new number."""
        return AgreeRequested(number=next(self._numbers), **wanted)

    async def step(
        self, trigger: SessionTrigger, data: Mapping[str, Any] | None = None
    ) -> dict[str, Outcome]:
        """Take a step with all rigs; see `do`."""
        return await self.do(
            StepRequested(number=next(self._numbers), trigger=trigger, data=plain(data or {}, trigger.value))
        )

    async def request(
        self,
        event: Event,
        *args: Any,
        rigs: Iterable[str] | None = None,
        limit: float,
        needs_reply: bool = True,
    ) -> dict[str, Outcome]:
        """Ask rigs something that is no step; see `Conductor.request`."""
        chosen = None if rigs is None else tuple(rigs)
        unknown = [name for name in chosen or () if name not in self.addresses]
        if unknown:
            raise ConfigError(f"no rig is called {', '.join(unknown)}; known: {', '.join(self.addresses)}")
        event = Event.parse(event)
        return await self.do(
            AskRequested(
                number=next(self._numbers),
                word=Verbatim(event, tuple(plain(args, event.name))),
                rigs=chosen,
                limit=round(limit * SECOND),
                needs_reply=needs_reply,
            )
        )

    async def try_paths(self, rigs: Iterable[str]) -> dict[str, bool]:
        """Return whether datagrams of full size come to rigs and back; wire 1.0 and TCP are left out."""
        tried: dict[str, asyncio.Future[bool]] = {}
        for name in rigs:
            if self.node.try_path(address := self.addresses[name], self.now()):
                tried[name] = self._paths.setdefault(address, asyncio.get_running_loop().create_future())
        self.runtime.pump()
        if tried:
            await asyncio.wait(tried.values(), timeout=PATHS_LIMIT)
        return {name: path.result() for name, path in tried.items() if path.done()}

    async def do(self, request: AgreeRequested | StepRequested | AskRequested) -> dict[str, Outcome]:
        """Give the machine a request, wait for its end and return each rig's outcome.

        Raises
        ------
        MultirigError
            Why it failed as a whole.
        """
        self.check_open()
        future: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()
        self._waiting[request.number] = future
        try:
            self.feed(request)
            finished = await future
        finally:
            self._waiting.pop(request.number, None)
        if finished.error is not None:
            raise finished.error
        return dict(finished.outcomes)

    def give_up(self) -> None:
        """Let everybody who waits know that nothing is asked any more."""
        self.is_closed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(MultirigError("the conductor was closed"))

    async def close(self) -> None:
        """Leave the network."""
        await self.clocks.close()
        await self.runtime.close()

    def _perform(self, effect: Any) -> None:
        match effect:
            case Finished(number=number):
                if (future := self._waiting.get(number)) is not None and not future.done():
                    future.set_result(effect)
                return
            case Progressed(rig=rig, outcome=Info(clock_port=port)):
                self.clocks.note_port(rig, port)
            case PathTried(address=address, passes=passes):
                if address in self._paths:
                    self._paths.pop(address).set_result(passes)
                return
            case Relocated() | Upgraded():
                self._follow(effect)
                return
            case _ if not _log(effect):
                return
        self._pass_on(effect)

    def _follow(self, effect: Relocated | Upgraded) -> None:
        for rig in [name for name, known in self.addresses.items() if known == effect.address]:
            if isinstance(effect, Relocated):
                self.addresses[rig] = effect.now_at
                log.warning("%s is reached at %s now, and no more at %s", rig, effect.now_at, effect.address)
            elif (channel := self.node.door.channel_to(effect.boot)) is not None:
                pc = channel.standing.name
                log.info("%s at %s is a program of the PC %s", rig, effect.address, pc)


def _log(effect: Any) -> bool:
    """Write an effect into the log; return whether it is of a session, and passed on."""
    match effect:
        case Noticed(rig=rig, text=text) | HandingTold(rig=rig, text=text):
            log.warning("%s %s", rig, text)
        case Moved(state=state, exp_ref=exp_ref):
            log.info("the session %s is %s", exp_ref or "", state)
        case Heard(rig=rig, word=word):
            log.info("%s says %s: %r", rig, word, word)
        case Ignored() | Oversized():
            log.log(logging.WARNING if effect.first else logging.DEBUG, "%s", effect)
            return isinstance(effect, Ignored) and effect.is_stranger
        case Record() | Progressed():
            pass
        case _:
            log.debug("%s", effect)
            return False
    return True


def make_machine(limits: Limits | None, may_have_token: Iterable[str]) -> SessionMachine:
    """Return the rules of sessions that have not begun."""
    return SessionMachine(limits=limits, may_have_token=frozenset(may_have_token))


def _find_clash(addresses: Mapping[str, Address]) -> list[str]:
    """Return two names that mean the same rig, if there are such."""
    seen: dict[Address, str] = {}
    for name, address in addresses.items():
        if address in seen:
            return [seen[address], name]
        seen[address] = name
    return []
