import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.dashboard.view.journal import SHOWN_LINES, filter_lines, list_kinds, list_rigs
from multirig.record.story import CONDUCTOR, Kind, Line


def line(who="left", kind=Kind.ANSWER, seconds=None, what="answered EXPINIT: initialised"):
    return Line(kind=kind, wall="2026-11-26T12:03:15.593123+00:00", seconds=seconds, who=who, what=what)


LINES = [
    line(CONDUCTOR, Kind.STEP, what="asked for the step 'start'"),
    line("left", Kind.ANSWER, 0.0),
    line("right", Kind.ALARM, 3.46904, "is not heard any more"),
]


def test_a_line_says_when_who_and_what():
    shown = filter_lines(LINES)
    assert shown.summary == "3 lines"
    assert [one.since for one in shown.rows] == ["", "+0.000 s", "+3.469 s"]
    last = shown.rows[-1]
    assert (last.time, last.who, last.kind) == ("12:03:15.593", "right", "alarm")
    assert last.what == "is not heard any more"


def test_the_filters_offer_what_is_there():
    assert list_rigs(LINES) == [CONDUCTOR, "left", "right"]
    assert list_kinds(LINES) == {"step": "steps", "answer": "answers", "alarm": "alarms"}
    assert list_rigs([]) == []
    assert list_kinds([]) == {}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_name(kind):
    assert list(list_kinds([line(kind=kind)])) == [kind.value]


def test_lines_are_chosen_by_rig_and_by_kind():
    assert [one.who for one in filter_lines(LINES, who="left").rows] == ["left"]
    assert [one.who for one in filter_lines(LINES, kind="step").rows] == [CONDUCTOR]
    assert filter_lines(LINES, who="left").summary == "1 line"
    nothing = filter_lines(LINES, who="left", kind="step")
    assert nothing.rows == ()
    assert nothing.summary == "no line is like that: choose another rig or another kind"


def test_of_a_long_journal_the_first_thousand_lines_are_shown_and_how_many_more():
    shown = filter_lines([line()] * 2234)
    assert len(shown.rows) == SHOWN_LINES
    assert shown.summary == (
        "the first 1\u202f000 lines, and 1\u202f234 more: choose a rig or a kind, or see all with "
        "multirig show --journal"
    )
    assert filter_lines([line()] * SHOWN_LINES).summary == "1\u202f000 lines"


@given(
    st.lists(st.builds(line, who=st.sampled_from(["left", "right", CONDUCTOR]), kind=st.sampled_from(Kind)))
)
def test_each_line_is_in_exactly_one_choice(lines):
    found = [
        row
        for who in list_rigs(lines)
        for kind in list_kinds(lines)
        for row in filter_lines(lines, who=who, kind=kind).rows
    ]
    assert len(found) == len(lines)
