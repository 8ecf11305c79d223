"""What one side of a conversation on wire 2 says: each message until its outcome is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from multirig.errors import LocalProtocolError
from multirig.protocol.events import (
    SECOND,
    WITHDRAWN,
    Address,
    Confirmed,
    Refused,
    Replied,
    Send,
    TimedOut,
    Unreached,
)
from multirig.protocol.line import Line
from multirig.protocol.messages import Event
from multirig.protocol.parts import Parcel
from multirig.protocol.words import Complaint, Receipt, Report, Word

FIRST_RETRY = SECOND * 15 // 100
"""A lab's network answers in a millisecond; a PC that stalls this long merely gets a copy."""
EARLY_RETRY = SECOND // 2
"""The pauses double up to this: with a third of all datagrams lost, hardly a request goes unheard."""
CONFIRM_LIMIT = 8 * SECOND
"""A peer that has not even confirmed a request, or a part of it, by then does not hear us."""
LASTING_CONFIRM_LIMIT = 15 * SECOND
"""A stop waits longer: a PC that stalls while it closes its files may be deaf for many seconds."""
LAST_RETRY = 2 * SECOND
"""Between the copies of a stop that a deaf peer shall get when it is back."""
EXPIRED_KEPT = 60 * SECOND
"""How long a late reply still finds its request, and an unheard reply is repeated."""
PICTURES_KEPT = 3 * SECOND
"""How long live pictures are sent to whoever has asked for them: later there are newer ones."""


@dataclass(slots=True)
class Outgoing:
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
    gives_up: bool = False
    """Whether it ends as soon as nothing listens there."""
    is_for_hearers: bool = False
    """Whether it leaves once only, until the peer has confirmed a part of it."""
    retry_at: int = 0
    pause: int = FIRST_RETRY
    confirmed: bool = False
    expired: bool = False
    parcel: Parcel | None = None
    """Its parts, once it leaves in such."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether it goes once more when nothing has come of it.

        Pictures are long and are asked for by few bytes: an address that somebody has only written into a
        datagram must not get them again and again.
        """
        return not self.is_for_hearers or (self.parcel is not None and self.parcel.is_heard)

    @property
    def patience(self) -> int:
        """Nanoseconds in which the peer has to show that it hears it."""
        return LASTING_CONFIRM_LIMIT if self.lasting else CONFIRM_LIMIT


class Outbox:
    """Repeats what is not confirmed, and tells what became of it.

    Parameters
    ----------
    line : Line
        Where it goes.
    events : collections.deque
        Where outcomes go.
    """

    def __init__(self, line: Line, events: deque[object]) -> None:
        self._line = line
        self._events = events
        self._next = 1
        self._open: dict[int, Outgoing] = {}
        self._unsent: list[Outgoing] = []
        self.in_parts: dict[int, Outgoing] = {}
        """Messages that leave in parts."""
        self.obstacle: str | None = None
        """What the network said last of the way there, since the peer was heard."""

    def __len__(self) -> int:
        return len(self._open)

    # -- what is to be said -----------------------------------------------------------------------------

    def ask(self, action: Send, now: int) -> None:
        """Queue a request."""
        text = self._line.encode(action.word)
        if action.overtakes:
            self._withdraw()
        reply_by = now + action.limit
        outgoing = Outgoing(
            self._next,
            action.word,
            text,
            action.key,
            None,
            reply_by,
            reply_by,
            action.needs_reply,
            action.lasting,
            action.gives_up,
        )
        outgoing.limit_at = min(reply_by, now + outgoing.patience)
        self._queue(outgoing)

    def answer(self, number: int, word: Word, key: Hashable | None, now: int) -> None:
        """Queue the answer to a request of the peer."""
        text = self._line.encode(word)
        shows = isinstance(word, Report) and bool(word.pictures)
        until = now + (PICTURES_KEPT if shows else EXPIRED_KEPT)
        self._queue(
            Outgoing(self._next, word, text, key, number, until, until, False, False, is_for_hearers=shows)
        )

    def _queue(self, outgoing: Outgoing) -> None:
        self._next += 1
        self._open[outgoing.number] = outgoing
        self._unsent.append(outgoing)

    def _withdraw(self) -> None:
        """Give up requests that are not confirmed: something overtakes them."""
        for outgoing in list(self._open.values()):
            if outgoing.answers is None and not outgoing.confirmed:
                del self._open[outgoing.number]
                if not outgoing.expired:
                    self._refuse(outgoing, WITHDRAWN)

    def unreachable(self, reason: str, now: int, *, is_refusal: bool) -> None:
        """Take the network's word that nothing listens there, or that there is no way.

        It may be otherwise in a moment, so what is to be done there is tried on until its time is up, and
        where this PC itself knows no way as long as the answer may take. A question whether somebody is there
        has its answer where that PC refuses (`is_refusal`).
        """
        self.obstacle = reason
        for outgoing in [one for one in self._open.values() if one.answers is None]:
            if outgoing.gives_up and is_refusal:
                del self._open[outgoing.number]
                if not outgoing.expired:
                    self._give_up(outgoing, reason)
                continue
            if not is_refusal and not outgoing.confirmed and not outgoing.expired:
                outgoing.limit_at = outgoing.reply_by  # the peer's silence tells nothing of it
            if self._line.reliable and not outgoing.confirmed and outgoing.retry_at:
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
                address=self._line.address,
                word=one.word,
                key=one.key,
                limit=one.reply_by - now,
                gives_up=one.gives_up,
            )
            for one in asked
            if not one.expired
        ]

    def lose(self, reason: str) -> None:
        """End everything: the peer has forgotten it."""
        for outgoing in self._open.values():
            if not outgoing.expired:
                self._refuse(outgoing, reason)
        self._open.clear()
        self._unsent.clear()
        self.in_parts.clear()

    # -- what the peer has shown ------------------------------------------------------------------------

    def confirm(self, number: int) -> None:
        """Note that the peer has a message."""
        outgoing = self._open.get(number)
        if outgoing is None or outgoing.confirmed:
            return
        outgoing.confirmed = True
        outgoing.limit_at = outgoing.reply_by
        if not outgoing.needs_reply:
            del self._open[number]
            if not outgoing.expired:
                self.settle(outgoing, Receipt(event=outgoing.word.event))
        elif not outgoing.expired:
            self._report(outgoing, Confirmed(address=self._line.address, key=outgoing.key))

    def note_parts(self, got: Iterable[tuple[int, int]], stamp: int, now: int) -> None:
        """Note which parts of messages the peer has; see `Parcel.note`."""
        for number, bits in got:
            outgoing = self.in_parts.get(number)
            if outgoing is None or outgoing.parcel is None or not outgoing.parcel.note(bits, stamp, now):
                continue
            outgoing.pause = max(FIRST_RETRY, 2 * outgoing.parcel.delay)
            outgoing.retry_at = now + outgoing.pause
            if not outgoing.expired:
                outgoing.limit_at = max(outgoing.limit_at, min(outgoing.reply_by, now + outgoing.patience))

    def awaits(self, number: int) -> bool:
        """Whether a request is still without its answer."""
        return number in self._open

    def take_answered(self, number: int) -> Outgoing | None:
        """Return the request that is answered, once."""
        return self._open.pop(number, None)

    def settle(self, outgoing: Outgoing, word: Word) -> None:
        """Tell the answer to a request."""
        if isinstance(word, Complaint):
            self._refuse(outgoing, word.text)
        else:
            self._report(outgoing, Replied(address=self._line.address, key=outgoing.key, word=word))

    def learn(self) -> None:
        """Go on with what waited for the peer to say how long a message may be."""
        for outgoing in list(self._open.values()):
            if outgoing.confirmed or outgoing.parcel is not None or len(outgoing.text) <= self._line.room:
                continue
            try:
                outgoing.text = self._line.encode(outgoing.word)
            except LocalProtocolError as error:
                self._give_up(outgoing, f"not sent: {error}")
                if outgoing.answers is None:
                    del self._open[outgoing.number]
                    continue
                outgoing.word = Complaint(text=str(error), about=outgoing.word.event)
                outgoing.text = self._line.encode(outgoing.word)
            if outgoing not in self._unsent:
                self._unsent.append(outgoing)

    # -- when it is time --------------------------------------------------------------------------------

    def take_frames(self, now: int) -> tuple[list[bytes], bool]:
        """Write what shall leave now; return it, and whether the peer has to say first how long it may be."""
        out: list[bytes] = []
        is_held = False
        for outgoing in self._unsent:
            if outgoing.number in self._open and not outgoing.confirmed:
                if self._transmit(outgoing, now):
                    out.append(self._line.frame(self._head(outgoing), now, outgoing.text))
                else:
                    is_held |= outgoing.parcel is None
        self._unsent.clear()
        return out, is_held

    def take_parts(self, now: int) -> Iterator[bytes]:
        """Write the parts that shall leave now."""
        for number, outgoing in [*self.in_parts.items()]:
            parcel = outgoing.parcel
            if parcel is None or outgoing.confirmed or number not in self._open:
                del self.in_parts[number]
                continue
            for index in parcel.take_due(now):
                head = {**self._head(outgoing), "part": [index, len(parcel.parts)]}
                yield self._line.frame(head, now, f'"{parcel.parts[index]}"')

    def _transmit(self, outgoing: Outgoing, now: int) -> bool:
        """Note that a message is about to leave; return whether it does so in one frame."""
        line = self._line
        outgoing.retry_at = now + (LAST_RETRY if line.reliable else outgoing.pause)
        outgoing.pause = min(outgoing.pause * 2, LAST_RETRY if outgoing.expired else EARLY_RETRY)
        if line.is_whole(outgoing.text):
            return True
        if outgoing.parcel is not None:
            outgoing.parcel.retry()
        elif line.takes is not None:
            outgoing.parcel = Parcel(outgoing.text, line.room)
            self.in_parts[outgoing.number] = outgoing
        return False

    def _head(self, outgoing: Outgoing) -> dict[str, Any]:
        head = {"n": outgoing.number, "low": self._lowest_request()}
        if outgoing.answers is not None:
            head["re"] = outgoing.answers
        return head

    def _lowest_request(self) -> int:
        """Return the lowest number that may still be sent; answers are known by their requests."""
        unconfirmed = (one.number for one in self._open.values() if one.answers is None and not one.confirmed)
        return next(unconfirmed, self._next)

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        earliest = None
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
                self._report(outgoing, _say_late(outgoing, self._line.address, self.obstacle))
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
                if outgoing.may_be_repeated:
                    self._unsent.append(outgoing)

    # -- inside -----------------------------------------------------------------------------------------

    def _refuse(self, outgoing: Outgoing, reason: str) -> None:
        self._report(outgoing, Refused(address=self._line.address, key=outgoing.key, reason=reason))

    def _give_up(self, outgoing: Outgoing, reason: str) -> None:
        self._report(outgoing, Unreached(address=self._line.address, key=outgoing.key, reason=reason))

    def _report(self, outgoing: Outgoing, event: object) -> None:
        if outgoing.key is not None:
            self._events.append(event)


def _say_late(outgoing: Outgoing, address: Address, obstacle: str | None) -> TimedOut | Unreached:
    """Return what became of a message whose time is up."""
    if obstacle is not None and not outgoing.confirmed:
        return Unreached(address=address, key=outgoing.key, reason=obstacle)
    return TimedOut(address=address, key=outgoing.key, confirmed=outgoing.confirmed)
