"""The relay between real sockets: what it does to datagrams and streams, and that it does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from multirig.errors import ConfigError
from multirig.sim.relay import Relay, Way

COUNT = 200


class Peer(asyncio.DatagramProtocol):
    """A UDP socket that keeps what it hears and, as a target, sends it back."""

    def __init__(self, *, echoes: bool = False) -> None:
        self.heard: list[bytes] = []
        self.senders: set[Any] = set()
        self.transport: Any = None
        self._echoes = echoes

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(data)
        self.senders.add(addr)
        if self._echoes:
            self.transport.sendto(data, addr)

    @property
    def uri(self) -> str:
        return "udp://{}:{}".format(*self.transport.get_extra_info("sockname"))

    def say(self, *numbers: int) -> None:
        for number in numbers:
            self.transport.sendto(b"%d" % number)


@contextlib.asynccontextmanager
async def target() -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(lambda: Peer(echoes=True), local_addr=("127.0.0.1", 0))
    yield peer
    peer.transport.abort()
    await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def client(relay: Relay) -> AsyncIterator[Peer]:
    host, port = relay.uri.removeprefix("udp://").split(":")
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(Peer, remote_addr=(host, int(port)))
    yield peer
    peer.transport.abort()
    await asyncio.sleep(0)


def numbers(count: int = COUNT) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_without_faults_every_datagram_comes_once_and_in_order(until) -> None:
    async with target() as there, Relay(there.uri) as relay, client(relay) as here:
        here.say(*range(COUNT))
        await until(lambda: len(here.heard) == COUNT)
        assert there.heard == here.heard == numbers()
        assert str(relay.counts) == f"{2 * COUNT} carried, 1 connections"


async def test_each_client_has_its_own_answers(until) -> None:
    async with target() as there, Relay(there.uri) as relay, client(relay) as one, client(relay) as other:
        one.say(1)
        other.say(2)
        await until(lambda: one.heard and other.heard)
        assert (one.heard, other.heard) == ([b"1"], [b"2"])
        assert len(there.senders) == relay.counts.connections == 2


async def test_a_share_is_lost_and_a_share_comes_twice(until) -> None:
    faults: dict[str, Any] = {"loss": 0.2, "duplication": 0.1, "seed": 7}
    async with target() as there, Relay(there.uri, **faults) as relay, client(relay) as here:
        here.say(*range(COUNT))
        await until(lambda: relay.counts.carried == COUNT + len(there.heard) >= COUNT * 1.5)
        counts = relay.counts
        assert 0.1 < counts.lost / counts.carried < 0.3
        assert 0.04 < counts.copied / counts.carried < 0.16
        assert len(set(there.heard)) < COUNT < len(there.heard) + counts.lost


async def test_a_seed_gives_the_same_fates_again(until) -> None:
    heard = []
    async with target() as there:
        for seed in (7, 7, 8):
            before = len(there.heard)
            async with Relay(there.uri, loss=0.3, duplication=0.3, seed=seed) as relay, client(relay) as here:
                here.say(*range(COUNT))
                await until(
                    lambda relay=relay, before=before: (
                        relay.counts.carried == COUNT + len(there.heard) - before > COUNT
                    )
                )
            heard.append(there.heard[before:])
    assert heard[0] == heard[1] != heard[2]


async def test_what_is_held_back_is_overtaken(until) -> None:
    async with target() as there, Relay(there.uri, reordering=0.2, seed=1) as relay, client(relay) as here:
        here.say(*range(COUNT))
        await until(lambda: len(there.heard) == COUNT)
        assert there.heard != numbers()
        assert sorted(there.heard) == sorted(numbers())


async def test_a_delay_is_kept_within_its_bounds(until) -> None:
    async with target() as there, Relay(there.uri, delay=(0.05, 0.1)) as relay, client(relay) as here:
        began = asyncio.get_running_loop().time()
        here.say(1)
        await until(lambda: here.heard)
        assert asyncio.get_running_loop().time() - began >= 0.1


async def test_a_way_is_cut_and_healed_while_the_other_one_carries(until) -> None:
    async with target() as there, Relay(there.uri) as relay, client(relay) as here:
        relay.cut(Way.TO_CLIENT)
        here.say(1)
        await until(lambda: relay.counts.cut == 1)
        assert there.heard == [b"1"]
        relay.heal()
        relay.cut()
        here.say(2)
        await until(lambda: relay.counts.cut == 2)
        relay.heal()
        here.say(3)
        await until(lambda: here.heard == [b"3"])
        assert there.heard == [b"1", b"3"]


async def test_a_target_that_is_not_there_is_silence(until) -> None:
    async with Relay("udp://127.0.0.1:9") as relay, client(relay) as here:
        for number in range(3):
            here.say(number)
            await until(lambda number=number: relay.counts.carried == number + 1)
        assert here.heard == []


async def test_the_way_back_may_take_another_time(until) -> None:
    async with target() as there, Relay(there.uri, delay_back=0.3) as relay, client(relay) as here:
        sent = asyncio.get_running_loop().time()
        here.say(1)
        await until(lambda: there.heard)
        heard = asyncio.get_running_loop().time()
        await until(lambda: here.heard)
        assert asyncio.get_running_loop().time() - sent >= 0.3 > heard - sent


async def test_it_listens_at_the_port_that_is_asked_for() -> None:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    async with target() as there, Relay(there.uri, port=port) as relay:
        assert relay.uri == f"udp://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "keys", [{"loss": 1.1}, {"duplication": -0.1}, {"delay": -1.0}, {"delay": (-1, 1)}, {"delay_back": -1.0}]
)
def test_a_share_or_time_that_is_none_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give"):
        Relay("udp://127.0.0.1:11001", **keys)


# -- streams -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def stream_through(**faults: Any) -> AsyncIterator[tuple[Relay, Any, Any, list[bytes]]]:
    """Open a connection through a relay to a target that sends everything back; it keeps what it reads."""
    heard: list[bytes] = []
    ended = asyncio.Event()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                heard.append(data)
                writer.write(data)
        writer.close()
        ended.set()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Relay(f"tcp://127.0.0.1:{port}", **faults) as relay:
        host, port = relay.uri.removeprefix("tcp://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        yield relay, reader, writer, heard
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await ended.wait()
    server.close()
    await server.wait_closed()


async def test_a_stream_keeps_its_bytes_and_their_order_however_it_is_torn_and_stalled() -> None:
    faults = {"tearing": 1.0, "stalls": 0.3, "stall": 0.01, "delay": (0.0, 0.002), "seed": 3}
    async with stream_through(**faults) as (relay, reader, writer, heard):
        said = b"".join(b"[2, %d]" % number for number in range(50))
        for number in range(50):
            writer.write(b"[2, %d]" % number)
            await asyncio.sleep(0)
        assert await reader.readexactly(len(said)) == said
        assert b"".join(heard) == said
        assert relay.counts.torn > 0


async def test_a_stream_waits_while_its_way_is_cut() -> None:
    async with stream_through() as (relay, reader, writer, heard):
        relay.cut(Way.TO_TARGET)
        writer.write(b"late")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert heard == []
        relay.heal()
        assert await reader.readexactly(4) == b"late"


async def test_a_stream_is_reset_by_force() -> None:
    async with stream_through(resets=1.0) as (relay, reader, writer, _):
        writer.write(b"gone")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        assert relay.counts.resets == 1


async def test_all_streams_are_reset_on_demand() -> None:
    async with stream_through() as (relay, reader, writer, _):
        writer.write(b"here")
        assert await reader.readexactly(4) == b"here"
        relay.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
