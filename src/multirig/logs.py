"""Where multirig's programs write down what they do."""

from __future__ import annotations

import logging
import logging.handlers
import re
from pathlib import Path

import platformdirs

from multirig.errors import ConfigError
from multirig.wording import discreet


class _Discreet(logging.Formatter):
    """Writes lines, and the stacks beneath them, without the passwords in them."""

    def format(self, record: logging.LogRecord) -> str:
        return discreet(super().format(record))


def log_folder() -> Path:
    """Return the user's own folder for multirig's logs."""
    return platformdirs.user_log_path("multirig", appauthor=False)


def keep_log(name: str, folder: Path | None = None) -> Path:
    """Write what multirig does into a log file, and return where."""
    folder = folder or log_folder()
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=5_000_000, backupCount=3, encoding="utf-8", delay=True
        )
    except OSError as error:
        raise ConfigError(f"cannot write the log {path}: {error.strerror or error}; set log_folder") from None
    handler.setFormatter(
        _Discreet("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    root = logging.getLogger("multirig")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    root.propagate = False
    return path
