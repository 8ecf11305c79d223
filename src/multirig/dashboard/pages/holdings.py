"""Where the data are: how far each PC is, and the buttons that collect and clear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nicegui import ui

from multirig.collect.overview import KEPT_DAYS
from multirig.dashboard.console import Console
from multirig.dashboard.holdings import Doomed
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.cards import attempt, report
from multirig.dashboard.pages.elements import Line, Rows, box, button, form, show_if, text
from multirig.dashboard.pages.tables import Cell, Heading, Table
from multirig.dashboard.view.holdings import (
    DataView,
    HoldingsNow,
    Moving,
    Note,
    PartRow,
    choose_doomed,
    read_days,
    view_cleared,
    view_data,
    view_doomed,
)
from multirig.dashboard.view.tones import Tone
from multirig.protocol.exp_ref import ExpRef

REFRESH = 1.0
"""Seconds between two looks at what has become known."""
SELDOM = 5
"""Looks after which it is made anew in any case: a rig may be silent by now."""
_PARTS = (
    Heading("PC"),
    Heading("Where"),
    Heading("Size", is_number=True),
    Heading("Since"),
    Heading("At"),
)
_NOTES = Heading("What is the matter")


class DataPanel:
    """The box on the data of all sessions, or of one.

    Parameters
    ----------
    console : Console
    operator : Operator or None
        None: for somebody who may only look.
    exp_ref : ExpRef, optional
        Of the one session.
    """

    def __init__(self, console: Console, operator: Operator | None, exp_ref: ExpRef | None = None) -> None:
        self._console, self._operator, self._exp_ref = console, operator, exp_ref
        self._client = ui.context.client
        self._known: tuple[object, ...] = ()
        """By what it was made that is shown."""
        self._looks = 0
        self._view: DataView | None = None
        with box("section", "panel").props('aria-label="Where the data are"'):
            with box("div", "line wrap"):
                text("h2", "Data" if exp_ref is None else "Where the data are", "grow")
                self._buttons = [] if operator is None else self._build_buttons(operator)
            self._summary = Line("big toned", role="status")
            self._alarms = Rows(box("div", "stack tight").props("role=alert"), _build_note)
            self._moving = Rows(box("div", "stack tight"), _build_moving)
            self._backlog = Rows(box("ul"), _build_backlog)
            self._table = Table("Who has what of this session", "stacked")
            self._destination = text("p", "", "soft break")
            self._why_not = text("p", "", "soft")
        self.show()
        ui.timer(REFRESH, self._refresh)

    def _build_buttons(self, operator: Operator) -> list[ui.button]:
        collect = button("Collect", lambda: self._collect(operator), icon="upload", look="outline")
        stop = button("Stop copying", lambda: report(operator.stop_collecting()), icon="stop", look="outline")
        clear = button(
            "Clear…", lambda: ClearDialog(self._console, operator, self._exp_ref).open(), look="outline"
        )
        return [collect, stop, clear]

    # -- shown --------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        now = self._now()
        is_known = (self._console.holdings.version, now.is_held_up, now.today) == self._known
        self._looks += 1
        if not self._client.is_deleted and (not is_known or self._looks % SELDOM == 0):
            self.show()

    def _now(self) -> HoldingsNow:
        return self._console.holdings.now(operates=self._operator is not None)

    def show(self) -> None:
        """Show what is known now."""
        now = self._now()
        self._known = (self._console.holdings.version, now.is_held_up, now.today)
        view = view_data(now, self._exp_ref)
        if view == self._view:
            return
        self._view = view
        self._summary.show(view.summary.text, view.summary.tone, view.summary.icon)
        self._alarms.show(view.alarms)
        self._moving.show(view.moving)
        self._backlog.show(view.backlog)
        for rows, shown in (
            (self._alarms, view.alarms),
            (self._moving, view.moving),
            (self._backlog, view.backlog),
        ):
            show_if(rows.root, shown)
        show_if(self._table.root, view.rows)
        _show_parts(self._table, view.rows)
        self._destination.text = view.destination
        self._why_not.text = view.why_not or ""
        show_if(self._why_not, view.why_not)
        if self._buttons:
            collect, stop, clear = self._buttons
            collect.set_enabled(view.can_collect)
            clear.set_enabled(view.can_clear)
            show_if(collect, not view.can_stop)
            show_if(stop, view.can_stop)

    # -- pressed ------------------------------------------------------------------------------------------

    async def _collect(self, operator: Operator) -> None:
        sessions = () if self._exp_ref is None else (self._exp_ref,)
        if self._view is not None and self._view.needs_place:
            self._ask_place(operator, sessions)
            return
        await report(operator.collect(None, sessions))

    def _ask_place(self, operator: Operator, sessions: tuple[ExpRef, ...]) -> None:
        async def begin() -> None:
            why_not = await attempt(operator.collect(where.value or "", sessions))
            problem.show(why_not, Tone.BAD)
            if why_not is None:
                dialog.close()

        with ui.dialog() as dialog, box("div", "panel"), form("Collect", begin):
            text("h2", "Collect where?")
            where = ui.input("Destination", value=self._view.last_place if self._view is not None else "")
            where.props("outlined autofocus autocomplete=off")
            text(
                "div",
                "As each PC reaches it: a folder or share, as in /mnt/lab or Z:\\lab, or a remote of rclone, "
                "as in labserver:data. collect: {to: …} in multirig.yaml says it once and for all.",
                "soft",
            )
            problem = Line("trouble")
            problem.show(None)
            with box("div", "line"):
                button("Collect", None, icon="upload", look="color=primary unelevated")
                button("Cancel", dialog.close, look="flat")
        dialog.open()


class ClearDialog:
    """Shows what would be removed, asks, and shows what came of it."""

    def __init__(self, console: Console, operator: Operator, exp_ref: ExpRef | None) -> None:
        self._console, self._operator, self._exp_ref = console, operator, exp_ref
        self._doomed: Doomed = {}
        """What stands in the list: that and nothing else is removed."""
        self._is_begun = False
        with ui.dialog().props("persistent") as self._dialog, box("div", "panel enlarged") as panel:
            panel.props("role=alertdialog")
            panel.props["aria-label"] = "Clear what is collected"
            text("h2", "Clear what is collected")
            self._days = ui.number(
                "Older than so many days", value=KEPT_DAYS, min=0, format="%d", on_change=self._choose
            )
            self._days.props("outlined")
            self._question = Line("big toned", role="status")
            self._table = Table("What is removed", "stacked tall")
            self._problem = Line("trouble", role="alert")
            self._problem.show(None)
            with box("div", "line wrap"):
                self._cancel = button("Cancel", self._dialog.close, look="outline autofocus")
                self._remove = button("Remove", self._clear, look="unelevated color=negative")
            self._timer = ui.timer(REFRESH, self._follow, active=False)
        self._dialog.on("hide", self._leave)

    async def open(self) -> None:
        """Ask the PCs once more, and show what would be removed."""
        self._dialog.open()
        show_if(self._table.root, False)
        self._remove.set_enabled(False)
        self._question.show("asking the PCs once more…", Tone.BUSY)
        await self._console.holdings.look(is_thorough=True)
        self._choose()

    def _choose(self) -> None:
        if self._is_begun:
            return
        now, days = self._console.holdings.now(), read_days(self._days.value)
        self._doomed = {} if days is None else choose_doomed(now, days, self._exp_ref)
        view = view_doomed(now, self._doomed, days)
        self._question.show(view.question, view.tone)
        self._show_rows(view.sessions, view.rows)
        self._remove.set_enabled(view.button is not None)
        self._remove.text = view.button or "Remove"

    def _show_rows(self, sessions: Iterable[str], rows: tuple[PartRow, ...]) -> None:
        show_if(self._table.root, rows)
        _show_parts(self._table, rows, tuple(sessions))

    async def _clear(self) -> None:
        if self._is_begun or not self._doomed:
            return
        self._is_begun = True
        self._remove.set_enabled(False)
        self._days.set_enabled(False)
        self._question.show("reading back…", Tone.BUSY)
        why_not = await attempt(self._operator.clear(self._doomed))
        self._problem.show(why_not, Tone.BAD)
        if why_not is None:
            self._cancel.text = "Close"
            show_if(self._remove, False)
            self._follow()
            self._timer.activate()
            return
        self._is_begun = False
        self._days.set_enabled(True)
        self._choose()

    def _follow(self) -> None:
        view = view_cleared(self._console.holdings.now(), self._doomed)
        self._question.show(view.question, view.tone)
        self._show_rows(view.sessions, view.rows)
        if view.is_over:
            self._timer.deactivate()

    def _leave(self) -> None:
        self._timer.cancel()
        self._dialog.delete()


def _build_note(one: Note) -> None:
    Line("trouble").show(one.text, one.tone, one.icon)


def _build_backlog(said: str) -> None:
    text("li", said, "break")


def _build_moving(one: Moving) -> None:
    Line("tone-busy toned").show(one.text, Tone.BUSY, "upload")
    with box("div", "progress tone-busy").props("aria-hidden=true"):
        box("div").style(f"width: {100 * one.progress:.1f}%")


def _show_parts(table: Table, rows: Sequence[PartRow], sessions: Sequence[str] = ()) -> None:
    """Show who has what, with the session of each row where they are several."""
    has_notes = any(row.note for row in rows)
    headings = [*([Heading("Session")] if sessions else ()), *_PARTS, *([_NOTES] if has_notes else ())]
    cells = [_cells(row, has_note=has_notes) for row in rows]
    for ref, row in zip(sessions, cells, strict=False):
        row.insert(0, Cell(ref, is_heading=True))
    table.show(headings, cells)


def _cells(row: PartRow, *, has_note: bool) -> list[Cell]:
    return [
        Cell(row.who, is_heading=True),
        Cell(row.word, tone=row.tone, icon=row.icon),
        Cell(row.size, is_number=True),
        Cell(row.since),
        Cell(row.to),
        *([Cell(row.note, is_long=True)] if has_note else ()),
    ]
