"""Rigs whose sessions are copied: while they record, on a day with a crash, and with a PC that is away."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from multirig.collect.receipts import find_receipts
from multirig.conductor.collecting import wish_of_rigs
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.lifecycle.session_events import Limits
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Collect, Holdings, Whereabouts
from multirig.record.manifest import Condition, check

LIMIT = 5 * SECOND
LIMITS = Limits(agree=LIMIT, initialise=LIMIT, start=LIMIT, stop=LIMIT, cleanup=LIMIT)
BIG = 12_000_000


@pytest.fixture(autouse=True)
def _a_register_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def session_of(data: Path, exp_ref: ExpRef) -> Path:
    return data.joinpath("mylab", "Subjects", *exp_ref.folder_parts())


async def begin(conductor: Any, subject: str) -> tuple[Any, ExpRef]:
    session = conductor.session(subject)
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    return session, exp_ref


async def end(session: Any) -> None:
    with contextlib.suppress(MultirigError):
        await session.stop()
    with contextlib.suppress(MultirigError):
        await session.cleanup()


async def ask(lab: Any, wish: Any) -> dict[str, Holdings]:
    answers = await wish_of_rigs({name: Uri.parse(uri) for name, uri in lab.uris().items()}, wish)
    assert all(isinstance(one, Holdings) for one in answers.values()), answers
    return {name: one for name, one in answers.items() if isinstance(one, Holdings)}


def moved(server: Path) -> int:
    return sum(one.stat().st_size for one in server.rglob("*") if one.is_file())


@pytest.mark.limit(60)
async def test_a_copy_steps_aside_while_its_rig_records(lab: Any, tmp_path: Path) -> None:
    server = tmp_path / "server"
    server.mkdir()
    [main] = await lab.open_rigs("main", adapter={"rows": 50})
    conductor = await lab.conductor(limits=LIMITS)
    session, first = await begin(conductor, "SP_01")
    (session_of(main.data, first) / "big.bin").write_bytes(os.urandom(BIG))
    await end(session)
    await ask(lab, Collect(to=str(server), rate=4e6))
    for _ in range(400):
        if moved(server) > 1_000_000:
            break
        await asyncio.sleep(0.05)
    assert 1_000_000 < moved(server) < BIG, "it is in the middle of a file"

    session, second = await begin(conductor, "SP_01")
    await asyncio.sleep(0.4)
    before, rows = moved(server), main.rows(second)
    told = await ask(lab, AskHoldings(sessions=(first,)))
    await asyncio.sleep(1.5)
    assert moved(server) == before, "it copies while its rig records"
    assert told["main"].sessions[0].state is Whereabouts.UNDER_WAY
    assert told["main"].sessions[0].why == "waits while this PC records"
    assert main.rows(second) > rows + 50
    await end(session)
    assert {one.condition for one in check(session_of(main.data, second))} <= {
        Condition.WHOLE,
        Condition.UNPROVED,
        Condition.UNLISTED,
    }

    await ask(lab, Collect(to=str(server)))
    for _ in range(300):
        told = await ask(lab, AskHoldings())
        states = {one.state for one in told["main"].sessions}
        if states == {Whereabouts.COLLECTED}:
            break
        await asyncio.sleep(0.1)
    assert states == {Whereabouts.COLLECTED}, told
    for exp_ref in (first, second):
        check_server(server, exp_ref, [main.data])


def check_server(server: Path, exp_ref: ExpRef, disks: list[Path]) -> None:
    """See that all that lies on these disks is claimed by receipts there, and is there byte for byte."""
    there = session_of(server, exp_ref)
    receipts, problems = find_receipts(there)
    assert not problems
    claimed = {one.path: one.target or one.path for receipt in receipts for one in receipt.files}
    for disk in disks:
        here = session_of(disk, exp_ref)
        for path in here.rglob("*"):
            name = path.relative_to(here).as_posix()
            if path.is_file() and not path.name.startswith((".multirig", "_multirig", "_ibl")):
                if path.name.endswith(".flag"):
                    continue
                assert name in claimed, f"{name} of {exp_ref} is claimed by nobody"
                assert (there / claimed[name]).read_bytes() == path.read_bytes()


@pytest.mark.limit(110)
async def test_a_day_of_a_lab(lab: Any, tmp_path: Path) -> None:
    server, pc = tmp_path / "server", lab.folder / "pc"
    server.mkdir()
    main, left, right = [
        lab.rig(name, adapter={"collection": f"raw_{name}_data"}, main_sync=name == "main")
        for name in ("main", "left", "right")
    ]
    await asyncio.gather(*(one.open() for one in (main, left, right)))
    conductor = await lab.conductor(limits=LIMITS)
    sessions = []
    for number in range(1, 5):
        session, exp_ref = await begin(conductor, f"SP_{number:02}")
        sessions.append(exp_ref)
        await asyncio.sleep(0.2)
        if number == 2:  # a crash in the middle of a recording
            right.kill()
            await right.open()
            await right.does("resume")
        await end(session)
    lines = [f"{name}: {uri}\n" for name, uri in lab.uris().items()]
    (lab.folder / "rigs.yaml").write_text("".join(lines))

    async def command(*words: str) -> tuple[int, str]:
        program = lab.command(*words, "--rigs-file", "rigs.yaml", "--data", str(pc))
        return await program.ends(60), program.said()

    left.kill()  # its PC is switched off
    code, said = await command("collect", "--to", str(server))
    assert code == 1, said
    assert "left" in said
    for exp_ref in sessions:
        check_server(server, exp_ref, [main.data, right.data])
    _, said = await command("history", "--where")
    assert "left" in said
    assert "collected" in said

    await left.open()
    code, said = await command("collect", "--to", str(server))
    assert code == 0, said
    assert "4 sessions" in said
    for exp_ref in sessions:
        check_server(server, exp_ref, [main.data, left.data, right.data])
    assert not [*server.rglob("*.part")]
