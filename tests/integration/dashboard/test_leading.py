"""A session's own process, from the console's side: begin, watch, mark, stop, find again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from multirig.dashboard.leading import channel
from multirig.dashboard.leading.board import Board
from multirig.dashboard.leading.client import Leader, read_last
from multirig.dashboard.leading.record import COMMISSION, Commission, read_record
from multirig.dashboard.leading.teller import Teller
from multirig.dashboard.snapshot import Outcome, SessionNow, Step
from multirig.errors import MultirigError
from multirig.record.account import account
from multirig.record.journal import read_history
from multirig.record.story import tell
from multirig.version import __version__

LIMIT = 30.0
"""Seconds for what a process of its own does, on a busy machine."""
BEGINNING = """
import asyncio, json, pathlib, sys
from multirig.dashboard.leading.client import Leader
from multirig.dashboard.leading.record import commission_from_json

async def main():
    order = commission_from_json(sys.stdin.buffer.read()).order
    await Leader.begin(order, pathlib.Path(sys.argv[1]))
    print("begun", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def done(now: SessionNow, step: Step) -> set[str]:
    return {one.rig for one in now.steps if one.step is step and one.outcome is Outcome.DONE}


async def over(leader: Leader, until: Any) -> SessionNow:
    await until(lambda: leader.session.is_over, LIMIT)
    return leader.session


async def running(leader: Leader, until: Any) -> None:
    await until(lambda: leader.session.state == "running" or leader.session.is_over, LIMIT)
    assert leader.session.trouble is None
    assert leader.session.state == "running"


# -- a whole session ----------------------------------------------------------------------------------------


@pytest.mark.limit(90)
async def test_a_session_is_begun_watched_marked_stopped_and_judged(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session("cam", over="udp")
    leader = await desk.begin(projects=("ours",), procedures=("Behavior training/tasks",), by="ada")
    changes: list[str] = []
    leader.on_change(lambda: changes.append(leader.session.state))

    await running(leader, until)
    await leader.mark("the door was  opened", by="bob")
    await until(lambda: leader.session.markers, LIMIT)
    await until(lambda: set(leader.session.multirigs) == {"main", "cam"}, LIMIT)
    await leader.stop(by="eve")
    now = await over(leader, until)

    told = account(Path(now.folder or ""))
    assert (told.pc, told.person, told.markers[0].data) == (platform.node(), "ada", {"by": "bob"})
    story = [one.what for one in tell(read_history(Path(now.folder or "")).moments)]
    assert story[0] == f"opened the journal (multirig {__version__}, led by ada on {platform.node()})"
    assert "asked for the step 'stop', by eve" in story
    assert "marked: the door was opened (by bob)" in story
    assert (now.verdict, now.trouble) == ("GOOD", None)
    assert [one.text for one in now.markers] == ["the door was opened"]
    assert "running" in changes
    for step in (Step.AGREE, Step.INITIALISE, Step.START, Step.STOP, Step.CLEAN_UP):
        assert done(now, step) == {"main", "cam"}
    assert now.spread is not None
    assert (now.began_at or 0) < (now.ended_at or 0)
    described = yaml.safe_load((Path(now.folder or "") / "_ibl_experiment.description.yaml").read_text())
    assert set(described["remote_rigs"]) == {"main", "cam"}
    assert described["projects"] == ["ours"]
    assert described["procedures"] == ["Behavior training/tasks"]
    await until(lambda: read_last(desk.state_file) == now)
    with pytest.raises(MultirigError, match="the session is over"):
        await leader.stop()


@pytest.mark.limit(90)
async def test_a_session_ends_when_its_time_is_over_and_the_next_one_follows_at_once(
    lab: Any, desk: Any, until: Any
) -> None:
    await lab.rigs_of_a_session(over="udp")
    first = await over(await desk.begin(seconds=0.3, checks=True), until)
    second = await over(await desk.begin(seconds=0.3), until)
    assert (first.verdict, second.verdict) == ("GOOD", "GOOD")
    assert first.exp_ref != second.exp_ref
    assert {"main", "this PC"} <= set(first.findings)


@pytest.mark.limit(90)
async def test_an_interrupt_reaches_the_rigs_and_the_verdict(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin()
    await running(leader, until)
    await leader.interrupt("smoke in the room", by="ada")
    now = await over(leader, until)
    assert now.verdict == "INTERRUPTED"
    assert done(now, Step.INTERRUPT) == {"main"}
    verdict = json.loads((Path(now.folder or "") / "_multirig_verdict.json").read_text())
    assert verdict["interruption"] == "smoke in the room (by ada)"


@pytest.mark.limit(90)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
async def test_a_sigterm_ends_a_recording_in_good_order(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin()
    await running(leader, until)
    record = read_record(desk.state_file)
    assert record is not None
    os.kill(record.pid, signal.SIGTERM)
    assert (await over(leader, until)).verdict == "GOOD"


# -- what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.limit(90)
async def test_a_rig_that_cannot_initialise_is_named_and_all_are_cleaned_up(
    lab: Any, desk: Any, until: Any
) -> None:
    main = await lab.rig("main", main_sync=True, over="udp")
    cam = await lab.rig("cam", over="udp", fake={"fail": {"initialise": "no camera is plugged in"}})
    now = await over(await desk.begin(), until)
    assert now.trouble is not None
    assert now.trouble.step == "initialise"
    assert "no camera is plugged in" in now.trouble.causes["cam"]
    assert "\n" not in now.trouble.text
    failed = [one for one in now.steps if one.outcome is Outcome.FAILED]
    assert [(one.rig, one.step) for one in failed] == [("cam", Step.INITIALISE)]
    assert now.verdict == "ABORTED"
    await until(lambda: {str(rig.machine.state) for rig in (main, cam)} == {"connected"})


@pytest.mark.limit(90)
async def test_a_rig_that_is_set_up_for_another_animal_ends_it_before_anybody_is_touched(
    lab: Any, desk: Any, until: Any
) -> None:
    (main,) = await lab.rigs_of_a_session(over="udp")
    main.choose_subject("SP_02")
    now = await over(await desk.begin(), until)
    assert now.trouble is not None
    assert now.trouble.step == "agree"
    assert now.trouble.causes["main"].startswith("is set up for subject SP_02, you asked for SP_01")
    assert now.verdict is None
    assert main.adapter.calls == []


@pytest.mark.limit(90)
async def test_a_rig_that_nobody_knows_is_told_in_one_line(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    now = await over(await desk.begin(rigs=("main", "ephys")), until)
    assert now.trouble is not None
    assert "ephys" in now.trouble.text


@pytest.mark.limit(90)
async def test_a_stop_while_the_rigs_get_ready_lets_them_go(lab: Any, desk: Any, until: Any) -> None:
    (main,) = await lab.rigs_of_a_session(over="udp", fake={"delay": {"initialise": 30}})
    leader = await desk.begin()
    await until(lambda: leader.session.step is Step.INITIALISE, LIMIT)
    with pytest.raises(MultirigError, match="cannot set a marker"):
        await leader.mark("too early")
    await leader.stop()
    now = await over(leader, until)
    assert now.trouble is not None
    assert now.trouble.text == "ended before anything was recorded; every rig has been released"
    await until(lambda: str(main.machine.state) == "connected")


@pytest.mark.limit(90)
async def test_a_rig_that_breaks_is_an_alarm(lab: Any, desk: Any, until: Any) -> None:
    await lab.rig("main", main_sync=True, over="udp")
    await lab.rig("cam", over="udp", fake={"fail_after": 0.3})
    leader = await desk.begin()
    await running(leader, until)
    await until(lambda: any(one.rig == "cam" for one in leader.session.alarms), LIMIT)
    await leader.stop()
    assert (await over(leader, until)).verdict in ("DEGRADED", "INCOMPLETE")


@pytest.mark.limit(90)
async def test_only_one_session_goes_on_at_a_time(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin()
    await running(leader, until)
    with pytest.raises(MultirigError, match=r"_1_SP_01 goes on already: stop it first"):
        await desk.begin()
    await leader.stop()
    assert (await over(leader, until)).verdict == "GOOD"


@pytest.mark.limit(60)
async def test_an_order_that_is_none_is_refused_by_the_process(desk: Any) -> None:
    def run() -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "multirig.dashboard.leading", str(desk.state_file)]
        return subprocess.run(command, input=b"{}", capture_output=True, timeout=30, check=False)

    finished = await asyncio.to_thread(run)
    assert finished.returncode == 2
    assert finished.stderr.startswith(b"the order on the standard input is none")


# -- consoles that come and go ------------------------------------------------------------------------------


@pytest.mark.limit(90)
@pytest.mark.parametrize("end", ["killed", "Ctrl-C"])
async def test_the_session_outlives_the_console_that_began_it(
    lab: Any, desk: Any, until: Any, end: str
) -> None:
    await lab.rigs_of_a_session(over="udp")
    commission = COMMISSION.dump_json(Commission(order=desk.order(), secret="-"))
    pipe = asyncio.subprocess.PIPE
    console = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BEGINNING, str(desk.state_file)),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert console.stdin is not None
    assert console.stdout is not None
    console.stdin.write(commission)
    console.stdin.close()
    assert await asyncio.wait_for(console.stdout.readline(), LIMIT) == b"begun\n"
    if end == "killed":
        console.kill()
    else:  # a terminal tells every program that belongs to it
        os.killpg(console.pid, signal.SIGINT)
    await console.wait()

    leader = await desk.attach()
    assert leader is not None
    await running(leader, until)
    await leader.stop()
    assert (await over(leader, until)).verdict == "GOOD"


@pytest.mark.limit(90)
async def test_two_consoles_see_the_same(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    one = await desk.begin()
    await running(one, until)
    other = await desk.attach()
    assert other is not None
    await one.close()
    assert not one.is_alive
    with pytest.raises(MultirigError, match="is not heard"):
        await one.stop()
    await other.stop()
    assert (await over(other, until)).verdict == "GOOD"


@pytest.mark.limit(60)
async def test_where_nobody_leads_there_is_nobody_to_attach_to(desk: Any) -> None:
    assert await desk.attach() is None
    assert read_last(desk.state_file) is None


@pytest.mark.limit(90)
async def test_a_process_that_is_done_ends_soon(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin(seconds=0.1)
    record = read_record(desk.state_file)
    assert record is not None
    await over(leader, until)
    await until(lambda: not leader.is_alive, LIMIT)
    await until(lambda: not psutil.pid_exists(record.pid), LIMIT)
    assert await desk.attach() is None
    last = read_last(desk.state_file)
    assert last is not None
    assert last.verdict == "GOOD"


@pytest.mark.limit(90)
async def test_a_session_that_is_dismissed_leaves_nothing_behind(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin()
    await running(leader, until)
    with pytest.raises(MultirigError, match="goes on"):
        await leader.dismiss()
    await leader.stop()
    await over(leader, until)
    record = read_record(desk.state_file)
    assert record is not None
    await leader.dismiss()
    desk.state_file.unlink()
    await until(lambda: not psutil.pid_exists(record.pid), LIMIT)
    assert not desk.state_file.exists()


@pytest.mark.limit(90)
async def test_a_session_whose_process_was_killed_is_recovered(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session("cam", over="udp")
    leader = await desk.begin()
    await running(leader, until)
    began = leader.session.began_at
    record = read_record(desk.state_file)
    assert record is not None
    psutil.Process(record.pid).kill()
    await until(lambda: not leader.is_alive, LIMIT)
    assert await desk.attach() is None
    last = read_last(desk.state_file)
    assert last is not None
    assert not last.is_over

    again = await desk.begin(recover=leader.session.folder, rigs=(), subject="", by="bob")
    await running(again, until)
    assert again.session.order.subject == "SP_01"
    assert list(again.session.order.rigs) == ["main", "cam"]
    assert again.session.began_at == pytest.approx(began, abs=1.0)
    await again.mark("recovered")
    await again.stop()
    now = await over(again, until)
    assert now.verdict == "GOOD"
    assert [one.text for one in now.markers] == ["recovered"]
    assert account(Path(now.folder or "")).person == "bob"


@pytest.mark.limit(90)
async def test_nobody_can_be_recovered_where_nothing_was_begun(desk: Any, until: Any, tmp_path: Path) -> None:
    now = await over(await desk.begin(recover=str(tmp_path / "nothing")), until)
    assert now.trouble is not None
    assert now.trouble.step == "recover"


# -- strangers ----------------------------------------------------------------------------------------------


@pytest.mark.limit(90)
async def test_a_stranger_on_the_port_hears_nothing_and_ends_nothing(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin()
    await running(leader, until)
    record = read_record(desk.state_file)
    assert record is not None
    for said in (b'{"number": 1, "do": "stop"}\n', b"x" * 200_000, b"\xff\xfe\n", b"\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", record.port)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        writer.close()
    assert leader.session.state == "running"
    await leader.stop()
    assert (await over(leader, until)).verdict == "GOOD"


@pytest.mark.limit(90)
@pytest.mark.skipif(sys.platform == "win32", reason="there the folder's rights hold")
async def test_nobody_else_can_read_the_state_file(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin(seconds=0.1)
    assert stat.S_IMODE(desk.state_file.stat().st_mode) == 0o600
    await over(leader, until)
    assert stat.S_IMODE(desk.state_file.stat().st_mode) == 0o600


@pytest.mark.limit(90)
async def test_a_command_that_is_none_is_refused_and_the_session_goes_on(
    lab: Any, desk: Any, until: Any
) -> None:
    await lab.rigs_of_a_session(over="udp")
    leader = await desk.begin()
    await running(leader, until)
    with pytest.raises(MultirigError, match="knows no command 'dance'"):
        await leader._ask("dance")
    with pytest.raises(MultirigError, match="say in a line what has happened"):
        await leader.mark("")
    await leader.stop()
    assert (await over(leader, until)).verdict == "GOOD"


class Nobody:
    """A session that does as it is told, which is nothing."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def stop(self, by: str | None = None) -> None:
        self.heard.append("stop")

    def interrupt(self, why: str, by: str | None = None) -> None:
        raise ZeroDivisionError

    def mark(self, text: str, by: str | None = None) -> None:
        self.heard.append(text)


@pytest.fixture
def served(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Board, Nobody]]:
    """A channel in this process, with little patience."""
    monkeypatch.setattr(channel, "SEND_LIMIT", 0.3)
    monkeypatch.setattr(channel, "SECRET_LIMIT", 0.3)
    board, nobody = Board(Teller(desk.order())), Nobody()
    desk.state_file.parent.mkdir()
    opened = channel.Channel(board, nobody, secret="s", state_file=desk.state_file, pid=os.getpid())
    opened.open()
    yield board, nobody
    opened.close()


async def test_a_client_that_takes_nothing_is_dropped_and_holds_up_nobody(
    desk: Any, until: Any, served: tuple[Board, Nobody]
) -> None:
    board, nobody = served
    leader = await desk.attach()
    record = read_record(desk.state_file)
    assert leader is not None
    assert record is not None
    _, slow = await asyncio.open_connection("127.0.0.1", record.port, limit=1000)
    slow.write(b"s\n")
    for number in range(200):
        text = f"{number} " * 10_000
        board.tell(lambda teller, text=text: teller.warn("cam", text, 0.0))  # type: ignore[misc]
        await asyncio.sleep(0.002)
    await until(lambda: leader.session.alarms and leader.session.alarms[-1].number == 200)
    await until(lambda: slow.transport.is_closing() or is_hung_up(slow), LIMIT)
    await leader.mark("still here")
    assert nobody.heard == ["still here"]
    slow.transport.abort()


def is_hung_up(writer: asyncio.StreamWriter) -> bool:
    """Whether the other side has gone; a reader that is full does not tell by itself."""
    writer.write(b"\n")
    return bool(writer.transport.is_closing())


async def test_whoever_says_nothing_is_shown_out(desk: Any, served: tuple[Board, Nobody]) -> None:
    record = read_record(desk.state_file)
    assert record is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", record.port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_fault_in_a_command_is_told_and_the_channel_stays(
    desk: Any, until: Any, served: tuple[Board, Nobody]
) -> None:
    leader = await desk.attach()
    assert leader is not None
    with pytest.raises(MultirigError, match="a fault of multirig itself: ZeroDivisionError"):
        await leader.interrupt("now")
    await leader.stop()
    assert served[1].heard == ["stop"]
