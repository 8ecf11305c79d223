"""Where it goes that the disk of a session does not take: into the user's state folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from multirig import formats
from multirig.errors import ConfigError
from multirig.state import state_folder
from multirig.writing import write_whole

FORMAT = 1
"""Of the file that says what was not written."""


def spare_file(folder: Path) -> Path:
    """Return where the end of the journal of a session folder lies, if it lies there."""
    return _place(folder, ".jsonl")


def read_spare(folder: Path) -> bytes:
    """Return the end of a journal that its own disk did not take; mostly there is none."""
    try:
        return spare_file(folder).read_bytes()
    except OSError:
        return b""


def find_rest(whole: bytes, spare: bytes) -> bytes:
    """Return what a spare holds beyond the journal: all of it was put there if its folder was gone."""
    return spare[len(whole) :] if spare.startswith(whole) else spare


def write_spare(folder: Path, rest: bytes) -> Path:
    """Keep the end of a journal; return where. OSError: that disk does not take it either."""
    path = spare_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, rest)
    return path


def remove_spare(folder: Path) -> None:
    """Forget it: it stands in the journal itself now."""
    with contextlib.suppress(OSError):
        spare_file(folder).unlink()


def say_gone(folder: Path, where: object) -> str:
    """Return that the folder of a session went away while the session was led, and where its journal is."""
    return f"the session's folder {folder} was moved or removed meanwhile: its whole journal lies in {where}"


# -- what was not written ---------------------------------------------------------------------------------


def losses_file(folder: Path) -> Path:
    """Return where it says what else the disk of a session folder did not take, if it says so."""
    return _place(folder, ".losses.json")


def read_losses(folder: Path) -> list[str]:
    """Return what of a session could not be written into its folder, a line each; mostly nothing."""
    path = losses_file(folder)
    try:
        found = json.loads(path.read_bytes())
        formats.check_format(found.get(formats.KEY), FORMAT, path)
        return [str(line) for line in found["losses"]]
    except OSError:
        return []
    except ConfigError as error:
        return [f"something could not be written; what, cannot be read: {error}"]
    except (ValueError, TypeError, AttributeError, KeyError):
        return [f"something could not be written; what, cannot be read: {path} is damaged"]


def write_losses(folder: Path, lines: Sequence[str]) -> None:
    """Keep for every later account what could not be written; nothing: all of it is there now."""
    path = losses_file(folder)
    with contextlib.suppress(OSError):  # whoever leads the session has been told, and it is in the log
        if lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({formats.KEY: FORMAT, "losses": [*lines]}, indent=1).encode())
        else:
            path.unlink(missing_ok=True)


def _place(folder: Path, suffix: str) -> Path:
    mark = hashlib.blake2b(os.fsencode(folder.absolute()), digest_size=8).hexdigest()
    return state_folder() / "journals" / f"{folder.parent.name}_{folder.name}-{mark}{suffix}"
