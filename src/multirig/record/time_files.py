"""The tables of clocks and starts that lie beside the data, as text. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from decimal import Decimal

from multirig.lifecycle.session_events import ClockRead
from multirig.protocol.words import RigStart
from multirig.record.summary import Summary
from multirig.wording import to_cell

OFFSETS_NAME = "_multirig_clock.offsets.csv"
"""In the session folder on the conductor's PC: what was read of each rig's clock."""
OFFSETS = ("rig", "session_time_s", "offset_s", "bound_s", "drift_ppm", "round_trip_s")
STARTS_NAME = "_multirig_sync.starts.csv"
"""In the session folder on the conductor's PC: when each rig started."""
STARTS = ("rig", "planned_s", "heard_s", "called_s", "returned_s", "first_s", "late_s", "bound_s")


def write_offsets(reads: Iterable[ClockRead]) -> str:
    """Return the table of clocks: a row for each reading; seconds to the nanosecond."""
    return _write(
        OFFSETS,
        (
            (
                to_cell(one.rig),
                *(_seconds(Decimal(ns).scaleb(-9)) for ns in (one.at, one.offset, one.bound)),
                f"{one.drift:.6f}",
                _seconds(Decimal(one.round_trip).scaleb(-9)),
            )
            for one in reads
        ),
    )


def write_starts(summary: Summary) -> str:
    """Return the table of starts: a row for each rig; an empty cell is not known."""
    rows = []
    for name, rig in summary.rigs.items():
        start = rig.start or RigStart()
        times = (start.planned, start.heard, start.called, start.returned, rig.first, start.late, start.bound)
        rows.append((to_cell(name), *("" if one is None else _seconds(one) for one in times)))
    return _write(STARTS, rows)


def _write(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(headings)
    table.writerows(rows)
    return text.getvalue()


def _seconds(value: float | Decimal) -> str:
    return f"{value:.9f}"
