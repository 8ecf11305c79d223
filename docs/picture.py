"""Draw the picture of the demo's output for the README: ``python docs/picture.py`` runs a real demo.

The pictures of a Windows PC are drawn by the tests that sit at it: ``make windows PART=--pictures``.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from rich.console import Console

from multirig import logs
from multirig.cli import accounts, demo, render

TARGET = Path(__file__).parent / "images" / "demo.svg"
FONT = "DejaVu Sans Mono"


def save(console: Console, target: Path, title: str = "multirig") -> None:
    """Write what a console has recorded as a picture that loads nothing from the web."""
    picture = console.export_svg(title=title)
    # the reader's own monospaced font
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace("Fira Code", FONT)
    target.parent.mkdir(exist_ok=True)
    target.write_text(picture, encoding="utf-8")


def draw() -> None:
    """Run the demo for three seconds and keep what it prints."""
    console = Console(record=True, width=104, highlight=False, force_terminal=False, color_system="truecolor")
    render.out = render.err = console
    console.print("[dim]$[/] multirig demo")
    with tempfile.TemporaryDirectory() as folder:
        logs.keep_log("picture", Path(folder))
        summary, session = asyncio.run(demo.record(3.0, Path(folder)))
        accounts.show_summary(summary, Path("multirig-demo", *session.parts[-5:]))
    save(console, TARGET)


if __name__ == "__main__":
    draw()
