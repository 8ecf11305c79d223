"""A whole file at once: whoever looks finds the old text or the new one, never half of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from multirig.errors import ConfigError

TRIES = 20
PAUSE = 0.05
"""Seconds between two tries: Windows refuses a file that another program (a virus scanner, say) has open."""


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and put it there; its folder is made where it is missing.

    Raises
    ------
    ConfigError
        It cannot be written; what was there before stays.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        _replace(beside, path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror or error}): "
            "check the disk's space and the rights of the folder"
        ) from error


def _replace(beside: Path, path: Path) -> None:
    for _ in range(TRIES - 1):
        try:
            return os.replace(beside, path)
        except PermissionError:
            time.sleep(PAUSE)
    os.replace(beside, path)
