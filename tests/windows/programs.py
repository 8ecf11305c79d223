"""Programs of both systems that tests here start, and what they print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from tests.windows.wine import Windows

LIMIT = 60
"""Seconds in which a program says what is waited for."""
HERE = [sys.executable, "-m", "multirig"]


class Rigs:
    """Rigs of either system, each a process."""

    def __init__(self, windows: Windows, folder: Path) -> None:
        self._windows = windows
        self.folder = folder
        self.addresses: dict[str, str] = {}
        self._programs: list[subprocess.Popen[Any]] = []

    def start(self, name: str, *, on_windows: bool, scheme: str = "udp", **keys: Any) -> None:
        file = self.folder / f"{name}.yaml"
        adapter = keys.pop("adapter", {"type": "fake"})
        config = {
            "name": name,
            "uri": f"{scheme}://127.0.0.1:0",
            "data_folder": f"./{name}",
            "log_folder": f"./{name}-log",
            "adapter": adapter,
            **keys,
        }
        file.write_text(yaml.safe_dump(config))
        if on_windows:
            started = self._windows.start(
                "-m", "multirig", "serve", file.name, "--no-keyboard", cwd=self.folder
            )
        else:
            started = subprocess.Popen(
                [*HERE, "serve", file.name, "--no-keyboard"],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        self._programs.append(started)
        self.addresses[name] = wait_for(started, r"ready at (\S+)")[1]

    def write(self) -> Path:
        path = self.folder / "rigs.yaml"
        path.write_text(yaml.safe_dump(self.addresses))
        return path

    def end(self) -> None:
        for one in self._programs:
            with one:  # closes its pipes
                one.kill()


def wait_for(process: subprocess.Popen[Any], pattern: str) -> re.Match[str]:
    """Read what a program prints until it has said something."""
    assert process.stdout is not None
    seen, deadline = "", time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        line = process.stdout.readline().decode(errors="replace")
        seen += line
        if found := re.search(pattern, line):
            return found
        if not line:
            break
    raise AssertionError(f"no {pattern!r} in {seen}")


def judge(folder: Path) -> dict[str, Any]:
    """Return the one verdict in a folder of data."""
    [verdict] = (folder / "pc").rglob("_multirig_verdict.json")
    told: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
    return told
