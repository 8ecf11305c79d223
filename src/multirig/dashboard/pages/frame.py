"""What is around each page: its name, the ways to the others, light or dark, who is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nicegui import ui

from multirig.dashboard.door.guard import LOGGED_IN, WHO
from multirig.dashboard.pages.elements import box, text
from multirig.dashboard.pages.gate import for_all

_HERE = Path(__file__).parent
_THEMES = {"auto": None, "light": False, "dark": True}
_NEXT = {"auto": "light", "light": "dark", "dark": "auto"}
_THEME_ICONS = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}
_CALLS = {
    "granted": "This browser calls you when something goes wrong in a session.",
    "denied": "This browser does not allow notifications from here: change that in its settings.",
    "default": "This browser will not call you: allow notifications when it asks.",
    "impossible": "This browser calls only from a secure page: open the console by https, or on its own PC.",
}
PAGES = {"Lab": "/", "History": "/history"}


@contextmanager
def frame(current: str) -> Iterator[None]:
    """Build what is around one of `PAGES`; what is made inside is its content."""
    ui.add_head_html(f"<style>{(_HERE / 'console.css').read_text(encoding='utf-8')}</style>")
    ui.add_head_html(f"<script>{(_HERE / 'console.js').read_text(encoding='utf-8')}</script>")
    dark = ui.dark_mode(None)
    with box("header", "bar"):
        text("a", "Skip to the page", "skip").props("href=#content")
        text("h1", "multirig")
        with box("nav", "line grow").props('aria-label="Pages"'):
            for name, path in PAGES.items():
                link = text("a", name)
                link.props["href"] = path
                if name == current:
                    link.props("aria-current=page")
        _add_bell()
        _add_theme(dark)
        _add_person()
    with box("div", "lost").props("role=alert"):
        text("span", "This page is not connected to the console. A session that runs goes on by itself.")
    with box("main").props("id=content"):
        yield


def _add_bell() -> None:
    async def ask() -> None:
        answer = await ui.run_javascript("return await window.multirig.askToNotify()", timeout=60)
        ui.notify(_CALLS.get(str(answer), _CALLS["default"]), position="top", timeout=6000)

    bell = for_all(ui.button(icon="notifications", on_click=ask))
    bell.props('flat round aria-label="Call me when something goes wrong"')
    bell.tooltip("Call me when something goes wrong")


def _add_person() -> None:
    """Say who is logged in by name, and let whoever has given a password end that, where one is asked for."""
    scope = ui.context.client.request.scope
    person = scope[WHO]()
    if person is not None and person.name is not None:
        said = person.name if person.operates else f"{person.name}, who may look"
        text("span", said, "soft break").props["aria-label"] = f"Logged in as {said}"
    if scope.get(LOGGED_IN):
        with box("form").props("method=post action=/logout"):
            leave = ui.button(icon="logout").props('flat round type=submit aria-label="Log out"')
            leave.tooltip("Log out")


def _add_theme(dark: ui.dark_mode) -> None:
    chosen = "auto"

    def show(name: str) -> None:
        nonlocal chosen
        chosen = name
        dark.value = _THEMES[name]
        switch.props["icon"] = _THEME_ICONS[name]
        switch.props["aria-label"] = f"Colours: {name}"

    def change() -> None:
        show(_NEXT[chosen])
        ui.run_javascript(f"window.multirig.keepTheme({json.dumps(chosen)})")

    async def restore() -> None:
        name = await ui.run_javascript("return window.multirig.theme()", timeout=10)
        if name in _THEMES and name != chosen:
            show(name)

    switch = for_all(ui.button(icon=_THEME_ICONS[chosen], on_click=change))
    switch.props('flat round aria-label="Colours: auto"')
    switch.tooltip("Light, dark, or as this computer says")
    ui.timer(0.1, restore, once=True)
