"""What the truth suite is made of."""

from __future__ import annotations

import collections
from pathlib import Path

from tests.truth.__main__ import count_kinds, join, read_results, write_results
from tests.truth.cases import CASES, SHORT
from tests.truth.judge import Judgement, Kind
from tests.truth.model import Truth


def test_no_two_cases_have_one_name() -> None:
    assert [
        name for name, number in collections.Counter(one.name for one in CASES).items() if number > 1
    ] == []


def test_what_is_played_for_each_change_has_one_case_of_each_kind() -> None:
    kinds = {case.name: case.kind for case in CASES}
    assert [name for name in SHORT if name not in kinds] == []
    assert collections.Counter(kinds[name] for name in SHORT) == collections.Counter(set(kinds.values()))


def test_there_are_as_many_cases_as_are_promised() -> None:
    numbers = collections.Counter(case.truth for case in CASES)
    assert numbers[Truth.BAD] + numbers[Truth.REFUSED] >= 300
    assert numbers[Truth.HONEST] >= 200


def test_each_bad_case_says_what_must_be_told_of_it() -> None:
    assert [case.name for case in CASES if case.truth is not Truth.HONEST and not case.says] == []


def test_what_is_played_again_takes_the_place_of_what_it_was_and_is_counted_with_the_rest(
    tmp_path: Path,
) -> None:
    first, second, honest = CASES[0], CASES[1], CASES[-1]
    before = [
        Judgement(name=case.name, truth=case.truth, kind=kind, said="")
        for case, kind in ((honest, Kind.FALSE_ALARM), (second, Kind.FALSE_GOOD), (first, Kind.RIGHT))
    ]
    write_results(tmp_path / "results.json", before)
    now = [Judgement(name=second.name, truth=second.truth, kind=Kind.RIGHT, said="", lines=("one",))]
    told = join(read_results(tmp_path / "results.json"), now)
    assert [(one.name, one.kind) for one in told] == [
        (first.name, Kind.RIGHT),
        (second.name, Kind.RIGHT),
        (honest.name, Kind.FALSE_ALARM),
    ]
    assert count_kinds(told)[first.kind] == {"bad": 2, "false GOOD": 0, "honest": 0, "false alarms": 0}
