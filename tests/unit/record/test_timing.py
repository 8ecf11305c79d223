"""Clocks, starts and markers: from the lines of a journal to summary, tables and verdict."""

from __future__ import annotations

import csv
import datetime
import io
from itertools import pairwise
from typing import Any

import pytest

from multirig.lifecycle.session_events import AgreeRequested, ClockRead, Marked, RigsChosen, StepRequested
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import hear_rig, read_start
from multirig.protocol.events import Address, Replied
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import AskInfo, RigStart
from multirig.record.entries import beginning_line, input_line, parse_lines
from multirig.record.history import History, retrace
from multirig.record.plot import Picture, compose
from multirig.record.recount import summarise
from multirig.record.story import tell
from multirig.record.summary import Summary
from multirig.record.time_files import OFFSETS, STARTS, write_offsets, write_starts
from multirig.record.timing import find_spread
from multirig.record.verdict import judge

SECOND = 1_000_000_000
RIGS = {
    "ephys": Address("udp", "10.0.0.1", 11001),
    "cam": Address("udp", "10.0.0.2", 11001),
    "old": Address("udp", "10.0.0.3", 11001),
}
EXP_REF = "2026-01-31_1_SP_01"


class Book:
    """Writes the journal of a session of 60 s over three rigs, of which the last is no multirig."""

    def __init__(self) -> None:
        self.lines = beginning_line(0)
        self._number = 1

    def add(self, event: Any, seconds: float) -> None:
        self.lines += input_line(event, round(seconds * SECOND))

    def step(self, trigger: SessionTrigger, event: Event, at: float, **data: dict[str, Any]) -> None:
        """Take a step; each rig answers 10 ms later than the one before."""
        self._number += 1
        self.add(StepRequested(number=self._number, trigger=trigger), at)
        for place, name in enumerate(RIGS, 1):
            args = (EXP_REF, data[name]) if event is Event.EXPSTART else (data.get(name, {}),)
            self.reply(name, Message(event, args), at + place / 100)

    def reply(self, name: str, message: Message, at: float) -> None:
        """Answer the first round of the present step: rounds are numbered below zero, four to a step."""
        self.add(Replied(address=RIGS[name], key=(-4 * self._number - 1, name), word=hear_rig(message)), at)

    def read(self, rig: str, at: float, **keys: Any) -> None:
        figures = {"offset": 3_000_000_001, "bound": 40_000, "drift": -12.5, "round_trip": 80_000}
        self.add(ClockRead(rig=rig, at=round(at * SECOND), **{**figures, **keys}), at)

    @property
    def history(self) -> History:
        return retrace(parse_lines(self.lines))

    def summarise(self) -> Summary:
        return summarise(self.history.moments)


def start(called: float, *, late: float = 0.0001, **keys: Any) -> dict[str, Any]:
    told = {"planned": 101.0, "heard": 100.1, "called": called, "returned": called + 0.2, "late": late}
    return {"status": 20, "started_at": called + 0.2, "start": {**told, "bound": 0.00001, **keys}}


def ended(first: float) -> dict[str, Any]:
    file = {"path": "raw/a.bin", "bytes": 9, "frames": 7000, "first": first, "last": 161.1, "blake2b": "00"}
    clock = {"offset": 3.0, "bound": 0.00002}
    totals = {"files_total": 1, "bytes_total": 9, "manifest": "m.json", "stopped_at": 161.1}
    return {"status": 30, "files": [file], "clock": clock, **totals}


def session(asked: float | None = None, **starts: dict[str, Any]) -> Book:
    """Return the journal of a session up to its start."""
    book = Book()
    book.add(RigsChosen(rigs=RIGS), 1)
    book.add(
        AgreeRequested(
            number=1, subject="SP_01", date=datetime.date(2026, 1, 31), ask=AskInfo(), seconds=asked
        ),
        2,
    )
    for name in RIGS:
        info = {"main_sync": name == "ephys", "exp_ref": EXP_REF if name == "ephys" else None}
        book.reply(name, Message(Event.EXPINFO, (0, info)), 3)
    book.step(SessionTrigger.INIT, Event.EXPINIT, 10)
    book.read("ephys", 99)
    book.read("cam", 99)
    answers = {"ephys": start(101.0), "cam": start(101.00008), "old": {"status": 20}, **starts}
    book.step(SessionTrigger.START, Event.EXPSTART, 100, **answers)
    return book


def finish(book: Book) -> Book:
    ends = {"ephys": ended(101.01), "cam": ended(101.03)}
    book.step(SessionTrigger.STOP, Event.EXPEND, 161, **ends)
    book.step(SessionTrigger.CLEANUP, Event.EXPCLEANUP, 162)
    return book


# -- starts ------------------------------------------------------------------------------------------------


def test_how_near_to_each_other_the_rigs_started_has_a_bound() -> None:
    told = finish(session()).summarise()
    spread = told.start_spread
    assert spread is not None
    assert (spread.rigs, spread.earliest, spread.latest) == (2, "ephys", "cam")
    assert (spread.seconds, spread.bound) == (pytest.approx(0.00008), pytest.approx(0.00002))
    assert told.first_spread is not None
    assert told.first_spread.seconds == pytest.approx(0.02)
    assert told.first_spread.bound == pytest.approx(0.00004)


def test_a_rig_between_the_others_that_is_badly_known_widens_the_bound() -> None:
    spread = find_spread({"a": (1.0, 0.1), "b": (1.5, 2.0), "c": (2.0, 0.1)})
    assert spread is not None
    assert (spread.seconds, spread.bound) == (1.0, 3.0)


def test_one_rig_alone_is_near_to_nobody() -> None:
    assert find_spread({}) is None
    assert find_spread({"a": (1.0, 0.1)}) is None


def test_a_rig_that_does_not_tell_its_start_began_between_command_and_answer() -> None:
    told = finish(session()).summarise()
    assert list(told.silent_starts) == ["old"]
    assert told.rigs["old"].start is None
    assert told.rigs["old"].started_within == pytest.approx(0.03)
    assert told.rigs["cam"].started_within is None


def test_what_is_no_number_in_an_answer_is_not_known() -> None:
    read = read_start({"planned": None, "heard": "now", "called": float("nan"), "late": True, "bound": 1})
    assert read == RigStart(bound=1.0)


def test_a_start_whose_clock_is_unknown_is_not_compared() -> None:
    told = finish(session(cam=start(101.5, bound=None))).summarise()
    assert told.start_spread is None
    assert list(told.silent_starts) == ["cam", "old"]


@pytest.mark.parametrize(
    ("late", "heard", "words"),
    [
        (0.03, 100.1, None),
        (0.07, 100.1, "cam: started 70.0 ms after the agreed instant: its PC was busy"),
        (0.07, 101.06, "cam: started 70.0 ms after the agreed instant: it heard of it too late"),
    ],
)
def test_a_rig_that_missed_the_instant_is_a_note(late: float, heard: float, words: str | None) -> None:
    verdict = judge(finish(session(cam=start(101 + late, late=late, heard=heard))).summarise())
    assert verdict.reasons == ()
    assert [one for one in verdict.notes if "instant" in one] == ([] if words is None else [words])


def test_a_rig_that_missed_the_instant_by_seconds_degrades_the_session() -> None:
    verdict = judge(finish(session(cam=start(103.2, late=2.2))).summarise())
    assert verdict.reasons == ("cam: started 2.2 s after the agreed instant: its PC was busy",)


# -- clocks ------------------------------------------------------------------------------------------------


def test_the_last_reading_and_the_widest_bound_from_the_start_on_are_kept() -> None:
    book = session()
    book.read("cam", 110, bound=700_000, offset=3_000_100_000)
    book.read("cam", 115, bound=50_000, offset=3_000_200_000)
    finish(book).read("cam", 170, bound=900_000)
    clock = book.summarise().rigs["cam"].clock
    assert clock is not None
    assert (clock.readings, clock.at, clock.bound, clock.drift) == (4, 170.0, 0.0009, -12.5)
    assert clock.worst_bound == 0.0007
    assert clock.jumps == []


def test_a_clock_that_jumped_while_it_recorded_degrades_the_session_and_says_when() -> None:
    book = session()
    book.read("cam", 110)
    book.read("cam", 115, steps=1, offset=5_500_000_001)
    book.read("cam", 120, steps=1, offset=5_500_000_001)
    told = finish(book).summarise()
    assert told.rigs["cam"].clock is not None
    (jump,) = told.rigs["cam"].clock.jumps
    assert (jump.after, jump.before, jump.size) == (110.0, 115.0, 2.5)
    (reason,) = judge(told).reasons
    assert reason.startswith("cam: its clock jumped by 2.5 s between 9.0 s and 14.0 s after the start")


def test_a_clock_that_jumped_before_the_recording_takes_nothing_from_it() -> None:
    book = session()
    book.read("cam", 100.05, steps=1)
    assert judge(finish(book).summarise()).reasons == ()


def test_a_bound_that_got_wide_is_a_note() -> None:
    book = session()
    book.read("cam", 110, bound=14_200_000)
    notes = judge(finish(book).summarise()).notes
    assert notes[0].startswith("cam: its clock was known to ±14.2 ms only, at the worst")


def test_a_clock_that_nobody_read_is_a_note_for_a_multirig() -> None:
    told = finish(session()).summarise()
    assert not any("not known" in one for one in judge(told).notes)
    told.rigs["cam"].clock = told.rigs["cam"].clock_bound = None
    told.rigs["old"].has_ended = True
    unknown = [one for one in judge(told).notes if "clock is not known" in one]
    assert unknown == ["cam: its clock is not known: its times cannot be compared with the others'"]


def test_the_session_clock_stands_beside_the_time_of_day() -> None:
    told = finish(session()).summarise()
    assert (told.began_at, told.ended_at) == (2.0, pytest.approx(162.03))
    assert told.began is not None
    assert told.ended is not None


# -- markers -----------------------------------------------------------------------------------------------


def test_markers_are_kept_with_what_belongs_to_them() -> None:
    book = session()
    book.add(Marked(text="drug", at=105 * SECOND, data={"dose": 3}), 105.001)
    (marker,) = book.summarise().markers
    assert (marker.text, marker.at, marker.data) == ("drug", 105.0, {"dose": 3})
    assert marker.seconds == pytest.approx(105 - 101.0)


def test_another_attempt_has_its_own_starts_and_markers() -> None:
    book = session()
    book.add(Marked(text="drug", at=105 * SECOND), 105)
    lines = book.lines + session().lines
    told = summarise(retrace(parse_lines(lines)).moments)
    assert told.attempts == 2
    assert told.markers == []


# -- tables ------------------------------------------------------------------------------------------------


def read_table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_the_table_of_clocks_holds_each_reading_to_the_nanosecond() -> None:
    book = session()
    book.read("cam", 1_234_567.000000001, offset=-1)
    heading, *rows = read_table(write_offsets(book.history.clocks))
    assert tuple(heading) == OFFSETS
    assert rows == [
        ["ephys", "99.000000000", "3.000000001", "0.000040000", "-12.500000", "0.000080000"],
        ["cam", "99.000000000", "3.000000001", "0.000040000", "-12.500000", "0.000080000"],
        ["cam", "1234567.000000001", "-0.000000001", "0.000040000", "-12.500000", "0.000080000"],
    ]


def test_the_table_of_clocks_is_of_the_last_attempt() -> None:
    history = retrace(parse_lines(session().lines + finish(session()).lines))
    assert [one.is_beginning for one in history.moments].count(True) == 2
    assert len(list(history.clocks)) == 2


def test_the_table_of_starts_has_a_row_for_each_rig_and_nothing_where_nothing_is_known() -> None:
    heading, *rows = read_table(write_starts(finish(session()).summarise()))
    assert tuple(heading) == STARTS
    assert rows[1] == [
        "cam",
        "101.000000000",
        "100.100000000",
        "101.000080000",
        "101.200080000",
        "101.030000000",
        "0.000100000",
        "0.000010000",
    ]
    assert rows[2] == ["old", *[""] * 7]


# -- words -------------------------------------------------------------------------------------------------


def test_the_journal_tells_clocks_markers_and_starts_in_words() -> None:
    book = session()
    book.read("cam", 110, offset=-3_000_000_000, steps=2)
    book.add(Marked(text="drug", at=111 * SECOND, data={"dose": 3, "unit": "mg"}), 111)
    lines = [f"{one.who}: {one.what}" for one in tell(book.history.moments)]
    assert "cam: answered EXPSTART: running, 0.100 ms after the agreed instant" in lines
    assert (
        "cam: clock is 3.000000 s behind ± 0.040 ms, drift -12.50 ppm, round trip 0.080 ms, jumps so far: 2"
    ) in lines
    assert lines[-1] == "this PC: marked: drug (dose 3, unit mg)"


# -- the picture -------------------------------------------------------------------------------------------


def compose_all(history: History) -> Picture:
    return compose(history, summarise(history.moments), list(tell(history.moments)))


def picture(book: Book) -> Picture:
    return compose_all(book.history)


def test_a_clock_is_drawn_from_its_first_reading_on_with_its_bounds() -> None:
    book = session()
    book.read("cam", 111, offset=3_000_250_001, bound=70_000)
    ephys, cam = picture(finish(book)).curves
    assert (ephys.rig, cam.rig) == ("ephys", "cam")
    assert (cam.offsets, cam.bounds) == ([0.0, 0.25], [0.04, 0.07])
    assert cam.seconds == pytest.approx([99 - 101.0, 111 - 101.0])


def test_starts_count_from_the_agreed_instant() -> None:
    drawn = picture(finish(session()))
    ephys, cam = drawn.starts
    assert drawn.start_axis == "milliseconds since the agreed instant"
    assert (cam.rig, cam.called, cam.first) == ("cam", pytest.approx(0.08), pytest.approx(30.0))
    assert (ephys.heard, ephys.bound) == (pytest.approx(-900.0), 0.01)
    assert drawn.spread == "2 rigs started within 0.080 ms ± 0.020 ms of each other"


def test_each_rig_goes_through_its_states_without_a_hole() -> None:
    for spans in picture(finish(session())).states.values():
        assert [one.state for one in spans] == [
            "connected",
            "initialising",
            "initialised",
            "starting",
            "running",
            "stopping",
            "stopped",
            "cleaning up",
            "connected",
        ]
        assert all(one.end == after.begin for one, after in pairwise(spans))


def test_a_rig_that_is_lost_and_comes_back_is_not_known_in_between() -> None:
    book = session()
    book.add(Noticed(rig="cam", notice=Notice.LOST, text="is lost"), 110)
    book.add(Noticed(rig="cam", notice=Notice.BACK, text="is back"), 120)
    states = [one.state for one in picture(finish(book)).states["cam"]]
    assert states[4:7] == ["running", "not known", "running"]


def test_messages_and_markers_are_ticks_and_readings_are_none() -> None:
    book = session()
    book.add(Marked(text="drug", at=105 * SECOND), 105.2)
    ticks = picture(finish(book)).ticks
    (marker,) = (one for one in ticks if one.is_marker)
    assert (marker.who, marker.text, marker.seconds) == ("this PC", "drug", pytest.approx(105 - 101.0))
    assert [one.text for one in ticks if one.who == "cam"][2].startswith("answered EXPSTART: running")
    assert not any("clock" in one.text for one in ticks)


def test_a_session_of_which_nothing_is_known_is_an_empty_picture() -> None:
    drawn = compose_all(retrace([]))
    assert (drawn.curves, drawn.starts, drawn.states, drawn.ticks) == ([], [], {}, [])


def test_only_the_last_attempt_is_drawn() -> None:
    drawn = compose_all(retrace(parse_lines(session().lines + finish(session()).lines)))
    assert [len(one.seconds) for one in drawn.curves] == [1, 1]
    assert [one.state for one in drawn.states["cam"]].count("running") == 1
