from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from multirig.errors import ConfigError
from multirig.rig.lock import InstanceLock

HOLD = """
import sys
from pathlib import Path
from multirig.rig.lock import InstanceLock
lock = InstanceLock(sys.argv[1], Path(sys.argv[2]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold(name: str, folder: Path) -> subprocess.Popen[str]:
    """Take the lock in another process; return when it is held."""
    command = [sys.executable, "-c", HOLD, name, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_rig_of_a_name_is_refused_with_the_process_that_runs(tmp_path: Path) -> None:
    with hold("cameras:left", tmp_path) as process:
        with pytest.raises(ConfigError) as caught:
            InstanceLock("cameras:left", tmp_path).acquire()
        assert str(caught.value) == (
            f"the rig 'cameras:left' runs on this PC already as process {process.pid}: "
            "use that one, or end it first"
        )
        process.kill()


def test_a_rig_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    with hold("cam", tmp_path) as process:
        process.kill()
    lock = InstanceLock("cam", tmp_path)
    lock.acquire()
    lock.release()


def test_after_its_release_it_can_be_taken_again(tmp_path: Path) -> None:
    lock = InstanceLock("cam", tmp_path)
    for _ in range(2):
        lock.acquire()
        lock.release()


@pytest.mark.parametrize("other", ["cameras_left", "cameras:right", "cameras left", "kamera:lövé"])
def test_rigs_of_other_names_do_not_mind_each_other(tmp_path: Path, other: str) -> None:
    locks = [InstanceLock(name, tmp_path) for name in ("cameras:left", other)]
    for lock in locks:
        lock.acquire()
    for lock in locks:
        lock.release()


def test_a_folder_that_cannot_hold_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(ConfigError, match=r"^cannot lock ") as caught:
            InstanceLock("cam", folder).acquire()
        assert len(str(caught.value).splitlines()) == 1


def test_who_holds_it_is_found_without_taking_it(tmp_path: Path) -> None:
    lock = InstanceLock("cam", tmp_path)
    assert lock.find_process() is None
    with hold("cam", tmp_path) as process:
        # a launcher may stand between them
        pid = lock.find_process()
        assert pid is not None
        assert process.pid in {pid, *(one.pid for one in psutil.Process(pid).parents())}
        process.kill()
        process.wait()
        if pid == process.pid:
            assert lock.find_process() is None


def test_a_number_that_another_program_has_now_is_nobodys(tmp_path: Path) -> None:
    lock = InstanceLock("cam", tmp_path)
    lock.acquire()
    [path] = tmp_path.glob("*.pid")
    began = psutil.Process().create_time()
    os.utime(path, (began - 60, began - 60))
    assert lock.find_process() is None
    lock.release()
    for text in ("", "no number", "99999999999999999999", "-1"):
        path.write_text(text)
        assert lock.find_process() is None


def test_who_holds_it_is_asked_to_end_and_says_after_which_session(tmp_path: Path) -> None:
    held, other = InstanceLock("cam", tmp_path), InstanceLock("cam", tmp_path)
    other.ask_to_end()  # of one that is long gone
    held.acquire()
    assert not held.is_asked_to_end()
    other.ask_to_end()
    assert (held.is_asked_to_end(), other.waits_for) == (True, None)
    held.answer("2026-01-31_1_SP_01")
    assert (other.waits_for, other.is_left) == ("2026-01-31_1_SP_01", False)
    held.answer("2026-01-31_1_SP_01", is_left=True)
    assert (other.waits_for, other.is_left) == ("2026-01-31_1_SP_01", True)
    held.release()
    assert (held.is_asked_to_end(), other.waits_for, other.find_process()) == (False, None, None)
