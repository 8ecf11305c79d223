"""What is done on the disk in a rig's data folder, by threads."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import secrets
import shutil
from pathlib import Path

from multirig.rig.adapter import Session
from multirig.sync.pulses import PULSE_COLUMNS, PULSES_NAME, Pulse

MARK_NAME = ".multirig_folder"
"""In the data folder: a number by which rigs know that they share it."""


def mark_folder(folder: Path, lab: str) -> str | None:
    """Return what all rigs find that write into this folder, by whatever path, and from whatever PC."""
    path = folder / MARK_NAME
    try:
        with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(8))
        kept = path.read_bytes()
    except OSError:
        return None
    return hashlib.blake2b(kept + lab.casefold().encode(), digest_size=8).hexdigest() if kept else None


def remove_empty(session: Session) -> None:
    """Remove a session's folder and those above it, as far as there is nothing in them."""
    folder = session.folder
    with contextlib.suppress(OSError):  # a folder that holds something stays
        folder.rmdir()
        while folder != session.session_folder:
            folder = folder.parent
            folder.rmdir()


def free_bytes(folder: Path) -> int:
    """Return how much room there is on the disk of a folder."""
    return shutil.disk_usage(folder).free


def append_pulse(folder: Path, pulse: Pulse) -> None:
    """Write a line that is on its way to the disk at once: what was given stays known if the program dies."""
    path = folder / PULSES_NAME
    bound = "" if pulse.bound is None else f"{pulse.bound:.9f}"
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            table.writerow(PULSE_COLUMNS)
        table.writerow((f"{pulse.at:.9f}", bound, pulse.rig_time, f"{pulse.length:.6g}"))
