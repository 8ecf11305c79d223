"""What somebody asks of a task that runs, by files in its session's folder: to wait, and to end."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from multirig.ibl.session_paths import pause_file, stop_file

LOOK_EVERY = 0.1
"""Seconds between two looks for such a file."""


def is_asked_to_stop(paths: Mapping[str, Any]) -> bool:
    """Whether the task shall end in good order."""
    return stop_file(paths).exists()


def is_asked_to_pause(paths: Mapping[str, Any]) -> bool:
    """Whether the task shall wait after this trial; not where it shall end."""
    return pause_file(paths).exists() and not is_asked_to_stop(paths)


def wait_while_paused(paths: Mapping[str, Any], logger: logging.Logger) -> float:
    """Wait as long as somebody asks for it, and return for how many seconds that was."""
    if not is_asked_to_pause(paths):
        return 0.0
    began = time.monotonic()
    logger.info("paused: remove %s to go on", pause_file(paths))
    while is_asked_to_pause(paths):
        time.sleep(LOOK_EVERY)
    if not is_asked_to_stop(paths):
        logger.info("the task goes on")
    return time.monotonic() - began


def forget_wishes(paths: Mapping[str, Any]) -> None:
    """Take away what was asked of a task before this one."""
    for wish in (stop_file(paths), pause_file(paths)):
        wish.unlink(missing_ok=True)
