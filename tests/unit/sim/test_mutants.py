"""Every promise can be broken, and is then seen to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.sim.mutants import MUTANTS, SCRIPTED, record_on

from multirig.sim.invariants import COMES_TO_REST
from multirig.sim.lab import ALL_INVARIANTS, run
from multirig.sim.scenario import Scenario, draw

SEEDS = range(1500)
QUICK = {
    "a deaf hook is forgotten": 425,
    "a repeated start is handled and obeyed": 4,
    "a stop is answered and not obeyed": 58,
    "a timer that rings for ever": 2,
    "agreed without a main sync, or with two": 5,
    "an interrupt waits for what goes on": 6,
    "answers answered": 80,
    "bounds by half too narrow": 1,
    "everybody may command": 131,
    "no duplicate filter": 4,
    "no pause between copies": 2,
    "no re-acknowledgement": 427,
    "no retransmission": 43,
    "no time-out": 142,
    "nobody is silent": 289,
}
"""Seeds in which a planted bug has been noticed soon; they are tried first."""


def worlds(name: str) -> Iterator[Scenario]:
    if name in SCRIPTED:
        yield SCRIPTED[name]
        return
    if name in QUICK:
        yield draw(QUICK[name])
    yield from map(draw, SEEDS)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_noticed_by_the_invariant_that_it_breaks(name: str) -> None:
    plant, invariant = MUTANTS[name]
    with plant():
        for scenario in worlds(name):
            if any(one.invariant == invariant for one in run(scenario).violations):
                return
    pytest.fail(f"nobody has noticed: {name}")


@pytest.mark.parametrize("name", SCRIPTED)
def test_where_no_bug_is_planted_a_scripted_world_keeps_every_promise(name: str) -> None:
    assert run(SCRIPTED[name]).violations == ()


def test_a_rig_that_says_that_it_still_records_is_named() -> None:
    scenario = SCRIPTED["a rig that says it still records is not named"]
    with record_on():
        broken = {one.invariant for one in run(scenario).violations}
    assert "stops in time" in broken, "the bug was planted"
    assert "names who is left" not in broken


def test_every_invariant_is_broken_by_some_planted_bug() -> None:
    broken = {invariant for _, invariant in MUTANTS.values()}
    assert broken >= {one.name for one in ALL_INVARIANTS} | {COMES_TO_REST}
