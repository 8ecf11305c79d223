"""This installation's secret, with which the console signs what browsers hold."""

from __future__ import annotations

import secrets
from pathlib import Path

from filelock import FileLock

from multirig.errors import ConfigError, why_not
from multirig.writing import write_whole

SECRET_BYTES = 32
LOCK_LIMIT = 10.0
"""Seconds that another console may take to make the secret."""


def load_secret(folder: Path) -> bytes:
    """Return this installation's secret, which is made when there is none; only this user can read it.

    Raises
    ------
    ConfigError
        It can be neither read nor made.
    """
    path = folder / "secret"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / "secret.lock", timeout=LOCK_LIMIT):
            if path.is_file() and len(secret := path.read_bytes()) == SECRET_BYTES:
                return secret
            secret = secrets.token_bytes(SECRET_BYTES)
            write_whole(path, secret, is_private=True)
            return secret
    except OSError as error:  # a lock that another console holds too long is one too
        raise ConfigError(
            f"{path}: the console's secret cannot be kept ({why_not(error)}): check the rights of its folder"
        ) from error
