"""Every promise can be broken, and is then seen to be."""

from __future__ import annotations

import pytest
from tests.unit.sim.mutants import MUTANTS

from multirig.sim.invariants import COMES_TO_REST, INVARIANTS
from multirig.sim.lab import run
from multirig.sim.scenario import draw

SEEDS = range(1500)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_noticed_by_the_invariant_that_it_breaks(name: str) -> None:
    plant, invariant = MUTANTS[name]
    with plant():
        for seed in SEEDS:
            if any(one.invariant == invariant for one in run(draw(seed)).violations):
                return
    pytest.fail(f"nobody has noticed in {len(SEEDS)} seeds: {name}")


def test_every_invariant_is_broken_by_some_planted_bug() -> None:
    broken = {invariant for _, invariant in MUTANTS.values()}
    assert broken >= {one.name for one in INVARIANTS} | {COMES_TO_REST}
