"""What multirig can do beyond IBL's wire is not to be had there: that wire has no place for a secret."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.rig.test_service import ref

from multirig.lifecycle.rig_events import Memory, Restored
from multirig.lifecycle.rig_states import RigState
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Gap

pytestmark = pytest.mark.attack

GREETING = {"multirig": {"wire": 2, "boot": "0123456789abcdef", "name": "stranger"}}


class Stranger:
    """A socket that nobody has ever heard of, with which one datagram after the other is sent to a rig."""

    def __init__(self, rig: Any) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._socket.connect((rig.addresses[0].host, rig.addresses[0].port))

    def say(self, *array: Any) -> None:
        self._socket.send(json.dumps(array).encode())

    async def hear(self, seconds: float = 0.3) -> list[Any]:
        """Return all messages that come; those of wire 2 are no arrays."""
        out, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            try:
                out.append(json.loads(self._socket.recv(65_536)))
            except BlockingIOError:
                await asyncio.sleep(0.01)
        return out

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def make_stranger() -> Iterator[Callable[[Any], Stranger]]:
    opened: list[Stranger] = []

    def make(rig: Any) -> Stranger:
        opened.append(Stranger(rig))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    "array",
    [
        [16, {"take_over": True}],
        [16, {"exp_ref": ref(), "take_over": True}],
        [4, {"take_over": True}],
        [8, {"take_over": True}],
        [1, {"exp_ref": ref(), "take_over": True}],
        [2, ref(), {"take_over": True}],
        [2, {"exp_ref": ref(), "take_over": True}, {"take_over": True}],
        [64, 0, {"take_over": True}],
        [64, 0, {"take_over": True, **GREETING}],
        [64, 0, {"exp_ref": ref(), "recover": True}],
        [64, 0, {"exp_ref": ref(), "recover": True, "take_over": True, **GREETING}],
        [2, ref(), {"resume": True}],
    ],
    ids=json.dumps,
)
async def test_no_datagram_of_ibls_wire_takes_the_lead_of_a_recording(
    lab: Any, make_stranger: Callable[[Any], Stranger], array: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    rig = await lab.rig(over="udp", main_sync=True)
    conductor = await lab.conductor(over="udp")
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        stranger = make_stranger(rig)
        with caplog.at_level(logging.WARNING, "multirig.rig"):
            stranger.say(*array)
            await stranger.hear()
            stranger.say(16, {})
            stranger.say(16, {"message": "now it leads"})
            await stranger.hear()
        assert rig.machine.state is RigState.RUNNING
        assert rig.machine.leader.token.peer == conductor.exchange.node.boot
        verbs = {"take_over", "recover", "resume"} & set(json.dumps(array).replace('"', " ").split())
        for verb in verbs:
            [line] = [one for one in caplog.messages if f"{verb} is not taken on IBL's wire" in one]
            assert line.startswith("ignored from udp://127.0.0.1:")
    assert rig.machine.state is RigState.CONNECTED


async def test_what_is_said_a_hundred_times_is_logged_once(
    lab: Any, make_stranger: Callable[[Any], Stranger], caplog: pytest.LogCaptureFixture
) -> None:
    rig = await lab.rig(over="udp")
    stranger = make_stranger(rig)
    with caplog.at_level(logging.WARNING, "multirig.rig"):
        for number in range(100):
            stranger.say(32, 0, {"watch": number})
            stranger.say(4, {"take_over": True, "number": number})
        await stranger.hear()
    assert sum("watch is not taken" in one for one in caplog.messages) == 1
    assert sum("take_over is not taken" in one for one in caplog.messages) == 1


async def test_nobody_rehearses_by_ibls_wire(lab: Any, make_stranger: Callable[[Any], Stranger]) -> None:
    rig = await lab.rig(over="udp")
    stranger = make_stranger(rig)
    stranger.say(1, {"exp_ref": ref(), "rehearsal": True})
    await stranger.hear()
    assert rig.machine.state is RigState.INITIALIZED  # as for any conductor of IBL
    assert not rig.machine.rehearses


async def test_a_start_by_ibls_wire_waits_for_no_instant_that_is_named(
    lab: Any, make_stranger: Callable[[Any], Stranger], until: Callable[..., Any]
) -> None:
    """One that is set far ahead would keep the rig busy until then."""
    rig = await lab.rig(over="udp")
    stranger = make_stranger(rig)
    stranger.say(2, ref(), {"start_at": time.perf_counter_ns() + 3 * 10**9})
    await until(lambda: rig.machine.state is RigState.RUNNING, limit=2.0)


async def test_no_recording_that_was_cut_off_goes_on_by_ibls_wire(
    lab: Any, make_stranger: Callable[[Any], Stranger]
) -> None:
    rig = await lab.rig(over="udp", fake={"resumes": True})
    exp_ref = ExpRef.parse(ref())
    memory = Memory(state=RigState.RUNNING, exp_ref=exp_ref, started=(exp_ref,), stopped=())
    rig.runtime.feed(Restored(memory=memory, gap=Gap()))
    assert rig.machine.can_resume
    stranger = make_stranger(rig)
    stranger.say(2, ref(), {"resume": True})
    assert [one[0] for one in await stranger.hear() if one[0] != 2] == [0]
    assert "resume" not in rig.adapter.calls


@pytest.mark.parametrize(
    "verb",
    [{"watch": 60}, {"pictures": True}, {"mark": {"text": "x", "at": 1.0, "data": {}}}],
    ids=lambda verb: next(iter(verb)),
)
async def test_an_expstatus_of_ibls_wire_is_answered_by_the_status_alone(
    lab: Any, make_stranger: Callable[[Any], Stranger], verb: dict[str, Any]
) -> None:
    rig = await lab.rig(over="udp", main_sync=True)
    conductor = await lab.conductor(over="udp")
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        stranger = make_stranger(rig)
        stranger.say(32, 0, verb)
        heard = await stranger.hear()
        assert [one for one in heard if one != [32, 0, verb]] in ([[32, 20]], [[32, 20]] * 2)
        assert not rig.machine.watchers


@pytest.mark.parametrize(
    "verb", [{"check": {"seconds": 60}}, {"whose": True}], ids=lambda verb: next(iter(verb))
)
async def test_an_expinfo_of_ibls_wire_tells_no_more_than_ibls(
    lab: Any, make_stranger: Callable[[Any], Stranger], verb: dict[str, Any]
) -> None:
    rig = await lab.rig(over="udp", main_sync=True)
    conductor = await lab.conductor(over="udp")
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        stranger = make_stranger(rig)
        stranger.say(64, 0, verb)
        answers = [one[2] for one in await stranger.hear(1.5) if one[0] == 64 and one != [64, 0, verb]]
        assert answers
        assert not any({"preflight", "begun_by", "recording_for"} & one.keys() for one in answers)


# -- what leaves -------------------------------------------------------------------------------------------


class Ear(asyncio.DatagramProtocol):
    """An IBL service that echoes and answers each message by itself, and keeps what it has heard."""

    def __init__(self, answers: dict[int, Any]) -> None:
        self.heard: list[Any] = []
        self._answers = answers

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        if data[:1] == b"{":
            return
        message = json.loads(data)
        if message in self._answers.values():
            return  # an echo
        self._transport.sendto(data, address)
        self.heard.append(message)
        if (answer := self._answers.get(message[0])) is not None:
            self._transport.sendto(json.dumps(answer).encode(), address)


async def test_a_peer_of_ibl_is_told_none_of_them(lab: Any) -> None:
    answers = {
        64: [64, 20, {"main_sync": True, "exp_ref": ref(), "status": 20}],
        1: [1, {"status": 20}],
        2: [2, ref(), {"status": 20}],
        4: [4, {"done": 1}],
        16: [16, {"done": 1}],
        8: [8, {"done": 1}],
    }
    ear = Ear(answers)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: ear, local_addr=("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        conductor = await lab.conductor(over="udp", rigs={"scan": f"udp://127.0.0.1:{port}"})
        await conductor.check(60.0)
        session = conductor.session("SP_01", takes_over=True)
        await session.agree()
        await session.init()
        await session.start()
        session.mark("a marker")
        folder = session.folder
        await conductor.detach()
        again = type(conductor).from_journal(folder)
        lab.conductors.append(again)
        await again.open()
        await again.current.recover(takes_over=True)
        await again.current.interrupt("it is over")
        await again.current.cleanup()
    finally:
        transport.close()
    assert {one[0] for one in ear.heard} >= {64, 1, 2, 16, 8}
    own = {
        "take_over",
        "recover",
        "resume",
        "rehearsal",
        "start_at",
        "check",
        "whose",
        "mark",
        "watch",
        "pictures",
    }
    for message in ear.heard:
        assert not any(isinstance(one, dict) and own & one.keys() for one in message), message
    assert any(ref() == one[2].get("exp_ref") for one in ear.heard if one[0] == 64)  # asked in IBL's words


async def test_a_multirig_is_asked_on_wire_2(lab: Any, make_stranger: Callable[[Any], Stranger]) -> None:
    """A conductor that comes back greets first; the rig is led by it all the same."""
    await lab.rig(over="udp", main_sync=True)
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    folder = session.folder
    await conductor.detach()
    again = type(conductor).from_journal(folder)
    lab.conductors.append(again)
    await again.open()
    left: list[bytes] = []
    node = again.exchange.node
    send = node.datagrams_to_send

    def note(now: int) -> list[Any]:
        out = send(now)
        left.extend(data for _, data in out)
        return list(out)

    node.datagrams_to_send = note
    await again.current.recover()
    assert lab.rigs["cam"].machine.leader.token.peer == again.exchange.node.boot
    assert [one for one in left if one[:1] == b"["]
    assert not [one for one in left if one[:1] == b"[" and b"recover" in one]
    await again.current.go_on()
    await again.current.stop()
    await again.current.cleanup()
