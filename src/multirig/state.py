"""Where programs of multirig keep what is nobody's data: logs, locks, and where this PC's sessions lie."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "MULTIRIG_STATE"
"""Environment variable that names another folder for it."""


def state_folder() -> Path:
    """Return the user's own folder for what programs must remember; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_state_path("multirig", appauthor=False)


def log_folder() -> Path:
    """Return the user's own folder for logs; it need not exist."""
    if os.environ.get(VARIABLE):
        return state_folder() / "log"
    return platformdirs.user_log_path("multirig", appauthor=False)


def config_folder() -> Path:
    """Return the user's own folder for configuration; it need not exist."""
    return platformdirs.user_config_path("multirig", appauthor=False)
