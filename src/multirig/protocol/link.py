"""Wire 2: one conversation between two multirig nodes.

Every message has a number, is acknowledged, retransmitted with growing pauses until it is, and handled once
however often it comes. One that a datagram cannot hold goes in parts, each of which is acknowledged for
itself. Every frame carries the boot ids of both sides, so that nothing meant for a program that has died
reaches its successor, and time stamps, so that every exchange also measures the clock. What a frame is,
`multirig.protocol.frames` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

from multirig.errors import RemoteProtocolError
from multirig.protocol import codec
from multirig.protocol.clock import ClockMap
from multirig.protocol.dialect import Hearing, hear_verbatim
from multirig.protocol.events import SECOND, Address, Ignored, PathTried, Received, Send, Token, Told
from multirig.protocol.frames import FULL_SIZE, MAX_MESSAGE, Frame, who_frame
from multirig.protocol.knocking import Knocking
from multirig.protocol.line import Line
from multirig.protocol.messages import Event, Message
from multirig.protocol.outbox import Outbox
from multirig.protocol.parts import Shelf, cut
from multirig.protocol.words import Complaint, Word
from multirig.trust.packets import COST

RECEIPT_DELAY = SECOND // 40
"""A reply's receipt waits this long for a message to travel with; well below FIRST_RETRY."""
MAX_OPEN = 1024
"""Messages of one peer that may be open at once."""
KNOCK_LIMIT = 10 * SECOND
"""How long a peer is asked whether it takes messages in parts, each time that there is one for it."""
PATH_LIMIT = 4 * SECOND
"""How long a full datagram is tried: with a third of all lost, one path in a thousand seems too narrow."""


class Link:
    """One conversation on wire 2, behind the five verbs.

    Parameters
    ----------
    address : Address
        The peer's, where frames go; changes when the peer is heard from elsewhere.
    boot, peer : str
        Boot ids of this node and of the other one.
    reliable : bool
        Whether the transport delivers by itself (TCP): copies are then sent only after long pauses, and
        messages go whole however long they are.
    hears : Hearing
        How this side understands what it hears.
    shelf : Shelf, optional
        Where unfinished messages lie, with those of other links.
    is_sealed : bool
        Whether all that leaves is sealed, which makes it longer.
    """

    def __init__(
        self,
        address: Address,
        *,
        boot: str,
        peer: str,
        reliable: bool = False,
        hears: Hearing = hear_verbatim,
        shelf: Shelf | None = None,
        is_sealed: bool = False,
    ) -> None:
        self.boot = boot
        self.peer = peer
        self.is_sealed = is_sealed
        """Whether nothing of it passes but under a seal."""
        self._hears = hears
        self.clock = ClockMap()
        """The peer's clock, as seen from ours."""
        self.dropped_copies = 0
        """Messages that had been handled already."""
        self.ignored = 0
        """Frames that were none."""
        self._events: deque[object] = deque()
        self._shelf = shelf if shelf is not None else Shelf()
        self.line = Line(address, boot=boot, peer=peer, reliable=reliable, shelf=self._shelf)
        """How frames are written, and what the peer is known to take."""
        self._outbox = Outbox(self.line, self._events)
        self._knocking = Knocking()
        self._handled: set[int] = set()
        self._low = 1
        self._beat: str | None = None
        """A heartbeat that is still to leave."""
        self._beats = 0
        self._last_beat = 0
        """The peer's newest one."""

    @property
    def address(self) -> Address:
        """Where the peer is."""
        return self.line.address

    # -- what we say ------------------------------------------------------------------------------------

    def send(self, action: Send, now: int) -> None:
        """Queue a request; its outcome comes as an event under its key."""
        self._outbox.ask(action, now)

    def reply(self, token: Token, word: Word, now: int, key: Hashable | None = None) -> None:
        """Answer a request; a complaint is an answer too."""
        if token.peer == self.peer:
            self._outbox.answer(token.number, word, key, now)

    def tell(self, word: Word) -> None:
        """Say something once; it takes the place of what was to be told and has not left yet."""
        self._beat = self.line.encode(word)

    def knock(self, now: int) -> None:
        """Have the peer say how long a message may be, and ask on wire 2 what it asks on wire 1.0."""
        self._knocking.begin(0, now, KNOCK_LIMIT)

    def try_path(self, now: int) -> None:
        """Find out whether full datagrams pass, there and back: `PathTried` tells."""
        self._knocking.begin(FULL_SIZE, now, PATH_LIMIT)

    def unreachable(self, reason: str, now: int, *, is_refusal: bool = True) -> None:
        """Take the network's word that nothing listens there, or that there is no way; see `Outbox`."""
        self._outbox.unreachable(reason, now, is_refusal=is_refusal)

    @property
    def obstacle(self) -> str | None:
        """What the network said last of the way there, since the peer was heard."""
        return self._outbox.obstacle

    def take_questions(self, now: int) -> list[Send]:
        """Take back every unanswered EXPINFO: whoever is there now can answer it as well."""
        return self._outbox.take_questions(now)

    def lost(self, reason: str) -> None:
        """End the conversation: the peer has forgotten it."""
        self._outbox.lose(reason)
        self._beat = None
        self.line.receipts.clear()
        self._knocking.clear()
        self._shelf.forget(self.peer)

    # -- the five verbs ---------------------------------------------------------------------------------

    def receive_frame(self, frame: dict[str, Any], now: int) -> None:
        """Take a decoded frame from the peer that is meant for us."""
        try:
            read = Frame.read(frame)
        except RemoteProtocolError as error:
            self._ignore(str(error))
            return
        self._outbox.obstacle = None
        if stamps := read.stamps:
            if len(stamps) == 3:
                self.clock.add(stamps[1], stamps[2], stamps[0], now)
            self.line.heard = (stamps[0], now)
            self._outbox.note_parts(read.got, stamps[0], now)
        for acknowledged in read.receipts:
            self._outbox.confirm(acknowledged)
        if read.number is None:
            if read.beat is not None:
                self._receive_beat(read, read.beat, now)
            elif "here" in frame:
                self._receive_here(frame)
            return
        if read.low > self._low:
            self._low = read.low
            self._handled = {number for number in self._handled if number >= read.low}
        if read.answers is None and read.number >= self._low + MAX_OPEN:
            self._ignore("too many open messages")
        elif (array := read.array if read.part is None else self._join(read, read.number, now)) is not None:
            self.line.receipts.numbers.append(read.number)
            if read.answers is None:
                self._receive_request(read.number, array, now)
            else:
                self._receive_answer(read.answers, array, now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Return what shall leave now, in order: what is short first, and parts of what is long last."""
        line = self.line
        out, is_held = self._outbox.take_frames(now)
        if is_held:
            self.knock(now)
        if self._beat is not None:
            out += self._tell(self._beat, now)
            self._beat = None
        if self._outbox.in_parts:
            out += self._outbox.take_parts(now)
        while line.receipts.is_due:
            out.append(line.frame({}, now))
        if self._knocking:
            for size in self._knocking.take_due(now):
                fill = size - COST if size and self.is_sealed else size
                out.append(who_frame(self.boot, self.peer, -size, parts=MAX_MESSAGE, size=fill))
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        earliest, receipts = self._outbox.get_timer(), self.line.receipts.at
        if receipts is not None and (earliest is None or receipts < earliest):
            earliest = receipts
        if self._knocking and (knocks := self._knocking.get_timer()) is not None:
            return knocks if earliest is None else min(knocks, earliest)
        return earliest

    def handle_timer(self, now: int) -> None:
        """Retransmit what is due and give up what is late."""
        receipts = self.line.receipts
        if receipts.at is not None and receipts.at <= now:
            receipts.at = None
            receipts.is_due = True
        self._outbox.handle_timer(now)
        if self._knocking and FULL_SIZE in self._knocking.take_late(now):
            self._events.append(PathTried(address=self.address, passes=False))

    def next_event(self) -> object | None:
        """Return the next thing that happened, or None."""
        return self._events.popleft() if self._events else None

    def sizes(self) -> dict[str, int]:
        """Return how much is remembered of the peer."""
        receipts = len(self.line.receipts.numbers)
        return {"open": len(self._outbox), "handled": len(self._handled), "receipts": receipts}

    # -- inside -----------------------------------------------------------------------------------------

    def _tell(self, text: str, now: int) -> list[bytes]:
        line = self.line
        if not line.is_whole(text) and line.takes is None:
            self.knock(now)  # the next one will be heard
            return []
        self._beats += 1
        head: dict[str, Any] = {"beat": self._beats}
        if line.is_whole(text):
            return [line.frame(head, now, text)]
        parts = cut(text, line.room)
        return [
            line.frame({**head, "part": [index, len(parts)]}, now, f'"{part}"')
            for index, part in enumerate(parts)
        ]

    def _receive_here(self, frame: dict[str, Any]) -> None:
        """Take the answer to a knock; one of 0.1 knows no parts and does not fill it up."""
        number, parts = frame["here"], frame.get("parts", 0)
        if type(number) is not int or type(parts) is not int or not self._knocking.end(-number):
            return
        if number == -FULL_SIZE:
            self._events.append(PathTried(address=self.address, passes=True))
        if self.line.takes is None:
            self.line.takes = max(0, min(parts, MAX_MESSAGE))
            self._outbox.learn()

    def _receive_beat(self, read: Frame, number: int, now: int) -> None:
        if number <= self._last_beat:  # a copy, or one that was overtaken
            self.dropped_copies += 1
            return
        array = self._add(read, ("beat", number, 0), now)
        if array is None:
            return
        self._last_beat = number
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            self._ignore(str(error))
        else:
            self._events.append(Told(address=self.address, word=self._hears(message), boot=self.peer))

    def _receive_request(self, number: int, array: Any, now: int) -> None:
        self.line.receipts.is_due = True
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
        receipts = self.line.receipts
        outgoing = self._outbox.take_answered(number)
        if outgoing is None:  # a copy: its sender has missed the receipt
            self.dropped_copies += 1
            receipts.is_due = True
            return
        if receipts.at is None:
            receipts.at = now + RECEIPT_DELAY
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            message = Message(Event.ERROR, (f"its answer is no message: {error}", 0))
        if message.event is Event.ERROR:
            text = str(message.args[0]) if message.args else "an error without a text"
            self._outbox.settle(outgoing, Complaint(text=text))
        else:
            self._outbox.settle(outgoing, self._hears(message))

    def _join(self, read: Frame, number: int, now: int) -> Any:
        """Return the message that a part has made whole; None while others are missing."""
        if read.answers is None:
            is_copy = number < self._low or number in self._handled
        else:
            is_copy = not self._outbox.awaits(read.answers)
        if is_copy:
            return _NOTHING
        key = ("n", number, read.answers or 0)
        array = self._add(read, key, now)
        receipts = self.line.receipts
        if array is None:
            receipts.parts[number] = (self.peer, *key)
            receipts.is_due = True
        else:
            receipts.parts.pop(number, None)
        return array

    def _add(self, read: Frame, key: tuple[str, int, int], now: int) -> Any:
        if read.part is None:
            return read.array or _NOTHING
        try:
            text = self._shelf.add((self.peer, *key), read.part, read.array, now)
        except RemoteProtocolError as error:
            self._ignore(str(error))
            return None
        if text is None:
            return None
        try:
            return codec.decode(text.encode(errors="replace")) or _NOTHING
        except RemoteProtocolError:
            return _NOTHING

    def _ignore(self, reason: str) -> None:
        self.ignored += 1
        self._events.append(Ignored(address=self.address, reason=reason, first=self.ignored == 1))


_NOTHING: list[Any] = []
"""What is no message, wherever one is awaited."""
