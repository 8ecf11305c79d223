"""The table of the sync pulses that a rig gave, as it lies beside its data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from multirig.errors import SyncError
from multirig.sync.tables import find, read_rows

PULSES_NAME = "_multirig_sync.pulses.csv"
"""In the collection folder of a rig that gives pulses."""
PULSE_COLUMNS = ("session_time_s", "clock_bound_s", "rig_time_ns", "length_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One pulse that a rig gave."""

    at: float
    """When its edge rose: seconds on the session clock, as the rig knew it then."""
    bound: float | None
    """By how much that may be wrong, seconds either way; None where the conductor's clock was not known."""
    rig_time: int
    """When its edge rose: nanoseconds on the rig's ``time.perf_counter_ns()``."""
    length: float
    """For how long the line was to be high, seconds."""


def read_pulses(folder: str | Path) -> list[Pulse]:
    """Return the pulses that a rig gave in a session, oldest first.

    Parameters
    ----------
    folder : str or pathlib.Path
        The rig's collection folder, a session folder that holds one with pulses, or the file itself.

    Returns
    -------
    list of Pulse

    Raises
    ------
    SyncError
        There is no such file, there are several, or it cannot be read.
    """
    path = find(Path(folder), PULSES_NAME, "turn on sync_pulses in the rig's config before the next session")
    pulses = []
    for number, row in read_rows(path, PULSE_COLUMNS):
        at, bound, rig_time, length = row
        try:
            pulses.append(
                Pulse(
                    at=float(at),
                    bound=float(bound) if bound else None,
                    rig_time=int(rig_time),
                    length=float(length),
                )
            )
        except ValueError:
            raise SyncError(f"{path}: line {number} cannot be read: take it out and try again") from None
    return pulses
