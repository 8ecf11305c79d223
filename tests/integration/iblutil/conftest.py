"""A lab on loopback: rigs and conductors of multirig and of the real iblutil, raw peers, and bad cables."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.util
import json
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from multirig.conductor.conductor import Conductor
from multirig.config import RigConfig
from multirig.protocol.messages import Event, Status
from multirig.rig.service import RigService

IS_IBLUTIL_HERE = importlib.util.find_spec("iblutil") is not None
if IS_IBLUTIL_HERE:
    from iblutil.io.net.app import EchoProtocol, Services
    from iblutil.io.net.base import ExpMessage
else:  # it needs a newer Python than multirig does
    collect_ignore_glob = ["test_*.py"]

SUBJECT = "SP_01"
TODAY = datetime.date.today()
FIRST_SEQUENCE = 7
ECHO_LIMIT = 0.5
"""Seconds for which iblutil waits for an echo here; it is 1 s in the field."""

_silent = logging.getLogger("iblutil-in-tests")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


def free_port(scheme: str) -> int:
    """Return a port for iblutil, which refuses to be given port 0."""
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


async def until(claim: Callable[[], Any], limit: float = 3.0, what: str = "what was waited for") -> None:
    """Wait until a claim is true."""
    try:
        async with asyncio.timeout(limit):
            while not claim():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {limit} s") from None


class Waiting:
    """Counts the seconds for which the event loop waits; what a busy PC keeps from it does not count."""

    STEP = 0.01

    def __init__(self) -> None:
        self.seconds = 0.0

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(self.STEP)
            self.seconds += self.STEP

    async def __aenter__(self) -> Waiting:
        self._counting = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._counting.cancel()
        await asyncio.gather(self._counting, return_exceptions=True)


# -- iblutil -------------------------------------------------------------------------------------------


@dataclass
class IblRig:
    """A rig as iblrig's services are: an iblutil server that says the same event again when it is done."""

    server: Any
    main_sync: bool = False
    mirrors: bool = False
    """Answer with the identical bytes of the request."""
    silent: frozenset[Event] = frozenset()
    """What it echoes and never answers."""
    delay: Mapping[Event, float] = field(default_factory=dict)
    """Seconds that the work takes."""
    fails: Mapping[Event, str] = field(default_factory=dict)
    """Text of the ValueError that the callback raises."""
    never_stops: bool = False
    """Answer EXPEND as one that records on, and EXPCLEANUP by EXPINTERRUPT, as iblrig's cameras do."""
    one_at_a_time: bool = False
    """Listen anew for each message when the one before is done with, as iblrig's services do."""
    before: Callable[[IblRig, Event, Any], Awaitable[None]] | None = None
    """What it does before it answers."""
    heard: list[list[Any]] = field(default_factory=list)
    """Each message that reached a callback."""
    errors: list[BaseException] = field(default_factory=list)
    """What iblutil raised when it was to answer."""
    status: Status = Status.CONNECTED
    conductor: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        if self.one_at_a_time:
            self._tasks.add(asyncio.ensure_future(self._listen()))
            return
        for event in list(Event)[1:]:
            self.server.assign_callback(int(event), partial(self._hear, event))

    @property
    def uri(self) -> str:
        uri: str = self.server.server_uri
        return uri

    @property
    def exp_ref(self) -> str:
        """As the main sync: the reference of the session that comes next."""
        return f"{TODAY}_{FIRST_SEQUENCE + self.events().count(Event.EXPSTART)}_{SUBJECT}"

    def events(self) -> list[Event]:
        """Return which events reached a callback, in order."""
        return [Event(one[0]) for one in self.heard]

    def say(self, data: bytes) -> None:
        """Send bytes to the conductor without waiting for an echo."""
        if self.server.protocol == "udp":
            self.server._transport.sendto(data, self.conductor)
        else:
            self.server._transport.write(data)

    async def settle(self) -> None:
        """Wait until it awaits no echo any more: what it says before that is iblutil's own fault W1."""
        await until(lambda: not self.server.awaiting_response() and not self._tasks)

    async def _listen(self) -> None:
        while True:
            data, addr, event = await self.server.on_event(ExpMessage.any())
            self.heard.append([int(event), *data])
            self.conductor = addr
            await self._answer(Event(int(event)), data, addr)

    def _hear(self, event: Event, data: list[Any], addr: tuple[str, int]) -> None:
        self.heard.append([int(event), *data])
        self.conductor = addr
        if event in self.fails:
            raise ValueError(self.fails[event])
        if event not in self.silent:
            task = asyncio.create_task(self._answer(event, data, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, event: Event, data: list[Any], addr: tuple[str, int]) -> None:
        try:
            await asyncio.sleep(self.delay.get(event, 0))
            if self.before is not None:
                await self.before(self, event, addr)
            if self.mirrors and event is not Event.EXPINFO:
                await self.server.confirmed_send([int(event), *data], addr=addr)
                return
            await self._say(event, data, addr)
        except (TimeoutError, RuntimeError, OSError) as error:
            self.errors.append(error)

    async def _say(self, event: Event, data: list[Any], addr: tuple[str, int]) -> None:
        server = self.server
        match event:
            case Event.EXPEND | Event.EXPCLEANUP if self.never_stops:
                is_late = event is Event.EXPCLEANUP
                await server.stop({"status": int(self.status)}, immediately=is_late, addr=addr)
            case Event.EXPINFO:
                info = {
                    "exp_ref": self.exp_ref if self.main_sync else None,
                    "main_sync": self.main_sync,
                    "experiment_description": {},
                    "master": False,
                    "rig_version": "8.24.7",
                    "spec_version": "1.0.0",
                    "subject": SUBJECT if self.main_sync else None,
                }
                await server.info(int(self.status), info, addr=addr)
            case Event.EXPINIT:
                self.status = Status.INITIALIZED
                await server.init({"exp_ref": data[0]["exp_ref"]}, addr=addr)
            case Event.EXPSTART:
                self.status = Status.RUNNING
                await server.start(data[0], addr=addr)
            case Event.EXPEND | Event.EXPINTERRUPT:
                self.status = Status.STOPPED
                await server.stop([], immediately=event is Event.EXPINTERRUPT, addr=addr)
            case Event.EXPCLEANUP:
                self.status = Status.CONNECTED
                await server.cleanup(addr=addr)
            case Event.EXPSTATUS:
                await server.status(int(self.status), addr=addr)

    async def close(self) -> None:
        """End it; iblutil itself leaves its TCP server running (W15)."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.server.close()
        if self.server.Server is not None:
            self.server.Server.close()


# -- raw peers -----------------------------------------------------------------------------------------


class RawPeer(asyncio.DatagramProtocol):
    """A UDP socket that says what the test says."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.last_sender: Any = None
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.last_sender = addr
        self.inbox.put_nowait(data)

    @property
    def uri(self) -> str:
        return "udp://{}:{}".format(*self.transport.get_extra_info("sockname")[:2])

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def send(self, data: bytes) -> None:
        """Send to whom this socket is connected, else to whoever spoke last."""
        self.transport.sendto(data, None if self.transport.get_extra_info("peername") else self.last_sender)

    async def receive(self, limit: float = 3.0) -> bytes:
        """Return the next datagram."""
        return await asyncio.wait_for(self.inbox.get(), limit)

    async def ask(self, data: bytes) -> bytes:
        """Send a request; return its reply, which is echoed as iblutil would."""
        self.send(data)
        assert await self.receive() == data
        reply = await self.receive()
        self.send(reply)
        return reply

    async def gather(self, seconds: float) -> list[bytes]:
        """Return whatever comes in that time."""
        await asyncio.sleep(seconds)
        return [self.inbox.get_nowait() for _ in range(self.inbox.qsize())]


class RawStream:
    """A TCP connection that says what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self, expected: bytes, limit: float = 3.0) -> None:
        """Read exactly these bytes, or fail."""
        got = await asyncio.wait_for(self.reader.readexactly(len(expected)), limit)
        assert got == expected

    async def receive_raw(self, limit: float = 3.0) -> bytes:
        """Read one message."""
        got = b""
        async with asyncio.timeout(limit):
            while True:
                got += await self.reader.readexactly(1)
                with contextlib.suppress(ValueError):
                    json.loads(got)
                    return got

    async def receive_message(self, limit: float = 3.0) -> list[Any]:
        """Read one message, decoded."""
        message: list[Any] = json.loads(await self.receive_raw(limit))
        return message


# -- a bad cable ---------------------------------------------------------------------------------------

Place = tuple[str, int, int]
"""Towards ``rig`` or ``conductor``; the event; the how manieth of these, from 1."""


class Relay:
    """A UDP cable between a conductor and a rig, with faults at chosen places.

    Of one request, the places are: ``("rig", event, 1)`` the request, ``("conductor", event, 1)`` its echo,
    ``("conductor", event, 2)`` the reply, ``("rig", event, 2)`` the reply's echo.
    """

    def __init__(self, faults: Mapping[Place, Iterable[float]]) -> None:
        self.faults = dict(faults)
        """The delays of each copy, in seconds; none: the datagram is lost."""
        self.seen: list[tuple[str, bytes]] = []
        """Every datagram that came in, with where it wanted to go."""
        self.is_cut = False
        """Whether nothing gets through at all."""
        self.front: Any = None
        self.back: Any = None
        self._counts: Counter[tuple[str, int]] = Counter()
        self._conductor: Any = None

    async def open(self, target: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        front, back = _End(self.take, "rig"), _End(self.take, "conductor")
        self.front, _ = await loop.create_datagram_endpoint(lambda: front, local_addr=("127.0.0.1", 0))
        self.back, _ = await loop.create_datagram_endpoint(lambda: back, remote_addr=target)

    @property
    def uri(self) -> str:
        return "udp://{}:{}".format(*self.front.get_extra_info("sockname")[:2])

    def events(self, towards: str) -> list[int]:
        """Return the events of all that went that way."""
        return [json.loads(data)[0] for way, data in self.seen if way == towards and data[:1] == b"["]

    def take(self, towards: str, data: bytes, addr: Any) -> None:
        if towards == "rig":
            self._conductor = addr
        self.seen.append((towards, data))
        delays: Iterable[float] = (0.0,)
        if data[:1] == b"[":
            event = int(json.loads(data)[0])
            self._counts[towards, event] += 1
            delays = self.faults.get((towards, event, self._counts[towards, event]), delays)
        for delay in () if self.is_cut else delays:
            if delay:
                asyncio.get_running_loop().call_later(delay, self._deliver, towards, data)
            else:
                self._deliver(towards, data)

    def _deliver(self, towards: str, data: bytes) -> None:
        if towards == "rig":
            self.back.sendto(data)
        else:
            self.front.sendto(data, self._conductor)

    def close(self) -> None:
        self.front.close()
        self.back.close()


class _End(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[str, bytes, Any], None], towards: str) -> None:
        self._take = take
        self._towards = towards

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._take(self._towards, data, addr)


# -- the lab -------------------------------------------------------------------------------------------


class Lab:
    """Opens whatever a test needs, and closes it in reverse order."""

    until = staticmethod(until)
    waiting = staticmethod(Waiting)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.AsyncExitStack()

    def later(self, close: Callable[[], object]) -> None:
        """Call this after the test."""
        self._stack.callback(close)

    async def rig(
        self, name: str = "cameras", uri: Any = "udp://127.0.0.1:0", adapter: Any = None, **keys: Any
    ) -> RigService:
        """Run a rig of multirig."""
        config = {
            "name": name,
            "uri": uri,
            "data_folder": self.folder / name,
            "adapter": {"type": "fake", **(adapter or {})},
            **keys,
        }
        service = RigService(RigConfig.model_validate(config))
        await service.open()
        self._stack.push_async_callback(service.close)
        return service

    async def conductor(self, rigs: Mapping[str, Any], **keys: Any) -> Conductor:
        """Run a conductor of multirig with rigs of any kind."""
        conductor = Conductor({name: _uri(one) for name, one in rigs.items()}, **keys)
        return await self._stack.enter_async_context(conductor)

    async def ibl_rig(self, scheme: str = "udp", **keys: Any) -> IblRig:
        """Run a rig of iblutil."""
        server = await self._ibl(EchoProtocol.server, f"{scheme}://127.0.0.1:{free_port(scheme)}", "rig")
        rig = IblRig(server, **keys)
        self._stack.push_async_callback(rig.close)
        return rig

    async def ibl_client(self, rig: Any, name: str = "rig") -> Any:
        """Connect a client of iblutil to a rig of any kind."""
        client = await self._ibl(EchoProtocol.client, _uri(rig), name)
        self._stack.callback(client.close)
        return client

    async def ibl_conductor(self, rigs: Mapping[str, Any], timeout: float = 3.0) -> Any:
        """Connect iblutil's Services to rigs of any kind."""
        return Services([await self.ibl_client(rig, name) for name, rig in rigs.items()], timeout=timeout)

    async def raw(self, rig: Any = None) -> RawPeer:
        """Open a UDP socket, connected to a rig or waiting for a conductor."""
        where: dict[str, Any] = {"remote_addr": _host_port(rig)} if rig else {"local_addr": ("127.0.0.1", 0)}
        _, peer = await asyncio.get_running_loop().create_datagram_endpoint(RawPeer, **where)
        self._stack.callback(peer.transport.close)
        return peer

    async def raw_stream(self, rig: Any) -> RawStream:
        """Open a TCP connection to a rig."""
        stream = RawStream(*await asyncio.open_connection(*_host_port(rig)))
        self._stack.push_async_callback(_close_writer, stream.writer)
        return stream

    async def relay(self, rig: Any, faults: Mapping[Place, Iterable[float]]) -> Relay:
        """Lay a bad cable to a rig."""
        relay = Relay(faults)
        await relay.open(_host_port(rig))
        self._stack.callback(relay.close)
        return relay

    @staticmethod
    async def _ibl(make: Any, uri: str, name: str) -> Any:
        one = await make(uri, name=name, log=_silent)
        one.default_echo_timeout = ECHO_LIMIT
        return one

    async def __aenter__(self) -> Lab:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()
        for _ in range(3):  # transports close in the next rounds of the loop
            await asyncio.sleep(0)


async def _close_writer(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _uri(rig: Any) -> str:
    if isinstance(rig, RigService):
        return str(rig.addresses[0])
    return rig if isinstance(rig, str) else rig.uri


def _host_port(rig: Any) -> tuple[str, int]:
    host, _, port = _uri(rig).partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The lab; it is closed in the event loop of the test."""
    return Lab(tmp_path)
