"""The mixin over a base session that is not ours: one that does what iblrig's does, in iblrig's order."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import Any

import pytest

from multirig.ibl import NetworkMixin


class Bunch(dict):  # type: ignore[type-arg]
    def __getattr__(self, name: str) -> Any:
        return self[name]


class IblrigSession:
    """As far as a network mixin meets it, iblrig 8's BaseSession."""

    protocol_name = "_iblrig_tasks_test"

    def __init__(self, subject: str, folder: Path, append: bool = False, hardware: Any = None) -> None:
        self.logger = logging.getLogger("iblrig")
        self.folder = folder
        self._one = None
        self.said: list[tuple[str, Any]] = []
        self.hardware_settings = Bunch(hardware or {"MAIN_SYNC": False})
        self.iblrig_settings = Bunch(ALYX_URL=None, ALYX_USER=None)
        self.session_info = Bunch(
            SUBJECT_NAME=subject, SESSION_START_TIME=datetime.datetime.now().isoformat(), SESSION_NUMBER=0
        )
        self._execute_mixins_shared_function("init_mixin")
        self.paths = self._init_paths(append=append)
        self.experiment_description = {"tasks": [{self.protocol_name: {}}]}

    def _init_paths(self, append: bool = False) -> Bunch:
        local = self.folder / "mylab" / "Subjects"
        date_folder = local / self.session_info.SUBJECT_NAME / self.session_info.SESSION_START_TIME[:10]
        taken = [int(one.name) for one in date_folder.glob("*") if one.name.isdigit()]
        self.session_info["SESSION_NUMBER"] = max(taken, default=0) + 1
        session = date_folder / f"{self.session_info.SESSION_NUMBER:03d}"
        raw = session / "raw_task_data_00"
        return Bunch(
            IBLRIG_FOLDER=Path("iblrig"),
            LOCAL_SUBJECT_FOLDER=local,
            REMOTE_SUBJECT_FOLDER=None,
            SESSION_FOLDER=session,
            TASK_COLLECTION="raw_task_data_00",
            SESSION_RAW_DATA_FOLDER=raw,
            DATA_FILE_PATH=raw / "_iblrig_taskData.raw.jsonable",
        )

    def _execute_mixins_shared_function(self, pattern: str) -> None:
        for name in [name for name in dir(self) if name.startswith(pattern)]:
            getattr(self, name)()

    def _make_task_parameters_dict(self) -> dict[str, Any]:
        return dict(self.session_info)

    @staticmethod
    def extra_parser() -> Any:
        import argparse

        return argparse.ArgumentParser(add_help=False)

    @property
    def one(self) -> Any:
        return self._one

    def create_session(self) -> None:
        self.paths.SESSION_RAW_DATA_FOLDER.mkdir(parents=True)

    def run(self) -> None:
        self.start_hardware()
        self.create_session()
        self.ask("weight")
        self._run()
        self.ask("poop count")
        self.settings = self._make_task_parameters_dict()
        self._execute_mixins_shared_function("stop_mixin")
        self._execute_mixins_shared_function("cleanup_mixin")

    def ask(self, what: str) -> None:
        raise NotImplementedError

    def start_hardware(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError


class Task(NetworkMixin, IblrigSession):
    def __init__(self, *args: Any, watch: Any, fails: str = "", **kwargs: Any) -> None:
        self.watch, self.fails = watch, fails
        super().__init__(*args, **kwargs)

    def meet(self, what: str) -> None:
        self.said.append((what, self.watch()))
        if what == self.fails:
            raise ZeroDivisionError(what)

    def ask(self, what: str) -> None:
        self.meet(what)

    def start_hardware(self) -> None:
        self.meet("hardware")

    def _run(self) -> None:
        self.meet("task")


def test_rigs_record_neither_the_dialogs_nor_the_hardware_that_is_not_ready(
    rigs: Any, tmp_path: Path, today: Any
) -> None:
    taken = rigs.folder / "main" / "mylab" / "Subjects" / "SP_01" / today.isoformat() / "004"
    taken.mkdir(parents=True)
    addresses = {"main": rigs.add("main", main_sync=True), "left": rigs.add("left")}
    task = Task("SP_01", tmp_path / "pc", remote_rigs=addresses, watch=rigs.states)
    assert task.paths.SESSION_FOLDER.name == "005"
    assert task.paths.DATA_FILE_PATH.parent.parent == task.paths.SESSION_FOLDER
    assert task.paths.IBLRIG_FOLDER.name == "iblrig"
    task.run()
    assert task.said == [
        ("hardware", {"initialised"}),
        ("weight", {"initialised"}),
        ("task", {"running"}),
        ("poop count", {"stopped"}),
    ]
    assert rigs.states() == {"connected"}
    assert task.settings["REMOTE_RIGS"] == addresses
    assert task.experiment_description["remote_rigs"] == addresses


@pytest.mark.parametrize("where", ["hardware", "weight", "task", "poop count"])
def test_an_error_anywhere_lets_the_rigs_go(rigs: Any, tmp_path: Path, where: str) -> None:
    addresses = {"main": rigs.add("main", main_sync=True)}
    with pytest.raises(ZeroDivisionError, match=where):
        Task("SP_01", tmp_path / "pc", remote_rigs=addresses, watch=rigs.states, fails=where).run()
    assert rigs.states() == {"connected"}


def test_this_pc_may_be_the_main_sync_there_too(rigs: Any, tmp_path: Path) -> None:
    addresses = {"left": rigs.add("left")}
    task = Task(
        "SP_01",
        tmp_path / "pc",
        hardware={"MAIN_SYNC": True},
        remote_rigs=addresses,
        watch=rigs.states,
    )
    assert task.exp_ref["sequence"] == 1
    task.run()
    assert task.paths.SESSION_FOLDER.name == "001"


def test_the_option_is_added_to_its_parser() -> None:
    assert Task.extra_parser().parse_args(["--remote", "a", "b"]).remote_rigs == [["a", "b"]]
