"""The state file of a session's process: who leads, where it is reached, what it last told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from multirig import writing
from multirig.dashboard.snapshot import Order, SessionNow
from multirig.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the state file holds; only its owner can read it."""

    pid: int
    port: int
    """Of the control channel, on 127.0.0.1."""
    secret: str
    """What whoever talks on it says first."""
    now: SessionNow
    """What was last told; the order is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What a session's process is given when it begins, on its standard input."""

    order: Order
    secret: str


_ORDER = TypeAdapter(Order)
_NOW = TypeAdapter(SessionNow)
_RECORD = TypeAdapter(Record)
_COMMISSION = TypeAdapter(Commission)


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
            f"{path}: the session's state cannot be written ({error.strerror or error}): "
            "check the disk's space and the rights of the folder"
        ) from error


def read_record(path: Path) -> Record | None:
    """Return what a state file holds; None where there is none, or it is of another release."""
    try:
        return _RECORD.validate_json(writing.patiently(path.read_bytes))
    except (OSError, ValidationError):
        return None


def now_to_json(now: SessionNow) -> Any:
    """Return what is told as plain values."""
    return _NOW.dump_python(now, mode="json")


def now_from_json(value: object) -> SessionNow:
    """Return what was told.

    Raises
    ------
    pydantic.ValidationError
        It is not that.
    """
    return _NOW.validate_python(value)


def commission_to_json(commission: Commission) -> bytes:
    """Return what a process is given to begin with."""
    return _COMMISSION.dump_json(commission)


def commission_from_json(data: bytes) -> Commission:
    """Return what a process was given to begin with.

    Raises
    ------
    ConfigError
        It is not that.
    """
    try:
        return _COMMISSION.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"the order on the standard input is none ({where}: {first['msg']}): let the console give it"
        ) from error
