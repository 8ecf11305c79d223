"""What a session was recorded for: its tasks, projects and procedures, as the files in its folder say."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multirig.config import YamlLoader, parse_yaml, read_text
from multirig.errors import ConfigError
from multirig.folders import find_description

SETTINGS_NAME = "_iblrig_taskSettings.raw.json"
"""What a task writes of itself, here or under iblrig, in its ``raw_task_data_<NN>``."""

log = logging.getLogger("multirig.record")


def read_description(folder: Path) -> Mapping[str, Any]:
    """Return the description of the experiment in a session folder; nothing where none can be read."""
    path = find_description(folder)
    if path is None:
        return {}
    try:
        found = parse_yaml(read_text(path), path, YamlLoader)
    except ConfigError as error:
        log.warning("%s; the session is told without what it says", error)
        return {}
    return found if isinstance(found, dict) else {}


def read_names(described: Mapping[str, Any], key: str) -> list[str]:
    """Return ``projects`` or ``procedures`` of a description."""
    found = described.get(key)
    return [str(one) for one in found if one] if isinstance(found, list) else []


def read_protocols(described: Mapping[str, Any]) -> list[str]:
    """Return the names of a description's tasks."""
    tasks = described.get("tasks")
    if not isinstance(tasks, list | dict):
        return []
    return [str(name) for one in tasks for name in (one if isinstance(one, dict) else (one,))]


def read_settings(path: Path) -> Mapping[str, Any]:
    """Return with what a task ran; nothing where that cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
