"""What is started, and what was installed before."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.install import records
from multirig.install.choosing import find_changes, find_environment, find_record
from multirig.install.job import Job, Kind
from multirig.install.plan import Way
from multirig.install.records import Record, read_records, remove_record, write_record

JOB = Job(
    kind=Kind.RIG,
    name="cameras",
    program=("/opt/multirig",),
    arguments=("serve", "/lab/cameras.yaml", "--wait", "--register"),
    folder="/lab",
    environment={"PATH": "/usr/bin"},
)
RECORD = Record(
    job=JOB, way=Way.SYSTEMD, config="/lab/cameras.yaml", lock_folder="/lab/log", installed="2026-01-31"
)


def named(name: str, kind: Kind = Kind.RIG) -> Record:
    return dataclasses.replace(RECORD, job=dataclasses.replace(JOB, name=name, kind=kind))


def test_what_was_installed_is_read_again_by_name_the_console_last(tmp_path: Path) -> None:
    console = dataclasses.replace(named("console", Kind.CONSOLE), config=None, lock_folder=None, port=8091)
    all_of_them = [named("a:b"), RECORD, named("console"), named("Mäuse"), console]
    for one in reversed(all_of_them):
        write_record(one, tmp_path)
    assert read_records(print, tmp_path) == all_of_them
    remove_record(JOB, tmp_path)
    remove_record(JOB, tmp_path)
    assert [one.job.name for one in read_records(print, tmp_path)] == ["a:b", "console", "Mäuse", "console"]


def test_the_same_rig_again_takes_the_place_of_itself(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path)
    moved = dataclasses.replace(RECORD, config="/new/cameras.yaml")
    write_record(moved, tmp_path)
    assert read_records(print, tmp_path) == [moved]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"job": 3}', '{"job": {"kind": "rig"}, "way": "TASK"}'])
def test_a_file_that_is_no_record_is_one_line_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "rig-x.json").write_text(text)
    write_record(RECORD, tmp_path)
    told: list[ConfigError] = []
    assert read_records(told.append, tmp_path) == [RECORD]
    [line] = str(told[0]).splitlines()
    assert re.search(r"rig-x\.json cannot be read .*: remove it", line)


def test_a_record_of_a_newer_multirig_is_refused_by_name(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path)
    [path] = tmp_path.iterdir()
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "format": records.FORMAT + 1, "version": "9.9"})
    )
    told: list[ConfigError] = []
    assert read_records(told.append, tmp_path) == []
    assert "as multirig 9.9 writes it" in str(told[0])


def test_a_folder_in_which_nothing_can_be_kept_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "installed").write_text("")
    with pytest.raises(ConfigError, match=r"rig-cameras\.json cannot be written"):
        write_record(RECORD, tmp_path / "installed")
    write_record(RECORD, tmp_path / "as-folder")
    [path] = (tmp_path / "as-folder").iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be removed"):
        remove_record(JOB, tmp_path / "as-folder")


def test_a_name_that_no_file_can_have_is_cut_and_no_two_become_one(tmp_path: Path) -> None:
    names = ["ü" * 60, "ü" * 61, "a" * 100, "a" * 101, "b" * 250]
    labels = {dataclasses.replace(JOB, name=one).label("[^A-Za-z0-9]", r"\x{:02x}") for one in names}
    assert len(labels) == len(names)
    assert max(map(len, labels)) <= 117
    assert "a" * 100 in labels
    for one in names:
        write_record(named(one), tmp_path)
    assert len(read_records(lambda _: None, tmp_path)) == len(names)


def test_what_is_new_is_told_in_words() -> None:
    job = dataclasses.replace(
        JOB,
        program=("/new/multirig",),
        arguments=("serve", "/new/cameras.yaml", "--wait"),
        environment={"MULTIRIG_RIGS": "/lab"},
    )
    now = Record(job=job, way=Way.STARTUP, config="/new/cameras.yaml")
    assert list(find_changes(RECORD, now)) == [
        "program was /opt/multirig, is /new/multirig",
        "config was /lab/cameras.yaml, is /new/cameras.yaml",
        "options was --register, is none",
        "started by was systemd, is Startup folder",
        "MULTIRIG_RIGS was not set, is /lab",
        "PATH is another one",
    ]
    assert list(find_changes(RECORD, RECORD)) == []


def test_a_rig_is_found_by_its_name_or_by_one_that_differs_in_capitals_alone() -> None:
    known = [named("cameras"), named("Mouse"), named("mouse"), named("console", Kind.CONSOLE)]
    assert find_record("mouse", known, Kind.RIG) is known[2]
    assert find_record("CAMERAS", known, Kind.RIG) is known[0]
    assert find_record("console", known, Kind.RIG) is None
    assert find_record("console", known, Kind.CONSOLE) is known[3]


def test_what_a_terminal_knows_goes_along_where_the_system_would_not_have_it() -> None:
    here = {"PATH": "/usr/bin", "MULTIRIG_RIGS": "/lab", "MULTIRIG_STATE": "", "LANG": "C"}
    here["MULTIRIG_KEYS"] = "/keys"
    carried = {"PATH": "/usr/bin", "MULTIRIG_RIGS": "/lab", "MULTIRIG_KEYS": "/keys"}
    assert find_environment(here, "linux") == carried
    assert find_environment(here, "windows") == {}
    meant = {"MULTIRIG_RIGS": str(Path("lab").absolute()), "MULTIRIG_STATE": str(Path.home() / "state")}
    here = {"MULTIRIG_RIGS": "lab", "MULTIRIG_STATE": "~/state", "PATH": "bin"}
    assert find_environment(here, "linux") == {**meant, "PATH": "bin"}


@pytest.mark.parametrize("word", ["/lab/a\nb.yaml", "/lab/\udcff.yaml", "/lab/\x07.yaml"])
def test_a_path_that_no_file_of_a_system_can_hold_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="rename that file or folder"):
        dataclasses.replace(JOB, arguments=("serve", word)).check()
    with pytest.raises(ConfigError, match="rename"):
        dataclasses.replace(JOB, folder=word).check()
    JOB.check()
