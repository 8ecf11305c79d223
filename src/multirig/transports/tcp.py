"""Streams: one connection for each conversation, cut into messages by their JSON."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

from multirig.errors import RemoteProtocolError, RigUnreachable
from multirig.protocol.codec import MAX_STREAM_MESSAGE, StreamCutter
from multirig.protocol.events import Address
from multirig.transports.base import (
    Place,
    Receiver,
    Transport,
    listen_everywhere,
    make_address,
    open_socket,
    resolve,
)

MAX_UNSENT = 32 * 1024 * 1024
"""Bytes that may wait for a peer that does not read; then the connection is given up."""
DIAL_LIMIT = 5.0
"""Seconds that a PC has to take a connection; what waits for it meanwhile is too old then."""
CLOSE_LIMIT = 1.0
"""Seconds that a peer has to take the last bytes."""
UNHEARD_LIMIT = 6
"""Seconds for which the peer's system may not confirm what it was sent; then the connection is made anew."""
_UNHEARD_OPTIONS = {"linux": (18, 1000), "win32": (5, 1), "darwin": (0x80, 1)}
"""TCP_USER_TIMEOUT, TCP_MAXRT, TCP_RXT_CONNDROPTIME, and in what part of a second each counts."""
FIND_LIMIT = 2.0
"""Seconds in which a name must be found again; else the peer is looked for where it was."""
MAX_OF_HOST = 32
"""Connections of one PC by which nothing worth anything has come; one more is not taken."""
MAX_INCOMING = 256
"""The same of all PCs; of more, the oldest goes."""
UNPROVED_LIMIT = 10.0
"""Seconds for which a connection may be open by which nothing worth anything has come."""
UNPROVED_BYTES = 64 * 1024
"""Bytes of a message that are kept until something worth anything has come."""
DRAIN_LIMIT = 5.0
"""Seconds for which whoever sends too much may go on before it is cut off: it must get to read why."""


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
        self._open: dict[_Connection, None] = {}
        """The oldest first."""
        self._connections: dict[Address, _Connection] = {}
        """Those that messages can go to."""
        self._dialled: dict[Address, tuple[str, Place]] = {}
        """Peers that we connect to: how they were asked for, and where that has led."""
        self._dialling: dict[Address, asyncio.Task[None]] = {}
        self._unsent: dict[Address, list[bytes]] = {}
        self._closed = False

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

        async def bind(place: Place) -> Address:
            # Windows gives a port that is in use to whoever asks for its reuse
            opened = open_socket(socket.SOCK_STREAM, place, reuse=sys.platform != "win32")
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: _Connection(self, self._receiver, None), sock=opened)
            self._servers.append(server)
            return make_address("tcp", *opened.getsockname()[:2])

        return await listen_everywhere(host, port, socket.SOCK_STREAM, bind)

    async def connect(self, host: str, port: int) -> Address:
        """Note the peer; the connection is made when there is something to say."""
        place = (await resolve(host, port, socket.SOCK_STREAM))[0]
        address = make_address("tcp", *place.sockaddr[:2])
        self._dialled[address] = host, place
        return address

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        self._closed = True
        for task in self._dialling.values():
            task.cancel()
        await asyncio.gather(*self._dialling.values(), return_exceptions=True)
        self._dialled.clear()
        for server in self._servers:
            server.close()
        if self._open:
            for connection in list(self._open):
                connection.transport.close()  # what is on its way still leaves
            closing = [asyncio.ensure_future(connection.closed.wait()) for connection in self._open]
            await asyncio.wait(closing, timeout=CLOSE_LIMIT)
            for connection in list(self._open):
                connection.transport.abort()
            await asyncio.wait(closing)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _dial(self, address: Address) -> None:
        is_refusal = True
        try:
            await asyncio.wait_for(self._connect(address), DIAL_LIMIT)
            return
        except ConnectionRefusedError:
            reason = "nothing listens there: start 'multirig serve' on that PC, or check the port"
        except asyncio.TimeoutError:
            reason = (
                "that PC does not take the connection: is it on, and does its firewall let the port through?"
            )
            is_refusal = False
        except OSError as error:
            reason = f"no way there ({error.strerror or error}): check the network and the address"
            is_refusal = False
        finally:
            self._dialling.pop(address, None)
        self._unsent.pop(address, None)
        self._receiver.unreachable(address, reason, is_refusal=is_refusal)

    async def _connect(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        host, place = self._dialled[address]
        with contextlib.suppress(RigUnreachable, asyncio.TimeoutError):  # its name may lead elsewhere by now
            found = await asyncio.wait_for(resolve(host, place.sockaddr[1], socket.SOCK_STREAM), FIND_LIMIT)
            if place not in found:
                place = found[0]
                self._dialled[address] = host, place
        opened = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            await loop.sock_connect(opened, place.sockaddr)
        except BaseException:
            opened.close()
            raise
        await loop.create_connection(lambda: _Connection(self, self._receiver, address), sock=opened)

    def opened(self, address: Address, connection: _Connection) -> None:
        """Note a new connection, and send what waits for it."""
        if self._closed or not self._has_room(address, connection):
            self._open[connection] = None
            connection.transport.abort()
            return
        self._open[connection] = None
        self._connections[address] = connection
        self._dialling.pop(address, None)
        for data in self._unsent.pop(address, []):
            connection.send(data)

    def _has_room(self, address: Address, connection: _Connection) -> bool:
        """Return whether one more connection can be taken; one of strangers may have to go for it."""
        if connection.is_proved():
            return True
        unproved = [one for one in self._open if not one.is_proved()]
        if sum(one.host == address.host for one in unproved) >= MAX_OF_HOST:
            return False
        if len(unproved) >= MAX_INCOMING:
            unproved[0].transport.abort()
        return True

    def ended(
        self, address: Address, connection: _Connection, reason: str, *, is_refusal: bool = True
    ) -> None:
        """Note that no more messages go by a connection."""
        if self._connections.get(address) is connection:
            del self._connections[address]
            self._receiver.unreachable(address, reason, is_refusal=is_refusal)

    def lost(self, connection: _Connection) -> None:
        """Note that a connection is no more."""
        self._open.pop(connection, None)


class _Connection(asyncio.Protocol):
    """One conversation."""

    transport: asyncio.Transport

    def __init__(self, owner: TcpTransport, receiver: Receiver, address: Address | None) -> None:
        self._owner = owner
        self._receiver = receiver
        self._address = address or Address("tcp", "", 0)
        self._is_proved = address is not None
        self._cutter = StreamCutter(UNPROVED_BYTES if address is None else MAX_STREAM_MESSAGE)
        self._noise = 0
        self._is_given_up = False
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the peer; called by the event loop."""
        self.transport = transport  # type: ignore[assignment]
        if not self._address.host:
            self._address = make_address("tcp", *transport.get_extra_info("peername")[:2])
        opened = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # small messages must not wait for company
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (option := _UNHEARD_OPTIONS.get(sys.platform)) is not None:
            with contextlib.suppress(OSError):  # an older Windows does not know it
                opened.setsockopt(socket.IPPROTO_TCP, option[0], UNHEARD_LIMIT * option[1])
        self._owner.opened(self._address, self)
        if not self.is_proved():
            asyncio.get_running_loop().call_later(UNPROVED_LIMIT, self._end_unproved)

    @property
    def host(self) -> str:
        """IP address of the peer."""
        return self._address.host

    def is_proved(self) -> bool:
        """Whether who is at the other end is let in, or was asked; what strangers send proves nothing."""
        if not self._is_proved and self._receiver.lets_in(self._address):
            self._is_proved = True
            self._cutter.limit = MAX_STREAM_MESSAGE
        return self._is_proved

    def _end_unproved(self) -> None:
        if not self.is_proved():
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Cut what came into messages and hand them on; called by the event loop."""
        if self._is_given_up:
            return
        self.is_proved()
        try:
            messages = self._cutter.feed(data)
        except RemoteProtocolError as error:
            self._give_up(str(error))
            return
        if self._cutter.skipped > self._noise:
            self._noise = self._cutter.skipped
            self._receiver.received(b"", self._address)  # noise: counted with the other noise
        for message in messages:
            self._receiver.received(message, self._address)

    def _give_up(self, why: str) -> None:
        """Tell the sender why, and read on for a while: with unread bytes a connection ends in a reset."""
        self._is_given_up = True
        self.transport.write(b'[0, "%s", 0]' % why.encode())
        self.transport.write_eof()
        asyncio.get_running_loop().call_later(DRAIN_LIMIT, self.transport.abort)
        self._owner.ended(self._address, self, f"the connection was given up: {why}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end; called by the event loop."""
        self.closed.set()
        self._owner.lost(self)
        reason = "the connection was closed by that PC: is 'multirig serve' still running there?"
        is_ours = isinstance(exc, OSError) and not isinstance(exc, ConnectionError)
        if is_ours:
            reason = f"no way there ({getattr(exc, 'strerror', exc)}): check the network and the address"
        self._owner.ended(self._address, self, reason, is_refusal=not is_ours)

    def send(self, data: bytes) -> None:
        """Send to the peer."""
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self.transport.abort()
            reason = f"that PC does not read what it is sent ({MAX_UNSENT:,} bytes wait)"
            self._owner.ended(self._address, self, reason)
        elif not self.transport.is_closing():
            self.transport.write(data)
