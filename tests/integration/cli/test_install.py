"""A rig that starts at log-on, by a systemd that was made for these tests: it does what it is told."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from tests.programs import Program

from multirig.cli.install import register
from multirig.install import system
from multirig.install.job import Job, Kind
from multirig.install.linux import plan_unit
from multirig.install.plan import Places, Way
from multirig.install.records import Record
from multirig.rig.lock import InstanceLock, keeper_lock

LIMIT = 30
SYSTEMCTL = r"""#!/bin/sh
# keeps which units are enabled, and starts what a unit says, apart from whoever asked
echo "$*" >> "$HERE/calls"
shift
case "$1" in
    is-system-running) echo "$STATE" ;;
    enable) touch "$HERE/enabled $2" ;;
    disable) rm -f "$HERE/enabled $2" ;;
    is-enabled) test -e "$HERE/enabled $3" ;;
    start) command=$(sed -n 's/^ExecStart=//p' "$HERE/config/systemd/user/$2")
           eval "setsid $command >>'$HERE/printed' 2>&1 </dev/null &" ;;
esac
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


class Lab:
    """A user's home, with a systemd."""

    def __init__(self, folder: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        self.folder = folder
        self._run = run
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("loginctl", "#!/bin/sh\necho Linger=no\n")):
            (programs / name).write_text(text)
            (programs / name).chmod(stat.S_IRWXU)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def __call__(self, *words: object, state: str = "running") -> subprocess.CompletedProcess[str]:
        return self._run(*words, PATH=self.path, HERE=str(self.folder), STATE=state)

    def write(self, name: str = "cam", **more: object) -> Path:
        path = self.folder / f"{name}.yaml"
        config = {"name": name, "uri": "udp://127.0.0.1:0", "data_folder": "./data", "log_folder": "./log"}
        path.write_text(yaml.safe_dump({**config, "main_sync": True, "adapter": {"type": "fake"}, **more}))
        return path

    def lock(self, name: str = "cam", folder: str = "log") -> InstanceLock:
        return InstanceLock(name, self.folder / folder)

    def process(self) -> int:
        """Return the number of the process of the rig that runs."""
        found = self.lock().find_process()
        assert found is not None
        return found

    @property
    def printed(self) -> str:
        return (self.folder / "printed").read_text() if (self.folder / "printed").exists() else ""

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []

    @property
    def units(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "config" / "systemd" / "user").glob("*"))


@pytest.fixture
def lab(tmp_path: Path, multirig):
    made = Lab(tmp_path, multirig)
    yield made
    for path in (*tmp_path.glob("log/*.pid"), *tmp_path.glob("state/**/*.pid")):
        process = made.lock(path.stem.rpartition("-")[0]).find_process()
        if process is not None:
            os.kill(process, signal.SIGKILL)


def test_a_rig_is_installed_runs_is_listed_and_is_taken_away_again(lab: Lab):
    lab.write()
    done = lab("install", "cam.yaml")
    assert done.returncode == 0, done.stderr
    process = lab.lock().find_process()
    assert done.stderr.splitlines() == [
        "cam is started when you log on to this PC, by systemd: multirig-cam.service",
        "it runs as long as you are logged in; for longer: loginctl enable-linger",
        f"cam runs as process {process}",
        "to take it away again: multirig uninstall cam",
    ]
    words = ["serve", str(lab.folder / "cam.yaml"), "--wait", "--plain", "--no-keyboard"]
    assert psutil.Process(process).cmdline()[-5:] == words
    listed = lab("install", "--list")
    assert (listed.returncode, f"✓ runs, process {process}" in listed.stdout) == (0, True), listed.stdout
    done = lab("uninstall", "cam")
    assert done.stderr.splitlines() == [
        "cam is started no more when you log on",
        f"cam has ended (process {process})",
    ]
    assert (done.returncode, lab.units, lab.printed.splitlines()[-1]) == (0, [], "cam ended")
    assert "nothing is installed" in lab("install", "--list").stderr


def test_a_rig_that_runs_in_a_terminal_is_left_alone_and_a_session_is_never_cut_off(lab: Lab, rig):
    one = rig("cam", main_sync=True)
    one.expect("ready at")
    process = lab.lock("cam", "logs").find_process()
    done = lab("install", "cam.yaml")
    assert done.returncode == 0, done.stderr
    assert f"cam runs now as process {process} and is left alone" in done.stderr
    assert lab.calls[-1] == "--user enable multirig-cam.service"
    done = lab("install", "cam.yaml", "--", "--subject", "SP_01")
    assert "  changed: options was none, is --subject SP_01" in done.stderr
    one.type("start SP_01")
    one.expect("cam is running")
    done = lab("uninstall", "cam.yaml")
    assert done.returncode == 0
    again = lab("install", "cam.yaml")
    assert (again.returncode, "cam was asked to end, and does when" in again.stderr) == (1, True)
    assert "say multirig install" in again.stderr
    assert lab("uninstall", "cam").returncode == 0
    assert "cam is started no more when you log on" in done.stderr
    assert "_1_SP_01, which goes on; it ends when that is over" in done.stderr
    one.expect("cam was asked to end: it does when .*_1_SP_01 is over")
    one.type("stop")
    one.expect("cam ended")
    assert one.process.wait(LIMIT) == 0


def test_what_would_not_start_is_refused_before_anything_is_written(lab: Lab):
    config = lab.write()
    (lab.folder / "wrong.yaml").write_text("name: x\n")
    cases = {
        ("wrong.yaml",): "data_folder is missing",
        ("none.yaml",): "none.yaml: there is no such file",
        ("cameras",): "cameras: there is no such file: give the rig's configuration",
        (str(lab.write("other", adapter={"type": "nothing"})),): "there is no adapter 'nothing'",
        (str(config), "--", "--colour"): "No such option",
        (str(config), "--", "--stay"): "--stay is nothing to start with at log-on",
        (str(config), "--", "--nix"): "multirig serve",
        (str(config), "other.yaml"): "one rig at a time: then say multirig install other.yaml",
        (str(config), "other"): "unexpected extra argument",
        (): "say which rig: multirig install RIG.yaml",
        (str(config), "--system", "linux"): "--system is of use together with --print only",
        (str(config), "--print", "--system", "beos"): "write windows, linux or macos",
        ("--console", "--", "--port", "0"): "--port 0 is another one each time",
        ("--console", "--", "--host", "0.0.0.0"): "it has no password",
    }
    for words, said in cases.items():
        done = lab("install", *words)
        assert (done.returncode, said in done.stderr) == (2, True), (words, done.stderr)
    done = lab("install", config, state="offline")
    assert done.returncode == 1
    assert (
        "systemd of this user does not answer (systemctl --user: offline): nothing was installed"
        in done.stderr
    )
    assert lab.units == []


def test_a_record_that_cannot_be_written_leaves_nothing(lab: Lab):
    folder = lab.folder / "state" / "multirig"
    folder.mkdir(parents=True)
    (folder / "installed").write_text("")
    done = lab("install", lab.write())
    assert (done.returncode, "rig-cam.json cannot be written" in done.stderr) == (2, True), done.stderr
    assert lab.units == []


def test_a_file_whose_rig_is_called_otherwise_since_is_no_second_one(lab: Lab):
    path = lab.write()
    assert lab("install", path).returncode == 0
    path.write_text(path.read_text().replace("name: cam", "name: cam2"))
    assert "is that of cam2 now: multirig uninstall cam, then" in lab("install", "--list").stdout
    done = lab("install", path)
    assert (done.returncode, "first multirig uninstall cam, then" in done.stderr) == (2, True), done.stderr
    assert lab.units == ["multirig-cam.service"]


def test_one_record_that_is_broken_is_in_nobodys_way(lab: Lab):
    assert lab("install", lab.write()).returncode == 0
    (lab.folder / "state/multirig/installed/rig-x.json").write_text("")
    listed = lab("install", "--list")
    assert (listed.returncode, "✓ runs" in listed.stdout) == (1, True), listed.stdout
    assert "rig-x.json cannot be read" in listed.stderr
    done = lab("uninstall", "--all")
    assert (done.returncode, "cam has ended" in done.stderr, lab.units) == (1, True, [])
    assert "rig-x.json cannot be read" in done.stderr


def test_what_is_shown_changes_nothing(lab: Lab):
    config = lab.write()
    for one in ("windows", "linux", "macos"):
        done = lab("install", config, "--print", "--system", one)
        assert done.returncode == 0, done.stderr
        assert str(config) in done.stdout
    assert (lab.units, lab.calls) == ([], [])


def test_the_list_says_what_would_not_start_again_and_it_can_be_taken_away_all_the_same(lab: Lab, rig):
    for name in ("cam", "ephys"):
        rig(name).expect("ready at")
        assert lab("install", f"{name}.yaml").returncode == 0
    (lab.folder / "cam.yaml").rename(lab.folder / "moved.yaml")
    (lab.folder / "enabled multirig-ephys.service").unlink()
    listed = lab("install", "--list")
    assert listed.returncode == 1
    assert "cam.yaml: there is no such file" in listed.stdout
    assert "✗ systemd does not know it any more: multirig install" in listed.stdout
    done = lab("uninstall", "--all")
    assert (done.returncode, lab.units) == (0, []), done.stderr
    assert {"cam has ended", "ephys has ended"} <= {
        line.partition(" (")[0] for line in done.stderr.splitlines()
    }


def test_a_rig_whose_log_folder_is_another_one_since_is_found(lab: Lab, rig):
    lab.write()
    assert lab("install", "cam.yaml").returncode == 0
    lab.lock().ask_to_end()
    until = time.monotonic() + LIMIT
    while lab.lock().find_process() is not None and time.monotonic() < until:
        time.sleep(0.05)
    rig("cam").expect("ready at")  # its log lies elsewhere
    assert "✓ runs" in lab("install", "--list").stdout
    assert "cam has ended" in lab("uninstall", "cam").stderr


def test_what_records_is_never_stopped_where_its_log_folder_is_another_one_since(lab: Lab, rig):
    one = rig("cam", main_sync=True)
    one.expect("ready at")
    assert lab("install", "cam.yaml").returncode == 0
    one.type("start SP_01")
    one.expect("cam is running")
    lab.write(log_folder="./other")
    for _ in range(2):
        assert "cam runs now as process" in lab("install", "cam.yaml").stderr
    for _ in range(2):
        done = lab("uninstall", "cam")
        assert (done.returncode, "which goes on; it ends when" in done.stderr) == (0, True), done.stderr
        assert "nothing is installed" in lab("install", "--list").stderr
        assert "to have it back before, say" in lab("install", "cam.yaml").stderr
    assert lab("uninstall", "cam").returncode == 0
    assert "--user stop multirig-cam.service" not in lab.calls
    one.type("stop")
    one.expect("cam ended")


def test_what_is_not_there_cannot_be_taken_away(lab: Lab):
    done = lab("uninstall", "cam")
    assert (
        done.returncode,
        "no rig 'cam' is installed on this PC for you; installed: nothing" in done.stderr,
    ) == (
        2,
        True,
    )
    assert lab("uninstall").returncode == 2
    done = lab("uninstall", "--console")
    assert (done.returncode, "the console is not installed" in done.stderr) == (2, True), done.stderr
    assert lab("uninstall", "--all").returncode == 0


def test_a_name_that_some_systems_take_for_another_is_refused(lab: Lab, rig):
    rig("cam").expect("ready at")
    assert lab("install", "cam.yaml").returncode == 0
    done = lab("install", lab.write("Cam"))
    assert (done.returncode, "cam is installed here already" in done.stderr) == (2, True), done.stderr


def test_the_console_is_installed_with_its_options_and_taken_away_again(lab: Lab):
    pytest.importorskip("nicegui")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    done = lab("install", "--console", "--", "--lab", "there", "--port", port, "--data", "there")
    assert done.returncode == 0, done.stderr
    assert (
        "console is started when you log on to this PC, by systemd: multirig-console.service" in done.stderr
    )
    unit = lab.folder / "config" / "systemd" / "user" / "multirig-console.service"
    assert f"console --lab there --port {port} --data {lab.folder / 'there'}" in unit.read_text()
    assert f"WorkingDirectory=-{lab.folder}" in unit.read_text()
    listed = lab("install", "--list")
    assert (listed.returncode, "✓ runs, process" in listed.stdout) == (0, True), listed.stdout
    done = lab("uninstall", "--console")
    assert (done.returncode, "console has ended" in done.stderr, lab.units) == (0, True, []), done.stderr


def test_where_task_scheduler_refuses_the_startup_folder_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path / "state"))
    job = Job(kind=Kind.RIG, name="cam", program=("multirig",), arguments=("serve", "cam.yaml"), folder="lab")
    plan, record = register(Record(job=job, way=Way.TASK))
    assert "there is no schtasks on this PC); your Startup folder takes its place" in " ".join(
        capsys.readouterr().err.split()
    )
    assert (record.way, plan.way, system.is_registered(plan)) == (Way.STARTUP, Way.STARTUP, True)
    assert Path(plan.file).parent == tmp_path / "roaming/Microsoft/Windows/Start Menu/Programs/Startup"
    assert list(tmp_path.rglob("*.xml")) == []
    system.unregister(plan)
    assert not system.is_registered(plan)


# -- started again after a crash ---------------------------------------------------------------------------


@pytest.fixture
def keeper(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.folder / "state"))
    started: list[subprocess.Popen[str]] = []

    def start(config: Path, *options: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "multirig",
            "serve",
            str(config),
            "--plain",
            "--no-keyboard",
            "--stay",
            *options,
        ]
        pipe = subprocess.PIPE
        started.append(
            Program(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a program prints until it has said something."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"no {text!r} in {seen}")


def test_a_rig_that_crashes_is_there_again_and_ends_with_its_keeper(lab: Lab, keeper):
    one = keeper(lab.write())
    read_until(one, "ready at")
    os.kill(lab.process(), signal.SIGKILL)
    read_until(one, "cam.yaml ended unexpectedly (killed by signal 9): it is started again in 1 s")
    read_until(one, "log: ")  # from then on it ends in good order
    log = (lab.folder / "log" / "cam.log").read_text()
    assert "ERROR   multirig: ended unexpectedly (killed by signal 9): it is started again in 1 s" in log
    one.terminate()
    printed = one.communicate(timeout=LIMIT)[0]
    assert (one.returncode, printed.splitlines()[-1]) == (0, "cam ended")


def test_a_config_that_is_wrong_is_told_once_and_tried_when_it_was_mended(lab: Lab, keeper):
    path = lab.folder / "cam.yaml"
    path.write_text("name: x\n")
    one = keeper(path)
    read_until(one, "data_folder is missing")
    read_until(one, "it is started again when ")
    lab.write()
    read_until(one, "ready at")
    read_until(one, "log: ")
    one.terminate()
    assert one.wait(LIMIT) == 0


def test_a_keeper_that_waits_for_a_better_config_ends_when_it_is_asked_to(lab: Lab, keeper):
    one = keeper(lab.folder / "none.yaml")
    read_until(one, "it is started again when ")
    one.terminate()
    assert one.wait(LIMIT) == 0


def test_a_keeper_that_waits_is_listed_and_ends_when_what_it_keeps_is_taken_away(lab: Lab, keeper):
    path = lab.write(log_folder="./log")
    one = lab("install", path, state="running")
    assert one.returncode == 0, one.stderr
    lab.lock().ask_to_end()
    path.write_text("name: x\n")
    waiting = keeper(path)
    read_until(waiting, "it is started again when ")
    listed = lab("install", "--list")
    assert f"process {waiting.pid} starts it when that is possible" in " ".join(listed.stdout.split())
    done = lab("uninstall", "cam")
    assert f"cam is not started again (process {waiting.pid})" in done.stderr
    assert waiting.wait(LIMIT) == 0


def test_a_rig_that_waits_for_its_address_ends_when_it_is_taken_away(lab: Lab, keeper):
    path = lab.write(uri="udp://192.0.2.1:0")
    waiting = keeper(path, "--wait")
    read_until(waiting, "it may come yet")
    keeper_lock(path).ask_to_end()
    assert waiting.wait(LIMIT) == 0


def test_a_rig_that_runs_elsewhere_is_started_when_that_one_has_ended(lab: Lab, keeper):
    path = lab.write()
    other = lab.lock()
    other.acquire()
    waiting = keeper(path)
    read_until(waiting, "it is started again when that is over")
    other.release()
    read_until(waiting, "ready at")
    lab.lock().ask_to_end()
    assert waiting.wait(LIMIT) == 0


def test_a_rig_that_is_asked_to_end_is_not_started_again(lab: Lab, keeper):
    one = keeper(lab.write())
    read_until(one, "ready at")
    lab.lock().ask_to_end()
    assert one.wait(LIMIT) == 0


# -- read by who starts it ---------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("folder", ["lab", "my $HOME & 100% Mäuse; \\t 'q' \"dq\""])
def test_systemd_itself_reads_the_unit(tmp_path: Path, folder: str):
    place = tmp_path / folder
    place.mkdir()
    program = place / "multirig"
    program.write_text("")
    program.chmod(stat.S_IRWXU)
    job = Job(
        kind=Kind.RIG,
        name="cameras:left Ü %i",
        program=(str(program),),
        arguments=("serve", str(place / "rig.yaml"), "--subject", "%h $HOME ${HOME}"),
        folder=str(place),
        environment={"PATH": f"{place}:/usr/bin"},
    )
    places = Places(tasks=place, startup=place, units=tmp_path, agents=place, logs=place, user="")
    plan = plan_unit(job, places)
    unit = Path(plan.file)
    for content, is_right in ((plan.content, True), (plan.content.replace(b"Start=", b"Strat="), False)):
        unit.write_bytes(content)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(unit)],
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0 and done.stderr == "") is is_right, done.stderr
