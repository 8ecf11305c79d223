"""What a network mixin meets of iblrig 8.24: base session, settings, its own network, its choice world.

Written from what iblrig does, for what once kept rigs from being led: a reference that cannot be set,
settings that are pydantic models and drop what they do not know, addresses that are objects, a network of its
own among the bases, and a parser that has ``--remote`` already.
"""

from __future__ import annotations

import argparse
import datetime
import inspect
import json
import logging
import types
from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import AnyUrl, BaseModel

net = types.SimpleNamespace(Auxiliaries=None, get_remote_devices=lambda iblrig_settings=None: {})
"""Where a lab puts our ``Auxiliaries`` into the place of iblrig's."""


class Bunch(dict):  # type: ignore[type-arg]
    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Model(BaseModel, MutableMapping):  # type: ignore[type-arg]
    """A mapping of exactly the keys that it declares; another key is an AttributeError."""

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __delitem__(self, key: str) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(type(self).model_fields)

    def __len__(self) -> int:
        return len(type(self).model_fields)


class RigSettings(Model, validate_assignment=True):
    iblrig_local_data_path: Path | None = None
    iblrig_local_subjects_path: Path | None = None
    iblrig_remote_data_path: Path | bool | None = None
    iblrig_remote_subjects_path: Path | None = None
    ALYX_USER: str | None = None
    ALYX_URL: AnyUrl | None = None
    ALYX_LAB: str | None = None


class HardwareSettings(Model):
    RIG_NAME: str = "a rig"
    MAIN_SYNC: bool = False


class BaseSession(ABC):
    logger = None
    protocol_name = "_iblrig_tasks_test"
    default_settings_file: Path | None = None
    """The file that is read where none is named, as an installation's ``settings/iblrig_settings.yaml``."""

    def __init__(
        self,
        subject: str | None = None,
        hardware_settings: Any = None,
        file_iblrig_settings: Any = None,
        iblrig_settings: Any = None,
        one: Any = None,
        append: bool = False,
        **kwargs: Any,
    ) -> None:
        self._logger = logging.getLogger("iblrig")
        self._one = one
        self.hardware_settings = HardwareSettings.model_validate(hardware_settings or {})
        file = file_iblrig_settings or self.default_settings_file
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8")) if file else {}
        self.iblrig_settings = RigSettings.model_validate(content)
        if iblrig_settings is not None:
            self.iblrig_settings.update(iblrig_settings)
        self.session_info = Bunch(
            SUBJECT_NAME=subject, SESSION_START_TIME=datetime.datetime.now().isoformat(), SESSION_NUMBER=0
        )
        self._execute_mixins_shared_function("init_mixin")
        self.paths = self._init_paths(append=append)
        cameras = {"body": {"collection": "raw_video_data", "sync_label": "audio"}}
        self.experiment_description: dict[str, Any] = {
            "devices": {"cameras": cameras},
            "tasks": [{self.protocol_name: {"collection": self.paths.TASK_COLLECTION}}],
        }

    @property
    def exp_ref(self) -> str:
        return "{SESSION_START_TIME:.10}_{SESSION_NUMBER}_{SUBJECT_NAME}".format(**self.session_info)

    @property
    def one(self) -> Any:
        return self._one

    def _folders(self) -> Bunch:
        local = self.iblrig_settings["iblrig_local_data_path"] / self.iblrig_settings["ALYX_LAB"] / "Subjects"
        return Bunch(IBLRIG_FOLDER=Path("iblrig"), LOCAL_SUBJECT_FOLDER=local, REMOTE_SUBJECT_FOLDER=None)

    def _day(self, paths: Bunch) -> Path:
        info = self.session_info
        day: Path = paths.LOCAL_SUBJECT_FOLDER / info.SUBJECT_NAME / info.SESSION_START_TIME[:10]
        return day

    def _in(self, paths: Bunch, session: Path) -> Bunch:
        number = len(list(session.glob("raw_task_data_??")))
        paths.SESSION_FOLDER, paths.TASK_COLLECTION = session, f"raw_task_data_{number:02d}"
        paths.SESSION_RAW_DATA_FOLDER = session / paths.TASK_COLLECTION
        paths.DATA_FILE_PATH = paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskData.raw.jsonable"
        self.session_info.SESSION_NUMBER = int(session.name)
        return paths

    def _init_paths(self, append: bool = False) -> Bunch:
        paths = self._folders()
        there = sorted(one.name for one in self._day(paths).glob("???") if one.name.isdigit())
        number = int(there[-1]) if there else 0
        return self._in(paths, self._day(paths) / f"{number if append else number + 1:03d}")

    def _execute_mixins_shared_function(self, pattern: str) -> None:
        for name in [name for name in dir(self) if name.startswith(pattern)]:
            if inspect.ismethod(method := getattr(self, name)) or inspect.isfunction(method):
                method()

    def _make_task_parameters_dict(self) -> dict[str, Any]:
        return {**self.hardware_settings.model_dump(), **self.session_info}

    def save_task_parameters_to_json_file(self) -> None:
        path = self.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._make_task_parameters_dict(), default=str), encoding="utf-8")

    def create_session(self) -> None:
        self.save_task_parameters_to_json_file()
        path = self.paths.SESSION_FOLDER / "_ibl_experiment.description_behavior.yaml"
        path.write_text(yaml.safe_dump(self.experiment_description), encoding="utf-8")

    def run(self) -> None:
        self.start_hardware()
        self.create_session()
        self.ask("weight")
        self._run()
        self.ask("poop count")
        self.save_task_parameters_to_json_file()
        self._execute_mixins_shared_function("stop_mixin")
        self._execute_mixins_shared_function("cleanup_mixin")

    def ask(self, what: str) -> None:  # noqa: B027  most tasks here ask nobody
        """A window, in which somebody types a figure."""

    @abstractmethod
    def start_hardware(self) -> None: ...

    @abstractmethod
    def _run(self) -> None: ...

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        return argparse.ArgumentParser(add_help=False)


class NetworkSession(BaseSession):
    """iblrig's own network, which connects in its constructor, whether there are rigs or not."""

    remote_rigs: Any = None
    exp_ref: Any = None

    def __init__(self, *_: Any, remote_rigs: Any = None, **kwargs: Any) -> None:
        self.connect(remote_rigs)
        self.exp_ref = {}
        try:
            super().__init__(**kwargs)
        except Exception:
            self.cleanup_mixin_network()
            raise

    def connect(self, remote_rigs: Any) -> None:
        self.remote_rigs = net.Auxiliaries(remote_rigs or {})

    def _init_paths(self, append: bool = False) -> Bunch:
        if self.hardware_settings.MAIN_SYNC or not self.remote_rigs.is_connected:
            return BaseSession._init_paths(self, append)
        assert self.exp_ref, "no number has been agreed on"
        paths = self._folders()
        paths = self._in(paths, self._day(paths) / f"{self.exp_ref['sequence']:03d}")
        if append is paths.TASK_COLLECTION.endswith("00"):
            raise ValueError("append is wrong")
        return paths

    def run(self) -> None:
        self.start_mixin_network()
        try:
            super().run()
        except Exception as error:
            if self.remote_rigs.is_connected:
                details = {"error": type(error).__name__, "message": str(error), "line_no": (1, 2)}
                self.remote_rigs.push("EXPINTERRUPT", details, wait=True)
                self.cleanup_mixin_network()
            raise

    def communicate(self, message: Any, *args: Any, raise_on_exception: bool = True) -> Any:
        response = self.remote_rigs.push(message, *args, wait=True)
        if isinstance(response, Exception) and raise_on_exception:
            self.cleanup_mixin_network()
            raise response
        return response

    def init_mixin_network(self) -> None:
        if not self.remote_rigs.is_connected:
            return
        if self.hardware_settings.get("MAIN_SYNC", False):
            raise NotImplementedError
        info = {"exp_ref": None, "main_sync": False, "subject": self.session_info["SUBJECT_NAME"]}
        answers = self.communicate("EXPINFO", "CONNECTED", info)
        [(_, info)] = [one for one in answers.values() if one[-1]["main_sync"]]
        date, number, subject = info["exp_ref"].split("_", 2)
        self.exp_ref = {
            "date": datetime.date.fromisoformat(date),
            "sequence": int(number),
            "subject": subject,
        }
        if subject != self.session_info["SUBJECT_NAME"]:
            raise ValueError("another subject")
        self.communicate("EXPINIT", {"exp_ref": info["exp_ref"]})

    def start_mixin_network(self) -> None:
        if self.remote_rigs.is_connected:
            self.communicate("EXPSTART", self.exp_ref)

    def stop_mixin_network(self) -> None:
        if self.remote_rigs.is_connected:
            self.communicate("EXPEND")

    def cleanup_mixin_network(self) -> None:
        self.remote_rigs.close()


class ChoiceWorldSession(NetworkSession):
    """A task with an option of its own, and a constructor that hands on what it does not know."""

    def __init__(self, *args: Any, delay_secs: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delay_secs = delay_secs

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        parser = super(ChoiceWorldSession, ChoiceWorldSession).extra_parser()
        parser.add_argument("--delay_secs", type=float, default=0.0)
        parser.add_argument("--remote", dest="remote_rigs", type=str, action="append", nargs="+")
        return parser
