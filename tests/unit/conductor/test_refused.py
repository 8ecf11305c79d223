"""Who leads sees who was refused, and does not have to look into a log."""

from __future__ import annotations

import datetime

from multirig.conductor.conductor import Conductor
from multirig.conductor.surroundings import Surroundings
from multirig.protocol.events import SECOND, Address
from multirig.sim.keys import LabKeys
from multirig.trust.budget import RECENT
from multirig.trust.roles import Role


class Silent:
    """A PC that sleeps when it likes."""

    def keep(self, wanted: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def test_a_conductor_tells_how_often_each_address_was_refused_lately() -> None:
    now = SECOND
    access = LabKeys(1, datetime.date(2026, 1, 31), lambda: now).make_access("pc", Role.LEAD)(0)
    pc = Surroundings(clock=lambda: now, name="pc", access=access, awake=Silent())
    conductor = Conductor({"cam": "udp://192.168.1.20:11001"}, pc=pc)
    stranger = Address("udp", "192.168.1.77", 50_000)
    for _ in range(3):
        conductor.exchange.node.receive_datagram(b'[32, 20, {"state": "broken"}]', stranger, now)
    assert conductor.exchange.runtime.refused() == {"192.168.1.77": 3}
    now += RECENT + 1
    assert conductor.exchange.runtime.refused() == {}
