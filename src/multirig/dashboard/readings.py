"""What a session's journal holds for its page: read and replayed once, and kept until the journal changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from multirig.errors import ConfigError, why_not
from multirig.record.drawing import draw_bytes
from multirig.record.journal import FILE_NAME, read_history
from multirig.record.plot import Picture, compose
from multirig.record.recount import summarise
from multirig.record.story import Line, tell
from multirig.record.summary import Summary

_KEPT_PLOTS = 8
_KEPT_READINGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One journal."""

    summary: Summary
    picture: Picture
    lines: Sequence[Line]


def read(folder: Path) -> Reading:
    """Return what a session's journal holds for its page; it blocks.

    Raises
    ------
    ConfigError
        There is no journal.
    """
    try:
        return _read(folder, *_sign(folder))
    except OSError as error:
        raise ConfigError(f"no journal in {folder}: {why_not(error)}") from None


def draw_plot(folder: Path, *, is_dark: bool = False) -> bytes:
    """Return a session's picture; it blocks.

    Raises
    ------
    ConfigError
        There is no journal, or matplotlib is missing.
    OSError
        The journal cannot be looked at.
    """
    return _draw(folder, *_sign(folder), is_dark=is_dark)


def _sign(folder: Path) -> tuple[int, int]:
    """Return by what a journal that has changed is known."""
    status = (folder / FILE_NAME).stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=_KEPT_READINGS)
def _read(folder: Path, changed: int, length: int) -> Reading:
    history = read_history(folder)
    summary, lines = summarise(history.moments, history.unreadable), tuple(tell(history.moments))
    return Reading(summary=summary, picture=compose(history, summary, lines), lines=lines)


@lru_cache(maxsize=_KEPT_PLOTS)
def _draw(folder: Path, changed: int, length: int, *, is_dark: bool) -> bytes:
    return draw_bytes(_read(folder, changed, length).picture, "svg", is_dark=is_dark)
