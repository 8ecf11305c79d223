"""The way to one peer: a socket of its own, opened anew while the network fails or the peer is silent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

from multirig.errors import RigUnreachable
from multirig.protocol.events import Address
from multirig.transports.base import Place, Receiver, make_address, resolve

BUFFER = 4 * 1024 * 1024
"""Bytes asked for the buffer of a socket; the system may give less."""
MAX_READ = 65_536
"""Bytes read at once: no datagram is longer."""
SILENCE = 2.0
"""Seconds for which what is sent may be without any answer: a multirig is heard four times a second."""
REST = 0.5
"""Seconds between two openings, at least."""
FIND_LIMIT = 2.0
"""Seconds in which a name must be found again; else the peer is looked for where it was."""
MAX_UNSENT = 64
"""Datagrams that wait while a socket is opened."""
STOPS_READING = sys.platform == "win32"
"""Whether asyncio reads no more from a socket on which it has met an error."""
NOBODY = "nothing listens there: start 'multirig serve' on that PC, or check the port"
log = logging.getLogger("multirig.transports")
EVERYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


class UdpPath:
    """The way to one peer.

    Parameters
    ----------
    receiver : Receiver
        Who takes what comes.
    host : str
        Name or IP address, as the peer was asked for.
    place : Place
        Where that has led.
    note_stranger : callable
        Takes an address from which something came on this socket that is not the peer's, and where to answer.
    """

    def __init__(
        self,
        receiver: Receiver,
        host: str,
        place: Place,
        note_stranger: Callable[[Address, UdpPath, tuple[Any, ...]], None],
    ) -> None:
        self.address = make_address("udp", *place.sockaddr[:2])
        """By which the peer is known, wherever its name leads by now."""
        self._receiver = receiver
        self._host = host
        self._place = place
        self._note_stranger = note_stranger
        self._endpoint: PathEndpoint | None = None
        self._has_moved = False
        """Whether somebody else was heard here: the peer itself, at another address."""
        self._unanswered_since: float | None = None
        self._opened_at = 0.0
        self._opening: asyncio.Task[None] | None = None
        self._unsent: list[tuple[bytes, tuple[Any, ...] | None]] = []
        self._is_closed = False

    async def open(self) -> None:
        """Open the socket. Raises RigUnreachable where this PC has none to give."""
        try:
            await self._open(is_connected=True, port=0)
        except OSError as error:
            raise RigUnreachable(f"no way to {self.address}: {error.strerror or error}") from None

    def send(self, data: bytes, elsewhere: tuple[Any, ...] | None = None) -> None:
        """Send a datagram to the peer, or to where it was heard last."""
        now = asyncio.get_running_loop().time()
        if self._unanswered_since is None:
            self._unanswered_since = now
        elif now - max(self._unanswered_since, self._opened_at) > SILENCE:
            self._open_anew()
        if self._endpoint is None:
            self._unsent = [*self._unsent[1 - MAX_UNSENT :], (data, elsewhere)]
        elif elsewhere is not None and not self._endpoint.is_connected:
            self._endpoint.transport.sendto(data, elsewhere)
        else:
            self._endpoint.transport.sendto(data, self._target())

    def received(self, data: bytes, sockaddr: tuple[Any, ...] | None) -> None:
        """Take what came on the socket, from the peer where nobody else can have sent it."""
        address, has_moved = self.address, False
        if sockaddr is not None and sockaddr[:2] != self._place.sockaddr[:2]:
            has_moved = True
            address = make_address("udp", *sockaddr[:2])
        if not self._receiver.received(data, address):
            return
        self._unanswered_since = None
        if has_moved and sockaddr is not None:
            self._has_moved = True
            self._note_stranger(address, self, sockaddr)

    def failed(self, error: Exception) -> None:
        """Take what the system says of something that was sent."""
        if isinstance(error, ConnectionError):
            self._read_on()
            self._receiver.unreachable(self.address, NOBODY)
        elif isinstance(error, OSError):
            self._open_anew()
            self._read_on()
            reason = f"no way there ({error.strerror or error}): check the network and the address"
            self._receiver.unreachable(self.address, reason, is_refusal=False)

    async def close(self) -> None:
        """Close the socket."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._endpoint is not None:
            await self._endpoint.end()

    # -- inside -----------------------------------------------------------------------------------------

    def _target(self) -> tuple[Any, ...] | None:
        return None if self._endpoint is None or self._endpoint.is_connected else self._place.sockaddr

    def _open_anew(self) -> None:
        loop = asyncio.get_running_loop()
        if self._opening is None and not self._is_closed and loop.time() - self._opened_at > REST:
            self._opening = loop.create_task(self._replace())

    def _read_on(self) -> None:
        """Open a socket that is read no more anew as soon as that may be, also where nothing is sent."""
        if STOPS_READING:
            loop = asyncio.get_running_loop()
            loop.call_later(max(0.0, self._opened_at + REST - loop.time()) + 0.01, self._open_anew)

    async def _replace(self) -> None:
        """Close the socket, and open another one on its port."""
        try:
            # a RuntimeError: at the end of a program asyncio has no thread that looks names up
            with contextlib.suppress(RigUnreachable, asyncio.TimeoutError, RuntimeError):
                port = self._place.sockaddr[1]
                places = await asyncio.wait_for(resolve(self._host, port, socket.SOCK_DGRAM), FIND_LIMIT)
                if self._place not in places:
                    self._place = places[0]
            old, self._endpoint, port = self._endpoint, None, 0
            if old is not None:
                port = old.transport.get_extra_info("sockname", (None, 0))[1]
                await old.end()
            is_connected = old is not None and not old.is_connected and not self._has_moved
            with contextlib.suppress(OSError):  # what is sent next tries again
                await self._open(is_connected=is_connected, port=port)
        finally:
            self._opening = None
            self._opened_at = asyncio.get_running_loop().time()
            unsent, self._unsent = self._unsent, []
            if self._endpoint is not None:
                for data, elsewhere in unsent:
                    self.send(data, elsewhere)

    async def _open(self, *, is_connected: bool, port: int) -> None:
        """Open a socket on a port of this PC, or on a free one; connected, if that is wanted and possible."""
        everywhere = EVERYWHERE[socket.AddressFamily(self._place.family)]
        ways: list[tuple[tuple[str, int], bool]] = [((everywhere, port), False), ((everywhere, 0), False)]
        if is_connected:
            ways.insert(0, ((everywhere, port), True))
        for local, connects in ways:
            try:
                await self._make(local, connects=connects)
                return
            except OSError as error:
                failure = error
        raise failure

    async def _make(self, local: tuple[str, int], *, connects: bool) -> None:
        # asyncio must make this socket itself: on Windows it cannot send on one that was connected before
        endpoint = PathEndpoint(self, is_connected=connects)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: endpoint,
            local_addr=local,
            remote_addr=self._remote() if connects else None,
            family=self._place.family,
        )
        self._endpoint = endpoint

    def _remote(self) -> tuple[str, int]:
        host, port, *more = self._place.sockaddr
        if len(more) == 2 and more[1] and "%" not in host:
            host = f"{host}%{more[1]}"  # the interface of a link-local address
        return host, port


class Endpoint(asyncio.DatagramProtocol):
    """A socket, as asyncio has it."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self.transport = transport  # type: ignore[assignment]
        # asyncio reads into a fresh 256 KiB each time, which costs more than all the rest of a reception
        transport.max_size = MAX_READ  # type: ignore[attr-defined]
        opened = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the system's limit is as good as it gets
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        _keep_receiving(opened)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; called by the event loop."""
        self.closed.set()

    async def end(self) -> None:
        """Close the socket now; what is unsent is dropped, as datagrams may be."""
        self.transport.abort()
        await self.closed.wait()


class PathEndpoint(Endpoint):
    """The socket of one peer."""

    def __init__(self, path: UdpPath, *, is_connected: bool) -> None:
        super().__init__()
        self._path = path
        self.is_connected = is_connected
        """Whether it takes what the peer sends from one address, and nothing else."""

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a datagram on; called by the event loop."""
        self._path.received(data, None if self.is_connected else addr)

    def error_received(self, exc: Exception) -> None:
        """Hand an error on; called by the event loop."""
        if not self.transport.is_closing():
            self._path.failed(exc)


_SIO_UDP_CONNRESET, _SIO_UDP_NETRESET = 0x9800000C, 0x9800000F


def _keep_receiving(opened: socket.socket) -> None:
    """Tell Windows that a peer's closed port (10054) or an expired way (10052) is no reason to be deaf.

    Python's own ``ioctl`` does not know the codes. The price: on Windows a missing peer shows by its silence.
    """
    if sys.platform == "win32":
        import ctypes

        winsock = ctypes.WinDLL("ws2_32")
        for code in (_SIO_UDP_CONNRESET, _SIO_UDP_NETRESET):
            off, written = ctypes.c_ulong(0), ctypes.c_ulong(0)
            failed = winsock.WSAIoctl(
                ctypes.c_size_t(opened.fileno()),
                ctypes.c_ulong(code),
                ctypes.byref(off),
                ctypes.c_ulong(ctypes.sizeof(off)),
                None,
                ctypes.c_ulong(0),
                ctypes.byref(written),
                None,
                None,
            )
            if failed:  # then a socket that is read no more is opened anew
                log.info("code %#x is refused: Windows error %d", code, winsock.WSAGetLastError())
