"""How long something takes, as an operator writes it: 90, 250 ms, 10 min, 1.5 h."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from multirig.config.explaining import show_value
from multirig.errors import ConfigError

UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
"""Seconds of each unit."""

_WRITTEN = re.compile(rf"(\d+(?:\.\d*)?|\.\d+)\s*({'|'.join(UNITS)})?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,4}):([0-5]?\d)", re.ASCII)
"""As a watch shows it, which may be minutes or hours."""
_EXAMPLES = "write seconds, such as 90, or 250 ms, 10 min, 1.5 h"


def parse_duration(value: object) -> float:
    """Return the seconds that a number, or a number with its unit, means.

    Parameters
    ----------
    value : int, float or str
        Seconds, or a text such as ``"90"``, ``"250 ms"``, ``"90 s"``, ``"10 min"``, ``"1.5 h"``.

    Returns
    -------
    float
        More than 0.

    Raises
    ------
    ConfigError
        It is neither, or not more than 0.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _WRITTEN.fullmatch(value.strip())):
        seconds = float(found[1]) * UNITS[found[2] or "s"]
    elif isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        first, second = int(clock[1]), int(clock[2])
        ways = f"write {first * 60 + second} s, or {first * 60 + second} min if these are hours"
        raise ConfigError(f"{show_value(value)} can be read in two ways: {ways}")
    else:
        raise ConfigError(f"{show_value(value)} is not a duration: {_EXAMPLES}")
    if not 0 < seconds < math.inf:
        raise ConfigError(f"{show_value(value)} is no time to wait: {_EXAMPLES}")
    return seconds


LONGEST_SESSION = 30 * 24 * 3600.0
"""Seconds that a session may last: more is a slip of the pen, and no clock is followed for longer."""


def check_length(seconds: float | None) -> float | None:
    """Return how long a session is to last, in seconds; None: until it is ended. Else raise ConfigError."""
    if seconds is not None and not 0 <= seconds <= LONGEST_SESSION:
        raise ConfigError(
            f"a session cannot last {seconds:g} s: plan at most {LONGEST_SESSION:.0f} s "
            f"({LONGEST_SESSION / 86400:.0f} days), or nothing to record until it is ended"
        )
    return seconds


DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": rf"^\s*(\d+(\.\d*)?|\.\d+)\s*({'|'.join(UNITS)})?\s*$"},
    ],
    "examples": [90, "10 min"],
}
"""What an editor checks a duration against."""

Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(DURATION_SCHEMA)]
"""Seconds, as a field of a pydantic model; a file may say ``10 min``."""
