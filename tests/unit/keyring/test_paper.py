"""A lab's key on paper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.errors import ConfigError
from multirig.keyring.paper import LETTERS, LINES, read_line, read_paper, write_paper

SEED = bytes(range(32))
PAPER = write_paper("mylab", SEED)


def test_a_key_stands_in_groups_of_four_letters() -> None:
    assert [[len(group) for group in line.split(" ")] for line in PAPER] == [[4] * 4] * LINES + [[4]]
    assert set("".join(PAPER)) <= {*LETTERS, " "}


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=20))
def test_what_was_written_is_read(seed: bytes, name: str) -> None:
    assert read_paper(name, write_paper(name, seed)) == seed


@pytest.mark.parametrize(
    "change", [str.lower, lambda line: line.replace(" ", ""), lambda line: f" {line}-\t"]
)
def test_spaces_dashes_and_small_letters_are_no_typos(change: Callable[[str], str]) -> None:
    assert read_paper("mylab", [change(line) for line in PAPER]) == SEED


def test_letters_that_look_alike_count_as_what_was_written() -> None:
    typed = [line.replace("0", "o").replace("1", "l").replace("V", "u") for line in PAPER]
    assert typed != PAPER
    assert read_paper("mylab", typed) == SEED


@pytest.mark.parametrize("number", range(1, LINES + 1))
def test_each_wrong_letter_is_found_in_its_line(number: int) -> None:
    line = PAPER[number - 1].replace(" ", "")
    missed = []
    for at in range(len(line)):
        for letter in LETTERS:
            if letter != line[at]:
                try:
                    read_line(number, line[:at] + letter + line[at + 1 :])
                except ConfigError:
                    continue
                missed.append((at, letter))
    assert missed == []  # of 496; one in 32,768 would be


@pytest.mark.parametrize("number", range(1, LINES + 1))
def test_two_letters_that_changed_places_are_found(number: int) -> None:
    line = PAPER[number - 1].replace(" ", "")
    for at in range(len(line) - 1):
        turned = line[:at] + line[at + 1] + line[at] + line[at + 2 :]
        if turned != line:
            with pytest.raises(ConfigError, match=f"line {number} has a typo"):
                read_line(number, turned)


def test_lines_that_changed_places_are_found() -> None:
    with pytest.raises(ConfigError, match="line 1 has a typo, or is another line"):
        read_paper("mylab", [PAPER[1], PAPER[0], *PAPER[2:]])


def test_another_lab_s_name_is_found() -> None:
    with pytest.raises(ConfigError, match=r"the lab's name \(mylav\)"):
        read_paper("mylav", PAPER)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "line 1 has 16 letters, 0 were typed"),
        (PAPER[0][:-1], "15 were typed"),
        (PAPER[0] + "0", "17 were typed"),
        ("é" + PAPER[0], "É stands in no key"),
        ("\x1b[2J" + PAPER[0], "a sign that cannot be seen stands in no key"),
        ("ZZZZ ZZZZ ZZZZ ZZZZ", "line 1 has a typo"),
    ],
)
def test_what_is_no_line_is_told_as_such(typed: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_line(1, typed)


@pytest.mark.attack
def test_what_was_typed_stands_in_no_message() -> None:
    for number in range(1, LINES + 1):
        typed = PAPER[number - 1][:-1] + "?"
        with pytest.raises(ConfigError) as caught:
            read_line(number, typed)
        assert PAPER[number - 1][:4] not in str(caught.value)
