"""The PC of somebody who looks on: the shell around its node, and nobody at its keyboard."""

from __future__ import annotations

from collections.abc import Iterable

from multirig.lifecycle.observer import Followed, ObserverMachine
from multirig.protocol.events import Address
from multirig.protocol.node import Node
from multirig.sim.world import Clock, NodeComputer, World, overhear


class ObserverComputer(NodeComputer):
    """A screen on which a lab is seen.

    Parameters
    ----------
    world, name, address, clock
        As every PC has them.
    rigs : iterable of Address
        Who is looked at.
    """

    def __init__(
        self, world: World, name: str, address: Address, clock: Clock, *, rigs: Iterable[Address]
    ) -> None:
        super().__init__(world, name, address, clock)
        self.rigs = frozenset(rigs)
        self.machine = ObserverMachine()

    def make_node(self, boot: str) -> Node:
        """Return a new program of it."""
        self.machine = ObserverMachine()
        overhear(self.machine, self.hear)
        return Node(boot=boot, name=self.name, machine=self.machine)

    def on_boot(self) -> None:
        """Begin to look."""
        self.feed(Followed(addresses=self.rigs))
