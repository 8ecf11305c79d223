"""The form for a session: who, which rigs, which task, how long; then one button."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from multirig.dashboard.console import Console
from multirig.dashboard.next_session import NextSession
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.alyx import AlyxLists
from multirig.dashboard.pages.cards import ask, report
from multirig.dashboard.pages.elements import Line, Rows, box, button, form, show_if, text
from multirig.dashboard.task_forms import Field, Form, Kind
from multirig.dashboard.view.lab import LabView
from multirig.dashboard.view.start import Draft, StartView
from multirig.dashboard.view.tones import Tone
from multirig.ibl.alyx_lists import Choices

KNOWN_SUBJECTS = 6
"""Of those who were recorded before, the latest are a click away."""


class StartForm:
    """What is filled in here is this page's own: no other browser writes into it.

    Enter asks before it begins: the last animal stands there already, and a key is pressed soon.
    """

    def __init__(self, console: Console, operator: Operator, session: NextSession) -> None:
        self._console = console
        self._operator = operator
        self._next = session
        self._draft: Draft | None = None
        self._said: StartView | None = None
        self._form: Form | None = None
        self._asked: dict[str, ValueElement[Any]] = {}
        self._names: list[str] = []
        """Animals that Alyx has told of."""
        self.root = form("Start a session", self._ask_to_start, "panel")
        with self.root:
            text("h2", "Start a session")
            self._subject = ui.input("Subject", on_change=lambda event: self._fill(subject=event.value or ""))
            self._subject.props("outlined autocomplete=off spellcheck=false")
            self._subject.on("focus", js_handler="(event) => event.target.select()")
            self._subject.on("keydown.enter", self._ask_to_start)
            self._news = Line("trouble", role="status")
            self._known = Rows(box("div", "line wrap"), self._build_known)
            self._rigs = text("div", classes="break")
            with box("div", "line wrap"):
                self._minutes = ui.number(
                    "Planned minutes",
                    min=0,
                    on_change=lambda event: self._fill(minutes=event.value),
                ).props("outlined clearable")
                self._minutes.on("keydown.enter", self._ask_to_start)
                self._ends_itself = ui.checkbox(
                    "stop by itself then", on_change=lambda event: self._fill(ends_itself=bool(event.value))
                )
            with ui.expansion("Task, projects, procedures", icon="tune").classes("wide") as self._more:
                self._build_more()
            self._take_over = ui.checkbox(
                "Take over rigs that another PC leads",
                on_change=lambda event: self._fill(takes_over=bool(event.value)),
            )
            self._warnings = Rows(box("div", "stack tight"), _build_warning)
            self._why_not = Line("soft", role="status")
            self._button = button(
                "Start recording", self._press, icon="fiber_manual_record", look="unelevated color=primary"
            ).classes("big-button")

    def show(self, view: LabView) -> None:
        """Show what is filled in, and whether that can begin."""
        if view.draft != self._draft:
            self._show_draft(view.draft)
        self._show_form(self._next.form)
        self._known.show(self._console.past.subjects[:KNOWN_SUBJECTS])
        subjects = list(dict.fromkeys([*self._console.past.subjects, *self._names]))
        if self._subject.props.get("_autocomplete") != subjects:
            self._subject.set_autocomplete(subjects)
        self._task_problem.show(self._next.task_problem, Tone.BAD)
        said = view.start
        if said == self._said:
            return
        self._said = said
        self._button.text = said.button
        self._button.set_enabled(said.can_start)
        self._why_not.show(said.why_not, Tone.PLAIN)
        self._news.show(said.news, Tone.WARNING)
        self._warnings.show(said.warnings)
        self._rigs.text = self._say_rigs(view)
        show_if(
            self._take_over, view.draft.takes_over or any("take over" in one.lower() for one in said.warnings)
        )

    def _build_known(self, subject: str) -> None:
        button(subject, lambda: self._fill(subject=subject), look="outline dense")

    def _say_rigs(self, view: LabView) -> str:
        chosen = [one.name for one in view.cards if one.is_selected]
        if not chosen:
            return "Rigs: none yet; tick them on their cards"
        return f"Rigs: {', '.join(chosen)}; the number comes from {view.start.numbered_by}"

    def _show_draft(self, draft: Draft) -> None:
        self._draft = draft
        for element, value in (
            (self._subject, draft.subject),
            (self._minutes, draft.minutes),
            (self._ends_itself, draft.ends_itself),
            (self._take_over, draft.takes_over),
            (self._task, draft.task),
            (self._user, draft.user),
        ):
            if element.value != value and (element.value or value):
                element.value = value
        self._ends_itself.set_enabled(draft.minutes is not None)
        for chips, chosen in ((self._projects, draft.projects), (self._procedures, draft.procedures)):
            if tuple(chips.value or ()) != chosen:
                chips.value = list(chosen)
        for name, asked in self._asked.items():
            if name in draft.parameters:
                value = draft.parameters[name]
                value = _as_text(value) if isinstance(value, list) else value
                if asked.value != value and (asked.value or value):
                    asked.value = value

    def _fill(self, **fields: Any) -> None:
        self._next.fill_in(**fields)

    async def _start(self) -> None:
        await report(self._operator.start(self._next.draft))

    async def _press(self) -> None:
        """Begin; of a subject that nobody has recorded before, ask."""
        if self._said is not None and self._said.news is not None:
            self._ask_to_start()
        else:
            await self._start()

    def _ask_to_start(self) -> None:
        said = self._said
        if said is None or not said.can_start:
            return

        async def start() -> None:
            dialog.close()
            await self._start()

        more = ". ".join(one for one in (said.news, said.where) if one is not None)
        dialog = ask(f"Record {self._next.draft.subject.strip()}?", more, "Start", start)

    # -- task, projects, procedures ---------------------------------------------------------------------

    def _build_more(self) -> None:
        with box("div", "stack"):
            self._task = ui.input("Task (file or module; empty: the rigs alone record)")
            self._task.props("outlined autocomplete=off spellcheck=false debounce=600")
            with box("div", "line wrap"):
                for task in self._console.rules.tasks:
                    self._build_task(task)
            self._task.on_value_change(lambda event: self._next.choose_task(event.value or ""))
            self._task_problem = Line("trouble")
            self._field_box = box("div", "stack")
            AlyxLists(lambda: self._next.draft.user, self._take_choices)
            self._projects = self._chips("Projects", "projects", self._console.past.projects)
            self._procedures = self._chips("Procedures", "procedures", self._console.past.procedures)
            self._user = ui.input(
                "User (for Alyx)", on_change=lambda event: self._fill(user=event.value or "")
            )
            self._user.props("outlined autocomplete=off")

    def _take_choices(self, choices: Choices) -> None:
        """Offer what Alyx knows, beside what was typed here before."""
        self._names = list(choices.subjects)
        self._subject.set_autocomplete([*dict.fromkeys([*self._console.past.subjects, *self._names])])
        self._user.set_autocomplete(list(choices.users))
        for chips, told in ((self._projects, choices.projects), (self._procedures, choices.procedures)):
            chips.set_options([*dict.fromkeys([*told, *chips.options])], value=chips.value)
        if not self._next.draft.user:
            self._fill(user=choices.user)

    def _chips(self, label: str, key: str, known: Sequence[str]) -> ui.select:
        return ui.select(
            list(known),
            label=label,
            multiple=True,
            with_input=True,
            new_value_mode="add-unique",
            on_change=lambda event: self._fill(**{key: tuple(event.value or ())}),
        ).props("outlined use-chips")

    def _build_task(self, task: str) -> None:
        short = task.replace("\\", "/").rpartition("/")[2]
        button(short, lambda: self._next.choose_task(task), look="outline dense")

    def _show_form(self, asked: Form | None) -> None:
        """Ask for what the task takes."""
        if asked == self._form:
            return
        self._form = asked
        self._field_box.clear()
        self._asked = {}
        with self._field_box:
            if asked is not None and asked.title:
                text("div", asked.title, "soft")
            for one in asked.fields if asked is not None else ():
                self._asked[one.name] = self._ask(one)

    def _ask(self, field: Field) -> ValueElement[Any]:
        value = self._next.draft.parameters.get(field.name, field.default)

        def take(event: Any) -> None:
            known = self._next.draft.parameters
            self._fill(parameters={**known, field.name: event.value})

        label = f"{field.label} *" if field.required else field.label
        asked: ValueElement[Any]
        match field.kind:
            case Kind.FLAG:
                asked = ui.checkbox(label, value=bool(value), on_change=take)
            case Kind.CHOICE:
                asked = ui.select(list(field.choices), label=label, value=value, on_change=take).props(
                    "outlined"
                )
            case Kind.NUMBER | Kind.INTEGER:
                asked = ui.number(
                    label, value=value, precision=0 if field.kind is Kind.INTEGER else None, on_change=take
                ).props("outlined")
            case _:
                asked = ui.input(label, value=_as_text(value), on_change=take).props("outlined")
        if field.help:
            text("div", field.help, "soft")
        return asked


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _build_warning(warning: str) -> None:
    Line("trouble").show(warning, Tone.WARNING)
