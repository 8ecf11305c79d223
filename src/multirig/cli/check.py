"""``multirig check``: what speaks for and against a session, before anybody is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.chosen import choose_rigs
from multirig.cli.program import FAILED, app
from multirig.cli.rigs import RigsFile
from multirig.cli.session import DEFAULT_DATA
from multirig.conductor.conductor import Conductor
from multirig.config import check_length
from multirig.errors import ConfigError
from multirig.logs import keep_log
from multirig.pc.finding import Finding, Level, plain_findings, worst

MINUTES = 60.0
SHORTEST = 0.1
"""Minutes."""


def check_minutes(minutes: float) -> float:
    """Return for how many minutes a session is planned, else raise ConfigError."""
    check_length(minutes * 60)
    if minutes < SHORTEST:
        raise ConfigError(f"--minutes {minutes:g} is too short to be looked ahead: give {SHORTEST:g} or more")
    return minutes


@app.command()
def check(
    remote: Annotated[
        list[str] | None,
        typer.Option("--remote", "-r", help="Rigs, by name or address: --remote cameras ephys."),
    ] = None,
    minutes: Annotated[
        float, typer.Option(callback=check_minutes, help="How long the session shall be.")
    ] = MINUTES,
    data: Annotated[Path, typer.Option(help="Where this PC's part of the session goes.")] = DEFAULT_DATA,
    rigs_file: RigsFile = None,
    json: Annotated[
        bool, typer.Option("--json", help="The findings for machines, on standard output.")
    ] = False,
) -> None:
    """Look at every rig and at this PC before a session: disk, folder, adapter, clock, sleep, restarts.

    Nothing is started. Exit code 1 if anything would make a session fail; warnings do not.
    """
    keep_log("conductor")
    rigs, policies = choose_rigs(remote or [], rigs_file)
    conductor = Conductor(rigs, policies=policies, data_folder=data, only_looks=True)
    found = asyncio.run(_check(conductor, minutes * 60))
    if json:
        render.show_json(findings_to_json(found))
    else:
        render.show_findings(found)
    if _worst(found) is Level.FAILURE:
        raise typer.Exit(FAILED)


def findings_to_json(found: Mapping[str, Sequence[Finding]]) -> dict[str, object]:
    """Return findings in plain values."""
    return {
        "level": _worst(found).value,
        "pcs": {name: plain_findings(findings) for name, findings in found.items()},
    }


async def _check(conductor: Conductor, seconds: float) -> dict[str, list[Finding]]:
    async with conductor:
        return await conductor.check(seconds)


def _worst(found: Mapping[str, Sequence[Finding]]) -> Level:
    return worst(one for findings in found.values() for one in findings)
