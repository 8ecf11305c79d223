"""The judge of the truth suite sees a lie, a false alarm, and a loss that is true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.truth.drawing import GREYS, read_squares, squares_of
from tests.truth.facts import Facts, Shown, compare
from tests.truth.judge import Kind, find_faults, find_slandered, is_confirmed, judge
from tests.truth.lab import Outcome
from tests.truth.model import Cam, Case, Fault, Rig, Say, Truth

BEGIN, END, RATE = 100.0, 106.0, 30.0


def source(*, until: float = END + 1) -> list[dict[str, Any]]:
    """Return what a source wrote that exposed and sent a frame each thirtieth of a second."""
    frames = round((until - BEGIN + 1) * RATE)
    stamps = [round((BEGIN - 1 + number / RATE) * 1e9) for number in range(frames)]
    return [
        {"number": number, "exposed": stamp, "sent": stamp, "cut": False}
        for number, stamp in enumerate(stamps)
    ]


def video(lines: list[dict[str, Any]], *holes: tuple[float, float], late: float = 0.004) -> Any:
    """Return a recording of all frames of the session but those in the holes."""
    shown = [
        Shown(number=one["number"], time=one["exposed"] / 1e9 + late, pts=0.0, greys=tuple(map(float, GREYS)))
        for one in lines
        if BEGIN <= one["exposed"] / 1e9 <= END
        and not any(begin <= one["exposed"] / 1e9 - BEGIN < end for begin, end in holes)
    ]
    return shown, 0, 1


def facts_of(*holes: tuple[float, float], late: float = 0.004) -> Facts:
    lines = source()
    return compare("left", lines, video(lines, *holes, late=late), (BEGIN, END))


def outcome(truth: Truth, verdict: str, *reasons: str, **keys: Any) -> Outcome:
    """Return what came of a session without a camera of ours, and what was said of it."""
    case = Case(name="one", rigs=(Rig(),), truth=truth, **keys)
    told = {"verdict": verdict, "reasons": list(reasons), "notes": [], "rigs": {}}
    return Outcome(case=case, verdict=told)


@pytest.mark.parametrize("number", [0, 1, 4711, 2**24 - 1])
def test_a_number_that_is_drawn_is_read_again(number: int) -> None:
    assert read_squares(squares_of(number, 3)) == (number, 3)


def test_a_picture_with_one_wrong_square_is_damaged() -> None:
    squares = squares_of(4711, 0)
    squares[5] = 255 - squares[5]
    assert read_squares(squares) is None


def test_a_whole_recording_has_no_fault() -> None:
    assert find_faults(Cam(fps=RATE), facts_of(), 6.0) == {}


def test_a_constant_delay_is_no_error_of_the_times() -> None:
    assert facts_of(late=0.2).wrong == pytest.approx(0.0, abs=1e-6)


def test_a_hole_is_found_with_its_place_and_length() -> None:
    found = facts_of((2.0, 4.0))
    assert found.missing == 60
    assert found.hole == pytest.approx(2.0, abs=0.05)
    assert found.hole_at == pytest.approx(2.0, abs=0.05)
    assert "gap" in find_faults(Cam(fps=RATE), found, 6.0)


def test_an_end_that_is_early_is_found() -> None:
    found = facts_of((2.5, 7.0))
    assert found.tail == pytest.approx(3.5, abs=0.05)
    assert "tail" in find_faults(Cam(fps=RATE), found, 6.0)


def test_a_slow_camera_is_found_by_the_rate_that_it_was_asked_for() -> None:
    assert set(find_faults(Cam(fps=60.0), facts_of(), 6.0)) == {"rate"}


def test_what_a_busy_source_has_never_exposed_is_no_false_alarm() -> None:
    lines = source()
    late = [one for one in lines if one["number"] not in (90, 120, 121)]
    found = compare("left", late, video(late), (BEGIN, END))
    assert (found.skipped, found.missing) == (3, 0)
    assert find_faults(Cam(fps=RATE), found, 6.0) == {}
    assert is_confirmed(
        "left: lacks 3 of 180 frames, by its own numbers", set(find_faults(Cam(fps=RATE), found, 6.0, 0.6))
    )
    assert facts_of().skipped == 0


def test_a_rate_may_be_off_by_as_much_more_as_it_is_measured_over_less() -> None:
    slow = replace(facts_of(), rate=28.5)
    assert find_faults(Cam(fps=RATE), slow, 6.0) == {}
    assert set(find_faults(Cam(fps=RATE), slow, 10.0)) == {"rate"}


def test_a_late_beginning_makes_no_rate_wrong() -> None:
    late = facts_of((0.0, 0.4))
    assert late.rate == pytest.approx(RATE, rel=0.001)
    assert "rate" not in find_faults(Cam(fps=RATE), late, 6.0)


def test_frames_that_were_cut_are_damaged_though_they_can_be_read() -> None:
    lines = source()
    shown = video(lines)
    for one in lines[::5]:
        one["cut"] = True
    assert compare("left", lines, shown, (BEGIN, END)).damaged >= 35


def test_good_of_a_bad_session_is_a_false_good_also_when_it_is_not_verified() -> None:
    bad = {"words": ("DEGRADED",)}
    assert judge(outcome(Truth.BAD, "GOOD", **bad)).kind is Kind.FALSE_GOOD
    unverified = outcome(Truth.BAD, "GOOD", **bad)
    unverified.output = "GOOD, 1 rig not verified: cams"
    assert judge(unverified).kind is Kind.FALSE_GOOD


def test_a_bad_session_without_its_reason_is_wrong() -> None:
    says = (Say(words="left.*gap", about=(4.0,), within=0.1),)
    told = {"words": ("DEGRADED",), "says": says}
    assert judge(outcome(Truth.BAD, "DEGRADED", "left: a gap of 4.0 s", **told)).kind is Kind.RIGHT
    assert judge(outcome(Truth.BAD, "DEGRADED", "left: a gap of 1.2 s", **told)).kind is Kind.WRONG
    assert judge(outcome(Truth.BAD, "DEGRADED", "right: a gap of 4.0 s", **told)).kind is Kind.WRONG


def test_a_figure_is_read_with_its_unit_and_all_figures_stand_in_one_line() -> None:
    says = (Say(words="bursts", about=(1.5,), within=0.1),)
    told = {"words": ("DEGRADED",), "says": says}
    assert (
        judge(outcome(Truth.BAD, "DEGRADED", "left: bursts, up to 1,530.0 ms late", **told)).kind
        is Kind.RIGHT
    )
    assert (
        judge(outcome(Truth.BAD, "DEGRADED", "left: bursts, up to 153.0 ms late", **told)).kind is Kind.WRONG
    )
    told["says"] = (Say(words="gap", about=(4.0, 20.0)),)
    assert judge(outcome(Truth.BAD, "DEGRADED", "a gap of 4 s at 20 s", **told)).kind is Kind.RIGHT
    assert judge(outcome(Truth.BAD, "DEGRADED", "a gap of 4 s", "a gap at 20 s", **told)).kind is Kind.WRONG


def test_a_camera_that_did_all_as_it_should_is_not_blamed() -> None:
    silent = Cam(label="right", fps=RATE, faults=(Fault(kind="silent", at=3.0),))
    case = Case(name="one", rigs=(Rig(cams=(Cam(fps=RATE), silent)),), truth=Truth.BAD)
    told = [f"cams: {label} gave nothing for 3.0 s" for label in ("left", "right")]
    faults: dict[str, dict[str, str]] = {"cams/left": {}, "cams/right": {}}
    [line] = find_slandered(case, told, faults)
    assert line.startswith("cams/left did all as it should")
    assert [*find_slandered(case, told, {**faults, "cams/left": {"gap": "of 3 s"}})] == [], "a busy PC"
    assert [*find_slandered(case, told, {})] == [], "nothing is known of it"


def test_a_reason_without_a_loss_is_a_false_alarm() -> None:
    assert judge(outcome(Truth.HONEST, "DEGRADED", "left: a gap of 1.0 s")).kind is Kind.FALSE_ALARM
    assert judge(outcome(Truth.HONEST, "GOOD")).kind is Kind.RIGHT


def test_a_reason_is_confirmed_by_a_loss_of_its_kind_only() -> None:
    assert is_confirmed("left: nothing came for 1.2 s", {"gap"})
    assert not is_confirmed("left: 12 pictures are damaged", {"gap"})
    assert not is_confirmed("left: somebody does not like it", {"gap", "rate", "damaged"})


def test_a_session_that_was_to_be_refused_and_is_good_is_a_false_good() -> None:
    assert judge(outcome(Truth.REFUSED, "GOOD", words=("ABORTED",))).kind is Kind.FALSE_GOOD


def test_a_rig_that_records_on_is_no_right_end() -> None:
    one = outcome(Truth.HONEST, "GOOD")
    one.records_on.append("cams")
    assert judge(one).kind is Kind.WRONG


def test_a_case_that_could_not_be_played_says_nothing_of_the_product() -> None:
    one = outcome(Truth.BAD, "GOOD", words=("DEGRADED",))
    assert judge(replace(one, trouble="no port")).kind is Kind.NOT_MADE
