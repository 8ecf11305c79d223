"""Seals probes of the clock, under keys of their own: they pass beside the conversation, in other threads.

::

    probe     F5 11 | to 8 | number 8 | sealed: heard 8, sent 8, slack 4
    answer    F5 12 | to 8 | number 8 | sealed: 20 zeros
    stamps    F5 13 | to 8 | number 8 | sealed: heard 8, answered 8, slack 4

Stamps are nanoseconds of the sender's clock, signed. None travels in the message that it is of, so that
sealing stands in no way that is measured. A probe holds when the answer to the last but one was heard, and
when the last one was sent. Probes of a channel have rising numbers; answer and stamps have the number of
their probe, and the nonces 2 n and 2 n + 1.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from multirig.errors import TrustError
from multirig.trust.noise import TAG, nonce
from multirig.trust.packets import INDEX, MARK

PROBE, ANSWER, STAMPS = 0x11, 0x12, 0x13
_HEAD = struct.Struct(f">BB{INDEX}sQ")
_STAMPS = struct.Struct(">qqI")
SIZE = _HEAD.size + _STAMPS.size + TAG
"""Bytes of each of them."""
_MAX_SLACK = 2**32 - 1


class ProbeHead(NamedTuple):
    """What stands before what is sealed; not proved."""

    kind: int
    to: bytes
    number: int


class ProbeStamps(NamedTuple):
    """Two times of the sender's clock, in nanoseconds, and by how much they may be wrong; 0: not known."""

    first: int
    second: int
    slack: int


NO_STAMPS = ProbeStamps(0, 0, 0)


def read_head(packet: bytes) -> ProbeHead | None:
    """Return what a packet says it is; None if it is no probe."""
    if len(packet) != SIZE or packet[0] != MARK:
        return None
    _, kind, to, number = _HEAD.unpack_from(packet)
    return ProbeHead(kind, to, number)


class ClockSeal:
    """Keys for the probes of one channel; each method belongs to one thread.

    Parameters
    ----------
    mine, theirs : bytes
        How each side calls the channel.
    keys : tuple of bytes
        To send and to receive with; 32 bytes each.
    boot : str
        Boot id of the other side's program.
    """

    def __init__(self, mine: bytes, theirs: bytes, keys: tuple[bytes, bytes], boot: str) -> None:
        self.mine = mine
        self.theirs = theirs
        self.boot = boot
        self._sends, self._receives = (ChaCha20Poly1305(one) for one in keys)
        self._sent = 0
        self._heard = 0

    def next_number(self) -> int:
        """Return the number of the next probe that this side sends."""
        self._sent += 1
        return self._sent

    def is_next(self, number: int) -> bool:
        """Whether a probe of the other side is newer than all that were taken."""
        return number > self._heard

    def seal(self, kind: int, number: int, stamps: ProbeStamps = NO_STAMPS) -> bytes:
        """Return a packet for the other side."""
        head = _HEAD.pack(MARK, kind, self.theirs, number)
        content = _STAMPS.pack(stamps.first, stamps.second, min(stamps.slack, _MAX_SLACK))
        return head + self._sends.encrypt(_nonce(kind, number), content, head)

    def open(self, packet: bytes) -> ProbeStamps:
        """Return what is in a packet of the other side, as `read_head` has found it.

        Raises
        ------
        TrustError
            It was not made by the other side, or it is a probe that has come before.
        """
        kind, number = packet[1], int.from_bytes(packet[2 + INDEX : _HEAD.size], "big")
        if kind == PROBE and not self.is_next(number):
            raise TrustError("a probe that has come before")
        if number > _LAST:
            raise TrustError("a probe with a number that is none")
        try:
            content = self._receives.decrypt(_nonce(kind, number), packet[_HEAD.size :], packet[: _HEAD.size])
        except InvalidTag:
            raise TrustError("a probe that was not made for this channel") from None
        if kind == PROBE:
            self._heard = number
        return ProbeStamps(*_STAMPS.unpack(content))


_LAST = 2**62


def _nonce(kind: int, number: int) -> bytes:
    return nonce(number if kind == PROBE else 2 * number + (kind == STAMPS))
