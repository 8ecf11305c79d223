"""Whoever sits on the path, or sees it, and has no key: copies, holds, mixes, cuts and forges what passes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.unit.trust.lab import LAB, boot, certify, draws, keys, node
from tests.unit.trust.test_sealed_nodes import INFO, PC, RIG, START, STATUS, STRANGER, Machine, Two

from multirig.protocol.events import SECOND, Address, Received, Relocated, Replied, Send
from multirig.protocol.frames import FULL_SIZE
from multirig.protocol.messages import Event
from multirig.protocol.sealing import PROLOGUE
from multirig.protocol.words import Verbatim
from multirig.trust import packets
from multirig.trust.noise import Handshake
from multirig.trust.roles import Role

pytestmark = pytest.mark.attack

HELLO, ANSWER, PROOF, SEALED, LOST = (bytes([0xF5, kind]) for kind in range(1, 6))
ABOUT = b'{"boot":"0123456789abcdef","called":"x","list":0,"wire":2}'
"""What a handshake says of a program that is none."""
VICTIM = Address("udp", "192.168.1.66", 6_666)


def lead(two: Two) -> Two:
    """Let the PC ask the rig who it is, and start it."""
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    two.wire.passed.clear()
    return two


def sent(two: Two, to: Address = RIG, kind: bytes = b"") -> list[bytes]:
    return [data for _, target, data in two.wire.passed if target == to and data.startswith(kind)]


def throw(two: Two, datagrams: list[bytes], source: Address = STRANGER, at: Address = RIG) -> None:
    for data in datagrams:
        two.wire.nodes[at].receive_datagram(data, source, two.wire.now)
    two.wire.run(1)


def still_leads(two: Two) -> bool:
    """Whether the same program at the same place leads the rig, and is obeyed."""
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    return peer is not None and peer.address == PC and isinstance(two.ask(STATUS), Replied)


# -- copies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"[", HELLO, ANSWER, PROOF, SEALED], ids=["[64", "1", "2", "3", "4"])
@pytest.mark.parametrize("source", [PC, STRANGER], ids=["same address", "another one"])
@pytest.mark.parametrize("at", [RIG, PC], ids=["at the rig", "at the PC"])
def test_no_packet_counts_twice(kind: bytes, source: Address, at: Address) -> None:
    two = Two()
    two.ask(INFO)
    two.pc.door.seals.knock(RIG, two.wire.now)
    two.ask(START)
    copies = [data for _, _, data in two.wire.passed if data.startswith(kind)]
    assert copies
    heard = len(two.at_rig.heard), len(two.at_pc.heard)
    throw(two, copies * 3, source if at == RIG else RIG if source == PC else STRANGER, at)
    two.wire.run(30)
    assert (len(two.at_rig.heard), len(two.at_pc.heard)) == heard
    assert still_leads(two)


@pytest.mark.parametrize("kind", [b"[", HELLO, ANSWER, PROOF, SEALED], ids=["[64", "1", "2", "3", "4"])
def test_nothing_of_before_a_restart_counts_behind_it(kind: bytes) -> None:
    two = Two()
    two.ask(INFO)
    two.pc.door.seals.knock(RIG, two.wire.now)
    two.ask(START)
    copies = sent(two, RIG, kind) or sent(two, PC, kind)
    machine = Machine()
    again = node("video-pc", machine, keys("video-pc", Role.RIG), leads=False)
    again.boot = "0123456789abcdef"
    assert again.door.seals is not None
    again.door.seals._boot = again.boot
    two.wire.nodes = {RIG: again}
    throw(two, copies * 2, PC)
    assert machine.heard == []
    assert again.peers.of_program(boot("behaviour-pc")) is None


def test_a_whole_handshake_that_was_heard_opens_nothing() -> None:
    two = Two()
    two.ask(INFO)
    whole = sent(two)
    fresh = Two()
    fresh.rig.door.seals._random = draws("another start")
    throw(fresh, whole, PC)
    throw(fresh, whole, STRANGER)
    assert fresh.at_rig.heard == []


def test_what_a_side_has_said_is_nothing_to_itself() -> None:
    two = lead(Two())
    two.ask(STATUS)
    heard = len(two.at_rig.heard), len(two.at_pc.heard)
    throw(two, sent(two, PC), PC, RIG)
    throw(two, sent(two, RIG), RIG, PC)
    assert (len(two.at_rig.heard), len(two.at_pc.heard)) == heard


# -- other channels, other bytes -----------------------------------------------------------------------------


def test_a_packet_of_one_channel_is_none_of_another_under_whichever_name() -> None:
    first, second = lead(Two()), Two(at_pc=keys("office-pc"), at_rig=keys("video-pc", Role.RIG))
    lead(second)
    first.ask(STATUS)
    heard = len(second.at_rig.heard)
    [own, *_] = second.rig.door.seals.channels.all()
    taken = sent(first, RIG, SEALED)
    assert taken
    throw(second, taken, PC)
    throw(second, [data[:2] + own.channel.mine + data[10:] for data in taken], PC)
    assert len(second.at_rig.heard) == heard
    assert still_leads(second)


@pytest.mark.parametrize("how", ["cut", "longer", "renumbered", "flipped", "another kind"])
def test_a_packet_that_was_changed_is_nothing(how: str) -> None:
    two = lead(Two())
    two.wire.disturb = lambda sender, to, data: []  # what is changed has not come yet
    two.pc.handle(Send(address=RIG, word=STATUS, key=1, limit=9 * SECOND), two.wire.now)
    two.wire.run(0.3)
    two.wire.disturb = lambda sender, to, data: [data]
    fresh = sent(two, RIG, SEALED)
    assert fresh
    change: dict[str, Callable[[bytes], list[bytes]]] = {
        "cut": lambda data: [data[:at] for at in range(len(data))],
        "longer": lambda data: [data + b"\0", data + data],
        "renumbered": lambda data: [data[:10] + (at << 40).to_bytes(8, "big") + data[18:] for at in range(9)],
        "flipped": lambda data: [
            data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            for at in range(len(data))
            for bit in range(8)
        ],
        "another kind": lambda data: [b"\xf5" + bytes([kind]) + data[2:] for kind in range(256) if kind != 4],
    }
    heard = len(two.at_rig.heard)
    for data in fresh:
        for changed in change[how](data):
            two.rig.receive_datagram(changed, PC, two.wire.now)
    assert len(two.at_rig.heard) == heard
    assert still_leads(two)


def test_parts_of_a_long_message_that_are_lost_copied_and_mixed_make_the_message_or_nothing() -> None:
    two = lead(Two())
    chance = random.Random(1)
    late: list[tuple[Address, bytes]] = []

    def disturb(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if chance.random() < 0.2:
            late.append((to, data))
            return []
        held = [one for target, one in late if target == to]
        chance.shuffle(held)
        out = [data] * chance.choice([0, 1, 1, 2]) + held[:2]
        return out if chance.random() < 0.9 else [data[: len(data) // 2], *out]

    two.wire.disturb = disturb
    text = "".join(chr(32 + number % 90) for number in range(30_000))
    long = Verbatim(Event.EXPSTATUS, (0, {"text": text}))
    outcome = two.ask(long, 60)
    got = [one.word for one in two.at_rig.heard if isinstance(one, Received) and one.word == long]
    assert len(got) == (1 if isinstance(outcome, Replied) else len(got)) <= 1
    assert max(len(data) for data in sent(two)) <= FULL_SIZE


# -- a man in the middle -------------------------------------------------------------------------------------


def test_who_carries_a_handshake_on_under_another_address_learns_nothing_and_ends_nothing() -> None:
    """A relay is a bad cable: both sides speak through it, and what they say stays theirs."""
    two = Two()
    middle = Address("udp", "192.168.1.99", 9)

    def carry(sender: Address, to: Address, data: bytes) -> list[bytes]:
        two.wire.nodes[to].receive_datagram(data, middle if sender == PC else RIG, two.wire.now)
        return []

    two.wire.nodes[middle] = two.pc
    two.wire.disturb = carry
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    said = b"".join(data for _, _, data in two.wire.passed)
    assert not any(one in said for one in (b"2024-05-06", b"behaviour-pc", b"video-pc", b"cortexlab"))


def test_ephemeral_keys_that_were_swapped_make_no_channel() -> None:
    """The middle plays the rig to the PC and the PC to the rig, and knows the lab's public key."""
    two = Two()
    keys_of_it = {"private": b"m" * 32, "ephemeral": b"n" * 32}
    plays_pc = Handshake(initiates=True, **keys_of_it, prologue=PROLOGUE + LAB.lab.key)
    hello = packets.pack_hello(b"middle-1", plays_pc.write(), [LAB.lab.key]).ljust(packets.HELLO_SIZE, b"\0")
    two.rig.receive_datagram(hello, PC, two.wire.now)
    [(_, answer)] = two.rig.datagrams_to_send(two.wire.now)
    payload = plays_pc.read(answer[18:])
    assert b"video-pc" in payload  # who knows the lab's public key is told who is there, and no more
    stolen = certify("behaviour-pc", Role.LEAD).pack() + ABOUT
    two.rig.receive_datagram(packets.pack_proof(answer[10:18], plays_pc.write(stolen)), PC, two.wire.now)
    assert two.at_rig.heard == []
    assert "a certificate of somebody else" in " ".join(two.complaints(two.rig))
    assert isinstance(two.ask(INFO), Replied)


def test_halves_of_two_handshakes_are_no_whole_one() -> None:
    one, other = Two(), Two()
    other.pc.door.seals._random = lambda size: b"\x17" * size
    one.wire.disturb = other.wire.disturb = lambda sender, to, data: [] if data[:2] == PROOF else [data]
    one.ask(INFO, 1)
    other.ask(INFO, 1)
    proofs = sent(one, RIG, PROOF), sent(other, RIG, PROOF)
    assert all(proofs)
    for two, theirs in ((one, proofs[1]), (other, proofs[0])):
        own = sent(two, RIG, PROOF)[0]
        throw(two, [*theirs, *[own[:10] + data[10:] for data in theirs]], PC)
        assert two.at_rig.heard == []
        two.wire.disturb = lambda sender, to, data: [data]
        two.wire.run(15)
        assert two.at_rig.requests() == [Event.EXPINFO]


def make_answer(hello: bytes, own: bytes = b"forged-1") -> bytes:
    """Return an answer to a hello by somebody who knows the lab's public key, and has none of its own."""
    fake = Handshake(initiates=False, private=b"f" * 32, ephemeral=b"g" * 32, prologue=PROLOGUE + LAB.lab.key)
    read = packets.unpack_hello(hello)
    fake.read(read.key)
    payload = certify("video-pc", Role.RIG).pack() + ABOUT
    return packets.pack_answer(read.caller, own, fake.write(payload))


def hello_in(data: bytes) -> bytes | None:
    if data[:2] == HELLO:
        return data
    if b'"hello": "' not in data:
        return None
    return packets.from_text(data.split(b'"hello": "')[1].split(b'"')[0].decode())


def test_a_forged_answer_that_comes_first_does_not_spoil_the_true_one() -> None:
    """Who sees a hello and is quicker than the rig."""
    two = Two()

    def forge(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if to == RIG and (hello := hello_in(data)) is not None:
            for source in (RIG, STRANGER):
                two.pc.receive_datagram(make_answer(hello), source, two.wire.now)
                two.pc.receive_datagram(make_answer(hello)[:-9] + b"x" * 9, source, two.wire.now)
        return [data]

    two.wire.disturb = forge
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]


def test_a_hello_that_was_changed_and_comes_first_does_not_spoil_the_true_one() -> None:
    two = Two()

    def forge(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if to == RIG and (hello := hello_in(data)) is not None:
            read = packets.unpack_hello(hello)
            for index in (read.caller, b"another1"):
                changed = packets.pack_hello(index, read.key, [LAB.lab.key])
                for filled in (changed.ljust(800, b"\0"), changed.ljust(800, b"x")):
                    two.rig.receive_datagram(filled, STRANGER, two.wire.now)
        return [data]

    two.wire.disturb = forge
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)


def test_datagrams_in_the_name_of_a_rig_that_is_asked_end_no_question() -> None:
    two = Two()
    forged = [b'[0, "no", 64]', b"[64, 0, {}]", b"{}", b"x", b"[", b"\xf5", HELLO * 30, LOST + b"12345678"]

    def forge(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if to == RIG:
            for one in forged:
                two.pc.receive_datagram(one, RIG, two.wire.now)
        return [data]

    two.wire.disturb = forge
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)


def test_a_genuine_answer_from_a_victims_address_sends_the_victim_nothing() -> None:
    """What follows an answer has 500 bytes, and is repeated for 10 s: it goes where the hello went."""
    two = Two()
    received = {"victim": 0}

    def forge(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if to == PC and data[:2] == ANSWER:
            two.pc.receive_datagram(data, VICTIM, two.wire.now)
            return []
        if to == VICTIM:
            received["victim"] += len(data)
        return [data]

    two.wire.disturb = forge
    two.ask(INFO)
    assert received["victim"] == 0


def test_that_a_channel_is_lost_is_believed_when_another_one_is_proved_and_not_before() -> None:
    """A word of ten bytes, said ten thousand times by who has seen the name of a channel."""
    two = lead(Two())
    [kept] = two.pc.door.seals.channels.all()
    heard = len(two.at_rig.heard)
    two.wire.disturb = lambda sender, to, data: [] if data[:2] == ANSWER else [data]
    for _ in range(100):
        throw(two, [packets.pack_lost(kept.channel.theirs)] * 100, STRANGER, PC)
    two.wire.disturb = lambda sender, to, data: [data]
    assert len(sent(two, RIG, HELLO)) <= 300  # each second one is said, and repeated until it is answered
    assert sent(two, STRANGER) == []
    assert len(two.at_rig.heard) == heard
    assert still_leads(two)
    for _ in range(20):
        known = two.pc.door.seals.channels.all()
        throw(two, [packets.pack_lost(one.channel.theirs) for one in known], RIG, PC)
        assert isinstance(two.ask(STATUS, 0.5), Replied)
    assert not [one for one in two.at_rig.heard if isinstance(one, Relocated)]


def test_a_rig_that_was_restarted_is_found_though_strangers_use_up_what_it_may_say() -> None:
    """Ten thousand forged packets a second, from many addresses, while it comes back."""
    two = lead(Two())
    machine = Machine()
    again = node("video-pc", machine, keys("video-pc", Role.RIG), leads=False)
    again.boot = "0123456789abcdef"
    assert again.door.seals is not None
    again.door.seals._boot = again.boot
    two.wire.nodes[RIG] = again
    chance = random.Random(2)
    two.pc.handle(Send(address=RIG, word=STATUS, key=1, limit=30 * SECOND), two.wire.now)
    for _step in range(2_000):
        for _ in range(50):
            source = Address("udp", f"10.{chance.randrange(256)}.{chance.randrange(256)}.7", 5)
            again.receive_datagram(SEALED + chance.randbytes(60), source, two.wire.now)
        two.wire.run(0.005)
        if again.peers.of_program(boot("behaviour-pc")) is not None:
            break
    assert again.peers.of_program(boot("behaviour-pc")) is not None, "it took more than 10 s"


def test_what_is_said_late_moves_the_link_to_nowhere() -> None:
    """A packet that was held back for a minute and comes from elsewhere is old: what came since counts."""
    two = lead(Two())
    held: list[bytes] = []

    def hold(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if to == RIG and not held:
            held.append(data)
            return []
        return [data]

    two.wire.disturb = hold
    for _ in range(20):
        assert isinstance(two.ask(STATUS, 1), Replied)
    two.wire.run(60)
    throw(two, held, VICTIM)
    assert still_leads(two)


def test_a_hello_that_is_led_to_another_rig_makes_nobody_take_it_for_the_one_that_was_asked() -> None:
    two = Two()
    other, machine = Address("udp", "192.168.1.21", 11_001), Machine()
    third = node("scanner-pc", machine, keys("scanner-pc", Role.RIG), leads=False)
    two.wire.nodes[other] = third
    deaf = two.wire.nodes.pop(RIG)

    def lead_astray(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if to == RIG:
            third.receive_datagram(data, sender, two.wire.now)
        return [data]

    two.wire.disturb = lead_astray
    assert not isinstance(two.ask(INFO), Replied)
    assert two.pc.peers.of_program(boot("scanner-pc")) is None
    assert machine.requests() == []
    two.wire.nodes[RIG] = deaf
    assert isinstance(two.ask(INFO), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO]
