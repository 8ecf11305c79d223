"""How far the original gets on a network that loses one datagram in a hundred; ours is in ``faults``."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from multirig.sim.relay import Relay

pytestmark = [
    pytest.mark.iblutil,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:iblutil.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:iblutil.*"),
]

SESSIONS = 200
RIGS = ("main", "left", "right", "body")


async def is_recorded(services: Any) -> bool:
    """Lead a session as iblrig does; return whether it came to its end."""
    try:
        exp_ref = (await services.info("CONNECTED", {"subject": "SP_01"}))["main"][1]["exp_ref"]
        await services.init({"exp_ref": exp_ref})
        await services.start(exp_ref)
        await services.stop()
        await services.cleanup()
    except (TimeoutError, RuntimeError, OSError, KeyError):
        return False
    return True


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_w05_the_original_ends_for_good_at_the_first_lost_datagram(
    lab: Any, seed: int, note: Any
) -> None:
    rigs = {name: await lab.ibl_rig(main_sync=name == "main") for name in RIGS}
    async with contextlib.AsyncExitStack() as stack:
        relays = {
            name: await stack.enter_async_context(Relay(rig.uri, loss=0.01, seed=10 * seed + number))
            for number, (name, rig) in enumerate(rigs.items())
        }
        services = await lab.ibl_conductor({name: relay.uri for name, relay in relays.items()})
        done = 0
        while done < SESSIONS and await is_recorded(services):
            done += 1
        lost = sum(one.counts.lost for one in relays.values())
        carried = sum(one.counts.carried for one in relays.values())
        note(
            f"iblutil, 1 % loss: {done} of {SESSIONS} sessions of 4 rigs; {lost} of {carried} datagrams lost"
        )
        assert done < SESSIONS / 10
        assert lost <= 2  # the second one, while the first was waited for
        assert not await is_recorded(services)  # nothing but another program gets further
