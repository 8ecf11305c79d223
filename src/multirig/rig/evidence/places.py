"""Files that are not what their rig's config or their names promise: missing, links, of odd names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from multirig.lifecycle.owners import is_owned
from multirig.protocol.words import File
from multirig.record.spelling import find_file, is_odd
from multirig.rig.adapter import Finding, Level

KIND = "file"
"""Of what is found of files."""
NAMED = 4
"""Findings of one kind that are told: they travel in one datagram."""
_PATTERN = re.compile(r"[*?]")


def find_missing(owned: Iterable[str], files: Sequence[File], at: float) -> Iterator[Finding]:
    """Yield the files that are promised by their whole names, and are not there.

    Parameters
    ----------
    owned : iterable of str
        What the rig writes, as `Adapter.owns` returns it.
    files : sequence of File
        Those that are there.
    at : float
        When that is: seconds on the conductor's clock.
    """
    names = [one for one in owned if not _PATTERN.search(one)]
    missing = [name for name in names if not any(is_owned(file.path, [name]) for file in files)]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        text = f"{', '.join(missing[:NAMED])}{more} never came: writes in its config promises it"
        yield Finding(level=Level.WARNING, kind=KIND, text=text, at=at, until=at)


def find_odd(folder: Path, files: Sequence[File], at: float) -> Iterator[Finding]:
    """Yield links that lead out of the session's folder, and names that are no text; looks at the disk.

    Parameters
    ----------
    folder : pathlib.Path
        The session's.
    files : sequence of File
    at : float
        When that is: seconds on the conductor's clock.
    """
    whole = folder.resolve()

    def find() -> Iterator[str]:
        for file in files:
            path = find_file(folder, file.path)
            if is_odd(file.path) and path != folder / file.path:
                yield f"{file.path}: this name is no text (UTF-8): other programs may not open it; rename it"
            if path.is_symlink() and not (target := path.resolve()).is_relative_to(whole):
                yield f"{file.path} is a link to {target}: whoever copies the folder copies no data"

    for text in islice(find(), NAMED):
        yield Finding(level=Level.NOTE, kind=KIND, text=text, at=at, until=at)
