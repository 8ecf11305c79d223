"""The index of sessions over real folders."""

from __future__ import annotations

import datetime
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from multirig.conductor.journal import Journal
from multirig.lifecycle.session_events import AgreeRequested, RigsChosen
from multirig.protocol.events import Address
from multirig.protocol.words import AskInfo
from multirig.record import catalogue, register
from multirig.record.account import Account, account, write_verdict
from multirig.record.catalogue import NO_VERDICT, NOT_OVER, WORDS, Catalogue, Listed
from multirig.record.summary import Marker, RigSummary
from multirig.record.verdict import Word

JOURNAL, VERDICT = "_multirig_journal.jsonl", "_multirig_verdict.json"
DAY = datetime.date(2026, 1, 31)


def make(root: Path, subject: str, day: datetime.date, number: int, told: Account | None) -> Path:
    """Make a session whose verdict is written already; None: one that no conductor led."""
    folder = root / subject / day.isoformat() / f"{number:03d}"
    folder.mkdir(parents=True)
    if told is not None:
        (folder / JOURNAL).touch()
        (folder / VERDICT).write_text(json.dumps(told.to_json()), encoding="utf-8")
    return folder


def describe(folder: Path, **content: object) -> Path:
    path = folder / "_ibl_experiment.description.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def keep_journal(folder: Path) -> None:
    """Write the journal of a session that was asked for, and whose program then died."""
    journal = Journal()
    journal.open(folder)
    journal.append(RigsChosen(rigs={"cameras": Address("udp", "127.0.0.1", 1)}), 1)
    journal.append(AgreeRequested(subject="SP_01", date=DAY, number=1, ask=AskInfo()), 2)
    journal.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "mylab" / "Subjects"


@pytest.fixture
def listed(root: Path, tmp_path: Path) -> Catalogue:
    return Catalogue(root, tmp_path / "cache" / "sessions.sqlite")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "multirig.record"):
        yield caplog


def test_a_session_is_listed_with_what_its_verdict_says(listed: Catalogue, root: Path) -> None:
    began = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
    rigs = {
        "cameras": RigSummary(address="udp://10.0.0.2:1", files_total=4, bytes_total=1000),
        "ephys": RigSummary(address="udp://10.0.0.3:1", files_total=1, bytes_total=500),
    }
    folder = make(
        root,
        "SP_01",
        DAY,
        2,
        Account(
            verdict=Word.DEGRADED,
            reasons=["cameras: 3 frames dropped", "ephys: late"],
            began=began.isoformat(),
            began_at=100.0,
            running_from=102.5,
            running_until=162.5,
            rigs=rigs,
            own_files_total=2,
            own_bytes_total=50,
        ),
    )
    describe(
        folder, projects=["u19", "u20"], procedures=["ephys"], tasks=[{"spontaneous": {"collection": "x"}}]
    )
    listed.refresh()
    (one,) = listed.search()
    assert one == Listed(
        folder=folder,
        exp_ref="2026-01-31_2_SP_01",
        subject="SP_01",
        date=DAY,
        number=2,
        verdict=Word.DEGRADED,
        word="DEGRADED",
        reason="cameras: 3 frames dropped",
        began_at=began.timestamp() + 2.5,
        seconds=60.0,
        rigs=("cameras", "ephys"),
        files=7,
        bytes=1550,
        task="spontaneous",
        projects=("u19", "u20"),
        procedures=("ephys",),
    )
    assert json.loads(json.dumps(one.to_json()))["folder"] == str(folder)
    assert (listed.projects(), listed.procedures()) == (["u19", "u20"], ["ephys"])


def test_a_session_that_was_not_ended_is_told_from_its_journal(listed: Catalogue, root: Path) -> None:
    folder = make(root, "SP_01", DAY, 1, None)
    keep_journal(folder)
    listed.refresh()
    (one,) = listed.search(verdict=NOT_OVER)
    assert (one.verdict, one.word, one.rigs) == (account(folder).verdict, NOT_OVER, ("cameras",))
    assert listed.search(verdict=str(one.verdict)) == []


def test_a_verdict_that_is_older_than_the_journal_counts_for_nothing(listed: Catalogue, root: Path) -> None:
    folder = make(root, "SP_01", DAY, 1, Account())
    keep_journal(folder)
    os.utime(folder / VERDICT, ns=(1, 1))
    listed.refresh()
    assert listed.search()[0].word == NOT_OVER
    os.utime(folder / VERDICT)
    listed.refresh()
    assert listed.search()[0].word == "GOOD"


def test_a_verdict_that_cannot_be_read_is_drawn_from_the_journal(listed: Catalogue, root: Path) -> None:
    folder = make(root, "SP_01", DAY, 1, Account())
    keep_journal(folder)
    write_verdict(folder)
    (folder / VERDICT).write_bytes(b'{"verdict": "SPLENDID"}')
    listed.refresh()
    assert listed.search()[0].word == NOT_OVER


def test_sessions_without_rigs_and_parts_of_a_rig_are_listed_too(listed: Catalogue, root: Path) -> None:
    alone = make(root, "SP_01", DAY, 1, None)
    (alone / "raw_task_data_00").mkdir()
    (alone / "raw_task_data_00" / "_iblrig_taskSettings.raw.json").write_text(
        json.dumps(
            {
                "SESSION_START_TIME": "2026-01-31T12:00:00",
                "SESSION_END_TIME": "2026-01-31T12:30:00.5",
                "PYBPOD_PROTOCOL": "_iblrig_tasks_ephysChoiceWorld",
            }
        )
    )
    part = make(root, "SP_01", DAY, 2, None)
    (part / "_multirig_manifest.cameras.json").write_text("{}")
    (part / "video.mp4").write_bytes(b"12345")
    make(root, "SP_01", DAY, 3, None)
    listed.refresh()
    second, first = sorted(listed.search(verdict=NO_VERDICT), key=lambda one: -one.number)
    assert (first.verdict, first.reason, first.seconds) == (None, "recorded without rigs", 1800.5)
    assert first.task == "_iblrig_tasks_ephysChoiceWorld"
    assert "a rig's part" in second.reason
    assert (second.files, second.bytes) == (1, 5)


def test_new_changed_and_vanished_folders_are_taken_up_and_others_are_not_read(
    listed: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (make(root, "SP_01", DAY, number, Account()) for number in (1, 2))
    listed.refresh()
    read: list[str] = []
    real = catalogue._read_row

    def noted(*arguments: Any) -> Any:
        read.append(arguments[1])
        return real(*arguments)

    monkeypatch.setattr(catalogue, "_read_row", noted)
    listed.refresh()
    assert read == []
    (first / VERDICT).write_text(json.dumps(Account(verdict=Word.ABORTED).to_json()))
    shutil.rmtree(second)
    make(root, "SP_02", DAY, 1, Account())
    listed.refresh()
    assert sorted(read) == ["SP_01/2026-01-31/001", "SP_02/2026-01-31/001"]
    assert {one.exp_ref: one.word for one in listed.search()} == {
        "2026-01-31_1_SP_01": "ABORTED",
        "2026-01-31_1_SP_02": "GOOD",
    }
    shutil.rmtree(root)
    listed.refresh()
    assert (listed.search(), listed.subjects()) == ([], [])


def test_subjects_come_by_their_last_session_and_those_without_one_at_the_end(
    listed: Catalogue, root: Path
) -> None:
    make(root, "old", DAY - datetime.timedelta(days=9), 1, Account())
    make(root, "new", DAY, 1, Account())
    for name in ("waiting", ".hidden", "no subject!"):
        (root / name).mkdir()
    make(root, "_iblrig_test", DAY, 1, Account())
    listed.refresh()
    assert listed.subjects() == ["new", "old", "waiting"]
    assert "_iblrig_test" in {one.subject for one in listed.search()}


def test_what_is_no_session_is_passed_over(listed: Catalogue, root: Path) -> None:
    for path in ("SP_01/2026-13-45/001", "SP_01/notes/001", "SP_01/2026-01-31/0001", "SP_01/2026-01-31/x"):
        (root / path).mkdir(parents=True)
        (root / path / "file.txt").touch()
    (root / "SP_01" / "2026-01-31" / "002").touch()
    (root / "readme.txt").touch()
    listed.refresh()
    assert listed.search() == []


@pytest.mark.parametrize(
    "journal", [b"", b"\x00\xff\n" * 3, b'{"at": 1, "wall": "x", "kind": "AgreeRequested", "data": {}}\n']
)
def test_a_journal_full_of_rubbish_is_listed(listed: Catalogue, root: Path, journal: bytes) -> None:
    folder = make(root, "SP_01", DAY, 1, None)
    (folder / JOURNAL).write_bytes(journal)
    (folder / "_ibl_experiment.description.yaml").write_bytes(b"[\xff")
    make(root, "SP_01", DAY, 2, Account())
    listed.refresh()
    assert [one.number for one in listed.search()] == [2, 1]


def test_a_folder_that_cannot_be_read_is_one_line_in_the_log(
    listed: Catalogue, root: Path, told: pytest.LogCaptureFixture
) -> None:
    bad = make(root, "SP_01", DAY, 1, None)
    (bad / JOURNAL).mkdir()  # a journal that no program can read, whoever runs it
    make(root, "SP_01", DAY, 2, Account())
    for _ in range(2):
        listed.refresh()
    good, unread = listed.search()
    assert (good.word, unread.word) == ("GOOD", NO_VERDICT)
    assert unread.reason.startswith("it cannot be read: no journal in ")
    assert len(told.records) == 1
    assert "\n" not in told.messages[0]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_sessions_behind_a_closed_door_stay_listed(
    listed: Catalogue, root: Path, told: pytest.LogCaptureFixture
) -> None:
    make(root, "SP_01", DAY, 1, Account())
    listed.refresh()
    (root / "SP_01").chmod(0)
    try:
        for _ in range(2):
            listed.refresh()
    finally:
        (root / "SP_01").chmod(0o700)
    assert len(listed.search()) == 1
    assert len(told.records) == 1


def test_a_folder_of_subjects_that_cannot_be_listed_empties_nothing(
    listed: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    make(root, "SP_01", DAY, 1, Account())
    listed.refresh()
    real = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if Path(path) == root:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for _ in range(2):
        listed.refresh()
    assert (len(listed.search()), listed.subjects(), len(told.records)) == (1, ["SP_01"], 1)


def test_an_index_that_is_damaged_is_made_anew(
    listed: Catalogue, root: Path, told: pytest.LogCaptureFixture
) -> None:
    make(root, "SP_01", DAY, 1, Account())
    listed.refresh()
    listed.file.write_bytes(b"no database, and longer than its header would be " * 100)
    assert [one.exp_ref for one in listed.search()] == ["2026-01-31_1_SP_01"]
    assert "is damaged and is made anew" in told.messages[0]


def test_an_index_of_another_version_is_made_anew(listed: Catalogue, root: Path) -> None:
    make(root, "SP_01", DAY, 1, Account())
    listed.file.parent.mkdir()
    base = sqlite3.connect(listed.file)
    base.executescript("CREATE TABLE sessions (what TEXT); PRAGMA user_version = 99;")
    base.close()
    listed.refresh()
    assert len(listed.search()) == 1


def test_an_index_that_cannot_be_kept_is_kept_in_memory(
    root: Path, tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    make(root, "SP_01", DAY, 1, Account())
    (tmp_path / "file").touch()
    listed = Catalogue(root, tmp_path / "file" / "sessions.sqlite")
    assert listed.count() == 1
    make(root, "SP_01", DAY, 2, Account())
    listed.refresh()
    assert [one.number for one in listed.search()] == [2, 1]
    [record] = told.records
    assert "cannot be used" in record.message
    assert "it is kept in memory" in record.message


def test_an_index_that_another_program_holds_is_read_from_the_folders(
    listed: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "BUSY_LIMIT", 0.1)
    make(root, "SP_01", DAY, 1, Account())
    listed.refresh()
    make(root, "SP_01", DAY, 2, Account())
    holder = sqlite3.connect(listed.file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        other = Catalogue(root, listed.file)
        other.refresh()
        assert other.count() == 2
    finally:
        holder.close()


def test_one_index_holds_the_sessions_of_all_folders_and_shows_those_that_are_asked_for(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one" / "Subjects", tmp_path / "other" / "Subjects"
    make(one, "SP_01", DAY, 1, Account())
    make(other, "SP_01", DAY, 1, Account())
    make(other, "SP_02", DAY, 2, Account())
    file = tmp_path / "sessions.sqlite"
    both, alone = Catalogue(lambda: [one, other], file), Catalogue(other, file)
    both.refresh()
    alone.refresh()
    assert {found.folder.relative_to(tmp_path).as_posix() for found in both.search()} == {
        "one/Subjects/SP_01/2026-01-31/001",
        "other/Subjects/SP_01/2026-01-31/001",
        "other/Subjects/SP_02/2026-01-31/002",
    }
    assert (both.count(), alone.count()) == (3, 2)
    alone.rebuild()
    assert both.count() == 3
    shutil.move(other, tmp_path / "server")
    both.refresh()
    assert both.count() == 1
    assert both.subjects() == ["SP_01"]


def test_it_holds_nothing_that_is_not_in_the_folders(listed: Catalogue, root: Path) -> None:
    describe(make(root, "SP_01", DAY, 1, Account()), projects=["u19"])
    listed.refresh()
    before = listed.search()
    listed.rebuild()
    assert listed.search() == before


def test_programs_that_begin_at_once_share_an_index(listed: Catalogue, root: Path) -> None:
    for number in range(1, 41):
        make(root, "SP_01", DAY, number, Account())
    code = (
        "import sys; from pathlib import Path; from multirig.record.catalogue import Catalogue\n"
        "one = Catalogue(Path(sys.argv[1]), Path(sys.argv[2])); one.refresh(); print(one.count())"
    )
    command = [sys.executable, "-c", code, str(root), str(listed.file)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [one.communicate(timeout=50) for one in started] == [("40\n", "")] * 3
    base = sqlite3.connect(listed.file)
    assert base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    base.close()


def test_the_index_is_in_the_users_cache(root: Path, tmp_path: Path) -> None:
    one, other = Catalogue(root), Catalogue(tmp_path / "otherlab" / "Subjects")
    assert one.file == other.file
    assert one.file.name == "sessions-6.sqlite"


# -- searching, held against plain Python ----------------------------------------------------------------


SUBJECTS = ("SP_01", "sp_02", "Straße", "İpek", "a%b_c")
RIGS = ("cameras", "ephys")
WORDS_SAID = ("Dropped", "frames_3", "50% late", "ÄRGER", "it's", "drug")


def make_library(root: Path) -> list[tuple[Listed, str]]:
    """Return sessions of all kinds, each with what may be searched for in it."""
    library = []
    for place in range(60):
        subject, day = SUBJECTS[place % 5], DAY - datetime.timedelta(days=place % 7)
        number = place // 5 + 1
        said, marked = WORDS_SAID[place % 6], WORDS_SAID[place * 5 % 6]
        rigs, project = RIGS[: place % 3], f"Project{place % 4}"
        word = [*Word, None][place * 7 % 6]
        is_final = place % 8 != 0
        told = None
        if word is not None:
            told = Account(
                verdict=word,
                is_final=is_final,
                reasons=[said, f"{said} again"] if place % 2 else [],
                markers=[Marker(at=1.0, seconds=None, text=marked)],
                rigs={name: RigSummary(address="udp://10.0.0.2:1") for name in rigs},
                began=f"2026-01-{place % 28 + 1:02d}T12:00:00+00:00" if place % 3 else None,
            )
        folder = make(root, subject, day, number, told)
        description = describe(folder, projects=[project], tasks=[{f"task{place % 3}": {}}])
        exp_ref = f"{day}_{number}_{subject}"
        texts = [exp_ref, f"task{place % 3}", project, *rigs]
        reason = "recorded without rigs"
        if told is None:
            texts = [exp_ref, f"task{place % 3}", project, reason]
        else:
            reason = told.reasons[0] if told.reasons else ""
            texts += [*told.reasons, marked]
        began = None if told is None or told.began is None else datetime.datetime.fromisoformat(told.began)
        one = Listed(
            folder=folder,
            exp_ref=exp_ref,
            subject=subject,
            date=day,
            number=number,
            verdict=word,
            word=NO_VERDICT if word is None else str(word) if is_final else NOT_OVER,
            reason=reason,
            began_at=None if began is None else began.timestamp(),
            rigs=() if told is None else rigs,
            files=1 if told is None else 0,
            bytes=description.stat().st_size if told is None else 0,
            task=f"task{place % 3}",
            projects=(project,),
        )
        library.append((one, "\n".join(texts).casefold()))
    return library


class Library:
    def __init__(self, catalogue: Catalogue, made: list[tuple[Listed, str]]) -> None:
        self.catalogue, self.made = catalogue, made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    made = make_library(folder / "Subjects")
    one = Catalogue(folder / "Subjects", folder / "sessions.sqlite")
    one.refresh()
    return Library(one, made)


def parts_of(words: tuple[str, ...]) -> st.SearchStrategy[str]:
    cut = st.tuples(st.sampled_from(words), st.integers(0, 8), st.integers(1, 9))
    part = cut.map(lambda drawn: drawn[0][drawn[1] : drawn[1] + drawn[2]])
    return st.one_of(part, part.map(str.upper), part.map(str.lower))


DAYS = st.one_of(st.none(), st.integers(-9, 2).map(lambda days: DAY + datetime.timedelta(days=days)))
TEXTS = st.one_of(
    st.lists(
        parts_of((*WORDS_SAID, *SUBJECTS, *RIGS, "Project1", "task2", "2026-01-30_2_SP_01")), max_size=3
    ).map(" ".join),
    st.text(max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(
    subject=st.one_of(st.just(""), parts_of(SUBJECTS), st.text(max_size=2)),
    since=DAYS,
    until=DAYS,
    verdict=st.one_of(st.none(), st.sampled_from(WORDS)),
    text=TEXTS,
    limit=st.integers(0, 70),
    offset=st.integers(0, 70),
)
def test_a_search_finds_what_a_plain_filter_finds(
    library: Library,
    subject: str,
    since: datetime.date | None,
    until: datetime.date | None,
    verdict: str | None,
    text: str,
    limit: int,
    offset: int,
) -> None:
    wanted = [
        one
        for one, words in library.made
        if subject.strip().casefold() in one.subject.casefold()
        and (since is None or one.date >= since)
        and (until is None or one.date <= until)
        and (verdict is None or one.word == verdict)
        and all(part in words for part in text.casefold().split())
    ]
    wanted.sort(key=lambda one: str(one.folder))
    wanted.sort(key=lambda one: (one.date, one.began_at or 0.0, one.number), reverse=True)
    asked: dict[str, Any] = {
        "subject": subject,
        "since": since,
        "until": until,
        "verdict": verdict,
        "text": text,
    }
    assert library.catalogue.search(**asked, limit=limit, offset=offset) == wanted[offset : offset + limit]
    assert library.catalogue.count(**asked) == len(wanted)
