from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import re
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import hear, listen

import multirig.rig.gauges
import multirig.rig.limits
import multirig.rig.storage
from multirig.config import RigConfig
from multirig.errors import (
    ConfigError,
    LocalProtocolError,
    MultirigError,
    RemoteProtocolError,
    SubjectMismatch,
)
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import write
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
from multirig.rig.adapter import File, Health
from multirig.rig.adapters.fake import Fake
from multirig.rig.service import RigService

TODAY = datetime.date.today()
HOOKS = ["initialise", "start", "stop", "cleanup"]
COMMANDS = {
    "initialise": Event.EXPINIT,
    "start": Event.EXPSTART,
    "stop": Event.EXPEND,
    "cleanup": Event.EXPCLEANUP,
}


def ref(sequence: int = 1, subject: str = "SP_01") -> str:
    return f"{TODAY}_{sequence}_{subject}"


def folder_of(rig: Any, sequence: int = 1, subject: str = "SP_01") -> Path:
    folder: Path = rig.config.data_folder / "mylab" / "Subjects" / subject / str(TODAY) / f"{sequence:03d}"
    return folder


class Caller:
    """Asks one rig, on wire 2, outside of any session's rules."""

    def __init__(self, conductor: Any) -> None:
        self.conductor = conductor

    async def ask(self, event: Event, *args: Any) -> Any:
        [outcome] = (await self.conductor.request(event, *args)).values()
        return outcome

    async def init(self, exp_ref: str | None = None) -> Any:
        return await self.ask(Event.EXPINIT, {"exp_ref": exp_ref or ref()})

    async def start(self, exp_ref: str | None = None) -> Any:
        return await self.ask(Event.EXPSTART, exp_ref or ref(), None)

    async def end(self) -> Any:
        return await self.ask(Event.EXPEND, {})

    async def interrupt(self) -> Any:
        return await self.ask(Event.EXPINTERRUPT, {"message": "smoke"})

    async def cleanup(self) -> Any:
        return await self.ask(Event.EXPCLEANUP, {})

    async def info(self, subject: str | None = None) -> dict[str, Any]:
        answer = await self.ask(Event.EXPINFO, 0, {"subject": subject})
        data: dict[str, Any] = write(answer).args[1]
        return data

    async def news(self) -> dict[str, Any]:
        answer = await self.ask(Event.EXPSTATUS, 0)
        data: dict[str, Any] = write(answer).args[1]
        return data


async def call(lab: Any) -> Caller:
    caller = Caller(await lab.conductor())
    await caller.info()
    return caller


async def is_usable(caller: Caller, exp_ref: str) -> bool:
    """Whether a whole session can be recorded."""
    outcomes = [
        await caller.init(exp_ref),
        await caller.start(exp_ref),
        await caller.end(),
        await caller.cleanup(),
    ]
    return all(isinstance(one, Word) for one in outcomes)


# -- a session ---------------------------------------------------------------------------------------------


async def test_a_whole_session_over_udp_leaves_what_was_promised_on_the_disk(lab: Any) -> None:
    await lab.rigs_of_a_session("left", "right", over="udp", fake={"rate": 1000})
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    assert str(exp_ref) == ref()
    await session.init()
    began = await session.start()
    await asyncio.sleep(0.1)
    ended = await session.stop()
    await session.cleanup()
    for name, rig in lab.rigs.items():
        assert rig.machine.state is RigState.CONNECTED
        assert rig.adapter.calls == HOOKS
        started_at = write(began[name]).args[1]["started_at"]
        account = write(ended[name]).args[0]
        [told] = account["files"]
        path = folder_of(rig) / told["path"]
        assert told["path"] == "raw_data/fake.csv"
        assert told["bytes"] == path.stat().st_size == account["bytes_total"]
        assert told["frames"] == len(path.read_text().splitlines()) - 1 >= 100
        assert started_at - 0.05 <= told["first"] <= told["last"] <= account["stopped_at"] + 0.05
        assert account["health"]["frames"] == told["frames"]
        assert account["clock"]["bound"] < 0.1


async def test_sessions_follow_each_other_without_a_restart_under_new_numbers(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    for number in (1, 2, 3):
        session = conductor.session("SP_01")
        assert str(await session.agree()) == ref(number)
        await session.init()
        await session.start()
        ended = await session.stop()
        await session.cleanup()
        assert all(write(ended[name]).args[0]["files_total"] == 1 for name in lab.rigs)
    for rig in lab.rigs.values():
        assert [one.name for one in sorted(folder_of(rig).parent.iterdir())] == ["001", "002", "003"]


async def test_every_rig_writes_into_its_lab_and_collection(lab: Any) -> None:
    rig = await lab.rig(lab="cortexlab", fake={"collection": "raw_ephys_data/probe00"})
    caller = await call(lab)
    assert await is_usable(caller, ref(7))
    assert (
        rig.config.data_folder
        / "cortexlab"
        / "Subjects"
        / "SP_01"
        / str(TODAY)
        / "007"
        / "raw_ephys_data"
        / "probe00"
        / "fake.csv"
    ).is_file()


async def test_a_start_without_an_init_records_too(lab: Any) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    assert isinstance(await caller.start(), Word)
    assert rig.adapter.calls == ["initialise", "start"]


async def test_an_init_without_a_reference_gets_its_folder_with_the_start(lab: Any) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    assert isinstance(await caller.ask(Event.EXPINIT, None), Word)
    assert rig.adapter.calls == []
    assert isinstance(await caller.ask(Event.EXPCLEANUP, None), Word)
    for number in (1, 2):
        rig.adapter.calls.clear()
        await caller.ask(Event.EXPINIT, None)
        assert isinstance(await caller.start(ref(number)), Word)
        assert rig.adapter.calls == ["initialise", "start"]
        assert folder_of(rig, number).is_dir()
        await caller.end()
        await caller.cleanup()


async def test_a_start_without_any_reference_is_refused(lab: Any) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    assert "no experiment reference" in str(await caller.ask(Event.EXPSTART, None, None))
    assert rig.adapter.calls == []


# -- stopping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [Event.EXPEND, Event.EXPINTERRUPT])
async def test_it_really_stops_recording(lab: Any, event: Event) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    await caller.init()
    await caller.start()
    await caller.ask(event, {})
    frames = rig.adapter.health().frames
    await asyncio.sleep(0.05)
    assert rig.adapter.health().frames == frames
    assert rig.machine.state is RigState.STOPPED
    assert (folder_of(rig) / "raw_data" / "fake.csv").is_file()


@pytest.mark.parametrize("event", [Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP])
@pytest.mark.parametrize("hook", ["initialise", "start"])
async def test_a_hook_that_is_slow_is_cancelled_by_whatever_stops(
    lab: Any, until: Callable[..., Any], hook: str, event: Event
) -> None:
    rig = await lab.rig(fake={"hang": [hook]})
    caller = await call(lab)
    slow = asyncio.create_task(caller.start())
    await until(lambda: hook in rig.adapter.calls)
    assert isinstance(await caller.ask(event, {}), Word)
    assert "was overtaken" in str(await slow)
    assert rig.machine.state is (RigState.CONNECTED if event is Event.EXPCLEANUP else RigState.STOPPED)
    assert rig.adapter.calls[rig.adapter.calls.index(hook) + 1] == "stop"
    assert rig.adapter.health().frames == 0


async def test_a_cleanup_in_the_middle_of_a_slow_stop_waits_for_its_end(
    lab: Any, until: Callable[..., Any]
) -> None:
    rig = await lab.rig(fake={"delay": {"stop": 0.1}})
    caller = await call(lab)
    await caller.start()
    stopping = asyncio.create_task(caller.end())
    await until(lambda: "stop" in rig.adapter.calls)
    assert isinstance(await caller.cleanup(), Word)
    assert (await stopping).files_total == 1
    assert rig.machine.state is RigState.CONNECTED


async def test_what_becomes_of_a_recording_while_it_is_stopped_is_no_failure_of_it(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.rig(fake={"fail_after": 0.05, "delay": {"stop": 0.1}})
    caller = await call(lab)
    await caller.start()
    ended = await caller.end()
    assert "failure" not in write(ended).args[0]
    assert "scripted failure" not in caplog.text


async def test_to_stop_twice_is_no_error(lab: Any) -> None:
    await lab.rig()
    caller = await call(lab)
    await caller.start()
    first, second = [write(await caller.end()).args[0] for _ in range(2)]
    assert first.pop("ended_ago") <= second.pop("ended_ago")
    assert first == second


# -- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_that_fails_is_told_and_after_a_cleanup_the_rig_is_usable_again(
    lab: Any, hook: str
) -> None:
    rig = await lab.rig(fake={"fail": {hook: "no light: open the shutter"}, "fail_times": {hook: 1}})
    caller = await call(lab)
    outcomes = {}
    for step, command in zip(HOOKS, (caller.init, caller.start, caller.end, caller.cleanup), strict=True):
        outcomes[step] = await command()
    assert isinstance(outcomes[hook], RemoteProtocolError)
    assert f"{hook}: no light: open the shutter" in str(outcomes[hook])
    if hook == "cleanup":
        assert rig.machine.state is RigState.BROKEN
        await caller.cleanup()
    assert rig.machine.state is RigState.CONNECTED
    assert rig.machine.failure is None
    assert await is_usable(caller, ref(2))


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_that_hangs_fails_at_its_limit(lab: Any, hook: str) -> None:
    rig = await lab.rig(fake={"hang": [hook]}, limits={hook: 0.05})
    caller = await call(lab)
    for step, command in zip(HOOKS, (caller.init, caller.start, caller.end, caller.cleanup), strict=True):
        outcome = await command()
        if step == hook:
            break
    assert f"{hook}: the adapter did not finish within 0.05 s; look at its program or device" in str(outcome)
    rig.adapter.hang = []
    await caller.cleanup()
    assert rig.machine.state is RigState.CONNECTED
    assert await is_usable(caller, ref(2))


async def test_whatever_an_adapter_says_no_password_leaves_the_rig(
    lab: Any, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Leaking(Fake):
        def describe(self) -> dict[str, Any]:
            return {"cameras": [{"source": "http://camera.lab/?user=admin&pwd=SECRET"}]}

        async def start(self) -> None:
            raise RuntimeError("rtsp://admin:SEC/RET@camera.lab: tool --password SECRET failed")

    rig = await lab.rig(adapter=Leaking())
    caller = await call(lab)
    assert (await caller.info())["device"] == {"cameras": [{"source": "http://camera.lab/?***"}]}
    await caller.start()
    await until(lambda: rig.machine.state is RigState.BROKEN)
    failure = (await caller.news())["failure"]
    assert failure.startswith("start: RuntimeError: rtsp://***@camera.lab: tool --password *** failed")


async def test_a_broken_rig_says_why_and_starts_nothing(lab: Any, until: Callable[..., Any]) -> None:
    rig = await lab.rig(fake={"fail": {"start": "no light"}, "fail_times": {"start": 1}})
    caller = await call(lab)
    await caller.start()
    await until(lambda: rig.machine.state is RigState.BROKEN)
    assert "start: no light" in str(await caller.start())
    assert (await caller.news())["failure"] == "start: no light"
    assert (await caller.info())["failure"] == "start: no light"
    assert rig.adapter.calls == ["initialise", "start", "stop"]


async def test_a_stop_that_always_fails_does_not_keep_the_rig_from_being_cleaned_up(lab: Any) -> None:
    rig = await lab.rig(fake={"fail": {"stop": "the program does not listen"}})
    caller = await call(lab)
    await caller.start()
    assert "stop: the program does not listen" in str(await caller.end())
    assert rig.machine.state is RigState.BROKEN
    cleaned = await caller.cleanup()
    assert write(cleaned).args[0]["failure"] == "stop: the program does not listen"
    assert rig.machine.state is RigState.CONNECTED


async def test_what_a_stop_that_failed_has_recorded_is_accounted_for(
    lab: Any, until: Callable[..., Any]
) -> None:
    rig = await lab.rig(fake={"fail": {"stop": "the program does not listen"}, "delay": {"cleanup": 0.1}})
    caller = await call(lab)
    await caller.start()
    (folder_of(rig) / "raw_data" / "part.bin").write_bytes(b"12345")
    cleaning = asyncio.create_task(caller.cleanup())
    await until(lambda: "cleanup" in rig.adapter.calls)
    ended = await caller.end()
    await cleaning
    assert write(ended).args[0]["bytes_total"] == 5
    assert write(ended).args[0]["failure"] == "stop: the program does not listen"


async def test_an_error_of_any_kind_is_told_in_one_line(lab: Any) -> None:
    @dataclass(kw_only=True)
    class Rude(Fake):
        async def start(self) -> None:
            raise ValueError("first line\nsecond line")

    rig = await lab.rig(adapter=Rude())
    caller = await call(lab)
    text = str(await caller.start())
    begin, place, rest = text.partition("test_service.py, line ")
    assert begin == "start: ValueError: first line second line ("
    assert 'raise ValueError("first line\\nsecond line"); the rest is in this rig\'s log)' in place + rest
    assert rig.snapshot().failure == text


async def test_an_error_below_the_adapter_names_the_adapters_own_line(lab: Any) -> None:
    @dataclass(kw_only=True)
    class Careless(Fake):
        async def start(self) -> None:
            json.loads("{")

    await lab.rig(adapter=Careless())
    text = str(await (await call(lab)).start())
    assert re.search(r"JSONDecodeError: .*\(test_service\.py, line \d+: json\.loads\(\"{\"\); ", text)


async def test_an_adapter_that_cancels_itself_has_failed(lab: Any) -> None:
    @dataclass(kw_only=True)
    class Weary(Fake):
        async def start(self) -> None:
            raise asyncio.CancelledError

    await lab.rig(adapter=Weary())
    caller = await call(lab)
    assert "start: the adapter gave up by itself" in str(await caller.start())


async def test_a_folder_that_cannot_be_made_is_told_before_the_device_is_touched(lab: Any) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    shutil.rmtree(rig.config.data_folder)
    rig.config.data_folder.write_text("a file")
    outcome = str(await caller.init())
    assert "initialise: cannot make" in outcome
    assert "check data_folder and the disk" in outcome
    assert rig.adapter.calls == []


async def test_a_recording_that_fails_by_itself_is_told_to_its_conductor_at_once(lab: Any) -> None:
    rig = await lab.rig(fake={"fail_after": 0.05})
    conductor = await lab.conductor()
    caller = Caller(conductor)
    await caller.info()
    await caller.start()
    name, message = await asyncio.wait_for(hear(conductor, Event.EXPSTATUS), 2)
    assert name == "cam"
    assert write(message).args[1]["failure"].startswith("recording: the scripted failure after 0.05 s")
    ended = await caller.end()
    assert write(ended).args[0]["files_total"] == 1
    assert "scripted failure" in write(ended).args[0]["failure"]
    await caller.cleanup()
    assert rig.machine.state is RigState.CONNECTED


async def test_a_list_of_files_that_fails_is_an_error_of_the_stop_and_does_not_last(lab: Any) -> None:
    @dataclass(kw_only=True)
    class Forgetful(Fake):
        def files(self) -> list[File]:
            raise OSError("the share is gone")

    rig = await lab.rig(adapter=Forgetful())
    caller = await call(lab)
    await caller.start()
    outcome = str(await caller.end())
    assert "stop: stopped, but its files cannot be listed (OSError: the share is gone)" in outcome
    assert rig.adapter.calls[-1] == "stop"
    await caller.cleanup()
    assert rig.machine.state is RigState.CONNECTED


@pytest.mark.parametrize("health", [None, 17, ValueError("what?")])
async def test_a_health_report_that_fails_harms_nothing_and_is_logged_once(
    lab: Any, health: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.gauges, "HEALTH_EVERY", 0.01)

    @dataclass(kw_only=True)
    class Silent(Fake):
        def health(self) -> Health:
            if isinstance(health, Exception):
                raise health
            return health

    await lab.rig(adapter=Silent())
    caller = await call(lab)
    await caller.start()
    await asyncio.sleep(0.1)
    ended = await caller.end()
    assert write(ended).args[0]["files_total"] == 1
    assert [one.message for one in caplog.records].count("the adapter's health report failed") == 1


@pytest.mark.parametrize("device", [ValueError("what?"), {"object": object()}, None])
async def test_a_description_that_fails_does_not_keep_the_main_sync_from_its_number(
    lab: Any, device: Any
) -> None:
    @dataclass(kw_only=True)
    class Nameless(Fake):
        def describe(self) -> Any:
            if isinstance(device, Exception):
                raise device
            return device

    await lab.rig(adapter=Nameless(), main_sync=True)
    caller = await call(lab)
    assert (await caller.info("SP_01"))["exp_ref"] == ref()


# -- the rig's part of the experiment description ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("cameras:left", {"cameras": {"left": {"collection": "raw_data"}}}),
        ("ephys", {"ephys": {"ephys": {"collection": "raw_data"}}}),
    ],
)
async def test_an_adapter_that_knows_of_no_device_is_described_by_the_rigs_name(
    lab: Any, name: str, devices: Any
) -> None:
    await lab.rig(name, main_sync=True, uri="udp://cam:11001")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    assert session.information[name].experiment_description == {"devices": devices}


@dataclass(kw_only=True)
class Ephys(Fake):
    sync_name: str = "nidq"

    def experiment_description(self) -> Any:
        return {
            "devices": {"neuropixel": {"probe00": {"collection": "raw_ephys_data/probe00"}}},
            "sync": {self.sync_name: {"collection": "raw_ephys_data", "acquisition_software": "spikeglx"}},
        }


async def test_the_adapter_describes_its_devices_and_the_main_sync_its_sync(lab: Any) -> None:
    rig = await lab.rig("ephys", adapter=Ephys(), main_sync=True)
    other = await lab.rig("other", adapter=Ephys())
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    said = session.information["ephys"].experiment_description
    assert said == rig.adapter.experiment_description()
    assert session.information["other"].experiment_description == {
        "devices": other.adapter.experiment_description()["devices"]
    }


async def test_what_the_config_says_of_devices_or_sync_goes_before_the_adapter(lab: Any) -> None:
    said = {"devices": {"mesoscope": {"m": {"collection": "raw_imaging_data"}}}}
    await lab.rig("ephys", adapter=Ephys(), main_sync=True, experiment_description=said)
    caller = await call(lab)
    assert (await caller.info())["experiment_description"] == {
        **said,
        "sync": {"nidq": {"collection": "raw_ephys_data", "acquisition_software": "spikeglx"}},
    }


async def test_a_long_description_is_kept_from_a_peer_that_reads_a_thousand_bytes(
    lab: Any, until: Callable[..., Any]
) -> None:
    devices = {"neuropixel": {f"probe{number:02d}": {"collection": "c" * 40} for number in range(20)}}
    rig = await lab.rig(over="udp", experiment_description={"devices": devices})
    async with speak_to(rig) as (transport, peer):
        transport.sendto(b'[64, 0, {"subject": "SP_01"}]')
        await until(lambda: len(peer.heard) >= 2)
        data = json.loads(peer.heard[1])[2]
        assert len(peer.heard[1]) < 1000
        assert "experiment_description" not in data
        assert data["name"] == "cam"
    caller = await lab.conductor(over="udp")
    answer = (await caller.request(Event.EXPINFO, 0, {}))["cam"]
    assert write(answer).args[1]["experiment_description"] == {"devices": devices}


async def test_a_description_that_cannot_be_told_is_logged_and_harms_nothing(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @dataclass(kw_only=True)
    class Odd(Fake):
        def experiment_description(self) -> Any:
            raise ValueError("what?")

    await lab.rig(adapter=Odd(), main_sync=True)
    caller = await call(lab)
    assert (await caller.info("SP_01"))["exp_ref"] == ref()
    assert "the adapter's part of the experiment description failed" in caplog.messages


# -- an operator's subject ---------------------------------------------------------------------------------

OTHERWISE = (
    "is set up for subject SP_02, you asked for SP_01: correct the subject, "
    "or type 'subject SP_01' at that PC"
)


async def test_a_conductor_with_another_subject_is_told_which_rig_and_what_to_type(lab: Any) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    cam.choose_subject("SP_02")
    conductor = await lab.conductor()
    with pytest.raises(SubjectMismatch, match=f"^cam {OTHERWISE}$"):
        await conductor.session("SP_01").agree()
    assert main.adapter.calls == cam.adapter.calls == []
    session = conductor.session("SP_02")
    assert str(await session.agree()) == ref(subject="SP_02")
    await session.init()
    await session.start()
    assert cam.snapshot().subject == "SP_02"


async def test_commands_for_another_subject_are_refused_in_the_same_words(
    lab: Any, until: Callable[..., Any]
) -> None:
    rig = await lab.rig(over="udp")
    rig.choose_subject("SP_02")
    async with speak_to(rig) as (transport, peer):
        for number, message in ((1, [1, {"exp_ref": ref()}]), (2, [2, ref(), None])):
            peer.heard.clear()
            transport.sendto(json.dumps(message).encode())
            await until(lambda: len(peer.heard) >= 2)
            assert json.loads(peer.heard[1]) == [0, OTHERWISE, number]
    assert rig.adapter.calls == []


async def test_the_keyboard_keeps_to_the_subject_that_was_chosen_there(lab: Any) -> None:
    rig = await lab.rig()
    rig.choose_subject("SP_02")
    with pytest.raises(MultirigError, match="set up for subject SP_02; type 'subject SP_01' first"):
        await rig.start_here("SP_01")
    await rig.start_here("SP_02")
    with pytest.raises(MultirigError, match=r"the rig is running .*_SP_02; 'stop' ends that session"):
        rig.choose_subject("SP_01")
    rig.choose_subject(None)
    assert rig.snapshot().subject is None
    assert rig.snapshot().state is RigState.RUNNING


@pytest.mark.parametrize("subject", ["", "../x", "a b"])
async def test_a_subject_that_cannot_name_a_folder_cannot_be_chosen(lab: Any, subject: str) -> None:
    rig = await lab.rig()
    with pytest.raises(LocalProtocolError):
        rig.choose_subject(subject)
    with pytest.raises(LocalProtocolError):
        RigService(rig.config, subject=subject)


# -- what the conductor says of us -------------------------------------------------------------------------


async def test_what_the_conductor_could_not_handle_is_one_warning_in_the_rigs_log(
    lab: Any, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    rig = await lab.rig(over="udp")
    async with speak_to(rig) as (transport, peer):
        transport.sendto(b'[0, "ValueError: boom", 32]')
        warning = "the conductor could not handle EXPSTATUS: ValueError: boom"
        await until(lambda: warning in caplog.messages)
    assert caplog.messages.count(warning) == 1
    assert peer.heard == []


# -- odds and ends -----------------------------------------------------------------------------------------


async def test_news_that_nobody_can_show_harm_nothing(lab: Any, tmp_path: Path) -> None:
    config = RigConfig.model_validate(
        {"name": "cam", "uri": "udp://cam:1", "data_folder": str(tmp_path), "adapter": {"type": "fake"}}
    )

    def show() -> None:
        raise RuntimeError("the screen is gone")

    lab.rigs["cam"] = rig = RigService(config, network=lab.network, on_news=show)
    await rig.open()
    assert await is_usable(await call(lab), ref())


@dataclass(kw_only=True)
class Deaf(Fake):
    """Starts for ever, whoever cancels it."""

    is_deaf: bool = True
    cancels: int = 0

    async def start(self) -> None:
        self.calls.append("start")
        while self.is_deaf:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                self.cancels += 1


async def test_a_hook_that_is_deaf_to_its_limit_is_not_forgotten_when_a_stop_comes_meanwhile(
    lab: Any, until: Callable[..., Any]
) -> None:
    adapter = Deaf()
    await lab.rig(adapter=adapter, limits={"start": 0.05})
    caller = await call(lab)
    try:
        starting = asyncio.create_task(caller.start())
        await until(lambda: adapter.cancels > 0)
        outcome = str(await caller.interrupt())
        await starting
        assert "start of the adapter still runs though it was cancelled: restart this rig" in outcome
    finally:
        adapter.is_deaf = False


class Slow(Fake):
    """Needs longer than its rig's config allows, and says so."""

    def least_limits(self) -> Mapping[str, float]:
        return {"initialise": 5.0, "stop": 0.01}

    async def initialise(self) -> None:
        await asyncio.sleep(0.2)
        await super().initialise()


async def test_an_adapter_that_needs_longer_than_its_config_says_is_waited_for(lab: Any) -> None:
    await lab.rig(adapter=Slow(), limits={"initialise": 0.05, "stop": 20})
    caller = await call(lab)
    info = await caller.info()
    assert info["limits"] == {"initialise": 5.0, "stop": 20.0}
    assert "did not finish" not in str(await caller.init())
    await caller.cleanup()


# -- the number of the session -----------------------------------------------------------------------------


async def test_the_number_is_held_whoever_asks(lab: Any) -> None:
    await lab.rig(main_sync=True)
    caller = await call(lab)
    assert [(await caller.info("SP_01"))["exp_ref"] for _ in range(3)] == [ref(), ref(), ref()]
    await caller.info()
    assert isinstance(await caller.ask(Event.EXPINIT, None), Word)
    assert (await caller.info("SP_01"))["exp_ref"] == ref()
    assert (await caller.info("SP_02"))["exp_ref"] == ref()


async def test_the_number_is_released_when_nothing_was_recorded(lab: Any) -> None:
    rig = await lab.rig(main_sync=True, fake={"collection": "raw_ephys_data/probe00"})
    caller = await call(lab)
    await caller.init()
    assert folder_of(rig).is_dir()
    await caller.cleanup()
    assert not folder_of(rig).exists()
    assert (await caller.info("SP_01"))["exp_ref"] == ref()


async def test_a_folder_that_holds_something_keeps_its_number(lab: Any) -> None:
    rig = await lab.rig(main_sync=True)
    caller = await call(lab)
    await caller.init()
    (folder_of(rig) / "note.txt").write_text("somebody's")
    await caller.cleanup()
    assert (await caller.info("SP_01"))["exp_ref"] == ref(2)


@pytest.mark.parametrize("fails", [True, False])
async def test_the_number_is_not_used_again_once_a_start_was_tried(lab: Any, fails: bool) -> None:
    fake = {"fail": {"start": "no light"}} if fails else {"write_file": False}
    rig = await lab.rig(main_sync=True, fake=fake)
    caller = await call(lab)
    await caller.start()
    await caller.end()
    assert (await caller.info("SP_01"))["exp_ref"] == ref(2)
    await caller.cleanup()
    assert folder_of(rig).is_dir()
    assert (await caller.info("SP_01"))["exp_ref"] == ref(2)


async def test_the_number_is_not_used_again_when_the_folder_was_moved_away(lab: Any) -> None:
    rig = await lab.rig(main_sync=True)
    caller = await call(lab)
    assert await is_usable(caller, ref())
    folder_of(rig).rename(lab.folder / "moved")
    assert (await caller.info("SP_01"))["exp_ref"] == ref(2)
    assert await rig.start_here("SP_01") == ExpRef(TODAY, 2, "SP_01")


async def test_a_session_that_is_over_but_not_cleaned_up_makes_room_for_a_new_number(lab: Any) -> None:
    await lab.rig(main_sync=True)
    caller = await call(lab)
    await caller.start()
    await caller.end()
    offered = (await caller.info("SP_02"))["exp_ref"]
    assert offered == ref(1, "SP_02")
    assert await is_usable(caller, offered)


@pytest.mark.parametrize("subject", ["../../etc", "a/b", "", "nul\0", "."])
async def test_a_subject_that_cannot_name_a_folder_gets_a_reason_and_no_number(
    lab: Any, subject: str
) -> None:
    await lab.rig(main_sync=True)
    info = await (await call(lab)).info(subject)
    assert info["exp_ref"] is None
    assert "subject" in info["failure"]


# -- another session ---------------------------------------------------------------------------------------


async def test_a_busy_rig_refuses_another_session_and_says_what_it_records(lab: Any) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    await caller.start()
    for outcome in (
        await caller.init(ref(2)),
        await caller.start(ref(2)),
        await caller.ask(Event.EXPEND, {"exp_ref": ref(2)}),
        await caller.ask(Event.EXPCLEANUP, {"exp_ref": ref(2)}),
    ):
        assert f"is running {ref()}; end that session first (asked for {ref(2)})" in str(outcome)
    assert rig.machine.state is RigState.RUNNING
    assert (await caller.news())["exp_ref"] == ref()


# -- the rig's own keyboard --------------------------------------------------------------------------------


async def test_the_keyboard_records_a_session_of_its_own(lab: Any) -> None:
    rig = await lab.rig()
    for number in (1, 2):
        assert str(await rig.start_here("SP_01")) == ref(number)
        assert rig.snapshot().state is RigState.RUNNING
        await rig.stop_here()
        assert rig.snapshot().state is RigState.CONNECTED
        assert (folder_of(rig, number) / "raw_data" / "fake.csv").is_file()


async def test_the_keyboard_is_told_why_a_start_failed(lab: Any) -> None:
    rig = await lab.rig(fake={"fail": {"start": "no light"}})
    with pytest.raises(MultirigError, match=r"^start: no light$"):
        await rig.start_here("SP_01")
    assert rig.snapshot().failure == "start: no light"
    await rig.stop_here()
    assert rig.snapshot().state is RigState.CONNECTED


async def test_the_keyboard_is_told_what_a_stop_could_not_do(lab: Any) -> None:
    rig = await lab.rig(fake={"fail": {"stop": "the program does not listen"}})
    await rig.start_here("SP_01")
    with pytest.raises(MultirigError, match="the program does not listen"):
        await rig.stop_here()
    assert rig.snapshot().state is RigState.CONNECTED


async def test_the_keyboard_cannot_start_what_a_conductor_leads_but_can_stop_it(lab: Any) -> None:
    rig = await lab.rig()
    conductor = await lab.conductor()
    caller = Caller(conductor)
    await caller.info()
    await caller.start()
    with pytest.raises(MultirigError, match="the rig is running; 'stop' ends what it is doing"):
        await rig.start_here("SP_01")
    told = asyncio.create_task(hear(conductor))
    await asyncio.sleep(0)
    await rig.stop_here()
    _, message = await asyncio.wait_for(told, 2)
    assert write(message).args[1]["state"] == "stopping"


async def test_a_start_at_the_keyboard_that_a_conductor_forestalls_is_an_error(
    lab: Any, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await lab.rig()
    caller = await call(lab)
    looked, go_on = threading.Event(), threading.Event()

    def look(*args: Any) -> ExpRef:
        looked.set()
        go_on.wait(5)
        return ExpRef(TODAY, 1, "SP_01")

    monkeypatch.setattr(multirig.rig.storage, "next_exp_ref", look)
    starting = asyncio.create_task(rig.start_here("SP_01"))
    await until(looked.is_set)
    await caller.start(ref(5))
    go_on.set()
    with pytest.raises(MultirigError, match="the rig is running instead"):
        await starting
    assert str(rig.machine.exp_ref) == ref(5)


async def test_the_keyboard_refuses_a_subject_that_cannot_name_a_folder(lab: Any) -> None:
    rig = await lab.rig()
    with pytest.raises(LocalProtocolError):
        await rig.start_here("../x")


# -- closing -----------------------------------------------------------------------------------------------


async def test_closing_while_it_records_stops_and_keeps_what_was_recorded(lab: Any) -> None:
    rig = await lab.rig(fake={"rate": 1000})
    await rig.start_here("SP_01")
    await asyncio.sleep(0.05)
    await rig.close()
    assert rig.adapter.calls == HOOKS
    assert rig.machine.recording.recorded.files[0].frames >= 50
    assert rig.machine.state is RigState.CONNECTED


@pytest.mark.parametrize("hook", ["initialise", "start", "stop", "cleanup"])
async def test_closing_in_the_middle_of_a_hook_ends_it(
    lab: Any, until: Callable[..., Any], hook: str
) -> None:
    rig = await lab.rig(fake={"hang": [hook]}, limits={"stop": 0.1, "cleanup": 0.1})
    caller = await call(lab)
    asked = [asyncio.create_task(caller.start())]
    if hook in ("stop", "cleanup"):
        await asked[0]
        asked.append(asyncio.create_task(caller.end() if hook == "stop" else caller.cleanup()))
    await until(lambda: hook in rig.adapter.calls)
    await rig.close()
    assert "stop" in rig.adapter.calls
    assert "cleanup" in rig.adapter.calls
    await asyncio.gather(*asked)


@pytest.mark.parametrize("state", ["new", "idle", "initialised", "stopped", "broken"])
async def test_it_can_be_closed_in_any_state_and_twice(lab: Any, state: str, tmp_path: Path) -> None:
    config = {"name": "cam", "uri": "udp://cam:1", "data_folder": str(tmp_path), "adapter": {"type": "fake"}}
    rig = RigService(RigConfig.model_validate(config), network=lab.network)
    if state != "new":
        await rig.open()
        lab.rigs["cam"] = rig
        caller = await call(lab)
        if state == "broken":
            rig.adapter.fail = {"start": "no light"}  # type: ignore[attr-defined]  # a Fake's
            await caller.start()
        if state in ("initialised", "stopped"):
            await caller.init()
        if state == "stopped":
            await caller.start()
            await caller.end()
    await rig.close()
    await rig.close()
    assert rig.machine.state is RigState.CONNECTED


async def test_a_port_that_is_in_use_is_one_line_and_leaves_nothing_open(lab: Any) -> None:
    first = await lab.rig("one", over="udp")
    port = first.addresses[0].port
    with pytest.raises(ConfigError) as caught:
        await lab.rig("two", over="udp", uri=["udp://127.0.0.1:0", f"udp://127.0.0.1:{port}"])
    assert str(caught.value).startswith("rig two: cannot listen on")
    assert len(str(caught.value).splitlines()) == 1


async def test_a_data_folder_that_cannot_be_made_is_one_line(lab: Any) -> None:
    (lab.folder / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^rig cam: cannot make data_folder .*choose a folder"):
        await lab.rig(data_folder=str(lab.folder / "file" / "data"))


# -- bad messages ------------------------------------------------------------------------------------------


class Socket(asyncio.DatagramProtocol):
    """A peer of wire 1.0 that says whatever it likes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(data)


@contextlib.asynccontextmanager
async def speak_to(rig: Any) -> AsyncIterator[tuple[Any, Socket]]:
    loop = asyncio.get_running_loop()
    address = rig.addresses[0][1:]
    transport, peer = await loop.create_datagram_endpoint(Socket, remote_addr=address, family=socket.AF_INET)
    try:
        yield transport, peer
    finally:
        transport.abort()  # on Windows a datagram may still be on its way
        for _ in range(3):
            await asyncio.sleep(0)


BAD = [
    b"",
    b"\xff\xfe\x00",
    b"[",
    b"[]",
    b"{}",
    b"null",
    b"17",
    b'"text"',
    b"[NaN]",
    b"[null, 1]",
    b'["?", 1]',
    b"[-1]",
    b"[3, null]",
    b"[true, 1]",
    b"[1.0, null]",
    b"[99999999999999999999999999]",
    b"[1, 17]",
    b'[1, "junk"]',
    b'[1, {"exp_ref": {"date": "x", "sequence": 1e999, "subject": []}}]',
    b'[1, {"exp_ref": "2024-05-06_1_../../x"}]',
    b'[2, {"exp_ref": [1]}, null]',
    b'[4, {"exp_ref": "junk"}]',
    b'[64, "?", [1]]',
    b'[64, 0, {"subject": {"a": 1}}]',
    b'[64, 0, {"multirig": 17}]',
    b'[64, 0, {"multirig": {"wire": 2, "boot": null}}]',
    b"[128]",
    b'[128, 1, "token"]',
    b'[0, "an error", 2]',
    b"[" * 5000,
    b"[64, 0, " + b"[" * 300 + b"]" * 300 + b"]",
    b'{"multirig": 2}',
    b'{"multirig": 3, "boot": "a", "to": "b"}',
    b'{"multirig": 2, "boot": 1, "to": 2, "n": "x"}',
    b'{"multirig": 2, "boot": "a", "to": "b", "n": 1, "m": [1, null]}',
    b"x" * 60_000,
]


async def test_no_datagram_harms_a_recording(
    lab: Any, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    rig = await lab.rig(over="udp", fake={"rate": 1000})
    await rig.start_here("SP_01")
    async with speak_to(rig) as (transport, peer):
        for data in BAD:
            transport.sendto(data)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.1)
        assert rig.snapshot().state is RigState.RUNNING
        assert b"[99999999999999999999999999]" not in peer.heard
    async with speak_to(rig) as (transport, peer):
        transport.sendto(b"[32, 0]")
        await until(lambda: [json.loads(one) for one in peer.heard[:2]] == [[32, 0], [32, 20]])
    await rig.stop_here()
    assert rig.machine.recording.recorded.files[0].frames > 100
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


async def test_no_datagram_harms_an_idle_rig(lab: Any) -> None:
    rig = await lab.rig(over="udp", main_sync=True)
    async with speak_to(rig) as (transport, _):
        for data in BAD:
            transport.sendto(data)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.1)
    assert rig.snapshot().state is RigState.CONNECTED
    assert rig.adapter.calls == []
    assert [one.name for one in rig.config.data_folder.iterdir()] == [".multirig_folder"]
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    await session.agree()


async def test_a_peer_of_wire_1_leads_a_session_by_its_bytes(lab: Any, until: Callable[..., Any]) -> None:
    rig = await lab.rig(over="udp")
    async with speak_to(rig) as (transport, peer):

        async def say(message: list[Any]) -> list[Any]:
            """Send, await the echo and the reply, echo the reply."""
            data = json.dumps(message).encode()
            peer.heard.clear()
            transport.sendto(data)
            await until(lambda: len(peer.heard) >= 2)
            assert peer.heard[0] == data
            transport.sendto(peer.heard[1])
            reply: list[Any] = json.loads(peer.heard[1])
            return reply

        assert await say([1, {"exp_ref": ref()}]) == [1, {"exp_ref": ref(), "status": 10}]
        assert await say([2, ref(), None]) == [2, ref(), {"status": 20}]
        ended = await say([4, []])
        assert ended[1]["status"] == 30
        assert ended[1]["files_total"] == 1
        assert len(peer.heard[1]) < 1000
        assert await say([1, {"exp_ref": ref(2)}]) == [1, {"exp_ref": ref(2), "status": 10}]
        assert await say([8, None]) == [8, {"exp_ref": ref(2), "status": 0}]
    assert rig.snapshot().state is RigState.CONNECTED


# -- what the config says of a recording that nobody leads, or that does not grow --------------------------


async def test_a_recording_that_does_not_grow_is_told_after_the_time_that_the_config_gives(
    lab: Any, until: Callable[..., Any]
) -> None:
    await lab.rigs_of_a_session("cam", fake={"rate": 0.0}, stall_after=1)
    conductor = await lab.conductor()
    noticed = listen(conductor, Noticed)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await until(lambda: {one.rig for one in noticed if one.notice is Notice.STALLED} == {"main", "cam"})


async def test_a_recording_without_its_conductor_ends_where_the_config_says_so(
    lab: Any, until: Callable[..., Any]
) -> None:
    careful = await lab.rig("main", main_sync=True, on_lost_conductor={"stop_after": "1 s"})
    patient = await lab.rig("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await conductor.detach()  # it is not heard any more
    await until(lambda: careful.snapshot().state is RigState.STOPPED)
    assert "on_lost_conductor" in careful.snapshot().failure
    assert patient.snapshot().state is RigState.RUNNING
