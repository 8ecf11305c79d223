"""Datagrams: one socket for all who speak to us, one connected socket for each peer that we speak to.

A connected socket is told at once when nobody listens (on Linux and macOS), and many of them share no buffer:
a thousand replies at once do not push each other out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import sys
from typing import Any

import psutil

from multirig.errors import RigUnreachable
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

BUFFER = 4 * 1024 * 1024
"""Bytes asked for the buffer of a listening socket; the system may give less."""
MAX_READ = 65_536
"""Bytes read at once: no datagram is longer."""


MAX_KNOWN = 65_536
"""Senders that are remembered; a flood of them must not fill the memory."""


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
        self._heard: dict[Address, tuple[_Listening, tuple[Any, ...]]] = {}
        """Where each sender was heard last: it takes answers from there only."""
        self._connected: dict[Address, _Connected] = {}

    def send(self, data: bytes, address: Address) -> None:
        """Send a datagram, from the socket that the peer knows."""
        connected = self._connected.get(address)
        if connected is not None:
            connected.transport.sendto(data)
        elif (heard := self._heard.get(address)) is not None:
            endpoint, sockaddr = heard
            endpoint.transport.sendto(data, sockaddr)
        else:  # a server may speak first; what listens everywhere was opened first
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            for endpoint in self._listening:
                if endpoint.transport.get_extra_info("socket").family == family:
                    endpoint.transport.sendto(data, (address.host, address.port))
                    return

    async def listen(self, host: str, port: int) -> list[Address]:
        """Open a socket at each address of a local name."""
        return await listen_everywhere(host, port, socket.SOCK_DGRAM, self._bind)

    async def _bind(self, place: Place) -> Address:
        opened = open_socket(socket.SOCK_DGRAM, place)
        address = make_address("udp", *opened.getsockname()[:2])
        if not ipaddress.ip_address(address.host).is_unspecified:
            await self._serve(opened)
            return address
        # Nobody else has the port. From the socket for all addresses an answer leaves by the address that the
        # system likes best, and a peer that has asked at another one does not take it.
        opened.close()
        everywhere = Place(place.family, (*place.sockaddr[:1], address.port, *place.sockaddr[2:]))
        await self._serve(open_socket(socket.SOCK_DGRAM, everywhere, reuse=True))
        for own in own_places(place.family, address.port):
            with contextlib.suppress(OSError):  # not ready yet: the socket for all addresses hears it
                await self._serve(open_socket(socket.SOCK_DGRAM, own, reuse=True))
        return address

    async def _serve(self, opened: socket.socket) -> None:
        endpoint = _Listening(self._receiver, self._heard)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: endpoint, sock=opened)
        self._listening.append(endpoint)

    async def connect(self, host: str, port: int) -> Address:
        """Open a socket for one peer."""
        place = (await resolve(host, port, socket.SOCK_DGRAM))[0]
        address = make_address("udp", *place.sockaddr[:2])
        if address in self._connected:
            return address
        endpoint = _Connected(self._receiver, address)
        host, port, *more = place.sockaddr
        if len(more) == 2 and more[1] and "%" not in host:
            host = f"{host}%{more[1]}"  # the interface of a link-local address
        loop = asyncio.get_running_loop()
        try:
            # asyncio must make this socket itself: on Windows it cannot send on one that was connected before
            await loop.create_datagram_endpoint(
                lambda: endpoint, remote_addr=(host, port), family=place.family
            )
        except OSError as error:
            raise RigUnreachable(f"no way to {address}: {error.strerror or error}") from None
        self._connected[address] = endpoint
        return address

    async def close(self) -> None:
        """Close every socket."""
        endpoints: list[_Endpoint] = [*self._listening, *self._connected.values()]
        self._listening.clear()
        self._heard.clear()
        self._connected.clear()
        for endpoint in endpoints:
            endpoint.close()
        for endpoint in endpoints:
            await endpoint.closed.wait()


def own_places(family: socket.AddressFamily, port: int) -> list[Place]:
    """Return a port at each address that this PC has now."""
    places = []
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == family:
                with contextlib.suppress(OSError):
                    info = socket.getaddrinfo(one.address, port, flags=socket.AI_NUMERICHOST)[0]
                    places.append(Place(family, tuple(info[4])))
    return places


class _Endpoint(asyncio.DatagramProtocol):
    """What both kinds of socket share."""

    transport: asyncio.DatagramTransport

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self.transport = transport  # type: ignore[assignment]
        # asyncio reads into a fresh 256 KiB each time, which costs more than all the rest of a reception
        transport.max_size = MAX_READ  # type: ignore[attr-defined]
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

    def __init__(self, receiver: Receiver, heard: dict[Address, tuple[_Listening, tuple[Any, ...]]]) -> None:
        super().__init__(receiver)
        self._heard = heard

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a datagram on; called by the event loop."""
        address = make_address("udp", addr[0], addr[1])
        if len(self._heard) >= MAX_KNOWN and address not in self._heard:
            self._heard.clear()
        self._heard[address] = (self, addr)
        self._receiver.received(data, address)

    def error_received(self, exc: Exception) -> None:
        """Take no notice: some peer is gone, and the system does not say which."""


class _Connected(_Endpoint):
    """A socket for one peer."""

    def __init__(self, receiver: Receiver, address: Address) -> None:
        super().__init__(receiver)
        self._address = address

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
