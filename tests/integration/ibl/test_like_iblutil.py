"""What iblutil's own tests ask of its network, asked again of the public names: of ours, and of iblutil's.

What is different on purpose stands in docs/reference/ibl.md, and is asked of ours alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import http.server
import importlib
import importlib.util
import ipaddress
import logging
import socket
import threading
from typing import Any

import pytest

from multirig.ibl.net import app, base

HAS_IBLUTIL = importlib.util.find_spec("iblutil") is not None
KINDS = ["ours", pytest.param("iblutil", marks=pytest.mark.iblutil)] if HAS_IBLUTIL else ["ours"]
both = pytest.mark.parametrize("kind", KINDS)
over_both = pytest.mark.parametrize("scheme", ["udp", "ws"])


def names(kind: str, module: str) -> Any:
    """Return a module of ours, or iblutil's."""
    return importlib.import_module(f"{'multirig.ibl' if kind == 'ours' else 'iblutil.io'}.net.{module}")


def bound(scheme: str = "udp") -> socket.socket:
    """Return a socket on a port of this PC."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM)
    one.bind(("127.0.0.1", 0))
    return one


def free_uri(scheme: str = "udp") -> str:
    with bound(scheme) as one:
        return f"{scheme}://127.0.0.1:{one.getsockname()[1]}"


async def until(claim: Any, limit: float = 5.0) -> None:
    end = asyncio.get_running_loop().time() + limit
    while not claim():
        assert asyncio.get_running_loop().time() < end, "it did not come true in time"
        await asyncio.sleep(0.002)


class Ends(contextlib.AsyncExitStack):
    """Ends of one kind, each with a log of its own, closed at the end of a test."""

    async def server(self, kind: str, scheme: str = "udp", name: str = "server", **options: Any) -> Any:
        return await self._open(kind, "server", free_uri(scheme), name, options)

    async def client(self, kind: str, uri: str, name: str = "client", **options: Any) -> Any:
        return await self._open(kind, "client", uri, name, options)

    async def pair(self, kind: str, scheme: str = "udp") -> tuple[Any, Any]:
        server = await self.server(kind, scheme)
        return server, await self.client(kind, server.server_uri)

    async def _open(self, kind: str, role: str, uri: str, name: str, options: dict[str, Any]) -> Any:
        log = logging.getLogger(f"test.{name}")
        made = getattr(names(kind, "app").EchoProtocol, role)
        one = await made(uri, name=name, log=log, **options)
        if kind == "ours":
            self.push_async_callback(one.wait_closed)
        else:
            self.callback(lambda: one.Server and one.Server.close())
        self.callback(one.close)
        return one

    async def waiting(self, work: Any) -> Any:
        """Begin something, and come back when it waits."""
        task = asyncio.ensure_future(work)
        self.callback(task.cancel)
        await asyncio.sleep(0)
        return task


@pytest.fixture
def ends() -> Ends:
    return Ends()


def said(caplog: pytest.LogCaptureFixture, com: Any, level: int) -> list[str]:
    """Return what a communicator has written into its log at a level."""
    return [
        one.getMessage() for one in caplog.records if one.name == com.logger.name and one.levelno == level
    ]


# -- addresses, events, bytes --------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("given", "more", "whole"),
    [
        ("udp://192.168.0.1:9999", {}, "udp://192.168.0.1:9999"),
        ("192.168.0.1:9999", {}, "udp://192.168.0.1:9999"),
        ("192.168.0.1:9999", {"default_proc": "ws"}, "ws://192.168.0.1:9999"),
        ("udp://192.168.0.1", {"default_port": 9999}, "udp://192.168.0.1:9999"),
        (ipaddress.ip_address("192.168.0.1"), {"default_port": 9999}, "udp://192.168.0.1:9999"),
        ("camera-pc", {"resolve_host": False}, "udp://camera-pc:11001"),
        ("http://localhost:80", {}, "http://127.0.0.1:80"),
    ],
)
def test_an_address_is_completed(kind: str, given: Any, more: Any, whole: str) -> None:
    assert names(kind, "base").validate_uri(given, **more) == whole


@both
@pytest.mark.parametrize("given", ["256.168.0.0000", "camera@pc$", "camera-pc:00", "camera-pc:x"])
def test_no_address_is_a_value_error(kind: str, given: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        names(kind, "base").validate_uri(given, resolve_host=False)


@both
def test_a_blank_address_is_a_value_error_and_bytes_are_a_type_error(kind: str) -> None:
    validate_uri = names(kind, "base").validate_uri
    with pytest.raises(ValueError, match=r".+"):
        validate_uri(" ")
    with pytest.raises(TypeError):
        validate_uri(b"localhost")


@both
async def test_only_a_future_that_has_a_result_is_a_success(kind: str) -> None:
    is_success = names(kind, "base").is_success
    open_, done, failed, cancelled = (asyncio.get_running_loop().create_future() for _ in range(4))
    done.set_result(None)
    failed.set_exception(RuntimeError("no light"))
    cancelled.cancel()
    assert [is_success(one) for one in (open_, done, failed, cancelled)] == [False, True, False, False]


@both
def test_an_event_is_found_and_several_stay_the_same(kind: str) -> None:
    event = names(kind, "base").ExpMessage
    assert event.validate(event.EXPINFO) is event.EXPINFO
    assert event.validate(8) is event.EXPCLEANUP
    assert event.validate(" expstatus") is event.EXPSTATUS
    assert event.validate(event.any()) is event.any()
    with pytest.raises(ValueError, match=r".+"):
        event.validate(event.any(), allow_bitwise=False)
    with pytest.raises(ValueError, match="EXPSTOP"):
        event.validate("EXPSTOP")
    with pytest.raises(TypeError):
        event.validate(b"EXPSTART")


@both
def test_bytes_are_written_and_read(kind: str) -> None:
    com = names(kind, "base").Communicator
    wire = b'[null, 21, "message"]'
    assert com.encode([None, 21, "message"]) == com.encode(wire) == wire
    assert com.decode(wire) == [None, 21, "message"]
    with pytest.warns(UserWarning, match="JSON"):
        assert com.decode(wire + b'"') == '[null, 21, "message"]"'


def test_this_networks_address_is_what_the_internet_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Internet(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"8.8.4.4\n")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Internet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setattr(base, "IP_SERVICE", f"http://127.0.0.1:{server.server_port}")
        assert not base.external_ip().is_private
        thread.join()


# -- two ends ------------------------------------------------------------------------------------------------


@both
@over_both
async def test_a_start_is_heard_and_logged_with_the_address_of_who_said_it(
    ends: Ends, caplog: pytest.LogCaptureFixture, kind: str, scheme: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server, client = await ends.pair(kind, scheme)
    heard: list[Any] = []
    server.assign_callback("expstart", lambda data, addr: heard.append((data, addr)))
    await client.start("2022-01-01_1_subject")
    [(data, addr)] = heard
    assert data == ["2022-01-01_1_subject", None]
    assert (type(addr), len(addr)) == (tuple, 2)
    [line] = [one for one in said(caplog, server, logging.INFO) if str(addr[1]) in one]
    assert ("EXPSTART" if kind == "ours" else "2022-01-01_1_subject") in line
    answer = await ends.waiting(client.on_event("EXPINFO"))
    await server.info("RUNNING", addr=addr)
    assert await answer == ([20, None], (server.hostname, server.port))


STATUS = base.ExpStatus
REFERENCE = {"subject": "baz", "date": datetime.date(2020, 1, 1), "sequence": 1}


@both
@over_both
async def test_every_event_may_be_waited_for(ends: Ends, kind: str, scheme: str) -> None:
    server, client = await ends.pair(kind, scheme)
    event = names(kind, "base").ExpMessage
    for waits_for, say, expected in (
        ("expinit", client.init(42), [42]),
        (event.EXPCLEANUP, client.cleanup(8), [8]),
        ("EXPEND", client.stop("foo"), ["foo"]),
        ("expinterrupt", client.stop("foo", immediately=True), ["foo"]),
        ("expstart", client.start("2020-01-01_1_baz", {"foo": "bar"}), ["2020-01-01_1_baz", {"foo": "bar"}]),
        ("expstart", client.start(REFERENCE), ["2020-01-01_1_baz", None]),
        ("EXPSTATUS", client.status(names(kind, "base").ExpStatus.STOPPED), [30]),
        ("EXPSTATUS", client.status("CONNECTED"), [0]),
        (64, client.info(20, {"foo": "bar"}), [20, {"foo": "bar"}]),
    ):
        waiting = await ends.waiting(server.on_event(waits_for))
        await say
        data, _ = await asyncio.wait_for(waiting, 5)
        assert data == expected


@both
async def test_a_callback_that_fails_is_one_line_with_its_error_at_both_ends(
    ends: Ends, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    def fail(data: Any, addr: Any) -> None:
        raise ValueError("no light")

    server, client = await ends.pair(kind)
    server.assign_callback("EXPINIT", fail)
    failed = await ends.waiting(client.on_event(0))
    with contextlib.suppress(RuntimeError):  # where it is known before the receipt, ours raises it here too
        await client.init()
    (error, event), _ = await asyncio.wait_for(failed, 5)
    assert (error, event) == ("ValueError: no light", 1)
    for end in (server, client):
        [line] = said(caplog, end, logging.ERROR)
        assert "no light" in line


@both
async def test_a_future_that_has_a_result_already_is_warned_of(
    ends: Ends, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    server, client = await ends.pair(kind)
    future = asyncio.get_running_loop().create_future()
    server.assign_callback("EXPSTART", future)
    future.set_result(True)
    await client.start("2022-01-01_1_subject")
    await until(lambda: said(caplog, server, logging.WARNING))
    [line] = said(caplog, server, logging.WARNING)
    assert "already" in line
    assert server.clear_callbacks("EXPSTART") == 0


async def test_a_future_that_was_cancelled_is_nothing_to_warn_of(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    server, client = await ends.pair("ours")
    future = asyncio.get_running_loop().create_future()
    server.assign_callback("EXPSTART", future)
    future.cancel()
    await client.start("2022-01-01_1_subject")
    assert said(caplog, server, logging.WARNING) == []
    assert server.clear_callbacks("EXPSTART") == 0


@both
async def test_callbacks_are_counted_and_futures_kept_where_that_is_asked(ends: Ends, kind: str) -> None:
    _, client = await ends.pair(kind)
    event = names(kind, "base").ExpMessage
    future = asyncio.get_running_loop().create_future()
    client.assign_callback(event.EXPEND | event.EXPINTERRUPT, future)
    client.assign_callback("EXPEND", print)
    client.assign_callback("EXPEND", print)
    assert client.clear_callbacks("EXPEND", print) == 2
    assert client.clear_callbacks("EXPEND", future, cancel_futures=False) == 1
    assert not future.cancelled()
    assert client.clear_callbacks(event.any()) == 1
    assert future.cancelled()
    with pytest.raises(TypeError):
        client.assign_callback("EXPEND", "print")


@both
async def test_what_nobody_listens_for_is_in_the_log_for_who_looks_closely(
    ends: Ends, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server, client = await ends.pair(kind)
    await client.stop("foo", immediately=True)
    await until(lambda: any("EXPINTERRUPT" in one for one in said(caplog, server, logging.DEBUG)))


class Alyx:
    """What is looked at of a client of Alyx."""

    base_url = "https://alyx.example.org"

    def __init__(self, *, is_logged_in: bool) -> None:
        self.is_logged_in = is_logged_in
        self.user = "foo" if is_logged_in else None
        self._token = {"token": "4157"} if is_logged_in else None


@both
@pytest.mark.parametrize("asks", ["logged out", "none"])
async def test_a_token_is_sent_by_who_is_logged_in_and_asked_for_by_others(
    ends: Ends, kind: str, asks: str
) -> None:
    allowed: Any = {"allow_cleartext_token": ["127.0.0.1"]} if kind == "ours" else {}
    server = await ends.server(kind, **allowed)
    client = await ends.client(kind, server.server_uri, **allowed)
    token = ["https://alyx.example.org", {"foo": {"token": "4157"}}]
    heard = await ends.waiting(server.on_event("ALYX"))
    assert await client.alyx(Alyx(is_logged_in=True)) is None
    assert (await heard)[0] == token

    asked: list[Any] = []

    async def answer() -> None:
        data, addr = await server.on_event("ALYX")
        asked.append(data)
        await asyncio.sleep(0.05)
        await server.alyx(Alyx(is_logged_in=True), addr)

    answering = await ends.waiting(answer())
    got = await client.alyx(Alyx(is_logged_in=False) if asks == "logged out" else None)
    await answering
    assert asked == [["https://alyx.example.org" if asks == "logged out" else None, {}]]
    assert got == token


@both
async def test_wrong_use_is_refused(ends: Ends, kind: str) -> None:
    server, client = await ends.pair(kind)
    with pytest.raises(TypeError):
        await server.confirmed_send([32, 20])
    with pytest.raises(ValueError, match=r".+"):
        await client.confirmed_send([32, 20], addr=(client.hostname, client.port + 1))
    client.default_echo_timeout = 0
    with pytest.raises(ValueError, match=r".+"):
        await client.confirmed_send([32, 20])
    assert names(kind, "app").EchoProtocol.default_echo_timeout > 0
    assert (server.role, client.role) == ("server", "client")
    with pytest.raises(AttributeError):
        client.role = "server"
    with pytest.raises(ValueError, match="server"):
        names(kind, "app").EchoProtocol("127.0.0.1", "nonsense")


@both
@pytest.mark.parametrize("how", ["for one message", "for all"])
async def test_an_echo_that_does_not_come_is_a_timeout_error(ends: Ends, kind: str, how: str) -> None:
    silent = ends.enter_context(bound())
    client = await ends.client(kind, f"udp://127.0.0.1:{silent.getsockname()[1]}")
    if how == "for all":
        client.default_echo_timeout = 0.1
    timeout = 0.1 if how == "for one message" else None
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.confirmed_send([32, 20], timeout=timeout), 0.9)
    assert bool(client.is_connected) is (kind == "ours")  # iblutil's says no more from then on


@both
async def test_an_echo_is_awaited_until_its_caller_gives_up(ends: Ends, kind: str) -> None:
    silent = ends.enter_context(bound())
    host, port = silent.getsockname()
    client = await ends.client(kind, f"udp://{host}:{port}")
    assert not client.awaiting_response()
    saying = await ends.waiting(client.init())
    await asyncio.sleep(0.01)
    assert client.awaiting_response()
    assert client.awaiting_response(addr=(host, port))
    assert not client.awaiting_response(addr=("127.0.0.1", 9))
    saying.cancel()
    await asyncio.wait([saying])
    assert not client.awaiting_response()


@both
async def test_a_client_hears_nobody_but_its_server(ends: Ends, kind: str) -> None:
    server, client = await ends.pair(kind)
    addresses: list[Any] = []
    server.assign_callback("EXPINIT", lambda data, addr: addresses.append(addr))
    heard: list[Any] = []
    client.assign_callback("EXPSTATUS", lambda data, addr: heard.append(data))
    await client.init()
    ends.enter_context(bound()).sendto(b"[32, 20]", addresses[0])
    await server.status("STOPPED", addr=addresses[0])
    await until(lambda: heard)
    assert heard == [[30]]


async def test_what_is_no_message_is_a_warning_in_the_log(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    server = await ends.server("ours")
    with bound() as stranger:
        for _ in range(3):
            stranger.sendto(b"foo", (server.hostname, server.port))
        await until(lambda: said(caplog, server, logging.WARNING))
        await asyncio.sleep(0.05)
    [line] = said(caplog, server, logging.WARNING)
    assert "no message" in line or "not JSON" in line


@both
async def test_the_end_cancels_what_waits_and_frees_the_port(ends: Ends, kind: str) -> None:
    server = await ends.server(kind)
    silent = ends.enter_context(bound())
    assert server.is_connected
    waiting = await ends.waiting(server.on_event("EXPCLEANUP"))
    saying = await ends.waiting(server.init(addr=silent.getsockname()))
    await asyncio.sleep(0.01)
    assert server.awaiting_response()
    server.close()
    await asyncio.wait([waiting, saying], timeout=5)
    assert waiting.cancelled()
    assert saying.cancelled()
    assert not server.is_connected
    assert isinstance(await server.on_connection_lost, str)
    assert server.on_eof_received.cancelled()
    assert server.on_error_received.cancelled()
    assert server.clear_callbacks(names(kind, "base").ExpMessage.any()) == 0
    await asyncio.sleep(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind((server.hostname, server.port))


@both
async def test_an_error_of_the_network_is_logged_and_known(
    ends: Ends, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    client = await ends.client(kind, free_uri())
    client.send(b"[32, 20]", (client.hostname, client.port)) if kind == "ours" else client.send(b"[32, 20]")
    error = await asyncio.wait_for(client.on_error_received, 5)
    assert isinstance(error, OSError)
    assert said(caplog, client, logging.ERROR)


async def test_a_stream_that_ends_is_one_line(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server, client = await ends.pair("ours", "ws")
    await client.init()
    server.close()
    await asyncio.wait_for(client.on_connection_lost, 5)
    assert [one for one in said(caplog, client, logging.INFO) if "server" in one or "closed" in one]
    assert said(caplog, client, logging.ERROR) == []


async def test_an_address_of_another_kind_of_network_is_a_value_error(ends: Ends) -> None:
    with pytest.raises(ValueError, match=r"'http' is not one of .*udp"):
        await ends.client("ours", "http://127.0.0.1:80")


@over_both
async def test_a_client_sends_messages_and_only_to_its_server(ends: Ends, scheme: str) -> None:
    server, client = await ends.pair("ours", scheme)
    heard: list[Any] = []
    server.assign_callback("EXPSTATUS", lambda data, addr: heard.append(data))
    with pytest.raises(ValueError, match=r"speaks to .* only"):
        client.send(b"[32, 10]", addr=("192.168.0.1", 9))
    with pytest.raises(ValueError, match="no message"):
        client.send(b"foo")
    client.send(b"[32, 20]")
    await until(lambda: heard)
    assert heard == [[20]]


# -- several rigs --------------------------------------------------------------------------------------------


@both
async def test_services_cannot_be_changed_and_hold_services_only(ends: Ends, kind: str) -> None:
    _, client = await ends.pair(kind)
    services = names(kind, "app").Services([client])
    with pytest.raises(TypeError):
        services["another"] = client
    with pytest.raises(TypeError):
        services.pop("client")
    with pytest.raises(TypeError):
        names(kind, "app").Services([client, None])


@both
async def test_services_are_connected_until_they_are_closed(ends: Ends, kind: str) -> None:
    server = await ends.server(kind)
    clients = [await ends.client(kind, server.server_uri, name) for name in ("left", "right")]
    services = names(kind, "app").Services(clients)
    assert services.is_connected
    services.close()
    assert not services.is_connected
    assert not any(one.is_connected for one in clients)


@both
async def test_callbacks_are_assigned_to_all_and_taken_back(ends: Ends, kind: str) -> None:
    server = await ends.server(kind)
    clients = [await ends.client(kind, server.server_uri, name) for name in ("left", "right")]
    services = names(kind, "app").Services(clients)
    addresses: list[Any] = []
    server.assign_callback("EXPSTATUS", lambda data, addr: addresses.append(addr))
    for one in clients:
        await one.status(0)
    heard: list[Any] = []

    def note(*arguments: Any) -> None:
        heard.append(arguments)

    def note_too(*arguments: Any) -> None:
        heard.append(arguments)

    async def tell() -> list[Any]:
        heard.clear()
        for addr in addresses:
            await server.init("foo", addr=addr)
        await until(lambda: len(heard) >= 2)
        return list(heard)

    where = (server.hostname, server.port)
    services.assign_callback("EXPINIT", note)
    assert await tell() == [(["foo"], where)] * 2
    services.assign_callback("EXPINIT", note_too, return_service=True)
    found = await tell()
    assert [one for one in found if len(one) == 3] == [(["foo"], where, one) for one in clients]
    with pytest.raises(TypeError):
        services.assign_callback("EXPEND", "foo")
    services.assign_callback("EXPINIT", note_too)
    assert services.clear_callbacks("EXPINIT", note) == {"left": 1, "right": 1}
    assert services.clear_callbacks("EXPINIT") == {"left": 2, "right": 2}
    future = asyncio.get_running_loop().create_future()
    services.assign_callback("EXPINIT", future)
    services.clear_callbacks("EXPINIT")
    assert future.cancelled()


async def test_what_cannot_be_called_is_refused_with_the_service_too(ends: Ends) -> None:
    _, client = await ends.pair("ours")
    with pytest.raises(TypeError, match="neither a callable nor a future"):
        app.Services([client]).assign_callback("EXPEND", "foo", return_service=True)
    assert client.clear_callbacks("EXPEND") == 0


@both
@over_both
@pytest.mark.parametrize("concurrent", [True, False])
async def test_replies_come_back_as_data(ends: Ends, kind: str, scheme: str, concurrent: bool) -> None:
    servers = [await ends.server(kind, scheme) for _ in range(2)]
    clients = [await ends.client(kind, one.server_uri, f"rig{n}") for n, one in enumerate(servers)]
    services = names(kind, "app").Services(clients)

    async def respond(server: Any) -> None:
        _, addr = await server.on_event("EXPINIT")
        await asyncio.sleep(0.1)
        await server.init(42, addr)

    for one in servers:
        await ends.waiting(respond(one))
    assert await services.init("foo", concurrent=concurrent) == {"rig0": [42], "rig1": [42]}


def a_communicator(kind: str, name: str, order: list[str]) -> Any:
    """Return a communicator as a lab writes one, for a device with a protocol of its own."""

    class Device(names(kind, "base").Communicator):  # type: ignore[misc]
        is_connected = True

        def __init__(self) -> None:
            super().__init__("127.0.0.1", name=name)
            self.told: list[Any] = []

        def send(self, data: Any, addr: Any = None) -> None:
            """Say nothing."""

        async def on_event(self, event: Any) -> Any:
            order.append(f"{name} replies")
            return [name], ("127.0.0.1", 1)

        def __getattribute__(self, verb: str) -> Any:
            if verb not in ("init", "start", "stop", "cleanup", "status", "info", "alyx"):
                return super().__getattribute__(verb)

            async def tell(*args: Any, **kwargs: Any) -> None:
                order.append(f"{name} is told")
                self.told.append((verb, args, kwargs))

            return tell

    Device.__abstractmethods__ = frozenset()
    return Device()


@both
async def test_any_communicator_is_told_by_its_verbs_and_asked_for_the_event(kind: str) -> None:
    devices = [a_communicator(kind, name, []) for name in ("left", "right")]
    services = names(kind, "app").Services(devices)
    replies = {"left": ["left"], "right": ["right"]}
    assert await services.init([42, "foo"]) == replies
    assert await services.start("2020-01-01_1_subject") == replies
    assert await services.info(STATUS.RUNNING, {"exp_ref": "x"}) == replies
    assert await services.status(STATUS.STOPPED) == replies
    assert await services.stop(immediately=True) == replies
    assert await services.cleanup(data=[42, "foo"]) == replies
    await services.alyx(None)
    for one in devices:
        assert one.told == [
            ("init", (), {"data": [42, "foo"]}),
            ("start", ("2020-01-01_1_subject",), {"data": None}),
            ("info", (STATUS.RUNNING,), {"data": {"exp_ref": "x"}}),
            ("status", (STATUS.STOPPED,), {}),
            ("stop", (), {"data": None, "immediately": True}),
            ("cleanup", (), {"data": [42, "foo"]}),
            ("alyx", (None,), {}),
        ]


@both
async def test_one_after_the_other_is_told_when_the_one_before_has_replied(kind: str) -> None:
    order: list[str] = []
    services = names(kind, "app").Services([a_communicator(kind, name, order) for name in ("left", "right")])
    assert await services.init("foo", concurrent=False) == {"left": ["left"], "right": ["right"]}
    turns = [one.partition(" ")[0] for one in order]
    assert turns == ["left", "left", "right", "right"]
