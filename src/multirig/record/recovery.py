"""Sessions whose conductor has died: found by their journals, and nothing else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from multirig.errors import ConfigError
from multirig.lifecycle.session_states import UNTOUCHED, SessionState
from multirig.protocol.exp_ref import ExpRef
from multirig.record.journal import FILE_NAME, LOCK_NAME, replay

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


def find_open(*subjects: Path) -> list[OpenSession]:
    """Return the sessions whose rigs were touched and never let go of, and which nobody leads; newest first.

    Parameters
    ----------
    *subjects : pathlib.Path
        Folders ``…/Subjects`` on this PC.
    """
    found = []
    all_journals = (journal for one in subjects for journal in one.glob(f"*/*/*/{FILE_NAME}"))
    journals = sorted(all_journals, key=_last_written, reverse=True)
    for journal in journals[:MAX_LOOKED_AT]:
        folder = journal.parent
        try:
            machine = replay(folder)
        except ConfigError as error:
            log.warning("%s", error)
            continue
        if machine.state in UNTOUCHED or machine.exp_ref is None or is_led(folder):
            continue
        found.append(
            OpenSession(folder=folder, exp_ref=machine.exp_ref, state=machine.state, rigs=tuple(machine.rigs))
        )
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
