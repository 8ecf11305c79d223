"""Frame times as Bonsai writes them beside a video, for IBL's quality checks, which read no others."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from multirig.errors import why_not
from multirig.lifecycle.owners import is_owned
from multirig.rig.adapter import Session
from multirig.writing import write_whole

TIMES, SSV = "Camera.times.npy", "Camera.timestamps.ssv"
CYCLES = 8_000
"""A second, as a camera of PointGray counts it: the times are exact to 125 µs."""
ROUND = 128
"""Seconds after which it begins anew."""

log = logging.getLogger("multirig.rig")


def write_bonsai_times(session: Session, owned: Sequence[str]) -> None:
    """Write a table of frame times beside each video of a recording that is closed; what is there stays.

    Parameters
    ----------
    session : Session
        The session.
    owned : sequence of str
        Patterns of what the rig writes.
    """
    for path in sorted(session.folder.glob(f"_iblrig_*{TIMES}")):
        table = path.with_name(path.name.replace(TIMES, SSV))
        if is_owned(path.relative_to(session.session_folder).as_posix(), owned) and not table.exists():
            try:
                write_whole(table, "".join(make_lines(_read(path), _find_zero(session))).encode())
            except OSError as error:
                log.warning("%s cannot be written: %s", table, why_not(error))


def make_lines(times: Iterable[float], zero: datetime.datetime) -> Iterable[str]:
    """Yield a line a frame: the time of day in UTC, and the same as a camera's own clock would have it.

    Parameters
    ----------
    times : iterable of float
        Of the frames, in seconds.
    zero : datetime.datetime
        When the clock of these times was 0.
    """
    first: float | None = None
    for one in times:
        first = one if first is None else first
        seconds, part = divmod(one - first, 1.0)
        count = (int(seconds) % ROUND) << 25 | min(int(part * CYCLES), CYCLES - 1) << 12
        moment = zero + datetime.timedelta(seconds=one)
        yield f"{moment.isoformat(timespec='microseconds')} {count}\n"


def _read(path: Path) -> Iterable[float]:
    from multirig.rig.adapters.camera.times import read_times  # who has such a file has what it needs

    return read_times(path)


def _find_zero(session: Session) -> datetime.datetime:
    """Return when the session's clock was 0, in UTC without its zone: numpy's dates know none."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    return now - datetime.timedelta(microseconds=session.to_session_time(time.perf_counter_ns()) / 1_000)
