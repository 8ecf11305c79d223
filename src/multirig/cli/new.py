"""``multirig new rig``: asks what this PC shall record, and writes the file for ``multirig serve``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.new_file import choose_file, keep, show_next
from multirig.cli.new_rig import Given, ask_plan
from multirig.cli.program import INTERRUPTED, app
from multirig.errors import ConfigError

group = typer.Typer(help="Set up a rig on this PC.", no_args_is_help=True)
app.add_typer(group, name="new")


@group.callback()
def new() -> None:
    """Set up a rig on this PC."""


@group.command()
def rig(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The file that is written; otherwise called after the rig."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the rig is called; otherwise as this PC.")] = None,
    data: Annotated[str | None, typer.Option(metavar="DIR", help="Where its recordings go.")] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=SOURCE",
            help="A camera that it records, such as left=test; several with an option each.",
        ),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="A program that it starts with each session, and its arguments."
        ),
    ] = None,
    workflow: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The workflow, where that program is Bonsai.")
    ] = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="It drives nothing yet.")] = False,
    only_here: Annotated[
        bool, typer.Option("--only-here", help="Only this PC leads it, no other one in the network.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where it listens; otherwise 11001, if that is free.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Ask nothing: take what is usual wherever no option says else."),
    ] = False,
) -> None:
    """Ask what this PC shall record, and write the rig's file for 'multirig serve'.

    Enter takes the answer that stands in brackets. Nothing is written before the last answer.
    """
    if not yes and not render.has_keyboard():
        raise ConfigError(
            "nobody is there to answer the questions: give --yes to take what is usual, and options for the "
            "rest; nothing was written"
        )
    given = Given(
        file=file,
        name=name,
        data=data,
        cameras=camera,
        program=program,
        workflow=workflow,
        nothing=nothing,
        only_here=only_here,
        port=port,
        replace=replace,
        asks=not yes,
    )
    try:
        plan = ask_plan(given)
        path = choose_file(given.file, plan.name, replaces=given.replace, asks=given.asks)
    except (EOFError, KeyboardInterrupt):
        render.say("")
        render.say("nothing was written")
        raise typer.Exit(INTERRUPTED) from None
    keep(path, plan)
    show_next(path, plan, system=sys.platform)
