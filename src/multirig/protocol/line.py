"""What goes on the line to one peer: how much of a message fits into a datagram, and the frames around it."""

from __future__ import annotations

from typing import Any

from multirig.protocol import codec
from multirig.protocol.brief import abridge
from multirig.protocol.dialect import write
from multirig.protocol.events import Address
from multirig.protocol.frames import MAX_MESSAGE, VERSION, room_for_message, room_for_receipts
from multirig.protocol.parts import Key, Shelf
from multirig.protocol.words import Word

_FEW = 4
"""Receipts for which there is room unless a message fills its frame."""
_FOR_FEW = 160
"""Bytes that these need at most."""


class Receipts:
    """What the peer is still to be told that has arrived."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.parts: dict[int, Key] = {}
        """Messages of which parts have arrived: their numbers, and where they lie."""
        self.at: int | None = None
        """When they leave by themselves, unless a message takes them along."""
        self.is_due = False

    def clear(self) -> None:
        """Tell nothing any more."""
        self.numbers.clear()
        self.parts.clear()
        self.at = None
        self.is_due = False


class Line:
    """Writes words and frames for one peer.

    Parameters
    ----------
    address : Address
        Where the peer is.
    boot, peer : str
        Boot ids of this node and of the other one.
    reliable : bool
        Whether the transport delivers by itself, in whatever length.
    shelf : Shelf
        Where the peer's unfinished messages lie.
    """

    def __init__(self, address: Address, *, boot: str, peer: str, reliable: bool, shelf: Shelf) -> None:
        self.address = address
        self.boot = boot
        self.peer = peer
        self.reliable = reliable
        self.takes: int | None = None
        """Bytes of a message that the peer takes in parts; 0: it knows none. None: it was not asked yet."""
        self.room = room_for_message(boot, peer)
        """Bytes of a message that one frame holds."""
        self.receipts = Receipts()
        self.heard: tuple[int, int] | None = None
        """The stamp of the last frame that was heard, and when that was."""
        self.shelf = shelf

    def move(self, address: Address) -> None:
        """Lead to another address from now on."""
        self.address, self.reliable = address, address.scheme == "tcp"

    def encode(self, word: Word) -> str:
        """Return a word as it goes on the wire, with the first files only where it names too many.

        Raises
        ------
        LocalProtocolError
            It can't go.
        """
        text = codec.encode_text(write(word))
        if not self._fits(text):
            word = abridge(word, lambda one: self._fits(codec.encode_text(write(one))))
            text = codec.encode_text(write(word))
            codec.check_size(self._size(text), stream=self.reliable, limit=self._limit(), what=write(word))
        return text

    def is_whole(self, text: str) -> bool:
        """Whether a message goes in one datagram, however long that is."""
        return len(text) <= self.room or self.reliable or self.takes == 0

    def frame(self, head: dict[str, Any], now: int, message: str | None = None) -> bytes:
        """Return a frame with a message, or a part of one, and with the receipts that there is room for."""
        frame: dict[str, Any] = {"multirig": VERSION, "boot": self.boot, "to": self.peer}
        frame.update(head)
        receipts = self.receipts
        if receipts.numbers or receipts.is_due:
            self._add_receipts(frame, self.room - len(message or ""), is_alone=message is None)
        receipts.at = None
        frame["t"] = [now] if self.heard is None else [now, *self.heard]
        return codec.encode_frame(frame, message)

    def _add_receipts(self, frame: dict[str, Any], left: int, *, is_alone: bool) -> None:
        receipts = self.receipts
        if len(receipts.numbers) <= _FEW and not receipts.parts and left > _FOR_FEW:
            if receipts.numbers:
                frame["ack"], receipts.numbers = receipts.numbers, []
            receipts.is_due = False
            return
        if receipts.parts and is_alone:
            number, key = receipts.parts.popitem()
            bits = f"{self.shelf.bits(key):x}"
            frame["got"] = [[number, bits]]
            left -= len(bits)
        fit = room_for_receipts(left)
        if taken := receipts.numbers[:fit]:
            frame["ack"] = taken
            receipts.numbers = receipts.numbers[fit:]
        receipts.is_due = bool(receipts.numbers or receipts.parts)

    def _fits(self, text: str) -> bool:
        limit = self._limit()
        return len(text) * 2 <= limit or self._size(text) <= limit

    def _size(self, text: str) -> int:
        """Return how long a message is on the wire: in parts, each quote in it takes twice the room."""
        return len(text if self.is_whole(text) else codec.dump(text))

    def _limit(self) -> int:
        if self.reliable:
            return codec.MAX_STREAM_MESSAGE - codec.FRAME_ROOM
        return MAX_MESSAGE if self.takes is None else self.takes or codec.MAX_DATAGRAM - codec.FRAME_ROOM
