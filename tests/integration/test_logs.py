"""The log file of a program."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multirig.logs import keep_log


def test_neither_a_line_nor_a_stack_in_the_log_holds_a_password(tmp_path: Path) -> None:
    root = logging.getLogger("multirig")
    before = (root.level, root.propagate, list(root.handlers))
    path = keep_log("rig", tmp_path)
    try:
        try:
            raise OSError("rtsp://admin:p@ss/w0rd@camera.lab is not there")
        except OSError:
            root.exception("cannot open %s", "http://camera.lab/?user=a&pwd=SECRET")
    finally:
        for handler in root.handlers[len(before[2]) :]:
            handler.close()
            root.removeHandler(handler)
        root.setLevel(before[0])
        root.propagate = before[1]
    assert path is not None
    text = path.read_text()
    assert "w0rd" not in text
    assert "SECRET" not in text
    assert "OSError: rtsp://***@camera.lab is not there" in text


@pytest.fixture
def clean() -> Iterator[None]:
    root = logging.getLogger("multirig")
    before = (root.level, root.propagate, list(root.handlers))
    yield
    for handler in root.handlers[len(before[2]) :]:
        handler.close()
        root.removeHandler(handler)
    root.setLevel(before[0])
    root.propagate = before[1]


@pytest.mark.attack
def test_no_line_of_the_log_is_forged(tmp_path: Path, clean: None) -> None:
    path = keep_log("rig", tmp_path)
    hostile = "\x1b[2K\u202ecam\r\n2026-11-30 12:00:00.000 INFO    multirig: all is well\x9b1A\ud800"
    log = logging.getLogger("multirig")
    try:
        raise ValueError(hostile)
    except ValueError:
        log.exception("heard %s", hostile)
    log.info("the end\tof it")
    assert path is not None
    lines = path.read_text(encoding="utf-8").split("\n")
    assert [one for one in lines if one.startswith("20")] == [lines[0], lines[-2]]
    assert sum(one.startswith("| 2026-11-30 12:00") for one in lines) == 2
    assert lines[-2].endswith("the end\tof it")
    assert all(one.replace("\t", "").isprintable() for one in lines)


@pytest.mark.parametrize("name", ["aux", "COM1", "nul.rig"])
def test_a_rig_whose_name_is_a_device_of_windows_has_a_log_all_the_same(
    tmp_path: Path, clean: None, name: str
) -> None:
    path = keep_log(name, tmp_path)
    logging.getLogger("multirig").warning("hello")
    assert path is not None
    assert path.name == f"_{name}.log"
    assert "hello" in path.read_text()


@pytest.mark.parametrize("makes", [Path.touch, lambda path: (path / "conductor.log").mkdir(parents=True)])
def test_without_a_place_for_the_log_all_goes_on_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None, makes: Any
) -> None:
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path))
    makes(tmp_path / "log")
    said: list[str] = []
    assert keep_log("conductor", tell=said.append) is None
    logging.getLogger("multirig").warning("nobody reads this")
    [line] = said
    assert line.startswith(f"no log is kept: {tmp_path / 'log' / 'conductor.log'} cannot be written")
    assert line.endswith("choose another folder by MULTIRIG_STATE")
    assert keep_log("cam", tmp_path / "log", tell=said.append) is None or makes is not Path.touch


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a disk that is full is made by Linux")
def test_a_full_disk_is_told_once(tmp_path: Path, clean: None) -> None:
    (tmp_path / "cam.log").symlink_to("/dev/full")
    said: list[str] = []
    keep_log("cam", tmp_path, tell=said.append)
    for _ in range(3):
        logging.getLogger("multirig").warning("a line")
    [line] = said
    assert "misses lines" in line
    assert "look at its log_folder" in line


def fill(name: str, lines: int) -> None:
    """Write lines with numbers, a thousand bytes each."""
    for number in range(lines):
        logging.getLogger("multirig").info("%s %06d %s", name, number, "x" * 950)


def test_a_log_that_is_long_begins_anew_and_three_older_ones_are_kept(
    tmp_path: Path, clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.logs.MAX_BYTES", 20_000)
    keep_log("cam", tmp_path)
    fill("line", 95)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(found) == ["cam.log", "cam.log.1", "cam.log.2", "cam.log.3"]
    assert all(len(text) <= 20_000 for text in found.values())
    kept = [found[name].count("\n") for name in ("cam.log.3", "cam.log.2", "cam.log.1", "cam.log")]
    last = [
        int(line.split("line ")[1][:6])
        for text in (found[n] for n in sorted(found))
        for line in text.splitlines()
    ]
    assert sorted(last) == list(range(95 - sum(kept), 95))


def test_a_log_that_another_program_holds_grows_on_and_costs_neither_a_line_nor_the_older_ones(
    tmp_path: Path, clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.logs.MAX_BYTES", 20_000)
    held = tmp_path / "cam.log.0"  # where the log would be moved, and cannot be
    (held / "in the way").mkdir(parents=True)
    (tmp_path / "cam.log.1").write_text("older")
    said: list[str] = []
    keep_log("cam", tmp_path, tell=said.append)
    fill("line", 60)
    text = (tmp_path / "cam.log").read_text()
    assert [int(line.split("line ")[1][:6]) for line in text.splitlines()] == list(range(60))
    assert (tmp_path / "cam.log.1").read_text() == "older"
    assert said == []
    (held / "in the way").rmdir()
    held.rmdir()
    fill("more", 5)
    assert len((tmp_path / "cam.log").read_text()) <= 20_000
    assert (tmp_path / "cam.log.2").read_text() == "older"
