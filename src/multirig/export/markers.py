"""Markers and sync pulses as tables of events."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from multirig.errors import SyncError
from multirig.export.columns import Column, Table, make_table
from multirig.export.naming import object_name, plain
from multirig.reading.contents import Mark
from multirig.reading.session import LoadedSession
from multirig.sync.pulses import PULSES_NAME, read_pulses

TIMESTAMP, DURATION, ANNOTATION = "timestamp", "duration", "annotation"
"""Columns that NWB's tables of events have by their own type."""
_PULSES = {
    TIMESTAMP: "When the edge rose, in seconds from the start of the session.",
    DURATION: "For how long the line was to be high, in seconds.",
    "rig": "Whose line it was.",
    "bound": "By how many seconds the timestamp may be wrong, either way.",
}


def tell_markers(marks: Iterable[Mark], reserved: Container[str] = ()) -> Table:
    """Return what was marked: a column for each thing that goes with one.

    Parameters
    ----------
    marks : iterable of Mark
        Oldest first.
    reserved : container of str
        Names that a column may not have.
    """
    known = list(marks)
    rows = [dict(_flatten(one.data)) for one in known]
    columns = [
        Column(
            name=TIMESTAMP,
            about="When it was marked, in seconds from the start of the session.",
            cells=[one.t for one in known],
        ),
        Column(name=ANNOTATION, about="What was marked.", cells=[one.text for one in known]),
    ]
    taken = {TIMESTAMP, DURATION, ANNOTATION}  # what a task calls a duration may be one in milliseconds
    for key in dict.fromkeys(key for row in rows for key in row):
        name = object_name(key)
        name = object_name(f"data_{name}" if name in taken or name in reserved else name, taken)
        taken.add(name)
        about = f"What was given with the marker as {plain('.'.join(key.split(_STEP)))!r}."
        columns.append(Column(name=name, about=about, cells=_unify([row.get(key) for row in rows])))
    return Table(
        name="markers",
        about="What the task, or a person, has marked, by the clock of the PC that led the session.",
        columns=columns,
    )


_STEP = "_"
"""Between the keys of a mapping and of what is in it."""


def _flatten(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value by its keys: NWB's tables hold no mappings."""
    for key, value in data.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{name}{_STEP}")
        elif value not in (None, {}):
            yield name, value


def _unify(cells: Sequence[Any]) -> list[Any]:
    """Return cells of which lists stay, where all are of as many numbers; else they become text."""
    lists = [one for one in cells if one is not None]
    lengths = {len(one) if isinstance(one, list) and _are_numbers(one) else 0 for one in lists}
    if len(lengths) == 1 and lengths != {0}:
        return list(cells)
    return [json.dumps(one, ensure_ascii=False) if isinstance(one, list) else one for one in cells]


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)


def tell_pulses(session: LoadedSession) -> tuple[Table, list[str]]:
    """Return the sync pulses that are here, and a line for each table of them that cannot be read."""
    rows: list[dict[str, Any]] = []
    problems = []
    zero = 0.0 if session.zero is None else session.zero.at
    for path in sorted({path.resolve() for path in _find_pulses(session.folders)}):
        rig = next((row.rig for row in session.files if _is_same(row.place, path)), "")
        try:
            pulses = read_pulses(path)
        except SyncError as error:
            problems.append(str(error))
            continue
        rows += [
            {TIMESTAMP: one.at - zero, DURATION: one.length, "rig": rig or None, "bound": one.bound}
            for one in pulses
        ]
    rows.sort(key=lambda row: float(row[TIMESTAMP]))
    about = "Pulses that rigs gave on a line of theirs, to be found again in what another device recorded."
    return make_table("sync_pulses", about, _PULSES, rows), problems


def _find_pulses(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.rglob(PULSES_NAME)


def _is_same(place: Path | None, path: Path) -> bool:
    return place is not None and place.name == path.name and place.resolve() == path
