"""Which numbers are free on the conductor's PC, and whether a session may go into a folder."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from multirig.errors import MultirigError
from multirig.folders import next_exp_ref_in
from multirig.protocol.exp_ref import ExpRef
from multirig.record.journal import holds_start


def first_free(subjects: Path, subject: str, date: datetime.date) -> int:
    """Return the number behind the last one that this PC has data of; one that was given back is free."""
    try:
        free = next_exp_ref_in(subjects, subject, date)
        number = free.sequence
        while number > 1 and not _is_taken(_numbered(subjects, free, number - 1)):
            number -= 1
    except (MultirigError, OSError):  # whoever opens the journal there says what is wrong
        return 1
    return number


def _numbered(subjects: Path, exp_ref: ExpRef, number: int) -> Path:
    return subjects.joinpath(*replace(exp_ref, sequence=number).folder_parts())


def _is_taken(folder: Path) -> bool:
    return _has_data(folder) or holds_start(folder)


def _has_data(folder: Path) -> bool:
    """Whether there is more than what we ourselves write before a start."""
    return folder.is_dir() and any(not one.name.startswith((".", "_multirig")) for one in folder.iterdir())


def object_to(exp_ref: ExpRef, folder: Path, joins: bool, appends: bool) -> str | None:
    """Say why a session may not go into a folder, if it may not."""
    if appends:
        if _has_data(folder):
            return None
        return (
            f"the main sync is at {exp_ref}, and this PC has no data of that session to append to: "
            "let the main sync go on recording until the last task, or begin a new session"
        )
    if joins:
        return None
    if holds_start(folder):
        return (
            f"{exp_ref} has been recorded already, by the journal in {folder}: "
            "the main sync counts anew; move its older sessions back, or rename this folder"
        )
    if _has_data(folder):
        return (
            f"{exp_ref} is taken on this PC: {folder} holds data of another session, which the main sync "
            "does not know of; move that folder away, or append to it"
        )
    return None
