"""One rig of a name at a time on a PC."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import zlib
from pathlib import Path

from filelock import FileLock, Timeout

from multirig.errors import ConfigError, why_not
from multirig.state import state_folder

ASKED = "asked"
"""What stands in the file by which a rig is asked to end; it writes there what it waits for."""
LEFT = "\nleft"
"""What follows a session there that nobody leads."""
CLOCK_STEP = 2.0
"""Seconds by which a process may seem to be younger than the file that it wrote."""


class InstanceLock:
    """Held while a rig runs; the system lets go of it when the process dies, however it dies.

    Beside it lie the number of the process, and a file by which any program of this user can ask it to end,
    on every system, and in its own time: a signal can do that on some only, and at once.

    Parameters
    ----------
    name : str
        The rig's.
    folder : Path, optional
        Where the lock file lies; by default in the user's state folder.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        folder = folder or state_folder()
        self._name = name
        # readable, and still different for names that differ only in what a file name cannot hold
        readable = re.sub("[^A-Za-z0-9_-]", "_", name)
        self._path = folder / f"{readable}-{zlib.crc32(name.encode()):08x}.lock"
        self._lock = FileLock(self._path, timeout=0)

    def acquire(self) -> None:
        """Take the lock; ConfigError if another process has it."""
        owner = self._owner
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            process = ""
            with contextlib.suppress(OSError):
                process = f" as process {owner.read_text().strip()}"
            raise ConfigError(
                f"the rig {self._name!r} runs on this PC already{process}: use that one, or end it first"
            ) from None
        except OSError as error:
            raise ConfigError(f"cannot lock {self._path}: {why_not(error)}") from None
        with contextlib.suppress(OSError):  # the number is a comfort only
            owner.write_text(str(os.getpid()))
        with contextlib.suppress(OSError):  # it was meant for another one
            self._request.unlink(missing_ok=True)

    def release(self) -> None:
        """Let go of it."""
        for path in (self._request, self._owner):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._lock.release()

    # -- seen from outside ------------------------------------------------------------------------------

    def find_process(self) -> int | None:
        """Return the process that holds it, without taking it: none other is held up by that."""
        import psutil  # whoever serves a rig does not ask

        try:
            number = int(self._owner.read_text())
            began = psutil.Process(number).create_time()
            # another program may have got the number of one that is gone
            is_alive = self._owner.stat().st_mtime > began - CLOCK_STEP
        except (OSError, ValueError, OverflowError, psutil.Error):
            return None
        return number if is_alive else None

    def ask_to_end(self) -> None:
        """Ask whoever holds it to end when nothing is recorded any more. Raises OSError."""
        self._request.write_text(ASKED)

    def has_to_end(self) -> bool:
        """Whether somebody holds it, and was asked to end."""
        return self.is_asked_to_end() and self.find_process() is not None

    @property
    def waits_for(self) -> str | None:
        """The session after which it ends, once it has said so."""
        with contextlib.suppress(OSError):
            told = self._request.read_text(encoding="utf-8").strip().removesuffix(LEFT).strip()
            return told if told and told != ASKED else None
        return None

    @property
    def is_left(self) -> bool:
        """Whether nobody leads that session any more."""
        with contextlib.suppress(OSError):
            return self._request.read_text(encoding="utf-8").endswith(LEFT)
        return False

    # -- seen by who holds it ---------------------------------------------------------------------------

    def is_asked_to_end(self) -> bool:
        """Whether somebody has asked."""
        return self._request.exists()

    def answer(self, session: str, *, is_left: bool = False) -> None:
        """Say after which session it ends, and whether nobody leads that any more."""
        with contextlib.suppress(OSError):
            self._request.write_text(session + (LEFT if is_left else ""), encoding="utf-8")

    @property
    def _owner(self) -> Path:
        return self._path.with_suffix(".pid")

    @property
    def _request(self) -> Path:
        return self._path.with_suffix(".end")


def keeper_lock(what: str | Path) -> InstanceLock:
    """Return the lock of a program that starts another one again after a crash.

    Parameters
    ----------
    what : str or pathlib.Path
        By which that is known: a rig by the path of its config.
    """
    key = os.path.normcase(os.path.abspath(what))
    name = f"{Path(key).stem[:40]} {hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:16]}"
    return InstanceLock(name, state_folder() / "keepers")
