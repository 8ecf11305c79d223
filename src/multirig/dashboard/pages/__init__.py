"""The pages: they hold no rule; each shows what `view` says, and hands what is pressed to the `Console`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multirig.dashboard.console import Console


def register(console: Console) -> None:
    """Make the pages of a console known to NiceGUI."""
    from nicegui import ui

    from multirig.dashboard.pages.elements import text
    from multirig.dashboard.pages.frame import frame

    @ui.page("/")
    def show_lab() -> None:
        with frame("Lab"):
            text("p", str(console.rigs_file))
