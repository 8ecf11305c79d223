"""What was measured of attacks, for the end of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

_figures: list[str] = []


@pytest.fixture
def note_of_attack() -> Callable[[str], None]:
    """Keep a measured figure for the end of the run."""
    return _figures.append


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in _figures:
        terminalreporter.write_line(line)
