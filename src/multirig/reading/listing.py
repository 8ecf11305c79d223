"""All sessions that this PC, or a server, knows."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError
from multirig.reading.loading import load
from multirig.reading.parts import Collection, look
from multirig.reading.places import Place, find_roots, find_subjects
from multirig.reading.rows import Rows
from multirig.reading.session import LoadedSession
from multirig.record.account import read_account
from multirig.record.catalogue import WORDS, Catalogue, Listed
from multirig.wording import to_cell

COLUMNS = (
    "exp_ref",
    "subject",
    "date",
    "number",
    "verdict",
    "reason",
    "began",
    "seconds",
    "rigs",
    "not_verified",
    "files",
    "bytes",
    "task",
    "projects",
    "procedures",
    "collected",
    "missing",
    "folder",
)
"""Of the table of all sessions."""


CSV_COLUMNS = tuple(name for name in COLUMNS if name not in ("projects", "procedures"))
"""Of ``multirig history --csv``."""


@dataclass(frozen=True, kw_only=True)
class ListedSession:
    """One session, as a list of many shows it."""

    listed: Listed
    """What the index holds of it."""

    @property
    def exp_ref(self) -> str:
        """Its reference, ``yyyy-mm-dd_n_subject``."""
        return self.listed.exp_ref

    @property
    def verdict(self) -> str:
        """What it turned out to be: GOOD, …, or NOT OVER, or NO VERDICT."""
        return self.listed.word

    @property
    def reason(self) -> str:
        """The gravest, in one line."""
        return self.listed.reason

    @property
    def rigs(self) -> tuple[str, ...]:
        """Who took part, by the journal; of a rig's part alone, whose it is."""
        return self.listed.rigs or tuple(self.collected.parts)

    @property
    def began(self) -> datetime.datetime | None:
        """When all rigs recorded, or else when it was begun, in this PC's zone; None: not known."""
        at = self.listed.began_at
        return None if at is None else datetime.datetime.fromtimestamp(at).astimezone()

    @property
    def seconds(self) -> float | None:
        """For how long it was recorded; None: not known."""
        return self.listed.seconds

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.listed.folder

    @cached_property
    def collected(self) -> Collection:
        """Which rigs' parts are in its folder; looked up when it is asked for."""
        try:
            told = read_account(self.folder)
        except ConfigError:
            told = None
        return look([self.folder], told)

    @property
    def missing(self) -> dict[str, str]:
        """Rigs of which something is not in its folder → what, and what to do."""
        return self.collected.missing

    def load(self) -> LoadedSession:
        """Return it with all that is in it."""
        return load(self.folder)

    def to_row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        one, collected = self.listed, self.collected
        cells = (
            one.exp_ref,
            one.subject,
            one.date,
            one.number,
            one.word,
            one.reason,
            self.began,
            one.seconds,
            self.rigs,
            one.unverified,
            one.files,
            one.bytes,
            one.task,
            one.projects,
            one.procedures,
            collected.is_whole,
            tuple(collected.missing),
            str(one.folder),
        )
        return dict(zip(COLUMNS, cells, strict=True))

    def __repr__(self) -> str:
        return f"<session {self.exp_ref}: {self.listed.headline}>"


def write_csv(found: Iterable[ListedSession]) -> str:
    """Return sessions as CSV: a heading, and a line for each; names in one cell are parted by spaces."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    for one in found:
        row = one.to_row()
        table.writerow(_to_cell(row[name]) for name in CSV_COLUMNS)
    return text.getvalue()


def _to_cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case tuple():
            return to_cell(" ".join(map(str, value)))
        case str():
            return to_cell(value)
        case datetime.datetime():
            return value.isoformat(timespec="milliseconds")
        case float():
            return f"{value:.3f}"
    return str(value)


def sessions(
    place: Place | Iterable[Place] | None = None,
    *,
    subject: str = "",
    since: datetime.date | str | None = None,
    until: datetime.date | str | None = None,
    verdict: str | None = None,
    text: str = "",
    limit: int | None = None,
) -> Rows[ListedSession]:
    """Return the sessions that this PC, or a server, knows, the newest first.

    Parameters
    ----------
    place : path or iterable of path, optional
        Where they lie: a data folder, a lab's folder, a server, a cache of ONE, or several; without it,
        wherever a session was begun on this PC.
    subject : str
        Part of the subject's name, in capitals or not.
    since : datetime.date or str, optional
        The first day; as text, ``2026-01-31``.
    until : datetime.date or str, optional
        The last day.
    verdict : str, optional
        GOOD, DEGRADED, INCOMPLETE, INTERRUPTED, ABORTED, NOT OVER or NO VERDICT.
    text : str
        Words, or parts of words, that all stand somewhere in a session's reference, reasons, markers, rigs,
        task and projects.
    limit : int, optional
        How many at most; None: all.

    Returns
    -------
    Rows of ListedSession
        ``.to_pandas()`` makes a table of it; ``["2026-01-31_1_SP_01"]`` finds one.

    Raises
    ------
    ConfigError
        A place is not there, or holds no sessions; or there is no such verdict, or day.
    """
    verdict = verdict.upper() if isinstance(verdict, str) else verdict
    if verdict is not None and verdict not in WORDS:
        raise ConfigError(f"verdict {verdict!r} is none: choose one of {', '.join(WORDS)}")
    roots = find_roots(place)
    catalogue = Catalogue((lambda: roots) if place is not None else find_subjects)
    catalogue.refresh()
    asked: dict[str, Any] = {
        "subject": subject,
        "since": _to_day(since, "since"),
        "until": _to_day(until, "until"),
        "verdict": verdict,
        "text": text,
    }
    most = catalogue.count(**asked) if limit is None else limit
    found = [ListedSession(listed=one) for one in catalogue.search(**asked, limit=most)]
    return Rows(found, name=lambda one: one.exp_ref, columns=COLUMNS)


def _to_day(day: datetime.date | str | None, name: str) -> datetime.date | None:
    if isinstance(day, datetime.datetime):
        return day.date()
    if day is None or isinstance(day, datetime.date):
        return day
    try:
        return datetime.date.fromisoformat(day)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} {day!r} is no day: write 2026-01-31, or a datetime.date") from None
