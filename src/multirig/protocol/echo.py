"""Wire 1.0: one conversation with a foreign peer, by iblutil's echo protocol.

Towards the peer it is exact: the same bytes, an echo for every message, one message outstanding. Towards the
network it is patient: it retransmits, it keeps apart what crosses, and it never echoes an echo.

Wire 1.0 has no numbers, so three questions are answered by rules; each is a row of the table of faults:

* *Echo or message?* We remember how many copies of a message we sent. That many may come back as echoes; one
  more is the peer's own message if we wait for such a reply, else a copy of an echo, and dropped.
* *Copy or new request?* A copy that arrives before the conversation about the first has ended is echoed and
  not handled. Afterwards the same bytes are a new request; commands are idempotent.
* *Whose reply?* A reply belongs to the oldest request of its event, even one whose time is up, unless the
  experiment references in them say otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from multirig.errors import LocalProtocolError, RemoteProtocolError
from multirig.protocol import codec
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
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message

RETRY_AFTER = (SECOND * 4 // 10, SECOND * 8 // 10, SECOND * 16 // 10, SECOND * 16 // 10)
"""Waits after each copy. iblutil runs its callback once a copy, so there are few and they are far apart."""
LASTING_EVERY = 2 * SECOND
"""Between the copies of a stop that a deaf peer shall get when it is back."""
ECHO_WINDOW = SECOND
"""An echo is immediate; what comes later than this after the last copy is the peer's own message."""
DUPLICATE_WINDOW = 5 * SECOND
"""A copy of a request that is still unanswered after this long is somebody asking again."""
EXPIRED_KEPT = 60 * SECOND
"""How long a request whose time is up still claims its late reply."""
ECHO_AGAIN_AFTER = SECOND // 10
"""A second echo at once, further ones only this far apart: an echo of our echo must die out."""
MAX_ECHOES = 8
"""Echoes of one message, at most."""
MAX_REMEMBERED = 64
"""Conversations that are remembered for one peer; a flood must not fill the memory."""
_MIRRORED = frozenset(
    {Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP, Event.EXPINTERRUPT},
)
"""Commands that a peer may answer with the very bytes of the request."""


@dataclass(slots=True)
class _Incoming:
    """A message of the peer, until the conversation about it has ended."""

    message: Message
    number: int
    at: int
    echoes: int = 0
    echoed_at: int = 0


@dataclass(slots=True)
class _Outgoing:
    """A message of ours, until its outcome is known."""

    data: bytes
    event: Event
    exp_ref: ExpRef | None
    key: Hashable | None
    limit_at: int
    needs_reply: bool
    lasting: bool
    answers: bytes | None = None
    """The request that this one answers."""
    copies: int = 0
    heard: int = 0
    last_at: int = 0
    retry_at: int | None = None
    confirmed: bool = False
    expired: bool = False
    spare_reply: Message | None = field(default=None)
    """A reply that was credited to an older request but may have been for this one."""


class EchoLink:
    """One conversation on wire 1.0, behind the five verbs.

    Parameters
    ----------
    address : Address
        The peer's; only passed on.
    reliable : bool
        Whether the transport delivers by itself (TCP): then nothing is sent twice.
    """

    def __init__(self, address: Address, *, reliable: bool = False) -> None:
        self.address = address
        self.reliable = reliable
        self.dropped_copies = 0
        """Copies of echoes and requests that were recognised and not handled."""
        self.ignored = 0
        """Datagrams that were no message."""
        self._queue: deque[_Outgoing] = deque()
        self._current: _Outgoing | None = None
        self._waiting: list[_Outgoing] = []
        self._echoed: deque[_Outgoing] = deque(maxlen=MAX_REMEMBERED)
        self._incoming: dict[bytes, _Incoming] = {}
        self._replies_seen: dict[bytes, _Incoming] = {}
        self._numbers = 0
        self._out: list[bytes] = []
        self._events: deque[object] = deque()

    # -- what we say ------------------------------------------------------------------------------------

    def send(self, action: Send, now: int) -> None:
        """Queue a request; its outcome comes as an event under its key.

        Raises
        ------
        LocalProtocolError
            The message cannot be encoded or is too long for the transport; nothing was sent.
        """
        data = codec.encode_array(action.message)
        codec.check_size(len(data), stream=self.reliable, what=action.message)
        outgoing = _Outgoing(
            data,
            action.message.event,
            _reference(action.message),
            action.key,
            now + action.limit,
            action.needs_reply,
            action.lasting,
        )
        if action.overtakes:
            self.withdraw()
        self._queue.append(outgoing)

    def reply(self, token: Token, message: Message, now: int) -> None:
        """Answer a request, once; the answer is repeated until the peer has echoed it."""
        request = self._request(token)
        data = codec.encode_array(message)
        codec.check_size(len(data), stream=self.reliable, what=message)
        limit_at = now + sum(RETRY_AFTER)
        self._queue.append(
            _Outgoing(data, message.event, None, None, limit_at, False, False, answers=request)
        )

    def fail(self, token: Token, message: Message) -> None:
        """Answer that the request could not be done; such a message is never echoed."""
        request = self._request(token)
        if request is not None:
            del self._incoming[request]
        self._out.append(codec.encode_array(message))

    def settle(self, token: Token) -> None:
        """End the conversation about a message that wants no answer."""
        request = self._request(token)
        if request is not None:
            del self._incoming[request]

    def unreachable(self, reason: str, now: int) -> None:
        """Take the network's word that nothing listens there: everything outstanding ends now."""
        unsent = [*([self._current] if self._current else []), *self._queue]
        for outgoing in [*unsent, *self._waiting]:
            if not outgoing.expired:
                outgoing.expired = True
                self._report(outgoing, Unreached(address=self.address, key=outgoing.key, reason=reason))
        self._waiting.clear()
        self._queue = deque(one for one in unsent if one.lasting)
        self._current = self._queue.popleft() if self._queue else None
        if self._current is not None:
            self._current.retry_at = now + LASTING_EVERY

    # -- the five verbs ---------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, now: int) -> None:
        """Take what came from the peer."""
        if self._is_echo(data, now):
            return
        try:
            array = codec.decode(data)
            if not isinstance(array, list) or not array:
                raise RemoteProtocolError("no message: a message is an array [event, ...]")
        except RemoteProtocolError as error:
            self._ignore(str(error))
            return
        try:
            message = Message.parse(array)
        except RemoteProtocolError as error:
            self._out.append(codec.encode_array(Message(Event.ERROR, (str(error), 0))))
            self._ignore(str(error))
            return
        if message.event is Event.ERROR:
            self._receive_error(message)
        elif not self._is_reply(data, message, now):
            self._receive_request(data, message, now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Return what shall leave now, in order."""
        if self._current is None and self._queue:
            self._transmit(self._queue.popleft(), now)
        out, self._out = self._out, []
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        times = [one.limit_at for one in self._queue if not one.expired]
        times += [one.limit_at + EXPIRED_KEPT if one.expired else one.limit_at for one in self._waiting]
        if (current := self._current) is not None:
            if not current.expired:
                times.append(current.limit_at)
            if current.retry_at is not None:
                times.append(current.retry_at)
        return min(times, default=None)

    def handle_timer(self, now: int) -> None:
        """Retransmit what is due and give up what is late."""
        for outgoing in [one for one in self._queue if not one.expired and one.limit_at <= now]:
            self._expire(outgoing)
            if not outgoing.lasting:
                self._queue.remove(outgoing)
        for outgoing in self._waiting:
            if not outgoing.expired and outgoing.limit_at <= now:
                self._expire(outgoing)
        self._waiting = [one for one in self._waiting if not one.expired or now < one.limit_at + EXPIRED_KEPT]
        if (current := self._current) is None:
            return
        if not current.expired and current.limit_at <= now:
            self._expire(current)
        if current.expired and not current.lasting:
            self._lay_by(current)
        elif current.retry_at is not None and current.retry_at <= now:
            self._transmit(current, now)

    def next_event(self) -> object | None:
        """Return the next thing that happened, or None."""
        return self._events.popleft() if self._events else None

    # -- echo or message? -------------------------------------------------------------------------------

    def _is_echo(self, data: bytes, now: int) -> bool:
        current = self._current
        if current is not None and _same(data, current.data):
            current.heard += 1
            self._confirm(current)
            self._current = None
            return True
        for outgoing in reversed(self._echoed):
            if data != outgoing.data:
                continue
            outgoing.heard += 1
            if now - outgoing.last_at > ECHO_WINDOW:
                return False
            answers = (
                outgoing.heard > outgoing.copies
                and outgoing.event in _MIRRORED
                and any(one is outgoing for one in self._waiting)
            )
            if not answers:
                self.dropped_copies += 1
            return not answers
        return False

    def _confirm(self, outgoing: _Outgoing) -> None:
        """Note that the peer has it; the caller takes it off the line."""
        outgoing.confirmed = True
        outgoing.retry_at = None
        self._echoed.append(outgoing)
        if outgoing.answers is not None:
            self._incoming.pop(outgoing.answers, None)
        elif outgoing.needs_reply:
            self._waiting.append(outgoing)
            if not outgoing.expired:
                self._events.append(Confirmed(address=self.address, key=outgoing.key))
        elif not outgoing.expired:
            self._report(
                outgoing,
                Replied(address=self.address, key=outgoing.key, message=Message(outgoing.event)),
            )

    # -- whose reply? -----------------------------------------------------------------------------------

    def _is_reply(self, data: bytes, message: Message, now: int) -> bool:
        current = self._current
        if (
            current is not None
            and current.needs_reply
            and current.event is message.event
            and not any(one.event is message.event for one in self._waiting)
        ):  # the reply overtook its echo: it says as much
            self._confirm(current)
            self._current = None
        candidates = [one for one in self._waiting if one.event is message.event]
        if not candidates:
            return message.event is Event.EXPINTERRUPT and self._is_refused_start(data, message, now)
        self._echo_reply(data, message, now)
        live = next((one for one in candidates if not one.expired), None)
        chosen = candidates[0]
        if chosen.expired and live is not None:
            reference = _reference(message)
            if reference is not None and reference == live.exp_ref != chosen.exp_ref:
                chosen = live
            elif live.confirmed:
                live.spare_reply = message
        self._waiting.remove(chosen)
        self._report(chosen, Replied(address=self.address, key=chosen.key, message=message))
        return True

    def _is_refused_start(self, data: bytes, message: Message, now: int) -> bool:
        """ScanImage answers an EXPSTART that failed by EXPINTERRUPT."""
        start = next((one for one in self._waiting if one.event is Event.EXPSTART and not one.expired), None)
        if start is None:
            return False
        self._echo_reply(data, message, now)
        self._waiting.remove(start)
        reason = f"answered EXPSTART by EXPINTERRUPT {list(message.args) or ''}".rstrip()
        self._report(start, Refused(address=self.address, key=start.key, reason=reason))
        return True

    def _echo_reply(self, data: bytes, message: Message, now: int) -> None:
        while len(self._replies_seen) >= MAX_REMEMBERED:
            del self._replies_seen[next(iter(self._replies_seen))]
        self._replies_seen.pop(data, None)
        self._replies_seen[data] = seen = _Incoming(message, 0, now)
        self._echo(data, seen, now)

    # -- copy or new request? ---------------------------------------------------------------------------

    def _receive_request(self, data: bytes, message: Message, now: int) -> None:
        seen = self._incoming.get(data)
        if seen is None and (reply := self._replies_seen.get(data)) and now - reply.at <= ECHO_WINDOW:
            seen = reply
        if seen is not None and now - seen.at <= DUPLICATE_WINDOW:
            self.dropped_copies += 1
            self._echo(data, seen, now)
            return
        while len(self._incoming) >= MAX_REMEMBERED:
            del self._incoming[next(iter(self._incoming))]
        self._numbers += 1
        self._incoming[data] = seen = _Incoming(message, self._numbers, now)
        self._echo(data, seen, now)
        self._events.append(
            Received(address=self.address, message=message, token=Token(self.address, 1, self._numbers))
        )

    def _echo(self, data: bytes, seen: _Incoming, now: int) -> None:
        soon = now - seen.echoed_at < ECHO_AGAIN_AFTER
        if seen.echoes < (2 if soon else MAX_ECHOES):
            seen.echoes += 1
            seen.echoed_at = now
            self._out.append(data)

    def _request(self, token: Token) -> bytes | None:
        for data, seen in self._incoming.items():
            if seen.number == token.number:
                return data
        return None

    # -- errors -----------------------------------------------------------------------------------------

    def _receive_error(self, message: Message) -> None:
        text = str(message.args[0]) if message.args else "an error without a text"
        about = message.args[1] if len(message.args) > 1 else None
        pending = [
            *([self._current] if self._current else []),
            *(one for one in self._waiting if not one.expired),
        ]
        named = [one for one in pending if one.event == about or one.data.decode() == about]
        # An event or text that we never sent is still about something: the peer has only this to talk of.
        outgoing = next(iter(named or pending), None)
        if outgoing is None:
            self._ignore(f"reports an error in nothing that we asked: {text}")
            return
        if outgoing is self._current:
            outgoing.confirmed = True
            self._echoed.append(outgoing)  # its echo may still come
            self._current = None
        else:
            self._waiting.remove(outgoing)
        self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=text))

    def _ignore(self, reason: str) -> None:
        self.ignored += 1
        self._events.append(Ignored(address=self.address, reason=reason, first=self.ignored == 1))

    # -- retransmission ---------------------------------------------------------------------------------

    def _transmit(self, outgoing: _Outgoing, now: int) -> None:
        self._current = outgoing
        outgoing.retry_at = None
        if not self.reliable:
            if outgoing.copies < len(RETRY_AFTER):
                outgoing.retry_at = now + RETRY_AFTER[outgoing.copies]
            elif outgoing.lasting:
                outgoing.retry_at = now + LASTING_EVERY
            else:  # every copy is out and none came back
                self._expire(outgoing)
                self._lay_by(outgoing)
                return
        outgoing.copies += 1
        outgoing.last_at = now
        self._out.append(outgoing.data)

    def _lay_by(self, outgoing: _Outgoing) -> None:
        """Take a message off the line that was never echoed; a late echo or reply still finds it."""
        self._current = None
        self._echoed.append(outgoing)
        if outgoing.answers is not None:
            self._incoming.pop(outgoing.answers, None)
        elif outgoing.needs_reply:
            self._waiting.append(outgoing)

    def withdraw(self) -> None:
        """Give up requests that are not confirmed: something overtakes them."""
        for outgoing in self._queue:
            if outgoing.answers is None:
                reason = "withdrawn for an interrupt"
                self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=reason))
        self._queue = deque(one for one in self._queue if one.answers is not None)
        if (current := self._current) is not None:
            current.lasting = False
            self._expire(current)
            self._lay_by(current)

    def _expire(self, outgoing: _Outgoing) -> None:
        if outgoing.expired:
            return
        outgoing.expired = True
        if outgoing.spare_reply is not None:
            event: object = Replied(address=self.address, key=outgoing.key, message=outgoing.spare_reply)
        else:
            event = TimedOut(address=self.address, key=outgoing.key, confirmed=outgoing.confirmed)
        self._report(outgoing, event)

    def _report(self, outgoing: _Outgoing, event: object) -> None:
        if outgoing.key is not None:
            self._events.append(event)


def _same(data: bytes, sent: bytes) -> bool:
    """Whether the bytes are an echo of what was sent; Timeline returns only the first thousand bytes."""
    return data == sent or (codec.TIMELINE_LIMIT <= len(data) < len(sent) and sent.startswith(data))


def _reference(message: Message) -> ExpRef | None:
    """Return the experiment reference that a message names, if it names one."""
    for argument in message.args[:2]:
        candidate = argument.get("exp_ref", argument) if isinstance(argument, dict) else argument
        if isinstance(candidate, str | dict) and candidate:
            try:
                return ExpRef.parse(candidate)
            except LocalProtocolError:
                continue
    return None
