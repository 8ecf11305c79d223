"""Why the system refused something, in words that do not depend on its language."""

from __future__ import annotations

import errno
import os

import pytest

from multirig import refusal
from multirig.errors import why_not


def make_error(number: int, path: str = "C:\\data\\a.npy") -> OSError:
    """Return an error as a German Windows makes it."""
    error = OSError(errno.EACCES, "Der Prozess kann nicht auf die Datei zugreifen", path)
    try:
        error.winerror = number  # type: ignore[attr-defined]
    except AttributeError:  # Windows' own takes it when it is made
        error = OSError(errno.EACCES, "Der Prozess kann nicht auf die Datei zugreifen", path, number)
    return error


@pytest.fixture
def holders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(refusal, "find_holders", lambda path: list(names))
    return names


@pytest.mark.parametrize("number", sorted(refusal.WORDS))
def test_each_known_number_of_windows_has_its_words(number: int, holders: list[str]) -> None:
    said = why_not(make_error(number))
    assert said == refusal.WORDS[number]
    assert "Prozess" not in said


def test_who_holds_a_file_is_named(holders: list[str]) -> None:
    holders += ["Microsoft Excel", "Windows Defender", "Microsoft Excel"]
    for number in (5, 32, 33, 1224):
        said = why_not(make_error(number))
        assert said == "another program has it open: Microsoft Excel, Windows Defender"
    assert "Excel" not in why_not(make_error(112))


def test_a_path_that_is_too_long_is_told_as_that_and_not_as_missing(holders: list[str]) -> None:
    long = "C:\\" + "a" * 300
    assert "more than 259 letters" in why_not(make_error(3, long))
    assert why_not(make_error(3)) == "its folder is not there"


def test_what_is_not_known_is_told_in_the_systems_words(holders: list[str]) -> None:
    assert "Prozess" in why_not(make_error(9999))
    assert why_not(OSError(errno.EIO, os.strerror(errno.EIO))) == os.strerror(errno.EIO)
    assert why_not(ValueError("a word")) == "a word"
