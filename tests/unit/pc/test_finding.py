from __future__ import annotations

import pytest

from multirig.pc.awake import awake_command
from multirig.pc.disk import judge_room
from multirig.pc.finding import MAX_FINDINGS, MAX_TEXT, Finding, Level, read_findings, worst

GB = 1_000_000_000


def test_a_finding_is_read_as_it_was_told() -> None:
    one = Finding(check="disk", level=Level.WARNING, text="little room")
    assert read_findings([one.to_json()]) == [one]


@pytest.mark.parametrize(
    "told", [None, "ok", 3, {}, [None], [{"check": "disk"}], [{"check": 1, "level": "ok", "text": ""}]]
)
def test_what_is_no_finding_is_left_out(told: object) -> None:
    assert read_findings(told) == []


def test_an_unknown_level_is_left_out() -> None:
    assert read_findings([{"check": "disk", "level": "fatal", "text": "no"}]) == []


def test_what_another_pc_tells_is_bounded_and_in_one_line() -> None:
    (one, *_), told = (read_findings([{"check": "a", "level": "ok", "text": "x\ny " * 500}] * 99), 99)
    assert "\n" not in one.text
    assert len(one.text) <= MAX_TEXT
    assert len(read_findings([{"check": "a", "level": "ok", "text": "x"}] * told)) == MAX_FINDINGS


def test_the_worst_finding_counts() -> None:
    notes = [Finding(check="a", level=level, text="") for level in (Level.NOTE, Level.FAILURE, Level.OK)]
    assert worst(notes) is Level.FAILURE
    assert worst([]) is Level.OK


@pytest.mark.parametrize(
    ("free", "rate", "seconds", "level", "words"),
    [
        (100 * GB, 10e6, 3600, Level.OK, "167 min"),
        (40 * GB, 10e6, 3600, Level.WARNING, "little for 60 min"),
        (2 * GB, 10e6, 3600, Level.FAILURE, "full in 3 min"),
        (20 * GB, 10e6, None, Level.WARNING, "little for 60 min"),
        (2 * GB, 10e6, None, Level.FAILURE, "full in 3 min"),
        (100 * GB, None, 3600, Level.NOTE, "not known"),
        (GB // 2, None, 3600, Level.WARNING, "only 500.0 MB"),
        (100 * GB, 0.0, 3600, Level.NOTE, "not known"),
    ],
)
def test_room_is_judged_by_the_rate_of_the_last_recordings(
    free: int, rate: float | None, seconds: float | None, level: Level, words: str
) -> None:
    found = judge_room(free, rate, seconds)
    assert found.level is level
    assert words in found.text


def test_each_system_is_kept_awake_in_its_own_way() -> None:
    assert awake_command("darwin", "a session", 17) == ["caffeinate", "-i", "-w", "17"]
    assert "--why=a session" in (awake_command("linux", "a session", 17) or [])
    assert awake_command("win32", "a session", 17) is None
