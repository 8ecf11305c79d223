from __future__ import annotations

from typing import Any

import pytest

from multirig.lifecycle.observer import (
    Attending,
    Decided,
    DecisionTaken,
    Followed,
    ObserverMachine,
    PicturesAnswered,
    PicturesAsked,
)
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.events import (
    SECOND,
    Address,
    Refused,
    Replied,
    Send,
    TimedOut,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Decide, Lease, Picture, Receipt

RIG = Address("udp", "10.0.0.1", 11_001)
JPEG = b"\xff\xd8\xff\xd9"
REPORT = {"state": "running", "failure": None, "pictures": ["left"]}
ANSWER = Message(
    Event.EXPSTATUS, (20, {**REPORT, "pictures": [{"label": "left", "jpeg": "/9j/2Q==", "age": 0}]})
)


def look_at_a_multirig() -> ObserverMachine:
    machine = ObserverMachine()
    machine.handle(Followed(addresses=frozenset([RIG])), 0)
    machine.handle(Upgraded(address=RIG, boot="boot", name="cam"), 0)
    machine.handle(Told(address=RIG, word=hear_rig(Message(Event.EXPSTATUS, (20, REPORT))), boot="boot"), 0)
    return machine


def ask(machine: ObserverMachine) -> list[Any]:
    return list(machine.handle(PicturesAsked(address=RIG, number=7, limit=SECOND), 0))


def test_pictures_are_asked_of_a_multirig_and_are_no_news_of_it() -> None:
    machine = look_at_a_multirig()
    [asked] = ask(machine)
    assert isinstance(asked, Send)
    assert write(asked.word) == Message(Event.EXPSTATUS, (0, {"pictures": True}))
    assert asked.limit == SECOND
    out = machine.handle(Replied(address=RIG, word=hear_rig(ANSWER), key=asked.key), SECOND)
    assert list(out) == [PicturesAnswered(number=7, pictures=(Picture(label="left", jpeg=JPEG, age=0),))]
    assert machine.seen[RIG].report == hear_rig(Message(Event.EXPSTATUS, (20, REPORT)))
    assert machine.seen[RIG].heard_at == SECOND


@pytest.mark.parametrize("outcome", [TimedOut, Refused, Unreached])
def test_whoever_waits_for_pictures_is_told_that_there_are_none(outcome: Any) -> None:
    machine = look_at_a_multirig()
    [asked] = ask(machine)
    more = {"confirmed": True} if outcome is TimedOut else {"reason": "no way"}
    out = list(machine.handle(outcome(address=RIG, key=asked.key, **more), SECOND))
    assert PicturesAnswered(number=7) in out
    assert machine.seen[RIG].report == hear_rig(Message(Event.EXPSTATUS, (20, REPORT)))


def test_a_rig_is_asked_once_for_all_who_wait() -> None:
    """Else its pictures would pile up on a way that is slower than those who look."""
    machine = look_at_a_multirig()
    [asked] = ask(machine)
    for number in (8, 9):
        assert list(machine.handle(PicturesAsked(address=RIG, number=number, limit=SECOND), 0)) == []
    out = machine.handle(Replied(address=RIG, word=hear_rig(ANSWER), key=asked.key), SECOND)
    shown = (Picture(label="left", jpeg=JPEG, age=0),)
    assert list(out) == [PicturesAnswered(number=number, pictures=shown) for number in (7, 8, 9)]


def test_a_rig_is_asked_for_pictures_no_more_often_than_it_makes_any() -> None:
    """Each answer may be of sixty datagrams."""
    machine = look_at_a_multirig()
    [asked] = ask(machine)
    machine.handle(Replied(address=RIG, word=hear_rig(ANSWER), key=asked.key), 1)
    assert list(machine.handle(PicturesAsked(address=RIG, number=8, limit=SECOND), 2)) == []
    machine.handle_timer(2)  # it asks who the rig is
    timer = machine.get_timer()
    assert timer == SECOND // 2
    [later] = machine.handle_timer(timer)
    assert later.word == asked.word
    assert later.limit == SECOND // 2 + 2, "its time is not longer for it"
    out = machine.handle(Replied(address=RIG, word=hear_rig(ANSWER), key=later.key), SECOND)
    assert [one.number for one in out] == [8]


def test_nobody_else_is_asked_for_pictures() -> None:
    none = [PicturesAnswered(number=7)]
    machine = ObserverMachine()
    assert ask(machine) == none
    machine.handle(Followed(addresses=frozenset([RIG])), 0)
    assert ask(machine) == none  # not heard yet, or an IBL peer
    machine = look_at_a_multirig()
    machine.seen[RIG].miss("is it on?")
    assert ask(machine) == none


HERE = Address("udp", "127.0.0.1", 11_001)
NO = Decide(allows=False, asker="scanner-pc", by="anna")


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (Replied(address=RIG, word=Receipt(event=Event.EXPSTATUS), key=("decided", 3)), ""),
        (Refused(address=RIG, reason="too late", key=("decided", 3)), "too late"),
        (Unreached(address=RIG, reason="no way", key=("decided", 3)), "no way"),
        (TimedOut(address=RIG, confirmed=False, key=("decided", 3)), "has not heard it: look at its screen"),
    ],
)
def test_what_a_person_decides_is_told_to_the_rig_and_its_answer_to_the_person(
    outcome: Any, problem: str
) -> None:
    machine = look_at_a_multirig()
    before = machine.seen[RIG].report
    [sent] = machine.handle(Decided(address=RIG, number=3, word=NO, limit=SECOND), 0)
    assert (sent.word, sent.key, sent.limit) == (NO, ("decided", 3), SECOND)
    assert list(machine.handle(outcome, SECOND)) == [DecisionTaken(number=3, problem=problem)]
    assert machine.seen[RIG].report == before


def test_a_rig_of_this_pc_is_told_soon_that_somebody_can_be_asked_on_the_page_and_no_other_one() -> None:
    machine = ObserverMachine()
    machine.handle(Followed(addresses=frozenset([RIG, HERE])), 0)
    for address in (RIG, HERE):
        machine.handle(Upgraded(address=address, boot="boot", name="cam"), 0)
        news = hear_rig(Message(Event.EXPSTATUS, (20, REPORT)))
        machine.handle(Told(address=address, word=news, boot="boot"), 0)
        machine.seen[address].is_known, machine.seen[address].ask_at = True, 5 * SECOND
    machine.handle(Attending(is_attended=True), SECOND)
    assert machine.get_timer() == SECOND
    [renewed] = machine.handle_timer(SECOND)
    assert (renewed.address, renewed.word) == (HERE, Lease(seconds=15, attends=True))
    machine.seen[RIG].ask_at = SECOND
    [other] = machine.handle_timer(SECOND)
    assert (other.address, other.word) == (RIG, Lease(seconds=15))
