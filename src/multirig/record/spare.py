"""Where it goes that the disk of a session does not take: into the user's state folder."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from multirig.state import state_folder
from multirig.wording import one_line
from multirig.writing import write_whole


def spare_file(folder: Path) -> Path:
    """Return where the end of the journal of a session folder lies, if it lies there."""
    return _place(folder, ".jsonl")


def read_spare(folder: Path) -> bytes:
    """Return the end of a journal that its own disk did not take; mostly there is none."""
    try:
        return spare_file(folder).read_bytes()
    except OSError:
        return b""


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


# -- what was not written ---------------------------------------------------------------------------------


def read_losses(folder: Path) -> list[str]:
    """Return what of a session could not be written into its folder, a line each; mostly nothing."""
    try:
        return _place(folder, ".losses").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def write_losses(folder: Path, lines: Sequence[str]) -> None:
    """Keep for every later account what could not be written; nothing: all of it is there now."""
    path = _place(folder, ".losses")
    with contextlib.suppress(OSError):  # whoever leads the session has been told, and it is in the log
        if lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, "".join(f"{one_line(line)}\n" for line in lines).encode())
        else:
            path.unlink(missing_ok=True)


def _place(folder: Path, suffix: str) -> Path:
    mark = hashlib.blake2b(str(folder.absolute()).encode(), digest_size=8).hexdigest()
    return state_folder() / "journals" / f"{folder.parent.name}_{folder.name}-{mark}{suffix}"
