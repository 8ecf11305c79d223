"""Messages inside one process, for rehearsal and tests; a `Postman` may lose, copy or delay them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from multirig.errors import ConfigError
from multirig.protocol.events import Address
from multirig.transports.base import Receiver, Transport

Postman = Callable[[bytes, Address, Address], Iterable[float]]
"""(data, from, to) -> the delay of each copy, in seconds; none: the message is lost."""


def faithful(data: bytes, source: Address, target: Address) -> Iterable[float]:
    """Deliver every message once, at once."""
    return (0.0,)


class MemoryNetwork:
    """The air between memory transports.

    Parameters
    ----------
    postman : Postman
        Decides what becomes of each message.
    """

    scheme = "memory"

    def __init__(self, postman: Postman = faithful) -> None:
        self.postman = postman
        self.members: dict[Address, MemoryTransport] = {}
        self._ports = 0

    def make_transport(self, receiver: Receiver) -> Transport:
        """Return what joins a program to it."""
        return MemoryTransport(receiver, self)

    def join(self, transport: MemoryTransport, host: str, port: int) -> Address:
        """Give a transport an address; ConfigError if it is taken."""
        if port == 0:
            self._ports += 1
            port = 50_000 + self._ports
        address = Address("memory", host, port)
        if address in self.members:
            raise ConfigError(f"cannot listen on {address}: the address is taken")
        self.members[address] = transport
        return address

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Take a message to its target, as the postman decides."""
        loop = asyncio.get_running_loop()
        for delay in self.postman(data, source, target):
            loop.call_later(delay, self._deliver, data, source, target)

    def _deliver(self, data: bytes, source: Address, target: Address) -> None:
        member = self.members.get(target)
        if member is not None:
            member.receiver.received(data, source)
        elif (sender := self.members.get(source)) is not None:
            sender.receiver.unreachable(target, "nothing listens there")


class MemoryTransport(Transport):
    """Messages to other members of a `MemoryNetwork`.

    Parameters
    ----------
    receiver : Receiver
        Who takes what comes.
    network : MemoryNetwork
        Where the others are.
    """

    def __init__(self, receiver: Receiver, network: MemoryNetwork) -> None:
        self.receiver = receiver
        self._network = network
        self._own: list[Address] = []

    def send(self, data: bytes, address: Address) -> None:
        """Give a message to the postman."""
        if not self._own:
            self._own.append(self._network.join(self, "conductor", 0))
        self._network.carry(data, self._own[0], address)

    async def listen(self, host: str, port: int) -> list[Address]:
        """Take an address on the network."""
        self._own.append(self._network.join(self, host, port))
        return [self._own[-1]]

    async def connect(self, host: str, port: int) -> Address:
        """Return the peer's address."""
        return Address("memory", host, port)

    async def close(self) -> None:
        """Leave the network."""
        for address in self._own:
            self._network.members.pop(address, None)
        self._own.clear()
