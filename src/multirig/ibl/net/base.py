"""``iblutil.io.net.base`` by its names: messages, statuses, addresses, and what a service can do."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import urllib.request
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from functools import reduce
from operator import or_
from typing import Any

from multirig.config import Uri
from multirig.errors import ConfigError, LocalProtocolError
from multirig.ibl.alyx import wire_token
from multirig.ibl.net import arrays
from multirig.ibl.net.listeners import Listeners, check_callback
from multirig.protocol.exp_ref import ExpRef

LISTEN_PORT = 11001
"""Where a rig listens unless it says otherwise."""
PROTOCOL_VERSION = "1.0.0"
"""Of the messages, the statuses and the service."""
IP_SERVICE = "https://ident.me"
"""Who on the internet says from which address it is asked; see `external_ip`."""
IP_LIMIT = 5.0
"""Seconds that the internet may take to say who we are."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_success(future: asyncio.Future[Any]) -> bool:
    """Whether a future has a result."""
    return future.done() and not future.cancelled() and future.exception() is None


def external_ip() -> IpAddress:
    """Return this network's address on the internet, which it asks there; nothing else of multirig does."""
    with urllib.request.urlopen(IP_SERVICE, timeout=IP_LIMIT) as answer:
        return ipaddress.ip_address(answer.read().decode().strip())


def is_valid_ip(ip_address: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(ip_address)
    except ValueError:
        return False
    return True


def hostname2ip(hostname: str | None = None) -> IpAddress:
    """Return the IP address of a computer, IPv4 where it has one; blocks while the name is looked up.

    Parameters
    ----------
    hostname : str, optional
        Its name; this PC's if it is not said.

    Raises
    ------
    ValueError
        The name is not known on this network.
    """
    hostname = hostname or socket.gethostname()
    try:
        found = socket.getaddrinfo(hostname, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"the name {hostname!r} is not known on this network ({error}): use the IP address"
        ) from None
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    return min(addresses, key=lambda one: one.version)


def validate_uri(
    uri: str | IpAddress,
    resolve_host: bool = True,
    default_port: int | str = LISTEN_PORT,
    default_proc: str = "udp",
) -> str:
    """Return an address with all of its parts.

    Parameters
    ----------
    uri : str, ipaddress.IPv4Address or ipaddress.IPv6Address
        ``udp://host:port``, where scheme and port may be left out; IPv6 in brackets if a port follows.
    resolve_host : bool
        Put the IP address in place of a name.
    default_port : int or str
        Where none is given.
    default_proc : str
        The scheme where none is given.

    Returns
    -------
    str
        ``scheme://host:port``.

    Raises
    ------
    TypeError
        It is neither a text nor an address.
    ValueError
        The host or the port is none, or the name is not known on this network.
    """
    if isinstance(uri, ipaddress.IPv4Address | ipaddress.IPv6Address):
        scheme, rest = default_proc, f"[{uri}]" if uri.version == 6 else str(uri)
    elif isinstance(uri, str):
        before, marker, after = uri.strip().partition("://")
        scheme, rest = (before, after) if marker else (default_proc, before)
    else:
        raise TypeError(f"{uri!r} is no address: write udp://host:{LISTEN_PORT}")
    if not re.fullmatch("[a-zA-Z]+", scheme):
        raise ConfigError(f"{uri!r} is no address: the scheme {scheme!r} is no word")
    rest = rest.removesuffix("/").removesuffix(":")
    has_port = "]:" in rest or (rest.count(":") == 1 and "[" not in rest)
    parsed = Uri.parse(f"udp://{rest}")
    port = parsed.port if has_port else _port(uri, default_port)
    host = parsed.host
    if resolve_host and not is_valid_ip(host.partition("%")[0]):
        host = str(hostname2ip(host))
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _port(uri: object, port: int | str) -> int:
    try:
        number = int(port)
    except (TypeError, ValueError):
        number = 0
    if not 1 <= number <= 65535:
        raise ConfigError(f"{uri}: the port {port!r} is not in 1 to 65535")
    return number


class ExpMessage(IntFlag):
    """What a message says; several may be listened for at once, one is sent at a time."""

    EXPINIT = 1
    """Get ready."""
    EXPSTART = 2
    """Record."""
    EXPEND = 4
    """Stop."""
    EXPCLEANUP = 8
    """Let go of everything."""
    EXPINTERRUPT = 16
    """Stop now: something is wrong."""
    EXPSTATUS = 32
    """Which status are you in?"""
    EXPINFO = 64
    """Who are you, and which experiment are you in?"""
    ALYX = 128
    """An Alyx token, or the request for one."""
    __version__ = PROTOCOL_VERSION

    @classmethod
    def any(cls) -> ExpMessage:
        """Return all of them at once, without the null event, which is an error."""
        return cls(reduce(or_, (one.value for one in cls.__members__.values())))

    @staticmethod
    def validate(event: Any, allow_bitwise: bool = True) -> ExpMessage:
        """Return what a name or a number means.

        Parameters
        ----------
        event : ExpMessage, str or int
            A name in any case, or a number.
        allow_bitwise : bool
            Also take several at once, and the null event.

        Raises
        ------
        TypeError
            It is neither.
        ValueError
            It means nothing, or several where one is wanted.

        Examples
        --------
        >>> ExpMessage.validate("expstart")
        <ExpMessage.EXPSTART: 2>
        """
        if isinstance(event, bool) or not isinstance(event, int | str):
            raise TypeError(f"{event!r} is neither the name nor the number of an event")
        known = ExpMessage.__members__
        if isinstance(event, str):
            name = event.strip().upper()
            if name not in known:
                raise LocalProtocolError(f"unknown event {event!r:.80}; known: {', '.join(known)}")
            return known[name]
        number = int(event)
        if isinstance(event, ExpMessage) and number < 0:  # ~ALYX, before Python 3.11
            number &= int(ExpMessage.any())
        if not 0 <= number <= int(ExpMessage.any()):
            raise LocalProtocolError(f"unknown event {number}; known: {', '.join(known)}")
        if not allow_bitwise and number not in [int(one) for one in known.values()]:
            raise LocalProtocolError(
                f"one event is wanted, and {number} is not one; known: {', '.join(known)}"
            )
        return ExpMessage(number)

    def __iter__(self) -> Iterator[ExpMessage]:
        """Iterate over the events that are in it, on every Python."""
        number = int(self) & int(ExpMessage.any())
        return iter([one for one in ExpMessage.__members__.values() if int(one) & number])


class ExpStatus(IntEnum):
    """What a rig says that it is doing."""

    CONNECTED = 0
    """Ready for a session."""
    INITIALIZED = 10
    """Ready to record at once."""
    RUNNING = 20
    """Recording."""
    STOPPED = 30
    """The recording is closed."""
    __version__ = PROTOCOL_VERSION


class Service(ABC):
    """What can be said to a rig; a subclass sends what these methods return."""

    __version__ = PROTOCOL_VERSION
    __slots__ = ("name",)

    @abstractmethod
    def init(self, data: Any = None) -> Any:
        """Return the message that asks to get ready, with any data."""
        return ExpMessage.EXPINIT, data

    @abstractmethod
    def start(self, exp_ref: Any, data: Any = None) -> Any:
        """Return the message that asks to record under a reference, given as text or as a dict."""
        reference = str(ExpRef.parse(exp_ref)) if isinstance(exp_ref, dict) and exp_ref else exp_ref
        return ExpMessage.EXPSTART, reference or None, data

    @abstractmethod
    def stop(self, data: Any = None, immediately: bool = False) -> Any:
        """Return the message that asks to stop, or to interrupt."""
        return ExpMessage.EXPINTERRUPT if immediately else ExpMessage.EXPEND, data

    @abstractmethod
    def status(self, status: Any) -> Any:
        """Return the message that tells a status, given as number, name or `ExpStatus`."""
        if isinstance(status, str):
            if status.strip().upper() not in ExpStatus.__members__:
                known = ", ".join(ExpStatus.__members__)
                raise LocalProtocolError(f"unknown status {status!r:.80}; known: {known}")
            return ExpMessage.EXPSTATUS, ExpStatus[status.strip().upper()]
        return ExpMessage.EXPSTATUS, ExpStatus(status)

    @abstractmethod
    def info(self, status: Any, data: Any = None) -> Any:
        """Return the message that tells a status and more."""
        return ExpMessage.EXPINFO, Service.status(self, status)[1], data

    @abstractmethod
    def cleanup(self, data: Any = None) -> Any:
        """Return the message that asks to let go of everything."""
        return ExpMessage.EXPCLEANUP, data

    @abstractmethod
    def alyx(self, alyx: Any) -> Any:
        """Return the message that brings the token of an AlyxClient, or asks for one."""
        return ExpMessage.ALYX, *wire_token(alyx)


class Communicator(Service):
    """One end of a conversation, and who wants to hear what comes.

    Parameters
    ----------
    server_uri : str
        The rig's address.
    name : str, optional
        What it is called; its address if it is not said.
    logger : logging.Logger, optional
        Where it says what goes on.
    """

    __slots__ = ("listeners", "logger", "name", "server_uri")

    def __init__(
        self, server_uri: Any, name: str | None = None, logger: logging.Logger | None = None
    ) -> None:
        self.server_uri = validate_uri(server_uri)
        self.name = name or str(server_uri)
        self.logger = logger or logging.getLogger("multirig.ibl.net")
        self.listeners = Listeners()
        """Who wants to hear what the other end says."""

    def assign_callback(self, event: Any, callback: Any) -> None:
        """Call back whenever an event comes; a future is resolved once.

        Parameters
        ----------
        event : ExpMessage, str or int
            Several at once are possible, and `ExpMessage(0)`: the peer's callback failed.
        callback : callable or asyncio.Future
            Gets ``(data, addr)``, and the event if it was registered for several.

        Raises
        ------
        TypeError
            It is neither a callable nor a future.
        """
        check_callback(callback)
        self.listeners.add(_parts(event), callback)

    def clear_callbacks(self, event: Any, callback: Any = None, cancel_futures: bool = True) -> int:
        """Take back a callback, or all of an event; return how many.

        Parameters
        ----------
        event : ExpMessage, str or int
            Several at once are possible.
        callback : callable or asyncio.Future, optional
            Only this one.
        cancel_futures : bool
            Cancel futures that are taken back.
        """
        return self.listeners.remove(_parts(event), callback, cancel_futures=cancel_futures)

    async def on_event(self, event: Any) -> Any:
        """Wait for an event.

        Returns
        -------
        data : list
            What the message holds besides its event.
        addr : tuple of (str, int)
            Who sent it.
        event : ExpMessage
            Which it was, if several were waited for.

        Examples
        --------
        >>> data, addr = await com.on_event("EXPSTART")
        >>> data, addr, event = await com.on_event(ExpMessage.EXPEND | ExpMessage.EXPINTERRUPT)
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.assign_callback(event, future)
        try:
            return await future
        finally:
            self.clear_callbacks(event, future)

    @property
    def port(self) -> int:
        """The rig's port."""
        return int(self.server_uri.rpartition(":")[2])

    @property
    def hostname(self) -> str:
        """The rig's IP address or name."""
        return self.server_uri.partition("://")[2].rpartition(":")[0].strip("[]")

    @property
    def protocol(self) -> str:
        """The scheme of its address: ``udp``, ``tcp``, ``ws``."""
        return self.server_uri.partition("://")[0]

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether the other end can be spoken to."""

    @abstractmethod
    def send(self, data: Any, addr: Any = None) -> None:
        """Send something without waiting for anything."""

    @staticmethod
    def encode(data: Any) -> bytes:
        """Return data as it goes on the wire: JSON, but text and bytes as they are.

        Raises
        ------
        ValueError
            JSON cannot carry it; the message names where.
        """
        return arrays.encode(data)

    @staticmethod
    def decode(data: bytes) -> Any:
        """Return what bytes hold; text, with a warning, where they are no JSON.

        Raises
        ------
        RuntimeError
            They are not even text.
        """
        read = arrays.decode(data)
        if isinstance(read, str) and read.encode() == data:
            warnings.warn(f"{read!r:.80} is no JSON: it is taken as text", stacklevel=2)
        return read

    def close(self) -> None:
        """Forget all callbacks, and cancel the futures among them."""
        self.listeners.clear()


def _parts(event: Any) -> list[int]:
    """Return the events that are named, the null event as itself."""
    return [int(one) for one in ExpMessage.validate(event)] or [0]
