"""EXPSTART to many rigs in another process until every reply is in, against iblutil's ``Services.start``."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.peers import quiet_log
from benchmarks.ports import Peers, peers
from multirig.conductor.conductor import Conductor
from multirig.protocol.messages import Event, Message
from multirig.transports.base import allow_open_sockets

RIGS = 64
ROUNDS = 30
"""Broadcasts of each kind, in turn."""
GROWTH = (1, 4, 16, 64, 256, 1024)
CLAIM_TIME = 0.25
"""Of iblutil's time, at most."""
CLAIM_SPREAD = 0.2
"""Of iblutil's spread of arrivals, at most."""
EXP_REF = "2026-01-01_1_bench"


async def measure() -> dict[str, Any]:
    """Return times and spreads of both, and how ours grow with the number of rigs."""
    allow_open_sockets(2048)
    result = await _against_iblutil()
    result["growth"] = {count: await _growth(count) for count in GROWTH}
    result["session_start"] = await _whole_sessions()
    return result


async def _timed(action: Callable[[], Awaitable[Any]], rigs: Peers) -> tuple[float, float]:
    """Return seconds until every reply was in, and between the first and the last arrival."""
    rigs.arrivals()
    began = time.perf_counter()
    await action()
    seconds = time.perf_counter() - began
    arrivals = rigs.arrivals()
    return seconds, (max(arrivals) - min(arrivals)) / 1e9


async def _against_iblutil() -> dict[str, Any]:
    from iblutil.io.net.app import EchoProtocol, Services

    with peers("multirig", RIGS) as ours, peers("iblutil", RIGS) as theirs:
        clients = [
            await EchoProtocol.client(f"udp://127.0.0.1:{port}", name=f"rig{port}", log=quiet_log())
            for port in theirs.ports
        ]
        services = Services(clients)
        async with Conductor(_uris(ours)) as conductor:
            await conductor.request(Event.EXPINFO, 0, {"subject": "bench"})  # who speaks wire 2 is known then
            kinds = {
                "multirig": (lambda: _start(conductor), ours),
                "iblutil": (lambda: services.start(EXP_REF), theirs),
            }
            samples: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
            for number in range(ROUNDS + 3):
                for kind, (action, rigs) in kinds.items():
                    sample = await _timed(action, rigs)
                    if number >= 3:  # the first rounds warm up
                        samples[kind].append(sample)
        services.close()
    pairs = list(zip(samples["multirig"], samples["iblutil"], strict=True))
    return {
        "seconds": {kind: median(one[0] for one in both) for kind, both in samples.items()},
        "spread": {kind: median(one[1] for one in both) for kind, both in samples.items()},
        "ratio_time": median(mine[0] / their[0] for mine, their in pairs),
        "ratio_spread": median(mine[1] / their[1] for mine, their in pairs),
    }


async def _growth(count: int) -> float:
    with peers("multirig", count) as rigs:
        async with Conductor(_uris(rigs)) as conductor:
            await conductor.request(Event.EXPINFO, 0, {"subject": "bench"}, limit=30)
            samples = [(await _timed(lambda: _start(conductor), rigs))[0] for _ in range(10)]
    return median(samples[2:])


async def _whole_sessions() -> float:
    """Return how long the start of a whole session takes, with its journal on the disk."""
    import datetime

    samples = []
    with peers("multirig", RIGS) as rigs, tempfile.TemporaryDirectory() as folder:
        async with Conductor(_uris(rigs), data_folder=folder) as conductor:
            for number in range(10):
                await conductor.agree(f"bench{number}", date=datetime.date(2026, 1, 1))
                await conductor.init()
                began = time.perf_counter()
                await conductor.start()
                samples.append(time.perf_counter() - began)
                await conductor.stop()
                await conductor.cleanup()
    return median(samples)


async def _start(conductor: Conductor) -> None:
    outcomes = await conductor.request(Event.EXPSTART, EXP_REF, None)
    failed = {rig: one for rig, one in outcomes.items() if not isinstance(one, Message)}
    if failed:
        raise RuntimeError(f"{len(failed)} rigs did not answer: {next(iter(failed.items()))}")


def _uris(rigs: Peers) -> dict[str, str]:
    return {f"rig{number}": f"udp://127.0.0.1:{port}" for number, port in enumerate(rigs.ports)}


if __name__ == "__main__":
    print(asyncio.run(measure()))
