"""Where a rig records when it rehearses, and how that is removed."""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path

from multirig.rig.memory import memory_file

FOLDER = ".multirig_rehearsal"
LIMIT = 120.0
"""Seconds after which a rehearsal that nobody ends is ended by the rig itself."""

log = logging.getLogger("multirig.rig")


def rehearsal_folder(data_folder: Path, name: str) -> Path:
    """Return what stands in the place of the data folder; each rig has one of its own."""
    return data_folder / FOLDER / memory_file(data_folder, name).stem.lstrip(".")


def remove_rehearsal(folder: Path) -> None:
    """Remove what was recorded in a rehearsal; what is in use still is removed at the next one."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("%s could not be removed; the next start of this rig tries again", folder)
    with contextlib.suppress(OSError):  # another rig rehearses beside this one
        folder.parent.rmdir()
