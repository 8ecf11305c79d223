"""Whether others than this user can change a file of this PC: what they write there would be obeyed."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path

import psutil

_SHARES = {"cifs", "smb3", "smbfs", "afpfs", "webdav", "davfs", "fuse.davfs", "fuse.sshfs"}
"""File systems whose rights are the server's: what they look like here says nothing of who else may write."""
_DRIVE_REMOTE = 4
"""What Windows calls a drive of another PC."""


def find_exposure(path: Path) -> str | None:
    """Return why others can change a file, or put another in its place; None: nothing says that they can.

    A file that is not there is exposed where others can make it. On Windows only drives of other PCs are
    told: who may write on its own is not looked at.
    """
    path = Path(os.path.abspath(path))
    if _is_on_share(path):
        return "it lies on a share, where whoever may write there changes it"
    if sys.platform == "win32":
        return None
    for one in (path, path.parent):
        try:
            found = one.stat()
        except OSError:
            continue
        if found.st_uid not in (os.getuid(), 0):
            return f"{one} is another user's"
        is_kept_by_owner = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX and path.exists()
        if is_kept_by_owner:
            continue
        if found.st_mode & stat.S_IWOTH:
            return f"everybody on this PC can write {one}"
        if found.st_mode & stat.S_IWGRP and not _is_alone_in(found.st_gid):
            return f"a group of users can write {one}"
    return None


def say_lock(path: Path) -> str:
    """Return what takes the right to change a file from others."""
    if sys.platform == "win32":
        return "put it on a drive of this PC"
    return f"take their right away: chmod go-w {path.parent} {path}"


def _is_alone_in(number: int) -> bool:
    """Whether a group is this user's own: many systems give each user one."""
    if sys.platform == "win32":
        return True
    import grp
    import pwd

    try:
        group, me = grp.getgrgid(number), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return group.gr_name == me.pw_name and set(group.gr_mem) <= {me.pw_name}


def _is_on_share(path: Path) -> bool:
    if sys.platform == "win32":
        drive = path.drive
        return drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\") == _DRIVE_REMOTE
    try:
        mounted = {one.mountpoint: one.fstype.lower() for one in psutil.disk_partitions(all=True)}
    except (OSError, RuntimeError):
        return False
    place = next((str(one) for one in (path, *path.parents) if str(one) in mounted), "/")
    return mounted.get(place, "") in _SHARES
