"""What is filled in for the next session, on one page: nobody else writes into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from multirig.dashboard.task_forms import Form, read_form
from multirig.dashboard.view.start import Draft
from multirig.errors import MultirigError


class NextSession:
    """The form for a session, and what the chosen task asks for."""

    def __init__(self, draft: Draft, on_change: Callable[[], None]) -> None:
        self.draft = draft
        """What is filled in."""
        self.form: Form | None = None
        """What the chosen task asks for; None: no task, or it is not known yet."""
        self.task_problem: str | None = None
        """Why the chosen task cannot be loaded, in one line."""
        self._on_change = on_change

    def fill_in(self, **fields: Any) -> None:
        """Change what is filled in."""
        draft = replace(self.draft, **fields)
        if draft != self.draft:
            self.draft = draft
            self._on_change()

    def keep(self, rigs: tuple[str, ...]) -> None:
        """Keep only these rigs: the others are not on the list any more."""
        self.draft = replace(self.draft, rigs=rigs)

    def select(self, name: str, *, is_selected: bool) -> None:
        """Take a rig along in the next session, or not."""
        others = tuple(rig for rig in self.draft.rigs if rig != name)
        self.fill_in(rigs=(*others, name) if is_selected else others)

    async def choose_task(self, task: str) -> None:
        """Take a task, and find out what it asks for; empty: the rigs alone record."""
        task = task.strip()
        if task == self.draft.task:
            return
        self.fill_in(task=task, parameters={})
        self.form, self.task_problem = None, None
        if task:
            form: Form | None = None
            problem: str | None = None
            try:
                form = await read_form(task)
            except MultirigError as error:
                problem = str(error)
            if self.draft.task != task:  # another one was chosen meanwhile
                return
            self.form, self.task_problem = form, problem
            fields = form.fields if form is not None else ()
            self.fill_in(
                parameters={field.name: field.default for field in fields if field.default is not None}
            )
        self._on_change()
