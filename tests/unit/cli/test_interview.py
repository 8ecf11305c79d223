"""Questions with an answer that is taken where none is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from multirig.cli import render
from multirig.cli.interview import Interview, read_yes
from multirig.errors import ConfigError


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Let answers be typed one after the other; return what was asked and what was objected to."""
    left: list[str] = []
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return left.pop(0)

    def start(*answers: str) -> list[str]:
        left.extend(answers)
        return asked

    monkeypatch.setattr(render, "ask", ask)
    monkeypatch.setattr(render, "warn", asked.append)
    yield start
    assert left == []


def whole(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{text!r} is no number")
    return int(text)


def test_enter_takes_the_default_and_what_cannot_be_is_asked_again(typing: Callable[..., list[str]]) -> None:
    asked = typing("", "x", " 7 ")
    interview = Interview(asks=True)
    assert interview.ask("How many", "3", whole) == 3
    assert interview.ask("How many", "3", whole) == 7
    assert asked == ["How many? [3]", "How many? [3]", "'x' is no number", "How many? [3]"]


def test_what_is_given_is_not_asked_and_must_be_possible(typing: Callable[..., list[str]]) -> None:
    asked = typing()
    assert Interview(asks=True).ask("How many", "3", whole, "5") == 5
    assert Interview(asks=False).ask("How many", "3", whole) == 3
    with pytest.raises(ConfigError, match="'x' is no number"):
        Interview(asks=True).ask("How many", "3", whole, "x")
    with pytest.raises(ConfigError, match="'x' is no number"):
        Interview(asks=False).ask("How many", "x", whole)
    assert asked == []


def test_several_may_be_chosen_in_any_order_each_once(typing: Callable[..., list[str]]) -> None:
    typing("2, 1 2", "")
    interview = Interview(asks=True)
    assert interview.choose_some("Which", ["a", "b", "c"], 2) == [1, 0]
    assert interview.choose_some("Which", ["a", "b", "c"], 2) == [2]


def test_one_is_chosen_of_some(typing: Callable[..., list[str]]) -> None:
    asked = typing("0", "4", "1 2", "two", "", "2")
    assert Interview(asks=True).choose("Which", ["a", "b", "c"], 0) == 0
    assert Interview(asks=True).choose("Which", ["a", "b", "c"], 0) == 1
    assert sum("type one" in one for one in asked) == 4
    assert Interview(asks=False).choose("Which", ["a", "b", "c"], 2) == 2
    assert Interview(asks=True).choose("Which", ["a", "b", "c"], 0, given=2) == 2


def test_yes_and_no_are_known_and_nothing_else() -> None:
    assert [read_yes(one) for one in ("y", "YES", " n ", "no")] == [True, True, False, False]
    with pytest.raises(ConfigError, match="neither yes nor no"):
        read_yes("yep")
