"""``multirig rigs``: the list of rigs, and whether they answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.program import FAILED, app
from multirig.conductor.conductor import Conductor
from multirig.conductor.roster import Roster, add_rig, find_rigs_file, remove_rig, set_role
from multirig.errors import ConfigError, MultirigError
from multirig.lifecycle.policy import Role
from multirig.protocol.messages import Event
from multirig.protocol.words import Info, Word
from multirig.wording import duration, size

group = typer.Typer(help="List, ping, add and remove rigs.", invoke_without_command=True)
app.add_typer(group, name="rigs")


def _one_file(context: typer.Context, file: Path | None) -> Path | None:
    """Take the option from before the command, too: ``rigs --rigs-file X add``."""
    before = context.parent.params.get("rigs_file") if context.parent is not None else None
    if file is not None and before is not None and file != before:
        raise ConfigError(f"--rigs-file is given twice, as {before} and {file}: give one")
    return before if file is None else file


RigsFile = Annotated[
    Path | None,
    typer.Option(
        "--rigs-file",
        callback=_one_file,
        help="The list of rigs; otherwise MULTIRIG_RIGS, or the user's own.",
    ),
]
PING_LIMIT = 3.0
"""Seconds that a rig has to answer a ping."""


@group.callback()
def rigs(context: typer.Context, rigs_file: RigsFile = None) -> None:
    """List the rigs when no command is given."""
    if context.invoked_subcommand is None:
        list_rigs(rigs_file)


@group.command("list")
def list_rigs(rigs_file: RigsFile = None) -> None:
    """Show name and address of each rig, and what it means to a session where the file says so."""
    path = find_rigs_file(rigs_file)
    roster = Roster.load(path)
    if not roster.entries:
        render.say(f"no rigs in {path}; add one: multirig rigs add cameras udp://192.168.1.20")
        return
    rows = {name: [name, str(one.uri)] for name, one in roster.entries.items()}
    headings = ["rig", "address"]
    if any("role" in one.model_fields_set for one in roster.entries.values()):
        headings.append("role")
        for name, one in roster.entries.items():
            rows[name].append(str(one.role))
    if any(one.after for one in roster.entries.values()):
        headings.append("after")
        for name, one in roster.entries.items():
            rows[name].append(", ".join(one.after))
    render.show_table(headings, rows.values())


@group.command()
def ping(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Which rigs; all if none.")
    ] = None,
    rigs_file: RigsFile = None,
) -> None:
    """Ask rigs who they are; exit code 1 if one does not answer."""
    roster = Roster.load(find_rigs_file(rigs_file))
    chosen = {name: str(uri) for name, uri in roster.select(names or list(roster.entries)).items()}
    if not chosen:
        raise ConfigError("there is no rig to ping; add one: multirig rigs add cameras udp://192.168.1.20")
    outcomes = asyncio.run(_ping(chosen))
    render.show_table(("rig", "answer", "state", "adapter", "disk free"), outcomes.values())
    if any(len(row) == 2 for row in outcomes.values()):
        raise typer.Exit(FAILED)


async def _ping(chosen: dict[str, str]) -> dict[str, tuple[str, ...]]:
    async def one(name: str) -> tuple[str, ...]:
        try:
            async with Conductor({name: chosen[name]}) as conductor:
                asked = time.perf_counter()
                answer = (await conductor.request(Event.EXPINFO, 0, {"subject": None}, limit=PING_LIMIT))[
                    name
                ]
                return _row(name, answer, time.perf_counter() - asked)
        except MultirigError as error:
            return (name, f"✗ {getattr(error, 'causes', {}).get(name, error)}")

    rows = await asyncio.gather(*(one(name) for name in chosen))
    return dict(zip(chosen, rows, strict=True))


def _row(name: str, answer: Word | MultirigError, seconds: float) -> tuple[str, ...]:
    if isinstance(answer, MultirigError):
        return (name, f"✗ {answer}")
    info = answer if isinstance(answer, Info) else Info()
    status = "" if info.status is None else info.status.name.lower()
    main_sync = ", main sync" if info.main_sync else ""
    return (
        name,
        f"✓ {duration(seconds)}{main_sync}",
        str(info.state or status),
        info.adapter or "foreign",
        "" if info.disk_free is None else size(info.disk_free),
    )


@group.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call the rig.")],
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="Where it listens: udp://host:port or tcp://host:port.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Change the address of a known rig.")] = False,
    rigs_file: RigsFile = None,
) -> None:
    """Add a rig to the list."""
    path = find_rigs_file(rigs_file)
    add_rig(path, name, uri, replace=replace)
    render.say(f"{name} is in {path}")


@group.command()
def role(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which rig.")],
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="essential, expected or optional.")],
    rigs_file: RigsFile = None,
) -> None:
    """Say what becomes of a session when a rig fails."""
    path = find_rigs_file(rigs_file)
    set_role(path, name, role)
    render.say(f"{name} is {role} in {path}")


@group.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which rig.")],
    rigs_file: RigsFile = None,
) -> None:
    """Take a rig off the list."""
    path = find_rigs_file(rigs_file)
    remove_rig(path, name)
    render.say(f"{name} is no longer in {path}")
