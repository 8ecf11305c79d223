"""``multirig clear``: free the disks of the PCs of what is collected."""

from __future__ import annotations

import asyncio
import datetime
import time
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.collecting import Lab, ask_all, parse_sessions, show_parts
from multirig.cli.options import DataFolder, LabName, Sessions
from multirig.cli.program import FAILED, app
from multirig.cli.rigs import RigsFile
from multirig.collect.collector import Collector
from multirig.collect.overview import KEPT_DAYS, THIS_PC, Parts, by_destination, choose_one_each
from multirig.collect.places import open_destination
from multirig.conductor.collecting import wish_of_rigs
from multirig.errors import MultirigError
from multirig.logs import keep_log
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Clear, Holding, Holdings, Whereabouts
from multirig.wording import count, size

LOOK_EVERY = 1.0
"""Seconds between two looks at how far the rigs are."""


@app.command()
def clear(
    sessions: Sessions = None,
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=0, help="Days that data stay where they were.")
    ] = KEPT_DAYS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    here: Annotated[bool, typer.Option("--here", help="Only what lies on this PC.")] = False,
    data: DataFolder = None,
    lab: LabName = None,
    rigs_file: RigsFile = None,
) -> None:
    """Remove from the PCs what is collected, after every file was read back once more."""
    keep_log("conductor")
    labs = Lab.find(data, lab, rigs_file, is_alone=here)
    wanted = parse_sessions(sessions)
    parts = ask_all(labs, wanted, is_kept=False)
    doomed = choose_one_each(parts, older_than, datetime.date.today())
    for who, why in parts.trouble.items():
        render.warn(f"{who}: {why}; nothing is removed there")
    if not doomed:
        render.say(
            f"nothing is to be removed: no session is collected and older than {count(older_than, 'day')}"
        )
        return
    shown = Parts({who: {one.exp_ref: one for one in held} for who, held in doomed.items()})
    show_parts(shown, shown.sessions)
    total = sum(one.bytes for held in doomed.values() for one in held)
    render.confirm(
        f"remove {size(total)} from {', '.join(doomed)}, once all of it was read back (yes/no)?",
        yes=yes,
        nothing="nothing was removed",
    )
    _clear(labs, doomed)


def _clear(labs: Lab, doomed: dict[str, list[Holding]]) -> None:
    """Clear on all PCs, and say what came of it; exit code 1 where something could not be removed."""
    after = Parts()
    waits: dict[str, tuple[ExpRef, ...]] = {}
    for who, held in doomed.items():
        if who == THIS_PC:
            continue
        for to, refs in by_destination(held):
            told = asyncio.run(wish_of_rigs({who: labs.rigs[who]}, Clear(to=to, sessions=refs)))[who]
            after.take(who, told, is_part=True)
            if isinstance(told, Holdings):
                waits[who] = waits.get(who, ()) + refs
    own = doomed.get(THIS_PC, [])
    for to, refs in by_destination(own):
        after.take(THIS_PC, _clear_own(labs, to, refs), is_part=True)
    while waits:
        time.sleep(LOOK_EVERY)
        for who, refs in list(waits.items()):
            told = asyncio.run(wish_of_rigs({who: labs.rigs[who]}, AskHoldings(sessions=refs)))[who]
            after.take(who, told, is_part=True)
            if isinstance(told, MultirigError) or not told.is_busy:
                del waits[who]
    left = [
        exp_ref
        for exp_ref in after.sessions
        if any(one.state is not Whereabouts.CLEARED for one in after.of(exp_ref).values())
    ]
    if left or after.trouble:
        show_parts(after, left)
    gone = [one for held in after.held.values() for one in held.values() if one.state is Whereabouts.CLEARED]
    if gone:
        render.done(
            f"{size(sum(one.bytes for one in gone))} are free again; lists and journals are still on the PCs"
        )
    if left or after.trouble:
        raise typer.Exit(FAILED)


def _clear_own(labs: Lab, to: str, refs: tuple[ExpRef, ...]) -> Holdings | MultirigError:
    destination = open_destination(to)
    try:
        collector = Collector(labs.roots)
        collector.clear(destination, refs)
        found = collector.look(refs)
    except MultirigError as error:
        return error
    finally:
        destination.close()
    return Holdings(sessions=tuple(found), total=len(found))
