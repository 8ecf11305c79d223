"""A week of a lab: four animals a day, three rigs and who leads, and what goes wrong in a week."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.integration.collect.faulty import FAULTS
from tests.integration.collect.world import World, small_pieces

from multirig.protocol.holdings import Whereabouts

EXAMPLES = max(1, int(os.environ.get("MULTIRIG_LABS", "15")) // 15)
DAYS, ANIMALS, RIGS = 7, 4, 3
LEADER = RIGS
"""The PC that leads: it has a journal of each session, so to say, and no rig."""
PCS = RIGS + 1

evenings = st.fixed_dictionaries(
    {
        "away": st.sets(st.integers(0, PCS - 1), max_size=2),
        "is_share_away": st.integers(0, 5).map(lambda one: one == 0),
        "crash": st.none() | st.tuples(st.integers(0, RIGS - 1), st.integers(0, ANIMALS - 1)),
        "faults": st.lists(
            st.none() | st.tuples(st.sampled_from((*FAULTS, "death")), st.integers(0, 30)),
            min_size=PCS,
            max_size=PCS,
        ),
        "ledger": st.none() | st.tuples(st.integers(0, PCS - 1), st.booleans()),
        "is_cleared": st.booleans(),
    }
)


@settings(max_examples=EXAMPLES)
@given(week=st.lists(evenings, min_size=DAYS, max_size=DAYS), sizes=st.lists(st.integers(0, 150), min_size=3))
def test_in_a_week_of_a_lab_nothing_is_lost_and_on_its_last_evening_all_is_there(
    week: list[dict[str, Any]], sizes: list[int]
) -> None:
    world = World(PCS)
    try:
        with small_pieces():
            for day, evening in enumerate(week):
                note(f"day {day}: {evening}")
                record_a_day(world, day, evening, sizes)
                collect_in_the_evening(world, evening)
            world.connect()
            for _ in range(2):
                for pc in range(PCS):
                    world.collect(pc)
                    world.check()
            whole = {Whereabouts.COLLECTED, Whereabouts.CLEARED}
            touched = {exp_ref for _, exp_ref in world.touched}
            for pc in range(PCS):
                held = world.look(pc)
                assert len(held) == DAYS * ANIMALS
                assert {one.state for one in held if one.exp_ref not in touched} <= whole
                assert all(one.why and one.action for one in held if one.state is Whereabouts.STUCK)
            if not touched:
                world.end()
    finally:
        world.close()


def record_a_day(world: World, day: int, evening: dict[str, Any], sizes: list[int]) -> None:
    for animal in range(ANIMALS):
        number = day * ANIMALS + animal + 1
        for rig in range(RIGS):
            is_whole = evening["crash"] != (rig, animal)  # a rig that died has made no checksums
            world.record(rig, number, "rig", [sizes[(number + rig) % len(sizes)], 20], is_listed=is_whole)
        world.record(LEADER, number, "task", [30])


def collect_in_the_evening(world: World, evening: dict[str, Any]) -> None:
    if evening["ledger"] is not None:
        pc, is_damaged = evening["ledger"]
        world.lose_ledger(pc, is_damaged=is_damaged)
    if evening["is_share_away"]:
        world.disconnect()
    for pc in set(range(PCS)) - evening["away"]:
        match evening["faults"][pc]:
            case ("death", steps):
                world.dies_after = steps
            case (str() as fault, at):
                world.fault = (fault, at)
        world.collect(pc)
    world.check()
    world.connect()
    if evening["is_cleared"]:
        for pc in set(range(PCS)) - evening["away"]:
            world.clear(pc)
        world.check()
