"""A file that is put into its place whole or not at all, and into nobody else's."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from multirig.errors import ConfigError, why_not
from multirig.writing import patiently, rename_new


def say_there(path: Path) -> str:
    """Return the words for a file that is there already."""
    return f"{path}: is there already: choose another name, or give --overwrite"


def put(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file beside its place and put it there.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    data : bytes
        All of it.
    overwrite : bool
        Let it take the place of one that is there.

    Raises
    ------
    ConfigError
        It cannot be written, or one has come there meanwhile; what was there before stays.
    """
    # a name of its own: two programs that write into one file at once would spoil it
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with open(beside, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        patiently(lambda: os.replace(beside, path) if overwrite else rename_new(beside, path))
    except FileExistsError:
        raise ConfigError(say_there(path)) from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({why_not(error)}): mend that, or choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
