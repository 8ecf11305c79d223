"""Which recorded pulse is which sent one: a few intervals in a row tell where; the match grows from there."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from multirig.errors import SyncError

MAX_DRIFT = 250e-6
"""By which a recorder's clock may differ; crystals are within 100 ppm."""

_REACH = 3
"""A match begins with two pulses between which up to two others may have come or gone."""
_LOOK = 10
"""Pulses after the first one by which a beginning is judged."""
_FITTING = 2
"""So many of those must fit, or it is no beginning."""
_BEGINNINGS = 200
"""Pulses of the recording that are tried as the first one; they are spread over it."""
_FOLLOWED = 5
"""Beginnings that are followed, to see whether the match is the only one."""
_MEMORY = 30
"""Pulses behind us from which the drift is foretold: two or three minutes."""
_REGULAR = 0.9
"""A train of which so many intervals are the same one, or a multiple of it, is regular."""


class Pair(NamedTuple):
    """Two pulses that are the same one: their places in what was given to `align`."""

    recorded: int
    sent: int


def is_regular(train: Sequence[float], jitter: float) -> bool:
    """Whether the intervals of a train are too much alike to tell one from another."""
    gaps = [other - one for one, other in pairwise(train)]
    usual = median(gaps)
    alike = sum(abs(gap - max(1, round(gap / usual)) * usual) <= 4 * jitter for gap in gaps)
    return alike >= _REGULAR * len(gaps)


def match(recorded: Sequence[float], sent: Sequence[float], jitter: float) -> list[Pair]:
    """Return which pulse is which, in order of time.

    Raises
    ------
    SyncError
        None fits, or they fit in several ways.
    """
    found: list[list[Pair]] = []
    known: set[Pair] = set()
    for beginning in _find_beginnings(recorded, sent, jitter):
        if beginning not in known:
            found.append(_grow(beginning, recorded, sent, jitter))
            known.update(found[-1], (beginning,))
            if len(found) == _FOLLOWED:
                break
    if not found:
        raise SyncError("no recorded pulses fit those that were sent: check that both are of one session")
    best = max(found, key=len)
    partners, takers = dict(best), {pair.sent: pair.recorded for pair in best}
    for other in found:
        against = sum(
            partners.get(pair.recorded, pair.sent) != pair.sent
            or takers.get(pair.sent, pair.recorded) != pair.recorded
            for pair in other
        )
        if against > len(best) / 2:
            raise SyncError(
                f"the pulses fit in several ways ({len(best)} or {len(other)} of them): "
                "use random intervals, or record for longer"
            )
    return best


def _find_beginnings(recorded: Sequence[float], sent: Sequence[float], jitter: float) -> list[Pair]:
    """Return pairs after which other pulses fit too, the most convincing ones first."""
    intervals = sorted(
        (sent[i + reach] - sent[i], i) for reach in range(1, _REACH + 1) for i in range(len(sent) - reach)
    )
    lengths = [length for length, _ in intervals]
    judged: dict[Pair, int] = {}
    step = max(1, len(recorded) // _BEGINNINGS)
    for j in range(0, len(recorded) - 1, step):
        for k in range(j + 1, min(j + _REACH + 1, len(recorded))):
            length = recorded[k] - recorded[j]
            spare = _spare(length, jitter)
            for at in range(bisect_left(lengths, length - spare), bisect_right(lengths, length + spare)):
                pair = Pair(j, intervals[at][1])
                if pair not in judged:
                    judged[pair] = _judge(pair, recorded, sent, jitter)
    convincing = [pair for pair, fitting in judged.items() if fitting >= _FITTING]
    return sorted(convincing, key=lambda pair: -judged[pair])


def _judge(pair: Pair, recorded: Sequence[float], sent: Sequence[float], jitter: float) -> int:
    """Return how many of the next pulses fit, if these two are the same one."""
    fitting = 0
    for time in recorded[pair.recorded + 1 : pair.recorded + 1 + _LOOK]:
        away = time - recorded[pair.recorded]
        expected = sent[pair.sent] + away
        fitting += abs(sent[_nearest(sent, expected)] - expected) <= _spare(away, jitter)
    return fitting


def _spare(length: float, jitter: float) -> float:
    """Return by how much an interval may differ: both its ends, and the drift."""
    return 3 * jitter + MAX_DRIFT * length


def _grow(beginning: Pair, recorded: Sequence[float], sent: Sequence[float], jitter: float) -> list[Pair]:
    """Return all pairs that follow from one, in both directions."""
    later = list(_walk([beginning], range(beginning.recorded + 1, len(recorded)), recorded, sent, jitter))
    known = [beginning, *later]
    earlier = list(
        _walk(known[_MEMORY - 1 :: -1], range(beginning.recorded - 1, -1, -1), recorded, sent, jitter)
    )
    return [*reversed(earlier), *known]


def _walk(
    known: Iterable[Pair], places: range, recorded: Sequence[float], sent: Sequence[float], jitter: float
) -> Iterator[Pair]:
    """Yield the pairs along the recording, each foretold from those before it."""
    recent = deque(known, maxlen=_MEMORY)
    stiffness = (jitter / MAX_DRIFT) ** 2
    """Keeps a drift from few pulses within what clocks can do."""
    for place in places:
        time = recorded[place]
        count = len(recent)
        middle = sum(recorded[pair.recorded] for pair in recent) / count
        offsets = [sent[pair.sent] - recorded[pair.recorded] for pair in recent]
        offset = sum(offsets) / count
        aways = [recorded[pair.recorded] - middle for pair in recent]
        spread = sum(away * away for away in aways) + stiffness
        drift = sum(away * (one - offset) for away, one in zip(aways, offsets, strict=True)) / spread
        expected = time + offset + drift * (time - middle)
        spare = jitter * (2 + 1 / math.sqrt(count) + 2 * abs(time - middle) / math.sqrt(spread))
        near = _nearest(sent, expected)
        is_new = (near - recent[-1].sent) * places.step > 0
        distance = abs(sent[near] - expected)
        if not is_new or distance > spare:
            continue
        if _is_nearer(place + places.step, near, expected - time, distance, recorded, sent):
            continue  # a false pulse that comes just before the true one
        pair = Pair(place, near)
        recent.append(pair)
        yield pair


def _is_nearer(
    place: int, near: int, offset: float, distance: float, recorded: Sequence[float], sent: Sequence[float]
) -> bool:
    """Whether the next pulse lies nearer to a sent one than this one does."""
    return 0 <= place < len(recorded) and abs(sent[near] - recorded[place] - offset) < distance


def _nearest(train: Sequence[float], time: float) -> int:
    """Return the place of the pulse that is nearest to a time."""
    after = bisect_left(train, time)
    if after == len(train) or (after and time - train[after - 1] <= train[after] - time):
        return after - 1
    return after
