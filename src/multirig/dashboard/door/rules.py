"""Whom the console's rules are taken from: a password and code to run, from nobody but this user."""

from __future__ import annotations

import re
from pathlib import Path

from multirig.conductor.roster import find_own_folder
from multirig.config import load_conductor_config
from multirig.config.conductor import FILE_NAME, ConsoleRules
from multirig.errors import ConfigError
from multirig.pc.exposed import find_exposure, say_lock

_TRUSTED = ("password", "tasks")
"""Keys that let in, or run: only from a file that nobody else can change."""


def load_rules(rigs_file: Path) -> tuple[ConsoleRules, list[str]]:
    """Return the console's rules, and what the person at the PC should look after.

    They stand beside the rigs file. Where others can change that file, the password and the tasks are taken
    from this user's own instead.

    Raises
    ------
    ConfigError
        A file cannot be read, or something in it is wrong.
    """
    rules, warnings = load_conductor_config(rigs_file).console, []
    file = rigs_file.with_name(FILE_NAME)
    if (why := find_exposure(file)) is not None:
        own_file = find_own_folder() / FILE_NAME
        own = ConsoleRules()
        if find_exposure(own_file) is None:
            own = load_conductor_config(own_file).console
        left_out = [
            key for key in _TRUSTED if getattr(rules, key) and getattr(rules, key) != getattr(own, key)
        ]
        rules = rules.model_copy(update={key: getattr(own, key) for key in _TRUSTED})
        if left_out:
            warnings.append(
                f"{file}: its {' and its '.join(left_out)} are not taken, since others can change them "
                f"({why}): {_say_cure(left_out, file, own_file)}"
            )
    for task in rules.tasks:
        found = re.fullmatch(r"(.+\.py)(:\w+)?", task)
        if found is not None and (why := find_exposure(Path(found[1]))) is not None:
            warnings.append(f"the task {found[1]} runs on this PC as you, and others can change it ({why})")
    return rules, warnings


def choose_password_file(rigs_file: Path) -> Path:
    """Return which file is to hold the password: the one beside the rigs file, if nobody else can change it.

    Raises
    ------
    ConfigError
        Others can change this user's own as well.
    """
    file = rigs_file.with_name(FILE_NAME)
    if find_exposure(file) is None:
        return file
    own_file = find_own_folder() / FILE_NAME
    if (why := find_exposure(own_file)) is not None:
        raise ConfigError(f"{own_file}: others can change it ({why}): {say_lock(own_file)}, then try again")
    return own_file


def _say_cure(keys: list[str], file: Path, own_file: Path) -> str:
    if file == own_file:
        return say_lock(file)
    cures = {
        "password": "set the password with multirig console --set-password",
        "tasks": f"write the tasks into {own_file}",
    }
    return ", ".join(cures[key] for key in keys)
