"""JSON in and out of both wires, and the cutting of a TCP stream into messages."""

from __future__ import annotations

import datetime
import enum
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NoReturn

from multirig.errors import LocalProtocolError, RemoteProtocolError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Message

MAX_DATAGRAM = 65_507
"""Bytes that one UDP datagram over IPv4 can hold."""
FRAME_ROOM = 512
"""Bytes of such a datagram that wire 2 may need around its message."""
MAX_STREAM_MESSAGE = 16 * 1024 * 1024
"""Bytes of one message over TCP; a description of a session with every stimulus fits many times."""
MAX_DEPTH = 100
"""Arrays and objects inside each other on a stream: no message of the field comes near it."""
TIMELINE_LIMIT = 1_000
"""Bytes that MATLAB Timeline reads of a datagram; longer ones reach it cut."""


def plain(value: Any, where: str = "message") -> Any:
    """Return the value as JSON can carry it.

    NaN and infinities become null, dates ISO text, paths text, sets and tuples arrays; anything else that
    JSON does not know is refused with the name of its key.

    Raises
    ------
    LocalProtocolError
        A value cannot be carried; nothing was sent.
    """
    match value:
        case None | bool() | str():
            return value
        case enum.Enum():
            return plain(value.value, where)
        case int():
            return int(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime.date():
            return value.isoformat()
        case PurePath() | ExpRef():
            return str(value)
        case Mapping():
            return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case set() | frozenset():
            return [plain(item, where) for item in sorted(value, key=str)]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return plain(value.item(), where)
    raise LocalProtocolError(f"{where} holds a {type(value).__name__}, which a message cannot carry")


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int | float | datetime.date):
        return str(key)
    raise LocalProtocolError(f"{where} has a key of type {type(key).__name__}; keys are text")


def encode_array(message: Message, *, compact: bool = False) -> bytes:
    """Return a message as wire 1.0 writes it: Python's default separators, or none as MATLAB's peers."""
    return _write(message, _dump_compact if compact else _dump).encode()


_load = json.JSONDecoder().decode
_dump = json.JSONEncoder(allow_nan=False).encode
_dump_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def dump(value: Any) -> str:
    """Return a plain value as wire 2 writes it."""
    return _dump_compact(value)


def encode_frame(frame: Mapping[str, Any], message: str | None = None) -> bytes:
    """Return a frame of wire 2, one compact JSON object; ``message`` is the text of its last key, ``m``."""
    text = _dump_compact(frame)
    if message is not None:
        text = f'{text[:-1]},"m":{message}}}'
    return text.encode()


def encode_text(message: Message) -> str:
    """Return a message as wire 2 carries it inside a frame."""
    return _write(message, _dump_compact)


def _write(message: Message, dump: Callable[[Any], str]) -> str:
    array = message.to_array()
    try:
        try:
            return dump(array)
        except (TypeError, ValueError):
            return dump(plain(array))
    except RecursionError:
        raise LocalProtocolError(f"{message} is nested too deeply, or holds itself") from None


def decode(data: bytes) -> Any:
    """Return what the bytes hold; RemoteProtocolError if they are not JSON in UTF-8."""
    try:
        return _load(data.decode())
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not JSON in UTF-8 ({type(error).__name__})") from None


def check_size(size: int, *, stream: bool, limit: int = MAX_DATAGRAM, what: object = "message") -> None:
    """Refuse what the transport cannot carry, before anything is sent."""
    limit = MAX_STREAM_MESSAGE if stream else limit
    if size > limit:
        hint = "" if stream else "; use a tcp:// address for messages of this size"
        raise LocalProtocolError(f"{what} has {size:,} bytes, the limit is {limit:,}{hint}")


_QUOTE = ord('"')


class StreamCutter:
    """Cuts a byte stream into whole JSON values, since TCP on wire 1.0 has no framing.

    Bytes outside of a JSON array or object are skipped and counted.
    """

    _MARKS = re.compile(rb'["\[\]{}]')
    _STRING_MARKS = re.compile(rb'["\\]')

    def __init__(self, limit: int = MAX_STREAM_MESSAGE) -> None:
        self.limit = limit
        self.skipped = 0
        """Bytes that belonged to no message."""
        self._buffer = bytearray()
        self._scanned = 0
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and return the messages that are whole now.

        Raises
        ------
        RemoteProtocolError
            A message passes a limit; what was buffered is dropped and the stream can't be trusted further.
        """
        buffer = self._buffer
        buffer += data
        whole: list[bytes] = []
        position = self._scanned
        start = 0
        while True:
            found, position = self._find_mark(position)
            if found is None:
                break
            mark = buffer[found.start()]
            if mark == _QUOTE:
                self._in_string = self._depth > 0  # a quote outside of a message opens nothing
            elif mark in b"[{":
                if self._depth == 0:
                    self.skipped += len(buffer[start : found.start()].strip())
                    start = found.start()
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    self._give_up(f"a message is nested deeper than {MAX_DEPTH}")
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    whole.append(bytes(buffer[start:position]))
                    start = position
        if self._depth == 0:
            self.skipped += len(buffer[start:].strip())
            start = position = len(buffer)
        del buffer[:start]
        self._scanned = position - start
        size = max(map(len, (buffer, *whole)))
        if size > self.limit:
            self._give_up(f"a message passes {self.limit:,} bytes ({size:,} so far)")
        return whole

    def _find_mark(self, position: int) -> tuple[re.Match[bytes] | None, int]:
        """Return the next mark outside of strings and where to go on: behind it, or when more has arrived."""
        if self._in_string:
            position = self._skip_string(position)
            if self._in_string:
                return None, position
        found = self._MARKS.search(self._buffer, position)
        return found, len(self._buffer) if found is None else found.end()

    def _skip_string(self, position: int) -> int:
        """Return where the string ends, and note that it does; or where to go on when more has arrived."""
        buffer = self._buffer
        while (found := self._STRING_MARKS.search(buffer, position)) is not None:
            position = found.end()
            if buffer[found.start()] == _QUOTE:
                self._in_string = False
                return position
            if position == len(buffer):
                return found.start()
            position += 1  # after a backslash: part of the string, whatever it is
        return len(buffer)

    def _give_up(self, reason: str) -> NoReturn:
        self._buffer.clear()
        self._scanned = self._depth = 0
        self._in_string = False
        raise RemoteProtocolError(reason)
