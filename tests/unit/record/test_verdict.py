"""What a session turned out to be, judged over summaries that are built by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from multirig.protocol.words import File
from multirig.record.summary import Remark, RigSummary, Summary
from multirig.record.verdict import MEANING, RULES, Verdict, Word, judge


def file(**keys: Any) -> File:
    values = {"bytes": 1000, "frames": 1001, "first": 100.0, "last": 110.0, "blake2b": "00" * 32}
    return File(**{"path": "raw_data/a.bin", **values, **keys})


def rig(**keys: Any) -> RigSummary:
    """Return a rig that has done all as it should, but for what is said."""
    files = keys.pop("files", [file()])
    values = {
        "address": "udp://10.0.0.1:11001",
        "was_started": True,
        "has_ended": True,
        "says_files": True,
        "files": files,
        "files_total": len(files),
        "bytes_total": sum(one.bytes for one in files),
        "manifest": "_multirig_manifest.cam.json",
        "started_at": 100.0,
        "stopped_at": 110.1,
        "dropped": 0,
        "clock_offset": 0.0,
        "clock_bound": 0.001,
    }
    return RigSummary(**{**values, **keys})


def session(*, cam: RigSummary | None = None, **keys: Any) -> Summary:
    """Return a session of 10 s over two rigs, all well but for what is said."""
    values = {
        "exp_ref": "2026-01-31_1_SP_01",
        "subject": "SP_01",
        "attempts": 1,
        "running_from": 100.0,
        "running_until": 110.0,
        "rigs": {"ephys": rig(), "cam": cam or rig()},
    }
    return Summary(**{**values, **keys})


def test_a_session_in_which_all_went_well_is_good_and_nothing_is_said() -> None:
    assert judge(session()) == Verdict(word=Word.GOOD)


# -- each kind of evidence ---------------------------------------------------------------------------------

GAP = {"from": "2026-01-31T12:01:03+00:00", "to": "2026-01-31T12:01:20+00:00", "seconds": 17.0}


@pytest.mark.parametrize(
    ("cam", "word", "words"),
    [
        ({"ended_early": 4.2}, Word.DEGRADED, "cam: had ended 4.2 s before the session was stopped"),
        (
            {"has_ended": False, "files": []},
            Word.INCOMPLETE,
            "cam recorded, and did not say what: look for its",
        ),
        ({"files": []}, Word.INCOMPLETE, "cam recorded, and has no file to show for it"),
        ({"files": [file(frames=0)]}, Word.INCOMPLETE, "cam: raw_data/a.bin holds no frames"),
        ({"files": [file(frames=None, bytes=0)]}, Word.INCOMPLETE, "cam: 1 file, and all of them empty"),
        ({"was_started": False, "files": []}, Word.DEGRADED, "cam: took no part"),
        ({"problems": ["stop: the shutter is stuck"]}, Word.DEGRADED, "cam: stop: the shutter is stuck"),
        ({"gaps": [GAP]}, Word.DEGRADED, "cam: recorded nothing from 12:01:03 to 12:01:20 (17.0 s)"),
        ({"dropped": 12}, Word.DEGRADED, "cam: dropped 12 frames"),
        ({"dropped": 1}, Word.DEGRADED, "cam: dropped 1 frame:"),
        ({"files": [file(first=103.2)]}, Word.DEGRADED, "cam: began 3.2 s after the session did"),
        ({"files": [file(last=104.0)]}, Word.DEGRADED, "cam: ended 6.0 s before the session did"),
    ],
)
def test_what_is_wrong_with_a_rig_is_one_line_that_names_it(cam: Any, word: Word, words: str) -> None:
    verdict = judge(session(cam=rig(**cam)))
    assert verdict.word is word
    (reason,) = verdict.reasons
    assert reason.startswith(words)
    assert len(reason.splitlines()) == 1


def test_a_rig_without_times_of_frames_is_judged_by_its_own_start_and_stop() -> None:
    untimed = file(first=None, last=None, frames=None)
    assert judge(session(cam=rig(files=[untimed]))).word is Word.GOOD
    verdict = judge(session(cam=rig(files=[untimed], stopped_at=104.0)))
    assert verdict.reasons == ("cam: ended 6.0 s before the session did",)


def test_a_clock_that_may_be_off_is_allowed_for() -> None:
    late = [file(first=103.2, last=113.2)]
    assert judge(session(cam=rig(files=late, clock_bound=2.5))).word is Word.GOOD
    assert judge(session(cam=rig(files=late, clock_bound=0.5))).word is Word.DEGRADED


def test_where_the_clock_is_not_known_only_lengths_are_compared() -> None:
    elsewhere = [file(first=5000.0, last=5010.0)]
    assert judge(session(cam=rig(files=elsewhere, clock_bound=None))).word is Word.GOOD
    short = [file(first=5000.0, last=5004.0)]
    verdict = judge(session(cam=rig(files=short, clock_bound=None)))
    assert verdict.reasons == ("cam: recorded 4.0 s of a session of 10.0 s",)


def test_a_slow_device_may_have_frames_still_to_come() -> None:
    slow = [file(frames=3, first=102.0, last=106.0)]
    assert judge(session(cam=rig(files=slow))).word is Word.GOOD


def test_two_files_one_after_the_other_cover_the_session_together() -> None:
    parts = [file(last=104.0), file(path="raw_data/a.part2.bin", first=105.0)]
    assert judge(session(cam=rig(files=parts))).word is Word.GOOD


def test_in_a_session_of_a_moment_a_device_may_have_no_frame_yet() -> None:
    empty = rig(files=[file(frames=0, first=None, last=None)], stopped_at=100.6)
    assert judge(session(cam=empty, running_until=100.5)).word is Word.GOOD


def test_a_clock_that_began_anew_in_between_is_not_compared() -> None:
    assert judge(session(running_until=3.0)).word is Word.GOOD


# -- roles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cam",
    [
        {"was_started": False, "files": [], "problems": ["nothing listens there"]},
        {"problems": ["recording: unplugged"]},
        {"gaps": [GAP]},
        {"dropped": 3},
        {"files": [file(last=104.0)]},
    ],
)
def test_what_happens_to_an_optional_rig_is_a_note(cam: Any) -> None:
    for role, word in (("optional", Word.GOOD), ("expected", Word.DEGRADED), ("essential", Word.DEGRADED)):
        verdict = judge(session(cam=rig(**cam, role=role)))
        assert verdict.word is word
        assert len(verdict.notes if word is Word.GOOD else verdict.reasons) == 1


def test_what_an_optional_rig_recorded_must_be_accounted_for_all_the_same() -> None:
    verdict = judge(session(cam=rig(role="optional", has_ended=False, files=[])))
    assert verdict.word is Word.INCOMPLETE


def test_a_rig_that_took_no_part_is_told_with_its_cause() -> None:
    absent = rig(was_started=False, files=[], role="optional", problems=["nothing listens there"])
    assert judge(session(cam=absent)).notes == ("cam: took no part: nothing listens there",)


# -- notes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cam", "note"),
    [
        ({"says_files": False, "files": []}, "cam says nothing of its files: it is no multirig"),
        (
            {"files": [file(blake2b=None), file(blake2b=None), file()]},
            "checksums of 2 files of cam are still being made: its manifest will hold them",
        ),
        ({"manifest": None}, "cam could not write its manifest"),
        ({"files_total": 250}, "cam lists 250 files, of which the journal names 1"),
        (
            {"remarks": [Remark(seconds=3.0, notice="silent", text="is not heard any more (since 1.8 s)")]},
            "cam: is not heard any more (since 1.8 s)",
        ),
    ],
)
def test_a_session_with_notes_only_is_good(cam: Any, note: str) -> None:
    verdict = judge(session(cam=rig(**cam)))
    assert verdict.word is Word.GOOD
    assert verdict.reasons == ()
    assert [one[: len(note)] for one in verdict.notes] == [note]


def test_several_attempts_and_a_conductor_that_was_replaced_are_notes() -> None:
    verdict = judge(session(attempts=3, recoveries=1))
    assert verdict.word is Word.GOOD
    assert verdict.notes == (
        "it is the last of 3 attempts under this number",
        "the program that led it died, and was replaced 1 time",
    )


def test_a_session_whose_task_died_is_interrupted_whoever_stopped_it_then() -> None:
    verdict = judge(session(recoveries=1, task_died=1.2))
    assert verdict.word is Word.INTERRUPTED
    assert verdict.reasons == (
        "the task that led it died while the rigs recorded: its last word was 1.2 s after the start",
    )


# -- the session as a whole --------------------------------------------------------------------------------


def never_ran(**keys: Any) -> Summary:
    idle = rig(was_started=False, files=[])
    return session(running_from=None, running_until=None, rigs={"ephys": idle, "cam": idle}, **keys)


def test_a_session_that_never_ran_is_aborted_and_says_which_rig_could_not() -> None:
    summary = never_ran()
    summary.rigs["cam"] = replace(summary.rigs["cam"], problems=["start: no light"])
    assert judge(summary) == Verdict(word=Word.ABORTED, reasons=("cam: start: no light",))


def test_a_session_that_was_given_up_is_aborted_and_says_why() -> None:
    assert judge(never_ran()).reasons == ("it was ended before the rigs were started",)
    (reason,) = judge(never_ran(interruption="not today")).reasons
    assert reason == "it was interrupted before all rigs recorded: not today"


def test_files_of_a_beginning_that_failed_are_not_forgotten() -> None:
    summary = never_ran()
    summary.rigs["ephys"] = rig()
    assert judge(summary).notes == ("ephys: had begun already, and has 1 file of it",)


def test_an_interrupted_session_also_says_what_is_incomplete_and_what_is_wrong() -> None:
    summary = session(cam=rig(has_ended=False, files=[]), interruption="smoke")
    summary.rigs["ephys"].dropped = 3
    verdict = judge(summary)
    assert verdict.word is Word.INTERRUPTED
    assert [one.split(":")[0] for one in verdict.reasons] == [
        "it was interrupted 10.0 s after the start",
        "cam recorded, and did not say what",
        "ephys",
    ]


@pytest.mark.parametrize("state", ["running", "stopping", "interrupting", "recovering", "recovered"])
def test_a_journal_that_ends_in_the_middle_is_no_final_verdict(state: str) -> None:
    verdict = judge(session(state=state))
    assert (verdict.word, verdict.is_final) == (Word.INTERRUPTED, False)
    assert f"the journal ends while the session is {state}" in verdict.reasons[0]


@pytest.mark.parametrize("state", ["agreed", "initialised", "starting"])
def test_a_journal_that_ends_before_the_start_says_so(state: str) -> None:
    verdict = judge(never_ran(state=state))
    assert (verdict.word, verdict.is_final) == (Word.ABORTED, False)
    assert f"the journal ends while the session is {state}" in verdict.reasons[0]


def test_a_session_that_is_stopped_and_not_cleaned_up_is_good_so_far() -> None:
    verdict = judge(session(state="stopped"))
    assert (verdict.word, verdict.is_final) == (Word.GOOD, False)


def test_a_journal_with_damaged_lines_cannot_prove_that_all_is_well() -> None:
    verdict = judge(session(unreadable=[7, 9]))
    assert verdict.word is Word.DEGRADED
    assert verdict.reasons[0].startswith("the journal has 2 lines that cannot be read (7, 9)")


def test_an_empty_journal_is_a_session_that_never_ran() -> None:
    assert judge(Summary()).word is Word.ABORTED


# -- the table ---------------------------------------------------------------------------------------------


def test_the_rules_stand_in_the_order_of_their_gravity() -> None:
    order = list(Word)
    assert list(MEANING) == order
    gravities = [order.index(rule.word) for rule in RULES]
    assert gravities == sorted(gravities, reverse=True)
    assert {rule.word for rule in RULES} == {*Word}
