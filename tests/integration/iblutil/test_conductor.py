"""A conductor of multirig leads rigs of the real iblutil."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from multirig.conductor.conductor import Conductor
from multirig.conductor.session import Session
from multirig.errors import MultirigError, RemoteProtocolError, RigUnreachable, SessionFailed, Unconfirmed
from multirig.lifecycle.members import FOREIGN_CLEANUP
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.events import SECOND
from multirig.protocol.messages import Event, Status
from multirig.record.account import account

pytestmark = [
    pytest.mark.iblutil,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:iblutil.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:iblutil.*"),
]

SUBJECT = "SP_01"
TRANSPORTS = pytest.mark.parametrize("scheme", ["udp", "tcp"])
WHOLE_SESSION = [Event.EXPINFO, Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPCLEANUP]


async def lead(conductor: Conductor) -> Session:
    """A whole session in which every rig must succeed in every step."""
    session = conductor.session(SUBJECT)
    await session.agree()
    rigs = set(conductor.rigs)
    assert set(await session.init()) == rigs
    assert set(await session.start()) == rigs
    for outcomes in (await session.stop(), await session.cleanup()):
        assert set(outcomes) == rigs
        assert [one for one in outcomes.values() if isinstance(one, MultirigError)] == []
    return session


@pytest.mark.parametrize("scheme", ["udp", "tcp", "ws"])
async def test_leads_three_rigs_through_two_sessions(lab: Any, scheme: str) -> None:
    rigs = {name: await lab.ibl_rig(scheme, main_sync=name == "main") for name in ("main", "left", "right")}
    conductor = await lab.conductor(rigs)
    for _ in range(2):
        await lead(conductor)
    for rig in rigs.values():
        assert rig.events() == WHOLE_SESSION * 2
        assert rig.errors == []


async def test_a_rig_that_can_prove_nothing_is_a_note_and_takes_nothing_from_the_session(
    lab: Any, tmp_path: Path
) -> None:
    main = await lab.ibl_rig("udp", main_sync=True)
    conductor = await lab.conductor({"main": main}, data_folder=tmp_path)
    session = await lead(conductor)
    assert session.folder is not None
    told = account(session.folder)
    assert (told.verdict, told.reasons) == ("GOOD", [])
    assert told.notes == [
        "main says nothing of its files: it is no multirig, so look at them on that PC",
    ]


@TRANSPORTS
async def test_a_service_that_does_no_clean_up_costs_a_moment_and_not_the_verdict(
    lab: Any, tmp_path: Path, scheme: str
) -> None:
    main = await lab.ibl_rig(scheme, main_sync=True, silent=frozenset({Event.EXPCLEANUP}))
    session = await lead(await lab.conductor({"main": main}, data_folder=tmp_path))
    assert main.events() == WHOLE_SESSION
    assert session.folder is not None
    told = account(session.folder)
    assert (told.verdict, told.reasons) == ("GOOD", [])
    assert told.steps[-1].seconds < 10  # it was 35 s


@TRANSPORTS
async def test_a_service_that_is_slow_to_clean_up_is_begun_anew_when_it_is_ready(
    lab: Any, scheme: str
) -> None:
    slow = {Event.EXPCLEANUP: FOREIGN_CLEANUP / SECOND + 1.5}
    rigs = {
        "main": await lab.ibl_rig(scheme, main_sync=True),
        "slow": await lab.ibl_rig(scheme, delay=slow),
    }
    conductor = await lab.conductor(rigs)
    await lead(conductor)
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    await asyncio.sleep(2)  # until then the clean-up before would have ended in any case
    assert rigs["slow"].status is Status.INITIALIZED  # not CONNECTED, by a clean-up that ended meanwhile
    await session.cleanup()


@TRANSPORTS
async def test_cameras_that_are_never_stopped_are_released_and_named(
    lab: Any, tmp_path: Path, scheme: str
) -> None:
    main = await lab.ibl_rig(scheme, main_sync=True)
    cameras = await lab.ibl_rig(scheme, never_stops=True)
    conductor = await lab.conductor({"main": main, "cameras": cameras}, data_folder=tmp_path)
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    await session.start()
    outcomes = await session.stop()
    assert "still records" in str(outcomes["cameras"])
    assert await session.cleanup()
    assert session.folder is not None
    told = account(session.folder)
    assert told.verdict != "GOOD"
    assert told.reasons == ["cameras says that it still records: stop it there"]
    assert told.steps[-1].seconds < 2.9


@TRANSPORTS
async def test_services_that_listen_anew_for_each_message_hear_every_one(lab: Any, scheme: str) -> None:
    rigs = {
        name: await lab.ibl_rig(scheme, main_sync=name == "main", one_at_a_time=True)
        for name in ("main", "left", "right")
    }
    conductor = await lab.conductor(rigs)
    for _ in range(5):
        await lead(conductor)
    for rig in rigs.values():
        assert rig.events() == WHOLE_SESSION * 5
        assert rig.errors == []


async def test_a_message_without_content_carries_what_iblrigs_does(lab: Any) -> None:
    """iblutil echoes a message of one element, and calls nobody."""
    main = await lab.ibl_rig(main_sync=True)
    conductor = await lab.conductor({"main": main})
    for event in (Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP, Event.EXPSTATUS):
        assert not isinstance((await conductor.request(event, limit=3))["main"], MultirigError)
    assert main.heard == [[4, []], [16, []], [8, None], [32, None]]


@TRANSPORTS
async def test_tells_every_rig_the_reference_of_the_main_sync(lab: Any, scheme: str) -> None:
    main, camera = await lab.ibl_rig(scheme, main_sync=True), await lab.ibl_rig(scheme)
    conductor = await lab.conductor({"main": main, "camera": camera})
    session = conductor.session(SUBJECT)
    exp_ref = str(await session.agree())
    await session.init()
    await session.start()
    assert exp_ref.endswith("_7_SP_01")
    for rig in (main, camera):
        assert rig.heard[1:] == [[1, {"exp_ref": exp_ref}], [2, exp_ref, None]]


async def test_starts_in_the_declared_order_and_stops_in_reverse(lab: Any) -> None:
    order: list[tuple[Event, str]] = []
    rigs = {name: await lab.ibl_rig(main_sync=name == "a") for name in "abc"}
    for name, rig in rigs.items():
        for event in WHOLE_SESSION:
            rig.server.assign_callback(
                int(event), lambda data, addr, event=event, name=name: order.append((event, name))
            )
    conductor = await lab.conductor(rigs)
    session = conductor.session(SUBJECT)
    await session.agree()
    for step in (session.init, session.start, session.stop, session.cleanup):
        await asyncio.sleep(0.02)  # the last echoes must be read, else sockets are served in their order
        await step()
    heard = {event: "".join(name for one, name in order if one is event) for event in WHOLE_SESSION}
    assert heard == {
        Event.EXPINFO: "abc",
        Event.EXPINIT: "abc",
        Event.EXPSTART: "abc",
        Event.EXPEND: "cba",
        Event.EXPCLEANUP: "cba",
    }


@TRANSPORTS
@pytest.mark.parametrize(
    ("event", "undone_by"),
    [
        (Event.EXPINIT, [Event.EXPINIT, Event.EXPCLEANUP]),
        (Event.EXPSTART, [Event.EXPINIT, Event.EXPSTART, Event.EXPINTERRUPT, Event.EXPCLEANUP]),
    ],
)
async def test_a_callback_that_raises_is_known_at_once_and_the_others_are_rolled_back(
    lab: Any, scheme: str, event: Event, undone_by: list[Event]
) -> None:
    main, good = await lab.ibl_rig(scheme, main_sync=True), await lab.ibl_rig(scheme)
    sick = await lab.ibl_rig(scheme, fails={event: "no camera is plugged in"})
    conductor = await lab.conductor({"main": main, "sick": sick, "good": good})
    session = conductor.session(SUBJECT)
    await session.agree()
    began = time.perf_counter()
    if event is Event.EXPSTART:
        await session.init()
    with pytest.raises(SessionFailed) as failure:
        await (session.start() if event is Event.EXPSTART else session.init())
    assert time.perf_counter() - began < 2
    assert list(failure.value.causes) == ["sick"]
    cause = failure.value.causes["sick"]
    assert isinstance(cause, RemoteProtocolError)
    assert str(cause) == "ValueError: no camera is plugged in"
    assert session.state is SessionState.IDLE
    for rig in (main, good):
        assert rig.events()[1:] == undone_by


@TRANSPORTS
async def test_a_session_follows_one_that_failed(lab: Any, scheme: str) -> None:
    main = await lab.ibl_rig(scheme, main_sync=True)
    sick = await lab.ibl_rig(scheme, fails={Event.EXPINIT: "no camera is plugged in"})
    conductor = await lab.conductor({"main": main, "sick": sick})
    session = conductor.session(SUBJECT)
    await session.agree()
    with pytest.raises(SessionFailed):
        await session.init()
    sick.fails = {}
    await lead(conductor)


@TRANSPORTS
async def test_leads_a_rig_that_answers_with_the_identical_bytes(lab: Any, scheme: str) -> None:
    rigs = {name: await lab.ibl_rig(scheme, main_sync=name == "main", mirrors=True) for name in ("main", "b")}
    await lead(await lab.conductor(rigs))
    for rig in rigs.values():
        assert rig.events() == WHOLE_SESSION
        assert rig.errors == []


@TRANSPORTS
async def test_waits_for_a_slow_rig_and_asks_it_once(lab: Any, scheme: str) -> None:
    main = await lab.ibl_rig(scheme, main_sync=True)
    slow = await lab.ibl_rig(scheme, delay={Event.EXPINIT: 0.6})
    await lead(await lab.conductor({"main": main, "slow": slow}))
    assert slow.events() == WHOLE_SESSION


@TRANSPORTS
async def test_a_rig_where_nobody_listens_is_known_at_once(lab: Any, scheme: str) -> None:
    main, dead = await lab.ibl_rig(scheme, main_sync=True), await lab.ibl_rig(scheme)
    await dead.close()
    conductor = await lab.conductor({"main": main, "dead": dead})
    began = time.perf_counter()
    with pytest.raises(SessionFailed) as failure:
        await conductor.session(SUBJECT).agree()
    assert time.perf_counter() - began < 0.5
    assert list(failure.value.causes) == ["dead"]
    assert isinstance(failure.value.causes["dead"], RigUnreachable)
    assert dead.uri in str(failure.value).replace("ws:", "tcp:")
    assert main.events() == [Event.EXPINFO]


@TRANSPORTS
async def test_a_rig_that_dies_before_the_start_takes_nobody_with_it(lab: Any, scheme: str) -> None:
    main, dead = await lab.ibl_rig(scheme, main_sync=True), await lab.ibl_rig(scheme)
    limits = Limits(start=SECOND // 2, stop=SECOND // 2, cleanup=SECOND // 2)
    conductor = await lab.conductor({"main": main, "dead": dead}, limits=limits)
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    await dead.close()
    dead.server._transport.abort()
    began = time.perf_counter()
    with pytest.raises(SessionFailed) as failure:
        await session.start()
    assert time.perf_counter() - began < 5  # it may come back, so it is tried until the limit of each step
    assert isinstance(failure.value.causes.get("dead"), RigUnreachable)
    assert main.events()[-2:] == [Event.EXPINTERRUPT, Event.EXPCLEANUP]


@TRANSPORTS
async def test_a_rig_that_echoes_and_never_answers_is_asked_for_its_status(lab: Any, scheme: str) -> None:
    main = await lab.ibl_rig(scheme, main_sync=True)
    mute = await lab.ibl_rig(scheme, silent=frozenset({Event.EXPINIT}))
    limits = Limits(initialise=SECOND // 2)
    conductor = await lab.conductor({"main": main, "mute": mute}, limits=limits)
    session = conductor.session(SUBJECT)
    await session.agree()
    with pytest.raises(SessionFailed) as failure:
        await session.init()
    cause = failure.value.causes["mute"]
    assert isinstance(cause, Unconfirmed)
    assert "did not answer EXPINIT within 0.5 s and says that it is CONNECTED" in str(cause)
    for rig in (main, mute):
        assert rig.events()[-1] is Event.EXPCLEANUP


@TRANSPORTS
@pytest.mark.parametrize("main", ["ours", "theirs"])
async def test_leads_rigs_of_both_kinds_in_one_session(lab: Any, scheme: str, main: str) -> None:
    rigs = {
        "ours": await lab.rig("ours", f"{scheme}://127.0.0.1:0", main_sync=main == "ours"),
        "theirs": await lab.ibl_rig(scheme, main_sync=main == "theirs"),
    }
    conductor = await lab.conductor(rigs)
    for _ in range(2):
        await lead(conductor)
    assert conductor.exchange.node.peers.speaks_wire_2(conductor.exchange.addresses["ours"])
    assert not conductor.exchange.node.peers.speaks_wire_2(conductor.exchange.addresses["theirs"])
    assert len(list(lab.folder.rglob("fake.csv"))) == 2


@TRANSPORTS
async def test_an_interrupt_reaches_rigs_that_are_still_getting_ready(
    lab: Any, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing gets lost here, but a busy PC is late: a copy that crosses a reply makes iblutil close (W7), and
    # so does an echo that it waits too long for (W5).
    monkeypatch.setattr("multirig.protocol.echo.RETRY_AFTER", (60 * SECOND,))
    monkeypatch.setattr("multirig.protocol.echo.INFO_EVERY", 60 * SECOND)
    main = await lab.ibl_rig(scheme, main_sync=True)
    slow = await lab.ibl_rig(scheme, silent=frozenset({Event.EXPINIT}))
    for rig in (main, slow):
        rig.server.default_echo_timeout = 60
    conductor = await lab.conductor({"main": main, "slow": slow})
    session = conductor.session(SUBJECT)
    await session.agree()
    beginning = asyncio.create_task(session.init())
    await lab.until(lambda: slow.events()[-1] is Event.EXPINIT)
    await lab.until(lambda: main.events()[-1] is Event.EXPINIT)
    await main.settle()  # an interrupt that crosses its reply makes iblutil close: W1
    async with lab.waiting() as waiting:
        outcomes = await session.interrupt("the animal has escaped")
    assert waiting.seconds < 0.4
    assert [one for one in outcomes.values() if isinstance(one, MultirigError)] == []
    with pytest.raises(SessionFailed):
        await beginning
    for rig in (main, slow):
        event, (about, *_) = rig.heard[-1][0], rig.heard[-1][1:]
        assert event == Event.EXPINTERRUPT
        assert about["message"] == "the animal has escaped"
    await session.cleanup()


@TRANSPORTS
async def test_this_pc_can_be_the_main_sync_of_foreign_rigs(lab: Any, scheme: str) -> None:
    rigs = {"left": await lab.ibl_rig(scheme), "right": await lab.ibl_rig(scheme)}
    conductor = await lab.conductor(rigs, main_sync=True, data_folder=lab.folder / "data")
    await lead(conductor)
    told = rigs["left"].heard[0][2]
    assert told["main_sync"] is True
    assert rigs["right"].heard[2][1] == told["exp_ref"]
