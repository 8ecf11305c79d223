"""What the truth suite is made of."""

from __future__ import annotations

import collections

from tests.truth.cases import CASES, SHORT
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
