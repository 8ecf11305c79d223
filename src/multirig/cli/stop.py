"""``multirig stop``: end recordings that were left, whoever began them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import accounts, render
from multirig.cli.chosen import choose_rigs
from multirig.cli.options import DataFolder, LabName
from multirig.cli.program import FAILED, app
from multirig.cli.rigs import RigsFile
from multirig.cli.screen import showing
from multirig.conductor.leading import Wishes, taken_up
from multirig.conductor.left import (
    FoundRig,
    LeftSession,
    end_left,
    find_rigs,
    group,
    make_conductor,
    name_left,
)
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.config import Uri
from multirig.errors import ConfigError, MultirigError
from multirig.logs import keep_log
from multirig.protocol.words import Stopped
from multirig.reading.places import find_subjects
from multirig.record.account import account
from multirig.record.left import say_left_rigs
from multirig.record.recovery import find_open
from multirig.wording import count, size


@app.command()
def stop(
    rigs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RIG]...", help="By name or address; without, all of the rigs file."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: DataFolder = None,
    lab: LabName = None,
    rigs_file: RigsFile = None,
) -> None:
    """End a recording that was left, whoever began it, from any PC: stop its rigs, and release them."""
    keep_log("conductor")
    uris = _choose(rigs or [], rigs_file)
    found = asyncio.run(_look(uris))
    render.show_table(("rig", ""), ((rig.name, rig.say()) for rig in found))
    chosen = [rig for rig in found if rig.is_left or (rig.is_led and rigs)]
    for rig in found:
        if rig.is_led and rig not in chosen:
            action = f"end the session there, or name it: multirig stop {rig.uri}"
            render.say(f"{rig.name} is left alone: {action}")
    silent = [rig.name for rig in found if rig.info is None]
    failed = False
    if not chosen:
        render.say("nothing was left: no rig is stopped")
    else:
        names = ", ".join(rig.name for rig in chosen)
        question = f"stop and release {names} (yes/no)?"
        render.confirm(question, yes=yes, nothing="no rig was touched")
        sessions = group(chosen, find_open(*find_subjects(data, lab)))
        left = asyncio.run(_end(sessions, {rig.name: uris[rig.name] for rig in chosen}))
        failed = bool(left)
        silent += name_left([rig for rig in left if not rig.is_led])  # who leads the others has been told
    if silent:
        render.warn_at_last(say_left_rigs({name: str(uris[name]) for name in silent}))
    if silent or failed:
        raise typer.Exit(FAILED)


def _choose(rigs: list[str], rigs_file: Path | None) -> Mapping[str, Uri]:
    if rigs:
        return choose_rigs(rigs, rigs_file)[0]
    roster = Roster.load(find_rigs_file(rigs_file))
    if not roster.entries:
        raise ConfigError(
            "the rigs file names no rig: say which, by its address: multirig stop udp://192.168.1.20"
        )
    return {name: entry.uri for name, entry in roster.entries.items()}


async def _look(uris: Mapping[str, Uri]) -> list[FoundRig]:
    return await find_rigs(uris)


async def _end(sessions: Sequence[LeftSession], uris: Mapping[str, Uri]) -> list[FoundRig]:
    """End sessions, say what was recorded, and return the rigs that may record on."""
    for left in sessions:
        wishes = Wishes()
        conductor = make_conductor(left)
        try:
            with wishes.heeding_signals():
                async with taken_up(conductor) as session, showing(session, wishes):
                    await end_left(session, wishes)
        except MultirigError as error:
            render.show_error(error)
        if left.folder is not None:
            accounts.show_summary(await asyncio.to_thread(account, left.folder), left.folder)
            continue
        for name, outcome in conductor.exchange.machine.ended.items():
            if isinstance(outcome, Stopped) and outcome.files_total is not None:
                files = f"{count(outcome.files_total, 'file')}, {size(outcome.bytes_total or 0)}"
                render.say(f"{name} has recorded {files}: they lie on that PC")
    return [rig for rig in await find_rigs(uris) if rig.records or rig.info is None]
