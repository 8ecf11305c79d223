"""The cards of the rigs: a box to tick, pictures to look at, a menu for what is done with one rig."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.element import Element

from multirig.conductor.left import FoundRig
from multirig.dashboard.console import Console
from multirig.dashboard.door.pictures import picture_path
from multirig.dashboard.next_session import NextSession
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.elements import (
    Line,
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
from multirig.dashboard.view.cards import FACTS, ROLES, Card, Fact
from multirig.dashboard.view.tones import Tone
from multirig.errors import MultirigError
from multirig.lifecycle.policy import Role


class Cards:
    """All cards, in the order of the rigs file."""

    def __init__(self, console: Console, operator: Operator | None, session: NextSession) -> None:
        self._console = console
        self._operator = operator
        self._next = session
        self._cards: dict[str, RigCard] = {}
        self._root = box("div", "cards").props('role=group aria-label="Rigs"')

    def show(self, cards: Sequence[Card]) -> None:
        """Show these cards."""
        names = [one.name for one in cards]
        if names != list(self._cards):
            self._root.clear()
            with self._root:
                self._cards = {name: RigCard(self._operator, self._next, name) for name in names}
        for one in cards:
            self._cards[one.name].show(one)
        pictures: dict[str, str] = {}
        for card in self._cards.values():
            pictures |= card.pictures.take_new(self._console)
        if pictures:
            self._root.client.run_javascript(f"window.multirig.see({json.dumps(pictures)})")


class RigCard:
    """One rig; without an operator, to look at."""

    def __init__(self, operator: Operator | None, session: NextSession, name: str) -> None:
        self._next = session
        self._name = name
        self._shown: Card | None = None
        self._check: ui.checkbox | None = None
        self._menu: RigMenu | None = None
        self.root = box("article", "rig tone-plain")
        self.root.props["data-rig"] = name
        with self.root:
            with box("div", "line"):
                if operator is None:
                    text("h3", name, "grow break")
                else:
                    self._check = ui.checkbox(name, on_change=self._select).classes("grow")
                    self._menu = RigMenu(operator, name, self.root)
            with box("div", "line state"):
                self._icon = ui.icon("search").props("aria-hidden=true")
                self._word = text("span", classes="grow")
            self._about = text("div", classes="soft break")
            self._trouble = Line("trouble")
            self._handing = HandingOver(operator, name) if operator is not None else None
            self.pictures = Pictures(name)
            self._facts = Facts()

    def show(self, card: Card) -> None:
        """Show the rig as it is now."""
        if card == self._shown:
            return
        self._shown = card
        set_tone(self.root, card.tone)
        if card.is_selected:
            self.root.classes(add="selected")
        else:
            self.root.classes(remove="selected")
        if self._check is not None:
            if self._check.value != card.is_selected:
                self._check.value = card.is_selected
            self._check.set_enabled(not card.is_locked)
        if self._menu is not None:
            self._menu.show(card)
        if self._handing is not None:
            self._handing.show(card.wanted_by)
        set_icon(self._icon, card.icon)
        self._word.text = card.word
        self._about.text = card.about
        show_if(self._about, bool(card.about))
        self._trouble.show(card.trouble, card.trouble_tone)
        self._facts.show(card.facts)
        self.pictures.show(card.pictures)

    def _select(self, event: Any) -> None:
        if self._shown is not None and bool(event.value) != self._shown.is_selected:
            self._next.select(self._name, is_selected=bool(event.value))


class HandingOver:
    """Yes or no to a PC that wants to take over a rig of this one."""

    def __init__(self, operator: Operator, name: str) -> None:
        self._operator = operator
        self._name = name
        self._asker: str | None = None
        self._root = box("div", "line wrap").props("role=group")
        self._root.props["aria-label"] = f"Whether {name} is handed over"
        with self._root:
            button("No, keep it", lambda: self._say(allows=False), look="unelevated color=primary")
            button("Yes, hand it over", lambda: self._say(allows=True), look="outline color=negative")
        self.show(None)

    def show(self, asker: str | None) -> None:
        """Show the question of a PC; None: nothing is asked."""
        self._asker = asker
        show_if(self._root, asker is not None)

    async def _say(self, *, allows: bool) -> None:
        if self._asker is None:
            return
        if await report(self._operator.hand_over(self._name, self._asker, allows)):
            what = "is handed over" if allows else "stays with whoever leads it"
            ui.notify(f"{self._name} {what}", position="top")


class RigMenu:
    """What is done with one rig between sessions; its dialogs stand in the `home` element."""

    def __init__(self, operator: Operator, name: str, home: Element) -> None:
        self._operator = operator
        self._name = name
        self._home = home
        self._shown: Card | None = None
        opener = ui.button(icon="more_vert").props("flat round dense")
        opener.props["aria-label"] = f"More on {name}"
        with opener, ui.menu():
            ui.menu_item("Ping", self._ping)
            ui.menu_item("Check this PC", lambda: report(operator.check([name])))
            self._clean_up = ui.menu_item("Clean up", self._do_clean_up)
            self._stop = ui.menu_item("Stop its recording", self._ask_to_stop)
            ui.menu_item("Edit", lambda: edit_rig(operator, self._shown))
            ui.menu_item("Remove from the list", lambda: confirm_removal(operator, name))

    def show(self, card: Card) -> None:
        """Show what can be done with it now."""
        self._shown = card
        show_if(self._clean_up, card.can_clean_up)
        show_if(self._stop, card.can_stop)

    async def _ping(self) -> None:
        said: list[str] = []

        async def ping() -> None:
            said.append(await self._operator.ping(self._name))

        if await report(ping()):
            ui.notify(said[0], position="top")

    async def _do_clean_up(self) -> None:
        if await report(self._operator.clean_up(self._name)):
            ui.notify(f"{self._name} is cleaned up", position="top")

    async def _ask_to_stop(self) -> None:
        """Say whose recording it is, and ask whether it is to end."""
        with self._home:
            found: list[FoundRig] = []

            async def look() -> None:
                found.append(await self._operator.look_at(self._name))

            if not await report(look()):
                return
            rig = found[0]

            async def stop() -> None:
                dialog.close()
                if await report(self._operator.stop_rig(rig)):
                    ui.notify(f"{self._name} is stopped and released", position="top")

            if rig.is_free or rig.info is None:
                complain(f"{self._name} {rig.say()}")
                return
            dialog = ask(
                f"Stop the recording on {self._name}?",
                f"It {rig.say()}. What is recorded is kept.",
                "Stop it",
                stop,
                bad=True,
            )


class Pictures:
    """The newest picture of each camera of a rig."""

    def __init__(self, rig: str) -> None:
        self._rig = rig
        self._root = box("div", "pictures")
        self._enlarged: ui.dialog | None = None
        self._numbers: dict[str, int] = {}
        """Of each camera, which picture is shown."""

    def show(self, labels: Sequence[str]) -> None:
        """Show these cameras."""
        if list(labels) != list(self._numbers):
            self._root.clear()
            self._enlarged = None  # it went with them
            self._numbers = dict.fromkeys(labels, 0)
            with self._root:
                for label in labels:
                    self._build(label)

    def _build(self, label: str) -> None:
        with box("figure"), for_all(box("button")).props("type=button") as opener:
            opener.props["aria-label"] = f"Enlarge camera {label} of {self._rig}"
            opener.on("click", lambda: self._enlarge(label))
            self._picture(label)
            text("figcaption", label)

    def _picture(self, label: str) -> None:
        image = ui.element("img")
        image.props["alt"] = f"Camera {label} of {self._rig}"
        image.props["data-picture"] = picture_path(self._rig, label)

    def _enlarge(self, label: str) -> None:
        """Show one camera as large as the window, and go on with its pictures."""
        if self._enlarged is not None:
            self._enlarged.delete()
        with for_all(ui.dialog()) as dialog, box("div", "panel enlarged"):
            with box("div", "line"):
                text("h2", f"{self._rig}: {label}", "grow")
                for_all(button("Close", dialog.close, icon="close", look="flat autofocus"))
            self._picture(label)
        self._enlarged = dialog
        self._numbers[label] = 0  # the newest is shown at once, not only the next one
        dialog.open()

    def take_new(self, console: Console) -> dict[str, str]:
        """Return where the pictures are that are new since the last call, by that of their cameras."""
        found = {}
        for label, number in self._numbers.items():
            shot = console.gallery.shot(self._rig, label)
            if shot is not None and shot.number != number:
                self._numbers[label] = shot.number
                path = picture_path(self._rig, label)
                found[path] = f"{path}?{shot.number}"
        return found


class Facts:
    """The figures of a card; all are there from the beginning: to make one costs far more than to hide it."""

    def __init__(self) -> None:
        with box("dl", "facts"):
            self._rows = {label: (text("dt", label, "hidden"), text("dd", "", "hidden")) for label in FACTS}

    def show(self, facts: Sequence[Fact]) -> None:
        """Show these figures."""
        shown = {one.label: one for one in facts}
        for label, (name, value) in self._rows.items():
            fact = shown.get(label)
            show_if(name, fact is not None)
            show_if(value, fact is not None)
            if fact is not None:
                value.text = fact.value
                set_tone(value, fact.tone)


async def attempt(work: Awaitable[Any]) -> str | None:
    """Do something, and return in one line why that was not possible, if it was not."""
    try:
        await work
    except MultirigError as error:
        return str(error)
    return None


async def report(work: Awaitable[Any]) -> bool:
    """Do something, and say on the page why it was not possible, if it was not; return whether it was."""
    problem = await attempt(work)
    if problem is not None:
        complain(problem)
    return problem is None


def edit_rig(operator: Operator, known: Card | None = None) -> None:
    """Open the dialog for a new rig, or for a known one."""

    async def save() -> None:
        work = operator.enter_rig(
            called.value or "", where.value or "", role.value or "", replaces=known is not None
        )
        why_not = await attempt(work)
        problem.show(why_not, Tone.BAD)
        if why_not is None:
            dialog.close()

    with ui.dialog() as dialog, box("div", "panel"), form("Rig", save):
        text("h2", "Add a rig" if known is None else f"Edit {known.name}")
        called = ui.input("Name", value=known.name if known else "").props("outlined autofocus")
        called.set_enabled(known is None)
        where = ui.input("Address", value=known.uri if known else "", placeholder="udp://192.168.1.20")
        where.props("outlined")
        text("div", "as its own screen says: ready at udp://…", "soft")
        role = ui.select(
            dict(ROLES), label="If it is lost", value=known.role if known else Role.EXPECTED.value
        ).props("outlined")
        problem = Line("trouble")
        problem.show(None)
        with box("div", "line"):
            button("Save", None, icon="save", look="color=primary unelevated")
            button("Cancel", dialog.close, look="flat")
    dialog.open()


def confirm_removal(operator: Operator, name: str) -> None:
    """Ask whether a rig is to be taken off the list."""

    async def remove() -> None:
        dialog.close()
        await report(operator.remove_rig(name))

    dialog = ask(
        f"Remove {name} from the list?",
        "The rig itself, and what it has recorded, stay as they are.",
        "Remove",
        remove,
    )


def ask(question: str, more: str, yes: str, action: Callable[[], Any], *, bad: bool = False) -> ui.dialog:
    """Ask before something is done; Cancel is what Enter and Escape choose."""
    with ui.dialog() as dialog, box("div", "panel").props("role=alertdialog") as panel:
        panel.props["aria-label"] = question
        text("h2", question)
        text("p", more, "break")
        with box("div", "line wrap"):
            button("Cancel", dialog.close, look="outline autofocus")
            button(yes, action, look=f"unelevated color={'negative' if bad else 'primary'}")
    dialog.open()
    return dialog
