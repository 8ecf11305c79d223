"""The journal of a session, a line for each entry: by rig and by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multirig import wording
from multirig.record.story import Kind, Line, choose

SHOWN_LINES = 1000
"""Lines that a browser is sent: who wants more asks for a rig or a kind."""
_KINDS: Mapping[Kind, str] = {
    Kind.STEP: "steps",
    Kind.ANSWER: "answers",
    Kind.NEWS: "news",
    Kind.ALARM: "alarms",
    Kind.MARKER: "markers",
    Kind.CLOCK: "clocks",
    Kind.OTHER: "other",
}
"""What the lines of each kind are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """A line of the journal."""

    time: str
    """Of day."""
    since: str
    """Seconds since the agreed start; nothing before all rigs record."""
    who: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalView:
    """The lines that are asked for."""

    rows: tuple[JournalRow, ...]
    summary: str
    """How many they are, and where the others are."""


def list_rigs(lines: Sequence[Line]) -> list[str]:
    """Return who is in a journal, in the order in which they come."""
    return list(dict.fromkeys(one.who for one in lines))


def list_kinds(lines: Sequence[Line]) -> dict[str, str]:
    """Return which kinds of lines are in a journal, and what they are called."""
    found = {one.kind for one in lines}
    return {kind.value: name for kind, name in _KINDS.items() if kind in found}


def filter_lines(lines: Sequence[Line], *, who: str = "", kind: str = "") -> JournalView:
    """Return the first lines of one rig, or ``this PC``, and of one of `list_kinds`; empty: of all."""
    found = list(choose(lines, who=[who] if who else [], kinds=[Kind(kind)] if kind else []))
    left = len(found) - SHOWN_LINES
    if left > 0:
        summary = (
            f"the first {wording.grouped(SHOWN_LINES)} lines, and {wording.grouped(left)} more: "
            "choose a rig or a kind, or see all with multirig show --journal"
        )
    elif found:
        summary = f"{wording.grouped(len(found))} {'line' if len(found) == 1 else 'lines'}"
    else:
        summary = "no line is like that: choose another rig or another kind"
    return JournalView(rows=tuple(_row(one) for one in found[:SHOWN_LINES]), summary=summary)


def _row(line: Line) -> JournalRow:
    return JournalRow(
        time=line.wall[11:23],
        since=wording.since(line.seconds, digits=3),
        who=line.who,
        kind=line.kind.value,
        what=line.what,
    )
