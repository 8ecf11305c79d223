"""Disks that fill while a session goes on, on a small file system in a mount namespace of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multirig.lifecycle.watch import Notice
from multirig.record.account import Account, account
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


def in_small_disk(what: str, folder: Path, size: int) -> Any:
    """Run a function of this file where a folder is a file system of so many bytes; return what it returns."""
    inside = f"mount -t tmpfs -o size={size} none {folder} && exec {sys.executable} {__file__} {what} {folder}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside], capture_output=True, text=True, timeout=60, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


async def record_on_a_rig(folder: Path) -> dict[str, Any]:
    """Record with a program that fills the rig's disk and says nothing."""
    from tests.conftest import Lab

    program = folder.parent / "filler.py"
    program.write_text(FILLER, encoding="utf-8")
    noticed: list[Any] = []
    async with Lab(folder.parent / "else") as lab:
        adapter = Process(command=[sys.executable, "-I", "-S", str(program), "{folder}"], grace=0.2, settle=0)
        await lab.rig("rig", adapter=adapter, main_sync=True, data_folder=str(folder))
        conductor = await lab.conductor()
        session = conductor.session("SP_01", seconds=3600)
        stream = session.events()
        await session.agree()
        await session.init()
        await session.start()
        await asyncio.sleep(2.5)
        report = session.news()["rig"]
        await session.stop()
        await session.cleanup()
        async for event in stream:
            if hasattr(event, "notice"):
                noticed.append((event.notice.value, event.text))
        told = account(session.folder)
    findings = [(one.kind, one.level.value, one.text, one.until) for one in report.findings]
    return {"noticed": noticed, "findings": findings, **told.to_json()}


def test_a_disk_that_a_program_fills_in_silence_is_told_by_the_rig(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    told = in_small_disk("record_on_a_rig", folder, 3 * MEGABYTE)
    [[kind, level, text, until]] = [one for one in told["findings"] if one[0] == "disk"]
    assert (kind, level, until) == ("disk", "alarm", None)
    assert text.startswith("its disk is full, and what it records is lost: free space in ")
    notices = [text for notice, text in told["noticed"] if notice == Notice.DISK.value]
    assert any("nearly full" in text or "full in about" in text for text in notices)
    assert told["verdict"] != "GOOD"
    assert any("its disk is full" in reason for reason in told["reasons"])


if __name__ == "__main__":
    made: Any = asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
    print(json.dumps(made if not isinstance(made, Account) else made.to_json(), default=str))
