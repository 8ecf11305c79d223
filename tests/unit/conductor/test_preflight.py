from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from multirig.conductor.preflight import Answer, find_hindrance, judge, judge_rig
from multirig.errors import RigUnreachable
from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.pc.finding import Finding, Level
from multirig.protocol.dialect import hear_rig
from multirig.protocol.messages import Event, Message

ZONE = datetime.timezone(datetime.timedelta(hours=1))
NOON = datetime.datetime(2026, 11, 26, 12, tzinfo=ZONE)
SECOND = datetime.timedelta(seconds=1)
TONGA = datetime.timezone(datetime.timedelta(hours=13))
"""Where it is the next day at noon."""
FULL = Finding(check="disk", level=Level.FAILURE, text="the disk is full in 3 min")


def answer(*found: Finding, round_trip: float | None = 0.001, **info: Any) -> Answer:
    told = {
        "state": "connected",
        "version": "1",
        "time": (NOON + SECOND).isoformat(),
        "preflight": [one.to_json() for one in found],
        **info,
    }
    data = {key: value for key, value in told.items() if value is not None}
    outcome = hear_rig(Message(Event.EXPINFO, (0, data)))
    return Answer(outcome=outcome, asked=NOON, heard=NOON + 2 * SECOND, round_trip=round_trip)


def find(one: Answer) -> dict[str, Finding]:
    return {finding.check: finding for finding in judge_rig(one, "1")}


def test_a_rig_that_is_well_is_ok_in_everything() -> None:
    found = find(answer(Finding(check="disk", level=Level.OK, text="100 GB free")))
    assert {one.level for one in found.values()} == {Level.OK}
    assert found["answer"].text == "answers in 1.0 ms"


def test_a_rig_that_does_not_answer_is_a_failure_with_its_reason() -> None:
    silent = Answer(outcome=RigUnreachable("does not answer"), asked=NOON, heard=NOON)
    (found,) = judge_rig(silent, "1")
    assert (found.level, found.text) == (Level.FAILURE, "does not answer")


def test_a_foreign_rig_cannot_be_asked_and_that_is_no_fault() -> None:
    (found,) = judge_rig(answer(preflight=None), "1")
    assert found.level is Level.NOTE
    assert "cannot be asked" in found.text


def test_a_path_that_carries_short_datagrams_only_is_a_failure_with_what_to_do() -> None:
    ok, narrow = (find(replace(answer(), passes=passes))["path"] for passes in (True, False))
    assert ok.level is Level.OK
    assert narrow.level is Level.FAILURE
    assert "MTU" in narrow.text
    assert "path" not in find(answer())
    silent = Answer(outcome=RigUnreachable("does not answer"), asked=NOON, heard=NOON, passes=False)
    assert [one.check for one in judge_rig(silent, "1")] == ["answer", "path"]


@pytest.mark.parametrize(("pings", "words"), [(True, "firewall"), (False, "at this address")])
def test_of_a_rig_that_does_not_answer_it_is_told_whether_its_pc_is_there(pings: bool, words: str) -> None:
    silent = Answer(outcome=RigUnreachable("does not answer"), asked=NOON, heard=NOON, pings=pings)
    found = judge_rig(silent, "1")[1]
    assert (found.check, found.level) == ("ping", Level.NOTE)
    assert words in found.text


@pytest.mark.parametrize("round_trip", [None, 0.5])
def test_a_slow_network_is_a_warning(round_trip: float | None) -> None:
    found = find(answer(round_trip=round_trip))["answer"]
    assert found.level is (Level.OK if round_trip is None else Level.WARNING)


@pytest.mark.parametrize(
    ("state", "main_sync", "level"),
    [
        ("running", False, Level.FAILURE),
        ("stopping", False, Level.FAILURE),
        ("running", True, Level.FAILURE),
        ("initialised", False, Level.WARNING),
    ],
)
def test_a_rig_in_a_session_is_told_with_it_and_what_ends_it(
    state: str, main_sync: bool, level: Level
) -> None:
    found = find(answer(state=state, main_sync=main_sync, exp_ref="2026-11-26_1_SP_01", failure="no light"))
    assert found["state"].level is level
    assert f"{state} 2026-11-26_1_SP_01 (no light)" in found["state"].text
    assert "'multirig stop RIG'" in found["state"].text


def test_what_the_main_sync_records_can_be_joined() -> None:
    def busy(*, main_sync: bool, number: int = 1) -> Answer:
        return answer(state="running", main_sync=main_sync, exp_ref=f"2026-11-26_{number}_SP_01")

    answers = {
        "main": busy(main_sync=True),
        "cam": busy(main_sync=False),
        "left": busy(main_sync=False, number=2),
    }
    found = judge(answers, [], version="1", is_main_sync=False)
    levels = {name: one.level for name, findings in found.items() for one in findings if one.check == "state"}
    assert levels == {"main": Level.WARNING, "cam": Level.WARNING, "left": Level.FAILURE}


def test_a_rig_whose_session_is_over_is_a_note() -> None:
    found = find(answer(state="stopped", exp_ref="2026-11-26_1_SP_01"))["state"]
    assert found.level is Level.NOTE
    assert "multirig stop" not in found.text


def test_another_version_is_a_warning() -> None:
    assert find(answer(version="2"))["version"].level is Level.WARNING


@pytest.mark.parametrize(
    ("told", "level", "words"),
    [
        (NOON + 3.5 * SECOND, Level.OK, "agree"),
        (NOON + 6 * SECOND, Level.WARNING, "4 s ahead of"),
        (NOON - 10 * SECOND, Level.WARNING, "10 s behind"),
        (NOON + datetime.timedelta(days=3), Level.FAILURE, "3 days ahead"),
        ((NOON + SECOND).astimezone(datetime.timezone.utc), Level.WARNING, "time zone is UTC+0000"),
        ((NOON + SECOND).astimezone(TONGA), Level.WARNING, "time zone is UTC+1300"),
    ],
)
def test_a_clock_is_wrong_only_beyond_what_the_way_took(
    told: datetime.datetime, level: Level, words: str
) -> None:
    found = find(answer(time=told.isoformat()))["time"]
    assert found.level is level
    assert words in found.text


@pytest.mark.parametrize("told", ["noon", 12, None, "2026-11-26T12:00:00"])
def test_a_time_that_cannot_be_read_says_nothing(told: object) -> None:
    assert "time" not in find(answer(time=told))


@pytest.mark.parametrize(
    ("leaders", "here", "level"),
    [(1, False, Level.OK), (0, True, Level.OK), (0, False, Level.NOTE), (2, False, Level.WARNING)],
)
def test_one_pc_gives_the_number(leaders: int, here: bool, level: Level) -> None:
    answers = {f"rig{n}": answer(main_sync=n < leaders) for n in range(3)}
    (found,) = judge(answers, [], version="1", is_main_sync=here)[THIS_PC]
    assert found.level is level


def test_what_would_leave_no_recording_hinders_and_names_the_rig() -> None:
    hindrance = find_hindrance({"cameras": [FULL], "ephys": []}, {})
    assert hindrance is not None
    assert "cameras: the disk is full in 3 min" in str(hindrance)
    assert "no rig has been touched" in str(hindrance)


def test_an_optional_rig_hinders_nothing() -> None:
    assert find_hindrance({"cameras": [FULL]}, {"cameras": RigPolicy(role=Role.OPTIONAL)}) is None


def test_a_failure_that_leaves_a_recording_is_left_to_the_agreement() -> None:
    wrong_day = Finding(check="time", level=Level.FAILURE, text="its clock is 3 days ahead")
    assert find_hindrance({"cameras": [wrong_day]}, {}) is None


def test_a_check_judges_the_day_as_the_agreement_does() -> None:
    tonga = (NOON + SECOND).astimezone(TONGA)
    found = find(answer(main_sync=True, date=tonga.date().isoformat(), time=tonga.isoformat()))["time"]
    assert found.level is Level.FAILURE
    assert "gives numbers of 2026-11-27, and here it is 2026-11-26: its time zone is UTC+1300" in found.text
    found = find(answer(date="2026-11-27", time=None))["time"]
    assert found.level is Level.FAILURE
    assert "set the clock of that PC" in found.text
