"""A PC joins a lab by a cable, with nothing but what the two screens say."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.faults.conftest import Cable

from multirig.keyring import Keyring, read_keys
from multirig.trust.roles import Role

LIMIT = 30.0


async def test_a_pc_joins_over_a_real_network(cable: Cable, tmp_path: Path) -> None:
    def multirig(place: int, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*cable.enter(place), sys.executable, "-m", "multirig", "key", *command],
            env={**os.environ, "MULTIRIG_KEYS": str(tmp_path / f"pc-{place}"), "COLUMNS": "200"},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    made = multirig(0, "new", "mylab", "--name", "office")
    assert "✓ this PC holds the key" in made.communicate(timeout=LIMIT)[0]
    adding = multirig(0, "add", "--yes", "--role", "look")
    shown = ""
    while "waiting for it" not in shown:
        assert adding.stdout is not None
        line = await asyncio.to_thread(adding.stdout.readline)
        assert line, shown
        shown += line
    found = re.search(r"multirig key join (\S+)\n", shown)
    code = re.search(r"(\d{3} \d{3})", shown)
    assert found is not None
    assert code is not None
    assert found[1] == Cable.HERE
    joining = multirig(1, "join", found[1], "--name", "video")
    said = await asyncio.to_thread(joining.communicate, f"{code[1]}\n", LIMIT)
    assert joining.returncode == 0, said
    rest = await asyncio.to_thread(adding.communicate, None, LIMIT)
    assert adding.returncode == 0
    assert f"video ({Cable.THERE}) wants to join the lab mylab" in rest[0]
    keys = read_keys(tmp_path / "pc-1")
    assert keys is not None
    assert [one.certificate.role for one in keys.memberships] == [Role.LOOK]
    assert Keyring(tmp_path / "pc-0").find_lab_key().lab == keys.memberships[0].lab
