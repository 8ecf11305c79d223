"""Why the system refused something with a file, in the same words in every language of Windows."""

from __future__ import annotations

import ctypes
import errno
import sys
from collections.abc import Sequence

LONGEST = 259
"""Letters that a path of Windows may have, unless long ones are switched on."""
NOT_FOUND = (2, 3)
NOT_ALLOWED = 5
HELD = (32, 33, 1224)
"""ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_USER_MAPPED_FILE."""
HELD_TEXT = "another program has it open"
NO_NETWORK = "its network drive is not reached"
NO_DRIVE = "its drive is gone"
FULL = "the disk is full"
FULL_NUMBERS = (39, 112, 1295)
"""ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED."""
WORDS: dict[int, str] = {
    2: "it, or its folder, is not there",
    3: "its folder is not there",
    5: "this user may not, or another program has it open",
    15: NO_DRIVE,
    19: "its disk is write-protected",
    20: NO_DRIVE,
    21: NO_DRIVE,
    **dict.fromkeys(HELD, HELD_TEXT),
    **dict.fromkeys((51, 53, 55, 59, 64, 65, 67, 121, 1231, 1232, 1236), NO_NETWORK),
    80: "there is one already",
    123: "Windows allows no such name",
    145: "its folder is not empty",
    161: "Windows allows no such path",
    183: "there is one already",
    206: f"its path has more than {LONGEST} letters, which Windows refuses: choose a shorter folder",
    225: "the virus scanner takes it for harmful",
    267: "it is no folder",
    **dict.fromkeys((433, 1006, 1110, 1112, 1117, 1167), NO_DRIVE),
    **dict.fromkeys(FULL_NUMBERS, FULL),
    1295: "the disk takes no more from this user",
    1314: "that needs the rights of an administrator",
}
"""By Windows' number of an error."""

_OF_ERRNO = {
    errno.ENOENT: 2,
    errno.EACCES: NOT_ALLOWED,
    errno.ENOSPC: 112,
    errno.EROFS: 19,
    errno.EEXIST: 183,
}


def why_not(error: BaseException) -> str:
    """Return why the system refused something, in a few words.

    Parameters
    ----------
    error : Exception
        An OSError mostly; of any other one its own words are returned.

    Returns
    -------
    str
        On Windows what its number means, and which programs hold a file; else the system's words.
    """
    number = getattr(error, "winerror", None)
    if sys.platform == "win32" and number is None and isinstance(error, OSError):
        number = _OF_ERRNO.get(error.errno or 0)  # what `open` raises has no other
    if number is None:
        return getattr(error, "strerror", None) or str(error)
    paths = [path for path in (getattr(error, key, None) for key in ("filename", "filename2")) if path]
    if number in NOT_FOUND and any(len(str(path)) > LONGEST for path in paths):
        number = 206
    text = WORDS.get(number) or getattr(error, "strerror", None) or str(error)
    may_be_held = number in HELD or number == NOT_ALLOWED
    if may_be_held and (holders := [name for path in paths for name in find_holders(str(path))]):
        return f"{HELD_TEXT}: {', '.join(dict.fromkeys(holders))}"
    return text


if sys.platform == "win32":
    from ctypes import POINTER, Structure, byref, c_int, c_uint, c_ulong, c_wchar, c_wchar_p

    MOST = 16
    """Programs that are named."""

    class _Program(Structure):
        """RM_PROCESS_INFO of restartmanager.h."""

        _fields_: Sequence[tuple[str, type]] = [  # type: ignore[misc]
            ("pid", c_ulong),
            ("began_low", c_ulong),
            ("began_high", c_ulong),
            ("name", c_wchar * 256),
            ("service", c_wchar * 64),
            ("kind", c_int),
            ("status", c_ulong),
            ("session", c_ulong),
            ("can_restart", c_int),
        ]

    def find_holders(path: str) -> list[str]:
        """Return the names of programs that have a file open; none where Windows does not tell."""
        try:
            return _ask_restart_manager(ctypes.WinDLL("rstrtmgr"), path)
        except (OSError, AttributeError):
            return []

    def _ask_restart_manager(manager: ctypes.WinDLL, path: str) -> list[str]:
        session, key = c_ulong(), ctypes.create_unicode_buffer(33)
        if manager.RmStartSession(byref(session), 0, key):
            return []
        try:
            files = (c_wchar_p * 1)(path)
            if manager.RmRegisterResources(session, 1, files, 0, None, 0, None):
                return []
            needed, count, why = c_uint(), c_uint(MOST), c_ulong()
            programs = (_Program * MOST)()
            counts = [POINTER(c_uint), POINTER(c_uint)]
            manager.RmGetList.argtypes = [c_ulong, *counts, ctypes.c_void_p, POINTER(c_ulong)]
            if manager.RmGetList(session, byref(needed), byref(count), programs, byref(why)):
                return []
            return [one.name or f"program {one.pid}" for one in programs[: count.value]]
        finally:
            manager.RmEndSession(session)
else:

    def find_holders(path: str) -> list[str]:
        """Return nothing: other systems let files be replaced that are open."""
        return []
