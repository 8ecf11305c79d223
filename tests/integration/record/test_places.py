"""Where this PC's sessions lie, whatever began them."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from multirig.record.places import find_places, known_places, note_place
from multirig.record.recovery import find_open
from multirig.state import VARIABLE

SESSIONS = Path(__file__).parents[2] / "data" / "corpus-0.1" / "sessions"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_place_is_remembered_once_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    one, other = tmp_path / "a ä" / "Subjects", tmp_path / "b" / "Subjects"
    for place in (one, other, one):
        place.mkdir(parents=True, exist_ok=True)
        note_place(place)
    assert known_places() == [one, other]
    shutil.move(other, tmp_path / "server")
    assert known_places() == [one]
    assert find_places(None, tmp_path / "data") == [tmp_path / "data", one]
    assert find_places(other, tmp_path / "data") == [other]


def test_a_damaged_note_costs_one_place(tmp_path: Path, state: Path) -> None:
    (tmp_path / "Subjects").mkdir()
    note_place(tmp_path / "Subjects")
    (state / "places" / "x.place").write_bytes(b"\x00\xff")
    (state / "places" / "y.place").write_bytes(b"relative")
    assert known_places() == [tmp_path / "Subjects"]


def test_where_nothing_can_be_remembered_all_goes_on_and_the_log_says_what_to_do(
    tmp_path: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state.write_text("a file in its place")
    with caplog.at_level(logging.WARNING, "multirig.record"):
        note_place(tmp_path)
    assert known_places() == []
    assert "choose another folder by MULTIRIG_STATE" in caplog.text


async def test_a_session_of_any_conductor_is_found_when_its_program_is_gone(lab: Any) -> None:
    await lab.rig("cam", main_sync=True)
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await conductor.detach()
    [found] = await asyncio.to_thread(lambda: find_open(*known_places()))
    assert found.folder == session.folder


def test_an_open_session_is_found_where_the_first_line_of_its_journal_was_deleted(tmp_path: Path) -> None:
    [journal] = (SESSIONS / "conductor-died").rglob("_multirig_journal.jsonl")
    folder = tmp_path / "Subjects" / "SP_01" / "2026-11-29" / "001"
    folder.mkdir(parents=True)
    _, *lines = journal.read_bytes().splitlines(keepends=True)
    (folder / journal.name).write_bytes(b"".join(lines))
    [found] = find_open(tmp_path / "Subjects")
    assert found.rigs == ("main", "cam")
    assert "this PC's own session of 2026-11-29 18:00 is still open" in found.say()
