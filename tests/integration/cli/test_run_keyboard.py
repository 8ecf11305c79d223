"""``multirig run`` at a terminal: what is typed while the rigs record becomes markers."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.programs import Program

if os.name == "nt":
    pytest.skip("Windows has no pseudo-terminal in Python", allow_module_level=True)

import pty

LIMIT = 30


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Return both ends of a terminal: where somebody types, and what a program reads."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def start(rig, terminal: tuple[int, int], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a session of one rig whose operator sits at the terminal; it records when this returns."""
    started: list[subprocess.Popen[str]] = []

    def run(*shell: str, **options: Any) -> subprocess.Popen[str]:
        uri = rig("ephys", main_sync=True).uri
        command = [*shell, sys.executable, "-m", "multirig", "run", "-s", "SP_01", "-r", uri]
        pipe = subprocess.PIPE
        process = Program(
            command, cwd=tmp_path, stdin=terminal[1], stdout=pipe, stderr=pipe, text=True, **options
        )
        started.append(process)
        expect(process, "recording; Ctrl-C ends the session, a line that you type becomes a marker")
        return process

    yield run
    for one in started:
        if one.poll() is None:
            one.kill()
            one.communicate()


def expect(process: subprocess.Popen[str], words: str) -> str:
    """Return the next line that holds the words; the end of the program is an error."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError(f"no {words!r} in {lines}")


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err


def test_a_typed_line_becomes_a_marker_and_is_confirmed(start, terminal, tmp_path: Path):
    process = start()
    os.write(terminal[0], b"\nanimal  sneezed\n")
    line = expect(process, "marker: ")
    seconds, _, words = line.partition(" s  ")
    assert words == "marker: animal sneezed\n"
    assert 0 <= float(seconds) < LIMIT
    os.write(terminal[0], b"x" * 301 + b"\n")
    assert "it was shortened" in expect(process, "301 characters")
    end(process)
    [path] = (tmp_path / "ephys").rglob("_multirig_markers.ephys.csv")
    with path.open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["animal sneezed", "x" * 299 + "…"]


def test_a_line_that_is_not_finished_does_not_hold_up_the_end(start, terminal):
    process = start()
    os.write(terminal[0], b"animal sn")
    end(process)


SHELL = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: os.setpgid(0, 0))
print(job.pid, flush=True)
sys.exit(job.wait())
"""
"""Starts a program in the background of a terminal, as ``program &`` does, and waits for it."""


def test_a_session_in_the_background_records_without_its_keyboard(start):
    """Whoever reads a terminal from its background is stopped by the system, if nothing is done about it."""
    shell = start(sys.executable, "-c", SHELL, start_new_session=True)
    job = int(shell.stdout.readline())
    time.sleep(0.3)
    os.kill(job, signal.SIGINT)
    _, err = shell.communicate(timeout=LIMIT)
    assert shell.returncode == 0, err
