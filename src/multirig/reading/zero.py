"""The zero of a session's times."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from multirig.errors import SyncError
from multirig.record.account import Account
from multirig.record.manifest import Manifest
from multirig.record.time_files import STARTS_NAME
from multirig.sync.tables import read_rows

AGREED = "the agreed start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zero:
    """What all times of a session count from."""

    at: float
    """On the session clock, the ``time.perf_counter()`` of the PC that led; files count from its zero."""
    what: str
    """In words: the agreed start, or what comes nearest to it where nothing here tells that."""
    wall: datetime.datetime | None = None
    """The time of day then, by the clock of the PC that led, or of a rig where only its part is here."""

    @property
    def is_agreed(self) -> bool:
        """Whether it is the agreed start itself."""
        return self.what == AGREED


def find_zero(
    told: Account | None, manifests: Iterable[Manifest], folders: Iterable[Path] = ()
) -> Zero | None:
    """Return what a session's times count from; None: nothing here tells of any time.

    Parameters
    ----------
    told : Account or None
        What the session was.
    manifests : iterable of Manifest
        Of the rigs whose parts are here: they count where there is no account.
    folders : iterable of pathlib.Path
        Where the table of starts may lie without a journal.
    """
    if told is not None and told.zero > 0.0:
        if told.agreed_start is None:
            what = "when the first rig began"
        elif any(rig.start is not None and rig.start.planned is not None for rig in told.rigs.values()):
            what = AGREED
        else:
            what = "when the rigs were told to start: none of them knows instants"
        return Zero(at=told.zero, what=what, wall=_find_wall(told.began, told.began_at, told.zero))
    known = list(manifests)
    if (at := min((one for folder in folders for one in _read_planned(folder)), default=None)) is not None:
        moments = (one.started or one.stopped for one in known)
        wall = next((_find_wall(one.wall, one.clock, at) for one in moments), None)
        return Zero(at=at, what=AGREED, wall=wall)
    agreed = [(one.agreed_start, one) for one in known]
    started = [(None if one.started is None else one.started.clock, one) for one in known]
    first = [(file.first, one) for one in known for file in one.files]
    for what, found in (
        (AGREED, agreed),
        ("when the first rig here had started", started),
        ("the first frame here", first),
    ):
        times = [(at, one) for at, one in found if at is not None]
        if times:
            at, one = min(times, key=lambda each: each[0])
            moment = one.started or one.stopped
            return Zero(at=at, what=what, wall=_find_wall(moment.wall, moment.clock, at))
    return None


def _read_planned(folder: Path) -> Iterator[float]:
    """Yield the instants at which rigs were to start, by the table of starts in a folder."""
    path = folder / STARTS_NAME
    if path.is_file():
        with contextlib.suppress(SyncError, ValueError):
            for _, (planned,) in read_rows(path, ("planned_s",)):
                if planned:
                    yield float(planned)


def _find_wall(wall: str | None, clock: float | None, at: float) -> datetime.datetime | None:
    """Return the time of day at a time of the session clock, by a moment of which both are known."""
    if wall is None or clock is None:
        return None
    try:
        return datetime.datetime.fromisoformat(wall) + datetime.timedelta(seconds=at - clock)
    except (ValueError, OverflowError):
        return None
