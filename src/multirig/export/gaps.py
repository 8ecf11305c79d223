"""The times in which a camera, a table or a whole rig gave nothing, and should have."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

from multirig.export.columns import Table, make_table
from multirig.export.naming import plain
from multirig.export.tables import since_start
from multirig.reading.parts import Part
from multirig.reading.session import LoadedSession
from multirig.record.source_rules import find_gaps
from multirig.record.sources import find_sources

_COLUMNS = {
    "start_time": "When it began, in seconds from the start of the session.",
    "stop_time": "When it was over.",
    "rig": "Whose it is.",
    "source": "What gave nothing: a camera, or a table; empty: the whole rig.",
    "missing": "Frames that are missing by it.",
    "why": "What is known of it.",
}


def tell_gaps(session: LoadedSession) -> Table:
    """Return the times in which something gave nothing, and should have."""
    rows = [row for part in session.collected.parts.values() for row in _find_gaps(session, part)]
    rows.sort(key=lambda row: (row["start_time"], row["stop_time"]))
    return make_table("gaps", "When something gave nothing for a while, and should have.", _COLUMNS, rows)


def _find_gaps(session: LoadedSession, part: Part) -> Iterator[dict[str, Any]]:
    for source in find_sources(part.files):
        for gap in find_gaps(source):
            if (start := since_start(gap.at, session.zero)) is not None:
                missing = None if gap.missing is None else float(gap.missing)
                row = _make_gap(start, start + gap.seconds, part.rig, "it gave nothing")
                yield row | {"source": plain(source.name), "missing": missing}
    told = None if session.account is None else session.account.rigs.get(part.rig)
    wall = None if session.zero is None else session.zero.wall
    if told is None or wall is None:
        return
    for one in told.gaps:
        with contextlib.suppress(KeyError, ValueError, TypeError):  # it is as the rig has told it
            times = (datetime.datetime.fromisoformat(one[key]) - wall for key in ("from", "to"))
            start, stop = (time.total_seconds() for time in times)
            if stop > max(0.0, start):  # whose thousandths may be rounded to before the start
                yield _make_gap(
                    max(0.0, start), stop, part.rig, "its program had died; by its PC's time of day"
                )


def _make_gap(start: float, stop: float, rig: str, why: str) -> dict[str, Any]:
    return {
        "start_time": start,
        "stop_time": stop,
        "rig": plain(rig),
        "source": "",
        "missing": None,
        "why": why,
    }
