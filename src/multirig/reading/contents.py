"""What a session holds, as rows: rigs, starts, markers, files. All times count from the agreed start."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multirig.folders import is_data_name
from multirig.reading.parts import Collection, Condition, Part
from multirig.reading.rows import Rows
from multirig.record.account import Account
from multirig.record.limits import is_of_other_clock
from multirig.rig.markers import HEADER
from multirig.wording import from_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A rig that took part."""

    name: str
    """As the session has it."""
    role: str = ""
    """What a session is without it: essential, expected or optional; empty: nothing here tells."""
    address: str = ""
    """Where it was reached; empty: nothing here tells."""
    adapter: str = ""
    """What it recorded with, by its manifest; empty: that is not here."""
    condition: Condition
    """What is here of its part."""
    why: str = ""
    """What is not here, and what to do."""
    files: tuple[str, ...] = ()
    """Paths of all that it recorded."""
    dropped: int | None = None
    """Frames that could not be written; None: it does not tell."""
    clock_bound: float | None = None
    """Seconds by which its times may be off the session clock; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a rig started: seconds from the agreed start, None: not known."""

    rig: str
    """Its name."""
    planned: float | None = None
    """When it was to start: 0, unless it came after others."""
    heard: float | None = None
    """When it heard the command."""
    called: float | None = None
    """When its adapter was told to start."""
    returned: float | None = None
    """When its adapter had started."""
    first: float | None = None
    """Its first frame, sample or row."""
    late: float | None = None
    """Seconds by which the call was later than planned."""
    bound: float | None = None
    """Seconds by which these times may be wrong, either way."""

    def to_row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What the task, or somebody, has marked."""

    t: float
    """When: seconds from the agreed start."""
    text: str
    """What has happened."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What goes with it."""

    def to_row(self) -> dict[str, Any]:
        """Return it as a row of a table, with a column for each thing that goes with it."""
        own = {key if key not in ("t", "text") else f"data_{key}": one for key, one in self.data.items()}
        return {"t": self.t, "text": self.text, **own}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file."""

    rig: str
    """Whose it is; empty: the PC that led, or nobody knows."""
    path: str
    """In the session's folder, with forward slashes."""
    bytes: int
    """When it was recorded."""
    frames: int | None = None
    """What it holds: frames, samples or rows; None: not known."""
    first: float | None = None
    """Time of the first one; seconds from the agreed start."""
    last: float | None = None
    """Time of the last one."""
    place: Path | None = None
    """Where it is; None: it is not here."""

    def to_row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {**asdict(self), "place": None if self.place is None else str(self.place)}


def list_rigs(told: Account | None, collected: Collection) -> dict[str, Rig]:
    """Return the rigs of a session by name."""
    return {name: _describe(name, part, told) for name, part in collected.parts.items()}


def _describe(name: str, part: Part, told: Account | None) -> Rig:
    summary = None if told is None else told.rigs.get(name)
    return Rig(
        name=name,
        role="" if summary is None else summary.role,
        address="" if summary is None else summary.address,
        adapter="" if part.manifest is None else part.manifest.adapter,
        condition=part.condition,
        why=part.why,
        files=tuple(one.path for one in part.files),
        dropped=None if summary is None else summary.dropped,
        clock_bound=None if summary is None else summary.clock_bound,
    )


def list_starts(told: Account | None, zero: float) -> Rows[Start]:
    """Return how the rigs started that tell it."""
    rows = []
    for name, rig in {} if told is None else told.rigs.items():
        if (start := rig.start) is not None:
            moments = {
                "planned": start.planned,
                "heard": start.heard,
                "called": start.called,
                "returned": start.returned,
                "first": rig.first,
            }
            since = {key: None if at is None else at - zero for key, at in moments.items()}
            rows.append(Start(rig=name, late=start.late, bound=start.bound, **since))
    return Rows(rows, name=lambda one: one.rig, columns=list(Start.__dataclass_fields__))


def list_marks(told: Account | None, folders: Sequence[Path], zero: float) -> Rows[Mark]:
    """Return what was marked, by the journal, or by what rigs have written of it where that is not here."""
    if told is not None:
        found = [(one.at, one.text, one.data) for one in told.markers]
    else:
        tables = sorted(path for folder in folders for path in folder.glob("_multirig_markers.*.csv"))
        each = [list(_read_marks(path)) for path in tables]
        found = max(each, key=len, default=[])  # each rig is told all of them; one that came late has fewer
    marks = [
        Mark(t=at - zero, text=text, data=data) for at, text, data in sorted(found, key=lambda one: one[0])
    ]
    return Rows(marks, columns=["t", "text"])


def _read_marks(path: Path) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Yield what stands in a rig's table of markers; a line that is torn is left out."""
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = csv.reader(text[: text.rfind("\n") + 1].splitlines(keepends=True))
    for row in rows:
        if len(row) == len(HEADER) and row[0] != HEADER[0]:
            try:
                data = json.loads(row[2])
                yield float(row[0]), from_cell(row[1]), data if isinstance(data, dict) else {"data": data}
            except ValueError:
                continue


def list_files(
    told: Account | None, collected: Collection, zero: float, folders: Sequence[Path]
) -> Rows[FileRow]:
    """Return what was recorded: what rigs list, what the PC that led has, and what lies there besides."""
    rows = []
    for name, part in collected.parts.items():
        for one in part.files:
            first, last = (
                None if at is None or is_of_other_clock(at, zero) else at - zero
                for at in (one.first, one.last)
            )
            rows.append(
                FileRow(
                    rig=name,
                    path=one.path,
                    bytes=one.bytes,
                    frames=one.frames,
                    first=first,
                    last=last,
                    place=part.places.get(one.path),
                )
            )
    known = {one.path for one in rows}
    rows += [one for one in _find_others(folders) if one.path not in known]
    present = {one.path for one in rows}
    for own in [] if told is None else told.own_files:
        if own.path not in present:
            rows.append(FileRow(rig="", path=own.path, bytes=own.bytes))
    return Rows(rows, name=lambda one: one.path, columns=list(FileRow.__dataclass_fields__))


def _find_others(folders: Sequence[Path]) -> Iterator[FileRow]:
    """Yield what lies in the folders and is data: what multirig has written of the session is none."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if is_data_name(path.name):
                try:
                    if path.is_file():
                        name = path.relative_to(folder).as_posix()
                        yield FileRow(rig="", path=name, bytes=path.stat().st_size, place=path)
                except OSError:  # one that goes away just now
                    continue
