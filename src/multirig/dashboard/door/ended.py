"""Sessions of browsers that have logged out: a file, so that none lives again with the console."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from multirig import formats
from multirig.dashboard.door.secret import LOCK_LIMIT
from multirig.errors import ConfigError, why_not
from multirig.writing import write_whole

FILE_NAME = "ended.json"
FORMAT = 1

log = logging.getLogger("multirig.dashboard")


def read_ended(folder: Path) -> dict[str, int]:
    """Return which sessions were ended, and until when each would have lasted, in seconds since 1970.

    Raises
    ------
    ConfigError
        It is of a newer multirig, or damaged: what has been ended would live again.
    """
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_bytes())
        found = content["ended"] if isinstance(content, dict) else None
        if not isinstance(found, dict):
            raise ValueError
        formats.check_format(content.get(formats.KEY), FORMAT, path)
        return {str(name): int(until) for name, until in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = why_not(error) if isinstance(error, OSError) else "it is damaged"
        raise ConfigError(
            f"{path}: which browsers have logged out cannot be read ({why}): delete it, and "
            f"{folder / 'secret'} with it: all browsers are asked for the password again"
        ) from None


def keep_ended(folder: Path, ended: Mapping[str, int], now: float) -> None:
    """Keep what was ended, besides what another console of this user has ended; it blocks."""
    try:
        with FileLock(folder / "secret.lock", timeout=LOCK_LIMIT):
            all_ended = {**read_ended(folder), **ended}
            kept = {name: until for name, until in all_ended.items() if now < until}
            text = json.dumps({formats.KEY: FORMAT, "ended": kept}, indent=1)
            write_whole(folder / FILE_NAME, text.encode(), is_private=True)
    except (OSError, ConfigError) as error:
        log.error("a log-out holds only until the console is started again: %s", error)
