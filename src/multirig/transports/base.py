"""What every transport does, and what it tells."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Protocol

from multirig.errors import ConfigError, RigUnreachable
from multirig.protocol.events import Address


class Receiver(Protocol):
    """Takes what a transport brings."""

    def received(self, data: bytes, address: Address) -> None:
        """Take one whole message."""

    def unreachable(self, address: Address, reason: str) -> None:
        """Note that nothing listens at an address, or that a connection ended."""


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


async def resolve(host: str, port: int, kind: socket.SocketKind) -> list[tuple[str, int, int]]:
    """Return (IP address, port, address family) of a name, without blocking the event loop.

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
    unique = {(str(info[4][0]), int(info[4][1]), int(info[0])): None for info in found}
    return list(unique)


async def listen_everywhere(
    host: str, port: int, kind: socket.SocketKind, bind: Callable[[str, int, int], Awaitable[Address]]
) -> list[Address]:
    """Bind at each address of a local name and put errors in words that help."""
    addresses = []
    try:
        found = await resolve(host, port, kind)
    except RigUnreachable as error:
        raise ConfigError(str(error)) from None
    for ip, at, family in found:
        try:
            addresses.append(await bind(ip, at, family))
        except OSError as error:
            scheme = "udp" if kind is socket.SOCK_DGRAM else "tcp"
            raise ConfigError(f"cannot listen on {scheme}://{host}:{port}: {_explain(error)}") from None
    return addresses


def _explain(error: OSError) -> str:
    text = (error.strerror or str(error)).lower()
    if "in use" in text or "only one usage" in text or "permission" in text or "forbidden" in text:
        return f"{text}; another program (or another multirig) uses this port: end it or choose another port"
    if "assign" in text or "not valid in its context" in text:
        return f"{text}; this PC does not have that address: use 0.0.0.0 for all of its addresses"
    return text


def make_address(scheme: str, host: str, port: int) -> Address:
    """Return a peer's address in the one spelling that compares equal."""
    if host.startswith("::ffff:") and "." in host:
        host = str(ipaddress.IPv6Address(host).ipv4_mapped)
    return Address(scheme, host, port)


def allow_open_sockets(count: int) -> None:
    """Ask the system for that many open files; many systems give a program a thousand unless it asks."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
