"""What the conductor has marked, on the rig's PC beside the data: a table, a line a marker."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from multirig.rig.adapter import Marker
from multirig.writing import file_name

HEADER = ("session_time_s", "text", "data")
"""Seconds on the session clock, the words, and what goes with them as JSON."""


def markers_name(rig: str) -> str:
    """Return the name of a rig's markers: no two rigs share one, and every system can file it."""
    return f"_multirig_markers.{file_name(rig)}.csv"


def append_marker(path: Path, marker: Marker) -> None:
    """Write a marker at the end of the table; what was written before stays whatever comes.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    lines = io.StringIO(newline="")
    rows = csv.writer(lines, lineterminator="\n")
    with path.open("ab") as file:  # closed after each line: nothing is lost, and Windows may move it
        if file.tell() == 0:
            rows.writerow(HEADER)
        rows.writerow((f"{marker.at:.9f}", marker.text, json.dumps(marker.data)))
        file.write(lines.getvalue().encode(errors="replace"))
