"""Rigs for tasks on base sessions that are not ours: by the mixin, and by one line for iblrig's network."""

from __future__ import annotations

import _thread
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.ibl.network import standin
from tests.integration.ibl.network.standin import BaseSession, ChoiceWorldSession

from multirig.errors import ConfigError, MultirigError
from multirig.ibl import Auxiliaries, NetworkMixin, NetworkSession, description

CAMERAS = {"devices": {"cameras": {"left": {"collection": "raw_video_data", "sync_label": "audio"}}}}


class Watched:
    """A task that notes what it meets, and in which state it finds the rigs."""

    watch: Any
    fails = ""

    def meet(self, what: str) -> None:
        self.__dict__.setdefault("said", []).append((what, self.watch()))
        if what == self.fails:
            raise ZeroDivisionError(what)

    def ask(self, what: str) -> None:
        self.meet(what)

    def start_hardware(self) -> None:
        self.meet("hardware")

    def _run(self) -> None:
        self.meet("task")


class OverBase(Watched, NetworkMixin, BaseSession):
    pass


class OverChoiceWorld(Watched, NetworkMixin, ChoiceWorldSession):
    pass


class Unchanged(Watched, ChoiceWorldSession):
    """A task as iblrig has it; all that a lab writes is the line in the fixture `one_line`."""


@pytest.fixture(autouse=True)
def one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin.net, "Auxiliaries", Auxiliaries)


@pytest.fixture
def lab(rigs: Any, tmp_path: Path) -> Iterator[Any]:
    """Make tasks, on a PC whose settings file names its data folder and the lab's server."""

    class Lab:
        server = tmp_path / "server"
        pc = tmp_path / "pc"
        settings = tmp_path / "iblrig_settings.yaml"

        def __init__(self) -> None:
            self.made: list[Any] = []
            self.server.mkdir()
            self.write(ALYX_URL="https://alyx.example.org", ALYX_USER="sara")

        def write(self, **more: Any) -> None:
            paths = {"iblrig_local_data_path": str(self.pc), "iblrig_remote_data_path": str(self.server)}
            self.settings.write_text(yaml.safe_dump({**paths, "ALYX_LAB": "mylab", **more}), encoding="utf-8")

        def make(self, task: Any, fails: str = "", **kwargs: Any) -> Any:
            class Task(task):  # type: ignore[misc]
                default_settings_file = self.settings
                watch = staticmethod(rigs.states)

            Task.fails = fails
            self.made.append(Task(subject="SP_01", **kwargs))
            return self.made[-1]

        def list(self, **addresses: str) -> None:
            """Enter rigs in the lab's file, where iblrig has it."""
            (self.server / "remote_devices.yaml").write_text(yaml.safe_dump(addresses), encoding="utf-8")

        def verdict(self) -> Any:
            [path] = self.pc.rglob("_multirig_verdict.json")
            return json.loads(path.read_text(encoding="utf-8"))

    here = Lab()
    yield here
    for task in here.made:
        task.cleanup_mixin_network()


def two_rigs(rigs: Any) -> dict[str, str]:
    return {
        "main": rigs.add("main", main_sync=True),
        "left": rigs.add("left", experiment_description=CAMERAS),
    }


MIXED = [OverBase, OverChoiceWorld]
ALL = [*MIXED, Unchanged]


@pytest.mark.parametrize("base", ALL)
def test_rigs_are_led_recorded_and_judged(rigs: Any, lab: Any, today: Any, base: Any) -> None:
    (rigs.folder / "main" / "mylab" / "Subjects" / "SP_01" / today.isoformat() / "004").mkdir(parents=True)
    addresses = two_rigs(rigs)
    task = lab.make(base, remote_rigs=addresses)
    assert task.exp_ref == {"subject": "SP_01", "date": today, "sequence": 5}
    assert task.paths.SESSION_FOLDER.name == "005"
    assert task.paths.DATA_FILE_PATH.parent.parent == task.paths.SESSION_FOLDER
    assert task.paths.IBLRIG_FOLDER.name == "iblrig"
    task.run()
    assert rigs.states() == {"connected"}
    assert [what for what, _ in task.said] == ["hardware", "weight", "task", "poop count"]
    assert dict(task.said)["task"] == {"running"}
    assert lab.verdict()["verdict"] == "GOOD"
    assert (task.paths.SESSION_FOLDER / "_multirig_journal.jsonl").exists()
    settings = json.loads(
        (task.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json").read_text(encoding="utf-8")
    )
    assert settings["REMOTE_RIGS"] == addresses
    assert settings["EXP_REF"] == f"{today}_5_SP_01"
    whole = description.read(task.paths.SESSION_FOLDER)
    assert set(whole["devices"]["cameras"]) == {"body", "left"}
    assert whole["remote_rigs"] == addresses


@pytest.mark.parametrize("base", MIXED)
def test_neither_dialogs_nor_hardware_that_is_not_ready_are_recorded(rigs: Any, lab: Any, base: Any) -> None:
    task = lab.make(base, remote_rigs=two_rigs(rigs))
    task.run()
    assert task.said == [
        ("hardware", {"initialised"}),
        ("weight", {"initialised"}),
        ("task", {"running"}),
        ("poop count", {"stopped"}),
    ]


@pytest.mark.parametrize("base", ALL)
@pytest.mark.parametrize("where", ["hardware", "weight", "task", "poop count"])
def test_an_error_anywhere_lets_the_rigs_go_and_is_the_reason(
    rigs: Any, lab: Any, base: Any, where: str
) -> None:
    task = lab.make(base, fails=where, remote_rigs=two_rigs(rigs))
    with pytest.raises(ZeroDivisionError, match=where):
        task.run()
    assert rigs.states() == {"connected"}
    verdict = lab.verdict()
    if where == "poop count" and base is not Unchanged:  # nobody records any more
        assert verdict["verdict"] == "GOOD"
    else:
        assert verdict["verdict"] in ("ABORTED", "INTERRUPTED")
        assert where in verdict["reasons"][0]


@pytest.mark.parametrize("base", ALL)
def test_an_error_of_another_mixin_in_the_constructor_lets_the_rigs_go(
    rigs: Any, lab: Any, base: Any
) -> None:
    class Broken(base):  # type: ignore[misc]
        def init_mixin_sound(self) -> None:
            raise ZeroDivisionError("no sound card")

    with pytest.raises(ZeroDivisionError):
        lab.make(Broken, remote_rigs=two_rigs(rigs))
    assert rigs.states() == {"connected"}
    verdict = lab.verdict()
    assert verdict["verdict"] == "ABORTED"
    if base is not Unchanged:
        assert "no sound card" in verdict["reasons"][0]


@pytest.mark.parametrize("base", MIXED)
def test_this_pc_may_be_the_main_sync(rigs: Any, lab: Any, base: Any) -> None:
    task = lab.make(base, hardware_settings={"MAIN_SYNC": True}, remote_rigs={"left": rigs.add("left")})
    assert task.exp_ref["sequence"] == 1
    task.run()
    assert task.paths.SESSION_FOLDER.name == "001"
    assert lab.verdict()["verdict"] == "GOOD"


@pytest.mark.parametrize("base", ALL)
def test_a_number_that_is_taken_here_is_stepped_over(rigs: Any, lab: Any, today: Any, base: Any) -> None:
    day = lab.pc / "mylab" / "Subjects" / "SP_01" / today.isoformat()
    (day / "001" / "raw_task_data_00").mkdir(parents=True)
    task = lab.make(base, remote_rigs=two_rigs(rigs))
    assert task.exp_ref["sequence"] == 2
    task.run()
    assert task.paths.SESSION_FOLDER.name == "002"


@pytest.mark.usefixtures("needs_iblutil")
@pytest.mark.parametrize("base", ALL)
def test_a_second_task_goes_on_in_the_session_of_a_main_sync_that_records_on(
    rigs: Any, lab: Any, today: Any, base: Any
) -> None:
    addresses = {"ephys": rigs.add_iblutil("ephys", exp_ref=f"{today}_7_SP_01")}
    lab.make(base, remote_rigs=addresses).run()
    with pytest.raises(ValueError, match="recorded already"):
        lab.make(base, remote_rigs=addresses)
    task = lab.make(base, remote_rigs=addresses, append=True)
    task.run()
    assert task.paths.SESSION_RAW_DATA_FOLDER.name == "raw_task_data_01"
    assert task.paths.SESSION_FOLDER.name == "007"


@pytest.mark.parametrize("base", ALL)
def test_the_file_that_asks_for_the_end_is_heeded(rigs: Any, lab: Any, base: Any) -> None:
    class Long(base):  # type: ignore[misc]
        def _run(self) -> None:
            rigs.until(lambda: rigs.states() == {"running"})
            (self.paths.SESSION_FOLDER / ".stop").touch()
            rigs.until((self.paths.SESSION_FOLDER / ".stop").exists)

    lab.make(Long, remote_rigs=two_rigs(rigs)).run()
    assert lab.verdict()["verdict"] == "GOOD"


def test_an_unchanged_task_whose_rigs_are_let_go_meanwhile_is_asked_to_end(rigs: Any, lab: Any) -> None:
    """iblrig's handler of SIGTERM closes the network and lets the task run on."""

    class Ended(Unchanged):
        def _run(self) -> None:
            self.cleanup_mixin_network()
            self.meet("stop" if (self.paths.SESSION_FOLDER / ".stop").exists() else "on and on")

    task = lab.make(Ended, remote_rigs=two_rigs(rigs))
    task.run()
    assert dict(task.said)["stop"] == {"connected"}
    verdict = lab.verdict()
    assert verdict["verdict"] == "INTERRUPTED"
    assert "the task let go of its rigs" in verdict["reasons"][0]


def test_an_unchanged_task_that_never_starts_its_rigs_is_told_so(
    rigs: Any, lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Own(Unchanged):
        def run(self) -> None:
            self.start_hardware()
            self.create_session()
            self._run()

    task = lab.make(Own, remote_rigs=two_rigs(rigs))
    task.run()
    assert "no rig" not in caplog.text
    task.remote_rigs.close()  # as at the end of its program
    assert "main, left: no rig has recorded, because the task has not started them (EXPSTART)" in caplog.text
    assert rigs.states() == {"connected"}


@pytest.mark.parametrize("state", ["initialising", "starting"])
def test_ctrl_c_while_an_unchanged_task_waits_for_its_rigs_lets_them_go(
    rigs: Any, lab: Any, state: str
) -> None:
    """iblrig lets go of its rigs at errors alone; a program that goes on would leave them."""
    slow = {"delay": {"initialise": 0.5, "start": 0.5}}  # long enough to be hit
    addresses = {"main": rigs.add("main", main_sync=True), "left": rigs.add("left", fake=slow)}
    is_over = threading.Event()

    def interrupt() -> None:
        while not is_over.wait(0.002):
            if state in rigs.states():
                _thread.interrupt_main()
                return

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            lab.make(Unchanged, remote_rigs=addresses).run()
    finally:
        is_over.set()
        watcher.join()
    assert rigs.states() == {"connected"}
    assert lab.verdict()["verdict"] == "ABORTED"
    lab.make(Unchanged, remote_rigs=addresses).run()


def test_a_program_that_is_no_task_leads_nobody_by_a_question(rigs: Any) -> None:
    auxiliaries = Auxiliaries({"main": rigs.add("main", main_sync=True)})
    try:
        answers = auxiliaries.push("EXPINFO", "CONNECTED", {"subject": "SP_01"}, wait=True)
        assert answers["main"][1]["main_sync"] is True
        assert auxiliaries.conductor.current is None
    finally:
        auxiliaries.close()


# -- rigs were asked for, and none would be led ----------------------------------------------------------


def test_a_base_session_before_the_mixin_is_refused() -> None:
    with pytest.raises(ConfigError, match="write NetworkMixin first"):

        class Task(ChoiceWorldSession, NetworkMixin):
            pass


def test_a_constructor_that_keeps_the_rigs_to_itself_is_refused(rigs: Any, lab: Any) -> None:
    class Keeps(OverChoiceWorld):
        def __init__(self, subject: str, **_: Any) -> None:
            super().__init__(subject=subject)

    with pytest.raises(ConfigError, match=r"left.*does not hand remote_rigs on"):
        lab.make(Keeps, remote_rigs={"left": rigs.add("left")})


def test_a_base_that_makes_no_mixin_ready_is_refused(rigs: Any, tmp_path: Path) -> None:
    class Bare:
        def __init__(self, **_: Any) -> None:
            self.experiment_description: Any = {}

    class Task(NetworkMixin, Bare):
        pass

    with pytest.raises(ConfigError, match=r"left: no rig is led"):
        Task(remote_rigs={"left": rigs.add("left")})


def test_a_run_that_never_comes_to_the_task_is_an_error(rigs: Any, lab: Any) -> None:
    class Roundabout(OverBase):
        def run(self) -> None:
            super().run()

    class Base(BaseSession):
        def run(self) -> None:
            self.start_hardware()
            type(self)._run(self)

    class Task(Watched, NetworkMixin, Base):
        pass

    addresses = two_rigs(rigs)
    with pytest.raises(MultirigError, match=r"main, left: no rig has recorded"):
        lab.make(Task, remote_rigs=addresses).run()
    assert rigs.states() == {"connected"}
    lab.make(Roundabout, remote_rigs=addresses).run()


def test_a_task_s_own_run_may_start_its_rigs_by_a_message(rigs: Any, lab: Any) -> None:
    class Direct(OverBase):
        def run(self) -> None:
            self.communicate("EXPSTART", self.exp_ref)
            assert rigs.states() == {"running"}
            self.communicate("EXPEND")

    task = lab.make(Direct, remote_rigs=two_rigs(rigs))
    task.run()
    task.cleanup_mixin_network()
    assert lab.verdict()["verdict"] == "GOOD"


# -- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", MIXED)
def test_a_run_of_the_task_s_own_that_hands_nothing_on_is_an_error(rigs: Any, lab: Any, base: Any) -> None:
    class Own(base):  # type: ignore[misc]
        def run(self) -> None:
            self.start_hardware()
            self.create_session()
            self._run()

    task = lab.make(Own, remote_rigs=two_rigs(rigs))
    with pytest.raises(MultirigError, match=r"no rig has recorded, because the run of .* super\(\)\.run\(\)"):
        task.run()
    assert rigs.states() == {"connected"}
    assert lab.make(Own).run() is None


def test_a_run_that_cannot_be_watched_lets_the_rigs_go(rigs: Any, lab: Any) -> None:
    class Fixed(NetworkMixin, ChoiceWorldSession):
        def start_hardware(self) -> None: ...

        @property
        def _run(self) -> Any:  # type: ignore[override]
            return lambda: None

    with pytest.raises(AttributeError):
        lab.make(Fixed, remote_rigs=two_rigs(rigs)).run()
    assert rigs.states() == {"connected"}


@pytest.mark.parametrize("base", MIXED)
def test_a_task_that_is_run_again_leads_nobody_and_says_so(rigs: Any, lab: Any, base: Any) -> None:
    task = lab.make(base, remote_rigs=two_rigs(rigs))
    task.run()
    with pytest.raises(
        MultirigError, match=r"^main, left: no rig is led, because they were let go .* new session"
    ):
        task.run()
    assert lab.verdict()["verdict"] == "GOOD"
    alone = lab.make(base)
    alone.run()
    alone.run()


@pytest.mark.parametrize("odd", [5, b"left", [None, 7], True])
def test_what_names_no_rig_is_refused(lab: Any, odd: Any) -> None:
    with pytest.raises(ConfigError, match=r"^remote_rigs: .* names no rig"):
        lab.make(OverChoiceWorld, remote_rigs=odd)


@pytest.mark.parametrize("more", [{}, {"iblrig_settings": {"ALYX_USER": "anna"}}])
@pytest.mark.parametrize("base", MIXED)
def test_names_are_looked_up_where_the_settings_of_the_base_say(
    rigs: Any, lab: Any, base: Any, more: dict[str, Any]
) -> None:
    lab.list(main=rigs.add("main", main_sync=True))
    lab.make(base, remote_rigs=[["main"]], **more).run()
    assert lab.verdict()["verdict"] == "GOOD"


def test_names_are_looked_up_where_a_settings_file_of_ours_says(rigs: Any, lab: Any) -> None:
    class Task(NetworkSession):
        protocol_name = "test"

        def start_hardware(self) -> None: ...

        def _run(self) -> None: ...

    lab.write()
    lab.list(main=rigs.add("main", main_sync=True))
    task = Task(
        subject="SP_01",
        remote_rigs=["main"],
        file_iblrig_settings=lab.settings,
        iblrig_settings={"ALYX_USER": "anna"},
        interactive=False,
    )
    task.run()
    assert lab.verdict()["verdict"] == "GOOD"


@pytest.mark.parametrize("base", MIXED)
def test_a_name_that_is_not_listed_is_an_error(lab: Any, base: Any) -> None:
    lab.list(main="udp://127.0.0.1:1")
    with pytest.raises(ConfigError, match="nobody"):
        lab.make(base, remote_rigs=["nobody"])


def test_who_may_have_the_token_stands_beside_the_rigs_where_settings_drop_it(rigs: Any, lab: Any) -> None:
    class One:
        offline = False

        class alyx:
            base_url, user, is_logged_in, _token = "https://alyx.example.org", "sara", True, {"token": "abc"}

    lab.list(main=rigs.add("main", main_sync=True))
    (lab.server / "multirig.yaml").write_text("allow_cleartext_token: [main]\n", encoding="utf-8")
    task = lab.make(OverChoiceWorld, remote_rigs=["main"], one=One())
    task.remote_rigs.push("ALYX", One.alyx, wait=True)  # an error where a rig is not named
    task.cleanup_mixin_network()
    (lab.server / "multirig.yaml").unlink()
    with pytest.raises(PermissionError):
        lab.make(OverChoiceWorld, remote_rigs=["main"], one=One()).remote_rigs.push(
            "ALYX", One.alyx, wait=True
        )


# -- what foreign rigs say of themselves -------------------------------------------------------------------


@pytest.mark.usefixtures("needs_iblutil")
@pytest.mark.parametrize("base", ALL)
@pytest.mark.parametrize("event", [1, 2])
def test_a_description_that_comes_with_a_later_answer_is_taken(
    rigs: Any, lab: Any, today: Any, base: Any, event: int
) -> None:
    said = {"experiment_description": {"devices": {"cameras": {"right": {"collection": "raw_video_data"}}}}}
    addresses = {
        "main": rigs.add("main", main_sync=True),
        "cameras": rigs.add_iblutil("cameras", says={event: said}),
    }
    task = lab.make(base, remote_rigs=addresses)
    task.run()
    if base is not Unchanged:  # iblrig writes it, and copies what it names
        assert set(task.experiment_description["devices"]["cameras"]) == {"body", "right"}
    [path] = lab.pc.rglob("_ibl_experiment.description*.yaml")
    # what is recorded elsewhere would keep iblrig from copying this PC
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))["devices"]["cameras"]) == {"body"}
    assert set(description.read(path.parent)["devices"]["cameras"]) == {"body", "right"}


@pytest.mark.usefixtures("needs_iblutil")
def test_cameras_that_record_on_do_not_end_an_unchanged_task(rigs: Any, lab: Any) -> None:
    """iblrig's own cameras say so at every EXPEND, and iblrig does not look."""
    addresses = {
        "main": rigs.add("main", main_sync=True),
        "cameras": rigs.add_iblutil("cameras", says={4: {"status": 20}}),
    }
    task = lab.make(Unchanged, remote_rigs=addresses)
    task.run()
    assert [what for what, _ in task.said][-1] == "poop count"
    verdict = lab.verdict()
    assert verdict["verdict"] != "GOOD"
    assert "cameras says that it still records: stop it there" in verdict["reasons"]


def test_rigs_that_another_program_leads_are_taken_over_where_that_is_asked(rigs: Any, lab: Any) -> None:
    addresses = two_rigs(rigs)
    other = Auxiliaries(addresses)
    try:
        other.agree("SP_01")
        other.push("EXPINIT", wait=True)
        with pytest.raises(ValueError, match="--take-over"):
            lab.make(OverChoiceWorld, remote_rigs=addresses)
        asked = vars(OverChoiceWorld.extra_parser().parse_args(["--take-over"]))
        lab.make(OverChoiceWorld, remote_rigs=addresses, take_over=asked["take_over"]).run()
    finally:
        other.close()
    assert rigs.states() == {"connected"}


@pytest.mark.parametrize("base", MIXED)
def test_the_option_is_there_once(base: Any) -> None:
    assert base.extra_parser().parse_args(["--remote", "a", "b"]).remote_rigs == [["a", "b"]]
