"""All sessions of a PC, found again quickly: an index of its session folders, which holds nothing of its own.

It is an SQLite file in the user's cache folder, made anew from the folders whenever it is missing, of another
version, or damaged. Several programs may use it at once, and any thread.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from multirig.errors import LocalProtocolError, MultirigError, why_not
from multirig.folders import is_data_name, is_description
from multirig.protocol.exp_ref import check_subject
from multirig.record.account import FILE_NAME as VERDICT_NAME
from multirig.record.account import Account, read_account
from multirig.record.described import (
    SETTINGS_NAME,
    read_description,
    read_names,
    read_protocols,
    read_settings,
)
from multirig.record.journal import FILE_NAME as JOURNAL_NAME
from multirig.record.manifest import PREFIX as MANIFESTS
from multirig.record.register import SESSION_COLUMNS, Register, changing, clean
from multirig.record.story import say_marker
from multirig.record.verdict import Word, say_short, say_unverified

NOT_OVER = "NOT OVER"
"""Stands in place of a verdict: the session goes on, or whoever led it has died."""
NO_VERDICT = "NO VERDICT"
"""Stands in place of a verdict: there is no journal, or it cannot be read."""
WORDS = (*map(str, Word), NOT_OVER, NO_VERDICT)
"""What may be searched for."""
BATCH = 200
"""Sessions that are taken up in one go: others see them, and a program that is ended loses no more."""
MAX_MARKERS = 1000
"""Different markers of a session that can be searched for."""

log = logging.getLogger("multirig.record")

_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile("[0-9]{1,3}")
_SETTINGS = ("raw_task_data_00", SETTINGS_NAME)
"""The one witness where no rig took part."""
_WATCHED = frozenset({JOURNAL_NAME, VERDICT_NAME})
"""Files by which a session is known to have changed."""
_UNREADABLE = (MultirigError, OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What comes of files that are not what they should be."""
_SEEN = """
CREATE TEMP TABLE IF NOT EXISTS roots (root TEXT PRIMARY KEY);
DELETE FROM temp.roots;
CREATE TEMP VIEW IF NOT EXISTS here AS
    SELECT * FROM main.sessions WHERE root IN (SELECT root FROM temp.roots);
CREATE TEMP VIEW IF NOT EXISTS named AS
    SELECT * FROM main.subjects WHERE root IN (SELECT root FROM temp.roots);
"""
"""Of the tables what is in the folders that are looked into: the file holds those of all programs."""
_ORDER = "ORDER BY day DESC, began_at DESC, number DESC, path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One session, as far as a list of many shows it."""

    folder: Path
    exp_ref: str
    subject: str
    date: datetime.date
    number: int
    verdict: Word | None
    """What it turned out to be, or would be if it ended here; None: there is no journal to say."""
    word: str
    """The verdict on a session that is over; else `NOT_OVER` or `NO_VERDICT`."""
    reason: str = ""
    """The gravest, in one line; of a session without reasons, which rigs are not verified, and why."""
    unverified: int = 0
    """How many rigs are not verified."""
    began_at: float | None = None
    """When all rigs recorded, or else when it was begun: seconds since 1970."""
    seconds: float | None = None
    """For how long it was recorded."""
    rigs: tuple[str, ...] = ()
    files: int = 0
    """Of all rigs and of this PC."""
    bytes: int = 0
    task: str | None = None
    """What this PC ran meanwhile; None: the rigs alone recorded."""
    person: str | None = None
    """Who led it; None: there was no name, as at a terminal."""
    projects: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The verdict with the number of rigs that are not verified."""
        return say_short(self.word, self.unverified)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "folder": str(self.folder), "date": self.date.isoformat()}


class Catalogue:
    """The sessions below folders ``…/Subjects``.

    Parameters
    ----------
    subjects : pathlib.Path or callable
        The folder of a lab's subjects on this PC, which need not exist yet; or what returns all of them,
        asked anew at each refresh.
    file : pathlib.Path, optional
        Where the index is kept; by default in the user's cache folder, one for all folders. Where that cannot
        be used, it is kept in this program's memory, and the log says so.
    """

    def __init__(self, subjects: Path | Callable[[], Sequence[Path]], file: Path | None = None) -> None:
        folder = Path(os.path.abspath(subjects)) if isinstance(subjects, Path) else Path()
        self._find_roots = (lambda: [folder]) if isinstance(subjects, Path) else subjects
        self.roots: Sequence[Path] = ()
        """The folders ``…/Subjects`` that were looked into."""
        self._register = Register(file, prepare=self._prepare, fill=self._refresh)
        self._told: set[tuple[Path, str]] = set()
        """Folders of which it was said already that they cannot be read."""

    def refresh(self) -> None:
        """Take up session folders that are new, that have changed, or that are gone.

        Where nothing has changed, each folder is listed and nothing is read. It blocks: call it in a thread.

        Raises
        ------
        ConfigError
            The index cannot be written.
        """
        self._register.use(self._refresh)

    def rebuild(self) -> None:
        """Make the index anew from the folders.

        Raises
        ------
        ConfigError
            The index cannot be written.
        """
        self._told.clear()
        self._register.use(_empty)
        self.refresh()

    def search(
        self,
        *,
        subject: str = "",
        since: datetime.date | None = None,
        until: datetime.date | None = None,
        verdict: str | None = None,
        text: str = "",
        limit: int = 200,
        offset: int = 0,
    ) -> list[Listed]:
        """Return the sessions for which all of that is so, the newest first.

        Parameters
        ----------
        subject : str
            Part of the subject's name, in capitals or not.
        since, until : datetime.date, optional
            The first and the last day.
        verdict : str, optional
            One of `WORDS`.
        text : str
            Words or parts of words, in capitals or not, that all stand somewhere in its exp_ref, reasons,
            markers, rigs, task, projects and who led.
        limit, offset : int
            How many, from which one on.
        """
        where, values = _ask(subject, since, until, verdict, text)
        query = f"SELECT * FROM here {where} {_ORDER} LIMIT ? OFFSET ?"
        rows = self._register.use(lambda base: base.execute(query, (*values, limit, offset)).fetchall())
        return [self._list(row) for row in rows]

    def count(
        self,
        *,
        subject: str = "",
        since: datetime.date | None = None,
        until: datetime.date | None = None,
        verdict: str | None = None,
        text: str = "",
    ) -> int:
        """Return how many sessions `search` would find without a limit."""
        where, values = _ask(subject, since, until, verdict, text)
        query = f"SELECT count(*) FROM here {where}"
        return int(self._register.use(lambda base: base.execute(query, values).fetchone()[0]))

    def subjects(self) -> list[str]:
        """Return who can be recorded and has a folder, the most recently recorded first."""
        query = """
            SELECT named.name FROM named LEFT JOIN (
                SELECT subject, max(day) AS day, max(began_at) AS at FROM here GROUP BY subject
            ) AS recorded ON named.name = recorded.subject
            ORDER BY recorded.day DESC, recorded.at DESC, named.name
        """
        return [row[0] for row in self._register.use(lambda base: base.execute(query).fetchall())]

    def projects(self) -> list[str]:
        """Return all projects that a session was recorded for, the most recent first."""
        return self._names("projects")

    def procedures(self) -> list[str]:
        """Return all procedures that a session was recorded with, the most recent first."""
        return self._names("procedures")

    def _names(self, column: str) -> list[str]:
        query = f"SELECT {column} FROM here GROUP BY {column} ORDER BY max(day) DESC, {column}"
        rows = self._register.use(lambda base: base.execute(query).fetchall())
        return list(dict.fromkeys(name for row in rows for name in json.loads(row[0])))

    def _list(self, row: sqlite3.Row) -> Listed:
        return Listed(
            folder=Path(row["root"]) / row["path"],
            exp_ref=row["exp_ref"],
            subject=row["subject"],
            date=datetime.date.fromisoformat(row["day"]),
            number=row["number"],
            verdict=None if row["verdict"] is None else Word(row["verdict"]),
            word=row["word"],
            reason=row["reason"],
            unverified=row["unverified"],
            began_at=row["began_at"],
            seconds=row["seconds"],
            rigs=tuple(json.loads(row["rigs"])),
            files=row["files"],
            bytes=row["bytes"],
            task=row["task"],
            person=row["person"],
            projects=tuple(json.loads(row["projects"])),
            procedures=tuple(json.loads(row["procedures"])),
        )

    # -- the index -------------------------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        """Where the index is kept."""
        return self._register.file

    def _prepare(self, base: sqlite3.Connection) -> None:
        """Let only the folders be seen that are looked into."""
        base.executescript(_SEEN)
        self._see(base, self.roots or self._find_roots())

    def _see(self, base: sqlite3.Connection, roots: Sequence[Path]) -> None:
        self.roots = [Path(os.path.abspath(one)) for one in roots]
        rows = [(clean(str(one)),) for one in self.roots]
        base.executemany("INSERT OR IGNORE INTO temp.roots VALUES (?)", rows)

    # -- the folders -----------------------------------------------------------------------------------------

    def _refresh(self, base: sqlite3.Connection) -> None:
        self._see(base, self._find_roots())
        for root in self.roots:
            self._refresh_root(base, root)

    def _refresh_root(self, base: sqlite3.Connection, place: Path) -> None:
        root = clean(str(place))
        known = dict(base.execute("SELECT path, signature FROM sessions WHERE root = ?", (root,)).fetchall())
        names = {row[0] for row in base.execute("SELECT name FROM subjects WHERE root = ?", (root,))}
        found = _Scan(place)
        unread = {(place, path): text for path, text in found.unread.items()}
        for told, text in unread.items():
            if told not in self._told:
                log.warning("%s cannot be read: %s", place / told[1], text)
        self._told = {one for one in self._told if one[0] != place} | set(unread)
        hidden = tuple(f"{path}/" if path else "" for path in found.unread)
        gone = [path for path in known if path not in found.signatures and not f"{path}/".startswith(hidden)]
        changed = [path for path, signature in found.signatures.items() if known.get(path) != signature]
        left = names - found.subjects if "" not in found.unread else set()
        if gone or left or found.subjects - names:
            with changing(base):
                both = "WHERE root = ? AND"
                base.executemany(f"DELETE FROM sessions {both} path = ?", [(root, path) for path in gone])
                base.executemany(f"DELETE FROM subjects {both} name = ?", [(root, name) for name in left])
                added = [(root, name) for name in found.subjects - names]
                base.executemany("INSERT OR IGNORE INTO subjects VALUES (?, ?)", added)
        places = ", ".join(f":{column}" for column in SESSION_COLUMNS)
        for first in range(0, len(changed), BATCH):
            batch = changed[first : first + BATCH]
            rows = [{**_read_row(place, path, found.signatures[path]), "root": root} for path in batch]
            with changing(base):
                base.executemany(f"INSERT OR REPLACE INTO sessions VALUES ({places})", rows)


def _empty(base: sqlite3.Connection) -> None:
    with changing(base):
        for table in ("sessions", "subjects"):
            base.execute(f"DELETE FROM main.{table} WHERE root IN (SELECT root FROM temp.roots)")


def _ask(
    subject: str,
    since: datetime.date | None,
    until: datetime.date | None,
    verdict: str | None,
    text: str,
) -> tuple[str, list[str]]:
    """Return the condition of a search, and its values."""
    asked = [
        *([("instr(folded_subject, ?) > 0", _fold(subject.strip()))] if subject.strip() else ()),
        *([("day >= ?", since.isoformat())] if since is not None else ()),
        *([("day <= ?", until.isoformat())] if until is not None else ()),
        *([("word = ?", str(verdict))] if verdict is not None else ()),
        *(("instr(folded_text, ?) > 0", word) for word in _fold(text).split()),
    ]
    where = " AND ".join(condition for condition, _ in asked)
    return f"WHERE {where}" if where else "", [value for _, value in asked]


def _fold(text: str) -> str:
    return clean(text).casefold()


class _Scan:
    """What lies below a folder of subjects now, by names, times and sizes alone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.signatures: dict[str, str] = {}
        """Path of each session below the folder → what its files looked like."""
        self.subjects: set[str] = set()
        """Who can be recorded."""
        self.unread: dict[str, str] = {}
        """Folder that cannot be listed → why not."""
        for subject in self._list(""):
            if subject.startswith(".") or not subject.isprintable():
                continue
            with contextlib.suppress(LocalProtocolError):
                self.subjects.add(check_subject(subject))
            for day in self._list(subject):
                if not _is_date(day):
                    continue
                for number in self._list(f"{subject}/{day}"):
                    if _NUMBER.fullmatch(number):
                        self._sign(f"{subject}/{day}/{number}")

    def _list(self, path: str) -> list[str]:
        """Return the folders in a folder."""
        try:
            with os.scandir(self._root / path) as found:
                return sorted(one.name for one in found if one.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.unread[path] = why_not(error)
            return []

    def _sign(self, path: str) -> None:
        """Note a session, unless there is nothing in its folder."""
        folder = f"{self._root}{os.sep}{path}"
        marks = []
        is_empty, has_journal = True, False
        try:
            with os.scandir(folder) as found:
                for one in found:
                    if one.name in _WATCHED or is_description(one.name):
                        marks.append(_mark(one.name, one.stat()))
                    is_empty = is_empty and one.name.startswith(".")
                    has_journal = has_journal or one.name == JOURNAL_NAME
            if not has_journal:
                marks.append(_mark("", os.stat(folder)))
                with contextlib.suppress(FileNotFoundError):
                    marks.append(_mark(_SETTINGS[1], os.stat(os.path.join(folder, *_SETTINGS))))
        except FileNotFoundError:  # it goes away just now
            return
        except OSError as error:
            self.unread[path] = why_not(error)
            return
        if not is_empty:
            self.signatures[path] = " ".join(sorted(marks))


def _is_date(name: str) -> bool:
    if not _DATE.fullmatch(name):
        return False
    try:
        datetime.date.fromisoformat(name)
    except ValueError:
        return False
    return True


def _mark(name: str, stat: os.stat_result) -> str:
    return f"{name}:{stat.st_mtime_ns}:{stat.st_size}"


# -- one session -----------------------------------------------------------------------------------------


def _read_row(subjects: Path, path: str, signature: str) -> dict[str, Any]:
    """Return what the index holds of a session; what cannot be read of it is logged."""
    subject, day, number = path.split("/")
    folder = subjects / path
    row: dict[str, Any] = {
        "path": path,
        "signature": signature,
        "exp_ref": f"{day}_{int(number)}_{subject}",
        "subject": subject,
        "day": day,
        "number": int(number),
        "word": NO_VERDICT,
        "verdict": None,
        "reason": "",
        "unverified": 0,
        "began_at": None,
        "seconds": None,
        "files": 0,
        "bytes": 0,
        "task": None,
        "person": None,
    }
    lists: dict[str, Sequence[str]] = {"rigs": (), "projects": (), "procedures": ()}
    told: Account | None = None
    try:
        told = read_account(folder)
        row |= _tell_alone(folder) if told is None else _tell(told)
        lists["rigs"] = [] if told is None else list(told.rigs)
    except _UNREADABLE as error:
        text = " ".join(str(error).split())
        log.warning("%s is listed without what is in it, which cannot be read: %s", folder, text)
        row["reason"] = f"it cannot be read: {text}"
    described = read_description(folder)
    lists |= {name: read_names(described, name) for name in ("projects", "procedures")}
    row["task"] = ", ".join(read_protocols(described)) or row["task"]
    searched = [row["exp_ref"], *lists["rigs"], row["task"] or "", *lists["projects"], row["reason"]]
    searched.append(row["person"] or "")
    if told is not None:
        markers = dict.fromkeys(say_marker(one.text, one.data) for one in told.markers)
        searched += [*told.reasons, *list(markers)[:MAX_MARKERS]]
    row |= {name: json.dumps(list(map(clean, names))) for name, names in lists.items()}
    row |= {"folded_subject": _fold(subject), "folded_text": _fold("\n".join(searched))}
    return {key: clean(value) if isinstance(value, str) else value for key, value in row.items()}


def _tell(told: Account) -> dict[str, Any]:
    """Return what an account says, as the index holds it."""
    began = None if told.began is None else datetime.datetime.fromisoformat(told.began).timestamp()
    start, end = told.running_from, told.running_until
    if end is None and not told.is_final:
        end = told.ended_at
    if began is not None and start is not None and told.began_at is not None and start >= told.began_at:
        began += start - told.began_at
    doubt = say_unverified(told.unverified) if told.unverified else ""
    return {
        "word": str(told.verdict) if told.is_final else NOT_OVER,
        "verdict": str(told.verdict),
        "reason": " ".join(next(iter(told.reasons), doubt).split()),
        "unverified": len(told.unverified),
        "person": told.person,
        "began_at": began,
        "seconds": None if start is None or end is None or end < start else end - start,
        "files": sum(rig.files_total for rig in told.rigs.values()) + told.own_files_total,
        "bytes": sum(rig.bytes_total for rig in told.rigs.values()) + told.own_bytes_total,
    }


def _tell_alone(folder: Path) -> dict[str, Any]:
    """Return what is known of a session that has no journal here."""
    sizes = []
    is_part = False
    for parent, _, names in os.walk(folder):
        is_part = is_part or any(name.startswith(MANIFESTS) for name in names)
        for name in names:
            if is_data_name(name):
                with contextlib.suppress(OSError):  # one that goes away just now
                    sizes.append(os.stat(os.path.join(parent, name)).st_size)
    reason = (
        "a rig's part: the PC that led has the journal; multirig show --verify checks the files here"
        if is_part
        else "recorded without rigs"
    )
    settings = read_settings(folder.joinpath(*_SETTINGS))
    begun, ended = _time(settings.get("SESSION_START_TIME")), _time(settings.get("SESSION_END_TIME"))
    protocol = settings.get("PYBPOD_PROTOCOL")
    return {
        "reason": reason,
        "began_at": begun,
        "seconds": None if begun is None or ended is None or ended < begun else ended - begun,
        "files": len(sizes),
        "bytes": sum(sizes),
        "task": str(protocol) if protocol else None,
    }


def _time(text: object) -> float | None:
    """Return an ISO time of day on this PC in seconds since 1970."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
