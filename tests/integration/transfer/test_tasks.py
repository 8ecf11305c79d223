"""What a task leaves for IBL's pipeline, alone and with rigs."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.ibl.network.conftest import Rigs
from tests.integration.transfer import copier

from multirig.ibl import BaseSession, NetworkMixin, NetworkSession, description
from multirig.record.catalogue import Catalogue

VIDEO = "raw_video_data"


class Writing:
    """A task that writes a line, and fails where it is told to."""

    protocol_name: str | None = "noteTaker"
    fails = ""
    writes = True

    def start_hardware(self) -> None:
        if self.fails == "hardware":
            raise ZeroDivisionError("hardware")

    def _run(self) -> None:
        self.seen = copier.find(self.paths.LOCAL_SUBJECT_FOLDER)  # type: ignore[attr-defined]
        if self.writes:
            self.paths.DATA_FILE_PATH.write_text("{}\n")  # type: ignore[attr-defined]
        if self.fails == "run":
            raise ZeroDivisionError("run")


class Task(Writing, BaseSession):
    pass


class Networked(Writing, NetworkSession):
    pass


@pytest.fixture
def settings(tmp_path: Path, server: Path) -> dict[str, Any]:
    return {
        "iblrig_settings": {
            "iblrig_local_data_path": str(tmp_path / "pc"),
            "iblrig_remote_data_path": str(server),
            "ALYX_LAB": "mylab",
        },
        "interactive": False,
    }


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Rigs]:
    opened = Rigs(tmp_path)
    yield opened
    opened.close()


def test_a_task_is_found_copied_and_whole(tmp_path: Path, settings: Any, server: Path) -> None:
    task = Task("SP_01", projects=["p"], hardware_settings={"MAIN_SYNC": True}, **settings)
    task.run()
    folder = task.paths.SESSION_FOLDER
    assert task.seen == []
    assert copier.find(task.paths.LOCAL_SUBJECT_FOLDER) == [folder]
    described = copier.read(folder)
    assert described["tasks"][0]["noteTaker"]["collection"] == "raw_task_data_00"
    assert list(described["sync"]) == ["multirig"]
    assert yaml.safe_load(copier.stub(folder, server, "behavior").read_bytes()) == described
    assert copier.copy(folder, server, "behavior") == copier.FINAL
    assert [one.name for one in folder.glob("_ibl*")] == ["_ibl_experiment.description_behavior.yaml"]


def test_a_further_task_is_copied_with_the_first(settings: Any, server: Path) -> None:
    first = Task("SP_01", **settings)
    first.run()
    folder = first.paths.SESSION_FOLDER
    assert copier.copy(folder, server, "behavior") == copier.FINAL
    second = Task("SP_01", append=True, **settings)
    second.run()
    assert folder == second.paths.SESSION_FOLDER
    assert second.seen == []
    assert [one["noteTaker"]["collection"][-2:] for one in copier.read(folder)["tasks"]] == ["00", "01"]
    assert copier.copy(folder, server, "behavior") == copier.FINAL
    assert server.joinpath("Subjects", *folder.parts[-3:], "raw_task_data_01").is_dir()


def test_a_task_goes_on_in_a_session_of_an_older_multirig(settings: Any, server: Path) -> None:
    first = Task("SP_01", **settings)
    first.run()
    folder = first.paths.SESSION_FOLDER
    for one in (*folder.glob("_multirig_transfer*"), folder / "transfer_me.flag"):
        one.unlink()
    whole = copier.read(folder)
    whole["devices"] = {"cameras": {"left": {"collection": VIDEO}}}  # of a rig elsewhere
    (folder / "_ibl_experiment.description_behavior.yaml").unlink()
    (folder / "_ibl_experiment.description.yaml").write_text(yaml.safe_dump(whole))
    Task("SP_01", append=True, **settings).run()
    assert [*copier.collections(copier.read(folder))] == ["raw_task_data_00", "raw_task_data_01"]
    assert description.read(folder)["devices"] == whole["devices"]


@pytest.mark.parametrize(("fails", "writes", "is_kept"), [("run", True, True), ("run", False, False)])
def test_a_task_that_failed_is_copied_if_it_has_written_anything(
    settings: Any, server: Path, fails: str, writes: bool, is_kept: bool
) -> None:
    task = Task("SP_01", **settings)
    task.fails, task.writes = fails, writes
    with pytest.raises(ZeroDivisionError):
        task.run()
    assert copier.find(task.paths.LOCAL_SUBJECT_FOLDER) == ([task.paths.SESSION_FOLDER] if is_kept else [])
    assert copier.stub(task.paths.SESSION_FOLDER, server, "behavior").exists() is is_kept


def test_a_task_without_trials_is_copied_when_it_came_to_its_end(settings: Any, server: Path) -> None:
    task = Task("SP_01", **settings)
    task.writes = False
    task.run()
    assert copier.copy(task.paths.SESSION_FOLDER, server, "behavior") == copier.FINAL


def test_a_server_that_is_away_costs_a_task_nothing(tmp_path: Path, settings: Any) -> None:
    away = tmp_path / "away" / "drive"
    settings["iblrig_settings"]["iblrig_remote_data_path"] = str(away)
    task = Task("SP_01", **settings)
    started = time.perf_counter()
    task.run()
    assert time.perf_counter() - started < 2
    folder = task.paths.SESSION_FOLDER
    assert copier.find(task.paths.LOCAL_SUBJECT_FOLDER) == [folder]
    log = (task.paths.SESSION_RAW_DATA_FOLDER / "_ibl_log.info-acquisition.log").read_text()
    assert f"{away / 'Subjects'} is not there" in log
    away.mkdir(parents=True)
    Task("SP_02", **settings).run()
    limit = time.perf_counter() + 5
    while copier.state(folder, away, "behavior") is None:
        assert time.perf_counter() < limit
        time.sleep(0.01)
    assert copier.copy(folder, away, "behavior") == copier.FINAL


def test_the_next_session_leaves_the_flag_of_a_task_that_was_killed(
    tmp_path: Path, settings: Any, server: Path
) -> None:
    code = """
        import json, os, sys
        from multirig.ibl import BaseSession

        class Task(BaseSession):
            protocol_name = "noteTaker"
            def start_hardware(self): pass
            def _run(self):
                self.paths.DATA_FILE_PATH.write_text("{}")
                print(self.paths.SESSION_FOLDER, flush=True)
                os._exit(3)

        Task("SP_01", **json.loads(sys.argv[1])).run()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), json.dumps(settings)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    folder = Path(done.stdout.strip())
    assert not (folder / "transfer_me.flag").exists()
    Task("SP_02", **settings).run()
    limit = time.perf_counter() + 5
    while not (folder / "transfer_me.flag").exists():
        assert time.perf_counter() < limit
        time.sleep(0.01)


def test_history_finds_what_a_task_was(tmp_path: Path, settings: Any) -> None:
    task = Task("SP_01", projects=["blue"], **settings)
    task.run()
    catalogue = Catalogue(task.paths.LOCAL_SUBJECT_FOLDER, tmp_path / "index.sqlite")
    catalogue.refresh()
    [found] = catalogue.search(text="blue")
    assert found.task == "noteTaker"


def test_task_video_and_ephys_become_one_session_on_the_server(
    rigs: Rigs, settings: Any, server: Path
) -> None:
    keys = {"server": str(server)}
    remote = {
        "cameras": rigs.add("cameras", fake={"collection": VIDEO}, ibl={"device": "video", **keys}),
        "ephys": rigs.add(
            "ephys",
            main_sync=True,
            fake={"collection": "raw_ephys_data"},
            ibl={"device": "ephys", **keys},
            experiment_description={"sync": {"nidq": {"collection": "raw_ephys_data"}}},
        ),
    }
    task = Networked("SP_01", remote_rigs=remote, **settings)
    task.run()
    here = task.paths.SESSION_FOLDER
    there = server.joinpath("Subjects", *here.parts[-3:])
    # all PCs are described here, where no copier looks
    assert set(description.read(here)["devices"]) == {"cameras", "ephys"}
    assert [*copier.collections(copier.read(here))] == ["raw_task_data_00"]
    assert "sync" not in copier.read(here)
    assert copier.read(here)["remote_rigs"] == remote
    rigs.until(lambda: len([*there.glob("_devices/*.status_pending")]) == 3)
    parts = {"behavior": here} | {
        device: rigs.folder.joinpath(name, "mylab", "Subjects", *here.parts[-3:])
        for device, name in (("video", "cameras"), ("ephys", "ephys"))
    }
    states = [copier.copy(folder, server, device) for device, folder in parts.items()]
    assert states == [copier.COMPLETE, copier.COMPLETE, copier.FINAL]
    whole = yaml.safe_load((there / "_ibl_experiment.description.yaml").read_bytes())
    assert set(whole["devices"]) == {"cameras", "ephys"}
    assert list(whole["sync"]) == ["nidq"]
    assert (there / "raw_session.flag").exists()
    assert (there / "_multirig_verdict.json").exists()


def test_a_task_and_cameras_on_one_pc_come_over_whole(rigs: Rigs, settings: Any, server: Path) -> None:
    uri = rigs.add(
        "cameras",
        fake={"collection": VIDEO},
        main_sync=True,
        data_folder=settings["iblrig_settings"]["iblrig_local_data_path"],
        ibl={"device": "video", "server": str(server)},
    )
    task = Networked("SP_01", remote_rigs={"cameras": uri}, **settings)
    task.run()
    here = task.paths.SESSION_FOLDER
    assert copier.find(task.paths.LOCAL_SUBJECT_FOLDER) == [here]
    assert sorted(copier.collections(copier.read(here))) == ["raw_task_data_00", VIDEO]
    assert copier.copy(here, server, "behavior") == copier.FINAL
    assert server.joinpath("Subjects", *here.parts[-3:], VIDEO, "fake.csv").exists()


class OwnWay(Writing, BaseSession):
    """A base session that writes its description itself, as iblrig's own does."""

    def create_session(self) -> None:
        folder = self.paths.SESSION_RAW_DATA_FOLDER
        folder.mkdir(parents=True)
        self.is_created = True
        path = self.paths.SESSION_FOLDER / "_ibl_experiment.description_behavior.yaml"
        path.write_text(yaml.safe_dump(self.experiment_description))


class OwnWayWithRigs(NetworkMixin, OwnWay):
    pass


def test_a_base_session_of_another_kind_leaves_its_verdict_on_the_server(
    rigs: Rigs, settings: Any, server: Path
) -> None:
    ibl = {"device": "video", "server": str(server)}
    uri = rigs.add("cameras", fake={"collection": VIDEO}, main_sync=True, ibl=ibl)
    task = OwnWayWithRigs("SP_01", remote_rigs={"cameras": uri}, **settings)
    task.run()
    there = server.joinpath("Subjects", *task.paths.SESSION_FOLDER.parts[-3:])
    assert json.loads((there / "_multirig_verdict.json").read_bytes())["verdict"] == "GOOD"
    journal = "_multirig_journal.jsonl"
    assert (there / journal).read_bytes() == (task.paths.SESSION_FOLDER / journal).read_bytes()


def test_a_base_session_of_another_kind_describes_its_own_pc_alone(rigs: Rigs, settings: Any) -> None:
    uri = rigs.add("cameras", fake={"collection": VIDEO}, main_sync=True)
    task = OwnWayWithRigs("SP_01", remote_rigs={"cameras": uri}, **settings)
    task.run()
    assert [*copier.collections(copier.read(task.paths.SESSION_FOLDER))] == ["raw_task_data_00"]
    whole = description.read(task.paths.SESSION_FOLDER)
    assert whole == task.experiment_description | {"version": "1.0.0"}
    assert whole["devices"] == {"cameras": {"cameras": {"collection": VIDEO}}}
    assert whole["remote_rigs"] == {"cameras": uri}


def test_what_a_rig_records_is_not_looked_for_on_this_pc(rigs: Rigs, settings: Any, server: Path) -> None:
    uri = rigs.add(
        "cameras",
        fake={"collection": VIDEO},
        main_sync=True,
        experiment_description={"devices": {"cameras": {"left": {"collection": VIDEO}}}},
    )
    hardware = {"device_cameras": {"left": {"SYNC_LABEL": "audio"}}}
    task = Networked("SP_01", remote_rigs={"cameras": uri}, hardware_settings=hardware, **settings)
    task.run()
    assert [*copier.collections(copier.read(task.paths.SESSION_FOLDER))] == ["raw_task_data_00"]
    assert copier.copy(task.paths.SESSION_FOLDER, server, "behavior") == copier.FINAL
    whole = description.read(task.paths.SESSION_FOLDER)
    assert whole["devices"]["cameras"]["left"] == {"collection": VIDEO, "sync_label": "audio"}
