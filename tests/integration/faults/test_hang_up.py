"""A terminal is closed, ssh is cut: whatever runs in it ends in good order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from typing import Any

import pytest
from tests.integration.faults.conftest import LIMIT, SUBJECT, Program

RUN = ["-s", SUBJECT, "--no-check", "--rigs-file", "rigs.yaml", "--remote", "ephys", "--data", "pc"]


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, like: Program, *command: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "multirig", *command],
            cwd=like.output.parent,
            env={**like._environment, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.said = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 4096):
                self.said += data.decode(errors="replace")

    async def says(self, pattern: str) -> None:
        for _ in range(round(LIMIT / 0.02)):
            if re.search(pattern, self.said):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"did not say {pattern!r}, but\n{self.said}")

    def close(self) -> None:
        """Close its window."""
        os.close(self.master)

    async def ends(self) -> int:
        for _ in range(round(LIMIT / 0.02)):
            if self.process.poll() is not None:
                return self.process.returncode
            await asyncio.sleep(0.02)
        self.process.kill()
        raise AssertionError("it did not end")


async def open_rig(lab: Any) -> Any:
    rig = lab.rig("ephys", main_sync=True)
    await rig.open()
    (lab.folder / "rigs.yaml").write_text(f"ephys: {rig.uri}\n")
    return rig


@pytest.mark.limit(60)
async def test_a_session_in_a_terminal_that_is_closed_ends_in_good_order(lab: Any) -> None:
    rig = await open_rig(lab)
    terminal = Terminal(rig, "run", *RUN)
    await rig.says("is running")
    await terminal.says("becomes a marker")
    await terminal.says(r"recording for \d+\.\d+ s")  # what is recorded is shown on
    terminal.close()
    assert await terminal.ends() == 0
    assert [hook for hook, _ in rig.hooks()][-2:] == ["stop", "cleanup"]
    [verdict] = lab.folder.glob("pc/**/_multirig_verdict.json")
    assert '"verdict": "GOOD"' in verdict.read_text()


@pytest.mark.limit(60)
async def test_hang_ups_that_come_several_times_interrupt_nothing(lab: Any) -> None:
    rig = lab.rig("ephys", main_sync=True, adapter={"delay": {"stop": 2}})
    await rig.open()
    leading = lab.run("--no-check")
    await leading.says("recording")
    for _ in range(3):
        leading.signal(signal.SIGHUP)
        await asyncio.sleep(0.2)
    assert await leading.ends() == 0, leading.said()
    assert "GOOD" in leading.said()


@pytest.mark.limit(60)
async def test_a_rig_in_a_terminal_that_is_closed_stops_its_recording(lab: Any) -> None:
    rig = lab.rig("ephys", main_sync=True)
    terminal = Terminal(rig, "serve", str(rig.config))
    await terminal.says("ready at")
    leading = lab.run("--no-check")
    await leading.says("recording")
    terminal.close()
    assert await terminal.ends() == 0
    assert [hook for hook, _ in rig.hooks()][-1] in ("stop", "cleanup")
    leading.kill()


@pytest.mark.limit(60)
async def test_a_task_whose_terminal_is_closed_releases_its_rigs(lab: Any) -> None:
    rig = await open_rig(lab)
    (lab.folder / "task.py").write_text(
        "import time\n"
        "from multirig.ibl import BaseSession, NetworkSession\n"
        "class Task(NetworkSession, BaseSession):\n"
        "    protocol_name = 'waiting'\n"
        "    def start_hardware(self): pass\n"
        "    def _run(self):\n"
        "        while True:\n"
        "            print('a trial', flush=True)\n"
        "            time.sleep(0.05)\n"
    )
    task = ("task.py", "--subject", SUBJECT, "--remote", "ephys", "--rigs-file", "rigs.yaml", "--data", "pc")
    terminal = Terminal(rig, "run", *task)
    await terminal.says("weight")
    os.write(terminal.master, b"20\n")
    await terminal.says("a trial")
    terminal.close()
    assert await terminal.ends() == 128 + signal.SIGHUP
    assert [hook for hook, _ in rig.hooks()][-2:] == ["stop", "cleanup"]


@pytest.mark.limit(60)
async def test_what_is_not_to_end_with_its_terminal_does_not(lab: Any) -> None:
    rig = lab.rig("ephys", main_sync=True)
    await rig.open("nohup")
    rig.signal(signal.SIGHUP)
    leading = lab.run("--seconds", "0.2", "--no-check")
    assert await leading.ends() == 0, leading.said()
