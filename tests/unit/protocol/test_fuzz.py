"""Rubbish: whatever bytes come, nothing raises, nothing grows, and a rig that records goes on recording.

What is forged well enough *is* a message: a command in wire 1.0, or in wire 2 a new number between the right
boot ids. `is_forged` leaves out just these; everything else that a broken network, program or switch could
make of real datagrams is tried.
"""

import contextlib
import datetime
import functools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from multirig.errors import ProtocolError, RemoteProtocolError
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import Describe, Described, Done
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import AgreeRequested, RigsChosen, StepRequested
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.protocol import codec, frames
from multirig.protocol.codec import StreamCutter
from multirig.protocol.dialect import hear_leader, hear_rig
from multirig.protocol.events import SECOND, Address, Call
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.node import Node
from multirig.protocol.words import AskInfo, Info

CONDUCTOR, RIG, STRANGER = (Address("udp", f"10.0.0.{number}", 11001) for number in (1, 2, 3))
DATE = datetime.date(2024, 5, 6)
COMMANDS = {Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP, Event.EXPINTERRUPT, Event.ALYX}
MOST_ANSWERS = 4
"""Datagrams that one datagram may cause at once: its echo, its answer, an error, an introduction."""

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
near_arrays = st.lists(values, max_size=4) | st.builds(
    lambda event, more: [event, *more],
    st.sampled_from([*map(int, Event), "expstart", True, 1.0, -1, 3, 2**70]),
    st.lists(values, max_size=3),
)
boots = st.sampled_from(["C", "R", "X", ""]) | st.text(max_size=4)
near_frames = st.fixed_dictionaries(
    {"multirig": st.sampled_from([2, 2, 2, 1, 3, "2", None, True])},
    optional={
        "boot": boots | scalars,
        "to": boots | scalars,
        "n": st.integers(-1, 2**64) | scalars,
        "low": st.integers(-1, 2**64) | scalars,
        "re": st.integers(-1, 20) | scalars,
        "beat": st.integers(-1, 2**64) | scalars,
        "m": near_arrays | scalars,
        "ack": st.lists(st.integers(-1, 20) | scalars, max_size=6) | scalars,
        "t": st.lists(st.integers() | scalars, max_size=4) | scalars,
    },
)
rubbish = st.binary(max_size=200) | (values | near_arrays | near_frames).map(
    lambda one: json.dumps(one).encode()
)


# -- a session, of which every datagram is kept --------------------------------------------------------------


class Session:
    """A conductor and a rig that records; ``kept`` is all that went from one to the other."""

    def __init__(self, boots=("C", "R")) -> None:
        self.now = SECOND
        self.conductor: Any = Node(boot=boots[0], name="pc", machine=SessionMachine(), hears=hear_rig)
        self.rig: Any = Node(
            boot=boots[1], name="cam", machine=RigMachine(name="cam", main_sync=True), hears=hear_leader
        )
        self.kept: list[tuple[Address, bytes]] = []
        rig = RigsChosen(rigs={"cam": RIG})
        self.conductor.handle(rig, self.now)
        self._numbers = iter(range(1, 100))
        self.ask(AgreeRequested(number=next(self._numbers), subject="x", date=DATE, ask=AskInfo(subject="x")))
        for trigger in (SessionTrigger.INIT, SessionTrigger.START):
            self.take(trigger)

    def ask(self, request) -> None:
        self.conductor.handle(request, self.now)
        for _ in range(200):
            self.carry()
            self.now += SECOND // 100
            for node in (self.conductor, self.rig):
                node.handle_timer(self.now)

    def take(self, trigger) -> None:
        self.ask(StepRequested(number=next(self._numbers), trigger=trigger))

    def carry(self) -> None:
        self.perform()
        for to, data in self.conductor.datagrams_to_send(self.now):
            if to == RIG:
                self.kept.append((CONDUCTOR, data))
                self.rig.receive_datagram(data, CONDUCTOR, self.now)
        self.perform()
        for to, data in self.rig.datagrams_to_send(self.now):
            if to == CONDUCTOR:
                self.kept.append((RIG, data))
                self.conductor.receive_datagram(data, RIG, self.now)

    def perform(self) -> None:
        while self.conductor.next_event() is not None:
            pass
        while (effect := self.rig.next_event()) is not None:
            if isinstance(effect, Call):
                self.rig.handle(Done(number=effect.number), self.now)
            elif isinstance(effect, Describe):
                info = Info(exp_ref=ExpRef(DATE, 2, "x") if effect.subject else None)
                self.rig.handle(Described(token=effect.token, info=info, room=effect.room), self.now)

    def throw(self, data: bytes, source: Address) -> int:
        """Let something arrive at the rig; return how many datagrams leave at once."""
        self.now += SECOND // 1000
        self.rig.receive_datagram(data, source, self.now)
        self.perform()
        out = self.rig.datagrams_to_send(self.now)
        self.rig.handle_timer(self.now)
        return len(out)


@functools.cache
def datagrams() -> tuple[bytes, ...]:
    """Return what a session and one of other programs, long over, said."""
    kept = [*Session().kept, *Session(("C1", "R1")).kept]
    return tuple(dict.fromkeys(data for _, data in kept))


def is_forged(data: bytes) -> bool:
    """Whether it is a message as its sender might have said it, and so is no rubbish."""
    if data in datagrams():
        return False
    try:
        value = codec.decode(data)
        if isinstance(value, dict):
            boot, to = frames.boots(value)
            return to == "R" and boot != "R" and ("n" in value or "beat" in value)
        return Message.parse(value).event in COMMANDS
    except ProtocolError:
        return False


@st.composite
def mutants(draw) -> bytes:
    """Real datagrams: flipped bits, cut off, grown together, with a piece of another in the middle."""
    data = bytearray(draw(st.sampled_from(datagrams())))
    for kind in draw(st.lists(st.sampled_from(["flip", "cut", "splice", "repeat", "replace"]), max_size=3)):
        where = draw(st.integers(0, max(0, len(data) - 1)))
        match kind:
            case "flip" if data:
                data[where] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[where:]
            case "splice":
                other = draw(st.sampled_from(datagrams()))
                data[where:] = other[draw(st.integers(0, len(other))) :]
            case "repeat":
                data += data[where:]
            case "replace":
                data[where : where + 1] = draw(st.binary(max_size=3))
    return bytes(data)


# -- the codec -----------------------------------------------------------------------------------------------


@given(rubbish)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 10_000)
@example(b"[1e999, -0, NaN, Infinity]")
@example(b'["\\ud800"]')
@example(b"\xef\xbb\xbf[32]")
def test_decoding_raises_nothing_but_that_it_is_no_message(data: bytes):
    with contextlib.suppress(ProtocolError):
        Message.parse(codec.decode(data))


@given(values | near_arrays | near_frames)
def test_reading_a_message_raises_nothing_but_that_it_is_none(value):
    for read in (Message.parse, Event.parse, Status.parse):
        with contextlib.suppress(RemoteProtocolError):
            read(value)
    if isinstance(value, dict):
        with contextlib.suppress(ProtocolError):
            frames.boots(value)


@given(st.lists(rubbish | mutants(), max_size=20), st.integers(1, 64))
def test_cutting_a_stream_raises_nothing_but_that_a_limit_is_passed(pieces: list[bytes], size: int):
    cutter = StreamCutter(limit=512)
    stream = b"".join(pieces)
    for start in range(0, len(stream), size):
        with contextlib.suppress(RemoteProtocolError):
            for whole in cutter.feed(stream[start : start + size]):
                assert len(whole) <= 512
                assert whole[:1] in b"[{"
        assert len(cutter._buffer) <= 512 + size


# -- a rig that records --------------------------------------------------------------------------------------


def test_the_rig_of_these_tests_records_and_can_be_stopped():
    session = Session()
    assert session.conductor.machine.state is SessionState.RUNNING
    assert session.rig.machine.state is RigState.RUNNING
    session.take(SessionTrigger.STOP)
    assert session.conductor.machine.state is SessionState.STOPPED
    assert session.rig.machine.state is RigState.STOPPED


def test_a_command_of_another_program_that_was_heard_before_is_forged_and_not_rubbish():
    assert is_forged(b"[4, null]")
    assert is_forged(b'{"multirig": 2, "boot": "X", "to": "R", "n": 1, "m": [4, null]}')
    assert not is_forged(b'{"multirig": 2, "boot": "C", "to": "R1", "n": 1, "m": [4, null]}')
    assert not is_forged(b"[32, 0]")


@given(st.lists(st.tuples(rubbish | mutants(), st.sampled_from([CONDUCTOR, STRANGER])), max_size=30))
def test_a_rig_that_records_is_not_moved_by_rubbish_and_its_conductor_can_stop_it(thrown):
    session = Session()
    before = (session.rig.machine.state, session.rig.machine.exp_ref, session.rig.machine.failure)
    for data, source in thrown:
        if not is_forged(data):
            assert session.throw(data, source) <= MOST_ANSWERS
            machine = session.rig.machine
            assert (machine.state, machine.exp_ref, machine.failure) == before
    session.take(SessionTrigger.STOP)
    assert session.rig.machine.state is RigState.STOPPED
    assert session.conductor.machine.state is SessionState.STOPPED


@pytest.mark.parametrize("source", [CONDUCTOR, STRANGER])
def test_what_a_node_remembers_stays_small_however_much_rubbish_comes(source):
    session = Session()
    real = [data for data in datagrams() if len(data) > 2]
    for number in range(20_000):
        data = bytearray(real[number % len(real)])
        data[(number * 31) % len(data)] ^= 1 << number % 8
        if not is_forged(bytes(data)):
            session.throw(bytes(data), Address("udp", source.host, source.port + number % 300))
    assert max(session.rig.peers.sizes().values()) <= 4096
    assert session.rig.machine.state is RigState.RUNNING
