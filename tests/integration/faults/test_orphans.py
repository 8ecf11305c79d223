"""A rig's own program is killed while the program that it drives records on."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from multirig.conductor.preflight import find_hindrance
from multirig.lifecycle.session_events import Limits
from multirig.protocol.events import SECOND
from multirig.protocol.words import RigState
from multirig.record.account import account
from multirig.rig.adapters.process.orphan import recall
from multirig.rig.memory import memory_file

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
    return recall(memory_file(rig.data, "program").with_suffix(".program.json"))


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
    found = await conductor.check()
    [warning] = [one for one in found["program"] if "watched by nobody" in one.text]
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


def test_another_program_of_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    from multirig.rig.adapters.process.orphan import Started, find_birth, remember

    path = tmp_path / "x.program.json"
    birth = find_birth(os.getpid())
    assert birth is not None
    mine = Started(pid=os.getpid(), birth=birth, name="python", exp_ref="x", folder="x", logs={})
    remember(path, mine)
    assert recall(path) == mine
    remember(path, dataclasses.replace(mine, birth=birth + "1"))
    assert recall(path) is None
