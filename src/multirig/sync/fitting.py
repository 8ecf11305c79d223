"""A recorder's clock as a line that bends where its drift does, through points of which some are wrong."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from statistics import median

Points = Sequence[tuple[float, float]]
"""Times of the recorder, ascending, and of the session: seconds."""

PIECE = 120
"""Pairs to a straight piece: ten minutes of pulses; the temperature of a room changes no faster."""
_ROUNDS = 20
"""Fits, each without what the one before found to lie too far off."""
_FAR = 4 * 1.4826
"""Median deviations: four standard deviations of what is spread normally."""
_LEAST = 10e-6
"""Seconds: a point that is no further off bends the line by nothing that matters."""


def fit(points: Points, near: float) -> tuple[list[tuple[float, float]], list[int]]:
    """Return the corners of the line, and the places of the points that lie on it.

    Parameters
    ----------
    points : sequence of (float, float)
        Two at least.
    near : float
        A point that is no further off, in seconds, lies on the line even where most others lie nearer; the
        line is drawn without it.
    """
    kept = list(range(len(points)))
    corners = _draw(points)
    for _ in range(_ROUNDS):
        distances = [_measure(corners, points[place]) for place in kept]
        limit = max(_FAR * median(distances), _LEAST)
        # one point that is wrong bends a whole piece: the worst go first, and the others are judged anew
        spared = max(limit, max(distances) / 2)
        fitting = [place for place, distance in zip(kept, distances, strict=True) if distance <= spared]
        if len(fitting) == len(kept):
            break
        kept = fitting
        corners = _draw([points[place] for place in kept])
    near = max(near, limit)
    return corners, [place for place, point in enumerate(points) if _measure(corners, point) <= near]


def _measure(corners: Points, point: tuple[float, float]) -> float:
    """Return how far a point lies off the line, seconds."""
    return abs(follow(corners, point[0]) - point[1])


def follow(corners: Points, time: float) -> float:
    """Return the session's time for one of the recorder; beyond the corners the line goes straight on."""
    at = min(max(bisect_right(corners, time, key=lambda corner: corner[0]), 1), len(corners) - 1)
    (start, here), (end, there) = corners[at - 1], corners[at]
    gained = (there - end) - (here - start)
    return time + (here - start) + gained * (time - start) / (end - start)


def _draw(points: Points) -> list[tuple[float, float]]:
    """Return the line of least squares with a corner at every so many points.

    Each corner's height bears on its two neighbours only, so that the equations have three diagonals.
    """
    pieces = max(1, len(points) // PIECE)
    places = [points[(len(points) - 1) * piece // pieces][0] for piece in range(pieces + 1)]
    offset = points[0][1] - points[0][0]  # what is fitted stays small, and keeps its digits
    middle, beside, right = [0.0] * (pieces + 1), [0.0] * pieces, [0.0] * (pieces + 1)
    for time, session in points:
        at = min(max(bisect_right(places, time), 1), pieces)
        share = (time - places[at - 1]) / (places[at] - places[at - 1])
        height = (session - time) - offset
        middle[at - 1] += (1 - share) ** 2
        middle[at] += share**2
        beside[at - 1] += share * (1 - share)
        right[at - 1] += (1 - share) * height
        right[at] += share * height
    for at in range(1, pieces + 1):
        factor = beside[at - 1] / middle[at - 1]
        middle[at] -= factor * beside[at - 1]
        right[at] -= factor * right[at - 1]
    heights = [0.0] * (pieces + 1)
    heights[-1] = right[-1] / middle[-1]
    for at in range(pieces - 1, -1, -1):
        heights[at] = (right[at] - beside[at] * heights[at + 1]) / middle[at]
    return [(place, place + offset + height) for place, height in zip(places, heights, strict=True)]
