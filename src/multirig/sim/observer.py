"""The PC of somebody who looks on: the node of a screen, and nobody at its keyboard."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable

from multirig.keyring.door import make_leading_door
from multirig.lifecycle.observer import Followed, ObserverMachine, PicturesAsked, Seen
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import SECOND, Address, Received
from multirig.protocol.node import Node
from multirig.sim.world import Clock, Computer, NodeComputer, World, overhear

LOOK_EVERY = 0.2
"""Seconds between two looks at the live pictures: more often than rigs take any."""
LOOKS = 100
"""As long as somebody looks at them."""


class ObserverComputer(NodeComputer):
    """A screen on which a lab is seen.

    Parameters
    ----------
    world, name, address, clock
        As every PC has them.
    rigs : iterable of Address
        Who is looked at.
    wants_pictures : bool
        Whether it asks for live pictures all the time.
    """

    def __init__(
        self,
        world: World,
        name: str,
        address: Address,
        clock: Clock,
        *,
        rigs: Iterable[Address],
        wants_pictures: bool,
    ) -> None:
        super().__init__(world, name, address, clock)
        self.wants_pictures = wants_pictures
        self._numbers = itertools.count(1)
        self._asking: asyncio.Task[None] | None = None
        self.rigs = frozenset(rigs)
        self.machine = ObserverMachine()

    def make_node(self, boot: str) -> Node:
        """Return a new program of it."""
        self.machine = ObserverMachine()
        overhear(self.machine, {Received: self.hear})
        door = make_leading_door(self.access, boot=boot, name=self.name)
        return Node(boot=boot, name=self.name, machine=self.machine, hears=hear_rig, door=door)

    def on_boot(self) -> None:
        """Begin to look."""
        self.feed(Followed(addresses=self.rigs))
        if self.wants_pictures:
            self._asking = asyncio.get_running_loop().create_task(self._ask_for_pictures())

    def see(self, rig: Computer) -> Seen:
        """Return what is seen of a rig, wherever it is by now."""
        return next(self.machine.seen[one] for one in rig.addresses if one in self.machine.seen)

    async def _ask_for_pictures(self) -> None:
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_EVERY)
            for address, seen in sorted(self.machine.seen.items()):
                if seen.report.cameras:
                    self.feed(PicturesAsked(address=address, number=next(self._numbers), limit=2 * SECOND))
