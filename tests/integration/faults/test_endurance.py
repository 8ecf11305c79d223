"""Session after session over four rigs on a network that no lab would bear."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from multirig.conductor.conductor import Conductor
from multirig.protocol.words import Word

ENDURES = bool(os.environ.get("MULTIRIG_ENDURE"))
LABS = {"udp": 5, "tcp": 5} if ENDURES else {"udp": 2, "tcp": 1}
"""Labs of four rigs beside each other."""
SESSIONS = 40 if ENDURES else 4
"""Sessions in each: 200 in all with ``make endure``."""
NAMES = ("ephys", "left", "right", "body")
FAULTS: dict[str, dict[str, Any]] = {
    "udp": {"loss": 0.2, "duplication": 0.1, "reordering": 0.05, "delay": (0.0, 0.005)},
    "tcp": {"tearing": 0.3, "stalls": 0.05, "stall": 0.1, "delay": (0.0, 0.005)},
}


@pytest.mark.limit(15 * 60)
@pytest.mark.timeout(16 * 60)
@pytest.mark.parametrize("scheme", FAULTS)
async def test_every_session_completes_and_no_rig_is_started_twice(labs: Any, note: Any, scheme: str) -> None:
    chosen = [labs.make() for _ in range(LABS[scheme])]
    for number, lab in enumerate(chosen):
        await lab.open_rigs(*NAMES, scheme=scheme)
        await lab.lay_bad_cables(**FAULTS[scheme], seed=100 * number)
    began = time.monotonic()
    whole = await asyncio.gather(*(record_sessions(lab) for lab in chosen))
    took = time.monotonic() - began
    counts = [relay.counts for lab in chosen for relay in lab.relays.values()]
    starts = [rig.starts() for lab in chosen for rig in lab.rigs.values()]
    doubles = sum(count - 1 for one in starts for count in one.values())
    done = {
        key: sum(getattr(one, key) for one in counts)
        for key in ("carried", "lost", "copied", "torn", "stalled")
    }
    note(
        f"{scheme}: {sum(whole)} of {len(chosen) * SESSIONS} sessions of {len(NAMES)} rigs complete, "
        f"{doubles} double starts, {took:.0f} s; "
        + ", ".join(f"{count:,} {key}" for key, count in done.items() if count)
    )
    assert whole == [SESSIONS] * len(chosen)
    assert doubles == 0
    assert all(len(one) == SESSIONS for one in starts)


async def record_sessions(lab: Any) -> int:
    """Record one session after the other, every third with a new conductor; return how many were whole."""
    whole = 0
    for first in range(0, SESSIONS, 3):
        async with Conductor(lab.uris(), data_folder=lab.folder / "pc") as conductor:
            for _ in range(first, min(first + 3, SESSIONS)):
                whole += await is_recorded(conductor, lab)
    return whole


async def is_recorded(conductor: Conductor, lab: Any) -> bool:
    """Record a session; return whether every rig took part in every step and has its rows."""
    exp_ref = await conductor.agree("SP_01")
    await conductor.init()
    await conductor.start()
    await asyncio.sleep(0.1)
    outcomes = [*(await conductor.stop()).values(), *(await conductor.cleanup()).values()]
    all_took_part = len(outcomes) == 2 * len(NAMES) and all(isinstance(one, Word) for one in outcomes)
    return all_took_part and all(rig.rows(exp_ref) > 0 for rig in lab.rigs.values())
