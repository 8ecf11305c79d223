"""``multirig recover``: take the place of a conductor that has died in the middle of a session."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.options import DataFolder, LabName
from multirig.cli.program import app
from multirig.cli.screen import showing
from multirig.cli.session import show_account
from multirig.conductor.conductor import Conductor
from multirig.conductor.leading import Choice, Wishes, lead_on, taken_up
from multirig.config import check_length
from multirig.errors import ConfigError, MultirigError
from multirig.lifecycle.broadcast import Outcome
from multirig.logs import keep_log
from multirig.protocol.words import Info
from multirig.reading.places import find_subjects
from multirig.record.account import account
from multirig.record.recovery import OpenSession, find_led, find_open
from multirig.wording import listed

_LETTERS = {"g": Choice.GO_ON, "s": Choice.STOP, "c": Choice.CLEAN_UP}


@app.command()
def recover(
    session_folder: Annotated[
        Path | None,
        typer.Argument(metavar="SESSION_FOLDER", help="Of which session; without it, the one that is open."),
    ] = None,
    data: DataFolder = None,
    lab: LabName = None,
    go_on: Annotated[bool, typer.Option("--go-on", help="Record on, until Ctrl-C.")] = False,
    stop_it: Annotated[bool, typer.Option("--stop", help="Stop the recording, and let the rigs go.")] = False,
    clean_up: Annotated[
        bool, typer.Option("--clean-up", help="Interrupt whatever goes on, and let the rigs go.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(callback=check_length, help="With --go-on: how long still to record."),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Lead also rigs that another PC leads; while it is heard, they ask first.",
        ),
    ] = False,
) -> None:
    """Lead a session whose conductor has died: ask every rig, then go on, stop, or clean up."""
    chosen = [
        one
        for one, wanted in ((Choice.GO_ON, go_on), (Choice.STOP, stop_it), (Choice.CLEAN_UP, clean_up))
        if wanted
    ]
    if len(chosen) > 1:
        raise ConfigError("choose one of --go-on, --stop and --clean-up")
    keep_log("conductor")
    if seconds is not None and not go_on:
        raise ConfigError("--seconds says how long to record on: add --go-on")
    if session_folder is not None and (data is not None or lab is not None):
        raise ConfigError("--data and --lab say where to look, and a session is named: leave them out")
    places = find_subjects(data, lab)
    folder = session_folder or _find(places)
    if folder is None:
        if led := find_led(*places):
            for place, leader in led:
                render.say(f"the session in {place} is led now, by {leader}: nothing to recover")
            return
        where = listed([str(one) for one in places])
        render.say(
            f"no session is open in {where}: nothing to recover; "
            "what rigs record, whoever began it, is shown and ended by multirig stop"
        )
        return
    asyncio.run(_recover(folder, chosen[0] if chosen else None, seconds, takes_over=take_over))
    show_account(account(folder), folder, json=False)


def _find(places: Sequence[Path]) -> Path | None:
    """Return the folder of the session that is open, if there is one."""
    found = find_open(*places)
    if len(found) > 1:
        lines = "".join(f"\n  {_line(one)}" for one in found)
        raise ConfigError(f"{len(found)} sessions are open; say which one:{lines}")
    if not found:
        return None
    render.say(_line(found[0]))
    return found[0].folder


def _line(one: OpenSession) -> str:
    return f"{one.exp_ref} was {one.state} on {', '.join(one.rigs)}: {one.folder}"


async def _recover(folder: Path, choice: Choice | None, seconds: float | None, *, takes_over: bool) -> None:
    conductor = Conductor.from_journal(folder)
    found = conductor.exchange.machine

    async def choose() -> Choice:
        _show_rigs(found.found)
        return choice or await _ask()

    wishes = Wishes(seconds)
    with wishes.heeding_signals():
        async with taken_up(conductor) as session, showing(session, wishes):
            await lead_on(session, wishes, choose, takes_over=takes_over)


async def _ask() -> Choice:
    """Let the operator choose; where nobody is there, say how to."""
    if not render.has_keyboard():
        raise ConfigError("nobody is there to choose: give --go-on, --stop or --clean-up; no rig was touched")
    question = "record on (g), stop and release the rigs (s), or interrupt and clean up (c)?"
    while True:
        answer = await asyncio.to_thread(render.ask, question)
        if (letter := answer[:1].lower()) in _LETTERS:
            return _LETTERS[letter]


def _show_rigs(found: Mapping[str, Outcome]) -> None:
    rows = []
    for name, outcome in found.items():
        if isinstance(outcome, MultirigError):
            rows.append((name, "?", str(outcome)))
        elif isinstance(outcome, Info):
            state = outcome.state or (outcome.status.name.lower() if outcome.status is not None else "?")
            led = f"led by {outcome.led_by}" if outcome.led_by is not None else ""
            rows.append((name, str(state), str(led or outcome.failure or outcome.exp_ref or "")))
    render.show_table(("rig", "is", ""), rows)
