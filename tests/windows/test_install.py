"""A Windows rig that starts at log-on: its task is read by Wine's own Task Scheduler."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.windows.programs import LIMIT, wait_for
from tests.windows.wine import Windows

NAME = "cam:left ü"
TASK = r"\multirig\cam%3Aleft ü"


@pytest.fixture
def pc(windows: Windows, tmp_path: Path) -> Windows:
    """Windows, with a state folder of this test's own."""
    made = Windows(windows.folder)
    made.environment["MULTIRIG_STATE"] = f"Z:{tmp_path / 'state'}".replace("/", "\\")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "rigs & 100% Mäuse"
    made.mkdir()
    config = {"name": NAME, "uri": "udp://127.0.0.1:0", "data_folder": "./data", "adapter": {"type": "fake"}}
    (made / "rig.yaml").write_text(yaml.safe_dump(config))
    return made


@pytest.fixture
def rig(pc: Windows, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = ("serve", "rig.yaml", "--plain", "--no-keyboard", "--stay")
    with pc.start("-m", "multirig", *words, cwd=folder) as started:
        yield started
        started.kill()


def schtasks(pc: Windows, *words: str) -> int:
    command = [pc.wine, "schtasks", *words]
    done = subprocess.run(
        command, env=pc.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT
    )
    return done.returncode


def test_a_rig_is_installed_comes_back_after_a_crash_and_is_taken_away_again(
    pc: Windows, folder: Path, rig: subprocess.Popen[bytes]
) -> None:
    def multirig(*words: str) -> tuple[int | None, str]:
        return pc.run("-m", "multirig", *words, cwd=folder, limit=LIMIT)

    wait_for(rig, "ready at")
    code, printed = multirig("install", "rig.yaml")
    assert code == 0, printed
    assert f"{NAME} is started when you log on to this PC, by Task Scheduler: {TASK}" in printed
    assert "MULTIRIG_STATE is set in this terminal only" in printed
    found = re.search(r"runs now as process (\d+) and is left alone", printed)
    assert found is not None, printed
    code, printed = multirig("install", "--list")
    assert (code, f"✓ runs, process {found[1]}" in printed) == (0, True), printed

    pc.run("-c", f"import os; os.kill({found[1]}, 9)", limit=LIMIT)
    wait_for(rig, "rig.yaml ended unexpectedly .exit code 9.: it is started again in 1 s")
    wait_for(rig, "ready at")

    code, printed = multirig("uninstall", NAME)
    assert code == 0, printed
    assert f"{NAME} is started no more when you log on" in printed
    assert f"{NAME} has ended" in printed
    assert rig.wait(LIMIT) == 0
    assert schtasks(pc, "/delete", "/tn", TASK, "/f") != 0, "it was there still"


def test_the_scheduler_reads_the_task_and_would_not_read_a_wrong_one(pc: Windows, folder: Path) -> None:
    code, printed = pc.run(*("-m", "multirig", "install", "rig.yaml", "--print"), cwd=folder, limit=LIMIT)
    assert code == 0, printed
    lines = printed.partition("is written:\n")[2].partition("to register it:")[0].splitlines()
    right = "\r\n".join(line[2:] for line in lines)
    for text, is_read in ((right, True), (right.replace("<Hidden>false", "<Hidden>perhaps"), False)):
        (folder / "task.xml").write_bytes(text.encode("utf-16"))
        path = f"Z:{folder / 'task.xml'}".replace("/", "\\")
        code = schtasks(pc, "/create", "/tn", r"\multirig\tried", "/xml", path, "/f")
        assert (code == 0) is is_read, text
    assert schtasks(pc, "/delete", "/tn", r"\multirig\tried", "/f") == 0


STARTUP = """
import sys
from multirig.install import system
from multirig.install.job import Job, Kind
from multirig.install.plan import Way

program = (sys.executable, "-m", "multirig")
plan = system.make_plan(
    Way.STARTUP,
    Job(kind=Kind.RIG, name="cam", program=program, arguments=("serve", sys.argv[1]), folder=sys.argv[2]),
)
system.register(plan)
system.start(plan)
system.unregister(plan)
"""
ASK = """
import sys, time
from pathlib import Path
from multirig.rig.lock import InstanceLock

lock = InstanceLock("cam", Path(sys.argv[1]))
while lock.find_process() is None:
    time.sleep(0.1)
lock.ask_to_end()
while lock.find_process() is not None:
    time.sleep(0.1)
print("has ended")
"""


def test_the_script_of_the_startup_folder_starts_a_rig_from_a_folder_with_a_difficult_name(
    pc: Windows, tmp_path: Path
) -> None:
    # letters of other languages are left to Windows: Wine's cmd reads no UTF-8
    place = tmp_path / "rigs & 100% (it's)"
    place.mkdir()
    config = {"name": "cam", "uri": "udp://127.0.0.1:0", "data_folder": "./data", "log_folder": "./log"}
    (place / "rig.yaml").write_text(yaml.safe_dump({**config, "adapter": {"type": "fake"}}))
    folder = f"Z:{place}".replace("/", "\\")
    code, printed = pc.run("-c", STARTUP, rf"{folder}\rig.yaml", folder, limit=LIMIT)
    assert code == 0, printed
    code, printed = pc.run("-c", ASK, rf"{folder}\log", limit=LIMIT)
    assert (code, "has ended" in printed) == (0, True), printed
