"""The person at a rig, who is asked whether another PC may take it over; and who was heard there lately."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING

from multirig.lifecycle.rig_events import AskedHere, LedBy
from multirig.protocol.events import SECOND, Received
from multirig.rig.service import RigService
from multirig.sim.facts import PersonAnswered, RigHandedOver, Stated

if TYPE_CHECKING:
    from multirig.sim.rig import RigComputer

HEARD_WITHIN, HEARD_TIMES = 3 * SECOND // 2, 3
"""So many datagrams in so short a time: whoever has sent them is heard, whatever else was lost or late."""


class Person:
    """Types yes or no, as the rig's plan says; an all-knowing bystander notes who leads the rig.

    Parameters
    ----------
    rig : RigComputer
        Where this is.
    """

    def __init__(self, rig: RigComputer) -> None:
        self._rig = rig
        self._came: dict[str, deque[int]] = {}
        """When the last datagrams of each PC have come; ns of the world."""
        self._led_from: str | None = None
        """Where whoever led the rig was, before what it hears now."""

    async def open(self, service: RigService) -> None:
        """Start a program of the rig, and sit down at its keyboard."""
        await service.open()
        service.attend(is_attended=self._rig.plan.answers != "")

    def be_asked(self, effect: AskedHere) -> None:
        """Read the question, and answer it after a while."""
        rig = self._rig
        rig.world.note(Stated(who=rig.name, text=f"asks its person: {effect}"))
        if rig.plan.answers in ("yes", "no"):
            delay = int(rig.plan.answers_after * SECOND)
            rig.world.after(delay, self._answer, rig.service, effect.asker)

    def _answer(self, service: RigService, asker: str) -> None:
        """Type an answer, if the same is still asked."""
        rig = self._rig
        if rig.service is not service or rig.loop is None or rig.machine.handing.asker != asker:
            return
        allows = rig.plan.answers == "yes"
        rig.world.note(PersonAnswered(who=rig.name, asker=asker, allows=allows))
        rig.loop.run(functools.partial(service.answer, allows=allows))

    # -- who leads ------------------------------------------------------------------------------------------

    def note_arrival(self, host: str) -> None:
        """Note that a datagram of a PC has come."""
        self._came.setdefault(host, deque(maxlen=HEARD_TIMES)).append(self._rig.world.time)

    def hear(self, event: Received) -> None:
        """Note who leads before a request is handled."""
        leader = self._rig.machine.leader
        self._led_from = leader.address.host if leader is not None else None
        self._rig.hear(event)

    def note_leader(self, effect: LedBy) -> None:
        """Note that another conductor leads the rig now."""
        rig, before = self._rig, self._led_from
        came = self._came.get(before) if before is not None else None
        was_heard = came is not None and len(came) == HEARD_TIMES and rig.world.time - came[0] < HEARD_WITHIN
        if (leader := rig.machine.leader) is not None:
            rig.world.note(
                RigHandedOver(who=rig.name, by=leader.address.host, before=before, was_heard=was_heard)
            )
