"""A file that another library writes: beside its place first, then put there, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from multirig.errors import ConfigError, why_not
from multirig.writing import patiently

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)
"""What is said by file systems that know no second name of a file."""


def say_there(path: Path) -> str:
    """Return the words for a file that is there already."""
    return f"{path}: is there already: choose another name, or give --overwrite"


@contextlib.contextmanager
def place_whole(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a name beside a file's place to write to; what was written there is put into its place at the end.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    overwrite : bool
        Let it take the place of one that is there.

    Raises
    ------
    ConfigError
        It cannot be written, or one has come there meanwhile; what was there before stays.
    """
    # a name of its own: two programs that write into one file at once would spoil it
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.new{path.suffix}")
    try:
        yield beside
        with open(beside, "rb+") as stream:
            os.fsync(stream.fileno())
        patiently(lambda: os.replace(beside, path) if overwrite else _put(beside, path))
    except FileExistsError:
        raise ConfigError(say_there(path)) from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({_say_why(error)}): choose another folder, or make room there"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # Windows: whoever failed may have it open still
            beside.unlink(missing_ok=True)


def _put(beside: Path, path: Path) -> None:
    """Give a file the name that it is to have, unless there is one of that name."""
    if sys.platform == "win32":
        os.rename(beside, path)  # which refuses there what is there
        return
    try:
        os.link(beside, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(str(path)) from None
        os.rename(beside, path)


def _say_why(error: OSError) -> str:
    """Return why, in a few words: HDF5 tells the system's number in its text."""
    for number, words in ((errno.ENOSPC, "the disk is full"), (errno.EACCES, "this user may not")):
        if f"errno = {number}," in str(error):
            return words
    return why_not(error)
