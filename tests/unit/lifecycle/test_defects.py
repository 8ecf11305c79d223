"""What is wrong with a rig, by its own report."""

from __future__ import annotations

from typing import Any

import pytest

from multirig.lifecycle.defects import Kind, judge
from multirig.protocol.messages import Status
from multirig.protocol.words import Gap, Health, Report, RigState

SINCE = "2026-11-26T21:04:05.123+01:00"


def found(seconds: float | None = None, **report: Any) -> list[tuple[Kind, bool]]:
    said = Report(**{"state": RigState.RUNNING, **report})
    return [(defect.kind, defect.is_grave) for defect in judge(said, seconds)]


def test_a_rig_that_records_and_says_nothing_else_is_well() -> None:
    assert found(health=Health(frames=9), hours_left=30.0) == []
    assert found(state=RigState.CONNECTED) == []


@pytest.mark.parametrize(
    ("report", "kind", "is_grave"),
    [
        ({"failure": "start: no light", "led_by": "pc"}, Kind.BROKEN, True),
        ({"state": RigState.FAILING}, Kind.BROKEN, True),
        ({"gap": Gap(since=SINCE)}, Kind.GAP, True),
        ({"stalled": 7.4}, Kind.STALLED, True),
        ({"hours_left": 0.05}, Kind.DISK, True),
        ({"hours_left": 0.05, "state": RigState.CONNECTED}, Kind.DISK, False),
        ({"hours_left": 0.9}, Kind.DISK, False),
        ({"health": Health(dropped=3)}, Kind.DROPPED, False),
        ({"state": RigState.STOPPED}, Kind.LEFT_OVER, False),
    ],
)
def test_each_defect_is_found_alone(report: dict[str, Any], kind: Kind, is_grave: bool) -> None:
    assert found(**report) == [(kind, is_grave)]


def test_the_gravest_comes_first() -> None:
    kinds = [kind for kind, _ in found(failure="x", stalled=9.0, hours_left=0.5, health=Health(dropped=1))]
    assert kinds == [Kind.BROKEN, Kind.STALLED, Kind.DISK, Kind.DROPPED]


def test_a_gap_that_is_over_is_no_defect() -> None:
    assert found(gap=Gap(since=SINCE, until=SINCE, seconds=0.0)) == []


def test_frames_that_were_lost_before_are_no_defect_of_a_rig_that_does_not_record() -> None:
    assert found(state=RigState.CONNECTED, health=Health(dropped=3)) == []


@pytest.mark.parametrize(
    ("seconds", "hours", "is_short"),
    [(None, 1.1, False), (7200.0, 1.9, True), (600.0, 0.6, False), (600.0, 0.4, True), (None, -1.0, False)],
)
def test_how_much_room_is_needed_depends_on_what_is_planned(
    seconds: float | None, hours: float, is_short: bool
) -> None:
    assert bool(found(seconds, hours_left=hours)) is is_short


def test_what_is_led_or_foreign_is_not_left_over() -> None:
    assert found(state=RigState.STOPPED, led_by="pc") == []
    assert found(state=None, status=Status.STOPPED) == []


def test_a_defect_says_what_to_do() -> None:
    [gap, disk] = judge(Report(state=RigState.RUNNING, gap=Gap(since=SINCE), hours_left=0.05))
    assert gap.text == "has not recorded since 21:04:05: look at its program"
    assert disk.text == "its disk has room for 3 min only: free space in its data folder"
