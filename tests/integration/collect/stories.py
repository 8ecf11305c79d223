"""Short stories of a session, to be cut off at each of their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.integration.collect.faulty import FAULTS
from tests.integration.collect.world import World

Story = Callable[[World], Callable[[int], object]]
"""Sets a stage, and returns what is to be cut off: it is given a PC."""
PLACES = 8
"""Calls at each of which a fault is tried."""
DEATHS = 30
"""Steps at each of which the program dies."""


def first_copy(world: World) -> Callable[[int], object]:
    world.record(0, 1, "cam", [20, 90])
    world.add(0, 1, "notes.txt", 100)
    return world.collect


def a_log_that_has_grown(world: World) -> Callable[[int], object]:
    first_copy(world)
    world.collect(0)
    world.add(0, 1, "notes.txt", 150)
    return world.collect


def a_note_of_the_same_size(world: World) -> Callable[[int], object]:
    first_copy(world)
    world.collect(0)
    world.add(0, 1, "notes.txt", 100)
    return world.collect


def clearing(world: World) -> Callable[[int], object]:
    first_copy(world)
    world.collect(0)
    return world.clear


def clearing_what_was_harmed(world: World) -> Callable[[int], object]:
    clearing(world)
    world.harm(3, "flip")
    return world.clear


def a_rig_that_comes_later(world: World) -> Callable[[int], object]:
    clearing(world)
    world.clear(0)
    world.record(0, 1, "mic", [90, 1])
    return world.collect


def without_a_ledger(world: World) -> Callable[[int], object]:
    a_log_that_has_grown(world)
    world.lose_ledger(0, is_damaged=True)
    return world.collect


def cut_off_before(world: World) -> Callable[[int], object]:
    first_copy(world)
    world.fault = ("crash in a file", 1)
    world.collect(0)
    world.harm(1, "flip")
    return world.collect


def cut_off_at_its_name(world: World) -> Callable[[int], object]:
    first_copy(world)
    world.fault = ("crash in a rename", 2)  # of the notes
    world.collect(0)
    world.collect(0)
    world.add(0, 1, "notes.txt", 150)
    return world.collect


def a_share_that_is_away(world: World) -> Callable[[int], object]:
    first_copy(world)
    world.collect(0)
    world.add(0, 1, "notes.txt", 150)
    world.lose_ledger(0, is_damaged=False)
    world.disconnect()
    return world.collect


STORIES: dict[str, Story] = {
    "a first copy": first_copy,
    "a log that has grown": a_log_that_has_grown,
    "a note of the same size": a_note_of_the_same_size,
    "clearing": clearing,
    "clearing what was harmed": clearing_what_was_harmed,
    "a rig that comes later": a_rig_that_comes_later,
    "without a ledger": without_a_ledger,
    "cut off before": cut_off_before,
    "cut off at its name": cut_off_at_its_name,
    "a share that is away": a_share_that_is_away,
}


def cuts() -> Iterator[tuple[str, int]]:
    """Yield each fault and each step at which it happens."""
    yield "nothing", 0
    for fault in FAULTS:
        for at in range(PLACES):
            yield fault, at
    for step in range(DEATHS):
        yield "death", step


def play(story: Story, fault: str, at: int) -> None:
    """Play a story, cut off at a step, to its good end. Raises Broken."""
    world = World(pcs=1)
    try:
        action = story(world)
        world.check()
        if fault == "death":
            world.dies_after = at
        elif fault != "nothing":
            world.fault = (fault, at)
        action(0)
        world.check()
        world.end()
    finally:
        world.close()
