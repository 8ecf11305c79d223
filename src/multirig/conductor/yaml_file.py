"""Changes to a YAML file that people write too: one program at a time, and their comments stay."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from multirig.config import OwnLoader, parse_yaml, read_text
from multirig.errors import ConfigError, why_not
from multirig.writing import patiently, write_whole

LOCK_SECONDS = 10.0
"""How long to wait for another program that is changing the file; one change takes milliseconds."""


@contextmanager
def locked(path: Path, *, make_folder: bool = False) -> Iterator[Path]:
    """Hold the file's lock and yield the path of the file itself, where the given one is a link to it.

    Raises
    ------
    ConfigError
        Another program does not let go of it, or there may be no lock beside it.
    """
    file = Path(os.path.realpath(path))
    lock = FileLock(f"{file}.lock", timeout=LOCK_SECONDS)
    try:
        if make_folder:
            file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"{file}: another program has held {lock.lock_file} for {LOCK_SECONDS:.0f} s: "
            "close it and try again"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise _cannot_change(file, error) from error
    try:
        yield file
    finally:
        lock.release()


def read_now(path: Path) -> str:
    """Return the text of a file, nothing if there is none; or raise ConfigError."""
    return patiently(lambda: read_text(path)) if path.exists() else ""


def change(file: Path, old: str, edited: str, content: Mapping[str, Any]) -> None:
    """Write the edited text if it holds the content, else (a file in some rare style) the content alone.

    Raises
    ------
    ConfigError
        It cannot be written; what was there before stays.
    """
    try:
        is_right = (parse_yaml(edited, file, OwnLoader) or {}) == content
    except ConfigError:
        is_right = False
    if not is_right:
        edited = dump(content)
    if "\r\n" in old:
        edited = edited.replace("\r\n", "\n").replace("\n", "\r\n")
    try:
        write_whole(file, edited.encode())
    except OSError as error:
        raise _cannot_change(file, error) from error


def find_nodes(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """Return the keys and values of a mapping, with their places in the text."""
    root = yaml.compose(text, OwnLoader)
    return root.value if isinstance(root, yaml.MappingNode) else []


def dump(content: Mapping[str, Any]) -> str:
    """Return a mapping as the text of a file."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=1000) if content else ""


def _cannot_change(file: Path, error: Exception) -> ConfigError:
    reason = why_not(error)
    return ConfigError(f"{file}: cannot be changed ({reason}): check the rights and the space of its folder")
