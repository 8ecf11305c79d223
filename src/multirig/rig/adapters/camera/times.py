"""The frame times beside a video: an npy file that can be read at any moment of the recording."""

from __future__ import annotations

import os
import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from multirig.rig.adapters.camera.disk import write_fully
from multirig.rig.adapters.camera.options import NANOSECONDS

_HEADER_LENGTH = 128
"""Bytes before the first value: fixed, so that the header can be rewritten in place."""
_VALUE_LENGTH = 8


def npy_header(length: int) -> bytes:
    """Return the npy header (format 1.0) of a vector of that many float64."""
    order = "<" if sys.byteorder == "little" else ">"
    text = f"{{'descr': '{order}f8', 'fortran_order': False, 'shape': ({length},), }}"
    room = _HEADER_LENGTH - 10  # magic, version, length of the text
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + text.ljust(room - 1).encode() + b"\n"


def read_ends(path: Path) -> tuple[int, float | None, float | None]:
    """Return how many times a file of frame times holds, the first and the last; only its ends are read.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_LENGTH)
        found = re.search(rb"'shape': \((\d+),\)", header)
        room = (file.seek(0, os.SEEK_END) - _HEADER_LENGTH) // _VALUE_LENGTH
        count = max(0, min(int(found[1]), room)) if found else 0
        ends: array[float] = array("d")
        for place in (0, count - 1) if count else ():
            file.seek(_HEADER_LENGTH + _VALUE_LENGTH * place)
            ends.frombytes(file.read(_VALUE_LENGTH))
    return (count, ends[0], ends[1]) if ends else (0, None, None)


class FrameTimes:
    """Times of the frames of one video, float64 seconds on the conductor's clock.

    This PC's stamps are kept. `flush` appends what is new to the file with the clocks as they are known now,
    and `close` rewrites all of it with the clocks as they are known best. A process that is killed leaves a
    readable file with at least what was flushed: its n-th time belongs to the n-th frame of the video, and
    either of the two may be the shorter one.

    Parameters
    ----------
    path : Path
        The file; must not exist yet.
    to_session_time : callable
        From this PC's ``time.perf_counter_ns()`` to the conductor's.
    """

    def __init__(self, path: Path, to_session_time: Callable[[int], int]) -> None:
        self.path = path
        self._stamps = array("q")
        self._to_session_time = to_session_time
        self.span: tuple[float, float] | None = None
        """First and last time, known when it is closed; None if there is no frame."""
        self._flushed = 0
        self._raw = path.open("xb", buffering=0)
        self._write_header()

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return _HEADER_LENGTH + _VALUE_LENGTH * self._flushed

    def append(self, stamp: int) -> None:
        """Take note of a frame that is in the video."""
        self._stamps.append(stamp)

    def count_since(self, stamp: int) -> int:
        """Return how many frames are younger than that stamp; may be asked from another thread."""
        return len(self._stamps) - bisect_right(self._stamps, stamp)

    def flush(self) -> None:
        """Bring what is new into the file."""
        new = self._convert(self._flushed)
        if new:
            # the values first, then the length that tells of them: a kill in between leaves the old length
            self._raw.seek(_HEADER_LENGTH + _VALUE_LENGTH * self._flushed)
            write_fully(self._raw, new.tobytes())
            self._flushed += len(new)
            self._write_header()

    def close(self, frames: int) -> None:
        """Rewrite the file for as many frames as the video holds."""
        del self._stamps[frames:]
        self._flushed = min(self._flushed, frames)
        try:
            # what stays if the disk has no room for a second file
            self._write_header()
            self.flush()
        finally:
            self._raw.close()
        seconds = self._convert(0)
        if seconds:
            self.span = (seconds[0], seconds[-1])
        self._replace(seconds)

    def _convert(self, start: int) -> array[float]:
        return array("d", (self._to_session_time(stamp) / NANOSECONDS for stamp in self._stamps[start:]))

    def _write_header(self) -> None:
        self._raw.seek(0)
        write_fully(self._raw, npy_header(self._flushed))

    def _replace(self, seconds: array[float]) -> None:
        beside = self.path.with_name(self.path.name + ".new")
        try:
            with beside.open("wb", buffering=0) as raw:
                write_fully(raw, npy_header(len(seconds)) + seconds.tobytes())
                os.fsync(raw.fileno())
            os.replace(beside, self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
