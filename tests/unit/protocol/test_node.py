"""A whole computer as a pure value: many conversations, both wires, upgrades, reboots and moves."""

import heapq
import itertools
import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.protocol.codec import TIMELINE_LIMIT, StreamCutter
from multirig.protocol.dialect import hear_verbatim
from multirig.protocol.door import Door
from multirig.protocol.echo import ANSWER_PAUSE, REST_PAUSE
from multirig.protocol.events import (
    SECOND,
    Address,
    Confirmed,
    Fail,
    Forget,
    Ignored,
    Oversized,
    Rebooted,
    Received,
    Refused,
    Relocated,
    Replied,
    Reply,
    Send,
    Settle,
    Tell,
    TimedOut,
    Token,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.frames import MAX_CONTENT
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.protocol.peers import MAX_PEERS
from multirig.protocol.words import Complaint, Verbatim
from multirig.trust.admission import Doors

MS = SECOND // 1000
CONDUCTOR, RIG, OTHER = (Address("udp", f"10.0.0.{number}", 11001) for number in (1, 2, 3))
INFO = Verbatim(Event.EXPINFO, (0, {"subject": "x"}))
START = Verbatim(Event.EXPSTART, ("2024-05-06_2_x", None))
STATUS = Verbatim(Event.EXPSTATUS, (0,))
ACTIONS = Send | Reply | Fail | Settle | Forget | Tell


@dataclass(frozen=True)
class Later:
    """An effect: answer this, but not yet."""

    event: Received


class Desk:
    """A machine that does what it is told, remembers what it hears, and answers as it is set to."""

    def __init__(self, answer=lambda event: []):
        self.answer = answer
        self.heard = []

    def handle(self, event, now):
        if isinstance(event, ACTIONS):
            return [event]
        self.heard.append(event)
        return self.answer(event)

    def asked(self):
        return [event for event in self.heard if isinstance(event, Received)]

    def told(self, key="k"):
        return [type(event) for event in self.heard if getattr(event, "key", None) == key]


def answer_at_once(event):
    """Answer as a rig does."""
    if not isinstance(event, Received):
        return []
    message = event.word
    if message.event is Event.EXPINFO:
        message = Verbatim(Event.EXPINFO, (0, {"exp_ref": "2024-05-06_2_x", "main_sync": True}))
    else:
        message = Verbatim(message.event, ({"status": 20},))
    return [Reply(token=event.token, word=message)]


def answer_later(event):
    """Answer an EXPINFO at once, and leave the rest to the test."""
    if isinstance(event, Received) and event.word.event is not Event.EXPINFO:
        return [Later(event)]
    return answer_at_once(event)


def node(boot, answer=lambda event: [], **more):
    return Node(boot=boot, name=f"PC of {boot}", machine=Desk(answer), hears=hear_verbatim, **more)


def effects(one):
    out = []
    while (effect := one.next_event()) is not None:
        out.append(effect)
    return out


def send(one, message, to=RIG, key="k", now=0, **more):
    """Let the node's machine send; return what leaves."""
    one.handle(Send(address=to, word=message, key=key, **more), now)
    return one.datagrams_to_send(now)


def tick(one, now):
    """Act on every timer up to now; return what leaves."""
    out = []
    while (at := one.get_timer()) is not None and at <= now:
        one.handle_timer(at)
        after = one.get_timer()
        assert after is None or after > at, "the timer would ring for ever"
        out += one.datagrams_to_send(at)
    return out


def carry(nodes, now=0, *flying):
    """Carry datagrams between nodes until it is quiet; return all of them as (from, to, data)."""
    waiting, seen = list(flying), []
    while True:
        for address, one in nodes.items():
            waiting += [(address, to, data) for to, data in one.datagrams_to_send(now)]
        if not waiting:
            return seen
        assert len(seen) < 500, "they talk for ever"
        source, to, data = waiting.pop(0)
        seen.append((source, to, data))
        if to in nodes:
            nodes[to].receive_datagram(data, source, now)


def greeted(answer=answer_at_once):
    """Return a conductor and a rig that know each other as multirigs, and have nothing to do."""
    conductor, rig = node("C"), node("R", answer)
    nodes = {CONDUCTOR: conductor, RIG: rig}
    conductor.handle(Send(address=RIG, word=INFO, key="info"), 0)
    carry(nodes)
    for one in nodes.values():
        effects(one)
        one.machine.heard.clear()
    return conductor, rig, nodes


def frame(data):
    assert data[:1] == b"{"
    return json.loads(data)


# -- the upgrade -----------------------------------------------------------------------------------------


def test_the_first_info_holds_the_greeting_and_is_wire_1_for_everybody_else():
    [(to, data)] = send(node("C"), INFO)
    assert to == RIG
    assert data == (b'[64, 0, {"subject": "x", "multirig": {"wire": 2, "boot": "C", "name": "PC of C"}}]')


@pytest.mark.parametrize(
    ("args", "data"), [((), {}), ((0,), {}), ((0, None), {}), ((20, {"a": 1}), {"a": 1})]
)
def test_an_info_of_any_length_can_hold_the_greeting(args, data):
    [(_, sent)] = send(node("C"), Verbatim(Event.EXPINFO, args))
    event, status, got = json.loads(sent)
    assert (event, status) == (64, args[0] if args else 0)
    assert got == {**data, "multirig": {"wire": 2, "boot": "C", "name": "PC of C"}}


def test_an_echo_of_our_info_that_is_very_late_is_no_question():
    """Two multirigs answered each other's answers for ever."""
    one = node("C", answer_at_once)
    [(_, data)] = send(one, INFO, limit=SECOND)
    tick(one, 200 * SECOND)
    one.receive_datagram(data, RIG, 200 * SECOND)
    assert one.machine.asked() == []
    assert one.datagrams_to_send(200 * SECOND) == []
    one.receive_datagram(data.replace(b'"C"', b'"R"'), RIG, 201 * SECOND)
    assert len(one.machine.asked()) == 1


def test_an_echo_of_our_info_in_the_other_spelling_is_no_answer():
    """A question that is asked again is spelt otherwise; an echo of the first may come in between."""
    one = node("C")
    [(_, data)] = send(one, INFO, limit=SECOND)
    tick(one, 200 * SECOND)
    one.machine.told()
    other = json.dumps(json.loads(data), separators=(",", ":")).encode()
    one.handle(Send(address=RIG, word=INFO, key="again", limit=SECOND), 200 * SECOND)
    one.datagrams_to_send(200 * SECOND)
    for late in (other, data, other):
        one.receive_datagram(late, RIG, 200 * SECOND)
    assert Replied not in one.machine.told()


def test_an_info_whose_data_is_no_map_goes_as_it_is():
    assert send(node("C"), Verbatim(Event.EXPINFO, (0, "text"))) == [(RIG, b'[64, 0, "text"]')]


def test_an_info_upgrades_both_sides():
    conductor, rig = node("C"), node("R", answer_at_once)
    conductor.handle(Send(address=RIG, word=INFO, key="k"), 0)
    seen = carry({CONDUCTOR: conductor, RIG: rig})
    assert [(source, json.loads(data)[0]) for source, _, data in seen] == [
        (CONDUCTOR, 64),  # question
        (RIG, 64),  # echo
        (RIG, 64),  # answer
        (CONDUCTOR, 64),  # echo
    ]
    assert effects(rig) == [Upgraded(address=CONDUCTOR, boot="C", name="PC of C")]
    assert effects(conductor) == [Upgraded(address=RIG, boot="R", name="PC of R")]
    assert conductor.peers.speaks_wire_2(RIG)
    assert rig.peers.speaks_wire_2(CONDUCTOR)
    assert conductor.machine.told() == [Confirmed, Replied]
    [reply] = [event for event in conductor.machine.heard if isinstance(event, Replied)]
    word: Any = reply.word
    assert word.args[1]["exp_ref"] == "2024-05-06_2_x"


def test_after_the_upgrade_everything_goes_in_wire_2_without_a_greeting():
    conductor, rig, nodes = greeted()
    conductor.handle(Send(address=RIG, word=INFO, key="k"), 0)
    seen = carry(nodes)
    assert [frame(data).get("m") for _, _, data in seen if "m" in frame(data)] == [
        [64, 0, {"subject": "x"}],
        [64, 0, {"exp_ref": "2024-05-06_2_x", "main_sync": True}],
    ]
    assert conductor.machine.told()[-1] is Replied
    assert rig.machine.asked()[0].token == Token(CONDUCTOR, 2, 1, "C")


def test_the_clocks_are_known_after_an_exchange():
    conductor, rig = node("C"), node("R", answer_at_once)
    ahead = 7 * SECOND
    assert conductor.peers.clock(RIG) is None
    now = 0
    for message in (INFO, STATUS, STATUS):
        conductor.handle(Send(address=RIG, word=message, key="k"), now)
        for _ in range(4):
            for _, data in conductor.datagrams_to_send(now):
                rig.receive_datagram(data, CONDUCTOR, now + 3 * MS + ahead)
            now += 3 * MS
            for _, data in rig.datagrams_to_send(now + ahead):
                conductor.receive_datagram(data, RIG, now + MS)
            now += MS
    for one, address, true in ((conductor, RIG, ahead), (rig, CONDUCTOR, -ahead)):
        clock = one.peers.clock(address)
        assert clock is not None
        reading = clock.read(now)
        assert reading is not None
        assert abs(reading.offset - true) <= reading.bound <= 20 * MS
    assert conductor.peers.clock(OTHER) is None


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_a_foreign_peer_that_sends_our_own_greeting_back_is_no_multirig(copies):
    conductor = node("C")
    [(_, data)] = send(conductor, INFO)
    for _ in range(copies):
        conductor.receive_datagram(data, RIG, 1 * MS)
    assert conductor.datagrams_to_send(1 * MS) == []
    assert not conductor.peers.speaks_wire_2(RIG)
    assert conductor.machine.told() == [Confirmed]
    conductor.receive_datagram(b'[64,20,{"main_sync":true}]', RIG, 2 * MS)
    assert conductor.machine.told() == [Confirmed, Replied]


def test_a_foreign_peer_that_puts_our_greeting_into_its_own_info_is_no_multirig():
    conductor = node("C")
    [(_, data)] = send(conductor, INFO)
    conductor.receive_datagram(data, RIG, 0)
    changed = json.loads(data)
    changed[2]["exp_ref"] = "2024-05-06_2_x"
    conductor.receive_datagram(json.dumps(changed).encode(), RIG, 0)
    assert conductor.machine.told() == [Confirmed, Replied]
    assert not conductor.peers.speaks_wire_2(RIG)
    assert effects(conductor) == []


@pytest.mark.parametrize(
    "greeting",
    [None, {}, "2", {"wire": 1, "boot": "F"}, {"wire": 3, "boot": "F"}, {"wire": 2}, {"wire": 2, "boot": 7}],
    ids=str,
)
def test_a_greeting_that_is_none_or_of_another_wire_upgrades_nobody(greeting):
    rig = node("R", answer_at_once)
    rig.receive_datagram(json.dumps([64, 0, {"multirig": greeting}]).encode(), CONDUCTOR, 0)
    assert not rig.peers.speaks_wire_2(CONDUCTOR)
    assert len(rig.machine.asked()) == 1


def test_a_wire_2_frame_sent_back_by_an_echoing_peer_is_nothing():
    conductor, _, _ = greeted()
    [(_, data)] = send(conductor, STATUS)
    conductor.receive_datagram(data, RIG, 0)
    assert conductor.datagrams_to_send(0) == []
    assert effects(conductor) == []
    assert conductor.peers.speaks_wire_2(RIG)


IBLRIG = {
    "exp_ref": None,
    "main_sync": False,
    "experiment_description": {},
    "master": False,
    "rig_version": "8.24.7",
    "spec_version": "1.0.0",
    "subject": "a_subject_with_a_rather_long_name_0123456789",
}


def test_what_a_foreign_peer_gets_is_short_enough_for_timeline():
    """Its greeting on EXPINFO, the answers of a rig, and every error."""
    sent = []
    boot, name = "0123456789abcdef", "acquisition-pc-in-the-third-room-on-the-left.lab.example.org"
    conductor = Node(boot=boot, name=name, machine=Desk(), hears=hear_verbatim)
    sent += send(conductor, Verbatim(Event.EXPINFO, (0, IBLRIG)))
    rig = Node(boot=boot, name=name, machine=Desk(answer_at_once), hears=hear_verbatim)
    rig.receive_datagram(json.dumps([64, 0, IBLRIG]).encode(), OTHER, 0)
    sent += rig.datagrams_to_send(0) + tick(rig, ANSWER_PAUSE)
    rig.receive_datagram(b"[" + b"1" * 4000 + b"]", OTHER, 0)
    sent += rig.datagrams_to_send(0)
    rig = node("R", lambda event: [Fail(token=event.token, word=Complaint(text="x" * 5000, about=Event(2)))])
    rig.receive_datagram(json.dumps([START.event, *START.args]).encode(), OTHER, 0)
    sent += rig.datagrams_to_send(0)
    assert len(sent) == 6
    assert all(len(data) < TIMELINE_LIMIT for _, data in sent)


# -- wire 1 only -----------------------------------------------------------------------------------------


def test_who_does_not_greet_sends_no_greeting_and_answers_without_one():
    assert send(node("C", greets=False), INFO) == [(RIG, b'[64, 0, {"subject": "x"}]')]
    rig = node("R", answer_at_once, greets=False)
    rig.receive_datagram(b'[64, 0, {"subject": "x"}]', CONDUCTOR, 0)
    [echo] = rig.datagrams_to_send(0)
    [answer] = tick(rig, ANSWER_PAUSE)
    assert "multirig" not in answer[1].decode()
    assert echo == (CONDUCTOR, b'[64, 0, {"subject": "x"}]')


def test_who_does_not_greet_heeds_no_greeting_and_no_frame():
    conductor, rig = node("C"), node("R", answer_at_once, greets=False)
    nodes = {CONDUCTOR: conductor, RIG: rig}
    conductor.handle(Send(address=RIG, word=INFO, key="info"), 0)
    carry(nodes)
    carry(nodes, ANSWER_PAUSE, *((RIG, to, data) for to, data in tick(rig, ANSWER_PAUSE)))
    assert conductor.machine.told("info")[-1] is Replied
    assert not rig.peers.speaks_wire_2(CONDUCTOR)
    assert not conductor.peers.speaks_wire_2(RIG)
    rig.receive_datagram(b'{"multirig": 2, "boot": "C", "to": "R", "n": 1, "m": [2, "r"]}', OTHER, 0)
    assert rig.datagrams_to_send(0) == []
    assert [event.word.event for event in rig.machine.asked()] == [Event.EXPINFO]
    assert [type(effect) for effect in effects(rig)] == [Ignored]


# -- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [1, 2])
def test_an_answer_a_failure_and_nothing_go_back_on_the_wire_of_the_question(wire):
    def answer(event):
        match event:
            case Received(word=Verbatim(event=Event.EXPSTART), token=token):
                return [Fail(token=token, word=Complaint(text="no camera", about=Event(2)))]
            case Received(word=Verbatim(event=Event.ALYX), token=token):
                return [Settle(token=token)]
        return answer_at_once(event)

    if wire == 2:
        conductor, rig, nodes = greeted(answer)
    else:
        conductor, rig = node("C"), node("R", answer)
        nodes = {CONDUCTOR: conductor, RIG: rig}
    token = Verbatim(Event.ALYX, ("https://alyx.example.org", {"user": {"token": "abc"}}))
    for now, (key, message) in enumerate(
        [("stop", Verbatim(Event.EXPEND)), ("start", START), ("alyx", token)]
    ):
        more = {"needs_reply": False} if key == "alyx" else {}
        conductor.handle(Send(address=RIG, word=message, key=key, **more), now * SECOND)
        carry(nodes, now * SECOND)
        later = now * SECOND + ANSWER_PAUSE
        carry(nodes, later, *((RIG, to, data) for to, data in tick(rig, later)))
    ends = [event for event in conductor.machine.heard if not isinstance(event, Confirmed)]
    assert [(event.key, type(event)) for event in ends] == [
        ("stop", Replied),
        ("start", Refused),
        ("alyx", Replied),
    ]
    assert ends[1].reason == "no camera"
    assert [event.token.wire for event in rig.machine.asked()] == [wire] * 3


@pytest.mark.parametrize("wire", [1, 2])
@pytest.mark.parametrize("data", ["x" * 600_000, object()], ids=["long", "object"])
def test_an_answer_that_cannot_be_sent_becomes_a_failure(wire, data):
    def answer(event):
        if not isinstance(event, Received) or event.word.event is Event.EXPINFO:
            return answer_at_once(event)
        return [Reply(token=event.token, word=Verbatim(Event.EXPEND, ({"files": data},)))]

    if wire == 2:
        conductor, _, nodes = greeted(answer)
    else:
        conductor, rig = node("C"), node("R", answer)
        nodes = {CONDUCTOR: conductor, RIG: rig}
    conductor.handle(Send(address=RIG, word=Verbatim(Event.EXPEND), key="k"), 0)
    carry(nodes)
    refused = conductor.machine.heard[-1]
    assert isinstance(refused, Refused)
    assert "PC of R could not answer" in refused.reason


@pytest.mark.parametrize("wire", [1, 2])
def test_an_answer_that_is_too_long_is_told_to_both_ends(wire):
    conductor, rig, nodes = greeted(answer_later)
    if wire == 1:
        rig, nodes = node("R", answer_later), {}
        rig.receive_datagram(b"[32, 0]", CONDUCTOR, 0)
        rig.datagrams_to_send(0)
    else:
        conductor.handle(Send(address=RIG, word=STATUS, key="k"), 0)
        carry(nodes)
    [later] = effects(rig)
    long = Verbatim(Event.EXPSTATUS, ("x" * 600_000,))
    rig.handle(Reply(token=later.event.token, word=long, key="a"), 0)
    assert rig.machine.told("a") == [Unreached]
    assert "limit" in rig.machine.heard[-1].reason
    if wire == 1:
        [(_, told)] = rig.datagrams_to_send(0)
        assert told[:3] == b"[0,"
    else:
        carry(nodes)
        assert conductor.machine.told("k")[-1] is Refused


def test_an_answer_to_a_forgotten_peer_is_told_to_whoever_gave_it_a_key():
    rig = node("R", answer_later)
    rig.receive_datagram(b"[32, 0]", CONDUCTOR, 0)
    [later] = effects(rig)
    rig.handle(Forget(address=CONDUCTOR), 0)
    rig.handle(Reply(token=later.event.token, word=STATUS, key="a"), 0)
    assert rig.machine.told("a") == [Unreached]
    heard = list(rig.machine.heard)
    rig.handle(Reply(token=later.event.token, word=STATUS), 0)
    assert rig.machine.heard == heard


# -- the rows of the table of faults that need more than one conversation --------------------------------


def test_w11_one_silent_client_of_a_server_disturbs_nobody_else():
    rig = node("R", answer_at_once)
    rig.receive_datagram(b"[32, 0]", OTHER, 0)  # and never echoes the answer
    rig.datagrams_to_send(0)
    for number in range(1, 31):
        now = number * SECOND
        tick(rig, now)
        rig.receive_datagram(b"[32, 0]", CONDUCTOR, now)
        out = rig.datagrams_to_send(now) + tick(rig, now + ANSWER_PAUSE)
        answers = [data for to, data in out if to == CONDUCTOR]
        assert len(answers) == 2
        rig.receive_datagram(answers[1], CONDUCTOR, now + ANSWER_PAUSE)
    assert len(rig.machine.asked()) == 31
    tick(rig, 200 * SECOND)
    assert rig.get_timer() is None


def test_w12_two_tcp_clients_of_one_server_have_a_conversation_each():
    rig = node("R", lambda event: [Later(event)] if isinstance(event, Received) else [])
    one, other = Address("tcp", "10.0.0.1", 50_001), Address("tcp", "10.0.0.1", 50_002)
    rig.receive_datagram(b"[4, null]", one, 0)
    rig.receive_datagram(b"[4, null]", other, 0)
    assert rig.datagrams_to_send(0) == [(one, b"[4, null]"), (other, b"[4, null]")]
    for later in reversed(effects(rig)):
        rig.handle(Reply(token=later.event.token, word=Verbatim(Event.EXPEND, (30,))), SECOND)
    assert rig.datagrams_to_send(SECOND) == [(other, b"[4, 30]"), (one, b"[4, 30]")]


@given(cuts=st.lists(st.integers(0, 200), max_size=4).map(sorted))
def test_w13_w14_messages_of_a_stream_are_handled_however_it_is_cut(cuts):
    rig, cutter = node("R"), StreamCutter()
    peer = Address("tcp", "10.0.0.1", 50_001)
    stream = b'[1, {"exp_ref": "2024-05-06_2_x"}][2, "2024-05-06_2_x", null] noise \n[4, null]'
    edges = [0, *cuts, max(len(stream), *cuts, 0)]
    for start, end in itertools.pairwise(edges):
        for message in cutter.feed(stream[start:end]):
            rig.receive_datagram(message, peer, 0)
    assert [event.word.event for event in rig.machine.asked()] == [1, 2, 4]


@pytest.mark.parametrize(("wire", "size", "limit"), [(1, 70_000, "65,507"), (2, 600_000, "524,288")])
def test_w16_what_is_too_long_is_told_at_once_with_size_and_limit(wire, size, limit):
    conductor = greeted()[0] if wire == 2 else node("C")
    message = Verbatim(Event.EXPINIT, ("x" * size,))
    assert send(conductor, message) == []
    [unreached] = conductor.machine.heard
    assert isinstance(unreached, Unreached)
    assert unreached.key == "k"
    assert f"EXPINIT has {size // 1000}," in unreached.reason
    assert f"the limit is {limit}" in unreached.reason


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"{", b"{}", b'{"multirig": 2}', b"[", b"\xff", b"[]", b'{"multirig": "x", "boot": 1}'],
)
def test_w17_noise_is_logged_once_a_peer_and_answered_by_nothing(data):
    rig = node("R")
    for source in (CONDUCTOR, CONDUCTOR, OTHER):
        rig.receive_datagram(data, source, 0)
    assert rig.datagrams_to_send(0) == []
    ignored = effects(rig)
    assert all(isinstance(one, Ignored) for one in ignored)
    assert [(one.address, one.first) for one in ignored] == [
        (CONDUCTOR, True),
        (CONDUCTOR, False),
        (OTHER, True),
    ]
    assert rig.machine.heard == []


@settings(max_examples=200)
@given(data=st.binary(max_size=30) | st.text(alphabet='[{"0123,:}] xmulti', max_size=30).map(str.encode))
def test_w17_no_datagram_breaks_the_node(data):
    rig = node("R", answer_at_once)
    rig.receive_datagram(data, CONDUCTOR, 0)
    rig.datagrams_to_send(0)
    tick(rig, 100 * SECOND)
    assert rig.get_timer() is None


def test_w22_a_stranger_is_turned_away_and_counted():
    rig = node("R", answer_at_once, door=Door(Doors().admit, name="R"))
    far = [Address("udp", "192.168.1.77", port) for port in range(5)]
    for one in far:
        rig.receive_datagram(b"[32, 0]", one, 0)
        rig.receive_datagram(b'{"multirig":2,"boot":"X","to":"R","n":1,"low":1,"m":[32]}', one, 0)
    assert rig.datagrams_to_send(0) == []
    assert rig.machine.heard == []
    first, tenth = effects(rig)
    assert isinstance(first, Ignored)
    assert "which has no key: 'multirig key join'" in first.reason
    assert first.is_stranger
    assert tenth.count == 10
    assert "refused 10 messages from 192.168.1.77: it may not speak" in tenth.reason
    rig.receive_datagram(b"[32, 0]", Address("udp", "127.0.0.1", 5), 0)
    assert len(rig.machine.asked()) == 1


def test_w22_who_asks_and_may_not_is_told_so_with_fewer_bytes_and_not_often():
    rig = node("R", answer_at_once, door=Door(Doors().admit, name="R"))
    question = (
        b'[64, 0, {"exp_ref": null, "main_sync": false, "subject": "SP_01", "multirig": {"wire": 2}'
        + b" " * 90
    )
    for port in range(100):
        rig.receive_datagram(question, Address("udp", "192.168.1.77", port), 0)
    [(address, hint)] = rig.datagrams_to_send(0)
    assert len(hint) <= len(question)
    assert address.host == "192.168.1.77"
    assert "run 'multirig key join' there" in hint.decode()
    rig.receive_datagram(b"[64, 0, {}]", Address("udp", "192.168.1.78", 1), 0)
    assert rig.datagrams_to_send(0) == []


def test_w22_a_flood_of_strangers_does_not_fill_the_memory():
    rig = node("R", door=Door(Doors().admit, name="R"))
    for number in range(MAX_PEERS + 500):
        rig.receive_datagram(b"[32, 0]", Address("udp", f"8.{number >> 8}.{number & 255}.1", 1), 0)
    assert len(rig.door.refusals.counts()) <= 256
    assert rig.door.refusals.total == MAX_PEERS + 500
    assert not rig.peers._by_address


@pytest.mark.parametrize("wire", [1, 2])
def test_w30_when_nobody_listens_the_machine_is_told_at_once(wire):
    conductor = greeted()[0] if wire == 2 else node("C")
    send(conductor, START, gives_up=True)
    conductor.peer_unreachable(RIG, "nothing listens there", 1 * MS)
    assert conductor.machine.heard == [Unreached(address=RIG, key="k", reason="nothing listens there")]
    assert conductor.datagrams_to_send(1 * MS) == []
    conductor.peer_unreachable(OTHER, "nothing listens there", 1 * MS)


def test_w30_a_rig_that_was_gone_and_is_back_as_another_program_is_greeted_anew():
    conductor, _, nodes = greeted()
    send(conductor, STATUS, key="gone", gives_up=True)
    conductor.peer_unreachable(RIG, "nothing listens there", 1 * MS)
    nodes[RIG] = node("R2", answer_at_once)
    conductor.handle(Send(address=RIG, word=INFO, key="info"), SECOND)
    conductor.handle(Send(address=RIG, word=START, key="start"), SECOND)
    carry(nodes, SECOND)
    assert conductor.machine.told("gone") == [Unreached]
    assert conductor.machine.told("info")[-1] is Replied
    conductor.handle(Send(address=RIG, word=START, key="again"), SECOND)
    carry(nodes, SECOND)
    assert conductor.machine.told("again")[-1] is Replied
    assert [event.token.wire for event in nodes[RIG].machine.asked()] == [1, 2]


def test_w30_a_rig_that_was_gone_and_is_back_as_the_same_program_goes_on():
    conductor, rig, nodes = greeted()
    send(conductor, STATUS, key="gone", gives_up=True)
    conductor.peer_unreachable(RIG, "the connection was closed", 1 * MS)
    for key, message in (("info", INFO), ("start", START)):
        conductor.handle(Send(address=RIG, word=message, key=key), SECOND)
        carry(nodes, SECOND)
        assert conductor.machine.told(key)[-1] is Replied
    assert [event.token.wire for event in rig.machine.asked()] == [1, 2]
    assert not any(isinstance(effect, Rebooted) for effect in effects(conductor))


# -- reboots ---------------------------------------------------------------------------------------------


def test_nothing_meant_for_a_dead_program_is_handled_by_its_successor_and_the_sender_learns_it():
    conductor, _, nodes = greeted()
    nodes[RIG] = successor = node("R2", answer_at_once)
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    seen = carry(nodes)
    assert successor.machine.asked() == []
    asked = next(frame(data)["who"] for _, _, data in seen if "who" in frame(data))
    assert [frame(data) for source, _, data in seen if source == RIG] == [
        {"multirig": 2, "boot": "R2", "to": "C"},
        {"multirig": 2, "boot": "R2", "to": "C", "here": asked},
    ]
    assert conductor.machine.told() == [Refused]
    refused, _, rebooted = conductor.machine.heard
    assert "restarted" in refused.reason
    assert rebooted == Rebooted(address=RIG, boot="R2")
    assert effects(conductor) == [Upgraded(address=RIG, boot="R2", name=""), rebooted]


def test_after_a_reboot_the_next_message_is_handled_by_the_successor():
    conductor, _, nodes = greeted()
    nodes[RIG] = successor = node("R2", answer_at_once)
    for key in ("lost", "next"):
        conductor.handle(Send(address=RIG, word=START, key=key), 0)
        carry(nodes)
    assert conductor.machine.told("next")[-1] is Replied
    assert len(successor.machine.asked()) == 1
    assert successor.peers.speaks_wire_2(CONDUCTOR)


def test_the_question_who_is_there_is_answered_by_the_successor():
    conductor, _, nodes = greeted()
    nodes[RIG] = successor = node("R2", answer_at_once)
    for key in ("first", "second"):
        conductor.handle(Send(address=RIG, word=INFO, key=key), 0)
    carry(nodes)
    assert conductor.machine.told("first")[-1] is conductor.machine.told("second")[-1] is Replied
    assert [event.word.event for event in successor.machine.asked()] == [Event.EXPINFO] * 2


def test_what_the_machine_sends_when_it_learns_of_a_reboot_reaches_the_successor():
    """A start was refused: the roll-back goes to the program that is there now, and has its outcome."""
    conductor, _, nodes = greeted()
    nodes[RIG] = successor = node("R2", answer_at_once)
    cleanup = Send(address=RIG, word=Verbatim(Event.EXPCLEANUP), key="cleanup")
    conductor.machine.answer = lambda event: [cleanup] if isinstance(event, Refused) else []
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    carry(nodes)
    assert [event.word.event for event in successor.machine.asked()] == [Event.EXPCLEANUP]
    assert conductor.machine.told("cleanup")[-1] is Replied


@pytest.mark.parametrize("greeting", [False, True])
def test_a_conductor_that_reboots_is_known_as_a_new_one(greeting):
    _, rig, nodes = greeted(answer_later)
    rig.handle(Send(address=CONDUCTOR, word=STATUS, key="told"), 0)
    rig.datagrams_to_send(0)
    nodes[CONDUCTOR] = successor = node("C2")
    if greeting:
        successor.handle(Send(address=RIG, word=INFO, key="k"), SECOND)
        carry(nodes, SECOND)
        assert len(rig.machine.asked()) == 1
    else:
        carry(nodes, SECOND, *((RIG, to, data) for to, data in tick(rig, SECOND)))
    assert rig.machine.told("told") == [Refused]
    assert Rebooted(address=CONDUCTOR, boot="C2") in effects(rig)


@pytest.mark.parametrize(
    "data",
    [
        b'{"multirig": 2, "boot": "C2", "to": "R"}',
        b'{"multirig": 2, "boot": "C2", "to": "R", "here": 1}',
        b'{"multirig": 2, "boot": "C2", "to": "X", "n": 1, "low": 1, "m": [4, null]}',
        b'[64, 0, {"multirig": {"wire": 2, "boot": "C2", "name": "nobody"}}]',
    ],
)
def test_a_wrong_boot_id_in_one_datagram_ends_no_conversation(data):
    conductor, rig, nodes = greeted()
    for _ in range(3):
        rig.receive_datagram(data, CONDUCTOR, 0)
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    carry(nodes)
    assert conductor.machine.told("k")[-1] is Replied
    assert not [one for one in effects(rig) if isinstance(one, Rebooted | Upgraded)]


def test_a_program_that_is_known_elsewhere_is_asked_before_it_takes_the_place_of_another():
    conductor, rig, nodes = greeted()
    nodes[OTHER] = node("O")
    nodes[OTHER].handle(Send(address=RIG, word=INFO, key="info"), 0)
    carry(nodes)
    rig.receive_datagram(b'{"multirig": 2, "boot": "O", "to": "R"}', CONDUCTOR, 0)
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    carry(nodes)
    assert conductor.machine.told("k")[-1] is Replied


def test_a_late_frame_of_a_dead_program_does_not_bring_it_back():
    conductor, rig, nodes = greeted()
    rig.handle(Send(address=CONDUCTOR, word=STATUS, key="late"), 0)
    [(_, late)] = rig.datagrams_to_send(0)
    nodes[RIG] = node("R2", answer_at_once)
    conductor.handle(Send(address=RIG, word=START, key="lost"), 0)
    carry(nodes)
    effects(conductor)
    conductor.machine.heard.clear()
    conductor.receive_datagram(late, RIG, 0)
    greeting = [64, 0, {"multirig": {"wire": 2, "boot": "R", "name": "late"}}]
    conductor.receive_datagram(json.dumps(greeting).encode(), RIG, 0)
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    carry(nodes)
    assert conductor.machine.told()[-1] is Replied
    assert not any(isinstance(event, Rebooted) for event in conductor.machine.heard)
    assert {event.word.event for event in conductor.machine.asked()} == {Event.EXPINFO}


def test_the_answer_to_a_question_of_a_dead_program_goes_nowhere():
    conductor, rig, nodes = greeted(answer_later)
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    carry(nodes)
    later = effects(rig)[-1]
    nodes[CONDUCTOR] = successor = node("C2")
    successor.handle(Send(address=RIG, word=INFO, key="info"), 0)
    carry(nodes)
    rig.handle(Reply(token=later.event.token, word=Verbatim(Event.EXPSTART)), SECOND)
    assert [json.loads(data) for _, data in rig.datagrams_to_send(SECOND)] == []


def test_a_mismatch_of_versions_is_told_to_both_sides_and_does_not_go_on_for_ever():
    rig = node("R")
    future = {"multirig": 3, "boot": "X", "to": "R", "n": 1, "low": 1, "m": [32]}
    for _ in range(2):
        rig.receive_datagram(json.dumps(future).encode(), CONDUCTOR, 0)
    first, second = effects(rig)
    assert first.reason == "speaks wire 3, this PC speaks wire 2: update the older one"
    assert (first.first, second.first) == (True, False)
    assert [frame(data) for _, data in rig.datagrams_to_send(0)] == [
        {"multirig": 2, "boot": "R", "to": "X"}
    ] * 2
    rig.receive_datagram(b'{"multirig": 3, "boot": "X", "to": "R"}', CONDUCTOR, 0)
    assert rig.datagrams_to_send(0) == []
    assert rig.machine.heard == []


# -- moves -----------------------------------------------------------------------------------------------


MOVED = Address("tcp", "10.0.0.1", 50_002)


def move(nodes):
    """Let the conductor be heard from another address."""
    nodes[MOVED] = nodes.pop(CONDUCTOR)


def test_the_same_conversation_goes_on_from_another_address():
    conductor, rig, nodes = greeted()
    for key in ("before", "after"):
        conductor.handle(Send(address=RIG, word=START, key=key), 0)
        carry(nodes)
        if key == "before":
            move(nodes)
    assert conductor.machine.told("after")[-1] is Replied
    assert [event.token for event in rig.machine.asked()] == [
        Token(CONDUCTOR, 2, 1, "C"),
        Token(MOVED, 2, 2, "C"),
    ]
    assert not any(isinstance(effect, Rebooted | Upgraded) for effect in effects(rig))


def test_whoever_speaks_with_a_program_hears_that_it_speaks_from_another_address():
    conductor, rig, nodes = greeted()
    conductor.handle(Send(address=RIG, word=STATUS, key="before"), 0)
    carry(nodes)
    move(nodes)
    conductor.handle(Send(address=RIG, word=STATUS, key="after"), 0)
    carry(nodes)
    moves = [effect for effect in effects(rig) if isinstance(effect, Relocated)]
    assert moves == [Relocated(address=CONDUCTOR, now_at=MOVED)]
    assert [event for event in rig.machine.heard if isinstance(event, Relocated)] == moves


def test_an_answer_and_a_message_for_the_old_address_reach_the_new_one():
    conductor, rig, nodes = greeted(answer_later)
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    carry(nodes)
    later = effects(rig)[-1]
    move(nodes)
    conductor.handle(Send(address=RIG, word=STATUS, key="from here"), 0)
    carry(nodes)
    rig.handle(Reply(token=later.event.token, word=Verbatim(Event.EXPSTART)), 0)
    rig.handle(Send(address=CONDUCTOR, word=STATUS, key="told", needs_reply=False), 0)
    seen = carry(nodes)
    assert {to for source, to, _ in seen if source == RIG} == {MOVED}
    assert conductor.machine.told()[-1] is Replied
    assert rig.machine.told("told") == [Replied]


def test_the_end_of_the_old_address_does_not_end_the_conversation():
    conductor, rig, nodes = greeted()
    move(nodes)
    conductor.handle(Send(address=RIG, word=STATUS, key="k"), 0)
    carry(nodes)
    rig.handle(Send(address=CONDUCTOR, word=STATUS, key="told"), 0)
    rig.peer_unreachable(CONDUCTOR, "the connection was closed", 0)
    assert rig.machine.told("told") == []


def test_a_greeting_from_another_address_is_a_move_too():
    conductor, rig, nodes = greeted()
    conductor.handle(Send(address=RIG, word=STATUS, key="before"), 0)
    carry(nodes)
    greeting = [64, 0, {"multirig": {"wire": 2, "boot": "C", "name": "PC of C"}}]
    rig.receive_datagram(json.dumps(greeting).encode(), MOVED, 0)
    move(nodes)
    carry(nodes)
    rig.handle(Send(address=MOVED, word=STATUS, key="told", needs_reply=False), 0)
    carry(nodes)
    assert rig.machine.told("told") == [Replied]
    assert not any(isinstance(effect, Upgraded) for effect in effects(rig))


def test_an_address_that_somebody_else_takes_over_does_not_kill_who_has_moved():
    conductor, rig, nodes = greeted()
    move(nodes)
    conductor.handle(Send(address=RIG, word=STATUS, key="moved"), 0)
    carry(nodes)
    rig.handle(Send(address=MOVED, word=STATUS, key="told", needs_reply=False), 0)
    nodes[CONDUCTOR] = stranger = node("S")
    stranger.handle(Send(address=RIG, word=INFO, key="k"), 0)
    carry(nodes)
    assert stranger.machine.told()[-1] is Replied
    assert rig.machine.told("told") == [Replied]
    conductor.handle(Send(address=RIG, word=STATUS, key="still here"), 0)
    carry(nodes)
    assert conductor.machine.told("still here")[-1] is Replied


def test_a_conversation_that_moves_to_and_fro_goes_on():
    conductor, rig, nodes = greeted()
    for number in range(6):
        if number:
            was, becomes = (CONDUCTOR, MOVED) if number % 2 else (MOVED, CONDUCTOR)
            nodes[becomes] = nodes.pop(was)
        conductor.handle(Send(address=RIG, word=STATUS, key=number), 0)
        carry(nodes)
        assert conductor.machine.told(number)[-1] is Replied
    assert len(rig.machine.asked()) == 6


# -- order, interrupts, memory ---------------------------------------------------------------------------


def test_what_is_sent_to_many_leaves_in_the_order_of_the_actions():
    conductor = node("C")
    rigs = [Address("udp", "10.0.1.1", port) for port in range(50)]

    def broadcast(message):
        return [Send(address=rig, word=message, key=(message.event, rig)) for rig in rigs]

    conductor.machine.answer = lambda event: broadcast(STATUS) if isinstance(event, Refused) else []
    conductor.handle(Send(address=RIG, word=START, key="k"), 0)
    assert [to for to, _ in conductor.datagrams_to_send(0)] == [RIG]
    conductor.receive_datagram(b'[0, "no camera", 2]', RIG, 0)
    assert [to for to, _ in conductor.datagrams_to_send(0)] == rigs


@pytest.mark.parametrize("wire", [1, 2])
def test_an_interrupt_overtakes_on_both_wires(wire):
    conductor = greeted()[0] if wire == 2 else node("C")
    send(conductor, START, key="start")
    send(conductor, STATUS, key="queued")
    [(_, data)] = send(conductor, Verbatim(Event.EXPINTERRUPT), key="now", overtakes=True)
    assert (json.loads(data) if wire == 1 else frame(data)["m"])[0] == 16
    assert {event.key for event in conductor.machine.heard} == {"start", "queued"}


def test_an_interrupt_in_wire_2_also_ends_what_was_begun_in_wire_1():
    conductor = node("C")
    send(conductor, INFO, key="info")
    send(conductor, START, key="start")
    greeting = b'[64, 0, {"multirig": {"wire": 2, "boot": "R", "name": "PC of R"}}]'
    conductor.receive_datagram(greeting, RIG, 0)
    conductor.handle_timer(REST_PAUSE)
    conductor.datagrams_to_send(REST_PAUSE)
    send(conductor, Verbatim(Event.EXPINTERRUPT), key="now", overtakes=True)
    assert conductor.machine.told("start") == [TimedOut]


def test_a_flood_of_addresses_does_not_fill_the_memory_and_forgets_idle_strangers_first():
    conductor, rig, nodes = greeted(answer_later)
    waiting = Address("udp", "10.0.0.9", 11001)
    rig.handle(Send(address=waiting, word=STATUS, key="waiting"), 0)
    for number in range(MAX_PEERS + 500):
        rig.receive_datagram(b"noise", Address("udp", "10.9.9.9", number), 0)
        rig.datagrams_to_send(0)
    assert len(rig.peers._by_address) <= MAX_PEERS
    conductor.handle(Send(address=RIG, word=STATUS, key="k"), 0)
    carry(nodes)
    assert rig.machine.asked()[-1].token.wire == 2
    tick(rig, 20 * SECOND)
    assert rig.machine.told("waiting") == [TimedOut]


def test_more_rigs_than_are_remembered_are_still_all_sent_to_in_one_step():
    conductor = node("C")
    rigs = [Address("udp", "10.0.1.1", port) for port in range(MAX_PEERS)]
    for rig in rigs:
        conductor.handle(Send(address=rig, word=STATUS, key=rig), 0)
    assert [to for to, _ in conductor.datagrams_to_send(0)] == rigs


def test_a_forgotten_peer_is_a_stranger_again():
    conductor, _, _ = greeted()
    send(conductor, STATUS)
    conductor.handle(Forget(address=RIG), 0)
    conductor.handle(Forget(address=RIG), 0)
    assert not conductor.peers.speaks_wire_2(RIG)
    assert conductor.datagrams_to_send(0) == []
    assert conductor.get_timer() is None
    conductor.handle(Reply(token=Token(RIG, 1, 1), word=Verbatim(Event.EXPEND)), 0)
    conductor.handle(Reply(token=Token(RIG, 2, 1, "R"), word=Verbatim(Event.EXPEND)), 0)
    assert conductor.datagrams_to_send(0) == []


# -- walks -----------------------------------------------------------------------------------------------


def answer_in_time(event):
    return [Later(event)] if isinstance(event, Received) else []


def take_note(event):
    return [Settle(token=event.token)] if isinstance(event, Received) else []


class World:
    """A conductor and a rig on a network that loses, doubles and delays; either may die and come back."""

    def __init__(self, seed, *, loss, copies, delay):
        self.random = random.Random(seed)
        self.loss, self.copies, self.delay = loss, copies, delay
        self.now = 0
        self.ticks = 0
        self.queue = []
        self.sent = 0
        self.boots = {CONDUCTOR: 0, RIG: 0}
        self.nodes = {}
        self.machines = []
        self.meant_for = {}
        self.boot(CONDUCTOR)
        self.boot(RIG)

    def boot(self, address):
        self.boots[address] += 1
        answer = answer_in_time if address == RIG else take_note
        self.nodes[address] = node(f"{address.host}-{self.boots[address]}", answer)
        self.machines.append((self.nodes[address].boot, self.nodes[address].machine))

    def later(self, wait, do, *args):
        self.ticks += 1
        heapq.heappush(self.queue, (self.now + wait, self.ticks, do, args))

    def ask(self, key, message, source=CONDUCTOR, to=RIG):
        one = self.nodes[source]
        peer = one.peers.get(to)
        if peer is not None and peer.link is not None:
            self.meant_for[key] = peer.link.peer
        one.handle(Send(address=to, word=Verbatim(message.event, (*message.args, key)), key=key), self.now)
        self.flush(source)

    def feed(self, one, address, event):
        if self.nodes[address] is one:  # else it has died meanwhile
            one.handle(event, self.now)
            self.flush(address)

    def deliver(self, source, to, data):
        self.nodes[to].receive_datagram(data, source, self.now)
        self.flush(to)

    def flush(self, address):
        one = self.nodes[address]
        for effect in effects(one):
            if isinstance(effect, Later):
                event = effect.event
                reply = Reply(token=event.token, word=Verbatim(event.word.event, ({"done": True},)))
                if event.word.event is Event.EXPINFO:
                    reply = Reply(token=event.token, word=Verbatim(Event.EXPINFO, (0, {"done": True})))
                self.later(
                    self.random.choice([0, self.random.randrange(SECOND)]), self.feed, one, address, reply
                )
        for to, data in one.datagrams_to_send(self.now):
            self.sent += 1
            for _ in range(1 + (self.random.random() < self.copies)):
                if self.random.random() >= self.loss:
                    self.later(self.random.randrange(self.delay + 1), self.deliver, address, to, data)

    def run(self):
        while True:
            timers = [at for one in self.nodes.values() if (at := one.get_timer()) is not None]
            times = [*timers, *([self.queue[0][0]] if self.queue else [])]
            if not times:
                return
            self.now = max(self.now, min(times))
            while self.queue and self.queue[0][0] <= self.now:
                _, _, do, args = heapq.heappop(self.queue)
                do(*args)
            for address, one in self.nodes.items():
                one.handle_timer(self.now)
                self.flush(address)
                at = one.get_timer()
                assert at is None or at > self.now, "the timer would ring for ever"
            assert self.sent < 5000, "they talk for ever"


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0, 0.1, 0.3]),
    copies=st.sampled_from([0, 0.3]),
    delay=st.sampled_from([1 * MS, 100 * MS]),
    asked=st.lists(st.integers(SECOND, 8 * SECOND), min_size=1, max_size=10),
    deaths=st.lists(st.tuples(st.sampled_from([RIG, CONDUCTOR]), st.integers(0, 8 * SECOND)), max_size=3),
)
def test_on_any_network_and_through_reboots_nothing_is_handled_twice_or_by_the_wrong_program(
    seed, loss, copies, delay, asked, deaths
):
    world = World(seed, loss=loss, copies=copies, delay=delay)
    world.ask("info", INFO)
    for key, at in enumerate(asked):
        world.later(at, world.ask, key, STATUS if key % 3 else START)
    for address, at in deaths:
        world.later(at, world.boot, address)
    world.later(9 * SECOND, world.ask, "info again", INFO)
    world.later(12 * SECOND, world.ask, "at last", STATUS)
    world.run()
    handled = []
    for boot, machine in world.machines:
        for event in machine.asked():
            if event.token.wire == 2:
                key = event.word.args[-1]
                handled.append(key)
                if event.word.event is not Event.EXPINFO:  # which a successor may answer as well
                    assert world.meant_for.get(key) == boot
    assert len(handled) == len(set(handled)), "a message was handled twice"
    alive = world.nodes[CONDUCTOR].machine
    for key in {"info again", "at last", *(event.key for event in alive.heard if hasattr(event, "key"))}:
        told = [kind for kind in alive.told(key) if kind is not Confirmed]
        assert len(told) == 1 or told == [TimedOut, Replied], "an outcome is told once, a late reply after it"


# -- heartbeats and timers of the machine ----------------------------------------------------------------


def test_a_heartbeat_reaches_a_multirig_and_nobody_else():
    beat = Tell(address=RIG, word=STATUS)
    stranger = node("A")
    stranger.handle(beat, 0)
    assert stranger.datagrams_to_send(0) == [], "who was never heard may know wire 1.0 only"
    conductor, rig, nodes = greeted()
    conductor.handle(beat, 5)
    carry(nodes, 5)
    assert [one.word for one in rig.machine.heard if isinstance(one, Told)] == [STATUS]


def test_a_heartbeat_to_a_program_that_has_died_tells_its_sender_of_the_successor():
    conductor, _, nodes = greeted()
    nodes[RIG] = node("R2")
    conductor.handle(Tell(address=RIG, word=STATUS), 5)
    carry(nodes, 5)
    assert [type(one) for one in conductor.machine.heard] == [Upgraded, Rebooted]
    assert nodes[RIG].machine.asked() == []


class Clockwork(Desk):
    """A machine that asks for the status every second."""

    def __init__(self):
        super().__init__()
        self.at = SECOND

    def get_timer(self):
        return self.at

    def handle_timer(self, now):
        self.at = now + SECOND
        return [Send(address=RIG, word=STATUS, key="k")]


def test_a_machine_is_woken_when_it_wants_to_be():
    one = Node(boot="A", name="a", machine=Clockwork(), hears=hear_verbatim)
    assert one.get_timer() == SECOND
    one.handle_timer(SECOND - 1)
    assert one.datagrams_to_send(SECOND - 1) == []
    one.handle_timer(SECOND)
    assert len(one.datagrams_to_send(SECOND)) == 1
    timer = one.get_timer()
    assert timer is not None
    assert SECOND < timer < 2 * SECOND, "the link's own timer is not forgotten"


# -- what is too long for a greeting ---------------------------------------------------------------------


def info_of(data):
    """Answer an EXPINFO with so much."""

    def answer(event):
        if not isinstance(event, Received):
            return []
        if event.word.event is Event.EXPINFO:
            return [Reply(token=event.token, word=Verbatim(Event.EXPINFO, (0, data)))]
        return [Reply(token=event.token, word=Verbatim(event.word.event, ({"status": 20},)))]

    return answer


def test_who_a_rig_is_comes_in_parts_on_wire_2_where_wire_1_has_no_room_for_it():
    said = {"experiment_description": "x" * 30_000, "device": "y" * 30_000}
    conductor, rig = node("C"), node("R", info_of(said))
    conductor.handle(Send(address=RIG, word=INFO, key="k"), 0)
    seen = carry({CONDUCTOR: conductor, RIG: rig})
    assert max(len(data) for _, _, data in seen) <= MAX_CONTENT
    assert all(len(data) < TIMELINE_LIMIT for _, _, data in seen if data[:1] == b"[")
    assert conductor.machine.told("k").count(Replied) == 1
    assert conductor.machine.heard[-1].word.args[1] == said
    assert [event.token.wire for event in rig.machine.asked()] == [1, 2]


def test_a_question_that_is_too_long_greets_first_and_is_asked_on_wire_2():
    question = Verbatim(Event.EXPINFO, (0, {"subject": "x", "experiment_description": "x" * 30_000}))
    conductor, rig = node("C"), node("R", answer_at_once)
    conductor.handle(Send(address=RIG, word=question, key="k"), 0)
    seen = carry({CONDUCTOR: conductor, RIG: rig})
    assert all(len(data) < TIMELINE_LIMIT for _, _, data in seen if data[:1] == b"[")
    assert rig.machine.asked()[-1].word == question
    assert conductor.machine.told("k").count(Replied) == 1


def test_of_a_foreign_peer_a_long_question_is_asked_whole_with_a_warning_once():
    question = Verbatim(Event.EXPINFO, (0, {"subject": "x", "experiment_description": "x" * 3_000}))
    conductor, rig = node("C"), node("R", answer_at_once, greets=False)
    nodes = {CONDUCTOR: conductor, RIG: rig}
    for begin, key in ((0, "k"), (SECOND, "again")):
        conductor.handle(Send(address=RIG, word=question, key=key), begin)
        for now in range(begin, begin + SECOND, 50 * MS):
            for one in nodes.values():
                one.handle_timer(now)
            carry(nodes, now)
        assert conductor.machine.told(key).count(Replied) == 1
    assert len(rig.machine.asked()[-1].word.args[1]["experiment_description"]) == 3_000
    [warning] = [one for one in effects(conductor) if isinstance(one, Oversized)]
    assert str(warning).startswith("EXPINFO to udp://10.0.0.2:11001 has 3,")


@pytest.mark.parametrize("verb", ["take_over", "recover"])
def test_a_question_with_a_verb_of_ours_greets_first_and_is_asked_on_wire_2(verb):
    question = Verbatim(Event.EXPINFO, (0, {"subject": "x", verb: True}))
    conductor, rig = node("C"), node("R", answer_at_once)
    conductor.handle(Send(address=RIG, word=question, key="k"), 0)
    seen = carry({CONDUCTOR: conductor, RIG: rig})
    assert not [data for _, _, data in seen if data[:1] == b"[" and verb.encode() in data]
    assert rig.machine.asked()[-1].word == question
    assert rig.machine.asked()[-1].token.wire == 2
    assert conductor.machine.told("k").count(Replied) == 1


def test_a_peer_that_speaks_wire_1_only_is_asked_without_our_verbs():
    question = Verbatim(Event.EXPINFO, (0, {"subject": "x", "recover": True}))
    conductor, rig = node("C"), node("R", answer_at_once, greets=False)
    nodes = {CONDUCTOR: conductor, RIG: rig}
    conductor.handle(Send(address=RIG, word=question, key="k"), 0)
    for now in range(0, SECOND, 50 * MS):
        for one in nodes.values():
            one.handle_timer(now)
        carry(nodes, now)
    first, last = (event.word.args[1] for event in rig.machine.asked())
    assert first.keys() == {"exp_ref", "main_sync", "subject", "multirig"}
    assert last.keys() == {"subject", "multirig"}
    assert conductor.machine.told("k").count(Replied) == 1


@given(st.text(max_size=300), st.dictionaries(st.text(max_size=8), st.text(max_size=1_500), max_size=3))
def test_a_greeting_stays_below_a_thousand_bytes_whatever_the_names(name, more):
    desk = Desk()
    conductor = Node(boot="c" * 16, name=name, machine=desk, hears=hear_verbatim)
    rig = Node(boot="d" * 16, name=name, machine=Desk(info_of(more)), hears=hear_verbatim)
    conductor.handle(Send(address=RIG, word=Verbatim(Event.EXPINFO, (0, more)), key="k"), 0)
    seen = carry({CONDUCTOR: conductor, RIG: rig})
    assert all(len(data) < TIMELINE_LIMIT for _, _, data in seen if data[:1] == b"[")
    assert all(len(data) <= MAX_CONTENT for _, _, data in seen)
    assert desk.told("k").count(Replied) == 1


def old(one):
    """Let a node be of version 0.1, as the corpus shows it: it knows no parts, nor what a knock may hold."""
    take = one.receive_datagram

    def receive_datagram(data, address, now):
        if data[:1] == b"{":
            held = json.loads(data)
            held.pop("parts", None)
            held.pop("pad", None)
            assert "part" not in held, "0.1 takes a part for a message that is none"
            data = json.dumps(held).encode()
        take(data, address, now)

    one.receive_datagram = receive_datagram
    return one


@pytest.mark.parametrize("who", ["conductor", "rig"])
def test_a_multirig_of_0_1_gets_and_gives_long_messages_as_ever(who):
    said = {"experiment_description": "x" * 30_000}
    conductor, rig = node("C"), node("R", info_of(said))
    old(conductor if who == "conductor" else rig)
    nodes = {CONDUCTOR: conductor, RIG: rig}
    conductor.handle(Send(address=RIG, word=INFO, key="k"), 0)
    carry(nodes)
    assert conductor.machine.heard[-1].word.args[1].items() >= said.items()
    conductor.handle(Send(address=RIG, word=Verbatim(Event.EXPINIT, ("x" * 5_000,)), key="long"), 0)
    carry(nodes)
    assert conductor.machine.told("long")[-1] is Replied
    assert rig.machine.asked()[-1].word.args == ("x" * 5_000,)


def test_an_unfinished_message_of_a_peer_is_forgotten_with_it():
    _, rig, _ = greeted()
    part = {"multirig": 2, "boot": "C", "to": "R", "n": 9, "low": 9, "part": [0, 2], "m": "x"}
    rig.receive_datagram(json.dumps(part).encode(), CONDUCTOR, 0)
    assert rig.peers.sizes()["unfinished"] == 1
    assert rig.get_timer() is not None
    rig.handle(Forget(address=CONDUCTOR), 0)
    assert rig.peers.sizes()["unfinished"] == 0
