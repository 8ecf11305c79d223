"""Two PCs with a cable between them become a lab, with nothing but what their screens say."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.faults.conftest import Cable

from multirig.keyring import Keyring, read_keys
from multirig.trust.roles import Role

LIMIT = 40.0
OFFICE, VIDEO = 0, 1


class Screens:
    """Programs on both PCs, each PC with keys of its own."""

    def __init__(self, cable: Cable, folder: Path) -> None:
        self._cable = cable
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, pc: int, *command: str) -> subprocess.Popen[str]:
        own = self.folder / f"pc-{pc}"
        own.mkdir(exist_ok=True)
        environment = {
            "MULTIRIG_KEYS": str(own / "keys"),
            "XDG_STATE_HOME": str(own / "state"),
            "COLUMNS": "300",
        }
        process = subprocess.Popen(
            [*self._cable.enter(pc), sys.executable, "-m", "multirig", *command],
            env={**os.environ, **environment},
            cwd=own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    async def run(self, pc: int, *command: str, typed: str = "") -> tuple[int, str]:
        """Run a command to its end; return its exit code, and what it said."""
        process = self.start(pc, *command)
        said, _ = await asyncio.to_thread(process.communicate, typed, LIMIT)
        assert "Traceback" not in said, said
        return process.returncode, said

    async def read_until(self, process: subprocess.Popen[str], words: str) -> str:
        """Return what a program has said when it has said some words."""
        seen = ""
        while words not in seen:
            assert process.stdout is not None
            line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), LIMIT)
            assert line, seen
            seen += line
        return seen

    def end(self) -> None:
        for one in self._started:
            one.kill()
            one.communicate()

    async def let_join(self, role: str) -> str:
        """Let the second PC join by what the screens say, and return what both said."""
        adding = self.start(OFFICE, "key", "add", "--yes", "--role", role)
        shown = await self.read_until(adding, "waiting for it")
        [address] = re.findall(r"multirig key join (\S+)\n", shown)
        [code] = re.findall(r"\d{3} \d{3}", shown)
        assert address == Cable.HERE
        ended, said = await self.run(VIDEO, "key", "join", address, "--name", "video", typed=f"{code}\n")
        assert ended == 0, said
        rest, _ = await asyncio.to_thread(adding.communicate, None, LIMIT)
        assert adding.returncode == 0
        assert f"video ({Cable.THERE}) wants to join the lab mylab" in rest
        return said + rest


@pytest.fixture
def screens(cable: Cable, tmp_path: Path) -> Any:
    made = Screens(cable, tmp_path)
    yield made
    made.end()


@pytest.mark.limit(200)
async def test_a_pc_joins_over_a_real_network(cable: Cable, screens: Screens, tmp_path: Path) -> None:
    ended, said = await screens.run(OFFICE, "key", "new", "mylab", "--name", "office")
    assert ended == 0, said
    await screens.let_join("look")
    keys = read_keys(tmp_path / "pc-1" / "keys")
    assert keys is not None
    assert [one.certificate.role for one in keys.memberships] == [Role.LOOK]
    assert Keyring(tmp_path / "pc-0" / "keys").find_lab_key().lab == keys.memberships[0].lab


@pytest.mark.attack
@pytest.mark.limit(200)
async def test_a_rig_that_runs_is_led_as_soon_as_its_pc_has_joined_and_no_more_once_it_is_shut_out(
    cable: Cable, screens: Screens, tmp_path: Path
) -> None:
    (tmp_path / "pc-1").mkdir()
    config = {
        "name": "video",
        "uri": f"udp://{Cable.THERE}",
        "data_folder": "data",
        "main_sync": True,
        "adapter": {"type": "fake"},
    }
    (tmp_path / "pc-1" / "video.yaml").write_text(yaml.safe_dump(config))
    ended, said = await screens.run(OFFICE, "key", "new", "mylab", "--name", "office")
    assert ended == 0, said
    rig = screens.start(VIDEO, "serve", "video.yaml", "--plain", "--no-keyboard")
    await screens.read_until(rig, "video ready at")

    async def lead() -> tuple[int, str]:
        return await screens.run(
            OFFICE, "run", "-s", "SP_01", "-r", f"udp://{Cable.THERE}", "--seconds", "1", "--data", "data"
        )

    ended, said = await lead()
    assert ended != 0, said
    assert "multirig key join" in said
    await screens.let_join("rig")
    await asyncio.sleep(4)  # the screens say: within seconds
    ended, said = await lead()
    assert ended == 0, said
    assert "GOOD" in said
    ended, said = await screens.run(OFFICE, "key", "shut-out", "0" * 16, "--yes")
    assert ended == 0, said
    ended, said = await lead()
    assert ended == 0, said
    keys = read_keys(tmp_path / "pc-1" / "keys")  # the list came along, and was kept
    assert keys is not None
    assert keys.memberships[0].shut_out is not None
    assert keys.memberships[0].shut_out.keys == {"0" * 16}
    ended, said = await screens.run(OFFICE, "key", "shut-out", "video", "--yes")
    assert ended == 0, said
    ended, said = await lead()
    assert ended != 0, said
