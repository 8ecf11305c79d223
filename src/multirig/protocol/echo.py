"""Wire 1.0: one conversation with a foreign peer, by iblutil's echo protocol.

Towards the peer it is exact: the same bytes, an echo for every message, one message outstanding. Towards the
network it is patient: it retransmits, it keeps apart what crosses, and it never echoes an echo.

Wire 1.0 has no numbers, so three questions are answered by rules; each is a row of the table of faults:

* *Echo or message?* We remember how many copies of a message we sent. That many may come back as echoes; one
  more is the peer's own message if we wait for such a reply, else a copy of an echo, and dropped. As soon as
  we know whether the peer writes a space after a comma, we write the other way: its words then never look
  like ours. What still does look like ours is an echo, however late, while copies of ours are without one;
  after that it is a copy if another reply comes soon, else the reply.
* *Copy or new request?* A copy that arrives before the conversation about the first has ended is echoed and
  not handled. Once the peer has echoed our reply the same bytes are a new request; where there was no reply
  to echo, they are one as soon as something else came in between. On a stream nothing is copied, and
  iblutil, which writes spaces, says nothing twice by itself: there, where no multirig is at the other end,
  the same bytes are a new request once we have echoed the first; up to `MAX_ECHOES` in a row, for two may be
  echoing each other's echoes. Where we repeat by ourselves and cannot greet, the next message of the same
  words ends in a space, so that it is no copy. Commands are idempotent.
* *Whose reply?* A reply belongs to the oldest request of its event that the peer has echoed, even one whose
  time is up, unless the experiment references in them say otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from multirig.errors import LocalProtocolError, RemoteProtocolError
from multirig.protocol import codec
from multirig.protocol.dialect import (
    Hearing,
    find_boot,
    hear_rig,
    hear_verbatim,
    without_own_verbs,
    write,
)
from multirig.protocol.events import (
    SECOND,
    WITHDRAWN,
    Address,
    Confirmed,
    Ignored,
    Oversized,
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
from multirig.protocol.words import Complaint, Receipt, Word

RETRY_AFTER = (SECOND * 4 // 10, SECOND * 8 // 10, SECOND * 16 // 10, SECOND * 16 // 10)
"""Waits after each copy. iblutil runs its callback once a copy, so there are few and they are far apart."""
INFO_EVERY = SECOND * 4 // 10
"""Between the copies of an EXPINFO, until its time is up: a question changes nothing, however often it comes,
and a third of all datagrams may be lost."""
LISTENS_FOR = 10 * SECOND
"""A multirig that has asked waits so long for the answer, and takes any number of copies."""
LASTING_EVERY = 2 * SECOND
"""Between the copies of a stop that a deaf peer shall get when it is back."""
ECHO_WINDOW = SECOND
"""Echoes of several copies come together; what comes later than this after one is the peer's own message."""
PROMPT = SECOND // 20
"""An echo this soon after a copy is that copy's, and the last if the peer may write such bytes itself: what
was sent before it must be lost."""
DUPLICATE_WINDOW = 5 * SECOND
"""A copy of a request that is still unanswered after this long is somebody asking again."""
EXPIRED_KEPT = 60 * SECOND
"""How long a request whose time is up still claims its late reply."""
ECHO_AGAIN_AFTER = SECOND * 3 // 10
"""A copy sooner than this is the network's, or an echo of our echo over a slow line: it gets none. Later, it
is sent by a peer that has missed our echo; no peer is quicker."""
NEW_AFTER = SECOND // 10
"""Once something else has come, the same bytes are a new message; sooner than this, maybe our echo's echo."""
MAX_ECHOES = 8
"""Echoes of one message, at most."""
STREAM_PAUSE = SECOND // 20
"""Between two messages on a stream: iblutil takes whatever one read brings for a single message."""
REPLY_PAUSE = SECOND // 20
"""The next message waits so long for a quick reply to the last one: iblutil closes for good if anything but
the echo of its reply comes first."""
REST_PAUSE = SECOND * 3 // 100
"""The next message waits so long after we have echoed a reply: iblrig's services listen anew for each, and
what comes before they do is echoed and heard by nobody."""
ANSWER_PAUSE = SECOND // 100
"""A reply leaves at least so long after the echo of its request: iblutil's caller hears of the echo only in a
later round of its event loop, and what has come before that caller listens is lost."""
MIRROR_PAUSE = SECOND * 3 // 10
"""How soon another reply must come; a peer that only sends the request back waits a second for our echo."""
MAX_REMEMBERED = 64
"""Conversations that are remembered for one peer; a flood must not fill the memory."""
MAX_INFOS = 8
MAX_VERBS = 16
"""Verbs that are not taken of which one peer has us tell."""
MOST_QUESTIONS = 8
"""Of a kind that a peer may ask in a second: a late answer that is taken for a question is answered, too."""
_QUESTIONS = frozenset({Event.EXPINFO, Event.EXPSTATUS})
_ALIKE = frozenset({Event.EXPSTATUS, Event.ALYX})
"""Events whose question and answer may be the same bytes. Our answer has spaces where the peer's question has
none, as MATLAB writes, and none where it has: nobody can then take one for the echo of the other."""

_NOTHING_TO_SAY: dict[Event, tuple[Any, ...]] = {Event.EXPEND: ([],), Event.EXPINTERRUPT: ([],)}
"""What iblrig sends along where there is nothing to say; None with all others. iblutil echoes a message of
one element, and calls nobody."""

_EVENTS = tuple(event for event in Event if event is not Event.ERROR)


@dataclass(slots=True)
class _Incoming:
    """A message of the peer, for as long as its copies may come."""

    number: int
    """Of the request; 0 when the conversation about it is over, and for a reply."""
    until: int
    """Before this the same bytes are a copy."""
    failure: bytes | None = None
    """What the peer was told instead of a reply: it may have been lost with the echo."""
    echoes: int = 0
    echoed_at: int = 0


@dataclass(slots=True)
class _Sent:
    """The copies of one message of ours: so many echoes may come back."""

    event: Event
    due: int = 0
    last_at: int = 0
    until: int = 0
    """After this the same bytes are no echo."""


@dataclass(slots=True, eq=False)
class _Outgoing:
    """A message of ours, until its outcome is known."""

    data: bytes
    event: Event
    exp_ref: ExpRef | None
    key: Hashable | None
    limit_at: int
    needs_reply: bool
    lasting: bool
    gives_up: bool = False
    """Whether it ends as soon as nothing listens there."""
    is_harmless: bool = False
    """Whether its copies change nothing, however many come: a question, or what a multirig is told."""
    answers: bytes | None = None
    """The request that this one answers."""
    not_before: int = 0
    copies: int = 0
    retry_at: int | None = None
    confirmed: bool = False
    expired: bool = False
    spare_reply: Message | None = field(default=None)
    """A reply that was credited to an older request but may have been for this one."""


@dataclass(slots=True)
class Rest:
    """When those who have just been answered to may be spoken to again; one for all links of a node, so that
    what is said to several leaves in its order."""

    until: int = 0


class EchoLink:
    """One conversation on wire 1.0, behind the five verbs.

    Parameters
    ----------
    address : Address
        The peer's; only passed on.
    reliable : bool
        Whether the transport delivers by itself (TCP): then nothing is sent twice, and messages keep a
        distance.
    hears : Hearing
        How this side understands what it hears.
    boot : str, optional
        By which this side's own greeting is known, if it greets.
    is_alone : bool
        Whether only wire 1.0 is spoken here, as iblutil does, so that no multirig is at the other end.
    rest : Rest, optional
        That of the node.
    """

    def __init__(
        self,
        address: Address,
        *,
        reliable: bool = False,
        hears: Hearing = hear_verbatim,
        boot: str | None = None,
        is_alone: bool = False,
        rest: Rest | None = None,
    ) -> None:
        self.address = address
        self._boot = boot
        self._is_alone = is_alone
        self.reliable = reliable
        self._hears = hears
        self.dropped_copies = 0
        """Copies of echoes and requests that were recognised and not handled."""
        self.ignored = 0
        """Datagrams that were no message."""
        self.round_trip: int | None = None
        """Nanoseconds from a message to its echo, at best: all that wire 1.0 tells of time."""
        self._queue: deque[_Outgoing] = deque()
        self._current: _Outgoing | None = None
        self._waiting: list[_Outgoing] = []
        self._sent: dict[bytes, _Sent] = {}
        self._incoming: dict[bytes, _Incoming] = {}
        self._peer_writes_spaces: bool | None = None
        """As iblutil does, and MATLAB does not."""
        self._infos: deque[tuple[Any, ...]] = deque(maxlen=MAX_INFOS)
        """What our last EXPINFOs held."""
        self._heard: dict[Event, deque[int]] = {}
        """When each question was heard last."""
        self._mirrored: set[Event] = set()
        """What the peer has answered by sending the request back."""
        self._unclear: dict[Event, tuple[int, bytes]] = {}
        """A copy of the echo or a reply, and when it counts as the reply."""
        self._oversized: set[Event] = set()
        """What was told to be longer than every peer reads."""
        self._verbs: set[str] = set()
        """Verbs of ours that have come here and were not taken."""
        self._numbers = 0
        self._out: list[bytes] = []
        self.obstacle: str | None = None
        """What the network said last of the way there, since the peer was heard."""
        self._pause_until: int | None = None
        self._reply_until: int | None = None
        self._rest = rest if rest is not None else Rest()
        self._events: deque[object] = deque()

    # -- what we say ------------------------------------------------------------------------------------

    def send(self, action: Send, now: int) -> None:
        """Queue a request; its outcome comes as an event under its key.

        Raises
        ------
        LocalProtocolError
            The message cannot be encoded or is too long for the transport; nothing was sent.
        """
        message = write(action.word)
        if not self._is_alone:  # who speaks IBL's arrays says what they like
            message, _ = without_own_verbs(message)
        if message.event is Event.ERROR:  # never echoed, so sent once and not waited for
            self._out.append(_encode_error(message))
            if action.key is not None:
                receipt = Receipt(event=Event.ERROR)
                self._events.append(Replied(address=self.address, key=action.key, word=receipt))
            return
        if not message.args and not self._is_alone:
            message = Message(message.event, _NOTHING_TO_SAY.get(message.event, (None,)))
        data = codec.encode_array(message, compact=bool(self._peer_writes_spaces))
        if self._is_alone:
            data = self._unlike_before(data, now)
        self._check_size(message, data)
        outgoing = _Outgoing(
            data,
            message.event,
            _reference(message),
            action.key,
            now + action.limit,
            action.needs_reply,
            action.lasting,
            action.gives_up,
            is_harmless=message.event is Event.EXPINFO,
        )
        if now < self._rest.until and not self.reliable:
            outgoing.not_before = self._rest.until
        if action.overtakes:
            self.withdraw()
            self._queue.appendleft(outgoing)
        else:
            self._queue.append(outgoing)
        if self._current is not None and self._current.expired:
            # what was given up but lasts holds up the new: does the peer hear it now?
            self._current.retry_at = now

    def reply(
        self,
        token: Token,
        word: Word,
        now: int,
        key: Hashable | None = None,
        *,
        listens: bool = False,
    ) -> None:
        """Answer a request, once; the answer is repeated until the peer has echoed it.

        A peer that is known to listen, since it is a multirig, gets the answer together with the echo, and as
        many copies as it takes.
        """
        request = self._request(token)
        message = write(word)
        spaced = request is None or b", " in request
        data = codec.encode_array(message, compact=spaced and message.event in _ALIKE)
        self._check_size(message, data)
        limit_at = now + (LISTENS_FOR if listens else sum(RETRY_AFTER))
        answer = _Outgoing(data, message.event, None, key, limit_at, False, False, True, answers=request)
        answer.is_harmless = listens
        if request is not None and not (listens or self.reliable):  # a stream has its pauses anyhow
            answer.not_before = self._incoming[request].echoed_at + ANSWER_PAUSE
        self._queue.append(answer)

    def take_back(self, key: Hashable) -> bool:
        """Ask something no more, since it is asked elsewhere; return whether it was still open."""
        unsent = [*([self._current] if self._current else []), *self._queue, *self._waiting]
        found = next((one for one in unsent if one.key == key and (one.lasting or not one.expired)), None)
        if found is None:
            return False
        if found in self._queue:
            self._queue.remove(found)
        else:
            self._take_off(found)
        return True

    def fail(self, token: Token, complaint: Complaint) -> None:
        """Answer that the request could not be done; such a message is never echoed."""
        failure = _encode_error(write(complaint))
        self._end(self._request(token), failure)
        self._out.append(failure)

    def settle(self, token: Token) -> None:
        """End the conversation about a message that wants no answer."""
        self._end(self._request(token))

    def unreachable(self, reason: str, now: int, *, is_refusal: bool = True) -> None:
        """Take the network's word that nothing listens there, or that there is no way.

        It may be otherwise in a moment, so what is to be done there is tried on until its time is up; an
        answer, or a question whether somebody is there, ends where that PC refuses (`is_refusal`).
        """
        self.obstacle = reason
        if is_refusal:
            self._end_at_refusal(reason)
        if (current := self._current) is not None:
            current.copies = max(0, current.copies - 1)  # one has not arrived
            current.retry_at = now + (LASTING_EVERY if current.expired else INFO_EVERY)

    def _end_at_refusal(self, reason: str) -> None:
        """Nobody there remembers anything, and nothing can come back: say anew what is to be done."""
        self._out.clear()
        self._sent.clear()
        self._unclear.clear()
        self._reply_until = None
        unsent = [*([self._current] if self._current else []), *self._queue]
        for outgoing in [*self._waiting, *unsent]:
            if outgoing.gives_up and not outgoing.expired:
                outgoing.expired = True
                self._report(outgoing, Unreached(address=self.address, key=outgoing.key, reason=reason))
        again = [one for one in self._waiting if not one.expired]
        for outgoing in again:
            outgoing.confirmed, outgoing.copies = False, 0
        self._waiting.clear()
        left = [one for one in unsent if one.lasting or not one.expired]
        self._queue = deque([*again, *left])
        self._current = self._queue.popleft() if self._queue else None

    def _unlike_before(self, data: bytes, now: int) -> bytes:
        """Write what was said a moment ago so that nobody takes it for a copy: with a space at its end."""
        said = {one.data for one in (self._current, *self._queue) if one is not None}
        said |= {each for each, sent in self._sent.items() if now <= sent.until}
        forms = [data + b" " * number for number in range(0 if self.reliable else MAX_ECHOES)]
        return next((one for one in forms if one not in said), data)

    def _check_size(self, message: Message, data: bytes) -> None:
        """Refuse what cannot be sent, and tell of what not every peer can read."""
        codec.check_size(len(data), stream=self.reliable, what=message)
        if len(data) > codec.TIMELINE_LIMIT and not self.reliable and message.event not in self._oversized:
            self._oversized.add(message.event)
            self._events.append(Oversized(address=self.address, event=message.event, size=len(data)))

    # -- the five verbs ---------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, now: int) -> None:
        """Take what came from the peer."""
        self.obstacle = None
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
            self._note_spaces(data)
            self._out.append(_encode_error(Message(Event.ERROR, (str(error), 0))))
            self._ignore(str(error))
            return
        if self._boot is not None and find_boot(message) == self._boot and message.args in self._infos:
            self.dropped_copies += (
                1  # what we said, and an echo of it that is very late: no word of the peer's
            )
            return
        self._note_spaces(data)
        if message.event is Event.ERROR:
            self._receive_error(message)
        elif not self._is_reply(data, message, now):
            self._receive_request(data, message, now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Return what shall leave now, in order."""
        while self._current is None and self._queue and self._reply_until is None:
            if self._queue[0].not_before > now:
                break
            self._transmit(self._queue.popleft(), now)
        if self.reliable and self._out:
            if self._pause_until is not None and now < self._pause_until:
                return []
            self._pause_until = now + STREAM_PAUSE
            return [self._out.pop(0)]
        out, self._out = self._out, []
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        if self._current is None and not (self._queue or self._waiting or self._out):
            return None
        times = [one.limit_at for one in self._queue if not one.expired]
        if self._queue and self._reply_until is not None:
            times.append(self._reply_until)
        elif self._queue and self._current is None and self._queue[0].not_before:
            times.append(self._queue[0].not_before)
        if self._out and self._pause_until is not None:
            times.append(self._pause_until)
        times += [at for at, _ in self._unclear.values()]
        times += [one.limit_at + EXPIRED_KEPT if one.expired else one.limit_at for one in self._waiting]
        if (current := self._current) is not None:
            if not current.expired:
                times.append(current.limit_at)
            if current.retry_at is not None:
                times.append(current.retry_at)
        return min(times, default=None)

    def handle_timer(self, now: int) -> None:
        """Retransmit what is due and give up what is late."""
        if self._pause_until is not None and self._pause_until <= now:
            self._pause_until = None
        self._clear_up(now)
        if self._reply_until is not None and self._reply_until <= now:
            self._reply_until = None
        if self._queue and self._queue[0].not_before <= now:
            self._queue[0].not_before = 0
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

    def sizes(self) -> dict[str, int]:
        """Return how much is remembered of the peer."""
        waiting = len(self._queue) + len(self._waiting)
        return {"sent": len(self._sent), "incoming": len(self._incoming), "waiting": waiting}

    # -- echo or message? -------------------------------------------------------------------------------

    def _is_echo(self, data: bytes, now: int) -> bool:
        sent = self._find_sent(data)
        if sent is None or now > sent.until:
            return False
        if sent.due == 0:
            return not self._is_mirrored(data, sent.event, now)
        is_ours = self._is_ours(data, sent.event)
        if sent.due == 1:
            took = now - sent.last_at
            self.round_trip = took if self.round_trip is None else min(took, self.round_trip)
        sent.due = 0 if now - sent.last_at < PROMPT and not is_ours else sent.due - 1
        sent.until = now + (EXPIRED_KEPT if sent.due and is_ours else ECHO_WINDOW)
        unheard = [one for one in (self._current, *self._waiting) if one is not None and not one.confirmed]
        outgoing = next((one for one in unheard if _same(data, one.data)), None)
        if outgoing is None:
            self.dropped_copies += 1
        else:
            self._confirm(outgoing)
            self._reply_until = now + REPLY_PAUSE if outgoing.needs_reply else None
        return True

    def _is_mirrored(self, data: bytes, event: Event, now: int) -> bool:
        """Whether bytes of ours that came once too often are the reply; False also while it is unclear."""
        awaited = event is not Event.EXPINFO and any(one.event is event for one in self._waiting)
        if awaited and (not self._is_ours(data, event) or event in self._mirrored):
            return True
        if awaited and event not in self._unclear and data in self._sent:
            self._unclear[event] = (now + MIRROR_PAUSE, data)
            self._reply_until = now + MIRROR_PAUSE
        else:
            self.dropped_copies += 1
        return False

    def _is_ours(self, data: bytes, event: Event) -> bool:
        """Whether the peer, as far as we know it, does not write these bytes but only sends them back."""
        # An EXPINFO holds our own greeting: whoever sends it back has only echoed it.
        return event is Event.EXPINFO or self._peer_writes_spaces not in (None, _has_spaces(data))

    def _clear_up(self, now: int) -> None:
        """Take for the reply what has not turned out to be a copy of the echo."""
        for event, (at, data) in list(self._unclear.items()):
            if at <= now:
                del self._unclear[event]
                self._mirrored.add(event)
                self._is_reply(data, Message.parse(codec.decode(data)), now)

    def _note_spaces(self, data: bytes) -> None:
        if b"," in data:
            self._peer_writes_spaces = _has_spaces(data)

    def _find_sent(self, data: bytes) -> _Sent | None:
        sent = self._sent.get(data)
        if sent is None and len(data) >= codec.TIMELINE_LIMIT:
            sent = next((one for ours, one in self._sent.items() if _same(data, ours)), None)
        return sent

    def _confirm(self, outgoing: _Outgoing) -> None:
        """Note that the peer has it."""
        outgoing.confirmed = True
        if outgoing is self._current:
            self._lay_by(outgoing)
        if outgoing.expired:
            return
        if outgoing.needs_reply:
            self._report(outgoing, Confirmed(address=self.address, key=outgoing.key))
        else:
            receipt = Receipt(event=outgoing.event)
            self._report(outgoing, Replied(address=self.address, key=outgoing.key, word=receipt))

    # -- whose reply? -----------------------------------------------------------------------------------

    def _is_reply(self, data: bytes, message: Message, now: int) -> bool:
        candidates = [one for one in self._asked() if one.event is message.event]
        if not candidates and message.event is Event.EXPINTERRUPT:
            candidates = [one for one in self._asked() if one.event is Event.EXPCLEANUP]
            message = Message(Event.EXPCLEANUP, message.args) if candidates else message  # iblrig's cameras
        if not candidates:
            return message.event is Event.EXPINTERRUPT and self._is_refused_start(data, message, now)
        if (reference := _reference(message)) is not None:
            candidates = [one for one in candidates if one.exp_ref == reference] or candidates
        chosen = _oldest_heard(candidates)
        live = next((one for one in candidates if one.confirmed and not one.expired), None)
        if chosen.expired and live is not None:
            live.spare_reply = message
        self._echo_reply(data, now)
        if not chosen.confirmed:
            self._confirm(chosen)
        self._take_off(chosen)
        self._let_rest(now)
        self._report(chosen, Replied(address=self.address, key=chosen.key, word=self._hears(message)))
        return True

    def _let_rest(self, now: int) -> None:
        """Say nothing new before the peer listens again."""
        if not self.reliable:  # a stream has its pauses anyhow
            self._rest.until = now + REST_PAUSE
            for outgoing in self._queue:
                if outgoing.answers is None:
                    outgoing.not_before = self._rest.until

    def _is_refused_start(self, data: bytes, message: Message, now: int) -> bool:
        """ScanImage answers an EXPSTART that failed by EXPINTERRUPT."""
        starts = [one for one in self._asked() if one.event is Event.EXPSTART and not one.expired]
        if not starts:
            return False
        self._echo_reply(data, now)
        self._take_off(starts[0])
        reason = f"answered EXPSTART by EXPINTERRUPT {list(message.args) or ''}".rstrip()
        self._report(starts[0], Refused(address=self.address, key=starts[0].key, reason=reason))
        return True

    def _asked(self) -> list[_Outgoing]:
        """Return what a reply may be to, the oldest first; a reply may overtake its echo."""
        current = self._current
        return [*self._waiting, current] if current is not None and current.needs_reply else self._waiting

    def _take_off(self, outgoing: _Outgoing) -> None:
        """Forget a message whose outcome is known."""
        self._reply_until = None
        if self._unclear.pop(outgoing.event, None) is not None:
            self.dropped_copies += 1
        if outgoing is self._current:
            self._lay_by(outgoing)
        if outgoing in self._waiting:
            self._waiting.remove(outgoing)

    def _echo_reply(self, data: bytes, now: int) -> None:
        self._echo(data, self._remember(data, _Incoming(0, now + ECHO_WINDOW)), now)

    # -- copy or new request? ---------------------------------------------------------------------------

    def _receive_request(self, data: bytes, message: Message, now: int) -> None:
        before = self._incoming.get(data)
        is_known = before is not None and now < before.until
        again = before is not None and is_known and self._is_said_again(data, before, now)
        if before is not None and is_known and not again:
            self.dropped_copies += 1
            if self._echo(data, before, now) and before.failure is not None:
                self._out.append(before.failure)
            return
        if self._is_storm(message.event, now):
            self._echo_reply(data, now)
            self.dropped_copies += 1
            return
        for other in self._incoming.values():
            if not other.number:  # over; and after something else it is no copy
                other.until = now
        token = self._hand_up(message)
        seen = self._remember(data, _Incoming(token.number, now + DUPLICATE_WINDOW))
        if before is not None and now - before.echoed_at < (ECHO_AGAIN_AFTER if again else NEW_AFTER):
            seen.echoes = before.echoes  # an echo of our echo, maybe
            seen.echoed_at = now - ECHO_AGAIN_AFTER if again else before.echoed_at
        self._echo(data, seen, now)

    def _is_said_again(self, data: bytes, before: _Incoming, now: int) -> bool:
        """Whether bytes that we have echoed are a new message, of a peer that repeats nothing by itself.

        Who only echoes our echoes is not told for ever.
        """
        writes_spaces = _has_spaces(data) if b"," in data else bool(self._peer_writes_spaces)
        says_all_once = self.reliable or (self._is_alone and writes_spaces)
        is_endless = before.echoes >= MAX_ECHOES and now - before.echoed_at < ECHO_AGAIN_AFTER
        return before.echoes > 0 and says_all_once and not is_endless

    def _is_storm(self, event: Event, now: int) -> bool:
        """Whether so much is asked that both sides must be answering each other's answers."""
        if event not in _QUESTIONS:
            return False
        heard = self._heard.setdefault(event, deque(maxlen=MOST_QUESTIONS))
        is_storm = len(heard) == MOST_QUESTIONS and now - heard[0] < SECOND
        if not is_storm:
            heard.append(now)
        return is_storm

    def _hand_up(self, message: Message) -> Token:
        """Hand up what IBL's wire can say of a message; of our own verbs a rig takes none here."""
        if self._hears not in (hear_rig, hear_verbatim):  # whoever else listens may be led
            message, verbs = without_own_verbs(message)
            self._note_verbs(verbs)
        self._numbers += 1
        token = Token(self.address, 1, self._numbers)
        self._events.append(Received(address=self.address, word=self._hears(message), token=token))
        return token

    def _echo(self, data: bytes, seen: _Incoming, now: int) -> bool:
        """Echo a message unless that was done too often; return whether it is done."""
        soon = seen.echoes > 0 and now - seen.echoed_at < ECHO_AGAIN_AFTER
        if soon or seen.echoes >= MAX_ECHOES:
            return False
        seen.echoes += 1
        seen.echoed_at = now
        self._out.append(data)
        return True

    def _remember(self, data: bytes, seen: _Incoming) -> _Incoming:
        self._incoming.pop(data, None)
        while len(self._incoming) >= MAX_REMEMBERED:
            del self._incoming[next(iter(self._incoming))]
        self._incoming[data] = seen
        return seen

    def _request(self, token: Token) -> bytes | None:
        for data, seen in self._incoming.items():
            if seen.number == token.number:
                return data
        return None

    def _end(self, request: bytes | None, failure: bytes | None = None) -> None:
        """End the conversation about a request of the peer; its copies are known a while longer."""
        if request is not None and (seen := self._incoming.get(request)) is not None:
            seen.number = 0
            seen.until = seen.echoed_at + ECHO_WINDOW
            seen.failure = failure

    # -- errors -----------------------------------------------------------------------------------------

    def _receive_error(self, message: Message) -> None:
        text = str(message.args[0]) if message.args else "an error without a text"
        about = message.args[1] if len(message.args) > 1 else None
        pending = [*self._waiting, *([self._current] if self._current else [])]
        named = [one for one in pending if one.event == about or one.data.decode() == about]
        if not named and about not in _EVENTS:  # about nothing that we know, so about what it heard last
            named = [one for one in pending if not one.expired][-1:]
        if not named:  # it tells of a failure by itself
            self._hand_up(message)
            return
        outgoing = _oldest_heard(named)
        self._take_off(outgoing)
        self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=text))

    def _note_verbs(self, verbs: Iterable[str]) -> None:
        """Tell of verbs that are not taken; each once, of as many as there is room for."""
        for verb in verbs:
            if verb not in self._verbs and len(self._verbs) < MAX_VERBS:
                self._verbs.add(verb)
                reason = f"{verb} is not taken on IBL's wire"
                self._events.append(Ignored(address=self.address, reason=reason, first=True))

    def _ignore(self, reason: str) -> None:
        self.ignored += 1
        self._events.append(Ignored(address=self.address, reason=reason, first=self.ignored == 1))

    # -- retransmission ---------------------------------------------------------------------------------

    def _transmit(self, outgoing: _Outgoing, now: int) -> None:
        self._current = outgoing
        outgoing.retry_at = None
        if not self.reliable:
            if outgoing.is_harmless:
                outgoing.retry_at = now + (LASTING_EVERY if outgoing.expired else INFO_EVERY)
            elif outgoing.copies < len(RETRY_AFTER):
                outgoing.retry_at = now + RETRY_AFTER[outgoing.copies]
            elif outgoing.lasting:
                outgoing.retry_at = now + LASTING_EVERY
            else:  # every copy is out and none came back
                self._expire(outgoing)
                self._lay_by(outgoing)
                return
        outgoing.copies += 1
        self._note_sent(outgoing, now)
        self._out.append(outgoing.data)

    def _lay_by(self, outgoing: _Outgoing) -> None:
        """Take a message off the line; a late echo or its reply still finds it."""
        self._current = None
        if outgoing.needs_reply:
            self._waiting.append(outgoing)
        if outgoing.answers is not None:
            self._incoming.pop(outgoing.answers, None)

    def _note_sent(self, outgoing: _Outgoing, now: int) -> None:
        sent = self._sent.pop(outgoing.data, None)
        if sent is None or now > sent.until:
            sent = _Sent(outgoing.event)
            if outgoing.event is Event.EXPINFO:
                args = Message.parse(codec.decode(outgoing.data)).args
                if args not in self._infos:
                    self._infos.append(args)
        while len(self._sent) >= MAX_REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._sent[outgoing.data] = sent
        sent.due += 1
        sent.last_at = now
        sent.until = now + EXPIRED_KEPT

    def withdraw(self) -> None:
        """Give up requests that are not confirmed: something overtakes them."""
        current = self._current
        if current is not None and current.answers is None:
            current.lasting = False
            self._expire(current)
            self._lay_by(current)
        for outgoing in self._queue:
            if outgoing.answers is None and not outgoing.expired:
                self._report(outgoing, Refused(address=self.address, key=outgoing.key, reason=WITHDRAWN))
        self._queue = deque(one for one in self._queue if one.answers is not None)
        if self._current is not None:  # an answer, which can wait
            self._queue.appendleft(self._current)
            self._current = None

    def _expire(self, outgoing: _Outgoing) -> None:
        if outgoing.expired:
            return
        outgoing.expired = True
        if outgoing.spare_reply is not None:
            word = self._hears(outgoing.spare_reply)
            event: object = Replied(address=self.address, key=outgoing.key, word=word)
        elif self.obstacle is not None and not outgoing.confirmed:
            event = Unreached(address=self.address, key=outgoing.key, reason=self.obstacle)
        else:
            event = TimedOut(address=self.address, key=outgoing.key, confirmed=outgoing.confirmed)
        self._report(outgoing, event)

    def _report(self, outgoing: _Outgoing, event: object) -> None:
        if outgoing.key is not None:
            self._events.append(event)


def _has_spaces(data: bytes) -> bool:
    """Whether a space follows the first comma."""
    return data.partition(b",")[2][:1] == b" "


def _same(data: bytes, sent: bytes) -> bool:
    """Whether the bytes are an echo of what was sent; Timeline returns only the first thousand bytes."""
    return data == sent or (codec.TIMELINE_LIMIT <= len(data) < len(sent) and sent.startswith(data))


def _oldest_heard(candidates: list[_Outgoing]) -> _Outgoing:
    """Return what a peer speaks of that works in order: what it has not echoed it has not heard."""
    return next((one for one in candidates if one.confirmed), candidates[-1])


def _encode_error(message: Message) -> bytes:
    """Return an error with as much of its text as every foreign peer can read."""
    text, *about = message.args or ("an error without a text",)
    while len(data := codec.encode_array(Message(Event.ERROR, (text, *about)))) >= codec.TIMELINE_LIMIT:
        if not text:  # what it is about is too long by itself
            break
        text = str(text)
        text = text[: len(text) * 3 // 4]
    return data


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
