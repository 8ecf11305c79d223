from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Any

from multirig.lifecycle.observer import (
    ASK_LIMIT,
    FOREIGN_BUSY_EVERY,
    FOREIGN_EVERY,
    PAUSES,
    QUIET_AFTER,
    RENEW_EVERY,
    Answered,
    Asked,
    Changed,
    Followed,
    ObserverMachine,
    Seen,
    Suspended,
)
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.events import (
    RESTARTED,
    SECOND,
    Address,
    Rebooted,
    Received,
    Refused,
    Replied,
    Send,
    Settle,
    TimedOut,
    Token,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Info, RigState

GREETING = "multirig"

CAM, EPHYS = Address("udp", "10.0.1.1", 11001), Address("udp", "10.0.1.2", 11001)
NEWS = {"state": "connected", "exp_ref": None, "failure": None}
GREETS = {"state": "connected", "adapter": "fake", GREETING: {"wire": 2, "boot": "b", "name": "cam"}}


class Screen:
    """Somebody who looks on, and the rigs."""

    def __init__(self, *addresses: Address) -> None:
        self.machine = ObserverMachine()
        self.now = 0
        self.open: dict[Hashable, Send] = {}
        """What was asked and has no outcome yet."""
        self.feed(Followed(addresses=frozenset(addresses or (CAM,))))

    def feed(self, event: Any) -> list[Any]:
        return self._note(self.machine.handle(event, self.now))

    def _note(self, actions: Any) -> list[Any]:
        out = [*actions]
        self.open |= {one.key: one for one in out if isinstance(one, Send) and one.key is not None}
        return out

    def pass_time(self, seconds: float) -> list[Any]:
        """Let timers ring until then; nobody answers."""
        until, out = self.now + round(seconds * SECOND), []
        while (at := self.machine.get_timer()) is not None and at <= until:
            self.now = max(self.now, at)
            out += self._note(self.machine.handle_timer(self.now))
        self.now = until
        return out

    def seen(self, address: Address = CAM) -> Seen:
        return self.machine.seen[address]

    @property
    def problem(self) -> str | None:
        return self.seen().problem(self.now)

    def question(self, address: Address = CAM) -> Send:
        """Take the question that waits for its outcome."""
        [key] = [key for key, one in self.open.items() if one.address == address]
        return self.open.pop(key)

    def answer(self, event: Event, *args: Any, address: Address = CAM) -> list[Any]:
        asked = self.question(address)
        assert write(asked.word).event is event
        return self.feed(Replied(address=address, key=asked.key, word=hear_rig(Message(event, args))))

    def tell(self, address: Address = CAM, **news: Any) -> list[Any]:
        word = hear_rig(Message(Event.EXPSTATUS, (0, {**NEWS, **news})))
        return self.feed(Told(address=address, word=word, boot="b"))

    def meet(self, address: Address = CAM) -> None:
        """Come to know a multirig, which then tells how it is."""
        self.pass_time(0)
        self.feed(Upgraded(address=address, boot="b", name="cam"))
        self.answer(Event.EXPINFO, 0, GREETS, address=address)
        self.pass_time(0)
        self.answer(Event.EXPSTATUS, 0, NEWS, address=address)

    def miss(self) -> None:
        """Have the question that is open go unanswered."""
        self.pass_time(ASK_LIMIT / SECOND)
        self.feed(TimedOut(address=CAM, key=self.question().key, confirmed=False))


def who(screen: Screen) -> Info:
    """Return who the rig last said that it is."""
    info = screen.seen().info
    assert info is not None
    return info


def sends(actions: list[Any]) -> list[Send]:
    return [one for one in actions if isinstance(one, Send)]


def changed(actions: list[Any]) -> list[Address]:
    return [one.address for one in actions if isinstance(one, Changed)]


def test_who_is_new_is_asked_who_it_is() -> None:
    screen = Screen(CAM, EPHYS)
    asked = sends(screen.pass_time(0))
    assert {one.address for one in asked} == {CAM, EPHYS}
    assert {write(one.word).event for one in asked} == {Event.EXPINFO}


def test_a_question_is_that_of_no_conductor() -> None:
    [asked] = sends(Screen().pass_time(0))
    said = write(asked.word).args[1]
    assert not {"take_over", "recover", "check", "multirig"} & said.keys()
    assert (said["exp_ref"], said["main_sync"], said["subject"]) == (None, False, None)


def test_a_multirig_is_asked_to_tell_how_it_is_from_then_on() -> None:
    screen = Screen()
    screen.meet()
    assert who(screen).adapter == "fake"
    assert GREETING not in who(screen).more
    leases = []
    for _ in range(30):
        leases += sends(screen.pass_time(1))
        screen.tell()
        if screen.open:
            screen.answer(Event.EXPSTATUS, 0, NEWS)
    assert [write(one.word).args[1] for one in leases] == [{"watch": 15}] * (30 * SECOND // RENEW_EVERY)


def test_who_takes_the_lease_and_tells_nothing_by_itself_is_not_asked_in_a_rush() -> None:
    """It is none of us after all: an IBL peer answers an EXPSTATUS by its bare number."""
    screen = Screen()
    screen.pass_time(0)
    screen.answer(Event.EXPINFO, 0, GREETS)
    asked = 0
    for _ in range(20):
        asked += len(sends(screen.pass_time(0.1)))
        if screen.open:
            screen.answer(Event.EXPSTATUS, 0)
    assert asked < 5


def test_a_change_is_news_and_a_heartbeat_is_none() -> None:
    screen = Screen()
    screen.meet()
    assert changed(screen.tell(state="running", exp_ref="2024-05-06_1_SP_01")) == [CAM]
    assert changed(screen.tell(state="running", exp_ref="2024-05-06_1_SP_01", health={"frames": 9})) == []
    assert changed(screen.tell(state="running", exp_ref="2024-05-06_1_SP_01", stalled=12.0)) == [CAM]
    assert changed(screen.tell(state="running", exp_ref="2024-05-06_1_SP_01", stalled=13.0)) == []


def test_a_multirig_that_is_not_heard_for_three_heartbeats_is_missed() -> None:
    screen = Screen()
    screen.meet()
    out = screen.pass_time(QUIET_AFTER / SECOND - 0.01)
    assert (changed(out), screen.problem) == ([], None)
    assert changed(screen.pass_time(0.01)) == [CAM]
    screen.now = 12 * SECOND
    assert screen.problem == "has not been heard for 12 s: is multirig serve running there?"


def test_a_rig_whose_heartbeats_stay_away_is_asked_before_it_is_missed() -> None:
    screen = Screen()
    screen.meet()
    asked = sends(screen.pass_time(2))
    assert [write(one.word).args[1] for one in asked] == [{"watch": 15}]
    screen.answer(Event.EXPSTATUS, 0, NEWS)
    assert changed(screen.pass_time(2)) == []


def test_one_that_is_heard_again_is_news_and_asked_at_once_to_go_on() -> None:
    screen = Screen()
    screen.meet()
    screen.pass_time(2)
    screen.miss()
    screen.open.clear()
    assert changed(screen.tell()) == [CAM]
    assert screen.problem is None
    screen.pass_time(PAUSES[0] / SECOND)
    assert write(screen.question().word).args[1] == {"watch": 15}


def test_who_does_not_answer_is_asked_again_less_and_less_often_but_for_ever() -> None:
    screen = Screen()
    times = []
    for _ in range(6):
        screen.pass_time(0)
        while not screen.open:
            screen.pass_time(0.5)
        times.append(screen.now)
        screen.miss()
    pauses = [later - before for before, later in itertools.pairwise(times)]
    assert pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert screen.problem == (
        "does not answer: is that PC on, its network cable in, and multirig serve running there?"
    )


def test_one_where_nothing_listens_is_missed_at_once() -> None:
    screen = Screen()
    screen.meet()
    screen.pass_time(1)
    screen.tell()
    screen.pass_time(1.7)
    unreached = Unreached(address=CAM, key=screen.question().key, reason="nothing listens there: start it")
    assert changed(screen.feed(unreached)) == [CAM]
    assert screen.problem == "has not been heard for 2 s: nothing listens there: start it"
    asked = sends(screen.pass_time(PAUSES[0] / SECOND))
    assert [write(one.word).event for one in asked] == [Event.EXPINFO]


def test_a_rig_that_proves_nothing_is_told_in_one_sentence() -> None:
    screen = Screen()
    screen.pass_time(2)
    reason = "does not know this PC's key: it has none"
    screen.feed(Unreached(address=CAM, key=screen.question().key, reason=reason))
    assert screen.problem == reason


def test_a_program_that_takes_the_question_and_does_not_answer_hangs() -> None:
    screen = Screen()
    screen.pass_time(2)
    screen.feed(TimedOut(address=CAM, key=screen.question().key, confirmed=True))
    assert screen.problem == "does not answer: its program has the question; look at its screen"


def test_a_rig_that_was_started_anew_is_asked_who_it_is() -> None:
    screen = Screen()
    screen.meet()
    screen.pass_time(1.7)
    asked = screen.question()
    screen.feed(Refused(address=CAM, key=asked.key, reason=RESTARTED))
    screen.feed(Rebooted(address=CAM, boot="c"))
    screen.pass_time(0)
    screen.answer(Event.EXPINFO, 0, {**GREETS, "adapter": "camera"})
    screen.pass_time(0)
    screen.answer(Event.EXPSTATUS, 0, NEWS)
    assert who(screen).adapter == "camera"


def test_a_foreign_peer_is_asked_now_and_then() -> None:
    screen = Screen()
    screen.pass_time(0)
    info = {"exp_ref": {"date": "2024-05-06", "sequence": 3, "subject": "SP_01"}, "main_sync": True}
    assert changed(screen.answer(Event.EXPINFO, 20, info)) == [CAM]
    seen = screen.seen()
    assert not seen.is_multirig
    assert (seen.report.doing, str(seen.report.exp_ref)) == (RigState.RUNNING, "2024-05-06_3_SP_01")
    for every, status in ((FOREIGN_BUSY_EVERY, 0), (FOREIGN_EVERY, 0)):
        assert sends(screen.pass_time(every / SECOND - 0.01)) == []
        assert [write(one.word).event for one in sends(screen.pass_time(0.01))] == [Event.EXPINFO]
        screen.answer(Event.EXPINFO, status, info)
    assert screen.problem is None


def test_a_foreign_peer_on_tcp_is_asked_once_and_then_only_when_somebody_wishes() -> None:
    stream = Address("tcp", "10.0.1.3", 11001)
    screen = Screen(stream)
    screen.pass_time(0)
    screen.answer(Event.EXPINFO, 0, {"main_sync": False}, address=stream)
    assert screen.pass_time(600) == []
    [asked] = sends(screen.feed(Asked(address=stream, number=1, limit=SECOND)))
    screen.feed(TimedOut(address=stream, key=asked.key, confirmed=False))
    assert len(sends(screen.pass_time(0))) == 1


def test_what_a_foreign_peer_says_of_itself_may_be_anything() -> None:
    for args in ((), (None,), ("nonsense", 7), (20, {"exp_ref": [1, 2], "failure": None})):
        screen = Screen()
        screen.pass_time(0)
        screen.answer(Event.EXPINFO, *args)
        assert screen.seen().report.exp_ref is None


def test_a_peer_that_answers_with_an_error_is_heard_and_not_asked_in_a_rush() -> None:
    screen = Screen()
    screen.pass_time(0)
    refused = Refused(address=CAM, key=screen.question().key, reason="TypeError: boom")
    assert changed(screen.feed(refused)) == [CAM]
    assert (screen.problem, screen.seen().report.failure) == (None, "TypeError: boom")
    assert sends(screen.pass_time(1.9)) == []


def test_what_a_peer_says_by_itself_is_taken_and_settled() -> None:
    screen = Screen()
    token = Token(CAM, 1, 1)
    out = screen.feed(Received(address=CAM, word=hear_rig(Message(Event.EXPSTART, ("x",))), token=token))
    assert out[0] == Settle(token=token)
    stranger = Token(EPHYS, 1, 1)
    received = Received(address=EPHYS, word=hear_rig(Message(Event.EXPSTART, ("x",))), token=stranger)
    assert screen.feed(received) == [Settle(token=stranger)]


def test_a_foreign_peer_is_left_alone_while_a_session_with_it_is_led_from_here() -> None:
    screen = Screen()
    screen.pass_time(0)
    screen.answer(Event.EXPINFO, 0, {"main_sync": False})
    screen.feed(Suspended(addresses=frozenset({CAM})))
    assert screen.pass_time(120) == []
    assert screen.feed(Asked(address=CAM, number=1, limit=SECOND)) == [Answered(number=1)]
    screen.feed(Suspended(addresses=frozenset()))
    assert len(sends(screen.pass_time(0))) == 1


def test_a_multirig_is_looked_at_all_the_same() -> None:
    screen = Screen()
    screen.meet()
    screen.feed(Suspended(addresses=frozenset({CAM})))
    assert len(sends(screen.pass_time(2))) == 1


def test_whoever_waits_hears_of_the_outcome_of_a_question() -> None:
    screen = Screen()
    screen.pass_time(0)
    screen.miss()
    [asked] = sends(screen.feed(Asked(address=CAM, number=7, limit=3 * SECOND)))
    assert (write(asked.word).event, asked.limit) == (Event.EXPINFO, 3 * SECOND)
    replied = Replied(address=CAM, key=asked.key, word=hear_rig(Message(Event.EXPINFO, (0, GREETS))))
    out = screen.feed(replied)
    assert Answered(number=7) in out
    assert changed(out) == [CAM]
    [asked] = sends(screen.feed(Asked(address=CAM, number=8, limit=3 * SECOND)))
    out = screen.feed(TimedOut(address=CAM, key=asked.key, confirmed=False))
    assert Answered(number=8) in out
    assert screen.feed(Asked(address=EPHYS, number=9, limit=SECOND)) == [Answered(number=9)]


def test_a_rig_that_is_left_is_told_and_forgotten() -> None:
    screen = Screen()
    screen.meet()
    [left] = screen.feed(Followed(addresses=frozenset({EPHYS})))
    assert (write(left.word).args[1], left.needs_reply) == ({"watch": 0}, False)
    assert screen.machine.seen.keys() == {EPHYS}
    assert screen.tell() == []
