"""What a recording may do without a remark, where nobody has said what is expected of it. Pure."""

from __future__ import annotations

TOLERANCE = 1.0
"""Seconds by which what a rig records may begin after, or end before, the session."""
SLOW_FRAMES = 2
"""Frames of a slow device that may be still to come when it is stopped."""
FAIR_GAP = 0.5
"""Seconds between two frames that a busy PC or a network may need, whatever the rate."""
FAIR_PERIODS = 5
"""The same in periods of the rate: what is rarer may be farther apart."""
RATE_SHARE = 0.03
"""By which a rate may be off, measured over `RATE_SECONDS` and more; over less it may be more."""
RATE_SECONDS = 10.0
LATE_SECONDS = 2.0
"""By which the first frames, or the last, may have been held up: over a minute that is `RATE_SHARE`."""
DAMAGED_SHARE = 0.001
"""Of the pictures, which may be damaged: a flicker in half a minute."""
WRONG_TIME = 0.2
"""Seconds by which frames that came in a burst may be stamped late."""
NOTED_TIME = 0.05
"""The same, without a note: a frame or two of a camera."""


OTHER_CLOCK = 1_000_000.0
"""Seconds from the session, beyond which times are of another clock: that of a PC counts from its start."""


def is_of_other_clock(time: float | None, begin: float | None) -> bool:
    """Return whether a time that should be near the beginning of a session is of another clock than it."""
    return time is not None and begin is not None and abs(time - begin) > OTHER_CLOCK


def find_fair_gap(rate: float) -> float:
    """Return the seconds that may lie between two frames of a source that gives so many a second."""
    return max(FAIR_GAP, FAIR_PERIODS / rate)
