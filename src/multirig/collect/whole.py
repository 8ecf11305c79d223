"""Whether all of a session is at a destination: by the verdict's list, whoever has recorded it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from multirig.collect.parts import look_at
from multirig.collect.places import Destination
from multirig.collect.receipts import Receipt, from_bytes, is_receipt
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.record.account import Account, read_account


def list_missing(
    destination: Destination, roots: Iterable[Path], sessions: Iterable[ExpRef]
) -> tuple[dict[ExpRef, list[str]], dict[ExpRef, str]]:
    """Return what the verdicts on this PC list of sessions and is not at a destination.

    Of sessions of which that cannot be seen now, why not is returned besides.

    Parameters
    ----------
    destination : Destination
        Open.
    roots : iterable of pathlib.Path
        Folders ``…/Subjects`` of this PC; a session without a verdict there is not judged.
    sessions : iterable of ExpRef
    """
    wanted = list(sessions)
    found: dict[ExpRef, list[str]] = {}
    unseen: dict[ExpRef, str] = {}
    for root in roots:
        for exp_ref in wanted:
            part = look_at(root, exp_ref)
            try:
                told = read_account(part.folder)
                missing = find_missing(told, read_receipts(destination, part.prefix)) if told else []
            except MultirigError as error:
                unseen[exp_ref] = str(error)
                continue
            if missing:
                found[exp_ref] = missing
    return found, unseen


def read_receipts(destination: Destination, prefix: str) -> list[Receipt]:
    """Return the receipts of a session at a destination, with those of their files that lie there.

    Those that cannot be read prove nothing.

    Raises
    ------
    DestinationError
        It cannot be read now.
    """
    found = []
    there = destination.sizes(prefix)
    for name in there:
        if is_receipt(name):
            data = destination.read(f"{prefix}/{name}")
            try:
                receipt = from_bytes(data or b"", name)
            except ValueError:
                continue
            files = tuple(one for one in receipt.files if there.get(one.target or one.path) == one.bytes)
            found.append(replace(receipt, files=files))
    return found


def find_missing(told: Account, receipts: Iterable[Receipt]) -> list[str]:
    """Return what the verdict lists and no receipt proves: ``rig: path``; empty: all of it is there.

    A receipt is written only when all of a PC's part is there, so that the rig's own list in one proves also
    the files that a verdict is too short to name.
    """
    there: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for receipt in receipts:
        for one in receipt.files:
            there[one.path].append((one.bytes, one.blake2b))
    missing = []
    for name, rig in told.rigs.items():
        for file in rig.files:
            is_there = any(
                size == file.bytes and (file.blake2b is None or file.blake2b == digest)
                for size, digest in there[file.path]
            )
            if not is_there:
                missing.append(f"{name}: {file.path}")
        if rig.files_total > len(rig.files) and rig.manifest not in there:
            missing.append(f"{name}: {rig.files_total - len(rig.files)} more files")
    return missing
