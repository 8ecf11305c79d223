from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A lab's server: the folder that is its drive on each PC."""
    folder = tmp_path / "server"
    (folder / "Subjects").mkdir(parents=True)
    return folder
