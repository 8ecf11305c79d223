"""The one register of the sessions on this PC: an SQLite file that holds nothing of its own.

All that is in it is known from the disks too, and it is made anew from them whenever it is missing, of
another version, or damaged. Several programs may use it at once, and any thread. `multirig.record.catalogue`
keeps in it which sessions there are, `multirig.collect.ledger` which of their files lie where.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import platformdirs

from multirig.writing import patiently

VERSION = 6
"""Of the tables, raised with every format that is read: a file of another version is made anew."""
BUSY_LIMIT = 10.0
"""Seconds to wait while another program writes."""
SESSION_COLUMNS = {
    "root": "TEXT NOT NULL",
    "path": "TEXT NOT NULL",
    "signature": "TEXT NOT NULL",
    "exp_ref": "TEXT NOT NULL",
    "subject": "TEXT NOT NULL",
    "day": "TEXT NOT NULL",
    "number": "INTEGER NOT NULL",
    "word": "TEXT NOT NULL",
    "verdict": "TEXT",
    "reason": "TEXT NOT NULL",
    "unverified": "INTEGER NOT NULL",
    "began_at": "REAL",
    "seconds": "REAL",
    "rigs": "TEXT NOT NULL",
    "files": "INTEGER NOT NULL",
    "bytes": "INTEGER NOT NULL",
    "task": "TEXT",
    "person": "TEXT",
    "projects": "TEXT NOT NULL",
    "procedures": "TEXT NOT NULL",
    "folded_subject": "TEXT NOT NULL",
    "folded_text": "TEXT NOT NULL",
}
"""Of a session; lists are JSON, and what is searched for is folded: SQLite folds ASCII only."""
_TABLES = f"""
CREATE TABLE sessions (
    {", ".join(f"{name} {kind}" for name, kind in SESSION_COLUMNS.items())}, PRIMARY KEY (root, path)
);
CREATE INDEX newest ON sessions (day DESC, began_at DESC, number DESC, path);
CREATE INDEX newest_of_word ON sessions (word, day DESC, began_at DESC, number DESC, path);
CREATE INDEX days_of_subject ON sessions (subject, day, began_at);
CREATE TABLE subjects (root TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (root, name));
CREATE TABLE copies (
    root TEXT NOT NULL, path TEXT NOT NULL, mark TEXT NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL, bytes INTEGER NOT NULL, changed_at INTEGER NOT NULL, blake2b TEXT, why TEXT NOT NULL,
    PRIMARY KEY (root, path, mark, name)
) WITHOUT ROWID;
CREATE TABLE parts (
    pc TEXT NOT NULL, exp_ref TEXT NOT NULL, told TEXT NOT NULL, PRIMARY KEY (pc, exp_ref)
) WITHOUT ROWID;
CREATE TABLE destinations (text TEXT NOT NULL PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
"""
"""Sessions and subjects in each folder; copies of files to destinations; what other PCs have said of their
parts; by which mark a destination is known again."""

log = logging.getLogger("multirig.record")

_Result = TypeVar("_Result")


class Register:
    """The file, for one kind of use.

    Parameters
    ----------
    file : pathlib.Path, optional
        By default in the user's cache folder, one for all. Where it cannot be used, it is kept in this
        program's memory, and the log says so.
    prepare : callable
        Is given each connection that is opened.
    fill : callable
        Fills the tables anew, where a file was damaged or is kept in memory.
    """

    def __init__(
        self,
        file: Path | None = None,
        *,
        prepare: Callable[[sqlite3.Connection], None] = lambda _: None,
        fill: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        cache = platformdirs.user_cache_path("multirig", appauthor=False)
        self.file = file or cache / f"sessions-{VERSION}.sqlite"
        self._prepare_use = prepare
        self._fill = fill
        self._one_at_a_time = threading.RLock()
        self._spare: sqlite3.Connection | None = None
        """Keeps the register in memory, where the file cannot be used."""

    def use(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do something with it; one that is damaged is made anew first, or kept in memory."""
        if self._spare is not None:
            return self._use_spare(action)
        try:
            try:
                with self._opened() as base:
                    return action(base)
            except sqlite3.OperationalError:  # busy, or a full disk: making it anew helps nobody
                raise
            except sqlite3.DatabaseError as error:
                log.warning("the index of sessions %s is damaged and is made anew: %s", self.file, error)
                patiently(self._remove)
                with self._opened() as base:
                    self._fill(base)
                    return action(base)
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "the index of sessions %s cannot be used: %s; it is kept in memory, which takes longer: look "
                "after the room on that disk and the rights of that folder, or delete the file",
                self.file,
                error,
            )
        self._spare = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._use_spare(self._fill)
        return self._use_spare(action)

    def _use_spare(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._one_at_a_time, self._opened() as base:
            return action(base)

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open it for one piece of work; a connection of its own is what any thread may have."""
        if (spare := self._spare) is not None:
            self._prepare(spare)
            yield spare
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self.file, timeout=BUSY_LIMIT, isolation_level=None)
        with contextlib.closing(base):
            self._prepare(base)
            yield base

    def _prepare(self, base: sqlite3.Connection) -> None:
        """Make the tables, where there are none."""
        base.row_factory = sqlite3.Row
        if not _is_current(base):
            _make_tables(base)
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute("PRAGMA temp_store = MEMORY")
        self._prepare_use(base)


@contextlib.contextmanager
def changing(base: sqlite3.Connection) -> Iterator[None]:
    """Change the register as a whole, or not at all."""
    base.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        base.execute("ROLLBACK")
        raise
    base.execute("COMMIT")


def clean(text: str) -> str:
    """Return text that a database takes: half a letter, as damaged names have it, is none."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_current(base: sqlite3.Connection) -> bool:
    return bool(base.execute("PRAGMA user_version").fetchone()[0] == VERSION)


def _make_tables(base: sqlite3.Connection) -> None:
    """Make the tables of this version, with nothing in them, unless another program has just done so."""
    with contextlib.suppress(sqlite3.OperationalError):  # whoever else is here at this moment does it
        base.execute("PRAGMA journal_mode = WAL")
    with changing(base):
        if not _is_current(base):
            for table in ("sessions", "subjects", "copies", "parts", "destinations"):
                base.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _TABLES.split(";"):
                base.execute(statement)
            base.execute(f"PRAGMA user_version = {VERSION}")
