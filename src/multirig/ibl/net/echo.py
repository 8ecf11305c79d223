"""One end of the echo protocol, by iblutil's names and manners.

The wire itself is `multirig.protocol.echo`: what is lost is sent again, what crosses is kept apart, and an
echo is never echoed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from multirig.config import Uri
from multirig.errors import ConfigError, LocalProtocolError, RigUnreachable
from multirig.ibl.errors import AddressNotFree, AlyxTokenNotAllowed, NotConfirmed
from multirig.ibl.net import arrays, base
from multirig.ibl.net.exchange import Exchange, reply_to_this
from multirig.protocol import codec
from multirig.protocol.events import Address
from multirig.trust.admission import AllowList

TOKEN_LIMIT = 10.0
"""Seconds that a peer may take to send the Alyx token that it was asked for."""


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
        self._exchange = Exchange(
            self.name,
            self.logger,
            allowed=allowed,
            listeners=self.listeners,
            check_token=self._check_token_may_go,
            on_lost=self._lose,
        )
        self._peer: Address | None = None
        """As a client: the server."""
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
                await self._exchange.runtime.listen(scheme, self.hostname, self.port)
                self.Server = Serving(self)
            else:
                self._peer = await self._exchange.runtime.connect(scheme, self.hostname, self.port)
        except BaseException as error:
            await self._exchange.runtime.close()
            if isinstance(error, ConfigError):
                raise AddressNotFree(f"{self.name}: {error}") from error
            raise
        self._exchange.is_open = True
        self._keeper = self._loop.create_task(self._keep())
        self.logger.info("%s speaks at %s", self.name, self.server_uri)

    async def _keep(self) -> None:
        """Let go of the sockets at the end, also where the event loop ends before, or just after `close`."""
        try:
            await self._ending.wait()
        finally:
            self.close()
            await self._exchange.runtime.close()

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
        return self._exchange.is_open and self._exchange.is_reached

    def awaiting_response(self, addr: tuple[str, int] | None = None) -> bool:
        """Whether an echo is still to come, from an address or from any."""
        return self._exchange.awaits_echo(None if addr is None else self._address(addr))

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
        self._exchange.say(arrays.read(data), self._target(addr))

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
        await self._exchange.ask(arrays.read(data), address, timeout)

    async def on_event(self, event: Any) -> Any:
        """Wait for an event; a reply that has come since we asked and that nobody has heard is it.

        Parameters and result are those of `Communicator.on_event`.
        """
        parts = [int(one) for one in base.ExpMessage.validate(event)]
        found = self._exchange.unheard.take(parts, self._loop.time())
        if found is not None:
            address, said, data = found
            heard = (data, (address.host, address.port), base.ExpMessage(int(said)))
            return heard if len(parts) > 1 else heard[:2]
        return await super().on_event(event)

    def close(self) -> None:
        """End the conversation: forget callbacks, cancel what waits, and let go of the socket."""
        if not self._exchange.is_open:
            return
        self._exchange.is_open = False
        if self._loop.is_closed():  # with it, everything that waited
            return
        super().close()
        self._exchange.close()
        for waiting in (self.on_error_received, self.on_eof_received):
            waiting.cancel()
        if not self.on_connection_lost.done():
            self.on_connection_lost.set_result("closed")
        self._ending.set()

    async def wait_closed(self) -> None:
        """Return when the socket is free, after `close`."""
        if self._keeper is not None:
            await asyncio.wait([self._keeper])

    # -- inside ------------------------------------------------------------------------------------------

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

    def _lose(self, address: Address, reason: str) -> None:
        """Note that a peer is gone."""
        error = RigUnreachable(f"{self.name}: {reason}")
        is_news = self.role == "server" or self._exchange.is_reached
        if is_news and address.scheme == "tcp":
            self.logger.info("%s: %s has closed the connection: %s", self.name, address, reason)
        elif is_news:
            self.logger.error("%s: %s", self.name, reason)
        waiting = [self.on_eof_received] if address.scheme == "tcp" else [self.on_error_received]
        if self.role == "client":
            self._exchange.is_reached = False
            if address.scheme == "tcp":
                waiting.append(self.on_connection_lost)
        for one in waiting:
            if not one.done():
                one.set_result(error)


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
