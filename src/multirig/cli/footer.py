"""What stands below the lines of a screen and changes: one such place, for all who show something."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live

REDRAWS = 8
"""A second, for what turns."""


class Footer:
    """The last lines of a terminal, one part below the other; elsewhere nothing is shown.

    Parameters
    ----------
    console : rich.console.Console
        The screen.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts: dict[str, RenderableType] = {}
        self._live: Live | None = None

    def show(self, name: str, part: RenderableType) -> None:
        """Show a part, in place of the one with that name."""
        self._parts[name] = part
        self._draw()

    def remove(self, name: str) -> None:
        """Take a part away, if it is there."""
        if self._parts.pop(name, None) is not None:
            self._draw()

    def _draw(self) -> None:
        if not self._console.is_terminal:
            return
        group = Group(*self._parts.values())
        if self._live is not None:
            self._live.update(group, refresh=True)
        elif self._parts:
            self._live = Live(group, console=self._console, refresh_per_second=REDRAWS, transient=True)
            self._live.start(refresh=True)
        if self._live is not None and not self._parts:
            self._live.stop()
            self._live = None
