"""Which numbers are free on the conductor's PC, and whether a session may go into a folder."""

from __future__ import annotations

import datetime
from dataclasses import replace

from multirig.conductor.storage import Storage
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef


def first_free(storage: Storage, subject: str, date: datetime.date) -> int:
    """Return the number behind the last one that this PC has data of; one that was given back is free."""
    try:
        free = storage.next_exp_ref(subject, date)
        number = free.sequence
        while number > 1 and not _is_taken(storage, replace(free, sequence=number - 1)):
            number -= 1
    except (MultirigError, OSError):  # what is wrong there is said when the journal is opened
        return 1
    return number


def _is_taken(storage: Storage, exp_ref: ExpRef) -> bool:
    return storage.has_data(exp_ref) or storage.holds_start(exp_ref)


def object_to(exp_ref: ExpRef, storage: Storage, joins: bool, appends: bool) -> str | None:
    """Say why a session may not go into its folder, if it may not."""
    folder = storage.folder(exp_ref)
    if appends:
        if storage.has_data(exp_ref):
            return None
        return (
            f"the main sync is at {exp_ref}, and this PC has no data of that session to append to: "
            "let the main sync go on recording until the last task, or begin a new session"
        )
    if joins and storage.holds_recording(exp_ref):
        return (
            f"{exp_ref} is over on this PC, and a rig of it still records, and {folder} would hold two "
            f"recordings: end that rig's first ('multirig stop'), then begin a new session"
        )
    if joins:
        return None
    if storage.holds_start(exp_ref):
        return (
            f"{exp_ref} has been recorded already, by the journal in {folder}: "
            "the main sync counts anew; move its older sessions back, or rename this folder"
        )
    if storage.has_data(exp_ref):
        return (
            f"{exp_ref} is taken on this PC: {folder} holds data of another session, which the main sync "
            "does not know of; move that folder away, or append to it"
        )
    return None
