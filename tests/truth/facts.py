"""What is in a recorded video, by the numbers drawn into its pictures, beside what its source did."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from tests.truth.drawing import COLUMNS, GREYS, HEIGHT, ROWS, SQUARE, WIDTH, read_squares

EDGE = 0.15
"""Seconds at both ends of a session within which a frame may or may not belong to it."""

SKIPPED = 1.7
"""Usual intervals from one exposure to the next, from which on one between them was skipped."""
LATE = 0.1
"""Seconds from exposure to sending beyond which a frame was held back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One frame of a recorded video."""

    number: int | None
    """As drawn; None: it cannot be read."""
    time: float | None
    """By the file of frame times, in seconds on the session's clock."""
    pts: float
    """By the video itself, in seconds since its first frame."""
    greys: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is true of the recording of one camera."""

    label: str
    exposed: int
    """Frames that its source exposed while the session recorded."""
    recorded: int
    missing: int
    """Frames exposed in the session, and not in the video."""
    lost: int
    """Frames that were sent whole and in time, while somebody listened, and are not in the video."""
    doubled: int
    damaged: int
    """Frames in the video that cannot be read, or whose picture was cut."""
    head: float
    """Seconds from the session's begin to the first frame."""
    tail: float
    """Seconds from the last frame to the session's end."""
    hole: float
    """The longest time in the session of which no frame is there, in seconds; its ends count."""
    hole_at: float
    """When it begins, in seconds since the session's begin."""
    rate: float
    """Frames a second in the video."""
    burst: int
    """Frames that were held back, sent at once with others, and have the time of their arrival."""
    wrong: float
    """The largest error of a frame's time, in seconds, beyond the constant delay."""
    typical: float
    """The median error, in seconds, beyond the constant delay."""
    falls: int
    """Frame times that do not rise."""
    length_differs: int
    """Frames in the videos less frame times."""
    grey_error: float
    """By how much the darkest to lightest greys are wrong, of 255; the largest of the medians."""
    files: int
    skipped: int = 0
    """Frames that its source itself was too busy to expose."""
    numbers: tuple[int, ...] = field(repr=False, default=())


def read_camera(folder: Path, label: str) -> tuple[list[Shown], int, int]:
    """Return a camera's frames, of all parts in order, how many more frames than times, and the files."""
    shown: list[Shown] = []
    differs, files = 0, 0
    for video in sorted(folder.rglob(f"_iblrig_{label}Camera.raw*.mp4"), key=_part):
        files += 1
        times_path = video.with_name(video.name.replace(".raw", ".times")).with_suffix(".npy")
        times = np.load(times_path) if times_path.exists() else np.zeros(0)
        frames = list(read_video(video))
        differs += abs(len(frames) - len(times))
        for place, (pts, number, greys) in enumerate(frames):
            when = float(times[place]) if place < len(times) else None
            shown.append(Shown(number=number, time=when, pts=pts, greys=greys))
    return shown, differs, files


def _part(path: Path) -> int:
    found = re.search(r"part(\d+)", path.name)
    return int(found[1]) if found else 1


def read_video(path: Path) -> Sequence[tuple[float, int | None, tuple[float, ...]]]:
    """Return time, number and greys of each frame of a video."""
    found: list[tuple[float, int | None, tuple[float, ...]]] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return []
            for frame in container.decode(video=0):
                grey = frame.to_ndarray(format="gray")
                if grey.shape[0] < HEIGHT or grey.shape[1] < WIDTH:
                    found.append((float(frame.time or 0.0), None, ()))
                    continue
                drawn = grey[:HEIGHT, :WIDTH].reshape(ROWS, SQUARE, COLUMNS, SQUARE)
                # the middle of each square: its edges belong to its neighbours too
                means = drawn[:, 4:-4, :, 4:-4].mean((1, 3)).ravel().tolist()
                read = read_squares(means)
                found.append((float(frame.time or 0.0), read and read[0], tuple(means[-len(GREYS) :])))
    except av.error.FFmpegError:
        return found
    return found


def compare(
    label: str,
    source: Sequence[Mapping[str, Any]],
    recorded: tuple[list[Shown], int, int],
    window: tuple[float, float],
) -> Facts:
    """Return what is true of a camera's recording.

    Parameters
    ----------
    label : str
        Of the camera.
    source : sequence of mapping
        What its source wrote: number, exposed, sent, cut.
    recorded : tuple
        Of `read_camera`.
    window : tuple of float
        When the session recorded, in seconds on this PC's monotonic clock.
    """
    shown, differs, files = recorded
    begin, end = window
    exposed = {one["number"]: one["exposed"] / 1e9 for one in source}
    sent = {one["number"]: one["sent"] / 1e9 for one in source if one["sent"] is not None}
    cut = {one["number"] for one in source if one["cut"]}
    inside = {number for number, at in exposed.items() if begin + EDGE <= at <= end - EDGE}
    numbers = [one.number for one in shown if one.number is not None]
    there = set(numbers)
    missing = inside - there
    late = {number for number, at in sent.items() if at - exposed[number] > LATE}
    moments = sorted(exposed[number] for number in there if number in exposed)
    borders = [begin, *(one for one in moments if begin < one < end), end]
    hole, hole_at = max((after - before, before) for before, after in itertools.pairwise(borders))
    errors = {
        one.number: one.time - exposed[one.number]
        for one in shown
        if one.number in exposed and one.time is not None
    }
    delay = statistics.median(errors.values()) if errors else 0.0
    off = {number: abs(one - delay) for number, one in errors.items()}
    times = [one.time for one in shown if one.time is not None]
    damaged = sum(one.number is None or one.number in cut for one in shown)
    return Facts(
        label=label,
        exposed=len(inside),
        recorded=len(shown),
        missing=len(missing),
        lost=len([one for one in missing if one in sent and one not in late and one not in cut]),
        doubled=len(numbers) - len(there),
        damaged=damaged,
        head=(moments[0] - begin) if moments else end - begin,
        tail=(end - moments[-1]) if moments else end - begin,
        hole=hole,
        hole_at=hole_at - begin,
        rate=_rate([one for one in moments if begin <= one <= end]),
        burst=len([one for one in late & there if off.get(one, 1.0) > LATE]),
        wrong=max(off.values(), default=0.0),
        typical=statistics.median(off.values()) if off else 0.0,
        falls=sum(after <= before for before, after in itertools.pairwise(times)),
        length_differs=differs,
        grey_error=_grey_error([one for one in shown if one.number is not None and one.number not in cut]),
        files=files,
        skipped=_count_skipped([at for at in exposed.values() if begin <= at <= end]),
        numbers=tuple(sorted(there)),
    )


def _rate(moments: Sequence[float]) -> float:
    """Return how many frames came in a second, from the first to the last."""
    return (len(moments) - 1) / (moments[-1] - moments[0]) if len(moments) > 1 else 0.0


def _count_skipped(moments: Sequence[float]) -> int:
    """Return how many frames are missing between exposures that are two usual intervals apart, or more."""
    intervals = [after - before for before, after in itertools.pairwise(sorted(moments))]
    usual = statistics.median(intervals) if intervals else 0.0
    return sum(round(one / usual) - 1 for one in intervals if usual and one > SKIPPED * usual)


def _grey_error(shown: Sequence[Shown]) -> float:
    whole = [one.greys for one in shown if one.greys]
    if not whole:
        return 0.0
    middle = np.median(np.asarray(whole), axis=0)
    return float(np.abs(middle - np.asarray(GREYS)).max())
