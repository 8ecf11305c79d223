"""Draw the picture of the demo's output for the README: ``python docs/picture.py`` runs a real demo."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from rich.console import Console

from multirig import logs
from multirig.cli import demo, render

TARGET = Path(__file__).parent / "images" / "demo.svg"


def draw() -> None:
    """Run the demo for three seconds and keep what it prints."""
    console = Console(record=True, width=92, highlight=False, force_terminal=False, color_system="truecolor")
    render.out = render.err = console
    console.print("[dim]$[/] multirig demo")
    with tempfile.TemporaryDirectory() as folder:
        logs.keep_log("picture", Path(folder))
        summary, session = asyncio.run(demo.record(3.0, Path(folder)))
        render.show_summary(summary, Path("multirig-demo", *session.parts[-5:]))
    TARGET.parent.mkdir(exist_ok=True)
    picture = console.export_svg(title="multirig")
    # the reader's own monospaced font: a picture in a README loads nothing from the web
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace(
        "Fira Code", "DejaVu Sans Mono"
    )
    TARGET.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    draw()
