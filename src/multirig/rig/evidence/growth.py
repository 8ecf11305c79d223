"""How files grow while a rig records, whatever writes them: did they, until the stop? Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from multirig.protocol.events import SECOND

FRESH = 3 * SECOND
"""Nanoseconds without growth that say nothing: programs write in pieces."""
PIECES = 4
"""Times the longest pause between two pieces, after which a file that grew steadily grows no more."""
STEADY = 8
"""Pieces after which a file is known to grow steadily, however unlike they are."""
LONG = 4 * SECOND
"""Nanoseconds for which they must have come: events may come in a burst."""
EVEN = 5
"""Pieces after which that is known where each of them came as fast as the others."""
UNLIKE = 2.0
"""Times as fast, from which on a piece is unlike another."""
WHOLE_AT_ONCE = frozenset({".avi", ".h264", ".mj2", ".mkv", ".mov", ".mp4", ".ts"})
"""What grows all the time while it is recorded: that it was written at the very end proves nothing."""


@dataclass(slots=True)
class _Growing:
    """A file, as it was seen to grow."""

    size: int
    appeared: int
    grew: int
    """When it last grew."""
    pieces: int = 0
    longest: int = 0
    """The longest pause between two pieces."""
    slowest: float = math.inf
    """Bytes a nanosecond of a piece; the first and the newest need not be whole, and do not count."""
    fastest: float = 0.0
    newest: float | None = None
    """The same of the newest."""

    def take(self, size: int, now: int) -> None:
        """Take what it has grown to."""
        pause = now - self.grew
        if self.newest is not None:
            self.slowest, self.fastest = min(self.slowest, self.newest), max(self.fastest, self.newest)
        if self.pieces:
            self.newest = (size - self.size) / max(pause, 1)
        self.pieces += 1
        self.longest = max(self.longest, pause)
        self.grew = now

    @property
    def is_steady(self) -> bool:
        """Whether it grew as data does that come all the time."""
        if self.pieces >= STEADY and self.grew - self.appeared >= LONG:
            return True
        return self.pieces >= EVEN and self.fastest < UNLIKE * self.slowest


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What is known of a file's growth."""

    growing: bool | None = None
    """Whether it grew until the stop; None: nobody can tell."""
    grew_at: int | None = None
    """When it last grew; None: it was not seen to grow."""


class Growth:
    """Looks at the sizes of files now and then; times are nanoseconds of this PC's clock."""

    def __init__(self) -> None:
        self._files: dict[str, _Growing] = {}

    def look(self, sizes: Mapping[str, int], now: int) -> None:
        """Take the sizes of all files, by path."""
        for path, size in sizes.items():
            one = self._files.get(path)
            if one is None:
                self._files[path] = _Growing(size, now, now)
            elif size != one.size:
                if size > one.size:
                    one.take(size, now)
                one.size = size

    def judge(self, path: str, size: int, stopped: int) -> Grown:
        """Return whether a file grew until the rig was told to stop.

        Parameters
        ----------
        path : str
        size : int
            When it was closed.
        stopped : int
            When the rig was told to stop.
        """
        one = self._files.get(path)
        if one is None or one.pieces == 0:
            # written in one piece: at its end, or at some time
            is_late = size > 0 and (one is None or size > one.size or stopped - one.appeared <= FRESH)
            is_whole = PurePosixPath(path).suffix.lower() not in WHOLE_AT_ONCE
            return Grown(growing=True, grew_at=stopped) if is_late and is_whole else Grown()
        pause = stopped - one.grew
        if pause <= max(FRESH, PIECES * one.longest):
            return Grown(growing=True, grew_at=one.grew)
        if one.is_steady and not self._is_followed(path, one):
            return Grown(growing=False, grew_at=one.grew)
        return Grown(grew_at=one.grew)

    def _is_followed(self, path: str, one: _Growing) -> bool:
        """Whether a further file of its kind took its place: some recorders begin one now and then."""
        where = PurePosixPath(path)
        since = one.grew - max(SECOND, one.longest)
        return any(
            other.appeared >= since and PurePosixPath(name).suffix == where.suffix
            for name, other in self._files.items()
            if name != path and PurePosixPath(name).parent == where.parent
        )
