"""Checks on this very PC."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from multirig.pc import awake
from multirig.pc.awake import Awake
from multirig.pc.checking import run_checks
from multirig.pc.disk import check_disk, check_folder
from multirig.pc.finding import Finding, Level


def test_a_probe_is_written_and_nothing_stays(tmp_path: Path) -> None:
    (found,) = check_folder(tmp_path / "data" / "later", None)
    assert found.level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_slow_for_the_recording_is_a_warning(tmp_path: Path) -> None:
    (found,) = check_folder(tmp_path, 1e15)
    assert found.level is Level.WARNING


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that may not be written")
def test_a_folder_that_may_not_be_written_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (found,) = check_folder(tmp_path, None)
    assert found.level is Level.FAILURE


def test_a_folder_that_is_no_folder_is_a_failure(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    (found,) = check_folder(place, None)
    assert found.level is Level.FAILURE
    assert "cannot be written" in found.text


def test_the_room_is_that_of_the_disk_where_the_folder_will_be(tmp_path: Path) -> None:
    (found,) = check_disk(tmp_path / "later", 1.0, 1.0)
    assert found.level is Level.OK


async def test_a_check_that_raises_or_hangs_is_a_warning_and_the_others_are_told() -> None:
    hanging = threading.Event()

    def hang() -> list[Finding]:
        hanging.wait()
        return []

    def fail() -> list[Finding]:
        raise RuntimeError("first line\nsecond line")

    good = Finding(check="good", level=Level.OK, text="well")
    found = await run_checks({"hang": hang, "fail": fail, "good": lambda: [good]}, limit=0.2)
    hanging.set()
    assert [(one.check, one.level) for one in found] == [
        ("hang", Level.WARNING),
        ("fail", Level.WARNING),
        ("good", Level.OK),
    ]
    assert "first line second line" in found[1].text


@pytest.mark.skipif(os.name == "nt", reason="a child keeps the other systems awake")
def test_the_system_is_kept_awake_until_it_is_let_sleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    mark.mkdir()
    command = ["sh", "-c", f"touch {mark}/began; cat; touch {mark}/ended"]
    monkeypatch.setattr(awake, "awake_command", lambda *_: command)
    others = {*threading.enumerate()}  # of rigs in other tests
    one = Awake("a test")
    one.keep(True)
    one.keep(True)
    end = time.monotonic() + 10
    while not (mark / "began").exists() and time.monotonic() < end:
        time.sleep(0.01)
    one.keep(False)
    one.close()
    assert (mark / "began").exists()
    assert not any(thread.name == "awake" for thread in {*threading.enumerate()} - others)


def test_an_end_without_a_beginning_waits_for_nothing() -> None:
    Awake("a test").close()
