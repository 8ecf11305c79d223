"""How many connections the console keeps, and for how long one may say nothing whole.

uvicorn waits without end for the head of a request, and counts all connections together: whoever opens many
would keep out everybody. Here they are counted by address, and the one that has most makes room.
"""

from __future__ import annotations

import asyncio
from typing import Any

from multirig.dashboard.door.access import network_of

MOST_OF_ONE = 100
"""Connections from one address; a browser has six, and one more for each page that is open."""
MOST = 300
"""From everywhere: most systems give a program 1,024 files, the least 256 and more."""
HEAD_LIMIT = 10.0
"""Seconds for the head of a request."""
MAX_HEAD = 65_536
"""Bytes of it."""


class Connections:
    """Which connections there are, by address."""

    def __init__(self) -> None:
        self._open: dict[str, list[asyncio.Transport]] = {}

    def admit(self, transport: asyncio.Transport) -> bool:
        """Take one more in, and another one out where there are many; False: its address has enough."""
        # a web socket changes hands and tells nobody here of its end
        self._open = {
            address: left
            for address, listed in self._open.items()
            if (left := [one for one in listed if not one.is_closing()])
        }
        peer = transport.get_extra_info("peername")
        mine = self._open.setdefault(network_of(str(peer[0]) if peer else ""), [])
        if len(mine) >= MOST_OF_ONE:
            return False
        if sum(map(len, self._open.values())) >= MOST:
            fullest = max(self._open.values(), key=len)
            if len(fullest) <= len(mine) + 1:
                return False
            fullest.pop(0).abort()
        mine.append(transport)
        return True


def limited(protocol: Any, connections: Connections) -> Any:
    """Return one of uvicorn's protocols of HTTP that keeps to these limits."""

    class Limited(protocol):  # type: ignore[misc]
        """Waits for the head of a request for a while only."""

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._late: asyncio.TimerHandle | None = None
            self._got = 0
            if connections.admit(transport):
                self._expect_head()
            else:
                transport.abort()

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            is_asked = self.cycle is not None and not self.cycle.response_complete
            if is_asked or self.transport.get_protocol() is not self:
                self._stop_expecting()
                return
            self._got += len(data)
            if self._got > MAX_HEAD:
                self.transport.abort()
            elif self._late is None:
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_expecting()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            self._late = self.loop.call_later(HEAD_LIMIT, self.transport.abort)

        def _stop_expecting(self) -> None:
            self._got = 0
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Limited


def uvicorn_protocol() -> Any:
    """Return the protocol that uvicorn would choose itself."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    return AutoHTTPProtocol
