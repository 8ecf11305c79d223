"""``multirig show``: one page, the journal in words, and whether the files are whole."""

import json
import re
from pathlib import Path

import pytest


@pytest.fixture
def recorded(rig, multirig, tmp_path: Path):
    """Record a session over two rigs; return the folder on the conductor's PC."""
    rigs = {"ephys": rig("ephys", main_sync=True).uri, "cameras": rig("cameras").uri}
    (tmp_path / "rigs.yaml").write_text("".join(f"{name}: {uri}\n" for name, uri in rigs.items()))
    words = "run -s SP_01 --seconds 0.5 --rigs-file rigs.yaml --remote ephys cameras --json"
    done = multirig(*words.split())
    assert done.returncode == 0, done.stderr
    return tmp_path / json.loads(done.stdout)["session_folder"]


def folder_of(rig: str, tmp_path: Path) -> Path:
    return next((tmp_path / rig).glob("mylab/Subjects/SP_01/*/001"))


def test_the_verdict_comes_first_and_the_evidence_after_it(recorded, multirig):
    (recorded / "raw_task_data_00").mkdir()
    (recorded / "raw_task_data_00" / "trials.jsonable").write_bytes(b"x" * 1234)
    done = multirig("show", recorded)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.match(r"✓ GOOD  session \S+_1_SP_01  \d", lines[0])
    assert "every rig recorded from the beginning to the end" in lines[1]
    own = ("raw_task_data_00/trials.jsonable", "1.2 kB", "_ibl_experiment.description.yaml")
    for words in ("ephys", "cameras", "fake.csv", "this PC", *own):
        assert words in done.stdout
    told = json.loads(multirig("show", recorded, "--json").stdout)
    assert (told["verdict"], told["is_final"], told["own_files_total"]) == ("GOOD", True, 2)


def test_the_file_beside_the_journal_says_the_same(recorded, multirig):
    told = json.loads(multirig("show", recorded, "--json").stdout)
    told.pop("session_folder")
    assert json.loads((recorded / "_multirig_verdict.json").read_text(encoding="utf-8")) == told


def test_the_journal_is_told_a_line_an_entry_and_without_json(recorded, multirig):
    done = multirig("show", recorded, "--journal")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == len((recorded / "_multirig_journal.jsonl").read_text().splitlines())
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line) for line in lines)
    assert not set("{}[]") & set(done.stdout)
    assert re.search(r"\+0\.5\d\d s  this PC +asked for the step 'stop'", done.stdout)
    assert re.search(r"cameras +answered EXPSTART: running", done.stdout)


def test_the_journal_is_told_of_some_rigs_and_kinds_alone(recorded, multirig):
    chosen = ("--rig", "cameras", "--kind", "answer", "--kind", "clock")
    done = multirig("show", recorded, "--journal", *chosen)
    lines = done.stdout.splitlines()
    assert len(lines) > 5
    assert all(re.search(r"  cameras +(answered|clock is) ", line) for line in lines)
    done = multirig("show", recorded, "--journal", "--rig", "camera")
    assert done.returncode == 2
    assert "no line of camera in this journal; there are: this PC, " in done.stderr
    done = multirig("show", recorded, "--kind", "alarm")
    assert done.returncode == 2
    assert "add --journal" in done.stderr


@pytest.mark.parametrize("other", ["--json", "--verify"])
def test_the_journal_for_people_stands_alone(recorded, multirig, other: str):
    done = multirig("show", recorded, "--journal", other)
    assert done.returncode == 2
    assert "stands alone" in done.stderr


def test_files_that_are_whole_changed_and_missing_are_told_apart(recorded, multirig, tmp_path: Path):
    folder = folder_of("cameras", tmp_path)
    done = multirig("show", "--verify", folder)
    assert done.returncode == 0
    assert "✓ whole    cameras  raw_data/fake.csv: has the size and the checksum" in done.stdout
    assert done.stdout.splitlines()[-1] == "✓ 1 whole"
    (path,) = folder.glob("*/fake.csv")
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"!\n")
    done = multirig("show", "--verify", folder, "--json")
    assert done.returncode == 1
    checked = json.loads(done.stdout)
    assert checked["is_whole"] is False
    assert [one["condition"] for one in checked["files"]] == ["changed"]
    path.unlink()
    done = multirig("show", "--verify", folder)
    assert done.returncode == 1
    assert "✗ missing  cameras  raw_data/fake.csv: is not there" in done.stdout


def test_clocks_starts_and_states_are_drawn_into_a_file(recorded, multirig, tmp_path: Path):
    done = multirig("show", "--plot", "clocks.html", recorded)
    assert done.returncode == 0, done.stderr
    assert "clocks.html" in done.stderr
    text = (tmp_path / "clocks.html").read_text(encoding="utf-8")
    for words in ("cameras", "ephys", "running", "asked for the step"):
        assert words in text
    for options, words in (
        (("--plot", "clocks.pdf"), "give a file that ends in .png or .html"),
        (("--plot", "clocks.png", "--journal"), "--plot stands alone"),
    ):
        done = multirig("show", recorded, *options)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_rigs_own_folder_has_no_journal_and_says_what_to_do(recorded, multirig, tmp_path: Path):
    done = multirig("show", folder_of("cameras", tmp_path))
    assert done.returncode == 2
    assert "multirig show --verify" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    done = multirig("show", "--verify", recorded)
    assert done.returncode == 2
    assert "no manifest in" in done.stderr


def test_a_journal_that_was_cut_off_is_not_over(recorded, multirig):
    path = recorded / "_multirig_journal.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'"trigger":"stop"')])
    done = multirig("show", recorded)
    assert done.returncode == 0
    assert "NOT OVER" in done.stdout.splitlines()[0]
    assert "it is running, as far as its journal tells; if it ended so: INTERRUPTED" in done.stdout
    assert "the journal ends while the session is running" in done.stdout


def test_a_journal_with_a_damaged_line_is_shown_as_far_as_it_goes(recorded, multirig):
    path = recorded / "_multirig_journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-2], b"\x00\x00\n", *lines[-1:]]))
    done = multirig("show", recorded)
    assert done.returncode == 0
    assert f"the journal has 1 line that cannot be read ({len(lines) - 1})" in done.stdout
    done = multirig("show", recorded, "--journal")
    assert len(done.stdout.splitlines()) == len(lines) - 1
    assert f"lines that cannot be read are left out: {len(lines) - 1}" in done.stderr


def test_a_session_that_is_not_good_ends_with_1_and_says_why(rig, multirig):
    uri = rig("ephys", main_sync=True, adapter={"type": "fake", "write_file": False}).uri
    done = multirig("run", "-s", "SP_01", "-r", uri, "--seconds", "0.2")
    assert done.returncode == 1
    assert done.stdout.startswith("✗ INCOMPLETE  session ")
    assert "✗ ephys recorded, and has no file to show for it" in done.stdout
