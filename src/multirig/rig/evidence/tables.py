"""What the times of a clock table's rows tell, read in one pass, within a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from multirig.protocol.words import Evidence
from multirig.rig.evidence.frames import FrameStatistics
from multirig.rig.inspection import read_first_field

FEW = 10
"""Rows, of fewer of which nothing is told."""
MOST = 0.5
"""Share of the rows, beyond which one and the same time is no matter of digits."""
_LOOK_EVERY = 5000
"""Rows after which the time is looked at."""


def read_table(path: Path, to_session_time: Callable[[int], int], *, until: float) -> Evidence | None:
    """Return what the rows of a table tell whose first column is this PC's clock.

    A table of events has no rate; one that is steady has. Rows of the same time do not fall, since a clock is
    written with so many digits, or rows come in blocks: but where most rows have one and the same time, that
    clock stood still.

    Parameters
    ----------
    path : Path
        CSV; its first line is the header.
    to_session_time : callable
        From this PC's clock to the conductor's; ns.
    until : float
        On ``time.monotonic()``: how long may be read.

    Returns
    -------
    Evidence or None
        None where there was not enough time: nothing is known then.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    statistics, falls, last = FrameStatistics(), 0, -math.inf
    same = longest = 0
    with path.open("rb") as file:
        next(file, b"")
        for number, line in enumerate(file):
            if number % _LOOK_EVERY == 0 and time.monotonic() > until:
                return None
            if not line.endswith(b"\n") or (seconds := _read_time(line)) is None:
                continue  # torn, or rubbish that a crash has left
            falls += seconds < last
            same = same + 1 if seconds == last else 0
            longest = max(longest, same)
            last = seconds
            statistics.add(round(seconds * 1e9))
    found = statistics.conclude(to_session_time)
    rate = found.rate if statistics.is_steady else None
    stood_still = statistics.count >= FEW and longest > MOST * statistics.count
    backwards = falls + longest if stood_still else falls
    return replace(found, rate=rate, backwards=backwards, missing=None, bursts=None, bound=None)


def _read_time(line: bytes) -> float | None:
    try:
        seconds = float(line.partition(b",")[0])
    except ValueError:
        try:
            seconds = float(read_first_field(line))
        except ValueError:
            return None
    return seconds if math.isfinite(seconds) else None
