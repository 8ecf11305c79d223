"""Whether there is room for a recording, and whether the folder takes it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from pathlib import Path

from multirig.errors import why_not
from multirig.pc.finding import Finding, Level
from multirig.wording import about, size

PROBE_CHUNK = 1_000_000
PROBE_CHUNKS = 4
"""Enough to tell a disk from a slow network, too little to disturb a recording."""
PROBE_TIME = 0.5
"""Seconds after which the probe is ended however little was written."""
USUAL_SECONDS = 3600.0
"""For which there should be room where nothing else is said."""
SHORT_SECONDS = 600.0
"""With room for less, no session is begun whose duration is not known."""
RESERVE = 1.5
"""How many times the room that is needed should be free: a noisy picture needs more than a dark one."""
LITTLE_ROOM = 1_000_000_000
"""Bytes that should be free where the need is not known."""
BUSY_SHARE = 0.7
"""Of the disk's speed that a recording may take; above it, frames wait and are dropped."""


def check_disk(folder: Path, rate: float | None, seconds: float | None) -> list[Finding]:
    """Return whether there is room for a recording.

    Parameters
    ----------
    folder : pathlib.Path
        Where the data goes.
    rate : float or None
        Bytes a second, as the last recordings had; None: not known yet.
    seconds : float or None
        How long the session shall be; None: until it is ended.
    """
    try:
        free = shutil.disk_usage(_existing(folder)).free
    except OSError as error:
        text = f"{folder} cannot be reached ({why_not(error)}): check the disk or network drive"
        return [Finding(check="disk", level=Level.FAILURE, text=text)]
    return [judge_room(free, rate, seconds)]


def check_space(folder: Path) -> list[Finding]:
    """Return whether there is room where little is written: on the PC that leads."""
    try:
        free = shutil.disk_usage(_existing(folder)).free
    except OSError as error:
        text = f"{folder} cannot be reached ({why_not(error)}): check the disk or network drive"
        return [Finding(check="disk", level=Level.FAILURE, text=text)]
    if free < LITTLE_ROOM:
        return [Finding(check="disk", level=Level.WARNING, text=f"only {size(free)} are free: free space")]
    return [Finding(check="disk", level=Level.OK, text=f"{size(free)} free")]


def judge_room(free: int, rate: float | None, seconds: float | None) -> Finding:
    """Return whether so many free bytes are enough; see `check_disk`."""
    if not rate:
        if free < LITTLE_ROOM:
            text = f"only {size(free)} are free and how much a session needs is not known yet: free space"
            return Finding(check="disk", level=Level.WARNING, text=text)
        text = (
            f"{size(free)} free; how long that lasts is not known before a recording: "
            "'multirig rehearse --live' measures it"
        )
        return Finding(check="disk", level=Level.NOTE, text=text)
    wanted = USUAL_SECONDS if seconds is None else seconds
    lasts = free / rate
    figures = f"{size(free)} free, for {about(lasts)} at the usual {size(rate)}/s"
    if lasts < (SHORT_SECONDS if seconds is None else seconds):
        text = f"the disk is full in {about(lasts)} at {size(rate)}/s ({size(free)} free): free space"
        return Finding(check="disk", level=Level.FAILURE, text=text)
    if lasts < wanted * RESERVE:
        text = f"{figures}; that is little for {about(wanted)}: free space soon"
        return Finding(check="disk", level=Level.WARNING, text=text)
    return Finding(check="disk", level=Level.OK, text=figures)


def check_folder(folder: Path, rate: float | None) -> list[Finding]:
    """Write a real file, and remove it; return whether that works and how fast it is."""
    place = _existing(folder)
    probe = place / f".multirig_probe_{secrets.token_hex(4)}"
    try:
        speed = _measure_speed(probe)
    except OSError as error:
        text = f"{folder} cannot be written ({why_not(error)}): check its rights and the disk"
        return [Finding(check="folder", level=Level.FAILURE, text=text)]
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    about = f"{folder} takes about {size(float(f'{speed:.1g}'))}/s"
    if rate and rate > speed * BUSY_SHARE:
        text = f"{about}, and a recording needs {size(rate)}/s: use a faster disk, or record less"
        return [Finding(check="folder", level=Level.WARNING, text=text)]
    return [Finding(check="folder", level=Level.OK, text=about)]


def _measure_speed(probe: Path) -> float:
    """Return bytes a second, down to the disk."""
    chunk = os.urandom(PROBE_CHUNK)  # a disk that packs its data would be too quick with zeros
    began = time.perf_counter()
    written = 0
    with probe.open("xb", buffering=0) as file:
        while written < PROBE_CHUNK * PROBE_CHUNKS and time.perf_counter() - began < PROBE_TIME:
            written += file.write(chunk)
            os.fsync(file.fileno())
    return written / max(time.perf_counter() - began, 1e-6)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there already."""
    for place in (folder, *folder.absolute().parents):
        if place.exists():
            return place
    return folder
