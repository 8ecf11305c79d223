"""One rig of a name at a time on a PC."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from pathlib import Path

from filelock import FileLock, Timeout

from multirig.errors import ConfigError, why_not
from multirig.state import state_folder


class InstanceLock:
    """Held while a rig runs; the system lets go of it when the process dies, however it dies.

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
        owner = self._path.with_suffix(".pid")
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

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()
