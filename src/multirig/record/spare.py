"""Where the end of a journal goes that its own disk does not take: into the user's state folder."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from multirig.state import state_folder
from multirig.writing import write_whole


def spare_file(folder: Path) -> Path:
    """Return where the end of the journal of a session folder lies, if it lies there."""
    mark = hashlib.blake2b(str(folder.absolute()).encode(), digest_size=8).hexdigest()
    return state_folder() / "journals" / f"{folder.parent.name}_{folder.name}-{mark}.jsonl"


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
