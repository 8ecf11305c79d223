"""One session that is over: the verdict and why, its files, its picture, its journal."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastapi import Response
from nicegui import ui

from multirig.dashboard.console import Console
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.elements import Line, box, button, section, set_tone, text
from multirig.dashboard.pages.frame import frame
from multirig.dashboard.pages.gate import for_all
from multirig.dashboard.pages.holdings import DataPanel
from multirig.dashboard.pages.journal import JournalPart
from multirig.dashboard.pages.tables import Cell, Heading, Table
from multirig.dashboard.readings import draw_plot, read
from multirig.dashboard.view.account import (
    AccountView,
    ClockRow,
    FileGroup,
    RigFindings,
    view_account,
    view_listed,
)
from multirig.dashboard.view.cards import Fact
from multirig.dashboard.view.history import session_address
from multirig.dashboard.view.session import Entry
from multirig.dashboard.view.tones import ICONS, Tone
from multirig.errors import ConfigError
from multirig.reading.places import read_reference
from multirig.record.account import account_of

PLOT = "plot.svg"
"""Last part of the picture's address."""
_NOT_FOUND = 404
_OF_A_DAY = 10_000
"""Sessions of a day that a search may find: more than there are."""
_FILES = (
    Heading("File"),
    Heading("Size", is_number=True),
    Heading("Frames", is_number=True),
    Heading("First", is_number=True),
    Heading("Last", is_number=True),
    Heading("Dropped", is_number=True),
)
_CLOCKS = (
    Heading("Rig"),
    Heading("Against this PC"),
    Heading("May be off"),
    Heading("Drift", is_number=True),
    Heading("Round trip", is_number=True),
    Heading("Readings", is_number=True),
    Heading("Jumps"),
)
_ENTRIES = (Heading("When", is_number=True), Heading("Who"), Heading("What"))
_COPY = """
const field = document.getElementById(%r), text = field.textContent;
try { await navigator.clipboard.writeText(text); return true; } catch { /* not a secure page */ }
const range = document.createRange();
range.selectNodeContents(field);
getSelection().removeAllRanges();
getSelection().addRange(range);
return document.execCommand("copy");
"""
"""Copies the text of an element; where the browser does not let it, the text is selected at least."""

log = logging.getLogger("multirig.console")


async def build_account(
    console: Console, operator: Operator | None, subject: str, date: str, number: str
) -> None:
    """Build the page of the session of which an address speaks; without an operator, to look at."""
    ui.page_title(f"{date}_{number}_{subject} – multirig")
    try:
        folder = await asyncio.to_thread(console.past.find, subject, date, number)
    except (ConfigError, OSError) as error:
        ui.context.client.status_code = _NOT_FOUND
        _build_unknown(str(error))
        return
    page = AccountPage(console, operator, folder)
    ui.timer(0, page.begin, once=True)


async def answer_plot(
    console: Console, subject: str, date: str, number: str, *, dark: bool = False
) -> Response:
    """Answer a request for a session's picture, as SVG."""
    try:
        folder = await asyncio.to_thread(console.past.find, subject, date, number)
        picture = await asyncio.to_thread(draw_plot, folder, is_dark=dark)
    except (ConfigError, OSError) as error:
        return Response(f"{error}\n", status_code=_NOT_FOUND, media_type="text/plain")
    return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})


def _build_unknown(why: str) -> None:
    with frame("History"), box("div", "page"):
        text("h2", "No such session")
        Line("big", role="alert").show(why, Tone.WARNING)
        text("a", "All sessions").props("href=/history")


class AccountPage:
    """One browser's view of a session."""

    def __init__(self, console: Console, operator: Operator | None, folder: Path) -> None:
        self._console, self._operator, self._folder = console, operator, folder
        subject, date, number = folder.parts[-3:]
        self._subject, self._name = subject, f"{date}_{int(number)}_{subject}"
        self._client = ui.context.client
        with frame("History"):
            self._page = box("div", "page")
            with self._page:
                self._waiting = text("p", "reading the session…", "soft").props("role=status")

    async def begin(self) -> None:
        """Read the session, and show it."""
        view, why = None, ""
        try:
            view = await asyncio.to_thread(self._read)
        except ConfigError as error:
            why = str(error)
        except Exception as error:
            log.exception("%s cannot be shown", self._folder)
            why = f"this session cannot be read: {' '.join(str(error).split())}; look into the console's log"
        if self._client.is_deleted:
            return
        with self._page:
            self._waiting.delete()
            if view is None:
                text("h2", self._name, "break")
                Line("big", role="alert").show(why, Tone.BAD)
                with box("section", "panel"):
                    self._build_folder()
                return
            self._build(view)
        if view.has_journal:
            await self._show_plot(view.exp_ref)
            await self._journal.show()

    def _read(self) -> AccountView:
        try:
            return view_account(account_of(read(self._folder).summary, self._folder), name=self._name)
        except ConfigError:
            day = datetime.date.fromisoformat(self._folder.parts[-2])
            found = self._console.past.catalogue.search(
                subject=self._subject, since=day, until=day, limit=_OF_A_DAY
            )
            for one in found:
                if one.folder == self._folder:
                    return view_listed(one)
            raise

    # -- what it turned out to be -------------------------------------------------------------------------

    def _build(self, view: AccountView) -> None:
        with box("nav").props('aria-label="Back"'):
            text("a", "All sessions").props("href=/history")
        with box("section", "panel") as head:
            set_tone(head, view.tone)
            text("h2", view.exp_ref, "break")
            with box("div", "line verdict"):
                ui.icon(view.icon).props("aria-hidden=true")
                text("span", view.word)
            text("p", view.meaning, "big")
            for one in view.reasons:
                Line("trouble").show(one, view.tone, view.icon)
            for one in view.notes:
                Line().show(one)
            with box("dl", "facts wide"):
                for fact in view.facts:
                    _build_fact(fact)
            self._build_folder()
        if (exp_ref := read_reference(self._folder)) is not None:
            DataPanel(self._console, self._operator, exp_ref)
        if view.unknown:
            with section("What is not known"), box("ul"):
                for one in view.unknown:
                    text("li", one, "break")
        self._build_rigs(view.rigs)
        self._build_files(view.files)
        self._build_entries("Markers", view.markers, view.more_markers)
        self._build_entries("What happened", view.happenings, view.more_happenings)
        self._build_clocks(view.clocks)
        if view.has_journal:
            self._build_plot()
            self._journal = JournalPart(self._folder)

    def _build_folder(self) -> None:
        with box("div", "line wrap folder"):
            text("span", "Folder", "soft")
            path = text("code", str(self._folder), "break grow")

            async def copy() -> None:
                is_copied = await ui.run_javascript(_COPY % path.html_id, timeout=5)
                said = (
                    "Copied." if is_copied else "This browser lets nothing be copied here: press Ctrl+C now."
                )
                ui.notify(said, position="top")

            for_all(button("Copy the path", copy, icon="content_copy", look="outline dense"))

    def _build_rigs(self, rigs: Sequence[RigFindings]) -> None:
        if not rigs:
            return
        with section("Rigs"):
            for rig in rigs:
                with box("div", "stack tight rig-findings") as root:
                    set_tone(root, rig.tone)
                    with box("div", "line wrap"):
                        text("h3", rig.rig, "break")
                        text("span", rig.about, "soft break")
                    for one in rig.entries:
                        said = f"{one.when}: {one.text}" if one.when else one.text
                        Line().show(said, one.tone, one.icon)

    def _build_files(self, groups: Sequence[FileGroup]) -> None:
        if not groups:
            return
        with section("Files"):
            rows = (row for one in groups for row in _file_rows(one))
            Table("Files, by rig").show(_FILES, rows)
            text(
                "p",
                "Times are seconds from the beginning, on this PC's clock; – : the rig does not tell.",
                "soft",
            )

    def _build_entries(self, title: str, entries: Sequence[Entry], more: str | None) -> None:
        if not entries:
            return
        has_who = any(one.who for one in entries)
        headings = [one for one in _ENTRIES if has_who or one.text != "Who"]
        with section(title):
            Table(title, "tall").show(headings, (_entry_cells(one, has_who=has_who) for one in entries))
            if more is not None:
                text("p", more, "soft")

    def _build_clocks(self, clocks: Sequence[ClockRow]) -> None:
        if clocks:
            with section("Clocks"):
                Table("What is known of each rig's clock").show(_CLOCKS, map(_clock_cells, clocks))

    # -- its picture ----------------------------------------------------------------------------------

    def _build_plot(self) -> None:
        with section("Time"):
            self._picture = box("div", "stack")
            with self._picture:
                text("p", "drawing…", "soft").props("role=status")

    async def _show_plot(self, exp_ref: str) -> None:
        why = None
        try:
            await asyncio.to_thread(draw_plot, self._folder)
        except (ConfigError, OSError) as error:
            why = str(error)
        except Exception as error:
            log.exception("%s cannot be drawn", self._folder)
            why = f"this session cannot be drawn: {' '.join(str(error).split())}; look into the console's log"
        if self._client.is_deleted:
            return
        self._picture.clear()
        with self._picture:
            if why is not None:
                Line().show(why)
                return
            address = f"{session_address(self._folder)}/{PLOT}"
            with box("div", "scroll").props('tabindex=0 role=region aria-label="Clocks, states and starts"'):
                # the light one goes onto paper too; the dark one is drawn where it is looked at
                for is_dark in (False, True):
                    picture = box("img", "plot by-night" if is_dark else "plot by-day")
                    picture.props["loading"] = "lazy" if is_dark else "eager"
                    picture.props["src"] = f"{address}?dark=true" if is_dark else address
                    picture.props["alt"] = f"Clocks, states and starts of {exp_ref} on one time axis"
            link = text("a", "Open the picture alone: point at a bar or a tick to read what it is")
            link.props("target=_blank")
            link.props["href"] = address


def _build_fact(fact: Fact) -> None:
    text("dt", fact.label)
    text("dd", fact.value, f"break tone-{fact.tone.value}")


def _file_rows(group: FileGroup) -> Iterator[list[Cell]]:
    yield [
        Cell(group.who, is_part=True),
        _toned(group.summary, group.tone, span=4),
        _toned(group.dropped, group.dropped_tone, is_number=True),
    ]
    for one in group.rows:
        yield [
            Cell(one.path, is_long=True),
            Cell(one.size, is_number=True),
            Cell(one.frames, is_number=True),
            Cell(one.first, is_number=True),
            Cell(one.last, is_number=True),
            Cell(""),
        ]
    if group.more is not None:
        yield [Cell(group.more, span=len(_FILES), is_soft=True)]


def _toned(content: str, tone: Tone, *, span: int = 1, is_number: bool = False) -> Cell:
    """Return a field that has an icon and a colour where there is something to look after."""
    if tone is Tone.PLAIN:
        return Cell(content, span=span, is_number=is_number)
    return Cell(content, tone=tone, icon=ICONS[tone], span=span, is_number=is_number)


def _entry_cells(one: Entry, *, has_who: bool) -> list[Cell]:
    return [
        Cell(one.when, is_number=True),
        *([Cell(one.who)] if has_who else ()),
        Cell(one.text, is_long=True),
    ]


def _clock_cells(row: ClockRow) -> list[Cell]:
    if row.unknown is not None:
        return [Cell(row.rig, is_heading=True), Cell(row.unknown, span=len(_CLOCKS) - 1)]
    return [
        Cell(row.rig, is_heading=True),
        Cell(row.offset),
        Cell(row.bound),
        Cell(row.drift, is_number=True),
        Cell(row.round_trip, is_number=True),
        Cell(row.readings, is_number=True),
        _toned(row.jumps, row.tone),
    ]
