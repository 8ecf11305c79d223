"""The lab at a glance: the sentence, the cards, the form or the session."""

from __future__ import annotations

import json
from collections.abc import Callable

from nicegui import ui

from multirig.dashboard.console import Console
from multirig.dashboard.next_session import NextSession
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.cards import Cards, ask, edit_rig, report
from multirig.dashboard.pages.elements import Line, Rows, box, button, show_if, text
from multirig.dashboard.pages.frame import frame
from multirig.dashboard.pages.gate import for_all
from multirig.dashboard.pages.session import SessionPanel
from multirig.dashboard.pages.start import StartForm
from multirig.dashboard.view.cards import WHO_OPERATES
from multirig.dashboard.view.lab import Abandoned, Found, LabView
from multirig.dashboard.view.tones import Tone


def build_lab(console: Console, operator: Operator | None) -> None:
    """Build the page, and keep it up to date as long as it is open; without an operator, to look at."""
    page = LabPage(console, operator)
    page.show()
    leave: list[Callable[[], None]] = []

    def attend() -> None:
        """A page that was asked for and never opened costs nothing more."""
        if not leave:
            leave.append(console.attend(page.show, operates=operator is not None))
            page.show()

    def go() -> None:
        while leave:
            leave.pop()()

    ui.context.client.on_connect(attend)
    ui.context.client.on_delete(go)


class LabPage:
    """One browser's view of the lab."""

    def __init__(self, console: Console, operator: Operator | None) -> None:
        self._console = console
        self._operator = operator
        self._client = ui.context.client
        self._title = ""
        self._is_open = False
        self._next = NextSession(console.proposal, self._show_if_open)
        """What is filled in here; another browser has its own."""
        with frame("Lab"):
            self._headline = Line("headline", role="status")
            self._refused = Line("refused toned", role="status")
            with box("div", "room") as self._room:
                with box("section", "stack").props('aria-label="Rigs of this lab"'):
                    self._build_tools(operator)
                    self._build_check(operator)
                    self._cards = Cards(console, operator, self._next)
                with box("div", "stack side"):
                    self._abandoned = Rows(box("div", "stack"), self._build_abandoned)
                    self._session = SessionPanel(operator)
                    self._form = StartForm(console, operator, self._next) if operator is not None else None
        self._is_open = True

    def _show_if_open(self) -> None:
        if self._is_open:  # what is filled in while the page is built is shown when it stands
            self.show()

    def show(self) -> None:
        """Show the lab as it is now."""
        self._next.keep(self._console.rigs.only_known(self._next.draft.rigs))
        view = self._console.view(self._next.draft, operates=self._operator is not None)
        self._headline.show(view.headline.text, view.headline.tone, view.headline.icon)
        self._refused.show(view.refused, Tone.WARNING)
        self._cards.show(view.cards)
        self._session.show(view.session)
        if self._form is not None:
            show_if(self._form.root, view.session is None)
            self._form.show(view)
        self._abandoned.show(view.abandoned)
        self._show_check(view)
        is_led = view.session is not None and not view.session.is_over
        if is_led:
            self._room.classes(add="led")
        else:
            self._room.classes(remove="led")
        if view.title != self._title:
            self._title = view.title
            self._client.run_javascript(f"document.title = {json.dumps(view.title)}")

    def _build_tools(self, operator: Operator | None) -> None:
        self._check: ui.button | None = None
        with box("div", "line wrap"):
            text("h2", "Rigs", "grow")
            if operator is None:
                return

            async def check() -> None:
                draft = self._next.draft
                await report(operator.check(draft.rigs, draft.minutes))

            self._check = button("Check all PCs", check, icon="fact_check", look="outline")
            button("Add a rig", lambda: edit_rig(operator), icon="add", look="outline")

    def _build_check(self, operator: Operator | None) -> None:
        with box("section", "panel").props('aria-label="What the check has found"') as self._found:
            with box("div", "line top"):
                self._summary = Line("grow big toned", role="status")
                if operator is not None:
                    button("Close", operator.forget_findings, icon="close", look="flat dense")
            self._troubles = Rows(box("div", "stack tight"), _build_found)
            with for_all(ui.expansion("All that was looked at")).classes("wide"):
                self._rest = Rows(box("div", "stack tight"), _build_found)

    def _show_check(self, view: LabView) -> None:
        show_if(self._found, view.check is not None)
        if view.check is not None:
            self._summary.show(view.check.summary, view.check.tone, view.check.icon)
            self._troubles.show(view.check.troubles)
            self._rest.show(view.check.rest)
        label = "Checking…" if view.is_checking else "Check all PCs"
        if any(card.is_selected for card in view.cards) and not view.is_checking:
            label = "Check the selected PCs"
        if self._check is not None:
            self._check.text = label
            self._check.set_enabled(not view.is_checking)

    def _build_abandoned(self, one: Abandoned) -> None:
        operator = self._operator
        with box("section", "panel tone-warning").props('aria-label="A session that was never ended"'):
            Line("trouble").show(
                f"{one.exp_ref} was {one.state} when the program that led it died; its rigs may still record"
                + ("" if operator is not None else f": {WHO_OPERATES} can take it up again, or clean it up"),
                Tone.WARNING,
            )
            if operator is None:
                return
            with box("div", "line wrap"):
                button(
                    "Take it up again",
                    lambda: report(operator.recover(one.folder)),
                    icon="restart_alt",
                    look="unelevated color=primary",
                )
                button("Clean it up…", lambda: self._ask_to_end(operator, one), look="outline color=negative")

    def _ask_to_end(self, operator: Operator, one: Abandoned) -> None:
        async def end() -> None:
            dialog.close()
            await report(operator.recover(one.folder, ends=True))

        dialog = ask(
            f"End {one.exp_ref}?",
            "Its rigs are stopped and let go. What is recorded is kept.",
            "End it",
            end,
            bad=True,
        )


def _build_found(one: Found) -> None:
    Line(f"toned tone-{one.tone.value}").show(f"{one.pc}: {one.check}: {one.text}", one.tone, one.icon)
