"""How files grow while a rig records, whatever writes them: until the stop, and without a break? Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from multirig.protocol.events import SECOND
from multirig.rig.evidence.losses import Loss, Losses

FRESH = 3 * SECOND
"""Nanoseconds without growth that say nothing: programs write in pieces."""
PIECES = 4
"""Times the longest pause between two pieces, after which a file that grew steadily grows no more."""
LONGER = 2
"""Times the longest pause that there was, below which a pause at the end is another one of its kind."""
RARE = 8
"""One pause in so many says nothing of what is usual, and two at the most: a break does not excuse others."""
BREAK = 5 * SECOND // 2
"""Nanoseconds for which a file must have been seen to stand still: a busy disk may hold up a program."""
MANY = 16
"""Pieces after which a break is told apart from the way in which a program writes."""
LARGE = 10_000
"""Bytes a second: no list of events grows so fast, and those may pause."""
CAUGHT_UP = 0.75
"""Share of what was due until as long after a break as it was: then a buffer has held it meanwhile."""
BREAKS = 8
"""Pauses that are remembered, the longest."""
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
class _Pause:
    """A time in which a file did not grow, between two pieces."""

    length: int
    begin: int
    still: int
    """Nanoseconds for which it was seen not to grow: looks may be far apart."""
    before: int
    """Its size then."""
    after: int | None = None
    """Its size as long after the end of the pause as that was; None: that is not over."""


@dataclass(slots=True)
class _Growing:
    """A file, as it was seen to grow."""

    size: int
    appeared: int
    grew: int
    """When it last grew."""
    looked: int
    """When it was last looked at."""
    began_with: int
    """Bytes, when it was first seen."""
    pieces: int = 0
    pauses: list[_Pause] = field(default_factory=list)
    """The longest between two pieces, the longest first."""
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
        for one in self.pauses:
            if one.after is None and now >= one.begin + 2 * one.length:
                one.after = size
        still = self.looked - self.grew if self.pieces else 0  # what waits for its first piece has not begun
        self.pauses.append(_Pause(pause, self.grew, still, self.size))
        self.pauses.sort(key=lambda one: -one.length)
        del self.pauses[BREAKS:]
        self.pieces += 1
        self.grew = now

    @property
    def longest(self) -> int:
        """The longest pause between two pieces."""
        return self.pauses[0].length if self.pauses else 0

    @property
    def usual(self) -> int:
        """The longest pause, without those that are rare."""
        rare = min(2, self.pieces // RARE)
        return self.pauses[min(rare, len(self.pauses) - 1)].length if self.pauses else 0

    @property
    def rate(self) -> float:
        """Bytes a nanosecond, without the time in which it stood still."""
        took = self.grew - self.appeared - sum(one.length for one in self.pauses if one.still > BREAK)
        return (self.size - self.began_with) / max(took, 1)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A time in which a file that is steady else did not grow."""

    begin: int
    length: int
    is_grave: bool
    """Whether something is lost by it; else it may be in the nature of the data."""


class Growth:
    """Looks at the sizes of files now and then; times are nanoseconds of this PC's clock."""

    def __init__(self) -> None:
        self._files: dict[str, _Growing] = {}
        self._losses = Losses()

    def look(self, sizes: Mapping[str, int], now: int) -> None:
        """Take the sizes of all files, by path."""
        self._losses.look(sizes, now)
        for path, size in sizes.items():
            one = self._files.get(path)
            if one is None:
                self._files[path] = _Growing(size, now, now, now, size)
                continue
            if size > one.size:
                one.take(size, now)
            one.size, one.looked = size, now

    def find_losses(self, sizes: Mapping[str, int], now: int) -> list[Loss]:
        """Return which files have lost what they held, when all are closed and have these sizes."""
        return self._losses.conclude(sizes, now)

    def judge(self, path: str, size: int, stopped: int, *, fair_pause: int = 0) -> Grown:
        """Return whether a file grew until the rig was told to stop.

        Parameters
        ----------
        path : str
        size : int
            When it was closed.
        stopped : int
            When the rig was told to stop.
        fair_pause : int, optional
            Nanoseconds that somebody expects it to pause.
        """
        one = self._files.get(path)
        if one is None or one.pieces == 0:
            # written in one piece: at its end, or at some time
            is_late = size > 0 and (one is None or size > one.size or stopped - one.appeared <= FRESH)
            is_whole = PurePosixPath(path).suffix.lower() not in WHOLE_AT_ONCE
            return Grown(growing=True, grew_at=stopped) if is_late and is_whole else Grown()
        pause = stopped - one.grew
        if pause <= max(FRESH, PIECES * one.usual, LONGER * one.longest, fair_pause):
            return Grown(growing=True, grew_at=one.grew)
        if one.is_steady and not self._is_followed(path, one):
            return Grown(growing=False, grew_at=one.grew)
        return Grown(grew_at=one.grew)

    def find_breaks(self, path: str, *, fair_pause: int = 0) -> list[Break]:
        """Return when a file stood still that grew steadily before and after, the earliest first.

        What was held up by a buffer and came afterwards is no break, and no more is what recurs: some
        programs record in trials. Of lists of events it is in their nature.
        """
        one = self._files.get(path)
        if one is None or one.pieces < MANY:
            return []
        found = [
            Break(begin=pause.begin, length=pause.length, is_grave=one.rate * SECOND >= LARGE)
            for pause in one.pauses
            if pause.still > max(BREAK, PIECES * one.usual, fair_pause) and not _is_made_up(one, pause)
        ]
        return sorted(found, key=lambda each: each.begin)

    def _is_followed(self, path: str, one: _Growing) -> bool:
        """Whether a further file of its kind took its place: some recorders begin one now and then."""
        where = PurePosixPath(path)
        since = one.grew - max(SECOND, one.longest)
        return any(
            other.appeared >= since and PurePosixPath(name).suffix == where.suffix
            for name, other in self._files.items()
            if name != path and PurePosixPath(name).parent == where.parent
        )


def _is_made_up(one: _Growing, pause: _Pause) -> bool:
    """Return whether what did not come in a pause came after it."""
    if pause.after is None:
        took, came = one.grew - pause.begin, one.size - pause.before
    else:
        took, came = 2 * pause.length, pause.after - pause.before
    return came >= CAUGHT_UP * one.rate * took
