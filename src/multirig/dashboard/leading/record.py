"""The state file of a session's process: who leads, where it is reached, how far it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from multirig import writing
from multirig.dashboard.snapshot import Order, SessionNow
from multirig.errors import ConfigError, why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the state file holds; only its owner can read it."""

    pid: int
    port: int
    """Of the control channel, on 127.0.0.1."""
    secret: str
    """What whoever talks on it says first."""
    now: SessionNow
    """How far it was; the order is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What a session's process is given when it begins, on its standard input."""

    order: Order
    secret: str


NOW = TypeAdapter(SessionNow)
COMMISSION = TypeAdapter(Commission)
_RECORD = TypeAdapter(Record)


def write_record(path: Path, record: Record) -> None:
    """Write the state file, whole.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    try:
        writing.write_whole(path, _RECORD.dump_json(record), is_private=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: the session's state cannot be written ({why_not(error)}): "
            "check the disk's space and the rights of the folder"
        ) from error


def read_record(path: Path) -> Record | None:
    """Return what a state file holds; None where there is none, or it is of another release."""
    try:
        return _RECORD.validate_json(writing.patiently(path.read_bytes))
    except (OSError, ValidationError):
        return None


def commission_from_json(data: bytes) -> Commission:
    """Return what a process was given to begin with.

    Raises
    ------
    ConfigError
        It is not that.
    """
    try:
        return COMMISSION.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"the order on the standard input is none ({where}: {first['msg']}): let the console give it"
        ) from error
