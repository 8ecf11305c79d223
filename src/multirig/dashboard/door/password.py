"""Where the console's password is kept: as a hash in ``multirig.yaml``, in which all else stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from multirig.conductor.yaml_file import change, find_nodes, locked, read_now
from multirig.config import load_conductor_config, parse_pairs
from multirig.dashboard.door.access import hash_password
from multirig.dashboard.door.rules import choose_password_file


def keep_password(rigs_file: Path, password: str) -> Path:
    """Set the password of this PC's console and return the file that now holds its hash.

    Parameters
    ----------
    rigs_file : pathlib.Path
        The rigs file; ``multirig.yaml`` lies beside it, and is made if it is missing. Where others can change
        that file, this user's own is taken.
    password : str
        At least `multirig.dashboard.door.access.MIN_PASSWORD` characters.

    Raises
    ------
    ConfigError
        The password is too short, or the file is wrong or cannot be changed; then it is as it was.
    """
    kept = hash_password(password)
    chosen = choose_password_file(rigs_file)
    with locked(chosen, make_folder=True) as file:
        text = read_now(file)
        content = parse_pairs(text, file, example="console: {}")
        console = content.get("console")
        if not isinstance(console, Mapping) or "password" not in console:
            load_conductor_config(chosen)  # what is wrong is said, and not written over
        change(
            file,
            text,
            _with_password(text, kept),
            {**content, "console": {**(console or {}), "password": kept}},
        )
        return file


def _with_password(text: str, kept: str) -> str:
    """Return the text of the file with that hash in it; `change` checks what comes of it."""
    console = next((value for key, value in find_nodes(text) if key.value == "console"), None)
    if not isinstance(console, yaml.MappingNode):
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}console:\n  password: {kept}\n"
    for key, value in console.value:
        if key.value == "password":
            return f"{text[: value.start_mark.index]}{kept}{text[value.end_mark.index :]}"
    start = console.start_mark.index
    if console.flow_style:
        return f"{text[: start + 1]}password: {kept}{', ' if console.value else ''}{text[start + 1 :]}"
    return f"{text[:start]}password: {kept}\n{' ' * console.start_mark.column}{text[start:]}"
