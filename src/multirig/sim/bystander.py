"""An all-knowing bystander of a lab with keys: what is in sealed packets, and what strangers bring about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from multirig.protocol.events import Address
from multirig.protocol.node import Machine, Node
from multirig.protocol.sealing import Opened, Proved
from multirig.sim.facts import Swayed, WronglyTaken
from multirig.sim.world import Computer, Forged, World
from multirig.trust import packets
from multirig.trust.admission import Admission

HEAD = slice(2, packets.HEAD)
"""Of a sealed packet: how its channel is called, and its number; no other packet has the same."""
Taken = Callable[[bytes, Address, Computer], None]


class _Letter(NamedTuple):
    content: bytes
    by: str
    """Name of the PC that has sealed it."""
    to: str
    """Boot id of the program for which it was sealed."""


class Bystander:
    """Stands beside the doors of all PCs with keys, and changes nothing.

    Parameters
    ----------
    world : World
        Where they are.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._letters: dict[bytes, _Letter] = {}
        """What was sealed and not yet opened, by the heads of the packets."""
        self.programs: dict[str, str] = {}
        """On which PC each program runs, by boot id."""
        self.takers: list[Taken] = []
        """Called with (packet, from, by) of what was sealed and has been taken."""

    def read(self, data: bytes) -> bytes:
        """Return what is in a datagram that leaves; the datagram itself, if it is not sealed."""
        letter = self._letters.get(data[HEAD]) if data[:1] == _MARK else None
        return letter.content if letter is not None else data

    def watch(self, computer: Computer) -> None:
        """Stand beside the door of a PC's new program."""
        node = computer.node
        if node is None:
            return
        self.programs[node.boot] = computer.name
        door = node.door
        close, receive, take = door.close, door.receive, node.receive_datagram

        def close_and_note(
            boot: str, address: Address, frames: list[bytes], now: int
        ) -> list[tuple[Address, bytes]]:
            out = close(boot, address, frames, now)
            for (_, packet), frame in zip(out, frames, strict=False):
                if packet[:1] == _MARK:
                    self._letters[packet[HEAD]] = _Letter(frame, computer.name, boot)
            return out

        def receive_and_judge(data: bytes, address: Address, now: int, **known: bool) -> Any:
            came = receive(data, address, now, **known)
            if came is not None:
                self._judge(computer, node, data, address, came)
            return came

        def take_and_compare(data: bytes, address: Address, now: int) -> None:
            if isinstance(data, Forged):
                self._compare(computer, node, data, lambda: take(data, address, now))
            else:
                take(data, address, now)

        door.close = close_and_note  # type: ignore[method-assign]
        door.receive = receive_and_judge  # type: ignore[method-assign]
        node.receive_datagram = take_and_compare  # type: ignore[method-assign]

    # -- inside -----------------------------------------------------------------------------------------

    def _judge(self, computer: Computer, node: Node, data: bytes, address: Address, came: Any) -> None:
        """Note what is taken and was not said, or not to this program, or has been taken before."""
        match came:
            case Opened(channel=channel, content=content):
                letter = self._letters.pop(data[HEAD], None)
                by = self.programs.get(channel.standing.boot)
                if letter != (content, by, node.boot):
                    text = f"what nobody has sealed for it, or what has been taken before: {content[:60]!r}"
                    self._world.note(WronglyTaken(who=computer.name, text=text))
                else:
                    for taker in self.takers:
                        taker(data, address, computer)
            case Proved(channel=channel):
                self._look_where(computer, channel.standing.boot, address)
            case Admission.OPEN | Admission.IBL:
                if self._world.computers[address.host].wire != 1 or isinstance(data, Forged):
                    text = f"as it comes, from {address.host}: {data[:60]!r}"
                    self._world.note(WronglyTaken(who=computer.name, text=text))

    def _compare(self, computer: Computer, node: Node, data: bytes, take: Callable[[], None]) -> None:
        """Let something come that a stranger has made or copied, and look what is other than before."""
        before, machine = _picture(node), node.machine
        node.machine = guard = _Guard(machine)
        try:
            take()
        finally:
            node.machine = machine
        after = _picture(node)
        changed = [what for what, one in before.items() if one != after[what]]
        changed += ["what its rules have heard"] if guard.heard else []
        for what in changed:
            detail = guard.heard if guard.heard else after[what]
            text = f"{what}, by {bytes(data[:40])!r}: {detail!s:.200}"
            self._world.note(Swayed(who=computer.name, what=what, text=text))
        self.look(computer)

    def look(self, computer: Computer) -> None:
        """Look where a program's links lead."""
        seals = computer.node.door.seals if computer.node is not None else None
        for kept in seals.channels.all() if seals is not None else ():
            boot = kept.channel.standing.boot
            self._look_where(computer, boot, kept.address)
            peer = computer.node.peers.of_program(boot) if computer.node is not None else None
            if peer is not None and peer.link is not None:
                self._look_where(computer, boot, peer.link.address)

    def _look_where(self, computer: Computer, boot: str, address: Address) -> None:
        owner, there = self.programs.get(boot), self._world.computers[address.host].name
        if owner != there:
            text = f"its link to {owner} leads to {address.host}, which is {there}"
            self._world.note(Swayed(who=computer.name, what=LINKS, text=text))


CHANNELS, LINKS, PEERS = "its channels", "its links", "whom it knows"


class _Guard:
    """Stands between a node and its rules."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.heard: list[Any] = []

    def handle(self, event: Any, now: int) -> Any:
        """Note that the rules hear something, and let them."""
        self.heard.append(event)
        return self._machine.handle(event, now)


def _picture(node: Node) -> dict[str, Any]:
    """Return what a stranger must not change."""
    seals = node.door.seals
    kept = seals.channels.all() if seals is not None else []
    boots = [one.channel.standing.boot for one in kept]
    peers = [node.peers.of_program(boot) for boot in boots]
    return {
        CHANNELS: [(one.channel.mine, boot) for one, boot in zip(kept, boots, strict=True)],
        LINKS: [one.address for one in kept]
        + [one.link.address for one in peers if one is not None and one.link is not None],
        PEERS: node.peers.sizes(),
    }


_MARK = bytes([packets.MARK])
