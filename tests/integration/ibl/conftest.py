"""Alyx on loopback, and a home folder that is nobody's."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FakeAlyx = runpy.run_path(str(Path(__file__).with_name("alyx_server.py")))["FakeAlyx"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder in which ONE has never been set up."""
    import one.params

    folder = tmp_path / "home"
    folder.mkdir()
    for variable in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(one.params, "CACHE_DIR_DEFAULT", str(folder / "Downloads" / "ONE"))
    return folder


@pytest.fixture
def database(home: Path) -> Iterator[Any]:
    """Alyx, with the users sara and olivier and the subjects SP_01 and SP_02."""
    alyx = FakeAlyx()
    yield alyx
    alyx.close()
