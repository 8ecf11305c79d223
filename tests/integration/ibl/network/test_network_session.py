from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from multirig.errors import (
    AgreementError,
    ConfigError,
    DateMismatch,
    NoMainSync,
    SessionFailed,
    SeveralMainSyncs,
    SubjectMismatch,
)
from multirig.ibl import NetworkSession
from multirig.ibl.base_session import BaseSession
from multirig.lifecycle.policy import Role
from multirig.protocol.words import Info
from multirig.record.journal import read_journal


class Task(NetworkSession):
    """A task that notes what it meets, and in which state it finds the rigs."""

    protocol_name = "_test_task"

    def __init__(
        self, *args: Any, watch: Any = None, fails: str = "", error: Any = None, **kwargs: Any
    ) -> None:
        self.watch = watch or (lambda: None)
        self.fails = fails
        self.error = error or ZeroDivisionError("division by zero")
        self.met: list[tuple[str, Any]] = []
        super().__init__(*args, **kwargs)
        self.meet("constructed")

    def meet(self, what: str) -> None:
        self.met.append((what, self.watch()))
        if what == self.fails:
            raise self.error

    def start_hardware(self) -> None:
        self.meet("hardware")

    def _run(self) -> None:
        self.meet("task")

    def stop_mixin_hardware(self) -> None:
        self.meet("hardware stopped")


@pytest.fixture
def lab(rigs: Any) -> dict[str, str]:
    """A main sync and another rig."""
    return {"main": rigs.add("main", main_sync=True), "left": rigs.add("left")}


def interrupts(folder: Path) -> list[dict[str, Any]]:
    """Return what the rigs were told when a session was interrupted, from the journal."""
    steps = [one.data for one in read_journal(folder) if one.kind == "StepRequested"]
    return [one["data"] for one in steps if one["trigger"] == "interrupt"]


# -- a whole session -----------------------------------------------------------------------------------


def test_rigs_are_ready_before_the_folder_and_record_exactly_while_the_task_runs(
    rigs: Any, lab: Any, settings: Any, today: Any
) -> None:
    task = Task(subject="SP_01", remote_rigs=lab, watch=rigs.states, **settings)
    assert task.exp_ref == {"subject": "SP_01", "date": today, "sequence": 1}
    task.run()
    assert task.met == [
        ("constructed", {"initialised"}),
        ("hardware", {"initialised"}),
        ("task", {"running"}),
        ("hardware stopped", {"stopped"}),
    ]
    assert rigs.states() == {"connected"}
    assert not task.remote_rigs.is_running


def test_number_and_folder_come_from_the_main_sync(rigs: Any, lab: Any, settings: Any, today: Any) -> None:
    (rigs.folder / "main" / "mylab" / "Subjects" / "SP_01" / today.isoformat() / "006").mkdir(parents=True)
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    assert task.session_info.SESSION_NUMBER == 7
    assert task.paths.SESSION_FOLDER.name == "007"
    assert task.paths.SESSION_RAW_DATA_FOLDER == task.paths.SESSION_FOLDER / "raw_task_data_00"
    assert task.paths.DATA_FILE_PATH.parent == task.paths.SESSION_RAW_DATA_FOLDER
    task.run()
    assert task.paths.SESSION_RAW_DATA_FOLDER.is_dir()


def test_this_pc_as_main_sync_gives_the_number_itself(rigs: Any, settings: Any, today: Any) -> None:
    taken = rigs.folder / "pc" / "mylab" / "Subjects" / "SP_01" / today.isoformat() / "002"
    taken.mkdir(parents=True)
    task = Task(
        subject="SP_01",
        remote_rigs={"left": rigs.add("left")},
        hardware_settings={"MAIN_SYNC": True},
        **settings,
    )
    assert task.exp_ref["sequence"] == 3
    assert task.get_exp_info()["main_sync"] is True
    task.run()
    assert task.paths.SESSION_FOLDER.name == "003"


@pytest.mark.parametrize("form", ["2_SP_01", "002_SP_01", {"sequence": 2, "subject": "SP_01"}])
def test_an_iblutil_main_sync_may_write_the_reference_in_any_form(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None, form: Any
) -> None:
    exp_ref = {**form, "date": today.isoformat()} if isinstance(form, dict) else f"{today}_{form}"
    uri = rigs.add_iblutil("ephys", exp_ref=exp_ref)
    task = Task(subject="SP_01", remote_rigs={"ephys": uri}, **settings)
    assert task.exp_ref == {"subject": "SP_01", "date": today, "sequence": 2}
    task.run()
    said = f"{today}_2_SP_01"
    assert [one[0] for one in rigs.heard["ephys"]] == [64, 1, 2, 4, 8]
    assert rigs.heard["ephys"][1:3] == [[1, {"exp_ref": said}], [2, said, None]]


def test_without_rigs_it_is_a_plain_session(settings: Any) -> None:
    task = Task(subject="SP_01", **settings)
    task.run()
    assert task.exp_ref == {}
    assert task.paths.SESSION_FOLDER.name == "001"
    assert [what for what, _ in task.met] == ["constructed", "hardware", "task", "hardware stopped"]


class Marks(Task):
    """Sets a marker in the middle of the task, and one when the rigs have stopped."""

    def _run(self) -> None:
        super()._run()
        self.at = self.mark("stimulus", contrast=0.5)

    def stop_mixin_hardware(self) -> None:
        self.mark("the end")


def test_a_task_sets_markers_that_the_rigs_keep(
    rigs: Any, lab: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = Marks(subject="SP_01", remote_rigs=lab, **settings)
    task.mark("early")
    assert "set it once the rigs have been started" in caplog.text
    task.run()
    entries = [one.data for one in read_journal(task.paths.SESSION_FOLDER) if one.kind == "Marked"]
    assert [one["text"] for one in entries] == ["stimulus", "the end"]
    assert entries[0]["data"] == {"contrast": 0.5}
    for name in lab:
        [path] = rigs.folder.joinpath(name).rglob(f"_multirig_markers.{name}.csv")
        assert path.read_text().splitlines() == [
            "session_time_s,text,data",
            f'{task.at:.9f},stimulus,"{{""contrast"": 0.5}}"',
        ]


def test_without_rigs_a_marker_tells_the_time(settings: Any) -> None:
    before = time.perf_counter()
    task = Marks(subject="SP_01", **settings)
    task.run()
    assert before < task.at < time.perf_counter()


def test_a_rig_of_iblutil_is_told_of_no_marker(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    uris = {"foreign": rigs.add_iblutil("foreign", exp_ref=f"{today}_1_SP_01"), "cam": rigs.add("cam")}
    Marks(subject="SP_01", remote_rigs=uris, **settings).run()
    assert 32 not in [event for event, *_ in rigs.heard["foreign"]]
    assert [*rigs.folder.joinpath("cam").rglob("_multirig_markers.cam.csv")]


def test_a_chained_task_goes_on_in_the_session_of_a_main_sync_that_still_records(
    rigs: Any, lab: Any, settings: Any
) -> None:
    first = Task(subject="SP_01", remote_rigs=lab, **settings)
    first.start_hardware()
    first.create_session()
    first.start_mixin_network()
    first.remote_rigs.lead(lambda conductor: conductor.detach())  # its program has died: the rigs go on
    second = Task(subject="SP_01", remote_rigs=lab, append=True, **settings)
    assert second.exp_ref == first.exp_ref
    second.run()
    assert second.paths.SESSION_FOLDER == first.paths.SESSION_FOLDER
    assert second.paths.TASK_COLLECTION == "raw_task_data_01"
    first.cleanup_mixin_network()
    assert rigs.states() == {"connected"}


def test_a_task_does_not_append_to_a_session_that_is_over(
    rigs: Any, lab: Any, settings: Any, today: Any
) -> None:
    Task(subject="SP_01", remote_rigs=lab, **settings).run()
    with pytest.raises(AgreementError, match=f"{today}_2_SP_01.*append"):
        Task(subject="SP_01", remote_rigs=lab, append=True, **settings)
    day = rigs.folder / "pc" / "mylab" / "Subjects" / "SP_01" / today.isoformat()
    assert [one.name for one in day.iterdir()] == ["001"]
    assert rigs.states() == {"connected"}


def test_a_multirig_main_sync_gives_a_number_that_is_free_on_this_pc_too(
    rigs: Any, lab: Any, settings: Any
) -> None:
    Task(subject="SP_01", **settings).run()
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    assert task.exp_ref["sequence"] == 2
    task.run()


def test_a_number_that_this_pc_has_data_of_is_not_given_again(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    Task(subject="SP_01", **settings).run()
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today}_1_SP_01")
    with pytest.raises(AgreementError, match=r"_1_SP_01 is taken on this PC"):
        Task(subject="SP_01", remote_rigs={"ephys": uri}, **settings)
    assert [one[0] for one in rigs.heard["ephys"]] == [64]


# -- which rigs ----------------------------------------------------------------------------------------


@pytest.fixture
def rigs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "remote_rigs.yaml"
    monkeypatch.setenv("MULTIRIG_RIGS", str(path))
    return path


def test_names_are_looked_up_in_the_rigs_file_flattened_and_in_the_users_order(
    rigs: Any, lab: Any, settings: Any, rigs_file: Path
) -> None:
    rigs_file.write_text(yaml.safe_dump({**lab, "right": rigs.add("right")}))
    task = Task(subject="SP_01", remote_rigs=[["right", "main"], ["left"], "main"], **settings)
    assert list(task.remote_rigs.services) == ["right", "main", "left"]
    task.run()


def test_what_the_rigs_file_says_of_a_rig_holds_for_a_task(rigs: Any, settings: Any, rigs_file: Path) -> None:
    main = rigs.add("main", main_sync=True)
    left = rigs.add("left", fake={"fail": {"initialise": "it is not plugged in"}})
    rigs_file.write_text(
        yaml.safe_dump(
            {"main": {"uri": main, "role": "essential"}, "left": {"uri": left, "role": "optional"}}
        )
    )
    task = Task(subject="SP_01", remote_rigs=["main", "left"], **settings)
    assert task.remote_rigs.conductor.policies["main"].role is Role.ESSENTIAL
    assert rigs.state("main") == "initialised"
    task.run()
    assert rigs.states() == {"connected"}


class Waiting(Task):
    """A task that goes on until it is asked to end."""

    def _run(self) -> None:
        end = time.monotonic() + 15
        while not self.stop_requested and time.monotonic() < end:
            time.sleep(0.01)
        self.meet("task")


def two_rigs_of_which_one_breaks(rigs: Any, role: str) -> str:
    main, left = rigs.add("main", main_sync=True), rigs.add("left", fake={"fail_after": 0.4})
    return yaml.safe_dump({"main": main, "left": {"uri": left, "role": role}})


def test_a_task_whose_essential_rig_is_lost_is_asked_to_end_and_says_so(
    rigs: Any, settings: Any, rigs_file: Path
) -> None:
    rigs_file.write_text(two_rigs_of_which_one_breaks(rigs, "essential"))
    task = Waiting(subject="SP_01", remote_rigs=["main", "left"], **settings)
    with pytest.raises(SessionFailed, match=r"recording failed on left \(it is essential") as caught:
        task.run()
    assert "fail_after" in str(caught.value)
    assert task.stop_requested
    assert [what for what, _ in task.met][-2:] == ["task", "hardware stopped"]
    assert (task.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json").exists()
    assert rigs.states() == {"connected"}


def test_a_task_whose_expected_rig_is_lost_goes_on_and_its_operator_is_told(
    rigs: Any, settings: Any, rigs_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rigs_file.write_text(two_rigs_of_which_one_breaks(rigs, "expected"))
    told = []

    class Brief(Task):
        def _run(self) -> None:
            rigs.until(lambda: any("fail_after" in line for line in caplog.messages))
            told.append((self.stop_requested, rigs.state("main")))

    task = Brief(subject="SP_01", remote_rigs=["main", "left"], **settings)
    with contextlib.suppress(SessionFailed):  # of the broken rig it is not known what it recorded
        task.run()
    assert told == [(False, "running")]
    assert rigs.states() == {"connected"}


def test_a_mapping_of_addresses_asks_no_rigs_file(lab: Any, settings: Any, rigs_file: Path) -> None:
    rigs_file.write_text("this: is: no: yaml")
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    assert task.remote_rigs.conductor.policies == {}
    task.run()


def test_an_unknown_name_is_refused_with_the_known_ones(lab: Any, settings: Any, rigs_file: Path) -> None:
    rigs_file.write_text(yaml.safe_dump(lab))
    with pytest.raises(ValueError, match=r"'lef'.*main.*left|'lef'.*left") as caught:
        Task(subject="SP_01", remote_rigs=["lef"], **settings)
    assert isinstance(caught.value, ConfigError)


def test_without_a_rigs_file_the_next_action_is_named(settings: Any, rigs_file: Path) -> None:
    with pytest.raises(ConfigError, match="multirig rigs add"):
        Task(subject="SP_01", remote_rigs=["cameras"], **settings)


def test_the_parser_takes_several_names_each_time() -> None:
    parser = Task.extra_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    found = parser.parse_args(["--remote", "a", "b", "--remote", "c"]).remote_rigs
    assert found == [["a", "b"], ["c"]]


# -- who does not agree --------------------------------------------------------------------------------


def test_another_subject_at_the_main_sync_is_an_error_that_names_the_rig(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today}_1_XX_99")
    with pytest.raises(SubjectMismatch, match=r"ephys.*XX_99.*SP_01"):
        Task(subject="SP_01", remote_rigs={"ephys": uri}, **settings)
    assert not any(one[0] in (1, 2) for one in rigs.heard["ephys"])


def test_a_refused_session_does_not_touch_a_rig_that_records_for_somebody_else(
    rigs: Any, lab: Any, settings: Any
) -> None:
    task = Task(subject="XX_99", remote_rigs=lab, **settings)
    task.start_mixin_network()
    with pytest.raises(AgreementError, match="XX_99"):
        Task(subject="SP_01", remote_rigs=lab, **settings)
    assert rigs.states() == {"running"}
    task.cleanup_mixin_network()
    assert rigs.states() == {"connected"}


def test_another_date_at_the_main_sync_is_an_error_that_names_the_rig(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today - datetime.timedelta(days=1)}_1_SP_01")
    with pytest.raises(DateMismatch, match="ephys"):
        Task(subject="SP_01", remote_rigs={"ephys": uri}, **settings)


def test_two_main_syncs_are_an_error_that_names_both(rigs: Any, lab: Any, settings: Any) -> None:
    lab["right"] = rigs.add("right", main_sync=True)
    with pytest.raises(SeveralMainSyncs, match=r"main.*right"):
        Task(subject="SP_01", remote_rigs=lab, **settings)
    assert rigs.states() == {"connected"}


def test_no_main_sync_is_an_error_that_says_what_to_do(rigs: Any, settings: Any) -> None:
    with pytest.raises(NoMainSync, match="main_sync: true"):
        Task(subject="SP_01", remote_rigs={"left": rigs.add("left")}, **settings)


def test_a_rig_that_is_off_is_named_and_nobody_is_touched(rigs: Any, lab: Any, settings: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        lab["off"] = f"udp://127.0.0.1:{one.getsockname()[1]}"
    with pytest.raises(SessionFailed, match="off"):
        Task(subject="SP_01", remote_rigs=lab, **settings)
    assert rigs.states() == {"connected"}


def test_a_rig_that_cannot_get_ready_is_named_and_the_others_are_let_go(
    rigs: Any, lab: Any, settings: Any
) -> None:
    lab["dark"] = rigs.add("dark", fake={"fail": {"initialise": "no light: open the shutter"}})
    with pytest.raises(SessionFailed, match=r"dark.*open the shutter"):
        Task(subject="SP_01", remote_rigs=lab, **settings)
    rigs.until(lambda: rigs.states() == {"connected"})


def test_a_rig_that_cannot_start_is_named_and_the_data_folder_stays(
    rigs: Any, lab: Any, settings: Any
) -> None:
    lab["dark"] = rigs.add("dark", fake={"fail": {"start": "no light: open the shutter"}})
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    with pytest.raises(SessionFailed, match=r"dark.*open the shutter"):
        task.run()
    assert [what for what, _ in task.met] == ["constructed", "hardware", "hardware stopped"]
    assert task.paths.SESSION_RAW_DATA_FOLDER.is_dir()
    rigs.until(lambda: rigs.states() == {"connected"})


def test_a_rig_that_cannot_stop_is_an_error_after_the_task_has_saved_everything(
    rigs: Any, lab: Any, settings: Any
) -> None:
    lab["stuck"] = rigs.add("stuck", fake={"fail": {"stop": "the disk is gone"}})
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    with pytest.raises(SessionFailed, match=r"stuck.*the disk is gone"):
        task.run()
    saved = json.loads((task.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json").read_text())
    assert saved["SESSION_END_TIME"] is not None
    assert rigs.state("main") == rigs.state("left") == "connected"


# -- what goes wrong in the task -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), KeyboardInterrupt(), SystemExit(143)]
)
@pytest.mark.parametrize("where", ["constructed", "hardware", "task"])
def test_whatever_ends_the_task_reaches_the_rigs_and_lets_them_go(
    rigs: Any, lab: Any, settings: Any, where: str, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        Task(subject="SP_01", remote_rigs=lab, fails=where, error=error, **settings).run()
    assert rigs.states() == {"connected"}
    (folder,) = (rigs.folder / "pc").glob("*/Subjects/*/*/*")
    (told,) = interrupts(folder)
    assert told["error"] == type(error).__name__
    assert told["message"]
    assert told["file"] == __file__
    assert isinstance(told["line_no"], int)
    assert type(error).__name__ in told["traceback"]


def test_an_error_after_the_task_finds_the_rigs_stopped_and_lets_them_go(
    rigs: Any, lab: Any, settings: Any
) -> None:
    task = Task(subject="SP_01", remote_rigs=lab, fails="hardware stopped", **settings)
    with pytest.raises(ZeroDivisionError):
        task.run()
    assert rigs.states() == {"connected"}


def test_the_settings_are_saved_when_the_task_fails(rigs: Any, lab: Any, settings: Any) -> None:
    task = Task(subject="SP_01", remote_rigs=lab, fails="task", **settings)
    with pytest.raises(ZeroDivisionError):
        task.run()
    saved = json.loads((task.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json").read_text())
    assert saved["SESSION_END_TIME"] is not None


def test_an_iblutil_rig_is_told_in_less_than_a_thousand_bytes(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today}_1_SP_01")
    with pytest.raises(ZeroDivisionError):
        Task(subject="SP_01", remote_rigs={"ephys": uri}, fails="task", **settings).run()
    (told,) = [one for one in rigs.heard["ephys"] if one[0] == 16]
    assert told[1]["error"] == "ZeroDivisionError"
    assert told[1]["message"] == "division by zero"
    assert len(json.dumps(told)) < 1000


SCRIPT = """
import sys, time
from multirig.ibl import NetworkSession

class Task(NetworkSession):
    protocol_name = "_test_task"
    def start_hardware(self):
        print("hardware", flush=True)
        if {where!r} == "hardware": time.sleep(60)
    def _run(self):
        print("task", flush=True)
        time.sleep(60)

Task(subject="SP_01", remote_rigs={rigs!r}, interactive=False,
     iblrig_settings={settings!r}).run()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals to another process are POSIX")
@pytest.mark.parametrize("where", ["hardware", "task"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_rigs_go_and_ends_the_process_with_the_right_code(
    rigs: Any, lab: Any, settings: Any, where: str, number: int, tmp_path: Path
) -> None:
    script = tmp_path / "task.py"
    script.write_text(SCRIPT.format(where=where, rigs=lab, settings=settings["iblrig_settings"]))
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        while (line := process.stdout.readline().strip()) != where:
            assert line in ("hardware", "task"), process.communicate()
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    expected = {signal.SIGINT: (-signal.SIGINT, 130), signal.SIGTERM: (143,)}[signal.Signals(number)]
    assert process.returncode in expected, errors
    assert rigs.states() == {"connected"}


SLOW = """
from multirig.ibl import NetworkSession

class Task(NetworkSession):
    protocol_name = "_test_task"
    def start_hardware(self):
        pass
    def _run(self):
        pass

Task(subject="SP_01", remote_rigs={rigs!r}, interactive=False, iblrig_settings={settings!r}).run()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals to another process are POSIX")
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("step", "state"),
    [("initialise", "initialising"), ("start", "starting"), ("stop", "stopping"), ("cleanup", "cleaning up")],
)
def test_ctrl_c_while_rigs_take_a_step_lets_them_go(
    rigs: Any, lab: Any, settings: Any, tmp_path: Path, step: str, state: str, times: int
) -> None:
    lab["slow"] = rigs.add("slow", fake={"delay": {step: 1.0}})
    script = tmp_path / "task.py"
    script.write_text(SLOW.format(rigs=lab, settings=settings["iblrig_settings"]))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        rigs.until(lambda: rigs.state("slow") == state)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode in (-signal.SIGINT, 130)
    rigs.until(lambda: rigs.states() == {"connected"})


def test_signal_handlers_are_given_back(rigs: Any, lab: Any, settings: Any) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    task.run()
    assert {one: signal.getsignal(one) for one in before} == before


def test_a_session_outside_of_the_main_thread_leaves_the_signals_alone(
    rigs: Any, lab: Any, settings: Any
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            Task(subject="SP_01", remote_rigs=lab, **settings).run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert not errors
    assert signal.getsignal(signal.SIGTERM) is before


# -- communicate ---------------------------------------------------------------------------------------


def test_a_failed_message_cleans_up_and_raises_or_is_returned(rigs: Any, lab: Any, settings: Any) -> None:
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    rigs.do(rigs.services["left"].close())
    task.remote_rigs.limit = 1.0
    returned = task.communicate("EXPSTATUS", 0, raise_on_exception=False)
    assert isinstance(returned, SessionFailed)
    assert list(returned.causes) == ["left"]
    assert task.remote_rigs.is_running
    with pytest.raises(SessionFailed, match="left"):
        task.communicate("EXPSTATUS", 0)
    assert not task.remote_rigs.is_running
    assert rigs.state("main") == "connected"


def test_a_response_for_another_session_is_an_error_that_names_the_rig(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today}_1_SP_01", answers=True)
    task = Task(subject="SP_01", remote_rigs={"ephys": uri}, **settings)
    server = rigs.foreign["ephys"]

    async def answer_wrongly() -> None:
        server.clear_callbacks("EXPSTART")

        def wrong(data: Any, addr: Any) -> None:
            import asyncio

            task_ = asyncio.ensure_future(server.confirmed_send([2, f"{today}_9_SP_01", None], addr=addr))
            rigs.kept = task_

        server.assign_callback("EXPSTART", wrong)

    rigs.do(answer_wrongly())
    with pytest.raises(SessionFailed, match=r"ephys.*_9_SP_01"):
        task.run()


# -- what is written down ------------------------------------------------------------------------------


def test_rigs_their_addresses_and_their_parts_are_in_the_description_and_the_settings(
    rigs: Any, lab: Any, settings: Any
) -> None:
    task = Task(subject="SP_01", remote_rigs=lab, projects=["p"], procedures=["q"], **settings)
    task.run()
    written = yaml.safe_load((task.paths.SESSION_FOLDER / "_multirig_description.yaml").read_text())
    assert written["remote_rigs"] == lab
    assert set(str(written["devices"]).split("'")) >= {"left", "main"}
    assert written["projects"] == ["p"]
    saved = json.loads((task.paths.SESSION_RAW_DATA_FOLDER / "_iblrig_taskSettings.raw.json").read_text())
    assert saved["REMOTE_RIGS"] == lab
    assert saved["EXP_REF"].endswith("_1_SP_01")
    assert saved["SESSION_NUMBER"] == 1


def test_two_syncs_are_an_error_that_names_both(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None
) -> None:
    task = Task(
        subject="SP_01",
        remote_rigs={"left": rigs.add("left")},
        hardware_settings={"MAIN_SYNC": True},
        **settings,
    )
    part = {"sync": {"nidq": {"collection": "raw_ephys_data"}}}
    task.rig_information = {"left": Info(experiment_description=part)}
    with pytest.raises(ValueError, match=r"this PC.*nidq on left"):
        task._describe_rigs()
    task.cleanup_mixin_network()


# -- over another base session -------------------------------------------------------------------------


def test_every_member_of_ibls_session_is_there(settings: Any) -> None:
    task = Task(subject="SP_01", **settings)
    members = """remote_rigs exp_ref extra_parser connect communicate get_exp_info one init_mixin_network
    start_mixin_network stop_mixin_network cleanup_mixin_network run""".split()
    assert [one for one in members if not hasattr(task, one)] == []
    assert issubclass(NetworkSession, BaseSession)


def test_an_alyx_token_of_a_rig_reaches_one_and_that_of_another_user_does_not(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None, caplog: pytest.LogCaptureFixture
) -> None:
    settings["iblrig_settings"]["ALYX_USER"] = "sara"
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today}_1_SP_01")
    task = Task(subject="SP_01", remote_rigs={"ephys": uri}, **settings)
    url = "http://127.0.0.1:1"
    assert task.one.offline

    def send(user: str) -> None:
        rigs.say("ephys", [128, url, {user: {"token": "s3cret"}}])

    with caplog.at_level(logging.DEBUG):
        send("peter")
        rigs.until(lambda: "ephys sent an Alyx token of user peter" in caplog.text)
        assert task.one.offline
        send("sara")
        rigs.until(lambda: not task.one.offline)
        assert task.one.alyx.user == "sara"
        assert task.one.alyx.is_logged_in
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("iblutil")]
    assert not any("s3cret" in one for one in ours)
    task.run()
    assert "s3cret" not in (task.paths.SESSION_FOLDER / "_multirig_journal.jsonl").read_text()


class LoggedInOne:
    """As ONE looks whose user is logged in."""

    class alyx:
        base_url, user, is_logged_in = "https://alyx.example.org", "sara", True
        _token = {"token": "s3cret"}  # noqa: RUF012

    offline = False


@pytest.mark.parametrize("allowed", [["ephys"], ["another"], []])
def test_a_rig_that_asks_for_the_token_gets_it_only_if_it_is_named(
    rigs: Any, settings: Any, today: Any, needs_iblutil: None, allowed: list[str]
) -> None:
    settings["iblrig_settings"]["allow_cleartext_token"] = allowed
    uri = rigs.add_iblutil("ephys", exp_ref=f"{today}_1_SP_01")
    task = Task(subject="SP_01", remote_rigs={"ephys": uri}, one=LoggedInOne(), **settings)
    server = rigs.foreign["ephys"]
    got: list[Any] = []
    for event in (0, 128):
        server.assign_callback(event, lambda data, addr: got.append(data))
    rigs.say("ephys", [128, None, {}])
    rigs.until(lambda: got)
    if allowed == ["ephys"]:
        assert got == [["https://alyx.example.org", {"sara": {"token": "s3cret"}}]]
    else:
        assert "may not be given the Alyx token" in got[0][0]
        assert "s3cret" not in str(got)
    task.cleanup_mixin_network()


def test_the_reference_is_written_as_one_writes_it(settings: Any, today: Any) -> None:
    task = Task(subject="SP_01", **settings)
    task.exp_ref = {"subject": "SP_01", "date": today, "sequence": 7}
    assert task.get_exp_info()["exp_ref"] == task.one.dict2ref(task.exp_ref)


def test_without_one_looking_at_it_names_the_extra_and_a_session_works(
    rigs: Any, lab: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == "one" or name.startswith("one.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "one", None)
    task = Task(subject="SP_01", remote_rigs=lab, **settings)
    with pytest.raises(ConfigError, match=r'pip install "multirig\[ibl\]"'):
        task.one  # noqa: B018  looking is what fails
    task.run()
    assert rigs.states() == {"connected"}
