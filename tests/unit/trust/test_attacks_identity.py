"""Whoever has a key of the lab, and wants to be more: another program, another PC, another role."""

from __future__ import annotations

import pytest
from tests.unit.trust.lab import LAB, NOW, boot, keys, node
from tests.unit.trust.test_sealed_nodes import INFO, PC, RIG, START, Machine, Two

from multirig.protocol.events import SECOND, Address, Received, Replied, Send, Told
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.protocol.words import Verbatim
from multirig.trust import packets
from multirig.trust.roles import Role

pytestmark = pytest.mark.attack

OFFICE = Address("udp", "192.168.1.30", 40_001)
INTERRUPT = Verbatim(Event.EXPINTERRUPT, ({},))


def add(two: Two, role: Role, *, claims: str | None = None, at: Address = OFFICE) -> tuple[Node, Machine]:
    """Put one more PC of the lab beside two that speak; ``claims``: it says that it is this program."""
    machine = Machine()
    other = node("office-pc", machine, keys("office-pc", role), leads=True)
    if claims is not None:
        other.boot = claims
        assert other.door.seals is not None
        other.door.seals._boot = claims
        other._answering._boot = claims
        other.peers._boot = claims
    two.wire.nodes[at] = other
    return other, machine


def ask(two: Two, other: Node, word: Verbatim, seconds: float = 5.0) -> None:
    other.handle(Send(address=RIG, word=word, key=word.event.name, limit=4 * SECOND), two.wire.now)
    two.wire.run(seconds)


def led_by(two: Two) -> Address | None:
    """Return where the rig believes its leader to be."""
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    return peer.address if peer is not None else None


@pytest.mark.parametrize("role", list(Role))
def test_nobody_is_taken_for_the_leaders_program_by_saying_so(role: Role) -> None:
    """Every rig is told the leader's boot id, and so is whoever looks on."""
    two = Two()
    two.ask(INFO)
    other, machine = add(two, role, claims=boot("behaviour-pc"))
    ask(two, other, INFO)
    ask(two, other, INTERRUPT)
    assert led_by(two) == PC
    assert machine.outcomes()
    assert not any(isinstance(one, Replied) for one in machine.outcomes())
    assert Event.EXPINTERRUPT not in two.at_rig.requests()
    assert isinstance(two.ask(START), Replied)
    assert "office-pc" in " ".join(two.complaints(two.rig))


@pytest.mark.parametrize("role", [Role.LOOK, Role.RIG])
def test_the_leaders_right_is_not_lent_to_what_comes_by_another_channel(role: Role) -> None:
    """Its channel is made first, and the leader's, whose right counts, is made anew behind it."""
    two = Two()
    two.ask(INFO)
    other, _ = add(two, role, claims=boot("behaviour-pc"))
    ask(two, other, INFO)
    assert two.pc.door.seals is not None
    two.pc.door.seals.knock(RIG, two.wire.now)
    two.wire.run(2)
    before = two.at_rig.requests().count(Event.EXPINTERRUPT)
    ask(two, other, INTERRUPT)
    assert two.at_rig.requests().count(Event.EXPINTERRUPT) == before
    assert led_by(two) == PC


def test_nobody_is_taken_for_a_program_of_the_rigs_own_pc() -> None:
    """It leads without a seal, since it is on the same PC; another PC says that it is that program."""
    two = Two(keyless="pc")
    own = Address("udp", "127.0.0.1", 50_000)
    two.wire.nodes = {own: two.pc, RIG: two.rig}
    assert isinstance(two.ask(INFO), Replied)
    other, machine = add(two, Role.LOOK, claims=boot("behaviour-pc"))
    ask(two, other, INFO)
    assert led_by(two) == own
    assert not any(isinstance(one, Replied) for one in machine.outcomes())
    assert isinstance(two.ask(START), Replied)
    sent = [data for sender, to, data in two.wire.passed if sender == RIG and to == OFFICE]
    assert not any(data[:1] in (b"{", b"[") for data in sent)


def test_a_rig_that_says_it_is_another_rig_gets_none_of_its_commands() -> None:
    two = Two()
    two.ask(INFO)
    liar, machine = add(two, Role.RIG, claims=boot("video-pc"))
    liar.handle(Send(address=PC, word=INFO, key=1, limit=4 * SECOND), two.wire.now)
    two.wire.run(5)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]
    assert machine.requests() == []


@pytest.mark.parametrize("role", [Role.LOOK, Role.RIG])
@pytest.mark.parametrize(
    "word",
    [
        Verbatim(Event.EXPINFO, (0, {"take_over": True})),
        Verbatim(Event.EXPINFO, (0, {"recover": True, "exp_ref": "2024-05-06_2_x"})),
        Verbatim(Event.EXPINIT, ({"exp_ref": "2024-05-06_2_x"},)),
        Verbatim(Event.EXPSTART, ("2024-05-06_2_x", None)),
        Verbatim(Event.EXPEND, ({},)),
        Verbatim(Event.EXPINTERRUPT, ({},)),
        Verbatim(Event.EXPCLEANUP, ({},)),
        Verbatim(Event.EXPSTATUS, (0, {"mark": {"text": "x"}})),
        Verbatim(Event.ALYX, ("https://alyx.example.org", {"anna": "token"})),
        Verbatim(Event.ALYX, ("https://alyx.example.org", {})),
    ],
    ids=lambda word: word.event.name if isinstance(word, Verbatim) else None,
)
def test_who_may_not_lead_changes_nothing_by_whatever_it_says(role: Role, word: Verbatim) -> None:
    two = Two()
    two.ask(INFO)
    other, machine = add(two, role)
    heard = len([one for one in two.at_rig.heard if isinstance(one, Received | Told)])
    ask(two, other, Verbatim(Event.EXPINFO, (0, {})))
    ask(two, other, word)
    assert len([one for one in two.at_rig.heard if isinstance(one, Received | Told)]) == heard
    assert not any(isinstance(one, Replied) for one in machine.outcomes())


@pytest.mark.parametrize("role", [Role.LOOK, Role.RIG])
def test_a_heartbeat_of_who_may_not_lead_is_heard_by_nobody(role: Role) -> None:
    two = Two()
    two.ask(INFO)
    other, _ = add(two, role)
    ask(two, other, Verbatim(Event.EXPINFO, (0, {})))
    peer = other.peers.get(RIG)
    assert peer is not None
    assert peer.link is not None
    for _ in range(20):
        peer.link.tell(Verbatim(Event.EXPSTATUS, (20, {"exp_ref": "2024-05-06_2_x"})))
        other.peers.stir(peer)
        two.wire.run(0.1)
    assert not [one for one in two.at_rig.heard if isinstance(one, Told)]


def test_what_a_right_was_given_by_is_a_certificate_that_still_holds_when_the_next_one_is_made() -> None:
    """A certificate that is over does not end what is recorded; it begins nothing."""
    two = Two(at_pc=keys("behaviour-pc", until=NOW + 10))
    assert isinstance(two.ask(INFO), Replied)
    assert two.rig.door.seals is not None
    two.rig.door.seals._wall = lambda: NOW + 20
    assert isinstance(two.ask(START), Replied)
    again = Two(at_pc=keys("behaviour-pc", until=NOW + 10))
    assert again.rig.door.seals is not None
    again.rig.door.seals._wall = lambda: NOW + 20
    assert not isinstance(again.ask(INFO), Replied)


def sealed_by(other: Node, word: Verbatim) -> list[bytes]:
    """Return packets of a program to the rig that have not been sent yet."""
    peer = other.peers.get(RIG)
    assert peer is not None
    assert peer.link is not None
    peer.link.send(Send(address=RIG, word=word, key=object(), limit=SECOND), 0)
    peer.link.tell(word)
    other.peers.stir(peer)
    return [data for to, data in other.datagrams_to_send(0) if to == RIG]


@pytest.mark.parametrize("role", list(Role))
def test_a_genuine_packet_under_the_leaders_address_ends_nothing_of_the_leaders(role: Role) -> None:
    """Any PC of the lab can write another's address into a datagram: that is no restart of that one."""
    two = Two()
    two.ask(INFO)
    other, _ = add(two, role)
    ask(two, other, Verbatim(Event.EXPINFO, (0, {})))
    for _ in range(3):
        for data in sealed_by(other, Verbatim(Event.EXPSTATUS, (0,))):
            two.rig.receive_datagram(data, PC, two.wire.now)
        two.wire.run(1)
        assert led_by(two) == PC
        assert isinstance(two.ask(Verbatim(Event.EXPSTATUS, (0,))), Replied)
    assert isinstance(two.ask(START), Replied)
    assert not [one for one in two.at_pc.heard if type(one).__name__ == "Rebooted"]


@pytest.mark.parametrize("role", list(Role))
def test_a_handshake_under_the_leaders_address_ends_nothing_of_the_leaders(role: Role) -> None:
    """The answer to its hello goes to the leader; it is seen where all hear what passes."""
    two = Two()
    two.ask(INFO)
    other, _ = add(two, role)

    def disturb(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if sender == OFFICE and to == RIG:
            two.rig.receive_datagram(data, PC, two.wire.now)
            return []
        if sender == RIG and to == PC:
            other.receive_datagram(data, RIG, two.wire.now)
        return [data]

    two.wire.disturb = disturb
    ask(two, other, Verbatim(Event.EXPINFO, (0, {})))
    ask(two, other, INTERRUPT)
    two.wire.disturb = lambda sender, to, data: [data]
    for _ in range(3):
        assert isinstance(two.ask(Verbatim(Event.EXPSTATUS, (0,))), Replied)
    assert led_by(two) == PC
    assert isinstance(two.ask(START), Replied)


def test_a_pc_that_has_got_the_address_of_another_rig_is_met_there() -> None:
    """The rig is gone; its address was given to another PC of the lab, with a rig at the same port."""
    two = Two()
    two.ask(INFO)
    machine = Machine()
    two.wire.nodes[RIG] = node("other-pc", machine, keys("other-pc", Role.RIG), leads=False)
    two.ask(START)
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert machine.requests()[-2:] == [Event.EXPINFO, Event.EXPSTART]


def test_a_hello_with_a_key_that_gives_everybody_the_same_secret_is_refused() -> None:
    two = Two()
    hello = packets.pack_hello(b"indexes!", bytes(32), [LAB.lab.key])
    greeting = b'[64, 0, {"multirig": {"hello": "%s"}}]' % packets.to_text(hello).encode()
    two.rig.receive_datagram(hello.ljust(packets.HELLO_SIZE, b"\0"), OFFICE, 0)
    two.rig.receive_datagram(greeting + b" " * 900, OFFICE, 0)
    assert two.rig.datagrams_to_send(0) == []
    assert "it sends a key that is none" in two.complaints(two.rig)[0]
    assert two.rig.door.refusals.counts() == {OFFICE.host: 2}
    assert isinstance(two.ask(INFO), Replied)
