"""The text files of a task, each written as a whole."""

from __future__ import annotations

from pathlib import Path

from multirig import writing
from multirig.errors import ConfigError, why_not


def write_whole(path: Path, text: str) -> None:
    """Write a text file; its folder is made where it is missing.

    Raises
    ------
    ConfigError
        It cannot be written; what was there before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.write_whole(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({why_not(error)}): "
            "check the disk's space and the rights of the folder"
        ) from error
