"""Many seeds: how many worlds went wrong, which was the first, and what of it is needed to go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from multirig.sim.lab import Result, run
from multirig.sim.scenario import Scenario, draw
from multirig.sim.world import Network

CHUNK = 25
"""Seeds that one process takes at a time."""
MAX_SHRINKING = 300
"""Worlds that are tried to make a failing one smaller."""
MAX_VIOLATIONS = 20
"""Violations that a report holds in words; all are counted."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of many seeds."""

    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    """Seeds of worlds in which an invariant did not hold, in their order."""
    violations: list[str] = field(default_factory=list)
    """The first violation of each of the first of them."""
    counts: Counter[str] = field(default_factory=Counter)
    """Datagrams, sessions, faults by kind, outcomes, violations by invariant."""

    def add(self, other: Report) -> None:
        """Take in another report, of later seeds."""
        self.seeds += other.seeds
        self.failed += other.failed
        self.violations = (self.violations + other.violations)[:MAX_VIOLATIONS]
        self.counts += other.counts


def simulate(seeds: Iterable[int]) -> Report:
    """Run the worlds of some seeds, here."""
    report = Report()
    for seed in seeds:
        result = run(draw(seed))
        report.seeds += 1
        report.counts += result.counts
        if result.violations:
            report.failed.append(seed)
            if len(report.violations) < MAX_VIOLATIONS:
                report.violations.append(f"seed {seed}: {result.violations[0]}")
            for name in {one.invariant for one in result.violations}:
                report.counts[f"violation {name}"] += 1
    return report


def simulate_all(
    seeds: range, processes: int = 1, on_progress: Callable[[Report], None] = lambda report: None
) -> Report:
    """Run the worlds of many seeds, in several processes.

    Parameters
    ----------
    seeds : range
        Which.
    processes : int
        How many at once; 1 stays in this one.
    on_progress : callable
        Called with the report so far, now and then.

    Returns
    -------
    Report
        The same, however many processes there were.
    """
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    report = Report()
    if processes == 1:
        for chunk in chunks:
            report.add(simulate(chunk))
            on_progress(report)
        return report
    with ProcessPoolExecutor(processes) as pool:
        for part in pool.map(simulate, chunks):
            report.add(part)
            on_progress(report)
    return report


def first_failing(seeds: Iterable[int]) -> Result | None:
    """Return the first world in which an invariant does not hold; None if there is none."""
    return next((result for seed in seeds if (result := run(draw(seed))).violations), None)


def shrink(scenario: Scenario) -> Scenario:
    """Return the smallest scenario, near this one, in which the same invariant still does not hold."""
    failed = run(scenario).violations
    if not failed:
        return scenario
    name = failed[0].invariant
    tries = MAX_SHRINKING
    while tries > 0:
        for smaller in islice(_smaller(scenario), tries):
            tries -= 1
            if any(one.invariant == name for one in run(smaller).violations):
                scenario = smaller
                break
        else:
            break
    return scenario


def _smaller(one: Scenario) -> Iterator[Scenario]:
    """Return scenarios with one thing less each, what matters most to a reader first."""
    return chain(_fewer_faults(one), _fewer_people(one), _better_networks(one), _simpler_rigs(one))


def _fewer_faults(one: Scenario) -> Iterator[Scenario]:
    for index in range(len(one.faults)):
        yield replace(one, faults=one.faults[:index] + one.faults[index + 1 :])


def _fewer_people(one: Scenario) -> Iterator[Scenario]:
    for rig in one.rigs if len(one.rigs) > 1 else ():
        if not rig.main_sync:
            rigs = tuple(
                replace(other, after=tuple(name for name in other.after if name != rig.name))
                for other in one.rigs
                if other is not rig
            )
            yield replace(
                one, rigs=rigs, faults=tuple(f for f in one.faults if rig.name not in (f.who, f.other))
            )
    if one.observers:
        yield replace(one, observers=0)
    if one.sealed:
        yield replace(one, sealed=False)
    for conductor in one.conductors[1:]:
        named = {conductor.name}
        yield replace(
            one,
            conductors=tuple(other for other in one.conductors if other is not conductor),
            faults=tuple(fault for fault in one.faults if not named & {fault.who, fault.other}),
        )
    for index, conductor in enumerate(one.conductors):
        script = conductor.script
        scripts = [replace(script, sessions=script.sessions - 1)] if script.sessions > 1 else []
        scripts += [replace(script, interrupt_after="")] if script.interrupt_after else []
        scripts += [replace(script, marks_every=0.0)] if script.marks_every else []
        scripts += [replace(script, rehearses=False)] if script.rehearses else []
        for simpler in scripts:
            conductors = list(one.conductors)
            conductors[index] = replace(conductor, script=simpler)
            yield replace(one, conductors=tuple(conductors))


def _better_networks(one: Scenario) -> Iterator[Scenario]:
    network, good = one.network, Network()
    if network != good:
        yield replace(one, network=good)
    for key in ("loss", "copies", "late", "delay", "jitter", "longest"):
        if getattr(network, key) != getattr(good, key):
            better: Any = {key: getattr(good, key)}
            yield replace(one, network=replace(network, **better))


def _simpler_rigs(one: Scenario) -> Iterator[Scenario]:
    for index, rig in enumerate(one.rigs):
        simpler = [replace(rig, wire=2)] if rig.wire == 1 else []
        simpler += [replace(rig, after=())] if rig.after else []
        simpler += [replace(rig, pauses={})] if any(rig.pauses.values()) else []
        simpler += [replace(rig, gives_pulses=False)] if rig.gives_pulses else []
        simpler += [replace(rig, cameras=0)] if rig.cameras else []
        simpler += [replace(rig, files=0, picture=0)] if rig.files or rig.picture else []
        simpler += [replace(rig, role="expected")] if rig.role != "expected" else []
        for other in simpler:
            rigs = list(one.rigs)
            rigs[index] = other
            yield replace(one, rigs=tuple(rigs))
