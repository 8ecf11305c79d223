"""The program that copies for a rig does what is wished of it, and no more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.collect.lab import Pc, Server

from multirig.collect.calling import CollectWorker
from multirig.collect.ledger import Ledger
from multirig.protocol.holdings import Collect, Holdings, Whereabouts
from multirig.state import VARIABLE


async def until(worker: CollectWorker, is_so: Callable[[Holdings], bool]) -> Holdings:
    while not is_so(told := await worker.look()):
        await asyncio.sleep(0.05)
    return told


@pytest.fixture
def pc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pc:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Pc(tmp_path / "pc")


@pytest.mark.parametrize("waits", [0.0, 0.3])
async def test_what_was_ended_is_not_gone_on_with_and_another_wish_is(
    pc: Pc, tmp_path: Path, waits: float
) -> None:
    server = Server(tmp_path / "server")
    exp_ref = pc.record({"raw/big.bin": os.urandom(6_000_000)})
    worker = CollectWorker(pc.root)
    try:
        await worker.collect(Collect(to=str(server.path), rate=500_000.0))
        await asyncio.sleep(waits)
        await worker.collect(Collect(to=None))
        told = await until(worker, lambda one: not one.is_busy)
        assert told.sessions[0].state is Whereabouts.HERE
        assert "raw/big.bin" not in server.files(exp_ref)
        await worker.collect(Collect(to=str(server.path)))
        told = await until(worker, lambda one: not one.is_busy)
        assert told.sessions[0].state is Whereabouts.COLLECTED
    finally:
        await worker.close()


async def test_why_nothing_is_copied_is_told_and_stands_in_a_log(pc: Pc, tmp_path: Path) -> None:
    pc.record({"raw/a.bin": b"abc"})
    worker = CollectWorker(pc.root)
    try:
        await worker.collect(Collect(to=str(tmp_path / "nowhere")))
        told = await until(worker, lambda one: not one.is_busy)
        assert "nowhere is not there" in told.trouble
    finally:
        await worker.close()
    assert "nowhere is not there" in (tmp_path / "state" / "log" / "collect.log").read_text(encoding="utf-8")


def test_what_a_register_says_that_no_receipt_does_is_forgotten_when_it_is_made_anew(
    pc: Pc, tmp_path: Path
) -> None:
    server = Server(tmp_path / "server")
    exp_ref = pc.record({"raw/a.bin": b"abc"})
    pc.collect(server.open())
    mark = pc.ledger.mark_of(str(server.path))
    assert mark is not None
    for receipt in pc.folder(exp_ref).glob("_multirig_collected.*"):
        receipt.unlink()
    assert pc.ledger.rebuild(pc.root) == 0
    assert pc.ledger.read(pc.root, exp_ref, mark) == {}
    assert Ledger(tmp_path / "other.sqlite").rebuild(tmp_path / "no such folder") == 0
