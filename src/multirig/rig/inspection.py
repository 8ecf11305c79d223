"""What a recorded table holds, told from its ends: cheap however long the recording was."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from multirig.lifecycle.owners import EVERYTHING
from multirig.record.spelling import find_file
from multirig.rig.adapter import File, Session, list_files

CLOCK_COLUMN = "perf_counter"
"""First column of a table whose rows are stamped in seconds on this PC's ``time.perf_counter()``."""

_CHUNK = 1 << 20
"""Bytes counted at a time: large enough to be quick, small enough not to matter."""

_END = 1 << 16
"""Bytes read at either end: many times the longest sensible row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTable:
    """A CSV file whose first column is this PC's clock."""

    rows: int
    """Whole data rows; a last line without its end is torn, and not counted."""
    first: int | None = None
    """Time of the first row, nanoseconds; None without rows."""
    last: int | None = None
    """Time of the last row, nanoseconds; None without rows."""


def inspect_clock_table(path: Path) -> ClockTable | None:
    """Count the rows of a CSV file and read its first and last time.

    Only the ends are parsed; between them line ends are counted.

    Parameters
    ----------
    path : Path
        Comma-separated text, UTF-8 with or without byte order mark, one row a line.

    Returns
    -------
    ClockTable or None
        None when the first column of the header is not ``perf_counter``.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_END)
        lines = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        # the header's own line must have ended: before that its last name may be torn
        if len(lines) < 2 or read_first_field(lines[0]) != CLOCK_COLUMN:
            return None
        ends = head.count(b"\n")
        while chunk := file.read(_CHUNK):
            ends += chunk.count(b"\n")
        size = file.seek(0, 2)
        file.seek(max(0, size - _END))
        tail = file.read(_END)
    return ClockTable(
        rows=ends - 1,
        first=_find_time(lines[1:-1]),
        last=_find_time(reversed(tail.split(b"\n")[1:-1])),
    )


def list_recorded_files(session: Session, owned: Iterable[str] = (EVERYTHING,)) -> list[File]:
    """Return the data below the session's collection folder, with the rows and times of a clock table.

    Parameters
    ----------
    session : Session
    owned : iterable of str
        Only what fits one of these patterns, as `Adapter.owns` returns them.
    """
    return [inspect(entry, session) for entry in list_files(session, owned)]


def inspect(entry: File, session: Session) -> File:
    """Return a file with its rows and times, where it is a clock table and they are not told."""
    if entry.frames is not None or not entry.path.lower().endswith(".csv"):
        return entry
    try:
        table = inspect_clock_table(find_file(session.session_folder, entry.path))
    except OSError:
        # gone or locked since it was listed; that it exists is still worth telling
        return entry
    if table is None:
        return entry
    return replace(
        entry,
        frames=table.rows,
        first=_convert(table.first, session),
        last=_convert(table.last, session),
    )


def _convert(time: int | None, session: Session) -> float | None:
    return None if time is None else session.to_session_time(time) / 1e9


def _find_time(lines: Iterable[bytes]) -> int | None:
    """Return the first line's time that can be read, nanoseconds: a crash may leave rubbish between rows."""
    for line in lines:
        try:
            seconds = float(read_first_field(line))
        except ValueError:
            continue
        if math.isfinite(seconds):
            return round(seconds * 1e9)
    return None


def read_first_field(line: bytes) -> str:
    """Return the first column of a line, without its quotes; nothing where it cannot be read."""
    try:
        fields = next(csv.reader([line.decode("utf-8", "replace").replace("\0", "")]), [])
    except csv.Error:
        return ""
    return fields[0].strip() if fields else ""
