"""All sessions of this PC: searched while one types, a row for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from multirig.dashboard.console import Console
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.elements import Line, box, button, show_if, text
from multirig.dashboard.pages.frame import frame
from multirig.dashboard.pages.gate import for_all
from multirig.dashboard.pages.holdings import REFRESH, DataPanel
from multirig.dashboard.pages.tables import Cell, Heading, Table
from multirig.dashboard.view.history import (
    SHOWN,
    HistoryRow,
    HistoryView,
    Search,
    history_address,
    judge_word,
    read_search,
    view_history,
)
from multirig.dashboard.view.tones import Tone
from multirig.errors import ConfigError, MultirigError
from multirig.record.catalogue import WORDS, Listed

DEBOUNCE = 300
"""Milliseconds without a key after which is searched."""
_KNOWN = "known-subjects"
_TASK = "Task"
_PERSON = "Led by"
_DATA = "Data"
"""Columns that are left out where no session has one."""
_HEADINGS = (
    Heading("Verdict"),
    Heading("Subject"),
    Heading("Began"),
    Heading("No.", is_number=True),
    Heading("Length", is_number=True),
    Heading("Rigs"),
    Heading(_TASK),
    Heading(_PERSON),
    Heading(_DATA),
    Heading("Size", is_number=True),
    Heading("What is the matter"),
)


def build_history(console: Console, operator: Operator | None) -> None:
    """Build the page, with what its address asks for; without an operator, to look at."""
    ui.page_title("History – multirig")
    page = HistoryPage(console, operator, read_search(ui.context.client.request.query_params))
    ui.timer(0, page.begin, once=True)
    ui.timer(REFRESH, page.follow_data)


class HistoryPage:
    """One browser's view of the history."""

    def __init__(self, console: Console, operator: Operator | None, search: Search) -> None:
        self._console = console
        self._client = ui.context.client
        self._search = search
        self._limit = SHOWN
        self._version = -1
        """Of what is known of the data, as it is shown."""
        self._found: tuple[Sequence[Listed], int] | None = None
        """What was found last, and how many there are."""
        self._number = 0
        """Of the search that was asked for last: an answer to one before is not shown any more."""
        with frame("History"), box("div", "page"):
            with box("div", "line wrap"):
                text("h2", "History", "grow")
                if operator is not None:
                    rebuild = button("Rebuild the catalogue", None, icon="refresh", look="outline")
                    rebuild.on_click(lambda: self._ask_rebuild(operator, rebuild))
            self._build_form()
            DataPanel(console, operator)
            self._trouble = Line("trouble", role="alert")
            with box("section", "panel").props('aria-label="Sessions"'):
                self._summary = text("p", "looking…", "soft").props("role=status")
                self._nothing = Line("big")
                self._table = Table("Sessions, the newest first", "stacked")
                self._more = for_all(button("", self._show_more, icon="expand_more", look="outline"))
            show_if(self._table.root, False)
            show_if(self._more, False)
            self._trouble.show(None)
            self._nothing.show(None)

    def _build_form(self) -> None:
        options = {"": "any"} | {word: f"{word}: {judge_word(word)[1]}" for word in WORDS}
        with (
            box("form", "panel asked")
            .props('role=search aria-label="Search"')
            .on("submit.prevent", lambda: None)
        ):
            subject = ui.input("Subject", value=self._search.subject, on_change=self._change("subject"))
            subject.props(f"debounce={DEBOUNCE} list={_KNOWN} autocomplete=off type=search")
            with box("datalist").props(f"id={_KNOWN}"):
                for name in self._console.past.subjects:
                    ui.element("option").props["value"] = name
            since = ui.input("From", value=_say_date(self._search.since), on_change=self._change("since"))
            until = ui.input("To", value=_say_date(self._search.until), on_change=self._change("until"))
            for one in (since, until):
                one.props(f"type=date stack-label debounce={DEBOUNCE}")
            verdict = ui.select(
                options, label="Verdict", value=self._search.verdict or "", on_change=self._change("verdict")
            )
            words = ui.input("Words", value=self._search.text, on_change=self._change("text"))
            words.props(
                f'debounce={DEBOUNCE} autocomplete=off type=search placeholder="reason, marker, rig, task…"'
            )
            self._fields: dict[str, Any] = {
                "subject": subject,
                "since": since,
                "until": until,
                "verdict": verdict,
                "text": words,
            }
            for one in (*self._fields.values(), button("Clear", self._clear, icon="close", look="flat")):
                for_all(one)

    # -- searching ----------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Show what is known at once, then take up what is new in the folders."""
        await self._show_found()
        try:
            await asyncio.to_thread(self._console.past.catalogue.refresh)
        except ConfigError as error:
            self._trouble.show(str(error), Tone.BAD)
            return
        await self._show_found()

    def _change(self, key: str) -> Callable[[Any], Any]:
        async def change(_: Any) -> None:
            asked = {name: str(field.value or "") for name, field in self._fields.items()}
            search = read_search(asked)
            if search == self._search:
                return
            self._search, self._limit = search, SHOWN
            ui.navigate.history.replace(history_address(search))
            await self._show_found()

        return change

    async def _clear(self) -> None:
        for field in self._fields.values():
            field.value = ""

    async def _show_more(self) -> None:
        self._limit += SHOWN
        await self._show_found()

    async def _show_found(self) -> None:
        self._number += 1
        number, search, limit = self._number, self._search, self._limit
        try:
            found = await asyncio.to_thread(self._look, search, limit)
        except ConfigError as error:
            self._trouble.show(str(error), Tone.BAD)
            return
        if number == self._number and not self._client.is_deleted:
            self._found = found
            self._show_rows()

    def _look(self, search: Search, limit: int) -> tuple[Sequence[Listed], int]:
        catalogue, asked = self._console.past.catalogue, search.to_catalogue()
        return catalogue.search(**asked, limit=limit), catalogue.count(**asked)

    def follow_data(self) -> None:
        """Show how far the data of each session have come by now."""
        if self._version != self._console.holdings.version and not self._client.is_deleted:
            self._show_rows()

    def _show_rows(self) -> None:
        if self._found is None:
            return
        self._version = self._console.holdings.version
        found, total = self._found
        folder, parts = self._console.past.subjects_folder, self._console.holdings.now().parts
        self._show(view_history(found, total=total, search=self._search, folder=folder, parts=parts))

    def _show(self, view: HistoryView) -> None:
        self._trouble.show(view.trouble, Tone.WARNING)
        self._summary.text = view.summary
        self._nothing.show(view.nothing)
        show_if(self._table.root, bool(view.rows))
        absent = {_TASK: not view.has_tasks, _PERSON: not view.has_people, _DATA: not view.has_data}
        headings = [one for one in _HEADINGS if not absent.get(one.text, False)]
        self._table.show(headings, (_cells(one, view) for one in view.rows))
        show_if(self._more, view.more is not None)
        if view.more is not None:
            self._more.text = view.more

    # -- the catalogue ------------------------------------------------------------------------------------

    async def _ask_rebuild(self, operator: Operator, pressed: ui.button) -> None:
        with ui.dialog() as dialog, ui.card().classes("stack").props("role=document"):
            text("h3", "Rebuild the catalogue?")
            text(
                "p",
                "The catalogue is only an index of the session folders on this PC. It is made anew from "
                "them: nothing is lost, no recording is touched. Thousands of sessions take a minute, "
                "and some sessions are missing from this list meanwhile.",
            )
            with box("div", "line wrap"):
                button("Rebuild", lambda: dialog.submit(True), icon="refresh")
                button("Leave it", lambda: dialog.submit(False), look="flat")
        try:
            if await dialog:
                await self._rebuild_now(operator, pressed)
        finally:
            dialog.delete()

    async def _rebuild_now(self, operator: Operator, pressed: ui.button) -> None:
        pressed.props("loading")
        try:
            await asyncio.to_thread(operator.rebuild_catalogue)
        except MultirigError as error:
            self._trouble.show(str(error), Tone.BAD)
            return
        finally:
            pressed.props(remove="loading")
        await self._show_found()
        ui.notify("The catalogue is made anew.", position="top", type="positive")


def _say_date(day: Any) -> str:
    return "" if day is None else str(day.isoformat())


def _cells(row: HistoryRow, view: HistoryView) -> list[Cell]:
    data = row.data
    where = Cell("") if data is None else Cell(data.text, tone=data.tone, icon=data.icon, name="Data")
    return [
        Cell(row.word, tone=row.tone, icon=row.icon, is_strong=True),
        Cell(
            row.subject,
            link=row.link,
            label=f"{row.subject}, {row.day}, number {row.number}: {row.word}",
            is_heading=True,
        ),
        Cell(row.when),
        Cell(row.number, is_number=True, name="No."),
        Cell(row.length, is_number=True, name="Length"),
        Cell(row.rigs),
        *([Cell(row.task, is_soft=True)] if view.has_tasks else ()),
        *([Cell(row.person, is_soft=True)] if view.has_people else ()),
        *([where] if view.has_data else ()),
        Cell(row.size, is_number=True),
        Cell(row.reason, is_long=True),
    ]
