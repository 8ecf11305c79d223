"""Real rig processes, and the command line as a user runs it."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.programs import Program, run

LIMIT = 30
"""Seconds that a process may take on a busy machine."""


class RigProcess:
    """``multirig serve`` in a process of its own."""

    def __init__(self, config: Path, *options: str) -> None:
        self.process = Program(
            [sys.executable, "-m", "multirig", "serve", str(config), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line)

    def expect(self, pattern: str) -> re.Match[str]:
        """Return the match of the next line that has the pattern."""
        try:
            while True:
                line = self._lines.get(timeout=LIMIT)
                self.seen.append(line)
                if found := re.search(pattern, line):
                    return found
        except queue.Empty:
            self.process.kill()
            raise AssertionError(f"no {pattern!r} in {self.seen}; {self.process.communicate()[1]}") from None

    def expect_error(self, text: str) -> str:
        """Return the next line of what it says beside its output; it must have the text."""
        if self.process.stderr is None:
            raise RuntimeError("no stderr")
        line: str = self.process.stderr.readline()
        assert text in line
        return line

    @property
    def uri(self) -> str:
        return self.expect(r"ready at (\S+)")[1]

    def type(self, line: str) -> None:
        """Type a line at the rig's keyboard."""
        if self.process.stdin is None:
            raise RuntimeError("no keyboard")
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Quit by the keyboard and return the exit code."""
        if self.process.poll() is None:
            self.type("quit")
        return self.process.wait(LIMIT)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., RigProcess]]:
    """Start rigs with a config, and end them when the test ends."""
    started: list[RigProcess] = []

    def start(name: str, *options: str, **config: Any) -> RigProcess:
        path = tmp_path / f"{name}.yaml"
        settings = {
            "name": name,
            "uri": "udp://127.0.0.1:0",
            "data_folder": str(tmp_path / name),
            "log_folder": str(tmp_path / "logs"),
            "adapter": {"type": "fake"},
            **config,
        }
        path.write_text(yaml.safe_dump(settings))
        started.append(RigProcess(path, "--plain", *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


@pytest.fixture
def multirig(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command line to its end, in a folder of its own."""

    def run_here(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        done = run(
            [sys.executable, "-m", "multirig", *map(str, arguments)],
            cwd=tmp_path,
            env={
                **os.environ,
                "COLUMNS": "200",
                "XDG_STATE_HOME": str(tmp_path / "state"),
                "XDG_CONFIG_HOME": str(tmp_path / "config"),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "MULTIRIG_KEYS": str(tmp_path / "keys"),
                **environment,
            },
            limit=LIMIT * 2,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    return run_here


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``multirig run`` beside the test, and end it when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(uri: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "multirig", "run", "-s", "SP_01", "-r", uri, *options]
        pipe = subprocess.PIPE
        started.append(Program(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        if one.stdout is not None and not one.stdout.closed:
            one.communicate()


@pytest.fixture
def wait_for_start() -> Callable[[Path], None]:
    """Wait until the conductor that writes to a folder knows that a rig records: before, nothing ran."""

    def wait(folder: Path) -> None:
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            for journal in folder.rglob("_multirig_journal.jsonl"):
                lines = journal.read_bytes().splitlines()
                if any(b'"kind":"Replied"' in line and b'"event":2' in line for line in lines):
                    return
            time.sleep(0.01)
        pytest.fail("no rig has answered EXPSTART")

    return wait
