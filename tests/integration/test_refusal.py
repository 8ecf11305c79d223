"""Why a real system refuses something with a real file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from multirig.errors import why_not
from multirig.refusal import WORDS, find_holders


def refuse(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return why_not(error)
    raise AssertionError("it was not refused")


@pytest.mark.skipif(os.name != "nt", reason="Windows' own numbers")
def test_windows_refusals_are_told_in_our_words(tmp_path: Path) -> None:
    assert refuse((tmp_path / "none" / "a").read_text) in (WORDS[2], WORDS[3])
    (tmp_path / "a").write_text("a")
    assert refuse(lambda: (tmp_path / "a" / "b").mkdir()) in (WORDS[3], WORDS[267])
    assert refuse(lambda: (tmp_path / 'a"b?').mkdir()) in (WORDS[123], WORDS[161])
    with open(tmp_path / "a") as _:
        said = refuse(lambda: os.replace(tmp_path / "a", tmp_path / "b"))
    assert "another program has it open" in said


@pytest.mark.skipif(os.name == "nt", reason="Linux and macOS have their own words")
def test_elsewhere_the_systems_own_words_are_told(tmp_path: Path) -> None:
    assert refuse((tmp_path / "none").read_text) == "No such file or directory"


@pytest.mark.skipif(os.name != "nt", reason="Windows alone refuses what is open")
@pytest.mark.wine_lacks("who holds a file")
def test_whoever_holds_a_file_is_named(tmp_path: Path) -> None:
    with open(tmp_path / "a", "w") as _:
        assert find_holders(str(tmp_path / "a"))
