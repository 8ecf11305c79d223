"""What must hold in every world, in the words of those who rely on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from multirig.conductor.rehearsal import SUBJECT as REHEARSAL_SUBJECT
from multirig.errors import ConfigError
from multirig.lifecycle.rig_states import MOVING, RigState
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.codec import TIMELINE_LIMIT
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.frames import MAX_CONTENT
from multirig.record import left
from multirig.record.entries import parse_journal
from multirig.record.history import retrace
from multirig.record.limits import TOLERANCE
from multirig.record.verdict import Word
from multirig.sim.facts import (
    Asked,
    ClockJumped,
    ClockSeen,
    DeviceArmed,
    Died,
    Fact,
    FilesTold,
    HookBegan,
    MarkerSet,
    PersonAnswered,
    PicturesMade,
    PulseGiven,
    RecordingBegan,
    RecordingEnded,
    RigEntered,
    RigHandedOver,
    RigJudged,
    RigNoticed,
    SessionMoved,
    StartCalled,
    StepAsked,
    StepEnded,
    TimesFell,
)
from multirig.sim.world import NO_WAY
from multirig.trust import packets

if TYPE_CHECKING:
    from multirig.sim.lab import Lab

READING = 2_000
"""Nanoseconds by which reading a clock at a moment of virtual time may be off: drifts are floats."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant did not hold."""

    invariant: str
    at: int
    """Nanoseconds since the beginning of the world."""
    text: str

    def __str__(self) -> str:
        return f"{self.at / SECOND:.4f} s: {self.invariant}: {self.text}"


class Invariant:
    """A promise, and whoever watches that it is kept.

    Parameters
    ----------
    lab : Lab
        The world that is watched.
    """

    name: ClassVar[str]
    promise: ClassVar[str]
    """What a user may rely on."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.world = lab.world
        self.violations: list[Violation] = []

    def see(self, fact: Fact) -> None:
        """Look at what happened."""

    def look(self) -> None:
        """Look at the world as it is, once a second."""

    def conclude(self) -> None:
        """Judge what should have happened by now."""

    def report(self, text: str, at: int | None = None) -> None:
        """Note that the promise is broken."""
        self.violations.append(Violation(self.name, self.world.time if at is None else at, text))


# -- always -------------------------------------------------------------------------------------------------


class StartedOnce(Invariant):
    """Counts what adapters are asked to, whatever the programs remember."""

    name = "started once"
    promise = "An acquisition program is told to start at most once for an experiment reference, ever."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._starts: Counter[tuple[str, str | None]] = Counter()

    def see(self, fact: Fact) -> None:
        """Count the starts."""
        if isinstance(fact, HookBegan) and fact.hook == "start" and not fact.is_rehearsal:
            self._starts[fact.who, fact.exp_ref] += 1
            if self._starts[fact.who, fact.exp_ref] > 1:
                self.report(f"{fact.who} was started again for {fact.exp_ref}")


class OneReference(Invariant):
    """Compares what is recorded, rig by rig and within a session."""

    name = "one reference"
    promise = (
        "No rig records under two references at once, and no two rigs of a session under different ones."
    )

    def see(self, fact: Fact) -> None:
        """Compare the devices."""
        if isinstance(fact, RecordingEnded) and fact.why == "for another recording":
            self.report(f"{fact.who} was still recording {fact.exp_ref} when it was started for another")
        if isinstance(fact, SessionMoved) and fact.state is SessionState.RUNNING:
            optional = {one.name for one in self.lab.scenario.rigs if one.role == "optional"}
            for name, rig in self.lab.rigs.items():
                recorded = rig.device.exp_ref
                if recorded not in (None, fact.exp_ref) and name not in optional:
                    self.report(f"{name} records {recorded} in the session {fact.exp_ref} of {fact.who}")


class AgreedFirst(Invariant):
    """Follows which main syncs answered each agreement."""

    name = "agreed first"
    promise = (
        "Nobody starts under a reference that not exactly one main sync has given and all have accepted."
    )

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._answered: dict[str, set[str]] = defaultdict(set)
        self._agreed: dict[str, int] = {}
        """Number of main syncs by reference."""

    def see(self, fact: Fact) -> None:
        """Follow agreements and starts."""
        match fact:
            case SessionMoved(who=who, state=SessionState.AGREEING):
                self._answered[who].clear()
            case RigJudged(who=who, rig=rig, event="EXPINFO", failure=None):
                self._answered[who].add(rig)
            case SessionMoved(who=who, state=SessionState.AGREED, exp_ref=str(exp_ref)):
                plans = {one.name: one for one in self.lab.scenario.rigs}
                leaders = sum(plans[name].main_sync for name in self._answered[who])
                self._agreed[exp_ref] = leaders + self.lab.conductors[who].main_sync
            case HookBegan(who=who, hook="start", exp_ref=exp_ref, is_rehearsal=False):
                count = self._agreed.get(str(exp_ref))
                if count is None:
                    self.report(f"{who} is started for {exp_ref}, which nobody has agreed on")
                elif count != 1:
                    self.report(f"{who} is started for {exp_ref}, which {count} main syncs gave")


class RunningIsTrue(Invariant):
    """Compares what a conductor says with what the rigs have said.

    Where the network copies datagrams, rigs that know nothing but wire 1.0 are left out: a copied echo of an
    EXPSTART cannot be told from the answer of a peer that sends the request back (decision 3).
    """

    name = "running is true"
    promise = "A conductor says RUNNING only when every essential and every expected rig has said so itself."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._said: set[tuple[str, str | None]] = set()

    def see(self, fact: Fact) -> None:
        """Compare."""
        match fact:
            case RigEntered(who=who, state=RigState.RUNNING, exp_ref=exp_ref):
                self._said.add((who, exp_ref))
            case SessionMoved(who=who, state=SessionState.RUNNING, exp_ref=exp_ref):
                copies = self.lab.scenario.network.copies > 0
                for one in self.lab.scenario.rigs:
                    if one.role == "optional" or (one.wire == 1 and copies):
                        continue
                    if (one.name, exp_ref) not in self._said:
                        self.report(f"{who} says that {exp_ref} is running, which {one.name} has not said")


class JournalTells(Invariant):
    """Replays the journal whenever a conductor speaks in another state, and when it dies."""

    name = "the journal tells"
    promise = "What a conductor acts upon is in its journal first: replayed, it gives the same session."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._seen: dict[str, object] = {}
        self.world.postmen.append(self._watch)

    def _watch(self, source: str, target: str, data: bytes) -> None:
        conductor = self.lab.conductors.get(source)
        if conductor is None or conductor.open_journal is None:
            return
        machine = conductor.machine
        if self._seen.get(source) != (machine.state, machine.exp_ref):
            self._seen[source] = (machine.state, machine.exp_ref)
            self._compare(source)

    def see(self, fact: Fact) -> None:
        """Replay what is left of a conductor."""
        if isinstance(fact, Died) and fact.who in self.lab.conductors:
            if not self.lab.conductors[fact.who].is_on:  # of a torn journal every whole line is still good
                self._replay_torn(fact.who)
            else:
                self._compare(fact.who)

    def _compare(self, who: str) -> None:
        conductor = self.lab.conductors[who]
        machine, again = conductor.machine, conductor.replay()
        if again is None:
            return
        for key in ("state", "exp_ref", "rigs", "joins"):
            if getattr(machine, key) != getattr(again, key):
                self.report(f"{who}: {key} is {getattr(machine, key)}, by its journal {getattr(again, key)}")

    def _replay_torn(self, who: str) -> None:
        for exp_ref, journal in self.lab.conductors[who].journals.items():
            try:
                retrace(enumerate(parse_journal(journal.data)))
            except ConfigError as error:
                self.report(f"{who}: the journal of {exp_ref} cannot be read after a power cut: {error}")


class HandledOnce(Invariant):
    """Counts what reaches a program's rules; wire 1.0 has no numbers by which that could be told."""

    name = "handled once"
    promise = "However often the network repeats a request on wire 2, it is handled once."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._handled: set[tuple[str, int, str, int]] = set()

    def see(self, fact: Fact) -> None:
        """Count."""
        if isinstance(fact, Asked) and fact.wire == 2:
            key = (fact.who, self.lab.computers[fact.who].lives, fact.peer, fact.number)
            if key in self._handled:
                self.report(f"{fact.who} handles {fact.event}, number {fact.number} of {fact.peer}, again")
            self._handled.add(key)


class OneLeader(Invariant):
    """Follows who asked a rig what it does; a take-over is asked for explicitly, and left out."""

    name = "one leader"
    promise = "What one conductor leads, another one does not stop, unless it says that it takes over."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._asked: dict[str, tuple[str, str]] = {}
        """Who asked each rig last, and what."""
        self._leads: dict[str, str] = {}
        """Who has started each rig that records."""

    def see(self, fact: Fact) -> None:
        """Follow the commands."""
        match fact:
            case Asked(who=who, by=by, event=event) if event not in ("EXPINFO", "EXPSTATUS", "ERROR"):
                self._asked[who] = (by, event)
                if event == "EXPSTART":
                    self._leads.setdefault(who, by)
            case RigEntered(who=who, state=RigState.STOPPING | RigState.CLEANING, exp_ref=exp_ref):
                by, event = self._asked.get(who, ("", ""))
                leader = self._leads.get(who, by)
                if by != leader and event != "EXPSTART" and self._is_led(leader, who, exp_ref):
                    self.report(f"{by} says {event} to {who}, which records {exp_ref} for {leader}")
            case RigEntered(who=who, state=RigState.CONNECTED):
                self._leads.pop(who, None)
            case Died(who=who):
                self._leads.pop(who, None)

    def _is_led(self, leader: str, rig: str, exp_ref: str | None) -> bool:
        conductor = self.lab.conductors.get(leader)
        return (
            conductor is not None
            and conductor.node is not None
            and conductor.machine.state is SessionState.RUNNING
            and str(conductor.machine.exp_ref) == exp_ref
            and self.lab.scenario.network.loss <= 0.3
            and not self.lab.is_disturbed(leader, rig, self.world.time - 5 * SECOND)
            and not any(one.script.takes_over for one in self.lab.scenario.conductors)
        )


class HeardIsKept(Invariant):
    """Follows who leads each rig, and what the person there has said."""

    name = "who is heard is kept"
    promise = (
        "A rig whose leader is heard is handed to another PC by a yes of the person there, or by its config "
        "where nobody has answered."
    )

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._plans = {one.name: one for one in lab.scenario.rigs}
        self._said: dict[str, tuple[str, bool]] = {}
        """Whom the person at each rig has answered last, and what."""
        self._begun: dict[str, str | None] = {}
        """Where the conductor is that has begun what each rig records."""
        self._jumped: dict[str, int] = {}

    def see(self, fact: Fact) -> None:
        """Follow."""
        match fact:
            case PersonAnswered(who=who, asker=asker, allows=allows):
                self._said[who] = asker, allows
            case StartCalled(who=who, leader=leader):
                self._begun[who] = leader
            case ClockJumped(who=who):
                self._jumped[who] = self.world.time
            case RigHandedOver(who=who, by=by, before=str(before), was_heard=True):
                if before != by != self._begun.get(who) and not self._is_unclear(who, before):
                    self._judge(who, by, before)

    def _judge(self, who: str, by: str, before: str) -> None:
        asker, allows = self._said.get(who, ("", False))
        if by in asker:
            if not allows:
                self.report(f"{who} is led by {by} and not by {before}, and its person has said no")
        elif self._plans[who].then != "allow":
            self.report(f"{who} is led by {by} and not by {before}, which is heard, and nobody has said yes")

    def _is_unclear(self, rig: str, leader: str) -> bool:
        """Whether something may have kept the rig's program from hearing what has come to its PC."""
        since, conductor = self.world.time - 5 * SECOND, self.world.computers[leader].name
        return (
            self.lab.scenario.network.loss > 0.3
            or self.lab.is_disturbed(conductor, rig, since)
            or self._jumped.get(rig, -5 * SECOND) >= since
        )


class NoStorm(Invariant):
    """Counts how often the same bytes pass between two PCs within a second."""

    name = "an echo is never echoed"
    promise = "A message on wire 1.0, its copies and its echoes pass a few times, and never for ever."
    MOST = 20
    """In one second: some copies of ours, each copied by the network, each echoed."""
    MOST_HANDLED = 8
    """In one second, of one PC and event: nobody asks so often; they answer each other's answers."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._passed: Counter[tuple[str, str, bytes]] = Counter()
        self._handled: Counter[tuple[str, str, str]] = Counter()
        self._told = False
        self.most = 0
        self.most_handled = 0
        self.world.postmen.append(self._watch)

    def _watch(self, source: str, target: str, data: bytes) -> None:
        if data[:1] == b"[":
            one, other = sorted((source, target))
            self._passed[one, other, data] += 1
            count = self._passed[one, other, data]
            if count > self.most:
                self.most = count
                if count > self.MOST and not self._told:
                    self._told = True
                    self.report(f"{one} and {other} pass {data[:60]!r} {count} times within a second")

    def see(self, fact: Fact) -> None:
        """Count what programs handle."""
        if isinstance(fact, Asked) and fact.wire == 1:
            key = (fact.who, fact.by, fact.event)
            self._handled[key] += 1
            self.most_handled = max(self.most_handled, self._handled[key])
            if self._handled[key] == self.MOST_HANDLED + 1:
                self.report(f"{fact.by} and {fact.who} answer each other's {fact.event} again and again")

    def look(self) -> None:
        """Begin another second."""
        self._passed.clear()
        self._handled.clear()


class ShortDatagrams(Invariant):
    """Measures what leaves the programs that know each other as multirigs."""

    name = "short datagrams"
    promise = "No datagram of wire 2 is so long that a path cuts it, no greeting so long that a peer does."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.world.postmen.append(self._watch)

    def _watch(self, source: str, target: str, data: bytes) -> None:
        most = MAX_CONTENT if data[:1] == b"{" else TIMELINE_LIMIT
        if len(data) > most:
            self.report(f"{source} says {len(data)} bytes to {target} at once: {data[:60]!r}")


class FilesAreTold(Invariant):
    """Compares what a conductor hears of files with what the rig's disk may hold."""

    name = "files are told"
    promise = "The answer to a stop names all files of that rig, however many, and no others."

    def see(self, fact: Fact) -> None:
        """Compare."""
        if not isinstance(fact, FilesTold):
            return
        if len(fact.paths) != fact.total:
            self.report(f"{fact.who} hears of {len(fact.paths)} of {fact.total} files of {fact.rig}")
        others = [path for path in fact.paths if not path.startswith((fact.rig + " ", "part", "_"))]
        if others or len({*fact.paths}) != len(fact.paths):
            self.report(f"{fact.who} hears of files of {fact.rig} which are others': {others[:3]}")


_SEALED = bytes([packets.MARK])
"""How a packet of the seals begins."""


class FewDatagrams(Invariant):
    """Counts what one PC says to another within a second."""

    name = "few datagrams"
    promise = "However bad the network, a PC says only so much to another: no fault makes a flood."
    MOST = 40
    """In one second: heartbeats, and a handful of messages with their copies."""
    MOST_PARTS = 400
    """In one second: parts of a few long messages, and receipts."""
    MOST_KNOCKS = 12
    """In one second: hellos, answers and proofs of two programs that meet, with their copies."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._said: Counter[tuple[str, str]] = Counter()
        self._parts: Counter[tuple[str, str]] = Counter()
        self._knocks: Counter[tuple[str, str]] = Counter()
        self.most = 0
        self.world.postmen.append(self._watch)

    def _watch(self, source: str, target: str, data: bytes) -> None:
        if data[:1] == _SEALED:  # what is under a seal is counted as what it is
            self._knocks[source, target] += 1
            return
        of_parts = b'"part":[' in data or b'"got":[' in data or (b'"ack":[' in data and b'"m":' not in data)
        (self._parts if of_parts else self._said)[source, target] += 1

    def look(self) -> None:
        """Judge a second, and begin another."""
        for (source, target), count in self._parts.items():
            if count > self.MOST_PARTS:
                self.report(f"{source} says {count} parts of messages to {target} within a second")
        self._parts.clear()
        for (source, target), count in self._knocks.items():
            if count > self.MOST_KNOCKS:
                self.report(f"{source} knocks {count} times at {target} within a second")
        self._knocks.clear()
        for (source, target), count in self._said.items():
            self.most = max(self.most, count)
            if count > self.MOST:
                self.report(f"{source} says {count} datagrams to {target} within a second")
        self._said.clear()


class LittleMemory(Invariant):
    """Measures every node."""

    name = "little memory"
    promise = "However long a program runs, what it remembers of its peers stays small."
    MOST: ClassVar[dict[str, int]] = {"handled": 12, "open": 24, "sent": 64, "incoming": 64, "waiting": 24}
    """Of each kind of thing, for one peer."""
    MOST_IN_ALL = 20
    """Of each other kind of thing, for each PC of the lab."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.most: Counter[str] = Counter()
        self._told: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Measure, now and then: what grows without end is still there later."""
        if self.world.time // SECOND % 5:
            return
        for name, computer in self.lab.computers.items():
            if computer.node is None:
                continue
            for kind, count in computer.node.peers.sizes().items():
                self.most[kind] = max(self.most[kind], count)
                limit = self.MOST.get(kind, self.MOST_IN_ALL * len(self.lab.computers))
                if count > limit and (name, kind) not in self._told:
                    self._told.add((name, kind))
                    self.report(f"{name} remembers {count} {kind}")


class ArmedFirst(Invariant):
    """Follows each device from its arming to its start; a restart's resumption has no instant to be met."""

    name = "armed first"
    promise = "An acquisition program is started only when it is armed, and for what it is armed for."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._armed: dict[str, str] = {}

    def see(self, fact: Fact) -> None:
        """Follow the hooks."""
        match fact:
            case DeviceArmed(who=who, exp_ref=exp_ref):
                self._armed[who] = exp_ref
            case HookBegan(who=who, hook=hook, exp_ref=exp_ref):
                armed = self._armed.pop(who, None)
                if hook == "start" and armed != exp_ref:
                    self.report(f"{who} is started for {exp_ref} and armed for {armed}")
            case Died(who=who):
                self._armed.pop(who, None)


class PulsesAreNoted(Invariant):
    """Counts sync pulses; those of a rig that dies, or whose disk is full, may be missing in its table."""

    name = "pulses are noted"
    promise = "Sync pulses come only while a rig records, and each stands in its table."
    MAY = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING, RigState.CLEANING})
    """Until the hook that stops a recording has ended the pulses."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._given: Counter[tuple[str, Path]] = Counter()
        self._state: dict[str, RigState] = {}

    def see(self, fact: Fact) -> None:
        """Count."""
        match fact:
            case RigEntered(who=who, state=state):
                self._state[who] = state
            case PulseGiven(who=who, folder=folder):
                self._given[who, folder] += 1
                state = self._state.get(who, RigState.CONNECTED)
                if state not in self.MAY:
                    self.report(f"{who} gives a pulse while it is {state}")

    def conclude(self) -> None:
        """Compare with the tables."""
        harmless = ("clock jump", "stranger")
        excused = {one.who for one in self.lab.scenario.faults if one.kind not in harmless}
        for (who, folder), given in self._given.items():
            disk = self.lab.rigs[who].disk
            noted = disk.pulses.get(folder, 0)
            if who not in excused and noted != given:
                self.report(f"{who} has given {given} pulses in {folder}, and noted {noted}")


class PicturesDisturbNothing(Invariant):
    """Follows when adapters are asked for live pictures, however many look on."""

    name = "pictures disturb nothing"
    promise = "Live pictures are taken at most twice a second, and never in the middle of a start."
    LEAST = SECOND // 2 - SECOND // 200
    """Between two takes; clocks are a little fast, and threads begin a little late."""
    JUST = SECOND // 100
    """A take that has begun before a start is not broken off."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._taken: dict[str, int] = {}
        self._starting: dict[str, int] = {}

    def see(self, fact: Fact) -> None:
        """Follow."""
        now = self.world.time
        match fact:
            case RigEntered(who=who, state=RigState.STARTING):
                self._starting[who] = now
            case RigEntered(who=who) | Died(who=who):
                self._starting.pop(who, None)
                if isinstance(fact, Died):
                    self._taken.pop(who, None)
            case ClockJumped(who=who):
                self._taken.pop(who, None)
            case PicturesMade(who=who):
                if now - self._taken.get(who, -SECOND) < self.LEAST:
                    self.report(
                        f"{who} takes pictures {(now - self._taken[who]) / SECOND:.3f} s after others"
                    )
                if now - self._starting.get(who, now) > self.JUST:
                    self.report(f"{who} takes pictures in the middle of a start")
                self._taken[who] = now


class MarkersArrive(Invariant):
    """Compares what was marked with the rigs' tables.

    That each is there is judged where nothing is lost: the journal has every marker, and a rig that hears of
    one when its recording is over has no place for it.
    """

    name = "markers arrive"
    promise = "A marker stands in the table of each rig that records, and once."
    BEFORE = SECOND // 2
    """A marker that is set so long before a stop is heard of before it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._set: list[tuple[int, MarkerSet]] = []
        self._stopped: dict[str, int] = {}

    def see(self, fact: Fact) -> None:
        """Note markers and ends."""
        match fact:
            case MarkerSet():
                self._set.append((self.world.time, fact))
            case SessionMoved(state=SessionState.STOPPING, exp_ref=str(exp_ref)):
                self._stopped.setdefault(exp_ref, self.world.time)

    def conclude(self) -> None:
        """Compare."""
        for name, rig in self.lab.rigs.items():
            for folder, texts in rig.disk.markers.items():
                if again := [text for text, count in Counter(texts).items() if count > 1]:
                    self.report(f"{name} has {', '.join(again)} twice in {folder}")
        network, conductors = self.lab.scenario.network, self.lab.scenario.conductors
        is_quiet = not network.loss and not network.late and network.jitter + network.delay < 0.02
        is_broken = any(one.kind != "stranger" for one in self.lab.scenario.faults)
        if is_broken or not is_quiet or len(conductors) > 1:
            return
        for at, marker in self._set:
            if at < self._stopped.get(marker.exp_ref, 0) - self.BEFORE:
                self._look_for(marker)

    def _look_for(self, marker: MarkerSet) -> None:
        for plan in self.lab.scenario.rigs:
            tables = self.lab.rigs[plan.name].disk.markers
            found = any(
                marker.text in texts
                for folder, texts in tables.items()
                if ExpRef.parse(marker.exp_ref).folder_parts() == folder.parts[-3:]
            )
            if plan.wire == 2 and plan.role != "optional" and not found:
                self.report(f"{plan.name} does not have {marker.text} of {marker.exp_ref}")


class RehearsalsLeaveNothing(Invariant):
    """Looks at the disks of all rigs that have cleaned up, and at what they remember."""

    name = "rehearsals leave nothing"
    promise = "Of a test recording nothing is kept: no folder, no file, no number."

    def conclude(self) -> None:
        """Look."""
        for name, rig in self.lab.rigs.items():
            memory = rig.disk.memory
            used = [*rig.disk.sessions, *(memory.started if memory is not None else ())]
            if any(one.subject == REHEARSAL_SUBJECT for one in used):
                self.report(f"{name} has used up a number for a test recording")
            if rig.node is not None and rig.machine.state is RigState.CONNECTED and rig.disk.rehearsals:
                self.report(f"{name} keeps a test recording")


# -- in time ------------------------------------------------------------------------------------------------


class Completes(Invariant):
    """Follows a session in a world where only datagrams are lost, copied or late by a moment.

    Rigs that know nothing but wire 1.0 are left out: iblutil runs its callback once a copy, so that a command
    has four copies only, and at 30 % loss one command in fifteen goes unheard.
    """

    name = "completes"
    promise = (
        "With up to 30 % of all datagrams lost, and rigs that get another address, a session goes through "
        "from end to end and every stop is answered."
    )

    def conclude(self) -> None:
        """Count what was recorded."""
        if not self._applies():
            return
        facts = self.world.facts
        failed = [(at, one) for at, one in facts if isinstance(one, StepEnded) and one.error is not None]
        for at, step in failed:
            self.report(f"{step.who}: {step.step}: {step.error}", at)
        for at, one in facts:
            if isinstance(one, RigJudged) and one.event == "EXPEND" and one.failure is not None:
                self.report(f"{one.who} {one}", at)
        sessions = self.lab.scenario.conductors[0].script.sessions
        for name in self.lab.rigs:
            done = sum(
                isinstance(one, RecordingEnded) and one.who == name and not one.is_rehearsal
                for _, one in facts
            )
            if done != sessions and not failed:
                self.report(f"{name} has recorded {done} of {sessions} sessions")

    def _applies(self) -> bool:
        scenario = self.lab.scenario
        return (
            all(one.kind in ("address change", "stranger") for one in scenario.faults)
            and scenario.network.loss <= 0.3
            and scenario.network.late == 0
            and len(scenario.conductors) == 1
            and not scenario.conductors[0].script.interrupt_after
            and all(rig.wire == 2 for rig in scenario.rigs)
            and sum(rig.main_sync for rig in scenario.rigs) + scenario.conductors[0].main_sync == 1
        )


class StopsInTime(Invariant):
    """Follows every rig that nothing keeps from hearing and obeying.

    A rig is left out if it, its conductor or the way between them is disturbed meanwhile, if its adapter is
    to fail when it is stopped, or if it recorded before the session came to it.
    """

    name = "stops in time"
    promise = (
        "After a stop, an interrupt or a failed start every rig that can be reached has stopped within its "
        "limit, whatever the others do."
    )
    WITHIN = Limits().stop
    ENDINGS = frozenset({SessionState.STOPPING, SessionState.INTERRUPTING, SessionState.ABORTING})

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._agreed_at: dict[str, int] = {}
        self._began: dict[str, tuple[str, int]] = {}
        """What each rig records, and since when."""

    def see(self, fact: Fact) -> None:
        """Follow recordings, and look at them when they should have ended."""
        match fact:
            case RecordingBegan(who=who, exp_ref=exp_ref):
                self._began[who] = (exp_ref, self.world.time)
            case RecordingEnded(who=who):
                self._began.pop(who, None)
            case SessionMoved(who=who, state=SessionState.AGREED):
                self._agreed_at[who] = self.world.time
            case SessionMoved(who=who, state=state, exp_ref=exp_ref) if state in self.ENDINGS:
                for rig, (recorded, since) in self._began.items():
                    if recorded == exp_ref and since >= self._agreed_at.get(who, 0):
                        self.world.after(
                            self.WITHIN, self._judge, who, rig, recorded, since, self.world.time, state
                        )

    def _judge(self, who: str, rig: str, exp_ref: str, since: int, told_at: int, state: SessionState) -> None:
        if self._began.get(rig) == (exp_ref, since) and not self.lab.is_disturbed(who, rig, told_at):
            self.report(
                f"{rig} still records {exp_ref}, which {who} is {state} for {self.WITHIN // SECOND} s"
            )


class InterruptsOvertake(StopsInTime):
    """As `StopsInTime`, with less patience; on a network that loses more than 30 % nobody is prompt."""

    name = "interrupts overtake"
    promise = "An interrupt waits for nothing that goes on: a rig that can be reached stops within seconds."
    PROMPT = 5 * SECOND
    """Nothing begins so long after it was interrupted."""
    WITHIN = 25 * SECOND
    """Some copies of the message, a hook that is slow to notice its end, and the time that a stop takes."""
    ENDINGS = frozenset({SessionState.INTERRUPTING, SessionState.ABORTING})

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._interrupted: dict[str | None, tuple[str, int]] = {}
        """By whom each reference was interrupted, and when."""
        self._starts: dict[str, str | None] = {}
        """What each conductor starts now: who has taken a rig over may start what another has given up."""

    def see(self, fact: Fact) -> None:
        """Look also at what begins after an interrupt."""
        super().see(fact)
        if isinstance(fact, SessionMoved):
            self._starts[fact.who] = fact.exp_ref if fact.state is SessionState.STARTING else None
        match fact:
            case SessionMoved(who=who, state=state, exp_ref=exp_ref) if state in self.ENDINGS:
                self._interrupted.setdefault(exp_ref, (who, self.world.time))
            case SessionMoved(state=SessionState.AGREED, exp_ref=exp_ref):  # nobody had begun it
                self._interrupted.pop(exp_ref, None)
            case RecordingBegan(who=rig, exp_ref=exp_ref) if exp_ref in self._interrupted:
                who, at = self._interrupted[exp_ref]
                if any(one == exp_ref for other, one in self._starts.items() if other != who):
                    return
                late = self.world.time > at + self.PROMPT and not self.lab.is_disturbed(who, rig, at)
                if late and self.lab.scenario.network.loss <= 0.3 and self.lab.rigs[rig].wire == 2:
                    self.report(f"{rig} begins {exp_ref}, which {who} has interrupted long ago")

    def _judge(self, who: str, rig: str, exp_ref: str, since: int, told_at: int, state: SessionState) -> None:
        if self.lab.scenario.network.loss <= 0.3:
            super()._judge(who, rig, exp_ref, since, told_at, state)


class DeadIsNoticed(Invariant):
    """Waits for a word of every conductor that records with a rig that dies.

    Where datagrams are seconds late the dead still speak; such networks are left out, and so are rigs that
    know nothing but wire 1.0, which send no heartbeats.
    """

    name = "the dead are noticed"
    promise = "A rig whose program dies while it records is noticed within 2 s, however many rigs there are."
    WITHIN = 2 * SECOND

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._noticed: set[tuple[str, str]] = set()
        """Conductors and rigs, since the rig has died."""
        self._recording: set[str] = set()

    def see(self, fact: Fact) -> None:
        """Follow deaths and notices."""
        match fact:
            case RigEntered(who=who, state=state):
                if state is RigState.RUNNING:
                    self._recording.add(who)
                else:
                    self._recording.discard(who)
            case RigNoticed(who=who, rig=rig):
                self._noticed.add((who, rig))
            case SessionMoved(who=who):
                self._noticed |= {(who, rig) for rig in self.lab.rigs}
            case Died(who=who) if who in self.lab.rigs and who in self._recording:
                self._recording.discard(who)
                network = self.lab.scenario.network
                if self.lab.rigs[who].wire == 2 and not network.late and network.jitter < 0.05:
                    for name, conductor in self.lab.conductors.items():
                        if who in conductor.machine.watch.reports():
                            self._noticed.discard((name, who))
                            self.world.after(self.WITHIN, self._judge, name, who, self.lab.rigs[who].lives)

    def _judge(self, conductor: str, rig: str, life: int) -> None:
        since = self.world.time - self.WITHIN
        if (
            (conductor, rig) not in self._noticed
            and self.lab.rigs[rig].lives == life
            and self.lab.conductors[conductor].node is not None
            and not self.lab.is_disturbed(conductor, conductor, since)
        ):
            self.report(f"{conductor} has not noticed for {self.WITHIN / SECOND:g} s that {rig} is dead")


class EveryStepEnds(Invariant):
    """Measures how long operators wait."""

    name = "every step ends"
    promise = "Whatever is broken, an operator is told how a step went: each ends within its limits."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        limits = Limits()
        once = limits.agree + limits.initialise + limits.start + limits.stop + limits.cleanup
        waves = 1 + sum(bool(one.after) for one in lab.scenario.rigs)
        broken = sum(int(one.lasts * SECOND) for one in lab.scenario.faults if one.kind != "stranger")
        self.within = waves * once + broken
        self._asked: dict[tuple[str, str], int] = {}

    def see(self, fact: Fact) -> None:
        """Follow the steps."""
        match fact:
            case StepAsked(who=who, step=step) if step != "record":
                self._asked[who, step] = self.world.time
            case StepEnded(who=who, step=step):
                self._asked.pop((who, step), None)
            case Died(who=who):
                self._asked = {key: at for key, at in self._asked.items() if key[0] != who}

    def look(self) -> None:
        """Measure."""
        for (who, step), at in list(self._asked.items()):
            if self.world.time > at + self.within:
                del self._asked[who, step]
                self.report(f"{who} waits for the end of '{step}' since {self.within // SECOND} s")


class GoodIsTrue(Invariant):
    """Compares the verdicts with what the devices really did.

    A rig that knows nothing but wire 1.0 says nothing of its files, and the verdict says so; it is left out.
    """

    name = "good is true"
    promise = (
        "A session that is called GOOD was recorded by every rig that it needs, from its start to its stop, "
        "and with times that rise."
    )
    MARGIN = round((TOLERANCE + 0.5) * SECOND)
    """What the verdict allows a rig, and what its clock may be off on a bad network."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._ran: dict[tuple[str, str | None], tuple[int, int | None]] = {}
        """Since when each conductor's session ran, and until when; ns of the world."""
        self._recorded: dict[tuple[str, str], list[list[int]]] = {}
        """From when to when each device recorded."""
        self._fell: set[tuple[str, str]] = set()
        """Whose times did not rise, and in which session."""

    def see(self, fact: Fact) -> None:
        """Note what really happened."""
        now = self.world.time
        match fact:
            case SessionMoved(who=who, state=SessionState.INITIALIZING, exp_ref=exp_ref):
                self._ran.pop((who, exp_ref), None)  # a number that was given back is tried again
            case SessionMoved(who=who, state=SessionState.RUNNING, exp_ref=exp_ref):
                begin, _ = self._ran.get((who, exp_ref), (now, None))
                self._ran[who, exp_ref] = begin, None  # also where it goes on after a recovery
            case SessionMoved(who=who, state=SessionState.STOPPING, exp_ref=exp_ref):
                begin, end = self._ran.get((who, exp_ref), (now, None))
                self._ran[who, exp_ref] = begin, now if end is None else end
            case RecordingBegan(who=who, exp_ref=exp_ref):
                self._recorded.setdefault((who, exp_ref), []).append([now, now])
            case RecordingEnded(who=who, exp_ref=exp_ref):
                self._recorded[who, exp_ref][-1][1] = now
            case TimesFell(who=who, exp_ref=exp_ref):
                self._fell.add((who, exp_ref))

    def conclude(self) -> None:
        """Look for what a verdict says and no device did."""
        for who, verdicts in self.lab.verdicts.items():
            for exp_ref, verdict in verdicts.items():
                if verdict.word is Word.GOOD:
                    begin, end = self._ran.get((who, str(exp_ref)), (0, None))
                    for rig in self.lab.scenario.rigs:
                        if rig.role != "optional" and rig.wire == 2:
                            self._compare(who, rig.name, str(exp_ref), begin, end)

    def _compare(self, who: str, rig: str, exp_ref: str, begin: int, end: int | None) -> None:
        spans = self._recorded.get((rig, exp_ref), [])
        to = begin if end is None else end
        if not any(since - self.MARGIN <= begin and to <= until + self.MARGIN for since, until in spans):
            self.report(f"{who} calls {exp_ref} GOOD, and {rig} has not recorded all of it")
        if (rig, exp_ref) in self._fell:
            self.report(f"{who} calls {exp_ref} GOOD, and the times of {rig} do not rise")


class NamesWhoIsLeft(Invariant):
    """Looks who records when a conductor says that a session is over.

    A rig whose adapter did not do or notice what it was asked is left out: it says so, or does not know it.
    """

    name = "names who is left"
    promise = "When a session is over, its last line names every rig of it that still records."
    SOON = 2 * SECOND
    """Who ends by then had been told to: on wire 1.0 a copy of the echo may be taken for the answer."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._led: dict[str, str] = {}
        """What each conductor led last."""
        self._left: dict[tuple[str, str], set[str]] = {}
        """Who recorded when it was over."""
        self._over: dict[tuple[str, str], int] = {}
        """When it was."""

    def look(self) -> None:
        """Strike off who ends soon."""
        for key, at in self._over.items():
            if self.world.time - at <= self.SOON and key in self._left:
                self._left[key] = {
                    name for name in self._left[key] if self.lab.rigs[name].device.exp_ref == key[1]
                }

    def see(self, fact: Fact) -> None:
        """Look who records."""
        if not isinstance(fact, SessionMoved):
            return
        if fact.exp_ref is not None:
            self._led[fact.who] = fact.exp_ref
            self._left.pop((fact.who, fact.exp_ref), None)
        if fact.state is SessionState.IDLE and (exp_ref := self._led.get(fact.who)) is not None:
            self._over[fact.who, exp_ref] = self.world.time
            self._left[fact.who, exp_ref] = {
                name
                for name, rig in self.lab.rigs.items()
                if rig.device.exp_ref == exp_ref and rig.led_by in (None, fact.who)
            }

    def conclude(self) -> None:
        """Compare with the last lines."""
        excused = {one.who for one in self.lab.scenario.faults if one.kind in ("stuck", "fail", "hang")}
        for who, sessions in self.lab.summaries.items():
            for exp_ref, summary in sessions.items():
                line = left.say_left(summary) or ""
                for rig in self._left.get((who, str(exp_ref)), set()) - excused:
                    if rig not in line:
                        self.report(f"{who} has ended {exp_ref}, {rig} records on, and it says: {line!r}")


class WaitsForTheWay(Invariant):
    """Measures when a conductor gives up a rig to which its own network, or the rig's, has no way."""

    name = "waits for the way"
    promise = "A rig to which there is no way is tried again until the step's time is up."
    LIMITS: ClassVar[dict[str, tuple[str, int]]] = {
        "EXPINIT": ("initialise", Limits().initialise),
        "EXPSTART": ("start", Limits().start),
        "EXPEND": ("stop", Limits().stop),
    }

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._asked: dict[tuple[str, str], int] = {}

    def see(self, fact: Fact) -> None:
        """Measure."""
        if isinstance(fact, StepAsked):
            self._asked[fact.who, fact.step] = self.world.time
        if not isinstance(fact, RigJudged) or NO_WAY not in (fact.failure or ""):
            return
        step, limit = self.LIMITS.get(fact.event, ("", 0))
        asked = self._asked.get((fact.who, step))
        is_needed = any(one.name == fact.rig and one.role != "optional" for one in self.lab.scenario.rigs)
        if asked is not None and is_needed and self.world.time < asked + limit - SECOND:
            passed = (self.world.time - asked) / SECOND
            self.report(f"{fact.who} gives {fact.rig} up after {passed:.1f} s of '{step}': {fact.failure}")


class _Clocks(Invariant):
    """Knows whose clock has jumped lately: what others know of it is wrong until they have heard of it."""

    FORGIVEN = 60 * SECOND
    """As long as PCs may be cut off, or stand still, and a few messages after that."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._jumped: dict[str, int] = {}

    def see(self, fact: Fact) -> None:
        """Note the jumps."""
        if isinstance(fact, ClockJumped):
            self._jumped[fact.who] = self.world.time

    def is_steady(self, *names: str) -> bool:
        """Whether none of these clocks has jumped lately."""
        since = self.world.time - self.FORGIVEN
        return all(self._jumped.get(name, since) <= since for name in names)


class ClockIsTrue(_Clocks):
    """Compares what is said of clocks with what they show."""

    name = "the clock is true"
    promise = (
        "A clock is never further off than the bound that is told with it; a jump is found as soon as the "
        "PCs hear each other again."
    )

    def see(self, fact: Fact) -> None:
        """Compare."""
        super().see(fact)
        if not isinstance(fact, ClockSeen) or not self.is_steady(fact.who, fact.rig):
            return
        rig = self.lab.rigs[fact.rig].clock
        error = rig.read(self.world.time) - fact.at - fact.offset
        if abs(error) > fact.bound + READING:
            self.report(
                f"{fact.who} knows the clock of {fact.rig} within {fact.bound / 1e6:.3f} ms, and is wrong by "
                f"{error / 1e6:.3f} ms"
            )


class StartsTogether(_Clocks):
    """Compares when adapters are started with the instant that was agreed."""

    name = "starts together"
    promise = (
        "A rig that is ready and hears of a start in time begins at the agreed instant, as exactly as it "
        "knows the clock; none begins earlier."
    )
    IN_TIME = SECOND // 20
    """A rig that hears so long before the instant can still get ready, unless its adapter arms slowly."""

    def see(self, fact: Fact) -> None:
        """Compare."""
        super().see(fact)
        if not isinstance(fact, StartCalled) or fact.planned is None or fact.bound is None:
            return
        leader = self.world.computers.get(fact.leader or "")
        if leader is None or not self.is_steady(fact.who, leader.name):
            return
        late = leader.clock.read(self.world.time) - fact.planned
        was_in_time = fact.was_ready and fact.waited is not None and late - fact.waited < -self.IN_TIME
        was_in_time = was_in_time and (fact.armed is None or late - fact.armed < 0)
        if late < -fact.bound - READING:
            self.report(f"{fact.who} begins {-late} ns early, and knows the clock within {fact.bound} ns")
        elif was_in_time and late > fact.bound + READING and not self._was_held_up(fact.who):
            self.report(f"{fact.who} begins {late} ns late, and knows the clock within {fact.bound} ns")

    def _was_held_up(self, name: str) -> bool:
        return any(one.who == name and one.kind in ("freeze", "hang") for one in self.lab.scenario.faults)


class Converges(Invariant):
    """Compares, long after the last fault is mended and the last operator has left, who does what.

    A rig is left out if its adapter did not do or notice what it was asked when it was stopped: its operator
    is told to look at it.
    """

    name = "converges"
    promise = (
        "When faults are mended, rigs and conductors agree again: nothing runs unwatched, nothing is stuck."
    )

    def conclude(self) -> None:
        """Compare."""
        excused = {
            fault.who
            for fault in self.lab.scenario.faults
            if fault.kind == "stuck" or (fault.kind in ("fail", "hang") and fault.hook in ("stop", "cleanup"))
        }
        for name, rig in self.lab.rigs.items():
            state, recorded = rig.machine.state, rig.device.exp_ref
            if name in excused or rig.node is None:
                continue
            if state in MOVING:
                self.report(f"{name} is {state} for ever")
            if recorded is not None:
                self.report(f"{name} records {recorded} and nobody watches it; it is {state}")
            if (recorded is not None) != (state is RigState.RUNNING):
                self.report(f"{name} is {state}, and its device records {recorded}")
        for name, conductor in self.lab.conductors.items():
            if conductor.node is not None and conductor.is_busy:
                self.report(f"{name} is {conductor.machine.state} for ever")


class ScreensTell(Invariant):
    """Compares, long after the last fault is mended, what those who look on have seen with what is."""

    name = "screens tell"
    promise = "Whoever looks on sees each rig as it is, whatever was lost or has died meanwhile."

    def conclude(self) -> None:
        """Compare."""
        for who, observer in self.lab.observers.items():
            for name, rig in self.lab.rigs.items():
                machine, seen = rig.machine, observer.see(rig)
                is_so = f"{machine.state} {machine.exp_ref}"
                is_seen = f"{seen.report.doing} {seen.report.exp_ref}"
                if rig.node is not None and is_so != is_seen:
                    self.report(f"{who} sees that {name} is {is_seen}, and it is {is_so}")


INVARIANTS: tuple[type[Invariant], ...] = (
    StartedOnce,
    OneReference,
    AgreedFirst,
    RunningIsTrue,
    JournalTells,
    HandledOnce,
    OneLeader,
    HeardIsKept,
    NoStorm,
    ShortDatagrams,
    FilesAreTold,
    FewDatagrams,
    LittleMemory,
    ArmedFirst,
    PulsesAreNoted,
    PicturesDisturbNothing,
    MarkersArrive,
    RehearsalsLeaveNothing,
    Completes,
    StopsInTime,
    InterruptsOvertake,
    DeadIsNoticed,
    EveryStepEnds,
    GoodIsTrue,
    NamesWhoIsLeft,
    WaitsForTheWay,
    ClockIsTrue,
    StartsTogether,
    Converges,
    ScreensTell,
)
"""All that is promised."""
COMES_TO_REST = "comes to rest"
"""Name of the invariant that the world itself watches: it does not do the same for ever."""
