"""When clocks are good enough for a start."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace

import pytest

from multirig.lifecycle.clock_gate import ClockGate, KnownClock, Objection, Reaction, judge_clocks
from multirig.lifecycle.session_events import ClockRead

DAY = datetime.date(2024, 5, 6)
READ = ClockRead(rig="cam", at=0, offset=7, bound=10_000, drift=1.0, round_trip=20_000)
WELL = KnownClock(read=READ, date=DAY)
REFUSING = ClockGate(
    unknown=Reaction.REFUSE, wide=Reaction.REFUSE, stepped=Reaction.REFUSE, midnight=Reaction.REFUSE
)
IGNORING = ClockGate(
    unknown=Reaction.IGNORE, wide=Reaction.IGNORE, stepped=Reaction.IGNORE, midnight=Reaction.IGNORE
)
WRONG = {
    "unknown": (KnownClock(), "are its UDP ports open"),
    "foreign": (KnownClock(round_trip=0.0012), "an answer takes 1.2 ms: it speaks IBL's wire"),
    "wide": (replace(WELL, read=replace(READ, bound=6_000_000)), "within 6 ms only (max_bound is 5 ms)"),
    "stepped": (replace(WELL, read=replace(READ, steps=2), steps_before=1), "has jumped"),
    "midnight": (
        replace(WELL, date=datetime.date(2024, 5, 7)),
        "it was 2024-05-07 there and 2024-05-06 here",
    ),
}


def judge(gate: ClockGate, known: KnownClock, today: datetime.date = DAY) -> Sequence[Objection]:
    return judge_clocks(gate, {"cam": known}, date=DAY, today=today)


def test_nothing_speaks_against_clocks_that_are_well() -> None:
    assert judge(REFUSING, WELL) == []


def test_a_jump_before_the_rigs_agreed_does_not_count() -> None:
    assert judge(REFUSING, replace(WELL, read=replace(READ, steps=2), steps_before=2)) == []


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_told_with_the_rig_and_what_follows_as_the_rules_say(kind: str) -> None:
    known, words = WRONG[kind]
    [one] = judge(REFUSING, known)
    assert one.rig == "cam"
    assert one.reaction is Reaction.REFUSE
    assert words in one.text
    assert judge(IGNORING, known) == []


def test_by_default_a_session_starts_and_is_told_but_not_over_midnight() -> None:
    assert {kind: judge(ClockGate(), known)[0].reaction.value for kind, (known, _) in WRONG.items()} == {
        "unknown": "flag",
        "foreign": "flag",
        "wide": "flag",
        "stepped": "flag",
        "midnight": "refuse",
    }


def test_a_start_after_the_midnight_that_follows_the_agreement_is_refused() -> None:
    [one] = judge(ClockGate(), WELL, DAY + datetime.timedelta(days=1))
    assert one.rig == "this PC"
    assert "agree again" in one.text
