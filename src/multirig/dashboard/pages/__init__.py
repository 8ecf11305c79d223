"""The pages: they hold no rule; each shows what `view` says, and hands what is pressed to the `Console`."""

from __future__ import annotations

from fastapi import Response
from nicegui import app, ui

from multirig.dashboard.console import Console
from multirig.dashboard.door.guard import WHO
from multirig.dashboard.operator import Operator
from multirig.dashboard.pages.account import PLOT, answer_plot, build_account
from multirig.dashboard.pages.gate import PagePace, close_gate
from multirig.dashboard.pages.history import build_history
from multirig.dashboard.pages.lab import build_lab

__all__ = ["PagePace", "register"]

_SESSION = "/session/{subject}/{date}/{number}"


def register(console: Console) -> None:
    """Make the pages of a console known to the server."""
    close_gate()

    @ui.page("/")
    def lab() -> None:
        build_lab(console, _find_operator(console))

    @ui.page("/history")
    def history() -> None:
        build_history(console, _find_operator(console))

    @ui.page(_SESSION)
    async def session(subject: str, date: str, number: str) -> None:
        await build_account(console, _find_operator(console), subject, date, number)

    @app.get(f"{_SESSION}/{PLOT}")
    async def plot(subject: str, date: str, number: str, *, dark: bool = False) -> Response:
        return await answer_plot(console, subject, date, number, dark=dark)


def _find_operator(console: Console) -> Operator | None:
    """Return what the person may do for whom a page is built; None: they may only look."""
    who = ui.context.client.request.scope[WHO]
    person = who()
    return Operator(console, who) if person is not None and person.operates else None
