"""What is wrong with a rig, by its own report."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from multirig.lifecycle.defects import Kind, judge
from multirig.protocol.messages import Status
from multirig.protocol.words import Finding, Gap, Health, Level, Report, RigState

SINCE = "2026-11-26T21:04:05.123+01:00"


DARK = Finding(level=Level.WARNING, kind="camera", text="right gives nothing: it is opened again")


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
        ({"findings": (DARK,)}, Kind.FOUND, False),
        ({"findings": (replace(DARK, level=Level.ALARM),)}, Kind.FOUND, True),
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


def test_what_is_only_good_to_know_is_no_defect() -> None:
    assert found(findings=(replace(DARK, level=Level.NOTE),)) == []


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
    assert disk.text == "its disk is full in about 3 min: free space in its data folder"


@pytest.mark.parametrize(
    ("known", "seconds", "text", "is_grave"),
    [
        ({"hours_left": 0.5}, 3600.0, "full in about 30 min, before the planned end", False),
        ({"hours_left": 0.05}, 60.0, "full in about 3 min:", True),
        ({"hours_left": 0.0, "disk_free": 0}, None, "its disk is full, and what it records is lost", True),
        ({"disk_free": 50_000_000}, None, r"nearly full \(50.0 MB free\)", True),
        ({"disk_free": 500_000_000}, None, None, False),
        ({"state": RigState.CONNECTED, "hours_left": 0.5}, None, "has room for 30 min only", False),
        ({"state": RigState.CONNECTED, "disk_free": 0}, None, "its disk is full:", False),
        ({"state": None, "status": Status.RUNNING, "disk_free": 0}, None, None, False),
    ],
)
def test_a_disk_is_told_before_it_is_full_and_when_it_is(
    known: dict[str, Any], seconds: float | None, text: str | None, is_grave: bool
) -> None:
    defects = list(judge(Report(**{"state": RigState.RUNNING, **known}), seconds))
    if text is None:
        assert defects == []
    else:
        [defect] = defects
        assert re.search(text, defect.text)
        assert defect.is_grave is is_grave


def test_a_full_disk_that_the_rig_itself_has_found_is_not_told_twice() -> None:
    full = Finding(level=Level.ALARM, kind="disk", text="its disk is full")
    kinds = [one.kind for one in judge(Report(state=RigState.RUNNING, disk_free=0, findings=(full,)))]
    assert Kind.FULL not in kinds
