"""What every transport does, and what it tells."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from multirig.errors import ConfigError, NotThereYet, RigUnreachable
from multirig.protocol.events import Address


class Receiver(Protocol):
    """Takes what a transport brings."""

    def received(self, data: bytes, address: Address) -> bool:
        """Take one whole message; return whether its sender is to be remembered."""

    def lets_in(self, address: Address) -> bool:
        """Whether what comes from an address is taken as it comes, or has been proved."""

    def unreachable(self, address: Address, reason: str, *, is_refusal: bool = True) -> None:
        """Note that nothing listens at an address, or that a connection ended.

        Without `is_refusal` it is this PC's own word: at the moment there is no way there.
        """


class Transport(ABC):
    """Moves whole messages; may lose, copy and reorder them."""

    @abstractmethod
    def send(self, data: bytes, address: Address) -> None:
        """Hand a message to the network; what becomes of it is not known."""

    @abstractmethod
    async def listen(self, host: str, port: int) -> list[Address]:
        """Take messages at a local address; return the addresses really used, one for each interface.

        Raises
        ------
        ConfigError
            The port is taken or the address is not this PC's.
        """

    @abstractmethod
    async def connect(self, host: str, port: int) -> Address:
        """Get ready to speak to a peer and return its address; RigUnreachable if the name is unknown."""

    @abstractmethod
    async def close(self) -> None:
        """Stop listening and end all conversations."""


class Network(Protocol):
    """Carries messages instead of the system's sockets: in rehearsal, tests and simulation."""

    @property
    def scheme(self) -> str:
        """Of the addresses that it carries."""

    def make_transport(self, receiver: Receiver) -> Transport:
        """Return what joins a program to it."""


class Place(NamedTuple):
    """Where a name leads, in the words of the socket module."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]
    """Begins with IP address and port; IPv6 goes on with the network interface."""


async def resolve(host: str, port: int, kind: socket.SocketKind) -> list[Place]:
    """Return where a name leads, IPv4 first, without blocking the event loop.

    IPv4 comes first since many systems know an IPv6 address for each of their neighbours, and no peer of
    wire 1.0 listens there.

    Raises
    ------
    RigUnreachable
        The name is not known on this network.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=kind)
    except (OSError, UnicodeError) as error:
        raise RigUnreachable(
            f"the name {host!r} is not known on this network ({error}): "
            "check the spelling or use the IP address"
        ) from None
    places = dict.fromkeys(Place(socket.AddressFamily(info[0]), tuple(info[4])) for info in found)
    return sorted(places, key=lambda place: place.family != socket.AF_INET)


async def listen_everywhere(
    host: str, port: int, kind: socket.SocketKind, bind: Callable[[Place], Awaitable[Address]]
) -> list[Address]:
    """Bind at each address of a local name and put errors in words that help."""
    addresses = []
    try:
        places = await resolve(host, port, kind)
    except RigUnreachable as error:
        raise ConfigError(str(error)) from None
    for place in places:
        try:
            addresses.append(await bind(place))
        except OSError as error:
            scheme = "udp" if kind is socket.SOCK_DGRAM else "tcp"
            kind_of_error = NotThereYet if _numbers(error) & _NOT_OURS else ConfigError
            raise kind_of_error(
                f"cannot listen on {Address(scheme, host, port)}: {explain_refusal(error)}"
            ) from None
    return addresses


def open_socket(kind: socket.SocketKind, place: Place, *, reuse: bool = False) -> socket.socket:
    """Return a socket bound to a place; IPv6 is IPv6 only, so that both can have one port number."""
    opened = socket.socket(place.family, kind)
    try:
        opened.setblocking(False)
        if place.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(place.sockaddr)
    except OSError:
        opened.close()
        raise
    return opened


_TAKEN = {errno.EADDRINUSE, errno.EACCES, errno.EPERM, 10048, 10013}
"""Numbers that say so in every language: WSAEADDRINUSE and WSAEACCES are Windows' own."""
_NOT_OURS = {errno.EADDRNOTAVAIL, 10049}


def explain_refusal(error: OSError) -> str:
    """Return why a port cannot be had, and what to do."""
    text = (error.strerror or str(error)).lower()
    numbers = _numbers(error)
    if numbers & _TAKEN:
        use = "another program (or another multirig) uses this port: end it or choose another port"
        if numbers & {errno.EACCES, errno.EPERM, 10013}:
            use = (
                "another program uses this port, or the system keeps it for itself (on Windows see "
                "'netsh int ipv4 show excludedportrange protocol=udp'): choose another port"
            )
        return f"{text}; {use}"
    if numbers & _NOT_OURS:
        return f"{text}; this PC does not have that address: use 0.0.0.0 for all of its addresses"
    return text


def _numbers(error: OSError) -> set[int | None]:
    return {error.errno, getattr(error, "winerror", None)}


def make_address(scheme: str, host: str, port: int) -> Address:
    """Return a peer's address in the one spelling that compares equal."""
    if host.startswith("::ffff:") and "." in host:
        host = str(ipaddress.IPv6Address(host).ipv4_mapped)
    return Address(scheme, host, port)


def allow_open_sockets(count: int) -> None:
    """Ask the system for that many open files; many systems give a program a thousand unless it asks."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
