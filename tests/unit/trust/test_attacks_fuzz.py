"""Authentic packets, a million of them, each changed: no crash, and no effect.

Tried for each change are as many as ten seconds allow; MULTIRIG_FUZZ=1 (`make fuzz`) tries them all. What is
under a seal is changed too, by somebody of the lab who may not lead: that is read, and does nothing either.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.trust.lab import boot, keys, node
from tests.unit.trust.test_sealed_nodes import INFO, PC, RIG, START, STATUS, STRANGER, Machine, Two

from multirig.protocol.events import SECOND, Address, Received, Replied, Send, Told
from multirig.protocol.node import Node
from multirig.trust.roles import Role

pytestmark = pytest.mark.attack

COUNT = 1_000_000
SEED = 17
SECONDS = float("inf") if os.environ.get("MULTIRIG_FUZZ") else 3.0
"""For each of the tests here."""
OFFICE = Address("udp", "192.168.1.30", 40_001)


def mutate(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return a packet that was changed somewhere: bits, bytes, lengths, ends, two of them mixed."""
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at = chance.randrange(len(out)) if out else 0
        match chance.randrange(9):
            case 0 | 1 if out:
                out[at] ^= 1 << chance.randrange(8)
            case 2 if out:
                out[at] = chance.choice([0, 0xFF, 0xF5, 34, 91, 123, chance.randrange(256)])
            case 3:
                del out[at:]
            case 4:
                del out[at : at + chance.randrange(1, 40)]
            case 5:
                out[at:at] = chance.randbytes(chance.randrange(1, 40))
            case 6:
                out[at:] = chance.choice(others)[at:]
            case 7 if len(out) > 18:
                out[10:18] = chance.choice([b"\0" * 8, b"\xff" * 8, chance.randbytes(8)])
            case _:
                out += out[: chance.randrange(1, 60)]
    return bytes(out)


def run(count: int, one: Callable[[], None]) -> int:
    """Do it so often, or for as long as there is time; return how often."""
    end, done = time.monotonic() + SECONDS, 0
    while done < count and (done % 256 or time.monotonic() < end):
        one()
        done += 1
    return done


def learn(two: Two) -> list[bytes]:
    """Let two programs speak; return all that came to the rig, and some that has not come yet."""
    assert isinstance(two.ask(INFO), Replied)
    assert two.pc.door.seals is not None
    two.pc.door.seals.knock(RIG, two.wire.now)
    assert isinstance(two.ask(START), Replied)
    two.wire.disturb = lambda sender, to, data: []
    for number in range(20):
        two.pc.handle(Send(address=RIG, word=STATUS, key=number, limit=9 * SECOND), two.wire.now)
        two.pc.door.seals.knock(Address("udp", "192.168.1.20", 20_000 + number), two.wire.now)
        two.wire.run(0.05)
    two.wire.disturb = lambda sender, to, data: [data]
    return list(dict.fromkeys(data for _, _, data in two.wire.passed))


def test_no_packet_that_was_changed_does_anything(note_of_attack: Callable[[str], None]) -> None:
    two = Two()
    real = learn(two)
    known, chance = set(real), random.Random(SEED)
    heard = len(two.at_rig.heard)
    sizes = two.rig.peers.sizes()

    def attack() -> None:
        while (data := mutate(chance.choice(real), real, chance)) in known:
            pass
        address = chance.choice([PC, STRANGER, RIG, PC._replace(scheme="tcp")])
        if not two.rig.drops(data, address, two.wire.now):
            two.rig.receive_datagram(data, address, two.wire.now)
        two.rig.datagrams_to_send(two.wire.now)
        two.wire.now += SECOND // 10_000

    done = run(COUNT, attack)
    assert done > 1_000
    assert len(two.at_rig.heard) == heard
    assert two.rig.peers.sizes().keys() == sizes.keys()
    assert two.rig.peers.sizes()["peers"] == sizes["peers"]
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    assert peer is not None
    assert peer.address == PC
    two.wire.run(20)
    assert isinstance(two.ask(STATUS), Replied)
    note_of_attack(f"{done:,} changed packets: no crash, no effect")


def test_nothing_that_is_said_under_a_seal_by_who_may_not_lead_does_anything(
    note_of_attack: Callable[[str], None],
) -> None:
    """Its packets are genuine, and what is in them is anything: frames that were changed, and no frames."""
    two = Two()
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    other = node("office-pc", Machine(), keys("office-pc", Role.RIG), leads=True)
    two.wire.nodes[OFFICE] = other
    contents = frames_of(two, other)
    chance = random.Random(SEED + 1)
    heard = len([one for one in two.at_rig.heard if isinstance(one, Received | Told)])
    seals = other.door.seals
    assert seals is not None

    def attack() -> None:
        channel = seals.channels.find(boot("video-pc"))
        assert channel is not None
        content = mutate(chance.choice(contents), contents, chance)
        two.rig.receive_datagram(channel.seal(content), OFFICE, two.wire.now)
        two.rig.datagrams_to_send(two.wire.now)
        while two.rig.next_event() is not None:
            pass
        two.wire.now += SECOND // 10_000

    done = run(COUNT // 10, attack)
    assert done > 500
    assert len([one for one in two.at_rig.heard if isinstance(one, Received | Told)]) == heard
    sizes = two.rig.peers.sizes()
    assert sizes["unfinished"] <= 16
    assert sizes["handled"] <= 1_100
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    assert peer is not None
    assert peer.address == PC
    assert isinstance(two.ask(STATUS), Replied)
    note_of_attack(f"{done:,} changed frames under a genuine seal: no crash, no effect")


def frames_of(two: Two, other: Node) -> list[bytes]:
    """Return what a program of the lab says to the rig under its seal, opened."""
    seals = other.door.seals
    assert seals is not None
    contents: list[bytes] = [b"\0", b"\x01", b"\x01\0\x05{}   " + bytes(64), b"", b"{}", b"[]"]
    close = other.door.close

    def note(*what: Any) -> Any:
        contents.extend(what[2])
        return close(*what)

    other.door.__dict__["close"] = note
    for word in (INFO, STATUS, START):
        other.handle(Send(address=RIG, word=word, key=word.event.name, limit=9 * SECOND), two.wire.now)
        two.wire.run(2)
    long = replace(START, args=("x" * 4_000,))
    other.handle(Send(address=RIG, word=long, key="long", limit=2 * SECOND), two.wire.now)
    two.wire.run(2)
    assert len(contents) > 10
    return contents
