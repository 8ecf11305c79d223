"""A rig and a console on one PC look at the same sessions, each by a program of its own."""

from __future__ import annotations

from pathlib import Path

from tests.integration.collect.lab import Pc, Server

from multirig.protocol.holdings import Whereabouts


def test_what_the_other_program_has_cleared_is_known_when_it_is_to_be_cleared(tmp_path: Path) -> None:
    pc, server = Pc(tmp_path / "pc"), Server(tmp_path / "server")
    exp_ref = pc.record({"raw/a.bin": b"abc"})
    rig, console = pc.collector(), pc.collector()
    rig.collect(server.open(), [exp_ref])
    assert [one.state for one in console.look()] == [Whereabouts.COLLECTED]
    rig.clear(server.open(), [exp_ref])
    console.clear(server.open(), [exp_ref])
    assert [one.state for one in console.look()] == [Whereabouts.CLEARED]
