"""``NetworkSession.communicate`` from a thread that blocks, to rigs in another process.

iblrig looks for responses every 0.2 s, so that each of its calls takes that long; it cannot be installed
beside us, and its figure is that of its source.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.ports import peers
from multirig.ibl.network_session import NetworkMixin

RIGS = 4
ROUNDS = 500
WARM_UP = 20
CLAIM = 0.002
"""Seconds, at most, in the median."""
IBLRIG_POLLS = 0.2
"""Seconds between two looks of iblrig at its responses."""


class _Task:
    """The least that a base session can be."""

    experiment_description: dict[str, Any] = {}  # noqa: RUF012  nobody changes it


class _Talker(NetworkMixin, _Task):
    """The mixin, and nothing that takes time."""


def measure() -> dict[str, float]:
    """Return median and slowest hundredth of blocking calls in seconds, to our rigs and to iblutil's."""
    found = {}
    for kind, call in (("multirig", ("EXPSTATUS", 0)), ("iblutil", ("EXPSTART", "2026-01-01_1_bench"))):
        with peers(kind, RIGS) as rigs:
            uris = {f"rig{number}": f"udp://127.0.0.1:{port}" for number, port in enumerate(rigs.ports)}
            talker = _Talker(remote_rigs=uris)
            try:
                if kind == "multirig":  # who speaks wire 2 is known after the first EXPINFO
                    talker.communicate("EXPINFO", "CONNECTED", {"subject": None})
                samples = sorted(_seconds(talker, call) for _ in range(WARM_UP + ROUNDS))
            finally:
                talker.cleanup_mixin_network()
        found[f"{kind} rigs, median"] = median(samples)
        found[f"{kind} rigs, slowest of a hundred"] = samples[len(samples) * 99 // 100]
    return found


def _seconds(talker: _Talker, call: tuple[Any, ...]) -> float:
    began = time.perf_counter()
    talker.communicate(*call)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(measure())
