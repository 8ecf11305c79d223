"""Wire 2: one conversation between two multirig nodes.

Every message has a number, is acknowledged, retransmitted with growing pauses until it is, and handled once
however often it comes. Every frame carries the boot ids of both sides, so that nothing meant for a program
that has died reaches its successor, and time stamps, so that every exchange also measures the clock.

A frame is one JSON object::

    {"multirig": 2,            the version of the wire
     "boot": "9f…", "to": "41…",   who speaks, and to which incarnation of the other side
     "n": 7, "low": 6,         number of this message; the lowest that is still open on this side
     "re": 12,                 the request of the other side that this message answers
     "m": [2, "2024-05-06_2_x"],   the message, as on wire 1.0
     "ack": [12, 13],          what has arrived here
     "t": [sent, heard, at]}   ns: when this frame left; the stamp of the last frame heard; when it was heard

A frame without ``n`` is a receipt. The schema is `schema`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from multirig.errors import RemoteProtocolError, VersionMismatch
from multirig.protocol import codec
from multirig.protocol.clock import ClockEstimate
from multirig.protocol.events import (
    SECOND,
    Address,
    Confirmed,
    Ignored,
    Received,
    Refused,
    Replied,
    Send,
    TimedOut,
    Token,
    Unreached,
)
from multirig.protocol.messages import Event, Message

VERSION = 2
"""Of the wire; a peer with another one is told so."""
FIRST_RETRY = SECOND * 15 // 100
"""A lab's network answers in a millisecond; a PC that stalls this long merely gets a copy."""
LAST_RETRY = 2 * SECOND
"""The pauses double up to this."""
RECEIPT_DELAY = SECOND // 40
"""A reply's receipt waits this long for a message to travel with; well below FIRST_RETRY."""
EXPIRED_KEPT = 60 * SECOND
"""How long a late reply still finds its request, and an unheard reply is repeated."""
MAX_OPEN = 1024
"""Messages of one peer that may be open at once."""


@dataclass(slots=True)
class _Outgoing:
    """A message of ours, until its outcome is known."""

    number: int
    message: Message
    key: Hashable | None
    answers: int | None
    limit_at: int
    needs_reply: bool
    lasting: bool
    retry_at: int = 0
    pause: int = FIRST_RETRY
    confirmed: bool = False
    expired: bool = False


class Link:
    """One conversation on wire 2, behind the five verbs.

    Parameters
    ----------
    address : Address
        The peer's, where frames go; changes when the peer is heard from elsewhere.
    boot, peer : str
        Boot ids of this node and of the other one.
    reliable : bool
        Whether the transport delivers by itself (TCP): copies are then sent only after long pauses.
    """

    def __init__(self, address: Address, *, boot: str, peer: str, reliable: bool = False) -> None:
        self.address = address
        self.boot = boot
        self.peer = peer
        self.reliable = reliable
        self.clock = ClockEstimate()
        """The peer's clock, as seen from ours."""
        self.dropped_copies = 0
        """Messages that had been handled already."""
        self._next = 1
        self._open: dict[int, _Outgoing] = {}
        self._unsent: list[_Outgoing] = []
        self._handled: set[int] = set()
        self._low = 1
        self._receipts: list[int] = []
        self._receipt_at: int | None = None
        self._heard: tuple[int, int] | None = None
        self._events: deque[object] = deque()

    # -- what we say ------------------------------------------------------------------------------------

    def send(self, action: Send, now: int) -> None:
        """Queue a request; its outcome comes as an event under its key."""
        self._check(action.message)
        if action.overtakes:
            self._withdraw()
        self._queue(
            action.message,
            action.key,
            None,
            now + action.limit,
            needs_reply=action.needs_reply,
            lasting=action.lasting,
        )

    def reply(self, token: Token, message: Message, now: int) -> None:
        """Answer a request; an error ``[0, text, event]`` is an answer too."""
        self._check(message)
        if token.peer == self.peer:
            self._queue(message, None, token.number, now + EXPIRED_KEPT, needs_reply=False, lasting=False)

    def unreachable(self, reason: str, now: int) -> None:
        """Take the network's word that nothing listens there: everything outstanding ends now."""
        for outgoing in list(self._open.values()):
            if not outgoing.expired:
                outgoing.expired = True
                self._report(outgoing, Unreached(address=self.address, key=outgoing.key, reason=reason))
            if outgoing.lasting:
                outgoing.retry_at = now + LAST_RETRY
            else:
                del self._open[outgoing.number]
        self._unsent.clear()

    def lost(self, reason: str) -> None:
        """End the conversation: the peer has forgotten it."""
        for outgoing in self._open.values():
            if not outgoing.expired:
                self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=reason))
        self._open.clear()
        self._unsent.clear()
        self._receipts.clear()
        self._receipt_at = None

    # -- the five verbs ---------------------------------------------------------------------------------

    def receive_frame(self, frame: dict[str, Any], now: int) -> None:
        """Take a decoded frame from the peer that is meant for us."""
        try:
            number, low, answers, array, acks, stamps = _read(frame)
        except RemoteProtocolError as error:
            self._events.append(Ignored(address=self.address, reason=str(error), first=True))
            return
        if stamps:
            if len(stamps) == 3:
                self.clock.add(stamps[1], stamps[2], stamps[0], now)
            self._heard = (stamps[0], now)
        for acknowledged in acks:
            self._confirm(acknowledged)
        if number is None:
            return
        if low > self._low:
            self._low = low
            self._handled = {one for one in self._handled if one >= low}
        self._receipts.append(number)
        if answers is None:
            self._receipt_at = now
        elif self._receipt_at is None:
            self._receipt_at = now + RECEIPT_DELAY
        if number < self._low or number in self._handled:
            self.dropped_copies += 1
            self._receipt_at = now
            return
        if number >= self._low + MAX_OPEN:
            self._receipts.pop()
            self._events.append(Ignored(address=self.address, reason="too many open messages", first=True))
            return
        self._handled.add(number)
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            self._queue(
                Message(Event.ERROR, (str(error), 0)),
                None,
                number,
                now + EXPIRED_KEPT,
                needs_reply=False,
                lasting=False,
            )
            return
        if answers is None:
            token = Token(self.address, 2, number, self.peer)
            self._events.append(Received(address=self.address, message=message, token=token))
        else:
            self._receive_answer(answers, message)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Return what shall leave now, in order."""
        out = []
        for outgoing in self._unsent:
            if outgoing.number in self._open:
                out.append(self._transmit(outgoing, now))
        self._unsent.clear()
        if self._receipt_at is not None and self._receipt_at <= now:
            out.append(self._frame(None, now))
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        earliest = self._receipt_at
        for outgoing in self._open.values():
            at = outgoing.limit_at + EXPIRED_KEPT if outgoing.expired else outgoing.limit_at
            if not outgoing.confirmed and outgoing.retry_at and outgoing.retry_at < at:
                at = outgoing.retry_at
            if earliest is None or at < earliest:
                earliest = at
        return earliest

    def handle_timer(self, now: int) -> None:
        """Retransmit what is due and give up what is late."""
        for outgoing in list(self._open.values()):
            if not outgoing.expired and outgoing.limit_at <= now:
                outgoing.expired = True
                self._report(
                    outgoing,
                    TimedOut(address=self.address, key=outgoing.key, confirmed=outgoing.confirmed),
                )
                if not outgoing.confirmed and not outgoing.lasting:
                    del self._open[outgoing.number]
                    continue
            if outgoing.expired and outgoing.limit_at + EXPIRED_KEPT <= now:
                if outgoing.confirmed or not outgoing.lasting:
                    del self._open[outgoing.number]
                    continue
                outgoing.limit_at = now  # a lasting message lasts as long as the node
            if not outgoing.confirmed and outgoing.retry_at and outgoing.retry_at <= now:
                self._unsent.append(outgoing)

    def next_event(self) -> object | None:
        """Return the next thing that happened, or None."""
        return self._events.popleft() if self._events else None

    # -- inside -----------------------------------------------------------------------------------------

    def _check(self, message: Message) -> None:
        size = len(codec.encode_array(message)) + _FRAME_ROOM
        codec.check_size(size, stream=self.reliable, what=message)

    def _queue(
        self,
        message: Message,
        key: Hashable | None,
        answers: int | None,
        limit_at: int,
        *,
        needs_reply: bool,
        lasting: bool,
    ) -> None:
        outgoing = _Outgoing(self._next, message, key, answers, limit_at, needs_reply, lasting)
        self._next += 1
        self._open[outgoing.number] = outgoing
        self._unsent.append(outgoing)

    def _transmit(self, outgoing: _Outgoing, now: int) -> bytes:
        outgoing.retry_at = now + (LAST_RETRY if self.reliable else outgoing.pause)
        outgoing.pause = min(outgoing.pause * 2, LAST_RETRY)
        return self._frame(outgoing, now)

    def _frame(self, outgoing: _Outgoing | None, now: int) -> bytes:
        frame: dict[str, Any] = {"multirig": VERSION, "boot": self.boot, "to": self.peer}
        if outgoing is not None:
            frame["n"] = outgoing.number
            frame["low"] = next(iter(self._open))
            if outgoing.answers is not None:
                frame["re"] = outgoing.answers
            frame["m"] = outgoing.message.to_array()
        if self._receipts:
            frame["ack"] = self._receipts
        frame["t"] = [now] if self._heard is None else [now, *self._heard]
        data = codec.encode_frame(frame)
        if self._receipts:
            self._receipts = []
        self._receipt_at = None
        return data

    def _confirm(self, number: int) -> None:
        outgoing = self._open.get(number)
        if outgoing is None or outgoing.confirmed:
            return
        outgoing.confirmed = True
        if not outgoing.needs_reply:
            del self._open[number]
            if not outgoing.expired:
                self._report(
                    outgoing,
                    Replied(address=self.address, key=outgoing.key, message=Message(outgoing.message.event)),
                )
        elif not outgoing.expired:
            self._report(outgoing, Confirmed(address=self.address, key=outgoing.key))

    def _receive_answer(self, number: int, message: Message) -> None:
        outgoing = self._open.pop(number, None)
        if outgoing is None:
            self.dropped_copies += 1
        elif message.event is Event.ERROR:
            text = str(message.args[0]) if message.args else "an error without a text"
            self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=text))
        else:
            self._report(outgoing, Replied(address=self.address, key=outgoing.key, message=message))

    def _withdraw(self) -> None:
        """Give up requests that are not confirmed: something overtakes them."""
        for outgoing in list(self._open.values()):
            if outgoing.answers is None and not outgoing.confirmed:
                del self._open[outgoing.number]
                if not outgoing.expired:
                    reason = "withdrawn for an interrupt"
                    self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=reason))

    def _report(self, outgoing: _Outgoing, event: object) -> None:
        if outgoing.key is not None:
            self._events.append(event)


_FRAME_ROOM = 512
"""Bytes that a frame may need around its message: ids, stamps and a handful of receipts."""


def boot_frame(boot: str, peer: str) -> bytes:
    """Return the frame that tells a peer that this node is not the one it speaks to any more."""
    return codec.encode_frame({"multirig": VERSION, "boot": boot, "to": peer})


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
        raise VersionMismatch(f"speaks wire {version}, this PC speaks wire {VERSION}: update the older one")
    if version != VERSION or not isinstance(boot, str) or not isinstance(to, str) or not boot:
        raise RemoteProtocolError("a JSON object that is no multirig frame")
    return boot, to


def _read(frame: dict[str, Any]) -> tuple[int | None, int, int | None, Any, list[int], list[int]]:
    number, answers = frame.get("n"), frame.get("re")
    low = frame.get("low", number or 1)
    acks, stamps = frame.get("ack", []), frame.get("t", [])
    for what in (number, answers):
        if what is not None and (type(what) is not int or what < 1):
            raise RemoteProtocolError("a frame with a number that is none")
    if type(low) is not int or (number is not None and not 1 <= low <= number):
        raise RemoteProtocolError("a frame whose lowest open number is above its own")
    if not isinstance(acks, list) or not all(type(one) is int for one in acks):
        raise RemoteProtocolError("a frame with receipts that are no numbers")
    if not isinstance(stamps, list) or len(stamps) > 3 or not all(type(one) is int for one in stamps):
        raise RemoteProtocolError("a frame with time stamps that are no numbers")
    return number, low, answers, frame.get("m"), acks, stamps


schema: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "multirig wire 2 frame",
    "type": "object",
    "properties": {
        "multirig": {"const": VERSION, "description": "version of the wire"},
        "boot": {"type": "string", "minLength": 1, "description": "boot id of the sender"},
        "to": {"type": "string", "description": "boot id of the receiver"},
        "n": {"type": "integer", "minimum": 1, "description": "number of this message"},
        "low": {"type": "integer", "minimum": 1, "description": "lowest number still open at the sender"},
        "re": {"type": "integer", "minimum": 1, "description": "number of the request that this answers"},
        "m": {"type": "array", "minItems": 1, "description": "the message: [event, ...]"},
        "ack": {"type": "array", "items": {"type": "integer"}, "description": "numbers that have arrived"},
        "t": {
            "type": "array",
            "items": {"type": "integer"},
            "minItems": 1,
            "maxItems": 3,
            "description": "ns: sent; stamp of the last frame heard; when it was heard",
        },
    },
    "required": ["multirig", "boot", "to"],
    "dependentRequired": {"n": ["m", "low"], "re": ["n"]},
}
"""JSON schema of a frame; ``docs/reference/wire2.schema.json`` is this."""
