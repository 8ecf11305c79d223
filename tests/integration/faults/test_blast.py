"""Rubbish by the hundred thousand at a rig that records: it goes on recording, and its conductor stops it.

The datagrams are random, or made of what a session really said: bits flipped, cut off, grown together,
replayed. Half of them come from the conductor's own address. What is forged well enough to *be* a command is
left out: in wire 1.0 any command, in wire 2 a message with a number between the right boot ids.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any

import psutil
import pytest

from multirig.errors import ProtocolError
from multirig.protocol import codec, frames
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Report, RigState, Word
from multirig.sim.relay import Relay

COUNT = 1_000_000 if os.environ.get("MULTIRIG_FUZZ") else 50_000
BURST = 100
"""Datagrams between two questions, whose echoes prove that all of them were read."""
SEED = 4711
STRANGERS = 8
MOST_MEMORY = 64 * 1024 * 1024
"""Bytes by which the rig's program may grow."""
COMMANDS = {Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP, Event.EXPINTERRUPT, Event.ALYX}


class Tap(Relay):
    """A cable on which all is heard, and where more can be said in the name of the conductor."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.heard: list[bytes] = []
        self.back: Any = None
        """The conductor's own address, as the rig sees it."""
        self.boot = ""
        """The rig's, as it last spoke."""

    def take_from_client(self, data: bytes, client: Any) -> None:
        self.heard.append(data)
        super().take_from_client(data, client)

    def take_from_target(self, data: bytes, back: Any) -> None:
        self.heard.append(data)
        self.back = back
        if data[:1] == b"{":
            self.boot = codec.decode(data)["boot"]
        super().take_from_target(data, back)


class Stranger(asyncio.DatagramProtocol):
    """A socket that says anything, and notes the echo of its question."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._awaited = b""
        self._echoed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data == self._awaited:
            self._echoed.set()
        elif self._awaited:  # the answer, which wants an echo
            self.transport.sendto(data)

    async def ask(self, number: int) -> None:
        """Return when the rig has read all that was sent before."""
        self._awaited = b"[32, %d]" % number
        while not self._echoed.is_set():
            self.transport.sendto(self._awaited)
            try:
                await asyncio.wait_for(self._echoed.wait(), 1)
            except asyncio.TimeoutError:
                continue
        self._echoed.clear()


def mutate(real: list[bytes], chance: random.Random) -> bytes:
    """Return random bytes, or something that was said once, maimed."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(200))
    data = bytearray(chance.choice(real))
    for _ in range(chance.randrange(4)):
        where = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if where < len(data):
                data[where] ^= 1 << chance.randrange(8)
            case 1:
                del data[where:]
            case 2:
                other = chance.choice(real)
                data[where:] = other[chance.randrange(len(other)) :]
            case 3:
                data += data[where:]
            case _:
                data[where : where + 1] = chance.randbytes(chance.randrange(4))
    return bytes(data)


def is_forged(data: bytes, real: set[bytes], boot: str) -> bool:
    """Whether it is a message as its sender might have said it, and so is no rubbish."""
    try:
        value = codec.decode(data)
        if isinstance(value, dict):
            return frames.boots(value)[1] == boot and ("n" in value or "beat" in value) and data not in real
        return Message.parse(value).event in COMMANDS or b"take_over" in data
    except ProtocolError:
        return False


@pytest.mark.limit(20 * 60)
@pytest.mark.timeout(21 * 60)
async def test_a_rig_under_a_blast_of_rubbish_records_on_and_can_be_stopped(lab: Any, note: Any) -> None:
    (rig,) = await lab.open_rigs("ephys")
    async with Tap(rig.uri) as tap:
        lab.relays["ephys"] = tap
        conductor = await lab.conductor()
        session = conductor.session("SP_01")
        await session.agree()
        await session.init()
        await session.start()
        await session.stop()
        await session.cleanup()
        rig.kill()  # all that was said so far is from a program that is dead
        await rig.open()
        session = conductor.session("SP_01")
        exp_ref = await session.agree()
        await session.init()
        await session.start()
        await asyncio.sleep(0.3)
        before = rig.hooks()
        program = psutil.Process(rig.process.pid)
        memory, rows = program.memory_info().rss, rig.rows(exp_ref)
        took = await blast(tap, rig.uri)
        assert rig.process.poll() is None
        assert rig.hooks() == before
        assert program.memory_info().rss - memory < MOST_MEMORY
        report = (await conductor.reports(5))["ephys"]
        assert isinstance(report, Report), report
        assert (report.state, report.failure) == (RigState.RUNNING, None)
        recorded = rig.rows(exp_ref)
        assert recorded > rows
        await asyncio.sleep(0.3)
        assert rig.rows(exp_ref) > recorded
        for outcomes in (await session.stop(), await session.cleanup()):
            assert isinstance(outcomes["ephys"], Word), outcomes
        assert rig.starts()[str(exp_ref)] == 1
        assert "Traceback" not in rig.said()
        logs = "".join(path.read_text() for path in (lab.folder / "logs").glob("*.log"))
        assert "Traceback" not in logs
        note(
            f"rubbish: {COUNT:,} datagrams in {took:.0f} s at a rig that recorded {rig.rows(exp_ref)} rows, "
            "none missing"
        )


async def blast(tap: Any, uri: str) -> float:
    """Throw everything at the rig; return how many seconds that took."""
    loop = asyncio.get_running_loop()
    host, port = uri.removeprefix("udp://").split(":")
    strangers = [
        (await loop.create_datagram_endpoint(Stranger, remote_addr=(host, int(port))))[1]
        for _ in range(STRANGERS + 1)
    ]
    asker = strangers.pop()
    real = list(dict.fromkeys(tap.heard))
    known = set(real)
    chance = random.Random(SEED)
    began = time.monotonic()
    sent = 0
    while sent < COUNT:
        for _ in range(BURST):
            while is_forged(data := mutate(real, chance), known, tap.boot):
                pass
            send = tap.back.send if chance.random() < 0.5 else chance.choice(strangers).transport.sendto
            send(data)
            sent += 1
        await asker.ask(sent // BURST)
    for one in (asker, *strangers):
        one.transport.close()
    await asyncio.sleep(0)
    return time.monotonic() - began
