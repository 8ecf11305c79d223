"""The journal: every input of a session in order, durable, one JSON object a line.

Fed back into a `SessionMachine` it gives the same session again. A torn last line, as a crash leaves it, is
no error.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from pydantic import TypeAdapter

import multirig
from multirig.errors import ConfigError
from multirig.lifecycle.session import AgreeRequested, RigsChosen, SessionMachine, StepRequested
from multirig.protocol.codec import plain
from multirig.protocol.events import Received, Refused, Replied, TimedOut, Unreached

FILE_NAME = "_multirig_journal.jsonl"
"""In the session folder on the conductor's PC."""
_INPUTS = {
    one.__name__: one
    for one in (
        AgreeRequested,
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
class Entry:
    """One line of a journal."""

    at: int
    """Nanoseconds on the session clock: the conductor's ``time.perf_counter_ns()``."""
    wall: str
    """ISO time of day on the conductor's PC."""
    kind: str
    """Name of the input, or of the note."""
    data: dict[str, Any]

    def to_input(self) -> Any | None:
        """Return the machine's input that this line records; None for a note."""
        if self.kind not in _INPUTS:
            return None
        data = dict(self.data)
        if isinstance(data.get("key"), list):
            data["key"] = tuple(data["key"])
        return _adapter(self.kind).validate_python(data)


class Journal:
    """Append-only; lines are kept in memory until the session has a folder.

    A line is with the operating system before anything that follows from it leaves this PC, so it survives
    the death of the program; `sync` makes it survive the death of the PC.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._file: TextIO | None = None

    @property
    def is_open(self) -> bool:
        """Whether lines go to a file."""
        return self._file is not None

    def open(self, folder: Path) -> None:
        """Go on in a session folder, with all that was kept so far.

        Raises
        ------
        ConfigError
            The folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / FILE_NAME).open("a", encoding="utf-8", newline="\n")
            self._write()
        except OSError as error:
            self._file = None
            raise ConfigError(
                f"cannot write the journal in {folder}: {error.strerror or error}; "
                "choose another --data folder or free some space"
            ) from None

    def append(self, event: Any, at: int) -> None:
        """Write down an input of the machine."""
        kind = type(event).__name__
        self._add(kind, _adapter(kind).dump_python(event, mode="json"), at)

    def note(self, kind: str, at: int, **data: Any) -> None:
        """Write down something that is no input of the machine."""
        self._add(kind, plain(data), at)

    def sync(self) -> None:
        """Return when every line is on the disk; blocks, so call it in a thread."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Put everything on the disk; lines of a session that never had a folder are dropped."""
        self._lines.clear()
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None

    def _add(self, kind: str, data: dict[str, Any], at: int) -> None:
        if not self._lines and self._file is None:
            self._lines.append(self._line("Opened", {"version": multirig.__version__}, at))
        self._lines.append(self._line(kind, data, at))
        if self._file is not None:
            self._write()

    def _line(self, kind: str, data: dict[str, Any], at: int) -> str:
        wall = datetime.datetime.now().astimezone().isoformat(timespec="microseconds")
        return json.dumps({"at": at, "wall": wall, "kind": kind, "data": data}, separators=(",", ":")) + "\n"

    def _write(self) -> None:
        if self._file is not None:
            self._file.write("".join(self._lines))
            self._file.flush()
            self._lines.clear()


def read_journal(folder: Path) -> Iterator[Entry]:
    """Return the entries of a session's journal, oldest first.

    Parameters
    ----------
    folder : Path
        The session folder.

    Raises
    ------
    ConfigError
        There is no journal, or a line other than the last is not one of a journal.
    """
    path = folder / FILE_NAME
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(
            f"no journal in {folder}: {error.strerror or error}; is it a session folder?"
        ) from None
    torn = len(lines) - 1  # what stands behind the last line feed was never finished
    for number, line in enumerate(lines):
        if number == torn or not line.strip():
            continue
        try:
            entry = json.loads(line)
            yield Entry(at=entry["at"], wall=entry["wall"], kind=entry["kind"], data=entry["data"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{path}, line {number + 1}: this is no line of a journal") from None


def replay(folder: Path) -> SessionMachine:
    """Return the session machine as it was when the journal ends."""
    machine = SessionMachine()
    for entry in read_journal(folder):
        event = entry.to_input()
        if event is not None:
            list(machine.handle(event, entry.at))
    return machine


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_INPUTS[kind])
