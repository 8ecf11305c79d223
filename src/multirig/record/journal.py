"""The journal's file, as it is read; a torn last line, as a crash leaves it, is no error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from multirig.errors import ConfigError, why_not
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import StepRequested
from multirig.lifecycle.session_states import SessionTrigger
from multirig.record.entries import Entry, parse_journal, parse_lines
from multirig.record.history import History, Replay, rebuild, retrace
from multirig.record.recount import summarise
from multirig.record.spare import find_rest, read_spare
from multirig.record.summary import Summary

FILE_NAME = "_multirig_journal.jsonl"
"""In the session folder on the conductor's PC."""
LOCK_NAME = ".multirig_journal.lock"
"""Beside the journal, while somebody writes it."""


def read_journal(folder: Path) -> Iterator[Entry]:
    """Return the entries of a session's journal, oldest first.

    Parameters
    ----------
    folder : Path
        The session folder.

    Raises
    ------
    ConfigError
        There is no journal, a line other than the last is not one of a journal, or it is of a format that
        is not known here.
    """
    yield from parse_journal(_read(folder), folder / FILE_NAME)


def read_summary(folder: Path) -> Summary:
    """Return what a session was, by what can be read of its journal; it blocks, and keeps no line.

    Raises
    ------
    ConfigError
        There is no journal, or it is of a format that is not known here.
    """
    replay = Replay()
    return summarise(replay.run(parse_lines(_read(folder), folder / FILE_NAME)), replay.unreadable)


def read_history(folder: Path) -> History:
    """Return a session's history, by what can be read of its journal; it blocks.

    Raises
    ------
    ConfigError
        There is no journal, or it is of a format that is not known here.
    """
    return retrace(parse_lines(_read(folder), folder / FILE_NAME))


def replay(folder: Path) -> SessionMachine:
    """Return the session machine as it was when the journal ends.

    Raises
    ------
    ConfigError
        There is no journal, a line other than the last is not one of a journal, or it is of a format that
        is not known here.
    """
    return rebuild(read_journal(folder))


def holds_start(folder: Path) -> bool:
    """Whether a session was started under this folder's number, by its journal."""
    if not (folder / FILE_NAME).exists():
        return False
    events = (entry.event for entry in read_journal(folder))
    return any(isinstance(one, StepRequested) and one.trigger is SessionTrigger.START for one in events)


def _read(folder: Path) -> bytes:
    spare = read_spare(folder)
    try:
        whole = (folder / FILE_NAME).read_bytes()
        return whole + find_rest(whole, spare)
    except OSError as error:
        if spare:  # the folder was moved or removed while the session went on
            return spare
        raise ConfigError(f"no journal in {folder}: {why_not(error)}; is it a session folder?") from None
