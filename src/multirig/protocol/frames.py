"""Frames of wire 2: what stands around a message, how it is read, and its schema.

A frame is one JSON object::

    {"multirig": 2,            the version of the wire
     "boot": "9f…", "to": "41…",   who speaks, and to which incarnation of the other side
     "n": 7, "low": 6,         number of this message; requests below the other one will not come any more
     "re": 12,                 the request of the other side that this message answers
     "part": [0, 3],           which part of the message this is, and of how many; then "m" is text
     "m": [2, "2024-05-06_2_x"],   the message, as on wire 1.0
     "ack": [12, 13],          what has arrived here
     "got": [[14, "5"]],       which parts of a message have arrived here: bits, in hexadecimal
     "t": [sent, heard, at]}   ns: when this frame left; the stamp of the last frame heard; when it was heard

A frame without ``n`` is a receipt, or, with ``"beat": 31``, the 31st heartbeat: said once, and superseded by
the next, so that it needs no receipt. One with ``who`` asks whether a program is there, and one with ``here``
says so; with ``parts`` they also tell how long a message in parts may be.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from multirig.errors import RemoteProtocolError, VersionMismatch
from multirig.protocol import codec
from multirig.protocol.words import MAX_INTEGER

VERSION = 2
"""Of the wire; a peer with another one is told so."""
MAX_CONTENT = 1_100
"""Bytes of a frame in a datagram: up to a hundred more are left for a seal around it."""
FULL_SIZE = 1_200
"""Bytes that no datagram of wire 2 exceeds: every path of the field carries so many without cutting them."""
MAX_BOOT = 32
"""Characters of a boot id."""
MAX_PARTS = 1_024
"""Of one message."""
MAX_MESSAGE = 512 * 1024
"""Bytes of a message in parts: a stop that names a thousand files, with all that is known of each."""
_AROUND = 200
"""Bytes of a frame beside its boot ids, its message and its receipts, with the longest numbers."""
_RECEIPT = 21
"""Bytes of a receipt, with the longest number."""


def room_for_message(boot: str, peer: str) -> int:
    """Return how many bytes of a message, or of a part of one, a frame between two programs has room for."""
    return MAX_CONTENT - _AROUND - sum(len(codec.dump(one)) for one in (boot, peer))


def room_for_receipts(left: int) -> int:
    """Return how many receipts fit into so many bytes, beside those of one message in parts."""
    return max(0, (left - 3 * _RECEIPT) // _RECEIPT)


def boot_frame(boot: str, peer: str) -> bytes:
    """Return the frame that tells a peer that this node is not the one it speaks to any more."""
    return codec.encode_frame({"multirig": VERSION, "boot": boot, "to": peer[:MAX_BOOT]})


def who_frame(boot: str, peer: str, number: int, *, parts: int = 0, size: int = 0) -> bytes:
    """Return the frame that asks a program whether it is really there; see `here_frame`."""
    return _fill({"multirig": VERSION, "boot": boot, "to": peer, "who": number}, parts, size)


def here_frame(boot: str, peer: str, number: int, *, parts: int = 0, size: int = 0) -> bytes:
    """Return the frame that answers it.

    Parameters
    ----------
    boot, peer : str
        Boot ids of this node and of the other one.
    number : int
        Of the question.
    parts : int
        Bytes of a message that the sender takes in parts; 0: nothing is said of that.
    size : int
        Bytes that the datagram shall have at least.
    """
    return _fill({"multirig": VERSION, "boot": boot, "to": peer, "here": number}, parts, size)


def _fill(frame: dict[str, Any], parts: int, size: int) -> bytes:
    if parts:
        frame["parts"] = parts
    if size:
        frame["pad"] = ""
        frame["pad"] = "." * max(0, size - len(codec.encode_frame(frame)))
    return codec.encode_frame(frame)


def boots(frame: dict[str, Any]) -> tuple[str, str]:
    """Return who sent a frame and to which incarnation.

    Raises
    ------
    VersionMismatch
        The peer speaks another version of the wire.
    RemoteProtocolError
        It is not a frame.
    """
    version = frame.get("multirig")
    boot, to = frame.get("boot"), frame.get("to")
    if version != VERSION and isinstance(version, int):
        raise VersionMismatch(
            f"speaks wire {version:.20g}, this PC speaks wire {VERSION}: update the older one"
        )
    if version != VERSION or not isinstance(boot, str) or not isinstance(to, str) or not boot:
        raise RemoteProtocolError("a JSON object that is no multirig frame")
    if not is_boot(boot):
        raise RemoteProtocolError(f"a frame with a boot id that is none: {boot[:MAX_BOOT]!r}")
    return boot, to


def is_boot(text: str) -> bool:
    """Whether a text can be a boot id: it comes back in each frame to that program."""
    return 0 < len(text) <= MAX_BOOT and text.isascii() and text.isprintable()


class Frame(NamedTuple):
    """A frame of the peer, checked."""

    number: int | None
    """Of the message in it; None: it is a receipt or a heartbeat."""
    low: int
    """Requests below it will not come any more."""
    answers: int | None
    """The request of ours that the message answers."""
    array: Any
    """The message, or the text of a part of it."""
    part: tuple[int, int] | None
    """Which part of the message it holds, from 0, and of how many; None: all of it."""
    receipts: list[int]
    """What has arrived there."""
    got: list[tuple[int, int]]
    """Messages of which parts have arrived there: numbers, and a bit for each part."""
    stamps: list[int]
    """ns: when it left; the stamp of the last frame heard there; when that was heard."""
    beat: int | None
    """Number of the heartbeat in it."""

    @classmethod
    def read(cls, frame: dict[str, Any]) -> Frame:
        """Return a decoded frame; RemoteProtocolError if it is none."""
        number, answers, beat = frame.get("n"), frame.get("re"), frame.get("beat")
        low = frame.get("low", number or 1)
        receipts, stamps = frame.get("ack", _NONE), frame.get("t", _NONE)
        if not (_is_number(number) and _is_number(answers) and _is_number(beat)):
            raise RemoteProtocolError("a frame with a number that is none")
        if type(low) is not int or low < 1 or (number is not None and answers is None and low > number):
            raise RemoteProtocolError("a frame whose lowest request is above its own number")
        if not _are_integers(receipts):
            raise RemoteProtocolError("a frame with receipts that are no numbers")
        if not _are_integers(stamps) or len(stamps) > 3 or (stamps and max(map(abs, stamps)) > MAX_INTEGER):
            raise RemoteProtocolError("a frame with time stamps that are no numbers")
        part, got = None, _NO_PARTS
        if "part" in frame:
            part = _read_part(frame["part"], frame.get("m"))
        if "got" in frame:
            got = _read_got(frame["got"])
        return cls(number, low, answers, frame.get("m") or _NONE, part, receipts, got, stamps, beat)


_NONE: list[int] = []
_NO_PARTS: list[tuple[int, int]] = []


def _is_number(value: object) -> bool:
    return value is None or (type(value) is int and 1 <= value <= MAX_INTEGER)


def _are_integers(values: object) -> bool:
    return isinstance(values, list) and {*map(type, values)} <= _INT


_INT = {int}


def _read_part(value: Any, text: Any) -> tuple[int, int]:
    match value:
        case [int(index), int(count)] if {*map(type, value)} == _INT and 0 <= index < count <= MAX_PARTS:
            if isinstance(text, str) and 0 < len(text) <= MAX_CONTENT:
                return index, count
    raise RemoteProtocolError("a frame with a part of a message that is none")


def _read_got(value: Any) -> list[tuple[int, int]]:
    try:
        got = [(number, int(bits, 16)) for number, bits in value]
    except (TypeError, ValueError):
        raise RemoteProtocolError("a frame with receipts of parts that are none") from None
    if any(type(number) is not int or not 0 <= bits < 1 << MAX_PARTS for number, bits in got):
        raise RemoteProtocolError("a frame with receipts of parts that are none")
    return got


schema: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "multirig wire 2 frame",
    "type": "object",
    "properties": {
        "multirig": {"const": VERSION, "description": "version of the wire"},
        "boot": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_BOOT,
            "description": "boot id of the sender",
        },
        "to": {"type": "string", "description": "boot id of the receiver"},
        "n": {"type": "integer", "minimum": 1, "description": "number of this message"},
        "low": {"type": "integer", "minimum": 1, "description": "lower requests will not come"},
        "re": {"type": "integer", "minimum": 1, "description": "number of the request that this answers"},
        "m": {
            "type": ["array", "string"],
            "minItems": 1,
            "minLength": 1,
            "description": "the message: [event, ...]; of one in parts, text",
        },
        "part": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": MAX_PARTS},
            "minItems": 2,
            "maxItems": 2,
            "description": "which part of the message this is, from 0, and of how many",
        },
        "beat": {"type": "integer", "minimum": 1, "description": "number of this heartbeat"},
        "who": {"type": "integer", "description": "are you there? asked of a new program at a known address"},
        "here": {"type": "integer", "description": "the number of that question: yes"},
        "parts": {
            "type": "integer",
            "minimum": 1,
            "description": "bytes of a message that the sender takes in parts",
        },
        "pad": {"type": "string", "description": "makes the datagram long, to try the path"},
        "ack": {"type": "array", "items": {"type": "integer"}, "description": "numbers that have arrived"},
        "got": {
            "type": "array",
            "items": {"type": "array", "minItems": 2, "maxItems": 2},
            "description": "messages in parts: number, and a bit for each part that has come (hexadecimal)",
        },
        "t": {
            "type": "array",
            "items": {"type": "integer"},
            "minItems": 1,
            "maxItems": 3,
            "description": "ns: sent; stamp of the last frame heard; when it was heard",
        },
    },
    "required": ["multirig", "boot", "to"],
    "dependentRequired": {"n": ["m", "low"], "re": ["n"], "beat": ["m"], "part": ["m"]},
}
"""JSON schema of a frame; ``docs/reference/wire2.schema.json`` is this."""
