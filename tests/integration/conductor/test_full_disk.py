"""Disks that fill while a session goes on, on a small file system in a mount namespace of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multirig.lifecycle.watch import Notice
from multirig.record.account import Account, account, mind_losses
from multirig.record.spare import spare_file
from multirig.rig.adapters.process import Process

MEGABYTE = 1_000_000
FILLER = """
import sys, time
file = open(sys.argv[1] + "/video.avi", "wb", buffering=0)
print("ready", flush=True)
while True:
    try:
        file.write(bytes(100_000))
    except OSError:
        pass
    time.sleep(0.01)
"""
"""Writes on as if nothing was when the disk is full, as many programs do."""


def in_small_disk(what: str, folder: Path, size: int, *more: str) -> Any:
    """Run a function of this file where a folder is a file system of so many bytes; return its result."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a small disk is made by Linux")
    mount = f"mount -t tmpfs -o size={size} none {folder}"
    begin = f"{mount} && exec {sys.executable} {__file__} {what} {folder} {' '.join(more)}"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", begin],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
            "XDG_STATE_HOME": str(folder.parent / "state"),
        },
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


CLOSER = """
import sys, time
file = open(sys.argv[1] + "/video.avi", "wb", buffering=0)
file.write(bytes(100_000))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    try:
        file.write(bytes(100_000))
    except OSError:
        pass
"""
"""Writes the most when it is asked to stop."""


async def record_on_a_rig(folder: Path, program_text: str = FILLER) -> dict[str, Any]:
    """Record with a program that fills the rig's disk and says nothing."""
    from tests.conftest import Lab

    program = folder.parent / "filler.py"
    program.write_text(program_text, encoding="utf-8")
    noticed: list[Any] = []
    async with Lab(folder.parent / "else") as lab:
        command = [sys.executable, "-I", "-S", str(program), "{folder}"]
        adapter = Process(command=command, grace=5, settle=0, ok_exit_codes=[0, -signal.SIGINT])
        await lab.rig("rig", adapter=adapter, main_sync=True, data_folder=str(folder))
        conductor = await lab.conductor()
        session = conductor.session("SP_01", seconds=3600)
        stream = session.events()
        await session.agree()
        await session.init()
        await session.start()
        await asyncio.sleep(2.5 if program_text is FILLER else 0.2)
        report = session.news()["rig"]
        outcomes = await session.stop()
        await session.cleanup()
        async for event in stream:
            if hasattr(event, "notice"):
                noticed.append((event.notice.value, event.text))
        told = account(session.folder)
    at_the_end = [one.kind for one in outcomes["rig"].recorded.findings]
    findings = [(one.kind, one.level.value, one.text, one.until) for one in report.findings]
    return {"noticed": noticed, "findings": findings, "at_the_end": at_the_end, **told.to_json()}


def test_a_disk_that_a_program_fills_in_silence_is_told_by_the_rig(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    told = in_small_disk("record_on_a_rig", folder, 3 * MEGABYTE)
    [[kind, level, text, until]] = [one for one in told["findings"] if one[0] == "disk"]
    assert (kind, level, until) == ("disk", "alarm", None)
    assert text.startswith("its disk is full, and what it records is lost: free space in ")
    notices = [text for notice, text in told["noticed"] if notice == Notice.DISK.value]
    assert any("nearly full" in text or "full in about" in text for text in notices)
    assert told["at_the_end"] == ["disk"], "the verdict is drawn from that"


async def close_on_a_rig(folder: Path) -> dict[str, Any]:
    """Record with a program that fills the rig's disk as it is stopped."""
    return await record_on_a_rig(folder, CLOSER)


def test_a_disk_that_is_filled_as_the_recording_is_closed_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    told = in_small_disk("close_on_a_rig", folder, 3 * MEGABYTE)
    assert told["at_the_end"] == ["disk"]
    assert told["verdict"] == "DEGRADED"
    [reason] = [one for one in told["reasons"] if "disk" in one]
    assert reason.startswith("rig: its disk is full")


async def lead_on_a_small_disk(folder: Path) -> dict[str, Any]:
    """Lead a session whose own folder is on a disk that somebody else fills."""
    from tests.conftest import Lab

    async with Lab(folder.parent / "else") as lab:
        await lab.rig("rig", main_sync=True)
        conductor = await lab.conductor(data_folder=folder)
        session = conductor.session("SP_01")
        stream = session.events()
        await session.agree()
        await session.init()
        await session.start()
        fill(folder)
        for number in range(200):
            session.mark(f"trial {number}", more="x" * 100)
        await asyncio.sleep(0.2)
        if "frees" in sys.argv:
            (folder / "filler").unlink()
            session.mark("there is room again")
        await session.stop()
        await session.cleanup()
        noticed = [event async for event in stream if hasattr(event, "notice")]
        told = account(session.folder)
        mind_losses(told, session.journal.losses)
    spare = spare_file(session.folder)
    return {
        **told.to_json(),
        "noticed": [(one.rig, one.notice.value, one.text) for one in noticed],
        "spare": str(spare) if spare.exists() else None,
        "marked": len(told.markers),
    }


def fill(folder: Path) -> None:
    """Take all room of a disk."""
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_of_the_leading_pc_is_told_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "pc"
    folder.mkdir()
    told = in_small_disk("lead_on_a_small_disk", folder, MEGABYTE)
    assert told["marked"] == 200, "what the disk did not take is read from where it lies"
    assert told["verdict"] == "DEGRADED"
    lost = "this PC: its disk did not take the end of the journal"
    assert any(line.startswith(lost) for line in told["reasons"])
    assert any("the verdict" in line and "cannot be written" in line for line in told["reasons"])
    assert told["rigs"]["rig"]["files_total"] == 1
    texts = [text for rig, notice, text in told["noticed"] if (rig, notice) == ("this PC", "disk")]
    assert any(text.startswith("its disk is nearly full") for text in texts)
    assert any(text.startswith("its disk takes no more of the journal (No space left") for text in texts)
    assert told["spare"] is not None


def test_a_disk_that_has_room_again_has_the_whole_journal(tmp_path: Path) -> None:
    folder = tmp_path / "pc"
    folder.mkdir()
    told = in_small_disk("lead_on_a_small_disk", folder, MEGABYTE, "frees")
    assert (told["marked"], told["spare"], told["verdict"]) == (201, None, "GOOD")
    assert any("takes the journal again" in text for _, _, text in told["noticed"])
    assert any("takes no more of the journal" in note for note in told["notes"])


if __name__ == "__main__":
    made: Any = asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
    print(json.dumps(made if not isinstance(made, Account) else made.to_json(), default=str))
