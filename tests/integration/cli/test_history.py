"""``multirig history``: the list, and the search in it."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest

from multirig.record.account import Account
from multirig.record.summary import Marker, RigSummary
from multirig.record.verdict import Word


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Make three sessions, two of which were led."""
    subjects = tmp_path / "data" / "mylab" / "Subjects"
    rigs = {"cameras": RigSummary(address="udp://10.0.0.2:1", files_total=2, bytes_total=10)}
    for path, told in {
        "SP_01/2026-01-30/001": Account(
            verdict=Word.DEGRADED,
            reasons=["cameras: 3 frames were dropped"],
            rigs=rigs,
            markers=[Marker(at=1.0, seconds=None, text="drug given")],
            began="2026-01-30T10:00:00+00:00",
            running_from=5.0,
            running_until=95.0,
        ),
        "SP_01/2026-01-31/001": Account(rigs=rigs),
        "other/2026-01-31/002": None,
    }.items():
        folder = subjects / path
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("x")
        if told is not None:
            (folder / "_multirig_journal.jsonl").touch()
            (folder / "_multirig_verdict.json").write_text(json.dumps(told.to_json()), encoding="utf-8")
    return subjects


def references(multirig, words: str) -> list[str]:
    done = multirig("history", "--json", *shlex.split(words))
    assert done.returncode == 0, done.stderr
    return [one["exp_ref"] for one in json.loads(done.stdout)["sessions"]]


def test_sessions_are_listed_the_newest_first_with_their_verdict_in_words(multirig, sessions: Path):
    done = multirig("history")
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["began", "no", "subject", "verdict", "length", "rigs", "why"]
    assert [line.split()[0] for line in lines] == ["2026-01-31", "2026-01-31", "2026-01-30"]
    for words, line in zip(
        (
            ("2  other", "· NO VERDICT", "recorded without rigs"),
            ("1  SP_01", "✓ GOOD", "cameras"),
            ("1  SP_01", "! DEGRADED", "1 min 30 s", "cameras", "cameras: 3 frames were dropped"),
        ),
        lines,
        strict=True,
    ):
        assert [word for word in words if word not in line] == []
    assert done.stderr.splitlines()[-1] == "more on one of them: multirig show 2026-01-31_2_other"


def test_each_way_to_search_narrows_the_list(multirig, sessions: Path):
    first, second, other = "2026-01-30_1_SP_01", "2026-01-31_1_SP_01", "2026-01-31_2_other"
    for words, wanted in {
        "": [other, second, first],
        "-s sp": [second, first],
        "--since 2026-01-31": [other, second],
        "--until 2026-01-30": [first],
        "--verdict Degraded": [first],
        "--verdict no-verdict": [other],
        "DRUG 'dropped fra'": [first],
        "cameras --limit 1": [second],
        "nowhere": [],
    }.items():
        assert references(multirig, words) == wanted, words


def test_one_that_is_listed_is_shown_by_its_reference(multirig, sessions: Path):
    journal = sessions / "SP_01" / "2026-01-31" / "001" / "_multirig_journal.jsonl"
    journal.write_bytes(b"")
    done = multirig("show", "2026-01-31_1_SP_01", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["session_folder"] == "data/mylab/Subjects/SP_01/2026-01-31/001"
    done = multirig("show", "2026-01-31_9_SP_01", "--data", "data")
    assert done.returncode == 2
    assert "there is no session 2026-01-31_9_SP_01 in data/mylab/Subjects" in done.stderr


def test_an_empty_list_says_where_it_has_looked(multirig, sessions: Path):
    done = multirig("history", "nowhere")
    assert (done.returncode, done.stdout) == (0, "")
    assert "none of the 3 sessions in data/mylab/Subjects" in done.stderr
    done = multirig("history", "--data", "elsewhere")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no sessions in elsewhere/mylab/Subjects: say where they are with --data and --lab" in done.stderr


def test_a_list_that_is_cut_says_how_to_see_the_rest(multirig, sessions: Path):
    done = multirig("history", "--limit", 1, "--rebuild")
    assert len(done.stdout.splitlines()) == 2
    assert "and 2 older ones: --limit 3 lists all" in done.stderr


def test_a_wrong_day_or_verdict_is_told(multirig, sessions: Path):
    for words in ("--since yesterday", "--verdict splendid"):
        done = multirig("history", *words.split())
        assert done.returncode == 2
        assert "Invalid value" in done.stderr


def test_sessions_are_found_wherever_one_was_begun_and_what_was_looked_into_is_said(
    multirig, sessions: Path, tmp_path: Path
):
    elsewhere = tmp_path / "task data" / "lab" / "Subjects"
    elsewhere.parent.mkdir(parents=True)
    sessions.rename(elsewhere)
    nothing = multirig("history")
    assert "no sessions in data/mylab/Subjects: say where" in nothing.stderr
    state = tmp_path / "state" / "multirig" / "places"
    state.mkdir(parents=True)
    (state / "1.place").write_text(str(elsewhere))
    assert references(multirig, "") == ["2026-01-31_2_other", "2026-01-31_1_SP_01", "2026-01-30_1_SP_01"]
    assert references(multirig, "--data data") == []
    assert multirig("show", "2026-01-31_1_SP_01").returncode == 0
    open_ones = multirig("recover")
    assert open_ones.returncode == 0
    assert str(elsewhere) in open_ones.stderr
    assert "nothing to recover" in open_ones.stderr


def test_all_sessions_come_as_csv_with_what_is_here_of_them(multirig, sessions: Path):
    done = multirig("history", "--csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(row["exp_ref"], row["verdict"]) for row in rows] == [
        ("2026-01-31_2_other", "NO VERDICT"),
        ("2026-01-31_1_SP_01", "GOOD"),
        ("2026-01-30_1_SP_01", "DEGRADED"),
    ]
    assert rows[2]["reason"] == "cameras: 3 frames were dropped"
    assert (rows[2]["rigs"], float(rows[2]["seconds"])) == ("cameras", 90.0)
    assert Path(rows[2]["folder"]) == sessions / "SP_01" / "2026-01-30" / "001"
    few = multirig("history", "--csv", "--limit", "1", "--subject", "SP")
    assert [row["exp_ref"] for row in csv.DictReader(few.stdout.splitlines())] == ["2026-01-31_1_SP_01"]
    nothing = multirig("history", "--csv", "--subject", "nobody")
    assert (nothing.returncode, nothing.stdout.count("\n")) == (0, 1)
    both = multirig("history", "--csv", "--json")
    assert both.returncode == 2
    assert "leave one out" in both.stderr
