"""A whole file at once: whoever looks finds the old one or the new one, never half of it."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from multirig.refusal import FULL_NUMBERS

TRIES = 20
PAUSE = 0.05
"""Seconds between two tries: Windows refuses a file that another program (a virus scanner, say) has open."""

_NO_LINKS = {
    errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL,
    getattr(errno, "ENOTSUP", errno.EPERM), getattr(errno, "EOPNOTSUPP", errno.EPERM),
}  # fmt: skip
"""Of file systems that have none."""

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


def rename_new(place: Path, goal: Path) -> None:
    """Rename a file, in one step where the system can, unless there is one of that name.

    Raises
    ------
    FileExistsError
        There is one: it stays as it was.
    OSError
        It cannot be renamed.
    """
    if sys.platform == "win32":  # there a rename never overwrites
        patiently(lambda: os.rename(place, goal))
        return
    if (call := _find_renameat2()) is not None:
        if call(_CWD, os.fsencode(place), _CWD, os.fsencode(goal), _NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            raise FileExistsError(number, os.strerror(number), str(goal))
        if number not in _NO_LINKS:
            raise OSError(number, os.strerror(number), str(goal))
    try:  # some file systems know no rename that never overwrites
        os.link(place, goal)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        os.unlink(place)
        return
    if os.path.lexists(goal):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(goal))
    os.rename(place, goal)


def file_name(name: str) -> str:
    """Return a rig's name as every system can file it; no two names become one."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: "".join(f"%{one:02X}" for one in found[0].encode()), name)


_CWD = -100
"""AT_FDCWD"""
_NOREPLACE = 1
"""RENAME_NOREPLACE"""


@cache
def _find_renameat2() -> Any:
    """Return the system's rename that never overwrites; None: this one has none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call
