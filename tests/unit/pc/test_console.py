"""Every letter can be written, whatever the language of the system and wherever it goes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from multirig.pc.console import is_console, without_marking, write_anything


@pytest.mark.parametrize("language", ["cp1252", "cp437", "ascii", "latin-1", "cp932", "utf-8"])
def test_what_goes_into_a_pipe_is_utf_8(language: str) -> None:
    taken = io.BytesIO()
    stream = io.TextIOWrapper(taken, encoding=language)
    write_anything(stream)
    stream.write("✓ Müller µm 測定 \ud83d")
    stream.flush()
    assert taken.getvalue().decode() == "✓ Müller µm 測定 ?"


def test_a_stream_that_is_none_or_somebody_elses_is_left_alone() -> None:
    write_anything(None)
    write_anything(io.StringIO())
    assert not is_console(None)
    assert not is_console(io.StringIO())


def test_a_file_a_pipe_and_nowhere_are_no_console(tmp_path: Path) -> None:
    read, write = os.pipe()
    with (
        (tmp_path / "out.txt").open("w") as file,
        open(read) as one,
        open(write, "w") as other,
        open(os.devnull) as nowhere,
    ):
        assert not any(map(is_console, (file, one, other, nowhere)))
    assert not is_console(file)  # it is closed


def test_where_there_is_no_window_nothing_is_marked_in_it() -> None:
    with without_marking():
        assert True
