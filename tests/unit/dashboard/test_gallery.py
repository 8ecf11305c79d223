import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.dashboard.gallery import AT_MOST, EVERY, plan_round

cameras = st.dictionaries(st.text(max_size=3), st.integers(1, 8), min_size=1, max_size=40)


def test_few_cameras_are_seen_as_often_as_any_may_be():
    assert plan_round({"left": 1, "right": 2}) == (EVERY, {"left": 0.0, "right": EVERY / 2})


def test_without_cameras_it_is_looked_again_whether_there_are_some():
    assert plan_round({}) == (EVERY, {})


@given(cameras)
def test_however_many_cameras_there_are_only_so_many_pictures_come_in_a_second(found):
    length, _ = plan_round(found)
    assert length >= EVERY
    assert sum(found.values()) / length <= AT_MOST * (1 + 1e-9) or length == EVERY
    assert sum(found.values()) / length <= max(AT_MOST, sum(found.values()) / EVERY)


@given(cameras)
def test_the_rigs_take_turns_at_equal_distances(found):
    length, turns = plan_round(found)
    assert list(turns) == list(found)
    times = [*turns.values(), length]
    assert times[0] == 0
    assert [later - sooner for sooner, later in itertools.pairwise(times)] == pytest.approx(
        [length / len(found)] * len(found)
    )
