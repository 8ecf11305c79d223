"""A session of both systems: a Windows rig and a Linux conductor, and the other way round."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.windows.wine import Windows

FOLDER = os.environ.get("MULTIRIG_WINDOWS")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="is run by make windows")
LIMIT = 60
"""Seconds in which a program says what is waited for."""
HERE = [sys.executable, "-m", "multirig"]


@pytest.fixture(scope="module")
def windows() -> Windows:
    assert FOLDER is not None
    return Windows(Path(FOLDER))


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


@pytest.fixture
def rigs(windows: Windows, tmp_path: Path) -> Iterator[Rigs]:
    made = Rigs(windows, tmp_path)
    yield made
    made.end()


def judge(folder: Path) -> dict[str, Any]:
    [verdict] = (folder / "pc").rglob("_multirig_verdict.json")
    told: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
    return told


RUN = ["run", "--rigs-file", "rigs.yaml", "--data", "pc", "--subject", "SP_01", "--seconds", "2", "--remote"]
CAMERA = {"type": "camera", "cameras": [{"label": "left", "source": "test", "fps": 30, "size": [320, 240]}]}


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_linux_pc_leads_windows_rigs(rigs: Rigs, scheme: str) -> None:
    rigs.start("ephys", on_windows=True, scheme=scheme, main_sync=True)
    rigs.start("camera", on_windows=True, scheme=scheme, adapter=CAMERA)
    rigs.start("here", on_windows=False, scheme=scheme)
    rigs.write()
    done = subprocess.run(
        [*HERE, *RUN, *rigs.addresses],
        cwd=rigs.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert judge(rigs.folder)["verdict"] == "GOOD", done.stdout + done.stderr
    assert list((rigs.folder / "camera").rglob("_iblrig_leftCamera.raw.mp4"))


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_windows_pc_leads_linux_rigs(rigs: Rigs, windows: Windows, scheme: str) -> None:
    rigs.start("ephys", on_windows=False, scheme=scheme, main_sync=True)
    rigs.start("camera", on_windows=False, scheme=scheme, adapter=CAMERA)
    rigs.start("there", on_windows=True, scheme=scheme)
    rigs.write()
    code, printed = windows.run("-m", "multirig", *RUN, *rigs.addresses, cwd=rigs.folder, limit=LIMIT)
    assert code == 0, printed
    assert judge(rigs.folder)["verdict"] == "GOOD", printed
