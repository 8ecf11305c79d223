"""Rigs that somebody has left: the last line names them, and one command ends it, from any PC."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from typing import Any

import pytest

OPTIONS = ("--rigs-file", "rigs.yaml", "--data")


async def leave(lab: Any, *names: str) -> list[Any]:
    """Let rigs record whose conductor is killed."""
    rigs: list[Any] = await lab.open_rigs(*names)
    leading = lab.run("--no-check")
    await asyncio.gather(*(one.says("is running") for one in rigs))
    await leading.says("recording")
    leading.kill()
    await asyncio.sleep(2.5)  # the rigs notice that nobody leads them
    return rigs


@pytest.mark.limit(60)
async def test_what_was_left_is_ended_from_another_pc_after_saying_whose_it_is(lab: Any) -> None:
    rigs = await leave(lab, "ephys", "right")
    asked = lab.command("stop", *OPTIONS, "elsewhere")
    assert await asked.ends() == 2
    assert "nobody is there to confirm it: give --yes" in asked.said()
    assert [hook for hook, _ in rigs[0].hooks()][-1] == "start"
    stopping = lab.command("stop", "--yes", *OPTIONS, "elsewhere")
    assert await stopping.ends() == 0, stopping.said()
    said = stopping.said()
    assert "records 2026" in said.replace("-", "") or "records 20" in said
    assert "since" in said
    assert "begun by" in said
    assert "which is not heard any more" in said
    assert "ephys has recorded" in said
    for rig in rigs:
        assert [hook for hook, _ in rig.hooks()][-2:] == ["stop", "cleanup"], said
        assert rig.rows() > 0
    again = lab.run("--seconds", "0.3", "--no-check")
    assert await again.ends() == 0, again.said()


@pytest.mark.limit(60)
async def test_on_the_pc_that_began_it_the_account_is_written(lab: Any) -> None:
    await leave(lab, "ephys", "right")
    stopping = lab.command("stop", "--yes", *OPTIONS, "pc")
    assert await stopping.ends() == 0, stopping.said()
    assert "GOOD" in stopping.said()
    [verdict] = lab.folder.glob("pc/**/_multirig_verdict.json")
    told = json.loads(verdict.read_text())
    assert all(rig["files_total"] and rig["still_records"] is None for rig in told["rigs"].values())
    assert not lab.command("recover", "--data", "pc").said()


@pytest.mark.limit(60)
async def test_who_begins_again_on_the_same_pc_is_told_of_its_own_session_and_recovers_it(lab: Any) -> None:
    await leave(lab, "ephys", "right")
    again = lab.run("--no-check", "--seconds", "1")
    assert await again.ends() == 3, again.said()
    assert re.search(r"this PC's own session of \d\d:\d\d is still open .*'multirig recover'", again.said())
    assert "end the session there" not in again.said()
    ending = lab.command("recover", "--stop", "--data", "pc")
    assert await ending.ends() == 0, ending.said()
    well = lab.run("--no-check", "--seconds", "1")
    assert await well.ends() == 0, well.said()


@pytest.mark.limit(60)
async def test_one_rig_alone_can_be_stopped_and_the_others_record_on(lab: Any) -> None:
    ephys, right = await leave(lab, "ephys", "right")
    stopping = lab.command("stop", "right", "--yes", *OPTIONS, "pc")
    assert await stopping.ends() == 0, stopping.said()
    assert [hook for hook, _ in right.hooks()][-1] == "cleanup"
    assert [hook for hook, _ in ephys.hooks()][-1] == "start"
    rest = lab.command("recover", "--stop", "--data", "pc")
    await rest.ends()
    assert "did not say what" not in rest.said()
    assert [hook for hook, _ in ephys.hooks()][-1] == "cleanup", rest.said()


@pytest.mark.limit(60)
async def test_a_session_that_goes_on_is_left_alone_until_its_rig_is_named(lab: Any) -> None:
    [rig] = await lab.open_rigs("ephys")
    leading = lab.run("--no-check")
    await leading.says("recording")
    stopping = lab.command("stop", "--yes", *OPTIONS, "elsewhere")
    assert await stopping.ends() == 0
    assert "which is heard" in stopping.said()
    assert "is left alone" in stopping.said()
    assert [hook for hook, _ in rig.hooks()][-1] == "start"
    named = lab.command("stop", "ephys", "--yes", *OPTIONS, "elsewhere")
    assert await named.ends() == 0, named.said()
    assert [hook for hook, _ in rig.hooks()][-1] == "cleanup"
    await leading.says("is led by")
    leading.signal(signal.SIGINT)
    await leading.ends()


@pytest.mark.limit(60)
async def test_rigs_in_no_session_and_rigs_that_are_not_there_are_told(lab: Any) -> None:
    _, gone = await lab.open_rigs("ephys", "right")
    gone.kill()
    lab.run("--no-check").kill()  # writes the rigs file
    stopping = lab.command("stop", "--yes", *OPTIONS, "elsewhere")
    assert await stopping.ends() == 1
    assert "is in no session, and records nothing" in stopping.said()
    last = stopping.said().strip().splitlines()[-1]
    assert last.endswith(
        f"right may still record: once it can be reached, 'multirig stop {gone.uri}' ends that, from any PC"
    )


@pytest.mark.limit(100)
async def test_the_last_line_names_the_rig_that_may_still_record_and_the_command(lab: Any) -> None:
    rigs = await lab.open_rigs("ephys", "right")
    leading = lab.run("--no-check")
    await leading.says("recording")
    rigs[1].hold()
    leading.signal(signal.SIGINT)
    assert await leading.ends(60) == 1
    last = leading.said().strip().splitlines()[-1]
    assert "right may still record" in last
    copied = re.search("'multirig (.+)'", last)
    assert copied is not None, last
    rigs[1].go_on()
    stopping = lab.command(*shlex.split(copied[1]), "--yes")
    assert await stopping.ends() == 0, stopping.said()
    assert [hook for hook, _ in rigs[1].hooks()][-1] == "cleanup", stopping.said()
    again = lab.run("--seconds", "0.3", "--no-check")
    assert await again.ends() == 0, again.said()
