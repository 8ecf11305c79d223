"""Where a PC's keys lie, and that nobody else can read them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import platformdirs

from multirig.errors import ConfigError, why_not
from multirig.keyring import windows
from multirig.pc.exposed import find_exposure

VARIABLE = "MULTIRIG_KEYS"
"""Environment variable that names another folder for them."""
FAR = ("nfs", "afs", "9p", "ceph", "gluster", "lustre")
"""File systems on other PCs that keep to a user's rights, as far as whoever sits there lets them."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What a group and all others may do with a file."""


def key_folder() -> Path:
    """Return the user's own folder for keys; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_config_path("multirig", appauthor=False) / "keys"


def make_folder(folder: Path) -> None:
    """Make the folder of keys, which only this user can read.

    Raises
    ------
    ConfigError
        It cannot be made, or lies where others can read or change it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not any(folder.iterdir()):
            shut(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder}: the folder of keys cannot be made ({why_not(error)}): check the rights of the folder "
            f"around it, or let {VARIABLE} name another one"
        ) from None
    check_folder(folder)


def shut(path: Path) -> None:
    """Let nobody but this user read a folder, or a file that was written as a private one. Raises OSError."""
    if sys.platform == "win32":
        windows.let_only_me_in(path)
    elif path.is_dir():
        path.chmod(0o700)


def check_folder(folder: Path) -> None:
    """Raise ConfigError where others can read or change what lies in the folder of keys."""
    exposure = find_exposure(folder / "another")
    if exposure is None:
        exposure = _find_readers(folder)
    if exposure is not None:
        raise ConfigError(
            f"{folder}: keys do not lie safely there ({exposure}): {_say_cure(folder)}, or let {VARIABLE} "
            "name a folder of yours on this PC"
        )


def find_far_disk(folder: Path) -> str | None:
    """Return the kind of a disk of another PC on which the folder of keys lies; None: it lies on none."""
    if sys.platform == "win32":
        return None
    import psutil  # takes long to load, for whoever only reads

    try:
        mounted = {one.mountpoint: one.fstype.lower() for one in psutil.disk_partitions(all=True)}
    except (OSError, RuntimeError):
        return None
    path = Path(os.path.abspath(folder))
    kind = next((mounted[str(one)] for one in (path, *path.parents) if str(one) in mounted), "")
    return kind if kind.startswith(FAR) else None


def check_private(path: Path) -> None:
    """Raise ConfigError where others can read a private key; a file that is not there is none."""
    if (readers := _find_readers(path)) is not None:
        raise ConfigError(
            f"{path}: a private key that others can read is none ({readers}): {_say_cure(path)}; if somebody "
            "may have read it, let this PC forget its labs (multirig key forget) and join again"
        )


def _say_cure(path: Path) -> str:
    if sys.platform == "win32":
        return f"give it to yourself alone ({windows.spell_shutting(path)})"
    return f"chmod {'700' if path.is_dir() else '600'} '{path}'"


def _find_readers(path: Path) -> str | None:
    """Return who else can read a file or a folder; None: nobody, as far as the system tells."""
    if sys.platform == "win32":
        return windows.find_readers(path)
    try:
        found = path.stat()
    except OSError:
        return None
    if found.st_uid not in (os.getuid(), 0):
        return "it is another user's"
    if found.st_mode & OTHERS:
        return f"its rights are {stat.S_IMODE(found.st_mode):o}"
    return None
