"""How many bytes a second a rig records, as its last recordings had it: what the disk is judged by."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from multirig.config import AdapterConfig
from multirig.rig.memory import memory_file
from multirig.writing import write_whole

SHORTEST = 2.0
"""Seconds that a recording must have lasted to say something."""
REMEMBERED = 5
"""Recordings of which the rate is kept; the highest counts."""

log = logging.getLogger("multirig.rig")


def rate_file(data_folder: Path, name: str) -> Path:
    """Return where a rig keeps its rates."""
    return memory_file(data_folder, name).with_suffix(".rate.json")


def recall_rate(path: Path, adapter: AdapterConfig) -> float | None:
    """Return bytes a second of the adapter as it is configured; None: it has not recorded yet."""
    return max(_read(path, adapter), default=None)


def rate_since(size: int, seconds: float) -> float | None:
    """Return bytes a second of what was recorded in that time; None where it says nothing."""
    return size / seconds if seconds >= SHORTEST and size > 0 else None


def remember_rate(path: Path, adapter: AdapterConfig, size: int, seconds: float) -> None:
    """Note what a recording has taken; one that was too short, or of nothing, says nothing."""
    if (rate := rate_since(size, seconds)) is None:
        return
    rates = [*_read(path, adapter), rate][-REMEMBERED:]
    try:
        write_whole(path, json.dumps({"adapter": _mark(adapter), "rates": rates}).encode())
    except OSError as error:
        log.warning("how much is recorded a second cannot be kept in %s: %s", path, error)


def _read(path: Path, adapter: AdapterConfig) -> list[float]:
    try:
        kept: Any = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    match kept:
        case {"adapter": mark, "rates": [*rates]} if mark == _mark(adapter):
            return [one for one in rates if isinstance(one, float) and one > 0]
    return []


def _mark(adapter: AdapterConfig) -> str:
    """Return what is the same for the same configuration: another camera has another rate."""
    return hashlib.blake2b(adapter.model_dump_json().encode(), digest_size=8).hexdigest()
