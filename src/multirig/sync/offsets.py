"""A rig's own time stamps on the session clock, by what the conductor has read of the rig's clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from multirig.errors import SyncError
from multirig.sync.arrays import is_plain_array, like, to_list
from multirig.sync.tables import find, read_rows
from multirig.wording import from_cell

OFFSETS_NAME = "_multirig_clock.offsets.csv"
"""In the session folder on the conductor's PC."""
_COLUMNS = ("rig", "session_time_s", "offset_s", "bound_s", "drift_ppm")

WANDER = 1.0
"""ppm by which a PC's clock may leave the line between two readings that are seconds apart: temperature."""
UNSEEN = 10.0
"""ppm by which a drift may be wrong before the first reading and after the last one, at least."""
UNKNOWN = 200.0
"""ppm by which two PCs' clocks may gain on each other where nothing is known."""
STEP = 50.0
"""ppm: two readings that differ by more, beyond their bounds and drift, have a step between them."""

_NS = {"s": 10**9, "ns": 1}
Unit = Literal["s", "ns"]


class Reading(NamedTuple):
    """What was read of a rig's clock once, on both clocks; nanoseconds, and ppm."""

    rig: int
    session: int
    bound: int
    drift: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """Readings without a step between them, by the rig's time."""

    readings: list[Reading]

    def distance(self, time: int) -> int:
        """Return how far outside of the piece a rig's time lies; ns, 0 inside."""
        return max(self.readings[0].rig - time, time - self.readings[-1].rig, 0)

    def place(self, time: int) -> tuple[int, int]:
        """Return a rig's time on the session clock, and the bound of that; ns."""
        after = bisect_right(self.readings, time, key=lambda one: one.rig)
        if 0 < after < len(self.readings):
            one, other = self.readings[after - 1], self.readings[after]
            share = (time - one.rig) / (other.rig - one.rig)
            gone = round((other.session - one.session - (other.rig - one.rig)) * share)
            near = min(time - one.rig, other.rig - time)
            bound = one.bound + (other.bound - one.bound) * share + near * WANDER * 1e-6
            return one.session + (time - one.rig) + gone, round(bound)
        end = self.readings[0 if after == 0 else -1]
        away = time - end.rig
        gained = round(away * end.drift * 1e-6 / (1 + end.drift * 1e-6))
        return end.session + away - gained, round(end.bound + abs(away) * self._doubt() * 1e-6)

    def place_all(self, times: Any) -> tuple[Any, Any]:
        """Return what `place` does of each time; arrays of int64, in nanoseconds."""
        import numpy as np

        rig, session, bounds = (np.array([one[at] for one in self.readings], np.int64) for at in range(3))
        after = np.clip(np.searchsorted(rig, times, "right"), 1, max(1, len(rig) - 1))
        before = after - 1
        after = np.minimum(after, len(rig) - 1)
        length = np.maximum(rig[after] - rig[before], 1)
        since = times - rig[before]
        share = since / length
        gone = np.rint((session[after] - session[before] - length) * share).astype(np.int64)
        near = np.minimum(since, rig[after] - times)
        here = session[before] + since + gone
        bound = bounds[before] + (bounds[after] - bounds[before]) * share + near * WANDER * 1e-6
        for end, is_out in ((self.readings[0], times < rig[0]), (self.readings[-1], times >= rig[-1])):
            away = times[is_out] - end.rig
            gained = np.rint(away * end.drift * 1e-6 / (1 + end.drift * 1e-6)).astype(np.int64)
            here[is_out] = end.session + away - gained
            bound[is_out] = end.bound + np.abs(away) * self._doubt() * 1e-6
        return here, np.rint(bound).astype(np.int64)

    def _doubt(self) -> float:
        """Return the ppm by which the drift may be wrong beyond the ends; a few seconds tell little."""
        first, last = self.readings[0], self.readings[-1]
        length = last.rig - first.rig
        if length <= 0:
            return UNKNOWN
        return min(UNKNOWN, max(UNSEEN, (first.bound + last.bound) / length * 1e6 + WANDER))


class RigClock:
    """What was read of one rig's clock in a session, and by that the way from its time to the session's.

    Parameters
    ----------
    readings : iterable of Reading
        One at least, in any order.
    """

    def __init__(self, readings: Iterable[Reading]) -> None:
        self.readings = sorted(readings, key=lambda one: one.session)
        """By the session's time."""
        self._pieces: list[_Piece] = []
        last = None
        for one in self.readings:
            if last is None or _is_step(last, one):
                self._pieces.append(_Piece([]))
            elif one.rig <= last.rig:
                continue  # read twice at the same instant
            self._pieces[-1].readings.append(one)
            last = one

    def place(self, time: int) -> tuple[int, int]:
        """Return a rig's time on the session clock, and the bound of that; ns.

        Between two pieces, where the step may have been anywhere, the nearer one tells, and the bound holds
        what the other one says too.
        """
        pieces = sorted(self._pieces, key=lambda piece: piece.distance(time))
        session, bound = pieces[0].place(time)
        for one, other in pairwise(self._pieces):
            if not (one.distance(time) and other.distance(time)):
                continue
            if one.readings[-1].rig < time < other.readings[0].rig:
                for claim, width in (one.place(time), other.place(time)):
                    bound = max(bound, abs(claim - session) + width)
        return session, bound

    def place_all(self, times: Any) -> tuple[Any, Any]:
        """Return what `place` does of each time.

        Parameters
        ----------
        times : numpy.ndarray
            Of the rig: int64, nanoseconds.

        Returns
        -------
        tuple of numpy.ndarray
            On the session clock, and the bounds; int64, nanoseconds.
        """
        import numpy as np

        distances = np.array(
            [
                np.maximum(np.maximum(one.readings[0].rig - times, times - one.readings[-1].rig), 0)
                for one in self._pieces
            ]
        )
        nearest = np.argmin(distances, axis=0)
        session, bound = np.empty_like(times), np.empty_like(times)
        for place, piece in enumerate(self._pieces):
            mine = nearest == place
            session[mine], bound[mine] = piece.place_all(times[mine])
        for one, other in pairwise(self._pieces):
            between = np.flatnonzero((one.readings[-1].rig < times) & (times < other.readings[0].rig))
            for at in between:  # a step: few times lie in it
                session[at], bound[at] = self.place(int(times[at]))
        return session, bound


def _is_step(one: Reading, other: Reading) -> bool:
    """Whether two readings that follow each other tell of a jump between them."""
    passed = other.session - one.session
    gained = (other.rig - one.rig) - passed
    slow, fast = sorted((one.drift, other.drift))
    spare = one.bound + other.bound + passed * STEP * 1e-6
    return not passed * slow * 1e-6 - spare <= gained <= passed * fast * 1e-6 + spare


def to_session_time(times: Iterable[float], rig: str, session: str | Path, *, unit: Unit = "s") -> Any:
    """Return a rig's own time stamps on the session clock.

    Between two readings of the rig's clock the time goes along a straight line, outside of them on with the
    drift that was seen last. Where one of the clocks has jumped between two readings (a PC slept, a virtual
    machine stood still, a rig was started again), no line is drawn: the nearer reading, by the rig's own
    time, tells, and `offset_bounds` is as wide as the jump there.

    Parameters
    ----------
    times : sequence of float or int, or numpy.ndarray
        Of the rig's ``time.perf_counter()`` in seconds, or ``time.perf_counter_ns()``.
    rig : str
        Name of the rig.
    session : str or pathlib.Path
        The session folder on the conductor's PC, or ``_multirig_clock.offsets.csv`` itself.
    unit : {"s", "ns"}
        Of the times and of what is returned. A float of seconds holds some nanoseconds after a month of
        uptime; whole nanoseconds stay exact.

    Returns
    -------
    list or numpy.ndarray
        As many times, on the session clock: float seconds, or int nanoseconds. An array for an array.

    Raises
    ------
    SyncError
        There is no such file or rig, or nothing was read of its clock; one line with what to do.
    """
    return convert(times, read_clock(Path(session), rig), unit)[0]


def offset_bounds(times: Iterable[float], rig: str, session: str | Path, *, unit: Unit = "s") -> Any:
    """Return by how much each answer of `to_session_time` may be wrong, either way.

    Parameters
    ----------
    times, rig, session, unit
        As for `to_session_time`.

    Returns
    -------
    list or numpy.ndarray
        As many bounds, in the same unit: that of the readings, and something for the time that lies between.

    Raises
    ------
    SyncError
        As for `to_session_time`.
    """
    return convert(times, read_clock(Path(session), rig), unit)[1]


def convert(times: Iterable[float], clock: RigClock, unit: Unit = "s") -> tuple[Any, Any]:
    """Return a rig's own time stamps on the session clock, and by how much each may be wrong.

    Parameters
    ----------
    times, unit
        As for `to_session_time`.
    clock : RigClock
        Of that rig.

    Raises
    ------
    SyncError
        The times are not one row of finite numbers.
    """
    if unit not in _NS:
        raise SyncError(f"unit {unit!r} is not known: write 's' or 'ns'")
    scale = _NS[unit]
    if is_plain_array(times):
        import numpy as np

        own = np.asarray(times)
        whole = own if own.dtype.kind in "iu" and unit == "ns" else np.rint(own.astype(np.float64) * scale)
        placed = clock.place_all(whole.astype(np.int64))
        session, bounds = (one if unit == "ns" else one / scale for one in placed)
        return session, bounds
    both = [clock.place(round(time * scale)) for time in to_list(times)]
    rows = zip(*both, strict=True) if both else ((), ())
    session, bounds = ([one if unit == "ns" else one / scale for one in row] for row in rows)
    return like(times, session), like(times, bounds)


def read_clock(session: Path, rig: str) -> RigClock:
    """Return what was read of a rig's clock, by the table in a session folder, or that table itself.

    Raises
    ------
    SyncError
        As for `to_session_time`.
    """
    path = find(session, OFFSETS_NAME, "use the conductor's PC: it lies in the session folder there")
    rigs: dict[str, list[Reading]] = {}
    for number, (name, at, offset, bound, drift) in read_rows(path, _COLUMNS):
        readings = rigs.setdefault(from_cell(name), [])
        if not (at and offset and bound):
            continue  # the clock was not known then
        try:
            here, gap, width = (int(Decimal(cell).scaleb(9)) for cell in (at, offset, bound))
            readings.append(
                Reading(rig=here + gap, session=here, bound=width, drift=float(drift) if drift else 0.0)
            )
        except (InvalidOperation, ValueError, OverflowError):
            raise SyncError(f"{path}: line {number} cannot be read: take it out and try again") from None
    if rig not in rigs:
        known = f"there are {', '.join(sorted(rigs))}" if rigs else "it names none"
        raise SyncError(f"{path}: no rig is called {rig}: {known}")
    if not rigs[rig]:
        raise SyncError(f"{path}: the clock of {rig} was never read: align it by sync pulses instead")
    return RigClock(rigs[rig])
