"""``multirig run TASK``: tasks in files and modules, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.programs import Program

LIMIT = 30
"""Seconds that a process may take on a busy machine."""

TASK = '''
import argparse
import time

from multirig.ibl.base_session import BaseSession


class Session(BaseSession):
    """Does what its option says."""

    protocol_name = "obedient"

    def __init__(self, *args, action="nothing", **kwargs):
        self.action = action
        if action == "refuse":
            raise ValueError("no such rat")
        super().__init__(*args, **kwargs)

    @staticmethod
    def extra_parser():
        parser = BaseSession.extra_parser()
        parser.add_argument("--action", default="nothing")
        return parser

    def start_hardware(self):
        if self.action == "break":
            raise OSError("COM3 is not there")

    def _run(self):
        print("running", flush=True)
        if self.action == "fail":
            1 / 0
        if self.action.startswith("exit"):
            raise SystemExit(int(self.action[4:]))
        while self.action == "wait":
            time.sleep(0.02)

    def stop_mixin_valve(self):
        print("valve closed", flush=True)
'''


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "obedient.py"
    path.write_text(TASK)
    return path


@pytest.fixture
def run(multirig, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a task to its end, with its data in the test's folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        ours = ("--subject", "SP_01", "--no-interactive", "--data", tmp_path / "data")
        return multirig("run", arguments[0], *ours, *arguments[1:], MULTIRIG_SETTINGS=str(tmp_path))

    return run


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a task beside the test, and end it when the test ends."""
    processes: list[subprocess.Popen[str]] = []
    watchdogs: list[threading.Timer] = []

    def start(task: object, *arguments: object) -> subprocess.Popen[str]:
        ours = ("--subject", "SP_01", "--no-interactive", "--data", tmp_path / "data")
        command = [sys.executable, "-m", "multirig", "run", *map(str, (task, *ours, *arguments))]
        pipe = subprocess.PIPE
        environment = {
            **os.environ,
            "MULTIRIG_SETTINGS": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PYTHONUNBUFFERED": "1",
        }
        processes.append(
            Program(command, cwd=tmp_path, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        )
        watchdogs.append(threading.Timer(LIMIT, processes[-1].kill))
        watchdogs[-1].start()
        return processes[-1]

    yield start
    for watchdog in watchdogs:
        watchdog.cancel()
    for one in processes:
        if one.poll() is None:
            one.kill()
        for stream in (one.stdin, one.stdout, one.stderr):
            if stream is not None:
                stream.close()
        one.wait(LIMIT)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what the process prints until the words have come; one that hangs is killed meanwhile."""
    text = ""
    while process.stdout is not None and (character := process.stdout.read(1)):
        text += character
        if words in text:
            return text
    raise AssertionError(f"no {words!r} in {text!r}")


def settings_of(folder: Path, lab: str = "mylab") -> dict[str, Any]:
    (path,) = folder.glob(f"data/{lab}/Subjects/SP_01/*/001/raw_task_data_00/_iblrig_taskSettings.raw.json")
    return json.loads(path.read_text())


# -- a task of one's own ----------------------------------------------------------------------------------


def test_a_task_runs_from_its_file_and_says_where_its_data_are(run, task: Path, tmp_path: Path):
    done = run(task, "--lab", "cortexlab", "--user", "anna", "-p", "one", "two")
    assert done.returncode == 0, done.stderr
    assert "running" in done.stdout
    assert "data are in" in done.stderr
    settings = settings_of(tmp_path, "cortexlab")
    assert settings["ALYX_LAB"] == "cortexlab"
    assert settings["ALYX_USER"] == "anna"
    assert settings["PROJECTS"] == ["one", "two"]
    assert settings["SESSION_END_TIME"] is not None


@pytest.mark.parametrize("name", ["obedient", "obedient:Session", "obedient.py:Session", "./obedient.py"])
def test_a_task_is_named_by_module_or_file_with_or_without_its_class(run, task: Path, name: str):
    done = run(name)
    assert done.returncode == 0, done.stderr


def test_help_shows_the_tasks_own_options_and_multirigs(multirig, task: Path):
    done = multirig("run", task, "--help")
    assert done.returncode == 0
    for words in ("--action", "--subject", "--append", "--data", "--rigs-file", "Does what its option says."):
        assert words in done.stdout


def test_the_plain_run_still_names_its_own_options_and_tells_of_tasks(multirig):
    done = multirig("run", "--help")
    assert done.returncode == 0
    for words in ("[TASK]", "--seconds", "--main-sync"):
        assert words in done.stdout


def test_an_option_of_the_tasks_own_wins_over_multirigs(run, multirig, task: Path, tmp_path: Path):
    task.write_text(
        TASK.replace("--action", "--data").replace("action=", "data=").replace("= action", "= data")
    )
    text = task.read_text().replace("if action ==", "if data ==")
    task.write_text(text)
    done = multirig("run", task, "-s", "SP_01", "--no-interactive", "--data", "fail", HOME=str(tmp_path))
    assert "ZeroDivisionError" in done.stderr


def test_a_task_that_fails_is_one_line_with_its_place_and_its_stack_is_in_the_log(
    run, task: Path, tmp_path: Path
):
    done = run(task, "--action", "fail")
    assert done.returncode == 1
    line = next(number for number, text in enumerate(TASK.splitlines(), 1) if "1 / 0" in text)
    (error,) = [each for each in done.stderr.splitlines() if "task failed" in each]
    assert (
        f"task failed: ZeroDivisionError: division by zero (obedient.py, line {line}); data are in" in error
    )
    assert "valve closed" in done.stdout
    assert settings_of(tmp_path)["SESSION_END_TIME"] is not None
    assert "Traceback" in (tmp_path / "state" / "multirig" / "log" / "task.log").read_text()
    (log,) = tmp_path.glob("data/mylab/Subjects/SP_01/*/001/raw_task_data_00/*.log")
    assert "1 / 0" in log.read_text()


@pytest.mark.parametrize(
    ("action", "words"), [("break", "OSError: COM3 is not there"), ("refuse", "ValueError: no such rat")]
)
def test_a_task_that_fails_before_its_session_has_written_nothing(run, task, tmp_path: Path, action, words):
    done = run(task, "--action", action)
    assert done.returncode == 1
    assert words in done.stderr
    assert "nothing was recorded on this PC" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process on Windows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_hardware_saves_the_settings_and_gives_its_code(
    started, task, tmp_path, number, code
):
    process = started(task, "--action", "wait")
    read_until(process, "running")
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == code, err
    assert "valve closed" in out
    assert "data are in" in err
    assert err.count("interrupted") == (number == signal.SIGINT)
    assert "Traceback" not in err
    assert settings_of(tmp_path)["SESSION_END_TIME"] is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["never.py", "-s", "x"], ["never.py: there is no such file"]),
        (["never_a_module", "-s", "x"], ["no module never_a_module"]),
        (["no module", "-s", "x"], ["neither a file nor a module"]),
        (["obedient.py:Sesion", "-s", "x"], ["no class Sesion", "Session"]),
        (["obedient.py:argparse", "-s", "x"], ["is no task"]),
        (["obedient.py"], ["--subject"]),
        (["obedient.py", "-s", "../x"], ["letters, digits"]),
        (["obedient.py", "-s", "x", "--nonsense"], ["--nonsense"]),
        (["obedient.py", "-s", "x", "--remote", "a", "b"], ["takes no rigs", "NetworkSession"]),
        (["obedient.py", "-s", "x", "--main-sync"], ["--main-sync is not for a task", "MAIN_SYNC: true"]),
        (["obedient.py", "-s", "x", "--append", "--data", "d"], ["no session to append to"]),
        (["two.py", "-s", "x"], ["two.py:First", "two.py:Second"]),
        (["none.py", "-s", "x"], ["none.py has no task"]),
        (["broken.py", "-s", "x"], ["broken.py is no Python", "line 1"]),
        (["missing.py", "-s", "x"], ["ModuleNotFoundError", "no_such_library", "missing.py, line 2"]),
        (["clash.py", "-s", "x"], ["--stub"]),
    ],
)
def test_a_wrong_task_or_option_is_exit_code_2_and_says_what_is_right(
    multirig, task, tmp_path, arguments, words
):
    two = TASK.replace("class Session", "class First") + "\n\nclass Second(First):\n    pass\n"
    (tmp_path / "two.py").write_text(two)
    (tmp_path / "none.py").write_text("from multirig.ibl.base_session import BaseSession\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "missing.py").write_text("\nimport no_such_library\n")
    (tmp_path / "clash.py").write_text(TASK.replace("--action", "--stub"))
    done = multirig("run", *arguments, MULTIRIG_SETTINGS=str(tmp_path))
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_file_with_one_task_needs_no_name_and_may_be_called_like_a_library(run, tmp_path: Path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "random.py").write_text(TASK.replace("class Session", "class Only"))
    done = run(folder / "random.py")
    assert done.returncode == 0, done.stderr


def test_a_task_finds_what_lies_beside_it(run, tmp_path: Path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "task_parameters.yaml").write_text("REWARD_AMOUNT: 1.5\n")
    (folder / "beside.py").write_text("NAME = 'besideIt'\n")
    (folder / "it.py").write_text("import beside\n" + TASK.replace('"obedient"', "beside.NAME"))
    done = run(folder / "it.py")
    assert done.returncode == 0, done.stderr
    assert settings_of(tmp_path)["REWARD_AMOUNT"] == 1.5
    assert settings_of(tmp_path)["PYBPOD_PROTOCOL"] == "besideIt"


def test_without_a_task_nothing_of_ibl_is_loaded():
    code = (
        "import sys; from multirig.cli.main import run; run(['run', '--help']);"
        "assert not [each for each in sys.modules if each.startswith('multirig.ibl')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr


def test_without_a_rehearsal_nothing_of_the_simulator_is_loaded():
    code = (
        "import sys; from multirig.cli.main import run; run(['serve', '--help']);"
        "assert not [each for each in sys.modules if each.startswith('multirig.sim')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr


# -- the tasks that come along ----------------------------------------------------------------------------


def example(name: str) -> str:
    return f"multirig.examples.tasks.{name}"


def test_the_template_runs_as_it_is_and_copied(run, multirig, tmp_path: Path):
    done = run(example("template"), "--trials", "4")
    assert done.returncode == 0, done.stderr
    assert settings_of(tmp_path)["NTRIALS"] == 4
    import multirig.examples.tasks.template as template

    copied = tmp_path / "my_task.py"
    copied.write_text(Path(template.__file__).read_text())
    done = run(copied, "--append")
    assert done.returncode == 0, done.stderr
    alone = subprocess.run(
        [sys.executable, copied, "-s", "SP_02", "--no-interactive"],
        env={
            **os.environ,
            "MULTIRIG_SETTINGS": str(tmp_path),
            "HOME": str(tmp_path),
            "USERPROFILE": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr
    assert list(tmp_path.glob("multirig_data/mylab/Subjects/SP_02/*/001/raw_task_data_00/*.jsonable"))


def test_spontaneous_activity_with_two_rigs_is_recorded_by_all(rig, multirig, run, tmp_path: Path):
    rigs = tmp_path / "rigs.yaml"
    for name, main_sync in (("ephys", True), ("cameras", False)):
        multirig("rigs", "add", name, rig(name, main_sync=main_sync).uri, "--rigs-file", rigs)
    done = run(
        *(example("spontaneous"), "--duration", "0.3", "--rigs-file", rigs, "--remote", "ephys", "cameras")
    )
    assert done.returncode == 0, done.stderr
    assert "✓ GOOD  session " in done.stdout
    for name in ("ephys", "cameras"):
        assert list((tmp_path / name / "mylab" / "Subjects" / "SP_01").glob("*/001/*/fake.csv"))
    settings = settings_of(tmp_path)
    assert settings["DURATION"] == 0.3
    assert list(settings["REMOTE_RIGS"]) == ["ephys", "cameras"]


def test_a_task_whose_rigs_have_nothing_to_show_for_it_ends_with_1(rig, run, tmp_path: Path):
    ephys = rig("ephys", main_sync=True, adapter={"type": "fake", "write_file": False})
    done = run(example("spontaneous"), "--duration", "0.3", "--remote", ephys.uri)
    assert done.returncode == 1
    assert "✗ INCOMPLETE  session " in done.stdout
    assert "has no file to show for it" in done.stdout
    assert settings_of(tmp_path)["SESSION_END_TIME"] is not None


NO_PROGRAM = {"type": "process", "command": ["no-such-program"]}


def test_a_task_is_not_begun_on_a_rig_that_could_not_record(rig, run, tmp_path: Path):
    uri = rig("camera", main_sync=True, adapter=NO_PROGRAM).uri
    done = run(example("spontaneous"), "--duration", "0.3", "--remote", uri)
    assert done.returncode == 1
    assert "check failed" in done.stderr
    assert "no-such-program" in done.stderr
    assert not list(tmp_path.rglob("_multirig_journal.jsonl"))


def test_a_task_that_wants_no_check_gets_none(rig, run):
    uri = rig("camera", main_sync=True, adapter=NO_PROGRAM).uri
    done = run(example("spontaneous"), "--duration", "0.3", "--remote", uri, "--no-check")
    assert done.returncode == 1
    assert "initialise failed" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process on Windows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_rigs_record_interrupts_them_and_lets_them_go(
    rig, started, wait_for_start, tmp_path, number, code
):
    ephys = rig("ephys", main_sync=True)
    process = started(example("spontaneous"), "--duration", "3600", "--remote", ephys.uri)
    ephys.expect("ephys is running")
    wait_for_start(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "✗ INTERRUPTED  session " in out
    why = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "it was ended from outside (SIGTERM)"}[
        signal.Signals(number)
    ]
    assert f"after the start: {why}" in " ".join(out.split())
    ephys.expect("ephys is connected")
    assert settings_of(tmp_path)["SESSION_END_TIME"] is not None
    assert list((tmp_path / "ephys").glob("mylab/Subjects/SP_01/*/001/*/fake.csv"))


@pytest.mark.parametrize("code", [0, 3])
def test_a_task_that_ends_itself_has_not_ended_well_whatever_its_code(rig, run, tmp_path: Path, code: int):
    ephys = rig("ephys", main_sync=True)
    own = TASK.replace("multirig.ibl.base_session", "multirig.ibl").replace("BaseSession", "NetworkSession")
    (tmp_path / "mine.py").write_text(own)
    done = run("mine.py", "--action", f"exit{code}", "--remote", ephys.uri)
    assert done.returncode == 1
    assert f"the task ended itself by sys.exit({code})" in done.stderr
    assert "INTERRUPTED" in done.stdout
    ephys.expect("ephys is connected")


def test_a_task_that_fails_while_the_rigs_record_lets_them_go_and_is_one_line(rig, run, tmp_path: Path):
    ephys = rig("ephys", main_sync=True)
    own = TASK.replace("multirig.ibl.base_session", "multirig.ibl").replace("BaseSession", "NetworkSession")
    (tmp_path / "mine.py").write_text(own)
    done = run("mine.py", "--action", "fail", "--remote", ephys.uri)
    assert done.returncode == 1
    assert "task failed: ZeroDivisionError" in done.stderr
    ephys.expect("ephys is running")
    ephys.expect("ephys is connected")


@pytest.mark.parametrize(
    ("main_syncs", "code", "words"),
    [((False, False), 3, "no main sync"), ((True, True), 3, "2 main syncs")],
)
def test_rigs_that_do_not_agree_are_exit_code_3_and_nothing_is_written(
    rig, run, tmp_path, main_syncs, code, words
):
    names = ("ephys", "cameras")
    uris = [rig(name, main_sync=one).uri for name, one in zip(names, main_syncs, strict=True)]
    done = run(example("spontaneous"), "--remote", *uris)
    assert done.returncode == code
    assert words in done.stderr
    assert not list((tmp_path / "data").glob("**/raw_task_data_00"))


@pytest.mark.parametrize(
    ("remote", "code", "words"), [("ehpys", 2, "ephys"), ("udp://127.0.0.1:9", 1, "nothing listens there")]
)
def test_an_unknown_rig_is_exit_code_2_and_one_that_is_off_is_1(run, tmp_path: Path, remote, code, words):
    (tmp_path / "rigs.yaml").write_text("ephys: udp://127.0.0.1:9\n")
    done = run(example("spontaneous"), "--rigs-file", tmp_path / "rigs.yaml", "--remote", remote)
    assert done.returncode == code
    assert words in done.stderr
    assert not list((tmp_path / "data").glob("**/raw_task_data_00"))


def test_a_stop_file_ends_spontaneous_activity_early(started, tmp_path: Path):
    process = started(example("spontaneous"), "--duration", "3600")
    for line in process.stderr:
        if "data go to" in line:
            session = Path(line.partition("data go to ")[2].strip()).parent
            break
    # a wish from before the task itself has begun is taken away, so it is repeated
    while process.poll() is None:
        (session / ".stop").touch()
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode == 0
    assert settings_of(tmp_path)["SESSION_END_TIME"] is not None


def test_keyboard_trials_take_reaction_times(started, tmp_path: Path):
    process = started(example("keyboard_trials"), "--trials", "3", "--max-delay", "0.02")
    process.stdin.write("f\nj\n")  # too early: nothing has been asked for
    process.stdin.flush()
    for wrong in (False, True, False):
        key = read_until(process, " and Enter: ").removesuffix(" and Enter: ")[-1]
        process.stdin.write(("x" if wrong else key) + "\n")
        process.stdin.flush()
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err
    (path,) = tmp_path.glob("data/mylab/Subjects/SP_01/*/001/raw_task_data_00/_iblrig_taskData.raw.jsonable")
    trials = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["correct"] for each in trials] == [True, False, True]
    assert all(0 < each["reaction_time"] == each["answered_at"] - each["asked_at"] for each in trials)
    assert (settings_of(tmp_path)["NTRIALS"], settings_of(tmp_path)["NTRIALS_CORRECT"]) == (3, 2)


@pytest.mark.parametrize("line", ["stop\n", ""])
def test_keyboard_trials_end_at_a_line_stop_and_at_a_closed_keyboard(started, tmp_path: Path, line: str):
    process = started(example("keyboard_trials"), "--max-delay", "0")
    read_until(process, "and Enter")
    out, err = process.communicate(line, timeout=LIMIT)
    assert process.returncode == 0, (out, err)
    assert "ended after 0 of 10 trials" in err
    (path,) = tmp_path.glob("data/mylab/Subjects/SP_01/*/001/_ibl_experiment.description_behavior.yaml")
    assert yaml.safe_load(path.read_text())["tasks"][0]["keyboardTrials"]["collection"] == "raw_task_data_00"


@pytest.mark.parametrize("wrong", ["-1", "nan", "long"])
def test_a_duration_that_is_none_is_refused(run, wrong: str):
    done = run(example("spontaneous"), f"--duration={wrong}")
    assert done.returncode == 2
    assert "--duration" in done.stderr
