"""What the pages of sessions that are over need of the console."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from multirig.conductor.catalogue import Catalogue


class Past(Protocol):
    """The part of a console that knows what was recorded."""

    catalogue: Catalogue
    subjects_folder: Path
    """``…/Subjects`` on this PC."""
    subjects: list[str]
    """Who may be recorded, and who was."""
