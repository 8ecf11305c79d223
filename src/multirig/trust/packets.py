"""The bytes around a handshake and around what is sealed.

Each packet begins with 0xF5, which no text in UTF-8 holds, and its kind::

    hello    F5 01 | from 8 | ephemeral key 32 | check 16, one or two | zeros
    answer   F5 02 | to 8 | from 8 | second message of the handshake
    proof    F5 03 | to 8 | third message of the handshake
    sealed   F5 04 | to 8 | number 8 | sealed content and its tag
    lost     F5 05 | to 8

``from`` and ``to`` name a channel: each side draws eight random bytes by which the other one writes to it.
Numbers are unsigned, the most significant byte first. ``check`` shows that the sender knows the lab's public
key, so that strangers cost hardly more than the reading of their datagrams.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import NamedTuple

from multirig.errors import TrustError

MARK = 0xF5
"""First byte of every packet."""
INDEX = 8
"""Bytes that name a channel."""
HELLO, ANSWER, PROOF, SEALED, LOST = range(1, 6)
HELLO_SIZE = 800
"""Bytes of a hello that comes as a packet: the answer is never longer."""
_CHECK = 16
_KEY = 32
MAX_LABS = 2
"""To which one hello goes: a lab that changes its key is two for a while."""
_HELLO_HEAD = 2 + INDEX + _KEY
_HELLO_LENGTH = _HELLO_HEAD + _CHECK
HEAD = 2 + INDEX + 8
"""Bytes before what is sealed."""
COST = HEAD + 16
"""Bytes by which a sealed packet is longer than what is in it."""
NUMBER = struct.Struct(">Q")
"""How the number of a packet is written; it is authenticated along with all that stands before it."""
_STREAM = b'{"sealed":"'
"""On a stream, which is cut into messages by their JSON, a packet stands in this."""


class Hello(NamedTuple):
    """The beginning of a handshake, read but not checked."""

    caller: bytes
    """How the other side calls the channel that is to be."""
    key: bytes
    """First message of the handshake."""
    which: bytes
    """All that tells it from another one, be it changed on its way."""


def pack_hello(index: bytes, key: bytes, labs: Sequence[bytes]) -> bytes:
    """Return a hello to the PCs of a lab, without the zeros that make it long.

    Parameters
    ----------
    index : bytes
        How this side calls the channel.
    key : bytes
        First message of the handshake: 32 bytes.
    labs : sequence of bytes
        The lab's public key; two while it changes.
    """
    head = bytes([MARK, HELLO]) + index + key
    return head + b"".join(_check(head, lab) for lab in labs[-MAX_LABS:])


def unpack_hello(packet: bytes) -> Hello:
    """Read a hello; TrustError if it is none."""
    if len(packet) < _HELLO_LENGTH or packet[:2] != bytes([MARK, HELLO]):
        raise TrustError("its hello is none")
    at = 2 + INDEX
    return Hello(packet[2:at], packet[at:_HELLO_HEAD], say_which(packet))


def say_which(packet: bytes) -> bytes:
    """Return what tells a hello from another one."""
    return packet[: _HELLO_HEAD + MAX_LABS * _CHECK]


def knows_lab(packet: bytes, lab: bytes) -> bool:
    """Whether whoever has made a hello knows the lab's public key."""
    wanted = _check(packet[:_HELLO_HEAD], lab)
    return hmac.compare_digest(wanted, packet[_HELLO_HEAD:_HELLO_LENGTH]) or hmac.compare_digest(
        wanted, packet[_HELLO_LENGTH : _HELLO_LENGTH + _CHECK]
    )


def _check(head: bytes, lab: bytes) -> bytes:
    check = _begin_check(lab).copy()
    check.update(head)
    return check.digest()


@functools.lru_cache(16)
def _begin_check(lab: bytes) -> hashlib.blake2s:
    """Return a hash that has taken the key already: strangers make this PC compute many."""
    return hashlib.blake2s(key=lab, digest_size=_CHECK, person=b"mrighelo")


def pack_answer(index: bytes, own: bytes, message: bytes) -> bytes:
    """Return the answer to a hello: to whom, how this side calls the channel, and the second message."""
    return bytes([MARK, ANSWER]) + index + own + message


def pack_proof(index: bytes, message: bytes) -> bytes:
    """Return the end of a handshake: to whom, and the third message."""
    return bytes([MARK, PROOF]) + index + message


def pack_lost(index: bytes) -> bytes:
    """Return what is said to whoever writes to a channel that is not known here."""
    return bytes([MARK, LOST]) + index


def head_of_sealed(index: bytes) -> bytes:
    """Return what stands before the number of a sealed packet."""
    return bytes([MARK, SEALED]) + index


def number_of_sealed(packet: bytes) -> int:
    """Return the number of a sealed packet, which is long enough."""
    return int(NUMBER.unpack_from(packet, 2 + INDEX)[0])


def to_text(packet: bytes) -> str:
    """Return a packet in URL-safe base64, as it stands in a greeting."""
    return base64.urlsafe_b64encode(packet).decode()


def from_text(text: object) -> bytes:
    """Return a packet from its base64; TrustError if it is none."""
    try:
        if not isinstance(text, str):
            raise ValueError
        return base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TrustError("its hello is none") from None


def wrap(packet: bytes) -> bytes:
    """Return a packet as it goes on a stream."""
    return _STREAM + base64.urlsafe_b64encode(packet) + b'"}'


def unwrap(message: bytes) -> bytes:
    """Return the packet in a message of a stream; the message itself if there is none in it."""
    if not message.startswith(_STREAM):
        return message
    try:
        return base64.b64decode(message[len(_STREAM) : -2], altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return message
