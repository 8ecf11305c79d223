"""What was proved to be at a destination: a file for each part of a session, there and beside the data here.

With it the ledger can be made anew from the disks alone, and whoever looks at the server sees what was
compared, when, and by which PC.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from multirig import formats
from multirig.errors import why_not
from multirig.version import __version__
from multirig.writing import file_name, write_whole

PREFIX, SUFFIX = "_multirig_collected.", ".json"
FORMAT = 1
"""Of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """One file that was read back at the destination, and is the same as here."""

    path: str
    """Relative to the session folder, with forward slashes."""
    bytes: int
    blake2b: str
    """BLAKE2b checksum of 32 bytes, in hexadecimal."""
    target: str | None = None
    """Where it lies there, if not under its own path."""
    is_recorded: bool
    """Whether the rig's own list has that checksum; else it was made when the file was copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one PC has brought of one session to one destination."""

    format: int = FORMAT
    exp_ref: str
    pc: str
    """Name of the PC."""
    part: str
    """By this the parts of a session are told apart: a PC may have several."""
    destination: str
    """As that PC calls it."""
    mark: str
    """By which the destination is known again, whatever it is called."""
    at: str
    """ISO time of day on that PC when the last file was proved."""
    files: tuple[Proved, ...]
    """All of them, by path."""
    cleared_at: str | None = None
    """When the data were removed from that PC; None: they were not, as far as is known there."""
    version: str = __version__
    """Of multirig there."""


def part_id(root: Path) -> str:
    """Return by what the part of this PC in a folder of subjects is told apart from those of others."""
    place = hashlib.blake2b(str(root).casefold().encode(errors="surrogatepass"), digest_size=3).hexdigest()
    return f"{file_name(socket.gethostname()) or 'pc'}-{place}"


def receipt_name(part: str) -> str:
    """Return the name of a part's receipt."""
    return f"{PREFIX}{part}{SUFFIX}"


def is_receipt(name: str) -> bool:
    """Whether a file of that name is a receipt."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write it into the session folder here. Raises OSError."""
    write_whole(folder / receipt_name(receipt.part), to_bytes(receipt))


def to_bytes(receipt: Receipt) -> bytes:
    """Return a receipt as it is written."""
    return _adapter().dump_json(receipt, indent=1) + b"\n"


def from_bytes(data: bytes, path: object) -> Receipt:
    """Return a receipt.

    Raises
    ------
    ValueError
        It is damaged, or of a format that is not known here.
    """
    try:
        found = _keys().validate_json(data)
        number = formats.check_format(found.get(formats.KEY), FORMAT, path, found.get("version"))
        return _adapter().validate_python({**found, formats.KEY: number})
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"it is damaged{f' at {where}' if where else ''}") from None


def read_receipt(folder: Path, part: str) -> Receipt | None:
    """Return the receipt of a part beside its data; None: there is none, or it cannot be read."""
    path = folder / receipt_name(part)
    try:
        return from_bytes(path.read_bytes(), path)
    except (OSError, ValueError):
        return None


def find_receipts(folder: Path) -> tuple[list[Receipt], list[str]]:
    """Return the receipts in a session folder, and what is wrong with those that cannot be read."""
    found, problems = [], []
    try:
        paths = sorted(one for one in folder.iterdir() if is_receipt(one.name))
    except OSError:
        paths = []
    for path in paths:
        try:
            found.append(from_bytes(path.read_bytes(), path))
        except OSError as error:
            problems.append(f"{path.name} cannot be read: {why_not(error)}")
        except ValueError as error:
            problems.append(f"{path.name} cannot be read: {error}")
    return found, problems


def find_cleared(folders: Iterable[Path], paths: Iterable[str]) -> Receipt | None:
    """Return by which receipt files of a session were removed from session folders; None: by none."""
    wanted = set(paths)
    for folder in folders:
        for receipt in find_receipts(folder)[0]:
            if receipt.cleared_at is not None and wanted & {one.path for one in receipt.files}:
                return receipt
    return None


def say_cleared(receipt: Receipt) -> str:
    """Return where data are that were cleared here, in words that follow a colon."""
    day = (receipt.cleared_at or "")[:10]
    return f"it was collected to {receipt.destination}, and cleared on {receipt.pc} on {day}: read it there"


def receipt_schema() -> dict[str, Any]:
    """Return the JSON schema of a receipt."""
    return _adapter().json_schema()


@cache
def _adapter() -> TypeAdapter[Receipt]:
    return TypeAdapter(Receipt)


@cache
def _keys() -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(dict[str, Any])
