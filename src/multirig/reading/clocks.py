"""What was read of a rig's clock, and its own times on the session's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, SyncError
from multirig.reading.packages import need
from multirig.record.account import Account
from multirig.record.journal import FILE_NAME as JOURNAL_NAME
from multirig.record.journal import read_history
from multirig.sync.offsets import OFFSETS_NAME, Reading, RigClock, Unit, convert, read_clock

_SECOND = 1e9


class Clock:
    """A rig's clock through a session, as the PC that led has read it.

    Parameters
    ----------
    rig : str
        Name of the rig.
    clock : RigClock
        What was read.
    zero : float
        What the session's times count from: seconds on the session clock.
    """

    def __init__(self, rig: str, clock: RigClock, zero: float) -> None:
        numpy = need("numpy", "a clock")
        self._clock = clock
        self._zero = zero
        readings = clock.readings
        self.rig = rig
        """Name of the rig."""
        sessions = numpy.array([one.session for one in readings], numpy.int64)
        rigs = numpy.array([one.rig for one in readings], numpy.int64)
        self.times = sessions / _SECOND - zero
        """When it was read: seconds from the agreed start, float64."""
        self.offsets = (rigs - sessions) / _SECOND
        """The rig's clock minus the session clock, both as they are: seconds, float64."""
        self.bounds = numpy.array([one.bound for one in readings], numpy.float64) / _SECOND
        """By how much an offset may be wrong, either way: seconds, float64."""
        self.drifts = numpy.array([one.drift for one in readings], numpy.float64)
        """How much faster the rig's clock runs: parts per million, float64."""

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        worst = float(self.bounds.max())
        return f"<clock of {self.rig}: {len(self)} readings, known to ±{worst * 1e3:.3f} ms at the worst>"

    def to_session(self, times: Iterable[float], *, unit: Unit = "s") -> Any:
        """Return times that the rig itself has stamped, in seconds from the agreed start.

        Parameters
        ----------
        times : sequence of float or int, or numpy.ndarray
            Of the rig's ``time.perf_counter()`` in seconds, or ``time.perf_counter_ns()``.
        unit : {"s", "ns"}
            Of the times.

        Returns
        -------
        numpy.ndarray
            As many, float64.

        Raises
        ------
        SyncError
            They are not one row of finite numbers.
        """
        return self._convert(times, unit)[0] - self._zero

    def find_bounds(self, times: Iterable[float], *, unit: Unit = "s") -> Any:
        """Return by how many seconds each answer of `to_session` may be wrong, either way.

        Parameters
        ----------
        times, unit
            As for `to_session`.

        Returns
        -------
        numpy.ndarray
            As many, float64.

        Raises
        ------
        SyncError
            As for `to_session`.
        """
        return self._convert(times, unit)[1]

    def _convert(self, times: Iterable[float], unit: Unit) -> tuple[Any, Any]:
        numpy = need("numpy", "a clock")
        found = convert(times, self._clock, unit)
        session, bounds = (numpy.asarray(one, numpy.float64) for one in found)
        return (session, bounds) if unit == "s" else (session / _SECOND, bounds / _SECOND)

    def to_pandas(self) -> Any:
        """Return the readings as a table of pandas, with the session's time as index."""
        pandas = need("pandas", "a table")
        columns = {"offset_s": self.offsets, "bound_s": self.bounds, "drift_ppm": self.drifts}
        return pandas.DataFrame(columns, index=pandas.Index(self.times, name="t"))


def find_clock(rig: str, folders: Sequence[Path], told: Account | None) -> RigClock:
    """Return what was read of a rig's clock, by the table, or by the journal where that is not here.

    Raises
    ------
    ConfigError
        Nothing here tells of it.
    """
    problem = ""
    for folder in folders:
        if (folder / OFFSETS_NAME).is_file():
            try:
                return read_clock(folder, rig)
            except SyncError as error:  # it is no multirig, or the table is damaged
                problem = str(error)
    for folder in folders:
        if (folder / JOURNAL_NAME).is_file():
            reads = [one for one in read_history(folder).clocks if one.rig == rig]
            if reads:
                return RigClock(
                    Reading(rig=one.at + one.offset, session=one.at, bound=one.bound, drift=one.drift)
                    for one in reads
                )
    summary = None if told is None else told.rigs.get(rig)
    if summary is not None and (last := summary.clock) is not None:
        at, offset, bound = (round(one * _SECOND) for one in (last.at, last.offset, last.bound))
        return RigClock([Reading(rig=at + offset, session=at, bound=bound, drift=last.drift)])
    if problem and (summary is None or not summary.is_foreign):
        raise ConfigError(problem)
    if summary is not None:
        who = "it is no multirig" if summary.is_foreign else "it was never read"
        raise ConfigError(f"{rig}: its clock is not known, {who}: align its times by sync pulses")
    raise ConfigError(
        f"{rig}: its clock is not known here: copy {OFFSETS_NAME} of the PC that led into {folders[0]}"
    )
