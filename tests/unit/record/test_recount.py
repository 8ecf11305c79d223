"""What was noticed of a rig, and what it says of the same in the end: from the lines of a journal."""

from __future__ import annotations

from tests.unit.record.test_timing import RIGS, SECOND, Book, ended, session

from multirig.lifecycle.session_events import RigsChosen
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.messages import Event
from multirig.protocol.words import Finding, Level, Report, RigState
from multirig.record.entries import RECOVERY, beginning_line
from multirig.record.verdict import judge

AWAY = Finding(level=Level.ALARM, kind="camera", text="left cannot be read; it is opened again", at=120.0)


def notice(book: Book, found: Finding, at: float) -> None:
    report = Report(state=RigState.RUNNING, findings=(found,))
    book.add(Noticed(rig="cam", notice=Notice.FOUND, text=found.text, report=report), at)


def reasons(book: Book, *findings: dict[str, object]) -> list[str]:
    """Return why the session is not good whose rig says these things in the end."""
    told = {**ended(101.03), "findings": list(findings)}
    book.step(SessionTrigger.STOP, Event.EXPEND, 161, ephys=ended(101.01), cam=told)
    book.step(SessionTrigger.CLEANUP, Event.EXPCLEANUP, 162)
    return [line for line in judge(book.summarise()).reasons if line.startswith("cam")]


def test_what_a_rig_says_in_the_end_takes_the_place_of_what_it_said_while_it_lasted() -> None:
    book = session()
    notice(book, AWAY, 122)
    back = {"level": "warning", "kind": "camera", "text": "left gave nothing for 4 s", "at": 120.001}
    assert reasons(book, {**back, "until": 124.0}) == ["cam: left gave nothing for 4 s"]
    assert [one.text for one in book.summarise().happenings] == [AWAY.text]


def test_what_has_turned_out_to_be_little_is_a_note() -> None:
    book = session()
    notice(book, AWAY, 122)
    assert reasons(book, {"level": "note", "kind": "camera", "text": "left flickered", "at": 120.0}) == []
    assert "cam: left flickered" in judge(book.summarise()).notes


def test_what_a_rig_has_forgotten_in_the_end_is_not_forgotten() -> None:
    """Its program may have been started again."""
    book = session()
    notice(book, AWAY, 122)
    other = {"level": "warning", "kind": "camera", "text": "right gave nothing for 4 s", "at": 140.0}
    assert reasons(book, other) == [f"cam: {AWAY.text}", "cam: right gave nothing for 4 s"]


def test_without_times_only_the_same_words_tell_the_same() -> None:
    book = session()
    found = Finding(level=Level.WARNING, kind="program", text="it has lost 3 trials")
    notice(book, found, 122)
    assert reasons(book, {"level": "warning", "kind": "program", "text": "it has lost 3 trials"}) == [
        "cam: it has lost 3 trials"
    ]


GAP = {"from": "2024-05-06T12:01:03", "to": "2024-05-06T12:01:05", "seconds": 2.0}


def test_the_gap_of_a_rig_that_does_not_record_any_more_lasts_until_the_end_of_the_session() -> None:
    book = session()
    book.add(Noticed(rig="cam", notice=Notice.RESTARTED, text="was restarted"), 111)
    book.step(
        SessionTrigger.STOP, Event.EXPEND, 161, ephys=ended(101.01), cam={**ended(101.03), "gaps": [GAP]}
    )
    book.step(SessionTrigger.CLEANUP, Event.EXPCLEANUP, 162)
    assert (
        "cam: recorded nothing from 12:01:03 to 12:01:55 (52.0 s): its program had died"
        in judge(book.summarise()).reasons
    )


def test_the_gap_of_a_rig_that_records_again_ends_there() -> None:
    book = session()
    book.add(Noticed(rig="cam", notice=Notice.RESTARTED, text="was restarted"), 111)
    book.add(Noticed(rig="cam", notice=Notice.RESUMED, text="records again"), 112)
    book.step(
        SessionTrigger.STOP, Event.EXPEND, 161, ephys=ended(101.01), cam={**ended(101.03), "gaps": [GAP]}
    )
    assert book.summarise().rigs["cam"].gaps == [GAP]


def led_on(book: Book, at: float) -> Book:
    """Let another program find the session, as it is after the death of the one that led it, and end it."""
    book.lines += beginning_line(round(at * SECOND), kind=RECOVERY)
    book.add(RigsChosen(rigs=RIGS), at)
    told = {"status": 20, "state": "running"}
    book.step(SessionTrigger.RECOVER, Event.EXPSTATUS, at + 1, ephys=told, cam=told, old=told)
    book.step(SessionTrigger.STOP, Event.EXPEND, at + 5, ephys=ended(101.01), cam=ended(101.03))
    book.step(SessionTrigger.CLEANUP, Event.EXPCLEANUP, at + 6)
    return book


def test_a_session_is_cut_off_where_nobody_goes_on_with_it() -> None:
    book = session(asked=600.0)
    end = led_on(book, 140).summarise().cut_off
    assert end is not None
    assert end.asked == 600.0


def test_a_session_whose_program_died_while_it_stopped_was_not_cut_off() -> None:
    book = session(asked=60.0)
    book.step(SessionTrigger.STOP, Event.EXPEND, 161, ephys=ended(101.01))
    assert led_on(book, 170).summarise().cut_off is None
