"""Every promise of collecting can be broken, and is then seen to be."""

from __future__ import annotations

import pytest
from tests.integration.collect.mutants import MUTANTS
from tests.integration.collect.stories import DEATHS, PLACES, STORIES, play
from tests.integration.collect.world import Broken, small_pieces


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_noticed(name: str) -> None:
    plant, story, fault = MUTANTS[name]
    with plant(), small_pieces():
        for at in range({"nothing": 1, "death": DEATHS}.get(fault, PLACES)):
            try:
                play(STORIES[story], fault, at)
            except Broken:
                return
    pytest.fail(f"nobody has noticed: {name}")
