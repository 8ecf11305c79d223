"""EXPSTART to many rigs in another process until every reply is in, against iblutil's ``Services.start``."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.peers import SILENCED, log_of
from benchmarks.ports import Peers, peers
from multirig.conductor.conductor import Conductor
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
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
    """Compare with iblutil as it comes (it logs each message), and silenced."""
    with peers("multirig", RIGS) as ours, peers("iblutil", RIGS) as theirs, peers(SILENCED, RIGS) as silent:
        as_it_comes, silenced = await _services(theirs, "iblutil"), await _services(silent, SILENCED)
        async with Conductor(_uris(ours)) as conductor:
            await conductor.request(Event.EXPINFO, 0, {"subject": "bench"})  # who speaks wire 2 is known then
            kinds: dict[str, tuple[Callable[[], Awaitable[Any]], Peers]] = {
                "multirig": (lambda: _start(conductor), ours),
                "iblutil": (lambda: as_it_comes.start(EXP_REF), theirs),
                SILENCED: (lambda: silenced.start(EXP_REF), silent),
            }
            samples: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
            for number in range(ROUNDS + 3):
                for kind, (action, rigs) in kinds.items():
                    sample = await _timed(action, rigs)
                    if number >= 3:  # the first rounds warm up
                        samples[kind].append(sample)
        as_it_comes.close()
        silenced.close()
    result: dict[str, Any] = {
        "seconds": {kind: median(one[0] for one in both) for kind, both in samples.items()},
        "spread": {kind: median(one[1] for one in both) for kind, both in samples.items()},
    }
    for what, index in (("time", 0), ("spread", 1)):
        result[f"ratio_{what}"] = {
            kind: median(
                mine[index] / their[index]
                for mine, their in zip(samples["multirig"], samples[kind], strict=True)
            )
            for kind in ("iblutil", SILENCED)
        }
    return result


async def _services(rigs: Peers, kind: str) -> Any:
    from iblutil.io.net.app import EchoProtocol, Services

    log = log_of(kind)
    return Services(
        [
            await EchoProtocol.client(f"udp://127.0.0.1:{port}", name=f"rig{port}", log=log)
            for port in rigs.ports
        ]
    )


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
    failed = {rig: one for rig, one in outcomes.items() if not isinstance(one, Word)}
    if failed:
        raise RuntimeError(f"{len(failed)} rigs did not answer: {next(iter(failed.items()))}")


def _uris(rigs: Peers) -> dict[str, str]:
    return {f"rig{number}": f"udp://127.0.0.1:{port}" for number, port in enumerate(rigs.ports)}


if __name__ == "__main__":
    print(asyncio.run(measure()))
