"""Two programs of a lab speak under a seal; strangers, copies and forgeries change nothing."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from tests.unit.trust.lab import LAB, NOW, OTHER_LAB, Wire, boot, certify, keys, node

from multirig.protocol.events import (
    SECOND,
    Address,
    Ignored,
    Received,
    Refused,
    Replied,
    Reply,
    Send,
    Tell,
    TimedOut,
    Unreached,
    Upgraded,
)
from multirig.protocol.frames import FULL_SIZE
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.protocol.sealing import MAX_FAREWELLS, ListHeard
from multirig.protocol.words import Verbatim
from multirig.trust.admission import Doors
from multirig.trust.certificate import LabKey
from multirig.trust.keys import Keys
from multirig.trust.packets import COST, HELLO_SIZE
from multirig.trust.roles import Role

PC, RIG, STRANGER = (Address("udp", f"192.168.1.{number}", 11001) for number in (10, 20, 77))
INFO = Verbatim(Event.EXPINFO, (0, {"subject": "x"}))
START = Verbatim(Event.EXPSTART, ("2024-05-06_2_x", None))
STATUS = Verbatim(Event.EXPSTATUS, (0,))


class Machine:
    """Answers at once, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def handle(self, event: Any, now: int) -> list[Any]:
        self.heard.append(event)
        if isinstance(event, Send | Tell):
            return [event]
        if isinstance(event, Received):
            return [Reply(token=event.token, word=Verbatim(event.word.event, (0, {"done": True})))]
        return []

    def requests(self) -> list[Event]:
        return [one.word.event for one in self.heard if isinstance(one, Received)]

    def outcomes(self) -> list[Any]:
        return [one for one in self.heard if isinstance(one, Replied | Refused | TimedOut | Unreached)]


class Two:
    """A leading PC and a rig."""

    def __init__(
        self,
        at_pc: Keys | None = None,
        at_rig: Keys | None = None,
        *,
        keyless: str = "",
        at_rig_doors: Doors | None = None,
        at_pc_doors: Doors | None = None,
    ) -> None:
        self.machines = {"behaviour-pc": Machine(), "video-pc": Machine()}
        pc_keys = None if "pc" in keyless else at_pc or keys("behaviour-pc")
        rig_keys = None if "rig" in keyless else at_rig or keys("video-pc", Role.RIG)
        self.pc = node("behaviour-pc", self.machines["behaviour-pc"], pc_keys, leads=True, doors=at_pc_doors)
        self.rig = node("video-pc", self.machines["video-pc"], rig_keys, leads=False, doors=at_rig_doors)
        self.wire = Wire({PC: self.pc, RIG: self.rig})

    def ask(self, word: Verbatim, seconds: float = 20.0) -> Any:
        before = len(self.at_pc.outcomes())
        self.pc.handle(Send(address=RIG, word=word, key=word.event.name, limit=15 * SECOND), self.wire.now)
        self.wire.run(seconds)
        outcomes = self.at_pc.outcomes()[before:]
        return outcomes[-1] if outcomes else None

    @property
    def at_pc(self) -> Machine:
        return self.machines["behaviour-pc"]

    @property
    def at_rig(self) -> Machine:
        return self.machines["video-pc"]

    def complaints(self, one: Node) -> list[str]:
        out = []
        while (effect := one.next_event()) is not None:
            if isinstance(effect, Ignored):
                out.append(effect.reason)
        return out


def test_a_lab_speaks_under_a_seal_from_the_second_datagram_on() -> None:
    two = Two()
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]
    greeting, *rest = two.wire.passed
    assert greeting[2].startswith(b"[64, 0, {")
    assert len(greeting[2]) < 1_000
    assert {data[0] for _, _, data in rest} == {0xF5}
    assert max(len(data) for _, _, data in rest) <= FULL_SIZE
    said = b"".join(data for _, _, data in two.wire.passed)
    for secret in (b'"x"', b"2024-05-06", b"behaviour-pc", b"video-pc", b"cortexlab"):
        assert secret not in said
    upgraded = [one for one in two.at_rig.heard if isinstance(one, Upgraded)]
    assert [(one.name, one.boot) for one in upgraded] == [("behaviour-pc", boot("behaviour-pc"))]


def test_until_it_is_proved_who_asks_a_rig_says_no_more_than_it_heard() -> None:
    two = Two()
    two.ask(INFO)
    (_, _, hello), (_, _, answer), *_ = two.wire.passed
    assert answer[:2] == b"\xf5\x02"
    assert len(answer) <= len(hello)


def test_the_longest_names_still_find_room_in_what_may_be_answered() -> None:
    long, lab = "ä" * 64, LabKey("ö" * 64, b"L" * 32)
    two = Two(at_pc=keys(long, lab=lab), at_rig=keys("ü" * 64, Role.RIG, lab))
    for one in (two.pc, two.rig):
        assert one.door.seals is not None
        one.door.seals._name = "x" * 100
    assert isinstance(two.ask(INFO), Replied)
    (_, _, hello), (_, _, answer), *_ = two.wire.passed
    assert len(answer) <= len(hello) < 1_000
    assert len(answer) <= HELLO_SIZE


@pytest.mark.parametrize("lost", range(6))
def test_whichever_datagram_of_the_handshake_is_lost_it_comes_about(lost: int) -> None:
    two = Two()
    count = 0

    def lose(sender: Address, to: Address, data: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        return [] if count == lost + 1 else [data]

    two.wire.disturb = lose
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]


def test_copies_and_any_order_do_no_harm() -> None:
    two = Two()
    two.wire.disturb = lambda sender, to, data: [data, data, data]
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]


def test_whatever_was_said_once_is_worth_nothing_when_it_is_said_again() -> None:
    two = Two()
    two.ask(INFO)
    two.ask(START)
    passed, heard = list(two.wire.passed), len(two.at_rig.heard)
    for source in (PC, STRANGER):
        for _, to, data in passed:
            if to == RIG:
                two.rig.receive_datagram(data, source, two.wire.now)
    two.wire.run(30)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]
    assert len(two.at_rig.heard) == heard
    link = two.rig.peers.of_program(boot("behaviour-pc"))
    assert link is not None
    assert link.address == PC


def test_what_a_side_has_said_itself_is_nothing_when_it_is_sent_back() -> None:
    two = Two()
    two.ask(INFO)
    heard = len(two.at_rig.heard)
    for sender, _, data in list(two.wire.passed):
        if sender == RIG:
            two.rig.receive_datagram(data, PC, two.wire.now)
    two.wire.run(5)
    assert len(two.at_rig.heard) == heard


def test_a_hello_that_comes_back_is_not_answered_and_tells_an_ibl_peer() -> None:
    """IBL's programs return each message as it came; they know no packets, and raise over one."""
    two = Two()
    del two.wire.nodes[RIG]
    sent: list[bytes] = []

    def echo(sender: Address, to: Address, data: bytes) -> list[bytes]:
        sent.append(data)
        if data[:1] == b"[":
            two.pc.receive_datagram(data, RIG, two.wire.now)
        return [data]

    two.wire.disturb = echo
    outcome = two.ask(INFO)
    assert isinstance(outcome, Unreached)
    assert "allow_ibl: [192.168.1.20]" in outcome.reason
    assert not [one for one in sent if one[:2] == b"\xf5\x02"]


def test_an_ibl_peer_that_is_not_named_gets_its_answer_back_and_lives_on() -> None:
    """An iblutil program whose answer is not returned gives up, and hears nobody any more."""
    two = Two()
    del two.wire.nodes[RIG]
    two.pc.handle(Send(address=RIG, word=INFO, key="x", limit=15 * SECOND), two.wire.now)
    two.wire.run()
    answer = b'[64, 0, {"main_sync": true}]'
    for _ in range(100):
        two.pc.receive_datagram(answer, RIG, two.wire.now)
        two.pc.receive_datagram(b'[2, "2024-05-06_2_x", null]', RIG, two.wire.now)
        two.pc.receive_datagram(answer, STRANGER, two.wire.now)
    before = len(two.wire.passed)
    two.wire.run()
    returned = [one for one in two.wire.passed[before:] if one[2][:1] == b"["]
    assert returned[0] == (PC, RIG, answer)
    assert {one[1:] for one in returned} == {(RIG, answer)}
    assert len(returned) <= 20
    assert two.at_pc.outcomes() == []


def test_what_a_pc_said_before_it_joined_is_no_news_once_it_has_proved_itself() -> None:
    two = Two()
    for _ in range(9):
        two.rig.receive_datagram(b"[64, 0, {}]", PC, two.wire.now)
        two.rig.receive_datagram(b"[64, 0, {}]", STRANGER, two.wire.now)
    assert set(two.rig.door.refusals.recent(two.wire.now)) == {PC.host, STRANGER.host}
    assert isinstance(two.ask(INFO), Replied)
    assert set(two.rig.door.refusals.recent(two.wire.now)) == {STRANGER.host}


def test_who_goes_on_to_prove_that_it_is_shut_out_is_refused_for_that() -> None:
    certificate = certify("behaviour-pc", Role.LEAD)
    shut_out = LAB.shut_out([certificate.id], number=1, now=NOW)
    two = Two(at_rig=keys("video-pc", Role.RIG, shut_out=shut_out))
    for _ in range(3):
        two.ask(INFO)
    for reason in two.complaints(two.rig):
        assert "was shut out of the lab" in reason
    assert two.at_rig.heard == []


def test_a_frame_as_it_comes_is_nothing_in_the_name_of_a_program_that_seals() -> None:
    two = Two()
    two.ask(INFO)
    forged = {"multirig": 2, "boot": boot("behaviour-pc"), "to": boot("video-pc"), "n": 10**9, "low": 10**9}
    for source in (PC, STRANGER, Address("udp", "127.0.0.1", 5)):
        two.rig.receive_datagram(json.dumps({**forged, "m": [2, "x"]}).encode(), source, two.wire.now)
        two.rig.receive_datagram(b'[16, {"take_over": true}]', source, two.wire.now)
    two.wire.run(1)
    assert Event.EXPSTART not in two.at_rig.requests()
    assert isinstance(two.ask(START), Replied)
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    assert peer is not None
    assert peer.address == PC


def test_a_pc_that_moves_is_known_again_by_what_it_has_sealed() -> None:
    two = Two()
    two.ask(INFO)
    moved = Address("udp", "192.168.1.99", 40_000)
    two.wire.nodes = {moved: two.pc, RIG: two.rig}
    assert isinstance(two.ask(START), Replied)
    peer = two.rig.peers.of_program(boot("behaviour-pc"))
    assert peer is not None
    assert peer.address == moved


def test_a_rig_that_was_restarted_is_found_again() -> None:
    two = Two()
    two.ask(INFO)
    machine = Machine()
    again = node("video-pc", machine, keys("video-pc", Role.RIG), leads=False)
    again.boot = "0123456789abcdef"
    assert again.door.seals is not None
    again.door.seals._boot = again.boot
    two.wire.nodes[RIG] = again
    assert isinstance(two.ask(START), Refused)
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert machine.requests() == [Event.EXPINFO, Event.EXPSTART]


def test_a_rig_without_a_key_serves_its_own_pc_only_and_says_so() -> None:
    two = Two(keyless="rig")
    outcome = two.ask(INFO)
    assert isinstance(outcome, Unreached)
    assert "does not know this PC's key" in outcome.reason
    assert two.at_rig.heard == []
    assert "has no key: 'multirig key join'" in two.complaints(two.rig)[0]


def test_a_pc_without_a_key_is_told_what_to_do() -> None:
    two = Two(keyless="pc")
    outcome = two.ask(INFO)
    assert isinstance(outcome, Refused)
    assert "video-pc hears PCs of its lab only: run 'multirig key join' on this PC" in outcome.reason
    assert two.at_rig.heard == []


@pytest.mark.parametrize("keyless", ["rig", "pc rig", "pc"])
def test_a_rig_on_the_leading_pc_says_which_address_to_write_where_it_is_listed_by_another(
    keyless: str,
) -> None:
    """Its address in the network opens nothing: not every system drops what others send in that name."""
    two = Two(keyless=keyless)
    rig_keys = None if "rig" in keyless else keys("video-pc", Role.RIG)
    pc_keys = None if "pc" in keyless else keys("behaviour-pc")
    here = Address("udp", PC.host, RIG.port + 1)
    for name, one, leads in (("behaviour-pc", pc_keys, True), ("video-pc", rig_keys, False)):
        made = node(name, two.machines[name], one, leads=leads, own_address=PC.host)
        two.wire.nodes[PC if leads else here] = made
    two.pc, two.rig = two.wire.nodes[PC], two.wire.nodes[here]
    two.pc.handle(Send(address=here, word=INFO, key="ask", limit=15 * SECOND), 0)
    two.wire.run(20)
    [outcome] = two.at_pc.outcomes()
    knows = "pc" not in keyless
    uri = f"udp://127.0.0.1:{here.port}" if knows else "127.0.0.1"
    assert f"write {uri} into the rigs file" in outcome.reason
    assert two.at_rig.heard == []
    assert "writes 127.0.0.1 into the rigs file" in two.complaints(two.rig)[0]
    sent = {at: sum(len(data) for sender, _, data in two.wire.passed if sender == at) for at in (PC, here)}
    assert sent[here] <= sent[PC]


def test_a_pc_of_another_lab_gets_nothing() -> None:
    two = Two(at_pc=keys("behaviour-pc", lab=OTHER_LAB))
    outcome = two.ask(INFO)
    assert isinstance(outcome, Unreached)
    assert "does not know this PC's key: it has none, or is of another lab" in outcome.reason
    assert two.at_rig.heard == []
    asked = {to: sum(len(data) for _, at, data in two.wire.passed if at == to) for to in (PC, RIG)}
    assert {data[:1] for sender, _, data in two.wire.passed if sender == RIG} == {b"["}
    assert asked[PC] <= asked[RIG]
    assert "of no lab that this PC is of" in two.complaints(two.rig)[0]
    assert isinstance(two.ask(INFO), Unreached)  # it is told again, not the first time only


def test_who_knows_the_labs_public_key_and_no_more_is_not_let_in() -> None:
    """A certificate of another lab's key, shown to a rig of this lab."""
    forged = Keys(
        keys("behaviour-pc").private,
        (
            keys("behaviour-pc")
            .memberships[0]
            .__class__(LAB.lab, certify("behaviour-pc", Role.LEAD, OTHER_LAB)),
        ),
    )
    two = Two(at_pc=forged)
    assert not isinstance(two.ask(INFO), Replied)
    assert two.at_rig.heard == []
    assert "is of another lab" in " ".join(two.complaints(two.rig))


def test_a_certificate_of_somebody_else_is_of_no_use() -> None:
    stolen = keys("behaviour-pc")
    two = Two(at_pc=Keys(b"t" * 32, stolen.memberships))
    assert not isinstance(two.ask(INFO), Replied)
    assert two.at_rig.heard == []
    assert "a certificate of somebody else" in " ".join(two.complaints(two.rig))


def test_a_certificate_that_is_over_is_of_no_use_and_one_in_use_goes_on() -> None:
    two = Two(at_pc=keys("behaviour-pc", until=NOW - 1))
    assert not isinstance(two.ask(INFO), Replied)
    assert two.at_rig.heard == []
    assert "the certificate of behaviour-pc is over" in " ".join(two.complaints(two.rig))


def test_a_look_pc_looks_and_does_not_lead() -> None:
    two = Two(at_pc=keys("behaviour-pc", Role.LOOK))
    assert isinstance(two.ask(INFO), Refused)  # it names a subject: hear_verbatim has no words for it
    outcome = two.ask(START)
    assert isinstance(outcome, Refused)
    assert "the key of behaviour-pc may look on, and not lead: EXPSTART" in outcome.reason
    assert Event.EXPSTART not in two.at_rig.requests()


def test_a_rigs_key_commands_nobody() -> None:
    two = Two(at_pc=keys("behaviour-pc", Role.RIG))
    outcome = two.ask(START)
    assert not isinstance(outcome, Replied)
    assert isinstance(two.ask(INFO), Refused)
    assert two.at_rig.requests() == []


def test_a_look_pc_is_not_taken_for_a_rig() -> None:
    two = Two(at_rig=keys("video-pc", Role.LOOK))
    assert not isinstance(two.ask(INFO), Replied)
    assert "no rig's" in " ".join(two.complaints(two.pc))
    assert two.at_rig.heard == []


def test_a_pc_that_is_shut_out_gets_nothing_and_the_list_goes_round() -> None:
    two = Two()
    assert isinstance(two.ask(INFO), Replied)
    gone = certify("behaviour-pc", Role.LEAD).id
    shut_out = LAB.shut_out([gone], number=1, now=NOW)
    third = node("scanner-pc", Machine(), keys("scanner-pc", shut_out=shut_out), leads=True)
    address = Address("udp", "192.168.1.30", 1)
    two.wire.nodes[address] = third
    third.handle(Send(address=RIG, word=INFO, key=1, limit=SECOND), two.wire.now)
    two.wire.run(5)
    effects = []
    while (effect := two.rig.next_event()) is not None:
        effects.append(effect)
    assert ListHeard(shut_out) in effects
    assert any("was shut out of the lab" in one.reason for one in effects if isinstance(one, Ignored))
    heard = len(two.at_rig.requests())
    two.wire.passed.clear()
    assert not isinstance(two.ask(START), Replied)
    assert not isinstance(two.ask(INFO), Replied)
    assert len(two.at_rig.requests()) == heard
    to_pc = [data for sender, to, data in two.wire.passed if sender == RIG and to == PC]
    answers, losses, sealed = ([data for data in to_pc if data[1] == kind] for kind in (2, 5, 4))
    assert len(answers) + len(losses) + len(sealed) == len(to_pc)
    assert 1 <= len(sealed) <= MAX_FAREWELLS  # the list, and nothing else
    assert {len(data) for data in sealed} == {len(shut_out.pack()) + COST + 1}


@pytest.mark.parametrize("loses", [0, 2])
def test_a_pc_that_was_shut_out_is_told_so_at_once_and_asks_nobody_any_more(loses: int) -> None:
    """It was 15 s in each step, and then no answer."""
    shut_out = LAB.shut_out([certify("behaviour-pc", Role.LEAD).id, "0" * 16], number=1, now=NOW)
    two = Two(at_rig=keys("video-pc", Role.RIG, shut_out=shut_out))
    lost = 0

    def lose(sender: Address, to: Address, data: bytes) -> list[bytes]:
        nonlocal lost
        if sender == RIG and data[1] == 4 and lost < loses:
            lost += 1
            return []
        return [data]

    two.wire.disturb = lose
    outcome = two.ask(INFO, 3)
    assert isinstance(outcome, Refused)
    says = (
        "this PC was shut out of the lab cortexlab: if it is to come back, 'multirig key join --new-key' here"
    )
    assert outcome.reason == says
    effects = []
    while (effect := two.pc.next_event()) is not None:
        effects.append(effect)
    assert ListHeard(shut_out) in effects  # so that its screens say it too
    before = len(two.wire.passed)
    outcome = two.ask(START, 3)
    assert isinstance(outcome, Unreached | Refused)
    assert says in outcome.reason
    assert len(two.wire.passed) == before
    assert two.at_rig.heard == []


def test_a_pc_that_was_shut_out_still_leads_the_ibl_peers_that_it_names() -> None:
    shut_out = LAB.shut_out([certify("behaviour-pc", Role.LEAD).id], number=1, now=NOW)
    names = Doors([RIG.host])
    two = Two(at_pc=keys("behaviour-pc", shut_out=shut_out), at_pc_doors=names)
    two.pc.handle(Send(address=RIG, word=INFO, key="ask", limit=SECOND), 0)
    assert [data[:3] for _, data in two.pc.datagrams_to_send(0)] == [b"[64"]


def test_who_was_shut_out_and_knows_it_is_told_nothing() -> None:
    shut_out = LAB.shut_out([certify("behaviour-pc", Role.LEAD).id], number=1, now=NOW)
    two = Two(at_rig=keys("video-pc", Role.RIG, shut_out=shut_out))
    knows = keys("behaviour-pc", shut_out=LAB.shut_out(["0" * 16], number=1, now=NOW))
    two.pc.change_keys(knows, 0)  # it has named a list that is as new
    assert not isinstance(two.ask(INFO), Replied)
    assert {data[1] for sender, _, data in two.wire.passed if sender == RIG} == {2}
    assert two.at_rig.heard == []


def test_an_older_list_does_not_take_the_place_of_a_newer_one() -> None:
    new = LAB.shut_out(["0" * 16], number=2, now=NOW)
    own = keys("video-pc", Role.RIG, shut_out=new)
    assert own.with_list(LAB.shut_out([], number=1, now=NOW)) is None
    assert own.with_list(LAB.shut_out([], number=2, now=NOW)) is None


def test_a_lab_that_changes_its_key_speaks_on() -> None:
    """One PC has joined the new lab already, and is of both; the other knows the old one only."""
    both = Keys(
        keys("behaviour-pc").private,
        (*keys("behaviour-pc").memberships, *keys("behaviour-pc", lab=OTHER_LAB).memberships),
    )
    for two in (Two(at_pc=both), Two(at_pc=both, at_rig=keys("video-pc", Role.RIG, OTHER_LAB))):
        assert isinstance(two.ask(INFO), Replied)
    turned = Keys(
        keys("video-pc").private,
        (*keys("video-pc", Role.RIG).memberships, *keys("video-pc", Role.RIG, OTHER_LAB).memberships),
    )
    assert isinstance(Two(at_rig=turned).ask(INFO), Replied)


def test_an_open_rig_is_open_and_a_pc_with_a_key_still_wants_a_proof() -> None:
    two = Two(keyless="rig", at_rig_doors=Doors(is_open=True))
    outcome = two.ask(INFO)
    assert isinstance(outcome, Unreached)
    assert "does not prove who it is" in outcome.reason
    assert isinstance(Two(keyless="pc rig", at_rig_doors=Doors(is_open=True)).ask(INFO), Replied)
    assert isinstance(Two(at_rig_doors=Doors(is_open=True)).ask(INFO), Replied)
    assert isinstance(
        Two(keyless="rig", at_rig_doors=Doors(is_open=True), at_pc_doors=Doors(is_open=True)).ask(INFO),
        Replied,
    )


def test_a_peer_of_ibls_is_spoken_to_where_it_is_named_and_only_there() -> None:
    named = Two(keyless="pc", at_rig_doors=Doors([PC.host]))
    assert isinstance(named.ask(INFO), Replied)
    assert named.rig.peers.boot_of(PC) is None  # on IBL's wire only
    two = Two(keyless="rig", at_rig_doors=Doors([PC.host]))
    outcome = two.ask(INFO)
    assert isinstance(outcome, Unreached)
    assert "allow_ibl: [192.168.1.20]" in outcome.reason or "does not prove" in outcome.reason


def test_no_forged_datagram_does_anything() -> None:
    two = Two()
    two.ask(INFO)
    passed = [data for _, to, data in two.wire.passed if to == RIG]
    heard = len(two.at_rig.heard)
    for data in passed:
        if data[:1] != b"\xf5":
            continue
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 0x41
            two.rig.receive_datagram(bytes(changed), STRANGER, two.wire.now)
        for at in range(0, len(data), 7):
            two.rig.receive_datagram(data[:at], STRANGER, two.wire.now)
    answered = two.rig.datagrams_to_send(two.wire.now)
    assert len(two.at_rig.heard) == heard
    assert sum(len(data) for _, data in answered) < sum(len(data) ** 2 for data in passed)
    assert isinstance(two.ask(START), Replied)


def test_where_ibls_peers_are_named_pcs_of_the_lab_are_spoken_to_under_a_seal_all_the_same() -> None:
    two = Two(at_rig_doors=Doors([PC.host]), at_pc_doors=Doors([RIG.host]))
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPSTART]
    assert {data[0] for _, _, data in two.wire.passed[1:]} == {0xF5}


def test_an_ibl_peer_that_is_named_answers_as_ever_where_this_pc_has_a_key() -> None:
    two = Two(keyless="rig", at_rig_doors=Doors([PC.host]), at_pc_doors=Doors([RIG.host]))
    two.rig.greets = False
    assert isinstance(two.ask(INFO), Replied)
    assert isinstance(two.ask(START), Replied)
    assert two.at_rig.requests()[-1] == Event.EXPSTART
    assert max(len(data) for _, _, data in two.wire.passed) < 1_000


def test_copies_and_late_answers_of_the_lab_are_nobodys_fault() -> None:
    two = Two()
    two.wire.disturb = lambda sender, to, data: [data, data]
    two.ask(INFO)
    two.ask(START)
    for sender, to, data in list(two.wire.passed):
        two.wire.nodes[to].receive_datagram(data, sender, two.wire.now)
    assert two.complaints(two.rig) == two.complaints(two.pc) == []
    assert two.rig.door.seals.copies > 0


def test_a_heap_of_copies_that_is_found_after_a_pause_is_answered_once() -> None:
    two = Two()
    two.wire.disturb = lambda sender, to, data: [data] * 12 if to == RIG else [data]
    two.ask(INFO)
    said = Counter(data[1] for sender, _, data in two.wire.passed if sender == RIG and data[0] == 0xF5)
    assert said[2] == 1  # an answer, as all copies of a hello came at one moment
    two.wire.disturb = lambda sender, to, data: [data]
    assert isinstance(two.ask(START), Replied)


def silent_until(two: Two, seconds: float) -> None:
    def lose(sender: Address, to: Address, data: bytes) -> list[bytes]:
        return [] if two.wire.now < seconds * SECOND else [data]

    two.wire.disturb = lose


@pytest.mark.parametrize("event", [Event.EXPINFO, Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP])
@pytest.mark.parametrize("silent_for", [3.0, 12.0, 28.0])
def test_a_rig_that_comes_late_hears_what_was_to_be_said_to_it(event: Event, silent_for: float) -> None:
    two = Two()
    silent_until(two, silent_for)
    word = Verbatim(event, ("2024-05-06_2_x", None))
    two.pc.handle(Send(address=RIG, word=word, key="late", limit=35 * SECOND), two.wire.now)
    two.wire.run(silent_for + 2)
    assert [type(one) for one in two.at_pc.outcomes()] == [Replied]
    assert two.at_rig.requests() == [event]
    assert {data[0] for _, _, data in two.wire.passed} == {0xF5, ord("[")}
    assert all(data.startswith(b"[64") for _, _, data in two.wire.passed if data[0] != 0xF5)


def test_a_question_that_comes_later_does_not_make_the_first_ones_greeting_worthless() -> None:
    two = Two()
    silent_until(two, 12.0)
    for key, after in (("one", 6.0), ("two", 8.0)):
        two.pc.handle(Send(address=RIG, word=INFO, key=key, limit=15 * SECOND), two.wire.now)
        two.wire.run(after)
    assert [type(one) for one in two.at_pc.outcomes()] == [Replied, Replied]


@pytest.mark.parametrize("event", [Event.EXPEND, Event.EXPINTERRUPT])
def test_a_stop_whose_time_is_up_still_reaches_a_rig_that_has_not_proved_itself_before(event: Event) -> None:
    two = Two()
    silent_until(two, 100.0)
    stop = Verbatim(event, ("2024-05-06_2_x", None))
    two.pc.handle(Send(address=RIG, word=stop, key="late", limit=5 * SECOND, lasting=True), two.wire.now)
    two.wire.run(20.0)
    assert [type(one) for one in two.at_pc.outcomes()] == [TimedOut]
    passed = len(two.wire.passed)
    two.wire.run(100.0)
    assert len(two.wire.passed) - passed < 60, "it is said no more often than on wire 1.0"
    assert two.at_rig.requests() == [event]
    assert [type(one) for one in two.at_pc.outcomes()] == [TimedOut], "its end was told"


def test_a_stop_that_waits_for_a_proof_is_withdrawn_by_an_interrupt() -> None:
    two = Two()
    silent_until(two, 8.0)
    stop = Verbatim(Event.EXPEND, ("2024-05-06_2_x", None))
    interrupt = Verbatim(Event.EXPINTERRUPT, ("2024-05-06_2_x", None))
    two.pc.handle(Send(address=RIG, word=stop, key="stop", lasting=True), two.wire.now)
    two.wire.run(2.0)
    two.pc.handle(
        Send(address=RIG, word=interrupt, key="interrupt", lasting=True, overtakes=True), two.wire.now
    )
    two.wire.run(8.0)
    assert two.at_rig.requests() == [Event.EXPINTERRUPT]


def test_a_greeting_that_nobody_answered_keeps_nobody_from_saying_hello_later() -> None:
    two = Two()
    two.ask(INFO)
    two.pc.peer_unreachable(RIG, "nothing listens there", two.wire.now)
    silent_until(two, two.wire.now / SECOND + 30.0)
    assert isinstance(two.ask(INFO), Unreached)
    two.wire.run(10.0)
    greetings = sum(data.startswith(b"[64") for _, _, data in two.wire.passed)
    two.wire.nodes[RIG] = two.rig = Two().rig
    two.rig.machine = two.machines["video-pc"]
    assert isinstance(two.ask(STATUS), Replied)
    assert sum(data.startswith(b"[64") for _, _, data in two.wire.passed) == greetings


def test_a_hello_is_repeated_for_a_while_and_not_for_ever() -> None:
    two = Two()
    two.ask(INFO)
    silent_until(two, 1_000.0)
    assert two.pc.door.seals is not None
    two.pc.door.seals.knock(RIG, two.wire.now)
    two.pc.door.seals.greet(RIG, two.wire.now)
    two.wire.run(12.0)
    passed = len(two.wire.passed)
    two.wire.run(60.0)
    hellos = [data for _, to, data in two.wire.passed[passed:] if data[:2] == b"\xf5\x01"]
    assert hellos == []


class Asks(Machine):
    """Asks a rig that has just proved who it is something of its own."""

    def handle(self, event: Any, now: int) -> list[Any]:
        out = super().handle(event, now)
        if isinstance(event, Upgraded):
            return [Send(address=event.address, word=INFO, key=None)]
        return out


def test_what_waits_for_a_proof_withdraws_nothing_that_is_asked_when_it_has_come() -> None:
    two = Two()
    two.pc.machine = Asks()
    interrupt = Verbatim(Event.EXPINTERRUPT, ("2024-05-06_2_x", None))
    two.pc.handle(Send(address=RIG, word=interrupt, key="interrupt", overtakes=True), two.wire.now)
    two.wire.run(8.0)
    assert two.at_rig.requests() == [Event.EXPINFO, Event.EXPINTERRUPT]


def test_whoever_listens_and_says_little_is_not_asked_again_and_again_who_it_is() -> None:
    two = Two()
    two.ask(INFO)
    passed = len(two.wire.passed)
    for round_ in range(240):
        if round_ % 20 == 0:
            two.pc.handle(Send(address=RIG, word=STATUS, key=round_, limit=SECOND), two.wire.now)
        two.rig.handle(Tell(address=PC, word=STATUS), two.wire.now)
        two.wire.run(0.25)
    hellos = [data for _, _, data in two.wire.passed[passed:] if data[:2] == b"\xf5\x01"]
    assert 1 <= len(hellos) <= 3


def test_a_rig_that_was_shut_out_is_said_to_be_so_at_the_pc_that_leads() -> None:
    two = Two()
    assert isinstance(two.ask(INFO), Replied)
    shut_out = LAB.shut_out([certify("video-pc", Role.RIG).id], number=1, now=NOW)
    two.pc.change_keys(keys("behaviour-pc", shut_out=shut_out), two.wire.now)
    for word in (INFO, START):
        outcome = two.ask(word, 30)
        assert isinstance(outcome, Unreached)
        assert outcome.reason == "video-pc was shut out of the lab cortexlab"
    assert two.at_rig.requests() == [Event.EXPINFO]


def test_a_packet_that_a_stranger_brings_first_leads_a_link_away_for_a_moment_only() -> None:
    two = Two()
    two.ask(INFO)
    brought: list[bytes] = []

    def bring_first(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if sender == RIG and data[:2] == b"\xf5\x04" and not brought:
            brought.append(data)
            two.pc.receive_datagram(data, STRANGER, two.wire.now)
        return [data]

    two.wire.disturb = bring_first
    two.rig.handle(Tell(address=PC, word=STATUS), two.wire.now)
    two.wire.run(0.1)
    assert brought
    assert isinstance(two.ask(START), Replied)
    peer = two.pc.peers.of_program(two.rig.boot)
    assert peer is not None
    assert peer.address == RIG


def test_what_overtakes_the_proof_that_it_is_genuine_waits_for_it() -> None:
    two = Two()
    held: list[bytes] = []

    def let_overtake(sender: Address, to: Address, data: bytes) -> list[bytes]:
        if data[:2] == b"\xf5\x03" and not held:
            held.append(data)
            return []
        return [data, held[0]] if data[:2] == b"\xf5\x04" and to == RIG else [data]

    two.wire.disturb = let_overtake
    two.pc.handle(Send(address=RIG, word=INFO, key="at once", limit=15 * SECOND), two.wire.now)
    two.wire.run(0.0)
    assert [type(one) for one in two.at_pc.outcomes()] == [Replied]
    assert two.at_rig.requests() == [Event.EXPINFO]


def test_no_more_waits_for_a_proof_than_a_question_and_what_follows_it() -> None:
    two = Two()
    two.wire.disturb = lambda sender, to, data: [] if data[:2] == b"\xf5\x03" else [data] * 20
    two.ask(INFO, 5.0)
    assert two.rig.door.seals is not None
    assert max(len(one.early) for one in two.rig.door.seals._halves.values()) == 4
