"""A whole file at once: whoever looks finds the old one or the new one, never half of it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from multirig.refusal import FULL_NUMBERS

TRIES = 20
PAUSE = 0.05
"""Seconds between two tries: Windows refuses a file that another program (a virus scanner, say) has open."""

_Result = TypeVar("_Result")


def write_whole(path: Path, data: bytes, *, is_private: bool = False) -> None:
    """Write a file beside its place and put it there, even through a power cut; what it may stays as it was.

    One program writes a file at a time: a lock, or one thread, sees to it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    data : bytes
        All of it.
    is_private : bool
        Let nobody else read it, at no moment; on Windows the rights of its folder hold.

    Raises
    ------
    OSError
        It cannot be written; what was there before stays.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        if is_private:
            beside.unlink(missing_ok=True)  # whoever made it may have let others read it
        with open(beside, "wb", opener=_open_privately if is_private else None) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists() and not is_private:
            shutil.copymode(path, beside)
        patiently(lambda: os.replace(beside, path))
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def is_full(error: BaseException) -> bool:
    """Return whether a disk did not take something since it, or what its user may have of it, is full."""
    is_quota = getattr(error, "errno", None) in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return is_quota or getattr(error, "winerror", None) in FULL_NUMBERS


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def patiently(action: Callable[[], _Result]) -> _Result:
    """Do it, and again for about a second if another program has the file open."""
    for _ in range(TRIES - 1):
        try:
            return action()
        except Exception as error:
            if not isinstance(error, PermissionError) and not isinstance(error.__cause__, PermissionError):
                raise
        time.sleep(PAUSE)
    return action()


def file_name(name: str) -> str:
    """Return a rig's name as every system can file it; no two names become one."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: "".join(f"%{one:02X}" for one in found[0].encode()), name)
