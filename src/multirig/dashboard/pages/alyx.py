"""What Alyx offers for the form of a session: a log-in, and its lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nicegui import ui

from multirig.dashboard.pages.elements import Line, box, button, text
from multirig.dashboard.view.tones import Tone
from multirig.errors import MultirigError
from multirig.ibl.alyx_lists import Choices, ask_for_choices, find_alyx


class AlyxLists:
    """Asks this PC's Alyx for animals, projects, procedures and users; nothing where the PC has none.

    The password is sent to Alyx and forgotten; nobody needs one where this PC is logged in. While Alyx is
    away all can be typed.

    Parameters
    ----------
    who : callable
        Returns the user that is filled in.
    take : callable
        Is given what Alyx has told.
    """

    def __init__(self, who: Callable[[], str], take: Callable[[Choices], None]) -> None:
        self._who = who
        self._take = take
        try:
            found = find_alyx()
        except MultirigError as error:
            Line("trouble").show(str(error), Tone.WARNING)
            return
        if found is None:
            return
        url, user = found
        with box("div", "stack"):
            text("div", f"Alyx at {url}{f', as {user} where no user is given' if user else ''}", "soft break")
            with box("div", "line wrap"):
                self._password = ui.input("Alyx password (empty: as this PC is logged in)", password=True)
                self._password.props("outlined autocomplete=new-password")
                self._password.on("keydown.enter.prevent", self._ask)
                self._remembers = ui.checkbox("keep this PC logged in", value=True)
                self._button = button("Ask Alyx", self._ask, icon="list", look="outline")
            self._line = Line("soft", role="status")

    async def _ask(self) -> None:
        password = self._password.value
        self._password.value = ""
        self._button.set_enabled(False)
        self._line.show("asking Alyx …", Tone.PLAIN)
        try:
            choices = await asyncio.to_thread(
                ask_for_choices, self._who().strip(), password, remembers=bool(self._remembers.value)
            )
        except MultirigError as error:
            self._line.show(str(error), Tone.BAD)
        else:
            self._take(choices)
            count = len(choices.subjects)
            self._line.show(
                f"{choices.user}: {count} subject{'s' * (count != 1)} and the lists below are from Alyx",
                Tone.GOOD,
            )
        finally:
            self._button.set_enabled(True)
