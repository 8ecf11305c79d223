"""A conductor of the real iblutil leads rigs of multirig."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from multirig.lifecycle.rig_states import RigState
from multirig.protocol.exp_ref import ExpRef

pytestmark = [
    pytest.mark.iblutil,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:iblutil.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:iblutil.*"),
]

SUBJECT = "SP_01"
TRANSPORTS = pytest.mark.parametrize("scheme", ["udp", "tcp"])
CONNECTED, INITIALIZED, RUNNING, STOPPED = 0, 10, 20, 30


@dataclass
class AlyxClient:
    """What iblutil reads of ONE's client."""

    base_url: str = "https://alyx.example.org"
    user: str = "user"
    _token: dict[str, str] = field(default_factory=lambda: {"token": "abc"})
    is_logged_in: bool = True


async def agree(services: Any) -> str:
    """Ask who is there; return the reference of the main sync."""
    answers = await services.info("CONNECTED", {"subject": SUBJECT, "main_sync": False})
    leaders = [info for _, info in answers.values() if info["main_sync"]]
    assert len(leaders) == 1
    exp_ref: str = leaders[0]["exp_ref"]
    return exp_ref


async def lead(services: Any, rigs: Any, *, concurrent: bool = True) -> str:
    """A whole session as iblrig's NetworkSession leads it."""
    exp_ref = await agree(services)
    answers = await services.init({"exp_ref": exp_ref}, concurrent=concurrent)
    assert {name: one[0]["exp_ref"] for name, one in answers.items()} == dict.fromkeys(rigs, exp_ref)
    assert {one[0]["status"] for one in answers.values()} == {INITIALIZED}
    answers = await services.start(exp_ref, concurrent=concurrent)
    assert {name: one[0] for name, one in answers.items()} == dict.fromkeys(rigs, exp_ref)
    assert {one[1]["status"] for one in answers.values()} == {RUNNING}
    answers = await services.status(RUNNING, concurrent=concurrent)
    assert answers == {name: [RUNNING] for name in rigs}
    answers = await services.stop(concurrent=concurrent)
    assert {name: one[0]["files_total"] for name, one in answers.items()} == dict.fromkeys(rigs, 1)
    assert {one[0]["status"] for one in answers.values()} == {STOPPED}
    answers = await services.cleanup(concurrent=concurrent)
    assert {name: one[0]["status"] for name, one in answers.items()} == dict.fromkeys(rigs, CONNECTED)
    return exp_ref


@TRANSPORTS
async def test_is_led_through_three_sessions_without_a_restart(lab: Any, scheme: str) -> None:
    rigs = {
        name: await lab.rig(name, f"{scheme}://127.0.0.1:0", main_sync=name == "main")
        for name in ("main", "left", "right")
    }
    services = await lab.ibl_conductor(rigs)
    led = [ExpRef.parse(await lead(services, rigs)) for _ in range(3)]
    assert [one.sequence for one in led] == [1, 2, 3]
    assert {one.subject for one in led} == {SUBJECT}
    for rig in rigs.values():
        assert rig.machine.state is RigState.CONNECTED
        assert rig.adapter.calls == ["initialise", "start", "stop", "cleanup"] * 3
    assert len(list(lab.folder.rglob("fake.csv"))) == 9


async def test_is_led_rig_by_rig(lab: Any) -> None:
    # only over TCP: iblutil listens for an answer after the echo, too late for a rig that answers at once
    uri = "tcp://127.0.0.1:0"
    rigs = {name: await lab.rig(name, uri, main_sync=name == "main") for name in ("main", "b")}
    await lead(await lab.ibl_conductor(rigs), rigs, concurrent=False)


@TRANSPORTS
async def test_an_interrupt_stops_the_recording_even_while_it_starts(
    lab: Any, scheme: str, until: Any
) -> None:
    rig = await lab.rig("main", f"{scheme}://127.0.0.1:0", main_sync=True, adapter={"delay": {"start": 5.0}})
    services = await lab.ibl_conductor({"main": rig})
    exp_ref = await agree(services)
    await services.init({"exp_ref": exp_ref})
    await services["main"].start(exp_ref)
    await until(lambda: "start" in rig.adapter.calls)
    began = time.perf_counter()
    answers = await services.stop([{"error": "KeyboardInterrupt"}], immediately=True)
    assert time.perf_counter() - began < 2
    assert answers["main"][0]["status"] == STOPPED
    assert rig.adapter.calls == ["initialise", "start", "stop"]
    await services.cleanup()
    assert rig.machine.state is RigState.CONNECTED


@TRANSPORTS
async def test_an_adapter_that_fails_is_told_with_its_text_at_once(lab: Any, scheme: str) -> None:
    rig = await lab.rig(
        "main", f"{scheme}://127.0.0.1:0", main_sync=True, adapter={"fail": {"start": "the lens cap is on"}}
    )
    services = await lab.ibl_conductor({"main": rig})
    errors: asyncio.Queue[Any] = asyncio.Queue()
    services.assign_callback(0, lambda data, addr: errors.put_nowait(data))
    exp_ref = await agree(services)
    await services.init({"exp_ref": exp_ref})
    await services["main"].start(exp_ref)
    text, event = await asyncio.wait_for(errors.get(), 1)
    assert "the lens cap is on" in text
    assert event == 2
    await services.cleanup()
    assert rig.machine.state is RigState.CONNECTED


@TRANSPORTS
async def test_takes_a_token_and_keeps_it(lab: Any, scheme: str) -> None:
    rig = await lab.rig("main", f"{scheme}://127.0.0.1:0")
    services = await lab.ibl_conductor({"main": rig})
    await services.alyx(AlyxClient())
    token = rig.machine.tokens.token
    assert (token.url, token.credentials) == ("https://alyx.example.org", {"user": {"token": "abc"}})
    assert await services.status(RUNNING) == {"main": [CONNECTED]}


@TRANSPORTS
async def test_two_conductors_speak_to_one_port_at_once(lab: Any, scheme: str) -> None:
    rig = await lab.rig("main", f"{scheme}://127.0.0.1:0", main_sync=True)
    leader, watcher = await lab.ibl_conductor({"main": rig}), await lab.ibl_conductor({"main": rig})

    async def watch() -> list[int]:
        return [(await watcher.status(CONNECTED))["main"][0] for _ in range(4)]

    _, seen = await asyncio.gather(lead(leader, {"main": rig}), watch())
    assert set(seen) <= {CONNECTED, INITIALIZED, RUNNING, STOPPED}
    await lead(watcher, {"main": rig})


@TRANSPORTS
async def test_one_port_serves_both_wires(lab: Any, scheme: str) -> None:
    rig = await lab.rig("main", f"{scheme}://127.0.0.1:0", main_sync=True)
    foreign = await lab.ibl_conductor({"main": rig})
    ours = await lab.conductor({"main": rig})
    await lead(foreign, {"main": rig})
    ours_session = ours.session(SUBJECT)
    exp_ref = await ours_session.agree()
    await ours_session.init()
    assert ours.exchange.node.peers.speaks_wire_2(ours.exchange.addresses["main"])
    assert await foreign.status(CONNECTED) == {"main": [INITIALIZED]}
    await ours_session.start()
    status, info = (await foreign.info("CONNECTED"))["main"]
    assert (status, info["exp_ref"]) == (RUNNING, str(exp_ref))
    await ours_session.stop()
    await ours_session.cleanup()
    await lead(foreign, {"main": rig})


async def test_one_rig_is_led_over_udp_or_tcp(lab: Any) -> None:
    rig = await lab.rig("main", ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"], main_sync=True)
    for address in rig.addresses:
        await lead(await lab.ibl_conductor({"main": str(address)}), {"main": rig})


async def test_what_a_foreign_peer_gets_fits_into_the_thousand_bytes_that_timeline_reads(lab: Any) -> None:
    rig = await lab.rig("x" * 64, main_sync=True)
    peer = await lab.raw(rig)
    for request in ([64, 0, {"subject": SUBJECT}], [1, None], [2, None, None], [4, None], [8, None]):
        assert len(await peer.ask(json.dumps(request).encode())) <= 1000


async def test_echoes_the_bytes_of_matlab_as_they_came(lab: Any) -> None:
    peer = await lab.raw(await lab.rig())
    await peer.ask(b'[64,20,{"main_sync":false,"subject":"SP_01"}]')
    await peer.ask(b'["expstatus",0]')
