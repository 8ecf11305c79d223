"""``multirig show``: what a session recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.main import app
from multirig.conductor.journal import read_journal
from multirig.conductor.summary import summarise


@app.command()
def show(
    session_folder: Annotated[
        Path, typer.Argument(metavar="SESSION_FOLDER", help="<data>/<lab>/Subjects/<subject>/<date>/<NNN>")
    ],
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Show what a session recorded, from its journal."""
    summary = summarise(read_journal(session_folder))
    if json:
        render.show_json({**summary.to_json(), "session_folder": str(session_folder)})
    else:
        render.show_summary(summary, session_folder)
