"""Tasks that are led for the console: their parameters, their end, their errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from multirig.dashboard.leading.client import Leader
from multirig.dashboard.snapshot import Outcome, SessionNow, Step
from multirig.dashboard.task_forms import Kind, read_form
from multirig.errors import MultirigError

LIMIT = 30.0
"""Seconds for what a process of its own does, on a busy machine."""
SPONTANEOUS = "multirig.examples.tasks.spontaneous"
TASK = '''
import argparse
import time

from multirig.ibl import BaseSession, NetworkSession

print("a task may print what it likes")


class Session(NetworkSession):
    """Does what its options say."""

    protocol_name = "obedient"

    def __init__(self, *args, action="wait", trials=1, **kwargs):
        self.action, self.trials = action, trials
        super().__init__(*args, **kwargs)
        self.task_params["TRIALS"] = trials

    @staticmethod
    def extra_parser():
        parser = NetworkSession.extra_parser()
        parser.add_argument("--action", choices=["wait", "fail", "mark", "linger"], default="wait")
        parser.add_argument("--trials", type=int, default=1)
        return parser

    def start_hardware(self):
        pass

    def start_mixin_network(self):
        super().start_mixin_network()
        while self.action == "linger" and not self.stop_requested:
            time.sleep(0.02)

    def _run(self):
        (self.paths.SESSION_FOLDER / ".it_runs").touch()
        if self.action == "fail":
            raise OSError("COM3 is not there")
        for trial in range(self.trials if self.action == "mark" else 0):
            self.mark(f"trial {trial}")
        while self.action == "wait" and not self.stop_requested:
            time.sleep(0.02)


class Alone(BaseSession):
    """Takes no rigs."""

    protocol_name = "alone"

    def start_hardware(self):
        pass

    def _run(self):
        while not self.stop_requested:
            time.sleep(0.02)
'''


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "obedient.py"
    path.write_text(TASK)
    return path


async def over(leader: Leader, until: Any) -> SessionNow:
    await until(lambda: leader.session.is_over, LIMIT)
    return leader.session


async def running(leader: Leader, until: Any) -> None:
    await until(lambda: leader.session.state == "running" or leader.session.is_over, LIMIT)
    assert leader.session.trouble is None
    assert leader.session.state == "running"


def settings(now: SessionNow) -> dict[str, Any]:
    (path,) = Path(now.folder or "").glob("raw_task_data_00/_iblrig_taskSettings.raw.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.limit(90)
async def test_a_task_gets_its_parameters_and_ends_by_its_own_rule(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session("cam", over="udp")
    leader = await desk.begin(
        task=SPONTANEOUS, parameters={"duration": 0.7}, projects=("ours",), user="anna", checks=True
    )
    now = await over(leader, until)
    assert (now.verdict, now.trouble) == ("GOOD", None)
    found = settings(now)
    assert (found["DURATION"], found["PROJECTS"], found["ALYX_USER"]) == (0.7, ["ours"], "anna")
    assert set(found["REMOTE_RIGS"]) == {"main", "cam"}
    for step in (Step.AGREE, Step.INITIALISE, Step.START, Step.STOP, Step.CLEAN_UP):
        done = {one.rig for one in now.steps if one.step is step and one.outcome is Outcome.DONE}
        assert done == {"main", "cam"}
    assert now.spread is not None
    assert "this PC" in now.findings


@pytest.mark.limit(90)
async def test_a_task_is_asked_to_stop_as_its_operator_would(
    lab: Any, desk: Any, until: Any, task: Path
) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin(task=str(task))
    await running(leader, until)
    await until(lambda: leader.session.multirigs, LIMIT)
    await leader.mark("seen from the console")
    await leader.stop()
    now = await over(leader, until)
    assert (now.verdict, now.trouble) == ("GOOD", None)
    assert [one.text for one in now.markers] == ["seen from the console"]


@pytest.mark.limit(90)
async def test_a_stop_between_the_start_of_the_rigs_and_of_the_task_is_in_good_order(
    lab: Any, desk: Any, until: Any, task: Path
) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin(task=str(task), parameters={"action": "linger"})
    await running(leader, until)
    await leader.stop()
    now = await over(leader, until)
    assert (now.verdict, now.trouble) == ("GOOD", None)


@pytest.mark.limit(90)
async def test_what_a_task_marks_is_seen_too(lab: Any, desk: Any, until: Any, task: Path) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin(task=str(task), parameters={"action": "mark", "trials": 2})
    now = await over(leader, until)
    assert [one.text for one in now.markers] == ["trial 0", "trial 1"]
    assert settings(now)["TRIALS"] == 2


@pytest.mark.limit(90)
async def test_a_task_is_interrupted_and_its_rigs_hear_why(
    lab: Any, desk: Any, until: Any, task: Path
) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin(task=str(task), by="ada")
    await running(leader, until)
    await until(lambda: (Path(leader.session.folder or "") / ".it_runs").exists(), LIMIT)
    await leader.interrupt("smoke in the room", by="bob")
    now = await over(leader, until)
    assert (now.verdict, now.trouble) == ("INTERRUPTED", None)
    told = json.loads((Path(now.folder or "") / "_multirig_verdict.json").read_text())
    assert told["interruption"] == "smoke in the room (by bob)"
    assert told["person"] == "ada"
    assert settings(now)["SESSION_END_TIME"] is not None


@pytest.mark.limit(90)
async def test_a_task_that_fails_says_where_in_one_line(lab: Any, desk: Any, until: Any, task: Path) -> None:
    await lab.rigs_of_a_session(over="udp")
    now = await over(await desk.begin(task=str(task), parameters={"action": "fail"}), until)
    assert now.trouble is not None
    assert now.trouble.step == "task"
    assert now.trouble.text.startswith("task failed: OSError: COM3 is not there (obedient.py, line ")
    assert now.verdict == "INTERRUPTED"


@pytest.mark.limit(90)
async def test_a_rig_that_fails_a_task_is_named_with_its_step(
    lab: Any, desk: Any, until: Any, task: Path
) -> None:
    await lab.rig("main", main_sync=True, over="udp")
    await lab.rig("cam", over="udp", fake={"fail": {"initialise": "no camera is plugged in"}})
    now = await over(await desk.begin(task=str(task)), until)
    assert now.trouble is not None
    assert now.trouble.step == "initialise"
    assert "no camera is plugged in" in now.trouble.causes["cam"]


@pytest.mark.limit(90)
async def test_a_stop_before_the_task_has_begun_lets_all_rigs_go(
    lab: Any, desk: Any, until: Any, task: Path
) -> None:
    (main,) = await lab.rigs_of_a_session(over="udp", fake={"delay": {"initialise": 30}})
    leader = await desk.begin(task=str(task))
    await until(lambda: leader.session.step is Step.INITIALISE, LIMIT)
    await leader.stop()
    now = await over(leader, until)
    assert now.trouble is not None
    assert "every rig has been let go" in now.trouble.text
    await until(lambda: str(main.machine.state) == "connected")


@pytest.mark.limit(90)
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"parameters": {"trials": "many"}}, "argument --trials: invalid int value: 'many'"),
        ({"parameters": {"colour": "red"}}, "the task has no parameter colour; it has action, trials"),
        ({"task": "nothing.py"}, "nothing.py: there is no such file"),
        ({"task": "obedient.py:Alone"}, "takes no rigs: choose none"),
    ],
)
async def test_what_cannot_be_done_with_a_task_is_one_line(
    lab: Any, desk: Any, until: Any, task: Path, keys: dict[str, Any], words: str
) -> None:
    await lab.rigs_of_a_session(over="udp")
    named = task.parent / keys.get("task", task.name)
    now = await over(await desk.begin(**{**keys, "task": str(named)}), until)
    assert now.trouble is not None
    assert now.trouble.step == "load the task"
    assert words in now.trouble.text
    assert "\n" not in now.trouble.text


@pytest.mark.limit(90)
async def test_a_task_without_rigs_is_led_too(lab: Any, desk: Any, until: Any, task: Path) -> None:
    leader = await desk.begin(task=f"{task}:Alone")
    await running(leader, until)
    assert (leader.session.exp_ref or "").endswith("_1_SP_01")
    with pytest.raises(MultirigError, match="no rig takes part"):
        await leader.mark("a marker")
    await leader.stop()
    now = await over(leader, until)
    assert (now.trouble, now.verdict) == (None, None)
    assert settings(now)["SESSION_END_TIME"] is not None


# -- its form -----------------------------------------------------------------------------------------------


@pytest.mark.limit(60)
async def test_the_form_of_a_task_is_read_in_another_process(task: Path) -> None:
    form = await read_form(str(task))
    assert (form.title, form.takes_rigs) == ("Does what its options say.", True)
    assert [(one.name, one.kind, one.default) for one in form.fields] == [
        ("action", Kind.CHOICE, "wait"),
        ("trials", Kind.INTEGER, 1),
    ]


@pytest.mark.limit(60)
async def test_a_task_that_cannot_be_loaded_has_no_form_but_a_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import os\nprint('hello')\nos._exit(3)\n")
    with pytest.raises(MultirigError, match=r"wrong\.py cannot be loaded: "):
        await read_form(str(path))
    with pytest.raises(MultirigError, match="there is no such file"):
        await read_form(str(tmp_path / "missing.py"))


@pytest.mark.limit(60)
async def test_a_task_that_never_comes_back_from_its_import_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(MultirigError, match=r"slow\.py was not loaded within 2 s"):
        await read_form(str(path), limit=2.0)
