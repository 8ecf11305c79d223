"""The lines of a journal: every input of a session in order, one JSON object a line. Pure.

Fed back into a `SessionMachine` they give the same session again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from multirig import formats
from multirig.errors import ConfigError
from multirig.lifecycle.session_events import ClockRead, Marked, RigsChosen, StepRequested
from multirig.protocol.events import Refused, Relocated, TimedOut, Unreached
from multirig.record.lines import LINES
from multirig.version import __version__

BEGINNING = "Opened"
"""Kind of the line that begins an attempt at a session; a folder may see several."""
RECOVERY = "Recovered"
"""Kind of the line with which another program goes on where the one before has died."""
FORMAT = 2
"""Of the lines that follow; stands in each of those two. Format 1, of multirig 0.1, says no number."""
_INPUTS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (ClockRead, Marked, Refused, Relocated, RigsChosen, StepRequested, TimedOut, Unreached)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """As it stands in the file."""

    at: int
    wall: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a journal."""

    at: int
    """Nanoseconds on the session clock: the conductor's ``time.perf_counter_ns()``."""
    wall: str
    """ISO time of day on the conductor's PC."""
    kind: str
    """Name of the input, or of the note."""
    data: dict[str, Any]
    event: Any = None
    """The machine's input that this line records; None for a note."""


def input_line(event: Any, at: int, wall: datetime.datetime | None = None) -> bytes:
    """Return an input of the machine as a line; ValueError for what no line can hold."""
    kind = type(event).__name__
    held = LINES[kind].of(event) if kind in LINES else event
    return _line(kind, _adapter(kind).dump_python(held, mode="json"), at, wall)


def beginning_line(
    at: int,
    kind: str = BEGINNING,
    wall: datetime.datetime | None = None,
    leader: Mapping[str, str] | None = None,
) -> bytes:
    """Return the line that begins an attempt at a session, or goes on with one.

    `leader` says who leads it: ``pc``, ``key`` (the id of its key) where it has one, ``person`` where that is
    known.
    """
    return _line(kind, {"version": __version__, formats.KEY: FORMAT, **(leader or {})}, at, wall)


def _line(kind: str, data: dict[str, Any], at: int, wall: datetime.datetime | None) -> bytes:
    wall = wall or datetime.datetime.now().astimezone()
    line = {"at": at, "wall": wall.isoformat(timespec="microseconds"), "kind": kind, "data": data}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def parse_journal(data: bytes, path: object = "the journal") -> Iterator[Entry]:
    """Return the entries of a journal that was read already, oldest first.

    Parameters
    ----------
    data : bytes
        What stands in the file.
    path : object
        How the file is called in an error.

    Raises
    ------
    ConfigError
        A line other than the last is not one of a journal, or it is of a format that is not known here.
    """
    for number, entry in parse_lines(data, path):
        if entry is None:
            raise ConfigError(
                f"{path}, line {number}: this is no line of a journal; "
                "restore the file, or delete that line and lose what it tells"
            )
        yield entry


def parse_lines(data: bytes, path: object = "the journal") -> Iterator[tuple[int, Entry | None]]:
    """Yield each line with its number; None for one that is no line of a journal.

    Raises
    ------
    ConfigError
        The journal is of a format that is not known here.
    """
    lines = data.split(b"\n")
    torn = len(lines) - 1  # what stands behind the last line feed was never finished
    for number, line in enumerate(lines[:torn], 1):
        if line.strip():
            entry: Entry | None = None
            with contextlib.suppress(ValueError, RecursionError):
                entry = _parse_line(line)
            if entry is None or entry.event is None:
                _check_format(line, path)
            yield number, entry


def _parse_line(text: bytes) -> Entry:
    try:
        line = _lines().validate_json(text)
    except ValueError:  # what Python has written it also reads: half of a letter that takes two, say
        line = _lines().validate_python(json.loads(text))
    event = _read_input(line.kind, line.data)
    return Entry(at=line.at, wall=line.wall, kind=line.kind, data=line.data, event=event)


def _check_format(text: bytes, path: object) -> None:
    """Refuse what follows a line that says that it is of a newer format."""
    line: object = None
    with contextlib.suppress(ValueError, RecursionError):
        line = json.loads(text)
    match line:
        case {"kind": kind, "data": {formats.KEY: int(found), **rest}} if kind in (BEGINNING, RECOVERY):
            formats.check_format(found, FORMAT, path, rest.get("version"))


def _read_input(kind: str, data: dict[str, Any]) -> Any | None:
    """Return the machine's input of which a line speaks; None for a note."""
    if kind not in _INPUTS and kind not in LINES:
        return None
    if isinstance(key := data.get("key"), list):
        data = {**data, "key": tuple(key)}
    held = _adapter(kind).validate_python(data)
    return held.to_input() if kind in LINES else held


@cache
def _lines() -> TypeAdapter[_Line]:
    return TypeAdapter(_Line)


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(LINES.get(kind) or _INPUTS[kind])
