"""Which sessions of this PC the server does not know of yet: kept in mind until it does."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from multirig.errors import why_not
from multirig.state import state_folder
from multirig.writing import write_whole

ENDING = ".transfer"
MAX_WAITING = 200
"""More of them are gone through another time."""

log = logging.getLogger("multirig.transfer")


def note_waiting(folder: Path) -> None:
    """Keep a session folder in mind; where that cannot be, a line in the log says so, and all goes on."""
    file = _file(folder)
    try:
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, os.fsencode(Path(os.path.abspath(folder))))
    except OSError as error:
        log.warning("%s cannot be written: %s", file, why_not(error))


def forget_waiting(folder: Path) -> None:
    """Forget a session folder: there is nothing more to do."""
    try:
        _file(folder).unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed: %s", _file(folder), why_not(error))


def list_waiting() -> list[Path]:
    """Return the session folders that are kept in mind and are there now, in any order."""
    found = []
    try:
        files = sorted((state_folder() / "transfers").glob(f"*{ENDING}"))[:MAX_WAITING]
    except OSError:
        return []
    for file in files:
        try:
            folder = Path(os.fsdecode(file.read_bytes()))
            if folder.is_absolute() and folder.is_dir():
                found.append(folder)
            elif folder.parent.exists():  # its session was moved away; a drive that is off comes again
                file.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            log.warning("%s: %s", file, error)
    return found


def _file(folder: Path) -> Path:
    name = hashlib.blake2b(os.fsencode(os.path.abspath(folder)), digest_size=8).hexdigest()
    return state_folder() / "transfers" / f"{name}{ENDING}"
