"""Where sessions lie: on a PC, on a server, and in ONE's cache."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from multirig.errors import ConfigError, LocalProtocolError, why_not
from multirig.folders import subjects_folder
from multirig.protocol.exp_ref import ExpRef
from multirig.record.places import find_places
from multirig.wording import listed

USUAL_DATA = Path("data")
"""Where sessions go if nothing else is said."""
USUAL_LAB = "mylab"
"""Name of the lab's folder if nothing else is said."""
SUBJECTS = "Subjects"
"""Name of the folder in which there is one for each subject."""
Place: TypeAlias = str | os.PathLike[str]
_DATE, _NUMBER = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}"), re.compile("[0-9]{1,3}")


def find_subjects(data: Path | None = None, lab: str | None = None) -> list[Path]:
    """Return the folders ``…/Subjects``: the one that is said, or each that a session was begun in."""
    usual = subjects_folder(data or USUAL_DATA, lab or USUAL_LAB)
    return find_places(None if data is None and lab is None else usual, usual)


def find_roots(place: Place | Iterable[Place] | None) -> list[Path]:
    """Return the folders below which each subject has one.

    Parameters
    ----------
    place : path, iterable of path, or None
        A PC's data folder, a lab's folder, a server, a cache of ONE (with labs or without), or the folder
        of the subjects itself; None: wherever a session was begun on this PC.

    Raises
    ------
    ConfigError
        One of them is not there, or holds no sessions.
    """
    if place is None:
        return find_subjects()
    places = [place] if isinstance(place, str | os.PathLike) else list(place)
    return list(dict.fromkeys(root for one in places for root in _look_below(Path(one).expanduser())))


def _look_below(place: Path) -> list[Path]:
    try:
        if not place.is_dir():
            raise ConfigError(f"{place}: there is no such folder: is the drive connected?")
        if place.name == SUBJECTS:
            return [place]
        found = [one for one in (place / SUBJECTS, *sorted(place.glob(f"*/{SUBJECTS}"))) if one.is_dir()]
        if found or not any(place.iterdir()):
            return found or [place]
        if _holds_subjects(place):
            return [place]
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read ({why_not(error)}): check its rights") from None
    raise ConfigError(
        f"{place}: no sessions are below it: give a data folder, a server or a cache of ONE, in which there "
        f"is <lab>/{SUBJECTS}/<subject>/<yyyy-mm-dd>/<NNN>, {SUBJECTS}/… or <subject>/…"
    )


def _holds_subjects(place: Path) -> bool:
    """Return whether a folder has one for each subject, with one for each day in it."""
    days = (day for subject in place.iterdir() if subject.is_dir() for day in subject.iterdir())
    return any(_DATE.fullmatch(day.name) is not None and day.is_dir() for day in days)


def find_folders(exp_ref: ExpRef, roots: Sequence[Path], *, option: str = "place=…") -> list[Path]:
    """Return the folders of a session.

    Parameters
    ----------
    exp_ref : ExpRef
        The session.
    roots : sequence of pathlib.Path
        Where to look, as `find_roots` gives them.
    option : str
        What says where it lies, for the message.

    Raises
    ------
    ConfigError
        There is none.
    """
    found = [one for root in roots for one in _find_below(root, exp_ref)]
    if not found:
        raise ConfigError(
            f"there is no session {exp_ref} in {listed([str(one) for one in roots])}: multirig history lists "
            f"those that there are; say where it is with {option}"
        )
    return list(dict.fromkeys(found))


def _find_below(root: Path, exp_ref: ExpRef) -> Iterator[Path]:
    subject, day, number = exp_ref.folder_parts()
    for name in dict.fromkeys((number, str(exp_ref.sequence))):  # whoever copies by hand may leave zeros out
        if (folder := root / subject / day / name).is_dir():
            yield folder


def read_reference(folder: Path) -> ExpRef | None:
    """Return the reference that the name of a session folder says; None: it is named otherwise."""
    parts = Path(os.path.abspath(folder)).parts[-3:]
    if len(parts) < 3 or not _DATE.fullmatch(parts[1]) or not _NUMBER.fullmatch(parts[2]):
        return None
    try:
        return ExpRef.parse(f"{parts[1]}_{parts[2]}_{parts[0]}")
    except LocalProtocolError:
        return None
