"""Which session of the day, and which collection in it: ``<NNN>/raw_task_data_NN``."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from multirig.errors import AgreementError, ConfigError
from multirig.protocol.exp_ref import ExpRef

_NUMBER = re.compile("[0-9]{1,3}")
MAX_COLLECTIONS = 100
"""Two digits number the collections of a session."""
SETTINGS_NAME = "_iblrig_taskSettings.raw.json"
"""In a collection: the settings of the task that wrote it."""
DATA_NAME = "_iblrig_taskData.raw.jsonable"
"""In a collection: the task's trials."""
STOP_FILE = ".stop"
"""Whoever makes it in the session's folder asks the task to end in good order."""
PAUSE_FILE = ".pause"
"""Whoever makes it in the session's folder asks the task to wait after this trial, until it is gone."""


def latest_session(day: Path) -> Path:
    """Return the session of the day with the highest number.

    Parameters
    ----------
    day : pathlib.Path
        ``…/Subjects/<subject>/<date>``.

    Raises
    ------
    ConfigError
        There is none.
    """
    try:
        sessions = [each for each in day.iterdir() if _NUMBER.fullmatch(each.name) and each.is_dir()]
    except OSError:
        sessions = []
    if not sessions:
        raise ConfigError(f"there is no session to append to in {day}: run the first task without --append")
    return max(sessions, key=lambda each: int(each.name))


def next_collection(session: Path, name: str = "raw_task_data") -> str:
    """Return the next numbered collection of a session: one more than the highest there.

    Parameters
    ----------
    session : pathlib.Path
        The session's folder; it need not exist yet.
    name : str
        The collection without its number.

    Raises
    ------
    ConfigError
        The numbers, 00 to 99, are used up.
    """
    pattern = re.compile(re.escape(name) + "_([0-9]{2})")
    try:
        found = [pattern.fullmatch(each.name) for each in session.iterdir() if each.is_dir()]
    except FileNotFoundError:
        found = []
    number = max((int(each[1]) for each in found if each), default=-1) + 1
    if number >= MAX_COLLECTIONS:
        raise ConfigError(
            f"{session}: {name}_99 is there already and no number follows it: begin a new session"
        )
    return f"{name}_{number:02d}"


def move_paths(paths: MutableMapping[str, Any], session: Path) -> None:
    """Move all paths of a session that is to be made into another folder, and its next free collection."""
    collection = "raw_task_data_00"
    while (session / collection).exists():
        collection = f"raw_task_data_{int(collection[-2:]) + 1:02d}"
    moved = {
        Path(paths["SESSION_RAW_DATA_FOLDER"]): session / collection,
        Path(paths["SESSION_FOLDER"]): session,
    }
    for key, value in paths.items():
        above = next((old for old in moved if isinstance(value, Path) and value.is_relative_to(old)), None)
        if above is not None:
            paths[key] = moved[above] / value.relative_to(above)
    paths["TASK_COLLECTION"] = collection


def take_number(paths: MutableMapping[str, Any], exp_ref: ExpRef, *, append: bool) -> None:
    """Let a task's paths be those of the session on which the rigs have agreed.

    Raises
    ------
    AgreementError
        The session that is to be appended to is another one.
    """
    old = Path(paths["SESSION_FOLDER"])
    new = subjects_folder(paths).joinpath(*exp_ref.folder_parts())
    if not append:
        move_paths(paths, new)
    elif new != old:
        raise AgreementError(
            f"the main sync is at {exp_ref}, but the session to append to is {old}: "
            "go on with that one there, or begin a new session here"
        )


def subjects_folder(paths: Mapping[str, Any]) -> Path:
    """Return the folder in which all subjects of the lab lie, of a task whose paths are given."""
    return Path(paths["LOCAL_SUBJECT_FOLDER"])


def find_date(session_info: Mapping[str, Any]) -> datetime.date:
    """Return the day on which a task's session has begun."""
    return datetime.date.fromisoformat(str(session_info["SESSION_START_TIME"])[:10])


def stop_file(paths: Mapping[str, Any]) -> Path:
    """Return the file that asks the task to end in good order, in the session whose paths are given."""
    return Path(paths["SESSION_FOLDER"]) / STOP_FILE


def pause_file(paths: Mapping[str, Any]) -> Path:
    """Return the file that asks the task to wait, in the session whose paths are given."""
    return Path(paths["SESSION_FOLDER"]) / PAUSE_FILE
