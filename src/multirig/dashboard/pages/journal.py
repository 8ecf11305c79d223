"""A session's journal as a part of its page, line by line, by rig and by kind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from nicegui import ui

from multirig.dashboard.pages.elements import box, section, show_if, text
from multirig.dashboard.pages.gate import for_all
from multirig.dashboard.pages.tables import Cell, Heading, Table
from multirig.dashboard.readings import read
from multirig.dashboard.view.journal import JournalRow, filter_lines, list_kinds, list_rigs
from multirig.record.story import Line

_HEADINGS = (
    Heading("Time"),
    Heading("Since the start", is_number=True),
    Heading("Who"),
    Heading("Kind"),
    Heading("What"),
)

log = logging.getLogger("multirig.console")


class JournalPart:
    """One browser's view of a journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = ui.context.client
        self._lines: Sequence[Line] = ()
        with section("Journal"):
            with box("div", "line wrap"):
                self._who = ui.select({"": "all"}, label="Rig", value="", on_change=self._choose)
                self._kind = ui.select({"": "all"}, label="Kind", value="", on_change=self._choose)
                for choice in (self._who, self._kind):
                    for_all(choice).classes("filter")
            self._summary = text("p", "reading…", "soft").props("role=status")
            self._table = Table("The journal", "tall")
            show_if(self._table.root, False)

    async def show(self) -> None:
        """Read the journal, and show it."""
        try:
            self._lines = (await asyncio.to_thread(read, self._folder)).lines
        except Exception as error:
            log.exception("the journal of %s cannot be shown", self._folder)
            self._summary.text = f"the journal cannot be told: {' '.join(str(error).split())}"
            return
        if not self._client.is_deleted:
            self._who.set_options({"": "all"} | {name: name for name in list_rigs(self._lines)})
            self._kind.set_options({"": "all"} | list_kinds(self._lines))
            self._choose()

    def _choose(self) -> None:
        view = filter_lines(self._lines, who=self._who.value or "", kind=self._kind.value or "")
        self._summary.text = view.summary
        show_if(self._table.root, bool(view.rows))
        self._table.show(_HEADINGS, map(_cells, view.rows))


def _cells(row: JournalRow) -> list[Cell]:
    return [
        Cell(row.time),
        Cell(row.since, is_number=True),
        Cell(row.who, is_strong=True),
        Cell(row.kind, is_soft=True),
        Cell(row.what, is_long=True),
    ]
