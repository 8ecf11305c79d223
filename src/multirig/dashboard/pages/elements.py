"""Small parts of all pages. Each is told what to show, and sends to the browser only what has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from multirig.dashboard.view.tones import ICONS, Tone
from multirig.wording import clean

E = TypeVar("E", bound=Element)
T = TypeVar("T")


def text(tag: str, content: str = "", classes: str = "") -> TextElement:
    """Make an element of HTML that holds a text."""
    return TextElement(tag=tag, text=clean(content)).classes(classes)


def box(tag: str = "div", classes: str = "") -> Element:
    """Make an element of HTML that holds others."""
    return ui.element(tag).classes(classes)


def section(title: str) -> Element:
    """Make a part of a page, under a heading of its own."""
    root = box("section", "panel")
    with root:
        text("h2", title)
    return root


def show_if(element: E, content: object) -> E:
    """Show an element where there is something to show in it."""
    element.classes(remove="hidden") if content else element.classes(add="hidden")
    return element


def set_tone(element: Element, tone: Tone) -> None:
    """Give an element the colours of a tone, instead of another's."""
    wanted = f"tone-{tone.value}"
    if wanted not in element.classes:
        element.classes(add=wanted, remove=" ".join(f"tone-{one.value}" for one in Tone if one is not tone))


class Line:
    """An icon and a text in the colours of a tone; the icon says the same as the colour."""

    def __init__(self, classes: str = "", *, role: str | None = None) -> None:
        self.root = box("div", f"line top {classes}")
        if role is not None:
            self.root.props["role"] = role
        with self.root:
            self._icon = ui.icon("info").props("aria-hidden=true")
            self._text = text("span", classes="grow break")

    def show(self, content: str | None, tone: Tone = Tone.PLAIN, icon: str | None = None) -> None:
        """Show a text; None: nothing."""
        show_if(self.root, bool(content))
        if content:
            set_tone(self.root, tone)
            set_icon(self._icon, icon or ICONS[tone])
            self._text.text = clean(content)


def set_icon(icon: ui.icon, name: str) -> None:
    """Show another icon."""
    if icon.props.get("name") != name:
        icon.props["name"] = name
        icon.update()


class Rows:
    """A list that is built anew when what it shows has changed."""

    def __init__(self, root: Element, build: Callable[[Any], None]) -> None:
        self.root = root
        self._build = build
        self._shown: Sequence[Any] | None = None

    def show(self, rows: Sequence[Any]) -> None:
        """Show these rows."""
        if rows == self._shown:
            return
        self._shown = rows
        self.root.clear()
        with self.root:
            for row in rows:
                self._build(row)


def button(
    label: str, action: Callable[..., Any] | None, *, icon: str | None = None, look: str = ""
) -> ui.button:
    """Make a button with words on it; without an action it is the one that Enter presses in its form."""
    made = ui.button(label, on_click=action, icon=icon)
    return made.props(f"no-caps {look}" if action is not None else f"no-caps type=submit {look}")


def complain(words: str, *, seconds: float = 0.0) -> None:
    """Say on the page what went wrong, until somebody has read it, or for so long."""
    ui.notify(
        words,
        type="negative",
        position="bottom",  # the headline says the same at the top
        timeout=round(seconds * 1000),
        multi_line=True,
        actions=[{"label": "OK"}],
    )


def form(label: str, action: Callable[..., Any], classes: str = "stack") -> Element:
    """Make a form: its button, and Enter in one of its fields, do the action."""
    made = box("form", classes).props("novalidate")  # the view judges, in our words
    made.props["aria-label"] = label
    return made.on("submit", action, js_handler="(event) => { event.preventDefault(); emit(); }")
