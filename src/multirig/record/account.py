"""The account of a session: what its journal tells, the verdict, and what this PC itself has of it."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from multirig import formats
from multirig.errors import ConfigError, why_not
from multirig.folders import is_data_name
from multirig.lifecycle.agreement import THIS_PC
from multirig.record.journal import FILE_NAME as JOURNAL_NAME
from multirig.record.journal import read_history, read_summary
from multirig.record.recount import summarise
from multirig.record.spare import read_losses, say_gone, spare_file, write_losses
from multirig.record.summary import Incident, Marker, Remark, Summary
from multirig.record.time_files import (
    OFFSETS_NAME,
    STARTS_NAME,
    write_offsets,
    write_starts,
)
from multirig.record.verdict import Word, judge, say_word
from multirig.version import __version__
from multirig.writing import write_whole

FILE_NAME = "_multirig_verdict.json"
"""In the session folder on the conductor's PC."""
FORMAT = 3
"""Of the file; format 1, of multirig 0.1, says no number.

Up to format 2 what happened was counted from when all rigs recorded; now it is from the agreed start.
"""
MAX_LISTED_FILES = 100
"""Files of this PC that are named; the totals count all."""
_WHAT = {FILE_NAME: "the verdict", OFFSETS_NAME: "the table of clocks", STARTS_NAME: "the table of starts"}

log = logging.getLogger("multirig.record")


@dataclass(slots=True, kw_only=True)
class OwnFile:
    """A file that a task, or anything else on the conductor's PC, put into the session folder."""

    path: str
    """Relative to the session folder, with forward slashes."""
    bytes: int


@dataclass(slots=True, kw_only=True)
class Account(Summary):
    """What a session was, and what it turned out to be."""

    format: int = FORMAT
    """Of this file; without it 1."""
    version: str = __version__
    """Of multirig on the PC that gave the verdict."""
    verdict: Word = Word.GOOD
    """GOOD, DEGRADED, INCOMPLETE, INTERRUPTED or ABORTED."""
    reasons: list[str] = field(default_factory=list)
    """Why it is not GOOD, the gravest first; each names the rig and the evidence."""
    notes: list[str] = field(default_factory=list)
    """What is good to know, and takes nothing from the session."""
    unverified: dict[str, str] = field(default_factory=dict)
    """Rigs of which nothing proves that they recorded to the end, and why: GOOD is said without them."""
    is_final: bool = True
    """Whether the session is over; else the verdict is what it would be if it ended here."""
    own_files: list[OwnFile] = field(default_factory=list)
    """What is in the session folder on the conductor's PC and was written by no rig."""
    own_files_total: int = 0
    own_bytes_total: int = 0

    @property
    def headline(self) -> str:
        """The verdict in words, with the rigs that are not verified."""
        return say_word(self.verdict.value, self.unverified)

    def to_json(self) -> dict[str, Any]:
        """Return the account as plain values, the number of its format first."""
        return {formats.KEY: self.format, **asdict(self)}


def account(folder: Path) -> Account:
    """Return what the journal in a session folder tells, and the verdict on it.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder on the conductor's PC.

    Raises
    ------
    ConfigError
        There is no journal, or it is of a format that is not known here.
    """
    return account_of(read_summary(folder), folder)


def read_verdict(path: Path) -> Account:
    """Return the account in a file of the verdict.

    Raises
    ------
    OSError, pydantic.ValidationError
        It is not there, or it is damaged.
    ConfigError
        It is of a format that is not known here.
    """
    found = _keys().validate_json(path.read_bytes())
    number = formats.check_format(found.get(formats.KEY), FORMAT, path, found.get("version"))
    told = _accounts().validate_python({**found, formats.KEY: number})
    if number < FORMAT:
        count_anew(told)
    return told


def read_account(folder: Path) -> Account | None:
    """Return the account of a session: as it was written, or by the journal if that is newer.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder on the conductor's PC.

    Returns
    -------
    Account or None
        None: there is neither a journal nor a verdict.

    Raises
    ------
    ConfigError
        The journal, or where there is none the verdict, is of a format that is not known here, or damaged.
    """
    written, journal = folder / FILE_NAME, folder / JOURNAL_NAME
    is_empty = journal.is_file() and journal.stat().st_size == 0 and not spare_file(folder).is_file()
    if not is_empty and (journal.exists() or spare_file(folder).is_file()):
        with contextlib.suppress(OSError, ValidationError):
            if written.stat().st_mtime_ns >= journal.stat().st_mtime_ns:
                return read_verdict(written)
        return account(folder)
    try:
        return read_verdict(written)
    except FileNotFoundError:
        if is_empty:  # it would tell of a session that began with nobody
            raise ConfigError(f"{journal}: is empty: copy it anew from the PC that led") from None
        return None
    except (OSError, ValidationError) as error:
        why = why_not(error) if isinstance(error, OSError) else "it is damaged"
        raise ConfigError(f"{written}: cannot be read ({why}): copy it anew from the PC that led") from None


def account_of(summary: Summary, folder: Path) -> Account:
    """Return the account of a session whose journal has been read already.

    Parameters
    ----------
    summary : Summary
        What the journal tells.
    folder : pathlib.Path
        The session folder on the conductor's PC.
    """
    if (spare := spare_file(folder)).is_file():
        summary.unwritten = (
            f"its disk did not take the end of the journal, which lies in {spare}"
            if (folder / JOURNAL_NAME).exists()
            else say_gone(folder, spare)
        )
    verdict = judge(summary)
    own = _find_own_files(folder, summary)
    told = Account(
        **{one.name: getattr(summary, one.name) for one in fields(Summary)},
        verdict=verdict.word,
        reasons=list(verdict.reasons),
        notes=list(verdict.notes),
        unverified=dict(verdict.unverified),
        is_final=verdict.is_final,
        own_files=own[:MAX_LISTED_FILES],
        own_files_total=len(own),
        own_bytes_total=sum(one.bytes for one in own),
    )
    mind_losses(told, read_losses(folder))
    return told


def count_anew(summary: Summary) -> None:
    """Let what happened count from the agreed start, where it counts from when all rigs recorded."""
    plans = [rig.start.planned for rig in summary.rigs.values() if rig.start is not None]
    summary.agreed_start = min((one for one in plans if one is not None), default=None)
    if summary.running_from is None:
        return
    gained = summary.running_from - summary.zero
    told: list[Remark | Incident | Marker] = [*summary.remarks, *summary.happenings, *summary.markers]
    told += [one for rig in summary.rigs.values() for one in rig.remarks]
    for one in told:
        if one.seconds is not None:
            one.seconds += gained


def mind_losses(told: Account, losses: Iterable[str]) -> None:
    """Let an account say what of it the disk of this PC did not take; that makes no session better."""
    lost = [f"{THIS_PC}: {text}" for text in losses]
    if lost and told.verdict is Word.GOOD:
        told.verdict = Word.DEGRADED
    told.reasons += [text for text in lost if text not in told.reasons]


def write_verdict(folder: Path) -> list[str]:
    """Write the account of a session, its clocks and its starts into its folder.

    Returns
    -------
    list of str
        What could not be written, and why; it is logged too, and kept for every later account.
    """
    write_losses(folder, [])  # of an earlier try
    losses = _write_account(folder)
    write_losses(folder, losses)
    return losses


def _write_account(folder: Path) -> list[str]:
    try:
        history = read_history(folder)
        told = account_of(summarise(history.moments, history.unreadable), folder)
    except (OSError, ConfigError) as error:
        text = f"the verdict cannot be written into {folder}: {error}; multirig show gives it"
        log.error("%s", text)
        return [text]
    losses = _write(folder, {OFFSETS_NAME: write_offsets(history.clocks), STARTS_NAME: write_starts(told)})
    mind_losses(told, losses)
    return [*losses, *_write(folder, {FILE_NAME: json.dumps(told.to_json(), indent=1) + "\n"})]


def _write(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Write files by name; return a line where some could not be written, which is logged too."""
    failed, reason = [], ""
    for name, text in texts.items():
        try:
            write_whole(folder / name, text.encode())
        except OSError as error:
            failed.append(_WHAT[name])
            reason = why_not(error)
    if not failed:
        return []
    what = " and ".join(failed)
    line = f"{what} cannot be written into {folder}: {reason}; multirig show gives it from the journal"
    log.error("%s", line)
    return [line]


def verdict_schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    return TypeAdapter(Account).json_schema()


@cache
def _keys() -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(dict[str, Any])


@cache
def _accounts() -> TypeAdapter[Account]:
    return TypeAdapter(Account)


def _find_own_files(folder: Path, summary: Summary) -> list[OwnFile]:
    """Return what no rig wrote, flags for copiers apart; a rig on the same PC may share the folder."""
    of_rigs = {file.path for rig in summary.rigs.values() for file in rig.files}
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if is_data_name(path.name) and name not in of_rigs:
            with contextlib.suppress(OSError):  # one that goes away just now
                if path.is_file():
                    found.append(OwnFile(path=name, bytes=path.stat().st_size))
    return found
