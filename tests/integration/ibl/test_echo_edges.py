"""Where talks of `EchoProtocol` begin and end: the first word, a quick reply, a token, the last word."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from multirig.errors import ConfigError, RigUnreachable
from multirig.ibl.errors import AlyxTokenNotAllowed
from multirig.ibl.net.app import EchoProtocol, Services
from multirig.ibl.net.base import ExpMessage

TOKEN = [128, "https://alyx.example.org", {"sara": {"token": "s3cret"}}]


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Ends(contextlib.AsyncExitStack):
    """Communicators that are closed at the end of a test."""

    async def server(self, scheme: str = "udp", **options: Any) -> EchoProtocol:
        port = free_port(socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM)
        return self._keep(await EchoProtocol.server(f"{scheme}://127.0.0.1:{port}", name="rig", **options))

    async def client(self, uri: str, **options: Any) -> EchoProtocol:
        return self._keep(await EchoProtocol.client(uri, name="rig", **options))

    def _keep(self, one: EchoProtocol) -> EchoProtocol:
        self.push_async_callback(one.wait_closed)
        self.callback(one.close)
        return one


@pytest.fixture
def ends() -> Ends:
    return Ends()


class Peer(asyncio.DatagramProtocol):
    """A rig that says, for each datagram, what the test lets it say."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)
        self.heard: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(data)
        if self.says:
            for one in self.says.pop(0)(data):
                self.transport.sendto(one, addr)

    async def open(self, ends: Ends) -> str:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        ends.callback(self.transport.close)
        return "udp://{}:{}".format(*self.address)

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self.transport.get_extra_info("sockname")
        return address


# -- a quick reply -------------------------------------------------------------------------------------


ECHO_THEN_REPLY = [lambda data: [data, b'[1, {"status": 10}]'], lambda data: [b'[1, {"status": 10}]', data]]


@pytest.mark.parametrize("says", ECHO_THEN_REPLY, ids=["with its echo", "before its echo"])
@pytest.mark.parametrize("event", ["EXPINIT", ExpMessage.EXPINIT | ExpMessage.EXPEND])
async def test_a_reply_that_comes_at_once_is_there_for_whoever_asks_for_it_then(
    ends: Ends, says: Any, event: Any
) -> None:
    peer = Peer(says)
    client = await ends.client(await peer.open(ends))
    await client.init({"exp_ref": "2024-05-06_2_x"})
    data, addr, *more = await asyncio.wait_for(client.on_event(event), 2)
    assert (data, addr) == ([{"status": 10}], peer.address)
    assert more == ([] if event == "EXPINIT" else [ExpMessage.EXPINIT])


async def test_a_reply_is_had_once_and_only_until_the_next_message(ends: Ends) -> None:
    def reply(data: bytes) -> list[bytes]:
        return [data, b'[1, {"n": %d}]' % len(peer.heard)]

    peer: Peer = Peer(reply, lambda data: [], reply)  # the second datagram is the echo of the reply
    client = await ends.client(await peer.open(ends))
    await client.init(1)
    await client.init(2)
    assert await asyncio.wait_for(client.on_event("EXPINIT"), 2) == ([{"n": 3}], peer.address)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.on_event("EXPINIT"), 0.05)


async def test_an_old_reply_is_not_taken_for_news(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multirig.ibl.net.exchange.UNHEARD_KEPT", 0.0)
    client = await ends.client(await Peer(ECHO_THEN_REPLY[0]).open(ends))
    await client.init(1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.on_event("EXPINIT"), 0.05)


async def test_what_a_callback_has_heard_is_no_news_for_others(ends: Ends) -> None:
    client = await ends.client(await Peer(ECHO_THEN_REPLY[1]).open(ends))
    heard: list[Any] = []
    client.assign_callback("EXPINIT", lambda data, addr: heard.append(data))
    await client.init(1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.on_event("EXPINIT"), 0.05)
    assert heard == [[{"status": 10}]]


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_services_get_their_reply_just_after_the_rig_has_said_the_same_event_itself(
    ends: Ends, scheme: str
) -> None:
    server = await ends.server(scheme)
    tasks: set[Any] = set()
    addrs: list[Any] = []

    def answer(data: Any, addr: Any) -> None:
        addrs.append(addr)
        tasks.add(asyncio.ensure_future(server.status(20, addr=addr)))

    server.assign_callback("EXPSTATUS", answer)
    client = await ends.client(server.server_uri)
    client.assign_callback("EXPSTATUS", lambda data, addr: None)
    services = Services([client], timeout=3)
    assert await services.status(0) == {"rig": [20]}
    await server.status(30, addr=addrs[0])
    assert await services.status(0) == {"rig": [20]}
    await asyncio.wait(tasks)


# -- the first word ------------------------------------------------------------------------------------


async def test_a_server_may_speak_first(ends: Ends) -> None:
    peer = Peer(lambda data: [data])
    await peer.open(ends)
    server = await ends.server()
    await server.init(addr=peer.address)
    assert peer.heard == [b"[1, null]"]


async def test_a_client_without_a_name_has_its_address_for_one(ends: Ends) -> None:
    port = free_port()
    client = ends._keep(await EchoProtocol.client(f"localhost:{port}"))
    assert client.name == client.server_uri == f"udp://127.0.0.1:{port}"


# -- tokens --------------------------------------------------------------------------------------------


async def test_a_token_in_a_message_made_by_hand_is_refused_too(ends: Ends) -> None:
    server = await ends.server()
    heard: list[Any] = []
    server.assign_callback("ALYX", lambda data, addr: heard.append(data))
    client = await ends.client(server.server_uri)
    with pytest.raises(AlyxTokenNotAllowed, match=r"put '127\.0\.0\.1' into allow_cleartext_token"):
        await client.confirmed_send(TOKEN)
    with pytest.raises(PermissionError):
        client.send(TOKEN)
    assert not client.awaiting_response()
    await client.confirmed_send([128, "https://alyx.example.org", {}])  # a question holds none
    assert heard == [["https://alyx.example.org", {}]]


async def test_a_servers_own_name_allows_nobody_a_token(ends: Ends) -> None:
    server = await ends.server(allow_cleartext_token=["rig"])
    with pytest.raises(AlyxTokenNotAllowed, match="unencrypted"):
        await server.confirmed_send(TOKEN, addr=("127.0.0.1", free_port()))


async def test_one_name_may_stand_alone_and_a_wrong_one_is_refused(ends: Ends) -> None:
    server = await ends.server(allow="8.8.4.4", allow_cleartext_token="127.0.0.1")
    assert server._exchange.permits("8.8.4.4")
    assert server.allow_cleartext_token == {"127.0.0.1"}
    with pytest.raises(ConfigError, match="'nonsense'"):
        await ends.server(allow=["nonsense"])


# -- the last word -------------------------------------------------------------------------------------


async def test_a_client_learns_that_the_stream_has_ended(ends: Ends) -> None:
    server = await ends.server("tcp")
    client = await ends.client(server.server_uri)
    await client.init()
    server.close()
    error = await asyncio.wait_for(client.on_connection_lost, 5)
    assert isinstance(error, RigUnreachable)
    assert client.on_eof_received.result() is error


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_a_server_serves_until_it_is_closed(ends: Ends, scheme: str) -> None:
    server = await ends.server(scheme)
    serving = asyncio.ensure_future(server.Server.serve_forever())
    await asyncio.sleep(0)
    assert server.Server.is_serving()
    server.Server.close()
    await asyncio.wait_for(serving, 5)
    await server.Server.wait_closed()
    assert not server.Server.is_serving()


async def test_to_cancel_serving_is_to_close(ends: Ends) -> None:
    server = await ends.server("tcp")
    serving = asyncio.ensure_future(server.Server.serve_forever())
    await asyncio.sleep(0)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    assert not server.is_connected


@pytest.fixture
def no_socket_is_left() -> Iterator[None]:
    """A socket that nobody closes warns when it is collected; a warning fails the test."""
    yield
    gc.collect()


@pytest.mark.usefixtures("no_socket_is_left")
@pytest.mark.parametrize("closes", [True, False])
def test_the_socket_is_let_go_with_the_event_loop(closes: bool) -> None:
    async def work() -> None:
        server = await EchoProtocol.server(f"udp://127.0.0.1:{port}", name="rig")
        if closes:
            server.close()

    port = free_port()
    asyncio.run(work())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))


@pytest.mark.usefixtures("no_socket_is_left")
def test_it_may_be_closed_between_two_runs_of_the_event_loop() -> None:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(EchoProtocol.server(f"udp://127.0.0.1:{free_port()}", name="rig"))
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.close()
    server.close()
    assert not server.is_connected


# -- too much ------------------------------------------------------------------------------------------


async def test_too_much_for_a_datagram_is_a_value_error_at_once_whoever_says_it(ends: Ends) -> None:
    server = await ends.server()
    client = await ends.client(server.server_uri)
    answers: list[Any] = []

    def answer(data: Any, addr: Any) -> None:
        answers.append(asyncio.ensure_future(server.init("x" * 70_000, addr=addr)))

    server.assign_callback("EXPINIT", answer)
    await client.init()
    with pytest.raises(ValueError, match="70,007 bytes, the limit is 65,507"):
        await answers[0]
    with pytest.raises(ValueError, match="65,507"):
        client.send([1, "x" * 70_000])
    assert not client.awaiting_response()


async def test_data_that_holds_itself_is_a_value_error(ends: Ends) -> None:
    client = await ends.client(f"udp://127.0.0.1:{free_port()}")
    data: list[Any] = []
    data.append(data)
    with pytest.raises(ValueError, match="holds itself"):
        await client.init(data)


# -- messages that get no reply ------------------------------------------------------------------------


class LoggedIn:
    base_url, user, is_logged_in = "https://alyx.example.org", "sara", True
    _token = {"token": "s3cret"}  # noqa: RUF012


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_a_message_that_got_no_reply_takes_none_from_a_call_that_waits_for_one(
    ends: Ends, scheme: str
) -> None:
    server = await ends.server(scheme)
    client = await ends.client(server.server_uri)
    tasks: list[Any] = []
    await client.status(20)  # nobody there replies
    client.send([32, 30])
    await client.status(0)

    def answer(data: Any, addr: Any) -> None:
        tasks.append(asyncio.ensure_future(server.status(10, addr=addr)))

    server.assign_callback("EXPSTATUS", answer)
    services = Services([client], timeout=3)
    assert await services.status("INITIALIZED") == {"rig": [10]}
    assert await services.status("INITIALIZED") == {"rig": [10]}
    await asyncio.wait(tasks)


async def test_a_token_may_be_asked_for_after_one_was_sent(ends: Ends) -> None:
    server = await ends.server(allow_cleartext_token="127.0.0.1")
    client = await ends.client(server.server_uri, allow_cleartext_token="rig")
    heard: list[Any] = []
    client.assign_callback("ALYX", lambda data, addr: heard.append(data))
    assert await client.alyx(LoggedIn()) is None
    assert heard == []  # a receipt is no message
    tasks: list[Any] = []
    server.assign_callback(
        "ALYX", lambda data, addr: tasks.append(asyncio.ensure_future(server.alyx(LoggedIn(), addr=addr)))
    )
    assert await client.alyx(None) == ["https://alyx.example.org", {"sara": {"token": "s3cret"}}]
    await asyncio.wait(tasks)
    assert heard == [["https://alyx.example.org", {"sara": {"token": "s3cret"}}]]
