r"""Names of files that are no text: how they are written down, and found again. Pure but for `find_file`.

A Linux file system takes any bytes as a name. What is no UTF-8 of them is written as ``\xff``, a byte each,
so that every list, message and manifest can hold it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_BYTES = re.compile(r"(?:\\x[89a-f][0-9a-f])+")


def spell(path: str) -> str:
    """Return a path as it is written down."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    return path


def unspell(path: str) -> str:
    """Return the name on the disk, of a path that was written down."""
    return _BYTES.sub(lambda found: os.fsdecode(bytes.fromhex(found[0].replace("\\x", ""))), path)


def is_odd(path: str) -> bool:
    """Return whether a path that was written down may be of a name that is no text."""
    return _BYTES.search(path) is not None


def find_file(folder: Path, path: str) -> Path:
    """Return where a file is of which the path was written down; it need not be there."""
    whole = folder / path
    if not is_odd(path) or os.path.lexists(whole):
        return whole
    return folder / unspell(path)
