"""A session without rigs: what is written where, in which order, and what remains when something fails."""

from __future__ import annotations

import datetime
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from multirig.errors import ConfigError, LocalProtocolError
from multirig.ibl import EmptySession, SpontaneousSession, questions, task_logging
from multirig.ibl.base_session import BaseSession, ChainingError
from multirig.ibl.bunch import Bunch


class Task(BaseSession):
    """Notes what happens to it, and fails where it is told to."""

    protocol_name = "noteTaker"
    extractor_tasks = ["NoteExtractor"]  # noqa: RUF012  as tasks write it

    def __init__(self, *args: Any, fail: dict[str, BaseException] | None = None, **kwargs: Any) -> None:
        self.fail = fail or {}
        self.notes: list[str] = []
        self.seen: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def note(self, step: str) -> None:
        self.notes.append(step)
        if step in self.fail:
            raise self.fail[step]

    def init_mixin_bpod(self) -> None:
        self.seen["has paths at init"] = hasattr(self, "paths")
        self.seen["subject at init"] = self.session_info.SUBJECT_NAME
        self.note("init bpod")

    def init_mixin_sound(self) -> None:
        self.note("init sound")

    def stop_mixin_bpod(self) -> None:
        self.note("stop bpod")

    def stop_mixin_sound(self) -> None:
        self.note("stop sound")

    def cleanup_mixin_bpod(self) -> None:
        self.note("cleanup bpod")

    def cleanup_mixin_sound(self) -> None:
        self.note("cleanup sound")

    def start_hardware(self) -> None:
        self.seen["was anything written before"] = self.paths.LOCAL_SUBJECT_FOLDER.exists()
        self.note("hardware")

    def create_session(self) -> None:
        self.note("create")
        super().create_session()

    def register_to_alyx(self) -> None:
        self.note("register")
        super().register_to_alyx()

    def _run(self) -> None:
        self.paths.DATA_FILE_PATH.write_text("data\n")
        self.session_info.NTRIALS = 7
        self.note("run")


ENDINGS = ["stop bpod", "stop sound", "register", "cleanup bpod", "cleanup sound"]


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this PC settings of its own."""
    folder = tmp_path / "settings"
    folder.mkdir()
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(folder))
    (folder / "iblrig_settings.yaml").write_text(
        f"iblrig_local_data_path: {tmp_path / 'data'}\nALYX_LAB: lab\n"
    )
    (folder / "hardware_settings.yaml").write_text("RIG_NAME: rig 1\ndevice_cameras: {left: {FPS: 60}}\n")
    return folder


def make(cls: type[Task] = Task, subject: Any = "SP_01", **options: Any) -> Task:
    return cls(subject, **{"interactive": False, **options})


def saved(task: Task) -> dict[str, Any]:
    return json.loads((task.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json").read_text())


def described(task: Task) -> dict[str, Any]:
    path = task.paths.SESSION_FOLDER / "_ibl_experiment.description_behavior.yaml"
    return yaml.safe_load(path.read_text())


# -- where and what ---------------------------------------------------------------------------------------


def test_the_session_lies_where_ibl_expects_it_and_nothing_is_written_before_it_is_made(tmp_path: Path):
    task = make()
    session = (
        tmp_path / "data" / "lab" / "Subjects" / "SP_01" / task.session_info.SESSION_START_TIME[:10] / "001"
    )
    assert tmp_path / "data" / "lab" / "Subjects" == task.paths.LOCAL_SUBJECT_FOLDER
    assert task.paths.REMOTE_SUBJECT_FOLDER is None
    assert session == task.paths.SESSION_FOLDER
    assert task.paths.TASK_COLLECTION == "raw_task_data_00"
    assert session / "raw_task_data_00" == task.paths.SESSION_RAW_DATA_FOLDER
    assert session / "raw_task_data_00" / "_iblrig_taskData.raw.jsonable" == task.paths.DATA_FILE_PATH
    assert not (tmp_path / "data").exists()
    task.create_session()
    assert sorted(each.name for each in task.paths.SESSION_RAW_DATA_FOLDER.iterdir()) == [
        "_ibl_log.info-acquisition.log",
        "_iblrig_taskSettings.raw.json",
    ]
    assert task.log_file is not None
    task_logging.end_file(task.log_file)


def test_what_iblrigs_class_holds_is_here_under_its_names():
    task = make(projects=["p"], procedures=["c"], subject_weight_grams=20.5, wizard=True)
    assert set(task.session_info) == {
        *("NTRIALS", "NTRIALS_CORRECT", "PROCEDURES", "PROJECTS", "SESSION_START_TIME", "SESSION_END_TIME"),
        *("SESSION_NUMBER", "SUBJECT_NAME", "SUBJECT_WEIGHT", "TOTAL_WATER_DELIVERED"),
    }
    assert isinstance(task.session_info, Bunch)
    assert task.session_info.SESSION_NUMBER == 1
    assert task.hardware_settings.RIG_NAME == "rig 1"
    assert task.iblrig_settings["ALYX_LAB"] == "lab"
    assert (task.wizard, task.interactive, task.is_mock, task.one) == (True, False, False, None)
    assert task.time_elapsed < datetime.timedelta(minutes=1)
    assert task.get_task_file() == Path(__file__).resolve()
    task.mock()
    assert task.is_mock


def test_a_whole_run_is_in_order_and_leaves_settings_description_data_and_log():
    before = logging.getLogger("multirig").handlers[:]
    task = make(projects=["p"], procedures=["c"])
    task.run()
    assert task.notes == ["init bpod", "init sound", "hardware", "create", "register", "run", *ENDINGS]
    assert task.seen == {
        "has paths at init": False,
        "subject at init": "SP_01",
        "was anything written before": False,
    }
    settings = saved(task)
    assert settings["NTRIALS"] == 7
    assert settings["SESSION_START_TIME"] < settings["SESSION_END_TIME"]
    assert settings["PYBPOD_PROTOCOL"] == "noteTaker"
    assert settings["RIG_NAME"] == "rig 1"
    assert settings["SUBJECT_NAME"] == "SP_01"
    assert described(task) == {
        "version": "1.0.0",
        "devices": {"cameras": {"left": {"collection": "raw_video_data", "sync_label": "audio"}}},
        "procedures": ["c"],
        "projects": ["p"],
        "tasks": [
            {
                "noteTaker": {
                    "collection": "raw_task_data_00",
                    "sync_label": "multirig",
                    "extractors": ["NoteExtractor"],
                }
            }
        ],
    }
    log = (task.paths.SESSION_RAW_DATA_FOLDER / "_ibl_log.info-acquisition.log").read_text()
    assert str(task.paths.SESSION_RAW_DATA_FOLDER) in log
    added = [each for each in logging.getLogger("multirig").handlers if each not in before]
    assert not any(isinstance(each, logging.FileHandler) for each in added)


def test_a_further_session_of_the_day_gets_the_number_after_the_highest():
    day = make().paths.SESSION_FOLDER.parent
    (day / "007").mkdir(parents=True)
    task = make()
    assert task.paths.SESSION_FOLDER.name == "008"
    assert task.session_info.SESSION_NUMBER == 8


def test_a_session_whose_folder_another_task_has_taken_meanwhile_is_refused_and_touches_nothing():
    first, second = make(), make()
    first.run()
    with pytest.raises(ConfigError, match="taken by another task"):
        second.run()
    assert first.paths.DATA_FILE_PATH.read_text() == "data\n"
    assert second.notes[-4:] == ["stop bpod", "stop sound", "cleanup bpod", "cleanup sound"]
    assert "run" not in second.notes


def test_the_parameters_of_the_hierarchy_are_in_the_settings(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("REWARD_AMOUNT: 1.5\nDELAY: 1\n")
    (tmp_path / "mine.yaml").write_text("DELAY: 2\n")

    class Special(Task):
        base_parameters_file = tmp_path / "base.yaml"

    task = make(Special, task_parameter_file=tmp_path / "mine.yaml")
    assert (task.task_params.REWARD_AMOUNT, task.task_params["DELAY"]) == (1.5, 2)
    task.run()
    assert saved(task)["DELAY"] == 2


def test_the_settings_hold_what_ibllib_asks_of_a_rig_of_version_8():
    task = make()
    task.run()
    settings = saved(task)
    # by these, ibllib 2.40 and 4.1 know user, place, session and day of a rig that says it is of version 8
    asked = {
        "RIG_NAME",
        "ALYX_USER",
        "SESSION_NUMBER",
        "SESSION_START_TIME",
        "SUBJECT_NAME",
        "PYBPOD_PROTOCOL",
    }
    assert settings["IBLRIG_VERSION"].startswith("8.")
    assert asked <= settings.keys()
    assert settings["device_sound"] == {"OUTPUT": "unknown"}
    assert not {"TASK_VERSION", "IS_MOCK"} & settings.keys()


@pytest.mark.parametrize("sound", [{"OUTPUT": "hifi", "COM_SOUND": "COM3"}, None])
def test_the_sound_device_of_the_hardware_settings_is_the_one_that_is_saved(sound: Any):
    task = make(hardware_settings={"device_sound": sound})
    task.run()
    assert saved(task)["device_sound"] == (sound or {"OUTPUT": "unknown"})


def test_the_tasks_own_version_and_that_it_is_mock_are_saved():
    class Versioned(Task):
        version = "2.1"

    task = make(Versioned)
    task.mock()
    task.run()
    assert (saved(task)["TASK_VERSION"], saved(task)["IS_MOCK"]) == ("2.1", True)


def test_what_json_does_not_know_is_saved_as_its_text(tmp_path: Path):
    task = make()
    task.task_params.SINCE = datetime.date(2024, 5, 6)
    task.task_params.WHERE = tmp_path
    path = task.save_task_parameters_to_json_file(tmp_path / "elsewhere")
    assert json.loads(path.read_text())["SINCE"] == "2024-05-06"
    assert json.loads(path.read_text())["WHERE"] == str(tmp_path)


# -- chained tasks ----------------------------------------------------------------------------------------


def test_append_goes_on_in_the_latest_session_and_the_description_holds_both_tasks():
    class Second(Task):
        protocol_name = "second"

    make().run()
    task = make(Second, append=True, interactive=True, projects=["q"])
    assert task.interactive is False
    assert task.session_info.SESSION_NUMBER == 1
    assert task.paths.TASK_COLLECTION == "raw_task_data_01"
    task.run()
    assert [next(iter(each)) for each in described(task)["tasks"]] == ["noteTaker", "second"]
    assert described(task)["projects"] == ["q"]
    assert task.paths.SESSION_FOLDER.joinpath("raw_task_data_00", "_iblrig_taskSettings.raw.json").exists()


def test_append_without_a_session_says_what_to_do(tmp_path: Path):
    with pytest.raises(ConfigError, match="no session to append to"):
        make(append=True)
    assert not (tmp_path / "data").exists()


def test_append_where_this_pc_is_the_main_sync_is_refused():
    main_sync = {"MAIN_SYNC": True}
    make(hardware_settings=main_sync).run()
    with pytest.raises(ChainingError, match="MAIN_SYNC: false") as caught:
        make(append=True, hardware_settings=main_sync)
    assert isinstance(caught.value, RuntimeError)


def test_a_microphone_may_record_in_both_chained_tasks():
    microphone = {"device_microphone": {"BONSAI_WORKFLOW": "x"}}
    make(hardware_settings=microphone).run()
    task = make(append=True, hardware_settings=microphone)
    task.run()
    assert described(task)["devices"]["microphone"]["microphone"]["collection"] == "raw_task_data_01"


# -- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"subject": None}, LocalProtocolError, "subject is missing"),
        ({"subject": "../x"}, LocalProtocolError, "letters, digits"),
        ({"file_hardware_settings": "never.yaml"}, ConfigError, "never.yaml"),
        ({"task_parameter_file": "never.yaml"}, ConfigError, "never.yaml"),
        ({"stub": "never.yaml"}, ConfigError, "never.yaml"),
        ({"hardware_settings": {"MAIN_SYNC": "x"}}, ConfigError, "MAIN_SYNC"),
        ({"iblrig_settings": {"ALYX_LAB": "a/b"}}, ConfigError, "a/b"),
        ({"log_level": "LOUD"}, ConfigError, "LOUD"),
        ({"projects": "p"}, ConfigError, "projects"),
    ],
)
def test_wrong_arguments_are_refused_at_once_with_one_line(tmp_path: Path, options, error, words):
    with pytest.raises(error) as caught:
        make(**options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert not (tmp_path / "data").exists()


def test_a_task_without_a_name_is_refused():
    class Nameless(Task):
        protocol_name = None  # type: ignore[assignment]

    with pytest.raises(ConfigError, match="Nameless has no protocol_name"):
        make(Nameless)


def test_a_task_without_start_hardware_cannot_be_made():
    class Half(BaseSession):
        protocol_name = "half"

        def _run(self) -> None:
            pass

    with pytest.raises(TypeError, match="start_hardware"):
        Half("SP_01")  # type: ignore[abstract]


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_a_data_folder_without_rights_is_one_line(tmp_path: Path):
    (tmp_path / "data").mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="cannot be made"):
        make().run()


def test_a_data_folder_that_is_a_file_is_one_line(tmp_path: Path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(ConfigError, match="data"):
        make().run()


# -- whatever happens -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), KeyboardInterrupt(), SystemExit(143)]
)
def test_whatever_ends_the_task_the_data_are_safe_the_hardware_stops_and_the_error_goes_on(error):
    task = make(fail={"run": error})
    with pytest.raises(type(error)) as caught:
        task.run()
    assert caught.value is error
    endings = ENDINGS if isinstance(error, Exception) else [each for each in ENDINGS if each != "register"]
    assert task.notes[-len(endings) - 1 :] == ["run", *endings]
    assert saved(task)["SESSION_END_TIME"] is not None
    assert saved(task)["NTRIALS"] == 7
    log = (task.paths.SESSION_RAW_DATA_FOLDER / "_ibl_log.info-acquisition.log").read_text()
    assert type(error).__name__ in log


def test_hardware_that_cannot_start_is_stopped_and_no_session_is_written(tmp_path: Path):
    task = make(fail={"hardware": OSError("COM3 is not there")})
    with pytest.raises(OSError, match="COM3"):
        task.run()
    assert task.notes == [
        "init bpod",
        "init sound",
        "hardware",
        *(each for each in ENDINGS if each != "register"),
    ]
    assert not (tmp_path / "data").exists()


def test_a_mixin_that_cannot_stop_does_not_keep_the_others_from_it_and_is_raised():
    task = make(fail={"stop bpod": OSError("no answer"), "cleanup bpod": ValueError("later")})
    with pytest.raises(OSError, match="no answer"):
        task.run()
    assert task.notes[-5:] == ENDINGS


def test_the_first_error_is_the_one_raised_and_the_others_are_shown(capsys: pytest.CaptureFixture[str]):
    task = make(fail={"run": ZeroDivisionError("one"), "stop sound": OSError("two")})
    with pytest.raises(ZeroDivisionError, match="one"):
        task.run()
    shown = capsys.readouterr().err
    assert "OSError: two" in shown
    assert "ZeroDivisionError" not in shown


def test_an_init_hook_that_fails_raises_from_the_constructor(tmp_path: Path):
    with pytest.raises(OSError, match="no Bpod"):
        make(fail={"init bpod": OSError("no Bpod")})
    assert not (tmp_path / "data").exists()


# -- a wish to stop, questions, Alyx ----------------------------------------------------------------------


class Stoppable(Task):
    def _run(self) -> None:
        self.seen["at the start"] = self.stop_requested
        (self.paths.SESSION_FOLDER / ".stop").touch()
        self.seen["then"] = self.stop_requested


def test_a_stop_file_asks_for_an_end_and_one_from_before_is_none_of_ours():
    make().run()
    task = make(Stoppable, append=True)
    (task.paths.SESSION_FOLDER / ".stop").touch()
    task.run()
    assert task.seen["at the start"] is False
    assert task.seen["then"] is True


class Pausing(Task):
    """Is paused before its first trial, by somebody else."""

    ends_by = "go on"

    def _run(self) -> None:
        flag = self.paths.SESSION_FOLDER / ".pause"
        self.seen["at the start"] = self.pause_requested
        self.seen["not paused"] = self.pause()
        flag.touch()
        self.seen["then"] = self.pause_requested
        if self.ends_by == "go on":
            later = threading.Timer(0.4, flag.unlink)
        else:
            later = threading.Timer(0.4, (self.paths.SESSION_FOLDER / ".stop").touch)
        later.start()
        self.seen["paused"] = self.pause()
        later.join()
        self.seen["at the end"] = (self.pause_requested, self.stop_requested)


@pytest.mark.parametrize("ends_by", ["go on", "stop"])
def test_a_pause_file_holds_the_task_up_until_it_is_gone_or_the_task_shall_stop(
    ends_by: str, capsys: pytest.CaptureFixture[str]
):
    class Ending(Pausing):
        pass

    Ending.ends_by = ends_by
    make().run()
    task = make(Ending, append=True)
    (task.paths.SESSION_FOLDER / ".pause").touch()  # from before
    task.run()
    assert task.seen["at the start"] is False
    assert task.seen["not paused"] == 0.0
    assert task.seen["then"] is True
    assert 0.35 < task.seen["paused"] < 3
    assert task.seen["at the end"] == (False, ends_by == "stop")
    said = capsys.readouterr().err
    assert f"paused: remove {task.paths.SESSION_FOLDER / '.pause'} to go on" in said
    assert ("the task goes on" in said) is (ends_by == "go on")


# -- tasks without trials ---------------------------------------------------------------------------------


class Spontaneous(SpontaneousSession):
    protocol_name = "spontaneous"


def test_a_spontaneous_session_lasts_as_long_as_it_is_told():
    task = Spontaneous(0.3, subject="SP_01", interactive=False)
    began = time.monotonic()
    task.run()
    assert 0.3 <= time.monotonic() - began < 5
    assert (task.duration_secs, Spontaneous(subject="SP_01").duration_secs) == (0.3, None)
    assert (task.paths.SESSION_FOLDER / "_ibl_experiment.description_behavior.yaml").is_file()


def test_a_spontaneous_session_without_a_duration_lasts_until_it_is_stopped():
    task = Spontaneous(subject="SP_01", interactive=False)
    stop = task.paths.SESSION_FOLDER / ".stop"
    later = threading.Timer(0.4, stop.touch)
    later.start()
    task.run()
    later.join()
    assert stop.exists() is False


def test_an_empty_session_says_where_the_next_one_goes_and_writes_nothing(tmp_path: Path):
    make().run()
    assert EmptySession(subject="SP_01", interactive=False).paths.SESSION_FOLDER.name == "002"
    appended = EmptySession(subject="SP_01", append=True, interactive=False)
    assert appended.paths.TASK_COLLECTION == "raw_task_data_01"
    assert len(list(tmp_path.rglob("raw_task_data_*"))) == 1
    assert EmptySession.protocol_name == "empty"


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[str]:
    """Type lines; return what was asked."""
    asked: list[str] = []
    left = iter(lines)

    def ask(prompt: str) -> str:
        asked.append(prompt)
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    monkeypatch.setattr("builtins.input", ask)
    return asked


def test_an_operator_is_asked_for_the_weight_before_and_the_droppings_after_the_hardware_has_stopped(
    monkeypatch,
):
    asked = answer(monkeypatch, "heavy", "-3", "21.5", "", "x")
    task = make(interactive=True)
    task.run()
    assert ["weight" in each for each in asked] == [True, True, True, False]
    assert saved(task)["SUBJECT_WEIGHT"] == 21.5
    assert saved(task)["POOP_COUNT"] is None


def test_a_given_weight_is_not_asked_for(monkeypatch):
    asked = answer(monkeypatch, "3")
    task = make(interactive=True, subject_weight_grams=20)
    task.run()
    assert len(asked) == 1
    assert saved(task)["POOP_COUNT"] == 3


def test_without_a_keyboard_the_session_goes_on_and_says_so(monkeypatch, capsys):
    answer(monkeypatch)
    task = make(interactive=True)
    task.run()
    assert saved(task)["SUBJECT_WEIGHT"] is None
    assert "nobody gave the weight" in capsys.readouterr().err


def test_nothing_is_asked_after_an_error(monkeypatch):
    asked = answer(monkeypatch)
    with pytest.raises(ZeroDivisionError):
        make(interactive=True, subject_weight_grams=20, fail={"run": ZeroDivisionError()}).run()
    assert asked == []


@pytest.mark.parametrize(("line", "options", "number"), [("inf", {}, None), ("2.5", {"whole": True}, None)])
def test_what_is_no_number_is_asked_again(monkeypatch, line, options, number):
    answer(monkeypatch, line)
    assert questions.ask_number("how many", **options) is number


def test_alyx_without_one_is_refused_at_the_start_and_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "multirig\[ibl\]"'):
        make(iblrig_settings={"ALYX_URL": "http://127.0.0.1:9"})


@pytest.mark.filterwarnings("ignore:No password")  # ONE's own words, before it finds nobody at the address
def test_an_alyx_out_of_reach_is_a_line_on_the_screen_and_the_session_goes_on(
    monkeypatch, capsys, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    task = make(iblrig_settings={"ALYX_URL": "http://127.0.0.1:9", "ALYX_USER": "anna"})
    task.run()
    shown = capsys.readouterr().err
    assert "http://127.0.0.1:9 as anna" in shown
    assert "log in once" in shown
    assert saved(task)["SESSION_END_TIME"] is not None


class NoAlyx:
    """An instance of ONE whose Alyx fails in every way."""

    offline = False

    @property
    def alyx(self) -> Any:
        raise OSError("the network is down")


def test_an_alyx_that_fails_is_a_line_that_says_where_the_data_are(capsys):
    task = make(one=NoAlyx())
    task.run()
    shown = capsys.readouterr().err
    assert "not registered in Alyx" in shown
    assert str(task.paths.SESSION_FOLDER) in shown
    assert task.notes[-1] == "cleanup sound"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_of_a_session_that_was_interrupted_alyx_is_not_told_and_that_is_said(capsys, error: BaseException):
    class Offline:
        offline = True

    task = make(one=Offline(), fail={"run": error})
    with pytest.raises(type(error)):
        task.run()
    assert task.notes.count("register") == 1  # as it began
    assert "Alyx is not told of the end of this session, nor of its water" in capsys.readouterr().err
    task = make(fail={"run": error})
    with pytest.raises(type(error)):
        task.run()
    assert "Alyx" not in capsys.readouterr().err


def test_a_given_one_is_the_one():
    one = object()
    assert make(one=one).one is one


# -- on top of other classes ------------------------------------------------------------------------------


def test_a_cooperative_mixin_extends_every_step():
    base: Any = object

    class Mixin(base):  # type: ignore[misc]  # what it extends is known by its children only
        def __init__(self, *_: Any, remote_rigs: Any = None, **kwargs: Any) -> None:
            self.remote_rigs = remote_rigs
            super().__init__(*_, **kwargs)

        def _init_paths(self, append: bool = False) -> Bunch:
            paths = super()._init_paths(append)
            return Bunch({**paths, "EXTRA": 1})

        def _make_task_parameters_dict(self) -> dict[str, Any]:
            return super()._make_task_parameters_dict() | {"REMOTE_RIGS": self.remote_rigs}

        _run: Any

        def run(self) -> None:
            inner = self._run

            def wrapped() -> None:
                self.note("before")
                inner()
                self.note("after")

            self._run = wrapped
            super().run()

    class Networked(Mixin, Task):
        pass

    task = make(Networked, remote_rigs={"cam": "udp://127.0.0.1:1"})
    assert task.paths.EXTRA == 1
    task.run()
    assert task.notes[5:8] == ["before", "run", "after"]
    assert saved(task)["REMOTE_RIGS"] == {"cam": "udp://127.0.0.1:1"}
