"""A lab of PCs with keys, for tests: what is random in it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from multirig.protocol.dialect import hear_verbatim
from multirig.protocol.door import Door
from multirig.protocol.events import Address
from multirig.protocol.node import Node
from multirig.protocol.rights import object_to
from multirig.protocol.sealing import Seals, needs_a_rig
from multirig.trust.admission import Admission, Doors
from multirig.trust.certificate import Certificate, LabKey, ShutOut
from multirig.trust.keys import Keys, Membership, public_key
from multirig.trust.roles import Role

NOW = 1_800_000_000
"""Seconds since 1970 at which it all happens."""
LAB = LabKey("cortexlab", b"L" * 32)
OTHER_LAB = LabKey("otherlab", b"O" * 32)


def draws(seed: str) -> Callable[[int], bytes]:
    """Return what gives bytes that look random, the same for the same seed."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.blake2b(f"{seed} {count}".encode(), digest_size=size).digest()

    return draw


def certify(name: str, role: Role, lab: LabKey = LAB, **more: Any) -> Certificate:
    """Return a certificate of a lab for a PC."""
    return lab.certify(public_key(private(name)), name, role, now=NOW, **more)


def private(name: str) -> bytes:
    """Return the private key of a PC."""
    return hashlib.blake2b(name.encode(), digest_size=32).digest()


def keys(
    name: str, role: Role = Role.LEAD, lab: LabKey = LAB, shut_out: ShutOut | None = None, **more: Any
) -> Keys:
    """Return all that a PC of a lab has."""
    return Keys(private(name), (Membership(lab.lab, certify(name, role, lab, **more), shut_out),))


def seals(name: str, own: Keys, *, leads: bool = False) -> Seals:
    """Return the channels of a program."""
    objects = needs_a_rig if leads else lambda standing: ""
    return Seals(own, boot=boot(name), name=name, random=draws(name), wall=lambda: NOW, objects=objects)


def boot(name: str) -> str:
    """Return the boot id of the program on a PC."""
    return hashlib.blake2b(b"boot " + name.encode(), digest_size=8).hexdigest()


def node(
    name: str,
    machine: Any,
    own: Keys | None,
    *,
    leads: bool,
    doors: Doors | None = None,
    own_address: str = "",
) -> Node:
    """Return the node of a program on a PC."""
    door = Door(
        (doors or Doors()).admit,
        name=name,
        make_seals=lambda keys: seals(name, keys, leads=leads),
        keys=own,
        without_key=Admission.OPEN if leads else Admission.NOBODY,
        objects=(lambda standing, word: "") if leads else object_to,
        is_here=lambda host: host == own_address,
    )
    return Node(boot=boot(name), name=name, machine=machine, hears=hear_verbatim, door=door)


class Wire:
    """Carries datagrams between nodes; whatever passes can be kept, changed, copied and lost."""

    def __init__(self, nodes: dict[Address, Node]) -> None:
        self.nodes = nodes
        self.now = 0
        self.passed: list[tuple[Address, Address, bytes]] = []
        """From, to, and what."""
        self.disturb: Callable[[Address, Address, bytes], list[bytes]] = lambda sender, to, data: [data]

    def run(self, seconds: float = 0.0) -> None:
        """Let everything pass, and time go by."""
        until = self.now + round(seconds * 1e9)
        while True:
            moved = True
            while moved:
                moved = False
                for address, node in self.nodes.items():
                    for to, data in node.datagrams_to_send(self.now):
                        moved = True
                        self.passed.append((address, to, data))
                        for one in self.disturb(address, to, data):
                            if to in self.nodes:
                                self.nodes[to].receive_datagram(one, address, self.now)
            timers = [node.get_timer() for node in self.nodes.values()]
            soonest = min((one for one in timers if one is not None), default=until + 1)
            if soonest > until:
                self.now = until
                return
            self.now = max(self.now, soonest)
            for node in self.nodes.values():
                due = node.get_timer()
                if due is not None and due <= self.now:
                    node.handle_timer(self.now)
