"""Datagrams: one socket for all who speak to us, one of its own for each peer that we speak to.

The socket of a peer is connected: it is told at once when nobody listens (on Linux and macOS). Many of them
share no buffer: a thousand replies at once do not push each other out. But a connected socket has the
addresses of the moment when it was opened, the peer's and this PC's, and either may get another one. So it is
opened anew, on the same port, when it fails or the peer is silent; every second time without being connected,
since then it hears a peer that has moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import OrderedDict
from typing import Any

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
from multirig.transports.udp_path import STOPS_READING, Endpoint, UdpPath

MAX_KNOWN = 65_536
"""Senders that are remembered; a flood of them must not fill the memory."""
FEW_KNOWN = 1_024
"""Up to so many it does not matter which of them was heard last."""
LOOK_EVERY = 0.25
"""Seconds between two looks at the addresses of this PC, at least."""
SERVE_AGAIN = 0.5
"""Seconds between two tries to listen again at an address that is gone."""


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
        self._heard: OrderedDict[Address, tuple[_Listening | UdpPath, tuple[Any, ...]]] = OrderedDict()
        """Where each sender was heard last: it takes answers from there only."""
        self._paths: dict[Address, UdpPath] = {}
        self._looks: set[asyncio.Future[None]] = set()
        self._looks_again_at = 0.0
        self._is_closed = False

    def send(self, data: bytes, address: Address) -> None:
        """Send a datagram, from the socket that the peer knows."""
        path = self._paths.get(address)
        if path is not None:
            path.send(data)
        elif (heard := self._heard.get(address)) is not None:
            endpoint, sockaddr = heard
            endpoint.send(data, sockaddr)
        else:  # a server may speak first; what listens everywhere was opened first
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            for one in self._listening:
                if one.family == family:
                    one.send(data, (address.host, address.port))
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
        common = await self._serve(open_socket(socket.SOCK_DGRAM, everywhere, reuse=True))
        common.is_for_all = True
        await self._serve_own(common)
        return address

    async def _serve(self, opened: socket.socket) -> _Listening:
        endpoint = _Listening(self, Place(opened.family, tuple(opened.getsockname())))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: endpoint, sock=opened)
        self._listening.append(endpoint)
        return endpoint

    async def _serve_own(self, common: _Listening) -> list[_Listening]:
        """Open a socket at each address that this PC has now and has none yet; return those that are new."""
        known = {one.place.sockaddr[0] for one in self._listening if one.place.sockaddr[1] == common.port}
        new = []
        for own in await asyncio.to_thread(own_places, common.family, common.port):
            if own.sockaddr[0] not in known and not self._is_closed:
                with contextlib.suppress(OSError):  # not ready yet: the socket for all addresses hears it
                    new.append(await self._serve(open_socket(socket.SOCK_DGRAM, own, reuse=True)))
        return new

    def heard(self, endpoint: _Listening, data: bytes, sockaddr: tuple[Any, ...]) -> None:
        """Take what came on a listening socket."""
        if endpoint.is_for_all and (now := asyncio.get_running_loop().time()) >= self._looks_again_at:
            # each address has a socket of its own: this was sent to one that the PC had not at the last look
            self._looks_again_at = now + LOOK_EVERY
            look = asyncio.ensure_future(self._look_at_addresses(endpoint, data, sockaddr))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        else:
            self._take(endpoint, data, sockaddr)

    async def _look_at_addresses(self, common: _Listening, data: bytes, sockaddr: tuple[Any, ...]) -> None:
        new = await self._serve_own(common)
        self._take(new[0] if len(new) == 1 else common, data, sockaddr)

    def _take(self, endpoint: _Listening | UdpPath, data: bytes, sockaddr: tuple[Any, ...]) -> None:
        address = make_address("udp", *sockaddr[:2])
        if self._receiver.received(data, address):
            self._note_heard(address, endpoint, sockaddr)

    def _note_heard(
        self, address: Address, endpoint: _Listening | UdpPath, sockaddr: tuple[Any, ...]
    ) -> None:
        if address not in self._heard:
            while len(self._heard) >= MAX_KNOWN:
                self._heard.popitem(last=False)
        elif len(self._heard) > FEW_KNOWN:
            self._heard.move_to_end(address)
        self._heard[address] = (endpoint, sockaddr)

    def failed(self, endpoint: _Listening, error: Exception) -> None:
        """Take that something could not be sent, or that some peer is gone: the system does not say which."""
        if not isinstance(error, ConnectionError):
            self._answer_from_anywhere(endpoint)
        if STOPS_READING and not self._is_closed:
            look = asyncio.ensure_future(self._serve_again(endpoint))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    def _answer_from_anywhere(self, endpoint: _Listening) -> None:
        """Answer from another address those who were heard at one that this PC may have no more."""
        for common in self._listening:
            if common.is_for_all and common is not endpoint and common.reaches_like(endpoint):
                for address, (heard_on, sockaddr) in [*self._heard.items()]:
                    if heard_on is endpoint:
                        self._heard[address] = (common, sockaddr)

    async def _serve_again(self, endpoint: _Listening) -> None:
        """Open a socket in place of one that is read no more."""
        if endpoint not in self._listening:
            return
        self._listening.remove(endpoint)
        await endpoint.end()
        while not self._is_closed:
            try:
                again = await self._serve(open_socket(socket.SOCK_DGRAM, endpoint.place, reuse=True))
            except OSError:  # the address is gone for now, as with a cable that is pulled
                if any(one.is_for_all and one.reaches_like(endpoint) for one in self._listening):
                    return  # it is served when it is back and asked at
                await asyncio.sleep(SERVE_AGAIN)
            else:
                again.is_for_all = endpoint.is_for_all
                return

    async def connect(self, host: str, port: int) -> Address:
        """Open a socket for one peer."""
        place = (await resolve(host, port, socket.SOCK_DGRAM))[0]
        path = UdpPath(self._receiver, host, place, self._note_heard)
        if path.address not in self._paths:
            await path.open()
            self._paths[path.address] = path
        return path.address

    async def close(self) -> None:
        """Close every socket."""
        self._is_closed = True
        await asyncio.gather(*self._looks, return_exceptions=True)  # at most SERVE_AGAIN
        endpoints, paths = [*self._listening], [*self._paths.values()]
        self._listening.clear()
        self._heard.clear()
        self._paths.clear()
        for path in paths:
            await path.close()
        for endpoint in endpoints:
            await endpoint.end()


def own_places(family: socket.AddressFamily, port: int) -> list[Place]:
    """Return a port at each address that this PC has now."""
    import psutil  # takes long to load, and a rig at one address needs none of it

    places = []
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == family:
                with contextlib.suppress(OSError):
                    info = socket.getaddrinfo(one.address, port, flags=socket.AI_NUMERICHOST)[0]
                    places.append(Place(family, tuple(info[4])))
    return places


class _Listening(Endpoint):
    """A socket that anybody may write to."""

    def __init__(self, owner: UdpTransport, place: Place) -> None:
        super().__init__()
        self._owner = owner
        self.place = place
        self.is_for_all = False
        """Whether it hears what is sent to addresses that have no socket of their own."""

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return self.place.family

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.place.sockaddr[1])

    def reaches_like(self, other: _Listening) -> bool:
        """Whether it speaks from the same port, with the same kind of addresses."""
        return (self.family, self.port) == (other.family, other.port)

    def send(self, data: bytes, sockaddr: tuple[Any, ...]) -> None:
        """Send a datagram to whoever was heard here."""
        self.transport.sendto(data, sockaddr)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a datagram on; called by the event loop."""
        self._owner.heard(self, data, addr)

    def error_received(self, exc: Exception) -> None:
        """Hand an error on; called by the event loop."""
        self._owner.failed(self, exc)
