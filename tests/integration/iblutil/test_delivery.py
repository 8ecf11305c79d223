"""The table of faults, W1 to W15: what becomes of messages on their way."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from tests.conftest import listen

from multirig.errors import MultirigError, RemoteProtocolError, SessionFailed
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_events import Heard
from multirig.protocol.codec import MAX_STREAM_MESSAGE
from multirig.protocol.dialect import write
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Word

pytestmark = [
    pytest.mark.iblutil,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:iblutil.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:iblutil.*"),
]

SUBJECT = "SP_01"
TRANSPORTS = pytest.mark.parametrize("scheme", ["udp", "tcp"])
LOST: tuple[float, ...] = ()
TWICE = (0.0, 0.0)
CONNECTED, INITIALIZED, RUNNING, STOPPED = 0, 10, 20, 30


def answer(outcomes: dict[str, Any], rig: str = "rig") -> Message:
    """The reply of a rig that must have replied, as the rig has said it."""
    outcome = outcomes[rig]
    assert isinstance(outcome, Word), outcome
    return write(outcome)


# -- W1: two messages in flight to one address ---------------------------------------------------------


@TRANSPORTS
async def test_w01_requests_to_one_rig_queue_and_are_all_answered(lab: Any, scheme: str) -> None:
    rig = await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"rig": rig})
    events = [Event.EXPSTATUS, Event.EXPINFO, Event.EXPCLEANUP, Event.EXPSTATUS]
    outcomes = await asyncio.gather(*(conductor.request(event, n) for n, event in enumerate(events)))
    assert [answer(one).event for one in outcomes] == events
    assert rig.events() == events
    assert rig.errors == []


async def test_w01_the_original_loses_both(lab: Any) -> None:
    client = await lab.ibl_client(await lab.ibl_rig())
    outcomes = await asyncio.gather(client.status(0), client.info(0), return_exceptions=True)
    assert [type(one) for one in outcomes] == [TimeoutError, RuntimeError]
    assert not client.is_connected


# -- W2: a copy of a command ---------------------------------------------------------------------------


async def test_w02_a_copy_of_a_command_is_handled_once(lab: Any) -> None:
    rig = await lab.rig("main", main_sync=True, adapter={"delay": {"initialise": 0.05, "start": 0.05}})
    copies = {("rig", event, 1): TWICE for event in (64, 1, 2, 4)}
    services = await lab.ibl_conductor({"main": await lab.relay(rig, copies)})
    exp_ref = (await services.info("CONNECTED", {"subject": SUBJECT}))["main"][1]["exp_ref"]
    assert (await services.init({"exp_ref": exp_ref}))["main"][0]["status"] == INITIALIZED
    assert (await services.start(exp_ref))["main"][1]["status"] == RUNNING
    assert (await services.stop())["main"][0]["status"] == STOPPED
    assert rig.adapter.calls == ["initialise", "start", "stop"]


async def test_w02_a_late_copy_is_echoed_again_since_the_first_echo_may_be_lost(lab: Any) -> None:
    rig = await lab.rig(adapter={"delay": {"initialise": 1.0}})
    peer = await lab.raw(rig)
    request = b'[1, {"exp_ref": "2024-05-06_1_SP_01"}]'
    peer.send(request)
    assert await peer.receive() == request
    await asyncio.sleep(0.35)
    peer.send(request)
    assert await peer.receive() == request
    assert json.loads(await peer.receive())[0] == Event.EXPINIT
    assert rig.adapter.calls == ["initialise"]


async def test_w02_a_copy_of_a_reply_is_taken_once(lab: Any) -> None:
    rig = await lab.ibl_rig()
    relay = await lab.relay(rig, {("conductor", Event.EXPINFO, 2): TWICE})
    conductor = await lab.conductor({"rig": relay})
    heard = listen(conductor, Heard)
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    answer(await conductor.request(Event.EXPSTATUS, 0))
    assert heard == []
    assert rig.events() == [Event.EXPINFO, Event.EXPSTATUS]


async def test_w02_the_original_runs_its_callback_twice(lab: Any) -> None:
    rig = await lab.ibl_rig(silent=frozenset(Event))
    client = await lab.ibl_client(await lab.relay(rig, {("rig", Event.EXPSTART, 1): TWICE}))
    await client.start("2024-05-06_1_SP_01")
    await lab.until(lambda: rig.events() == [Event.EXPSTART] * 2)


# -- W3, W4: copies of echoes, echoes of echoes --------------------------------------------------------


async def test_w03_a_copy_of_an_echo_is_never_echoed(lab: Any) -> None:
    rig = await lab.ibl_rig()
    relay = await lab.relay(rig, {("conductor", Event.EXPINFO, 1): (0.0, 0.0, 0.02)})
    conductor = await lab.conductor({"rig": relay})
    answer(await conductor.request(Event.EXPINFO, 0, {"subject": SUBJECT}))
    await asyncio.sleep(0.1)
    assert relay.events("rig") == [Event.EXPINFO] * 2  # the request, and the echo of the reply
    assert rig.events() == [Event.EXPINFO]


async def test_w03_a_copy_of_the_echo_of_our_answer_is_never_echoed(lab: Any) -> None:
    rig = await lab.rig()
    relay = await lab.relay(rig, {("rig", Event.EXPINFO, 2): (0.0, 0.0, 0.02)})
    services = await lab.ibl_conductor({"rig": relay})
    await services.info("CONNECTED", {"subject": SUBJECT})
    await asyncio.sleep(0.1)
    assert relay.events("conductor") == [Event.EXPINFO] * 2
    await services.status(RUNNING)


@pytest.mark.parametrize("event", [Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP])
async def test_w03_a_copy_of_the_echo_of_a_command_spoils_no_session(lab: Any, event: Event) -> None:
    rig = await lab.ibl_rig(main_sync=True)
    relay = await lab.relay(rig, {("conductor", event, 1): TWICE})
    conductor = await lab.conductor({"main": relay})
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    await session.start()
    outcomes = [*(await session.stop()).values(), *(await session.cleanup()).values()]
    assert not [one for one in outcomes if isinstance(one, MultirigError)]
    await asyncio.sleep(0.05)
    assert rig.events() == [64, 1, 2, 4, 8]
    assert len(relay.seen) <= 21


async def test_w03_the_original_starts_a_storm(lab: Any) -> None:
    rig = await lab.ibl_rig(silent=frozenset(Event))
    relay = await lab.relay(rig, {("conductor", Event.EXPSTART, 1): TWICE})
    client = await lab.ibl_client(relay)
    await client.start("2024-05-06_1_SP_01")
    await lab.until(lambda: len(rig.heard) > 100)
    relay.is_cut = True


async def test_w04_a_message_that_is_sent_without_waiting_dies_out(lab: Any) -> None:
    rig = await lab.rig()
    relay = await lab.relay(rig, {})
    client = await lab.ibl_client(relay)
    client.send(b"[32, 20]")
    await asyncio.sleep(0.3)
    assert len(relay.seen) < 12
    assert client.is_connected
    await client.status(CONNECTED)


async def test_w04_the_original_plays_ping_pong(lab: Any) -> None:
    rig = await lab.ibl_rig(silent=frozenset(Event))
    relay = await lab.relay(rig, {})
    client = await lab.ibl_client(relay)
    client.send(b"[32, 20]")
    await lab.until(lambda: len(rig.heard) > 100)
    relay.is_cut = True


# -- W5, W6: lost and late datagrams -------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", [("rig", Event.EXPINFO, 1), ("conductor", Event.EXPINFO, 1)], ids=["request", "echo"]
)
async def test_w05_a_lost_datagram_does_not_end_the_conversation_with_a_rig(lab: Any, place: Any) -> None:
    rig = await lab.ibl_rig()
    conductor = await lab.conductor({"rig": await lab.relay(rig, {place: LOST})})
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    answer(await conductor.request(Event.EXPSTATUS, 0))
    assert rig.errors == []


async def test_w05_a_session_survives_a_loss_in_every_step(lab: Any) -> None:
    rigs = {name: await lab.ibl_rig(main_sync=name == "main") for name in ("main", "b")}
    requests = {("rig", event, 1): LOST for event in (1, 2, 4, 8)}
    conductor = await lab.conductor({"main": rigs["main"], "b": await lab.relay(rigs["b"], requests)})
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    await session.start()
    outcomes = {**await session.stop(), **await session.cleanup()}
    assert not [one for one in outcomes.values() if isinstance(one, MultirigError)]
    for rig in rigs.values():
        assert rig.events() == [64, 1, 2, 4, 8]


@pytest.mark.parametrize("place", [("conductor", Event.EXPINFO, 2), ("rig", Event.EXPINFO, 2)])
async def test_w05_a_lost_answer_or_its_lost_echo_is_made_good(lab: Any, place: Any) -> None:
    rig = await lab.rig()
    relay = await lab.relay(rig, {place: LOST})
    services = await lab.ibl_conductor({"rig": relay})
    await services.info("CONNECTED", {"subject": SUBJECT})
    await lab.until(lambda: relay.events("conductor").count(Event.EXPINFO) >= 3)  # echo, answer, answer
    await asyncio.sleep(0.05)
    assert await services.status(RUNNING) == {"rig": [CONNECTED]}


@pytest.mark.parametrize("place", [("rig", Event.EXPSTATUS, 1), ("conductor", Event.EXPSTATUS, 1)])
async def test_w05_a_foreign_conductor_that_gives_up_does_not_hurt_the_rig(lab: Any, place: Any) -> None:
    rig = await lab.rig()
    services = await lab.ibl_conductor({"rig": await lab.relay(rig, {place: LOST})})
    with pytest.raises((TimeoutError, RuntimeError)):
        await services.status(RUNNING)  # iblutil gives up after one loss
    services = await lab.ibl_conductor({"rig": rig})
    assert await services.status(RUNNING) == {"rig": [CONNECTED]}


async def test_w06_a_late_echo_is_reconciled(lab: Any) -> None:
    rig = await lab.ibl_rig(delay={Event.EXPSTART: 0.55})
    relay = await lab.relay(rig, {("conductor", Event.EXPSTART, 1): (0.45,)})
    conductor = await lab.conductor({"rig": relay})
    answer(await conductor.request(Event.EXPSTART, "2024-05-06_1_SP_01", {"x": 1}))
    await lab.until(lambda: relay.events("rig").count(Event.EXPSTART) >= 3)
    answer(await conductor.request(Event.EXPINFO, 0, {}))


async def test_w06_a_late_echo_of_our_answer_is_reconciled(lab: Any) -> None:
    rig = await lab.rig("main", main_sync=True)
    relay = await lab.relay(rig, {("rig", Event.EXPINIT, 2): (0.45,)})
    services = await lab.ibl_conductor({"main": relay})
    await services.init({"exp_ref": "2024-05-06_1_SP_01"})
    await asyncio.sleep(0.5)
    await services.start("2024-05-06_1_SP_01")
    assert rig.adapter.calls == ["initialise", "start"]


async def test_w06_the_original_has_closed_its_socket(lab: Any) -> None:
    rig = await lab.ibl_rig(silent=frozenset(Event))
    relay = await lab.relay(rig, {("conductor", Event.EXPSTART, 1): (0.6,)})
    client = await lab.ibl_client(relay)
    with pytest.raises(TimeoutError):
        await client.start("2024-05-06_1_SP_01")
    assert not client.is_connected


# -- W7 to W10: what comes in place of an echo ---------------------------------------------------------


async def test_w07_a_rigs_own_message_comes_while_we_wait_for_an_echo(lab: Any) -> None:
    async def say_status(rig: Any, event: Event, addr: Any) -> None:
        if event is Event.EXPINFO:
            await rig.server.status(RUNNING, addr=addr)

    rig = await lab.ibl_rig(before=say_status)
    relay = await lab.relay(rig, {("conductor", Event.EXPINFO, 1): (0.1,)})
    conductor = await lab.conductor({"rig": relay})
    heard = listen(conductor, Heard, lambda one: (one.rig, write(one.word)))
    assert answer(await conductor.request(Event.EXPINFO, 0, {})).event is Event.EXPINFO
    assert heard == [("rig", Message(Event.EXPSTATUS, (RUNNING,)))]
    assert rig.errors == []


async def test_w07_a_request_comes_while_we_wait_for_the_echo_of_our_answer(lab: Any) -> None:
    relay = await lab.relay(await lab.rig(), {("rig", Event.EXPINFO, 2): (0.15,)})
    services = await lab.ibl_conductor({"rig": relay})
    await services.info("CONNECTED", {"subject": SUBJECT})
    assert await services.status(RUNNING) == {"rig": [CONNECTED]}
    assert await services.status(RUNNING) == {"rig": [CONNECTED]}


async def test_w07_the_original_closes(lab: Any) -> None:
    peer = await lab.raw()
    client = await lab.ibl_client(peer)
    waiting = asyncio.create_task(client.info(0))
    await peer.receive()
    peer.send(b"[32, 20]")
    with pytest.raises(RuntimeError):
        await waiting
    assert not client.is_connected


async def test_w08_a_reply_that_overtakes_its_echo_counts_as_receipt(lab: Any) -> None:
    rig = await lab.ibl_rig()
    relay = await lab.relay(rig, {("conductor", Event.EXPINFO, 1): (0.2,)})
    conductor = await lab.conductor({"rig": relay})
    began = time.perf_counter()
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    assert time.perf_counter() - began < 0.15
    await asyncio.sleep(0.25)
    answer(await conductor.request(Event.EXPINFO, 0, {}))
    await lab.until(lambda: relay.events("rig") == [Event.EXPINFO] * 4)
    assert rig.errors == []


async def test_w09_an_error_that_overtakes_the_echo_is_raised_with_its_text_at_once(lab: Any) -> None:
    rig = await lab.ibl_rig(fails={Event.EXPINIT: "no disk"})
    relay = await lab.relay(rig, {("conductor", Event.EXPINIT, 1): (0.3,)})
    conductor = await lab.conductor({"rig": relay})
    began = time.perf_counter()
    outcome = (await conductor.request(Event.EXPINIT, None))["rig"]
    assert time.perf_counter() - began < 0.2
    assert isinstance(outcome, RemoteProtocolError)
    assert str(outcome) == "ValueError: no disk"


@TRANSPORTS
@pytest.mark.parametrize(
    "request_",
    [
        (Event.EXPINIT, None),
        (Event.EXPSTART, "2024-05-06_1_SP_01", None),
        (Event.EXPEND, None),
        (Event.EXPSTATUS, 20),
    ],
    ids=lambda request: request[0].name,
)
async def test_w10_a_reply_of_the_identical_bytes_is_told_from_the_echo(
    lab: Any, scheme: str, request_: tuple[Any, ...]
) -> None:
    rigs = {
        "fast": await lab.ibl_rig(scheme, mirrors=True),
        "slow": await lab.ibl_rig(scheme, mirrors=True, delay={request_[0]: 0.2}),
    }
    conductor = await lab.conductor(rigs)
    began = time.perf_counter()
    for _ in range(2):
        outcomes = await conductor.request(*request_)
        assert answer(outcomes, "fast") == answer(outcomes, "slow") == Message(request_[0], request_[1:])
    assert time.perf_counter() - began >= 0.4
    for rig in rigs.values():
        assert rig.events() == [request_[0]] * 2
        assert rig.errors == []


async def test_w10_a_reply_of_the_identical_bytes_may_take_longer_than_any_echo(lab: Any) -> None:
    rig = await lab.ibl_rig(mirrors=True, delay={Event.EXPEND: 1.1})
    conductor = await lab.conductor({"rig": rig})
    assert answer(await conductor.request(Event.EXPEND, None)) == Message(Event.EXPEND, (None,))
    assert rig.errors == []


@TRANSPORTS
async def test_w10_a_question_that_equals_our_last_answer_is_answered(lab: Any, scheme: str) -> None:
    services = await lab.ibl_conductor({"rig": await lab.rig(uri=f"{scheme}://127.0.0.1:0")})
    for status in (RUNNING, CONNECTED, CONNECTED, RUNNING):
        assert await services.status(status) == {"rig": [CONNECTED]}


# -- W11, W12: several clients of one rig --------------------------------------------------------------


@TRANSPORTS
async def test_w11_a_client_that_falls_silent_hurts_only_its_own_conversation(lab: Any, scheme: str) -> None:
    rig = await lab.rig("main", f"{scheme}://127.0.0.1:0", main_sync=True)
    request = b'[64, 0, {"subject": "SP_01"}]'
    if scheme == "udp":
        silent = await lab.raw(rig)
        silent.send(request)
        assert await silent.receive() == request  # and it never echoes the answer
    else:
        stream = await lab.raw_stream(rig)
        stream.send(request)
        await stream.receive(request)
    services = await lab.ibl_conductor({"main": rig})
    exp_ref = (await services.info("CONNECTED", {"subject": SUBJECT}))["main"][1]["exp_ref"]
    await services.init({"exp_ref": exp_ref})
    await services.start(exp_ref)
    await services.stop()
    await services.cleanup()
    assert rig.machine.state is RigState.CONNECTED


async def test_w11_the_original_closes_for_all(lab: Any) -> None:
    rig = await lab.ibl_rig()
    silent = await lab.raw(rig)
    silent.send(b"[64, 0, null]")
    await lab.until(lambda: rig.errors)
    assert not rig.server.is_connected


async def test_w12_two_tcp_clients_of_one_rig_hear_only_their_own_answers(lab: Any) -> None:
    rig = await lab.rig(uri="tcp://127.0.0.1:0")
    clients = [await lab.ibl_conductor({"rig": rig}) for _ in range(2)]
    heard: list[list[Any]] = [[], []]
    for services, said in zip(clients, heard, strict=True):
        services.assign_callback("EXPINFO", lambda data, addr, said=said: said.append(data))
    for _ in range(2):
        await asyncio.gather(*(services.info("CONNECTED", {"subject": SUBJECT}) for services in clients))
    assert [len(said) for said in heard] == [2, 2]


async def test_w12_the_original_answers_the_wrong_client(lab: Any) -> None:
    rig = await lab.ibl_rig("tcp", silent=frozenset(Event))
    first, second = await lab.raw_stream(rig), await lab.raw_stream(rig)
    await lab.until(lambda: rig.server.is_connected)
    first.send(b"[32, 0]")
    await second.receive(b"[32, 0]")


# -- W13 to W15: streams -------------------------------------------------------------------------------


async def test_w13_two_messages_in_one_segment_are_both_handled(lab: Any) -> None:
    stream = await lab.raw_stream(await lab.rig(uri="tcp://127.0.0.1:0"))
    stream.send(b'[64, 0, {"subject": "SP_01"}][32, 0]')
    said = [await stream.receive_raw() for _ in range(3)]
    assert said[:2] == [b'[64, 0, {"subject": "SP_01"}]', b"[32, 0]"]  # both echoes
    stream.send(said[2])
    said.append(await stream.receive_raw())
    assert {json.loads(one)[0] for one in said[2:]} == {Event.EXPINFO, Event.EXPSTATUS}


async def test_w13_echo_and_reply_in_one_segment_are_both_understood(lab: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(1000)
        writer.write(request + b'[64, 10, {"main_sync": false}]')
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        conductor = await lab.conductor({"rig": f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
        reply = answer(await conductor.request(Event.EXPINFO, 0, {}))
        assert reply.args == (10, {"main_sync": False})
        await conductor.close()


@TRANSPORTS
async def test_w13_what_we_say_never_comes_to_the_original_as_two_in_one(lab: Any, scheme: str) -> None:
    rig = await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"rig": rig})
    for _ in range(5):  # each request follows at once on the echo of a reply
        answer(await conductor.request(Event.EXPSTATUS, 0))
    assert rig.errors == []
    services = await lab.ibl_conductor({"rig": await lab.rig(uri=f"{scheme}://127.0.0.1:0")})
    for _ in range(5):  # each answer follows at once on an echo
        await services.status(RUNNING)


async def test_w14_a_message_in_two_segments_is_handled(lab: Any) -> None:
    stream = await lab.raw_stream(await lab.rig(uri="tcp://127.0.0.1:0"))
    request = '[64, 0, {"subject": "SP_01", "note": "[\\"µ"}]'.encode()
    middle = request.index("µ".encode()) + 1  # amidst a character
    stream.send(request[:middle])
    await asyncio.sleep(0.05)
    stream.send(request[middle:])
    await stream.receive(request)
    assert (await stream.receive_message())[0] == Event.EXPINFO


async def test_w14_a_message_of_a_megabyte_is_handled(lab: Any) -> None:
    rig = await lab.rig("main", "tcp://127.0.0.1:0", main_sync=True)
    stream = await lab.raw_stream(rig)
    request = json.dumps([64, 0, {"subject": SUBJECT, "stimuli": "x" * 1_000_000}]).encode()
    stream.send(request)
    await stream.receive(request)
    assert (await stream.receive_message())[1] == CONNECTED
    conductor = await lab.conductor({"main": rig})
    session = conductor.session(SUBJECT, info={"stimuli": "x" * 1_000_000})
    await session.agree()
    await session.init({"stimuli": "x" * 1_000_000})


async def test_w14_a_message_over_the_limit_is_answered_by_a_clear_error(lab: Any) -> None:
    rig = await lab.rig(uri="tcp://127.0.0.1:0")
    stream = await lab.raw_stream(rig)
    stream.send(b'[64, 0, "' + b"x" * (MAX_STREAM_MESSAGE + 1))
    code, text, _ = await stream.receive_message(10)
    assert code == 0
    assert f"{MAX_STREAM_MESSAGE:,}" in text
    assert await stream.reader.read() == b""
    other = await lab.ibl_conductor({"rig": rig})
    assert await other.status(RUNNING) == {"rig": [CONNECTED]}


async def test_w14_a_message_over_the_limit_is_not_sent(lab: Any) -> None:
    rig = await lab.ibl_rig("tcp")
    conductor = await lab.conductor({"rig": rig})
    outcome = (await conductor.request(Event.EXPINFO, 0, {"x": "x" * MAX_STREAM_MESSAGE}))["rig"]
    assert isinstance(outcome, MultirigError)
    assert f"the limit is {MAX_STREAM_MESSAGE:,}" in str(outcome)
    assert rig.heard == []


async def test_w15_a_closed_tcp_rig_takes_no_more_connections(lab: Any) -> None:
    rig = await lab.rig(uri="tcp://127.0.0.1:0")
    stream = await lab.raw_stream(rig)
    await rig.close()
    assert await asyncio.wait_for(stream.reader.read(), 1) == b""
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection("127.0.0.1", rig.addresses[0].port)
    await lab.rig("another", str(rig.addresses[0]))


async def test_w15_a_closed_udp_rig_leaves_its_port(lab: Any) -> None:
    rig = await lab.rig()
    await rig.close()
    conductor = await lab.conductor({"rig": rig})
    with pytest.raises(SessionFailed, match="nothing listens there"):
        await conductor.session(SUBJECT).agree()
    await lab.rig("another", str(rig.addresses[0]))


async def test_w15_the_original_keeps_accepting(lab: Any) -> None:
    rig = await lab.ibl_rig("tcp")
    rig.server.close()
    await lab.raw_stream(rig)
