"""The session that goes on, or has just ended: from three metres, and with what may be pressed."""

from __future__ import annotations

import json

from nicegui import ui

from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.cards import report
from multirig.dashboard.pages.elements import (
    Line,
    Rows,
    box,
    button,
    complain,
    form,
    set_icon,
    set_tone,
    show_if,
    text,
)
from multirig.dashboard.pages.gate import for_all
from multirig.dashboard.view.session import Entry, Row, SessionView
from multirig.dashboard.view.tones import Tone

ALARM_SECONDS = 15.0
"""For so long an alarm stands over the page; in the list it stays."""


class SessionPanel:
    """Whatever is to be known of the session, and done with it; without an operator, to look at."""

    def __init__(self, operator: Operator | None) -> None:
        self._shown: SessionView | None = None
        self._alarm: int | None = None
        """The newest alarm that was there when this page was opened, or that it has called out."""
        self.root = box("section", "panel tone-busy").props('aria-label="Session"')
        with self.root:
            self._title = text("h2", classes="title").props("aria-live=polite")
            self._exp_ref = text("div", classes="big mono break")
            self._subtitle = text("div", classes="soft break")
            self._watch = text("div", classes="watch").props('role=timer aria-label="Time recorded"')
            with box("div", "progress").props("aria-hidden=true") as self._progress:
                self._done = box("div")
            self._remaining = text("div", classes="big")
            self._trouble = Line("trouble", role="alert")
            self._causes = Rows(box("div", "stack tight"), _build_cause)
            self._meaning = text("p", classes="big")
            self._reasons = Rows(box("div", "stack tight"), _build_reason)
            self._doubt = Line("big")
            self._presses = SessionButtons(operator) if operator is not None else None
            with box("div", "line wrap") as self._after:
                if self._presses is not None:
                    self._presses.add_next()
                self._more = for_all(
                    button("Files, times and journal", self._open, icon="description", look="outline")
                )
            self._table = RigTable()
            if self._presses is not None:
                self._presses.add_marking()
            self._alarm_box = box("div", "stack tight")
            with self._alarm_box:
                text("h3", "What has happened")
                self._alarms = Rows(box("div", "entries"), _build_entry)
            self._marker_box = box("div", "stack tight")
            with self._marker_box:
                text("h3", "Markers")
                self._markers = Rows(box("div", "entries"), _build_entry)
            self._spread = text("div", classes="soft")

    def show(self, view: SessionView | None) -> None:
        """Show the session as it is now."""
        show_if(self.root, view is not None)
        if view is None or view == self._shown:
            self._shown = view
            return
        self._shown = view
        set_tone(self.root, view.tone)
        self._title.text = view.title
        self._title.classes(
            add="verdict" if view.verdict else "title", remove="title" if view.verdict else "verdict"
        )
        self._exp_ref.text = view.exp_ref
        self._subtitle.text = view.subtitle
        self._watch.text = view.elapsed or ""
        show_if(self._watch, view.elapsed is not None)
        show_if(self._progress, view.progress is not None)
        if view.progress is not None:
            self._done.style(f"width: {100 * min(1.0, view.progress):.1f}%")
        self._remaining.text = view.remaining or ""
        show_if(self._remaining, view.remaining is not None)
        self._trouble.show(view.trouble, Tone.BAD)
        self._causes.show(view.causes)
        self._meaning.text = view.meaning or ""
        show_if(self._meaning, view.meaning is not None)
        self._reasons.show(tuple((one, view.tone) for one in view.reasons))
        self._doubt.show(view.doubt, Tone.WARNING)
        self._table.show(view.columns, view.rows)
        if self._presses is not None:
            self._presses.show(view)
        show_if(self._after, view.is_over)
        show_if(self._more, view.page is not None)
        self._alarms.show(view.alarms)
        show_if(self._alarm_box, bool(view.alarms))
        self._markers.show(view.markers)
        show_if(self._marker_box, bool(view.markers))
        self._spread.text = view.spread or ""
        show_if(self._spread, view.spread is not None)
        self._call_out(view)

    def _open(self) -> None:
        if self._shown is not None and self._shown.page is not None:
            ui.navigate.to(self._shown.page)

    def _call_out(self, view: SessionView) -> None:
        """Notify whoever has asked for it of an alarm that is new."""
        if self._alarm is None or view.newest_alarm <= self._alarm:
            self._alarm = view.newest_alarm if self._alarm is None or view.newest_alarm == 0 else self._alarm
            return
        self._alarm = view.newest_alarm
        newest = next((one for one in view.alarms if one.tone is Tone.BAD), None)
        if newest is not None:
            what = f"{newest.who}: {newest.text}"
            self.root.client.run_javascript(
                f"window.multirig.notify('multirig: look at your session', {json.dumps(what)})"
            )
            with self.root:
                complain(what, seconds=ALARM_SECONDS)


class SessionButtons:
    """What may be pressed while a session goes on, or when it is over."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._stop = button(
            "Stop", lambda: report(operator.stop()), icon="stop", look="unelevated color=primary"
        ).classes("big-button")
        self._interrupt = button(
            "Interrupt…", self._ask_to_interrupt, icon="dangerous", look="outline color=negative"
        )

    def add_next(self) -> None:
        """Add what shows the form again."""
        button(
            "New session",
            lambda: report(self._operator.dismiss()),
            icon="add",
            look="unelevated color=primary",
        )

    def add_marking(self) -> None:
        """Add the field for a marker."""

        async def mark() -> None:
            words = (field.value or "").strip()
            if words and await report(self._operator.mark(words)):
                field.value = ""

        self._mark_box = form("Marker", mark, "line")
        with self._mark_box:
            field = ui.input("What has just happened?").props("outlined dense maxlength=300").classes("grow")
            button("Mark", None, icon="bookmark_add", look="outline")

    def show(self, view: SessionView) -> None:
        """Show what may be pressed now."""
        show_if(self._stop, view.can_stop)
        show_if(self._interrupt, view.can_interrupt)
        show_if(self._mark_box, view.can_mark)

    def _ask_to_interrupt(self) -> None:
        with ui.dialog() as dialog, box("div", "panel").props('role=alertdialog aria-label="Interrupt"'):
            text("h2", "Interrupt the session?")
            text("p", "All rigs stop at once. What is recorded is kept; the verdict will be INTERRUPTED.")
            why = ui.input("Why? (for the journal)").props("outlined")

            async def interrupt() -> None:
                dialog.close()
                await report(self._operator.interrupt(why.value or ""))

            with box("div", "line wrap"):
                button("Go on recording", dialog.close, look="unelevated color=primary autofocus")
                button("Interrupt now", interrupt, icon="dangerous", look="unelevated color=negative")
        dialog.open()


class RigTable:
    """A row for each rig of the session: how far it is, or what it has recorded."""

    def __init__(self) -> None:
        self._root = box("div", "scroll")
        self._columns: tuple[str, ...] | None = None
        self._rows: dict[str, RigRow] = {}

    def show(self, columns: tuple[str, ...], rows: tuple[Row, ...]) -> None:
        """Show these rows."""
        show_if(self._root, any(row.cells or row.progress or row.reason for row in rows))
        if columns != self._columns or [row.rig for row in rows] != list(self._rows):
            self._build(columns, rows)
        for row in rows:
            self._rows[row.rig].show(row)

    def _build(self, columns: tuple[str, ...], rows: tuple[Row, ...]) -> None:
        self._columns = columns
        self._root.clear()
        with self._root, box("table", "plain").props('aria-label="Rigs of this session"'):
            with box("thead"), box("tr"):
                for heading in ("rig", *(columns or ("recorded",))):
                    text("th", heading).props("scope=col")
            with box("tbody"):
                self._rows = {row.rig: RigRow(row.rig, columns) for row in rows}


class RigRow:
    """One rig of the session."""

    def __init__(self, rig: str, columns: tuple[str, ...]) -> None:
        self._shown: Row | None = None
        self._cells = []
        with box("tr") as row:
            row.props["data-row"] = rig
            text("th", rig).props("scope=row")
            for _ in columns:
                with box("td", "toned tone-plain") as cell:
                    icon = ui.icon("remove").props("aria-hidden=true")
                    self._cells.append((cell, icon, text("span")))
            self._progress = text("td")
            show_if(self._progress, not columns)
        with box("tr") as self._more, box("td") as wide:
            wide.props["colspan"] = 1 + max(1, len(columns))
            self._reason = Line("trouble")

    def show(self, row: Row) -> None:
        """Show how far it is."""
        if row == self._shown:
            return
        self._shown = row
        for (cell, icon, word), said in zip(self._cells, row.cells, strict=True):
            set_tone(cell, said.tone)
            set_icon(icon, said.icon)
            word.text = said.word
        self._progress.text = row.progress
        show_if(self._more, row.reason is not None)
        self._reason.show(row.reason, Tone.BAD)


def _build_reason(reason: tuple[str, Tone]) -> None:
    what, tone = reason
    Line("trouble").show(what, tone)


def _build_cause(cause: tuple[str, str]) -> None:
    who, why = cause
    Line("toned tone-bad").show(f"{who}: {why}", Tone.BAD)


def _build_entry(entry: Entry) -> None:
    with box("div", f"line top tone-{entry.tone.value}"):
        ui.icon(entry.icon).props("aria-hidden=true").classes("toned")
        text("span", entry.when, "soft mono")
        if entry.who:
            text("strong", entry.who)
        text("span", entry.text, "grow break")
