from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.conductor.marker_data import MAX_DATA
from multirig.conductor.marking import MAX_TEXT, NO_TEXT, check_markable, make_marked
from multirig.errors import IllegalTransition
from multirig.lifecycle.session_events import Marked
from multirig.lifecycle.session_states import SessionState

np = pytest.importorskip("numpy", reason="markers of numpy are tried where it is there")


@dataclass
class Stimulus:
    side: str
    contrast: float


class Spiteful:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("no")


def cyclic() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["again"] = [loop]
    return loop


def deep() -> list[Any]:
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


def test_a_marker_holds_what_json_can_carry_as_it_is() -> None:
    data = {
        "where": Path("a"),
        "power": 0.5,
        "trial": 7,
        "sides": ("left", None),
        "day": datetime.date(2026, 3, 4),
    }
    marked, notes = make_marked("laser\n  on ", data, 7)
    told = {"where": "a", "power": 0.5, "trial": 7, "sides": ["left", None], "day": "2026-03-04"}
    assert marked == Marked(text="laser on", at=7, data=told)
    assert notes == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", NO_TEXT),
        (" \n", NO_TEXT),
        (None, NO_TEXT),
        (7, "7"),
        (b"laser", "laser"),
        (np.float64(0.5), "0.5"),
        ("x" * 301, "x" * 299 + "…"),
        ("x" * 1_000_000, "x" * 299 + "…"),
        ("\x1b[2J", "\N{REPLACEMENT CHARACTER}[2J"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_is_no_line_becomes_one_and_is_told(text: Any, line: str) -> None:
    marked, notes = make_marked(text, {}, 0)
    assert marked.text == line
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), None),
        (np.float32("inf"), None),
        (np.array([1, 2, 3]), [1, 2, 3]),
        (np.array([[0.5, float("nan")]]), [[0.5, None]]),
        (b"laser", "laser"),
        (b"\xff\x00", "ff00"),
        ({3, 1, 2}, [1, 2, 3]),
        (2**64, "18446744073709551616"),
        (10**5000, "a whole number of 16,610 bits"),
        (1 + 2j, "(1+2j)"),
        (Stimulus("left", 0.5), {"side": "left", "contrast": 0.5}),
        (cyclic(), {"again": ["(holds itself)"]}),
        (Spiteful(), "(Spiteful)"),
        ({(1, 2): 3}, {"(1, 2)": 3}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_carry_is_converted_and_told(value: Any, told: Any) -> None:
    marked, notes = make_marked("stimulus", {"value": value}, 0)
    assert marked.data == {"value": told}
    assert [note.split()[0].partition("[")[0].partition(".")[0] for note in notes][:1] == ["value"]


def test_one_number_of_numpy_is_a_number() -> None:
    data = {
        "t": np.datetime64("2026-03-04T05:06"),
        "a": np.int64(3),
        "b": np.float32(0.5),
        "c": np.bool_(True),
        "d": np.array(2),
        "e": np.longdouble(1),
    }
    marked, notes = make_marked("stimulus", data, 0)
    assert marked.data == {"t": "2026-03-04T05:06:00", "a": 3, "b": 0.5, "c": True, "d": 2, "e": 1.0}
    assert notes == []


def test_what_is_too_long_is_shortened_and_what_is_small_beside_it_stays() -> None:
    data = {
        "picture": np.zeros((1000, 1000), "uint8"),
        "story": "x" * 1_000_000,
        "many": list(range(100_000)),
    }
    marked, notes = make_marked("stimulus", {**data, "trial": 7}, 0)
    assert marked.data["trial"] == 7
    assert marked.data["picture"] == "an array of 1000 x 1000 uint8: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, …"
    assert marked.data["story"].startswith("xxx")
    assert len(json.dumps(marked.data)) <= MAX_DATA
    assert {note.split()[0] for note in notes} == {"picture", "story", "many"}


def test_too_many_keys_are_left_off_from_the_end() -> None:
    marked, notes = make_marked("keys", {f"key {number}": "x" * 100 for number in range(1_000)}, 0)
    assert "key 0" in marked.data
    assert "key 999" not in marked.data
    assert notes


def test_what_is_nested_without_end_is_cut() -> None:
    marked, notes = make_marked("deep", {"value": deep()}, 0)
    assert len(json.dumps(marked.data)) <= MAX_DATA
    assert "levels" in notes[0]


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
)


@given(text=anything, data=st.dictionaries(st.text(), anything))
def test_nothing_that_is_marked_is_ever_refused(text: Any, data: dict[str, Any]) -> None:
    marked, _ = make_marked(text, data, 0)
    assert 0 < len(marked.text) <= MAX_TEXT
    assert marked.text.isprintable()
    assert len(json.dumps(marked.data, separators=(",", ":"), allow_nan=False)) <= MAX_DATA


HINTS = {
    SessionState.IDLE: "once the rigs have been started",
    SessionState.INITIALIZED: "once the rigs have been started",
    SessionState.RECOVERED: "let the session go on",
    SessionState.CLEANING: "begin another one",
}


@pytest.mark.parametrize("state", list(HINTS))
def test_a_marker_outside_of_a_recording_is_refused_and_says_what_to_do(state: SessionState) -> None:
    with pytest.raises(IllegalTransition, match=rf"session is {state}: .*{HINTS[state]}"):
        check_markable(state)


def test_a_task_may_set_a_marker_until_its_session_is_over() -> None:
    for state in (SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPED):
        check_markable(state)
