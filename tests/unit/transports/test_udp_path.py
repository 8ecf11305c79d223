"""A way to a peer while the program ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from multirig.protocol.events import Address
from multirig.transports.base import Place
from multirig.transports.udp_path import UdpPath


class Nobody:
    def received(self, data: bytes, address: Address) -> bool:
        return True

    def lets_in(self, address: Address) -> bool:
        return True

    def unreachable(self, address: Address, reason: str, *, is_refusal: bool = True) -> None: ...


def test_a_socket_is_opened_anew_also_when_names_are_looked_up_no_more() -> None:
    """As at the end of a program, where asyncio has no thread left: its rigs are still to be let go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)

        async def reopen() -> None:
            failures: list[dict[str, Any]] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: failures.append(context))
            place = Place(socket.AF_INET, peer.getsockname())
            path = UdpPath(Nobody(), "localhost", place, lambda *_: None)
            await path.open()
            await loop.shutdown_default_executor()
            await path._replace()
            path.send(b"let go")
            await path.close()
            assert failures == []

        asyncio.run(reopen())
        assert peer.recv(100) == b"let go"
