"""The number in a file that says in which format it was written."""

from __future__ import annotations

from multirig.errors import ConfigError
from multirig.version import __version__

KEY = "format"
"""Under which it stands."""
FIRST = 1
"""Of files that say no number: those of multirig 0.1."""


def check_format(found: object, known: int, path: object, writer: object = None) -> int:
    """Return the number of a file's format.

    Parameters
    ----------
    found : object
        What stands in the file; None: nothing.
    known : int
        The newest that this program reads.
    path : object
        Of the file, for the error.
    writer : object
        Version of multirig that wrote it, where the file says so.

    Raises
    ------
    ConfigError
        It is newer than that, or no number.
    """
    if found is None:
        return FIRST
    if type(found) is not int or found < FIRST:
        raise ConfigError(f"{path}: {KEY} is {found!r:.40}, which is no format: restore the file")
    if found > known:
        by = f"multirig {writer:.40}" if isinstance(writer, str) else "a newer multirig"
        raise ConfigError(
            f"{path} has format {found}, as {by} writes it; multirig {__version__} here reads "
            f"formats up to {known}: update multirig on this PC, or read the file on one that has it"
        )
    return found
