from __future__ import annotations

from typing import Any

import pytest

from multirig.errors import MultirigError, RemoteProtocolError, RigUnreachable, Unconfirmed
from multirig.lifecycle.broadcast import Broadcast
from multirig.protocol.events import SECOND, Address, Refused, Replied, TimedOut, Unreached
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Start, Started, Word

A, B = Address("udp", "10.0.0.1", 11001), Address("udp", "10.0.0.2", 11001)
START = Start(exp_ref=ExpRef.parse("2024-05-06_2_SP_01"))


def broadcast(**options: Any) -> Broadcast:
    return Broadcast(number=-5, word=START, rigs={"main": A, "cam": B}, limit=10 * SECOND, **options)


def test_every_rig_is_sent_the_same_message_in_order_under_a_key_of_its_own() -> None:
    sends = list(broadcast(overtakes=True, lasting=True).sends())
    assert [(one.address, one.key) for one in sends] == [(A, (-5, "main")), (B, (-5, "cam"))]
    assert [one.word for one in sends] == [START, START]
    assert all(one.overtakes and one.lasting and one.needs_reply for one in sends)
    assert {one.limit for one in sends} == {10 * SECOND}


def test_it_is_complete_when_the_last_rig_has_its_outcome() -> None:
    one = broadcast()
    assert not one.take("cam", START)
    assert one.take("main", RigUnreachable("gone"))


def test_it_awaits_each_rig_once_and_no_stranger() -> None:
    one = broadcast()
    assert one.awaits("main")
    one.take("main", START)
    assert not one.awaits("main")
    assert not one.awaits("stranger")
    assert not one.awaits(17)


def test_outcomes_are_told_in_the_order_of_the_rigs_and_not_as_they_came() -> None:
    one = broadcast()
    one.take("cam", START)
    one.take("main", START)
    assert list(one.ordered(["main", "cam", "other"])) == ["main", "cam"]


def judged(event: Replied | Refused | TimedOut | Unreached) -> Word | MultirigError:
    return broadcast().judge("cam", event)


def test_a_reply_is_the_outcome() -> None:
    reply = Started(exp_ref=START.exp_ref)
    assert judged(Replied(address=B, key=None, word=reply)) is reply


def test_a_refusal_is_told_in_one_line() -> None:
    outcome = judged(Refused(address=B, key=None, reason="ValueError: boom\n  in line 3\n"))
    assert isinstance(outcome, RemoteProtocolError)
    assert str(outcome) == "ValueError: boom in line 3"


def test_a_rig_that_is_not_there_is_told_with_its_address() -> None:
    outcome = judged(Unreached(address=B, key=None, reason="nothing listens there"))
    assert isinstance(outcome, RigUnreachable)
    assert str(outcome) == "nothing listens there (udp://10.0.0.2:11001)"


@pytest.mark.parametrize(
    ("confirmed", "words"), [(True, "what it did is unknown"), (False, "does not hear EXPSTART")]
)
def test_silence_is_unknown_and_not_lost(confirmed: bool, words: str) -> None:
    outcome = judged(TimedOut(address=B, key=None, confirmed=confirmed))
    assert isinstance(outcome, Unconfirmed)
    assert isinstance(outcome, TimeoutError)
    assert words in str(outcome)
