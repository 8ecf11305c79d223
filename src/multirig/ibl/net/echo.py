"""One end of the echo protocol, by iblutil's names and manners.

The wire itself is `multirig.protocol.echo`: what is lost is sent again, what crosses is kept apart, and an
echo is never echoed.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.config import Uri
from multirig.errors import (
    ConfigError,
    LocalProtocolError,
    MultirigError,
    ProtocolError,
    RemoteProtocolError,
    RigUnreachable,
)
from multirig.ibl.errors import AddressNotFree, AlyxTokenNotAllowed, NotConfirmed
from multirig.ibl.net import base
from multirig.protocol import codec
from multirig.protocol.allow import AllowList
from multirig.protocol.events import (
    SECOND,
    WITHDRAWN,
    Address,
    Confirmed,
    Fail,
    Ignored,
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
from multirig.protocol.messages import Event, Message
from multirig.protocol.node import Node
from multirig.runtime import Runtime

SETTLE_AFTER = 2.0
"""Seconds for which a message of the peer waits for our answer before the same bytes count as a new one."""
REPLY_KEPT = 60.0
"""Seconds for which a reply that nobody waits for is still known as one."""
REPLY_AWAITED = 3600.0
"""The same where somebody waits for it; how long is up to whoever waits."""
UNHEARD_KEPT = 10.0
"""Seconds for which a reply that came before anybody listened is kept for whoever listens next: a quick peer
replies together with its echo, before a caller has come from one ``await`` to the other."""
TOKEN_LIMIT = 10.0
"""Seconds that a peer may take to send the Alyx token that it was asked for."""

reply_to_this: contextvars.ContextVar[asyncio.Future[list[Any]] | None] = contextvars.ContextVar(
    "reply_to_this", default=None
)
"""Is resolved by the reply to the next message that is sent in this context; a late reply reaches nobody."""


class _PassThrough:
    """A machine without rules: what the face wants goes to the links, what they tell goes to the face."""

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Hand it on."""
        return (event,)


class _WatchedRuntime(Runtime):
    """A runtime that also tells the face of a peer that is gone."""

    def __init__(
        self, node: Node, perform: Callable[[Any], None], on_unreachable: Callable[[Address, str], None]
    ) -> None:
        super().__init__(node, perform)
        self._on_unreachable = on_unreachable

    def unreachable(self, address: Address, reason: str) -> None:
        """Tell node and face."""
        super().unreachable(address, reason)
        self._on_unreachable(address, reason)


@dataclass(slots=True, eq=False)
class _Pending:
    """A message of ours whose outcome is still open."""

    message: Message
    address: Address
    confirmed: asyncio.Future[None]
    reply: asyncio.Future[list[Any]] | None = None
    is_final: bool = False
    """Whether its receipt is all that comes: an answer of ours, a token."""


@dataclass(frozen=True, slots=True)
class _Unheard:
    """A reply that nobody has listened for yet."""

    data: list[Any]
    until: float


@dataclass(slots=True)
class _Asked:
    """A message of the peer that may still be answered."""

    token: Token
    alarm: asyncio.TimerHandle = field(repr=False)


class EchoProtocol(base.Communicator):
    """One end of the echo protocol; made by `server` or by `client`.

    Parameters
    ----------
    server_uri : str
        Where the rig listens: in the server role our own address, in the client role the other's.
    role : {'server', 'client'}
        A server speaks with whoever has spoken to it, a client with one server.
    name : str, optional
        What it is called.
    logger : logging.Logger, optional
        Where it says what goes on.
    allow : iterable of str
        As a server: IP addresses and networks that may speak to it, besides this PC and private networks.
    allow_cleartext_token : iterable of str
        Who may be sent the Alyx token, which travels unencrypted: IP addresses, as a client also our name.

    Raises
    ------
    ConfigError
        ``allow`` holds what is no address or network.
    """

    Server: Any = None
    """As a server: what `asyncio.Server` is to a server of streams, once it listens."""
    default_echo_timeout = 5.0
    """Seconds to wait for an echo: time for five copies of a message; iblutil, which sends one, waits 1."""
    max_message_size = codec.MAX_DATAGRAM
    """Bytes of one message over UDP; over TCP there may be more."""

    def __init__(
        self,
        server_uri: Any,
        role: str,
        name: str | None = None,
        logger: logging.Logger | None = None,
        *,
        allow: Iterable[str] = (),
        allow_cleartext_token: Iterable[str] = (),
    ) -> None:
        super().__init__(server_uri, name=name, logger=logger)
        self._role: str | None = None
        self.role = role
        self.allow_cleartext_token = frozenset(_several(allow_cleartext_token))
        self._loop = loop = asyncio.get_running_loop()
        self.on_connection_lost: asyncio.Future[Any] = loop.create_future()
        self.on_error_received: asyncio.Future[Any] = loop.create_future()
        self.on_eof_received: asyncio.Future[Any] = loop.create_future()
        try:
            allowed = AllowList(_several(allow), anybody=self.role == "client")
        except ValueError as error:
            raise ConfigError(f"{self.name}: allow holds IP addresses and networks: {error}") from None
        self._node = Node(
            boot=secrets.token_hex(8),
            name=self.name,
            machine=_PassThrough(),
            permits=allowed.permits,
            greets=False,
        )
        self._runtime = _WatchedRuntime(self._node, self._perform, self._lose)
        self._peer: Address | None = None
        """As a client: the server."""
        self._pending: dict[int, _Pending] = {}
        self._keys = itertools.count(1)
        self._plain: set[int] = set()
        """Keys of messages that may be replied to, but nobody waits for it in particular."""
        self._asked: dict[tuple[Address, Event], _Asked] = {}
        self._unheard: dict[tuple[Address, Event], _Unheard] = {}
        self._is_open = False
        self._is_unreached = False
        self._ending = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    # -- made by ----------------------------------------------------------------------------------------

    @staticmethod
    async def server(
        server_uri: Any, name: str | None = None, log: logging.Logger | None = None, **kwargs: Any
    ) -> EchoProtocol:
        """Listen at an address.

        Parameters
        ----------
        server_uri : str or IP address
            This PC's; scheme and port may be left out (``udp``, 11001).
        name : str, optional
            What it is called.
        log : logging.Logger, optional
            Where it says what goes on.
        **kwargs
            ``allow``, ``allow_cleartext_token``: see `EchoProtocol`.

        Raises
        ------
        AddressNotFree
            The address cannot be had; it is an OSError too.
        """
        uri = await asyncio.to_thread(base.validate_uri, server_uri)
        com = EchoProtocol(uri, "server", name=name, logger=log, **kwargs)
        await com._open()
        return com

    @staticmethod
    async def client(
        server_uri: Any, name: str | None = None, log: logging.Logger | None = None, **kwargs: Any
    ) -> EchoProtocol:
        """Speak to a server; the parameters are those of `server`.

        Raises
        ------
        RigUnreachable
            There is no way to its address.
        """
        uri = await asyncio.to_thread(base.validate_uri, server_uri)
        com = EchoProtocol(uri, "client", name=name, logger=log, **kwargs)
        await com._open()
        return com

    async def _open(self) -> None:
        scheme = Uri.parse(self.server_uri).scheme
        try:
            if self.role == "server":
                await self._runtime.listen(scheme, self.hostname, self.port)
                self.Server = Serving(self)
            else:
                self._peer = await self._runtime.connect(scheme, self.hostname, self.port)
        except BaseException as error:
            await self._runtime.close()
            if isinstance(error, ConfigError):
                raise AddressNotFree(f"{self.name}: {error}") from error
            raise
        self._is_open = True
        self._keeper = self._loop.create_task(self._keep())
        self.logger.info("%s speaks at %s", self.name, self.server_uri)

    async def _keep(self) -> None:
        """Let go of the sockets at the end, also where the event loop ends before, or just after `close`."""
        try:
            await self._ending.wait()
        finally:
            self.close()
            await self._runtime.close()

    # -- what is ----------------------------------------------------------------------------------------

    @property
    def role(self) -> str:
        """Which end this is, ``server`` or ``client``; set once."""
        return self._role or ""

    @role.setter
    def role(self, value: str) -> None:
        if self._role is not None:
            raise AttributeError("the role of a communicator is set once")
        role = (value or "").strip().lower()
        if role not in ("server", "client"):
            raise LocalProtocolError(f"the role is 'server' or 'client', not {value!r}")
        self._role = role

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and nothing is known that keeps the other end from hearing us."""
        return self._is_open and not self._is_unreached

    def awaiting_response(self, addr: tuple[str, int] | None = None) -> bool:
        """Whether an echo is still to come, from an address or from any."""
        address = None if addr is None else self._address(addr)
        return any(
            address in (None, one.address) for one in self._pending.values() if not one.confirmed.done()
        )

    # -- what can be said -------------------------------------------------------------------------------

    async def init(self, data: Any = None, addr: Any = None) -> None:
        """Say EXPINIT; see `confirmed_send` for the errors."""
        await self.confirmed_send(super().init(data), addr=addr)

    async def start(self, exp_ref: Any, data: Any = None, addr: Any = None) -> None:
        """Say EXPSTART for a reference, given as text or as a dict; see `confirmed_send` for the errors."""
        await self.confirmed_send(super().start(exp_ref, data), addr=addr)

    async def stop(self, data: Any = None, immediately: bool = False, addr: Any = None) -> None:
        """Say EXPEND, or EXPINTERRUPT; see `confirmed_send` for the errors."""
        await self.confirmed_send(super().stop(data, immediately=immediately), addr=addr)

    async def cleanup(self, data: Any = None, addr: Any = None) -> None:
        """Say EXPCLEANUP; see `confirmed_send` for the errors."""
        await self.confirmed_send(super().cleanup(data), addr=addr)

    async def status(self, status: Any, addr: Any = None) -> None:
        """Say EXPSTATUS; see `confirmed_send` for the errors."""
        await self.confirmed_send(super().status(status), addr=addr)

    async def info(self, status: Any, data: Any = None, addr: Any = None) -> None:
        """Say EXPINFO; see `confirmed_send` for the errors."""
        await self.confirmed_send(super().info(status, data), addr=addr)

    async def alyx(self, alyx: Any = None, addr: Any = None) -> Any:
        """Send the token of an AlyxClient, or ask for one.

        Returns
        -------
        list or None
            Asked for: ``[url, {user: token}]`` as the peer sends it.

        Raises
        ------
        AlyxTokenNotAllowed
            The peer is not named in ``allow_cleartext_token``; it is a PermissionError too.
        Unconfirmed
            No echo, or no token came in time; it is a TimeoutError too.
        """
        message = super().alyx(alyx)
        if message[-1]:
            self.check_token_may_go(addr)
            await self.confirmed_send(message, addr=addr)
            return None
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        mark = reply_to_this.set(answer)
        try:
            await self.confirmed_send(message, addr=addr)
        finally:
            reply_to_this.reset(mark)
        await asyncio.wait([answer], timeout=TOKEN_LIMIT)
        if not answer.done():
            answer.cancel()
            raise NotConfirmed(
                f"{self.name} has sent no Alyx token within {TOKEN_LIMIT:g} s: log in there first"
            )
        return answer.result()

    def send(self, data: Any, addr: Any = None) -> None:
        """Say something and do not wait; it is repeated until the peer has echoed it all the same.

        Parameters
        ----------
        data : sequence, str or bytes
            A message ``[event, ...]``.
        addr : tuple of (str, int)
            To whom; as a server it must be said.

        Raises
        ------
        ValueError
            It is no message, or the address is another one than the server's.
        TypeError
            A server was given no address.
        """
        self._say(_read(data), self._target(addr), key=None)

    async def confirmed_send(self, data: Any, addr: Any = None, timeout: float | None = None) -> None:
        """Say something and wait until the peer has it.

        Parameters
        ----------
        data : sequence, str or bytes
            A message ``[event, ...]``.
        addr : tuple of (str, int)
            To whom; as a server it must be said.
        timeout : float, optional
            Seconds to wait for the echo; `default_echo_timeout` if it is not said.

        Raises
        ------
        Unconfirmed
            No echo in time; it is a TimeoutError too. The conversation goes on.
        RigUnreachable
            Nothing listens there.
        RemoteProtocolError
            The peer says that it failed; it is a RuntimeError too.
        ValueError
            It is no message, the timeout is not above zero, or the address is not the server's.
        TypeError
            A server was given no address.
        """
        address = self._target(addr)
        timeout = self.default_echo_timeout if timeout is None else timeout
        if not timeout > 0:
            raise LocalProtocolError(f"the timeout is {timeout!r}: give seconds above zero")
        message = _read(data)
        key = next(self._keys)
        pending = _Pending(message, address, self._loop.create_future(), reply_to_this.get())
        pending.confirmed.add_done_callback(_look)
        self._pending[key] = pending
        if pending.reply is not None:
            pending.reply.add_done_callback(lambda _: self._pending.pop(key, None))
        try:
            self._say(message, address, key=key)
            await asyncio.wait([pending.confirmed], timeout=timeout)
            if not pending.confirmed.done():
                raise NotConfirmed(
                    f"{self.name} does not hear {message} within {timeout:g} s: is the PC on, and its "
                    f"program running? ({address})"
                )
            pending.confirmed.result()
        finally:
            if pending.reply is None:
                self._pending.pop(key, None)

    async def on_event(self, event: Any) -> Any:
        """Wait for an event; a reply that has come since we asked and that nobody has heard is it.

        Parameters and result are those of `Communicator.on_event`.
        """
        parts = [int(one) for one in base.ExpMessage.validate(event)]
        now = self._loop.time()
        for (address, said), unheard in list(self._unheard.items()):
            if said in parts or unheard.until <= now:
                del self._unheard[address, said]
            if said in parts and unheard.until > now:
                found = (unheard.data, (address.host, address.port), base.ExpMessage(said))
                return found if len(parts) > 1 else found[:2]
        return await super().on_event(event)

    def close(self) -> None:
        """End the conversation: forget callbacks, cancel what waits, and let go of the socket."""
        if not self._is_open:
            return
        self._is_open = False
        if self._loop.is_closed():  # with it, everything that waited
            return
        super().close()
        for asked in self._asked.values():
            asked.alarm.cancel()
        self._asked.clear()
        for pending in self._pending.values():
            for future in (pending.confirmed, pending.reply):
                if future is not None and not future.done():
                    future.cancel()
        self._pending.clear()
        self._plain.clear()
        for waiting in (self.on_error_received, self.on_eof_received):
            waiting.cancel()
        if not self.on_connection_lost.done():
            self.on_connection_lost.set_result("closed")
        self._ending.set()

    async def wait_closed(self) -> None:
        """Return when the socket is free, after `close`."""
        if self._keeper is not None:
            await asyncio.wait([self._keeper])

    # -- inside: what goes out --------------------------------------------------------------------------

    def _say(self, message: Message, address: Address, *, key: int | None) -> None:
        """Answer the peer if it has asked with this event; else, or if we await a reply, ask by ourselves."""
        if not self._is_open:
            raise RigUnreachable(f"{self.name} is closed: make another communicator")
        codec.check_size(len(codec.encode_array(message)), stream=address.scheme == "tcp", what=message)
        brings_token = message.event is Event.ALYX and _holds_token(message)
        if brings_token:
            self._check_token_may_go(address)
        self._unheard.pop((address, message.event), None)
        pending = self._pending.get(key or 0)
        is_awaited = pending is not None and pending.reply is not None
        asked = self._asked.pop((address, message.event), None)
        if asked is not None:
            asked.alarm.cancel()
            if is_awaited:
                self._runtime.feed(Settle(token=asked.token))
            else:
                if pending is not None:
                    pending.is_final = True
                self._runtime.feed(Reply(token=asked.token, message=message, key=key))
                return
        if brings_token:
            if pending is not None:
                pending.is_final = True
            self._runtime.feed(Send(address=address, message=message, key=key, needs_reply=False))
            return
        if key is None:
            key = next(self._keys)
        if not is_awaited:
            self._plain.add(key)
        said = Send(
            address=address,
            message=message,
            key=key,
            limit=round((REPLY_AWAITED if is_awaited else REPLY_KEPT) * SECOND),
            overtakes=message.event is Event.EXPINTERRUPT,
        )
        self._runtime.feed(said)

    def _target(self, addr: Any) -> Address:
        if self.role == "server":
            if not addr:
                raise TypeError("a server speaks to many: say to whom, addr=(host, port)")
            return self._address(addr)
        if self._peer is None:
            raise RigUnreachable(f"{self.name} is not open: make it by EchoProtocol.client")
        if addr and self._address(addr) != self._peer:
            raise LocalProtocolError(f"a client speaks to {self._peer} only, not to {addr!r}")
        return self._peer

    def _address(self, addr: Any) -> Address:
        host, port = addr[:2]
        return Address(Uri.parse(self.server_uri).scheme, str(host), int(port))

    def check_token_may_go(self, addr: Any = None) -> None:
        """Raise AlyxTokenNotAllowed unless a peer may be sent the Alyx token in clear."""
        self._check_token_may_go(self._target(addr))

    def _check_token_may_go(self, address: Address) -> None:
        # a server's name is its own: it says nothing of who has connected
        names = {address.host, self.name} if self.role == "client" else {address.host}
        if not self.allow_cleartext_token & names:
            raise AlyxTokenNotAllowed(
                f"{self.name}: the Alyx token would travel unencrypted to {address.host}; if that is fine on "
                f"your network, put {address.host!r} into allow_cleartext_token"
            )

    # -- inside: what comes in --------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Received(address=address, message=message, token=token):
                self._is_unreached = False
                self._hear(address, message, token)
            case Confirmed(key=key):
                self._is_unreached = False
                self._confirm(key)
            case Replied(key=key, address=address, message=message):
                self._is_unreached = False
                self._take_reply(key, address, message)
            case Refused(key=key, address=address, reason=reason):
                self._take_refusal(key, address, reason)
            case TimedOut(key=key, confirmed=is_confirmed):
                self._plain.discard(key)
                if not is_confirmed:
                    self._fail(key, NotConfirmed(f"{self.name} does not hear us: look at that PC"))
            case Unreached(key=key, reason=reason):
                self._fail(key, RigUnreachable(f"{self.name}: {reason}"))
            case Ignored(address=address, reason=reason, first=first):
                level = logging.WARNING if first else logging.DEBUG
                self.logger.log(level, "ignored from %s: %s", address, reason)

    def _lose(self, address: Address, reason: str) -> None:
        """Note that a peer is gone."""
        if not self._is_open:
            return
        error = RigUnreachable(f"{self.name}: {reason}")
        waiting = [self.on_eof_received] if address.scheme == "tcp" else [self.on_error_received]
        if self.role == "client":
            self._is_unreached = True
            if address.scheme == "tcp":
                waiting.append(self.on_connection_lost)
        for one in waiting:
            if not one.done():
                one.set_result(error)

    def _hear(self, address: Address, message: Message, token: Token) -> None:
        """Hand up what a peer says; whoever answers it with the same event answers this."""
        event = message.event
        if event is not Event.ERROR and self._callbacks.get(int(event)):
            before = self._asked.pop((address, event), None)
            if before is not None:
                before.alarm.cancel()
            alarm = self._loop.call_later(SETTLE_AFTER, functools.partial(self._settle, address, event))
            self._asked[address, event] = _Asked(token, alarm)
        else:
            self._runtime.feed(Settle(token=token))
        self._tell(address, message)

    def _settle(self, address: Address, event: Event) -> None:
        asked = self._asked.pop((address, event), None)
        if asked is not None:
            self._runtime.feed(Settle(token=asked.token))

    def _tell(self, address: Address, message: Message) -> None:
        """Call whoever listens; the peer is told of the first callback that fails."""
        self.logger.debug("%s says %s", address, message)  # without its data: an Alyx token is a secret
        errors = self._receive(int(message.event), list(message.args), (address.host, address.port))
        if not errors or message.event is Event.ERROR or not self._is_open:
            return
        reason = f"{type(errors[0]).__name__}: {errors[0]}"
        complaint = Message(Event.ERROR, (reason, int(message.event)))
        asked = self._asked.pop((address, message.event), None)
        if asked is not None:
            asked.alarm.cancel()
            self._runtime.feed(Fail(token=asked.token, message=complaint))
        else:
            self._runtime.feed(Send(address=address, message=complaint, key=None))

    def _confirm(self, key: Any) -> None:
        pending = self._pending.get(key)
        if pending is not None and not pending.confirmed.done():
            pending.confirmed.set_result(None)

    def _take_reply(self, key: Any, address: Address, message: Message) -> None:
        """Take the reply to a message of ours, or the receipt of our own reply, which says nothing more."""
        self._confirm(key)
        pending = self._pending.pop(key, None)
        if pending is not None and pending.is_final:
            return
        if key in self._plain:  # it may never get a reply; whoever waits for one of that event has precedence
            self._plain.discard(key)
            pending = self._awaiting(address, message.event)
        if pending is not None and pending.reply is not None and not pending.reply.done():
            pending.reply.set_result(list(message.args))
        elif not self._callbacks.get(int(message.event)):
            until = self._loop.time() + UNHEARD_KEPT
            self._unheard[address, message.event] = _Unheard(list(message.args), until)
        if message.event is not Event.ERROR:  # the receipt of a complaint of ours
            self._tell(address, message)

    def _awaiting(self, address: Address, event: Event) -> _Pending | None:
        """Return what has been waiting longest for a reply of that event, if the peer has it."""
        for one in self._pending.values():
            is_that = (one.address, one.message.event) == (address, event)
            if is_that and one.reply is not None and one.confirmed.done() and not one.reply.done():
                return one
        return None

    def _take_refusal(self, key: Any, address: Address, reason: str) -> None:
        pending = self._pending.get(key)
        event = int(pending.message.event) if pending is not None else 0
        self._fail(key, RemoteProtocolError(f"{self.name}: {' '.join(reason.split())}"))
        if reason != WITHDRAWN:
            self.logger.error("%s could not handle %s: %s", self.name, Event(event).name, reason)
            self._tell(address, Message(Event.ERROR, (reason, event)))

    def _fail(self, key: Any, error: MultirigError) -> None:
        self._plain.discard(key)
        pending = self._pending.pop(key, None)
        if pending is None:
            return
        for future in (pending.confirmed, pending.reply):
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # somebody may have given up waiting for it


class Serving:
    """What programs ask of iblutil's ``Server``: to serve until they are ended, and to end."""

    def __init__(self, com: EchoProtocol) -> None:
        self._com = com

    def is_serving(self) -> bool:
        """Whether it listens."""
        return self._com.is_connected

    async def serve_forever(self) -> None:
        """Serve until it is closed; a cancellation closes it, as with asyncio's."""
        try:
            await asyncio.shield(self._com.on_connection_lost)
        finally:
            self._com.close()
            await self._com.wait_closed()

    def close(self) -> None:
        """Listen no more."""
        self._com.close()

    async def wait_closed(self) -> None:
        """Return when the port is free."""
        await self._com.wait_closed()


def _several(names: Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple: one alone is often given without its brackets."""
    return (names,) if isinstance(names, str) else tuple(names)


def _holds_token(message: Message) -> bool:
    """Whether an ALYX message holds more than the address of a database."""
    return any(message.args[1:]) or any(isinstance(one, Mapping | list) and one for one in message.args)


def _look(future: asyncio.Future[Any]) -> None:
    """Look at an outcome, so that nobody warns of one that came when its caller had gone."""
    if not future.cancelled():
        future.exception()


def _read(data: Any) -> Message:
    """Return what a caller wants to say as a message.

    Raises
    ------
    LocalProtocolError
        It is none.
    """
    if isinstance(data, bytes | bytearray | str):
        data = base.Communicator.decode(base.Communicator.encode(data))
    if not isinstance(data, list | tuple) or not data:
        raise LocalProtocolError(f"{data!r:.80} is no message: give a list [event, ...]")
    first = data[0]
    if isinstance(first, int) and not isinstance(first, bool):
        first = int(first)
    try:
        return Message.parse([first, *codec.plain(data[1:], "message")])
    except RecursionError:
        raise LocalProtocolError("the message is nested too deeply, or holds itself") from None
    except ProtocolError as error:
        raise LocalProtocolError(str(error)) from None
