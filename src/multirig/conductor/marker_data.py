"""Whatever a task has at hand, as data of a marker: converted or shortened, never refused."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Any

from multirig.protocol.exp_ref import ExpRef

MAX_DATA = 8_000
"""Bytes as JSON: a marker is told at once, and perhaps many times a second."""
MAX_VALUES = 4_000
"""Values in all: as many digits as 8 kB hold; more would cost a trial its time to look at."""
MAX_LETTERS = 2_000
"""Of one text or one run of bytes."""
MAX_DEPTH = 20
"""Lists and mappings inside each other."""
MAX_BITS = 64
"""Of a whole number: what databases, MATLAB and numpy can hold."""
SHOWN = 200
"""Letters that are left of a value when all together are too many."""

_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_short = reprlib.Repr()
_short.maxother = _short.maxstring = SHOWN


class Converting:
    """One look at the data of one marker; `notes` says what could not stay as it was."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        """A line for each value that was changed."""
        self._left = MAX_VALUES
        self._inside: list[int] = []
        """What holds the value that is looked at, from the outside in."""

    def convert(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data as JSON can carry them, of at most `MAX_DATA` bytes."""
        found = self._plain(data, "")
        return self._fit(found if isinstance(found, dict) else {"data": found})

    # -- each value ----------------------------------------------------------------------------------------

    def _plain(self, value: Any, where: str) -> Any:
        """Return one value; whatever a foreign object does when it is looked at, that goes no further."""
        self._left -= 1
        if id(value) in self._inside:
            return self._note(where, "holds itself", "(holds itself)")
        if len(self._inside) > MAX_DEPTH:
            return self._note(where, f"has more than {MAX_DEPTH} levels", _show(value))
        self._inside.append(id(value))
        try:
            return self._known(value, where)
        except Exception as error:  # noqa: BLE001  the note has it; a marker never ends a session
            why = f"could not be read ({type(error).__name__})"
            return self._note(where, why, f"({type(value).__name__})")
        finally:
            self._inside.pop()

    def _known(self, value: Any, where: str) -> Any:  # noqa: C901  a case for each type
        match value:
            case None | bool():
                return value
            case enum.Enum():
                return self._plain(value.value, where)
            case str():
                return self._text(str(value), where)
            case int():
                return self._whole_number(value, where)
            case float():
                return (
                    float(value)
                    if math.isfinite(value)
                    else self._note(where, f"is {value}: it became null", None)
                )
            case bytes() | bytearray() | memoryview():
                return self._bytes(bytes(value[:MAX_LETTERS]), len(value), where)
            case datetime.date() | datetime.time():
                return value.isoformat()
            case PurePath() | ExpRef():
                return self._text(str(value), where)
            case Mapping():
                return self._mapping(value, where)
            case list() | tuple():
                return self._list(value, len(value), where)
            case set() | frozenset():
                self._note(where, "is a set: it became a list", None)
                return self._list(sorted(value, key=str), len(value), where)
        if hasattr(value, "tolist") and hasattr(value, "shape"):
            return self._array(value, where)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
            return self._note(
                where, f"is a {type(value).__name__}: it became key: value", self._plain(fields, where)
            )
        return self._note(where, f"is a {type(value).__name__}: it became text", _show(value))

    def _text(self, text: str, where: str) -> str:
        text = text.encode(errors="replace").decode()  # half of a pair is a letter that no file takes
        if len(text) <= MAX_LETTERS:
            return text
        return str(
            self._note(where, f"has {len(text):,} letters: it was shortened", text[: MAX_LETTERS - 1] + "…")
        )

    def _whole_number(self, value: int, where: str) -> int | str:
        if (bits := value.bit_length()) <= MAX_BITS:
            return int(value)
        shown = str(value) if bits <= 1_000 else f"a whole number of {bits:,} bits"
        return str(self._note(where, f"has {bits:,} bits: it became text", shown))

    def _bytes(self, start: bytes, size: int, where: str) -> str:
        try:
            text = start.decode()
        except UnicodeDecodeError:
            text = start[: MAX_LETTERS // 2].hex()
        if size > len(start):
            text = f"{text[:SHOWN]}…"
        return str(self._note(where, f"is {size:,} bytes: it became text", text))

    def _array(self, value: Any, where: str) -> Any:
        if not value.shape:  # one number
            one = value.item()
            return self._plain(one if type(one) is not type(value) else float(one), where)
        size = math.prod(value.shape)
        kind = f"is an array of {' x '.join(map(str, value.shape))} {getattr(value, 'dtype', '')}".rstrip()
        if size > self._left // 2:
            first = ", ".join(map(str, value.reshape(-1)[:10].tolist()))
            return self._note(where, f"{kind}: it was shortened", f"{kind[3:]}: {first}, …")
        self._note(where, f"{kind}: it became a list", None)
        return self._plain(value.tolist(), where)

    def _list(self, values: Iterable[Any], size: int, where: str) -> list[Any]:
        out = []
        rest = self._left // 2  # for what comes after it
        for number, item in enumerate(values):
            if self._left <= rest:
                out.append(
                    self._note(where, f"has {size:,} items: it was shortened", f"… {size - number:,} more")
                )
                break
            out.append(self._plain(item, f"{where}[{number}]"))
        return out

    def _mapping(self, values: Mapping[Any, Any], where: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        rest = self._left // 2 if where else 0
        for number, (key, item) in enumerate(list(islice(values.items(), MAX_VALUES + 1))):
            if self._left <= rest:
                left = len(values) - number
                out["…"] = self._note(where, f"has {len(values):,} keys: it was shortened", f"{left:,} more")
                break
            name = self._key(key, where)
            out[name] = self._plain(item, f"{where}.{name}" if where else name)
        return out

    def _key(self, key: Any, where: str) -> str:
        if isinstance(key, enum.Enum):
            key = key.value
        if not isinstance(key, str | int | float | datetime.date):
            self._note(where, f"has a key that is a {type(key).__name__}: it became text", None)
        text = (key if isinstance(key, str) else _show(key)).encode(errors="replace").decode()
        if len(text) <= SHOWN:
            return text
        return str(
            self._note(where, f"has a key of {len(text):,} letters: it was shortened", f"{text[:SHOWN]}…")
        )

    def _note(self, where: str, what: str, value: Any) -> Any:
        self.notes.append(f"{where or 'data'} {what}")
        return value

    # -- all together ----------------------------------------------------------------------------------------

    def _fit(self, data: dict[str, Any]) -> dict[str, Any]:
        """Shorten the largest values until all is small enough, and then leave off the last."""
        sizes = {key: len(_write({key: value})) for key, value in data.items()}
        for key in sorted(sizes, key=lambda one: sizes[one], reverse=True):
            if sum(sizes.values()) <= MAX_DATA:
                return data
            text = _write(data[key])
            if len(text) > SHOWN:
                said = f"has {len(text):,} bytes of the {MAX_DATA:,} that a marker holds: it was shortened"
                data[key] = self._note(key, said, f"{text[:SHOWN]}… ({len(text):,} bytes)")
                sizes[key] = len(_write({key: data[key]}))
        while sum(sizes.values()) > MAX_DATA:
            key, _ = sizes.popitem()
            del data[key]
            self._note(key, f"was left off: a marker holds {MAX_DATA:,} bytes", None)
        return data


def _show(value: object) -> str:
    try:
        text = _short.repr(value) if type(value).__str__ is object.__str__ else str(value)
    except Exception:  # noqa: BLE001  an object that cannot even say what it is
        text = f"({type(value).__name__})"
    text = text.encode(errors="replace").decode()
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
