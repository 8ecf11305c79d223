"""Real rigs, and sessions that are led for the console by processes of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from multirig.dashboard.leading.client import Leader
from multirig.dashboard.leading.record import read_record
from multirig.dashboard.snapshot import Order


@pytest.fixture
def state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sessions of this test are led; whoever still leads one when it ends is ended."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(tmp_path))
    path = tmp_path / "console" / "session.json"
    yield path
    record = read_record(path)
    if record is not None and record.pid != os.getpid():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(record.pid)
            if "multirig.dashboard.leading" in process.cmdline():
                process.kill()


class Desk(contextlib.AbstractAsyncContextManager["Desk"]):
    """Orders sessions over the lab's rigs; clients that were opened here are closed at the end of the test."""

    def __init__(self, lab: Any, state_file: Path) -> None:
        self.lab = lab
        self.state_file = state_file
        self.leaders: list[Leader] = []

    def order(self, **keys: Any) -> Order:
        """Return an order for a session over all rigs."""
        rigs_file = self.lab.folder / "remote_rigs.yaml"
        rigs = {name: str(rig.addresses[0]) for name, rig in self.lab.rigs.items()}
        rigs_file.write_text(yaml.safe_dump({name: uri for name, uri in rigs.items()}))
        asked = {
            "subject": "SP_01",
            "rigs": tuple(rigs),
            "rigs_file": str(rigs_file),
            "data_folder": str(self.lab.folder / "pc"),
            "checks": False,
        }
        return Order(**(asked | keys))

    async def begin(self, **keys: Any) -> Leader:
        """Begin a session."""
        self.leaders.append(await Leader.begin(self.order(**keys), self.state_file))
        return self.leaders[-1]

    async def attach(self) -> Leader | None:
        """Find the session that goes on."""
        leader = await Leader.attach(self.state_file)
        if leader is not None:
            self.leaders.append(leader)
        return leader

    async def __aexit__(self, *_: object) -> None:
        for leader in self.leaders:
            await leader.close()


@pytest.fixture
def desk(lab: Any, state_file: Path) -> Desk:
    return Desk(lab, state_file)
