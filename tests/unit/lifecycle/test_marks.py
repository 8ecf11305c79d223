"""Markers on their way to the rigs: each rig gets them at its own pace, and none is lost without a word."""

from __future__ import annotations

from multirig.lifecycle.marks import WINDOW, Marks
from multirig.protocol.events import Address, Replied, TimedOut
from multirig.protocol.messages import Event
from multirig.protocol.words import Marker, Receipt

CAM = Address("udp", "10.0.0.2", 11001)
HAS_IT = Replied(address=CAM, key=("mark", "cam"), word=Receipt(event=Event.EXPSTATUS))
LATE = TimedOut(address=CAM, key=("mark", "cam"), confirmed=False)


def marker(number: int) -> Marker:
    return Marker(text=str(number), data={}, at=float(number))


def test_many_markers_wait_for_those_before_them_and_keep_their_order() -> None:
    marks = Marks()
    left = [one for number in range(WINDOW + 2) for one in marks.add("cam", marker(number))]
    assert [one.text for one in left] == [str(number) for number in range(WINDOW)]
    assert marks.count_open() == {"cam": WINDOW + 2}
    assert [one.text for one in marks.take("cam", HAS_IT)] == [str(WINDOW)]
    assert [one.text for one in marks.take("cam", HAS_IT)] == [str(WINDOW + 1)]
    assert marks.count_open() == {"cam": WINDOW}
    assert [one.text for one in marks.add("ephys", marker(0))] == ["0"]


def test_a_rig_lacks_what_it_has_not_confirmed_and_what_did_not_reach_it() -> None:
    marks = Marks()
    for number in range(3):
        marks.add("cam", marker(number))
    marks.take("cam", HAS_IT)
    marks.take("cam", LATE)
    assert marks.count_open() == {"cam": 1}
    assert marks.count_lacking() == {"cam": 2}
    marks.begin()
    assert marks.count_lacking() == {}
