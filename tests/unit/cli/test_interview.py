"""Questions with an answer that is taken where none is typed."""

from __future__ import annotations

import pytest

from multirig.cli.interview import Interview, read_yes
from multirig.errors import ConfigError


class Person:
    """Types answers one after the other."""

    def __init__(self, *answers: str) -> None:
        self._left = list(answers)
        self.saw: list[str] = []
        """Questions, and what was objected to."""

    def interview(self) -> Interview:
        return Interview(asks=True, read_line=self._type, object_to=self.saw.append)

    def _type(self, question: str) -> str:
        self.saw.append(question)
        return self._left.pop(0)

    @property
    def is_done(self) -> bool:
        return not self._left


def whole(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{text!r} is no number")
    return int(text)


def test_enter_takes_the_default_and_what_cannot_be_is_asked_again() -> None:
    person = Person("", "x", " 7 ")
    interview = person.interview()
    assert interview.ask("How many", "3", whole) == 3
    assert interview.ask("How many", "3", whole) == 7
    assert person.saw == ["How many? [3]", "How many? [3]", "'x' is no number", "How many? [3]"]


def test_what_is_given_is_not_asked_and_must_be_possible() -> None:
    nobody = Person()
    assert nobody.interview().ask("How many", "3", whole, "5") == 5
    assert Interview(asks=False).ask("How many", "3", whole) == 3
    with pytest.raises(ConfigError, match="'x' is no number"):
        nobody.interview().ask("How many", "3", whole, "x")
    with pytest.raises(ConfigError, match="'x' is no number"):
        Interview(asks=False).ask("How many", "x", whole)
    assert nobody.saw == []


def test_several_may_be_chosen_in_any_order_each_once() -> None:
    person = Person("2, 1 2", "")
    interview = person.interview()
    assert interview.choose_some("Which", ["a", "b", "c"], 2) == [1, 0]
    assert interview.choose_some("Which", ["a", "b", "c"], 2) == [2]
    assert person.is_done


def test_one_is_chosen_of_some() -> None:
    person = Person("0", "4", "1 2", "two", "", "2")
    assert person.interview().choose("Which", ["a", "b", "c"], 0) == 0
    assert person.interview().choose("Which", ["a", "b", "c"], 0) == 1
    assert sum("type one" in one for one in person.saw) == 4
    assert Interview(asks=False).choose("Which", ["a", "b", "c"], 2) == 2
    assert person.interview().choose("Which", ["a", "b", "c"], 0, given=2) == 2
    assert person.is_done


def test_yes_and_no_are_known_and_nothing_else() -> None:
    assert [read_yes(one) for one in ("y", "YES", " n ", "no")] == [True, True, False, False]
    with pytest.raises(ConfigError, match="neither yes nor no"):
        read_yes("yep")
