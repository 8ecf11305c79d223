"""Streams: one connection for each conversation, cut into messages by their JSON."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from multirig.errors import RemoteProtocolError
from multirig.protocol.codec import StreamCutter
from multirig.protocol.events import Address
from multirig.transports.base import Receiver, Transport, listen_everywhere, make_address, resolve

MAX_UNSENT = 32 * 1024 * 1024
"""Bytes that may wait for a peer that does not read; then the connection is given up."""
CLOSE_LIMIT = 1.0
"""Seconds that a peer has to take the last bytes."""


class TcpTransport(Transport):
    """Messages over TCP, IPv4 and IPv6.

    Parameters
    ----------
    receiver : Receiver
        Who takes what comes.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._servers: list[asyncio.AbstractServer] = []
        self._connections: dict[Address, _Connection] = {}
        self._dialled: dict[Address, int] = {}
        """Peers that we connect to, and their address families."""
        self._dialling: dict[Address, asyncio.Task[None]] = {}
        self._unsent: dict[Address, list[bytes]] = {}

    def send(self, data: bytes, address: Address) -> None:
        """Send a message on the peer's connection; a broken one is dialled again."""
        connection = self._connections.get(address)
        if connection is not None:
            connection.send(data)
        elif address in self._dialled:
            self._unsent.setdefault(address, []).append(data)
            if address not in self._dialling:
                self._dialling[address] = asyncio.create_task(self._dial(address))

    async def listen(self, host: str, port: int) -> list[Address]:
        """Take connections at each address of a local name."""

        async def bind(ip: str, at: int, family: int) -> Address:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: _Connection(self, self._receiver, None), ip, at, family=socket.AddressFamily(family)
            )
            self._servers.append(server)
            return make_address("tcp", *server.sockets[0].getsockname()[:2])

        return await listen_everywhere(host, port, socket.SOCK_STREAM, bind)

    async def connect(self, host: str, port: int) -> Address:
        """Note the peer; the connection is made when there is something to say."""
        ip, at, family = (await resolve(host, port, socket.SOCK_STREAM))[0]
        address = make_address("tcp", ip, at)
        self._dialled[address] = family
        return address

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        for task in self._dialling.values():
            task.cancel()
        await asyncio.gather(*self._dialling.values(), return_exceptions=True)
        self._dialling.clear()
        self._dialled.clear()
        for server in self._servers:
            server.close()
        connections = list(self._connections.values())
        for connection in connections:
            connection.close()
        for connection in connections:
            try:
                await asyncio.wait_for(connection.closed.wait(), CLOSE_LIMIT)
            except asyncio.TimeoutError:
                connection.transport.abort()
                await connection.closed.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _dial(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: _Connection(self, self._receiver, address),
                address.host,
                address.port,
                family=socket.AddressFamily(self._dialled[address]),
            )
        except OSError as error:
            self._unsent.pop(address, None)
            refused = isinstance(error, ConnectionRefusedError)
            reason = (
                "nothing listens there: start 'multirig serve' on that PC, or check the port"
                if refused
                else f"no way there ({error.strerror or error}): check the network and the address"
            )
            self._receiver.unreachable(address, reason)
        finally:
            self._dialling.pop(address, None)

    def opened(self, address: Address, connection: _Connection) -> None:
        """Note a new connection, and send what waits for it."""
        self._connections[address] = connection
        for data in self._unsent.pop(address, []):
            connection.send(data)

    def lost(self, address: Address, connection: _Connection, reason: str) -> None:
        """Note the end of a connection."""
        if self._connections.get(address) is connection:
            del self._connections[address]
            self._receiver.unreachable(address, reason)


class _Connection(asyncio.Protocol):
    """One conversation."""

    transport: asyncio.Transport

    def __init__(self, owner: TcpTransport, receiver: Receiver, address: Address | None) -> None:
        self._owner = owner
        self._receiver = receiver
        self._address = address or Address("tcp", "", 0)
        self._cutter = StreamCutter()
        self._noise = 0
        self._reason = "the connection was closed by that PC: is the program there still running?"
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the peer; called by the event loop."""
        self.transport = transport  # type: ignore[assignment]
        if not self._address.host:
            self._address = make_address("tcp", *transport.get_extra_info("peername")[:2])
        opened = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # small messages must not wait for company
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.opened(self._address, self)

    def data_received(self, data: bytes) -> None:
        """Cut what came into messages and hand them on; called by the event loop."""
        try:
            messages = self._cutter.feed(data)
        except RemoteProtocolError as error:
            self._reason = f"the connection was given up: {error}"
            # the same words on the wire: the sender must learn why
            self.transport.write(b'[0, "%s", 0]' % str(error).encode())
            self.transport.close()
            return
        if self._cutter.skipped > self._noise:
            self._noise = self._cutter.skipped
            self._receiver.received(b"", self._address)  # noise: counted with the other noise
        for message in messages:
            self._receiver.received(message, self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end; called by the event loop."""
        self.closed.set()
        self._owner.lost(self._address, self, self._reason)

    def send(self, data: bytes) -> None:
        """Send to the peer."""
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self._reason = f"that PC does not read what it is sent ({MAX_UNSENT:,} bytes wait)"
            self.transport.abort()
            return
        self.transport.write(data)

    def close(self) -> None:
        """End the connection; what is on its way still leaves."""
        self.transport.close()
