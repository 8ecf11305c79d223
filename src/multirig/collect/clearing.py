"""Removes from this PC what was collected, after every file was read back at its destination once more."""

from __future__ import annotations

import contextlib
import datetime
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from multirig.collect.control import Control
from multirig.collect.copying import digest
from multirig.collect.hashing import BLAKE2B
from multirig.collect.parts import Part
from multirig.collect.places import Destination, DestinationError
from multirig.collect.receipts import Proved, Receipt, receipt_name, to_bytes, write_receipt
from multirig.collect.states import Here
from multirig.errors import MultirigError, why_not
from multirig.folders import OURS, is_description
from multirig.record.recovery import find_leader
from multirig.record.spelling import find_file
from multirig.transfer.folder import FLAG

PROBE = ".multirig_probe."
"""How the name of a file begins by which it is found out whether the destination is this very folder."""

log = logging.getLogger("multirig.collect")


class NotCleared(MultirigError):
    """Nothing was removed; the message says why."""


class NotWhole(NotCleared):
    """Nothing was removed: a file is not at the destination any more, or is another one.

    Parameters
    ----------
    message : str
    path : str
        Of the file, as the receipt has it.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def clear_part(part: Part, receipt: Receipt, destination: Destination, mark: str, control: Control) -> int:
    """Remove the data of a session from this PC; return the bytes that are free now.

    What multirig itself has written stays: the lists, the journal, the verdict, the receipt.

    Parameters
    ----------
    part : Part
        What is here.
    receipt : Receipt
        What was collected.
    destination : Destination
        Open; by this mark.
    mark : str
    control : Control
        Asked before each piece of work.

    Raises
    ------
    NotCleared
        Something is not, or not certainly, at the destination: nothing was removed.
    DestinationError
        It cannot be read now: nothing was removed.
    Ended
        It was told to end: nothing was removed.
    """
    _object(part, receipt, mark)
    _refuse_same_folder(part, destination)
    for one in receipt.files:
        _prove(part, one, destination, control)
    doomed = [one for one in part.items if one.here is not None and not _stays(one.name)]
    freed = 0
    for item in doomed:
        path = find_file(part.folder, item.name)
        # not even now: it may have been written to since
        if _has_changed(path, item.here):
            raise NotCleared(f"{item.name} was written to meanwhile: it was not removed; collect again")
        if _is_outside(path, part.folder):
            log.warning("%s lies elsewhere, behind a link: it is not removed", path)
            continue
        try:
            path.unlink()
        except OSError as error:
            raise NotCleared(f"{item.name} cannot be removed: {why_not(error)}") from None
        freed += item.here.bytes if item.here is not None else 0
    _remove_empty(part.folder)
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    cleared = replace(receipt, cleared_at=now)
    try:
        write_receipt(part.folder, cleared)
    except OSError as error:
        raise NotCleared(f"{part.folder}: the receipt cannot be written: {why_not(error)}") from None
    with contextlib.suppress(DestinationError):  # the one there says the same but for this
        destination.write(f"{part.prefix}/{receipt_name(receipt.part)}", to_bytes(cleared))
    return freed


def _object(part: Part, receipt: Receipt, mark: str) -> None:
    """Raise NotCleared where a part is not to be removed, by what is here alone."""
    proved = {one.path: one for one in receipt.files}
    new = [one.name for one in part.items if one.here is not None and one.name not in proved]
    if part.problems:
        raise NotCleared(part.problems[0])
    if part.is_iblrigs or (part.folder / FLAG).exists():
        raise NotCleared("it is iblrig's: its own transfer_data copies it and clears it")
    if part.is_leaders and (leader := find_leader(part.folder)) is not None:
        raise NotCleared(f"the session goes on: {leader} leads it")
    if receipt.mark != mark:
        raise NotCleared(f"it was collected to {receipt.destination}, which is another place")
    if new:
        raise NotCleared(f"{new[0]} came later, and is not collected: collect again")


def _prove(part: Part, one: Proved, destination: Destination, control: Control) -> None:
    """Compare a file at the destination, and here if it is still here, with what was proved."""
    control.may_go_on()
    path = find_file(part.folder, one.path)
    name = f"{part.prefix}/{one.target or one.path}"
    if destination.is_here(name, path):
        raise NotCleared(f"{one.path} at {destination.text} is a link to the file here: there is no copy")
    digests = {BLAKE2B: one.blake2b}
    try:
        if path.is_file():
            digests = dict(digest(path, destination.hashes, control))
            if digests[BLAKE2B] != one.blake2b:
                raise NotCleared(f"{one.path} is not what was collected: collect again")
    except OSError as error:
        raise NotCleared(f"{one.path} cannot be read here: {why_not(error)}") from None
    if destination.size(name) != one.bytes or not destination.compare(name, digests, one.bytes, control):
        raise NotWhole(
            f"{one.path} is not whole at {destination.text} any more: nothing was removed; collect it again",
            one.path,
        )


def _has_changed(path: Path, before: Here | None) -> bool:
    """Whether a file is another one than before it was read."""
    try:
        now = path.stat()
        return before is None or (now.st_size, now.st_mtime_ns) != (before.bytes, before.changed_at)
    except OSError:
        return True


def _refuse_same_folder(part: Part, destination: Destination) -> None:
    """Refuse where the destination is this very folder, by whatever way: the copy would be the original."""
    try:
        is_seen = is_same_folder(part.folder, part.prefix, destination)
    except OSError as error:
        raise NotCleared(f"{part.folder} cannot be written: {why_not(error)}") from None
    if is_seen:
        raise NotCleared(
            f"{destination.text} is the very folder that is to be cleared, by another name: there is no copy"
        )


def is_same_folder(folder: Path, prefix: str, destination: Destination) -> bool:
    """Whether a folder at a destination is one here, by whatever way: a link, a share of this PC's own.

    Raises
    ------
    OSError
        The folder here cannot be written.
    DestinationError
        The one there cannot be read.
    """
    probe = folder / f"{PROBE}{secrets.token_hex(8)}"
    try:
        probe.touch()
        return destination.size(f"{prefix}/{probe.name}") is not None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _stays(name: str) -> bool:
    """Whether a file is multirig's own, and small."""
    last = name.rpartition("/")[2]
    return "/" not in name and (last.startswith(OURS) or is_description(last))


def _is_outside(path: Path, folder: Path) -> bool:
    return path.is_symlink() or not path.resolve().is_relative_to(folder.resolve())


def _remove_empty(folder: Path) -> None:
    """Remove the folders below a session's that have nothing in them any more."""
    below: Sequence[Path] = sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True)
    for place in below:
        with contextlib.suppress(OSError):
            if not place.is_symlink():
                place.rmdir()
