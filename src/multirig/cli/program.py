"""The program that every command adds itself to, and its exit codes."""

from __future__ import annotations

from typing import Annotated

import typer

from multirig.errors import AgreementError, ConfigError, LocalProtocolError, MultirigError
from multirig.version import __version__

FAILED, USAGE, DISAGREED, UNVERIFIED, INTERRUPTED = 1, 2, 3, 4, 130


def find_code(error: MultirigError) -> int:
    """Return the exit code of an error."""
    match error:
        case AgreementError():
            return DISAGREED
        case ConfigError() | LocalProtocolError():
            return USAGE
    return FAILED


app = typer.Typer(
    name="multirig",
    help="One experiment over many lab computers.",
    epilog="Exit codes: 0 all is well, 1 a rig or the session failed, 2 a wrong option, file or address, "
    "3 the rigs do not agree, 4 with --strict: good, but a rig is not verified, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  called by typer
    if wanted:
        typer.echo(f"multirig {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Carry the options that belong to no command."""
