"""Wire 2: one conversation between two multirig nodes.

Every message has a number, is acknowledged, retransmitted with growing pauses until it is, and handled once
however often it comes. Every frame carries the boot ids of both sides, so that nothing meant for a program
that has died reaches its successor, and time stamps, so that every exchange also measures the clock.

A frame is one JSON object::

    {"multirig": 2,            the version of the wire
     "boot": "9f…", "to": "41…",   who speaks, and to which incarnation of the other side
     "n": 7, "low": 6,         number of this message; requests below the other one will not come any more
     "re": 12,                 the request of the other side that this message answers
     "m": [2, "2024-05-06_2_x"],   the message, as on wire 1.0
     "ack": [12, 13],          what has arrived here
     "t": [sent, heard, at]}   ns: when this frame left; the stamp of the last frame heard; when it was heard

A frame without ``n`` is a receipt, or, with ``"beat": 31``, the 31st heartbeat: said once, and superseded by
the next, so that it needs no receipt. The schema is `schema`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from multirig.errors import RemoteProtocolError, VersionMismatch
from multirig.protocol import codec
from multirig.protocol.clock import ClockMap
from multirig.protocol.dialect import Hearing, hear_verbatim, write
from multirig.protocol.events import (
    SECOND,
    WITHDRAWN,
    Address,
    Confirmed,
    Ignored,
    Received,
    Refused,
    Replied,
    Send,
    TimedOut,
    Token,
    Told,
    Unreached,
)
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Complaint, Receipt, Word

VERSION = 2
"""Of the wire; a peer with another one is told so."""
FIRST_RETRY = SECOND * 15 // 100
"""A lab's network answers in a millisecond; a PC that stalls this long merely gets a copy."""
EARLY_RETRY = SECOND // 2
"""The pauses double up to this: with a third of all datagrams lost, hardly a request goes unheard."""
CONFIRM_LIMIT = 8 * SECOND
"""A peer that has not even confirmed a request by then does not hear us."""
LASTING_CONFIRM_LIMIT = 15 * SECOND
"""A stop waits longer: a PC that stalls while it closes its files may be deaf for many seconds."""
LAST_RETRY = 2 * SECOND
"""Between the copies of a stop that a deaf peer shall get when it is back."""
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
    word: Word
    text: str
    """The word as it goes on the wire."""
    key: Hashable | None
    answers: int | None
    limit_at: int
    """When its time is up: soon while the peer has not confirmed it, then as late as the reply may come."""
    reply_by: int
    needs_reply: bool
    lasting: bool
    gives_up: bool
    """Whether it ends as soon as nothing listens there."""
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
    hears : Hearing
        How this side understands what it hears.
    """

    def __init__(
        self,
        address: Address,
        *,
        boot: str,
        peer: str,
        reliable: bool = False,
        hears: Hearing = hear_verbatim,
    ) -> None:
        self.address = address
        self.boot = boot
        self.peer = peer
        self.reliable = reliable
        self._hears = hears
        self.clock = ClockMap()
        """The peer's clock, as seen from ours."""
        self.dropped_copies = 0
        """Messages that had been handled already."""
        self.ignored = 0
        """Frames that were none."""
        self._next = 1
        self._open: dict[int, _Outgoing] = {}
        self._unsent: list[_Outgoing] = []
        self._handled: set[int] = set()
        self._low = 1
        self._receipts: list[int] = []
        self._receipt_at: int | None = None
        self._receipt_due = False
        self._heard: tuple[int, int] | None = None
        self._obstacle: str | None = None
        """What the network said last of the way there, since the peer was heard."""
        self._beat: str | None = None
        """A heartbeat that is still to leave."""
        self._beats = 0
        self._last_beat = 0
        """The peer's newest one."""
        self._events: deque[object] = deque()

    # -- what we say ------------------------------------------------------------------------------------

    def send(self, action: Send, now: int) -> None:
        """Queue a request; its outcome comes as an event under its key."""
        text = self._encode(action.word)
        if action.overtakes:
            self._withdraw()
        self._queue(action, text, now)

    def reply(self, token: Token, word: Word, now: int, key: Hashable | None = None) -> None:
        """Answer a request; a complaint is an answer too."""
        text = self._encode(word)
        if token.peer == self.peer:
            answer = Send(address=self.address, word=word, key=key, limit=EXPIRED_KEPT, needs_reply=False)
            self._queue(answer, text, now, answers=token.number)

    def tell(self, word: Word) -> None:
        """Say something once; it takes the place of what was to be told and has not left yet."""
        self._beat = self._encode(word)

    def unreachable(self, reason: str, now: int, *, is_refusal: bool = True) -> None:
        """Take the network's word that nothing listens there, or that there is no way.

        It may be otherwise in a moment, so what is to be done there is tried on until its time is up; a
        question whether somebody is there has its answer where that PC refuses (`is_refusal`).
        """
        self._obstacle = reason
        for outgoing in [one for one in self._open.values() if one.answers is None]:
            if outgoing.gives_up and is_refusal:
                del self._open[outgoing.number]
                if not outgoing.expired:
                    self._report(outgoing, Unreached(address=self.address, key=outgoing.key, reason=reason))
            elif self.reliable and not outgoing.confirmed and outgoing.retry_at:
                outgoing.retry_at = min(outgoing.retry_at, now + EARLY_RETRY)

    def take_questions(self, now: int) -> list[Send]:
        """Take back every unanswered EXPINFO: whoever is there now can answer it as well."""
        asked = [
            one for one in self._open.values() if one.word.event is Event.EXPINFO and one.answers is None
        ]
        for outgoing in asked:
            del self._open[outgoing.number]
        return [
            Send(
                address=self.address,
                word=one.word,
                key=one.key,
                limit=one.reply_by - now,
                gives_up=one.gives_up,
            )
            for one in asked
            if not one.expired
        ]

    def lost(self, reason: str) -> None:
        """End the conversation: the peer has forgotten it."""
        for outgoing in self._open.values():
            if not outgoing.expired:
                self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=reason))
        self._open.clear()
        self._unsent.clear()
        self._beat = None
        self._receipts.clear()
        self._receipt_at = None
        self._receipt_due = False

    # -- the five verbs ---------------------------------------------------------------------------------

    def receive_frame(self, frame: dict[str, Any], now: int) -> None:
        """Take a decoded frame from the peer that is meant for us."""
        try:
            read = _Frame.read(frame)
        except RemoteProtocolError as error:
            self._ignore(str(error))
            return
        self._obstacle = None
        if stamps := read.stamps:
            if len(stamps) == 3:
                self.clock.add(stamps[1], stamps[2], stamps[0], now)
            self._heard = (stamps[0], now)
        for acknowledged in read.receipts:
            self._confirm(acknowledged)
        if read.number is None:
            if read.beat is not None:
                self._receive_beat(read.beat, read.array)
            return
        if read.low > self._low:
            self._low = read.low
            self._handled = {number for number in self._handled if number >= read.low}
        if read.answers is None and read.number >= self._low + MAX_OPEN:
            self._ignore("too many open messages")
            return
        self._receipts.append(read.number)
        if read.answers is None:
            self._receive_request(read.number, read.array, now)
        else:
            self._receive_answer(read.answers, read.array, now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Return what shall leave now, in order."""
        out = []
        for outgoing in self._unsent:
            if outgoing.number in self._open and not outgoing.confirmed:
                out.append(self._transmit(outgoing, now))
        self._unsent.clear()
        if self._beat is not None:
            self._beats += 1
            out.append(self._frame(None, now, self._beat))
            self._beat = None
        elif self._receipt_due:
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
        if self._receipt_at is not None and self._receipt_at <= now:
            self._receipt_at = None
            self._receipt_due = True
        for outgoing in list(self._open.values()):
            if not outgoing.expired and outgoing.limit_at <= now:
                outgoing.expired = True
                self._report(outgoing, _say_late(outgoing, self.address, self._obstacle))
                if not outgoing.confirmed and not outgoing.lasting:
                    del self._open[outgoing.number]
                    continue
            if outgoing.expired and outgoing.limit_at + EXPIRED_KEPT <= now:
                if outgoing.confirmed or not outgoing.lasting:
                    del self._open[outgoing.number]
                    continue
                outgoing.limit_at = now  # a lasting message lasts as long as the node
            if not outgoing.confirmed and outgoing.retry_at and outgoing.retry_at <= now:
                outgoing.retry_at = 0
                self._unsent.append(outgoing)

    def next_event(self) -> object | None:
        """Return the next thing that happened, or None."""
        return self._events.popleft() if self._events else None

    def sizes(self) -> dict[str, int]:
        """Return how much is remembered of the peer."""
        return {"open": len(self._open), "handled": len(self._handled), "receipts": len(self._receipts)}

    # -- inside -----------------------------------------------------------------------------------------

    def _encode(self, word: Word) -> str:
        """Return a word as it goes on the wire; LocalProtocolError if it can't go."""
        message = write(word)
        text = codec.encode_text(message)
        codec.check_size(len(text) + _FRAME_ROOM, stream=self.reliable, what=message)
        return text

    def _queue(self, action: Send, text: str, now: int, *, answers: int | None = None) -> None:
        confirm_limit = LASTING_CONFIRM_LIMIT if action.lasting else CONFIRM_LIMIT
        reply_by = now + action.limit
        outgoing = _Outgoing(
            self._next,
            action.word,
            text,
            action.key,
            answers,
            limit_at=reply_by if answers is not None else min(reply_by, now + confirm_limit),
            reply_by=reply_by,
            needs_reply=action.needs_reply,
            lasting=action.lasting,
            gives_up=action.gives_up,
        )
        self._next += 1
        self._open[outgoing.number] = outgoing
        self._unsent.append(outgoing)

    def _transmit(self, outgoing: _Outgoing, now: int) -> bytes:
        outgoing.retry_at = now + (LAST_RETRY if self.reliable else outgoing.pause)
        outgoing.pause = min(outgoing.pause * 2, LAST_RETRY if outgoing.expired else EARLY_RETRY)
        return self._frame(outgoing, now)

    def _frame(self, outgoing: _Outgoing | None, now: int, beat: str | None = None) -> bytes:
        frame: dict[str, Any] = {"multirig": VERSION, "boot": self.boot, "to": self.peer}
        if outgoing is not None:
            frame["n"] = outgoing.number
            frame["low"] = self._lowest_request()
            if outgoing.answers is not None:
                frame["re"] = outgoing.answers
        if beat is not None:
            frame["beat"] = self._beats
        if self._receipts:
            frame["ack"], self._receipts = self._receipts, []
        self._receipt_at = None
        self._receipt_due = False
        frame["t"] = [now] if self._heard is None else [now, *self._heard]
        return codec.encode_frame(frame, outgoing.text if outgoing is not None else beat)

    def _confirm(self, number: int) -> None:
        outgoing = self._open.get(number)
        if outgoing is None or outgoing.confirmed:
            return
        outgoing.confirmed = True
        outgoing.limit_at = outgoing.reply_by
        if not outgoing.needs_reply:
            del self._open[number]
            if not outgoing.expired:
                receipt = Receipt(event=outgoing.word.event)
                self._report(outgoing, Replied(address=self.address, key=outgoing.key, word=receipt))
        elif not outgoing.expired:
            self._report(outgoing, Confirmed(address=self.address, key=outgoing.key))

    def _lowest_request(self) -> int:
        """Return the lowest number that may still be sent; answers are known by their requests."""
        unconfirmed = (one.number for one in self._open.values() if one.answers is None and not one.confirmed)
        return next(unconfirmed, self._next)

    def _receive_beat(self, number: int, array: Any) -> None:
        if number <= self._last_beat:  # a copy, or one that was overtaken
            self.dropped_copies += 1
            return
        self._last_beat = number
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            self._ignore(str(error))
        else:
            self._events.append(Told(address=self.address, word=self._hears(message), boot=self.peer))

    def _receive_request(self, number: int, array: Any, now: int) -> None:
        self._receipt_due = True
        if number < self._low or number in self._handled:
            self.dropped_copies += 1
            return
        self._handled.add(number)
        token = Token(self.address, 2, number, self.peer)
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            self.reply(token, Complaint(text=str(error)), now)
        else:
            self._events.append(Received(address=self.address, word=self._hears(message), token=token))

    def _receive_answer(self, number: int, array: Any, now: int) -> None:
        outgoing = self._open.pop(number, None)
        if outgoing is None:  # a copy: its sender has missed the receipt
            self.dropped_copies += 1
            self._receipt_due = True
            return
        if self._receipt_at is None:
            self._receipt_at = now + RECEIPT_DELAY
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            message = Message(Event.ERROR, (f"its answer is no message: {error}", 0))
        if message.event is Event.ERROR:
            text = str(message.args[0]) if message.args else "an error without a text"
            self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=text))
        else:
            word = self._hears(message)
            self._report(outgoing, Replied(address=self.address, key=outgoing.key, word=word))

    def _withdraw(self) -> None:
        """Give up requests that are not confirmed: something overtakes them."""
        for outgoing in list(self._open.values()):
            if outgoing.answers is None and not outgoing.confirmed:
                del self._open[outgoing.number]
                if not outgoing.expired:
                    self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=WITHDRAWN))

    def _ignore(self, reason: str) -> None:
        self.ignored += 1
        self._events.append(Ignored(address=self.address, reason=reason, first=self.ignored == 1))

    def _report(self, outgoing: _Outgoing, event: object) -> None:
        if outgoing.key is not None:
            self._events.append(event)


def _say_late(outgoing: _Outgoing, address: Address, obstacle: str | None) -> TimedOut | Unreached:
    """Return what became of a message whose time is up."""
    if obstacle is not None and not outgoing.confirmed:
        return Unreached(address=address, key=outgoing.key, reason=obstacle)
    return TimedOut(address=address, key=outgoing.key, confirmed=outgoing.confirmed)


_FRAME_ROOM = 512
"""Bytes that a frame may need around its message: ids, stamps and a handful of receipts."""


def boot_frame(boot: str, peer: str) -> bytes:
    """Return the frame that tells a peer that this node is not the one it speaks to any more."""
    return codec.encode_frame({"multirig": VERSION, "boot": boot, "to": peer})


def who_frame(boot: str, peer: str, number: int) -> bytes:
    """Return the frame that asks a program whether it is really there, where another one was known."""
    return codec.encode_frame({"multirig": VERSION, "boot": boot, "to": peer, "who": number})


def here_frame(boot: str, peer: str, number: int) -> bytes:
    """Return the frame that answers it."""
    return codec.encode_frame({"multirig": VERSION, "boot": boot, "to": peer, "here": number})


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


class _Frame(NamedTuple):
    """A frame of the peer, checked."""

    number: int | None
    """Of the message in it; None: it is a receipt or a heartbeat."""
    low: int
    """Requests below it will not come any more."""
    answers: int | None
    """The request of ours that the message answers."""
    array: Any
    """The message."""
    receipts: list[int]
    """What has arrived there."""
    stamps: list[int]
    """ns: when it left; the stamp of the last frame heard there; when that was heard."""
    beat: int | None
    """Number of the heartbeat in it."""

    @classmethod
    def read(cls, frame: dict[str, Any]) -> _Frame:
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
        if not _are_integers(stamps) or len(stamps) > 3:
            raise RemoteProtocolError("a frame with time stamps that are no numbers")
        return cls(number, low, answers, frame.get("m"), receipts, stamps, beat)


_NONE: list[int] = []


def _is_number(value: object) -> bool:
    return value is None or (type(value) is int and value >= 1)


def _are_integers(values: object) -> bool:
    return isinstance(values, list) and {*map(type, values)} <= _INT


_INT = {int}


schema: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "multirig wire 2 frame",
    "type": "object",
    "properties": {
        "multirig": {"const": VERSION, "description": "version of the wire"},
        "boot": {"type": "string", "minLength": 1, "description": "boot id of the sender"},
        "to": {"type": "string", "description": "boot id of the receiver"},
        "n": {"type": "integer", "minimum": 1, "description": "number of this message"},
        "low": {"type": "integer", "minimum": 1, "description": "lower requests will not come"},
        "re": {"type": "integer", "minimum": 1, "description": "number of the request that this answers"},
        "m": {"type": "array", "minItems": 1, "description": "the message: [event, ...]"},
        "beat": {"type": "integer", "minimum": 1, "description": "number of this heartbeat"},
        "who": {"type": "integer", "description": "are you there? asked of a new program at a known address"},
        "here": {"type": "integer", "description": "the number of that question: yes"},
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
    "dependentRequired": {"n": ["m", "low"], "re": ["n"], "beat": ["m"]},
}
"""JSON schema of a frame; ``docs/reference/wire2.schema.json`` is this."""
