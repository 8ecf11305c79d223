"""One request completed (sent, confirmed, replied) over loopback UDP, against a bare asyncio UDP echo."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

from benchmarks.ports import peers
from multirig.conductor.conductor import Conductor
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
from multirig.transports.udp_path import MAX_READ

ROUNDS = 15
"""Blocks of each kind, in turn, so that a slow minute of the machine meets all of them."""
BLOCK = 400
"""Requests in a block, one after the other."""
CLAIM = 3.0
"""Times the bare echo, at most, on either wire."""


class _Client(asyncio.DatagramProtocol):
    """Sends a datagram and waits for it to come back."""

    def connection_made(self, transport: Any) -> None:
        transport.max_size = MAX_READ
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answered.set_result(None)

    async def exchange(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport.sendto(b'[32, 0, "a message of usual length, as a conductor sends it to a rig"]')
        await self.answered


async def measure() -> dict[str, Any]:
    """Return seconds of each kind, and the ratios to the bare echo."""
    with peers("echo", 1) as echo, peers("multirig", 1) as first, peers("multirig", 1) as second:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(
            _Client, remote_addr=("127.0.0.1", echo.ports[0])
        )
        async with (
            Conductor({"rig": f"udp://127.0.0.1:{first.ports[0]}"}) as plain,
            Conductor({"rig": f"udp://127.0.0.1:{second.ports[0]}"}) as upgraded,
        ):
            await upgraded.request(Event.EXPINFO, 0, {"subject": "bench"})
            exchange = upgraded.exchange
            if not exchange.node.peers.speaks_wire_2(exchange.addresses["rig"]):
                raise RuntimeError("the peer was not upgraded to wire 2")

            async def ask(conductor: Conductor) -> None:
                answer = (await conductor.request(Event.EXPSTATUS, 0))["rig"]
                if not isinstance(answer, Word):
                    raise RuntimeError(f"no answer: {answer}")

            kinds = {
                "echo": client.exchange,
                "wire 1.0": lambda: ask(plain),
                "wire 2": lambda: ask(upgraded),
            }
            times: dict[str, list[float]] = {kind: [] for kind in kinds}
            for number in range(ROUNDS + 1):
                for kind, ask_once in kinds.items():
                    samples = []
                    for _ in range(BLOCK):
                        began = time.perf_counter()
                        await ask_once()
                        samples.append(time.perf_counter() - began)
                    if number:  # the first round warms up
                        times[kind].append(median(samples))
        transport.close()
    ratios = {
        kind: median(one / bare for one, bare in zip(times[kind], times["echo"], strict=True))
        for kind in ("wire 1.0", "wire 2")
    }
    return {"seconds": {kind: median(samples) for kind, samples in times.items()}, "ratios": ratios}
