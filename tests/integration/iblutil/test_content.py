"""The table of faults, W16 to W38: what messages hold, who may send them, and who is told."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import socket
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import hear, listen

from multirig.errors import (
    LocalProtocolError,
    MultirigError,
    RemoteProtocolError,
    RigUnreachable,
    SessionFailed,
    Unconfirmed,
)
from multirig.lifecycle.session_events import Heard, Limits
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.dialect import write
from multirig.protocol.events import SECOND, Address
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import AlyxToken, Word

pytestmark = [
    pytest.mark.iblutil,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:iblutil.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:iblutil.*"),
]

SUBJECT = "SP_01"
TRANSPORTS = pytest.mark.parametrize("scheme", ["udp", "tcp"])
CONNECTED, INITIALIZED, RUNNING, STOPPED = 0, 10, 20, 30
TOKEN = ("https://alyx.example.org", {"user": {"token": "abc"}})
REQUEST_FOR_TOKEN = b"[128, null, {}]"


def answer(outcomes: dict[str, Any], rig: str = "rig") -> Message:
    """The reply of a rig that must have replied, as the rig has said it."""
    outcome = outcomes[rig]
    assert isinstance(outcome, Word), outcome
    return write(outcome)


async def said(heard: Awaitable[tuple[str, Word]]) -> tuple[str, Message]:
    """Which rig is heard, and the message as it has said it; it must come soon."""
    rig, word = await asyncio.wait_for(heard, 1)
    return rig, write(word)


# -- W16: too long for a datagram ----------------------------------------------------------------------


async def test_w16_a_message_too_long_for_udp_is_refused_before_it_is_sent(lab: Any) -> None:
    rig = await lab.ibl_rig()
    relay = await lab.relay(rig, {})
    conductor = await lab.conductor({"rig": relay})
    began = time.perf_counter()
    outcome = (await conductor.request(Event.EXPINFO, 0, {"x": "x" * 70_000}))["rig"]
    assert time.perf_counter() - began < 0.3
    assert isinstance(outcome, MultirigError)
    assert "70,0" in str(outcome)
    assert "the limit is 65,507" in str(outcome)
    assert "tcp://" in str(outcome)
    assert max(len(data) for _, data in relay.seen) < 1_000  # it was asked briefly first, and no more
    answer(await conductor.request(Event.EXPINFO, 0, {"x": "x" * 60_000}))


async def test_w16_an_answer_too_long_for_udp_becomes_an_error(lab: Any) -> None:
    rig = await lab.rig(alyx_token_to=["127.0.0.1"])
    rig.machine.tokens.token = AlyxToken(url=TOKEN[0], credentials={"user": "x" * 70_000})
    peer = await lab.raw(rig)
    code, text, event = json.loads(await peer.ask(REQUEST_FOR_TOKEN))
    assert (code, event) == (0, Event.ALYX)
    assert "the limit is 65,507" in text


async def test_w16_the_original_is_silent(lab: Any) -> None:
    client = await lab.ibl_client(await lab.rig())
    with pytest.raises(TimeoutError):
        await client.info("CONNECTED", {"x": "x" * 70_000})


# -- W17: noise ----------------------------------------------------------------------------------------

NOISE = [
    b"",
    b"x",
    b"1",
    b"\xff\xfe\xfd",
    b"[",
    b"]",
    b"[]",
    b'"text"',
    b"{}",
    b'{"multirig": 2}',
    b"\x00" * 100,
]


async def test_w17_noise_on_udp_is_logged_once_a_peer_and_ignored(lab: Any, caplog: Any) -> None:
    rig = await lab.rig()
    peers = [await lab.raw(rig) for _ in range(2)]
    with caplog.at_level(logging.WARNING, "multirig.rig"):
        for noise in NOISE:
            for peer in peers:
                peer.send(noise)
        for peer in peers:
            assert json.loads(await peer.ask(b"[32, 0]")) == [32, CONNECTED]
    for peer in peers:
        warnings = [one for one in caplog.messages if f":{peer.port}" in one]
        assert 1 <= len(warnings) <= 2  # of each wire's


async def test_w17_noise_on_tcp_does_not_end_the_connection(lab: Any) -> None:
    rig = await lab.rig(uri="tcp://127.0.0.1:0")
    stream = await lab.raw_stream(rig)
    for noise in (b"x", b"\xff\xfe\xfd", b"]]", b"\r\n", b'"text"', b"{}", b"[]", b"[nonsense]"):
        stream.send(noise)
        await asyncio.sleep(0.01)
    stream.send(b"[32, 0]")
    await stream.receive(b"[32, 0]")
    assert json.loads(await stream.receive_raw()) == [32, CONNECTED]


@TRANSPORTS
async def test_w17_a_rig_that_says_nonsense_is_still_led(lab: Any, scheme: str) -> None:
    rig = await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"rig": rig})
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    await rig.settle()
    for noise in (b"x", b"\xff\xfe\xfd", b"[]"):
        rig.say(noise)
    answer(await conductor.request(Event.EXPSTATUS, 0))
    assert rig.errors == []


# -- W18, W20: what is no event ------------------------------------------------------------------------

NO_EVENTS = [
    b"[256, 1]",
    b"[3, null]",
    b"[-1, 1]",
    b"[1.0, null]",
    b"[true, 1]",
    b'["nonsense", 1]',
    b"[null, 1]",
    b"[{}]",
]


@pytest.mark.parametrize("request_", NO_EVENTS, ids=bytes.decode)
async def test_w18_what_is_no_event_is_not_confirmed_but_answered_by_an_error(
    lab: Any, request_: bytes
) -> None:
    rig = await lab.rig()
    peer = await lab.raw(rig)
    peer.send(request_)
    code, text, *_ = json.loads(await peer.receive())
    assert code == 0
    assert "unknown event" in text
    assert await peer.gather(0.05) == []
    assert rig.adapter.calls == []


async def test_w18_the_original_hears_at_once_that_its_message_is_none(lab: Any) -> None:
    client = await lab.ibl_client(await lab.rig())
    with pytest.raises(RuntimeError):
        await client.confirmed_send([3, None])


async def test_w18_the_original_confirms_what_is_no_event(lab: Any) -> None:
    peer = await lab.raw(await lab.ibl_rig())
    peer.send(b"[3, null]")
    assert await peer.receive() == b"[3, null]"


@pytest.mark.parametrize("request_", [b'["expinfo", 0, null]', b'["ExpInfo", "CONNECTED", {}]'])
async def test_w18_a_name_in_any_case_is_an_event(lab: Any, request_: bytes) -> None:
    peer = await lab.raw(await lab.rig())
    assert json.loads(await peer.ask(request_))[0] == Event.EXPINFO


async def test_w20_short_messages_are_answered_or_tolerated(lab: Any) -> None:
    peer = await lab.raw(await lab.rig())
    for error in (b'[0, "e"]', b"[0]", b'[0, "e", 4]', b'[0, null, "raw text"]', b"[0, {}, []]"):
        peer.send(error)
    assert await peer.gather(0.05) == []
    assert json.loads(await peer.ask(b"[32]")) == [32, CONNECTED]


async def test_w20_a_conductor_tolerates_short_errors(lab: Any) -> None:
    peer = await lab.raw()
    conductor = await lab.conductor({"rig": peer})
    for error, text in ((b'[0, "e"]', "e"), (b"[0]", "an error without a text"), (b'[0, "no", "[4]"]', "no")):
        asked = asyncio.create_task(conductor.request(Event.EXPSTATUS, 0))
        echo = await peer.receive()
        peer.send(echo)
        peer.send(error)
        outcome = (await asked)["rig"]
        assert isinstance(outcome, RemoteProtocolError)
        assert str(outcome) == text


# -- W22, W23: who may command, who may have the token -------------------------------------------------


def knock(rig: Any, host: str) -> list[tuple[Address, bytes]]:
    """Let a host ask a rig for its status, as the transport would bring it; return what would leave."""
    address = Address("udp", host, 50_000)
    now = time.perf_counter_ns()
    rig.node.receive_datagram(b"[32, 0]", address, now)
    return [(to, data) for to, data in rig.node.datagrams_to_send(now) if to == address]


async def test_w22_on_ibls_wire_only_this_pc_may_command_unless_others_are_allowed(lab: Any) -> None:
    rig = await lab.rig(allow_ibl=["203.0.113.7", "2001:470::/32", "10.1.2.3"])
    for host in ("127.0.0.1", "::1", "203.0.113.7", "2001:470::9", "10.1.2.3"):
        assert knock(rig, host), host
    # the last ones are real addresses of other people
    for host in ("192.168.1.9", "10.1.2.4", "fe80::1%eth0", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"):
        assert not knock(rig, host), host
        assert not knock(rig, host), host


async def test_w22_everybody_may_command_where_that_is_asked_for(lab: Any) -> None:
    assert knock(await lab.rig(open=True), "8.8.8.8")


async def test_w23_a_rig_gives_its_token_to_nobody(lab: Any) -> None:
    rig = await lab.rig()
    rig.machine.tokens.token = AlyxToken(url=TOKEN[0], credentials=TOKEN[1])
    relay = await lab.relay(rig, {})
    client = await lab.ibl_client(relay)
    errors: asyncio.Queue[Any] = asyncio.Queue()
    client.assign_callback(0, lambda data, addr: errors.put_nowait(data))
    asked = asyncio.create_task(client.alyx(None))
    text, event = await asyncio.wait_for(errors.get(), 1)
    assert event == Event.ALYX
    assert "alyx_token_to" in text
    assert not [data for _, data in relay.seen if b"abc" in data]
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked


@TRANSPORTS
async def test_w23_a_rig_gives_its_token_to_whom_its_config_names(lab: Any, scheme: str) -> None:
    rig = await lab.rig(uri=f"{scheme}://127.0.0.1:0", alyx_token_to=["127.0.0.1"])
    rig.machine.tokens.token = AlyxToken(url=TOKEN[0], credentials=TOKEN[1])
    client = await lab.ibl_client(rig)
    assert await asyncio.wait_for(client.alyx(None), 1) == list(TOKEN)


@pytest.mark.parametrize("named", [False, True])
async def test_w23_a_conductor_gives_the_token_to_rigs_that_are_named(lab: Any, named: bool) -> None:
    rig = await lab.ibl_rig()
    relay = await lab.relay(rig, {})
    conductor = await lab.conductor({"rig": relay}, may_have_token=["rig"] if named else [])
    conductor.exchange.machine.tokens.token = AlyxToken(url=TOKEN[0], credentials=TOKEN[1])
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    await rig.settle()
    asked = asyncio.create_task(rig.server.alyx(None, addr=rig.conductor))
    if named:
        assert await asyncio.wait_for(asked, 1) == list(TOKEN)
    else:
        await asyncio.sleep(0.1)
        assert not [data for _, data in relay.seen if b"abc" in data]
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked


# -- W24, W25: callbacks and futures -------------------------------------------------------------------


async def test_w24_what_a_rig_says_by_itself_is_heard(lab: Any) -> None:
    rig = await lab.ibl_rig()
    conductor = await lab.conductor({"rig": rig})
    heard = listen(conductor, Heard, lambda one: (one.rig, write(one.word)))
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    await rig.settle()
    await rig.server.status(RUNNING, addr=rig.conductor)
    await lab.until(lambda: heard)
    assert heard == [("rig", Message(Event.EXPSTATUS, (RUNNING,)))]


@TRANSPORTS
async def test_w24_the_caller_of_a_callback_that_raises_learns_at_once(lab: Any, scheme: str) -> None:
    conductor = await lab.conductor({"rig": await lab.ibl_rig(scheme, fails={Event.EXPEND: "boom"})})
    began = time.perf_counter()
    outcome = (await conductor.request(Event.EXPEND, None))["rig"]
    assert time.perf_counter() - began < 0.5
    assert isinstance(outcome, RemoteProtocolError)
    assert str(outcome) == "ValueError: boom"


@TRANSPORTS
async def test_w25_waiting_for_any_message_or_for_some_of_them_works(lab: Any, scheme: str) -> None:
    rig = await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"rig": rig})
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    anything = asyncio.create_task(hear(conductor))
    ending = asyncio.create_task(hear(conductor, Event.EXPEND, Event.EXPINTERRUPT))
    await rig.settle()
    await rig.server.status(RUNNING, addr=rig.conductor)
    assert await said(anything) == ("rig", Message(Event.EXPSTATUS, (RUNNING,)))
    assert not ending.done()
    await asyncio.sleep(0.1)
    await rig.server.stop(["why"], immediately=True, addr=rig.conductor)
    assert await said(ending) == ("rig", Message(Event.EXPINTERRUPT, (["why"],)))
    again = asyncio.create_task(hear(conductor))
    await asyncio.sleep(0.1)
    await rig.server.status(STOPPED, addr=rig.conductor)
    assert await said(again) == ("rig", Message(Event.EXPSTATUS, (STOPPED,)))


async def test_w25_an_error_that_a_rig_tells_by_itself_is_heard_each_time(lab: Any) -> None:
    rig = await lab.ibl_rig()
    conductor = await lab.conductor({"rig": rig})
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    for number in range(2):
        waiting = asyncio.create_task(hear(conductor, Event.ERROR))
        await rig.settle()
        rig.say(b'[0, "the disk of number %d is full", 2]' % number)
        name, message = await said(waiting)
        assert (name, message.args[0]) == ("rig", f"the disk of number {number} is full")


# -- W27 to W30: late, dead and silent -----------------------------------------------------------------


@pytest.mark.parametrize("late", [b'[64, 0, {"n": 1}]', b'[0, "no", 64]'], ids=["reply", "error"])
async def test_w27_what_comes_after_the_limit_is_not_given_to_the_next_request(lab: Any, late: bytes) -> None:
    peer = await lab.raw()
    conductor = await lab.conductor({"rig": peer})
    first = asyncio.create_task(conductor.request(Event.EXPINFO, 0, {"n": 1}, limit=0.2))
    peer.send(await _received(peer))
    assert isinstance((await first)["rig"], Unconfirmed)
    second = asyncio.create_task(conductor.request(Event.EXPINFO, 0, {"n": 2}))
    peer.send(await _received(peer))
    peer.send(late)
    await asyncio.sleep(0.05)
    assert not second.done()
    peer.send(b'[64, 0, {"n": 2}]')
    assert answer(await second).args == (0, {"n": 2})


async def _received(peer: Any) -> bytes:
    data: bytes = await peer.receive()
    return data


async def test_w27_the_original_rigs_late_reply_is_not_given_to_the_next_request(lab: Any) -> None:
    rig = await lab.ibl_rig(delay={Event.EXPINFO: 0.4})
    conductor = await lab.conductor({"rig": rig})
    assert isinstance((await conductor.request(Event.EXPINFO, 0, {}, limit=0.2))["rig"], Unconfirmed)
    rig.status = 20
    began = time.perf_counter()
    answer(await conductor.request(Event.EXPINFO, 0, {"again": True}))
    assert time.perf_counter() - began > 0.35


async def test_w28_with_the_second_of_three_rigs_dead_all_are_told_at_once_and_rolled_back(lab: Any) -> None:
    rigs = {name: await lab.ibl_rig(main_sync=name == "a") for name in "abc"}
    started: dict[str, float] = {}
    for name, rig in rigs.items():
        rig.server.assign_callback(
            int(Event.EXPSTART), lambda data, addr, name=name: started.setdefault(name, time.perf_counter())
        )
    cable = await lab.relay(rigs["b"], {})
    half = SECOND // 2
    conductor = await lab.conductor(
        {"a": rigs["a"], "b": cable, "c": rigs["c"]}, limits=Limits(start=half, stop=half, cleanup=half)
    )
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    cable.is_cut = True
    with pytest.raises(SessionFailed) as failure:
        await session.start()
    assert list(failure.value.causes) == ["b"]
    assert isinstance(failure.value.causes["b"], Unconfirmed)
    assert set(started) == {"a", "c"}
    assert abs(started["a"] - started["c"]) < 0.1
    for rig in (rigs["a"], rigs["c"]):
        assert rig.events()[-3:] == [Event.EXPSTART, Event.EXPINTERRUPT, Event.EXPCLEANUP]
    assert rigs["b"].events() == [Event.EXPINFO, Event.EXPINIT]
    assert session.state is SessionState.IDLE


@TRANSPORTS
async def test_w29_a_request_for_a_token_that_nobody_answers_times_out(lab: Any, scheme: str) -> None:
    conductor = await lab.conductor({"rig": await lab.ibl_rig(scheme)})
    began = time.perf_counter()
    outcome = (await conductor.request(Event.ALYX, None, {}, limit=0.3))["rig"]
    assert 0.2 < time.perf_counter() - began < 0.6
    assert isinstance(outcome, Unconfirmed)


@TRANSPORTS
async def test_w29_a_token_that_is_sent_needs_no_answer(lab: Any, scheme: str) -> None:
    rig = await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"rig": rig})
    answer(await conductor.request(Event.ALYX, *TOKEN, needs_reply=False))
    assert rig.heard == [[128, *TOKEN]]


SAYS_NOTHING = sys.platform == "win32"
"""Windows is asked not to tell a UDP socket that nobody listens: it would read no more."""


@TRANSPORTS
async def test_w30_where_nobody_listens_is_told_at_once(lab: Any, scheme: str) -> None:
    if SAYS_NOTHING and scheme == "udp":
        pytest.skip("Windows does not say that nobody listens at a UDP port")
    rig = await lab.ibl_rig(scheme)
    await rig.close()
    conductor = await lab.conductor({"rig": rig})
    for _ in range(2):
        began = time.perf_counter()
        outcome = (await conductor.request(Event.EXPINFO, 0, {}))["rig"]
        assert time.perf_counter() - began < 0.3
        assert isinstance(outcome, RigUnreachable)
        assert "nothing listens there" in str(outcome)


@TRANSPORTS
async def test_w30_a_rig_that_comes_back_is_heard_again(lab: Any, scheme: str) -> None:
    rig = await lab.rig(uri=f"{scheme}://127.0.0.1:0")
    conductor = await lab.conductor({"rig": rig})
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    await rig.close()
    assert isinstance((await conductor.request(Event.EXPINFO, 0, {}))["rig"], RigUnreachable)
    await lab.rig(uri=str(rig.addresses[0]))
    answer(await conductor.request(Event.EXPINFO, 0, {}))


# -- W32, W33: addresses -------------------------------------------------------------------------------


@TRANSPORTS
@pytest.mark.parametrize("host", ["[::1]", "[::]"])
async def test_w32_ipv6_works(lab: Any, scheme: str, host: str) -> None:
    rig = await lab.rig("main", f"{scheme}://{host}:0", main_sync=True)
    conductor = await lab.conductor({"main": f"{scheme}://[::1]:{rig.addresses[0].port}"})
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    await session.start()
    await session.stop()
    await session.cleanup()
    assert rig.adapter.calls == ["initialise", "start", "stop", "cleanup"]


async def test_w32_wire_1_over_ipv6_works(lab: Any) -> None:
    peer = await lab.raw(await lab.rig(uri="udp://[::1]:0"))
    assert json.loads(await peer.ask(b"[32, 0]")) == [32, CONNECTED]


async def test_w32_the_original_cannot(lab: Any) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        await lab.ibl_client("udp://[::1]:11001")


@TRANSPORTS
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "cam_pc.lab.example.org", "Cam-PC.local"])
async def test_w33_any_name_that_the_network_knows_is_resolved(
    lab: Any, scheme: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def know(host: Any, *args: Any, **keys: Any) -> Any:
        assert host.lower() == name.lower()
        return real("127.0.0.1", *args, **keys)

    rig = await lab.ibl_rig(scheme)
    monkeypatch.setattr(socket, "getaddrinfo", know)
    conductor = await lab.conductor({"rig": rig.uri.replace("127.0.0.1", name)})
    answer(await conductor.request(Event.EXPINFO, 0, {}))


async def test_w33_a_slow_name_server_does_not_hold_up_the_loop(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def think(host: Any, *args: Any, **keys: Any) -> Any:
        time.sleep(0.3)
        return real("127.0.0.1", *args, **keys)

    monkeypatch.setattr(socket, "getaddrinfo", think)
    opening = asyncio.create_task(lab.conductor({"a": "udp://cam.one:1", "b": "udp://cam.two:2"}))
    longest, last = 0.0, time.perf_counter()
    while not opening.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    await opening
    assert longest < 0.2


async def test_w33_names_that_nobody_knows_are_told_all_at_once(lab: Any) -> None:
    rigs = {"a": "udp://no.such.host.invalid", "b": "tcp://nor_this.invalid", "c": "127.0.0.1"}
    with pytest.raises(SessionFailed) as failure:
        await lab.conductor(rigs)
    assert set(failure.value.causes) == {"a", "b"}
    assert "no.such.host.invalid" in str(failure.value)


async def test_w33_the_original_rejects_names_with_dots() -> None:
    from iblutil.io.net.base import validate_uri

    for name in ("cam.lab", "CAM", "cam_pc"):
        with pytest.raises(ValueError, match="Invalid hostname"):
            validate_uri(f"udp://{name}:11001", resolve_host=False)


# -- W38: what JSON cannot say -------------------------------------------------------------------------


@TRANSPORTS
async def test_w38_nan_dates_and_paths_reach_a_foreign_rig_as_valid_json(lab: Any, scheme: str) -> None:
    rig = await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"rig": rig})
    data = {
        "nan": float("nan"),
        "infinity": [float("inf")],
        "date": datetime.date(2024, 5, 6),
        "time": datetime.datetime(2024, 5, 6, 7, 8, 9),
        "path": Path("a") / "b",
        "event": Event.EXPEND,
    }
    answer(await conductor.request(Event.EXPEND, data))
    assert rig.heard == [
        [
            4,
            {
                "nan": None,
                "infinity": [None],
                "date": "2024-05-06",
                "time": "2024-05-06T07:08:09",
                "path": str(Path("a") / "b"),
                "event": 4,
            },
        ]
    ]


async def test_w38_what_cannot_be_said_is_refused_with_the_name_of_its_key(lab: Any) -> None:
    rig = await lab.ibl_rig()
    conductor = await lab.conductor({"rig": rig})
    with pytest.raises(LocalProtocolError, match=r"camera\.handle"):
        await conductor.request(Event.EXPEND, {"camera": {"handle": object()}})
    assert rig.heard == []


async def test_w38_the_nan_of_a_foreign_peer_is_taken(lab: Any) -> None:
    services = await lab.ibl_conductor({"rig": await lab.rig()})
    answers = await services.info("CONNECTED", {"subject": SUBJECT, "weight": float("nan")})
    assert answers["rig"][0] == CONNECTED


async def test_w38_the_original_raises_type_error(lab: Any) -> None:
    client = await lab.ibl_client(await lab.rig())
    with pytest.raises(TypeError):
        await client.stop({"date": datetime.date(2024, 5, 6)})
