"""``multirig install``: a rig, or the console, that starts at log-on."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from multirig.cli import render
from multirig.cli.console_check import check_console
from multirig.cli.program import FAILED, app
from multirig.config import load_rig_config
from multirig.errors import ConfigError, MultirigError
from multirig.install import system
from multirig.install.choosing import CARRIED, find_changes, find_environment, find_record, make_job
from multirig.install.job import CONSOLE_NAME, Kind
from multirig.install.plan import WAYS, Plan, Way
from multirig.install.presence import find_held, find_keeper, find_old_folders, find_process, let_in
from multirig.install.records import Record, read_records, remove_record, write_record
from multirig.rig.loading import build_adapter

POLL = 0.2
START_LIMIT = 30.0
"""Seconds until what was started must be there; a busy PC loads for long."""

NOT_AT_LOG_ON = {
    "stays": "--stay",
    "sets_password": "--set-password",
    "address": "--address",
    "fingerprint": "--fingerprint",
    "until_closed": "--until-closed",
}
"""Options that ask for something else, or are given anyhow."""

Systems = Annotated[
    str | None, typer.Option("--system", metavar="SYSTEM", help="With --print: windows, linux or macos.")
]


@app.command()
def install(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RIG.yaml] [-- OPTIONS]",
            help="The rig's configuration; behind -- what serve, or console, shall be given.",
        ),
    ] = None,
    console: Annotated[bool, typer.Option("--console", help="The console, in place of a rig.")] = False,
    lists: Annotated[
        bool, typer.Option("--list", help="Show what is installed, and whether it runs.")
    ] = False,
    prints: Annotated[
        bool, typer.Option("--print", help="Show what would be written and run, and change nothing.")
    ] = False,
    for_system: Systems = None,
) -> None:
    """Start a rig, or the console, whenever you log on to this PC, and again after a crash."""
    if lists:
        _list()
        return
    if not console and not words:
        raise ConfigError(
            "say which rig: multirig install RIG.yaml; or --console; --list shows what is installed"
        )
    if for_system is not None and not prints:
        raise ConfigError("--system is of use together with --print only: add it")
    if for_system is not None and for_system not in WAYS:
        raise ConfigError(f"--system is {for_system!r}: write windows, linux or macos")
    record = _make_record(list(words or ()), console=console, for_system=for_system)
    if prints:
        _print(record, for_system)
    else:
        _install(record)


# -- installing --------------------------------------------------------------------------------------------


def _make_record(words: list[str], *, console: bool, for_system: str | None) -> Record:
    """Return what is to be installed, checked as `serve` or `console` would check it."""
    from multirig.cli.main import load_commands

    kind = Kind.CONSOLE if console else Kind.RIG
    verb = "console" if console else "serve"
    command: Any = typer.main.get_command(load_commands(verb))
    command = command.commands[verb]
    config, options = (None, words) if console else (Path(words[0]).expanduser(), words[1:])
    if config is not None and config.suffix.lower() not in (".yaml", ".yml") and not config.exists():
        raise ConfigError(f"{config}: there is no such file: give the rig's configuration, RIG.yaml")
    if options and options[0].lower().endswith((".yaml", ".yml")):
        raise ConfigError(f"one rig at a time: then say multirig install {options[0]}")
    parsed = command.make_context(f"multirig {verb}", [*([str(config)] if config else []), *options]).params
    for option, use in NOT_AT_LOG_ON.items():
        if parsed.get(option):
            raise ConfigError(f"{use} is nothing to start with at log-on: leave it out")
    settings = None
    if config is not None:
        settings = load_rig_config(config)
        build_adapter(settings.adapter, settings.name)
    else:
        check_console(parsed)
    job = make_job(
        kind,
        settings.name if settings else CONSOLE_NAME,
        config=None if config is None else Path(_whole(config)),
        options=_make_absolute(options, command, parsed),
        end_limit=30 if settings is None else int(settings.limits.stop + settings.limits.cleanup + 30),
        environment=find_environment(os.environ, for_system or system.this_system()),
    )
    return Record(
        job=job,
        way=WAYS[for_system or system.this_system()],
        config=None if config is None else _whole(config),
        lock_folder=None if settings is None or settings.log_folder is None else str(settings.log_folder),
        port=parsed.get("port") if console else None,
        installed=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def _make_absolute(options: Sequence[str], command: Any, parsed: dict[str, Any]) -> list[str]:
    """Return options with whole paths: at log-on it is started in another folder."""
    named = (one for one in command.params if isinstance(parsed.get(one.name), Path))
    of_paths = {option for one in named for option in one.opts if option.startswith("-")}
    made: list[str] = []
    for word in options:
        option, equals, value = word.partition("=")
        if equals and option in of_paths:
            made.append(f"{option}={_whole(value)}")
        else:
            made.append(_whole(word) if made and made[-1] in of_paths else word)
    return made


def _whole(path: str | Path) -> str:
    return os.path.abspath(Path(path).expanduser())


def _print(record: Record, for_system: str | None) -> None:
    plans = [system.make_plan(record.way, record.job, for_system)]
    if record.way is Way.TASK:
        plans.append(system.make_plan(Way.STARTUP, record.job, for_system))
    for number, plan in enumerate(plans):
        if number:
            render.show_lines("If Task Scheduler refuses that, instead:", [])
        render.show_lines(f"{plan.file} is written:", plan.show().splitlines())
        for heading, commands in (
            ("to register it", plan.register),
            ("to start it now", plan.start),
            ("multirig uninstall", plan.unregister),
            ("multirig uninstall, when it has ended", plan.forget),
        ):
            if commands:
                render.show_lines(f"{heading}:", [system.spell(one, for_system) for one in commands])


def _install(record: Record) -> None:
    name = record.job.name
    known = read_records(render.show_error)
    before = _find_before(record, [one for one in known if not one.is_gone])
    last = before or find_record(name, known, record.job.kind)
    if missing := system.find_missing(record.way):
        raise system.Refused(
            f"{missing}: nothing was installed; --print shows the command, for another program to start"
        )
    if last is not None:
        record = replace(record, old_folders=find_old_folders(last, record))
    write_record(record)
    plan, record = _register(record, last)
    if before is not None and before.way is not record.way:
        system.unregister(system.make_plan(before.way, before.job))
    write_record(record)
    render.say(f"{name} is started when you log on to this PC, by {record.way}: {plan.label}")
    if before is not None:
        for line in find_changes(before, record):
            render.say(f"  changed: {line}")
    for variable in system.find_passing(CARRIED):
        render.warn(
            f"{variable} is set in this terminal only, and {name} will not have it: "
            f"setx {variable} {system.spell([_whole(os.environ[variable])])}, and log off and on"
        )
    if record.way is Way.SYSTEMD and not system.lingers():
        render.say("it runs as long as you are logged in; for longer: loginctl enable-linger")
    _start(plan, record)
    if record.config is not None:
        for text in let_in(load_rig_config(Path(record.config)).uri):
            render.warn(text)
    render.say(f"to take it away again: {system.spell(('multirig', 'uninstall', *name_words(record)))}")


def _find_before(record: Record, known: Sequence[Record]) -> Record | None:
    """Return what is installed in its place now. Raises ConfigError where two of one would come of it."""
    name = record.job.name
    before = find_record(name, known, record.job.kind)
    if before is not None and before.job.name != name:
        raise ConfigError(
            f"{before.job.name} is installed here already, and some systems take {name} for the same: "
            f"multirig uninstall {before.job.name}, or give one another name"
        )
    for one in known:
        if record.config is not None and one.config == record.config and one.job.name != name:
            raise ConfigError(
                f"{record.config} is installed as {one.job.name}, and that rig is called {name} now: first "
                f"{system.spell(('multirig', 'uninstall', *name_words(one)))}, then the same again"
            )
    return before


def _register(record: Record, before: Record | None) -> tuple[Plan, Record]:
    """Register it as kept; where that is refused, keep what was."""
    try:
        return register(record)
    except system.Refused:
        remove_record(record.job) if before is None else write_record(before)
        raise


def register(record: Record) -> tuple[Plan, Record]:
    """Register it; on Windows in the Startup folder where Task Scheduler refuses."""
    plan = system.make_plan(record.way, record.job)
    try:
        system.register(plan)
    except system.Refused as refused:
        if record.way is not Way.TASK:
            raise
        render.warn(f"Task Scheduler refuses ({refused}); your Startup folder takes its place")
        record = replace(record, way=Way.STARTUP)
        plan = system.make_plan(record.way, record.job)
        system.register(plan)
    return plan, record


def _start(plan: Plan, record: Record) -> None:
    """Start it now where it does not run; what runs is left alone."""
    name = record.job.name
    _let_end(record)
    if (process := find_process(record)) is not None:
        render.say(
            f"{name} runs now as process {process} and is left alone: what is new holds at its next start"
        )
        return
    try:
        system.start(plan)
    except system.Refused as refused:
        render.warn(f"{name} could not be started now ({refused}); it is when you log on again")
        raise typer.Exit(FAILED) from None
    until = time.monotonic() + START_LIMIT
    while (process := find_process(record)) is None and time.monotonic() < until:
        time.sleep(POLL)
    if process is None:
        render.warn(f"{name} was started, and is not there after {START_LIMIT:g} s: {_where_to_look(record)}")
        raise typer.Exit(FAILED)
    render.say(f"{name} runs as process {process}")


def _let_end(record: Record) -> None:
    """Wait for what was asked to end and is about to: it would not be there afterwards."""
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until:
        keeper = find_keeper(record)
        asked = [one for one in (*find_held(record), keeper) if one is not None and one.is_asked_to_end()]
        if not asked:
            return
        if session := next(filter(None, (one.waits_for for one in asked)), None):
            again = system.spell(("multirig", "install", record.config or "--console"))
            render.warn(
                f"{record.job.name} was asked to end, and does when {session} is over: "
                f"it is started at log-on again; to have it back before, say {again} after that"
            )
            raise typer.Exit(FAILED)
        time.sleep(POLL)


def _where_to_look(record: Record) -> str:
    match record.way:
        case Way.SYSTEMD:
            return f"look at journalctl --user -u {system.make_plan(record.way, record.job).label}"
        case Way.LAUNCHD:
            return "look at its file in ~/Library/Logs/multirig"
    return "look at its window"


# -- what is installed -------------------------------------------------------------------------------------


def _list() -> None:
    broken: list[ConfigError] = []
    records = [one for one in read_records(broken.append) if not one.is_gone]
    for error in broken:
        render.show_error(error)
    if not records and broken:
        raise typer.Exit(FAILED)
    if not records:
        render.say("nothing is installed; a rig is by multirig install RIG.yaml")
        return
    rows, all_run = [], not broken
    for record in records:
        process = find_process(record)
        trouble = _find_trouble(record)
        all_run = all_run and process is not None and trouble is None
        runs = f"✓ runs, process {process}"
        if process is None:
            keeper = find_keeper(record)
            waits = f"; process {keeper.find_process()} starts it when that is possible" if keeper else ""
            runs = f"✗ does not run{waits}"
        rows.append(
            (record.job.name, str(record.way), runs, trouble or record.config or f"port {record.port}")
        )
    render.show_table(("name", "started by", "now", ""), rows)
    if not all_run:
        raise typer.Exit(FAILED)


def _find_trouble(record: Record) -> str | None:
    """Return why it would not start at the next log-on, if that is so."""
    name = "--console" if record.job.is_console else record.config
    if not system.is_registered(system.make_plan(record.way, record.job)):
        return f"✗ {record.way} does not know it any more: multirig install {name}"
    if not Path(record.job.program[0]).exists():
        return f"✗ {record.job.program[0]} is gone: multirig install {name}"
    if record.config is not None:
        try:
            found = load_rig_config(record.config).name
        except MultirigError as error:
            return f"✗ {error}"
        if found != record.job.name:
            first = system.spell(("multirig", "uninstall", *name_words(record)))
            return f"✗ {record.config} is that of {found} now: {first}, then multirig install {name}"
    return None


def name_words(record: Record) -> tuple[str, ...]:
    """Return what `uninstall` is given for it."""
    if record.job.is_console:
        return ("--console",)
    return ("--", record.job.name) if record.job.name.startswith("-") else (record.job.name,)
