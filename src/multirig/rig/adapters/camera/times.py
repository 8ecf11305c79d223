"""The frame times beside a video: an npy file that can be read at any moment of the recording."""

from __future__ import annotations

import math
import os
import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from multirig.protocol.words import Evidence
from multirig.rig.adapters.camera.disk import write_fully
from multirig.rig.adapters.camera.frame_clock import Epoch, Moment, Quality, count_missing, is_clock, split
from multirig.rig.adapters.camera.options import NANOSECONDS
from multirig.rig.evidence.frames import FrameStatistics

TICK = 1_000
"""Least distance of two frames in nanoseconds: two may come at once, and float64 seconds must differ."""
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


def read_times(path: Path) -> array[float]:
    """Return the times that a file of frame times holds; OSError if it cannot be read."""
    count = read_ends(path)[0]
    with path.open("rb") as file:
        file.seek(_HEADER_LENGTH)
        values: array[float] = array("d")
        values.frombytes(file.read(_VALUE_LENGTH * count))
    return values


class TimesFile:
    """An npy file of float64 that grows, and is whole at every moment.

    Parameters
    ----------
    path : Path
        The file; must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        """Values on disk."""
        self._raw = path.open("xb", buffering=0)
        self._write_header()

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return _HEADER_LENGTH + _VALUE_LENGTH * self.count

    def extend(self, values: array[float]) -> None:
        """Add values."""
        if values:
            # the values first, then the length that tells of them: a kill in between leaves the old length
            self._raw.seek(_HEADER_LENGTH + _VALUE_LENGTH * self.count)
            write_fully(self._raw, values.tobytes())
            self.count += len(values)
            self._write_header()

    def cut(self, count: int) -> None:
        """Forget all but so many values."""
        self.count = min(self.count, count)
        self._write_header()

    def close(self, values: array[float] | None) -> None:
        """Close it, with these values in the place of all that was in it; None: leave it as it is."""
        self._raw.close()
        if values is None:
            return
        beside = self.path.with_name(self.path.name + ".new")
        try:
            with beside.open("wb", buffering=0) as raw:
                write_fully(raw, npy_header(len(values)) + values.tobytes())
                os.fsync(raw.fileno())
            os.replace(beside, self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        self.count = len(values)

    def _write_header(self) -> None:
        self._raw.seek(0)
        write_fully(self._raw, npy_header(self.count))


class FrameTimes:
    """Times of the frames of one video, float64 seconds on the conductor's clock, and what they tell.

    Each frame's moment is kept. `flush` appends what is new to the file with the clocks as they are known
    now, and `close` rewrites all of it with the clocks as they are known best: the source's and the
    conductor's. A process that is killed leaves a readable file with at least what was flushed: its n-th time
    belongs to the n-th frame of the video, and either of the two may be the shorter one.

    Parameters
    ----------
    path : Path
        The file; must not exist yet.
    to_session_time : callable
        From this PC's ``time.perf_counter_ns()`` to the conductor's.
    latency : int
        Nanoseconds to take off each time.
    keeps_arrivals : bool
        Whether a second file tells when the frames came.
    """

    def __init__(
        self,
        path: Path,
        to_session_time: Callable[[int], int],
        *,
        latency: int = 0,
        keeps_arrivals: bool = False,
    ) -> None:
        self.path = path
        self.span: tuple[float, float] | None = None
        """First and last time, known when it is closed; None if there is no frame."""
        self.evidence = Evidence()
        """What the times tell, known when it is closed."""
        self._to_session_time = to_session_time
        self._latency = latency
        self._arrivals = array("q")
        self._times = array("q")
        """As the source's clock was known when each frame came."""
        self._stamps = array("q")
        self._epochs: list[tuple[int, Epoch]] = []
        """From which frame on the stamps are of which epoch of the source's clock."""
        self._by_source = True
        self._last = -math.inf
        """The last time that was flushed."""
        self._file = TimesFile(path)
        self.arrivals = TimesFile(name_arrivals(path)) if keeps_arrivals else None
        """The second file."""

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self._file.bytes + (self.arrivals.bytes if self.arrivals else 0)

    def append(self, moment: Moment) -> None:
        """Take note of a frame that is in the video."""
        if moment.epoch is not None and (not self._epochs or self._epochs[-1][1] is not moment.epoch):
            self._epochs.append((len(self._arrivals), moment.epoch))
        self._by_source = self._by_source and moment.by_source
        self._times.append(moment.at)
        self._stamps.append(moment.stamp)
        self._arrivals.append(moment.arrival)

    def count_since(self, stamp: int) -> int:
        """Return how many frames came after that time; may be asked from another thread."""
        return len(self._arrivals) - bisect_right(self._arrivals, stamp)

    def flush(self) -> None:
        """Bring what is new into the files."""
        start = self._file.count
        values, _ = self._convert(self._times[start:], self._last)
        self._last = values[-1] if values else self._last
        self._file.extend(values)
        if self.arrivals is not None:
            self.arrivals.extend(self._to_seconds(self._arrivals[start:]))

    def close(self, frames: int) -> None:
        """Rewrite the files for as many frames as the video holds."""
        for kept in (self._arrivals, self._times, self._stamps):
            del kept[frames:]
        files = [self._file] if self.arrivals is None else [self._file, self.arrivals]
        try:
            # what stays if the disk has no room for a second file
            for file in files:
                file.cut(frames)
            self.flush()
        except BaseException:
            for file in files:
                file.close(None)
            raise
        bound = self._settle()
        seconds, backwards = self._convert(self._times, -math.inf)
        if seconds:
            self.span = (seconds[0], seconds[-1])
            self.evidence = self._conclude(seconds, backwards, bound)
        try:
            self._file.close(seconds)
        finally:
            if self.arrivals is not None:
                self.arrivals.close(self._to_seconds(self._arrivals))

    def _settle(self) -> int | None:
        """Find when each frame was there, now that all have come; return the bound (ns), None: not known."""
        if not self._by_source or not self._arrivals:
            self._times = self._arrivals
            return None
        if not self._epochs:
            return 0
        qualities: list[Quality] = []
        placed = array("q")
        for (begin, epoch), end in zip(
            self._epochs, [*(at for at, _ in self._epochs[1:]), len(self._stamps)], strict=True
        ):
            epoch.settle()
            stamps = self._stamps[begin:end]
            for here, some in split(epoch, stamps):
                fit = here.fit(some[0], some[-1])
                qualities.append(fit.quality)
                arrivals = self._arrivals[len(placed) : len(placed) + len(some)]
                placed.extend(map(min, map(fit.place, some), arrivals))
        if not is_clock(qualities, self._arrivals[-1] - self._arrivals[0]):
            self._times, self._by_source = self._arrivals, False
            return None
        self._times = placed
        return max(one.bound for one in qualities)

    def _conclude(self, seconds: array[float], backwards: int, bound: int | None) -> Evidence:
        statistics = FrameStatistics()
        statistics.extend(round(one * NANOSECONDS) for one in seconds)
        told = replace(statistics.conclude(), backwards=backwards)
        if not self._by_source:
            return replace(told, stamped_by="arrival")
        missing = count_missing(self._times)
        return replace(
            told,
            missing=told.missing if missing is None else missing,
            bursts=0,
            stamped_by="source",
            bound=(bound or 0) / NANOSECONDS,
        )

    def _to_seconds(self, stamps: array[int]) -> array[float]:
        return array("d", (self._to_session_time(stamp) / NANOSECONDS for stamp in stamps))

    def _convert(self, stamps: array[int], last: float) -> tuple[array[float], int]:
        """Return session times that rise, and how many did not."""
        seconds = array("d")
        backwards = 0
        for stamp in stamps:
            at = self._to_session_time(stamp - self._latency) / NANOSECONDS
            if at <= last:
                at = last + TICK / NANOSECONDS
                backwards += 1
            seconds.append(at)
            last = at
        return seconds, backwards


def name_arrivals(path: Path) -> Path:
    """Return where it stands when the frames came of which a file holds the times."""
    return path.with_name(path.name.replace("Camera.times.", "Camera.arrivals."))
