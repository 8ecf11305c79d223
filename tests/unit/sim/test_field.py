from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.sim.mutants import MUTANTS

from multirig.record.journal import FILE_NAME
from multirig.sim.field import replay_field_journal
from multirig.sim.lab import Lab
from multirig.sim.scenario import draw


def journals(seed: int) -> list[bytes]:
    lab = Lab(draw(seed))
    lab.run()
    return [one.data for conductor in lab.conductors.values() for one in conductor.journals.values()]


@pytest.mark.parametrize("seed", range(15))
def test_the_journal_of_a_session_that_kept_its_promises_says_so(tmp_path: Path, seed: int) -> None:
    for data in journals(seed):
        (tmp_path / FILE_NAME).write_bytes(data)
        assert replay_field_journal(tmp_path) == []


def test_the_journal_of_a_session_that_broke_one_says_which(tmp_path: Path) -> None:
    plant, invariant = MUTANTS["running when the first rig is"]
    found: list[str] = []
    with plant():
        for seed in range(10):
            for data in journals(seed):
                (tmp_path / FILE_NAME).write_bytes(data)
                found += replay_field_journal(tmp_path)
    assert any(invariant in one and "had not said so" in one for one in found)
