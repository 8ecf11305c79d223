"""Who leads sees who was refused, and does not have to look into a log."""

from __future__ import annotations

import asyncio
import datetime

from multirig.conductor.conductor import Conductor
from multirig.conductor.session import Session
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


async def lead(conductor: Conductor, session: Session) -> None:
    await conductor.follow(session)
    conductor.exchange.runtime.pump()


def test_a_conductor_tells_how_often_each_address_was_refused_lately() -> None:
    now = SECOND
    access = LabKeys(1, datetime.date(2026, 1, 31), lambda: now).make_access("pc", Role.LEAD)(0)
    pc = Surroundings(clock=lambda: now, name="pc", access=access, awake=Silent())
    conductor = Conductor({"cam": "udp://192.168.1.20:11001"}, pc=pc)
    lines: list[str] = []
    session = conductor.session("SP_01")
    session.on_refused = lines.append
    stranger = Address("udp", "192.168.1.77", 50_000)
    for _ in range(3):
        conductor.exchange.node.receive_datagram(b'[32, 20, {"state": "broken"}]', stranger, now)
    asyncio.run(lead(conductor, session))
    assert len(lines) == 1
    assert lines[0].startswith("refused a message from 192.168.1.77: it proves no key of the lab")
    assert conductor.exchange.runtime.refused() == {"192.168.1.77": 3}
    now += RECENT + 1
    assert conductor.exchange.runtime.refused() == {}
