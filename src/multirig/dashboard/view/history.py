"""All sessions that were recorded: what is asked for, and a row for each that is found."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from multirig import wording
from multirig.dashboard.view.tones import ICONS, VERDICT_TONES, Tone
from multirig.errors import ConfigError
from multirig.record.catalogue import NO_VERDICT, NOT_OVER, WORDS, Listed
from multirig.record.verdict import MEANING, Word
from multirig.wording import size

SHOWN = 100
"""Rows at first, and more for each press of "Show more"."""
MAX_ASKED = 200
"""Characters of a field that are looked at."""
ANY = "any verdict"
_HISTORY = "/history"
_MAX_NAME = 255
"""Characters that a folder's name has at most."""
_LEADS_OUT = frozenset("/\\:")
"""What is no part of a folder's name, on one system or another."""
_OTHER_WORDS: Mapping[str, tuple[Tone, str]] = {
    NOT_OVER: (Tone.BUSY, "it goes on, or whoever led it has died"),
    NO_VERDICT: (Tone.PLAIN, "there is no journal here that could tell"),
}
"""Of what stands in place of a verdict: how good it is, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What somebody looks for; what is empty does not matter."""

    subject: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None
    verdict: str | None = None
    """One of the catalogue's `WORDS`."""
    text: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether everything is looked for."""
        return self == Search()

    def to_catalogue(self) -> dict[str, Any]:
        """Return it as the catalogue's search takes it."""
        return {
            "subject": self.subject,
            "since": self.since,
            "until": self.until,
            "verdict": self.verdict,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A session in the list."""

    link: str
    """Of its own page."""
    word: str
    """The verdict, with the number of rigs that are not verified."""
    tone: Tone
    icon: str
    day: str
    when: str
    """The day, and the time of day by this PC's clock where that is known."""
    number: str
    subject: str
    length: str
    rigs: str
    task: str
    person: str
    """Who led it."""
    size: str
    reason: str
    """The gravest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """The list, as it is shown."""

    rows: tuple[HistoryRow, ...]
    has_tasks: bool
    """Whether any of them ran a task."""
    has_people: bool
    """Whether of any of them it is known who led it."""
    summary: str
    """How many there are."""
    nothing: str | None
    """Why the list is empty, and what to do next."""
    more: str | None
    """What stands on the button that shows more; None: these are all."""
    trouble: str | None
    """What cannot be as it is asked for, and what to do."""


def read_search(asked: Mapping[str, str]) -> Search:
    """Return what an address, or a form, asks for; what makes no sense is left out."""
    verdict = asked.get("verdict", "").strip().upper()
    return Search(
        subject=asked.get("subject", "").strip()[:MAX_ASKED],
        since=_read_date(asked.get("since", "")),
        until=_read_date(asked.get("until", "")),
        verdict=verdict if verdict in WORDS else None,
        text=asked.get("text", "").strip()[:MAX_ASKED],
    )


def _read_date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text.strip())
    except ValueError:
        return None


def history_address(search: Search) -> str:
    """Return the address of the page that shows what is looked for; `read_search` reads it."""
    asked = {
        "subject": search.subject,
        "since": "" if search.since is None else search.since.isoformat(),
        "until": "" if search.until is None else search.until.isoformat(),
        "verdict": search.verdict or "",
        "text": search.text,
    }
    query = urlencode({key: value for key, value in asked.items() if value})
    return f"{_HISTORY}?{query}" if query else _HISTORY


def session_address(folder: Path) -> str:
    """Return the address of the page of a session in a folder ``…/<subject>/<date>/<NNN>``."""
    return "/session/" + "/".join(quote(part, safe="") for part in folder.parts[-3:])


def find_session(subjects: Path, subject: str, date: str, number: str) -> Path:
    """Return the folder of which an address speaks; nothing is looked at on the disk.

    Parameters
    ----------
    subjects : pathlib.Path
        The folder ``…/Subjects``.
    subject, date, number : str
        Parts of an address, as anybody may have typed them.

    Raises
    ------
    ConfigError
        They name no session folder, or would lead out of the subjects' folder.
    """
    is_name = (
        0 < len(subject) <= _MAX_NAME
        and subject.isprintable()
        and not subject.startswith(".")
        and not _LEADS_OUT.intersection(subject)
    )
    day = _read_date(date)
    is_number = number.isascii() and number.isdigit() and len(number) <= 3
    if not is_name or day is None or date != day.isoformat() or not is_number:
        raise ConfigError("this address names no session: look for it in the history")
    return subjects / subject / date / number


def judge_word(word: str) -> tuple[Tone, str]:
    """Return how good a verdict is, or what stands in place of one, and what it means."""
    if word in _OTHER_WORDS:
        return _OTHER_WORDS[word]
    return VERDICT_TONES[word], MEANING[Word(word)]


def view_history(
    found: Sequence[Listed],
    *,
    total: int,
    search: Search,
    folder: Path,
    zone: datetime.tzinfo | None = None,
) -> HistoryView:
    """Return what the list shows.

    Parameters
    ----------
    found : sequence of Listed
        The newest of what is found.
    total : int
        How many there are in all.
    search : Search
        What was looked for.
    folder : pathlib.Path
        Where the sessions of this PC lie.
    zone : datetime.tzinfo, optional
        In which times of day are shown; by default this PC's.
    """
    rows = tuple(_row(one, zone) for one in found)
    left = max(0, total - len(rows))
    trouble = None
    if search.since is not None and search.until is not None and search.since > search.until:
        trouble = "the first day is after the last one: change one of them"
    return HistoryView(
        rows=rows,
        has_tasks=any(one.task for one in rows),
        has_people=any(one.person for one in rows),
        summary=_summarise(len(rows), total, search),
        nothing=None if rows else _say_nothing(search, folder),
        more=f"Show {min(left, SHOWN)} more of {wording.grouped(left)}" if left else None,
        trouble=trouble,
    )


def _summarise(shown: int, total: int, search: Search) -> str:
    what = "session" if search.is_empty else "session found"
    several = "sessions" if search.is_empty else "sessions found"
    if shown < total:
        return f"the newest {wording.grouped(shown)} of {wording.grouped(total)} {several}"
    return f"{wording.grouped(shown)} {what if shown == 1 else several}"


def _say_nothing(search: Search, folder: Path) -> str:
    if search.is_empty:
        return f"no session was recorded in {folder} yet: they begin on the page Lab"
    return "no session is like that: ask for less, or press Clear to see all"


def _row(one: Listed, zone: datetime.tzinfo | None) -> HistoryRow:
    tone, _ = judge_word(one.word)
    began = None if one.began_at is None else datetime.datetime.fromtimestamp(one.began_at, zone)
    return HistoryRow(
        link=session_address(one.folder),
        word=one.headline,
        tone=tone,
        icon=ICONS[tone],
        day=one.date.isoformat(),
        when=f"{one.date.isoformat()}{'' if began is None else f' {began:%H:%M}'}",
        number=str(one.number),
        subject=one.subject,
        length="" if one.seconds is None else wording.stopwatch(one.seconds),
        rigs=wording.listed(one.rigs),
        task=one.task or "",
        person=one.person or "",
        size=size(one.bytes) if one.files else "",
        reason=one.reason,
    )
