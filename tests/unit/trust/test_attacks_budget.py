"""What strangers may cost: bytes that leave, memory that stays, lines that are told, what others lose."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.unit.trust.lab import LAB, boot, keys, node
from tests.unit.trust.test_sealed_nodes import INFO, PC, RIG, START, STATUS, STRANGER, Machine, Two

from multirig.protocol.events import SECOND, Address, Ignored, Replied, Send
from multirig.trust import packets
from multirig.trust.admission import Doors
from multirig.trust.budget import MAX_SOURCES
from multirig.trust.roles import Role

pytestmark = pytest.mark.attack

OLD = {"multirig": {"wire": 2, "boot": "0123456789abcdef", "name": "x"}}
FRAME = {"multirig": 2, "boot": "0123456789abcdef", "to": boot("video-pc"), "t": [1, 2, 3]}


def array(*what: object) -> bytes:
    return json.dumps(what).encode()


def kinds(two: Two) -> dict[str, Callable[[random.Random], bytes]]:
    """Return what makes datagrams that prove nothing, by what they pretend to be."""
    [known] = two.rig.door.seals.channels.all()
    mine, theirs = known.channel.mine, known.channel.theirs
    greeting, *rest = [data for _, to, data in two.wire.passed if to == RIG]
    packet = packets.from_text(greeting.split(b'"hello": "')[1].split(b'"')[0].decode())
    frame = {**FRAME, "boot": boot("behaviour-pc")}

    def hello(chance: random.Random, size: int) -> bytes:
        return packets.pack_hello(chance.randbytes(8), chance.randbytes(32), [LAB.lab.key]).ljust(size, b"\0")

    def stream(data: bytes) -> bytes:
        return b'{"sealed":"' + base64.urlsafe_b64encode(data) + b'"}'

    return {
        "[64]": lambda chance: array(64),
        "[64, 0, {}]": lambda chance: array(64, 0, {}),
        "[64] of an older multirig": lambda chance: array(64, 0, OLD),
        "a long [64]": lambda chance: array(64, 0, {"x": "x" * chance.randrange(900)}),
        "a greeting that was heard": lambda chance: greeting,
        "a greeting that was cut": lambda chance: greeting.replace(b".", b"")[: chance.randrange(400, 600)],
        "a hello that was heard": lambda chance: packet.ljust(chance.choice([60, 300, 800]), b"\0"),
        "a hello of who knows the lab's public key": lambda chance: hello(chance, 800),
        "a short one": lambda chance: hello(chance, 58),
        "a hello of a stranger": lambda chance: packets.pack_hello(b"8" * 8, b"k" * 32, [b"x" * 32]).ljust(
            800
        ),
        "an answer": lambda chance: b"\xf5\x02" + chance.choice([mine, theirs, b"8" * 8]) + bytes(9),
        "a proof": lambda chance: b"\xf5\x03" + chance.choice([mine, theirs, b"8" * 8]) + bytes(400),
        "a sealed packet": lambda chance: b"\xf5\x04" + chance.choice([mine, theirs, b"8" * 8]) + bytes(1),
        "one for nobody": lambda chance: b"\xf5\x04" + chance.randbytes(8),
        "what was said": lambda chance: chance.choice(rest),
        "that a channel is lost": lambda chance: b"\xf5\x05" + chance.choice([mine, theirs, b"8" * 8]),
        "a probe of the clock": lambda chance: b"\xf5\x11" + mine + bytes(44),
        "a frame of who leads": lambda chance: json.dumps({**frame, "who": 5, "pad": ""}).encode(),
        "a frame of nobody": lambda chance: json.dumps({**FRAME, "n": 10**9, "low": 10**9}).encode(),
        "a frame of wire 3": lambda chance: json.dumps({**FRAME, "multirig": 3, "n": 1}).encode(),
        "take over": lambda chance: array(16, {"take_over": True}),
        "a start": lambda chance: array(2, "2026-11-29_1_x"),
        "watch": lambda chance: array(32, 0, {"watch": 60}),
        "pictures": lambda chance: array(32, 0, {"pictures": True}),
        "a token": lambda chance: array(128, "https://alyx.example.org", {"anna": "x" * 40}),
        "a number of 4,000 digits": lambda chance: b"[2, " + b"9" * 4_000 + b"]",
        "a stream's": lambda chance: stream(b"\xf5\x04" + bytes(60)),
        "nothing": lambda chance: b"",
        "rubbish": lambda chance: chance.randbytes(chance.randrange(1, 1_400)),
    }


NAMES = tuple(kinds((lambda two: (two.ask(INFO), two)[1])(Two())))


def led() -> Two:
    two = Two()
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    return two


def hosts(seed: int) -> Iterator[str]:
    chance = random.Random(seed)
    while True:
        yield f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}"


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("many", [False, True], ids=["one address", "many"])
def test_no_address_gets_more_bytes_than_it_sent_and_nothing_happens(kind: str, many: bool) -> None:
    two = led()
    make, chance, source = kinds(two)[kind], random.Random(3), hosts(4)
    heard = len(two.at_rig.heard)
    came: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for _ in range(500):
        address = Address("udp", next(source) if many else STRANGER.host, chance.randrange(1, 65_536))
        data = make(chance)
        if not two.rig.drops(data, address, two.wire.now):
            two.rig.receive_datagram(data, address, two.wire.now)
        came[address.host] += len(data)
        for to, out in two.rig.datagrams_to_send(two.wire.now):
            if to.host != PC.host:
                left[to.host] += len(out)
        two.wire.now += SECOND // 500
    assert all(left[host] <= came[host] for host in left), (left, came)
    assert len(two.at_rig.heard) == heard
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    assert peer is not None
    assert peer.address == PC
    assert isinstance(two.ask(STATUS), Replied)


@pytest.mark.parametrize("kind", NAMES)
def test_in_the_name_of_who_leads_nothing_happens_either(kind: str) -> None:
    """The same from the leader's own address, which anybody can write into a datagram."""
    two = led()
    make, chance = kinds(two)[kind], random.Random(5)
    heard = len(two.at_rig.heard)
    for _ in range(500):
        data = make(chance)
        if not two.rig.drops(data, PC, two.wire.now):
            two.rig.receive_datagram(data, PC, two.wire.now)
        two.wire.now += SECOND // 500
    assert len(two.at_rig.heard) == heard
    assert isinstance(two.ask(STATUS), Replied)


def test_a_hundred_thousand_odd_datagrams_of_as_many_addresses_leave_nothing_behind() -> None:
    two = led()
    makers, chance, source = list(kinds(two).values()), random.Random(6), hosts(7)
    sizes = {**two.rig.peers.sizes()}
    told = 0
    for number in range(100_000):
        address = Address("udp", next(source), 5)
        data = makers[number % len(makers)](chance)
        if not two.rig.drops(data, address, two.wire.now):
            two.rig.receive_datagram(data, address, two.wire.now)
        two.rig.datagrams_to_send(two.wire.now)
        two.wire.now += SECOND // 10_000
        while (effect := two.rig.next_event()) is not None:
            told += isinstance(effect, Ignored)
    seals = two.rig.door.seals
    assert seals is not None
    assert two.rig.peers.sizes() == sizes
    assert seals.sizes()["halves"] <= 128
    assert seals.sizes()["channels"] <= 2
    assert len(two.rig.door.refusals.counts()) <= MAX_SOURCES
    assert two.rig.door.refusals.total >= 80_000
    assert told <= 25  # of 10 s
    two.wire.run(11)
    assert seals.sizes()["halves"] == 0
    assert isinstance(two.ask(STATUS), Replied)


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_who_was_refused_is_heard_when_it_proves_who_it_is(scheme: str) -> None:
    """Over TCP too, where a packet begins as text does: nobody has an address shut out by forgeries."""
    pc, rig = PC._replace(scheme=scheme), RIG._replace(scheme=scheme)
    two = Two()
    two.wire.nodes = {pc: two.pc, rig: two.rig}
    for junk in (b"x", b"{}", b'{"sealed":"x"}', array(2, "x")) * 7:
        if not two.rig.drops(junk, pc, two.wire.now):
            two.rig.receive_datagram(junk, pc, two.wire.now)
    two.wire.disturb = lambda sender, to, data: [] if two.rig.drops(data, sender, two.wire.now) else [data]
    for word in (INFO, START):
        two.pc.handle(Send(address=rig, word=word, key=word.event.name, limit=9 * SECOND), two.wire.now)
        two.wire.run(10)
    assert [type(one) for one in two.at_pc.outcomes()] == [Replied, Replied]


def test_programs_without_end_of_one_pc_of_the_lab_cost_the_leader_nothing() -> None:
    """A PC that may look on, which says every twentieth of a second that it is another program."""
    two = led()
    for number in range(300):
        other = node(f"pc-{number}", Machine(), keys("office-pc", Role.LOOK), leads=True)
        at = Address("udp", "192.168.1.30", 1_000 + number)
        two.wire.nodes = {PC: two.pc, RIG: two.rig, at: other}
        assert other.door.seals is not None
        other.door.seals.knock(RIG, two.wire.now)
        two.wire.run(0.05)
    two.wire.nodes = {PC: two.pc, RIG: two.rig}
    assert isinstance(two.ask(STATUS), Replied)
    assert two.rig.door.seals is not None
    assert len(two.rig.door.seals.channels) > 100


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\nb", "\u202egnp.exe", '=cmd|"/c calc"!A1', "x" * 10_000, "\0"]
)
def test_no_name_of_a_certificate_or_a_program_reaches_a_screen_as_it_was_written(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = Two()
    assert two.pc.door.seals is not None
    two.pc.door.seals._name = text
    for wire in (text, 2):
        monkeypatch.setattr(two.pc.door.seals, "_introduce", _introduce(two, called=text, wire=wire))
        two.ask(INFO)
    said = " ".join(two.complaints(two.rig))
    [kept] = two.rig.door.seals.channels.all()
    for shown in (said, kept.channel.standing.called):
        assert shown.isprintable(), shown
        assert len(shown) < 1_000


def _introduce(two: Two, **more: object) -> Callable[[object], bytes]:
    certificate = two.pc.door.seals.keys.memberships[0].certificate
    about = {"boot": boot("behaviour-pc"), "list": 0, "wire": 2, **more}
    return lambda membership: certificate.pack() + json.dumps(about).encode()


@pytest.mark.parametrize("host", ["192.168.1.20", "192.168.1.77"])
def test_a_peer_of_ibls_that_was_named_gets_no_link_and_takes_no_lead_of_a_pc_that_seals(host: str) -> None:
    two = Two(at_rig_doors=Doors([host]))
    assert isinstance(two.ask(INFO), Replied)
    heard = len(two.at_rig.heard)
    ibl = Address("udp", host, 9)
    for data in (json.dumps({**FRAME, "boot": boot("behaviour-pc"), "n": 1, "m": [2, "x"]}).encode(), b"{}"):
        two.rig.receive_datagram(data, ibl, two.wire.now)
    assert len(two.at_rig.heard) == heard
    two.rig.receive_datagram(array(64, 0, OLD), ibl, two.wire.now)
    assert two.rig.peers.boot_of(ibl) is None
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    assert peer is not None
    assert peer.address == PC


@pytest.mark.parametrize("doors", [Doors([PC.host]), Doors(is_open=True)], ids=["named", "open"])
@pytest.mark.parametrize("data", [array(16, {}), array(4, {}), array(64, 0, OLD), b"[16, {}]"])
def test_on_ibls_wire_nobody_speaks_in_the_name_of_a_program_that_seals(doors: Doors, data: bytes) -> None:
    """The leader's PC is named in ``allow_ibl`` too, and somebody writes its address into a datagram."""
    two = Two(at_rig_doors=doors)
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    heard = len(two.at_rig.heard)
    two.rig.receive_datagram(data, PC, two.wire.now)
    two.wire.run(1)
    assert len(two.at_rig.heard) == heard
    assert isinstance(two.ask(STATUS), Replied)
