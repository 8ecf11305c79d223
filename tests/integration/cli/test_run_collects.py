"""``multirig run`` collects its part after a session, and tells the rigs to, where the config says so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml

TASK = """
from multirig.ibl.base_session import BaseSession


class Session(BaseSession):
    protocol_name = "obedient"

    def start_hardware(self):
        pass

    def _run(self):
        (self.paths.SESSION_RAW_DATA_FOLDER / "trials.txt").write_text("left\\n", encoding="utf-8")
"""


def say_where(folder: Path, **more: str) -> Path:
    """Make a server's folder, and say in ``multirig.yaml`` that it is collected there."""
    server = folder / "server"
    server.mkdir()
    (folder / "multirig.yaml").write_text(yaml.safe_dump({"collect": {"to": str(server), **more}}))
    return server


def find(server: Path, pattern: str) -> list[Path]:
    return [*server.glob(f"mylab/Subjects/SP_01/*/001/{pattern}")]


def test_its_own_part_is_there_when_it_ends_and_the_rigs_copy_on(
    rig: Any, multirig: Any, tmp_path: Path
) -> None:
    server = say_where(tmp_path)
    cam = rig("cam", main_sync=True)
    gone = "udp://127.0.0.1:9"
    (tmp_path / "rigs.yaml").write_text(yaml.safe_dump({"cam": cam.uri, "gone": gone}))
    done = multirig("run", "-s", "SP_01", *"--seconds 0.3 --rigs-file rigs.yaml --data pc -r cam".split())
    assert done.returncode == 0, done.stderr
    own = f"this PC's part is at {server}, read back and whole; cam copies on by itself (multirig history"
    assert own in done.stderr
    assert len(find(server, "_multirig_journal.jsonl")) == 1
    end = time.monotonic() + 20
    while not find(server, "_multirig_manifest.cam.json"):
        assert time.monotonic() < end, "the rig did not copy"
        time.sleep(0.1)


def test_what_cannot_be_collected_is_said_and_takes_nothing_from_the_session(
    rig: Any, multirig: Any, tmp_path: Path
) -> None:
    say_where(tmp_path).rmdir()
    cam = rig("cam", main_sync=True)
    (tmp_path / "rigs.yaml").write_text(yaml.safe_dump({"cam": cam.uri}))
    done = multirig("run", "-s", "SP_01", *"--seconds 0.3 --rigs-file rigs.yaml --data pc -r cam".split())
    assert done.returncode == 0, done.stderr
    assert "this PC's part is not collected to" in done.stderr
    assert "is not there: connect the share or the disk" in done.stderr


def test_at_another_time_nothing_is_collected(rig: Any, multirig: Any, tmp_path: Path) -> None:
    server = say_where(tmp_path, when="at 20:00")
    cam = rig("cam", main_sync=True)
    (tmp_path / "rigs.yaml").write_text(yaml.safe_dump({"cam": cam.uri}))
    done = multirig("run", "-s", "SP_01", *"--seconds 0.3 --rigs-file rigs.yaml --data pc -r cam".split())
    assert done.returncode == 0, done.stderr
    assert "this PC's part" not in done.stderr
    assert [*server.iterdir()] == []


def test_a_task_without_rigs_is_collected_too(multirig: Any, tmp_path: Path) -> None:
    server = say_where(tmp_path)
    (tmp_path / "obedient.py").write_text(TASK)
    (tmp_path / "rigs.yaml").write_text("{}\n")
    done = multirig(
        "run", "obedient.py", "-s", "SP_01", "--data", "pc", "--lab", "mylab", "--rigs-file", "rigs.yaml"
    )
    assert done.returncode == 0, done.stderr
    assert f"this PC's part is at {server}, read back and whole" in done.stderr
    [trials] = find(server, "raw_*/trials.txt")
    assert trials.read_text(encoding="utf-8") == "left\n"
