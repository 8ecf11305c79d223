"""Where this PC's sessions lie: each folder ``…/Subjects`` that one was ever begun in, whatever began it.

A small file for each, so that programs need not wait for each other and one that is damaged costs one place;
all else that is known of sessions is read from those folders.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from multirig.errors import why_not
from multirig.state import VARIABLE, state_folder
from multirig.writing import write_whole

ENDING = ".place"
MAX_PLACES = 1_000
"""More of them are of no lab: a program has made them."""

log = logging.getLogger("multirig.record")


def note_place(subjects: Path) -> None:
    """Remember a folder ``…/Subjects``; where that cannot be, a line in the log says so, and all goes on."""
    subjects = Path(os.path.abspath(subjects))
    folder = state_folder() / "places"
    file = folder / f"{hashlib.blake2b(os.fsencode(subjects), digest_size=8).hexdigest()}{ENDING}"
    try:
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, os.fsencode(subjects))
    except OSError as error:
        why = why_not(error)
        log.warning(
            "%s cannot be written (%s): sessions in %s are found by --data only; choose another folder by %s",
            folder,
            why,
            subjects,
            VARIABLE,
        )


def known_places() -> list[Path]:
    """Return the folders ``…/Subjects`` of this PC that are there now, in the order of their names."""
    found = set()
    try:
        files = sorted((state_folder() / "places").glob(f"*{ENDING}"))[:MAX_PLACES]
    except OSError:
        return []
    for file in files:
        try:
            place = Path(os.fsdecode(file.read_bytes()))
            if place.is_absolute() and place.is_dir():  # what was moved away is looked for no more
                found.add(place)
        except (OSError, ValueError) as error:
            log.warning("%s: %s", file, error)
    return sorted(found)


def find_places(chosen: Path | None, usual: Path) -> list[Path]:
    """Return where to look for sessions: the folder that was chosen, or all that are known and the usual one.

    Parameters
    ----------
    chosen : pathlib.Path or None
        A folder ``…/Subjects`` that was asked for.
    usual : pathlib.Path
        Where sessions go if nothing else is said.
    """
    if chosen is not None:
        return [chosen]
    here = Path(os.path.abspath(usual))
    return [usual, *(one for one in known_places() if one != here)]
