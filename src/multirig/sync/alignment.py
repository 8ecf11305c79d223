"""A recorded train of sync pulses against those that were given: which is which, and what time it was.

The intervals between pulses are random, so that a few of them in a row are found in one place only. From
such a place the match grows along the train in both directions, following the drift of the recorder's clock.
The idea is pyControl's (Rsync); https://pycontrol.readthedocs.io tells of theirs.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from multirig.errors import SyncError
from multirig.sync.arrays import like, to_list
from multirig.sync.fitting import Points, fit, follow
from multirig.sync.matching import Pair, is_regular, match

MIN_PULSES = 5
"""Fewer that fit together may do so by chance."""
ENOUGH = 10
"""Pulses that fit, from which on a drift is worth believing."""

_FEW = 0.3
"""Less of a train than that fits by chance only."""
_MOST = 0.6
"""So much of a train fits where the recording is what it seems to be. Of fewer pulses than `ENOUGH` it is the
least: of two unrelated trains of 20 to 40 pulses, one pair in 3500 has five or six that fit, three or four in
ten of those that came meanwhile."""
_SURE = 0.1
"""Of the jitter: what lies so near to its place belongs there, even where the others lie nearer still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How a recorder's clock goes against the session clock, by the pulses that it recorded."""

    pairs: tuple[Pair, ...]
    """Which recorded pulse is which sent one, by their places; in order of time."""
    offset: float
    """Seconds to add to the recorder's time, at its first matched pulse, to get the session's."""
    drift: float
    """ppm: how much faster the recorder's clock runs than the session clock, over the whole recording."""
    residuals: tuple[float, ...]
    """Of each pair, seconds: where the recorder's pulse comes to lie, minus where it was sent."""
    missing: int
    """Pulses that were sent between the first and the last recorded one, and are not among them."""
    extra: int
    """Pulses that were recorded between the first and the last sent one, and are none of those."""
    reason: str = ""
    """Why it cannot be trusted without a look; empty where it can."""
    _corners: Points = field(repr=False)
    """The line from the recorder's clock to the session's."""

    @property
    def is_trustworthy(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reason

    @property
    def rms(self) -> float:
        """Root mean square of the residuals, seconds."""
        return math.sqrt(sum(one * one for one in self.residuals) / len(self.residuals))

    @property
    def largest(self) -> float:
        """The largest residual, either way, seconds."""
        return max(abs(one) for one in self.residuals)

    def to_session(self, times: Iterable[float]) -> Any:
        """Return times of the recorder on the session clock.

        Parameters
        ----------
        times : sequence of float, or numpy.ndarray
            Seconds on the recorder's clock; outside of the pulses the drift at that end goes on.

        Returns
        -------
        list of float or numpy.ndarray
            Seconds on the session clock. An array for an array.
        """
        return like(times, [follow(self._corners, time) for time in to_list(times)])


def align(recorded: Iterable[float], sent: Iterable[float], *, jitter: float = 0.005) -> Alignment:
    """Find which recorded pulse is which, and from that the recorder's clock.

    The offset may have any size, and the clocks differ by up to 250 ppm. Pulses may be missing and too many,
    and the recording may begin late and end early.

    Parameters
    ----------
    recorded : sequence of float, or numpy.ndarray
        Rising edges as a device recorded them, ascending: seconds on its own clock.
    sent : sequence of float, or numpy.ndarray
        Rising edges as they were given, ascending: seconds on the session clock, ``Pulse.at``.
    jitter : float
        Seconds by which an edge may lie beside its place: that of the recorder (a camera knows an edge to one
        frame) and that of the line together.

    Returns
    -------
    Alignment

    Raises
    ------
    SyncError
        Too few pulses, a regular train, or none or several ways in which they fit; one line with what to do.
    """
    theirs, ours = _check("recorded", recorded), _check("sent", sent)
    if not 0 < jitter < math.inf:
        raise SyncError(f"jitter is {jitter}: give seconds, more than 0")
    for what, train in (("recorded", theirs), ("sent", ours)):
        if is_regular(train, jitter):
            every = (train[-1] - train[0]) / (len(train) - 1)
            raise SyncError(
                f"{what}: the pulses come every {every:.3g} s, so that any could be any: use random intervals"
            )
    pairs = match(theirs, ours, jitter)
    if len(pairs) < MIN_PULSES:
        raise _too_few(len(pairs), len(theirs))
    corners, kept = fit([(theirs[pair.recorded], ours[pair.sent]) for pair in pairs], jitter * _SURE)
    pairs = [pairs[place] for place in kept]
    # what came before the other one began, or after it ended, is neither missing nor too many
    spare = 3 * jitter
    begin, end = (follow(corners, theirs[place]) for place in (0, -1))
    missing = _count(ours, begin - spare, end + spare) - len(pairs)
    placed = [follow(corners, time) for time in theirs]
    extra = _count(placed, ours[0] - spare, ours[-1] + spare) - len(pairs)
    share = len(pairs) / (len(pairs) + min(missing, extra))
    if len(pairs) < MIN_PULSES or share < (_FEW if len(pairs) >= ENOUGH else _MOST):
        raise _too_few(len(pairs), len(theirs))
    (start, here), (stop, there) = corners[0], corners[-1]
    residuals = tuple(placed[pair.recorded] - ours[pair.sent] for pair in pairs)
    rms = math.sqrt(sum(one * one for one in residuals) / len(residuals))
    return Alignment(
        pairs=tuple(pairs),
        offset=here - start,
        drift=((stop - start) / (there - here) - 1) * 1e6,
        residuals=residuals,
        missing=missing,
        extra=extra,
        reason=_doubt(len(pairs), share, rms, jitter),
        _corners=tuple(corners),
    )


def _too_few(matched: int, recorded: int) -> SyncError:
    return SyncError(
        f"only {matched} of {recorded} recorded pulses fit those that were sent: "
        "check that both are of one session, or record for longer"
    )


def _check(what: str, times: Iterable[float]) -> list[float]:
    """Return a train of pulses, if it is one."""
    train = to_list(times, what)
    if len(train) < MIN_PULSES:
        raise SyncError(f"{what}: {len(train)} pulses are too few: {MIN_PULSES} that fit are needed")
    for place, (one, other) in enumerate(pairwise(train)):
        if other <= one:
            raise SyncError(f"{what}: pulse {place + 1} is not later than the one before it: sort them")
    return train


def _count(train: Sequence[float], begin: float, end: float) -> int:
    return bisect_right(train, end) - bisect_left(train, begin)


def _doubt(matched: int, share: float, rms: float, jitter: float) -> str:
    """Return what speaks against a match, if anything does."""
    if matched < ENOUGH:
        return f"only {matched} pulses fit: the drift is little more than a guess"
    if share < _MOST:
        return f"only {share:.0%} of the pulses fit: look at the line for noise, or at the recording for gaps"
    if rms > jitter:
        return f"the pulses scatter by {rms * 1e3:.1f} ms: look at the line and the rate of the recorder"
    return ""
