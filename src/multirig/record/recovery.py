"""Sessions whose conductor has died: found by their journals, and nothing else."""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from multirig.errors import ConfigError
from multirig.lifecycle.session_states import UNTOUCHED, SessionState
from multirig.protocol.exp_ref import ExpRef
from multirig.record.entries import BEGINNING
from multirig.record.journal import FILE_NAME, LOCK_NAME, read_journal, replay
from multirig.wording import listed

MAX_LOOKED_AT = 200
"""Journals that are read, the newest first: a lab needs months for so many sessions."""

log = logging.getLogger("multirig.record")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session that was begun and never ended."""

    folder: Path
    exp_ref: ExpRef
    state: SessionState
    """Where it was when its conductor died."""
    rigs: tuple[str, ...]
    began: datetime.datetime
    """The last attempt at it, on this PC."""

    def say(self) -> str:
        """Return in words that it is still open, and what to do."""
        is_today = self.began.date() == datetime.date.today()
        when = self.began.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")
        return (
            f"this PC's own session of {when} is still open ({self.exp_ref}, with "
            f"{listed(self.rigs)}): 'multirig recover' goes on with it, or ends it"
        )


def find_open(*subjects: Path) -> list[OpenSession]:
    """Return the sessions whose rigs were touched and never let go of, and which nobody leads; newest first.

    Parameters
    ----------
    *subjects : pathlib.Path
        Folders ``…/Subjects`` on this PC.
    """
    found = []
    for journal in _list_journals(*subjects):
        if (one := _look(journal.parent)) is not None:
            found.append(one)
    return found


def find_open_of(exp_ref: ExpRef, *subjects: Path) -> OpenSession | None:
    """Return the session of that reference, if it is open; see `find_open`."""
    folders = [one.joinpath(*exp_ref.folder_parts()) for one in subjects]
    looked_at = (_look(folder) for folder in folders if (folder / FILE_NAME).is_file())
    return next((one for one in looked_at if one is not None), None)


def _list_journals(*subjects: Path) -> list[Path]:
    """Return the newest journals, the newest first."""
    journals = (journal for one in subjects for journal in one.glob(f"*/*/*/{FILE_NAME}"))
    return sorted(journals, key=_last_written, reverse=True)[:MAX_LOOKED_AT]


def _look(folder: Path) -> OpenSession | None:
    try:
        machine = replay(folder)
        if machine.state in UNTOUCHED or machine.exp_ref is None or is_led(folder):
            return None
        entries = [*read_journal(folder)]
    except ConfigError as error:
        log.warning("%s", error)
        return None
    attempts = [one for one in entries if one.kind == BEGINNING]
    return OpenSession(
        folder=folder,
        exp_ref=machine.exp_ref,
        state=machine.state,
        rigs=tuple(machine.rigs),
        # that line may be lost
        began=datetime.datetime.fromisoformat((attempts[-1:] or entries)[0].wall),
    )


def find_leader(folder: Path) -> str | None:
    """Return which program on this PC leads the session in a folder now, in words; None: none does."""
    if not is_led(folder):
        return None
    try:
        process = int((folder / LOCK_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):  # Windows lets nobody else read it
        return "another program on this PC"
    return f"another program on this PC (process {process})"


def find_led(*subjects: Path) -> list[tuple[Path, str]]:
    """Return the sessions that programs on this PC lead now, and which those are; newest first."""
    found = []
    for journal in _list_journals(*subjects):
        if (leader := find_leader(journal.parent)) is not None:
            found.append((journal.parent, leader))
    return found


def is_led(folder: Path) -> bool:
    """Whether a program on this PC leads the session in a folder now."""
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _last_written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
