"""By which path this PC finds multirig again, also after an upgrade."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from multirig.errors import ConfigError

_PASSING = re.compile(
    r"[/\\](?:uv[/\\](?:cache[/\\])?(?:archive|builds|environments)-v\d+|pipx[/\\]\.cache|\.cache[/\\]pipx)[/\\]"
)
"""Where uvx, uv run and pipx run put what they remove again."""


def find_program(
    argv0: str | None = None,
    executable: str | None = None,
    *,
    exists: Callable[[Path], bool] = Path.is_file,
    is_windows: bool = os.name == "nt",
) -> tuple[str, ...]:
    """Return the words that call the multirig that runs now, whatever folder a terminal is in.

    A link is taken as it is: uv and pipx leave theirs in place, and change where it leads.

    Parameters
    ----------
    argv0, executable : str, optional
        How this program was called, and its Python; without them, this process's own.
    exists : callable, optional
        Whether there is such a file.
    is_windows : bool
        Whether programs end in ``.exe``.

    Raises
    ------
    ConfigError
        It lies where it will soon be removed.
    """
    python = Path(os.path.abspath(executable or sys.executable))
    called = Path(os.path.abspath(argv0 or sys.argv[0]))
    ending = ".exe" if is_windows else ""
    candidates = [called, called.with_name(called.name + ending), python.with_name(f"multirig{ending}")]
    named = (one for one in candidates if one.name.lower() == f"multirig{ending}" and exists(one))
    words = next(((str(one),) for one in named), (str(python), "-m", "multirig"))
    for path in (*words, str(python)):
        if _PASSING.search(path):
            raise ConfigError(
                f"multirig runs from {python.parent} for this once, and is removed again: "
                "install it to stay: uv tool install multirig, or pipx install multirig"
            )
    return words
