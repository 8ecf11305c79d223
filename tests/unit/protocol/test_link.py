"""Wire 2 on two pure links, on a network that loses, doubles, reorders and delays, in virtual time."""

import heapq
import json
import pathlib
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.errors import LocalProtocolError, RemoteProtocolError, VersionMismatch
from multirig.protocol import frames as wire2
from multirig.protocol.clock import MAX_DRIFT
from multirig.protocol.events import (
    SECOND,
    Address,
    Confirmed,
    Ignored,
    Received,
    Refused,
    Replied,
    Send,
    TimedOut,
    Token,
    Told,
    Unreached,
)
from multirig.protocol.link import MAX_OPEN, RECEIPT_DELAY, Link
from multirig.protocol.messages import Event
from multirig.protocol.outbox import CONFIRM_LIMIT, EARLY_RETRY, EXPIRED_KEPT, FIRST_RETRY, LAST_RETRY
from multirig.protocol.words import Complaint, Receipt, Verbatim

MS = SECOND // 1000
HERE, THERE = Address("udp", "10.0.0.1", 11001), Address("udp", "10.0.0.2", 11001)
SCHEMA_FILE = pathlib.Path(__file__).parents[3] / "docs" / "reference" / "wire2.schema.json"
TYPES = {"integer": int, "string": str, "array": list, "object": dict}


def complaints(value, rules, where="frame"):
    """Return what is wrong with a value by the rules of a JSON schema, as far as wire 2 uses them."""
    out = []
    kinds = rules["type"] if isinstance(rules.get("type"), list) else [*filter(None, [rules.get("type")])]
    kind = next((one for one in kinds if type(value) is TYPES[one]), None)
    if kinds and kind is None:
        return [f"{where} is no {' or '.join(kinds)}"]
    if "const" in rules and value != rules["const"]:
        out.append(f"{where} is not {rules['const']}")
    if kind == "integer" and not rules.get("minimum", value) <= value <= rules.get("maximum", value):
        out.append(f"{where} is not between its limits")
    if kind in ("array", "string"):
        least, most = ("minItems", "maxItems") if kind == "array" else ("minLength", "maxLength")
        if not rules.get(least, 0) <= len(value) <= rules.get(most, len(value)):
            out.append(f"{where} has {len(value)} parts")
    if kind == "array" and "items" in rules:
        for index, item in enumerate(value):
            out += complaints(item, rules["items"], f"{where}[{index}]")
    if kind == "object":
        out += [f"{where} lacks {key}" for key in rules.get("required", []) if key not in value]
        for key, others in rules.get("dependentRequired", {}).items():
            out += [
                f"{where} has {key} and lacks {other}"
                for other in others
                if key in value and other not in value
            ]
        for key, inner in rules.get("properties", {}).items():
            if key in value:
                out += complaints(value[key], inner, f"{where}.{key}")
    return out


def read(data):
    """Return a frame that keeps the rules."""
    frame = json.loads(data)
    assert complaints(frame, wire2.schema) == []
    return frame


def events(link):
    out = []
    while (event := link.next_event()) is not None:
        out.append(event)
    return out


def pair(*, reliable=False):
    one = Link(THERE, boot="A", peer="B", reliable=reliable)
    return one, Link(HERE, boot="B", peer="A", reliable=reliable)


def ask(link, key="k", event=Event.EXPSTATUS, now=0, **more):
    """Send a request; return the frames that leave."""
    link.send(Send(address=link.address, word=Verbatim(event, (key,)), key=key, **more), now)
    return frames(link, now)


def frames(link, now):
    return [read(data) for data in link.datagrams_to_send(now)]


def hear(link, *some, now=0):
    """Let frames arrive; return the frames that leave."""
    for frame in some:
        link.receive_frame(frame, now)
    return frames(link, now)


def answer(link, event, now=0, text="done"):
    link.reply(event.token, Verbatim(event.word.event, (text,)), now)
    return frames(link, now)


def tick(link, now):
    """Act on every timer up to now; return the frames that leave, with their times."""
    out = []
    while (at := link.get_timer()) is not None and at <= now:
        link.handle_timer(at)
        after = link.get_timer()
        assert after is None or after > at, "the timer would ring for ever"
        out += [(at, frame) for frame in frames(link, at)]
    return out


# -- the schema ------------------------------------------------------------------------------------------


def test_the_committed_schema_is_the_one_in_the_code():
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == wire2.schema


@pytest.mark.parametrize(
    "frame",
    [
        [],
        {},
        {"multirig": 1, "boot": "a", "to": "b"},
        {"multirig": 2, "boot": "", "to": "b"},
        {"multirig": 2, "boot": "a"},
        {"multirig": 2, "boot": "a", "to": "b", "n": 0, "low": 1, "m": [32]},
        {"multirig": 2, "boot": "a", "to": "b", "n": 1, "m": [32]},
        {"multirig": 2, "boot": "a", "to": "b", "n": 1, "low": 1, "m": []},
        {"multirig": 2, "boot": "a", "to": "b", "re": 1},
        {"multirig": 2, "boot": "a", "to": "b", "ack": ["1"]},
        {"multirig": 2, "boot": "a", "to": "b", "t": []},
        {"multirig": 2, "boot": "a", "to": "b", "t": [1, 2, 3, 4]},
        {"multirig": 2, "boot": "a", "to": "b", "t": [True]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_frame(frame):
    assert complaints(frame, wire2.schema)


def test_the_frame_in_the_documentation_keeps_the_schema():
    assert read(
        '{"multirig": 2, "boot": "9f", "to": "41", "n": 7, "low": 6, "re": 12, "m": [2, "2024-05-06_2_x"], '
        '"ack": [12, 13], "t": [100, 90, 95]}'
    )


# -- one request -----------------------------------------------------------------------------------------


def test_a_request_is_confirmed_by_its_receipt_and_done_by_its_answer():
    one, other = pair()
    [request] = ask(one)
    assert request == {"multirig": 2, "boot": "A", "to": "B", "n": 1, "low": 1, "m": [32, "k"], "t": [0]}
    [receipt] = hear(other, request, now=5)
    assert receipt == {"multirig": 2, "boot": "B", "to": "A", "ack": [1], "t": [5, 0, 5]}
    [received] = events(other)
    assert received == Received(
        address=HERE, word=Verbatim(Event.EXPSTATUS, ("k",)), token=Token(HERE, 2, 1, "A")
    )
    assert hear(one, receipt, now=9) == []
    assert events(one) == [Confirmed(address=THERE, key="k")]
    [reply] = answer(other, received, now=20)
    assert (reply["re"], reply["n"], reply["m"]) == (1, 1, [32, "done"])
    assert hear(one, reply, now=30) == []
    assert events(one) == [Replied(address=THERE, key="k", word=Verbatim(Event.EXPSTATUS, ("done",)))]
    [(at, receipt)] = tick(one, SECOND)
    assert (at, receipt["ack"]) == (30 + RECEIPT_DELAY, [1])
    assert hear(other, receipt, now=at) == []
    assert (one.get_timer(), other.get_timer()) == (None, None)


def test_a_receipt_travels_with_an_answer_that_is_ready_at_once():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [received] = events(other)
    [reply] = answer(other, received)
    assert (reply["re"], reply["ack"]) == (1, [1])
    assert tick(other, FIRST_RETRY - 1) == []


def test_the_receipt_of_an_answer_travels_with_the_next_request():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [reply] = answer(other, events(other)[0])
    assert hear(one, reply, now=1 * MS) == []
    [request] = ask(one, "next", now=2 * MS)
    assert request["ack"] == [1]
    assert tick(one, RECEIPT_DELAY + 5 * MS) == []


def test_an_answer_before_its_receipt_is_the_outcome():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [reply] = answer(other, events(other)[0])
    del reply["ack"]
    hear(one, reply)
    assert [type(event) for event in events(one)] == [Replied]


def test_an_error_is_a_refusal_with_its_text():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [received] = events(other)
    other.reply(received.token, Complaint(text="no camera", about=Event(2)), 0)
    hear(one, *frames(other, 0))
    assert events(one)[-1] == Refused(address=THERE, key="k", reason="no camera")


def test_what_needs_no_reply_is_done_with_its_receipt():
    one, other = pair()
    hear(one, *hear(other, *ask(one, needs_reply=False)))
    assert events(one) == [Replied(address=THERE, key="k", word=Receipt(event=Event.EXPSTATUS))]
    assert one.get_timer() is None


def test_what_is_told_without_a_key_leaves_no_event():
    one, other = pair()
    hear(one, *hear(other, *ask(one, key=None, needs_reply=False)))
    assert events(one) == []


def test_the_receipt_of_an_answer_is_told_to_whoever_gave_it_a_key():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [request] = events(other)
    other.reply(request.token, Verbatim(Event.EXPSTATUS, (20,)), 0, "a")
    hear(one, *frames(other, 0))
    [(_, receipt)] = tick(one, RECEIPT_DELAY)
    hear(other, receipt, now=RECEIPT_DELAY)
    assert [(type(event), event.key) for event in events(other)] == [(Replied, "a")]


# -- time ------------------------------------------------------------------------------------------------


def test_copies_go_out_with_growing_pauses_and_end_at_the_limit():
    link, _ = pair()
    ask(link, limit=10 * SECOND)
    times = [at for at, frame in tick(link, 100 * SECOND)]
    gaps = [after - before for before, after in zip([0, *times], times, strict=False)]
    assert gaps == [FIRST_RETRY, 2 * FIRST_RETRY] + [EARLY_RETRY] * 15
    assert times[-1] < CONFIRM_LIMIT <= times[-1] + EARLY_RETRY
    assert events(link) == [TimedOut(address=THERE, key="k", confirmed=False)]
    assert link.get_timer() is None


def test_a_copy_carries_new_stamps_and_the_same_number():
    link, _ = pair()
    [first] = ask(link)
    [(at, copy)] = tick(link, FIRST_RETRY)
    assert copy == {**first, "t": [at]}


def test_what_is_confirmed_is_not_sent_again_and_times_out_as_confirmed():
    one, other = pair()
    hear(one, *hear(other, *ask(one)))
    assert tick(one, 100 * SECOND) == []
    assert events(one) == [
        Confirmed(address=THERE, key="k"),
        TimedOut(address=THERE, key="k", confirmed=True),
    ]


def test_a_late_answer_still_finds_its_request():
    one, other = pair()
    hear(one, *hear(other, *ask(one, limit=SECOND)))
    [received] = events(other)
    tick(one, 30 * SECOND)
    hear(one, *answer(other, received, now=30 * SECOND), now=30 * SECOND)
    assert [type(event) for event in events(one)] == [Confirmed, TimedOut, Replied]
    tick(one, 300 * SECOND)
    assert one.get_timer() is None


def test_an_answer_is_repeated_until_it_is_confirmed():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [reply] = answer(other, events(other)[0])
    [(at, copy)] = tick(other, FIRST_RETRY)
    assert copy["n"] == reply["n"]
    hear(one, copy, now=at)
    [receipt] = hear(one, reply, now=at)
    hear(other, receipt, now=at)
    assert other.get_timer() is None
    assert [type(event) for event in events(one)] == [Replied]
    assert one.dropped_copies == 1


def test_a_lasting_message_reaches_a_peer_that_was_deaf_for_a_minute():
    one, other = pair()
    ask(one, event=Event.EXPEND, lasting=True)
    tick(one, 60 * SECOND)
    assert [type(event) for event in events(one)] == [TimedOut]
    [(at, copy), *_] = tick(one, 62 * SECOND)
    hear(one, *hear(other, copy, now=at), now=at)
    assert [event.word.event for event in events(other)] == [Event.EXPEND]
    assert tick(one, 300 * SECOND) == []
    assert one.get_timer() is None


def test_a_lasting_message_goes_on_after_the_networks_word_that_nobody_listens():
    one, other = pair()
    ask(one, event=Event.EXPEND, lasting=True)
    for second in range(60):
        tick(one, second * SECOND)
        one.unreachable("nothing listens there", second * SECOND)
    assert events(one) == [Unreached(address=THERE, key="k", reason="nothing listens there")]
    [(at, copy), *_] = tick(one, 62 * SECOND)
    hear(other, copy, now=at)
    assert len(events(other)) == 1


@pytest.mark.parametrize("is_refusal", [False, True])
@pytest.mark.parametrize("reliable", [False, True])
def test_what_is_to_be_done_is_tried_until_its_time_is_up_whatever_the_network_says(is_refusal, reliable):
    one, other = pair(reliable=reliable)
    ask(one, event=Event.EXPSTART)
    for second in range(4):
        tick(one, second * SECOND)
        one.unreachable("no way there", second * SECOND, is_refusal=is_refusal)
    assert events(one) == []
    [(at, copy), *_] = tick(one, 5 * SECOND)
    hear(one, *hear(other, copy, now=at), now=at)
    assert [event.word.event for event in events(other)] == [Event.EXPSTART]
    assert [type(event) for event in events(one)] == [Confirmed]


@pytest.mark.parametrize(("is_refusal", "tries"), [(False, 40), (True, 12)])
def test_where_this_pc_knows_no_way_silence_is_no_sign(is_refusal, tries):
    one, _ = pair()
    ask(one, event=Event.EXPSTART, limit=60 * SECOND)
    for second in range(tries):
        tick(one, second * SECOND)
        one.unreachable("no way there", second * SECOND, is_refusal=is_refusal)
    assert [type(event) for event in events(one)] == ([Unreached] if is_refusal else [])


def test_what_nobody_had_when_its_time_was_up_is_said_with_the_networks_last_word():
    one, _ = pair()
    ask(one)
    one.unreachable("nothing listens there", SECOND)
    one.unreachable("no way there", 2 * SECOND, is_refusal=False)
    tick(one, 60 * SECOND)
    assert events(one) == [Unreached(address=THERE, key="k", reason="no way there")]


def test_a_peer_that_was_heard_since_is_not_called_unreachable():
    one, other = pair()
    ask(one)
    one.unreachable("no way there", SECOND, is_refusal=False)
    hear(one, *ask(other), now=2 * SECOND)
    tick(one, 60 * SECOND)
    assert [event for event in events(one) if isinstance(event, TimedOut | Unreached)] == [
        TimedOut(address=THERE, key="k", confirmed=False)
    ]


def test_a_question_is_not_given_up_where_there_is_no_way_at_the_moment():
    one, _ = pair()
    ask(one, gives_up=True)
    one.unreachable("no way there", SECOND, is_refusal=False)
    assert events(one) == []


def test_w30_when_nobody_listens_a_mere_question_ends_at_once_and_answers_wait():
    one, other = pair()
    hear(one, *hear(other, *ask(one, "confirmed", gives_up=True)))
    hear(one, *ask(other, "of the peer"))
    [received] = [event for event in events(one) if isinstance(event, Received)]
    one.reply(received.token, Verbatim(Event.EXPSTATUS, ("done",)), 0)
    ask(one, "sent", gives_up=True)
    one.send(Send(address=THERE, word=Verbatim(Event.EXPEND), key="unsent", gives_up=True), 0)
    one.unreachable("nothing listens there", 0)
    assert events(one) == [
        Unreached(address=THERE, key=key, reason="nothing listens there")
        for key in ("confirmed", "sent", "unsent")
    ]
    left = tick(one, 20 * SECOND)
    assert left
    assert {frame.get("re") for _, frame in left} == {received.token.number}


def test_a_message_that_cannot_go_is_refused_and_withdraws_nothing():
    link, _ = pair()
    ask(link, "before")
    for bad in ("x" * 600_000, object()):
        message = Verbatim(Event.EXPINTERRUPT, ({"reason": bad},))
        with pytest.raises(LocalProtocolError):
            link.send(Send(address=THERE, word=message, key="bad", overtakes=True), 0)
    assert events(link) == []
    assert frames(link, 0) == []


def test_over_tcp_copies_are_rare():
    link = Link(Address("tcp", "10.0.0.2", 1), boot="A", peer="B", reliable=True)
    ask(link, limit=10 * SECOND)
    assert [at for at, _ in tick(link, 10 * SECOND)] == [LAST_RETRY * n for n in (1, 2, 3)]


# -- copies and interrupts -------------------------------------------------------------------------------


def test_a_copy_is_confirmed_again_and_handled_once():
    one, other = pair()
    [request] = ask(one)
    assert [frame["ack"] for frame in hear(other, request)] == [[1]]
    assert [frame["ack"] for frame in hear(other, request, request, now=1)] == [[1, 1]]
    assert len(events(other)) == 1
    assert other.dropped_copies == 2


def test_an_interrupt_withdraws_what_is_unconfirmed_which_is_never_handled_later():
    one, other = pair()
    hear(one, *hear(other, *ask(one, "confirmed", Event.EXPINIT)))
    [start] = ask(one, "start", Event.EXPSTART)
    [interrupt] = ask(one, "now", Event.EXPINTERRUPT, overtakes=True)
    refused = Refused(address=THERE, key="start", reason="withdrawn for an interrupt")
    assert events(one) == [Confirmed(address=THERE, key="confirmed"), refused]
    hear(other, interrupt, start)
    assert [event.word.event for event in events(other)] == [Event.EXPINIT, Event.EXPINTERRUPT]


def test_an_unconfirmed_answer_does_not_keep_a_withdrawn_request_alive():
    one, other = pair()
    hear(one, *ask(other, "of the peer"))
    answer(one, events(one)[0])
    [start] = ask(one, "start", Event.EXPSTART)
    [interrupt] = ask(one, "now", Event.EXPINTERRUPT, overtakes=True)
    hear(other, interrupt, start)
    assert [event.word.event for event in events(other)] == [Event.EXPINTERRUPT]


def test_what_was_given_up_is_not_handled_after_what_follows_it():
    one, other = pair()
    [start] = ask(one, "start", Event.EXPSTART, limit=SECOND)
    tick(one, 2 * SECOND)
    hear(other, *ask(one, "status", now=2 * SECOND), start, now=3 * SECOND)
    assert [event.word.event for event in events(other)] == [Event.EXPSTATUS]


def test_an_answer_is_heard_even_if_later_messages_have_come_before_it():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [reply] = answer(other, events(other)[0])
    later = ask(other, "later")
    hear(one, *later, reply)
    assert [type(event) for event in events(one)][-1] is Replied


def test_messages_far_ahead_are_ignored_until_the_window_has_moved():
    one, other = pair()
    [request] = ask(one)
    far = {**request, "n": MAX_OPEN + 1}
    assert hear(other, far) == []
    assert [type(event) for event in events(other)] == [Ignored]
    hear(other, {**far, "low": 2})
    assert [type(event) for event in events(other)] == [Received]


# -- bad frames ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0},
        {"n": "1"},
        {"n": True},
        {"n": 1.5},
        {"re": -1},
        {"low": 2},
        {"low": 0},
        {"low": None},
        {"ack": 1},
        {"ack": [1.5]},
        {"ack": [True]},
        {"t": [1, 2, 3, 4]},
        {"t": ["now"]},
        {"t": 7},
    ],
    ids=str,
)
def test_a_frame_that_breaks_the_rules_is_ignored_and_counted(change):
    one, other = pair()
    [request] = ask(one)
    assert hear(other, {**request, **change}, {**request, **change}) == []
    first, second = events(other)
    assert (type(first), first.first, second.first) == (Ignored, True, False)
    assert other.ignored == 2
    hear(other, request)
    assert [type(event) for event in events(other)] == [Received]


@pytest.mark.parametrize("array", [[3], [True, 1], [-1], ["EXPSTOP"], [None], [], None, {}, 7], ids=repr)
def test_w18_an_unknown_event_is_refused_with_its_reason(array):
    one, other = pair()
    [request] = ask(one)
    [error] = hear(other, {**request, "m": array})
    assert (error["re"], error["m"][0]) == (1, 0)
    assert events(other) == []
    hear(one, error)
    assert [type(event) for event in events(one)] == [Confirmed, Refused]


def test_w18_an_answer_that_is_no_message_is_a_refusal():
    one, other = pair()
    other.receive_frame(ask(one)[0], 0)
    [reply] = answer(other, events(other)[0])
    hear(one, {**reply, "m": [7]})
    assert isinstance(events(one)[-1], Refused)


@given(
    frame=st.dictionaries(
        st.sampled_from(["n", "low", "re", "m", "ack", "t", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=5,
        ),
    )
)
def test_no_frame_whatever_it_holds_breaks_the_link(frame):
    link, _ = pair()
    ask(link)
    hear(link, {"multirig": 2, "boot": "B", "to": "A", **frame}, now=5)
    tick(link, 200 * SECOND)
    assert link.get_timer() is None


@pytest.mark.parametrize("version", [1, 3, 0, -2])
def test_a_mismatch_of_versions_is_told(version):
    with pytest.raises(
        VersionMismatch, match=f"speaks wire {version}, this PC speaks wire 2: update the older"
    ):
        wire2.boots({"multirig": version, "boot": "a", "to": "b"})


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"multirig": "2", "boot": "a", "to": "b"},
        {"multirig": None},
        {"multirig": 2},
        {"multirig": 2, "boot": "", "to": "b"},
        {"multirig": 2, "boot": 1, "to": "b"},
        {"multirig": 2, "boot": "a", "to": None},
    ],
    ids=str,
)
def test_another_object_is_no_frame(frame):
    with pytest.raises(RemoteProtocolError, match="no multirig frame"):
        wire2.boots(frame)


def test_the_frame_that_says_who_is_here_keeps_the_schema():
    assert read(wire2.boot_frame("A", "B")) == {"multirig": 2, "boot": "A", "to": "B"}


def test_a_peer_that_has_forgotten_everything_ends_every_request_with_a_refusal():
    one, other = pair()
    hear(one, *hear(other, *ask(one, "confirmed")))
    ask(one, "sent", lasting=True)
    one.lost("the program was restarted")
    assert [(event.key, type(event)) for event in events(one)] == [
        ("confirmed", Confirmed),
        ("confirmed", Refused),
        ("sent", Refused),
    ]
    assert one.get_timer() is None
    assert frames(one, 100 * SECOND) == []


def test_an_answer_for_an_earlier_program_of_the_peer_is_not_sent():
    link, _ = pair()
    link.reply(Token(THERE, 2, 1, "another boot"), Verbatim(Event.EXPSTATUS), 0)
    assert frames(link, 0) == []


# -- walks -----------------------------------------------------------------------------------------------


class Side:
    """One end of the conversation: a link, a clock that is ahead, and what it has been through."""

    def __init__(self, link, ahead):
        self.link = link
        self.ahead = ahead
        self.outcomes = {}
        self.confirmed = Counter()
        self.handled = []
        self.withdrawn = set()


class Walk:
    """Two links and a network between them, in virtual time."""

    def __init__(self, seed, *, loss=0.0, copies=0.0, delay=10 * MS, back=None, ahead=0, deaf_until=0):
        self.random = random.Random(seed)
        self.loss, self.copies, self.deaf_until = loss, copies, deaf_until
        self.delays = (delay, delay if back is None else back)
        one, other = pair()
        self.sides = (Side(one, 0), Side(other, ahead))
        self.now = 0
        self.ticks = 0
        self.queue = []
        self.sent = Counter()

    def later(self, wait, do, *args):
        self.ticks += 1
        heapq.heappush(self.queue, (self.now + wait, self.ticks, do, args))

    def deliver(self, number, frame):
        side = self.sides[number]
        side.link.receive_frame(frame, self.now + side.ahead)
        self.flush(number)

    def ask(self, number, key, **more):
        side = self.sides[number]
        event = Event.EXPINTERRUPT if more.get("overtakes") else Event.EXPSTATUS
        action = Send(address=side.link.address, word=Verbatim(event, (key,)), key=key, **more)
        side.link.send(action, self.now + side.ahead)
        self.flush(number)

    def answer(self, number, event):
        side = self.sides[number]
        side.link.reply(event.token, Verbatim(event.word.event, event.word.args), self.now + side.ahead)
        self.flush(number)

    def flush(self, number):
        side = self.sides[number]
        for event in events(side.link):
            if isinstance(event, Received):
                word: Any = event.word
                side.handled.append(word.args[0])
                self.later(
                    self.random.choice([0, 0, self.random.randrange(3 * SECOND)]), self.answer, number, event
                )
            elif isinstance(event, Confirmed):
                side.confirmed[event.key] += 1
            else:
                side.outcomes.setdefault(event.key, []).append(event)
        for data in side.link.datagrams_to_send(self.now + side.ahead):
            frame = read(data)
            self.sent[(number, frame.get("n"))] += 1
            for _ in range(1 + (self.random.random() < self.copies)):
                if self.random.random() >= self.loss and self.now >= self.deaf_until:
                    wait = self.random.randrange(self.delays[number] + 1)
                    self.later(wait, self.deliver, 1 - number, frame)
        assert side.link.sizes()["open"] <= MAX_OPEN
        assert side.link.sizes()["handled"] <= MAX_OPEN

    def run(self, until=10**18):
        while True:
            timers = [at - side.ahead for side in self.sides if (at := side.link.get_timer()) is not None]
            times = [*timers, *([self.queue[0][0]] if self.queue else [])]
            if not times or min(times) > until:
                return
            self.now = max(self.now, min(times))
            while self.queue and self.queue[0][0] <= self.now:
                _, _, do, args = heapq.heappop(self.queue)
                do(*args)
            for number, side in enumerate(self.sides):
                side.link.handle_timer(self.now + side.ahead)
                at = side.link.get_timer()
                assert at is None or at > self.now + side.ahead, "the timer would ring for ever"
                self.flush(number)

    def check_quiet(self, most=60):
        for side in self.sides:
            sizes = side.link.sizes()
            assert sizes["open"] == sizes["receipts"] == 0
            assert not side.link.datagrams_to_send(self.now + side.ahead)
            assert len(side.handled) == len(set(side.handled)), "a message was handled twice"
            assert max(side.confirmed.values(), default=0) <= 1
        for (_, number), count in self.sent.items():
            assert number is None or count <= most


NETWORKS = st.fixed_dictionaries(
    {
        "loss": st.sampled_from([0, 0.1, 0.3]),
        "copies": st.sampled_from([0, 0.3]),
        "delay": st.sampled_from([1 * MS, 100 * MS, 800 * MS]),
        "back": st.sampled_from([1 * MS, 300 * MS]),
        "ahead": st.sampled_from([0, 10**15, -5 * SECOND]),
    }
)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    network=NETWORKS,
    asked=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2 * SECOND)), min_size=1, max_size=12),
)
def test_on_any_network_every_request_is_handled_exactly_once_and_gets_its_outcome(seed, network, asked):
    walk = Walk(seed, **network)
    for key, (number, at) in enumerate(asked):
        walk.later(at, lambda number=number, key=key: walk.ask(number, key, limit=100 * SECOND))
    walk.run()
    walk.check_quiet()
    for number, side in enumerate(walk.sides):
        mine = {key for key, (who, _) in enumerate(asked) if who == number}
        assert set(walk.sides[1 - number].handled) == mine
        assert {key: [type(one) for one in told] for key, told in side.outcomes.items()} == {
            key: [Replied] for key in mine
        }
        assert all(told[0].word.args == (key,) for key, told in side.outcomes.items())


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    network=NETWORKS,
    before=st.lists(st.integers(0, SECOND), min_size=1, max_size=6),
    at=st.integers(0, SECOND),
    after=st.lists(st.integers(SECOND, 2 * SECOND), max_size=3),
)
def test_on_any_network_an_interrupt_overtakes_and_nothing_withdrawn_is_handled_after_it(
    seed, network, before, at, after
):
    walk = Walk(seed, **network)
    limit = 100 * SECOND
    for key, when in enumerate(before):
        walk.later(when, lambda key=key: walk.ask(0, key, limit=limit))
        walk.later(when, lambda key=key: walk.ask(1, f"of the rig {key}", limit=limit))
    walk.later(at, lambda: walk.ask(0, "interrupt", overtakes=True, limit=limit))
    for key, when in enumerate(after):
        walk.later(when, lambda key=key: walk.ask(0, f"after {key}", limit=limit))
    walk.run()
    walk.check_quiet()
    one, rig = walk.sides
    refused = {key for key, told in one.outcomes.items() if isinstance(told[0], Refused)}
    assert all(before[key] <= at for key in refused)
    late = rig.handled[rig.handled.index("interrupt") :]
    assert not refused & set(late)
    assert {key for key, told in one.outcomes.items() if isinstance(told[0], Replied)} == (
        {*range(len(before)), "interrupt", *(f"after {key}" for key in range(len(after)))} - refused
    )
    assert all(len(told) == 1 for told in one.outcomes.values())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), deaf=st.integers(1, 200), limit=st.integers(0, 30))
def test_a_deaf_peer_gets_what_lasts_and_nothing_else(seed, deaf, limit):
    walk = Walk(seed, deaf_until=deaf * SECOND)
    walk.ask(0, "lasts", lasting=True, limit=limit * SECOND)
    walk.ask(0, "passes", limit=min(limit, deaf - 1) * SECOND)
    walk.run()
    walk.check_quiet(most=deaf // 2 + 2 * limit + 10)
    assert "lasts" in walk.sides[1].handled
    assert "passes" not in walk.sides[1].handled
    assert [type(one) for one in walk.sides[0].outcomes["passes"]] == [TimedOut]
    assert walk.now <= (deaf + 3 + limit) * SECOND + LAST_RETRY + EXPIRED_KEPT + 3 * SECOND


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), network=NETWORKS)
def test_the_offset_of_the_clocks_is_within_its_bound_however_unequal_the_ways(seed, network):
    walk = Walk(seed, **network)
    for key in range(10):
        walk.later(key * 200 * MS, lambda key=key: walk.ask(key % 2, key, limit=100 * SECOND))
    walk.run()
    one, other = walk.sides
    for side, now, true in (
        (one, walk.now, network["ahead"]),
        (other, walk.now + network["ahead"], -network["ahead"]),
    ):
        estimate = side.link.clock.read(now)
        assert estimate is not None
        assert abs(estimate.offset - true) <= estimate.bound
        aged = round(MAX_DRIFT * walk.now)  # where much is lost, the last good reading is a while ago
        assert estimate.bound <= (network["delay"] + network["back"]) // 2 + 1 + aged


def test_a_thousand_requests_at_once_leave_nothing_behind():
    walk = Walk(1, loss=0.1, copies=0.1)
    for key in range(1000):
        walk.sides[0].link.send(
            Send(address=THERE, word=Verbatim(Event.EXPSTATUS, (key,)), key=key, limit=100 * SECOND), 0
        )
    walk.flush(0)
    walk.run()
    walk.check_quiet()
    assert sorted(walk.sides[1].handled) == list(range(1000))
    assert len(walk.sides[1].link._handled) <= MAX_OPEN
    walk.ask(0, "last", limit=100 * SECOND)
    walk.run()
    assert len(walk.sides[1].link._handled) == 1


# -- heartbeats ------------------------------------------------------------------------------------------


def beat(link, text, now=0):
    """Let a heartbeat leave; return its frame."""
    link.tell(Verbatim(Event.EXPSTATUS, (text,)))
    (frame,) = frames(link, now)
    return frame


def test_a_heartbeat_is_told_once_and_wants_no_receipt():
    a, b = pair()
    frame = beat(a, "one")
    assert hear(b, frame) == []
    assert events(b) == [Told(address=HERE, word=Verbatim(Event.EXPSTATUS, ("one",)), boot="A")]
    assert a.get_timer() is None, "it is not repeated"


def test_a_heartbeat_that_was_copied_or_overtaken_is_not_told():
    a, b = pair()
    first, second = beat(a, "one"), beat(a, "two")
    hear(b, second, first, second)
    assert [one.word.args for one in events(b)] == [("two",)]
    assert b.dropped_copies == 2


def test_only_the_newest_heartbeat_leaves_and_takes_the_receipts_along():
    a, b = pair()
    hear(b, *ask(a))
    events(b)
    a.tell(Verbatim(Event.EXPSTATUS, ("old",)))
    b_frames = ask(b, key="other")
    assert "beat" not in b_frames[0]
    b.tell(Verbatim(Event.EXPSTATUS, ("old",)))
    b.tell(Verbatim(Event.EXPSTATUS, ("new",)))
    (frame,) = frames(b, 0)
    assert frame["m"] == [32, "new"]
    assert frame["beat"] == 1


def test_heartbeats_measure_the_clock():
    a, b = pair()
    hear(b, beat(a, "x", now=1000), now=5_000_600)
    hear(a, beat(b, "y", now=5_000_900), now=2100)
    reading = a.clock.read(2100)
    assert reading is not None
    assert reading.offset == 5_000_000 - 800


@pytest.mark.parametrize("number", [0, -1, True, "1", 1.5])
def test_a_heartbeat_with_a_number_that_is_none_is_ignored(number):
    a, b = pair()
    hear(b, {**beat(a, "x"), "beat": number})
    assert [type(one) for one in events(b)] == [Ignored]


def test_a_heartbeat_that_holds_no_message_is_ignored():
    a, b = pair()
    hear(b, {**beat(a, "x"), "m": [77]})
    assert [type(one) for one in events(b)] == [Ignored]
