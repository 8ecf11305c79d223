"""``multirig recover``: take the place of a conductor that has died in the middle of a session."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.program import app
from multirig.cli.session import DEFAULT_DATA, Steps, ctrl_c, show_account, stop, watch_and_end
from multirig.conductor.conductor import Conductor
from multirig.errors import ConfigError, MultirigError
from multirig.folders import subjects_folder
from multirig.lifecycle.broadcast import Outcome
from multirig.logs import keep_log
from multirig.protocol.words import Info
from multirig.record.account import account
from multirig.record.recovery import OpenSession, find_open


class _Choice(enum.Enum):
    GO_ON = "g"
    STOP = "s"
    CLEAN_UP = "c"


@app.command()
def recover(
    session_folder: Annotated[
        Path | None,
        typer.Argument(metavar="SESSION_FOLDER", help="Of which session; without it, the one that is open."),
    ] = None,
    data: Annotated[Path, typer.Option(help="Where this PC's part of the sessions is.")] = DEFAULT_DATA,
    lab: Annotated[str, typer.Option(help="Name of the lab's folder.")] = "mylab",
    go_on: Annotated[bool, typer.Option("--go-on", help="Record on, until Ctrl-C.")] = False,
    stop_it: Annotated[bool, typer.Option("--stop", help="Stop the recording, and let the rigs go.")] = False,
    clean_up: Annotated[
        bool, typer.Option("--clean-up", help="Interrupt whatever goes on, and let the rigs go.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="With --go-on: how long still to record.")
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Lead also rigs that another conductor leads by now.")
    ] = False,
) -> None:
    """Lead a session whose conductor has died: ask every rig, then go on, stop, or clean up."""
    chosen = [
        one
        for one, wanted in ((_Choice.GO_ON, go_on), (_Choice.STOP, stop_it), (_Choice.CLEAN_UP, clean_up))
        if wanted
    ]
    if len(chosen) > 1:
        raise ConfigError("choose one of --go-on, --stop and --clean-up")
    keep_log("conductor")
    folder = session_folder or _find(subjects_folder(data, lab))
    if folder is None:
        render.say("no session is open: nothing to recover")
        return
    asyncio.run(_recover(folder, chosen[0] if chosen else None, seconds, takes_over=take_over))
    show_account(account(folder), folder, json=False)


def _find(subjects: Path) -> Path | None:
    """Return the folder of the session that is open, if there is one."""
    found = find_open(subjects)
    if len(found) > 1:
        listed = "".join(f"\n  {_line(one)}" for one in found)
        raise ConfigError(f"{len(found)} sessions are open; say which one:{listed}")
    if not found:
        return None
    render.say(_line(found[0]))
    return found[0].folder


def _line(one: OpenSession) -> str:
    return f"{one.exp_ref} was {one.state} on {', '.join(one.rigs)}: {one.folder}"


async def _recover(folder: Path, choice: _Choice | None, seconds: float | None, *, takes_over: bool) -> None:
    conductor = Conductor.from_journal(folder)
    ended = asyncio.Event()
    steps = Steps(conductor, ended)
    with ctrl_c(ended):
        await conductor.open()
        try:
            await steps.show("recover", conductor.recover(takes_over=takes_over))
            _show_rigs(conductor.machine.found)
            choice = choice or await _ask()
            match choice:
                case _Choice.GO_ON:
                    await conductor.go_on()
                    await watch_and_end(conductor, steps, ended, seconds)
                case _Choice.STOP:
                    await stop(conductor, steps, ended)
                    await steps.show("clean up", conductor.cleanup())
                case _Choice.CLEAN_UP:
                    await steps.show("interrupt", conductor.interrupt("cleaned up after its conductor died"))
                    await steps.show("clean up", conductor.cleanup())
        finally:
            await conductor.detach()


async def _ask() -> _Choice:
    """Let the operator choose; where nobody is there, say how to."""
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there to choose: give --go-on, --stop or --clean-up; no rig was touched")
    question = "record on (g), stop and let the rigs go (s), or interrupt and clean up (c)?"
    while True:
        answer = await asyncio.to_thread(render.ask, question)
        if answer[:1].lower() in {one.value for one in _Choice}:
            return _Choice(answer[:1].lower())


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
