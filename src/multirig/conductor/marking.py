"""What becomes a marker: one line of text, and data that every rig can be told of in one message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multirig.conductor.marker_data import Converting
from multirig.errors import IllegalTransition
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import Marked
from multirig.lifecycle.session_states import MARKABLE, UNTOUCHED, SessionState
from multirig.lifecycle.watch import Notice, Noticed, notice_here
from multirig.wording import count

MAX_TEXT = 300
"""Characters: a line on a screen, and a cell in a table."""
NO_TEXT = "(no text)"
"""What a marker says that was given none: its time is what counts."""


MAX_TOLD = 50
"""Lines on markers that could not stay as they were: more would hide all else."""

SETTLE_LIMIT, SETTLE_MOST = 2.0, 10.0
"""Seconds for which a stop waits for rigs that take none of the last markers, and for those that do.

A rig writes none that comes after its stop.
"""
SETTLE_EVERY = 0.02

log = logging.getLogger("multirig.conductor")


async def settle(machine: SessionMachine) -> list[Noticed]:
    """Wait until the rigs have their markers, but for long for none; return who may lack some."""
    waited = still = 0.0
    left = machine.marks.count_open()
    while (
        waited < SETTLE_MOST
        and still < SETTLE_LIMIT
        and any(
            not machine.watch.knows(name, Notice.SILENT) and not machine.watch.knows(name, Notice.LOST)
            for name in left
        )
    ):
        await asyncio.sleep(SETTLE_EVERY)
        waited += SETTLE_EVERY
        before, left = left, machine.marks.count_open()
        still = 0.0 if left != before else still + SETTLE_EVERY
    return [
        notice_here(
            Notice.FOUND,
            f"{name} may lack {count(number, 'marker')} of the session in its own table: the journal has all",
        )
        for name, number in machine.marks.count_lacking().items()
    ]


class Remarks:
    """Says what became of a session's markers; what comes with each trial is said once. For any thread."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = log.warning
        """Is given each line."""
        self._told: set[str] = set()

    def take(self, marked: Marked, notes: Sequence[str]) -> None:
        """Say of a marker what is new."""
        new = [note for note in notes if note not in self._told]
        if new and len(self._told) < MAX_TOLD:
            self._told.update(new)
            self.tell(f"marker {marked.text!r:.60}: {'; '.join(new)}")


def make_marked(text: object, data: Mapping[str, Any], at: int) -> tuple[Marked, Sequence[str]]:
    """Return a marker that can be written down and told, and what had to be changed for that, a line each.

    Nothing is refused: a marker never ends a session.

    Parameters
    ----------
    text : str
        At most 300 characters; line breaks become spaces.
    data : mapping of str to Any
        More on it.
    at : int
        When it happened, on the session clock; ns.
    """
    line, notes = _line(text)
    converting = Converting()
    told = converting.convert(data)
    return Marked(text=line, at=at, data=told), [*notes, *converting.notes]


def _line(text: object) -> tuple[str, list[str]]:
    notes = []
    if text is None:
        text = ""
    if not isinstance(text, str):
        notes.append(f"its text is a {type(text).__name__}: it became text")
        text = str(Converting().convert({"text": text})["text"])
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
        notes.append("its text has letters that cannot be printed: they were replaced")
    if len(line) > MAX_TEXT:
        notes.append(f"its text has {len(line):,} characters, and a marker {MAX_TEXT}: it was shortened")
        line = f"{line[: MAX_TEXT - 1]}…"
    if not line:
        notes.append("it has no text: say in a line what has happened")
    return line or NO_TEXT, notes


def check_markable(state: SessionState) -> None:
    """See to it that a marker has its place; IllegalTransition if the session has not begun, or is over."""
    if state in MARKABLE:
        return
    if state in UNTOUCHED or state in (SessionState.INITIALIZING, SessionState.INITIALIZED):
        hint = "set it once the rigs have been started"
    elif state in (SessionState.RECOVERING, SessionState.RECOVERED):
        hint = "let the session go on first"
    else:
        hint = "the session is over; begin another one"
    raise IllegalTransition(state, "mark", f"cannot set a marker while the session is {state}: {hint}")
