"""Reads the tables that lie beside the data of a session."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from multirig.errors import SyncError, why_not


def find(place: Path, name: str, remedy: str) -> Path:
    """Return the file of that name: the place itself, in it, or in one folder of it.

    Raises
    ------
    SyncError
        There is none, or more than one.
    """
    place = place.expanduser()
    if place.is_file():
        return place
    if (place / name).is_file():
        return place / name
    found = sorted(place.glob(f"*/{name}"))
    if len(found) > 1:
        folders = ", ".join(path.parent.name for path in found)
        raise SyncError(f"{place}: {name} lies in several folders ({folders}): name one of them")
    if not found:
        raise SyncError(f"{place}: there is no {name}: give the folder that holds it, or {remedy}")
    return found[0]


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line after the header, and its cells in the order of the columns.

    A last line that a power cut has torn is left out.

    Raises
    ------
    SyncError
        The file cannot be read, or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = why_not(error) if isinstance(error, OSError) else "it is no text"
        raise SyncError(f"{path}: cannot be read ({reason}): give the file as multirig wrote it") from None
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    table = csv.reader(lines)
    headings = next(table, [])
    if missing := [one for one in columns if one not in headings]:
        raise SyncError(f"{path}: the column {missing[0]} is missing: give the file as multirig wrote it")
    places = [headings.index(one) for one in columns]
    for row in table:
        if len(row) != len(headings):
            raise SyncError(f"{path}: line {table.line_num} cannot be read: take it out and try again")
        yield table.line_num, [row[place] for place in places]
