"""Whatever is cut off at whichever step goes on from there, and nothing is lost or said too early."""

from __future__ import annotations

import os
import zlib

import pytest
from tests.integration.collect.stories import STORIES, cuts, play
from tests.integration.collect.world import small_pieces

EVERY = int(os.environ.get("MULTIRIG_EVERY_CUT", "8"))
"""Of the steps at which each story can be cut off, which are tried; ``make collect`` tries all."""


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_is_cut_off_at_its_steps(name: str) -> None:
    first = zlib.crc32(name.encode()) % EVERY  # others in each story
    with small_pieces():
        for fault, at in [*cuts()][first::EVERY]:
            try:
                play(STORIES[name], fault, at)
            except AssertionError as error:
                pytest.fail(f"{fault} at step {at}: {error}")
