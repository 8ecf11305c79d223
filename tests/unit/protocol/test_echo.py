"""Wire 1.0 on the pure link: every row of the table of faults that needs no socket."""

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.errors import LocalProtocolError
from multirig.protocol import codec
from multirig.protocol.dialect import hear_rig, hear_verbatim
from multirig.protocol.echo import (
    ANSWER_PAUSE,
    DUPLICATE_WINDOW,
    ECHO_AGAIN_AFTER,
    ECHO_WINDOW,
    EXPIRED_KEPT,
    INFO_EVERY,
    MAX_ECHOES,
    MAX_REMEMBERED,
    MIRROR_PAUSE,
    MOST_QUESTIONS,
    REPLY_PAUSE,
    REST_PAUSE,
    RETRY_AFTER,
    STREAM_PAUSE,
    EchoLink,
)
from multirig.protocol.events import (
    SECOND,
    Address,
    Confirmed,
    Ignored,
    Oversized,
    Received,
    Refused,
    Replied,
    Send,
    TimedOut,
    Token,
    Unreached,
)
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.words import CleanedUp, Complaint, Receipt, Verbatim

PEER = Address("udp", "10.0.0.2", 11001)
MS = SECOND // 1000
START = b'[2, "2024-05-06_2_x", null]'
START_REPLY = b'[2, "2024-05-06_2_x", {"status": 20}]'
STOP = b"[4, null]"


def message(data):
    return hear_verbatim(Message.parse(json.loads(data)))


def request(data, key="k", limit=10 * SECOND, **more):
    return Send(address=PEER, word=message(data), key=key, limit=limit, **more)


def events(link):
    out = []
    while (event := link.next_event()) is not None:
        out.append(event)
    return out


def ask(link, data, now=0, key="k", **more):
    """Send a request; return what leaves."""
    link.send(request(data, key, **more), now)
    return link.datagrams_to_send(now)


def hear(link, *datagrams, now=0):
    """Let the peer's datagrams arrive; return what leaves."""
    for data in datagrams:
        link.receive_datagram(data, now)
    return link.datagrams_to_send(now)


def tick(link, now):
    """Act on every timer up to now; return what leaves, with its times."""
    out = []
    while (at := link.get_timer()) is not None and at <= now:
        link.handle_timer(at)
        after = link.get_timer()
        assert after is None or after > at, "the timer would ring for ever"
        out += [(at, data) for data in link.datagrams_to_send(at)]
    return out


def outcome(key, kind, **more):
    return kind(address=PEER, key=key, **more)


def replied(data, key="k"):
    return outcome(key, Replied, word=message(data))


def received(data, number):
    return Received(address=PEER, word=message(data), token=Token(PEER, 1, number))


# -- one request: four datagrams -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'[1, {"exp_ref": "2024-05-06_2_SP_01"}]',
        b"[1, null]",
        b'[2, "2024-05-06_2_SP_01", null]',
        b'[2, "2024-05-06_2_SP_01", {"k": 1}]',
        b"[4, null]",
        b"[4, []]",
        b'[16, {"error": "X"}]',
        b"[8, null]",
        b"[32, 20]",
        b'[64, 0, {"main_sync": false}]',
        b'[128, "https://alyx.example.org", {"user": {"token": "abc"}}]',
        b"[128, null, {}]",
    ],
)
def test_what_leaves_is_byte_for_byte_what_iblutil_sends_and_echoes(data):
    assert ask(EchoLink(PEER), data) == [data]
    assert hear(EchoLink(PEER), data) == [data]


def test_a_request_is_confirmed_by_its_echo_and_done_by_the_reply_which_is_echoed():
    link = EchoLink(PEER)
    assert ask(link, START) == [START]
    assert hear(link, START, now=1 * MS) == []
    assert events(link) == [outcome("k", Confirmed)]
    assert hear(link, START_REPLY, now=2 * MS) == [START_REPLY]
    assert events(link) == [replied(START_REPLY)]
    assert tick(link, 100 * SECOND) == []
    assert events(link) == []


def test_a_request_of_the_peer_is_echoed_at_once_and_the_reply_waits_for_its_echo():
    link = EchoLink(PEER)
    assert hear(link, START) == [START]
    assert events(link) == [received(START, 1)]
    link.reply(Token(PEER, 1, 1), message(START_REPLY), 15 * MS)
    assert link.datagrams_to_send(15 * MS) == [START_REPLY]
    assert hear(link, START_REPLY, now=16 * MS) == []
    assert tick(link, 100 * SECOND) == []
    assert events(link) == []


def test_a_quick_reply_leaves_a_moment_after_the_echo_since_iblutil_listens_only_then():
    link = EchoLink(PEER)
    hear(link, START)
    link.reply(Token(PEER, 1, 1), message(START_REPLY), MS)
    assert link.datagrams_to_send(MS) == []
    assert tick(link, ANSWER_PAUSE) == [(ANSWER_PAUSE, START_REPLY)]


def test_a_quick_reply_does_not_wait_where_the_peer_listens():
    link = EchoLink(PEER)
    hear(link, START)
    link.reply(Token(PEER, 1, 1), message(START_REPLY), MS, listens=True)
    assert link.datagrams_to_send(MS) == [START_REPLY]


def test_an_interrupt_does_not_wait_for_the_moment_of_a_quick_reply():
    link = EchoLink(PEER)
    hear(link, START)
    link.reply(Token(PEER, 1, 1), message(START_REPLY), MS)
    interrupt = b'[16,{"error":"X"}]'
    assert ask(link, interrupt, overtakes=True, now=MS) == [interrupt]


def test_a_failure_is_told_as_an_error_that_wants_no_echo():
    link = EchoLink(PEER)
    hear(link, START)
    link.fail(Token(PEER, 1, 1), Complaint(text="the disk is full", about=Event(2)))
    assert link.datagrams_to_send(0) == [b'[0, "the disk is full", 2]']
    assert tick(link, 100 * SECOND) == []


@pytest.mark.parametrize("length", [10, 2_000, 200_000])
@pytest.mark.parametrize("letter", ["x", "é", "\N{RAT}", '"'])
def test_the_text_of_a_failure_is_cut_to_what_a_foreign_peer_can_read(length, letter):
    link = EchoLink(PEER)
    hear(link, START)
    link.fail(Token(PEER, 1, 1), Complaint(text=letter * length, about=Event(2)))
    [data] = link.datagrams_to_send(0)
    assert len(data) < 1000
    zero, text, about = json.loads(data)
    assert (zero, about) == (0, 2)
    assert (letter * length).startswith(text)
    assert text


# -- the rows --------------------------------------------------------------------------------------------


def test_w01_the_second_of_two_sends_waits_for_the_echo_of_the_first_and_both_arrive():
    link = EchoLink(PEER)
    assert ask(link, b"[1, null]", key="init") == [b"[1, null]"]
    assert ask(link, START, key="start") == []
    assert hear(link, b"[1, null]", now=1 * MS) == []
    assert tick(link, 100 * MS) == [(1 * MS + REPLY_PAUSE, START)]
    assert hear(link, START, now=100 * MS) == []
    assert hear(link, b"[1, {}]", START_REPLY, now=200 * MS) == [b"[1, {}]", START_REPLY]
    assert events(link) == [
        outcome("init", Confirmed),
        outcome("start", Confirmed),
        replied(b"[1, {}]", "init"),
        replied(START_REPLY, "start"),
    ]


def test_w01_the_second_of_two_sends_follows_the_echo_of_a_quick_reply_to_the_first():
    """iblutil closes for good if anything comes while it waits for the echo of its reply."""
    link = EchoLink(PEER)
    ask(link, b"[32, 0]", key="status")
    ask(link, b"[8, null]", key="cleanup")
    assert hear(link, b"[32, 0]", now=1 * MS) == []
    assert hear(link, b"[32, 20]", now=2 * MS) == [b"[32, 20]"]
    assert tick(link, SECOND // 10) == [(2 * MS + REST_PAUSE, b"[8, null]")]


@pytest.mark.parametrize("is_queued", [True, False])
def test_a_peer_has_time_to_listen_anew_after_its_reply_before_the_next_message(is_queued):
    """iblrig's services listen for one message at a time, and hear nothing in between."""
    link = EchoLink(PEER)
    ask(link, b"[32, 0]", key="status")
    hear(link, b"[32, 0]", now=1 * MS)
    if is_queued:
        assert ask(link, b"[8, null]", key="cleanup", now=1 * MS) == []
    assert hear(link, b"[32, 20]", now=200 * MS) == [b"[32, 20]"]
    if not is_queued:
        assert ask(link, b"[8, null]", key="cleanup", now=201 * MS) == []
    assert tick(link, SECOND // 4)[0] == (200 * MS + REST_PAUSE, b"[8, null]" if is_queued else b"[8,null]")


def test_w01_a_send_goes_out_although_the_one_before_it_is_never_echoed():
    link = EchoLink(PEER)
    ask(link, b"[1, null]", key="init")
    ask(link, START, key="start", limit=30 * SECOND)
    left = [data for _, data in tick(link, 10 * SECOND)]
    assert left[: len(RETRY_AFTER)] == [b"[1, null]"] * (len(RETRY_AFTER) - 1) + [START]
    assert events(link)[0] == outcome("init", TimedOut, confirmed=False)


def test_w02_a_duplicate_command_is_echoed_again_and_handled_once():
    """Not at once, since that is the network's copy, and iblutil takes a second echo for the reply."""
    link = EchoLink(PEER)
    assert hear(link, START, START) == [START]
    assert hear(link, START, now=ECHO_AGAIN_AFTER) == [START]
    assert events(link) == [received(START, 1)]
    assert link.dropped_copies == 2
    link.reply(Token(PEER, 1, 1), message(START_REPLY), 500 * MS)
    assert link.datagrams_to_send(500 * MS) == [START_REPLY]
    assert hear(link, START_REPLY, now=501 * MS) == []
    assert events(link) == []


def test_w02_a_duplicate_of_what_wants_no_answer_is_handled_once():
    link = EchoLink(PEER)
    assert hear(link, b"[32, 20]") == [b"[32, 20]"]
    link.settle(Token(PEER, 1, 1))
    assert hear(link, b"[32, 20]", now=1 * MS) == []
    assert hear(link, b"[32, 20]", now=400 * MS) == [b"[32, 20]"]
    assert events(link) == [received(b"[32, 20]", 1)]


def test_w02_a_duplicate_of_what_has_just_failed_gets_the_same_failure_again():
    link = EchoLink(PEER)
    hear(link, START)
    link.fail(Token(PEER, 1, 1), Complaint(text="no", about=Event(2)))
    assert link.datagrams_to_send(0) == [b'[0, "no", 2]']
    assert hear(link, START, now=1 * MS) == []
    assert hear(link, START, now=400 * MS) == [START, b'[0, "no", 2]']
    assert events(link) == [received(START, 1)]


def test_w02_the_same_command_after_another_one_is_a_new_one():
    """EXPINIT fails, EXPCLEANUP, EXPINIT again: all within a moment."""
    link = EchoLink(PEER)
    hear(link, b"[1, null]")
    link.fail(Token(PEER, 1, 1), Complaint(text="clean up first", about=Event(1)))
    hear(link, b"[8, null]", now=1 * MS)
    link.reply(Token(PEER, 1, 2), message(b"[8, {}]"), 1 * MS)
    link.datagrams_to_send(1 * MS)
    assert tick(link, 11 * MS) == [(11 * MS, b"[8, {}]")]
    hear(link, b"[8, {}]", now=12 * MS)
    assert hear(link, b"[1, null]", now=150 * MS) == [b"[1, null]"]
    assert events(link) == [received(b"[1, null]", 1), received(b"[8, null]", 2), received(b"[1, null]", 3)]


def test_w02_statuses_told_in_quick_turns_are_all_heard():
    link = EchoLink(PEER)
    for number, data in enumerate([b"[32, 20]", b"[32, 30]", b"[32, 20]"], start=1):
        assert hear(link, data, now=number * 60 * MS) == [data]
        link.settle(Token(PEER, 1, number))
    assert [event.word.args for event in events(link)] == [(20,), (30,), (20,)]


def test_w02_the_same_question_again_and_again_is_answered_each_time():
    """A conductor that polls as fast as it can: no time lies between an answer and its next question."""
    link, now = EchoLink(PEER), 0
    for number in range(1, 101):
        assert hear(link, STOP, now=now) == [STOP]
        assert events(link) == [received(STOP, number)]
        now += ANSWER_PAUSE
        link.reply(Token(PEER, 1, number), message(b'[4, {"status": 30}]'), now)
        assert link.datagrams_to_send(now) == [b'[4, {"status": 30}]']
        assert hear(link, b'[4, {"status": 30}]', now=now) == []


@pytest.mark.parametrize(("question", "answer"), [(b"[32, 0]", b"[32,0]"), (b"[32,0]", b"[32, 0]")])
def test_w02_a_status_question_is_answered_in_other_bytes_than_its_own(question, answer):
    """``[32, 0]`` is answered by ``[32,0]``, else nobody could tell the answer from an echo."""
    link, now = EchoLink(PEER), 0
    for number in range(1, 7):
        assert hear(link, question, now=now) == [question]
        now += ANSWER_PAUSE
        link.reply(Token(PEER, 1, number), Verbatim(Event.EXPSTATUS, (0,)), now)
        assert link.datagrams_to_send(now) == [answer]
        assert hear(link, answer, now=now) == []
    assert len(events(link)) == 6


def test_w02_a_command_still_unanswered_after_seconds_is_somebody_asking_again():
    link = EchoLink(PEER)
    hear(link, STOP)
    assert hear(link, STOP, now=DUPLICATE_WINDOW + 1) == [STOP]
    assert events(link) == [received(STOP, 1), received(STOP, 2)]


@pytest.mark.parametrize("data", [START, STOP, b"[1, null]", b"[32, 0]", b'[64, 0, {"subject": "x"}]'])
def test_w03_a_duplicate_echo_after_the_reply_is_dropped_counted_and_not_echoed(data):
    link = EchoLink(PEER)
    ask(link, data)
    assert hear(link, data, now=1 * MS) == []
    reply = b'[%d, {"done": true}]' % json.loads(data)[0]
    assert hear(link, reply, now=2 * MS) == [reply]
    assert hear(link, data, data, now=3 * MS) == []
    assert link.dropped_copies == 2
    assert events(link) == [outcome("k", Confirmed), replied(reply)]


def test_w03_an_echo_for_each_copy_is_an_echo_and_never_the_reply():
    """A peer that stalls finds all our copies at once."""
    link = EchoLink(PEER)
    ask(link, START)
    copies = 1 + len(tick(link, 1300 * MS))
    assert copies == 3
    assert hear(link, *[START] * copies, now=2 * SECOND) == []
    assert events(link) == [outcome("k", Confirmed)]
    assert hear(link, START_REPLY, now=2 * SECOND) == [START_REPLY]
    assert events(link) == [replied(START_REPLY)]


@pytest.mark.parametrize("late", [20 * MS, 3 * SECOND])
def test_w03_the_late_echo_of_an_earlier_copy_is_no_reply_of_a_peer_that_writes_otherwise(late):
    """A rig's PC stands still for half a second as it begins to record, and then echoes both copies."""
    link = EchoLink(PEER)
    hear(link, b"[32, 0]")
    events(link)
    start = START.replace(b" ", b"")
    assert ask(link, START) == [start]
    assert tick(link, 500 * MS) == [(400 * MS, start)]
    assert hear(link, start, now=401 * MS) == []
    assert tick(link, 401 * MS + late) == []
    assert hear(link, start, now=401 * MS + late) == []
    assert tick(link, 5 * SECOND) == []
    assert events(link) == [outcome("k", Confirmed)]
    assert hear(link, START_REPLY, now=6 * SECOND) == [START_REPLY]
    assert events(link) == [replied(START_REPLY)]


def test_w03_the_echo_of_our_own_info_that_comes_seconds_late_is_no_answer_to_the_next_one():
    """Taken for an answer, it would speak for a rig: not as a main sync, though it is one."""
    link = EchoLink(PEER)
    first = b'[64, 0, {"multirig": {"wire": 2, "boot": "b"}}]'
    ask(link, first, key="first")
    assert tick(link, 400 * MS) == [(400 * MS, first)]
    answer = b'[64, 0, {"main_sync": true}]'
    assert hear(link, first, now=402 * MS) == []
    assert hear(link, answer, now=410 * MS) == [answer]
    assert ask(link, first, now=4 * SECOND, key="second") == [first.replace(b" ", b"")]
    assert hear(link, first.replace(b" ", b""), now=4 * SECOND + MS) == []
    events(link)
    assert hear(link, first, now=4 * SECOND + 300 * MS) == []
    assert events(link) == []


def test_w03_our_own_info_sent_back_again_and_again_is_never_an_answer():
    """It holds our greeting; whoever sends it back has only echoed it."""
    link = EchoLink(PEER)
    data = b'[64, 0, {"multirig": {"wire": 2, "boot": "b"}}]'
    ask(link, data)
    assert hear(link, *[data] * 5, now=1 * MS) == []
    assert events(link) == [outcome("k", Confirmed)]


class Parrot:
    """What iblutil is after an unawaited send(): it takes every echo for a message and echoes it."""

    def __init__(self, link, answer):
        self.link = link
        self.answer = answer
        self.handled = 0

    def talk(self, *datagrams, now=0):
        """Let them talk until it is quiet; return how many datagrams we have sent."""
        said = 0
        waiting = list(datagrams)
        while waiting:
            assert said < 50, "they would talk for ever"
            self.link.receive_datagram(waiting.pop(0), now)
            for event in events(self.link):
                if isinstance(event, Received):
                    self.handled += 1
                    self.answer(self.link, event, now)
            now += MS
            for data in self.link.datagrams_to_send(now):
                said += 1
                if not data.startswith(b"[0"):
                    waiting.append(data)
        return said


def answer_at_once(link, event, now):
    link.reply(event.token, Verbatim(event.word.event, ({"status": 20},)), now)


def fail_at_once(link, event, now):
    link.fail(event.token, Complaint(text="no", about=Event(2)))


def take_note(link, event, now):
    link.settle(event.token)


def be_busy(link, event, now):
    pass


@pytest.mark.parametrize("answer", [answer_at_once, fail_at_once, take_note, be_busy])
@pytest.mark.parametrize(
    "messages", [[START], [b"[32, 20]"], [START, b"[32, 20]"], [STOP, START, b"[8, null]"]]
)
def test_w04_an_unawaited_send_of_an_idle_peer_does_not_end_in_ping_pong(answer, messages):
    parrot = Parrot(EchoLink(PEER), answer)
    said = parrot.talk(*messages)
    assert said <= 4 * len(messages)
    assert len(messages) <= parrot.handled <= 2 * len(messages)


def test_w04_an_echo_that_is_echoed_stops_at_us():
    link = EchoLink(PEER)
    ask(link, STOP, needs_reply=False)
    assert Parrot(link, be_busy).talk(STOP, now=1 * MS) == 0


def test_w05_one_lost_datagram_is_sent_again_and_the_conversation_survives():
    link = EchoLink(PEER)
    ask(link, START)
    assert tick(link, 500 * MS) == [(400 * MS, START)]
    assert hear(link, START, now=501 * MS) == []
    assert hear(link, START_REPLY, now=502 * MS) == [START_REPLY]
    assert events(link) == [outcome("k", Confirmed), replied(START_REPLY)]


def test_w05_after_a_lost_datagram_the_reply_may_still_be_the_bytes_of_the_request():
    """iblutil's rigs answer so. The echo that comes right after the second copy is the second copy's: the
    first is lost, and what comes next is the reply, which must be echoed or iblutil closes for good."""
    link = EchoLink(PEER)
    ask(link, STOP)
    assert tick(link, 500 * MS) == [(400 * MS, STOP)]
    assert hear(link, STOP, now=401 * MS) == []
    assert hear(link, STOP, now=405 * MS) == [STOP]
    assert events(link) == [outcome("k", Confirmed), replied(STOP)]


def test_w05_copies_are_few_and_far_apart():
    link = EchoLink(PEER)
    ask(link, START, limit=60 * SECOND)
    times = [at for at, data in tick(link, 60 * SECOND)]
    assert times == list(itertools.accumulate(RETRY_AFTER[:-1]))
    assert events(link) == [outcome("k", TimedOut, confirmed=False)]


def test_w03_two_that_take_an_echo_for_a_message_stop_also_over_a_slow_line():
    one, other = EchoLink(PEER), EchoLink(PEER)
    flying, count, now = hear(one, START), 0, 0
    while flying and count < 100:
        one, other, now, count = other, one, now + 60 * MS, count + 1
        flying = hear(one, *flying, now=now)
    assert count <= 3


def test_w05_a_question_that_changes_nothing_is_repeated_until_its_time_is_up():
    link = EchoLink(PEER)
    ask(link, b"[64, 0, {}]", limit=10 * SECOND)
    copies = tick(link, 100 * SECOND)
    assert [at for at, _ in copies] == [INFO_EVERY * number for number in range(1, 25)]
    assert events(link) == [outcome("k", TimedOut, confirmed=False)]


def test_w05_an_answer_to_a_peer_that_listens_is_repeated_for_as_long_as_it_may_wait():
    link = EchoLink(PEER)
    hear(link, b"[64, 0, {}]")
    events(link)
    link.reply(Token(PEER, 1, 1), message(b'[64, 0, {"main_sync": true}]'), 0, listens=True)
    link.datagrams_to_send(0)
    copies = tick(link, 100 * SECOND)
    assert [at for at, _ in copies] == [INFO_EVERY * number for number in range(1, 25)]


def test_w05_a_reply_is_repeated_until_the_peer_has_echoed_it():
    link = EchoLink(PEER)
    hear(link, STOP)
    events(link)
    link.reply(Token(PEER, 1, 1), message(b"[4, {}]"), ANSWER_PAUSE)
    assert link.datagrams_to_send(ANSWER_PAUSE) == [b"[4, {}]"]
    assert tick(link, 500 * MS) == [(400 * MS + ANSWER_PAUSE, b"[4, {}]")]
    assert hear(link, b"[4, {}]", now=501 * MS) == []
    assert tick(link, 60 * SECOND) == []


def test_w05_after_a_message_that_nobody_heard_the_next_goes_through():
    link = EchoLink(PEER)
    ask(link, START, key="lost")
    tick(link, 20 * SECOND)
    assert ask(link, STOP, key="stop", now=20 * SECOND) == [STOP]
    hear(link, STOP, b"[4, {}]", now=20 * SECOND + MS)
    assert events(link) == [
        outcome("lost", TimedOut, confirmed=False),
        outcome("stop", Confirmed),
        replied(b"[4, {}]", "stop"),
    ]


def test_w05_a_question_repeated_after_one_that_nobody_heard_has_its_answer_at_once():
    """The rig was off, was switched on, and is asked the same again: the answer is to the second."""
    link = EchoLink(PEER)
    info = b'[64, 0, {"subject": "x"}]'
    ask(link, info, key="off")
    tick(link, 20 * SECOND)
    assert ask(link, info, key="on", now=20 * SECOND) == [info]
    hear(link, info, now=20 * SECOND + 200 * MS)
    hear(link, b'[64, 20, {"main_sync": true}]', now=20 * SECOND + 201 * MS)
    assert events(link) == [
        outcome("off", TimedOut, confirmed=False),
        outcome("on", Confirmed),
        replied(b'[64, 20, {"main_sync": true}]', "on"),
    ]


@pytest.mark.parametrize("late", [2 * SECOND, 5 * SECOND, 30 * SECOND])
def test_w06_a_late_echo_is_reconciled_and_neither_echoed_nor_taken_for_the_reply(late):
    link = EchoLink(PEER)
    ask(link, START)
    copies = 1 + len(tick(link, late))
    events(link)
    assert hear(link, *[START] * copies, now=late) == []
    assert [event for event in events(link) if not isinstance(event, Confirmed)] == []
    assert hear(link, START_REPLY, now=late + SECOND) == [START_REPLY]
    assert replied(START_REPLY) in events(link)


def test_w06_a_late_echo_of_a_given_up_message_is_not_the_reply_to_its_repetition():
    link = EchoLink(PEER)
    ask(link, STOP, key="first")
    tick(link, 6 * SECOND)
    ask(link, STOP, key="second", now=6 * SECOND)
    assert hear(link, *[STOP] * 5, now=6 * SECOND + 100 * MS) == []
    assert events(link) == [outcome("first", TimedOut, confirmed=False), outcome("second", Confirmed)]


def test_w06_long_after_our_message_the_same_bytes_are_the_peers_own():
    link = EchoLink(PEER)
    ask(link, STOP, needs_reply=False)
    hear(link, STOP, now=1 * MS)
    events(link)
    assert hear(link, STOP, now=2 * MS + ECHO_WINDOW) == [STOP]
    assert events(link) == [received(STOP, 1)]


def test_w07_the_peers_own_message_before_the_echo_is_handled_too():
    link = EchoLink(PEER)
    ask(link, START)
    assert hear(link, b"[32, 10]", now=1 * MS) == [b"[32, 10]"]
    assert hear(link, START, START_REPLY, now=2 * MS) == [START_REPLY]
    assert events(link) == [received(b"[32, 10]", 1), outcome("k", Confirmed), replied(START_REPLY)]


def test_w08_a_reply_that_overtakes_its_echo_counts_as_receipt():
    link = EchoLink(PEER)
    ask(link, START)
    assert hear(link, START_REPLY, now=1 * MS) == [START_REPLY]
    assert events(link) == [outcome("k", Confirmed), replied(START_REPLY)]
    assert hear(link, START, now=2 * MS) == []
    assert tick(link, 100 * SECOND) == []
    assert events(link) == []


def test_w08_a_reply_that_overtakes_its_echo_lets_the_next_message_go():
    link = EchoLink(PEER)
    ask(link, START)
    ask(link, b"[8, null]", key="next")
    assert hear(link, START_REPLY, now=1 * MS) == [START_REPLY]
    assert tick(link, SECOND // 10) == [(1 * MS + REST_PAUSE, b"[8, null]")]


@pytest.mark.parametrize(
    "error", [b'[0, "ValueError: boom", 2]', b'[0, "ValueError: boom"]', b'[0,"ValueError: boom"]']
)
def test_w09_an_error_before_the_echo_is_the_outcome_at_once_with_its_text(error):
    link = EchoLink(PEER)
    ask(link, START)
    assert hear(link, error, now=1 * MS) == []
    assert events(link) == [outcome("k", Refused, reason="ValueError: boom")]
    assert hear(link, START, now=2 * MS) == []
    assert tick(link, 100 * SECOND) == []
    assert events(link) == []


def test_w09_an_error_after_the_echo_is_the_outcome_too():
    link = EchoLink(PEER)
    ask(link, START)
    assert hear(link, START, b'[0, "ValueError: boom", 2]', now=1 * MS) == []
    assert events(link) == [outcome("k", Confirmed), outcome("k", Refused, reason="ValueError: boom")]


def test_w10_the_peers_message_with_the_bytes_of_ours_is_told_from_the_echo_by_their_number():
    link = EchoLink(PEER)
    ask(link, STOP)
    assert hear(link, STOP, now=1 * MS) == []
    assert events(link) == [outcome("k", Confirmed)]
    assert hear(link, STOP, now=2 * MS) == [STOP]
    assert events(link) == [replied(STOP)]


@pytest.mark.parametrize(
    "data", [START, STOP, b"[1, null]", b"[8, null]", b'[16, {"error": "X"}]', b"[32, 0]"]
)
def test_w10_a_peer_may_answer_with_the_bytes_of_the_request(data):
    link = EchoLink(PEER)
    ask(link, data)
    assert hear(link, data, data, now=1 * MS) == [data]
    assert events(link) == [outcome("k", Confirmed), replied(data)]
    assert hear(link, data, now=2 * MS) == []


def test_w10_a_peer_may_answer_with_the_bytes_of_an_earlier_request_of_ours():
    link = EchoLink(PEER)
    ask(link, b"[32, 0]", key="first")
    hear(link, b"[32, 0]", b"[32, 0]", now=1 * MS)
    assert ask(link, b"[32, 3]", key="second", now=40 * MS) == [b"[32,3]"]
    assert hear(link, b"[32,3]", b"[32, 0]", now=41 * MS) == [b"[32, 0]"]
    assert events(link)[-1] == replied(b"[32, 0]", "second")


@pytest.mark.parametrize(("spaced", "compact"), [(b"[4, null]", b"[4,null]")])
@pytest.mark.parametrize("peer_writes_spaces", [True, False])
def test_w10_we_write_the_other_way_than_the_peer_so_that_its_words_never_look_like_our_echo(
    spaced, compact, peer_writes_spaces
):
    link = EchoLink(PEER)
    ours, theirs = (compact, spaced) if peer_writes_spaces else (spaced, compact)
    hear(link, b"[32, 0]" if peer_writes_spaces else b"[32,0]")
    link.settle(Token(PEER, 1, 1))
    assert ask(link, spaced, now=MS) == [ours]
    tick(link, 500 * MS)
    assert hear(link, ours, ours, ours, now=501 * MS) == []
    assert hear(link, theirs, now=502 * MS) == [theirs]
    assert [type(event) for event in events(link)][1:] == [Confirmed, Replied]


def test_w10_a_peer_that_sends_the_request_back_as_its_reply_is_understood_however_it_writes_otherwise():
    """The first time it takes a moment, since another reply would prove it a copy of the echo."""
    link = EchoLink(PEER)
    hear(link, b"[32, 0]")
    link.settle(Token(PEER, 1, 1))
    events(link)
    ours = b"[4,null]"
    assert ask(link, STOP, key="first", now=MS) == [ours]
    assert hear(link, ours, ours, now=2 * MS) == []
    assert events(link) == [outcome("first", Confirmed)]
    assert tick(link, SECOND) == [(2 * MS + MIRROR_PAUSE, ours)]
    assert events(link) == [replied(STOP, "first")]
    ask(link, STOP, key="second", now=SECOND)
    assert hear(link, ours, ours, now=SECOND + MS) == [ours]
    assert events(link) == [outcome("second", Confirmed), replied(STOP, "second")]


def test_w03_a_copy_of_the_echo_before_the_reply_is_dropped_counted_and_not_echoed():
    link = EchoLink(PEER)
    hear(link, b"[32, 0]")
    link.settle(Token(PEER, 1, 1))
    events(link)
    ask(link, STOP, now=MS)
    assert hear(link, b"[4,null]", b"[4,null]", b"[4,null]", now=2 * MS) == []
    assert hear(link, b'[4, {"status": 30}]', now=100 * MS) == [b'[4, {"status": 30}]']
    assert events(link) == [outcome("k", Confirmed), replied(b'[4, {"status": 30}]')]
    assert link.dropped_copies == 2
    assert tick(link, 100 * SECOND) == []


def test_the_next_message_waits_until_it_is_clear_whether_the_last_is_answered():
    link = EchoLink(PEER)
    hear(link, b"[32, 0]")
    link.settle(Token(PEER, 1, 1))
    ask(link, STOP, now=MS)
    ask(link, b"[8, null]", key="next", now=MS)
    assert hear(link, b"[4,null]", b"[4,null]", now=2 * MS) == []
    assert [data for _, data in tick(link, 400 * MS)] == [b"[4,null]", b"[8,null]"]


def test_w08_a_reply_in_the_same_words_counts_as_receipt_when_its_echo_is_lost():
    link = EchoLink(PEER)
    hear(link, b"[32, 0]")
    link.settle(Token(PEER, 1, 1))
    assert ask(link, STOP, now=MS) == [b"[4,null]"]
    assert hear(link, STOP, now=2 * MS) == [STOP]
    assert events(link)[1:] == [outcome("k", Confirmed), replied(STOP)]


@pytest.mark.parametrize("size", [65_507, 65_508, 200_000])
def test_w16_what_does_not_fit_into_a_datagram_is_refused_before_sending_with_size_and_limit(size):
    link = EchoLink(PEER)
    action = Send(address=PEER, word=Verbatim(Event.EXPEND, ("x" * (size - len('[4, ""]')),)), key="k")
    if size <= codec.MAX_DATAGRAM:
        link.send(action, 0)
        assert [len(data) for data in link.datagrams_to_send(0)] == [size]
        return
    with pytest.raises(LocalProtocolError, match=f"EXPEND has {size:,} bytes, the limit is 65,507"):
        link.send(action, 0)
    assert link.datagrams_to_send(0) == []
    assert events(link) == []
    assert ask(link, STOP) == [STOP]


def test_w16_a_refused_message_withdraws_nothing():
    link = EchoLink(PEER)
    ask(link, START)
    with pytest.raises(LocalProtocolError):
        link.send(request(b'[16, "%s"]' % (b"x" * 70_000), overtakes=True), 0)
    assert events(link) == []


def test_w16_over_tcp_a_megabyte_is_no_matter():
    link = EchoLink(Address("tcp", "10.0.0.2", 11001), reliable=True)
    data = b'[4, "%s"]' % (b"x" * 1_000_000)
    assert ask(link, data) == [data]


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"[", b"1", b"null", b'"EXPINIT"', b"{}", b"[]", b"\xff", b"[1, \xe9]", b"EXPSTART x 1"],
)
def test_w17_what_is_no_message_is_counted_and_ignored(data):
    link = EchoLink(PEER)
    assert hear(link, data, data) == []
    first, second = events(link)
    assert isinstance(first, Ignored)
    assert (first.first, second.first) == (True, False)
    assert link.ignored == 2
    assert link.get_timer() is None


@given(data=st.binary(max_size=60))
def test_w17_no_datagram_raises_or_is_confirmed_unless_it_is_a_message(data):
    link = EchoLink(PEER)
    out = hear(link, data)
    assert data not in out or any(isinstance(event, Received) for event in events(link))


@pytest.mark.parametrize(
    "data",
    [
        b"[3, null]",
        b"[true, 1]",
        b"[1.0, 1]",
        b"[-1]",
        b"[256, 1]",
        b'["EXPSTOP"]',
        b"[null, 1]",
        b"[[1]]",
        b"[{}]",
    ],
)
def test_w18_an_unknown_event_is_not_confirmed_and_gets_an_error(data):
    link = EchoLink(PEER)
    [error] = hear(link, data)
    zero, text, about = json.loads(error)
    assert (zero, about) == (0, 0)
    assert text.startswith("unknown event")
    assert [type(event) for event in events(link)] == [Ignored]


@pytest.mark.parametrize("name", ["x" * 60_000, "é" * 30_000, '"' * 30_000])
def test_w18_the_error_for_an_unknown_event_is_short_however_long_the_event_is(name):
    [error] = hear(EchoLink(PEER), json.dumps([name]).encode())
    assert len(error) < 1000


def test_w18_two_multirigs_do_not_answer_each_others_errors():
    one, other = EchoLink(PEER), EchoLink(PEER)
    [error] = hear(one, b"[3]")
    assert hear(other, error) == []


def test_w20_an_error_without_its_event_belongs_to_what_was_asked():
    link = EchoLink(PEER)
    ask(link, START)
    hear(link, START)
    assert hear(link, b'[0, "e"]') == []
    assert events(link) == [outcome("k", Confirmed), outcome("k", Refused, reason="e")]


@pytest.mark.parametrize(
    "data", [b'[0, "e"]', b"[0]", b'[0, "e", 2]', b'[0, "e", "EXPSTART"]', b"[0, null, {}]"]
)
def test_w20_an_error_when_nothing_was_asked_is_told_by_the_peer_itself_and_not_echoed(data):
    link = EchoLink(PEER)
    assert hear(link, data, data) == []
    assert events(link) == [received(data, 1), received(data, 2)]
    link.settle(Token(PEER, 1, 1))
    assert link.datagrams_to_send(0) == []


def test_w20_an_error_about_another_event_leaves_a_request_alone():
    link = EchoLink(PEER)
    ask(link, b'[64, 0, {"subject": "x"}]')
    assert hear(link, b'[0, "late: the start failed", 2]') == []
    assert events(link) == [received(b'[0, "late: the start failed", 2]', 1)]


def test_w20_an_event_alone_is_a_message_without_arguments():
    link = EchoLink(PEER)
    assert hear(link, b"[32]") == [b"[32]"]
    assert events(link) == [received(b"[32]", 1)]
    assert hear(link, b"[null, 1]") != [b"[null, 1]"]


def test_w27_a_late_reply_belongs_to_its_own_request_and_not_to_the_next():
    link = EchoLink(PEER)
    first, second = b'[1, {"exp_ref": "2024-05-06_1_x"}]', b'[1, {"exp_ref": "2024-05-06_2_x"}]'
    ask(link, first, key="first", limit=2 * SECOND)
    hear(link, first, now=1 * MS)
    tick(link, 3 * SECOND)
    ask(link, second, key="second", now=3 * SECOND)
    hear(link, second, now=3 * SECOND + MS)
    events(link)
    late = b'[1, {"exp_ref": "2024-05-06_1_x", "status": 10}]'
    assert hear(link, late, now=4 * SECOND) == [late]
    assert events(link) == [replied(late, "first")]
    own = b'[1, {"exp_ref": "2024-05-06_002_x", "status": 10}]'
    assert hear(link, own, now=5 * SECOND) == [own]
    assert events(link) == [replied(own, "second")]


def test_w27_a_reply_that_names_its_experiment_finds_its_request_before_an_older_one():
    link = EchoLink(PEER)
    first, second = b'[1, {"exp_ref": "2024-05-06_1_x"}]', b'[1, {"exp_ref": "2024-05-06_2_x"}]'
    ask(link, first, key="first", limit=2 * SECOND)
    hear(link, first, now=1 * MS)
    tick(link, 3 * SECOND)
    ask(link, second, key="second", now=3 * SECOND)
    hear(link, second, now=3 * SECOND + MS)
    events(link)
    hear(link, b'[1, {"exp_ref": "2024-05-06_002_x"}]', now=4 * SECOND)
    assert [event.key for event in events(link)] == ["second"]


def test_w27_one_reply_to_two_equal_requests_answers_both_in_the_end():
    """The first was heard and its rig died; the second is answered: who can tell? At its limit it is done."""
    link = EchoLink(PEER)
    for number, key in enumerate(["first", "second"]):
        at = number * 3 * SECOND
        ask(link, STOP, key=key, limit=2 * SECOND, now=at)
        hear(link, STOP, now=at + MS)
        if not number:
            tick(link, at + 3 * SECOND)
    hear(link, b"[4, {}]", now=4 * SECOND)
    tick(link, 6 * SECOND)
    assert events(link) == [
        outcome("first", Confirmed),
        outcome("first", TimedOut, confirmed=True),
        outcome("second", Confirmed),
        replied(b"[4, {}]", "first"),
        replied(b"[4, {}]", "second"),
    ]


def test_w27_a_late_error_belongs_to_its_own_request():
    link = EchoLink(PEER)
    ask(link, START, key="start", limit=2 * SECOND)
    hear(link, START, now=1 * MS)
    tick(link, 3 * SECOND)
    ask(link, STOP, key="stop", now=3 * SECOND)
    hear(link, STOP, now=3 * SECOND + MS)
    events(link)
    hear(link, b'[0, "no camera", 2]', now=4 * SECOND)
    assert events(link) == [outcome("start", Refused, reason="no camera")]


def test_w27_a_reply_after_everything_was_forgotten_is_a_message():
    link = EchoLink(PEER)
    ask(link, START)
    hear(link, START, now=1 * MS)
    tick(link, 11 * SECOND + EXPIRED_KEPT)
    events(link)
    hear(link, START_REPLY, now=11 * SECOND + EXPIRED_KEPT)
    assert events(link) == [received(START_REPLY, 1)]
    assert link.get_timer() is None


def test_w29_a_request_for_a_token_that_is_not_answered_times_out():
    link = EchoLink(PEER)
    data = b"[128, null, {}]"
    ask(link, data)
    hear(link, data, now=1 * MS)
    tick(link, 10 * SECOND)
    assert events(link) == [outcome("k", Confirmed), outcome("k", TimedOut, confirmed=True)]


def test_w29_a_token_needs_only_its_receipt():
    link = EchoLink(PEER)
    data = b'[128, "https://alyx.example.org", {"user": {"token": "abc"}}]'
    ask(link, data, needs_reply=False)
    hear(link, data, now=1 * MS)
    assert events(link) == [outcome("k", Replied, word=Receipt(event=Event.ALYX))]
    assert link.get_timer() is None


def test_w30_when_nobody_listens_a_mere_question_ends_at_once():
    link = EchoLink(PEER)
    ask(link, START, key="sent", gives_up=True)
    hear(link, START)
    ask(link, STOP, key="in flight", gives_up=True)
    ask(link, b"[8, null]", key="queued", gives_up=True)
    events(link)
    link.unreachable("nothing listens there", MS)
    assert events(link) == [
        outcome(key, Unreached, reason="nothing listens there") for key in ["sent", "in flight", "queued"]
    ]
    assert link.datagrams_to_send(MS) == []
    assert link.get_timer() is None


def test_w30_after_that_a_message_goes_out_as_if_nothing_had_happened():
    link = EchoLink(PEER)
    ask(link, STOP, key="before", gives_up=True)
    link.unreachable("nothing listens there", MS)
    assert ask(link, STOP, key="after", now=SECOND) == [STOP]
    assert hear(link, STOP, now=SECOND + 300 * MS) == []
    assert hear(link, STOP, now=SECOND + 301 * MS) == [STOP]
    assert events(link) == [
        outcome("before", Unreached, reason="nothing listens there"),
        outcome("after", Confirmed),
        replied(STOP, "after"),
    ]


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("is_refusal", [False, True])
def test_what_is_to_be_done_is_tried_until_its_time_is_up_whatever_the_network_says(reliable, is_refusal):
    link = EchoLink(PEER, reliable=reliable)
    ask(link, STOP)
    for step in range(1, 20):
        now = step * SECOND // 2
        tick(link, now)
        link.unreachable("no way there", now, is_refusal=is_refusal)
    assert events(link) == []
    [(at, copy), *_] = tick(link, 9 * SECOND + 950 * MS)
    assert copy == STOP
    hear(link, STOP, now=at)
    assert events(link) == [outcome("k", Confirmed)]


def test_what_nobody_had_when_its_time_was_up_is_said_with_the_networks_last_word():
    link = EchoLink(PEER)
    ask(link, STOP)
    link.unreachable("no way there", SECOND, is_refusal=False)
    tick(link, 60 * SECOND)
    assert events(link) == [outcome("k", Unreached, reason="no way there")]


def test_a_peer_that_had_it_and_died_is_told_again_when_it_is_back():
    link = EchoLink(PEER)
    ask(link, STOP, limit=60 * SECOND)
    hear(link, STOP)
    assert events(link) == [outcome("k", Confirmed)]
    link.unreachable("nothing listens there", SECOND)
    [(at, copy), *_] = tick(link, 3 * SECOND)
    assert copy == STOP
    hear(link, STOP, now=at)
    hear(link, b"[4, {}]", now=at + 300 * MS)
    assert [event.word.event for event in events(link) if isinstance(event, Replied)] == [Event.EXPEND]


# -- answers with a key, and complaints -------------------------------------------------------------------


def answered(key="a", data=START_REPLY):
    """Return a link whose peer has asked, and has been sent the answer."""
    link = EchoLink(PEER)
    hear(link, START)
    events(link)
    link.reply(Token(PEER, 1, 1), message(data), 0, key, listens=True)
    assert link.datagrams_to_send(0) == [data]
    return link


def test_the_receipt_of_an_answer_is_told_to_whoever_gave_it_a_key():
    link = answered()
    assert hear(link, START_REPLY, now=MS) == []
    assert events(link) == [outcome("a", Replied, word=Receipt(event=Event.EXPSTART))]
    assert tick(link, 100 * SECOND) == []
    assert events(link) == []


def test_an_answer_without_a_key_leaves_no_event():
    link = answered(key=None)
    assert hear(link, START_REPLY, now=MS) == []
    assert events(link) == []


def test_an_answer_that_nobody_echoes_times_out_after_its_copies():
    link = EchoLink(PEER)
    hear(link, START)
    events(link)
    link.reply(Token(PEER, 1, 1), message(START_REPLY), 0, "a")
    assert [data for _, data in tick(link, 100 * SECOND)] == [START_REPLY] * len(RETRY_AFTER)
    assert events(link) == [outcome("a", TimedOut, confirmed=False)]


def test_an_answer_to_where_nobody_listens_any_more_is_unreached():
    link = answered()
    link.unreachable("gone", MS)
    assert events(link) == [outcome("a", Unreached, reason="gone")]


def test_a_complaint_of_our_own_leaves_once_and_waits_for_no_echo():
    link = EchoLink(PEER)
    complaint = b'[0, "ValueError: boom", 2]'
    assert ask(link, START) == [START]
    assert ask(link, complaint, now=MS, key="c") == [complaint]  # though an echo is awaited
    assert events(link) == [outcome("c", Replied, word=Receipt(event=Event.ERROR))]
    assert hear(link, START, now=2 * MS) == []
    assert events(link) == [outcome("k", Confirmed)]
    assert tick(link, 2 * SECOND) == []


@pytest.mark.parametrize("args", [(), (5,), ("x" * 5000, 2), (["x"] * 500, 2), ("text", "y" * 5000)])
def test_a_complaint_of_any_shape_can_leave(args):
    link = EchoLink(PEER)
    link.send(Send(address=PEER, word=Verbatim(Event.ERROR, args), key=None), 0)
    [data] = link.datagrams_to_send(0)
    assert json.loads(data)[0] == 0
    assert events(link) == []


# -- MATLAB's peers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        (
            b'[64, 0, {"subject": "x"}]',
            b'[64,20,{"main_sync":true,"api_version":"1.0.0","status":20,"exp_ref":"2024-05-06_2_x"}]',
        ),
        (b'[1, {"exp_ref": "2024-05-06_2_x"}]', b'[1,{"status":20}]'),
        (START, b'[2,"2024-05-06_7_other",{"status":20}]'),
        (STOP, b"[4,30]"),
        (b'[16, {"error": "X"}]', b"[16,30]"),
        (b"[8, null]", b"[8,0]"),
        (b"[32, 0]", b"[32,20]"),
    ],
)
def test_scanimages_replies_without_spaces_are_replies_and_are_echoed_raw(asked, reply):
    link = EchoLink(PEER)
    ask(link, asked)
    assert hear(link, asked, reply, now=1 * MS) == [reply]
    assert events(link) == [outcome("k", Confirmed), replied(reply)]


@pytest.mark.parametrize("echo", [[START], []])
def test_scanimages_interrupt_is_its_refusal_of_a_start(echo):
    link = EchoLink(PEER)
    ask(link, START)
    assert hear(link, *echo, b'[16,"no ROI"]', now=1 * MS) == [b'[16,"no ROI"]']
    refused = events(link)[-1]
    assert isinstance(refused, Refused)
    assert (refused.key, "no ROI" in refused.reason) == ("k", True)
    assert hear(link, START, now=2 * MS) == []
    assert tick(link, 100 * SECOND) == []
    assert events(link) == []


def test_an_interrupt_when_no_start_waits_is_a_message():
    link = EchoLink(PEER)
    assert hear(link, b'[16,"stop"]') == [b'[16,"stop"]']
    assert events(link) == [received(b'[16,"stop"]', 1)]


@pytest.mark.parametrize("about", [START.decode(), START.decode()[:1000], "something else"])
def test_scanimages_error_names_the_text_that_it_could_not_parse(about):
    link = EchoLink(PEER)
    ask(link, START)
    hear(link, START)
    hear(link, json.dumps([0, "cannot parse", about]).encode())
    assert events(link) == [outcome("k", Confirmed), outcome("k", Refused, reason="cannot parse")]


def test_scanimages_error_is_about_the_request_whose_text_it_names():
    link = EchoLink(PEER)
    ask(link, START, key="start")
    hear(link, START)
    ask(link, STOP, key="stop")
    events(link)
    hear(link, json.dumps([0, "cannot parse", START.decode()]).encode())
    assert events(link) == [outcome("start", Refused, reason="cannot parse")]


@pytest.mark.parametrize("length", [1000, 1001, 1400])
def test_timelines_echo_of_the_first_thousand_bytes_is_an_echo(length):
    link = EchoLink(PEER)
    data = b'[64, 0, {"description": "%s"}]' % (b"x" * 1400)
    ask(link, data)
    assert [type(event) for event in events(link)] == [Oversized]
    assert hear(link, data[:length], now=1 * MS) == []
    assert events(link) == [outcome("k", Confirmed)]
    assert hear(link, data[:length], now=2 * MS) == []
    assert events(link) == []


def test_less_than_the_first_thousand_bytes_are_no_echo():
    link = EchoLink(PEER)
    data = b'[64, 0, {"description": "%s"}]' % (b"x" * 1400)
    ask(link, data)
    hear(link, data[:999], now=1 * MS)
    assert [type(event) for event in events(link)] == [Oversized, Ignored]


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b'["expstart", "2024-05-06_2_x", null]', Event.EXPSTART),
        (b'["ExpEnd",null]', Event.EXPEND),
        (b'["EXPINFO", "CONNECTED", {}]', Event.EXPINFO),
    ],
)
def test_a_name_in_any_case_is_an_event_and_is_echoed_raw(data, event):
    link = EchoLink(PEER)
    assert hear(link, data) == [data]
    [got] = events(link)
    assert got.word.event is event


def test_a_reply_may_name_its_event_in_any_case():
    link = EchoLink(PEER)
    ask(link, STOP)
    hear(link, STOP, b'["expend", 30]')
    assert events(link) == [outcome("k", Confirmed), replied(b'["expend", 30]')]


# -- interrupts and lasting messages ---------------------------------------------------------------------


def test_an_interrupt_overtakes_what_is_unconfirmed_and_lets_confirmed_requests_be():
    link = EchoLink(PEER)
    ask(link, b"[1, null]", key="confirmed")
    hear(link, b"[1, null]")
    ask(link, START, key="in flight")
    tick(link, 100 * MS)
    ask(link, b"[32, 0]", key="queued", now=100 * MS)
    interrupt = b'[16, {"error": "X"}]'
    assert ask(link, interrupt, key="now", overtakes=True, now=101 * MS) == [interrupt]
    ended = {event.key: type(event) for event in events(link)}
    assert ended == {"confirmed": Confirmed, "in flight": TimedOut, "queued": Refused}
    hear(link, START, interrupt, b"[16, {}]", now=102 * MS)
    assert [event.key for event in events(link)] == ["now", "now"]
    hear(link, b"[1, {}]", now=103 * MS)
    assert events(link) == [replied(b"[1, {}]", "confirmed")]
    assert tick(link, 300 * SECOND) == []
    assert events(link) == []


def test_an_interrupt_goes_before_our_own_answers_which_follow_it():
    link = EchoLink(PEER)
    hear(link, b"[128, null, {}]", b"[32]")
    events(link)
    link.reply(Token(PEER, 1, 1), Verbatim(Event.ALYX, (None, {"a": 1})), 0, listens=True)
    link.reply(Token(PEER, 1, 2), message(b"[32, 20]"), 0, listens=True)
    link.datagrams_to_send(0)
    interrupt = b'[16,{"error":"X"}]'
    assert ask(link, interrupt, overtakes=True, now=MS) == [interrupt]
    assert hear(link, interrupt, now=2 * MS) == []
    assert hear(link, b"[16, 30]", now=3 * MS) == [b"[16, 30]", b'[128,null,{"a":1}]']
    assert hear(link, b'[128,null,{"a":1}]', now=4 * MS) == [b"[32, 20]"]


def test_a_request_whose_time_was_up_is_not_refused_by_an_interrupt_as_well():
    link = EchoLink(PEER)
    ask(link, STOP, key="stop", lasting=True, limit=SECOND)
    ask(link, b'[4, {"again": 1}]', key="again", lasting=True, limit=SECOND)
    tick(link, 10 * SECOND)
    assert {event.key for event in events(link)} == {"stop", "again"}
    ask(link, b'[16, {"error": "X"}]', overtakes=True, now=10 * SECOND)
    assert events(link) == []


@pytest.mark.parametrize("word", [False, True])
def test_a_lasting_message_reaches_a_peer_that_was_deaf_for_a_minute(word):
    """With or without the network's word that nothing listens there."""
    link = EchoLink(PEER)
    ask(link, STOP, lasting=True)
    now = 0
    while now < 60 * SECOND:
        now += SECOND
        if tick(link, now) and word:
            link.unreachable("nothing listens there", now)
    [told] = [event for event in events(link) if isinstance(event, TimedOut | Unreached)]
    assert told.key == "k"
    copies = tick(link, now + 3 * SECOND)
    assert {data for _, data in copies} == {STOP}
    assert hear(link, STOP, now=now + 3 * SECOND) == []
    assert hear(link, b"[4, {}]", now=now + 3 * SECOND) == [b"[4, {}]"]
    assert not any(data == STOP for _, data in tick(link, now + 300 * SECOND))


def test_a_new_message_behind_a_lasting_one_wakes_it():
    link = EchoLink(PEER)
    ask(link, STOP, lasting=True)
    tick(link, 20 * SECOND)
    link.send(request(b'[64, 0, {"subject": "x"}]', "next"), 20 * SECOND)
    assert tick(link, 20 * SECOND) == [(20 * SECOND, STOP)]
    assert hear(link, STOP, b"[4, 30]", now=20 * SECOND + MS) == [b"[4, 30]"]
    link.handle_timer(20 * SECOND + MS + REST_PAUSE)
    assert link.datagrams_to_send(20 * SECOND + MS + REST_PAUSE) == [b'[64, 0, {"subject": "x"}]']


# -- iblutil alone: it repeats nothing by itself -----------------------------------------------------------


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("pause", [MS // 10, 100 * MS, 2 * SECOND])
def test_what_iblutil_says_again_unanswered_is_a_new_message_and_echoed(is_stream, pause):
    """It closes for good if its second message gets no echo."""
    tcp = Address("tcp", "10.0.0.2", 11001)
    link = EchoLink(tcp, reliable=True) if is_stream else EchoLink(PEER, is_alone=True)
    start = 10 * SECOND
    assert hear(link, START, now=start) == [START]
    assert len(events(link)) == 1
    link.handle_timer(start + pause)
    again = hear(link, START, now=start + pause) or [data for _, data in tick(link, start + pause + SECOND)]
    assert again == [START]
    assert len(events(link)) == 1


def test_two_that_echo_each_others_echoes_come_to_an_end():
    link = EchoLink(PEER, is_alone=True)
    echoes = 0
    while hear(link, START, now=echoes * MS):
        echoes += 1
    assert echoes == MAX_ECHOES
    assert len(events(link)) == MAX_ECHOES


def test_a_peer_that_may_be_matlabs_may_repeat_itself_there_too():
    link = EchoLink(PEER, is_alone=True)
    assert hear(link, b"[2,1]", now=0) == [b"[2,1]"]
    assert hear(link, b"[2,1]", now=ECHO_AGAIN_AFTER) == [b"[2,1]"]
    assert len(events(link)) == 1


# -- clean-up as iblrig's cameras do it --------------------------------------------------------------------


def test_an_interrupt_is_the_answer_to_a_clean_up_that_is_waited_for():
    link = EchoLink(PEER, hears=hear_rig)
    ask(link, b"[8, null]", key="cleanup")
    hear(link, b"[8, null]", now=1 * MS)
    said = b'[16, {"status": 20, "exp_ref": null}]'
    assert hear(link, said, now=2 * MS) == [said]
    [_, answer] = events(link)
    assert (answer.key, answer.word) == ("cleanup", CleanedUp(status=Status.RUNNING))


def test_an_interrupt_with_nothing_waited_for_is_the_peers_own():
    link = EchoLink(PEER, hears=hear_rig)
    said = b'[16, {"error": "disk full"}]'
    assert hear(link, said, now=2 * MS) == [said]
    assert [type(one) for one in events(link)] == [Received]


# -- streams ---------------------------------------------------------------------------------------------


def test_over_tcp_nothing_is_sent_twice_and_silence_times_out():
    link = EchoLink(Address("tcp", "10.0.0.2", 11001), reliable=True)
    assert ask(link, START) == [START]
    assert tick(link, 100 * SECOND) == []
    assert [type(event) for event in events(link)] == [TimedOut]


def test_over_tcp_messages_keep_a_distance_for_peers_that_know_no_framing():
    link = EchoLink(Address("tcp", "10.0.0.2", 11001), reliable=True)
    first = hear(link, b"[32, 20]", b"[32, 30]", b"[8, null]", now=SECOND)
    assert first == [b"[32, 20]"]
    assert tick(link, 2 * SECOND) == [
        (SECOND + STREAM_PAUSE, b"[32, 30]"),
        (SECOND + 2 * STREAM_PAUSE, b"[8, null]"),
    ]
    assert link.get_timer() is None


# -- memory ----------------------------------------------------------------------------------------------


def test_a_flood_of_different_messages_does_not_fill_the_memory():
    link = EchoLink(PEER)
    for number in range(1000):
        hear(link, b"[4, %d]" % number, now=number * MS)
        ask(link, b"[8, %d]" % number, needs_reply=False, now=number * MS)
        hear(link, b"[8, %d]" % number, now=number * MS)
    assert len(link._incoming) <= MAX_REMEMBERED
    assert len(link._sent) <= MAX_REMEMBERED


def test_one_message_is_echoed_so_many_times_and_no_more():
    link = EchoLink(PEER)
    echoes = sum(len(hear(link, STOP, now=number * 200 * MS)) for number in range(20))
    assert echoes <= MAX_ECHOES


# -- walks -----------------------------------------------------------------------------------------------


class Pair:
    """Two links and a network between them that loses, doubles and delays, in virtual time."""

    def __init__(self, seed, *, loss, copies, delay):
        self.random = random.Random(seed)
        self.loss, self.copies, self.delay = loss, copies, delay
        self.links = (EchoLink(PEER), EchoLink(PEER))
        self.now = 0
        self.sent = 0
        self.flying = []
        self.outcomes = {}
        self.handled = ([], [])
        self.later = []

    def flush(self, side):
        link = self.links[side]
        for event in events(link):
            if isinstance(event, Received):
                self.handled[side].append(event.word.event)
                self.later.append((self.now + self.random.randrange(50 * MS, 500 * MS), side, event))
            elif not isinstance(event, Confirmed | Ignored):
                self.outcomes.setdefault(event.key, []).append(event)
        for data in link.datagrams_to_send(self.now):
            self.sent += 1
            for _ in range(1 + (self.random.random() < self.copies)):
                if self.random.random() >= self.loss:
                    self.flying.append((self.now + self.random.randrange(self.delay), 1 - side, data))

    def answer(self, link, event):
        asked = event.word.args[0]
        if "status" in asked:  # an answer that came too late
            link.settle(event.token)
        else:
            link.reply(event.token, Verbatim(event.word.event, ({**asked, "status": 20},)), self.now)

    def ask(self, side, event, number):
        about = {"exp_ref": f"2024-05-06_{number + 1}_x"}
        action = Send(address=PEER, word=Verbatim(event, (about,)), key=number, limit=30 * SECOND)
        self.links[side].send(action, 0)
        self.flush(side)

    def run(self):
        while True:
            timers = [at for link in self.links if (at := link.get_timer()) is not None]
            times = [*timers, *(at for at, *_ in self.flying), *(at for at, *_ in self.later)]
            if not times:
                return
            self.now = max(self.now, min(times))
            for waiting in (self.flying, self.later):
                due = [one for one in waiting if one[0] <= self.now]
                for one in due:
                    waiting.remove(one)
                    _, side, what = one
                    if waiting is self.flying:
                        self.links[side].receive_datagram(what, self.now)
                    else:
                        self.answer(self.links[side], what)
                    self.flush(side)
            for side, link in enumerate(self.links):
                link.handle_timer(self.now)
                at = link.get_timer()
                assert at is None or at > self.now, "the timer would ring for ever"
                self.flush(side)
            assert self.sent < 2000, "they talk for ever"


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0, 0.1, 0.3]),
    copies=st.sampled_from([0, 0.2]),
    delay=st.sampled_from([2 * MS, 50 * MS, 300 * MS]),
    count=st.integers(1, 6),
)
def test_on_any_network_every_request_has_one_outcome_and_the_talk_comes_to_its_end(
    seed, loss, copies, delay, count
):
    pair = Pair(seed, loss=loss, copies=copies, delay=delay)
    for number in range(count):
        side = pair.random.randrange(2)
        event = pair.random.choice([Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPINFO])
        pair.ask(side, event, number)
    pair.run()
    assert len(pair.outcomes) == count
    for told in pair.outcomes.values():
        assert not isinstance(told[0], Refused)
        assert [type(one) for one in told[1:]] in ([], [Replied])
    # a request, its reply and their echoes; each goes out four times at most, echoes eight
    assert pair.sent <= count * (4 + 4 + 8 + 8) * 3
    for link in pair.links:
        assert link._current is None
        assert not link._queue
        assert not link._waiting


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), network=st.sampled_from([(0, 2 * MS), (0, 150 * MS), (0.3, 2 * MS)]))
def test_on_a_network_that_loses_nothing_everything_is_handled_once_and_answered(seed, network):
    """Copies that the network makes of an echo may pass for the reply, as the table of faults has it."""
    copies, delay = network
    pair = Pair(seed, loss=0, copies=copies, delay=delay)
    session = [Event.EXPINFO, Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP]
    for number, event in enumerate(session):
        pair.ask(0, event, number)
    pair.run()
    assert pair.handled[1] == session
    assert copies or pair.handled[0] == []
    assert {key: [type(one) for one in told] for key, told in pair.outcomes.items()} == {
        key: [Replied] for key in range(5)
    }


@pytest.mark.parametrize("event", [Event.EXPINFO, Event.EXPSTATUS])
def test_answers_that_are_taken_for_questions_are_not_answered_for_ever(event):
    """Each one is another message, so none is known as a copy."""
    link = EchoLink(PEER)
    asked = 0
    for number in range(50):
        hear(link, codec.encode_array(Message(event, (number,))), now=number * SECOND // 100)
        asked += sum(isinstance(one, Received) for one in events(link))
    assert asked == MOST_QUESTIONS
    hear(link, codec.encode_array(Message(event, (99,))), now=3 * SECOND)
    assert sum(isinstance(one, Received) for one in events(link)) == 1
