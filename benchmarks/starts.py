"""How close together eight rigs start whose clocks are hours apart, against iblutil's ``Services.start``.

The truth is the time of day, which all programs of one computer share: each rig's adapter notes it as the
first thing when it is told to start. Whole sessions: agree, initialise, start, stop, clean up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from statistics import median
from typing import Any

from benchmarks.field import SECOND, Field, Member, all_cores_loaded
from benchmarks.offsets import percentile
from benchmarks.ports import free_ports

RIGS = 8
SESSIONS = {"idle": 100, "loaded": 50}
PLAIN_EVERY = 4
"""Of so many sessions one is followed by a start of all without an instant."""
CLAIMS = {"idle": 0.0003, "loaded": 0.002}
"""Seconds between the first and the last start, at most, in 99 of 100 sessions."""
CLAIM_RATIO = 1.0
"""Of iblutil's spread in the median, at most."""
CLAIM_BEYOND = 1.0
"""Percent of starts that were not when the rig reports, give or take its bound: at most."""
OURS, PLAIN, THEIRS = "multirig, at an instant", "multirig, told at once", "iblutil Services.start, silenced"


def measure() -> dict[str, Any]:
    """Return the spread of starts in seconds, of each kind, idle and loaded."""
    with Field() as field:
        rigs = [field.start("rig", number, hours=2 * number) for number in range(RIGS)]
        # where all share an address, ports must differ
        foreign = [
            field.start("iblutil_rig", port, hours=2 * number) for number, port in enumerate(free_ports(RIGS))
        ]
        uris = [f"udp://{one.host}:{one.ready()['port']}" for one in rigs]
        their_uris = [f"udp://{one.host}:{one.ready()['port']}" for one in foreign]
        conductor = field.start("conductor", *uris, hours=5)
        services = field.start("iblutil_services", *their_uris, hours=5)
        conductor.ready()
        services.ready()
        figures = {}
        for state, load in (("idle", nullcontext), ("loaded", all_cores_loaded)):
            with ExitStack() as loaded:
                loaded.enter_context(load())
                figures[state] = _rounds(state, conductor, rigs, services, foreign)
        return {"lacks": field.lacks, "figures": figures}


def _rounds(
    state: str, conductor: Member, rigs: list[Member], services: Member, foreign: list[Member]
) -> dict[str, Any]:
    spreads: dict[str, list[float]] = {OURS: [], PLAIN: [], THEIRS: []}
    reported: list[float] = []
    late: list[float] = []
    within: list[bool] = []
    for number in range(SESSIONS[state] + 1):
        told = conductor.ask("begin")
        stamps = _starts(rigs)
        conductor.ask("end")
        services.ask("start")
        theirs = _starts(foreign)
        if number == 0:  # the first warms up
            continue
        spreads[OURS].append(_spread(stamps))
        spreads[THEIRS].append(_spread(theirs))
        if number % PLAIN_EVERY == 0:
            conductor.ask("tell_at_once")
            spreads[PLAIN].append(_spread(_starts(rigs)))
        called = [told[f"rig{which}"] for which in range(RIGS)]
        reported.append(max(one["called"] for one in called) - min(one["called"] for one in called))
        for rig, one, (_, stamp) in zip(rigs, called, stamps, strict=True):
            truth = (stamp - rig.ahead + conductor.ahead) / SECOND
            bound = one["bound"] or 0.0
            within.append(one["called"] - bound <= truth <= one["returned"] + bound)
            late.append(one["late"])
    return {
        "spreads": {kind: sorted(found) for kind, found in spreads.items()},
        "reported": median(reported),
        "late": percentile(sorted(late), 99),
        "beyond": 100 * (1 - sum(within) / len(within)),
    }


def _starts(rigs: list[Member]) -> list[tuple[int, int]]:
    """Return when each was told to start: time of day, and its own clock; ns."""
    found = []
    for rig in rigs:
        stamps = rig.ask("starts")
        if len(stamps) != 1:
            raise RuntimeError(f"the rig at {rig.host} has started {len(stamps)} times")
        found.append(tuple(stamps[0]))
    return found


def _spread(stamps: list[tuple[int, int]]) -> float:
    days = [day for day, _ in stamps]
    return (max(days) - min(days)) / SECOND


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    result = measure()
    if result["lacks"] is not None:
        say(f"  {result['lacks']}")
    for state, figures in result["figures"].items():
        for kind, found in figures["spreads"].items():
            p50, p99 = (percentile(found, percent) * 1e6 for percent in (50, 99))
            say(f"  {state:<7} {kind:<34} median {p50:8.0f} µs, p99 {p99:8.0f} µs ({len(found)} starts)")
        say(
            f"  {state:<7} as the rigs report it: median {figures['reported'] * 1e6:.0f} µs, p99 "
            f"{figures['late'] * 1e6:.0f} µs late"
        )
    for state, figures in result["figures"].items():
        spreads = figures["spreads"]
        claim(f"{state}: p99 of the spread", percentile(spreads[OURS], 99) * 1e3, CLAIMS[state] * 1e3, "ms")
        ratio = median(spreads[OURS]) / median(spreads[THEIRS])
        claim(f"{state}: median spread against iblutil's", ratio, CLAIM_RATIO)
        beyond = figures["beyond"]
        claim(f"{state}: starts that were not when reported, within the bound", beyond, CLAIM_BEYOND, "%")


if __name__ == "__main__":
    print(measure())
