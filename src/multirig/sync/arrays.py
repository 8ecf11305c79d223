"""Numbers in and out: a list for any sequence, an array for an array; numpy itself is not needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from multirig.errors import SyncError


def to_list(times: Iterable[float], what: str = "times") -> list[float]:
    """Return times as plain numbers.

    Raises
    ------
    SyncError
        They are not one row of finite numbers.
    """
    plain = times.tolist() if hasattr(times, "tolist") else times
    numbers = list(plain) if isinstance(plain, Iterable) and not isinstance(plain, str | bytes) else [plain]
    for position, one in enumerate(numbers):
        # numpy's own scalars in a list are no int or float; what can be one may be one
        number = one.item() if hasattr(one, "item") else one
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise SyncError(f"{what}: number {position} is {one!r}: give one row of finite numbers")
        numbers[position] = number
    return numbers


def is_plain_array(times: object) -> bool:
    """Return whether times are a numpy array of one row of finite numbers, which needs no look at each."""
    if type(times).__module__.partition(".")[0] != "numpy":
        return False
    import numpy

    return (
        isinstance(times, numpy.ndarray)
        and times.ndim == 1
        and times.dtype.kind in "iuf"
        and bool(numpy.isfinite(times).all())
    )


def like(times: object, values: Sequence[float]) -> Any:
    """Return values as a numpy array if the times were one, else as a list."""
    if type(times).__module__.partition(".")[0] != "numpy":
        return list(values)
    import numpy

    return numpy.array(values)
