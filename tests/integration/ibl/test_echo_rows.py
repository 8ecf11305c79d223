"""Rows of the table of faults at `EchoProtocol`, with raw peers and with the real iblutil: W4 to W38."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.util
import logging
import pathlib
import socket
from typing import Any

import pytest

from multirig.errors import RemoteProtocolError, Unconfirmed
from multirig.ibl.net.app import EchoProtocol
from multirig.ibl.net.base import ExpMessage
from multirig.protocol.echo import MAX_ECHOES

needs_iblutil = pytest.mark.skipif(
    importlib.util.find_spec("iblutil") is None, reason="iblutil needs a newer Python than multirig does"
)
_quiet = logging.getLogger("iblutil-at-the-other-end")
_quiet.propagate = False
_quiet.addHandler(logging.NullHandler())

STORM = 0.3
"""Seconds in which the original's storms bring thousands of messages."""


def free_port(scheme: str) -> int:
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def until(claim: Any, limit: float = 5.0) -> None:
    end = asyncio.get_running_loop().time() + limit
    while not claim():
        assert asyncio.get_running_loop().time() < end, "it did not come true in time"
        await asyncio.sleep(0.002)


class Ends(contextlib.AsyncExitStack):
    """Both ends of a conversation, closed at the end of a test."""

    async def pair(self, rig: str = "ours", lead: str = "ours", scheme: str = "udp") -> tuple[Any, Any]:
        server = await self.open(rig, "server", f"{scheme}://127.0.0.1:{free_port(scheme)}")
        return server, await self.open(lead, "client", server.server_uri)

    async def open(self, kind: str, role: str, uri: str) -> Any:
        if kind == "ours":
            one: Any = await getattr(EchoProtocol, role)(uri, name="rig")
            self.push_async_callback(one.wait_closed)
        else:
            from iblutil.io.net import app

            one = await getattr(app.EchoProtocol, role)(uri, name="rig", log=_quiet)
            self.callback(lambda: one.Server and one.Server.close())
        self.callback(one.close)
        return one


@pytest.fixture
def ends() -> Ends:
    return Ends()


def listen(com: Any) -> list[Any]:
    """Return a list that fills with all that a communicator hears."""
    heard: list[Any] = []
    for event in (0, *ExpMessage.__members__.values()):
        com.assign_callback(int(event), lambda data, addr, event=int(event): heard.append([event, *data]))
    return heard


@needs_iblutil
@pytest.mark.parametrize(("rig", "lead"), [("iblutil", "ours"), ("ours", "iblutil")])
async def test_w4_a_message_that_nobody_waits_for_starts_no_storm(ends: Ends, rig: str, lead: str) -> None:
    server, client = await ends.pair(rig, lead)
    at_rig, at_lead = listen(server), listen(client)
    client.send(b"[32, 20]")
    await until(lambda: at_rig)
    await asyncio.sleep(STORM)
    # iblutil takes the echo of what it did not wait for to be a message, and its echo may be a new one of its
    assert len(at_rig) <= MAX_ECHOES
    assert len(at_lead) <= MAX_ECHOES


@needs_iblutil
@pytest.mark.parametrize("pause", [0, 0.1, 0.5])
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_iblutil_may_say_the_same_again_before_anybody_has_answered(
    ends: Ends, scheme: str, pause: float
) -> None:
    """It closes for good where its second message gets no echo."""
    server, client = await ends.pair("ours", "iblutil", scheme)
    heard = listen(server)
    for _ in range(3):
        await client.confirmed_send([32, 20])
        await asyncio.sleep(pause)
    await until(lambda: len(heard) == 3)
    assert client.is_connected


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize("lead", ["ours", pytest.param("iblutil", marks=needs_iblutil)])
async def test_we_may_say_the_same_again_before_anybody_has_answered(
    ends: Ends, lead: str, scheme: str
) -> None:
    server, client = await ends.pair("ours", lead, scheme)
    where: list[Any] = []
    server.assign_callback("EXPINFO", lambda data, addr: where.append(addr))
    await client.info(0, {"name": "lead"})  # from here on the server writes otherwise than the client
    at_lead = listen(client)
    for _ in range(3):
        await server.status(30, addr=where[0])
    await asyncio.gather(*(server.init("x", addr=where[0]) for _ in range(3)))
    await until(lambda: len(at_lead) >= 6)
    assert at_lead == [[32, 30]] * 3 + [[1, "x"]] * 3


class Late(asyncio.DatagramProtocol):
    """Echoes each message only when it is told to."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.heard: list[tuple[bytes, Any]] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append((data, addr))


async def test_w6_a_late_echo_is_put_to_its_message_and_disturbs_nothing(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(Late, local_addr=("127.0.0.1", 0))
    ends.callback(peer.transport.close)
    client = await ends.open(
        "ours", "client", "udp://{}:{}".format(*peer.transport.get_extra_info("sockname"))
    )
    heard = listen(client)
    with pytest.raises(Unconfirmed):
        await client.confirmed_send([2, "r", None], timeout=0.05)
    for data, addr in peer.heard:
        peer.transport.sendto(data, addr)  # too late for the caller
    task = asyncio.ensure_future(client.stop())
    await until(lambda: peer.heard[-1][0] == b"[4, null]")
    peer.transport.sendto(*peer.heard[-1])
    await task
    assert heard == []


async def test_w10_a_reply_of_the_same_bytes_reaches_whoever_waits_for_it(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(Late, local_addr=("127.0.0.1", 0))
    ends.callback(peer.transport.close)
    client = await ends.open(
        "ours", "client", "udp://{}:{}".format(*peer.transport.get_extra_info("sockname"))
    )
    task = asyncio.ensure_future(client.stop())
    await until(lambda: peer.heard)
    peer.transport.sendto(*peer.heard[0])
    await task
    await asyncio.sleep(0.06)  # what comes at once is a copy of the echo
    peer.transport.sendto(*peer.heard[0])
    data, _ = await asyncio.wait_for(client.on_event("EXPEND"), 5)
    assert data == [None]


async def test_w13_w14_messages_in_one_segment_or_in_two_are_each_handled(ends: Ends) -> None:
    server = await ends.open("ours", "server", f"tcp://127.0.0.1:{free_port('tcp')}")
    heard = listen(server)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    ends.callback(writer.close)
    writer.write(b'[1, 5][2, "r", null][8')
    await until(lambda: len(heard) == 2)
    writer.write(b", null]")
    await until(lambda: len(heard) == 3)
    assert heard == [[1, 5], [2, "r", None], [8, None]]
    echoes = b'[1, 5][2, "r", null][8, null]'
    assert await asyncio.wait_for(reader.readexactly(len(echoes)), 5) == echoes


async def test_w20_odd_errors_are_heard_a_null_event_is_refused_and_a_bare_one_is_fine(ends: Ends) -> None:
    server = await ends.open("ours", "server", f"udp://127.0.0.1:{free_port('udp')}")
    heard = listen(server)
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(Late, remote_addr=("127.0.0.1", server.port))
    ends.callback(peer.transport.close)
    for data in (b'[0, "e"]', b'[0, "what", "[1,"]', b"[null, 1]", b"[32]"):
        peer.transport.sendto(data)
    await until(lambda: len(heard) == 3)
    assert heard == [[0, "e"], [0, "what", "[1,"], [32]]
    await until(lambda: len(peer.heard) == 2)
    refusal, echo = (data for data, _ in peer.heard)
    assert refusal.startswith(b'[0, "unknown event None')
    assert echo == b"[32]"


async def test_w24_w25_a_failed_callback_resolves_what_waits_for_errors_once(ends: Ends) -> None:
    server, client = await ends.pair()

    def fail(data: Any, addr: Any) -> None:
        raise ValueError("boom")

    server.assign_callback("EXPINIT", fail)
    first, second = (asyncio.ensure_future(client.on_event(ExpMessage(0))) for _ in range(2))
    await asyncio.sleep(0)
    with contextlib.suppress(RemoteProtocolError):  # where the receipt has come before, init has returned
        await client.init()
    for waiting in (first, second):
        data, _ = await asyncio.wait_for(waiting, 5)
        assert data == ["ValueError: boom", 1]
    assert client.clear_callbacks(ExpMessage(0)) == 0


async def test_w25_futures_on_any_event_are_told_which_it_was_and_are_gone_then(ends: Ends) -> None:
    server, client = await ends.pair()
    waiting = [asyncio.ensure_future(server.on_event(ExpMessage.any())) for _ in range(2)]
    await asyncio.sleep(0)
    await client.stop()
    for one in waiting:
        data, _, event = await asyncio.wait_for(one, 5)
        assert (data, event) == ([None], ExpMessage.EXPEND)
    assert server.clear_callbacks(ExpMessage.any()) == 0


@needs_iblutil
@pytest.mark.parametrize("rig", ["ours", "iblutil"])
async def test_w38_what_json_lacks_is_written_so_that_everybody_reads_it(ends: Ends, rig: str) -> None:
    server, client = await ends.pair(rig)
    heard = listen(server)
    day, path = datetime.date(2024, 5, 6), pathlib.PurePosixPath("/data/x")
    await client.init({"rate": float("nan"), "day": day, "path": path, "sides": ("left", "right")})
    expected = {"rate": None, "day": "2024-05-06", "path": "/data/x", "sides": ["left", "right"]}
    assert heard == [[1, expected]]
    with pytest.raises(ValueError, match=r"\.task holds a object, which a message cannot carry"):
        await client.init({"task": object()})
