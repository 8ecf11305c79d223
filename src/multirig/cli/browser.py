"""The browser of the person who sits at this PC."""

from __future__ import annotations

import contextlib
import os
import sys
import webbrowser


def open_browser(url: str) -> None:
    """Open a page, where there is something to open it with."""
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)


def has_display() -> bool:
    """Whether a browser would be seen on this PC."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
