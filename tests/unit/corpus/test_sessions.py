"""Sessions that 0.1 has recorded, read today: the account, the journal in words, the picture, the lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.corpus import readings
from tests.unit.corpus.tell_sessions import (
    NAMES,
    SESSIONS,
    SHOWN,
    SHOWN_JOURNAL,
    copy,
    folder_of,
    read_told,
    read_written_account,
    settle,
    tell,
)

PROLONGED = ("rig-died-and-did-not-resume", "cam")
"""A rig that did not record any more: 0.1 let its gap end when its program was there again."""
every_session = pytest.mark.parametrize("name", NAMES)


@every_session
def test_what_is_told_of_a_session_of_0_1_is_what_0_1_told(name: str, tmp_path: Path) -> None:
    told, expected = tell(copy(name, tmp_path), tmp_path), read_told(name)
    assert told.keys() == expected.keys()
    if name == PROLONGED[0]:
        [now], [then] = (one["account"]["rigs"][PROLONGED[1]].pop("gaps") for one in (told, expected))
        assert now["from"] == then["from"]
        assert now["seconds"] > then["seconds"]
    for key, one in expected.items():
        assert told[key] == one, key


@every_session
def test_a_session_of_0_1_is_shown_in_the_same_words(name: str) -> None:
    folder = folder_of(SESSIONS / name)
    for shown, file in ((readings.show(folder), SHOWN), (readings.show(folder, "--journal"), SHOWN_JOURNAL)):
        expected = (SESSIONS / name / file).read_text(encoding="utf-8")
        assert without_zero(shown) == without_zero(expected)


def without_zero(text: str) -> list[str]:
    """Return the words without what depends on the zero of times; 0.1 filled up rows with spaces."""
    text = re.sub(r"[-+]\d+\.\d+ s|\d+\.\d s (?=after the start)", "", text)
    text = text.replace("times from the agreed start;", "times from the beginning;")
    return [" ".join(line.split()) for line in text.splitlines()]


@every_session
def test_what_is_shown_for_machines_is_the_account(name: str) -> None:
    folder = folder_of(SESSIONS / name)
    shown = readings.show_as_json(folder)
    assert shown.pop("session_folder") == "<folder>"
    assert shown == readings.read_account(folder, lambda told: told)
    assert readings.read_summary(folder).items() <= shown.items()


@every_session
def test_the_tables_beside_a_verdict_are_drawn_from_the_journal_again(name: str) -> None:
    folder = folder_of(SESSIONS / name)
    for file, text in readings.read_tables(folder).items():
        if (folder / file).exists():
            assert (folder / file).read_text(encoding="utf-8") == text, file


def test_there_is_a_session_of_every_verdict() -> None:
    words = {read_told(name)["account"]["verdict"] for name in NAMES}
    assert words == {"GOOD", "DEGRADED", "INCOMPLETE", "INTERRUPTED", "ABORTED"}
    assert len(NAMES) >= 20
    assert sum(bool(read_written_account(SESSIONS / name)) for name in NAMES) >= 15


def test_one_byte_of_a_journal_that_is_otherwise_is_noticed(tmp_path: Path) -> None:
    root = copy("good", tmp_path)
    journal = folder_of(root) / readings.JOURNAL_NAME
    before = tell(root, tmp_path / "one")
    assert before == read_told("good")
    data = journal.read_bytes()
    place = data.index(b'"bytes_total":') + len(b'"bytes_total":')
    journal.write_bytes(data[:place] + b"9" + data[place + 1 :])
    after = tell(root, tmp_path / "other")
    for key in ("account", "story", "picture"):
        assert after[key] != before[key], key


def test_a_file_that_a_manifest_names_and_that_changed_is_noticed(tmp_path: Path) -> None:
    root = copy("good", tmp_path)
    [file] = (root / "cam").rglob("fake.csv")
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    assert tell(root, tmp_path)["verified"] != read_told("good")["verified"]


def test_nothing_is_known_of_the_machine_that_recorded_them() -> None:
    for path in SESSIONS.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "/tmp" not in text, path
            assert "/home/" not in text, path


def test_a_session_of_0_1_is_settled_with_its_verdict_after_its_journal(tmp_path: Path) -> None:
    folder = settle(copy("good", tmp_path))
    journal, verdict = ((folder / name).stat() for name in (readings.JOURNAL_NAME, readings.VERDICT_NAME))
    assert verdict.st_mtime_ns > journal.st_mtime_ns
