"""What shall go wrong, drawn from a seed."""

from __future__ import annotations

import dataclasses
import datetime
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from multirig.protocol.events import SECOND
from multirig.sim.operator import Script
from multirig.sim.world import Network

DATE = datetime.date(2024, 5, 6)
"""When the false lab's sessions take place."""
HOUR = 3600 * SECOND
SEALED = 2 / 3
"""Part of the labs whose PCs have keys."""
TAKE_OVERS = 0.3
"""Part of the second conductors that take rigs over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RigPlan:
    """One rig of a scenario."""

    name: str
    main_sync: bool = False
    role: str = "expected"
    after: tuple[str, ...] = ()
    wire: int = 2
    """1 for a foreign peer."""
    offset: int = 0
    """Of its clock, in nanoseconds."""
    drift: float = 0.0
    tells_closed: bool = True
    resumes: bool = False
    """Whether its adapter goes on after a restart."""
    pauses: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each hook of its adapter takes."""
    gives_pulses: bool = False
    """Whether it gives sync pulses while it records."""
    cameras: int = 0
    """Of how many it has live pictures."""
    picture: int = 0
    """Bytes of each of them; 0: there is nothing to be seen."""
    files: int = 0
    """Which it records beside the one of its device: a stop that names them needs many datagrams."""
    moves_data: bool = False
    """Whether each session's data are moved away from its PC."""
    answers: str = ""
    """What the person there says to another PC that wants to take it over: yes, no or never anything; empty:
    nobody is there."""
    answers_after: float = 1.0
    """Seconds from the question to the answer."""
    then: str = "refuse"
    """What its config decides where nobody has answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductorPlan:
    """One conductor of a scenario."""

    name: str
    main_sync: bool = False
    offset: int = 0
    drift: float = 0.0
    tells_closed: bool = True
    subject: str = "SP_01"
    script: Script = field(default_factory=Script)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that breaks."""

    kind: str
    who: str
    """Name of the PC."""
    after: str
    """Step of the first conductor that is asked for before it breaks."""
    session: int = 0
    delay: float = 0.0
    """Seconds after that."""
    lasts: float = 0.0
    """Seconds until it is mended."""
    other: str = ""
    """The other PC of a partition; every other one, where it is empty."""
    hook: str = ""
    """Of the adapter."""
    amount: float = 0.0
    """Seconds of a jump of the clock; part of a journal that a power cut leaves; datagrams a second."""

    def __str__(self) -> str:
        parts = [f"{self.kind} {self.who}"]
        parts += [f"and {self.other}"] if self.other else []
        parts += [f"in {self.hook}"] if self.hook else []
        parts += [f"{self.delay:.3f} s after '{self.after}' of session {self.session + 1}"]
        parts += [f"for {self.lasts:.1f} s"] if self.lasts else []
        return " ".join(parts)


KINDS = {
    "crash": "the program dies and is started again",
    "power cut": "the PC dies and is switched on again",
    "freeze": "the program stands still",
    "partition": "nothing passes between two PCs",
    "one-way partition": "nothing passes from one PC to another",
    "no way": "the network of a PC is away, and its system says so",
    "address change": "the PC gets another address",
    "fail": "a hook of the adapter fails",
    "hang": "a hook of the adapter never returns",
    "stuck": "a hook of the adapter does not notice that it is cancelled",
    "break": "the recording ends by itself",
    "stall": "no more frames come",
    "falling times": "some frames come with times that are not later than the one before",
    "full disk": "the disk is full",
    "locked memory": "the file of the rig's memory cannot be written",
    "clock jump": "the clock jumps ahead",
    "stranger": "somebody without a key records, copies, changes and forges datagrams",
}
"""Every kind of fault, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A lab, what its operators do, and what breaks."""

    seed: int
    rigs: tuple[RigPlan, ...]
    conductors: tuple[ConductorPlan, ...]
    network: Network = field(default_factory=Network)
    faults: tuple[Fault, ...] = ()
    observers: int = 0
    """Screens on which the lab is seen."""
    wants_pictures: bool = False
    """Whether they show live pictures."""
    sealed: bool = False
    """Whether its PCs, but the rigs of wire 1.0, have keys of one lab; without keys all are open by name."""

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """Read it back."""
        data = json.loads(text)
        rigs = [{**one, "after": tuple(one["after"])} for one in data["rigs"]]
        conductors = [{**one, "script": Script(**one["script"])} for one in data["conductors"]]
        return cls(
            seed=data["seed"],
            rigs=tuple(RigPlan(**one) for one in rigs),
            conductors=tuple(ConductorPlan(**one) for one in conductors),
            network=Network(**data["network"]),
            faults=tuple(Fault(**one) for one in data["faults"]),
            observers=data.get("observers", 0),
            wants_pictures=data.get("wants_pictures", False),
            sealed=data.get("sealed", False),
        )

    def lines(self) -> list[str]:
        """Say in words what it is."""
        network = self.network
        out = [
            f"network: {network.loss:.0%} lost, {network.copies:.0%} twice, {network.delay * 1e3:.1f} ms "
            f"and {network.jitter * 1e3:.1f} ms more on average, {network.late:.0%} up to "
            f"{network.late_by:g} s late, none over {network.longest:,} bytes"
        ]
        for rig in self.rigs:
            words = [rig.role, f"wire {rig.wire}"]
            words += ["main sync"] if rig.main_sync else []
            words += [f"after {', '.join(rig.after)}"] if rig.after else []
            words += ["resumes"] if rig.resumes else []
            words += ["gives pulses"] if rig.gives_pulses else []
            words += [f"{rig.cameras} cameras"] if rig.cameras else []
            words += [f"pictures of {rig.picture} bytes"] if rig.picture else []
            words += [f"{rig.files} files more"] if rig.files else []
            words += ["moves its data away"] if rig.moves_data else []
            if any(one.script.takes_over for one in self.conductors):
                said = f"{rig.answers} after {rig.answers_after:g} s" if rig.answers else "nobody"
                words.append(f"answers whether it may be taken over: {said}, then {rig.then}")
            out.append(f"rig {rig.name}: {', '.join(words)}")
        for one in self.conductors:
            script = one.script
            words = [f"{script.sessions} sessions of {one.subject}, {script.record:.1f} s each"]
            words += ["main sync"] if one.main_sync else []
            words += ["takes rigs over"] if script.takes_over else []
            words += [f"marks every {script.marks_every:g} s"] if script.marks_every else []
            words += ["makes a test recording first"] if script.rehearses else []
            words.append(f"chooses after a crash: {script.recovers}")
            if script.interrupt_after:
                words.append(f"interrupts {script.interrupt_delay:.3f} s after '{script.interrupt_after}'")
            out.append(f"conductor {one.name}: {', '.join(words)}")
        pictures = ", with live pictures" if self.wants_pictures else ""
        out += [f"observers: {self.observers}{pictures}"] if self.observers else []
        out += ["all PCs have keys of the lab"] if self.sealed else []
        return [*out, *(f"fault: {fault}" for fault in self.faults)]


# -- drawing ------------------------------------------------------------------------------------------------

_STEPS = ("agree", "initialise", "start", "record", "stop", "clean up")
_HOOKS = ("initialise", "start", "stop", "cleanup")
_DRAWN_APART = frozenset({"stranger", "locked memory", "no way", "address change", "falling times"})
_OLD_KINDS = tuple(kind for kind in KINDS if kind not in _DRAWN_APART)


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    dice = random.Random(seed)
    calm = dice.random() < 0.25  # only the network is bad
    number = dice.choice((1, 2, 2, 3, 3, 4, 5, 6)) if dice.random() < 0.98 else 24
    names = [f"rig{index}" for index in range(1, number + 1)]
    here = dice.random() < 0.3
    leader = dice.choice(names)
    rigs = [_draw_rig(dice, name, names[:index]) for index, name in enumerate(names)]
    rigs = [replace(rig, main_sync=not here and rig.name == leader) for rig in rigs]
    if not calm and dice.random() < 0.08:  # nobody, or two
        index = dice.randrange(number)
        rigs[index] = replace(rigs[index], main_sync=not rigs[index].main_sync)
    conductors = [_draw_conductor(dice, "leader", here=here, calm=calm)]
    if not calm and dice.random() < 0.15:
        conductors.append(_draw_conductor(dice, "second", here=False, calm=False))
    faults: list[Fault] = []
    if not calm:
        for _ in range(dice.choice((0, 1, 1, 1, 2, 2, 3, 4))):
            faults.append(_draw_fault(dice, names, conductors))
    scenario = Scenario(
        seed=seed,
        rigs=tuple(rigs),
        conductors=tuple(conductors),
        network=_draw_network(dice),
        faults=tuple(faults),
        observers=random.Random(f"{seed}/observers").choice((0, 0, 0, 0, 1, 1, 2)),
    )
    # drawn apart, so that what was drawn before stays as it was
    scenario = _draw_extras(random.Random(f"{seed}/extras"), scenario, calm=calm)
    scenario = _draw_lengths(random.Random(f"{seed}/lengths"), scenario)
    scenario = _draw_ways(random.Random(f"{seed}/ways"), scenario, calm=calm)
    scenario = _draw_answers(random.Random(f"{seed}/answers"), scenario)
    return _draw_trust(random.Random(f"{seed}/trust"), scenario)


def _draw_trust(dice: random.Random, scenario: Scenario) -> Scenario:
    """Give the PCs of most labs keys, and trouble many of those by strangers."""
    if dice.random() >= SEALED:
        return scenario
    names = [one.name for one in scenario.rigs] + [one.name for one in scenario.conductors]
    faults = [
        replace(
            _draw_after(dice, "stranger", dice.choice(names)),
            lasts=round(dice.choice((3.0, 10.0, 20.0)) * dice.random(), 3),
            amount=round(dice.uniform(4.0, 15.0), 1),
        )
        for _ in range(dice.choice((0, 0, 1, 1, 2)))
    ]
    return replace(scenario, sealed=True, faults=(*scenario.faults, *faults))


def _draw_answers(dice: random.Random, scenario: Scenario) -> Scenario:
    """Let people at the rigs say whether they may be taken over."""
    rigs = tuple(
        replace(
            rig,
            answers=dice.choice(("yes", "yes", "no", "never", "")),
            answers_after=round(dice.choice((0.5, 3.0, 12.0)) * dice.random(), 3),
            then=dice.choice(("refuse", "allow")),
        )
        for rig in scenario.rigs
    )
    return replace(scenario, rigs=rigs)


def _draw_ways(dice: random.Random, scenario: Scenario, *, calm: bool) -> Scenario:
    """Let networks be away, addresses change and times fall."""
    faults = []
    if not calm and dice.random() < 0.15:
        everybody = [one.name for one in scenario.rigs] + [one.name for one in scenario.conductors]
        who = dice.choice(everybody)
        lasts = round(dice.choice((0.5, 5.0, 30.0, 90.0)) * dice.random(), 3)
        faults.append(_draw_after(dice, "no way", who, lasts=lasts))
    if dice.random() < 0.1:
        faults.append(_draw_after(dice, "address change", dice.choice(scenario.rigs).name))
    if not calm and dice.random() < 0.05:
        faults.append(_draw_after(dice, "falling times", dice.choice(scenario.rigs).name))
    rigs = tuple(replace(rig, moves_data=dice.random() < 0.1) for rig in scenario.rigs)
    return replace(scenario, rigs=rigs, faults=(*scenario.faults, *faults))


def _draw_after(dice: random.Random, kind: str, who: str, *, lasts: float = 0.0) -> Fault:
    """Return a fault that comes soon after some step."""
    after, delay = dice.choice(_STEPS), round(dice.random() ** 3 * 4, 4)
    return Fault(kind=kind, who=who, after=after, delay=delay, lasts=lasts)


def _draw_lengths(dice: random.Random, scenario: Scenario) -> Scenario:
    """Let some rigs have much to say, and some networks drop what is too long."""
    rigs = tuple(
        replace(
            rig,
            files=dice.choice((10, 60)) if dice.random() < 0.1 else 0,
            picture=dice.choice((1_000, 6_000)) if rig.cameras and dice.random() < 0.2 else 0,
        )
        for rig in scenario.rigs
    )
    longest = 1_200 if dice.random() < 0.1 else 65_507
    return replace(scenario, rigs=rigs, network=replace(scenario.network, longest=longest))


def _draw_extras(dice: random.Random, scenario: Scenario, *, calm: bool) -> Scenario:
    """Add what a session does besides recording, and what can go wrong with that."""
    rigs = tuple(_draw_rig_extras(dice, rig) for rig in scenario.rigs)
    leader = scenario.conductors[0]
    script = replace(
        leader.script,
        marks_every=dice.choice((0.6, 1.0)) if dice.random() < 0.2 else 0.0,
        rehearses=dice.random() < 0.08,
    )
    faults = scenario.faults
    if not calm and dice.random() < 0.25:
        kind = dice.choice(("fail", "hang", "stuck", "locked memory", "locked memory"))
        fault = Fault(
            kind=kind,
            who=dice.choice(rigs).name,
            hook="" if kind == "locked memory" else "arm",
            after=dice.choice(_STEPS),
            delay=round(dice.random() ** 3 * 4, 4),
            lasts=round(dice.choice((0.2, 4.0, 15.0)) * dice.random(), 3),
        )
        faults = (*faults, fault)
    return replace(
        scenario,
        rigs=rigs,
        conductors=(replace(leader, script=script), *scenario.conductors[1:]),
        faults=faults,
        wants_pictures=scenario.observers > 0 and dice.random() < 0.3,
    )


def _draw_rig_extras(dice: random.Random, rig: RigPlan) -> RigPlan:
    arming = round(dice.choice((0.01, 0.1, 0.5, 2.0)) * dice.random(), 4) if dice.random() < 0.2 else 0.0
    return replace(
        rig,
        pauses={**rig.pauses, "arm": arming},
        gives_pulses=dice.random() < 0.1,
        cameras=dice.choice((1, 2, 6)) if dice.random() < 0.2 else 0,
    )


def _draw_network(dice: random.Random) -> Network:
    if dice.random() < 0.3:
        return Network()
    return Network(
        loss=dice.choice((0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4)),
        copies=dice.choice((0.0, 0.0, 0.05, 0.3)),
        delay=dice.choice((0.0002, 0.001, 0.01, 0.05)),
        jitter=dice.choice((0.0002, 0.001, 0.01, 0.1)),
        late=dice.choice((0.0, 0.0, 0.0, 0.01, 0.05)),
        late_by=dice.choice((0.5, 2.0, 6.0)),
    )


def _draw_rig(dice: random.Random, name: str, before: list[str]) -> RigPlan:
    times = (0.0, 0.01, 0.1, 0.5, 2.0, 20.0 if dice.random() < 0.15 else 1.0)
    pauses = {hook: round(dice.choice(times) * dice.random(), 4) for hook in _HOOKS}
    return RigPlan(
        name=name,
        role=dice.choice(("essential", "expected", "expected", "optional")),
        after=(dice.choice(before),) if before and dice.random() < 0.15 else (),
        wire=1 if dice.random() < 0.15 else 2,
        offset=dice.randrange(-9 * HOUR, 9 * HOUR) + 10 * HOUR,
        drift=dice.uniform(-1e-4, 1e-4),
        tells_closed=dice.random() < 0.5,
        resumes=dice.random() < 0.5,
        pauses=pauses,
    )


def _draw_conductor(dice: random.Random, name: str, *, here: bool, calm: bool) -> ConductorPlan:
    interrupts = not calm and dice.random() < 0.2
    script = Script(
        sessions=dice.choice((1, 1, 2, 3)),
        record=round(dice.uniform(0.5, 4.0), 3),
        pause=round(dice.uniform(0.0, 1.5), 3),
        interrupt_after=dice.choice(("initialise", "start", "start", "record", "stop")) if interrupts else "",
        interrupt_delay=round(dice.random() ** 3 * 3, 4),
        begins=0.0 if name == "leader" else round(dice.uniform(0.0, 4.0), 3),
        takes_over=name != "leader" and dice.random() < TAKE_OVERS,
        recovers=dice.choice(("go on", "stop", "clean up")),
    )
    return ConductorPlan(
        name=name,
        main_sync=here,
        offset=dice.randrange(-9 * HOUR, 9 * HOUR) + 10 * HOUR,
        drift=dice.uniform(-1e-4, 1e-4),
        tells_closed=dice.random() < 0.5,
        subject=dice.choice(("SP_01", "SP_01", "SP_02")) if name != "leader" else "SP_01",
        script=script,
    )


def _draw_fault(dice: random.Random, rigs: list[str], conductors: list[ConductorPlan]) -> Fault:
    kind = dice.choice((*_OLD_KINDS, "crash", "crash"))
    everybody = [*rigs, *(one.name for one in conductors)]
    who = dice.choice(rigs)
    if kind in ("freeze", "partition", "one-way partition", "clock jump"):
        who = dice.choice(everybody)
    elif kind in ("crash", "power cut") and dice.random() < 0.5:
        who = conductors[0].name
    other = ""
    if "partition" in kind and dice.random() < 0.6:
        other = dice.choice([one for one in everybody if one != who])
    return Fault(
        kind=kind,
        who=who,
        other=other,
        after=dice.choice(_STEPS),
        session=dice.choice((0, 0, 0, 1)),
        delay=round(dice.random() ** 3 * 4, 4),
        lasts=round(dice.choice((0.2, 1.0, 4.0, 15.0, 40.0)) * dice.random(), 3),
        hook=dice.choice(_HOOKS) if kind in ("fail", "hang", "stuck") else "",
        amount=round(dice.choice((0.01, 1.0, 100.0, 5000.0)) * dice.random(), 3)
        if kind == "clock jump"
        else round(dice.random(), 3),
    )
