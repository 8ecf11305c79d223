"""The lines of a journal: every input of a session in order, one JSON object a line. Pure.

Fed back into a `SessionMachine` they give the same session again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from multirig.errors import ConfigError
from multirig.lifecycle.session_events import (
    AgreeRequested,
    ClockRead,
    Marked,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.watch import Noticed
from multirig.protocol.events import Received, Refused, Replied, TimedOut, Unreached
from multirig.version import __version__

BEGINNING = "Opened"
"""Kind of the line that begins an attempt at a session; a folder may see several."""
RECOVERY = "Recovered"
"""Kind of the line with which another program goes on where the one before has died."""
_INPUTS = {
    kind.__name__: kind
    for kind in (
        AgreeRequested,
        ClockRead,
        Marked,
        Noticed,
        Received,
        Refused,
        Replied,
        RigsChosen,
        StepRequested,
        TimedOut,
        Unreached,
    )
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
    return _line(kind, _adapter(kind).dump_python(event, mode="json"), at, wall)


def beginning_line(at: int, kind: str = BEGINNING, wall: datetime.datetime | None = None) -> bytes:
    """Return the line that begins an attempt at a session, or goes on with one."""
    return _line(kind, {"version": __version__}, at, wall)


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
        A line other than the last is not one of a journal.
    """
    for number, entry in parse_lines(data):
        if entry is None:
            raise ConfigError(
                f"{path}, line {number}: this is no line of a journal; "
                "restore the file, or delete that line and lose what it tells"
            )
        yield entry


def parse_lines(data: bytes) -> Iterator[tuple[int, Entry | None]]:
    """Yield each line with its number; None for one that is no line of a journal."""
    lines = data.split(b"\n")
    torn = len(lines) - 1  # what stands behind the last line feed was never finished
    for number, line in enumerate(lines[:torn], 1):
        if line.strip():
            entry: Entry | None = None
            with contextlib.suppress(ValueError, RecursionError):
                entry = _parse_line(line)
            yield number, entry


def _parse_line(text: bytes) -> Entry:
    try:
        line = _lines().validate_json(text)
    except ValueError:  # what Python has written it also reads: half of a letter that takes two, say
        line = _lines().validate_python(json.loads(text))
    event = _read_input(line.kind, line.data)
    return Entry(at=line.at, wall=line.wall, kind=line.kind, data=line.data, event=event)


def _read_input(kind: str, data: dict[str, Any]) -> Any | None:
    """Return the machine's input of which a line speaks; None for a note."""
    if kind not in _INPUTS:
        return None
    if isinstance(key := data.get("key"), list):
        data = {**data, "key": tuple(key)}
    return _adapter(kind).validate_python(data)


@cache
def _lines() -> TypeAdapter[_Line]:
    return TypeAdapter(_Line)


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_INPUTS[kind])
