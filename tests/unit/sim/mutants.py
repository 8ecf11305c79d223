"""Planted bugs: each breaks one promise, so that whoever watches it is seen to be awake."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from tests.unit.sim.planting import Mutant, change, rewrite, swap, swapped
from tests.unit.sim.trust_mutants import TROUBLED, TRUST_MUTANTS

import multirig.lifecycle.rig as rig_rules
import multirig.lifecycle.rig_states as rig_states
import multirig.lifecycle.session as session_rules
import multirig.lifecycle.session_states as session_states
import multirig.lifecycle.step as steps
import multirig.lifecycle.watch as watching
import multirig.protocol.clock as clocks
import multirig.protocol.outbox as outboxes
import multirig.protocol.parts as parts
import multirig.record.verdict as verdicts
from multirig.lifecycle.broadcast import Broadcast
from multirig.lifecycle.handing_over import HandingOver, Judgement
from multirig.lifecycle.leader import Leadership
from multirig.lifecycle.observer import Seen
from multirig.lifecycle.questions import Questions
from multirig.lifecycle.recording import Recording as RigRecording
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import Restored
from multirig.lifecycle.rig_states import RigState, RigTransition, RigTrigger
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.protocol.clock import ClockMap, Reading
from multirig.protocol.echo import EchoLink
from multirig.protocol.events import SECOND, Call, Record, Replied, TimedOut
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.line import Line
from multirig.protocol.link import Link
from multirig.protocol.outbox import Outbox
from multirig.protocol.parts import Parcel, Shelf
from multirig.protocol.words import Stopped
from multirig.record.recording_on import RecordingOn
from multirig.rig.hooks import Hooks
from multirig.rig.limits import HookLimits
from multirig.rig.markers import MarkerTable
from multirig.rig.memory import MemoryKeeper
from multirig.rig.pulses import Pulser
from multirig.rig.recording import Recording
from multirig.rig.session_clock import SessionClock
from multirig.rig.viewfinder import Viewfinder
from multirig.runtime import Runtime
from multirig.sim.operator import Script
from multirig.sim.scenario import HOUR, ConductorPlan, Fault, RigPlan, Scenario
from multirig.sim.world import Network, World

# -- what is planted ----------------------------------------------------------------------------------------


def narrow(original: Any) -> Any:
    def read(self: ClockMap, at: int) -> Reading | None:
        reading = original(self, at)
        return None if reading is None else replace(reading, bound=reading.bound // 4)

    return read


def start_at_once(self: SessionClock, planned: int | None) -> int:
    return self._clock()


def handle_copies(original: Any) -> Any:
    def receive_request(self: Link, number: int, array: Any, now: int) -> None:
        self._handled.discard(number)
        low, self._low = self._low, 0
        original(self, number, array, now)
        self._low = low

    return receive_request


def acknowledge_once(original: Any) -> Any:
    def receive_request(self: Link, number: int, array: Any, now: int) -> None:
        is_copy = number < self._low or number in self._handled
        original(self, number, array, now)
        if is_copy:
            self.line.receipts.clear()

    return receive_request


def agree_on_anything(answers: Any, *, subject: str, date: Any, here: Any = None, **more: Any) -> ExpRef:
    said = [info.exp_ref for info in answers.values()]
    return here or next((exp_ref for exp_ref in said if exp_ref), ExpRef(date, 1, subject))


def say_yes(original: Any) -> Any:
    return lambda self, *, allows: original(self, allows=True)


def let_silence_be_a_yes(original: Any) -> Any:
    def handle_timer(self: HandingOver, now: int) -> None:
        self.rule = replace(self.rule, allows=True)
        original(self, now)

    return handle_timer


def take_the_first(original: Any) -> Any:
    def take(self: Broadcast, name: str, outcome: Any) -> bool:
        done: bool = original(self, name, outcome)
        return done or (self.word.event.name == "EXPSTART" and len(self.rigs) > 1)

    return take


def send_before_writing(original: Any) -> Any:
    def pump(self: Runtime) -> None:
        for address, data in self.node.datagrams_to_send(self.clock()):
            self._send(address, data)
        original(self)

    return pump


def forget_to_write(original: Any) -> Any:
    def take(self: SessionMachine, event: Any) -> Any:
        return [
            one
            for one in original(self, event)
            if not (isinstance(one, Record) and isinstance(one.event, Replied))
        ]

    return take


def say_nothing_of_time(original: Any) -> Any:
    def report(self: Outbox, outgoing: Any, event: Any) -> None:
        if not isinstance(event, TimedOut):
            original(self, outgoing, event)

    return report


def send_once(original: Any) -> Any:
    def transmit(self: Outbox, outgoing: Any, now: int) -> Any:
        data = original(self, outgoing, now)
        outgoing.retry_at = 0
        return data

    return transmit


@contextmanager
def retry_without_pause() -> Iterator[None]:
    with swapped(outboxes, "FIRST_RETRY", 10_000_000), swapped(outboxes, "EARLY_RETRY", 10_000_000):
        original = Outbox._queue

        def queue(self: Outbox, outgoing: Any) -> None:
            original(self, outgoing)
            outgoing.pause = 10_000_000

        with swapped(Outbox, "_queue", queue):
            yield


def ring_for_ever(original: Any) -> Any:
    def get_timer(self: Link) -> Any:
        at = original(self)
        return 0 if at is not None else None

    return get_timer


@contextmanager
def answer_answers() -> Iterator[None]:
    """Whoever is asked answers, and each link hands up whatever is asked: two rooms keep one promise."""
    with (
        swapped(Questions, "may_inform", lambda self, address, now: True),
        swapped(EchoLink, "_is_storm", lambda self, event, now: False),
    ):
        yield


@contextmanager
def lose_parts() -> Iterator[None]:
    """Send each part once."""
    with swapped(parts, "OVERTAKEN", HOUR), swapped(Parcel, "retry", lambda self: None):
        yield


@contextmanager
def mix_parts() -> Iterator[None]:
    """Take no notice of who has sent a part."""
    add, bits = Shelf.add, Shelf.bits
    with (
        swapped(Shelf, "add", lambda self, key, *args: add(self, ("anybody", *key[1:]), *args)),
        swapped(Shelf, "bits", lambda self, key: bits(self, ("anybody", *key[1:]))),
    ):
        yield


def name_the_first(original: Any) -> Any:
    def add_account(self: RigRecording, *args: Any) -> Stopped:
        word: Stopped = original(self, *args)
        if (recorded := word.recorded) is None:
            return word
        return replace(word, recorded=replace(recorded, files=(recorded.files or ())[:10]))

    return add_account


def send_long_ones_whole(original: Any) -> Any:
    return lambda self, text: True


ECHOES = 60
"""So many are enough to be noticed; without an end they would double until the memory is full."""


@contextmanager
def echo_echoes() -> Iterator[None]:
    is_echo = EchoLink._is_echo
    sent: Counter[tuple[int, bytes]] = Counter()

    def echo_it_too(self: EchoLink, data: bytes, now: int) -> bool:
        known = is_echo(self, data, now)
        if known and sent[id(self), data] < ECHOES:
            sent[id(self), data] += 1
            self._out.append(data)
        return known

    def echo_always(self: EchoLink, data: bytes, seen: Any, now: int) -> bool:
        if sent[id(self), data] < ECHOES:
            sent[id(self), data] += 1
            self._out.append(data)
        return True

    with swapped(EchoLink, "_is_echo", echo_it_too), swapped(EchoLink, "_echo", echo_always):
        yield


def ask_once(original: Any) -> Any:
    def due(self: Seen) -> Any:
        return None if self.is_watched else original(self)

    return due


@contextmanager
def start_again() -> Iterator[None]:
    again = RigTransition(RigState.STARTING, ("start",))
    cells = {(RigState.STARTING, RigTrigger.START): again, (RigState.RUNNING, RigTrigger.START): again}
    with (
        rewrite(rig_states, "RIG_TABLE", cells)(),
        change(Link, "_receive_request", handle_copies)(),
        swapped(rig_rules, "object_to_beginning", _ignore),
    ):
        yield


def _ignore(*args: Any, **more: Any) -> None:
    return None


def forget_numbers(original: Any) -> Any:
    def restore(self: RigMachine, event: Restored) -> list[Any]:
        out: list[Any] = original(self, event)
        self.numbers.started.clear()
        self.numbers.stopped.clear()
        return out

    return restore


def keep_to_oneself(original: Any) -> Any:
    def add_account(self: RigRecording, word: Stopped, *asked: Any) -> Stopped:
        return replace(original(self, word, *asked), ended_ago=None)

    return add_account


def start_unarmed(original: Any) -> Any:
    async def start(self: Hooks, call: Call) -> Any:
        async def arm() -> None:
            pass

        with swapped(self._adapter, "arm", arm):
            return await original(self, call)

    return start


@contextmanager
def pulse_for_ever() -> Iterator[None]:
    tasks: list[object] = []

    @asynccontextmanager
    async def going(self: Pulser) -> AsyncIterator[None]:
        if self._timing is not None:
            tasks.append(asyncio.create_task(self._pulse(self._timing, asyncio.Event())))
        yield

    with swapped(Pulser, "going", going):
        yield


def look_at_once(original: Any) -> Any:
    def look(self: Viewfinder) -> Any:
        self._is_busy = lambda: False
        return original(self)

    return look


def keep_to_the_adapter(self: MarkerTable, session: Any, marker: Any) -> Any:
    return asyncio.sleep(0)


def record_in_earnest(original: Any) -> Any:
    def enter(self: Recording, session: Any, *, is_rehearsal: bool, was_started: bool = False) -> None:
        original(self, session, is_rehearsal=False, was_started=was_started)

    return enter


def hope_for_the_best(original: Any) -> Any:
    async def keep(self: MemoryKeeper) -> None:
        await original(self)

    return keep


def give_up_at_once(original: Any) -> Any:
    def unreachable(self: Outbox, reason: str, now: int, *, is_refusal: bool) -> None:
        for outgoing in self._open.values():
            outgoing.gives_up = True
        original(self, reason, now, is_refusal=True)

    return unreachable


@contextmanager
def lose_who_moves() -> Iterator[None]:
    """Speak to a rig only where it was, and ask nobody where that is now."""
    with swapped(Line, "move", _ignore), swapped(World, "follow", lambda self, address: address):
        yield


@contextmanager
def record_on() -> Iterator[None]:
    """Let rigs answer a stop, and say that they still record."""
    stays = RigTransition(RigState.RUNNING)
    cells = {(RigState.RUNNING, trigger): stays for trigger in (RigTrigger.END, RigTrigger.CLEANUP)}
    with rewrite(rig_states, "RIG_TABLE", cells)():
        yield


@contextmanager
def record_on_unnoticed() -> Iterator[None]:
    with record_on(), swapped(RecordingOn, "why", lambda self, name: None):
        yield


def trust_every_time(original: Any) -> Any:
    return tuple(rule for rule in original if "its times do not rise" not in rule.when)


S, T = SessionState, SessionTrigger
MUTANTS: Mapping[str, tuple[Mutant, str]] = {
    "no duplicate filter": (change(Link, "_receive_request", handle_copies), "handled once"),
    "no re-acknowledgement": (change(Link, "_receive_request", acknowledge_once), "completes"),
    "no retransmission": (change(Outbox, "_transmit", send_once), "completes"),
    "no pause between copies": (retry_without_pause, "few datagrams"),
    "duplicates remembered for ever": (swap(Outbox, "_lowest_request", lambda self: 1), "little memory"),
    "a timer that rings for ever": (change(Link, "get_timer", ring_for_ever), "comes to rest"),
    "a part that is lost is never asked for again": (lose_parts, "completes"),
    "parts of different conversations mix": (mix_parts, "files are told"),
    "what is long goes in one datagram": (change(Line, "is_whole", send_long_ones_whole), "short datagrams"),
    "of many files only the first are named": (
        change(RigRecording, "add_account", name_the_first),
        "files are told",
    ),
    "no time-out": (change(Outbox, "_report", say_nothing_of_time), "every step ends"),
    "echoes echoed": (echo_echoes, "an echo is never echoed"),
    "nobody is told when a recording ended": (
        change(RigRecording, "add_account", keep_to_oneself),
        "good is true",
    ),
    "answers answered": (answer_answers, "an echo is never echoed"),
    "no roll-back": (
        rewrite(
            session_states,
            "SESSION_TABLE",
            {(S.STARTING, T.SOME_FAILED): S.IDLE, (S.INITIALIZING, T.SOME_FAILED): S.IDLE},
        ),
        "converges",
    ),
    "agreed without a main sync, or with two": (
        swap(session_rules, "agree", agree_on_anything),
        "agreed first",
    ),
    "running when the first rig is": (change(Broadcast, "take", take_the_first), "running is true"),
    "written after it was sent": (
        change(Runtime, "pump", send_before_writing),
        "the journal tells",
    ),
    "replies are not written": (change(SessionMachine, "_take", forget_to_write), "the journal tells"),
    "a stop is answered and not obeyed": (
        rewrite(
            rig_states, "RIG_TABLE", {(RigState.RUNNING, RigTrigger.END): RigTransition(RigState.STOPPED)}
        ),
        "stops in time",
    ),
    "an interrupt waits for what goes on": (
        rewrite(
            rig_states,
            "RIG_TABLE",
            {(RigState.STARTING, RigTrigger.END): RigTransition(RigState.STOPPING, ("stop",))},
        ),
        "interrupts overtake",
    ),
    "a repeated start is handled and obeyed": (start_again, "started once"),
    "whoever wants a rig has it": (
        swap(HandingOver, "judge", lambda self, *_: Judgement(allows=True)),
        "who is heard is kept",
    ),
    "a no is taken for a yes": (change(HandingOver, "answer", say_yes), "who is heard is kept"),
    "nobody's silence is a yes": (
        change(HandingOver, "handle_timer", let_silence_be_a_yes),
        "who is heard is kept",
    ),
    "everybody may command": (swap(Leadership, "object_to", _ignore), "one leader"),
    "nobody is silent": (swap(watching, "SILENT_AFTER", 60 * SECOND), "the dead are noticed"),
    "a deaf hook is forgotten": (swap(HookLimits, "check", _ignore), "one reference"),
    "used numbers forgotten by a restart": (change(RigMachine, "_restore", forget_numbers), "started once"),
    "a stop waits for the sick": (swap(steps, "WAVE_LIMIT", 600 * SECOND), "stops in time"),
    "bounds by half too narrow": (change(ClockMap, "read", narrow), "the clock is true"),
    "crystals are thought perfect": (swap(clocks, "MAX_DRIFT", 0.0), "the clock is true"),
    "a start waits for nothing": (swap(SessionClock, "find_instant", start_at_once), "starts together"),
    "a start that is not armed": (change(Hooks, "_start", start_unarmed), "armed first"),
    "pulses go on after a stop": (pulse_for_ever, "pulses are noted"),
    "pictures as often as somebody asks": (
        swap(Viewfinder, "_is_due", lambda self: True),
        "pictures disturb nothing",
    ),
    "pictures in the middle of a start": (
        change(Viewfinder, "look", look_at_once),
        "pictures disturb nothing",
    ),
    "markers for the adapter only": (swap(MarkerTable, "write", keep_to_the_adapter), "markers arrive"),
    "a test recording is kept": (change(Recording, "enter", record_in_earnest), "rehearsals leave nothing"),
    "a start whose memory cannot be kept": (change(MemoryKeeper, "keep", hope_for_the_best), "started once"),
    "a lease is not renewed": (change(Seen, "due", ask_once), "screens tell"),
    "given up where there is no way": (change(Outbox, "unreachable", give_up_at_once), "waits for the way"),
    "a rig that moves is lost": (lose_who_moves, "completes"),
    "a rig that still records is not named": (
        swap(RecordingOn, "why", lambda self, name: None),
        "names who is left",
    ),
    "a rig that says it still records is not named": (record_on_unnoticed, "names who is left"),
    "times that fall are trusted": (change(verdicts, "RULES", trust_every_time), "good is true"),
    **TRUST_MUTANTS,
}
"""By what is wrong: how to plant it, and which invariant must notice."""


def _wanted(answers: str) -> Scenario:
    """Return a world in which another PC wants a rig that records, and is led by one that is heard."""
    return Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, answers=answers, then="refuse"),),
        conductors=(
            ConductorPlan(name="leader", script=Script(record=30.0)),
            ConductorPlan(name="second", script=Script(record=1.0, begins=3.0, takes_over=True)),
        ),
    )


SCRIPTED: Mapping[str, Scenario] = {
    **dict.fromkeys(TRUST_MUTANTS, TROUBLED),
    "whoever wants a rig has it": _wanted("never"),
    "a no is taken for a yes": _wanted("no"),
    "nobody's silence is a yes": _wanted("never"),
    "a part that is lost is never asked for again": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, files=200),),
        conductors=(ConductorPlan(name="leader"),),
        network=Network(loss=0.3),
    ),
    "of many files only the first are named": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, files=60),),
        conductors=(ConductorPlan(name="leader"),),
    ),
    "parts of different conversations mix": Scenario(
        seed=12,
        rigs=(RigPlan(name="rig1", main_sync=True, files=60), RigPlan(name="rig2", files=60)),
        conductors=(ConductorPlan(name="leader"),),
        network=Network(jitter=0.02),
    ),
    "what is long goes in one datagram": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, files=300, cameras=4, picture=2_000),),
        conductors=(ConductorPlan(name="leader"),),
        network=Network(loss=0.1, longest=1_200),
        observers=1,
        wants_pictures=True,
    ),
    "given up where there is no way": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True),),
        conductors=(ConductorPlan(name="leader"),),
        faults=(Fault(kind="no way", who="leader", after="stop", lasts=8.0),),
    ),
    "a rig that moves is lost": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True), RigPlan(name="rig2")),
        conductors=(ConductorPlan(name="leader"),),
        faults=(Fault(kind="address change", who="rig2", after="record", delay=0.5),),
    ),
    "a rig that still records is not named": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True), RigPlan(name="rig2")),
        conductors=(ConductorPlan(name="leader"),),
        faults=(Fault(kind="partition", who="rig2", after="record", delay=0.5, lasts=200.0),),
    ),
    "a rig that says it still records is not named": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True), RigPlan(name="rig2")),
        conductors=(ConductorPlan(name="leader"),),
    ),
    "times that fall are trusted": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True),),
        conductors=(ConductorPlan(name="leader"),),
        faults=(Fault(kind="falling times", who="rig1", after="record", delay=0.5),),
    ),
    "echoes echoed": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, wire=1),),
        conductors=(ConductorPlan(name="leader"),),
    ),
    "nobody is told when a recording ended": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True),),
        # While the first one stands still, the second one joins its session and ends it. Their clocks agree,
        # as those of two programs of one PC do: else times before and after could not be compared.
        conductors=(
            ConductorPlan(name="leader", offset=3 * HOUR, script=Script(record=2.5)),
            ConductorPlan(name="second", offset=3 * HOUR, script=Script(begins=3.5, record=3.5)),
        ),
        faults=(Fault(kind="freeze", who="leader", after="record", delay=0.5, lasts=34.0),),
    ),
    "used numbers forgotten by a restart": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", moves_data=True),),
        conductors=(  # each gives the day's first number, since neither knows of the other's sessions
            ConductorPlan(name="leader", main_sync=True),
            ConductorPlan(name="second", main_sync=True, script=Script(begins=10.0)),
        ),
        faults=(Fault(kind="crash", who="rig1", after="clean up", delay=1.0, lasts=1.0),),
    ),
    "a start whose memory cannot be kept": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", moves_data=True),),
        conductors=(
            ConductorPlan(name="leader", main_sync=True),
            ConductorPlan(name="second", main_sync=True, script=Script(begins=12.0)),
        ),
        faults=(
            Fault(kind="locked memory", who="rig1", after="agree", lasts=9.0),
            Fault(kind="crash", who="rig1", after="agree", delay=9.5, lasts=1.0),
        ),
    ),
    "a start that is not armed": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, pauses={"arm": 1.0}),),
        conductors=(ConductorPlan(name="leader"),),
    ),
    "pulses go on after a stop": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, gives_pulses=True),),
        conductors=(ConductorPlan(name="leader", script=Script(sessions=2)),),
    ),
    "pictures as often as somebody asks": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, cameras=2),),
        conductors=(ConductorPlan(name="leader"),),
        observers=2,
        wants_pictures=True,
    ),
    "pictures in the middle of a start": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True, cameras=2, pauses={"start": 3.0}),),
        conductors=(ConductorPlan(name="leader"),),
        observers=1,
        wants_pictures=True,
    ),
    "markers for the adapter only": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True), RigPlan(name="rig2")),
        conductors=(ConductorPlan(name="leader", script=Script(marks_every=0.2)),),
    ),
    "a test recording is kept": Scenario(
        seed=1,
        rigs=(RigPlan(name="rig1", main_sync=True), RigPlan(name="rig2")),
        conductors=(ConductorPlan(name="leader", script=Script(rehearses=True)),),
    ),
    "a stop waits for the sick": Scenario(
        seed=1,
        rigs=(
            RigPlan(name="rig1", main_sync=True),
            RigPlan(name="rig2", after=("rig1",)),
            RigPlan(name="rig3", after=("rig2",)),
        ),
        conductors=(ConductorPlan(name="leader"),),
        faults=tuple(
            Fault(kind="hang", who=name, hook="stop", after="record", delay=1.0) for name in ("rig2", "rig3")
        ),
    ),
}
"""Where seeds seldom lead: worlds in which a planted bug must be noticed, and without it nothing is wrong."""
