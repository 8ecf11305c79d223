"""A rig's own program is killed while the program that it drives records on."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from multirig.conductor.preflight import find_hindrance
from multirig.config import RigConfig
from multirig.lifecycle.session_events import Limits
from multirig.protocol.events import SECOND
from multirig.protocol.words import RigState
from multirig.record.account import account
from multirig.rig.adapters.process.orphan import Started, find_birth, find_strangers, recall, remember
from multirig.rig.keepsake import Keepsake, programs_folder
from multirig.rig.memory import memory_file
from multirig.rig.storage import DiskStorage

RECORDER = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("ready", os.getpid(), flush=True)
with open(sys.argv[1] + f"/signal.{os.getpid()}.csv", "w", buffering=1) as file:
    file.write("perf_counter,x\\n")
    frames = 0
    while True:
        file.write(f"{time.perf_counter():.9f},0\\n")
        frames += 1
        print("frames", frames, flush=True)
        time.sleep(0.01)
"""
"""Records on when its input ends, as most programs do; ends well when it is interrupted."""
LIMIT = 8 * SECOND


async def open_rig(lab: Any, **keys: Any) -> Any:
    path = lab.folder / "recorder.py"
    path.write_text(RECORDER, encoding="utf-8")
    adapter = {
        "type": "process",
        "command": ["{python}", "-I", "-S", str(path), "{folder}"],
        "ready": "^ready",
        "progress": r"frames (?P<frames>\d+)",
        "stop_by": {"stdin": "stop"},
        "grace": 3,
        **keys,
    }
    [rig] = await lab.open_rigs("program", adapter=adapter)
    return rig


def orphan_of(rig: Any) -> Any:
    return next(iter(recall(keepsake(memory_file(rig.data, "program").with_suffix(".program.json")))), None)


def keepsake(path: Path, **keys: Any) -> Keepsake:
    return Keepsake(path=path, register=programs_folder(), **keys)


def recorders(lab: Any) -> list[int]:
    """Return the recorders of this test that run."""
    script = str(lab.folder / "recorder.py")
    found = []
    for process in psutil.process_iter():
        try:
            if script in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.fixture(autouse=True)
def _no_recorder_is_left(lab: Any) -> Any:
    yield
    for pid in recorders(lab):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.limit(60)
async def test_a_program_that_records_on_is_taken_back_and_its_file_has_no_gap(lab: Any, until: Any) -> None:
    rig = await open_rig(lab)
    conductor = await lab.conductor(limits=Limits(initialise=LIMIT, start=LIMIT, stop=LIMIT, cleanup=LIMIT))
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    [recorder] = recorders(lab)
    rig.kill()
    await asyncio.sleep(0.5)
    assert recorders(lab) == [recorder]
    await rig.open()
    await until(
        lambda: session.news()["program"].health and session.news()["program"].health.frames, limit=10
    )
    frames = session.news()["program"].health.frames
    await until(lambda: session.news()["program"].health.frames > frames, limit=10)
    assert session.news()["program"].state is RigState.RUNNING
    outcomes = await session.stop()
    [finding] = outcomes["program"].recorded.findings
    assert (finding.kind, finding.level.value) == ("orphan", "note")
    assert "recorded on meanwhile and was taken back" in finding.text
    assert recorders(lab) == []
    await session.cleanup()
    told = account(session.folder)
    [file] = told.rigs["program"].files
    assert re.fullmatch(rf"raw_data/signal\.{recorder}\.csv", file.path)
    assert file.last - file.first > 0.5
    assert told.rigs["program"].gaps == []
    assert not [line for line in told.reasons if "keyboard" in line or "recorded nothing" in line]
    assert orphan_of(rig) is None


@pytest.mark.limit(60)
async def test_the_next_session_never_begins_beside_a_program_that_was_left(lab: Any) -> None:
    rig = await open_rig(lab, start_on="init", stop_by={"signal": "SIGINT"})
    short = SECOND * 2
    conductor = await lab.conductor(limits=Limits(initialise=LIMIT, start=LIMIT, stop=short, cleanup=short))
    first = conductor.session("SP_01")
    await first.agree()
    await first.init()
    [left] = recorders(lab)
    rig.kill()  # it was not recording: nobody goes on with that session
    await first.end()
    memory_file(rig.data, "program").unlink()
    await rig.open()
    assert str(left) in str(orphan_of(rig))
    warnings: list[Any] = []
    while not warnings:  # a rig that has just come back on a busy PC may not answer in time
        found = await conductor.check()
        warnings = [one for one in found["program"] if "watched by nobody" in one.text]
    [warning] = warnings
    assert warning.level.value == "warning"
    assert find_hindrance(found, {}) is None
    second = conductor.session("SP_01")
    await second.agree()
    await second.init()
    assert len(recorders(lab)) == 1
    assert left not in recorders(lab)
    await second.start()
    outcomes = await second.stop()
    assert any(
        "it was ended before this session" in one.text for one in outcomes["program"].recorded.findings
    )
    await second.cleanup()
    assert recorders(lab) == []


@pytest.mark.limit(60)
@pytest.mark.parametrize("change", ["name", "data_folder"])
async def test_a_program_is_found_whatever_a_restart_has_changed_in_its_config(lab: Any, change: str) -> None:
    rig = await open_rig(lab, start_on="init")
    conductor = await lab.conductor(limits=Limits(initialise=LIMIT, start=LIMIT, stop=SECOND, cleanup=SECOND))
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    [left] = recorders(lab)
    rig.kill()
    await session.end()
    config = yaml.safe_load(rig.config.read_text())
    config[change] = "other" if change == "name" else str(lab.folder / "elsewhere")
    rig.config.write_text(yaml.safe_dump(config))
    await rig.open()
    await rig.says(f"process {left}.*still runs and is watched by nobody: 'multirig stop' ends it")
    stopping = lab.command("stop", "--yes", rig.uri)
    assert await stopping.ends() == 0, stopping.said()
    assert f"process {left}" in stopping.said()
    assert recorders(lab) == []


@pytest.fixture
def here() -> Started:
    """What stands for a program that runs: this one."""
    birth = find_birth(os.getpid())
    assert birth is not None
    return Started(pid=os.getpid(), birth=birth, name="x", exp_ref="x", folder="x", logs={}, rig="cam")


def note(folder: Path, started: Started) -> None:
    (folder / f"{started.pid}.json").write_text(json.dumps(dataclasses.asdict(started)))


def test_what_a_rig_has_left_that_runs_no_more_is_told_to_all_rigs_of_the_pc(
    tmp_path: Path, here: Started
) -> None:
    note(tmp_path, dataclasses.replace(here, addresses=["udp://127.0.0.1:7"]))

    def keep(rig: str, address: str) -> Keepsake:
        return Keepsake(path=tmp_path / "x.program", register=tmp_path, rig=rig, addresses=(address,))

    for mine in (keep("cam", "udp://127.0.0.1:9"), keep("renamed", "udp://127.0.0.1:7")):
        assert [one.pid for one in recall(mine)] == [here.pid]
        assert find_strangers(mine) == []
    other = keep("other", "udp://127.0.0.1:9")
    assert recall(other) == []
    assert [one.rig for one in find_strangers(other)] == ["cam"]


def test_rigs_that_listen_at_any_free_port_have_no_address_in_common(tmp_path: Path) -> None:
    def keep(name: str, uri: list[str]) -> Keepsake:
        made = {"name": name, "uri": uri, "data_folder": str(tmp_path / name), "adapter": {"type": "fake"}}
        keepsake = DiskStorage(RigConfig.model_validate(made)).keepsake
        assert keepsake is not None
        return dataclasses.replace(keepsake, register=tmp_path)

    left = keep("left", ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"])
    right = keep("right", ["udp://127.0.0.1:0", "udp://127.0.0.1:11005"])
    assert (left.addresses, right.addresses) == ((), ("udp://127.0.0.1:11005",))
    birth = find_birth(os.getpid())
    assert birth is not None
    mine = Started(pid=os.getpid(), birth=birth, name="x", exp_ref="x", folder="x", logs={}, rig="left")
    note(tmp_path, mine)
    assert [recall(one) for one in (left, right)] == [[mine], []], "nobody ends what another rig has started"


def test_what_a_rig_watches_is_left_by_nobody_and_what_has_gone_is_struck_out(
    tmp_path: Path, here: Started
) -> None:
    mine = Keepsake(path=tmp_path / "x.program", register=tmp_path, rig="other")
    note(tmp_path, dataclasses.replace(here, served_by=here.pid, served_since=here.birth))
    assert find_strangers(mine) == []
    note(tmp_path, dataclasses.replace(here, birth="another"))
    assert find_strangers(mine) == []
    assert [*tmp_path.iterdir()] == []


def test_another_program_of_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "x.program.json"
    birth = find_birth(os.getpid())
    assert birth is not None
    mine = Started(pid=os.getpid(), birth=birth, name="python", exp_ref="x", folder="x", logs={})
    remember(keepsake(path), mine)
    [found] = recall(keepsake(path))
    assert (found.pid, found.birth) == (mine.pid, mine.birth)
    remember(keepsake(path), dataclasses.replace(mine, birth=birth + "1"))
    assert recall(keepsake(path)) == []
