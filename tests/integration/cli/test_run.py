"""``multirig run`` over real rig processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml


def test_a_session_over_two_rigs_is_recorded_and_shown(rig, multirig, tmp_path: Path):
    rigs = tmp_path / "rigs.yaml"
    for name, main_sync in (("ephys", True), ("cameras", False)):
        multirig("rigs", "add", name, rig(name, main_sync=main_sync).uri, "--rigs-file", rigs)
    done = multirig(
        *("run", "--subject", "SP_01", "--remote", "ephys", "cameras", "--seconds", "0.5"),
        *("--rigs-file", rigs, "--data", tmp_path / "conductor", "--json"),
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["subject"] == "SP_01"
    assert summary["state"] == "idle"
    assert [step["name"] for step in summary["steps"]] == ["agree", "initialise", "start", "stop", "clean up"]
    for name in ("ephys", "cameras"):
        (recorded,) = summary["rigs"][name]["files"]
        folder = tmp_path / name / "mylab" / "Subjects" / "SP_01"
        (path,) = folder.glob(f"*/001/{recorded['path']}")
        assert path.stat().st_size == recorded["bytes"]
        assert recorded["frames"] == len(path.read_text().splitlines()) - 1
    shown = multirig("show", summary["session_folder"])
    assert shown.returncode == 0
    assert "fake.csv" in shown.stdout
    assert json.loads(multirig("show", summary["session_folder"], "--json").stdout) == summary


def test_a_session_without_a_task_is_described_with_its_rigs_and_their_sync(rig, multirig, tmp_path: Path):
    sync = {"nidq": {"collection": "raw_ephys_data", "acquisition_software": "spikeglx"}}
    ephys = rig("ephys", main_sync=True, experiment_description={"sync": sync})
    cameras = rig("cameras:left", adapter={"type": "fake", "collection": "raw_video_data"})
    remote = {"ephys": ephys.uri, "cameras:left": cameras.uri}
    (tmp_path / "rigs.yaml").write_text(yaml.safe_dump(remote))
    words = "run -s SP_01 --seconds 0.2 --rigs-file rigs.yaml --data pc --remote".split()
    done = multirig(*words, *remote)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("pc/mylab/Subjects/SP_01/*/001/_ibl_experiment.description.yaml")
    assert yaml.safe_load(path.read_bytes()) == {
        "devices": {
            "ephys": {"ephys": {"collection": "raw_data"}},
            "cameras": {"left": {"collection": "raw_video_data"}},
        },
        "procedures": [],
        "projects": [],
        "remote_rigs": remote,
        "sync": sync,
        "tasks": [],
        "version": "1.0.0",
    }


def test_a_session_that_could_not_begin_leaves_its_number_to_the_next(rig, multirig, tmp_path: Path):
    good = rig(
        "ephys",
        main_sync=True,
        adapter={"type": "fake", "fail": {"initialise": "x"}, "fail_times": {"initialise": 1}},
    )
    words = ["run", "-s", "SP_01", "--seconds", "0.2", "--data", "pc", "--remote", good.uri]
    assert multirig(*words).returncode == 1
    done = multirig(*words)
    assert done.returncode == 0, done.stderr
    assert [one.parent.name for one in tmp_path.rglob("_multirig_verdict.json")] == ["001"]


@pytest.mark.parametrize(
    "command", ["run -s SP_01 --seconds inf -r udp://127.0.0.1:9", "check --minutes nan -r udp://127.0.0.1:9"]
)
def test_a_session_without_end_is_refused_before_any_rig_is_asked(multirig, command: str):
    done = multirig(*command.split())
    assert done.returncode == 2
    assert "a session cannot last" in done.stderr
    assert "127.0.0.1" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_ends_a_session_in_good_order(rig, session):
    process = session(rig("ephys", main_sync=True).uri)
    for line in process.stderr:
        if "recording; Ctrl-C ends" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "stop" in err
    assert "fake.csv" in out


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process on Windows")
@pytest.mark.parametrize(
    ("number", "why"),
    [
        (signal.SIGINT, "stopped by the operator before the start"),
        (signal.SIGTERM, "it was ended from outside (SIGTERM) before the start"),
        (signal.SIGHUP, "its terminal was closed (SIGHUP) before the start"),
    ],
)
def test_what_has_ended_a_session_before_its_start_is_told_as_it_was(rig, session, tmp_path, number, why):
    one = rig("ephys", main_sync=True, adapter={"type": "fake", "delay": {"initialise": 20}})
    process = session(one.uri, "--no-check")
    one.expect("ephys is initialising")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    [journal] = tmp_path.rglob("_multirig_journal.jsonl")
    assert why in journal.read_text()


def test_a_rig_that_cannot_start_rolls_back_the_others_and_is_named(rig, multirig, tmp_path: Path):
    good = rig("ephys", main_sync=True)
    bad = rig("cameras", adapter={"type": "fake", "fail": {"start": "the shutter is stuck"}})
    (tmp_path / "rigs.yaml").write_text(f"ephys: {good.uri}\ncameras: {bad.uri}\n")
    done = multirig(*"run -s SP_01 --seconds 1 --rigs-file rigs.yaml --remote ephys cameras".split())
    assert done.returncode == 1
    assert "start failed on cameras" in done.stderr
    assert "the shutter is stuck" in done.stderr
    assert "ephys" not in done.stderr.partition("start failed on cameras")[2]
    good.expect("ephys is stopped")
    good.expect("ephys is connected")
    bad.expect("cameras is connected")


def test_a_dead_rig_is_named_and_nobody_is_touched(rig, multirig, tmp_path: Path):
    good = rig("ephys", main_sync=True)
    (tmp_path / "rigs.yaml").write_text(f"ephys: {good.uri}\ncameras: udp://127.0.0.1:9\n")
    began = time.monotonic()
    done = multirig(*"run -s SP_01 --rigs-file rigs.yaml --remote ephys cameras".split())
    assert done.returncode == 1
    assert "cameras: nothing listens there: start 'multirig serve' on that PC" in done.stderr
    assert "no rig has been touched" in done.stderr
    assert time.monotonic() - began < 20
    assert not (tmp_path / "ephys" / "mylab").exists()


@pytest.mark.parametrize(
    ("main_syncs", "words"),
    [((False, False), "no main sync among ephys, cameras"), ((True, True), "2 main syncs: ephys, cameras")],
)
def test_not_exactly_one_main_sync_is_exit_code_3(rig, multirig, tmp_path: Path, main_syncs, words: str):
    names = ("ephys", "cameras")
    uris = [rig(name, main_sync=one).uri for name, one in zip(names, main_syncs, strict=True)]
    (tmp_path / "rigs.yaml").write_text("".join(f"{n}: {u}\n" for n, u in zip(names, uris, strict=True)))
    done = multirig(*"run -s SP_01 --rigs-file rigs.yaml --remote ephys cameras".split())
    assert done.returncode == 3
    assert words in done.stderr


def test_another_subject_at_the_main_sync_is_exit_code_3(rig, multirig, tmp_path: Path):
    one = rig("ephys", main_sync=True)
    uri = one.uri
    one.type("start MOUSE_7")
    one.expect("is running")
    done = multirig("run", "-s", "SP_01", "-r", uri)
    assert done.returncode == 3
    assert "is at subject MOUSE_7" in done.stderr
    assert "you asked for SP_01" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run -s SP_01 --rigs-file rigs.yaml", ("--remote", "known: ephys")),
        ("run -s SP_01 --rigs-file rigs.yaml --remote ehpys", ("ehpys", "ephys")),
        ("run -s ../x --remote udp://127.0.0.1:9", ("../x", "letters, digits")),
        ("run -s SP_01 --remote udp://127.0.0.1:99999", ("99999", "port")),
        ("run --remote ephys", ("--subject",)),
        ("run -s SP_01 --remote", ("--remote",)),
        ("show .", ("no journal", "session folder")),
        ("nonsense", ("nonsense",)),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_says_what_is_right(multirig, tmp_path, arguments, words):
    (tmp_path / "rigs.yaml").write_text("ephys: udp://127.0.0.1:9\n")
    done = multirig(*arguments.split())
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr


def test_this_pc_can_be_the_main_sync(rig, multirig, tmp_path: Path):
    uri = rig("cameras").uri
    done = multirig("run", "-s", "SP_01", "-r", uri, "--main-sync", "--seconds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exp_ref"].endswith("_1_SP_01")


def test_a_recording_that_fails_by_itself_is_told_while_the_others_go_on(rig, multirig, tmp_path: Path):
    good = rig("ephys", main_sync=True)
    bad = rig("cameras", adapter={"type": "fake", "fail_after": 0.3})
    (tmp_path / "rigs.yaml").write_text(f"ephys: {good.uri}\ncameras: {bad.uri}\n")
    done = multirig(*"run -s SP_01 --seconds 1.5 --rigs-file rigs.yaml --remote ephys cameras --json".split())
    assert done.returncode == 1
    assert "! cameras:" in done.stderr
    summary = json.loads(done.stdout)
    assert summary["rigs"]["cameras"]["problems"]
    assert summary["rigs"]["ephys"]["problems"] == []
    assert summary["rigs"]["ephys"]["files"]


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_while_a_rig_initialises_lets_every_rig_go_and_records_nothing(rig, session, tmp_path: Path):
    slow = rig("ephys", main_sync=True, adapter={"type": "fake", "delay": {"initialise": 20}})
    process = session(slow.uri)
    slow.expect("ephys is initialising")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 130, err
    assert "interrupted" in err
    slow.expect("ephys is connected")
    assert not list((tmp_path / "ephys").glob("mylab/Subjects/SP_01/*/001"))


def test_a_rig_that_is_stopped_at_its_own_keyboard_is_told_and_remembered(rig, session):
    one = rig("ephys", main_sync=True)
    process = session(one.uri, "--seconds", "3", "--json")
    one.expect("is running")
    one.type("stop")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    assert "stopped at its own keyboard" in err
    (summary,) = json.loads(out)["rigs"].values()
    assert "stopped at its own keyboard" in summary["problems"][0]


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be held on Windows")
def test_a_rig_that_falls_silent_is_told_while_the_session_runs(rig, session):
    one = rig("ephys", main_sync=True)
    process = session(one.uri)
    for line in process.stderr:
        if "recording; Ctrl-C ends" in line:
            break
    one.process.send_signal(signal.SIGSTOP)
    try:
        assert any("is not heard any more" in line for line in process.stderr)
    finally:
        one.process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "fake.csv" in out


def test_a_session_begins_without_an_optional_rig_and_in_the_order_that_the_file_says(
    rig, multirig, tmp_path: Path
):
    good = rig("ephys", main_sync=True, adapter={"type": "fake", "delay": {"start": 0.7}})
    after = rig("cameras", adapter={"type": "fake", "delay": {"stop": 0.7}})
    bad = rig("webcam", adapter={"type": "fake", "fail": {"initialise": "no camera is plugged in"}})
    (tmp_path / "rigs.yaml").write_text(
        f"cameras: {{uri: '{after.uri}', after: ephys}}\nephys: {{uri: '{good.uri}', role: essential}}\n"
        f"webcam: {{uri: '{bad.uri}', role: optional}}\n"
    )
    done = multirig(
        *"run -s SP_01 --seconds 0.5 --rigs-file rigs.yaml --remote cameras ephys webcam --json".split()
    )
    rigs = json.loads(done.stdout)["rigs"]
    (ephys,), (cameras,) = rigs["ephys"]["files"], rigs["cameras"]["files"]
    assert ephys["first"] < cameras["first"]
    assert ephys["last"] > cameras["last"] - 0.3
    assert "no camera is plugged in" in done.stderr + done.stdout
    assert not rigs["webcam"]["files"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for a child")
def test_a_rig_whose_program_is_ended_says_so_once(rig, session):
    one = rig("ephys", main_sync=True)
    process = session(one.uri, "--no-check", "--seconds", "3")
    one.expect("ephys is running")
    for line in process.stderr:
        if "start " in line:
            break
    one.process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    alarms = [line for line in err.splitlines() if line.startswith("! ephys: it was stopped: its program")]
    assert len(alarms) == 1, err


def test_whoever_waits_for_a_rig_that_is_gone_reads_why(rig, session):
    one = rig("ephys", main_sync=True)
    process = session(one.uri, "--no-check", "--seconds", "2")
    assert any(line.startswith("✓ start") for line in process.stderr)
    one.process.kill()
    said = next(line for line in process.stderr if "(stop is tried on)" in line)
    assert said.startswith("! ephys: nothing listens")


def test_a_rig_that_is_not_needed_is_named_where_it_fails_and_what_is_quick_is_not_excused(
    rig, multirig, tmp_path
):
    main = rig("ephys", main_sync=True, limits={"initialise": "5 min"})
    poor = rig("cameras", adapter={"type": "fake", "fail": {"initialise": "the shutter is stuck"}})
    rigs = f"ephys: {main.uri}\ncameras: {{uri: '{poor.uri}', role: optional}}\n"
    (tmp_path / "rigs.yaml").write_text(rigs)
    done = multirig(*"run -s SP_01 --seconds 0.3 --rigs-file rigs.yaml --remote ephys cameras".split())
    assert "1 of 2 rigs" in done.stderr
    assert re.search(r"start +1 rig in", done.stderr), "who takes no part is counted no more"
    assert "! cameras: is not needed, and takes no part: " in done.stderr
    assert "the shutter is stuck" in done.stderr
    assert "may take up to" not in done.stderr


@pytest.mark.parametrize("closed", ["sys.stdout = None", "sys.stdout = sys.stderr = None"])
def test_a_program_without_a_console_ends_as_it_has_gone(closed):
    """As Windows' pythonw.exe starts it: there is no stream at all."""
    code = f"import sys; {closed}; sys.argv = ['multirig', 'rigs', 'nothing-like-that']"
    code += "; from multirig.cli.start import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=30, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no disk there is always full")
def test_what_a_full_disk_does_not_take_is_no_success(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "multirig", "history", "--json", "--data", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert "the disk is full to which the output goes" in done.stderr
