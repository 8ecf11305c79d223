"""What keys cost: a request with them against one without, and a flood of forged datagrams."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from statistics import median
from typing import Any

from benchmarks.keys import LAB, make_door
from benchmarks.ports import peers
from multirig.conductor.conductor import Conductor
from multirig.protocol.clock import ClockMap
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
from multirig.transports.probe import ClockPort, ClockProber, Target
from multirig.transports.udp_path import MAX_READ
from multirig.trust.clock_seal import ClockSeal
from multirig.trust.packets import pack_hello
from multirig.trust.roles import Role

ROUNDS = 15
"""Blocks of each kind, in turn, so that a slow minute of the machine meets all of them."""
BLOCK = 400
"""Requests in a block, one after the other."""
REQUEST_CLAIM = 1.15
"""Times a request without keys, at most."""
CLOCK_MAPS, CLOCK_BURSTS = 60, 4
CLOCK_CLAIM = 2e-6
"""Seconds by which a clock may be misjudged, in the median."""
FLOOD = 10_000
"""Forged datagrams a second."""
FLOOD_SECONDS = 2.0
FLOOD_CLAIM = 1.4
"""Times what a bare asyncio endpoint takes to drop it, at most."""


async def measure_request() -> dict[str, Any]:
    """Return seconds of a request of each kind, and the ratio of both."""
    with peers("multirig", 1) as first, peers("sealed", 1) as second:
        async with (
            Conductor({"rig": f"udp://127.0.0.1:{first.ports[0]}"}) as bare,
            Conductor({"rig": f"udp://127.0.0.1:{second.ports[0]}"}) as sealed,
        ):
            sealed.exchange.node.door = make_door(sealed.pc.boot, Role.LEAD)
            for one in (bare, sealed):
                await one.request(Event.EXPINFO, 0, {"subject": "bench"}, limit=10)
            link = sealed.exchange.node.peers.get(sealed.exchange.addresses["rig"])
            if link is None or link.link is None or not link.link.is_sealed:
                raise RuntimeError("nothing was sealed")

            async def ask(conductor: Conductor) -> None:
                answer = (await conductor.request(Event.EXPSTATUS, 0))["rig"]
                if not isinstance(answer, Word):
                    raise RuntimeError(f"no answer: {answer}")

            kinds = {"without keys": bare, "with keys": sealed}
            times: dict[str, list[float]] = {kind: [] for kind in kinds}
            for number in range(ROUNDS + 1):
                for kind, conductor in kinds.items():
                    samples = []
                    for _ in range(BLOCK):
                        began = time.perf_counter()
                        await ask(conductor)
                        samples.append(time.perf_counter() - began)
                    if number:  # the first round warms up
                        times[kind].append(median(samples))
    ratios = [one / other for one, other in zip(times["with keys"], times["without keys"], strict=True)]
    return {"seconds": {kind: median(samples) for kind, samples in times.items()}, "ratio": median(ratios)}


def measure_clock() -> dict[str, dict[str, float]]:
    """Return by how much two programs of one PC misjudge each other's clock, which is the same, in seconds.

    Two threads of one process: the conductor's prober and a rig's port, with sealed probes and with bare ones
    in turn, `CLOCK_MAPS` times `CLOCK_BURSTS` bursts of each.
    """
    keys = secrets.token_bytes(32), secrets.token_bytes(32)
    ours = ClockSeal(b"conducts", b"recorder", keys, "rig")
    theirs = ClockSeal(b"recorder", b"conducts", keys[::-1], "pc")
    port = ClockPort(
        "rig", permits=lambda host: True, report=lambda boot, one: None, find_seal=lambda index: theirs
    )
    prober = ClockProber("pc")
    number = port.open("127.0.0.1")
    kinds = {"bare": None, "sealed": ours}
    errors: dict[str, list[float]] = {kind: [] for kind in kinds}
    bounds: dict[str, list[float]] = {kind: [] for kind in kinds}
    beyond = dict.fromkeys(kinds, 0.0)
    for _ in range(CLOCK_MAPS):
        maps = {kind: ClockMap() for kind in kinds}
        for _ in range(CLOCK_BURSTS):
            for kind, seal in kinds.items():
                for one in prober.measure([Target("rig", "127.0.0.1", number, seal)]).result(10)["rig"]:
                    maps[kind].add(one.sent, one.heard, one.answered, one.received, slack=one.slack)
        for kind, clock in maps.items():
            reading = clock.read(time.perf_counter_ns())
            if reading is None:
                raise RuntimeError("nothing was measured")
            errors[kind].append(abs(reading.offset) / 1e9)
            bounds[kind].append(reading.bound / 1e9)
            beyond[kind] += abs(reading.offset) > reading.bound
    prober.close()
    port.close()
    return {
        kind: {"error": median(errors[kind]), "bound": median(bounds[kind]), "beyond": beyond[kind]}
        for kind in kinds
    }


def forge() -> dict[str, bytes]:
    """Return datagrams that prove nothing, by what they pretend to be."""
    boot = "0123456789abcdef"
    frame = {"multirig": 2, "boot": boot, "to": "bench-0", "n": 10**9, "low": 10**9, "t": [1, 2, 3]}
    return {
        "a frame": json.dumps({**frame, "m": [2, "2026-01-01_1_x"]}).encode(),
        "wire 1.0": b'[16, {"take_over": true}]',
        "a sealed packet": b"\xf5\x04" + secrets.token_bytes(8) + bytes(8) + secrets.token_bytes(200),
        "a hello": pack_hello(secrets.token_bytes(8), secrets.token_bytes(32), [b"x" * 32]).ljust(800, b"\0"),
        "a hello that was heard": pack_hello(b"8" * 8, b"k" * 32, [LAB.lab.key]).ljust(800, b"\0"),
    }


class _Bare(asyncio.DatagramProtocol):
    """Drops what comes."""

    def connection_made(self, transport: Any) -> None:
        transport.max_size = MAX_READ

    def datagram_received(self, data: bytes, addr: Any) -> None:
        pass


async def measure_flood() -> dict[str, dict[str, float]]:
    """Return the processor's seconds for a datagram, of multirig and of a bare endpoint, by what is sent."""
    from benchmarks.peers import CoreRig

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Bare, local_addr=("127.0.0.1", 0))
    rig = CoreRig(0, make_door("bench-0", Role.RIG))
    here = (await rig.runtime.listen("udp", "127.0.0.1", 0))[0]
    ports = {"bare": transport.get_extra_info("sockname")[1], "multirig": here.port}
    out: dict[str, dict[str, float]] = {}
    for what, datagram in forge().items():
        costs: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(3):
            for name, port in ports.items():
                costs[name].append(await _flood(datagram, port))
        out[what] = {name: median(each) for name, each in costs.items()}
        out[what]["ratio"] = median(
            one / other for one, other in zip(costs["multirig"], costs["bare"], strict=True)
        )
    transport.close()
    await rig.runtime.close()
    return out


async def _flood(datagram: bytes, port: int) -> float:
    """Let another process send a flood; return what a datagram costs the thread of the event loop."""
    command = [sys.executable, "-c", _SENDER, str(port), str(FLOOD), str(FLOOD_SECONDS), datagram.hex()]
    before = time.thread_time()
    sender = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await sender.communicate()
    await asyncio.sleep(0.1)
    return (time.thread_time() - before) / int(out)


_SENDER = """
import socket, sys, time
port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
datagram = bytes.fromhex(sys.argv[4])
opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began, sent = time.perf_counter(), 0
while (now := time.perf_counter() - began) < seconds:
    if sent < now * rate:
        opened.sendto(datagram, ("127.0.0.1", port))
        sent += 1
print(sent)
"""
"""Sends one datagram after the other, at even distances, as they come from a network."""
