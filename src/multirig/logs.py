"""Where multirig's programs write down what they do."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import re
import sys
from collections.abc import Callable
from pathlib import Path

from multirig.errors import why_not
from multirig.protocol.exp_ref import is_windows_device
from multirig.state import VARIABLE, log_folder
from multirig.wording import clean, discreet

MAX_BYTES = 5_000_000
"""Of one log file."""
_LIKE_A_LINE = re.compile(r"(?<=\n)(?=\d{4}-\d\d-\d\d )")
"""Where a text of several lines goes on as if another record began there."""


class _Careful(logging.Formatter):
    """Writes lines, and the stacks beneath them, without passwords and without what would forge others."""

    def format(self, record: logging.LogRecord) -> str:
        text = clean(discreet(super().format(record)), sys.maxsize, keep="\n\t")
        return _LIKE_A_LINE.sub(r"| \g<0>", text) if "\n" in text else text


def log_formatter() -> logging.Formatter:
    """Return how lines of a log are written: with the time, without passwords, none that looks like two."""
    return _Careful("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log that troubles nobody: where the disk takes no more, that is told once, and all goes on."""

    def __init__(self, path: Path, tell: Callable[[str], None], cure: str) -> None:
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=3, encoding="utf-8")
        self._tell: Callable[[str], None] | None = tell
        self._cure = cure

    def doRollover(self) -> None:
        """Begin a new file; on Windows another program may hold the old one, which grows on then."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        path = Path(self.baseFilename)
        aside = path.with_name(f"{path.name}.0")
        try:
            # this one first: if it cannot be had, the older ones stay
            path.replace(aside)
        except OSError:
            self.maxBytes += MAX_BYTES // 10
        else:
            self._number_older_files(path)
            self.maxBytes = MAX_BYTES
        self.stream = self._open()

    def _number_older_files(self, path: Path) -> None:
        """Give each older file the next number, as far as nobody holds one."""
        with contextlib.suppress(OSError):
            for number in range(self.backupCount, 0, -1):
                newer = path.with_name(f"{path.name}.{number - 1}")
                if newer.exists():
                    newer.replace(path.with_name(f"{path.name}.{number}"))

    def close(self) -> None:
        """Close the file; what the disk did not take is told already."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once that lines are missing."""
        error, tell = sys.exc_info()[1], self._tell
        if isinstance(error, OSError):
            self._tell = None
            if tell is not None:
                tell(f"the log {self.baseFilename} misses lines ({why_not(error)}); {self._cure}")
        else:
            super().handleError(record)


def keep_log(
    name: str, folder: Path | None = None, *, tell: Callable[[str], None] | None = None
) -> Path | None:
    """Write what multirig does into a log file.

    Parameters
    ----------
    name : str
        Of the log.
    folder : pathlib.Path, optional
        Where it goes, as a rig's ``log_folder`` says; without it, the user's own folder for logs.
    tell : callable, optional
        Is given a line where it cannot be written: a log holds up nothing. Without it, the screen is.

    Returns
    -------
    pathlib.Path or None
        The file; None: it cannot be written.
    """
    tell = tell or _say
    cure = f"choose another folder by {VARIABLE}" if folder is None else "look at its log_folder"
    folder = folder or log_folder()
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    path = folder / f"{'_' if is_windows_device(stem) else ''}{stem}.log"
    root = logging.getLogger("multirig")
    root.setLevel(logging.INFO)
    root.propagate = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(path, tell, cure)
    except OSError as error:
        root.addHandler(logging.NullHandler())
        tell(f"no log is kept: {path} cannot be written ({why_not(error)}); {cure}")
        return None
    handler.setFormatter(log_formatter())
    root.addHandler(handler)
    return path


def _say(line: str) -> None:
    if sys.stderr is not None:
        print(f"! {line}", file=sys.stderr)
