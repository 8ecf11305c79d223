"""Whether anything is recorded on this PC: whoever would disturb a recording asks here."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from pathlib import Path

import psutil

from multirig.state import state_folder

SAME_START = 2.0
"""Seconds by which the start of one process may seem to differ."""


def _folder() -> Path:
    return state_folder() / "recording"


class RecordingSign:
    """Put up by a rig from the moment it gets ready for a recording until that is closed.

    It counts for as long as the program lives that has put it up. Where the disk does not take it, a copy may
    go on meanwhile: that is no reason not to record.

    Parameters
    ----------
    rig : str
        Name of the rig.
    """

    def __init__(self, rig: str) -> None:
        self._path = _folder() / f"{os.getpid()}-{zlib.crc32(rig.encode()):08x}.json"
        self._is_up = False

    def put_up(self) -> None:
        """Something is recorded from now on."""
        if self._is_up:
            return
        self._is_up = True
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for left in self._path.parent.glob("*.json"):  # by a program that was killed
                if not _counts(left):
                    left.unlink(missing_ok=True)
            since = psutil.Process().create_time()
            self._path.write_text(json.dumps({"pid": os.getpid(), "since": since}), encoding="ascii")

    def take_down(self) -> bool:
        """Nothing is recorded any more; return whether anything was."""
        was_up, self._is_up = self._is_up, False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        return was_up


def is_recording() -> bool:
    """Whether a rig of this user records, or gets ready to."""
    try:
        names = os.listdir(_folder())
    except OSError:
        return False
    return any(name.endswith(".json") and _counts(_folder() / name) for name in names)


def _counts(path: Path) -> bool:
    try:
        told = json.loads(path.read_bytes())
        born = psutil.Process(int(told["pid"])).create_time()
        return abs(born - float(told["since"])) < SAME_START
    except (OSError, ValueError, TypeError, KeyError, OverflowError, psutil.Error):
        return False
