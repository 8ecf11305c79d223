"""Windows' Python, for tests that this one runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.windows.programs import Rigs
from tests.windows.wine import Windows

FOLDER = os.environ.get("MULTIRIG_WINDOWS")


@pytest.fixture(scope="session")
def windows() -> Windows:
    if FOLDER is None:
        pytest.skip("is run by make windows")
    return Windows(Path(FOLDER))


@pytest.fixture
def rigs(windows: Windows, tmp_path: Path) -> Iterator[Rigs]:
    made = Rigs(windows, tmp_path)
    yield made
    made.end()
