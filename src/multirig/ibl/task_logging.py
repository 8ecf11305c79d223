"""What a task says: on the screen, and in a file beside its data."""

from __future__ import annotations

import datetime
import logging
import sys
from pathlib import Path

from multirig.errors import ConfigError

LOGGER = "multirig.task"
FILE_NAME = "_ibl_log.info-acquisition.log"
FILE_ONLY = "file_only"
"""Attribute of a record that the screen shows in another way already."""
_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"


class Screen(logging.Handler):
    """Prints what a task says on the standard error of the moment; stacks are for the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        if getattr(record, FILE_ONLY, False):
            return
        try:
            time = datetime.datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
            sys.stderr.write(f"{time} {record.getMessage()}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  as in every handler of logging: a lost screen ends no session
            self.handleError(record)


def task_logger(level: str | int) -> logging.Logger:
    """Return the tasks' logger, which also prints on the screen.

    Raises
    ------
    ConfigError
        There is no such level.
    """
    logger = logging.getLogger(LOGGER)
    try:
        logger.setLevel(level.upper() if isinstance(level, str) else level)
    except (TypeError, ValueError):
        raise ConfigError(
            f"log_level is {level!r:.40}: give DEBUG, INFO, WARNING, ERROR or CRITICAL"
        ) from None
    if not any(isinstance(each, Screen) for each in logger.handlers):
        logger.addHandler(Screen())
    return logger


def begin_file(folder: Path) -> logging.Handler:
    """Write what multirig and the task do into a file from now on, until `end_file`."""
    handler = logging.FileHandler(folder / FILE_NAME, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))
    logging.getLogger("multirig").addHandler(handler)
    return handler


def end_file(handler: logging.Handler) -> None:
    """Close the file; Windows could not move it otherwise."""
    logging.getLogger("multirig").removeHandler(handler)
    handler.close()
