"""Which kind of destination a text means."""

from __future__ import annotations

import re
from pathlib import Path

from multirig.collect.places.base import Destination
from multirig.collect.places.folder import Folder
from multirig.errors import ConfigError

_REMOTE = re.compile(r"(?P<remote>[\w.+@-][\w.+@ -]+):(?P<path>.*)")
"""A name of rclone's config, and a path there; one letter is a drive of Windows."""


def open_destination(text: str) -> Destination:
    r"""Return the destination that a text means; nothing is touched yet.

    Parameters
    ----------
    text : str
        A folder (``/mnt/lab``, ``Z:\lab``, ``\\server\lab``), or a remote of rclone with a path
        (``labserver:data``).

    Raises
    ------
    ConfigError
        It means none, or what it needs is not installed.
    """
    if text.startswith(":") or (":" in text and "," in text.split(":", 1)[0]):
        raise ConfigError(
            f"destination {text!r:.60}: is a connection with its settings, which may hold a password: make a "
            "remote of it with 'rclone config', and give its name, as in labserver:data"
        )
    if (found := _REMOTE.fullmatch(text)) is not None and not Path(text).is_dir():
        from multirig.collect.places.rclone import Rclone

        return Rclone(text, found["remote"], found["path"])
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ConfigError(
            f"destination {text!r:.60}: is no whole path: give one from its root, as in /mnt/lab or Z:\\lab, "
            "or a remote of rclone, as in labserver:data"
        )
    return Folder(text, path)
