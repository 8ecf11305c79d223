"""What ``multirig run`` collects at the end of a session holds up nobody."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.integration.collect.lab import Pc, Server

from multirig.cli.around import _OwnPart
from multirig.config import CollectRules
from multirig.state import VARIABLE


def test_a_part_that_takes_long_is_left_for_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pc, server = Pc(tmp_path / "pc"), Server(tmp_path / "server")
    exp_ref = pc.record({"raw/big.bin": os.urandom(6_000_000), "raw/large.bin": os.urandom(6_000_000)})
    rules = CollectRules.model_validate({"to": str(server.path), "rate": "300 kB/s"})
    own = _OwnPart(pc.folder(exp_ref), exp_ref, rules)
    own.start()
    began = time.monotonic()
    own.give(0.5)
    assert not own.is_alive()
    assert time.monotonic() - began < 15  # it would have been forty
    assert own.why_not() == "it takes long; multirig collect goes on from there"
    assert not (server.session(exp_ref) / "raw" / "big.bin").exists()
