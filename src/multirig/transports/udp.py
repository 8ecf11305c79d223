"""Datagrams: one socket for all who speak to us, one connected socket for each peer that we speak to.

A connected socket is told at once when nobody listens (on Linux and macOS), and many of them share no buffer:
a thousand replies at once do not push each other out.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import Any

from multirig.errors import RigUnreachable
from multirig.protocol.events import Address
from multirig.transports.base import Receiver, Transport, listen_everywhere, make_address, resolve

BUFFER = 4 * 1024 * 1024
"""Bytes asked for the buffer of a listening socket; the system may give less."""


class UdpTransport(Transport):
    """Messages as UDP datagrams, IPv4 and IPv6.

    Parameters
    ----------
    receiver : Receiver
        Who takes what comes.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._listening: list[_Listening] = []
        self._connected: dict[Address, _Connected] = {}

    def send(self, data: bytes, address: Address) -> None:
        """Send a datagram, from the socket that the peer knows."""
        connected = self._connected.get(address)
        if connected is not None:
            connected.send(data)
            return
        for listening in self._listening:
            if listening.has_heard(address):
                listening.send(data, address)
                return

    async def listen(self, host: str, port: int) -> list[Address]:
        """Open a socket at each address of a local name."""

        async def bind(ip: str, at: int, family: int) -> Address:
            endpoint = _Listening(self._receiver)
            loop = asyncio.get_running_loop()
            await loop.create_datagram_endpoint(lambda: endpoint, local_addr=(ip, at), family=family)
            self._listening.append(endpoint)
            return make_address("udp", *endpoint.transport.get_extra_info("sockname")[:2])

        return await listen_everywhere(host, port, socket.SOCK_DGRAM, bind)

    async def connect(self, host: str, port: int) -> Address:
        """Open a socket for one peer."""
        ip, at, family = (await resolve(host, port, socket.SOCK_DGRAM))[0]
        address = make_address("udp", ip, at)
        if address in self._connected:
            return address
        endpoint = _Connected(self._receiver, address)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: endpoint, remote_addr=(ip, at), family=family)
        except OSError as error:
            raise RigUnreachable(f"no way to {address}: {error.strerror or error}") from None
        self._connected[address] = endpoint
        return address

    async def close(self) -> None:
        """Close every socket."""
        endpoints: list[_Endpoint] = [*self._listening, *self._connected.values()]
        self._listening.clear()
        self._connected.clear()
        for endpoint in endpoints:
            endpoint.close()
        for endpoint in endpoints:
            await endpoint.closed.wait()


class _Endpoint(asyncio.DatagramProtocol):
    """What both kinds of socket share."""

    transport: asyncio.DatagramTransport

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self.transport = transport  # type: ignore[assignment]
        opened = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the system's limit is as good as it gets
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        _keep_receiving(opened)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; called by the event loop."""
        self.closed.set()

    def close(self) -> None:
        """Close the socket now; what is unsent is dropped, as datagrams may be."""
        self.transport.abort()


class _Listening(_Endpoint):
    """A socket that anybody may write to."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver)
        self._names: dict[Address, tuple[Any, ...]] = {}

    def has_heard(self, address: Address) -> bool:
        """Whether the peer has written to this socket."""
        return address in self._names

    def send(self, data: bytes, address: Address) -> None:
        """Answer from the very ip:port that was addressed."""
        self.transport.sendto(data, self._names[address])

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a datagram on; called by the event loop."""
        address = make_address("udp", addr[0], addr[1])
        if address not in self._names:
            if len(self._names) >= 65_536:  # a flood of senders must not fill the memory
                self._names.clear()
            self._names[address] = addr
        self._receiver.received(data, address)

    def error_received(self, exc: Exception) -> None:
        """Take no notice: some peer is gone, and the system does not say which."""


class _Connected(_Endpoint):
    """A socket for one peer."""

    def __init__(self, receiver: Receiver, address: Address) -> None:
        super().__init__(receiver)
        self._address = address

    def send(self, data: bytes) -> None:
        """Send to the peer."""
        self.transport.sendto(data)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a datagram on; called by the event loop."""
        self._receiver.received(data, self._address)

    def error_received(self, exc: Exception) -> None:
        """Report that nobody listens; called by the event loop."""
        if isinstance(exc, ConnectionError):
            self._receiver.unreachable(
                self._address, "nothing listens there: start 'multirig serve' on that PC, or check the port"
            )
        elif isinstance(exc, OSError):
            self._receiver.unreachable(
                self._address, f"no way there ({exc.strerror or exc}): check the network and the address"
            )


def _keep_receiving(opened: socket.socket) -> None:
    """Tell Windows that a peer's closed port is no reason to stop receiving (error 10054).

    Python's own ``ioctl`` does not know the code. The price: on Windows a missing peer shows by its silence.
    """
    if sys.platform == "win32":
        import ctypes

        sio_udp_connreset = 0x9800000C
        off, written = ctypes.c_ulong(0), ctypes.c_ulong(0)
        ctypes.windll.ws2_32.WSAIoctl(
            ctypes.c_size_t(opened.fileno()),
            sio_udp_connreset,
            ctypes.byref(off),
            ctypes.sizeof(off),
            None,
            0,
            ctypes.byref(written),
            None,
            None,
        )
