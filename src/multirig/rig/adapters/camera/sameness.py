"""Whether a camera shows one and the same picture for long, or changes the size of its pictures."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from av.video.frame import VideoFrame

from multirig.rig.adapters.camera.options import NANOSECONDS

EVERY = NANOSECONDS // 4
"""Nanoseconds between two pictures that are compared: a look costs less than a tenth of a millisecond."""
ROWS = 64
"""Rows that are looked at, of a picture: where something moves, and by the noise of a sensor, they differ."""
LONG = 2 * NANOSECONDS
"""For which pictures must be the same before that is told."""
MANY = 10
"""The same in pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which all pictures were the same."""

    began: int
    """When the first came; this PC's clock, ns."""
    ended: int
    """When the last came."""
    frames: int

    @property
    def is_long(self) -> bool:
        """Whether it is worth a word."""
        return self.ended - self.began > LONG and self.frames > MANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """Pictures that came in another size than the first one."""

    before: tuple[int, int]
    after: tuple[int, int]
    at: int
    """When the first of them came; this PC's clock, ns."""
    frames: int = 1


class Sameness:
    """Looks at the pictures of one recording, in turn; used by one thread, and read by any."""

    def __init__(self) -> None:
        self.longest: Stretch | None = None
        """The longest time with the same picture."""
        self.resized: Resized | None = None
        """Since when pictures have another size; None: they never had."""
        self.first: int | None = None
        """When the first picture came; this PC's clock, ns."""
        self._size: tuple[int, int] | None = None
        self._due = 0
        self._mark: int | None = None
        self._began = self._frames = 0

    def look(self, frame: VideoFrame, at: int) -> None:
        """Take the next picture, which came at that time of this PC's clock; ns."""
        self.first = at if self.first is None else self.first
        self._look_at_size((frame.width, frame.height), at)
        self._frames += 1
        if at < self._due:
            return
        self._due = at + EVERY
        mark = sample(frame)
        if mark != self._mark:
            self._mark, self._began, self._frames = mark, at, 1
            return
        now = Stretch(began=self._began, ended=at, frames=self._frames)
        if self.longest is None or now.ended - now.began >= self.longest.ended - self.longest.began:
            self.longest = now

    def _look_at_size(self, size: tuple[int, int], at: int) -> None:
        if self._size is None:
            self._size = size
        elif size != self._size:
            known = self.resized
            frames = 1 if known is None else known.frames + 1
            begin = at if known is None else known.at
            self.resized = Resized(before=self._size, after=size, at=begin, frames=frames)


def sample(frame: VideoFrame) -> int:
    """Return a number that two pictures have in common that are the same, and hardly any others."""
    plane = frame.planes[0]
    pixels = memoryview(plane).cast("B")
    length = plane.line_size
    found = 0
    for row in range(0, plane.height, max(1, plane.height // ROWS)):
        begin = row * length
        found = zlib.crc32(pixels[begin : begin + min(length, plane.width)], found)
    return found
