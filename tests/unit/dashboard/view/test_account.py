import datetime
from pathlib import Path

import pytest

from multirig.dashboard.view.account import NOT_TOLD, SHOWN_ENTRIES, view_account, view_listed
from multirig.dashboard.view.tones import Tone
from multirig.protocol.words import File, RigStart
from multirig.record.account import Account, OwnFile
from multirig.record.catalogue import NO_VERDICT, NOT_OVER, Listed
from multirig.record.summary import Incident, Marker, Remark, RigSummary, StepSummary
from multirig.record.timing import ClockJump, ClockSummary, Spread
from multirig.record.verdict import Word


def video(**keys):
    values = {"bytes": 3_300_000, "frames": 36701, "first": 100.0, "last": 106.1}
    return File(path="raw_video_data/left.mp4", **(values | keys))


def clock(**keys):
    known = {"at": 106.0, "offset": -0.0000012, "bound": 0.000004, "drift": -6.3, "round_trip": 0.000007}
    return ClockSummary(**{**known, "steps": 0, "readings": 4, **keys})


def rig(**keys):
    return RigSummary(
        **{
            "address": "udp://h:11001",
            "was_started": True,
            "has_ended": True,
            "says_files": True,
            "files": [video()],
            "files_total": 1,
            "bytes_total": 3_300_000,
            "dropped": 0,
            "start": RigStart(called=99.9, bound=0.0001),
            "clock": clock(),
            **keys,
        }
    )


def told(left=None, **keys):
    return Account(
        **{
            "exp_ref": "2026-11-26_2_SP_01",
            "subject": "SP_01",
            "began": "2026-11-26T12:03:15.593+00:00",
            "state": "idle",
            "attempts": 1,
            "running_from": 100.0,
            "running_until": 106.5,
            "rigs": {"left": left or rig()},
            "version": "1.2",
            **keys,
        }
    )


def facts(view):
    return {one.label: one.value for one in view.facts}


def said(view, place=0):
    return [(one.text, one.tone) for one in view.rigs[place].entries]


# -- the whole -----------------------------------------------------------------------------------------------


def test_a_good_session_says_so_in_words():
    shown = view_account(told())
    assert (shown.word, shown.tone, shown.icon) == ("GOOD", Tone.GOOD, "check_circle")
    assert shown.meaning == "every rig recorded from the beginning to the end"
    assert facts(shown) == {
        "Began": "2026-11-26 12:03:15",
        "Recorded for": "00:06",
        "Rigs": "left",
        "Files": "1 file, 3.3 MB",
        "Judged by": "multirig 1.2",
    }
    assert shown.unknown == ()
    assert shown.has_journal


def test_reasons_and_notes_are_shown_as_they_are():
    shown = view_account(told(verdict=Word.DEGRADED, reasons=["left: dropped 3 frames"], notes=["slow"]))
    assert (shown.word, shown.tone) == ("DEGRADED", Tone.WARNING)
    assert shown.reasons == ("left: dropped 3 frames",)
    assert shown.notes == ("slow",)


def test_a_session_that_is_not_over_says_what_it_would_be_and_what_to_do():
    shown = view_account(told(is_final=False, state="running", verdict=Word.INTERRUPTED, running_until=None))
    assert (shown.word, shown.tone) == (NOT_OVER, Tone.BUSY)
    assert shown.meaning == (
        "it is running, as far as its journal tells; if it ended so: INTERRUPTED, it was recorded, and ended "
        "before its time; if nobody leads it any more, it can be taken up again on the page Lab"
    )


def test_how_long_it_was_recorded_is_said_even_where_no_stop_was():
    assert facts(view_account(told(running_until=None, ended_at=161.0)))["Recorded for"] == (
        "01:01 until the end of its journal"
    )
    assert facts(view_account(told(running_until=None)))["Recorded for"] == NOT_TOLD
    never = view_account(told(running_from=None))
    assert facts(never)["Recorded for"] == "it never recorded on all rigs"


def test_what_is_known_of_the_start_and_the_steps_is_said():
    spread = Spread(seconds=0.00014, bound=0.00011, rigs=2, earliest="left", latest="right")
    shown = facts(
        view_account(
            told(
                start_spread=spread,
                first_spread=spread,
                steps=[StepSummary(name="agree", seconds=0.0071), StepSummary(name="start", seconds=0.35)],
                attempts=2,
            )
        )
    )
    assert shown["Start"] == "2 rigs started within 0.14 ms ± 0.11 ms of each other: left first, right last"
    assert shown["First frames"].startswith("2 rigs had their first frame within 0.14 ms")
    assert shown["Steps took"] == "agree 7.10 ms, start 350.00 ms"
    assert shown["Attempts"] == "2; what is shown here is of the last one"


def test_a_session_that_never_got_a_number_has_a_page_too():
    shown = view_account(Account(verdict=Word.ABORTED))
    assert (shown.exp_ref, shown.subject) == ("session without a number", "")
    assert view_account(Account(), name="2026-11-26_1_SP_01").exp_ref == "2026-11-26_1_SP_01"
    assert facts(shown) == {
        "Began": NOT_TOLD,
        "Recorded for": "it never recorded on all rigs",
        "Rigs": "none",
        "Files": "no files",
        "Judged by": facts(shown)["Judged by"],
    }


def test_markers_and_what_happened_are_shown_with_their_time():
    shown = view_account(
        told(
            markers=[Marker(at=101.0, seconds=1.04, text="drug", data={"dose": 2})],
            happenings=[
                Incident(seconds=3.0, rig="left", text="lost"),
                Incident(seconds=None, rig=None, text="was interrupted"),
            ],
        )
    )
    assert [(one.when, one.text) for one in shown.markers] == [("+1.0 s", "drug (dose 2)")]
    assert [(one.when, one.who, one.text) for one in shown.happenings] == [
        ("+3.0 s", "left", "lost"),
        ("", "session", "was interrupted"),
    ]
    assert (shown.more_markers, shown.more_happenings) == (None, None)


@pytest.mark.parametrize(
    ("more", "words"), [(1, "and 1 more marker: see the journal"), (7, "and 7 more markers: see the journal")]
)
def test_of_many_markers_only_the_first_are_shown(more, words):
    shown = view_account(told(markers=[Marker(at=1.0, seconds=1.0, text="x")] * (SHOWN_ENTRIES + more)))
    assert len(shown.markers) == SHOWN_ENTRIES
    assert shown.more_markers == words


# -- files ---------------------------------------------------------------------------------------------------


def test_a_file_has_its_times_from_the_beginning():
    (group,) = view_account(told()).files
    assert (group.who, group.summary, group.dropped, group.tone) == (
        "left",
        "1 file, 3.3 MB, 36\u202f701 frames",
        "0",
        Tone.PLAIN,
    )
    (row,) = group.rows
    assert (row.path, row.size, row.frames) == ("raw_video_data/left.mp4", "3.3 MB", "36\u202f701")
    assert (row.first, row.last) == ("+0.0000 s", "+6.1000 s")


def test_what_a_rig_does_not_tell_of_a_file_is_not_invented():
    (group,) = view_account(told(rig(files=[File(path="x.bin", bytes=9)], dropped=None))).files
    assert group.dropped == NOT_TOLD
    assert [(one.path, one.size, one.frames, one.first, one.last) for one in group.rows] == [
        ("x.bin", "9 B", NOT_TOLD, NOT_TOLD, NOT_TOLD),
    ]


def test_lost_frames_are_a_warning():
    (group,) = view_account(told(rig(dropped=3))).files
    assert (group.dropped, group.dropped_tone) == ("3", Tone.WARNING)


def test_files_that_are_not_named_are_counted():
    (group,) = view_account(told(rig(files_total=5))).files
    assert group.more == "and 4 more files"


def test_a_rig_that_tells_no_files_is_no_rig_without_files():
    (silent,) = view_account(told(rig(says_files=False, files=[], files_total=0))).files
    assert (silent.summary, silent.tone) == ("it does not tell its files", Tone.WARNING)
    (lost,) = view_account(told(rig(says_files=False, has_ended=False, files=[], files_total=0))).files
    assert (lost.summary, lost.tone) == ("nothing is known of its files", Tone.WARNING)
    (empty,) = view_account(told(rig(files=[], files_total=0))).files
    assert (empty.summary, empty.tone) == ("no files", Tone.WARNING)
    (absent,) = view_account(told(RigSummary(address="udp://h:1"))).files
    assert absent.tone is Tone.PLAIN


def test_files_of_this_pc_stand_behind_those_of_the_rigs():
    groups = view_account(
        told(own_files=[OwnFile(path="task.json", bytes=120)], own_files_total=3, own_bytes_total=900)
    ).files
    assert [one.who for one in groups] == ["left", "this PC"]
    own = groups[-1]
    assert (own.summary, own.more) == ("3 files, 900 B", "and 2 more files")
    assert own.rows[0].path == "task.json"


# -- clocks --------------------------------------------------------------------------------------------------


def test_a_clock_is_told_with_its_bound():
    (row,) = view_account(told()).clocks
    assert (row.offset, row.bound) == ("0.0012 ms behind", "± 0.004 ms")
    assert (row.drift, row.round_trip, row.readings) == ("-6.30 ppm", "0.007 ms", "4")
    assert (row.jumps, row.tone, row.unknown) == ("none", Tone.PLAIN, None)


def test_a_clock_that_jumped_is_a_warning():
    jumped = clock(jumps=[ClockJump(after=1.0, before=2.0, size=-1.5)])
    (row,) = view_account(told(rig(clock=jumped))).clocks
    assert (row.jumps, row.tone) == ("-1.500 s", Tone.WARNING)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"was_started": False}, "not known: it was not started"),
        ({"clock_bound": 0.002}, "by its own word its times are right within ± 2.00 ms"),
        ({}, "not known: nobody read it"),
        ({"says_files": False}, "not known: nobody read it"),
        ({"says_files": False, "start": None}, "not known: it is no multirig"),
    ],
)
def test_a_clock_that_nobody_read_says_why(keys, words):
    (row,) = view_account(told(rig(clock=None, **keys))).clocks
    assert row.unknown == words


# -- rigs ----------------------------------------------------------------------------------------------------


def test_a_rig_without_faults_says_so():
    shown = view_account(told())
    assert said(shown) == [("nothing went wrong", Tone.GOOD)]
    assert shown.rigs[0].about == "udp://h:11001"


def test_a_rig_tells_its_faults_first_and_then_what_was_noticed():
    shown = view_account(
        told(
            rig(
                problems=["no answer in the step 'stop'"],
                gaps=[
                    {"from": "2026-11-26T12:03:20", "to": "2026-11-26T12:03:28", "seconds": 8.0},
                    {"from": None, "seconds": None},
                ],
                dropped=1,
                ended_early=2.5,
                remarks=[Remark(seconds=3.46, notice="silent", text="was silent for 2 s")],
            )
        )
    )
    assert said(shown) == [
        ("no answer in the step 'stop'", Tone.BAD),
        ("recorded nothing from 12:03:20 to 12:03:28 (8.00 s): its program had died", Tone.WARNING),
        ("recorded nothing from ? to ?: its program had died", Tone.WARNING),
        ("1 frame lost: seen, and not written", Tone.WARNING),
        ("its recording had ended 2.50 s before the session was told to stop", Tone.WARNING),
        ("was silent for 2 s", Tone.PLAIN),
    ]
    assert shown.rigs[0].tone is Tone.BAD
    assert shown.rigs[0].entries[-1].when == "+3.5 s"


def test_the_faults_of_an_optional_rig_weigh_less():
    shown = view_account(told(rig(role="optional", problems=["broke"])))
    assert said(shown) == [("broke", Tone.WARNING)]
    assert shown.rigs[0].about == "udp://h:11001, optional"


def test_a_recording_that_ended_a_moment_early_is_no_remark():
    assert said(view_account(told(rig(ended_early=0.2)))) == [("nothing went wrong", Tone.GOOD)]


def test_a_rig_that_took_no_part_or_goes_on_says_so():
    assert said(view_account(told(RigSummary(address="udp://h:1")))) == [("it was not started", Tone.PLAIN)]
    assert said(view_account(told(rig(has_ended=False)))) == [
        ("it has not been told to stop yet", Tone.PLAIN)
    ]


# -- what is not known ---------------------------------------------------------------------------------------


def test_what_nobody_can_tell_is_listed():
    shown = view_account(
        told(
            rig(start=None, started_within=0.02, says_files=False, dropped=None),
            unreadable=[3, 9],
        )
    )
    assert shown.unknown == (
        "when left started: it does not tell; it was between the command and its answer, 20.00 ms later",
        "what left wrote: it does not tell; look into its own folder",
        "whether left lost frames: it does not tell",
        "what stood in the journal's lines that cannot be read: 3, 9",
    )


def test_a_rig_that_did_not_answer_the_stop_may_have_files_all_the_same():
    shown = view_account(told(rig(has_ended=False, start=None)))
    assert shown.unknown == (
        "when left started: it does not tell; it was between the command and its answer",
        "what left wrote: it did not tell when it was stopped; look into its own folder",
    )
    assert view_account(told(rig(has_ended=False), is_final=False, state="running")).unknown == ()


def test_of_many_unreadable_lines_the_first_are_named():
    (line,) = view_account(told(unreadable=list(range(1, 31)))).unknown
    assert line.endswith("cannot be read: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 20 more")


# -- without a journal ---------------------------------------------------------------------------------------


def listed(**keys):
    return Listed(
        **{
            "folder": Path("/data/mylab/Subjects/SP_01/2026-11-26/002"),
            "exp_ref": "2026-11-26_2_SP_01",
            "subject": "SP_01",
            "date": datetime.date(2026, 11, 26),
            "number": 2,
            "verdict": None,
            "word": NO_VERDICT,
            **keys,
        }
    )


def test_a_session_without_a_journal_shows_what_its_folder_tells():
    shown = view_listed(
        listed(reason="recorded without rigs", task="_iblrig_tasks_x", seconds=1860.0, files=2, bytes=900)
    )
    assert (shown.word, shown.tone, shown.meaning) == (
        NO_VERDICT,
        Tone.PLAIN,
        "there is no journal here that could tell",
    )
    assert shown.reasons == ("recorded without rigs",)
    assert facts(shown) == {"Recorded for": "31:00", "Task": "_iblrig_tasks_x", "Files": "2 files, 900 B"}
    assert not shown.has_journal


def test_a_folder_that_tells_nothing_says_so():
    shown = view_listed(listed())
    assert facts(shown) == {"Recorded for": NOT_TOLD, "Files": "no files"}
    assert shown.reasons == ()
