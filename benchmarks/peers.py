"""Peers in a process of their own: ``python -m benchmarks.peers KIND COUNT`` prints their ports and serves.

It ends when its standard input does. Between two lines of input it keeps the arrival times of EXPSTART
messages; on each line it prints them, in nanoseconds of this machine's monotonic clock, as one JSON array.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import Describe, Described, Done
from multirig.protocol import echo
from multirig.protocol.dialect import hear_leader
from multirig.protocol.door import Door
from multirig.protocol.events import Call, Received
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.node import Node
from multirig.protocol.words import Info, Start
from multirig.runtime import Runtime
from multirig.transports.base import allow_open_sockets
from multirig.transports.udp_path import MAX_READ
from multirig.trust.roles import Role

SILENCED = "iblutil, silenced"
ARRIVALS: list[int] = []
"""When EXPSTART messages came, since the last line of input."""


class _TimedMachine(RigMachine):
    """A rig's rules, noting when EXPSTART comes to them."""

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        if isinstance(event, Received) and isinstance(event.word, Start):
            ARRIVALS.append(now)
        return super().handle(event, now)


class CoreRig:
    """A rig's real node, runtime and socket, with an adapter that has nothing to do."""

    def __init__(self, number: int, door: Door | None = None) -> None:
        machine = _TimedMachine(name=f"rig{number}", main_sync=number == 0)
        node = Node(boot=f"bench-{number}", name=machine.name, machine=machine, hears=hear_leader, door=door)
        self.runtime = Runtime(node, self._perform)

    def _perform(self, effect: Any) -> None:
        match effect:
            case Call(number=number):
                self.runtime.feed(Done(number=number))
            case Describe(token=token, subject=subject):
                exp_ref = ExpRef(datetime.date(2026, 1, 1), 1, subject) if subject else None
                self.runtime.feed(Described(token=token, info=Info(exp_ref=exp_ref)))


class _Echo(asyncio.DatagramProtocol):
    """The least that an answer can cost in asyncio, with reads as large as multirig's."""

    def connection_made(self, transport: Any) -> None:
        transport.max_size = MAX_READ
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def _serve_echo(count: int) -> list[int]:
    loop = asyncio.get_running_loop()
    ports = []
    for _ in range(count):
        transport, _protocol = await loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
        ports.append(transport.get_extra_info("sockname")[1])
    return ports


async def _serve_multirig(count: int) -> list[int]:
    echo.ANSWER_PAUSE = 0  # what is measured is the work, not the moment that iblutil is left to listen
    rigs = [CoreRig(number) for number in range(count)]
    _KEPT.extend(rigs)
    return [(await rig.runtime.listen("udp", "127.0.0.1", 0))[0].port for rig in rigs]


async def _serve_sealed(count: int) -> list[int]:
    from benchmarks.keys import make_door

    rigs = [CoreRig(number, make_door(f"bench-{number}", Role.RIG)) for number in range(count)]
    _KEPT.extend(rigs)
    return [(await rig.runtime.listen("udp", "127.0.0.1", 0))[0].port for rig in rigs]


async def _serve_iblutil(count: int, kind: str = "iblutil") -> list[int]:
    from iblutil.io.net.app import EchoProtocol
    from iblutil.io.net.base import ExpMessage

    from benchmarks.ports import free_ports

    log = log_of(kind)
    ports = free_ports(count)
    for port in ports:
        rig = await EchoProtocol.server(f"udp://127.0.0.1:{port}", name=f"rig{port}", log=log)

        def answer(data: Any, addr: Any, rig: Any = rig) -> None:
            ARRIVALS.append(time.perf_counter_ns())
            _KEPT.append(asyncio.ensure_future(rig.start(data[0], addr=addr)))

        rig.assign_callback(ExpMessage.EXPSTART, answer)
        _KEPT.append(rig)
    return ports


def log_of(kind: str) -> logging.Logger:
    """Return iblutil's own logger, which pays for its lines but for no screen, or one that is silent."""
    from iblutil.io.net.app import _setup_log

    log: logging.Logger = _setup_log(kind)
    for handler in log.handlers:
        handler.setStream(io.TextIOWrapper(io.FileIO(os.devnull, "w")))  # type: ignore[attr-defined]
    if kind == SILENCED:
        log.setLevel(logging.CRITICAL)
    return log


_KEPT: list[Any] = []
_KINDS = {
    "echo": _serve_echo,
    "multirig": _serve_multirig,
    "sealed": _serve_sealed,
    "iblutil": _serve_iblutil,
    SILENCED: lambda count: _serve_iblutil(count, SILENCED),
}


async def main(kind: str, count: int) -> None:
    """Serve peers until standard input ends."""
    allow_open_sockets(count + 64)
    print(json.dumps(await _KINDS[kind](count)), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(ARRIVALS), flush=True)
        ARRIVALS.clear()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
