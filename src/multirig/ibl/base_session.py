"""A task's session on the behaviour PC: iblrig's ``BaseSession``, without its hardware.

A task derives from it, names its ``protocol_name`` and writes ``start_hardware`` and ``_run``. Where its data
lie, its settings, its description, its registration and an end in good order come from here.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, MultirigError, why_not
from multirig.folders import next_exp_ref_in
from multirig.ibl import task_logging, task_transfer, task_wishes
from multirig.ibl.bunch import Bunch
from multirig.ibl.session_paths import (
    DATA_NAME,
    SETTINGS_NAME,
    latest_session,
    next_collection,
)
from multirig.ibl.settings import load_hardware_settings, load_iblrig_settings, subjects_folders
from multirig.ibl.task_description import describe_task
from multirig.ibl.task_parameters import read_task_parameters, task_file
from multirig.ibl.task_run import TaskRun, hooks
from multirig.ibl.writing import write_whole
from multirig.protocol.exp_ref import check_subject
from multirig.record.places import note_place
from multirig.version import __version__

IBLRIG_LAYOUT = "8.24.7"
"""The iblrig whose folders and settings file these are: IBL's extractors choose their readers by it."""
NO_SOUND: dict[str, Any] = {"OUTPUT": "unknown"}
"""What ibllib takes where it does not know what plays the sounds; it wants to be told something."""


class ChainingError(MultirigError, RuntimeError):
    """A task cannot go on in a session of which this PC keeps the time."""


class BaseSession(ABC):
    """One run of a task.

    Parameters
    ----------
    subject : str
        Nickname of the animal.
    task_parameter_file : str or pathlib.Path, optional
        The task's parameters; without it ``task_parameters.yaml`` beside the task, if it is there.
    file_hardware_settings, file_iblrig_settings : str or pathlib.Path, optional
        A full path, or a name in the settings folder.
    hardware_settings, iblrig_settings : mapping, optional
        Keys that win over those in the files.
    one : ONE, optional
        A ready instance of ONE.
    interactive : bool
        Whether somebody is there to be asked for weights and counts.
    projects, procedures : sequence of str, optional
        Names as Alyx knows them.
    stub : str or pathlib.Path, optional
        An experiment description to begin with.
    subject_weight_grams : float, optional
        Weight of the animal in grams.
    append : bool
        Go on in the day's latest session, in a further ``raw_task_data_NN``.
    wizard : bool
        Whether a program with windows starts the task; kept for it to look at.
    log_level : str or int
        How much the task says.

    Raises
    ------
    ConfigError
        A file, setting or argument is not as it must be; nothing has been written.
    LocalProtocolError
        The subject cannot name a folder.
    ChainingError
        ``append`` on a PC that is the main sync.
    """

    version: str | None = None
    protocol_name: str | None = None
    """What the task is called in the settings, the description and Alyx."""
    base_parameters_file: Path | None = None
    """Parameters that a family of tasks shares; each class of the hierarchy may name one."""
    is_mock = False
    extractor_tasks: list[str] | None = None
    """Names of the extractors for this task's data."""

    def __init__(  # noqa: PLR0913  iblrig's
        self,
        subject: str | None = None,
        task_parameter_file: str | Path | None = None,
        file_hardware_settings: str | Path | None = None,
        hardware_settings: Mapping[str, Any] | None = None,
        file_iblrig_settings: str | Path | None = None,
        iblrig_settings: Mapping[str, Any] | None = None,
        one: Any = None,
        interactive: bool = True,
        projects: Sequence[str] | None = None,
        procedures: Sequence[str] | None = None,
        stub: str | Path | None = None,
        subject_weight_grams: float | None = None,
        append: bool = False,
        wizard: bool = False,
        log_level: str | int = "INFO",
    ) -> None:
        if self.protocol_name is None:
            raise ConfigError(f"{type(self).__name__} has no protocol_name: write one below its class line")
        self.logger = task_logging.task_logger(log_level)
        check_subject(subject)
        self.interactive = interactive and not append
        self.wizard = wizard
        self.append = append
        self.init_datetime = datetime.datetime.now()
        self.hardware_settings = load_hardware_settings(file_hardware_settings, hardware_settings)
        self.iblrig_settings = load_iblrig_settings(file_iblrig_settings, iblrig_settings)
        self._one = one
        self._check_one()
        self.task_params = self.read_task_parameter_files(task_parameter_file)
        self.session_info = Bunch(
            NTRIALS=0,
            NTRIALS_CORRECT=0,
            PROCEDURES=procedures,
            PROJECTS=projects,
            SESSION_START_TIME=self.init_datetime.isoformat(),
            SESSION_END_TIME=None,
            SESSION_NUMBER=0,
            SUBJECT_NAME=subject,
            SUBJECT_WEIGHT=subject_weight_grams,
            TOTAL_WATER_DELIVERED=0,
        )
        self.is_created = False
        """Whether the session's folder has been made."""
        self.log_file: logging.Handler | None = None
        """Writes the log beside the data, from `create_session` on."""
        self.transfer = task_transfer.TaskTransfer(self)
        """What IBL's pipeline looks for, from `create_session` on."""
        self._execute_mixins_shared_function("init_mixin")
        self.paths = self._init_paths(append=append)
        self.experiment_description = self.make_experiment_description_dict(
            self.protocol_name,
            self.paths.TASK_COLLECTION,
            procedures,
            projects,
            self.hardware_settings,
            stub,
            extractors=self.extractor_tasks,
        )

    # -- what a task writes -----------------------------------------------------------------------------

    @abstractmethod
    def start_hardware(self) -> None:
        """Connect and start all of the task's own hardware; nothing has been written yet."""

    @abstractmethod
    def _run(self) -> None:
        """Do the task: return when it is over or when `stop_requested` is true."""

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        """Return a parser with the task's own options; their values become arguments of the constructor."""
        return argparse.ArgumentParser(add_help=False)

    # -- what a task uses -------------------------------------------------------------------------------

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked for an end in good order: a file ``.stop`` lies in the session's folder."""
        return task_wishes.is_asked_to_stop(self.paths)

    @property
    def pause_requested(self) -> bool:
        """Whether the task shall wait after this trial: a file ``.pause`` lies there, and no ``.stop``."""
        return task_wishes.is_asked_to_pause(self.paths)

    def pause(self) -> float:
        """Wait as long as somebody asks for it, and return for how many seconds that was.

        A task calls it between two trials; it returns at once where nobody asks.
        """
        return task_wishes.wait_while_paused(self.paths, self.logger)

    @property
    def time_elapsed(self) -> datetime.timedelta:
        """Time since the session was made."""
        return datetime.datetime.now() - self.init_datetime

    @property
    def tells_alyx(self) -> bool:
        """Whether there is an Alyx that is told of the session."""
        return self.iblrig_settings["ALYX_URL"] is not None or self._one is not None

    @property
    def one(self) -> Any:
        """An instance of ONE, or None: no ``ALYX_URL`` is set, or that Alyx cannot be reached now."""
        url = self.iblrig_settings["ALYX_URL"]
        if self._one is None and url is not None:
            from multirig.ibl import alyx

            try:
                self._one = alyx.remote_one(url, self.iblrig_settings["ALYX_USER"])
            except MultirigError as error:  # whatever keeps Alyx away must not end a session
                self.logger.error("%s", error)
        return self._one

    @classmethod
    def get_task_file(cls) -> Path | None:
        """Return the file that the task is written in."""
        return task_file(cls)

    @classmethod
    def get_task_directory(cls) -> Path | None:
        """Return the folder that the task is written in."""
        file = task_file(cls)
        return None if file is None else file.parent

    @classmethod
    def read_task_parameter_files(cls, task_parameter_file: str | Path | None = None) -> Bunch:
        """Return the parameters of the task and of the classes that it derives from."""
        return read_task_parameters(cls, task_parameter_file)

    def mock(self) -> None:
        """Say that there is no hardware; a task that can do without looks at ``is_mock``."""
        self.is_mock = True

    # -- a session --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the task from its hardware to its clean-up.

        Whatever ends it, its settings and end time are saved and each mixin is stopped and cleaned up; the
        first error is raised then.

        Notes
        -----
        The order: ``start_hardware``, `create_session`, the weight is asked, ``_run``, end time and settings
        are saved, every ``stop_mixin_*``, the droppings are asked, Alyx is told, every ``cleanup_mixin_*``.
        The hardware never waits for a person or a server.
        """
        TaskRun(self).run()

    def create_session(self) -> None:
        """Write the session's folder, its settings and its description, and tell Alyx.

        Raises
        ------
        ConfigError
            The folder cannot be written, or another task has taken it meanwhile.
        """
        folder = self.paths.SESSION_RAW_DATA_FOLDER
        if not self.is_created:
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                raise ConfigError(f"{folder} was taken by another task meanwhile: start again") from None
            except OSError as error:
                raise ConfigError(
                    f"{folder}: cannot be made ({why_not(error)}): look at iblrig_local_data_path"
                ) from error
            self.is_created = True
            note_place(self.paths.SESSION_FOLDER.parents[2])
            self.log_file = task_logging.begin_file(folder)
        self.logger.info("data go to %s", folder)
        self.save_task_parameters_to_json_file()
        self.transfer.begin()
        self.register_to_alyx()

    def save_task_parameters_to_json_file(self, destination_folder: str | Path | None = None) -> Path:
        """Write ``_iblrig_taskSettings.raw.json`` and return its path.

        Parameters
        ----------
        destination_folder : str or pathlib.Path, optional
            Where to; the task's own folder if it is not said.
        """
        path = Path(destination_folder or self.paths.SESSION_RAW_DATA_FOLDER) / SETTINGS_NAME
        settings = sorted(self._make_task_parameters_dict().items(), key=lambda each: str(each[0]))
        write_whole(path, json.dumps(dict(settings), indent=4, default=str) + "\n")
        return path

    def register_to_alyx(self) -> None:
        """Tell Alyx of the session, where there is one; one that is out of reach is a line in the log."""
        if not self.tells_alyx:
            return
        from multirig.ibl import registration

        try:
            registration.register_session(
                self.paths.SESSION_FOLDER, self._make_task_parameters_dict(), one=self.one
            )
        except MultirigError as error:  # it says all that there is to say
            self.logger.error("%s", error)
        except Exception as error:  # noqa: BLE001  whatever keeps Alyx away must not end a session
            self.logger.error(
                "the session is not registered in Alyx (%s: %s): register it later, its data are safe in %s",
                *(type(error).__name__, error, self.paths.SESSION_FOLDER),
            )

    @staticmethod
    def make_experiment_description_dict(
        task_protocol: str,
        task_collection: str,
        procedures: Sequence[str] | None = None,
        projects: Sequence[str] | None = None,
        hardware_settings: Mapping[str, Any] | None = None,
        stub: str | Path | None = None,
        extractors: Sequence[str] | None = None,
        camera_config: str | None = None,
    ) -> dict[str, Any]:
        """Return a description with the task and its devices; see `task_description.describe_task`."""
        return describe_task(
            *(task_protocol, task_collection, procedures, projects, hardware_settings),
            *(stub, extractors, camera_config),
        )

    # -- inside; mixins extend these --------------------------------------------------------------------

    def _init_paths(self, append: bool = False) -> Bunch:
        """Return where everything goes, and set the session's number; nothing is written.

        Parameters
        ----------
        append : bool
            Go on in the day's latest session.
        """
        local, remote = subjects_folders(self.iblrig_settings)
        date = self.session_info.SESSION_START_TIME[:10]
        subject = self.session_info.SUBJECT_NAME
        if append:
            session = latest_session(local / subject / date)
        else:
            number = next_exp_ref_in(local, subject, datetime.date.fromisoformat(date)).sequence
            session = local / subject / date / f"{number:03d}"
        collection = next_collection(session)
        if append and self.hardware_settings.get("MAIN_SYNC") and not collection.endswith("_00"):
            raise ChainingError(
                f"cannot append to {session}: this PC is the main sync and kept no time between the tasks; "
                "set MAIN_SYNC: false in hardware_settings.yaml if another device records all through"
            )
        self.session_info.SESSION_NUMBER = int(session.name)
        raw = session / collection
        return Bunch(
            LOCAL_SUBJECT_FOLDER=local,
            REMOTE_SUBJECT_FOLDER=remote,
            SESSION_FOLDER=session,
            TASK_COLLECTION=collection,
            SESSION_RAW_DATA_FOLDER=raw,
            DATA_FILE_PATH=raw / DATA_NAME,
            SETTINGS_FILE_PATH=raw / SETTINGS_NAME,
        )

    def _make_task_parameters_dict(self) -> dict[str, Any]:
        """Return what the settings file holds: parameters, hardware, session and lab, later ones winning."""
        own = {"TASK_VERSION": self.version, "IS_MOCK": self.is_mock or None}
        return {
            **self.task_params,
            **self.hardware_settings,
            "device_sound": self.hardware_settings.get("device_sound") or NO_SOUND,
            **{key: value for key, value in own.items() if value is not None},
            **self.session_info,
            "IBLRIG_VERSION": IBLRIG_LAYOUT,
            "MULTIRIG_VERSION": __version__,
            "PYBPOD_PROTOCOL": self.protocol_name,
            "ALYX_USER": self.iblrig_settings["ALYX_USER"],
            "ALYX_LAB": self.iblrig_settings["ALYX_LAB"],
        }

    def _execute_mixins_shared_function(self, pattern: str) -> None:
        """Call every method whose name begins with the pattern, by name; the first that fails raises.

        Parameters
        ----------
        pattern : str
            ``init_mixin``, ``start_mixin``, ``stop_mixin`` or ``cleanup_mixin``.
        """
        for hook in hooks(self, pattern):
            hook()

    def _check_one(self) -> None:
        """Refuse an Alyx that could not be told: at the start, when nothing is lost by it."""
        wanted = self.iblrig_settings["ALYX_URL"] is not None and self._one is None
        if wanted and importlib.util.find_spec("one") is None:
            raise ConfigError(
                'ALYX_URL is set but ONE is not installed: pip install "multirig[ibl]", or remove ALYX_URL'
            )
