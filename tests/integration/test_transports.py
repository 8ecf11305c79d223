"""Real sockets on loopback, the network in memory, and the runtime that joins them to a node."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import random
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import pytest

from multirig.errors import ConfigError, RigUnreachable
from multirig.protocol.codec import MAX_STREAM_MESSAGE
from multirig.protocol.dialect import hear_verbatim
from multirig.protocol.events import SECOND, Address, Received, Replied, Reply, Send, TimedOut, Unreached
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.protocol.words import Verbatim
from multirig.runtime import Runtime
from multirig.transports import tcp, udp
from multirig.transports.base import Transport, allow_open_sockets, open_socket
from multirig.transports.memory import MemoryNetwork, MemoryTransport
from multirig.transports.tcp import TcpTransport
from multirig.transports.udp import UdpTransport

KINDS: dict[str, Callable[[Any], Transport]] = {"udp": UdpTransport, "tcp": TcpTransport}
SOCKETS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
BOTH = pytest.mark.parametrize("scheme", ["udp", "tcp"])
MANY = 500


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        return True
    return False


NEEDS_IPV6 = pytest.mark.skipif(not _has_ipv6(), reason="this PC has no IPv6")
HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("::1", marks=NEEDS_IPV6)])


class Inbox:
    """A receiver that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, Address]] = []
        self.missing: list[tuple[Address, str]] = []

    def received(self, data: bytes, address: Address) -> bool:
        self.messages.append((data, address))
        return True

    def lets_in(self, address: Address) -> bool:
        return True

    def unreachable(self, address: Address, reason: str, *, is_refusal: bool = True) -> None:
        self.missing.append((address, reason))


class Machine:
    """Answers every question with its own name; sends what the test feeds it and remembers the outcomes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[Verbatim] = []
        self.outcomes: dict[Any, Any] = {}

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        match event:
            case Send():
                return [event]
            case list():
                return event
            case Received(token=token, word=Verbatim() as message):
                self.asked.append(message)
                return [Reply(token=token, word=Verbatim(message.event, (0, {"name": self.name})))]
            case Replied() | TimedOut() | Unreached():
                self.outcomes[event.key] = event
        return []


class Peer:
    """A machine with its node and runtime."""

    def __init__(self, name: str, network: MemoryNetwork | None) -> None:
        self.machine = Machine(name)
        self.node = Node(boot=secrets.token_hex(8), name=name, machine=self.machine, hears=hear_verbatim)
        self.runtime = Runtime(self.node, lambda effect: None, network=network)

    def ask(self, address: Address, key: Any, event: Event = Event.EXPINFO, limit: int = 10 * SECOND) -> None:
        question = Send(address=address, word=Verbatim(event, (0, {})), key=key, limit=limit, gives_up=True)
        self.runtime.feed(question)

    async def hear(self, *keys: Any) -> list[Any]:
        """Wait for the outcomes of these questions."""
        await until(lambda: all(key in self.machine.outcomes for key in keys), 10)
        return [self.machine.outcomes[key] for key in keys]


class Net:
    """Opens transports and peers, and closes them after the test."""

    def __init__(self) -> None:
        self.stack = contextlib.AsyncExitStack()

    def open(self, scheme: str) -> tuple[Inbox, Transport]:
        inbox = Inbox()
        transport = KINDS[scheme](inbox)
        self.stack.push_async_callback(transport.close)
        return inbox, transport

    async def server(
        self, scheme: str, host: str = "127.0.0.1", port: int = 0
    ) -> tuple[Inbox, Transport, int]:
        inbox, transport = self.open(scheme)
        addresses = await transport.listen(host, port)
        return inbox, transport, addresses[0].port

    async def client(
        self, scheme: str, port: int, host: str = "127.0.0.1"
    ) -> tuple[Inbox, Transport, Address]:
        inbox, transport = self.open(scheme)
        return inbox, transport, await transport.connect(host, port)

    async def stream(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self.stack.callback(lambda: writer.transport.abort())
        return reader, writer

    def peer(self, name: str, network: MemoryNetwork | None = None) -> Peer:
        peer = Peer(name, network)
        self.stack.push_async_callback(peer.runtime.close)
        return peer

    async def __aenter__(self) -> Net:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stack.aclose()
        for _ in range(3):  # transports close in the next rounds of the loop
            await asyncio.sleep(0)


@pytest.fixture
def net() -> Net:
    return Net()


async def until(claim: Callable[[], Any], limit: float = 3.0) -> None:
    deadline = time.monotonic() + limit
    while not claim():
        assert time.monotonic() < deadline, f"not true within {limit} s"
        await asyncio.sleep(0.002)


# -- there and back ------------------------------------------------------------------------------------


@BOTH
@HOSTS
async def test_a_message_goes_there_and_its_answer_comes_back(net: Net, scheme: str, host: str) -> None:
    theirs, server, port = await net.server(scheme, host)
    ours, client, address = await net.client(scheme, port, host)
    client.send(b"[1, null]", address)
    await until(lambda: theirs.messages)
    ((data, sender),) = theirs.messages
    assert data == b"[1, null]"
    server.send(b"[1, 2]", sender)
    await until(lambda inbox=ours: inbox.messages)  # type: ignore[misc]
    assert ours.messages == [(b"[1, 2]", address)]
    assert address.port == port


@BOTH
async def test_a_name_reaches_a_rig_that_listens_on_ipv4_only(
    net: Net, scheme: str, monkeypatch: Any
) -> None:
    real = socket.getaddrinfo

    def both(host: Any, port: Any, *args: Any, **keys: Any) -> Any:
        if host != "cam-pc":
            return real(host, port, *args, **keys)
        return [*real("::1", port, *args, **keys), *real("127.0.0.1", port, *args, **keys)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    theirs, _, port = await net.server(scheme)
    _, client, address = await net.client(scheme, port, "cam-pc")
    client.send(b"[1, null]", address)
    await until(lambda: theirs.messages)


@BOTH
async def test_many_peers_on_one_port_hear_their_own_answers_only(net: Net, scheme: str) -> None:
    theirs, server, port = await net.server(scheme)
    clients = [await net.client(scheme, port) for _ in range(50)]
    for number, (_, client, address) in enumerate(clients):
        client.send(b"[%d]" % number, address)
    await until(lambda: len(theirs.messages) == len(clients))
    for data, sender in theirs.messages:
        server.send(data, sender)
    await until(lambda: all(inbox.messages for inbox, _, _ in clients))
    for number, (inbox, _, address) in enumerate(clients):
        assert inbox.messages == [(b"[%d]" % number, address)]


@BOTH
@NEEDS_IPV6
async def test_ipv4_and_ipv6_can_share_a_port_number(net: Net, scheme: str) -> None:
    inbox, _, port = await net.server(scheme, "0.0.0.0")
    other, _, _ = await net.server(scheme, "::", port)
    for host in ("127.0.0.1", "::1"):
        _, client, address = await net.client(scheme, port, host)
        client.send(host.encode().join([b'["', b'"]']), address)
    await until(lambda: inbox.messages and other.messages)
    assert [address.host for _, address in inbox.messages] == ["127.0.0.1"]
    assert [address.host for _, address in other.messages] == ["::1"]


async def test_an_answer_leaves_from_the_address_that_was_asked(net: Net, monkeypatch: Any) -> None:
    real = psutil.net_if_addrs()
    second = real["lo"][0]._replace(address="127.0.0.2") if "lo" in real else None
    if second is None or sys.platform == "win32":
        pytest.skip("only Linux has a second address on loopback")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {**real, "lo:2": [second]})
    theirs, server, port = await net.server("udp", "0.0.0.0")
    for host in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
        ours, client, address = await net.client("udp", port, host)
        theirs.messages.clear()
        client.send(b"[32]", address)
        await until(lambda: theirs.messages)
        server.send(b"[32, 0]", theirs.messages[0][1])
        await until(lambda inbox=ours: inbox.messages)  # type: ignore[misc]
        assert ours.messages == [(b"[32, 0]", address)]


@BOTH
async def test_a_link_local_address_is_reached_on_its_interface(net: Net, scheme: str) -> None:
    everything = [one.address for addresses in psutil.net_if_addrs().values() for one in addresses]
    local = next((one for one in everything if one.startswith("fe80:") and "%" in one), None)
    if local is None:
        pytest.skip("this PC has no link-local address")
    theirs, server, port = await net.server(scheme, "::")
    ours, client, address = await net.client(scheme, port, local)
    client.send(b"[32]", address)
    await until(lambda: theirs.messages)
    server.send(b"[32, 0]", theirs.messages[0][1])
    await until(lambda: ours.messages)


# -- what is wrong -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", pytest.param("::", marks=NEEDS_IPV6)])
async def test_a_port_in_use_is_one_line_that_says_what_to_do(net: Net, scheme: str, host: str) -> None:
    _, _, port = await net.server(scheme, host)
    with pytest.raises(ConfigError) as error:
        await net.server(scheme, host, port)
    assert f"cannot listen on {Address(scheme, host, port)}: " in str(error.value)
    assert "choose another port" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.wine_lacks("a refusal of addresses that are not this PC's")
@BOTH
async def test_an_address_of_another_pc_is_one_line_that_says_what_to_do(net: Net, scheme: str) -> None:
    with pytest.raises(ConfigError, match="does not have that address"):
        await net.server(scheme, "192.0.2.1")


@BOTH
async def test_an_unknown_name_is_named(net: Net, scheme: str) -> None:
    with pytest.raises(ConfigError, match=r"no-such-pc\.invalid"):
        await net.server(scheme, "no-such-pc.invalid")
    with pytest.raises(RigUnreachable, match=r"no-such-pc\.invalid"):
        await net.client(scheme, 1, "no-such-pc.invalid")


@BOTH
async def test_where_nobody_listens_is_told_at_once_and_each_time(net: Net, scheme: str) -> None:
    if sys.platform == "win32" and scheme == "udp":
        pytest.skip("there a missing peer shows by its silence, else a rig would be deaf")
    _, server, port = await net.server(scheme)
    await server.close()
    inbox, client, address = await net.client(scheme, port)
    for count in (1, 2):
        client.send(b"[32]", address)
        await until(lambda count=count: len(inbox.missing) >= count, 0.5)  # type: ignore[misc]
    assert {one for one, _ in inbox.missing} == {address}
    assert "nothing listens there" in inbox.missing[0][1]


async def test_a_pc_that_does_not_take_a_connection_is_given_up(net: Net, monkeypatch: Any) -> None:
    monkeypatch.setattr(tcp, "DIAL_LIMIT", 0.1)
    theirs, _, port = await net.server("tcp")
    ours, client, address = await net.client("tcp", port)
    loop = asyncio.get_running_loop()

    async def wait(*args: Any) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as silence:
        silence.setattr(loop, "sock_connect", wait)
        client.send(b"[2, null]", address)
        await until(lambda: ours.missing, 1)
    assert "does not take the connection" in ours.missing[0][1]
    client.send(b"[4, null]", address)
    await until(lambda: theirs.messages)
    assert [data for data, _ in theirs.messages] == [b"[4, null]"]  # not what has become too old


# -- closing -------------------------------------------------------------------------------------------


@BOTH
async def test_closing_really_closes(net: Net, scheme: str) -> None:
    theirs, server, port = await net.server(scheme)
    ours, client, address = await net.client(scheme, port)
    client.send(b"[1]", address)
    await until(lambda: theirs.messages)
    sender = theirs.messages[0][1]
    await server.close()
    again, _, _ = await net.server(scheme, "127.0.0.1", port)  # the port is free at once
    server.send(b"[2]", sender)  # and nothing happens
    await until(lambda: ours.missing or scheme == "udp")
    client.send(b"[3]", address)
    await until(lambda: again.messages)
    assert (theirs.messages, again.messages[0][0], ours.messages) == ([(b"[1]", sender)], b"[3]", [])


async def test_a_socket_that_is_read_no_more_is_opened_again_as_soon_as_its_address_is_back(
    net: Net, monkeypatch: Any
) -> None:
    """As on Windows, where asyncio reads no more after an error, while a cable is pulled."""
    monkeypatch.setattr(udp, "STOPS_READING", True)
    monkeypatch.setattr(udp, "SERVE_AGAIN", 0.01)
    theirs, server, port = await net.server("udp")
    ours, client, address = await net.client("udp", port)
    away = [3]

    def refuse(*place: Any, **options: Any) -> socket.socket:
        if away[0]:
            away[0] -= 1
            raise OSError(errno.EADDRNOTAVAIL, "the cable is pulled")
        return open_socket(*place, **options)

    monkeypatch.setattr(udp, "open_socket", refuse)
    assert isinstance(server, UdpTransport)
    server._listening[0].error_received(OSError(10065, "no route"))
    await until(lambda: not away[0])
    await until(lambda: client.send(b"[1]", address) or theirs.messages)
    while not ours.messages:
        server.send(b"[2]", theirs.messages[-1][1])
        await asyncio.sleep(0.01)


@BOTH
async def test_closing_twice_and_sending_to_strangers_does_no_harm(net: Net, scheme: str) -> None:
    _, server, _ = await net.server(scheme)
    server.send(b"[1]", Address(scheme, "127.0.0.1", 9))
    await server.close()
    await server.close()
    server.send(b"[1]", Address(scheme, "127.0.0.1", 9))


async def test_what_was_sent_before_closing_still_arrives(net: Net) -> None:
    theirs, _, port = await net.server("tcp")
    _, client, address = await net.client("tcp", port)
    client.send(b"[1]", address)
    await until(lambda: theirs.messages)
    client.send(json.dumps([2, "x" * 15_000_000]).encode(), address)
    await client.close()
    await until(lambda: len(theirs.messages) == 2)


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing(net: Net, monkeypatch: Any) -> None:
    monkeypatch.setattr(tcp, "CLOSE_LIMIT", 0.1)
    inbox, server, port = await net.server("tcp")
    reader, writer = await net.stream(port)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"[1]")
    await until(lambda: inbox.messages)
    server.send(json.dumps(["x" * 12_000_000]).encode(), inbox.messages[0][1])
    await asyncio.wait_for(server.close(), 1)


# -- streams -------------------------------------------------------------------------------------------


async def test_two_messages_in_one_segment_and_one_in_two_are_whole(net: Net) -> None:
    inbox, _, port = await net.server("tcp")
    _, writer = await net.stream(port)
    writer.write('[1, "a"] [2, "]"]\n[4, "µ'.encode()[:-1])
    await until(lambda: len(inbox.messages) == 2)
    await asyncio.sleep(0.02)
    writer.write('µ"]'.encode()[1:])
    await until(lambda: len(inbox.messages) == 3)
    assert [data for data, _ in inbox.messages] == [b'[1, "a"]', b'[2, "]"]', '[4, "µ"]'.encode()]


async def test_a_megabyte_over_tcp_arrives_whole(net: Net) -> None:
    theirs, server, port = await net.server("tcp")
    ours, client, address = await net.client("tcp", port)
    message = json.dumps([64, 0, {"x": "ab]" * 350_000}]).encode()
    client.send(message, address)
    await until(lambda: theirs.messages)
    server.send(message, theirs.messages[0][1])
    await until(lambda: ours.messages)
    assert theirs.messages[0][0] == ours.messages[0][0] == message


async def test_noise_on_a_stream_is_reported_as_an_empty_message(net: Net) -> None:
    inbox, _, port = await net.server("tcp")
    _, writer = await net.stream(port)
    writer.write(b"hello\n")
    await until(lambda: inbox.messages)
    writer.write(b"[1]")
    await until(lambda: len(inbox.messages) == 2)
    assert [data for data, _ in inbox.messages] == [b"", b"[1]"]


async def test_who_sends_a_message_over_the_limit_is_told_so_even_while_sending(net: Net) -> None:
    inbox, _, port = await net.server("tcp")
    reader, writer = await net.stream(port)

    async def pour() -> None:
        piece = b'[64, "' + b"x" * 1_000_000
        for _ in range(3 * MAX_STREAM_MESSAGE // len(piece)):
            writer.write(piece)
            await writer.drain()

    pouring = asyncio.create_task(pour())
    said = await asyncio.wait_for(reader.readuntil(b"]"), 10)
    code, text, event = json.loads(said)
    assert (code, event) == (0, 0)
    assert f"{MAX_STREAM_MESSAGE:,} bytes" in text
    await pouring  # it is not reset: with a reset what it has not read yet would be lost
    assert inbox.messages == []
    assert len(inbox.missing) == 1
    assert "given up" in inbox.missing[0][1]
    _, other = await net.stream(port)
    other.write(b"[1]")
    await until(lambda: inbox.messages)


async def test_a_peer_that_pours_without_end_is_cut_off(net: Net, monkeypatch: Any) -> None:
    monkeypatch.setattr(tcp, "DRAIN_LIMIT", 0.1)
    inbox, _, port = await net.server("tcp")
    _, writer = await net.stream(port)

    async def pour() -> None:
        while True:
            writer.write(b'["' + b"x" * 1_000_000)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(pour(), 5)
    await until(lambda: inbox.missing)


async def test_a_peer_that_reads_nothing_is_given_up_before_the_memory_is_full(
    net: Net, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNSENT", 1_000_000)
    inbox, server, port = await net.server("tcp")
    reader, writer = await net.stream(port)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"[1]")
    await until(lambda: inbox.messages)
    message = json.dumps(["x" * 1_000_000]).encode()
    for _ in range(20):
        server.send(message, inbox.messages[0][1])
    await until(lambda: inbox.missing)
    assert "does not read what it is sent" in inbox.missing[0][1]


async def test_a_connection_that_was_lost_is_dialled_again(net: Net) -> None:
    theirs, server, port = await net.server("tcp")
    ours, client, address = await net.client("tcp", port)
    client.send(b"[1]", address)
    await until(lambda: theirs.messages)
    await server.close()
    await until(lambda: ours.missing)
    assert "the connection was closed by that PC" in ours.missing[0][1]
    again, _, _ = await net.server("tcp", "127.0.0.1", port)
    client.send(b"[2]", address)
    await until(lambda: again.messages)
    assert again.messages[0][0] == b"[2]"


# -- memory --------------------------------------------------------------------------------------------


async def test_a_memory_network_tells_a_taken_address_and_a_missing_peer() -> None:
    network = MemoryNetwork()
    inbox = Inbox()
    one, two = MemoryTransport(inbox, network), MemoryTransport(Inbox(), network)
    (address,) = await one.listen("rig", 1)
    with pytest.raises(ConfigError, match="taken"):
        await two.listen("rig", 1)
    one.send(b"[1]", await one.connect("nobody", 1))
    await until(lambda: inbox.missing)
    await one.close()
    assert await two.listen("rig", 1) == [address]


@pytest.mark.parametrize("seed", range(3))
async def test_a_lossy_postman_loses_no_request(net: Net, seed: int) -> None:
    chance = random.Random(seed)

    def postman(data: bytes, source: Address, target: Address) -> Iterable[float]:
        copies = chance.choices([0, 1, 2], [2, 7, 1])[0]
        return [chance.choice([0.0, 0.001, 0.01]) for _ in range(copies)]

    network = MemoryNetwork()
    rig, conductor = net.peer("rig", network), net.peer("conductor", network)
    (address,) = await rig.runtime.listen("memory", "rig", 1)
    conductor.ask(address, "greeting")
    await conductor.hear("greeting")
    assert conductor.node.peers.speaks_wire_2(address)
    network.postman = postman
    for key in range(30):
        conductor.ask(address, key, Event.EXPEND)
    for outcome in await conductor.hear(*range(30)):
        assert isinstance(outcome, Replied), outcome
    assert rig.machine.asked == [Verbatim(Event.EXPINFO, rig.machine.asked[0].args)] + 30 * [
        Verbatim(Event.EXPEND, (0, {}))
    ]


# -- runtime -------------------------------------------------------------------------------------------


@BOTH
async def test_both_wires_and_both_transports_share_one_port_number(net: Net, scheme: str) -> None:
    rig = net.peer("rig")
    (address,) = await rig.runtime.listen("udp", "127.0.0.1", 0)
    await rig.runtime.listen("tcp", "127.0.0.1", address.port)
    conductor = net.peer("conductor")
    there = await conductor.runtime.connect(scheme, "127.0.0.1", address.port)
    for key in range(3):
        conductor.ask(there, key)
        await conductor.hear(key)
    assert conductor.node.peers.speaks_wire_2(there)
    inbox, foreign, there = await net.client(scheme, address.port)
    foreign.send(b"[4, null]", there)
    await until(lambda: len(inbox.messages) == 2)
    assert inbox.messages == [(b"[4, null]", there), (b'[4, 0, {"name": "rig"}]', there)]


async def test_a_burst_of_many_peers_is_heard_by_one_rig(net: Net) -> None:
    rig = net.peer("rig")
    (address,) = await rig.runtime.listen("udp", "127.0.0.1", 0)
    allow_open_sockets(2 * MANY + 100)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(MANY)]
        for one in sockets:
            one.connect(("127.0.0.1", address.port))
        for one in sockets:  # the rig's loop does not run meanwhile: all must wait in its buffer
            one.send(b'[64, 0, {"subject": "SP_01"}]')
        await until(lambda: len(rig.machine.asked) >= MANY, 5)
        for one in sockets:  # in a thread: on Windows the rig's loop sends an answer only while it runs
            one.settimeout(1)
            assert await asyncio.to_thread(one.recv, 1000) == b'[64, 0, {"subject": "SP_01"}]'
    assert len(rig.machine.asked) == MANY


async def test_a_burst_of_many_answers_is_heard_by_one_conductor(net: Net) -> None:
    allow_open_sockets(2 * MANY + 100)

    class Answering(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.has_answered = False

        def datagram_received(self, data: bytes, addr: Any) -> None:
            if self.has_answered:
                return
            self.has_answered = True
            self.transport.sendto(data, addr)
            self.transport.sendto(b'[64, 0, {"main_sync": false}]', addr)

    loop = asyncio.get_running_loop()
    conductor = net.peer("conductor")
    addresses = []
    for _ in range(MANY):
        endpoint, _ = await loop.create_datagram_endpoint(Answering, local_addr=("127.0.0.1", 0))
        net.stack.callback(endpoint.close)
        port = endpoint.get_extra_info("sockname")[1]
        addresses.append(await conductor.runtime.connect("udp", "127.0.0.1", port))
    began = time.perf_counter()
    for address in addresses:
        conductor.ask(address, address)
    outcomes = await conductor.hear(*addresses)
    assert all(isinstance(one, Replied) for one in outcomes)
    assert time.perf_counter() - began < 5


async def test_closing_a_runtime_sends_what_waits(net: Net) -> None:
    peer = net.peer("peer")
    inboxes, sends = [], []
    for key in range(100):
        inbox, _, port = await net.server("udp")
        inboxes.append(inbox)
        address = await peer.runtime.connect("udp", "127.0.0.1", port)
        sends.append(Send(address=address, word=Verbatim(Event.EXPINTERRUPT), key=key))
    peer.runtime.feed(sends)  # more than leave in one round of the loop
    await peer.runtime.close()
    await until(lambda: all(inbox.messages for inbox in inboxes))


async def test_a_scheme_that_nobody_knows_is_one_line(net: Net) -> None:
    with pytest.raises(ConfigError, match=r"unknown scheme 'zenoh'.*udp, tcp"):
        await net.peer("peer").runtime.listen("zenoh", "127.0.0.1", 0)


@BOTH
async def test_a_request_to_nobody_has_its_outcome_at_once(net: Net, scheme: str) -> None:
    _, server, port = await net.server(scheme)
    await server.close()
    conductor = net.peer("conductor")
    there = await conductor.runtime.connect(scheme, "127.0.0.1", port)
    began = time.perf_counter()
    conductor.ask(there, "k")
    (outcome,) = await conductor.hear("k")
    assert isinstance(outcome, Unreached)
    assert time.perf_counter() - began < 0.5


async def test_a_silent_peer_gets_copies_and_the_request_times_out(net: Net) -> None:
    inbox, _, port = await net.server("udp")
    conductor = net.peer("conductor")
    there = await conductor.runtime.connect("udp", "127.0.0.1", port)
    conductor.ask(there, "k", limit=SECOND // 2)
    (outcome,) = await conductor.hear("k")
    assert outcome == TimedOut(address=there, key="k", confirmed=False)
    assert len(inbox.messages) == 2
    assert len({data for data, _ in inbox.messages}) == 1


@pytest.mark.attack
async def test_a_fault_in_what_one_datagram_does_costs_that_datagram_and_no_other(net: Net) -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
    peer = net.peer("rig")
    [address] = await peer.runtime.listen("udp", "127.0.0.1", 0)
    asked, answer = peer.machine.asked, peer.machine.handle

    def fail(event: Any, now: int) -> Iterable[Any]:
        if isinstance(event, Received) and event.word.event is Event.EXPEND:
            raise ZeroDivisionError
        return answer(event, now)

    peer.machine.handle = fail  # type: ignore[method-assign]
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(60)]
    for number, one in enumerate(senders):  # all of them wait before the loop reads again
        one.sendto(b"[4]" if number % 2 else b"[32, 0]", ("127.0.0.1", address.port))
    await until(lambda: len(asked) == 30, 10)
    for one in senders:
        one.close()
    assert {one.event for one in asked} == {Event.EXPSTATUS}
    assert 1 <= len(told) <= 5
    assert "a message from udp://127.0.0.1:" in told[0]
