"""Folders of sessions as labs have them: which files belong together, what is here, what a name means."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import multirig
from multirig.errors import ConfigError, NotHere
from multirig.reading.contents import list_marks
from multirig.reading.frames import Frames, Video
from multirig.reading.listing import COLUMNS, CSV_COLUMNS, write_csv
from multirig.reading.packages import need
from multirig.reading.parts import Condition
from multirig.reading.places import find_roots
from multirig.reading.streams import choose, find_streams
from multirig.reading.tables import read_table
from multirig.record.account import account
from multirig.record.manifest import manifest_name
from multirig.record.verdict import Word
from multirig.rig.adapter import Marker
from multirig.rig.markers import append_marker, markers_name

av = pytest.importorskip("av")
np = pytest.importorskip("numpy")

DATA = Path(__file__).parents[2] / "data"
CORPUS = DATA / "corpus-0.1" / "sessions"
OLD = sorted(one.name for one in CORPUS.iterdir())
needs_pandas = pytest.mark.skipif(find_spec("pandas") is None, reason="pandas is not installed here")
VIDEO = "raw_video_data/_iblrig_{}Camera.{}"


def folders_of(name: str) -> list[Path]:
    """Return the session folders of the corpus: of the PC that led, then of rigs."""
    parts = sorted(path.parent for path in (CORPUS / name).glob("*/*/Subjects/*/*/*/_multirig_manifest.*"))
    [led] = (CORPUS / name).glob("*/*/Subjects/*/*/*/_multirig_journal.jsonl")
    return list(dict.fromkeys([led.parent, *parts]))


def copy_of(name: str, target: Path, *which: int) -> Path:
    """Collect folders of a session of the corpus into one, as the layout of a server has it."""
    folders = folders_of(name)
    place = target / "Subjects" / Path(*folders[0].parts[-3:])
    for one in which or range(len(folders)):
        shutil.copytree(folders[one], place, dirs_exist_ok=True)
    return place


# -- sessions of 0.1 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OLD)
def test_a_session_of_0_1_is_read_with_the_account_of_its_journal(name: str) -> None:
    folders = folders_of(name)
    session, told = multirig.load(folders), account(folders[0])
    assert (session.verdict, session.reasons) == (told.verdict, tuple(told.reasons))
    assert session.exp_ref == (told.exp_ref or session.exp_ref)
    assert set(told.rigs) <= set(session.rigs)
    starts = [rig.start for rig in told.rigs.values() if rig.start is not None]
    assert [one.called for one in session.starts] == [
        None if one.called is None else pytest.approx(one.called - told.zero) for one in starts
    ]
    if session.zero is not None:
        assert (session.zero.at, session.zero.is_agreed) == (told.zero, True)
        assert min(one.planned for one in session.starts if one.planned is not None) == 0.0


def test_a_session_whose_tables_are_not_there_is_read_by_its_journal(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    before = multirig.load(folder)
    expected = before.times("cam")
    for name in ("_multirig_clock.offsets.csv", "_multirig_sync.starts.csv", "_multirig_verdict.json"):
        (folder / name).unlink()
    after = multirig.load(folder)
    assert after.verdict == before.verdict == "GOOD"
    assert np.array_equal(after.times("cam"), expected)
    assert list(after.starts) == list(before.starts)


def test_a_verdict_whose_journal_was_not_copied_is_enough(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    before = multirig.load(folder)
    (folder / "_multirig_journal.jsonl").unlink()
    after = multirig.load(folder)
    assert (after.verdict, after.zero) == (Word.GOOD, before.zero)
    assert np.array_equal(after.times("cam"), before.times("cam"))
    (folder / "_multirig_verdict.json").write_text('{"verdict": "GO', encoding="utf-8")
    damaged = multirig.load(folder)
    assert damaged.verdict is None
    assert "_multirig_verdict.json: cannot be read (it is damaged): copy it anew" in damaged.reasons[0]


def test_a_journal_that_was_copied_empty_judges_nothing(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    (folder / "_multirig_journal.jsonl").write_bytes(b"")
    assert multirig.load(folder).verdict == "GOOD"  # the verdict beside it knows
    (folder / "_multirig_verdict.json").unlink()
    session = multirig.load(folder)
    assert session.verdict is None
    assert "_multirig_journal.jsonl: is empty: copy it anew from the PC that led" in session.reasons[0]
    assert [one.verdict for one in multirig.sessions(tmp_path)] == ["NO VERDICT"]


def test_a_session_of_a_newer_multirig_says_what_to_do_and_its_data_are_read(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    journal = folder / "_multirig_journal.jsonl"
    first, rest = journal.read_text(encoding="utf-8").split("\n", 1)
    line = json.loads(first)
    line["data"]["format"] = 99
    journal.write_text(f"{json.dumps(line)}\n{rest}", encoding="utf-8")
    (folder / "_multirig_verdict.json").unlink()
    session = multirig.load(folder)
    assert session.verdict is None
    assert "update multirig on this PC" in session.reasons[0]
    assert len(session.times("cam")) > 10


@needs_pandas
def test_a_task_that_was_recorded_without_rigs_has_no_verdict_and_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "SP_01" / "2026-01-31" / "002"
    task = folder / "raw_task_data_00"
    task.mkdir(parents=True)
    (task / "_iblrig_taskData.raw.jsonable").write_text('{"trial": 0}\n{"trial": 1}\n{"tri', encoding="utf-8")
    session = multirig.load(folder)
    assert (session.exp_ref, session.verdict) == ("2026-01-31_2_SP_01", None)
    assert session.reasons == (
        "no verdict: there is no journal; it was recorded without rigs, or another PC led",
    )
    assert (session.rigs, session.missing, list(session.markers), session.zero) == ({}, {}, [], None)
    assert list(session.table("_iblrig_taskData.raw.jsonable")["trial"]) == [0, 1]
    with pytest.raises(ConfigError, match=r"^left: has no times here: there is nothing that has$"):
        session.times("left")


def test_two_rigs_whose_files_are_called_alike_have_each_their_own() -> None:
    session = multirig.load(folders_of("rig-died-and-resumed"))
    assert session.missing == {}
    assert {name: one.condition for name, one in session.rigs.items()} == {
        "main": Condition.HERE,
        "cam": Condition.HERE,
    }
    files = {one.path: one for one in session.files if one.rig == "cam"}
    assert {one.place.parts[-8] for one in files.values() if one.place is not None} == {"cam"}
    assert len(session.times("cam")) == sum(one.frames or 0 for one in files.values())
    assert len(session.times("main")) > len(session.times("cam"))


def test_two_rigs_whose_files_have_one_name_and_one_size_have_each_their_own() -> None:
    folders = folders_of("interrupted")
    session = multirig.load(folders)
    places = {one.rig: one.place for one in session.files}
    sizes = {one.bytes for one in session.files}
    assert len(sizes) == 1
    for rig, place in places.items():
        assert place is not None
        assert place.relative_to(CORPUS / "interrupted").parts[0] == rig


def test_a_rig_that_recorded_and_has_no_file_says_so_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    path = folder / manifest_name("cam")
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), "files": []}), encoding="utf-8"
    )
    session = multirig.load(folder)
    assert session.rigs["cam"].condition is Condition.NOTHING
    with pytest.raises(NotHere, match=r"^cam: it recorded, and has no file to show for it"):
        session.times("cam")


@needs_pandas
def test_a_path_that_two_rigs_have_means_neither() -> None:
    session = multirig.load(folders_of("good"))
    for asked in ("raw_data/fake.csv", "fake.csv"):
        for ask in (session.table, session.locate):
            with pytest.raises(
                ConfigError, match=r"means main/raw_data/fake\.csv and cam/raw_data/fake\.csv: name one"
            ):
                ask(asked)
    with pytest.raises(KeyError, match=r"raw_data/fake\.csv: is 2 of them"):
        session.files["raw_data/fake.csv"]
    assert "/cam/" in session.locate("cam/raw_data/fake.csv").as_posix()
    assert "/cam/" in session.locate("cam/fake.csv").as_posix()
    assert len(session.table("cam/raw_data/fake.csv")) == len(session.times("cam"))


def test_of_a_peer_that_tells_nothing_nobody_knows_whether_all_is_here() -> None:
    session = multirig.load(folders_of("wire-1-peers"))
    assert session.collected.is_whole is None
    assert session.rigs["main"].condition is Condition.UNKNOWN
    assert session.missing == {}
    with pytest.raises(
        NotHere, match=r"^main: it is no multirig, and did not say what it recorded: look on its"
    ):
        session.times("main")
    with pytest.raises(
        ConfigError, match="its clock is not known, it is no multirig: align its times by sync"
    ):
        session.clock("main")


def test_folders_of_several_sessions_are_not_taken_for_one() -> None:
    with pytest.raises(ConfigError, match="these folders are of several sessions"):
        multirig.load([folders_of("good")[0], folders_of("joined")[0]])
    with pytest.raises(ConfigError, match="ephys took no part in the first one"):
        multirig.load([folders_of("good")[0], folders_of("process-adapter")[1]])


def test_a_part_of_another_session_is_not_taken_for_this_one(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    path = folder / manifest_name("cam")
    strange = {**json.loads(path.read_text(encoding="utf-8")), "exp_ref": "2026-01-30_4_SP_02"}
    path.write_text(json.dumps(strange), encoding="utf-8")
    session = multirig.load(folder)
    assert session.rigs["cam"].condition is Condition.MISSING
    assert session.missing["cam"].startswith(
        "its manifest here is of another session, 2026-01-30_4_SP_02: copy"
    )
    with pytest.raises(NotHere, match=r"^cam: its manifest here is of another session, 2026-01-30_4_SP_02"):
        session.times("cam")
    # a rig of which the session knows nothing
    path.rename(folder / manifest_name("stranger"))
    (folder / manifest_name("stranger")).write_text(json.dumps({**strange, "rig": "stranger"}), "utf-8")
    session = multirig.load(folder)
    assert "stranger" in session.missing
    # a session that was given another name as a whole is none
    for one in folder.glob("_multirig_manifest.*"):
        one.unlink()
    path.write_text(json.dumps({**strange, "exp_ref": session.exp_ref}), encoding="utf-8")
    renamed = folder.parents[1] / "2026-02-01" / "003"
    renamed.parent.mkdir()
    shutil.move(folder, renamed)
    assert multirig.load(renamed).rigs["cam"].condition is Condition.HERE


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("nowhere", "there is no such folder, and it is no reference"),
        ("2026-01-31_9_SP_01", "there is no session 2026-01-31_9_SP_01 in "),
        ("", "is no session folder: give …/<subject>/<yyyy-mm-dd>/<NNN>"),
    ],
)
def test_what_is_no_session_is_refused_with_what_to_do(tmp_path: Path, asked: str, words: str) -> None:
    copy_of("good", tmp_path)
    with pytest.raises(ConfigError, match=words):
        multirig.load(asked if asked else tmp_path, place=tmp_path)
    with pytest.raises(ConfigError, match="no folder is given"):
        multirig.load([])


def test_one_reference_of_two_labs_must_be_said_by_its_folder(tmp_path: Path) -> None:
    one, other = (copy_of(name, tmp_path / lab) for lab, name in (("a", "good"), ("b", "joined")))
    exp_ref = multirig.load(one).exp_ref
    assert multirig.load(other).exp_ref == exp_ref
    with pytest.raises(ConfigError, match="several sessions") as caught:
        multirig.load(exp_ref, place=tmp_path)
    assert str(one) in str(caught.value)
    assert str(other) in str(caught.value)
    assert multirig.load(exp_ref, place=tmp_path / "b").folder == other
    # a copy of the same session is no other one
    shutil.copytree(tmp_path / "a", tmp_path / "copy" / "a")
    both = multirig.load(exp_ref, place=[tmp_path / "a", tmp_path / "copy"])
    assert both.verdict == "GOOD"
    assert len(both.folders) == 2


def test_the_table_of_starts_is_enough_to_know_the_zero(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    before = multirig.load(folder)
    for name in ("_multirig_journal.jsonl", "_multirig_verdict.json"):
        (folder / name).unlink()
    after = multirig.load(folder)
    assert after.verdict is None
    assert before.zero is not None
    assert after.zero is not None
    assert (after.zero.at, after.zero.is_agreed) == (before.zero.at, True)
    assert np.array_equal(after.times("cam"), before.times("cam"))
    (folder / "_multirig_sync.starts.csv").write_text("rig,plan", encoding="utf-8")
    torn = multirig.load(folder)
    assert torn.zero is not None
    assert not torn.zero.is_agreed


@needs_pandas
def test_a_table_whose_clock_is_not_known_comes_without_the_time_and_says_why(tmp_path: Path) -> None:
    [_, _, cam] = sorted(folders_of("good"), key=lambda one: one.parts[-6])[::-1]
    part = multirig.load(cam)
    table = part.table("fake.csv")
    assert table.index.name is None
    assert len(table) > 10
    assert "its clock is not known here: copy _multirig_clock.offsets.csv" in table.attrs["why_no_time"]
    with pytest.raises(ConfigError, match="its clock is not known here: copy _multirig_clock"):
        part.times("fake.csv")
    # what no list names may be of any PC
    bare = tmp_path / "SP_01" / "2026-01-31" / "001"
    bare.mkdir(parents=True)
    shutil.copy(cam / "raw_data" / "fake.csv", bare)
    with pytest.raises(ConfigError, match=r"^fake\.csv: which rig has stamped it is not known here"):
        multirig.load(bare).times("fake.csv")
    assert multirig.load(bare).table("fake.csv").index.name is None


@needs_pandas
def test_what_a_task_has_stamped_on_the_pc_that_led_is_on_the_session_clock(tmp_path: Path) -> None:
    folder = copy_of("good", tmp_path)
    zero = multirig.load(folder).zero
    assert zero is not None
    rows = f"perf_counter,lick\n{zero.at + 1.5:.9f},1\n"
    (folder / "raw_task_data_00").mkdir()
    (folder / "raw_task_data_00" / "licks.csv").write_text(rows, encoding="utf-8")
    (folder / "_multirig_verdict.json").unlink()
    session = multirig.load(folder)
    assert session.table("licks.csv").index[0] == pytest.approx(1.5, abs=1e-6)
    assert session.times("licks.csv")[0] == pytest.approx(1.5, abs=1e-6)


@needs_pandas
def test_tables_of_multirig_itself_are_found_by_their_names() -> None:
    name = "good-with-markers-pulses-cameras-and-own-files"
    session = multirig.load(folders_of(name))
    pulses = session.table("_multirig_sync.pulses.csv")
    assert (pulses.index.name, len(pulses) > 0) == ("t", True)
    assert all(0 < at < 5 for at in pulses.index)
    assert len(session.markers) == 2
    marks = session.table("_multirig_markers.cam.csv")
    assert list(marks.index) == pytest.approx([one.t for one in session.markers], abs=1e-8)


# -- places ------------------------------------------------------------------------------------------------


def test_sessions_are_found_below_any_of_the_usual_layouts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    copy_of("good", data / "mylab")
    bare = tmp_path / "bare"
    shutil.copytree(data / "mylab" / "Subjects", bare)
    subjects = data / "mylab" / "Subjects"
    assert find_roots(data) == find_roots(data / "mylab") == find_roots(subjects) == [subjects]
    assert find_roots(bare) == [bare]
    assert find_roots([data, str(bare)]) == [subjects, bare]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert find_roots(empty) == [empty]
    assert list(multirig.sessions(empty)) == []
    (empty / "notes").mkdir()
    with pytest.raises(ConfigError, match="no sessions are below it: give a data folder"):
        find_roots(empty)
    with pytest.raises(ConfigError, match="there is no such folder: is the drive connected"):
        find_roots(tmp_path / "none")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server = tmp_path / "server"
    copy_of("good", server)
    copy_of("wire-1-peers", server)
    copy_of("demo", server, 0)
    task = server / "Subjects" / "SP_02" / "2026-01-30" / "001" / "raw_task_data_00"
    task.mkdir(parents=True)
    (task / "_iblrig_taskSettings.raw.json").write_text("{}", encoding="utf-8")
    return server


@needs_pandas
def test_all_sessions_are_a_table_with_what_is_here_of_each(server: Path) -> None:
    found = multirig.sessions(server)
    assert [one.exp_ref for one in found] == [
        "2026-01-30_1_SP_02",
        "2026-11-29_7_SP_01",
        "2026-11-29_1_SP_01",
        "2026-11-29_1_demo_mouse",
    ] or len(found) == 4
    table = found.to_pandas().set_index("exp_ref")
    assert [*table.columns] == list(COLUMNS[1:])
    assert dict(table["verdict"]) == {
        "2026-11-29_1_demo_mouse": "GOOD",
        "2026-11-29_7_SP_01": "GOOD",
        "2026-11-29_1_SP_01": "GOOD",
        "2026-01-30_1_SP_02": "NO VERDICT",
    }
    assert table.loc["2026-11-29_1_demo_mouse", "missing"] == ("left", "right")
    assert table["collected"].to_dict() == {
        "2026-11-29_1_demo_mouse": False,
        "2026-11-29_7_SP_01": None,
        "2026-11-29_1_SP_01": True,
        "2026-01-30_1_SP_02": True,
    }
    good = found["2026-11-29_1_SP_01"]
    assert good.rigs == ("main", "cam")
    assert good.load().verdict == "GOOD"
    assert good.seconds is not None
    assert good.began is not None
    assert good.began.tzinfo is not None
    with pytest.raises(KeyError, match="there are 2026"):
        found["2020-01-01_1_x"]
    assert list(multirig.sessions(server).to_pandas().columns) == list(COLUMNS)


@needs_pandas
def test_sessions_are_searched_as_history_does(server: Path) -> None:
    def refs(**asked: Any) -> list[str]:
        return sorted(one.exp_ref for one in multirig.sessions(server, **asked))

    assert refs(subject="demo") == ["2026-11-29_1_demo_mouse"]
    assert refs(verdict="NO VERDICT") == refs(verdict="no verdict") == ["2026-01-30_1_SP_02"]
    assert refs(until=datetime.date(2026, 1, 31)) == ["2026-01-30_1_SP_02"]
    assert refs(text="monitor") == ["2026-11-29_1_demo_mouse"]
    assert len(refs(limit=2)) == 2
    with pytest.raises(ConfigError, match="choose one of GOOD, DEGRADED"):
        refs(verdict="fine")
    assert refs(until="2026-01-31") == ["2026-01-30_1_SP_02"]
    assert refs(until=datetime.datetime(2026, 1, 30, 1)) == refs(since="2026-01-30", until="2026-01-30")
    assert "2026-01-30_1_SP_02" in refs(since=datetime.datetime(2026, 1, 30, 23, 59))
    with pytest.raises(ConfigError, match=r"^since '30\.1\.2026' is no day: write 2026-01-31"):
        refs(since="30.1.2026")
    none = multirig.sessions(server, subject="nobody")
    assert (len(none), list(none.to_pandas().columns)) == (0, list(COLUMNS))


@needs_pandas
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of this PC cannot be changed here")
def test_sessions_of_summer_and_winter_have_times_of_one_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for day in ("2026-01-29", "2026-07-29"):
            folder = copy_of("good", tmp_path / "first")
            target = tmp_path / "Subjects" / "SP_01" / day / "001"
            shutil.move(folder, target)
            journal = target / "_multirig_journal.jsonl"
            journal.write_text(journal.read_text("utf-8").replace("2026-11-29T", f"{day}T"), encoding="utf-8")
            (target / "_multirig_verdict.json").unlink()
        found = multirig.sessions(tmp_path)
        offsets = {one.began.utcoffset() for one in found if one.began is not None}
        assert len(offsets) == 2
        began = found.to_pandas()["began"]
        assert [day.isoformat() for day in began.dt.date] == ["2026-07-29", "2026-01-29"]
        assert str(began.dt.tz) == "UTC"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_table_of_all_sessions_is_written_as_csv(server: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(write_csv(multirig.sessions(server)))))
    by_ref = {row["exp_ref"]: row for row in rows}
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert (by_ref["2026-11-29_1_demo_mouse"]["missing"], by_ref["2026-11-29_1_demo_mouse"]["collected"]) == (
        "left right",
        "no",
    )
    assert by_ref["2026-11-29_7_SP_01"]["collected"] == ""
    assert float(by_ref["2026-11-29_1_SP_01"]["seconds"]) > 0
    assert datetime.datetime.fromisoformat(by_ref["2026-11-29_1_SP_01"]["began"]).tzinfo is not None


# -- what belongs together, and what a name means ----------------------------------------------------------


def test_parts_belong_together_in_the_order_of_their_numbers() -> None:
    parts = ["", ".part2", ".part10"]
    files = [VIDEO.format("left", f"{what}{part}.{end}") for part in parts[::-1]
             for what, end in (("raw", "mp4"), ("times", "npy"))]  # fmt: skip
    tables = ["raw_data/fake.part2.csv", "raw_data/fake.csv", "raw_data/_multirig_sync.pulses.csv", "a.log"]
    fake, left = find_streams({"cam": [*files, *tables]})
    assert (left.name, left.files["times"]) == (
        "cam/left",
        tuple(VIDEO.format("left", f"times{part}.npy") for part in parts),
    )
    assert (fake.name, fake.files) == (
        "cam/raw_data/fake.csv",
        {"table": ("raw_data/fake.csv", "raw_data/fake.part2.csv")},
    )
    assert left.has("raw")
    assert not fake.has("raw")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("left", ["left/left"]),  # a camera that is called as its rig is meant first
        ("body", ["left/body"]),
        ("side", ["side/left", "side/right"]),
        ("side/left", ["side/left"]),
        ("right", ["side/right"]),
        ("pc", ["pc/raw_pc_data/pc.csv"]),
        ("pc.csv", ["pc/raw_pc_data/pc.csv"]),
        (r"raw_pc_data\pc.csv", ["pc/raw_pc_data/pc.csv"]),
        ("nobody", []),
    ],
)
def test_a_name_means_a_label_a_rig_or_a_file(name: str, expected: list[str]) -> None:
    camera = lambda *labels: [VIDEO.format(one, "times.npy") for one in labels]  # noqa: E731
    streams = find_streams(
        {
            "left": camera("left", "body"),
            "side": camera("left", "right"),
            "pc": ["raw_pc_data/pc.csv"],
        }
    )
    assert [one.name for one in choose(streams, name)] == expected


def test_a_copy_or_a_revision_of_a_camera_never_stands_for_what_was_recorded() -> None:
    here = [VIDEO.format("left", one) for one in ("raw.mp4", "times.npy")]
    revised = "raw_video_data/#2026-12-01#/_iblrig_leftCamera.times.npy"
    copied = "old/_iblrig_leftCamera.times.npy"
    for files, name in (
        ({"left": here, "": [revised, copied]}, "left/left"),
        ({"": [revised, *here]}, "left"),
    ):
        streams = find_streams(files)
        [meant] = choose(streams, "left")
        assert (meant.name, meant.files) == (name, {"raw": (here[0],), "times": (here[1],)})
        [asked] = choose(streams, revised)
        assert (asked.name, asked.files) == ("raw_video_data/#2026-12-01#/left", {"times": (revised,)})
        assert choose(streams, asked.name) == [asked]
    both = find_streams({"": ["a/_iblrig_leftCamera.times.npy", "b/_iblrig_leftCamera.times.npy"]})
    assert [one.name for one in both] == ["a/left", "b/left"]
    assert choose(both, "left") == []


def test_a_label_of_two_rigs_means_neither() -> None:
    streams = find_streams(
        {"a": [VIDEO.format("left", "times.npy")], "b": [VIDEO.format("left", "times.npy")]}
    )
    assert [one.name for one in choose(streams, "left")] == ["a/left", "b/left"]


# -- tables ------------------------------------------------------------------------------------------------


@needs_pandas
def test_a_table_keeps_its_columns_and_has_the_session_s_time_where_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffperf_counter,grüße\n10.5,1\n11.5,2\n12.5".encode())
    table = read_table(path, 100.0, lambda own: own - 10)
    assert (list(table.index), table.index.name) == ([0.5, 1.5], "t")
    assert list(table.columns) == ["perf_counter", "grüße"]
    path.write_text("trial,side\n1,left\n", encoding="utf-8")
    assert read_table(path, 100.0, lambda own: own).index.name is None
    path.write_text("rig,session_time_s,offset_s\ncam,101.0,5\n", encoding="utf-8")
    assert list(read_table(path, 100.0, lambda own: own).index) == [1.0]
    path.write_text("", encoding="utf-8")
    assert len(read_table(path, 100.0, lambda own: own)) == 0
    path.write_text("perf_counter,x\n1,2\nrubbish,3\n4,5\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.csv: perf_counter holds what is no number"):
        read_table(path, 0.0, lambda own: own)
    path.write_text("a,b\n1,2,3,4\n1,2\n1,2,3,4,5,6\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.csv: cannot be read as a table: .*line"):
        read_table(path, 0.0, lambda own: own)
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"a": 1}\nrubbish\n{"a": 2}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.jsonl, line 2: .*: take it out and try again"):
        read_table(lines, 0.0, lambda own: own)


@needs_pandas
@pytest.mark.filterwarnings("error")
def test_a_row_with_more_cells_than_the_heading_never_moves_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("perf_counter,x\n10.5,1,\n11.5,2,\n", encoding="utf-8")  # a comma behind each line
    table = read_table(path, 0.0, lambda own: own - 10)
    assert (list(table.index), list(table["x"])) == ([0.5, 1.5], [1, 2])
    path.write_text("perf_counter,x\n10.5,1,lick\n11.5,2,lick\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.csv: cannot be read as a table: .* name for each column"):
        read_table(path, 0.0, lambda own: own)


@needs_pandas
def test_a_row_without_a_time_has_none_in_the_index(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("perf_counter,x\n10.5,1\n,2\nnan,3\n12.5,4\n", encoding="utf-8")

    def to_session(own: Any) -> Any:
        assert np.isfinite(own).all()
        return own - 10

    table = read_table(path, 0.0, to_session)
    assert list(table["x"]) == [1, 2, 3, 4]
    assert np.array_equal(table.index, [0.5, np.nan, np.nan, 2.5], equal_nan=True)


def test_a_package_that_is_missing_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"^a table needs pandas: pip install 'multirig\[data\]'$"):
        need("pandas", "a table")


# -- damaged and odd files ---------------------------------------------------------------------------------


def write_part(folder: Path, rig: str, *files: str, **more: Any) -> None:
    listed = [{"path": one, "bytes": (folder / one).stat().st_size, "frames": None} for one in files]
    manifest = {
        "format": 2, "rig": rig, "exp_ref": "2026-01-31_1_SP_01", "version": "0.1.0", "adapter": "camera",
        "started": {"wall": "2026-01-31T12:00:00.000+01:00", "clock": 50.25},
        "stopped": {"wall": "2026-01-31T12:00:10.000+01:00", "clock": 60.0}, "files": listed, **more,
    }  # fmt: skip
    (folder / manifest_name(rig)).write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    folder = tmp_path / "SP_01" / "2026-01-31" / "001"
    (folder / "raw_video_data").mkdir(parents=True)
    np.save(folder / VIDEO.format("left", "times.npy"), np.arange(50.5, 60, 0.1))
    return folder


def test_without_an_agreed_start_times_count_from_what_comes_nearest_and_that_is_said(part: Path) -> None:
    times = VIDEO.format("left", "times.npy")
    write_part(part, "cam", times, agreed_start=50.0)
    agreed = multirig.load(part)
    assert agreed.zero is not None
    assert (agreed.zero.at, agreed.zero.what) == (50.0, "the agreed start")
    assert agreed.times("left")[0] == pytest.approx(0.5)
    zone = datetime.timezone(datetime.timedelta(hours=1))
    assert agreed.to_datetime(0.25) == datetime.datetime(2026, 1, 31, 12, tzinfo=zone)
    write_part(part, "cam", times)
    older = multirig.load(part)
    assert older.zero is not None
    assert (older.zero.at, older.zero.is_agreed) == (50.25, False)
    assert older.zero.what == "when the first rig here had started"
    # the first of several rigs counts, also where one began after others
    write_part(part, "top", times, agreed_start=50.0)
    write_part(part, "cam", times, agreed_start=52.0)
    assert multirig.load(part).zero == agreed.zero


def test_a_time_of_another_clock_is_none_of_the_session(part: Path) -> None:
    times = VIDEO.format("left", "times.npy")
    file = {"path": times, "bytes": (part / times).stat().st_size, "frames": 95, "first": 1.7e9, "last": 60.0}
    write_part(part, "cam", agreed_start=50.0, files=[file])
    [row] = multirig.load(part).files
    assert (row.first, row.last) == (None, 10.0)


def test_a_number_without_its_zeros_is_found_too(part: Path) -> None:
    part.rename(part.with_name("1"))
    session = multirig.load("2026-01-31_001_SP_01", place=part.parents[2])
    assert (session.folder.name, session.exp_ref) == ("1", "2026-01-31_1_SP_01")


def test_times_that_cannot_be_read_are_told_with_their_file(part: Path) -> None:
    path = part / VIDEO.format("left", "times.npy")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r"leftCamera\.times\.npy: cannot be read .*: is it whole\?"):
        multirig.load(part).times("left")
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"leftCamera\.times\.npy: cannot be read"):
        multirig.load(part).times("left")


@pytest.mark.parametrize("odd", [np.array(["a"]), np.zeros((3, 2)), np.float64(3.0), np.zeros(3, complex)])
def test_what_is_no_row_of_times_is_told_with_its_file(part: Path, odd: Any) -> None:
    np.save(part / VIDEO.format("left", "times.npy"), odd)
    write_part(part, "cam", VIDEO.format("left", "times.npy"), agreed_start=50.0)
    with pytest.raises(ConfigError, match=r"leftCamera\.times\.npy: holds no row of times"):
        multirig.load(part).times("left")


def test_times_of_which_nobody_knows_the_zero_are_given_raw_only(part: Path) -> None:
    session = multirig.load(part)
    assert session.zero is None
    with pytest.raises(
        ConfigError, match=r"^2026-01-31_1_SP_01: nothing here tells when it began: .* raw=True"
    ):
        session.times("left")
    assert session.times("left", raw=True)[0] == pytest.approx(50.5)


def test_a_clock_of_what_no_list_names_is_not_known_and_that_is_said(part: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^left: which rig has stamped it is not known here: copy the manifests"
    ):
        multirig.load(part).clock("left")


def test_no_number_has_no_time_of_day(part: Path) -> None:
    write_part(part, "cam", VIDEO.format("left", "times.npy"), agreed_start=50.0)
    session = multirig.load(part)
    for odd in (float("nan"), float("inf"), 1e15):
        with pytest.raises(ConfigError, match="is no time of a session"):
            session.to_datetime(odd)
    assert list(np.isnat(session.to_datetime([0.0, float("nan")]))) == [False, True]


def test_a_manifest_that_is_damaged_is_told_and_the_data_are_read(part: Path) -> None:
    (part / manifest_name("cam")).write_text('{"rig": "cam"', encoding="utf-8")
    session = multirig.load(part)
    assert session.rigs["cam"].condition is Condition.UNKNOWN
    assert "its manifest cannot be read: it is damaged" in session.rigs["cam"].why
    assert len(session.times("left", raw=True)) == 95


@needs_pandas
def test_a_file_that_a_manifest_names_outside_of_the_session_is_not_read(part: Path) -> None:
    secret = part.parents[2] / "secret.csv"
    secret.write_text("perf_counter\n1.0\n", encoding="utf-8")
    write_part(part, "cam", "../../../secret.csv")
    session = multirig.load(part)
    assert session.rigs["cam"].condition is Condition.MISSING
    with pytest.raises(NotHere):
        session.table("../../../secret.csv")
    (part / manifest_name("cam")).unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        multirig.load(part).table("../../../secret.csv")


def test_the_times_of_a_long_session_are_not_read_before_they_are_asked_for(part: Path) -> None:
    session = multirig.load(part)
    raw = session.times("left", raw=True)
    assert isinstance(raw, np.memmap)
    del raw
    os.remove(part / VIDEO.format("left", "times.npy"))
    with pytest.raises(ConfigError):
        session.times("left")


# -- frames ------------------------------------------------------------------------------------------------


def encode(path: Path, count: int, **options: str) -> list[Any]:
    """Write a video of moving bars; return its frames as a player decodes them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 12
        for number in range(count):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[:, number % 64] = 255
            picture[number % 48] = number
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        return [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]


@pytest.mark.parametrize("form", ["live", "with frames that come before others", "not closed"])
def test_any_frame_can_be_had_in_any_order(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    options = {"bf": "3"} if form.startswith("with") else {"tune": "zerolatency"}
    shown = encode(path, 100, **options)
    if form == "not closed":
        whole = tmp_path / "whole.mp4"
        path.rename(whole)
        flags = {"movflags": "frag_every_frame+empty_moov"}
        with av.open(str(whole)) as source, av.open(str(path), "w", options=flags) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    with Frames([Video(path)], [None]) as frames:
        assert len(frames) == 100
        order = [99, 0, 1, 2, 60, 59, 13, 12, 11, 98, 99, 40, 41, 45, 44, -1, -100]
        for place in order:
            assert np.array_equal(frames[place], shown[place]), place
        assert all(np.array_equal(one, other) for one, other in zip(frames, shown, strict=True))
        assert [one[0, 0, 0] for one in frames[10:20:3]] == [one[0, 0, 0] for one in shown[10:20:3]]
        for place in (100, -101):
            with pytest.raises(IndexError, match="there are 100 frames"):
                frames[place]
    gray = Frames([Video(path)], [7], "gray")
    assert (len(gray), gray[3].shape, sum(1 for _ in gray)) == (7, (48, 64), 7)
    gray.close()


@pytest.mark.parametrize(("pictures", "times"), [(25, 20), (20, 25)])
def test_a_part_that_lost_times_or_pictures_keeps_the_next_one_in_step(
    part: Path, pictures: int, times: int
) -> None:
    (part / VIDEO.format("left", "times.npy")).unlink()
    shown, held = [], []
    for name, here, there in (("", pictures, times), (".part2", 10, 10)):
        shown.append(encode(part / VIDEO.format("left", f"raw{name}.mp4"), here, tune="zerolatency"))
        held.append(100.0 * (len(held) + 1) + np.arange(there))
        np.save(part / VIDEO.format("left", f"times{name}.npy"), held[-1])
    session = multirig.load(part)
    found, frames = session.times("left", raw=True), session.frames("left")
    assert np.array_equal(found, np.concatenate([held[0][:20], held[1]]))
    assert len(frames) == len(found) == sum(1 for _ in frames) == 30
    assert np.array_equal(frames[20], shown[1][0])
    assert np.array_equal(frames[19], shown[0][19])
    frames.close()


def test_what_is_no_video_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(ConfigError, match=r"a\.mp4: cannot be opened as a video"):
        len(Frames([Video(path)], [None]))


@pytest.mark.attack
def test_markers_like_formulas_are_none_in_the_table_and_come_back_as_they_were(tmp_path: Path) -> None:
    texts = ["=HYPERLINK(1)", "-5 mg", "'=x", "@a", "plain"]
    path = tmp_path / markers_name("cam")
    for number, text in enumerate(texts):
        append_marker(path, Marker(at=float(number), text=text, data={"x": -number}))
    cells = [row[1] for row in csv.reader(path.read_text(encoding="utf-8").splitlines())]
    assert cells == ["text", "'=HYPERLINK(1)", "'-5 mg", "''=x", "'@a", "plain"]
    marks = list_marks(None, [tmp_path], 0.0)
    assert [(one.t, one.text) for one in marks] == list(zip([0.0, 1.0, 2.0, 3.0, 4.0], texts, strict=True))
