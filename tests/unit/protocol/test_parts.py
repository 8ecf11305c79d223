"""Messages in parts: whatever order, copies, losses and hostile parts, what comes out is what went in."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.errors import RemoteProtocolError
from multirig.protocol.events import (
    SECOND,
    Address,
    Confirmed,
    Ignored,
    PathTried,
    Received,
    Refused,
    Replied,
    Send,
    Told,
)
from multirig.protocol.frames import MAX_CONTENT, MAX_MESSAGE, MAX_PARTS, Frame, here_frame, who_frame
from multirig.protocol.link import Link
from multirig.protocol.messages import Event
from multirig.protocol.parts import (
    FIRST_WINDOW,
    MAX_IN_ALL,
    MAX_OF_PEER,
    MAX_UNFINISHED,
    UNFINISHED_KEPT,
    WINDOW,
    Parcel,
    Shelf,
    cut,
)
from multirig.protocol.words import File, Picture, Recorded, Report, RigState, Stopped, Verbatim

HERE, THERE = Address("udp", "10.0.0.1", 11001), Address("udp", "10.0.0.2", 11001)
KEY = ("A", "n", 1, 0)
MS = SECOND // 1000
texts = st.text(st.characters(codec="ascii"), max_size=400) | st.text('"\\', max_size=60)
rooms = st.integers(2, 50)


def whole(pieces):
    return "".join(json.loads(f'"{one}"') for one in pieces)


# -- cutting -------------------------------------------------------------------------------------------------


@given(st.recursive(texts | st.integers(), lambda inner: st.lists(inner, max_size=4)), rooms)
def test_what_is_cut_fits_and_is_the_same_together(value, room):
    text = json.dumps([value])
    pieces = cut(text, room)
    assert all(0 < len(one) <= room for one in pieces)
    assert whole(pieces) == text


# -- putting together ----------------------------------------------------------------------------------------


@given(st.lists(st.text("ab", min_size=1, max_size=5), min_size=2, max_size=12), st.data())
def test_in_any_order_and_however_often_each_comes_the_message_is_whole_with_the_last_missing_part(
    pieces, data
):
    count = len(pieces)
    more = data.draw(st.lists(st.integers(0, count - 1), max_size=30))
    order = data.draw(st.permutations([*range(count), *more]))
    shelf, seen = Shelf(), set()
    for index in order:
        done = shelf.add(KEY, (index, count), pieces[index], 0)
        seen.add(index)
        if len(seen) == count:
            assert done == "".join(pieces)
            assert len(shelf) == 0
            return
        assert done is None
        assert shelf.bits(KEY) == sum(1 << one for one in seen)


@given(st.data())
def test_parts_of_different_conversations_and_messages_never_mix(data):
    keys = [(boot, kind, number, answers) for boot in "AB" for kind in ("n", "beat") for number, answers in
            ((1, 0), (2, 0), (2, 1))]  # fmt: skip
    parts = [(key, index) for key in keys for index in range(3)]
    shelf, done = Shelf(), {}
    for key, index in data.draw(st.permutations(parts)):
        if (text := shelf.add(key, (index, 3), f"<{key}{index}>", 0)) is not None:
            done[key] = text
    assert done == {key: "".join(f"<{key}{index}>" for index in range(3)) for key in keys}


def test_an_unfinished_message_is_forgotten_and_its_room_is_free_again():
    shelf = Shelf()
    shelf.add(KEY, (0, 2), "x", 5)
    shelf.handle_timer(5 + UNFINISHED_KEPT - 1)
    assert len(shelf) == 1
    assert shelf.get_timer() == 5 + UNFINISHED_KEPT
    shelf.handle_timer(5 + UNFINISHED_KEPT)
    assert len(shelf) == 0
    assert shelf.get_timer() is None
    assert shelf.bits(KEY) == 0


def test_one_peer_has_few_unfinished_messages_and_the_oldest_gives_way():
    shelf = Shelf()
    for number in range(MAX_UNFINISHED + 3):
        shelf.add(("A", "n", number, 0), (0, 2), "x", number)
    assert len(shelf) == MAX_UNFINISHED
    assert shelf.bits(("A", "n", 2, 0)) == 0
    assert shelf.bits(("A", "n", 3, 0)) == 1


def test_a_stranger_cannot_fill_the_memory():
    shelf = Shelf()
    text = "x" * MAX_CONTENT
    for boot in range(200):
        for number in range(3):
            for index in range(400):
                shelf.add((f"{boot}", "n", number, 0), (index, 401), text, boot)
    assert shelf.cost <= MAX_IN_ALL
    assert max(shelf.cost_of(f"{boot}") for boot in range(200)) <= MAX_OF_PEER


def test_a_message_that_grows_too_long_or_changes_its_number_of_parts_is_refused():
    shelf = Shelf()
    shelf.add(KEY, (0, 2), "x", 0)
    with pytest.raises(RemoteProtocolError):
        shelf.add(KEY, (1, 3), "x", 0)
    fits = MAX_MESSAGE // MAX_CONTENT
    for index in range(fits):
        shelf.add(("A", "n", 2, 0), (index, MAX_PARTS), "x" * MAX_CONTENT, 0)
    with pytest.raises(RemoteProtocolError, match="passes"):
        shelf.add(("A", "n", 2, 0), (fits, MAX_PARTS), "x" * MAX_CONTENT, 0)
    assert shelf.bits(("A", "n", 2, 0)) == 0


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ([0], "x"),
        ([0, 0], "x"),
        ([2, 2], "x"),
        ([-1, 2], "x"),
        ([0, MAX_PARTS + 1], "x"),
        ([True, 2], "x"),
        ([0, 2.0], "x"),
        ("01", "x"),
        ([0, 2], ""),
        ([0, 2], ["x"]),
        ([0, 2], None),
        ([0, 2], "x" * (MAX_CONTENT + 1)),
    ],
    ids=repr,
)
def test_what_is_no_part_is_refused(part, text):
    with pytest.raises(RemoteProtocolError):
        Frame.read({"n": 1, "low": 1, "part": part, "m": text})


@pytest.mark.parametrize(
    "got", [1, [1], [[1]], [["1", "1"]], [[1, 1]], [[1, "-1"]], [[1, "f" * 300]], [[1, "g"]]]
)
def test_what_is_no_receipt_of_parts_is_refused(got):
    with pytest.raises(RemoteProtocolError):
        Frame.read({"got": got})


# -- the sender's side ---------------------------------------------------------------------------------------


def test_only_so_many_parts_are_on_their_way_and_more_follow_what_has_arrived():
    parcel = Parcel("x" * 1000, 10)
    flying, bits, now = set(), 0, 0
    while due := parcel.take_due(now):
        flying |= {*due}
        assert len(flying) <= WINDOW
        bits |= 1 << flying.pop()
        now += 1
        assert parcel.note(bits, now, now)
    assert not parcel.note(bits, now + 1, now)
    for one in flying:
        bits |= 1 << one
    assert parcel.note(bits, now + 2, now)
    assert bits == (1 << 100) - 1


def test_a_part_that_a_later_one_has_overtaken_leaves_again_at_once():
    parcel = Parcel("x" * 90, 10)
    assert parcel.take_due(0) == [0, 1, 2, 3, 4, 5, 6, 7]
    parcel.note(0b1110, 1, MS)
    assert parcel.take_due(3 * MS) == [8]  # what has left at once may come in any order
    parcel.note(0b111111110, 2, 4 * MS)
    assert parcel.take_due(4 * MS) == [0]


def test_what_the_peer_has_forgotten_leaves_again():
    parcel = Parcel("x" * 50, 10)
    parcel.take_due(0)
    parcel.note(0b11111, 1, MS)
    parcel.note(0b10000, 2, MS)
    assert parcel.take_due(MS) == [0, 1, 2, 3]


def test_an_older_receipt_says_nothing_new():
    parcel = Parcel("x" * 50, 10)
    parcel.take_due(0)
    parcel.note(0b11111, 5, MS)
    assert not parcel.note(0, 4, MS)
    assert parcel.take_due(MS) == []


# -- between two links ---------------------------------------------------------------------------------------


class Air:
    """Two links, and a network whose every step is drawn."""

    def __init__(self, dice: Any, *, loss: float = 0.0, copies: float = 0.0, delay: int = MS) -> None:
        self.links = {
            HERE: Link(THERE, boot="A", peer="B"),
            THERE: Link(HERE, boot="B", peer="A"),
        }
        self.dice, self.loss, self.copies, self.delay = dice, loss, copies, delay
        self.now = 0
        self.flying: list[tuple[int, int, Address, bytes]] = []
        self.heard: dict[Address, list[Any]] = {HERE: [], THERE: []}
        self.sizes: list[int] = []
        self.sent = 0
        self.answers: Any = None

    def run(self, until: int = 60 * SECOND) -> None:
        while True:
            for address, link in self.links.items():
                while (event := link.next_event()) is not None:
                    self.heard[address].append(event)
                    if isinstance(event, Received) and self.answers is not None:
                        link.reply(event.token, self.answers, self.now)
                for data in link.datagrams_to_send(self.now):
                    self.send(data, address)
            timers = [at for link in self.links.values() if (at := link.get_timer()) is not None]
            times = [*timers, *(one[0] for one in self.flying)]
            if not times or min(times) > until:
                return
            self.now = max(self.now, min(times))
            for link in self.links.values():
                link.handle_timer(self.now)
            for one in sorted(one for one in self.flying if one[0] <= self.now):
                self.flying.remove(one)
                other = self.links[one[2]]
                other.receive_frame(self.read(one[3], other), self.now)

    def send(self, data: bytes, source: Address) -> None:
        self.sizes.append(len(data))
        for _ in range(1 + (self.dice.random() < self.copies)):
            if self.dice.random() >= self.loss:
                self.sent += 1
                other = THERE if source == HERE else HERE
                wait = self.delay + round(self.dice.random() * self.delay)
                self.flying.append((self.now + wait, self.sent, other, data))

    def read(self, data: bytes, link: Link) -> Any:
        frame = json.loads(data)
        if "who" in frame:  # as a node does
            parts = MAX_MESSAGE if "parts" in frame else 0
            reply = here_frame(
                link.boot, link.peer, frame["who"], parts=parts, size=len(data) if "pad" in frame else 0
            )
            self.send(reply, HERE if link.address == THERE else THERE)
        return frame


def stopped(count):
    files = tuple(
        File(path=f'raw_video_data/camera "{number}" é.mp4', bytes=10**9, frames=10**6, blake2b="ab" * 32)
        for number in range(count)
    )
    return Stopped(event=Event.EXPEND, files_total=count, recorded=Recorded(files=files, is_kept=True))


def ask(link, word=None, now=0, **more):
    link.send(Send(address=link.address, word=word or Verbatim(Event.EXPEND, ()), key="k", **more), now)


def outcomes(events, kind):
    return [event for event in events if isinstance(event, kind)]


@settings(deadline=None)
@given(
    st.integers().map(random.Random),  # by seeds: a network that is made to lose all brings nothing
    st.integers(1, 150),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from([0.0, 0.3]),
)
def test_over_any_network_a_stop_that_names_hundreds_of_files_arrives_once_and_whole(
    dice, count, loss, copies
):
    air = Air(dice, loss=loss, copies=copies)
    air.answers = stopped(count)
    ask(air.links[HERE])
    air.run()
    [replied] = outcomes(air.heard[HERE], Replied)
    said = replied.word.args[0]
    assert [one["path"] for one in said["files"]] == [one.path for one in air.answers.recorded.files]
    assert len(outcomes(air.heard[THERE], Received)) == 1
    assert max(air.sizes) <= MAX_CONTENT
    assert air.now < 120 * SECOND
    assert [link.sizes()["open"] for link in air.links.values()] == [0, 0]


@pytest.mark.parametrize("loss", [0.2, 0.3])
def test_with_a_third_of_all_datagrams_lost_sixty_files_arrive_in_a_second_or_two(loss):
    took = []
    for seed in range(30):
        air = Air(random.Random(seed), loss=loss)
        air.answers = stopped(60)
        ask(air.links[HERE])
        while not outcomes(air.heard[HERE], Replied):
            air.run(air.now + 10 * MS)
            air.now += 10 * MS
        took.append(air.now)
    assert sorted(took)[15] < SECOND
    assert max(took) < 4 * SECOND


def test_a_long_request_is_handled_once_and_a_short_one_is_not_held_up_by_it():
    air = Air(random.Random(1))
    long = Verbatim(Event.EXPINIT, ({"note": "x" * 100_000},))
    ask(air.links[HERE], long, needs_reply=False)
    air.run(7 * MS)
    ask(air.links[HERE], Verbatim(Event.EXPINTERRUPT, ()), now=air.now)
    air.run()
    assert [event.word.event for event in outcomes(air.heard[THERE], Received)] == [
        Event.EXPINTERRUPT,
        Event.EXPINIT,
    ]


def test_a_peer_that_knows_no_parts_gets_what_is_long_in_one_datagram():
    link = Link(THERE, boot="A", peer="B")
    ask(link, Verbatim(Event.EXPINIT, ({"note": "x" * 5_000},)))
    [who] = link.datagrams_to_send(0)
    assert json.loads(who) == {"multirig": 2, "boot": "A", "to": "B", "who": 0, "parts": MAX_MESSAGE}
    link.receive_frame({"multirig": 2, "boot": "B", "to": "A", "here": 0}, MS)
    [data] = link.datagrams_to_send(MS)
    assert len(data) > 5_000
    assert "part" not in json.loads(data)


def test_what_is_too_long_for_a_peer_that_knows_no_parts_names_the_first_files_only():
    link = Link(THERE, boot="A", peer="B")
    link.receive_frame({"multirig": 2, "boot": "B", "to": "A", "n": 1, "low": 1, "m": [4]}, 0)
    received: Any = link.next_event()
    token = received.token
    link.reply(token, stopped(600), 0)
    link.datagrams_to_send(0)
    link.receive_frame({"multirig": 2, "boot": "B", "to": "A", "here": 0}, MS)
    [data] = link.datagrams_to_send(MS)
    assert 60_000 < len(data) <= 65_507
    said = json.loads(data)["m"][1]
    assert said["files_total"] == 600
    assert 200 < len(said["files"]) < 600


def test_over_a_stream_a_long_message_goes_whole_and_nobody_is_asked():
    link = Link(Address("tcp", "10.0.0.2", 1), boot="A", peer="B", reliable=True)
    ask(link, Verbatim(Event.EXPINIT, ({"note": "x" * 700_000},)))
    [data] = link.datagrams_to_send(0)
    assert len(data) > 700_000


def test_a_long_heartbeat_goes_in_parts_once_the_peer_takes_such():
    air = Air(random.Random(1))
    for _ in range(3):
        air.links[HERE].tell(Verbatim(Event.EXPSTATUS, (0, {"failure": "é" * 300})))
        air.run(air.now + 250 * MS)
        air.now += 250 * MS
    told = outcomes(air.heard[THERE], Told)
    assert len(told) == 2
    assert told[0].word.args[1] == {"failure": "é" * 300}
    assert max(air.sizes) <= MAX_CONTENT


def test_a_thousand_receipts_leave_in_several_frames():
    link = Link(THERE, boot="A", peer="B")
    for number in range(1, 1001):
        link.receive_frame({"n": number, "low": 1, "m": [32]}, 0)
    sent = link.datagrams_to_send(0)
    assert max(map(len, sent)) <= MAX_CONTENT
    assert sorted(one for data in sent for one in json.loads(data)["ack"]) == [*range(1, 1001)]


def test_old_live_pictures_are_not_repeated_for_a_minute():
    link = Link(THERE, boot="A", peer="B")
    link.receive_frame({"n": 1, "low": 1, "m": [32]}, 0)
    pictures = (Picture(label="left", jpeg=b"\xff\xd8\xff" * 3000),)
    asked: Any = link.next_event()
    link.reply(asked.token, Report(state=RigState.RUNNING, pictures=pictures), 0)
    link.handle_timer(4 * SECOND)
    assert link.sizes()["open"] == 0


def show(link, *, size=9_000):
    """Have a link answer with a picture, and return the parts that leave at once."""
    link.receive_frame({"n": 1, "low": 1, "m": [32], "t": [1]}, 0)
    pictures = (Picture(label="left", jpeg=b"\xff\xd8\xff" + bytes(size)),)
    asked: Any = link.next_event()
    link.reply(asked.token, Report(state=RigState.RUNNING, pictures=pictures), 0)
    return shown(link, 0)


def shown(link, now):
    frames = [json.loads(data) for data in link.datagrams_to_send(now)]
    return [frame.get("part", "whole") for frame in frames if "re" in frame]


def shown_later(link):
    """Return what leaves of the answer in ten seconds in which nothing is heard."""
    later = []
    while (at := link.get_timer()) is not None and at < 10 * SECOND:
        link.handle_timer(at)
        later += shown(link, at)
    return later


def test_pictures_of_which_the_asker_confirms_no_part_are_not_repeated():
    """Few bytes ask for them: an address that was only written into a datagram gets each part once."""
    link = Link(THERE, boot="A", peer="B")
    assert show(link) == []  # whether it takes parts is asked first
    link.receive_frame(json.loads(here_frame("B", "A", 0, parts=MAX_MESSAGE)), 0)
    at_once = shown(link, 0)
    assert len(at_once) == FIRST_WINDOW
    assert shown_later(link) == []


def test_pictures_of_which_the_asker_has_confirmed_a_part_are_sent_until_they_are_there():
    link = Link(THERE, boot="A", peer="B")
    show(link)
    link.receive_frame(json.loads(here_frame("B", "A", 0, parts=MAX_MESSAGE)), 0)
    assert [0, 14] in shown(link, 0)
    link.receive_frame({"got": [[1, "1"]], "t": [2, 1, 2]}, MS)
    later = [index for index, _ in [*shown(link, MS), *shown_later(link)]]
    assert all(later.count(index) > 2 for index in range(1, FIRST_WINDOW))
    assert 0 not in later


@pytest.mark.parametrize("way", ["short", "tcp", "0.1"])
def test_pictures_in_one_frame_are_said_once(way):
    there = Address("tcp", "10.0.0.2", 11001) if way == "tcp" else THERE
    link = Link(there, boot="A", peer="B", reliable=way == "tcp")
    if way == "0.1":
        link.knock(0)
        link.datagrams_to_send(0)
        link.receive_frame(json.loads(here_frame("B", "A", 0)), 0)
    assert show(link, size=100 if way == "short" else 9_000) == ["whole"]
    assert shown_later(link) == []


def test_a_message_of_parts_that_make_no_json_is_a_refusal_and_no_more():
    link = Link(THERE, boot="A", peer="B")
    for index in range(2):
        link.receive_frame({"n": 1, "low": 1, "part": [index, 2], "m": "["}, 0)
    [answer] = link.datagrams_to_send(0)
    assert json.loads(answer)["m"][0] == 0
    assert link.sizes()["handled"] == 1


@given(
    st.lists(
        st.fixed_dictionaries(
            {"n": st.integers(1, 3), "low": st.integers(1, 3), "m": st.text(max_size=3) | st.just([32])},
            optional={
                "part": st.tuples(st.integers(-1, 4), st.integers(-1, 4)).map(list),
                "re": st.integers(1, 2),
                "got": st.lists(
                    st.tuples(st.integers(0, 3), st.sampled_from(["0", "1", "ff"])).map(list), max_size=2
                ),
                "t": st.lists(st.integers(0, 2**70), max_size=3),
            },
        ),
        max_size=20,
    )
)
def test_whatever_parts_come_nothing_raises_and_each_number_is_handled_once(some):
    link = Link(THERE, boot="A", peer="B")
    ask(link, Verbatim(Event.EXPINIT, ({"note": "x" * 3_000},)))
    link.datagrams_to_send(0)
    link.receive_frame(json.loads(here_frame("B", "A", 0, parts=MAX_MESSAGE)), 0)
    handled = []
    for at, frame in enumerate(some):
        link.receive_frame(frame, at)
        assert all(len(data) <= MAX_CONTENT for data in link.datagrams_to_send(at))
        while (event := link.next_event()) is not None:
            if isinstance(event, Received):
                handled.append(event.token.number)
            assert isinstance(event, Received | Ignored | Replied | Confirmed | Refused)
    assert len(handled) == len({*handled})


# -- the size of the path ------------------------------------------------------------------------------------


def test_a_full_datagram_that_comes_back_shows_that_the_path_carries_it():
    air = Air(random.Random(1), loss=0.3)
    air.links[HERE].try_path(0)
    air.run()
    assert outcomes(air.heard[HERE], PathTried) == [PathTried(address=THERE, passes=True)]
    assert max(air.sizes) == 1200


def test_where_only_short_datagrams_pass_that_is_told():
    link = Link(THERE, boot="A", peer="B")
    link.try_path(0)
    sizes = []
    while (at := link.get_timer()) is not None:
        sizes += map(len, link.datagrams_to_send(at))
        link.handle_timer(at)
    assert {*sizes} == {1200}
    assert len(sizes) >= 8
    assert link.next_event() == PathTried(address=THERE, passes=False)


def test_a_peer_of_0_1_answers_a_full_question_shortly_which_shows_one_way():
    link = Link(THERE, boot="A", peer="B")
    link.try_path(0)
    [data] = link.datagrams_to_send(0)
    assert data == who_frame("A", "B", -1200, parts=MAX_MESSAGE, size=1200)
    link.receive_frame({"multirig": 2, "boot": "B", "to": "A", "here": -1200}, 1)
    assert link.next_event() == PathTried(address=THERE, passes=True)
