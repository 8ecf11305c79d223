"""Every file says in which format it is: what is older is read, what is newer is refused by name."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from multirig.collect import receipts
from multirig.collect.places import MARK_NAME, marks
from multirig.collect.places.folder import Folder
from multirig.dashboard.door import ended, people
from multirig.errors import ConfigError
from multirig.formats import check_format
from multirig.ibl import description
from multirig.install import records
from multirig.protocol import frames
from multirig.record import account, entries, journal, manifest, register, spare
from multirig.record.account import read_verdict
from multirig.record.catalogue import NO_VERDICT, Catalogue
from multirig.record.journal import holds_start, read_history, read_journal, replay
from multirig.record.manifest import Condition, check, manifest_name, read_manifest
from multirig.record.verdict import Word
from multirig.rig.adapters.process.orphan import read_started
from multirig.rig.memory import FORMAT, read_memory, write_memory
from multirig.transfer import folder as handover
from multirig.version import __version__

SAMPLES = Path(__file__).parents[1] / "data" / "formats"
"""A file of each format that was ever written; a new format brings a sample, and no sample goes."""


def place(sample: Path, folder: Path, name: str) -> Path:
    """Put a sample where a session's folder would have it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(sample, folder / name)
    return folder / name


def number_in(text: str) -> int:
    """Return the number that a file of JSON says, wherever it stands; 1 where it says none."""
    found = re.search(r'"format": ?(\d+)', text)
    return 1 if found is None else int(found[1])


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("journal", entries.FORMAT),
        ("ended", ended.FORMAT),
        ("accounts", people.FORMAT),
        ("losses", spare.FORMAT),
        ("installed", records.FORMAT),
        ("manifest", manifest.FORMAT),
        ("verdict", account.FORMAT),
        ("transfer", handover.FORMAT),
        ("collected", receipts.FORMAT),
        ("destination", marks.FORMAT),
    ],
)
def test_there_is_a_sample_of_each_format(kind: str, known: int) -> None:
    samples = {int(one.stem.rpartition("-")[2]): one for one in SAMPLES.glob(f"{kind}-*")}
    assert sorted(samples) == list(range(1, known + 1))
    for number, sample in samples.items():
        assert number_in(sample.read_text(encoding="utf-8")) == number


# -- each is read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("journal-*")), ids=lambda one: one.stem)
def test_a_journal_of_each_format_is_read(sample: Path, tmp_path: Path) -> None:
    place(sample, tmp_path, journal.FILE_NAME)
    history = read_history(tmp_path)
    assert (len(history.moments) > 10, history.unreadable) == (True, [])
    assert [one.event for one in read_journal(tmp_path)] == [one.event for one in history.moments]
    assert str(history.machine.state) == "idle"
    assert account.account(tmp_path).verdict is Word.GOOD


def test_log_outs_of_each_format_are_read(tmp_path: Path) -> None:
    place(SAMPLES / "ended-1.json", tmp_path, ended.FILE_NAME)
    assert ended.read_ended(tmp_path) == {"kEeyU9h7QYjmtQ6BD2P1Rj1eQXqD0b3v": 1796000000}


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("collected-*")), ids=lambda one: one.stem)
def test_a_receipt_of_each_format_is_read(sample: Path) -> None:
    found = receipts.from_bytes(sample.read_bytes(), sample)
    assert (found.exp_ref, found.part, len(found.files)) == ("2026-01-31_1_SP_01", "VIDEO-1-30ae79", 3)
    assert [one.path for one in found.files if one.is_recorded] == ["raw_data/fake.csv"]


def test_a_newer_receipt_is_refused(tmp_path: Path) -> None:
    path = make_newer(place(SAMPLES / "collected-1.json", tmp_path, "_multirig_collected.x.json"), 1)
    expect_refusal(lambda: receipts.from_bytes(path.read_bytes(), path), path, 1)


def test_the_mark_of_a_destination_of_each_format_is_read(tmp_path: Path) -> None:
    place(SAMPLES / "destination-1.json", tmp_path, MARK_NAME)
    assert Folder("x", tmp_path).open(None) == "854007bbc310ad91"


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("manifest-*")), ids=lambda one: one.stem)
def test_a_manifest_of_each_format_is_read(sample: Path) -> None:
    found = read_manifest(sample)
    assert found.format == int(sample.stem.rpartition("-")[2])
    assert (found.rig, found.adapter, len(found.files)) == ("cam", "fake", 1)
    assert found.files[0].blake2b


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("verdict-*")), ids=lambda one: one.stem)
def test_a_verdict_of_each_format_is_read(sample: Path) -> None:
    found = read_verdict(sample)
    assert found.format == int(sample.stem.rpartition("-")[2])
    assert (found.verdict, sorted(found.rigs)) == (Word.GOOD, ["cam", "main"])


@pytest.mark.parametrize(("number", "rig"), [(1, ""), (2, "ephys")])
def test_what_is_kept_of_a_program_is_read_in_each_format(number: int, rig: str) -> None:
    found = read_started(SAMPLES / f"program-{number}.json")
    assert found is not None
    assert (found.pid, found.name, str(found.session), found.rig) == (
        4711,
        "recorder",
        "2026-11-29_1_SP_01",
        rig,
    )


def test_what_a_newer_multirig_keeps_of_a_program_is_left_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer = json.loads((SAMPLES / "program-2.json").read_text()) | {"format": 3}
    path = tmp_path / "4711.json"
    for told in (json.dumps(newer), "[]", "3", "{", '{"format": 2}'):
        path.write_text(told)
        assert read_started(path) is None
    assert "has format 3" in caplog.text


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("transfer-*")), ids=lambda one: one.stem)
def test_who_records_into_a_folder_is_read_in_each_format(sample: Path, tmp_path: Path) -> None:
    place(sample, tmp_path, handover.NAME)
    found = handover.settle(tmp_path)
    assert found is not None
    assert (found.exp_ref, found.device, found.stubs) == ("2026-11-30_1_SP_01", "behavior", ("behavior",))
    assert sorted(found.parts) == ["cameras", "raw_task_data_00"]
    assert found.description["devices"] == {"cameras": {"left": {"collection": "raw_video_data"}}}
    assert not found.is_over


def test_what_a_newer_multirig_says_of_a_folder_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = place(SAMPLES / "transfer-1.json", tmp_path, handover.NAME)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    assert handover.settle(tmp_path) is None
    assert "has format 2" in caplog.text


GAP = "side: right gave nothing for 2.0 s, from 2.1 s after the start: 60 missing at 30/s"
GAP_OF_FORMAT_2 = GAP.replace("start", "beginning")


def test_what_is_known_of_each_file_is_read_from_journal_manifest_and_verdict(tmp_path: Path) -> None:
    place(SAMPLES / "evidence" / "journal-2.jsonl", tmp_path, journal.FILE_NAME)
    told = account.account(tmp_path)
    kept = read_verdict(SAMPLES / "evidence" / "verdict-2.json")
    assert (told.verdict, told.reasons) == (Word.DEGRADED, [GAP])
    assert (kept.verdict, kept.reasons) == (Word.DEGRADED, [GAP_OF_FORMAT_2])
    for one in (told, kept):
        assert [file.path for file in one.rigs["side"].files] == [f"raw_video_data/{name}" for name in NAMES]
    manifests = read_manifest(SAMPLES / "evidence" / "manifest-2.json").files
    for file in [*told.rigs["side"].files, *kept.rigs["side"].files, *manifests]:
        assert file.evidence is not None
        assert (file.evidence.source, file.evidence.asked, file.evidence.missing) == ("right", 30.0, 60)
        assert (file.evidence.longest_gap, file.evidence.stamped_by) == (2.030777754, "arrival")
        assert (file.evidence.size, file.evidence.colour_range) == ((128, 112), "full")


NAMES = ("_iblrig_rightCamera.raw.mp4", "_iblrig_rightCamera.times.npy")


# -- what is newer is refused -------------------------------------------------------------------------------


def make_newer(path: Path, known: int = 2) -> Path:
    """Let a file be one format newer than is known, with a version that does not exist yet."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(rf'("format": ?){known}', rf"\g<1>{known + 1}", text)
    path.write_text(text.replace("0.1.0", "9.8.7"), encoding="utf-8")
    return path


def expect_refusal(read: Callable[[], Any], path: Path, known: int = 2) -> None:
    with pytest.raises(ConfigError) as caught:
        read()
    text = str(caught.value)
    assert text.startswith(f"{path} has format {known + 1}, as multirig 9.8.7 writes it; ")
    assert f"reads formats up to {known}: update multirig on this PC" in text
    assert "\n" not in text


def test_a_newer_journal_is_refused_by_whoever_reads_it(tmp_path: Path) -> None:
    path = make_newer(place(SAMPLES / "journal-2.jsonl", tmp_path, journal.FILE_NAME))
    readers: list[Callable[[], Any]] = [
        lambda: list(read_journal(tmp_path)),
        lambda: read_history(tmp_path),
        lambda: replay(tmp_path),
        lambda: holds_start(tmp_path),
        lambda: account.account(tmp_path),
    ]
    for read in readers:
        expect_refusal(read, path)


def test_a_journal_that_only_another_program_went_on_with_is_refused_too(tmp_path: Path) -> None:
    path = place(SAMPLES / "journal-2.jsonl", tmp_path, journal.FILE_NAME)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    newer = ['"kind":"Recovered"' in line for line in lines]
    assert sum(newer) == 1
    changed = [
        line.replace('"format":2', '"format":3').replace("0.1.0", "9.8.7") if is_newer else line
        for line, is_newer in zip(lines, newer, strict=True)
    ]
    path.write_text("".join(changed), encoding="utf-8")
    expect_refusal(lambda: read_history(tmp_path), path)


def test_what_a_newer_journal_holds_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / journal.FILE_NAME
    opening = {"when": 17, "kind": "Opened", "data": {"version": "9.8.7", "format": 3}}
    path.write_text(json.dumps(opening) + "\n", encoding="utf-8")
    expect_refusal(lambda: read_history(tmp_path), path)


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    path = make_newer(place(SAMPLES / "manifest-2.json", tmp_path, manifest_name("cam")))
    expect_refusal(lambda: read_manifest(path), path)
    [found] = check(tmp_path)
    assert found.condition is Condition.CHANGED
    assert f"{path} has format 3" in found.detail


def test_a_newer_verdict_is_refused(tmp_path: Path) -> None:
    path = make_newer(place(SAMPLES / "verdict-3.json", tmp_path, account.FILE_NAME), account.FORMAT)
    expect_refusal(lambda: read_verdict(path), path, account.FORMAT)


CORPUS = SAMPLES.parent / "corpus-0.1" / "sessions"


@pytest.mark.parametrize(
    "written", sorted(CORPUS.glob(f"*/pc/*/*/*/*/*/{account.FILE_NAME}")), ids=lambda one: one.parts[-8]
)
def test_what_a_verdict_of_an_older_format_tells_counts_from_the_agreed_start_too(written: Path) -> None:
    kept, told = read_verdict(written), account.account(written.parent)
    if any(one.start is not None for one in told.rigs.values()):
        assert kept.agreed_start == told.agreed_start
        for of in (lambda one: one.markers, lambda one: one.happenings):
            then, now = ([one.seconds for one in of(session)] for session in (kept, told))
            assert then == [None if one is None else pytest.approx(one, abs=1e-9) for one in now]


def test_a_newer_session_among_others_is_listed_with_what_to_do(tmp_path: Path) -> None:
    day = tmp_path / "Subjects" / "SP_01" / "2024-05-06"
    place(SAMPLES / "journal-1.jsonl", day / "001", journal.FILE_NAME)
    make_newer(place(SAMPLES / "journal-2.jsonl", day / "002", journal.FILE_NAME))
    listed = Catalogue(tmp_path / "Subjects", tmp_path / "index.sqlite")
    listed.refresh()
    found = {one.number: one for one in listed.search()}
    assert found[1].word == "GOOD"
    assert found[2].word == NO_VERDICT
    assert "has format 3" in found[2].reason


@pytest.mark.parametrize("number", ["2", 2.0, True, 0, -1, [2]])
def test_what_is_no_number_of_a_format_is_no_format(number: object) -> None:
    with pytest.raises(ConfigError, match="which is no format: restore the file"):
        check_format(number, 2, "file.json")


# -- other files and messages that have a number ------------------------------------------------------------


def test_other_numbers_are_what_they_were_in_0_1(tmp_path: Path) -> None:
    """A change of one of these is a change of what others read: it is meant, and stands in the changelog."""
    assert frames.VERSION == 2
    assert description.VERSION == "1.0.0"
    assert register.VERSION == 6
    index = tmp_path / "index.sqlite"
    Catalogue(tmp_path, index).refresh()
    with closing(sqlite3.connect(index)) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (register.VERSION,)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("memory-*")), ids=lambda one: one.stem)
def test_a_rig_s_memory_of_each_format_is_read(sample: Path) -> None:
    memory = read_memory(sample)
    assert memory is not None
    assert [one.sequence for one in memory.started] == [1]


def test_a_rig_s_memory_says_its_format_and_a_newer_one_is_not_taken_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, old = tmp_path / "memory.json", read_memory(SAMPLES / "memory-1.json")
    assert old is not None
    write_memory(path, old)
    assert path.read_bytes() == (SAMPLES / f"memory-{FORMAT}.json").read_bytes()
    assert read_memory(make_newer(path)) is None
    assert "has format 3, as a newer multirig writes it" in caplog.text


# -- what a disk did not take -------------------------------------------------------------------------------


def test_what_was_not_written_is_read_as_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path / "state"))
    lines = [f"the verdict cannot be written into {tmp_path}/two  spaces: no space"]
    spare.write_losses(tmp_path, lines)
    assert spare.read_losses(tmp_path) == lines
    (path,) = (tmp_path / "state").rglob("*.losses.json")
    shutil.copy(SAMPLES / "losses-1.json", path)
    assert spare.read_losses(tmp_path) == ["the table of clocks cannot be written: No space left on device"]
    spare.write_losses(tmp_path, [])
    assert spare.read_losses(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 9, "losses": []}', "update multirig on this PC"),
        ('{"format": 1}', "is damaged"),
        ("[]", "is damaged"),
        ("\0\0", "is damaged"),
    ],
)
def test_what_was_not_written_and_cannot_be_read_is_a_loss_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, words: str
) -> None:
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path / "state"))
    spare.write_losses(tmp_path, ["something"])
    (path,) = (tmp_path / "state").rglob("*.losses.json")
    path.write_text(content, encoding="utf-8")
    (line,) = spare.read_losses(tmp_path)
    assert line.startswith("something could not be written")
    assert words in line


# -- what is installed on this PC ---------------------------------------------------------------------------


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("installed-*")), ids=lambda one: one.stem)
def test_what_was_installed_is_known_from_each_format(sample: Path, tmp_path: Path) -> None:
    written = place(sample, tmp_path, "rig-x.json").read_text(encoding="utf-8")
    [found] = records.read_records(print, tmp_path)
    assert (found.job.name, found.job.arguments[0], found.way.name) == ("cameras:left", "serve", "TASK")
    records.write_record(found, tmp_path)
    [again] = [path for path in tmp_path.iterdir() if path.name != "rig-x.json"]
    assert json.loads(again.read_text(encoding="utf-8")) == {**json.loads(written), "version": __version__}
