from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from multirig.lifecycle.picture_turns import MAX_ASKERS, PictureTurns


def test_all_are_chosen_in_their_order_where_there_is_room() -> None:
    turns = PictureTurns()
    assert [turns.choose("a", [10, 20, 30], 60) for _ in range(2)] == [[0, 1, 2]] * 2
    assert turns.choose("a", [], 60) == []


def test_what_was_left_out_comes_first_the_next_time() -> None:
    turns = PictureTurns()
    chosen = [turns.choose("a", [10, 10, 10, 10], 30) for _ in range(4)]
    assert chosen == [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]


def test_each_asker_has_its_own_turns() -> None:
    turns = PictureTurns()
    chosen = [(turns.choose("a", [10] * 4, 20), turns.choose("b", [10] * 4, 20)) for _ in range(2)]
    assert chosen == [([0, 1], [0, 1]), ([2, 3], [2, 3])]


def test_one_that_fits_nowhere_holds_up_no_other() -> None:
    turns = PictureTurns()
    chosen = [turns.choose("a", [10, 99, 10, 10], 20) for _ in range(3)]
    assert chosen == [[0, 2], [0, 3], [2, 3]]


def test_few_askers_are_remembered() -> None:
    turns = PictureTurns()
    for number in range(3 * MAX_ASKERS):
        turns.choose(str(number), [10, 10], 10)
    assert turns.choose("0", [10, 10], 10) == [0]  # forgotten: it begins again
    assert turns.choose(str(3 * MAX_ASKERS - 1), [10, 10], 10) == [1]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(50, 120))
def test_every_picture_has_its_turn_and_none_too_many(sizes: list[int], room: int) -> None:
    turns, seen = PictureTurns(), set()
    for _ in range(len(sizes)):
        chosen = turns.choose("a", sizes, room)
        assert sum(sizes[which] for which in chosen) <= room
        assert chosen == sorted(set(chosen))
        seen.update(chosen)
    assert seen == set(range(len(sizes)))
