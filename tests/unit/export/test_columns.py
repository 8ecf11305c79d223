"""Columns of one type, whatever stood in the cells."""

from __future__ import annotations

from typing import Any

import pytest

from multirig.export.columns import make_table, to_array

np = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1, None], "float64", [1, np.nan]),
        ([1.5, 2], "float64", [1.5, 2]),
        ([True, False], "bool", [True, False]),
        ([None, None], "float64", [np.nan, np.nan]),
        ([[1, 2], None, [0.5, 3]], "float64", [[1, 2], [np.nan, np.nan], [0.5, 3]]),
        ([2**62, 1], "int64", [2**62, 1]),
    ],
)
def test_numbers_stay_numbers(cells: list[Any], kind: str, expected: list[Any]) -> None:
    found = to_array(cells)
    assert found.dtype == kind
    assert np.array_equal(found, np.array(expected, kind), equal_nan=kind == "float64")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a", None], ["a", ""]),
        ([1, "a"], ["1", "a"]),
        ([True, None], ["True", ""]),
        ([2**60, None], [str(2**60), ""]),  # as a float it would be another number
        ([2**64, 1], [str(2**64), "1"]),
        (["\0\ud800"], ["\ufffd\ufffd"]),
    ],
)
def test_all_else_becomes_text_that_says_the_same(cells: list[Any], expected: list[str]) -> None:
    assert to_array(cells) == expected


def test_a_column_of_which_nothing_is_known_is_left_out() -> None:
    table = make_table("t", "about", {"a": "one", "b": "other"}, [{"a": 1}, {}])
    assert len(table) == 2
    assert [one.name for one in table.known] == ["a"]
    assert len(make_table("t", "about", {"a": "one"}, [])) == 0
