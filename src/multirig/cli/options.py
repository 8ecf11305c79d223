"""Options that several commands have: where this PC's part of the sessions is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[
    Path | None,
    typer.Option(help="Where this PC's part of the sessions is; without it, wherever one was begun."),
]
LabName = Annotated[str | None, typer.Option(help="Name of the lab's folder, if it is not mylab.")]
Sessions = Annotated[
    list[str] | None,
    typer.Argument(metavar="SESSION", help="References, as in 2026-01-31_1_SP_01; without, all."),
]
