"""Where commands look for the sessions of this PC."""

from __future__ import annotations

from pathlib import Path

from multirig.cli.session import DEFAULT_DATA
from multirig.folders import subjects_folder
from multirig.record.places import find_places

DEFAULT_LAB = "mylab"
"""Name of the lab's folder if nothing else is said."""


def find_subjects(data: Path | None, lab: str | None) -> list[Path]:
    """Return the folders ``…/Subjects``: the one that is said, or each that a session was begun in."""
    usual = subjects_folder(data or DEFAULT_DATA, lab or DEFAULT_LAB)
    return find_places(None if data is None and lab is None else usual, usual)
