"""The animal's earlier sessions, on this PC and on the server, as iblrig's function of that name answers."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from multirig.ibl import BaseSession, iterate_previous_sessions


class Task(BaseSession):
    protocol_name = "choice"
    trials = 100

    def start_hardware(self) -> None:
        """Nothing."""

    def _run(self) -> None:
        self.session_info.NTRIALS = self.trials


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "iblrig_local_data_path": tmp_path / "pc",
        "iblrig_remote_data_path": tmp_path / "server",
        "ALYX_LAB": "lab",
    }


def run(settings: dict[str, Any], *, trials: int = 100, append: bool = False) -> Task:
    """Record a session."""
    task = Task("SP_01", iblrig_settings=settings, interactive=False, append=append)
    task.trials = trials
    task.run()
    return task


def place(root: Path, stub: str, *, tasks: dict[str, dict[str, Any]], name: str = "choice") -> Path:
    """Make a session of some other time or place."""
    date, number = stub.split("_")
    folder = root / "SP_01" / date / number
    for collection, one in tasks.items():
        (folder / collection).mkdir(parents=True)
        (folder / collection / "_iblrig_taskSettings.raw.json").write_text(json.dumps(one))
    described = {"tasks": [{name: {"collection": each}} for each in tasks], "version": "1.0.0"}
    (folder / "_ibl_experiment.description.yaml").write_text(yaml.safe_dump(described))
    return folder


def version_8(**news: Any) -> dict[str, Any]:
    """Return settings as a rig of version 8 writes them."""
    start = "2024-05-06T10:00:00"
    told = {"SESSION_START_TIME": start, "SESSION_NUMBER": 1, "RIG_NAME": "rig", "ALYX_USER": "sara"}
    return {**told, "IBLRIG_VERSION": "8.24.7", "NTRIALS": 100, "device_sound": {"OUTPUT": "hifi"}, **news}


def stubs(found: list[Any]) -> list[str]:
    return [one.session_stub for one in found]


def test_the_last_session_is_told_with_its_keys_in_iblrigs_order(settings: dict[str, Any]) -> None:
    task = run(settings)
    [found] = iterate_previous_sessions("SP_01", "choice", iblrig_settings=settings)
    assert list(found) == [
        *("session_stub", "session_path", "task_collection"),
        *("experiment_description", "task_settings", "file_task_data"),
    ]
    assert found.session_path == task.paths.SESSION_FOLDER
    assert found.session_stub == f"{task.session_info.SESSION_START_TIME[:10]}_001"
    assert found.task_collection == "raw_task_data_00"
    assert found["file_task_data"] == task.paths.DATA_FILE_PATH
    assert found.experiment_description["tasks"][0]["choice"]["collection"] == "raw_task_data_00"
    told = found.task_settings
    assert told["SESSION_NUMBER"] == "001"
    assert told["SESSION_DATE"] == task.session_info.SESSION_START_TIME[:10]
    assert told["SESSION_DATETIME"] == task.session_info.SESSION_START_TIME
    assert (told["PYBPOD_BOARD"], told["PYBPOD_CREATOR"]) == (told["RIG_NAME"], (None, ""))
    assert (told["IS_MOCK"], told["IBLRIG_VERSION_TAG"]) == (False, told["IBLRIG_VERSION"])


def test_sessions_with_few_trials_and_those_of_other_tasks_are_left_out(settings: dict[str, Any]) -> None:
    run(settings, trials=43)
    run(settings, trials=42)
    found = iterate_previous_sessions("SP_01", "choice", 5, iblrig_settings=settings)
    assert [stub[-3:] for stub in stubs(found)] == ["001"]
    assert iterate_previous_sessions("SP_01", "other", 5, iblrig_settings=settings) == []
    assert iterate_previous_sessions("SP_02", "choice", 5, iblrig_settings=settings) == []


def test_of_chained_tasks_the_last_one_comes_first(settings: dict[str, Any]) -> None:
    run(settings)
    run(settings, append=True)
    alone = {**settings, "iblrig_remote_data_path": None}
    found = iterate_previous_sessions("SP_01", "choice", 5, iblrig_settings=alone)
    assert [one.task_collection for one in found] == ["raw_task_data_01", "raw_task_data_00"]


def test_this_pcs_and_the_servers_sessions_are_one_list_the_latest_first(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    here, there = tmp_path / "pc" / "lab" / "Subjects", tmp_path / "server" / "Subjects"
    for root, stub in ((here, "2024-05-06_001"), (there, "2024-05-07_001"), (there, "2024-05-05_002")):
        place(root, stub, tasks={"raw_task_data_00": version_8()})
    shutil.copytree(here / "SP_01" / "2024-05-06", there / "SP_01" / "2024-05-06")
    found = iterate_previous_sessions("SP_01", "choice", 9, iblrig_settings=settings)
    assert stubs(found) == ["2024-05-07_001", "2024-05-06_001", "2024-05-05_002"]
    assert found[1].session_path.is_relative_to(here)


def test_folders_may_be_given_in_place_of_settings(tmp_path: Path) -> None:
    place(tmp_path / "pc" / "lab" / "Subjects", "2024-05-06_001", tasks={"raw_task_data_00": version_8()})
    place(tmp_path / "server" / "Subjects", "2024-05-07_001", tasks={"raw_task_data_00": version_8()})
    pc, server = str(tmp_path / "pc"), tmp_path / "server"
    found = iterate_previous_sessions("SP_01", "choice", 9, local_path=pc, remote_path=server, lab="lab")
    assert len(found) == 2


def test_settings_of_before_version_8_are_told_with_what_played_their_sounds(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    old = {"IBLRIG_VERSION": "7.2.0", "SOUND_SAMPLE_FREQ": 96_000, "SUBJECT_NAME": "SP_01"}
    place(tmp_path / "pc" / "lab" / "Subjects", "2023-05-06_001", tasks={"raw_behavior_data": old})
    [found] = iterate_previous_sessions("SP_01", "choice", iblrig_settings=settings)
    added = {"IS_MOCK": False, "IBLRIG_VERSION_TAG": "7.2.0", "device_sound": {"OUTPUT": "harp"}}
    assert found.task_settings == {**old, **added}


@pytest.mark.parametrize("damage", ["settings", "description", "no settings", "keys"])
def test_a_damaged_session_is_said_and_the_one_before_is_found(
    settings: dict[str, Any], tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    subjects = tmp_path / "pc" / "lab" / "Subjects"
    place(subjects, "2024-05-05_001", tasks={"raw_task_data_00": version_8()})
    folder = place(subjects, "2024-05-06_001", tasks={"raw_task_data_00": version_8()})
    file = folder / "raw_task_data_00" / "_iblrig_taskSettings.raw.json"
    if damage == "settings":
        file.write_text('{"NTRIALS"')
    elif damage == "description":
        (folder / "_ibl_experiment.description.yaml").write_text("tasks: 5\n")
    elif damage == "keys":
        file.write_text('{"IBLRIG_VERSION": "8.24.7", "NTRIALS": 100}')
    else:
        file.unlink()
    found = iterate_previous_sessions("SP_01", "choice", iblrig_settings=settings)
    assert stubs(found) == ["2024-05-05_001"]
    assert ("an earlier session is left out" in caplog.text) is (damage != "no settings")


@pytest.mark.parametrize(
    ("trials", "count"), [(None, 2), ("100", 2), ("7", 1), ("many", 2), ([3], 2), (7, 1), (float("nan"), 2)]
)
def test_a_number_of_trials_that_is_none_leaves_no_session_out(
    tmp_path: Path, trials: Any, count: int
) -> None:
    subjects = tmp_path / "lab" / "Subjects"
    place(subjects, "2024-05-06_001", tasks={"raw_task_data_00": version_8()})
    place(subjects, "2024-05-07_001", tasks={"raw_task_data_00": version_8(NTRIALS=trials)})
    given = {"iblrig_local_data_path": tmp_path, "ALYX_LAB": "lab"}
    assert len(iterate_previous_sessions("SP_01", "choice", n=3, iblrig_settings=given)) == count


@pytest.mark.parametrize("number", [None, "x", [1], {}])
def test_a_number_of_a_protocol_that_is_none_is_read_from_its_folder(tmp_path: Path, number: Any) -> None:
    folders = {f"raw_task_data_{one:02d}": version_8() for one in (0, 1)}
    session = place(tmp_path / "lab" / "Subjects", "2024-05-06_001", tasks=folders)
    file = session / "_ibl_experiment.description.yaml"
    described = yaml.safe_load(file.read_text())
    for one in described["tasks"]:
        one["choice"]["protocol_number"] = number
    file.write_text(yaml.safe_dump(described))
    given = {"iblrig_local_data_path": tmp_path, "ALYX_LAB": "lab"}
    found = iterate_previous_sessions("SP_01", "choice", n=3, iblrig_settings=given)
    assert [one.task_collection for one in found] == ["raw_task_data_01", "raw_task_data_00"]


def test_a_server_that_cannot_be_looked_at_is_said_and_this_pcs_sessions_are_found(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    run(settings)
    away = {**settings, "iblrig_remote_data_path": "/" + "x" * 300}  # no system has such a folder
    found = iterate_previous_sessions("SP_01", "choice", iblrig_settings=away)
    assert len(found) == 1
    if sys.platform != "win32":
        assert "cannot be looked at" in caplog.text


def test_a_session_with_a_description_of_each_device_is_told_once(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    subjects = tmp_path / "pc" / "lab" / "Subjects"
    folder = place(subjects, "2024-05-06_001", tasks={"raw_task_data_00": version_8()})
    text = (folder / "_ibl_experiment.description.yaml").read_text()
    (folder / "_ibl_experiment.description_behavior.yaml").write_text(text)
    alone = {**settings, "iblrig_remote_data_path": None}
    assert stubs(iterate_previous_sessions("SP_01", "choice", 9, iblrig_settings=alone)) == ["2024-05-06_001"]
