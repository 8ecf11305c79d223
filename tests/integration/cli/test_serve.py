"""A rig process, at its keyboard and without one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock


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
    one.expect("start SUBJECT, stop, subject SUBJECT, quit")
    one.type("start")
    one.expect("start SUBJECT, stop, subject SUBJECT, quit")


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


# -- an operator's subject -----------------------------------------------------------------------------------


def test_a_rig_that_is_set_up_for_a_subject_refuses_another_one_with_exit_code_3(rig, multirig, tmp_path):
    cameras = rig("cameras", "--subject", "SP_02")
    (tmp_path / "rigs.yaml").write_text(f"cameras: {cameras.uri}\n")
    cameras.expect("cameras is set up for subject SP_02")
    rigs = ("--rigs-file", tmp_path / "rigs.yaml", "--remote", "cameras")
    run = ("run", *rigs, "--main-sync", "--seconds", "0.2", "--subject")
    refused = multirig(*run, "SP_01")
    assert refused.returncode == 3
    assert (
        "cameras is set up for subject SP_02, you asked for SP_01: correct the subject, "
        "or type 'subject SP_01' at that PC\n"
    ) in refused.stderr
    cameras.type("subject SP_01")
    cameras.expect("cameras is set up for subject SP_01")
    assert multirig(*run, "SP_01").returncode == 0
    assert multirig(*run, "SP_02").returncode == 3
    cameras.type("subject")
    cameras.expect("cameras is set up for any subject")
    assert multirig(*run, "SP_02").returncode == 0
    assert cameras.end() == 0


def test_the_keyboard_starts_the_subject_that_the_rig_is_set_up_for(rig):
    one = rig("camera", "--subject", "SP_02")
    one.expect("set up for subject SP_02")
    one.type("start")
    one.expect(r"recording \S+_SP_02")
    one.type("subject SP_03")
    one.type("stop")
    one.expect("camera is connected")
    one.end()
    assert "✗ the rig is running" in (one.process.stderr.read())


def test_a_subject_that_cannot_name_a_folder_is_refused_before_the_rig_listens(rig, multirig, tmp_path: Path):
    rig("camera").end()
    done = multirig("serve", tmp_path / "camera.yaml", "--subject", "a/b")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "subject 'a/b' cannot name a folder" in done.stderr


# -- registration --------------------------------------------------------------------------------------------


def test_a_rig_registers_under_the_port_that_it_really_has(rig, multirig, tmp_path: Path):
    file = tmp_path / "lab" / "rigs.yaml"
    one = rig("cameras:left", "--register", "--rigs-file", str(file), "--address", "localhost")
    port = one.uri.rpartition(":")[2]
    one.expect("log: ")
    wait_for(file)
    assert yaml.safe_load(file.read_text()) == {"cameras:left": f"udp://localhost:{port}"}
    pinged = multirig("rigs", "ping", "cameras:left", "--rigs-file", file)
    assert pinged.returncode == 0, pinged.stderr
    assert one.end() == 0
    warning = (
        f"! cameras:left is entered in {file} at udp://localhost:{port}: only programs on this PC reach it"
    )
    assert warning in one.process.stderr.read()


def test_a_rig_that_registers_again_says_where_it_was(rig, tmp_path: Path):
    file = tmp_path / "rigs.yaml"
    file.write_text("# room 3\ncamera: udp://192.0.2.77:11001\n")
    one = rig("camera", "--register", "--rigs-file", str(file), "--address", "cam_pc")
    port = one.uri.rpartition(":")[2]
    one.expect(
        rf"camera is entered in .*rigs.yaml at udp://cam_pc:{port}; until now it was there at udp://192.0.2.77:11001$"
    )
    assert file.read_text() == f"# room 3\ncamera: udp://cam_pc:{port}\n"


def test_a_rig_on_loopback_is_not_published_and_says_so(rig, tmp_path: Path):
    file = tmp_path / "rigs.yaml"
    one = rig("camera", "--register", "--rigs-file", str(file))
    uri = one.uri
    warning = one.process.stderr.readline()
    assert warning.startswith(
        f"! camera is not entered in {file}: the rig listens at {uri}, where only this PC"
    )
    assert "--address 127.0.0.1" in warning
    assert not file.exists()
    assert one.end() == 0
    assert warning.removeprefix("! ").strip() in (tmp_path / "logs" / "camera.log").read_text()


def test_a_rig_that_cannot_register_serves_all_the_same(rig, multirig, tmp_path: Path):
    blocked = tmp_path / "no_folder"
    blocked.touch()
    one = rig("camera", "--register", "--rigs-file", str(blocked / "rigs.yaml"), "--address", "127.0.0.1")
    uri = one.uri
    warning = one.process.stderr.readline()
    assert warning.startswith("! camera is not entered in the rigs file: ")
    assert "cannot be changed" in warning
    done = multirig("run", "-s", "SP_01", "-r", uri, "--main-sync", "--seconds", "0.1")
    assert done.returncode == 0, done.stderr
    assert one.end() == 0


def test_a_lock_that_another_program_holds_does_not_hold_up_the_rig(rig, tmp_path: Path):
    file = tmp_path / "rigs.yaml"
    with FileLock(f"{file}.lock"):
        one = rig("camera", "--register", "--rigs-file", str(file), "--address", "127.0.0.1")
        one.expect("ready at")
        one.type("start SP_01")
        one.expect("recording")
    wait_for(file)
    assert one.end() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--register", "--address", "udp://10.0.0.1:5"), "write its name or IP address alone"),
        (("--register", "--address", "0.0.0.0"), "is where a rig may listen"),
        (("--address", "10.0.0.1"), "together with --register only"),
        (("--rigs-file", "rigs.yaml"), "together with --register only"),
    ],
)
def test_a_wrong_option_is_one_line_before_the_rig_listens(rig, multirig, tmp_path: Path, options, words):
    rig("camera").end()
    done = multirig("serve", tmp_path / "camera.yaml", *options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "ready at" not in done.stdout


def wait_for(file: Path) -> None:
    end = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < end, f"{file} does not come"
        time.sleep(0.01)


# -- a conductor that is killed ------------------------------------------------------------------------------


def frames_of(multirig, uri: str) -> int:
    """Ask a rig how it is, as a program that leads nothing."""
    code = (
        "import asyncio, sys\n"
        "from multirig import Conductor, Event\n"
        "async def main():\n"
        "    async with Conductor({'rig': sys.argv[1]}) as conductor:\n"
        "        await conductor.request(Event.EXPINFO, 0, {})\n"
        "        news = (await conductor.request(Event.EXPSTATUS, 0))['rig']\n"
        "        assert news.state.value == 'running', news\n"
        "        print(news.health.frames or 0)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.fixture
def left_alone(rig, session):
    """A main sync that records, and whose conductor was killed; with its address."""
    camera = rig("camera", main_sync=True)
    uri = camera.uri
    leading = session(uri, "--seconds", "600")
    reference = camera.expect(r"camera is running (\S+)")[1]
    leading.kill()
    leading.wait(30)
    return camera, uri, reference


def test_a_recording_goes_on_when_its_conductor_is_killed_and_ends_at_the_keyboard(
    left_alone, multirig, tmp_path
):
    camera, uri, _ = left_alone
    before = frames_of(multirig, uri)
    end = time.monotonic() + 20
    while frames_of(multirig, uri) <= before:  # a rig looks at its adapter now and then
        assert time.monotonic() < end, "it records no more frames"
    camera.type("stop")
    camera.expect("camera is stopped")
    camera.expect("camera is connected")
    [file] = (tmp_path / "camera").rglob("fake.csv")
    assert len(file.read_text().splitlines()) > before
    again = multirig("run", "-s", "SP_02", "-r", uri, "--seconds", "0.2")
    assert again.returncode == 0, again.stderr
    assert camera.end() == 0


def test_another_conductor_goes_on_with_the_recording_of_one_that_was_killed(left_alone, multirig, tmp_path):
    camera, uri, reference = left_alone
    done = multirig("run", "-s", "SP_01", "-r", uri, "--seconds", "0.2", "--take-over")
    assert done.returncode == 0, done.stderr
    assert reference in done.stdout
    camera.expect("camera is connected")
    assert len(list((tmp_path / "camera").rglob("fake.csv"))) == 1
    assert camera.end() == 0


def test_a_recovery_on_the_pc_that_began_takes_back_what_another_conductor_has_joined(
    left_alone, session, multirig, wait_for_start, tmp_path
):
    camera, uri, reference = left_alone
    (folder,) = {path.parent for path in (tmp_path / "data").rglob("_multirig_journal.jsonl")}
    other = session(uri, "--seconds", "600", "--take-over", "--data", str(tmp_path / "other"))
    wait_for_start(tmp_path / "other")
    done = multirig("recover", folder, "--stop", "--take-over")
    camera.expect("camera is connected")
    assert done.returncode == 1, done.stderr  # nobody went on with it for as long as was asked
    assert "INTERRUPTED" in done.stdout
    assert reference in done.stdout
    other.kill()
    assert "is led by" in "".join(other.communicate())


def test_a_conductor_with_another_subject_cannot_take_over_the_recording(left_alone, multirig):
    camera, uri, reference = left_alone
    done = multirig("run", "-s", "SP_02", "-r", uri, "--seconds", "0.2")
    assert done.returncode == 3
    assert reference in done.stderr
    assert frames_of(multirig, uri) > 0
    camera.type("stop")
    camera.expect("camera is connected")


def test_a_rig_waits_for_a_drive_that_comes_late_where_it_is_asked_to(rig, tmp_path: Path):
    drive = tmp_path / "drive"
    drive.write_text("")  # no folder can be made below a file
    one = rig("camera", "--wait", data_folder=str(drive / "data"))
    one.expect_error("cannot make data_folder")
    assert one.process.poll() is None
    drive.unlink()
    drive.mkdir()
    one.expect("ready at")
    assert one.end() == 0


def test_a_rig_does_not_wait_where_nobody_asked_it_to(rig, tmp_path: Path):
    one = rig("camera", uri="udp://192.0.2.1:11001")
    assert one.process.wait(30) == 2
    assert "this PC does not have that address" in one.process.stderr.read()
