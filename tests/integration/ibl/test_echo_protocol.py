"""Ends of the echo protocol over real sockets: ours with ours and with the real iblutil, in both roles."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from multirig.errors import (
    MultirigError,
    RemoteProtocolError,
    RigUnreachable,
    SessionFailed,
    Unconfirmed,
)
from multirig.ibl.errors import AlyxTokenNotAllowed, NotAllAnswered
from multirig.ibl.net.app import EchoProtocol, Services
from multirig.ibl.net.base import ExpMessage, ExpStatus

HAS_IBLUTIL = importlib.util.find_spec("iblutil") is not None
_quiet = logging.getLogger("iblutil-at-the-other-end")
_quiet.propagate = False
_quiet.addHandler(logging.NullHandler())

PAIRS = [("ours", "ours"), *([("iblutil", "ours"), ("ours", "iblutil")] if HAS_IBLUTIL else [])]
"""(server, client)."""


def free_port(scheme: str = "udp") -> int:
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def until(claim: Callable[[], Any], limit: float = 5.0) -> None:
    end = asyncio.get_running_loop().time() + limit
    while not claim():
        assert asyncio.get_running_loop().time() < end, "it did not come true in time"
        await asyncio.sleep(0.002)


class Ends(contextlib.AbstractAsyncContextManager["Ends"]):
    """Communicators that are closed at the end of a test."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.tasks: set[Any] = set()

    async def server(self, kind: str = "ours", scheme: str = "udp", **options: Any) -> Any:
        uri = f"{scheme}://127.0.0.1:{free_port(scheme)}"
        made = _class(kind).server(uri, name="rig", **({"log": _quiet} if kind != "ours" else {}), **options)
        self.all.append(await made)
        return self.all[-1]

    async def client(self, uri: str, kind: str = "ours", name: str = "rig", **options: Any) -> Any:
        made = _class(kind).client(uri, name=name, **({"log": _quiet} if kind != "ours" else {}), **options)
        self.all.append(await made)
        return self.all[-1]

    def answering(self, server: Any, *, delay: float = 0.0, heard: list[Any] | None = None) -> list[Any]:
        """Let a server answer each event by the same one with the same data; return what it hears."""
        heard = [] if heard is None else heard

        def hear(event: int, data: list[Any], addr: Any) -> None:
            heard.append([event, *data])
            self.later(answer(event, data, addr))

        async def answer(event: int, data: list[Any], addr: Any) -> None:
            await asyncio.sleep(delay)
            told = [0, {"name": "rig"}] if event == 64 else data  # nobody answers a question by itself
            await server.confirmed_send([event, *told], addr=addr)

        for event in (1, 2, 4, 8, 16, 32, 64):
            server.assign_callback(event, lambda data, addr, event=event: hear(event, data, addr))
        return heard

    def later(self, work: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        return task

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for one in self.all:
            if getattr(one, "Server", None) is not None and not isinstance(one, EchoProtocol):
                one.Server.close()
            one.close()
        for one in self.all:
            if isinstance(one, EchoProtocol):
                await one.wait_closed()


def _class(kind: str) -> Any:
    if kind == "ours":
        return EchoProtocol
    from iblutil.io.net.app import EchoProtocol as Theirs

    return Theirs


@pytest.fixture
def ends() -> Ends:
    return Ends()


def raw() -> socket.socket:
    """Return a UDP socket that answers only what the test lets it."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.setblocking(False)
    return one


async def receive(one: socket.socket) -> tuple[bytes, Any]:
    found: list[Any] = []

    def look() -> bool:
        with contextlib.suppress(BlockingIOError):
            found.append(one.recvfrom(65536))
        return bool(found)

    await until(look)
    return found[0]


# -- every verb, in every pair -------------------------------------------------------------------------------

VERBS: dict[str, tuple[Callable[[Any, Any], Awaitable[Any]], list[Any]]] = {
    "init": (
        lambda com, addr: com.init({"exp_ref": "2024-05-06_2_x"}, addr=addr),
        [1, {"exp_ref": "2024-05-06_2_x"}],
    ),
    "start": (
        lambda com, addr: com.start("2024-05-06_2_x", {"k": 1}, addr=addr),
        [2, "2024-05-06_2_x", {"k": 1}],
    ),
    "stop": (lambda com, addr: com.stop(addr=addr), [4, None]),
    "interrupt": (
        lambda com, addr: com.stop({"error": "X"}, immediately=True, addr=addr),
        [16, {"error": "X"}],
    ),
    "cleanup": (lambda com, addr: com.cleanup(addr=addr), [8, None]),
    "status": (lambda com, addr: com.status("RUNNING", addr=addr), [32, 20]),
    "info": (
        lambda com, addr: com.info(ExpStatus.CONNECTED, {"main_sync": False}, addr=addr),
        [64, 0, {"main_sync": False}],
    ),
}


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_what_one_end_says_the_other_hears_and_the_reply_comes_back(
    ends: Ends, pair: tuple[str, str], verb: str, scheme: str
) -> None:
    server = await ends.server(pair[0], scheme)
    heard = ends.answering(server)
    client = await ends.client(server.server_uri, pair[1])
    say, expected = VERBS[verb]
    replies: list[Any] = []
    client.assign_callback(expected[0], lambda data, addr: replies.append(data))
    await say(client, None)
    await until(lambda: replies)
    assert heard == [expected]
    assert replies == [[0, {"name": "rig"}] if expected[0] == 64 else expected[1:]]


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_the_bytes_are_iblutils(ends: Ends, scheme: str) -> None:
    if scheme == "udp":
        with raw() as other:
            client = await ends.client(f"udp://127.0.0.1:{other.getsockname()[1]}")
            for data, event in ((b"[1, null]", "init"), (b'[64, 0, {"main_sync": false}]', "info")):
                say = client.init() if event == "init" else client.info("CONNECTED", {"main_sync": False})
                task = ends.later(say)
                sent, addr = await receive(other)
                assert sent == data
                other.sendto(sent, addr)
                await task
        return
    chunks: list[bytes] = []

    async def serve(reader: Any, writer: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                chunks.append(data)
                writer.write(data)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = await ends.client(f"tcp://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    await client.init()
    assert chunks == [b"[1, null]"]
    client.close()
    await client.wait_closed()
    listening.close()


async def test_an_event_may_be_waited_for(ends: Ends) -> None:
    server = await ends.server()
    client = await ends.client(server.server_uri)
    one, both = (
        ends.later(server.on_event("EXPSTART")),
        ends.later(server.on_event(ExpMessage.EXPSTART | ExpMessage.EXPEND)),
    )
    await asyncio.sleep(0)
    await client.start("2024-05-06_2_x")
    data, addr = await one
    assert data == ["2024-05-06_2_x", None]
    assert addr[0] == "127.0.0.1"
    assert (await both)[2] is ExpMessage.EXPSTART


# -- the faults of the original -----------------------------------------------------------------------------


async def test_w1_two_messages_at_once_both_arrive(ends: Ends) -> None:
    server = await ends.server()
    heard = ends.answering(server)
    client = await ends.client(server.server_uri)
    await asyncio.gather(client.init(1), client.init(2), client.start("r"), client.stop())
    assert sorted(map(json.dumps, heard)) == ["[1, 1]", "[1, 2]", '[2, "r", null]', "[4, null]"]


async def test_w2_w3_a_copy_is_handled_once_and_an_echo_is_never_echoed(ends: Ends) -> None:
    server = await ends.server()
    heard: list[Any] = []
    server.assign_callback("EXPSTART", lambda data, addr: heard.append(data))
    with raw() as other:
        for _ in range(3):  # written as MATLAB does; what iblutil says again is a new message
            other.sendto(b'[2,"r",null]', ("127.0.0.1", server.port))
        sent, addr = await receive(other)
        assert sent == b'[2,"r",null]'
        task = ends.later(server.status(20, addr=other.getsockname()))
        sent, _ = await receive(other)
        assert sent.replace(b" ", b"") == b"[32,20]"
        for _ in range(3):
            other.sendto(sent, addr)
        await task
        assert await said_within(other, 0.2) == []
    assert len(heard) == 1


async def said_within(one: socket.socket, seconds: float) -> list[bytes]:
    """Return what comes within some time: an echo of an echo would come at once."""
    said = []
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        with contextlib.suppress(BlockingIOError):
            said.append(one.recvfrom(65536)[0])
        await asyncio.sleep(0.01)
    return said


async def test_w5_a_lost_datagram_is_sent_again_and_a_timeout_closes_nothing(ends: Ends) -> None:
    with raw() as other:
        client = await ends.client(f"udp://127.0.0.1:{other.getsockname()[1]}")
        task = ends.later(client.init(1))
        await receive(other)  # and lose it
        sent, addr = await receive(other)
        other.sendto(sent, addr)
        await task
        with pytest.raises(Unconfirmed, match=r"rig does not hear EXPSTART within 0\.05 s") as caught:
            await client.confirmed_send([2, "r", None], timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, asyncio.TimeoutError)
        assert client.is_connected
        task = ends.later(client.stop())
        while (sent := (await receive(other))[0])[:2] != b"[4":
            other.sendto(sent, addr)
        other.sendto(sent, addr)
        await task


async def test_w7_w8_a_message_of_the_peer_and_a_reply_before_the_echo_are_both_handled(ends: Ends) -> None:
    with raw() as other:
        client = await ends.client(f"udp://127.0.0.1:{other.getsockname()[1]}")
        heard: list[Any] = []
        client.assign_callback(ExpMessage.any(), lambda data, addr, event: heard.append((event.name, data)))
        task = ends.later(client.init(1))
        _, addr = await receive(other)
        other.sendto(b"[32, 20]", addr)
        other.sendto(b'[1, {"status": 10}]', addr)  # no echo of ours was sent
        await task
    assert heard == [("EXPSTATUS", [20]), ("EXPINIT", [{"status": 10}])]


@pytest.mark.parametrize("kind", ["ours", *(["iblutil"] if HAS_IBLUTIL else [])])
async def test_w9_w24_a_callback_that_fails_is_told_at_once_and_the_others_run(ends: Ends, kind: str) -> None:
    server = await ends.server(kind)
    heard: list[Any] = []

    def fail(data: Any, addr: Any) -> None:
        raise ValueError("boom")

    server.assign_callback("EXPSTART", fail)
    server.assign_callback("EXPSTART", lambda data, addr: heard.append(data))
    client = await ends.client(server.server_uri)
    errors: list[Any] = []
    client.assign_callback(ExpMessage(0), lambda data, addr: errors.append(data))
    with pytest.raises(MultirigError, match="ValueError: boom") as caught:
        await Services([client], timeout=5).start("r")
    assert isinstance(caught.value, RuntimeError)
    assert not isinstance(caught.value, TimeoutError)
    assert errors == [["ValueError: boom", 2]]
    if kind == "ours":
        assert len(heard) == 1


async def test_w9_an_error_before_the_echo_is_raised_with_its_text(ends: Ends) -> None:
    with raw() as other:
        client = await ends.client(f"udp://127.0.0.1:{other.getsockname()[1]}")
        task = ends.later(client.start("r"))
        _, addr = await receive(other)
        other.sendto(b'[0, "no light", 2]', addr)
        with pytest.raises(RemoteProtocolError, match="no light"):
            await task


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_w11_w12_clients_of_one_server_have_a_conversation_each(ends: Ends, scheme: str) -> None:
    server = await ends.server(scheme=scheme)
    heard = ends.answering(server)
    clients = [await ends.client(server.server_uri, name=f"c{number}") for number in range(3)]
    replies: dict[str, Any] = {}
    for one in clients:
        one.assign_callback("EXPINIT", lambda data, addr, name=one.name: replies.update({name: data}))
    await asyncio.gather(*(one.init(one.name) for one in clients))
    await until(lambda: len(replies) == 3)
    assert replies == {"c0": ["c0"], "c1": ["c1"], "c2": ["c2"]}
    assert len(heard) == 3


async def test_w11_a_silent_client_does_not_end_the_server(ends: Ends) -> None:
    server = await ends.server()
    with raw() as silent:
        silent.sendto(b"[32, 20]", ("127.0.0.1", server.port))
        with pytest.raises(TimeoutError):
            await server.confirmed_send([1, None], addr=silent.getsockname(), timeout=0.05)
    heard = ends.answering(server)
    client = await ends.client(server.server_uri)
    await client.init(1)
    await until(lambda: heard == [[1, 1]])


async def test_w14_a_megabyte_goes_over_tcp(ends: Ends) -> None:
    server = await ends.server(scheme="tcp")
    client = await ends.client(server.server_uri)
    heard: list[Any] = []
    server.assign_callback("EXPINIT", lambda data, addr: heard.append(len(data[0])))
    await client.init("x" * 1_000_000)
    assert heard == [1_000_000]


async def test_w15_a_closed_server_accepts_nobody(ends: Ends) -> None:
    server = await ends.server(scheme="tcp")
    port = server.port
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError, match=r".+"), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


async def test_w16_too_much_for_a_datagram_is_refused_at_once(ends: Ends) -> None:
    server = await ends.server()
    client = await ends.client(server.server_uri)
    with pytest.raises(MultirigError, match="65,507"):
        await client.init("x" * 70_000)


async def test_w17_w18_rubbish_is_ignored_and_no_event(ends: Ends) -> None:
    server = await ends.server()
    heard = ends.answering(server)
    with raw() as other:
        for data in (
            b"\xff\xfe",
            b"",
            b"x",
            b'{"multirig": 2}',
            b"[true, 1]",
            b"[3, 1]",
            b"[-1]",
            b"[2.0]",
            b"[999, 1]",
        ):
            other.sendto(data, ("127.0.0.1", server.port))
        other.sendto(b"[1, 7]", ("127.0.0.1", server.port))
        await until(lambda: heard)
        said = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(other.recvfrom(65536)[0])
    assert heard == [[1, 7]]
    assert all(one[:2] in (b"[0", b"[1") for one in said)


async def test_w22_a_server_hears_only_whom_it_may(ends: Ends) -> None:
    server = await ends.server(allow=["8.8.4.4"])
    assert server._exchange.permits("8.8.4.4")
    assert server._exchange.permits("127.0.0.1")
    assert server._exchange.permits("192.168.1.9")
    assert not server._exchange.permits("8.8.8.8")


async def test_w27_a_late_reply_is_not_handed_to_the_next_call(ends: Ends) -> None:
    server = await ends.server()
    delays = iter([0.4, 0.0])

    def hear(data: Any, addr: Any) -> None:
        async def answer(delay: float) -> None:
            await asyncio.sleep(delay)
            await server.confirmed_send([1, data[0]], addr=addr)

        ends.later(answer(next(delays)))

    server.assign_callback("EXPINIT", hear)
    client = await ends.client(server.server_uri)
    services = Services([client], timeout=0.1)
    with pytest.raises(NotAllAnswered):
        await services.init("first")
    services.timeout = 5.0
    await asyncio.sleep(0.3)
    assert await services.init("second") == {"rig": ["second"]}


async def test_w29_a_token_that_nobody_sends_is_not_waited_for_without_end(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.ibl.net.echo.TOKEN_LIMIT", 0.1)
    server = await ends.server()
    client = await ends.client(server.server_uri)
    with pytest.raises(TimeoutError, match="no Alyx token"):
        await client.alyx(None)


async def test_w30_where_nobody_listens_is_known_at_once(ends: Ends) -> None:
    client = await ends.client(f"udp://127.0.0.1:{free_port()}")
    assert client.is_connected
    with pytest.raises(RigUnreachable, match="nothing listens"):
        await client.init()
    assert not client.is_connected
    assert client.on_error_received.done()


async def test_w32_ipv6_works(ends: Ends) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        one.bind(("::1", 0))
        port = one.getsockname()[1]
    server = await EchoProtocol.server(f"udp://[::1]:{port}", name="rig")
    ends.all.append(server)
    heard = ends.answering(server)
    client = await ends.client(server.server_uri)
    await client.init(1)
    assert heard == [[1, 1]]


# -- tokens --------------------------------------------------------------------------------------------------


class LoggedIn:
    base_url, user, is_logged_in = "https://alyx.example.org", "sara", True
    _token = {"token": "s3cret"}  # noqa: RUF012


@pytest.mark.parametrize("allowed", [["rig"], ["127.0.0.1"]])
async def test_a_token_goes_to_whom_it_is_allowed_by_name_or_address(
    ends: Ends, allowed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = await ends.server()
    client = await ends.client(server.server_uri, allow_cleartext_token=allowed)
    heard: list[Any] = []
    server.assign_callback("ALYX", lambda data, addr: heard.append(data))
    with caplog.at_level(logging.DEBUG):
        await client.alyx(LoggedIn())
    assert heard == [["https://alyx.example.org", {"sara": {"token": "s3cret"}}]]
    assert "s3cret" not in caplog.text


async def test_a_token_goes_to_nobody_else(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    server = await ends.server()
    heard: list[Any] = []
    server.assign_callback("ALYX", lambda data, addr: heard.append(data))
    client = await ends.client(server.server_uri, allow_cleartext_token=["another"])
    for send in (client.alyx, Services([client]).alyx):
        with (
            caplog.at_level(logging.DEBUG),
            pytest.raises(AlyxTokenNotAllowed, match="allow_cleartext_token"),
        ):
            await send(LoggedIn())
    assert heard == []
    assert "s3cret" not in caplog.text


async def test_a_token_is_asked_for_and_answered(ends: Ends) -> None:
    server = await ends.server(allow_cleartext_token=["127.0.0.1"])
    server.assign_callback("ALYX", lambda data, addr: ends.later(server.alyx(LoggedIn(), addr=addr)))
    client = await ends.client(server.server_uri)
    assert await client.alyx(None) == ["https://alyx.example.org", {"sara": {"token": "s3cret"}}]


# -- manners -------------------------------------------------------------------------------------------------


async def test_wrong_use_is_refused_as_iblutil_does(ends: Ends) -> None:
    server = await ends.server()
    client = await ends.client(server.server_uri)
    with pytest.raises(TypeError, match="addr"):
        await server.init()
    with pytest.raises(ValueError, match="only"):
        await client.init(addr=("127.0.0.1", 9))
    with pytest.raises(ValueError, match="above zero"):
        await client.confirmed_send([1, None], timeout=-1)
    with pytest.raises(ValueError, match="no message"):
        await client.confirmed_send([])
    with pytest.raises(ValueError, match="unknown event"):
        client.send([3, None])
    with pytest.raises(AttributeError):
        server.role = "client"
    with pytest.raises(ValueError, match="'server' or 'client'"):
        EchoProtocol("127.0.0.1", "both")


async def test_an_address_that_is_taken_is_an_os_error_that_says_what_to_do(ends: Ends) -> None:
    server = await ends.server()
    with pytest.raises(OSError, match="another program") as caught:
        await EchoProtocol.server(server.server_uri, name="second")
    assert isinstance(caught.value, MultirigError)


async def test_sending_without_waiting_is_heard(ends: Ends) -> None:
    server = await ends.server()
    heard: list[Any] = []
    server.assign_callback("EXPSTATUS", lambda data, addr: heard.append(data))
    client = await ends.client(server.server_uri)
    client.send([32, 20])
    await until(lambda: heard == [[20]])


async def test_whether_an_echo_is_awaited_is_known(ends: Ends) -> None:
    with raw() as other:
        client = await ends.client(f"udp://127.0.0.1:{other.getsockname()[1]}")
        assert not client.awaiting_response()
        task = ends.later(client.init(1))
        sent, addr = await receive(other)
        assert client.awaiting_response()
        assert client.awaiting_response((client.hostname, client.port))
        assert not client.awaiting_response(("127.0.0.1", 9))
        other.sendto(sent, addr)
        await task
    assert not client.awaiting_response()


async def test_closing_cancels_what_waits_and_says_so(ends: Ends) -> None:
    server = await ends.server()
    waiting = ends.later(server.on_event("EXPEND"))
    await asyncio.sleep(0)
    server.close()
    server.close()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert server.on_connection_lost.result() == "closed"
    assert server.on_error_received.cancelled()
    assert not server.is_connected
    with pytest.raises(RigUnreachable, match="closed"):
        await server.confirmed_send([1, None], addr=("127.0.0.1", 9))


async def test_a_server_that_ends_is_noticed_over_tcp(ends: Ends) -> None:
    server = await ends.server(scheme="tcp")
    client = await ends.client(server.server_uri)
    await client.init(1)
    server.close()
    await asyncio.wait_for(asyncio.shield(client.on_eof_received), 5)
    assert not client.is_connected


# -- several rigs -------------------------------------------------------------------------------------


async def make_rigs(ends: Ends, *names: str, order: list[str] | None = None) -> Services:
    clients = []
    for name in names:
        server = await ends.server()
        server.assign_callback(
            ExpMessage.any(),
            lambda data, addr, event, name=name: order.append(name) if order is not None else None,
        )
        ends.answering(server)
        clients.append(await ends.client(server.server_uri, name=name))
    return Services(clients, timeout=5)


@pytest.mark.parametrize("concurrent", [True, False])
async def test_services_tell_all_in_their_order_and_stop_the_last_first(ends: Ends, concurrent: bool) -> None:
    order: list[str] = []
    services = await make_rigs(ends, "a", "b", order=order)
    assert await services.init({"x": 1}, concurrent=concurrent) == {"a": [{"x": 1}], "b": [{"x": 1}]}
    assert await services.start("r", concurrent=concurrent) == {"a": ["r", None], "b": ["r", None]}
    assert await services.status(20, concurrent=concurrent) == {"a": [20], "b": [20]}
    assert await services.info("CONNECTED") == {"a": [0, {"name": "rig"}], "b": [0, {"name": "rig"}]}
    if not concurrent:
        assert order[:4] == ["a", "b", "a", "b"]
        order.clear()
        assert list(await services.stop(concurrent=False)) == ["a", "b"]
        assert list(await services.cleanup(concurrent=False)) == ["a", "b"]
        assert order == ["b", "a", "b", "a"]
    assert services.is_connected
    assert len(services) == 2


async def test_w28_one_dead_rig_is_named_and_the_others_are_told(ends: Ends) -> None:
    services = await make_rigs(ends, "a", "c")
    dead = await ends.client(f"udp://127.0.0.1:{free_port()}", name="b")
    heard: list[Any] = []
    for one in services.values():
        one.assign_callback("EXPSTART", lambda data, addr: heard.append(data))
    all_three = Services([services["a"], dead, services["c"]], timeout=5)
    with pytest.raises(SessionFailed, match="nothing listens") as caught:
        await all_three.start("r")
    assert list(caught.value.causes) == ["b"]
    assert len(heard) == 2
    assert not all_three.is_connected


async def test_who_does_not_reply_in_time_is_named(ends: Ends) -> None:
    server = await ends.server()
    services = Services([await ends.client(server.server_uri, name="mute")], timeout=0.1)
    with pytest.raises(NotAllAnswered, match=r"mute: did not answer EXPINIT within 0\.1 s") as caught:
        await services.init()
    assert isinstance(caught.value, TimeoutError)


async def test_callbacks_on_all_may_get_their_service(ends: Ends) -> None:
    services = await make_rigs(ends, "a", "b")
    heard: list[Any] = []

    def note(data: Any, addr: Any, service: Any) -> None:
        heard.append(service.name)

    services.assign_callback("EXPSTATUS", note, return_service=True)
    await services.status(20)
    assert sorted(heard) == ["a", "b"]
    assert services.clear_callbacks("EXPSTATUS", note) == {"a": 1, "b": 1}
    await services.status(20)
    assert len(heard) == 2


async def test_all_may_be_waited_for(ends: Ends) -> None:
    services = await make_rigs(ends, "a", "b")
    waiting = ends.later(services.await_all("EXPSTATUS"))
    await asyncio.sleep(0)
    for one in services.values():
        await one.status(20)
    assert await waiting == {"a": [20], "b": [20]}
    services.timeout = 0.05
    with pytest.raises(TimeoutError, match="EXPEND"):
        await services.await_all("EXPEND")


async def test_what_is_no_service_is_refused() -> None:
    with pytest.raises(TypeError, match="communicators"):
        Services(["cameras"])
    assert not Services([]).is_connected
    assert await Services([]).init() == {}


@pytest.mark.parametrize("says", ["confirmed", "send"])
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize("server", ["ours", *(["iblutil"] if HAS_IBLUTIL else [])])
async def test_the_null_event_names_what_could_not_be_handled(
    server: str, scheme: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("boom")

    async with Ends() as ends:
        rig = await ends.server(server, scheme)
        client = await ends.client(rig.server_uri)
        rig.assign_callback("EXPSTART", fail)
        heard: list[Any] = []
        client.assign_callback(0, lambda data, addr: heard.append(data))
        message = [ExpMessage.EXPSTART, "2026-01-31_1_SP_01", None]
        if says == "send":
            client.send(message)
        else:
            with contextlib.suppress(RemoteProtocolError):
                await client.confirmed_send(message)
        await until(lambda: heard)
    assert heard == [["ValueError: boom", 2]]
    assert "rig could not handle EXPSTART: ValueError: boom" in caplog.text


async def test_what_is_heard_is_in_the_log_without_its_data(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with Ends() as ends:
        rig = await ends.server()
        client = await ends.client(rig.server_uri)
        client.send([ExpMessage.EXPSTATUS, 20])
        await until(lambda: "says EXPSTATUS" in caplog.text)
        client.send([ExpMessage.EXPINFO, 0, {"subject": "SP_01"}])
        await until(lambda: "says EXPINFO" in caplog.text)
    assert "SP_01" not in caplog.text
