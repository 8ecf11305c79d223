"""A day of virtual time: what a `ClockMap` says of a clock that drifts, warms up and jumps, and the truth."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from multirig.protocol.clock import ClockMap

SECOND = 1_000_000_000
MS = SECOND // 1_000
DAY = 24 * 3600 * SECOND
EVERY = 5 * SECOND
"""Between two bursts."""
BURST = 8
"""Probes in a burst."""
LOST = 0.3
"""Share of the probes that get no answer."""
LEAST_DELAY = 100_000
"""Nanoseconds that either way takes at least."""
JITTER = 150_000
"""Nanoseconds that come on top, on average."""
UNEQUAL = (9 * 3600 * SECOND, 12 * 3600 * SECOND, 400_000)
"""From when to when one way takes so much longer than the other."""
DRIFT = 50e-6
SWING = 3e-6
"""Of the drift, as the room warms up and cools down."""
SWING_PERIOD = 2 * 3600 * SECOND
WALK = 0.01e-6
"""Of the drift from one burst to the next: it strays as it likes, by as much as this on average."""
STEPS = ((7 * 3600 * SECOND + 1_234 * MS, 20 * SECOND), (15 * 3600 * SECOND + 2_345 * MS, 3 * MS))
"""When a clock jumps, and by how much: a virtual machine that was suspended, and what hardly shows."""

CLAIM_BEYOND = 1.0
"""Per cent of the time in which the error is not within the bound, at most."""
CLAIM_BOUND = 3.0
"""Median of the bound against the least delay of one way, at most."""
CLAIM_FOUND = 15.0
"""Seconds until a jump is found, at most."""


class _Peer:
    """A clock whose truth is known: between two bursts its drift stays."""

    def __init__(self, chance: random.Random) -> None:
        self._base = 5 * 3600 * SECOND + 123_456_789
        self._drifts: list[float] = []
        self._offsets = [0.0]
        """What the drift has made of the offset, at the beginning of each stretch."""
        strayed = 0.0
        for number in range(DAY // EVERY + 2):
            strayed = 0.999 * strayed + chance.gauss(0, WALK)
            swing = SWING * math.sin(2 * math.pi * number * EVERY / SWING_PERIOD)
            self._drifts.append(DRIFT + swing + strayed)
            self._offsets.append(self._offsets[-1] + self._drifts[-1] * EVERY)

    def offset(self, at: int) -> int:
        """Return the true offset; ns."""
        number, rest = divmod(at, EVERY)
        drifted = round(self._offsets[number] + self._drifts[number] * rest)
        return self._base + drifted + sum(size for when, size in STEPS if at >= when)


def measure(seed: int = 1) -> dict[str, Any]:
    """Let a day go by.

    Returns
    -------
    dict
        ``error`` and ``bound``: median, p99 and maximum, as known right after each burst and 4 s later; s.
        ``past``: the same of what is known of every moment at the end of the day.
        ``within``, ``past_within``: share of the time in which the error is within the bound.
        ``found``: how long it took until each jump was found; s. ``steps``: jumps that were found.
        ``hours``: medians of error and bound, hour by hour; s. ``least_delay``: of one way; s.
    """
    chance = random.Random(seed)
    peer, clock = _Peer(chance), ClockMap()
    told: list[tuple[int, int, int]] = []
    found: list[float] = []
    for start in range(0, DAY, EVERY):
        end = _burst(clock, peer, start, chance)
        while len(found) < min(len(clock.steps), len(STEPS)):
            found.append((end - STEPS[len(found)][0]) / SECOND)
        told += [_judge(clock, peer, at) for at in (end, end + 4 * SECOND)]
    past = [_judge(clock, peer, at) for at in range(0, DAY, 7 * SECOND)]
    hours = []
    for hour in range(24):
        now = [one for one in told if one[0] // (3600 * SECOND) == hour]
        hours.append(
            {"error": median(one[1] for one in now) / SECOND, "bound": median(b for *_, b in now) / SECOND}
        )
    return {
        "error": _spread([error for _, error, _ in told]),
        "bound": _spread([bound for *_, bound in told]),
        "within": _within(told),
        "past": {
            "error": _spread([error for _, error, _ in past]),
            "bound": _spread([bound for *_, bound in past]),
        },
        "past_within": _within(past),
        "found": found,
        "steps": len(clock.steps),
        "hours": hours,
        "least_delay": LEAST_DELAY / SECOND,
    }


def report(day: dict[str, Any], claim: Callable[..., None]) -> None:
    """Print a day, and what is claimed of it."""
    for text, known, share in (("at once", day, "within"), ("afterwards", day["past"], "past_within")):
        for what in ("error", "bound"):
            middle, p99, most = (known[what][name] * 1e6 for name in ("median", "p99", "max"))
            print(f"  {text:<10} {what}: median {middle:6.1f} µs, p99 {p99:6.1f} µs, max {most:10.1f} µs")
        print(f"  {text:<10} error within the bound {day[share]:.3%} of the time")
    for hour, one in list(enumerate(day["hours"]))[::3]:
        error, bound = one["error"] * 1e6, one["bound"] * 1e6
        print(f"  hour {hour:>2}, medians: error {error:6.1f} µs, bound {bound:6.1f} µs")
    for (_, size), seconds in zip(STEPS, day["found"], strict=False):
        claim(f"a jump of {size / SECOND:g} s is found", seconds, CLAIM_FOUND, "s")
    claim("jumps that are not found, or found where none is", abs(len(STEPS) - day["steps"]), 0, "of 2")
    claim("time in which the error is not within the bound", 100 * (1 - day["within"]), CLAIM_BEYOND, "%")
    claim("median bound against the least delay", day["bound"]["median"] / day["least_delay"], CLAIM_BOUND)


def _burst(clock: ClockMap, peer: _Peer, at: int, chance: random.Random) -> int:
    begin, end, longer = UNEQUAL
    for _ in range(BURST):
        there = LEAST_DELAY + round(chance.expovariate(1) * JITTER) + (longer if begin <= at < end else 0)
        back = LEAST_DELAY + round(chance.expovariate(1) * JITTER)
        heard, answered = at + there, at + there + 20_000
        received = answered + back
        if chance.random() >= LOST:
            clock.add(at, heard + peer.offset(heard), answered + peer.offset(answered), received)
        at = received + MS // 2
    return at


def _judge(clock: ClockMap, peer: _Peer, at: int) -> tuple[int, int, int]:
    """Return a time, by how much what is said of it is wrong, and the bound; ns."""
    reading = clock.read(at)
    if reading is None:
        raise RuntimeError("nothing was heard of the peer")
    return at, abs(reading.offset - peer.offset(at)), reading.bound


def _spread(values: Sequence[int]) -> dict[str, float]:
    ranked = sorted(values)
    picked = {"median": median(ranked), "p99": ranked[len(ranked) * 99 // 100], "max": ranked[-1]}
    return {name: value / SECOND for name, value in picked.items()}


def _within(told: Sequence[tuple[int, int, int]]) -> float:
    return sum(error <= bound for _, error, bound in told) / len(told)
