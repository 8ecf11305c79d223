"""``multirig show``: what a session recorded, what it turned out to be, and whether that is still there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import accounts, render
from multirig.cli.program import FAILED, app
from multirig.collect.receipts import find_cleared, say_cleared
from multirig.errors import ConfigError, LocalProtocolError
from multirig.protocol.exp_ref import ExpRef
from multirig.reading.places import find_subjects
from multirig.record.account import account
from multirig.record.drawing import check_suffix, draw
from multirig.record.journal import read_history
from multirig.record.manifest import Checked, Condition, check, find_manifests
from multirig.record.plot import compose
from multirig.record.recount import summarise
from multirig.record.story import Kind, choose, tell
from multirig.wording import listed


@app.command()
def show(
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            help="Its folder, <data>/<lab>/Subjects/<subject>/<date>/<NNN>, or its reference, "
            "2026-01-31_1_SP_01, as multirig history lists them.",
        ),
    ],
    journal: Annotated[
        bool, typer.Option("--journal", help="All that happened, a line each, for people.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read the files that this PC's rigs recorded, and compare checksums."),
    ] = False,
    rigs: Annotated[
        list[str] | None,
        typer.Option(
            "--rig", metavar="NAME", help="With --journal: only what this rig did; may be repeated."
        ),
    ] = None,
    kinds: Annotated[
        list[Kind] | None,
        typer.Option("--kind", help="With --journal: only lines of this kind; may be repeated."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw clocks, starts and states into a .png or .html file."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="With a reference: where the sessions are; without it, wherever one was begun."),
    ] = None,
    lab: Annotated[
        str | None, typer.Option(help="With a reference: name of the lab's folder, if it is not mylab.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Show what a session recorded and what it turned out to be, from its journal."""
    if plot is not None and (journal or verify or json):
        raise ConfigError("--plot stands alone: leave out --journal, --verify and --json")
    if journal and (verify or json):
        raise ConfigError("--journal is for people and stands alone: leave out --verify and --json")
    if (rigs or kinds) and not journal:
        raise ConfigError("--rig and --kind choose lines of the journal: add --journal")
    folder = _find(session, data, lab)
    if plot is not None:
        _plot(folder, plot)
    elif verify:
        _verify(folder, json=json)
    elif journal:
        _tell(folder, rigs or [], kinds or [])
    else:
        _show(folder, json=json)


def _find(session: str, data: Path | None, lab: str | None) -> Path:
    """Return the folder that is meant.

    Raises
    ------
    ConfigError
        It is a reference, and there is no such session.
    """
    folder = Path(session)
    if folder.is_dir():
        return folder
    try:
        exp_ref = ExpRef.parse(session)
    except LocalProtocolError:
        return folder
    places = find_subjects(data, lab)
    found = [one for place in places if (one := place.joinpath(*exp_ref.folder_parts())).is_dir()]
    if not found:
        raise ConfigError(
            f"there is no session {exp_ref} in {listed([str(one) for one in places])}: multirig history "
            "lists those that there are; say where they are with --data and --lab"
        )
    if len(found) > 1:
        folders = "".join(f"\n  {one}" for one in found)
        raise ConfigError(f"{len(found)} sessions are called {exp_ref}; give the folder of one:{folders}")
    return found[0]


def _show(folder: Path, *, json: bool) -> None:
    try:
        told = account(folder)
    except ConfigError as error:
        if find_manifests(folder):
            raise ConfigError(
                f"{error} It is a rig's part of a session: multirig show --verify {folder} checks its files, "
                "and the PC that led has the journal"
            ) from None
        raise
    if json:
        render.show_json({**told.to_json(), "session_folder": str(folder)})
    else:
        accounts.show_summary(told, folder)


def _tell(folder: Path, rigs: list[str], kinds: list[Kind]) -> None:
    history = read_history(folder)
    lines = list(tell(history.moments))
    known = dict.fromkeys(line.who for line in lines)
    if strangers := [name for name in rigs if name not in known]:
        raise ConfigError(f"no line of {', '.join(strangers)} in this journal; there are: {', '.join(known)}")
    accounts.show_story(choose(lines, who=rigs, kinds=kinds))
    if history.unreadable:
        render.warn(f"lines that cannot be read are left out: {', '.join(map(str, history.unreadable))}")


def _plot(folder: Path, path: Path) -> None:
    check_suffix(path)
    history = read_history(folder)
    summary = summarise(history.moments, history.unreadable)
    draw(compose(history, summary, list(tell(history.moments))), path)
    render.say(f"drew {path}: open it")


def _verify(folder: Path, *, json: bool) -> None:
    """Check the files of all manifests in a folder.

    Raises
    ------
    ConfigError
        There is no manifest.
    typer.Exit
        A file is missing or changed.
    """
    if not find_manifests(folder):
        raise ConfigError(
            f"no manifest in {folder}: give the session folder on a rig's PC; each rig keeps its own there"
        )
    found: list[Checked] = []
    for one in check(folder):
        found.append(one)
        if not json:
            accounts.checked_line(one)
    cleared = find_cleared([folder], (one.path for one in found))
    is_fine = all(one.condition.is_fine for one in found)
    was_cleared = cleared is not None and all(
        one.condition.is_fine or one.condition is Condition.MISSING for one in found
    )
    if json:
        files = [
            {"rig": one.rig, "path": one.path, "condition": str(one.condition), "detail": one.detail}
            for one in found
        ]
        where = cleared.destination if cleared is not None else None
        render.show_json(
            {"session_folder": str(folder), "is_whole": is_fine, "cleared_to": where, "files": files}
        )
    else:
        accounts.show_check(found)
        if cleared is not None:
            render.say(say_cleared(cleared))
    if not is_fine and not was_cleared:
        raise typer.Exit(FAILED)
