"""A lab's key on a Windows PC, and a PC of another system that joins; and the other way about."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.windows.programs import HERE, LIMIT, wait_for
from tests.windows.wine import Windows

from multirig.keyring import Keyring, read_keys
from multirig.trust.roles import Role


@pytest.mark.parametrize("on_windows", [True, False], ids=["lab on Windows", "lab on this system"])
def test_a_pc_of_another_system_joins(windows: Windows, tmp_path: Path, *, on_windows: bool) -> None:
    def start(is_there: bool, *words: str) -> subprocess.Popen[Any]:
        folder = tmp_path / ("windows" if is_there else "here")
        more = {"MULTIRIG_KEYS": f"Z:{folder}" if is_there else str(folder), "COLUMNS": "200"}
        if is_there:
            return windows.start("-m", "multirig", "key", *words, cwd=tmp_path, more=more)
        return subprocess.Popen(
            [*HERE, "key", *words],
            env={**os.environ, **more},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    with start(on_windows, "new", "mylab", "--name", "office") as made:
        printed = made.communicate(timeout=LIMIT)[0].decode()
    assert made.returncode == 0, printed
    with start(on_windows, "add", "--yes", "--role", "lead", "--port", "0") as adding:
        code = wait_for(adding, r"^ +(\d{3} \d{3})\s*$")[1]
        port = wait_for(adding, r"multirig key join \S+:(\d+)")[1]
        with start(not on_windows, "join", f"127.0.0.1:{port}", "--name", "other") as joining:
            said = joining.communicate(f"{code}\n".encode(), timeout=LIMIT)[0].decode()
        assert joining.returncode == 0, said
        rest = adding.communicate(timeout=LIMIT)[0].decode()
    assert adding.returncode == 0, rest
    assert re.search(r"other \(127\.0\.0\.1\) wants to join the lab mylab", rest)
    for one in (tmp_path / "windows", *(tmp_path / "windows").iterdir()):
        one.chmod(0o700 if one.is_dir() else 0o600)  # Wine gives a file to its user's group, too
    keys = read_keys(tmp_path / ("here" if on_windows else "windows"))
    assert keys is not None
    (membership,) = keys.memberships
    assert (membership.certificate.name, membership.certificate.role) == ("other", Role.LEAD)
    lab = Keyring(tmp_path / ("windows" if on_windows else "here")).find_lab_key().lab
    assert lab == membership.lab
