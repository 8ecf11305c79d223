"""A stop that fails, or that nobody has asked for, still gives the account of what lies there."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest

from multirig.errors import RemoteProtocolError
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.events import SECOND
from multirig.protocol.words import Stopped
from multirig.record.account import account
from multirig.record.verdict import Word
from multirig.rig.adapters.process import Process, family

RECORDING = """
import signal, sys, time
{beginning}
file = open(sys.argv[1] + "/video.avi", "wb", buffering=0)
file.write(bytes(5000))
print("ready", flush=True)
{ending}
"""
QUICK = Limits(lead=SECOND // 50, stop=SECOND, cleanup=SECOND)
DEAF = """
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
"""


async def record(
    lab: Any, *, beginning: str = "", ending: str = "sys.stdin.readline()", limits: Limits = QUICK
) -> Any:
    """Record with a program and a rig beside it; return the session, which runs."""
    path = lab.folder / "program.py"
    path.write_text(RECORDING.format(beginning=beginning, ending=ending), encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(path), "{folder}"]
    adapter = Process(command=command, ready=re.compile("^ready"), grace=0.3)
    await lab.rig("program", adapter=adapter)
    await lab.rig("beside", main_sync=True)
    conductor = await lab.conductor(limits=limits)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    return session


def judge(session: Any) -> Any:
    """Return the account, in which the program's video must stand."""
    told = account(session.folder)
    rig = told.rigs["program"]
    assert [(file.path, file.bytes) for file in rig.files] == [("raw_data/video.avi", 5000)]
    assert (rig.has_ended, rig.files_total, rig.bytes_total) == (True, 1, 5000)
    assert rig.manifest == "_multirig_manifest.program.json"
    assert not [reason for reason in told.reasons if "did not say what" in reason]
    return told


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        pytest.param(
            {"beginning": DEAF, "ending": "time.sleep(60)"},
            "did not stop within 0.3 s and was killed",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="a program there is deaf to no kill"),
        ),
        ({"ending": "sys.stdin.readline(); sys.exit(3)"}, "ended with exit code 3"),
    ],
    ids=["killed", "wrong exit code"],
)
async def test_a_stop_that_fails_tells_what_lies_there(
    lab: Any, monkeypatch: pytest.MonkeyPatch, program: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr(family, "TERMINATE_LIMIT", 0.2)
    session = await record(lab, **program)
    outcomes = await session.stop()
    error = outcomes["program"]
    assert isinstance(error, RemoteProtocolError)
    assert reason in str(error)
    assert isinstance(error.word, Stopped)
    await session.cleanup()
    told = judge(session)
    assert told.verdict is Word.DEGRADED
    assert any(reason in line for line in told.reasons)


async def test_a_rig_whose_program_is_ended_tells_first_what_it_has_recorded(lab: Any, until: Any) -> None:
    session = await record(lab)
    await lab.rigs["program"].close()
    await until(lambda: session.exp_ref is not None and account(session.folder).rigs["program"].files)
    assert session.state is SessionState.RUNNING
    await session.stop()
    await session.cleanup()
    told = judge(session)
    assert told.verdict is Word.DEGRADED
    assert any("its program was ended on that PC" in line for line in told.reasons)
    assert not any("keyboard" in line for line in told.reasons)


async def test_a_rig_that_is_back_and_knows_nothing_takes_no_account_away(lab: Any, until: Any) -> None:
    session = await record(lab)
    rig = lab.rigs["program"]
    await rig.close()
    await until(lambda: account(session.folder).rigs["program"].files)
    again = type(rig)(rig.config, adapter=rig.adapter, network=lab.network)
    await again.open()
    lab.rigs["program"] = again
    await session.stop()
    await session.cleanup()
    judge(session)


async def test_a_rig_whose_program_was_ended_in_good_order_is_not_waited_for(lab: Any) -> None:
    session = await record(lab, limits=Limits(lead=SECOND // 50))
    await lab.rigs["beside"].close()
    await asyncio.wait_for(session.stop(), 5)
    await asyncio.wait_for(session.cleanup(), 5)
    told = account(session.folder)
    beside = told.rigs["beside"]
    assert (beside.has_ended, beside.files_total, beside.still_records) == (True, 1, None)
    assert told.rigs["program"].has_ended
    assert next(line for line in told.reasons if line.startswith("beside: ")) == (
        "beside: it was stopped: its program was ended on that PC, where 'multirig serve' runs no more"
    )
