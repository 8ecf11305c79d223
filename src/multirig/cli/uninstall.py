"""``multirig uninstall``: what starts at log-on is taken away again, and what it records is not cut off."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.program import FAILED, app
from multirig.config import load_rig_config
from multirig.errors import ConfigError, MultirigError, why_not
from multirig.install import system
from multirig.install.choosing import find_record
from multirig.install.job import CONSOLE_NAME, Job, Kind
from multirig.install.plan import WAYS, Way
from multirig.install.presence import DEFAULT_PORT, find_held, find_keeper
from multirig.install.records import Record, read_records, remove_record, write_record

END_LIMIT = 30.0
"""Seconds that a rig has to end, or to say after which session it does."""
POLL = 0.2


@app.command()
def uninstall(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Rigs that were installed.")
    ] = None,
    console: Annotated[bool, typer.Option("--console", help="The console.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All that multirig install --list shows.")
    ] = False,
) -> None:
    """Start rigs, or the console, no more at log-on; what they record now is never cut off."""
    broken: list[ConfigError] = []
    known = [one for one in read_records(broken.append) if not one.is_gone]
    for error in broken:
        render.show_error(error)
    chosen = known if everything else [_find(name, known) for name in names or ()]
    if console and not everything:
        chosen = [*chosen, _find_console(known)]
    if not chosen:
        if everything and not broken:
            render.say("nothing is installed")
            return
        if everything:
            raise typer.Exit(FAILED)
        raise ConfigError("say which: multirig uninstall NAME, or --console, or --all")
    failed = [record for record in chosen if not _uninstall(record)]
    if failed or (everything and broken):
        raise typer.Exit(FAILED)


def _find(word: str, known: Sequence[Record]) -> Record:
    """Return what is meant by a name, or by the config of a rig."""
    path = Path(word).expanduser()
    if path.suffix.lower() in (".yaml", ".yml"):
        for record in known:
            if record.config is not None and record.config == os.path.abspath(path):
                return record
        if path.exists():
            word = load_rig_config(path).name
    found = find_record(word, known, Kind.RIG)
    if found is None:
        guess = _guess(word, Kind.RIG)
        if system.is_registered(system.make_plan(guess.way, guess.job)):
            return guess
        names = ", ".join(one.job.name for one in known) or "nothing"
        raise ConfigError(f"no rig {word!r} is installed on this PC for you; installed: {names}")
    return found


def _find_console(known: Sequence[Record]) -> Record:
    found = find_record(CONSOLE_NAME, known, Kind.CONSOLE)
    if found is None:
        found = _guess(CONSOLE_NAME, Kind.CONSOLE)
        if not system.is_registered(system.make_plan(found.way, found.job)):
            raise ConfigError("the console is not installed on this PC for you: it is not started at log-on")
    return found


def _guess(name: str, kind: Kind) -> Record:
    """Return what can be taken away of something of which no record is left."""
    return Record(job=Job(kind=kind, name=name), way=WAYS[system.this_system()], port=DEFAULT_PORT)


def _is_guess(record: Record) -> bool:
    return not record.installed


def _uninstall(record: Record) -> bool:
    """Take one away; whether that is so. What it records goes on, and it ends after that."""
    name, plan = record.job.name, system.make_plan(record.way, record.job)
    try:
        system.unregister(plan)
    except system.Refused as refused:
        render.show_error(MultirigError(f"{name} is still started at log-on: {refused}"))
        return False
    _forget(record)
    render.say(f"{name} is started no more when you log on")
    is_ending = _end(record)
    _forget(record)
    if not find_held(record) and not _is_guess(record):  # what is not known may record
        system.forget(plan)
    return is_ending


def _forget(record: Record) -> None:
    """Remove the record; as long as it runs, keep where its lock lies."""
    try:
        if find_held(record) and not _is_guess(record):
            write_record(replace(record, is_gone=True))
        else:
            remove_record(record.job)
    except ConfigError as error:
        render.show_error(error)


def _end(record: Record) -> bool:
    """Ask all that runs to end; whether it does, now or after its session."""
    name, seen = record.job.name, {}
    until = time.monotonic() + END_LIMIT
    while time.monotonic() < until:
        held, keeper = find_held(record), find_keeper(record)
        for lock in (*held, *([keeper] if keeper else [])):
            process = lock.find_process()
            if process is None or lock.is_asked_to_end():
                continue
            try:
                lock.ask_to_end()
            except OSError as error:
                render.warn(
                    f"{name} cannot be asked to end ({why_not(error)}): {_how_to_end(record, process)}"
                )
                return False
            seen[process] = f"{name} has ended" if lock in held else f"{name} is not started again"
        if not held and not keeper:
            for process, what in seen.items():
                render.say(f"{what} (process {process})")
            return True
        sessions = [lock.waits_for for lock in held]
        if sessions and all(sessions):
            if any(lock.is_left for lock in held):
                stop = system.spell(("multirig", "stop", name))
                render.warn(f"{name} is in {sessions[0]}, which nobody leads any more; it ends after: {stop}")
            else:
                render.say(f"{name} is in {sessions[0]}, which goes on; it ends when that is over")
            return True
        time.sleep(POLL)
    process = next((lock.find_process() for lock in (*held, keeper) if lock is not None), None)
    render.warn(f"{name} does not answer, and runs on as process {process}: {_how_to_end(record, process)}")
    return False


def _how_to_end(record: Record, process: int | None) -> str:
    if record.way in (Way.TASK, Way.STARTUP):
        return "close its window, or end it there"
    return f"end it where it was started, or by kill {process}"
