"""``multirig export``: sessions in the formats of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.program import app
from multirig.errors import LocalProtocolError
from multirig.folders import subjects_folder
from multirig.logs import keep_log
from multirig.protocol.exp_ref import ExpRef
from multirig.reading.loading import load
from multirig.reading.places import USUAL_DATA, USUAL_LAB, find_folders, find_roots, find_subjects
from multirig.reading.session import LoadedSession
from multirig.record.verdict import Word
from multirig.wording import count, listed

group = typer.Typer(help="Write a session in a format of others: NWB.", no_args_is_help=True)
app.add_typer(group, name="export")


@group.callback()
def export() -> None:
    """Write a session in a format of others."""


@group.command()
def nwb(
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            help="Its folder, on the PC that led, on a rig or on the server; or its reference, "
            "2026-01-31_1_SP_01, as multirig history lists them.",
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE.nwb", help="The file to be written.")],
    part: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="Another folder of the same session, as that of a rig; may be repeated."
        ),
    ] = None,
    species: Annotated[
        str | None, typer.Option(metavar="NAME", help='Of the subject, in Latin: "Mus musculus".')
    ] = None,
    sex: Annotated[
        str | None, typer.Option(metavar="F|M|O|U", help="Of the subject: female, male, other, unknown.")
    ] = None,
    age: Annotated[
        str | None, typer.Option(metavar="P90D", help="Of the subject: P90D is 90 days, P12W 12 weeks.")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml",
            help="What else is said of the session and the subject, under NWBFile and Subject.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let it take the place of a file that is there.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="With a reference: where it lies, a data folder or a server; without it, wherever one was "
            "begun."
        ),
    ] = None,
    lab: Annotated[
        str | None, typer.Option(help="With a reference: name of the lab's folder, if it is not mylab.")
    ] = None,
) -> None:
    """Write a session into one NWB file: markers, videos with their times, clocks, the verdict.

    Videos stay where they are: the file names them, as seen from its own folder.
    """
    from multirig.export.metadata import read_metadata  # what reads and writes takes long to load
    from multirig.export.nwb import export_nwb

    keep_log("conductor")
    said = read_metadata(metadata, species=species, sex=sex, age=age)
    found = _load(session, part or [], data, lab)
    made = export_nwb(found, file, metadata=said, lab=lab or _find_lab(found), overwrite=overwrite)
    held = [
        count(len(made.videos), "video"),
        count(made.markers, "marker"),
        *([count(made.pulses, "sync pulse")] if made.pulses else []),
        f"clocks of {count(len(made.clocks), 'rig')}",
    ]
    render.done(f"wrote {file}: {found.exp_ref}, with {listed(held)}")
    _say_verdict(found)
    for line in made.warnings:
        render.warn(line)
    if made.unknown:
        render.warn(
            f"not known of the subject: {listed(made.unknown)}, without which archives such as DANDI take no "
            "file: give --species, --sex and --age, or --metadata with a day of birth"
        )


def _load(session: str, parts: list[Path], data: Path | None, lab: str | None) -> LoadedSession:
    """Return the session that is meant.

    Raises
    ------
    ConfigError
        There is none, or the folders are not of one.
    """
    folder = Path(session).expanduser()
    if folder.is_dir():
        return load([folder, *parts])
    try:
        exp_ref = ExpRef.parse(session)
    except LocalProtocolError:
        return load(session)  # which says what is wrong with it
    place = data if lab is None else subjects_folder(data or USUAL_DATA, lab)
    return load([*find_folders(exp_ref, find_roots(place), option="--data"), *parts])


def _find_lab(session: LoadedSession) -> str | None:
    """Return the lab's name where the session was begun on this PC; elsewhere a folder has any name."""
    for subjects in find_subjects():
        if subjects.resolve() in session.folder.resolve().parents and subjects.parent.name != USUAL_LAB:
            return subjects.parent.name
    return None


def _say_verdict(session: LoadedSession) -> None:
    """Say what the session was, where that is not GOOD: it is in the file all the same."""
    if session.verdict is Word.GOOD and session.is_over:
        return
    why = session.reasons[0] if session.reasons else ""
    more = f", and {count(len(session.reasons) - 1, 'more reason')}" if len(session.reasons) > 1 else ""
    if session.verdict is None:
        render.warn(f"{why}{more}; the file says so")
        return
    word = str(session.verdict) if session.is_over else f"not over; {session.verdict} as it stands"
    render.warn(f"the session is {word}{f': {why}' if why else ''}{more}; the file says so")
