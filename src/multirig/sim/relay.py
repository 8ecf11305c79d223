"""A bad cable between real programs: a relay that loses, copies, delays and cuts what it carries."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
import socket
import struct
import sys
from collections import deque
from dataclasses import dataclass, fields
from typing import Any

from multirig.config import Uri
from multirig.errors import ConfigError

HELD_BACK = 0.02
"""Seconds that a datagram is held back, so that later ones overtake it."""
TEAR_PAUSE = 0.002
"""Seconds between the parts of a torn segment: without a pause the system joins them again."""
READ = 65_536
"""Bytes read at once; no datagram is longer."""
QUEUE = 1024
"""Datagrams of one client that wait for its socket; more are lost, as anywhere."""


class Way(enum.Enum):
    """In which direction something goes."""

    TO_TARGET = "to the target"
    TO_CLIENT = "to the client"


@dataclass(slots=True)
class Counts:
    """What a relay did to how many datagrams (UDP) or segments (TCP)."""

    carried: int = 0
    """All that came in."""
    lost: int = 0
    copied: int = 0
    held_back: int = 0
    """Later ones may have overtaken it."""
    too_long: int = 0
    """Datagrams that were longer than the way carries: lost, as where fragments are dropped."""
    cut: int = 0
    """Came in while its way was cut: over UDP it is lost, over TCP it waits."""
    torn: int = 0
    """Segments that went on in pieces."""
    stalled: int = 0
    """Segments before which the connection stood still."""
    connections: int = 0
    """Clients so far."""
    resets: int = 0
    """Connections that were ended by force."""

    def __str__(self) -> str:
        parts = [f"{getattr(self, one.name)} {one.name.replace('_', ' ')}" for one in fields(self)]
        return ", ".join(one for one in parts if not one.startswith("0 ")) or "nothing"


class Relay(contextlib.AbstractAsyncContextManager["Relay"]):
    """Carries what clients say to a target and back, with faults.

    Use it as an asynchronous context manager, and give clients its address instead of the target's::

        async with Relay("udp://127.0.0.1:11001", loss=0.2, duplication=0.1, seed=7) as relay:
            async with Conductor({"cameras": relay.uri}) as conductor:
                ...

    All faults but the seed are attributes that may be changed at any time. Over UDP each client has a socket
    of its own towards the target; the n-th datagram of a way meets the same fate in every run of a seed; a
    target that is not there is silence, as a PC is that is switched off. TCP repairs loss by itself: there
    the faults are delay, stalls, torn segments and resets, and order is kept.

    Parameters
    ----------
    target : str or Uri
        Where the real program listens; its scheme is the relay's too.
    loss : float
        Share of datagrams that are lost, 0 to 1.
    duplication : float
        Share of datagrams that come twice.
    reordering : float
        Share of datagrams that are held back, so that later ones overtake them.
    delay : float or (float, float)
        Seconds on the way, or the least and the most of them; spread evenly between.
    delay_back : float or (float, float), optional
        The same for the way to the client, where it is another one.
    longest : int
        Bytes of a datagram that passes: many a VPN or firewall drops the fragments of a longer one.
    tearing : float
        Share of segments that go on in pieces, TCP only.
    stalls : float
        Share of segments before which the connection stands still for ``stall`` seconds, TCP only.
    stall : float
        Seconds that a stall takes.
    resets : float
        Share of segments that end their connection by force, TCP only.
    seed : int
        Chooses what meets which fate.
    listen : str
        Local address on which clients are heard.
    port : int
        Local port; 0 takes a free one.

    Raises
    ------
    ConfigError
        A share is not between 0 and 1, or a time is negative.
    """

    def __init__(  # noqa: PLR0913  the faults of a cable, each given by name
        self,
        target: str | Uri,
        *,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        delay: float | tuple[float, float] = 0.0,
        delay_back: float | tuple[float, float] | None = None,
        longest: int = READ,
        tearing: float = 0.0,
        stalls: float = 0.0,
        stall: float = 0.2,
        resets: float = 0.0,
        seed: int = 0,
        listen: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.target = Uri.parse(target)
        self.loss = _share("loss", loss)
        self.duplication = _share("duplication", duplication)
        self.reordering = _share("reordering", reordering)
        self.delay = delay if isinstance(delay, tuple) else (delay, delay)
        self.delay_back = delay_back if isinstance(delay_back, tuple | None) else (delay_back, delay_back)
        self.longest = longest
        self.tearing = _share("tearing", tearing)
        self.stalls = _share("stalls", stalls)
        self.stall = stall
        self.resets = _share("resets", resets)
        if min(*self.delay, *(self.delay_back or ()), stall) < 0:
            raise ConfigError("a delay cannot be negative: give 0 or more seconds")
        self.counts = Counts()
        """What it did so far."""
        self._listen = (listen, port)
        self._chances = {way: random.Random(f"{seed} {way.name}") for way in Way}
        self._open_ways = {way: asyncio.Event() for way in Way}
        self._uri: Uri | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[Any, _Back] = {}
        self._server: asyncio.AbstractServer | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.heal()

    # -- life -------------------------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        """Where clients find the target, through this relay; it has to be open."""
        if self._uri is None:
            raise ConfigError("the relay is not open: use it in 'async with'")
        return str(self._uri)

    async def open(self) -> None:
        """Listen at a free port."""
        if self.target.scheme == "udp":
            loop = asyncio.get_running_loop()
            front, _ = await loop.create_datagram_endpoint(lambda: _Front(self), local_addr=self._listen)
            self._front = front
            bound = front.get_extra_info("socket").getsockname()
        else:
            self._server = await asyncio.start_server(self._accept, *self._listen)
            bound = self._server.sockets[0].getsockname()
        self._uri = Uri(self.target.scheme, *bound[:2])

    async def close(self) -> None:
        """End every conversation."""
        if self._front is not None:
            self._front.abort()
        for back in self._backs.values():
            back.close()
        self._backs.clear()
        if self._server is not None:
            self._server.close()
        while self._tasks:  # what is still on its way here begins another one
            for writer in self._streams:
                writer.transport.abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # transports end in the next round of the loop

    async def __aenter__(self) -> Relay:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # -- partitions -------------------------------------------------------------------------------------

    def cut(self, *ways: Way) -> None:
        """Let nothing through any more in these ways; without any, in both."""
        for way in ways or Way:
            self._open_ways[way].clear()

    def heal(self, *ways: Way) -> None:
        """Let everything through again in these ways; without any, in both."""
        for way in ways or Way:
            self._open_ways[way].set()

    def is_cut(self, way: Way) -> bool:
        """Whether nothing gets through in this way."""
        return not self._open_ways[way].is_set()

    def reset(self) -> None:
        """End every TCP connection by force, as a firewall or a restarted router does."""
        for writer in self._streams:
            _reset(writer)
        self.counts.resets += len(self._streams) // 2  # two ends each

    # -- datagrams ----------------------------------------------------------------------------------------

    def take_from_client(self, data: bytes, client: Any) -> None:
        """Take a client's datagram; called by the event loop."""
        back = self._backs.get(client)
        if back is None:
            self.counts.connections += 1
            back = self._backs[client] = _Back(self, client)
            self._spawn(back.open(self.target))
        self._carry(data, Way.TO_TARGET, back)

    def take_from_target(self, data: bytes, back: _Back) -> None:
        """Take the target's answer to a client; called by the event loop."""
        self._carry(data, Way.TO_CLIENT, back)

    def _carry(self, data: bytes, way: Way, back: _Back) -> None:
        """Decide what becomes of a datagram."""
        self.counts.carried += 1
        chance = self._chances[way]
        # as many draws for each, so that the fate of the n-th depends on the seed and on n alone
        lost, copied, held, *delays = (chance.random() for _ in range(5))
        if self.is_cut(way):
            self.counts.cut += 1
            return
        if len(data) > self.longest:
            self.counts.too_long += 1
            return
        if lost < self.loss:
            self.counts.lost += 1
            return
        if is_copied := copied < self.duplication:
            self.counts.copied += 1
        if is_held := held < self.reordering:
            self.counts.held_back += 1
        least, most = self._delay(way)
        for spread in delays[: 1 + is_copied]:
            delay = least + spread * (most - least) + (HELD_BACK if is_held else 0)
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, self._deliver, data, way, back)
            else:
                self._deliver(data, way, back)

    def _delay(self, way: Way) -> tuple[float, float]:
        """Return the least and the most seconds that something takes in this way."""
        if way is Way.TO_CLIENT and self.delay_back is not None:
            return self.delay_back
        return self.delay

    def _deliver(self, data: bytes, way: Way, back: _Back) -> None:
        if way is Way.TO_TARGET:
            back.send(data)
        elif self._front is not None and not self._front.is_closing():
            self._front.sendto(data, back.client)

    # -- streams ------------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        try:
            there, onward = await asyncio.open_connection(self.target.host, self.target.port)
        except OSError:
            self._streams.discard(writer)
            _reset(writer)
            return
        ends = {writer, onward}
        self._streams.add(onward)
        ways = [
            asyncio.ensure_future(self._pump(reader, onward, Way.TO_TARGET)),
            asyncio.ensure_future(self._pump(there, writer, Way.TO_CLIENT)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            outcomes = await asyncio.gather(*ways, return_exceptions=True)
            by_force = any(isinstance(one, OSError) for one in outcomes)
            self._streams -= ends
            for end in ends:
                if by_force:
                    _reset(end)
                else:
                    end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        """Carry one way of a connection until it ends; OSError where that is by force."""
        chance = self._chances[way]
        while data := await reader.read(READ):
            self.counts.carried += 1
            reset, torn, stalled, spread, where = (chance.random() for _ in range(5))
            if reset < self.resets:
                self.counts.resets += 1
                raise ConnectionResetError
            if self.is_cut(way):
                self.counts.cut += 1
                await self._open_ways[way].wait()
            if stalled < self.stalls:
                self.counts.stalled += 1
                await asyncio.sleep(self.stall)
            least, most = self._delay(way)
            if most > 0:
                await asyncio.sleep(least + spread * (most - least))
            if torn < self.tearing and len(data) > 1:
                self.counts.torn += 1
                cut = 1 + int(where * (len(data) - 1))
                writer.write(data[:cut])
                await asyncio.sleep(TEAR_PAUSE)
                data = data[cut:]
            writer.write(data)
            await writer.drain()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Front(asyncio.DatagramProtocol):
    """The socket that clients write to."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._relay.take_from_client(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Take no notice: a client that is gone is silence."""


class _Back(asyncio.DatagramProtocol):
    """One client's socket towards the target."""

    def __init__(self, relay: Relay, client: Any) -> None:
        self.client = client
        self._relay = relay
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: deque[bytes] = deque(maxlen=QUEUE)
        self._is_closed = False

    async def open(self, target: Uri) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # no way there: silence
            transport, _ = await loop.create_datagram_endpoint(
                lambda: self, remote_addr=(target.host, target.port)
            )
            if self._is_closed:
                transport.abort()
                return
            self._transport = transport
            for data in self._waiting:
                transport.sendto(data)
            self._waiting.clear()

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        elif not self._transport.is_closing():
            self._transport.sendto(data)

    def close(self) -> None:
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._relay.take_from_target(data, self)

    def error_received(self, exc: Exception) -> None:
        """Take no notice: a target that is not there is silence."""


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}: {value} is no share: give a number from 0 to 1")
    return value


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by force: with nothing to linger for, the system says so to the other side at once."""
    opened = writer.get_extra_info("socket")
    if opened is not None:
        with contextlib.suppress(OSError):
            # two integers, on Windows two short ones
            kind = "hh" if sys.platform == "win32" else "ii"
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(kind, 1, 0))
    writer.transport.abort()
