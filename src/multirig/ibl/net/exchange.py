"""What was said and heard through one communicator, and which of it answers what.

iblutil's interface knows no answers: a callback may say the same event, now or much later, and a caller may
wait for an event that has come already. The wire below wants to know.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from multirig.errors import MultirigError, RemoteProtocolError, RigUnreachable
from multirig.ibl.errors import NotConfirmed
from multirig.ibl.net import arrays, base
from multirig.ibl.net.listeners import Listeners
from multirig.protocol import codec
from multirig.protocol.dialect import hear_verbatim
from multirig.protocol.door import Door
from multirig.protocol.events import (
    SECOND,
    WITHDRAWN,
    Address,
    Confirmed,
    Fail,
    Ignored,
    Oversized,
    Received,
    Refused,
    Replied,
    Reply,
    Send,
    Settle,
    TimedOut,
    Token,
    Unreached,
)
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.protocol.words import Verbatim, Word
from multirig.runtime import Runtime
from multirig.trust.admission import AllowList

SETTLE_AFTER = 2.0
"""Seconds for which a message of the peer waits for our answer before the same bytes count as a new one."""
REPLY_KEPT = 60.0
"""Seconds for which a reply that nobody waits for is still known as one."""
REPLY_AWAITED = 3600.0
"""The same where somebody waits for it; how long is up to the caller."""
UNHEARD_KEPT = 10.0
"""Seconds for which a reply that came before anybody listened is kept for the next listener: a quick peer
replies together with its echo, before a caller has come from one ``await`` to the other."""

reply_to_this: contextvars.ContextVar[asyncio.Future[list[Any]] | None] = contextvars.ContextVar(
    "reply_to_this", default=None
)
"""Is resolved by the reply to the next message that is sent in this context; a late reply reaches nobody."""


class _PassThrough:
    """A machine without rules: what the face wants goes to the links, what they report goes to the face."""

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Hand it on."""
        return (event,)


class _WatchedRuntime(Runtime):
    """A runtime that also reports a peer that is gone."""

    def __init__(
        self, node: Node, perform: Callable[[Any], None], on_unreachable: Callable[[Address, str], None]
    ) -> None:
        super().__init__(node, perform)
        self._on_unreachable = on_unreachable

    def unreachable(self, address: Address, reason: str, *, is_refusal: bool = True) -> None:
        """Report it to the node, and a peer that is gone to the face."""
        super().unreachable(address, reason, is_refusal=is_refusal)
        if is_refusal:
            self._on_unreachable(address, reason)


@dataclass(slots=True, eq=False)
class _Pending:
    """A message of ours whose outcome is still open."""

    message: Verbatim
    address: Address
    confirmed: asyncio.Future[None]
    reply: asyncio.Future[list[Any]] | None = None
    is_final: bool = False
    """Whether its receipt is all that comes: an answer of ours, a token."""


class _Questions:
    """Messages of peers that may still be answered, the newest of each event."""

    def __init__(self, settle: Callable[[Token], None]) -> None:
        self._settle = settle
        self._open: dict[tuple[Address, Event], tuple[Token, asyncio.TimerHandle]] = {}

    def put(self, address: Address, event: Event, token: Token) -> None:
        """Keep one until it is answered, or for `SETTLE_AFTER`."""
        self.take(address, event)
        expire = functools.partial(self._expire, address, event)
        alarm = asyncio.get_running_loop().call_later(SETTLE_AFTER, expire)
        self._open[address, event] = token, alarm

    def take(self, address: Address, event: Event) -> Token | None:
        """Return the one that an answer with this event is for, if there is any; it is open no more."""
        token, alarm = self._open.pop((address, event), (None, None))
        if alarm is not None:
            alarm.cancel()
        return token

    def clear(self) -> None:
        """Forget all of them."""
        for address, event in list(self._open):
            self.take(address, event)

    def _expire(self, address: Address, event: Event) -> None:
        if (token := self.take(address, event)) is not None:
            self._settle(token)


@dataclass(slots=True)
class _UnheardReplies:
    """Replies that nobody has listened for yet, the newest of each event."""

    _kept: dict[tuple[Address, Event], tuple[list[Any], float]] = field(default_factory=dict)

    def put(self, address: Address, event: Event, data: list[Any], now: float) -> None:
        """Keep one for `UNHEARD_KEPT`."""
        self._kept[address, event] = data, now + UNHEARD_KEPT

    def drop(self, address: Address, event: Event) -> None:
        """Forget one: another message of that event is under way."""
        self._kept.pop((address, event), None)

    def take(self, events: Iterable[int], now: float) -> tuple[Address, Event, list[Any]] | None:
        """Return the first of these events, which is then forgotten, as are those that are too old."""
        for (address, event), (data, until) in list(self._kept.items()):
            if event in events or until <= now:
                del self._kept[address, event]
            if event in events and until > now:
                return address, event, data
        return None


class Exchange:
    """The messages of one communicator, from the wire below to the listeners above.

    `check_token` raises unless an address may be sent the Alyx token; `on_lost` is given the address of a
    peer that is gone, and the reason.
    """

    def __init__(
        self,
        name: str,
        logger: logging.Logger,
        *,
        allowed: AllowList,
        listeners: Listeners,
        check_token: Callable[[Address], None],
        on_lost: Callable[[Address, str], None],
    ) -> None:
        self.name = name
        self.is_open = False
        self.is_reached = True
        """Whether nothing is known that keeps the other end from hearing us."""
        self.permits = allowed.permits
        self._logger = logger
        self._listeners = listeners
        self._check_token = check_token
        self._on_lost = on_lost
        node = Node(
            boot=secrets.token_hex(8),
            name=name,
            machine=_PassThrough(),
            hears=hear_verbatim,
            door=Door(allowed.admit, name=name),
            greets=False,
        )
        self.runtime = _WatchedRuntime(node, self._perform, self._lose)
        self.unheard = _UnheardReplies()
        self._pending: dict[int, _Pending] = {}
        self._keys = itertools.count(1)
        self._plain: dict[Any, Event] = {}
        """Key and event of messages that may be replied to, but nobody waits for it in particular."""
        self._questions = _Questions(lambda token: self.runtime.feed(Settle(token=token)))

    def close(self) -> None:
        """Cancel everything that waits."""
        self.is_open = False
        self._questions.clear()
        for pending in self._pending.values():
            for future in (pending.confirmed, pending.reply):
                if future is not None and not future.done():
                    future.cancel()
        self._pending.clear()
        self._plain.clear()

    def awaits_echo(self, address: Address | None) -> bool:
        """Whether an echo is still to come, from an address or from any."""
        return any(
            address in (None, pending.address) and not pending.confirmed.done()
            for pending in self._pending.values()
        )

    # -- what goes out ----------------------------------------------------------------------------------

    async def ask(self, message: Verbatim, address: Address, limit: float) -> None:
        """Say something, and return when the peer has it; see `EchoProtocol.confirmed_send`."""
        key = next(self._keys)
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        confirmed.add_done_callback(_look)
        pending = self._pending[key] = _Pending(message, address, confirmed, reply_to_this.get())
        if pending.reply is not None:
            pending.reply.add_done_callback(lambda _: self._pending.pop(key, None))
        try:
            self.say(message, address, key=key)
            await asyncio.wait([confirmed], timeout=limit)
            if not confirmed.done():
                raise NotConfirmed(
                    f"{self.name} does not hear {message} within {limit:g} s: is the PC on, and its "
                    f"program running? ({address})"
                )
            confirmed.result()
        finally:
            if pending.reply is None:
                self._pending.pop(key, None)

    def say(self, message: Verbatim, address: Address, *, key: int | None = None) -> None:
        """Answer the peer if it has asked with this event; else, or if we await a reply, ask ourselves."""
        if not self.is_open:
            raise RigUnreachable(f"{self.name} is closed: make another communicator")
        codec.check_size(arrays.size(message), stream=address.scheme == "tcp", what=message)
        brings_token = arrays.brings_token(message)
        if brings_token:
            self._check_token(address)
        self.unheard.drop(address, message.event)
        pending = self._pending.get(key or 0)
        is_awaited = pending is not None and pending.reply is not None
        question = self._questions.take(address, message.event)
        is_answer = question is not None and not is_awaited
        if question is not None and is_awaited:
            self.runtime.feed(Settle(token=question))
        if pending is not None:
            pending.is_final = is_answer or brings_token
        if question is not None and is_answer:
            self.runtime.feed(Reply(token=question, word=message, key=key))
        elif brings_token:
            self.runtime.feed(Send(address=address, word=message, key=key, needs_reply=False, gives_up=True))
        else:
            if key is None:
                key = next(self._keys)
            if not is_awaited:
                self._plain[key] = message.event
            said = Send(
                address=address,
                word=message,
                key=key,
                limit=round((REPLY_AWAITED if is_awaited else REPLY_KEPT) * SECOND),
                overtakes=message.event is Event.EXPINTERRUPT,
                gives_up=True,
            )
            self.runtime.feed(said)

    # -- what comes in ----------------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Received(address=address, word=Verbatim() as message, token=token):
                self.is_reached = True
                self._hear(address, message, token)
            case Confirmed(key=key):
                self.is_reached = True
                self._confirm(key)
            case Replied(key=key, address=address, word=message):
                self.is_reached = True
                self._take_reply(key, address, message)
            case Refused(key=key, address=address, reason=reason):
                self._take_refusal(key, address, reason)
            case TimedOut(key=key, confirmed=is_confirmed):
                self._plain.pop(key, None)
                if not is_confirmed:
                    self._fail(key, NotConfirmed(f"{self.name} does not hear us: look at that PC"))
            case Unreached(key=key, reason=reason):
                self._fail(key, RigUnreachable(f"{self.name}: {reason}"))
            case Ignored() | Oversized():
                self._logger.log(logging.WARNING if effect.first else logging.DEBUG, "%s", effect)

    def _lose(self, address: Address, reason: str) -> None:
        if self.is_open:
            self._on_lost(address, reason)

    def _hear(self, address: Address, message: Verbatim, token: Token) -> None:
        """Hand up what a peer says; whoever answers it with the same event answers this."""
        if message.event is not Event.ERROR and self._listeners.has(message.event):
            self._questions.put(address, message.event, token)
        else:
            self.runtime.feed(Settle(token=token))
        self._call(address, message)

    def _call(self, address: Address, message: Word) -> None:
        """Call the listeners; the first callback that fails is reported to the peer."""
        self._logger.info("%s says %s", address, message)  # without its data: an Alyx token is a secret
        event = base.ExpMessage(int(message.event))
        if not self._listeners.has(message.event):
            self._logger.debug("%s: nobody here listens for %s", self.name, message.event.name)
        errors = self._listeners.call(
            event, arrays.content(message), (address.host, address.port), self._logger
        )
        if not errors or message.event is Event.ERROR or not self.is_open:
            return
        complaint = arrays.complaint(message.event, f"{type(errors[0]).__name__}: {errors[0]}")
        question = self._questions.take(address, message.event)
        if question is not None:
            self.runtime.feed(Fail(token=question, word=complaint))
        else:
            self.runtime.feed(Send(address=address, word=complaint, key=None))

    def _confirm(self, key: Any) -> None:
        pending = self._pending.get(key)
        if pending is not None and not pending.confirmed.done():
            pending.confirmed.set_result(None)

    def _take_reply(self, key: Any, address: Address, message: Word) -> None:
        """Take the reply to a message of ours, or the receipt of our own reply, which says nothing more."""
        self._confirm(key)
        pending = self._pending.pop(key, None)
        if pending is not None and pending.is_final:
            return
        if key in self._plain:  # it may never get a reply; whoever waits for one of that event has precedence
            del self._plain[key]
            pending = self._awaiting(address, message.event)
        if pending is not None and pending.reply is not None and not pending.reply.done():
            pending.reply.set_result(arrays.content(message))
        elif not self._listeners.has(message.event):
            now = asyncio.get_running_loop().time()
            self.unheard.put(address, message.event, arrays.content(message), now)
        if message.event is not Event.ERROR:  # the receipt of a complaint of ours
            self._call(address, message)

    def _awaiting(self, address: Address, event: Event) -> _Pending | None:
        """Return what has been waiting longest for a reply of that event, if the peer has it."""
        for pending in self._pending.values():
            is_that = (pending.address, pending.message.event) == (address, event)
            is_waiting = pending.reply is not None and not pending.reply.done()
            if is_that and is_waiting and pending.confirmed.done():
                return pending
        return None

    def _take_refusal(self, key: Any, address: Address, reason: str) -> None:
        pending = self._pending.get(key)
        event = self._plain.get(key, Event.ERROR) if pending is None else pending.message.event
        self._fail(key, RemoteProtocolError(f"{self.name}: {' '.join(reason.split())}"))
        if reason != WITHDRAWN:
            self._logger.error("%s could not handle %s: %s", self.name, event.name, reason)
            self._call(address, arrays.complaint(event, reason))

    def _fail(self, key: Any, error: MultirigError) -> None:
        self._plain.pop(key, None)
        pending = self._pending.pop(key, None)
        if pending is None:
            return
        for future in (pending.confirmed, pending.reply):
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # somebody may have given up waiting for it


def _look(future: asyncio.Future[Any]) -> None:
    """Look at an outcome, so that nobody warns of one that came when its caller had gone."""
    if not future.cancelled():
        future.exception()
