"""Figures and lists as they are read from three metres."""

from __future__ import annotations

from collections.abc import Sequence


def clock_time(seconds: float) -> str:
    """Return a stretch of time as a stopwatch shows it: ``07:31``, ``1:07:31``."""
    whole = max(0, int(seconds))
    hours, minutes, left = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes:02d}:{left:02d}"


def ago(seconds: float, *, is_fresh: bool = True) -> str:
    """Return how long ago something was, to the second it matters: what is fresh does not flicker."""
    if seconds < 3 and is_fresh:
        return "now"
    if seconds < 100:
        return f"{seconds:.0f} s ago"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"


def offset(seconds: float, bound: float | None) -> str:
    """Return what is known of a clock: ``+1.234 ms ± 0.012 ms``."""
    value = _span(seconds, sign=True)
    return value if bound is None else f"{value} ± {_span(bound)}"


def _span(seconds: float, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    size = abs(seconds)
    if size < 0.0000005:
        return "0 µs"
    if size < 0.0001:
        return f"{seconds * 1e6:{plus}.0f} µs"
    if size < 1:
        return f"{seconds * 1e3:{plus}.2f} ms"
    if size < 1000:
        return f"{seconds:{plus}.2f} s"
    return f"{seconds / 3600:{plus}.1f} h"


def count(number: int, what: str) -> str:
    """Return ``1 rig``, ``2 rigs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str], *, most: int = 4) -> str:
    """Return ``left, right and ephys``; of many only the first, and how many more."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def grouped(number: int) -> str:
    """Return a count with thin spaces between the thousands."""
    return f"{number:,}".replace(",", "\u202f")
