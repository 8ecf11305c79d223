"""A scenario comes true: the world that it describes, its faults, and the judgement."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from multirig.lifecycle.policy import RigPolicy, Role
from multirig.protocol.events import SECOND, Address
from multirig.protocol.exp_ref import ExpRef
from multirig.record.summary import Summary
from multirig.record.verdict import Verdict, judge
from multirig.sim.bystander import Bystander
from multirig.sim.conductor import ConductorComputer
from multirig.sim.facts import Fact, FaultBegan, StepAsked, StepEnded
from multirig.sim.invariants import COMES_TO_REST, INVARIANTS, Invariant, Violation
from multirig.sim.keys import LabKeys
from multirig.sim.loop import Restless
from multirig.sim.observer import ObserverComputer
from multirig.sim.rig import RigComputer
from multirig.sim.scenario import DATE, HOUR, KINDS, Fault, Scenario
from multirig.sim.stranger import Stranger
from multirig.sim.trust_invariants import TRUST_INVARIANTS
from multirig.sim.world import Clock, Computer, World
from multirig.trust import roles as trust

ALL_INVARIANTS = (*INVARIANTS, *TRUST_INVARIANTS)
"""All that is promised, with keys and without."""
SETTLING = 150 * SECOND
"""After the last fault and the last operator: whatever is going to happen has happened by then."""
LEAVING = 40 * SECOND
"""After the last operator: whoever looks on has asked everybody again by then."""
LOOK_EVERY = SECOND
AGE = 3 * HOUR
"""No honest world lasts so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a scenario."""

    scenario: Scenario
    violations: tuple[Violation, ...]
    counts: Counter[str]
    """Datagrams, sessions, faults by kind, final states."""
    facts: tuple[tuple[int, Fact], ...]

    def trace(self) -> list[str]:
        """Say what happened, when and to whom."""
        return [f"{at / SECOND:10.4f} s  {fact.who:<9} {fact}" for at, fact in self.facts]


EVENTS_AFTER = 50_000
"""Once a promise is broken so much more may happen: a storm need not blow for hours to be seen."""


class Lab:
    """The world of a scenario."""

    def __init__(self, scenario: Scenario, invariants: Iterable[type[Invariant]] = ALL_INVARIANTS) -> None:
        self.scenario = scenario
        self.world = World(scenario.seed, scenario.network)
        self.rigs: dict[str, RigComputer] = {}
        self.conductors: dict[str, ConductorComputer] = {}
        self.mended_at = 0
        """When the last fault was mended."""
        self._operated_until = 0
        self._disturbances: list[tuple[frozenset[str], int]] = []
        """Who could not be relied upon, and until when."""
        for index, rig in enumerate(scenario.rigs):
            address = Address("udp", f"10.0.1.{index + 1}", 11001)
            self.rigs[rig.name] = RigComputer(self.world, rig, address, date=DATE)
        policies = {one.name: RigPolicy(role=Role(one.role), after=one.after) for one in scenario.rigs}
        for index, one in enumerate(scenario.conductors):
            self.conductors[one.name] = ConductorComputer(
                self.world,
                one.name,
                Address("udp", f"10.0.0.{index + 1}", 50_000),
                Clock(offset=one.offset, drift=one.drift),
                tells_closed=one.tells_closed,
                rigs={name: rig.address for name, rig in self.rigs.items()},
                policies=policies,
                main_sync=one.main_sync,
                date=DATE,
                subject=one.subject,
                script=one.script,
            )
        self.observers: dict[str, ObserverComputer] = {}
        for index in range(scenario.observers):
            name = f"screen{index + 1}"
            self.observers[name] = ObserverComputer(
                self.world,
                name,
                Address("udp", f"10.0.2.{index + 1}", 50_000),
                Clock(offset=(index + 1) * HOUR, drift=3e-5),
                rigs=[rig.address for rig in self.rigs.values()],
                wants_pictures=scenario.wants_pictures,
            )
        self.computers = {**self.rigs, **self.conductors, **self.observers}
        self.keyed: dict[str, Computer] = {}
        """Those that have keys of the lab."""
        self.bystander: Bystander | None = None
        self.stranger: Stranger | None = None
        if scenario.sealed:
            self._give_keys()
        self.invariants = [one(self) for one in invariants]
        self.world.watchers += [one.see for one in self.invariants]
        self.world.watchers.append(self._arm_faults)
        self._unarmed = list(scenario.faults)

    def _give_keys(self) -> None:
        """Give all PCs keys, but the rigs of wire 1.0: they are open, and named by whoever speaks to them."""
        keys = LabKeys(self.scenario.seed, DATE, lambda: self.world.time)
        ibl = [rig.address.host for rig in self.rigs.values() if rig.wire == 1]
        for role, computers, named in (
            (trust.Role.RIG, self.rigs, ()),
            (trust.Role.LEAD, self.conductors, ibl),
            (trust.Role.LOOK, self.observers, ibl),
        ):
            for name, computer in computers.items():
                if computer.address.host not in ibl:
                    computer.make_access = keys.make_access(name, role, allow_ibl=named)
                    self.keyed[name] = computer
        self.bystander = bystander = Bystander(self.world)
        self.world.read = bystander.read
        self.world.newcomers.append(self._watch_door)
        if any(fault.kind == "stranger" for fault in self.scenario.faults):
            self.stranger = Stranger(self.world, self.keyed, keys.public)
            bystander.takers.append(self.stranger.note_taken)

    def _watch_door(self, computer: Computer) -> None:
        if self.bystander is not None and computer.name in self.keyed:
            self.bystander.watch(computer)

    def run(self) -> Result:
        """Let it all happen, and judge it."""
        with quiet():
            try:
                return self._run()
            finally:
                for computer in self.computers.values():
                    if computer.loop is not None:
                        computer.loop.die()

    def _run(self) -> Result:
        world = self.world
        for computer in self.computers.values():
            computer.boot()
        restless: list[Violation] = []
        most: int | None = None
        try:
            while world.time < self._operated_until + LEAVING or not self._is_over():
                world.run(world.time + LOOK_EVERY)
                if self._is_operated():
                    self._operated_until = world.time
                for one in self.invariants:
                    one.look()
                if most is None and any(one.violations for one in self.invariants):
                    most = world.counts["events"] + EVENTS_AFTER
                if world.time > AGE or (most is not None and world.counts["events"] > most):
                    break
        except Restless as error:
            restless = [Violation(COMES_TO_REST, world.time, str(error))]
        for one in self.invariants:
            one.conclude()
        violations = [*restless, *(found for one in self.invariants for found in one.violations)]
        for computer in self.conductors.values():
            world.counts[f"session {computer.machine.state}"] += 1
            for verdict in self.verdicts[computer.name].values():
                world.counts["sessions"] += 1
                world.counts[f"verdict {verdict.word}"] += 1
        for _, fact in world.facts:
            if isinstance(fact, StepEnded):
                how = "failed" if fact.error else "done"
                world.counts[f"step {fact.step} {how}"] += 1
        return Result(
            scenario=self.scenario,
            violations=tuple(sorted(violations, key=lambda one: one.at)),
            counts=world.counts,
            facts=tuple(world.facts),
        )

    @functools.cached_property
    def summaries(self) -> dict[str, dict[ExpRef, Summary]]:
        """What happened in each conductor's sessions, by their journals, once everything is over."""
        return {name: computer.summaries() for name, computer in self.conductors.items()}

    @functools.cached_property
    def verdicts(self) -> dict[str, dict[ExpRef, Verdict]]:
        """What each conductor's sessions turned out to be."""
        return {
            name: {exp_ref: judge(summary) for exp_ref, summary in sessions.items()}
            for name, sessions in self.summaries.items()
        }

    def _is_over(self) -> bool:
        """Whether every fault and every operator who lives has been at the end for a while."""
        if self.world.time < self.mended_at + SETTLING:
            return False
        if self._is_operated():
            self.mended_at = self.world.time
        return not self._is_operated()

    def _is_operated(self) -> bool:
        return any(one.node is not None and one.operator.is_busy for one in self.conductors.values())

    def is_disturbed(self, conductor: str, rig: str, since: int) -> bool:
        """Whether anything may have kept a rig from hearing and obeying a conductor from then until now."""
        return any(ended >= since and who & {conductor, rig} for who, ended in self._disturbances)

    def _note_disturbance(self, fault: Fault, ended: int) -> None:
        if fault.kind in ("stuck", "fail", "hang"):
            if fault.kind != "stuck" and fault.hook in ("initialise", "arm", "start"):
                return
            ended = AGE
        elif fault.kind in ("break", "stall", "falling times", "full disk", "locked memory", "clock jump"):
            return
        who = {fault.who}
        if fault.other in self.rigs:
            who = {fault.other} if fault.who in self.conductors else {fault.who, fault.other}
        self._disturbances.append((frozenset(who), ended))

    # -- faults -----------------------------------------------------------------------------------------

    def _arm_faults(self, fact: Fact) -> None:
        if not isinstance(fact, StepAsked) or fact.who != self.scenario.conductors[0].name:
            return
        for fault in self._unarmed[:]:
            if fault.after == fact.step and fault.session == fact.session:
                self._unarmed.remove(fault)
                self.world.after(int(fault.delay * SECOND), self._break, fault)

    def _break(self, fault: Fault) -> None:
        world, computer = self.world, self.computers[fault.who]
        world.note(FaultBegan(who=fault.who, kind=fault.kind, text=KINDS[fault.kind]))
        world.counts[f"fault {fault.kind}"] += 1
        lasts = int(fault.lasts * SECOND)
        if fault.kind == "stranger":
            if self.stranger is not None:
                self.stranger.begin(fault.who, lasts, fault.amount)
            return
        self.mended_at = max(self.mended_at, world.time + lasts)
        self._note_disturbance(fault, world.time + lasts)
        match fault.kind, computer:
            case "power cut", ConductorComputer():
                computer.lose_power(fault.amount)
                world.after(lasts, computer.boot)
            case "crash" | "power cut", _:
                computer.die(is_on=fault.kind == "crash")
                world.after(lasts, computer.boot)
            case "freeze", _:
                computer.freeze()
                world.after(lasts, functools.partial(computer.freeze, is_frozen=False))
            case "partition" | "one-way partition", _:
                others = [fault.other] if fault.other else [one for one in self.computers if one != fault.who]
                ways = [(fault.who, one) for one in others]
                if fault.kind == "partition":
                    ways += [(one, fault.who) for one in others]
                world.cut.update(ways)
                world.after(lasts, world.cut.subtract, ways)
            case "no way", _:
                computer.has_way = False
                world.after(lasts, setattr, computer, "has_way", True)
            case "address change", _:
                computer.move(Address(computer.address.scheme, f"10.1.{fault.who}", computer.address.port))
            case "clock jump", _:
                computer.step_clock(int(fault.amount * SECOND))
            case "fail" | "hang" | "stuck", RigComputer():
                computer.device.troubles[fault.hook] = fault.kind
            case "break", RigComputer():
                computer.break_recording("it failed by itself")
            case "stall", RigComputer():
                computer.device.stall()
            case "falling times", RigComputer():
                computer.device.times_fall()
            case "full disk", RigComputer():
                computer.disk.is_full = True
                world.after(lasts, _free, computer)
            case "locked memory", RigComputer():
                computer.disk.is_locked = True
                world.after(lasts, _unlock, computer)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let the programs write no logs: what happens to them stands in the trace."""
    logs = [logging.getLogger(f"multirig.{name}") for name in ("rig", "conductor", "pc")]
    before = [one.disabled for one in logs]
    for one in logs:
        one.disabled = True
    try:
        yield
    finally:
        for one, was_disabled in zip(logs, before, strict=True):
            one.disabled = was_disabled


def _free(rig: RigComputer) -> None:
    rig.disk.is_full = False


def _unlock(rig: RigComputer) -> None:
    rig.disk.is_locked = False


def run(scenario: Scenario) -> Result:
    """Let a scenario happen, and judge it."""
    return Lab(scenario).run()
