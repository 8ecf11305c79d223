"""A rig process, at its keyboard and without one."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_rig_records_by_its_own_keyboard_and_quits(rig, tmp_path: Path):
    one = rig("camera")
    one.expect("ready at")
    one.type("start SP_01")
    one.expect("camera is running")
    one.type("stop")
    one.expect("camera is stopped")
    one.expect("camera is connected")
    assert one.end() == 0
    assert list((tmp_path / "camera" / "mylab" / "Subjects" / "SP_01").glob("*/001/raw_data/fake.csv"))


def test_a_word_that_the_keyboard_does_not_know_is_answered_with_those_that_it_knows(rig):
    one = rig("camera")
    one.type("strat SP_01")
    one.expect("start SUBJECT, stop, quit")
    one.type("start")
    one.expect("start SUBJECT, stop, quit")


def test_a_closed_keyboard_does_not_end_a_rig(rig):
    one = rig("camera")
    one.expect("ready at")
    one.process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        one.process.wait(0.5)
    one.process.stdin = None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for a child")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_recording_and_then_the_rig(rig, tmp_path: Path, number: int):
    one = rig("camera", "--no-keyboard")
    one.expect("ready at")
    one.type("start SP_01")  # nobody reads it
    one.process.send_signal(number)
    one.expect("camera ended")
    assert one.process.wait(10) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for a child")
def test_a_signal_in_the_middle_of_a_recording_loses_nothing(rig, tmp_path: Path):
    one = rig("camera")
    one.expect("ready at")
    one.type("start SP_01")
    one.expect("is running")
    one.process.send_signal(signal.SIGTERM)
    one.expect("camera ended")
    assert one.process.wait(10) == 0
    assert list((tmp_path / "camera" / "mylab" / "Subjects" / "SP_01").glob("*/001/raw_data/fake.csv"))


def test_a_second_rig_of_the_same_name_is_refused_in_one_line(rig, multirig, tmp_path: Path):
    one = rig("camera")
    one.expect("ready at")
    second = multirig("serve", tmp_path / "camera.yaml", "--plain")
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"runs on this PC already as process {one.process.pid}" in second.stderr


def test_the_lock_of_a_killed_rig_does_not_keep_the_next_one_out(rig):
    first = rig("camera")
    first.expect("ready at")
    first.process.kill()
    first.process.wait()
    rig("camera").expect("ready at")


def test_a_port_in_use_is_one_line_that_names_rig_address_and_what_to_do(multirig, tmp_path: Path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        where = f"uri: udp://127.0.0.1:{port}\ndata_folder: d\nlog_folder: l\n"
        (tmp_path / "rig.yaml").write_text(f"name: camera\n{where}adapter: {{type: fake}}\n")
        done = multirig("serve", "rig.yaml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "rig camera" in done.stderr
    assert f"udp://127.0.0.1:{port}" in done.stderr
    assert "choose another port" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: camera\ndata_folder: d\nadaptor: {type: fake}\n", ("rig.yaml", "adaptor", "adapter")),
        ("name: camera\ndata_folder: d\nadapter: {type: fakee}\n", ("camera", "fakee", "fake")),
        ("name: camera\ndata_folder: d\nuri: udp:/x\nadapter: {type: fake}\n", ("rig.yaml", "uri", "udp://")),
    ],
)
def test_a_typo_in_a_config_is_one_line_that_names_the_key(multirig, tmp_path: Path, text: str, words):
    (tmp_path / "rig.yaml").write_text(text)
    done = multirig("serve", "rig.yaml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_what_a_rig_did_is_in_its_log(rig, tmp_path: Path):
    one = rig("camera:left")
    one.expect("ready at")
    one.end()
    assert "listens at" in (tmp_path / "logs" / "camera_left.log").read_text()


def test_the_package_runs_as_a_module(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "multirig", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("multirig ")
