"""What a session turned out to be, judged over summaries that are built by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.protocol.words import Evidence, Expected, File, Finding, Level, RigStart
from multirig.record.left import NOT_KNOWN, SAYS_SO, say_left
from multirig.record.summary import Remark, RigSummary, Summary
from multirig.record.verdict import (
    MEANING,
    NOT_ALL_PROVED,
    RULES,
    Verdict,
    Word,
    judge,
    say_meaning,
    say_short,
    say_word,
)
from multirig.rig.evidence.frames import FrameStatistics


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
        ({"files": [file(frames=None, bytes=0)]}, Word.INCOMPLETE, "cam: raw_data/a.bin is empty"),
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


# -- each source by itself -----------------------------------------------------------------------------------


def camera(label: str = "right", extra: str = "", **keys: Any) -> File:
    """Return the video of a camera that gave 30 frames a second for 10 s, but for what is said."""
    own: dict[str, Any] = {
        name: keys.pop(name) for name in ("frames", "first", "last", "bytes") if name in keys
    }
    evidence: dict[str, Any] = {
        "source": label,
        "asked": 30.0,
        "rate": 30.0,
        "longest_gap": 0.04,
        "gap_at": 103.0,
        "missing": 0,
        "dropped": 0,
        "damaged": 0,
        "backwards": 0,
        "bursts": 0,
        "growing": True,
        **keys,
    }
    return file(
        path=f"raw_video_data/_iblrig_{label}Camera.raw{extra}.mp4",
        **{"frames": 301, "evidence": Evidence(**evidence)} | own,
    )


def judge_files(*files: File, **keys: Any) -> Verdict:
    return judge(session(cam=rig(files=list(files), **keys)))


def test_two_cameras_that_did_as_they_should_are_good_and_nothing_is_said() -> None:
    assert judge_files(camera("left"), camera("right")) == Verdict(word=Word.GOOD)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"last": 106.5, "frames": 196}, "right ended 3.5 s before the session did"),
        ({"first": 102.5, "frames": 226}, "right began 2.5 s after the session did"),
        (
            {"longest_gap": 4.03, "missing": 119, "frames": 181},
            "right gave nothing for 4.0 s, from 3.0 s after the start: 119 missing at 30/s",
        ),
        (
            {"asked": None, "longest_gap": 4.03, "missing": None, "frames": 181},
            "right gave nothing for 4.0 s, from 3.0 s after the start: 120 missing at 30/s",
        ),
        ({"rate": 10.2, "frames": 103}, "right gave 10.2 of 30 frames a second"),
        ({"rate": 60.1, "frames": 602}, "right gave 60.1 of 30 frames a second"),
        ({"missing": 3}, "right lacks 3 of 304 frames, by its own numbers"),
        ({"dropped": 12}, "right dropped 12 frames: they were seen and could not be written"),
        (
            {"damaged": 60},
            "right gave 60 pictures of 301 damaged: look at its cable and its network",
        ),
        ({"backwards": 2}, "right has 2 times that are not later than the one before: order nothing by them"),
        ({"backwards": 1}, "right has 1 time that is not later than the one before: order nothing by them"),
        (
            {"bursts": 44, "longest_gap": 1.5, "bound": 1.48, "stamped_by": "arrival"},
            "right gave 44 frames in bursts: their times are those of arrival, and up to 1.5 s too late",
        ),
        (
            {"growing": False, "grew_at": 105.0},
            "right grew steadily, and then no more in the last 5.0 s of the session",
        ),
        (
            {"expected": Expected(fps=60.0)},
            "right gave 30 of 60 frames a second",
        ),
        (
            {"expected": Expected(longest_gap=0.03)},
            "right gave nothing for 0.0 s, from 3.0 s after the start",
        ),
    ],
)
def test_what_is_wrong_with_one_camera_of_two_is_told_by_its_name(keys: Any, reason: str) -> None:
    verdict = judge_files(camera("left"), camera("right", **keys))
    assert (verdict.word, verdict.reasons) == (Word.DEGRADED, (f"cam: {reason}",))
    assert judge_files(camera("left"), camera("right", **keys), role="optional").notes == verdict.reasons


@pytest.mark.parametrize(
    "keys",
    [
        {"last": 109.2},
        {"longest_gap": 0.45},
        {"rate": 29.97, "frames": 300},
        {"asked": None, "rate": 17.3, "frames": 174},
        {"bursts": 3, "longest_gap": 0.08, "bound": 0.04},
        {"bursts": 40, "longest_gap": 1.5, "bound": 1.4, "stamped_by": "source"},
        {"missing": 2, "expected": Expected(missing=0.01)},
        {"longest_gap": 4.0, "missing": 0, "expected": Expected(longest_gap=5.0)},
        {"asked": 0.15, "rate": 0.15, "frames": 2, "last": 106.7, "longest_gap": 6.7},
        {"growing": None},
    ],
)
def test_what_an_honest_camera_may_do_is_good_and_nothing_is_said(keys: Any) -> None:
    assert judge_files(camera("left"), camera("right", **keys)) == Verdict(word=Word.GOOD)


@pytest.mark.parametrize(
    ("keys", "note"),
    [
        ({"damaged": 1, "frames": 3001}, "right gave 1 picture of 3\u202f001 damaged"),
        (
            {"bursts": 4, "longest_gap": 0.15, "bound": 0.12},
            "right gave 4 frames in bursts: their times are those of arrival, and up to 120.0 ms too late",
        ),
    ],
)
def test_a_little_of_it_is_a_note(keys: Any, note: str) -> None:
    if "frames" in keys:
        keys = keys | {"rate": 300.0, "asked": 300.0}
    verdict = judge_files(camera("left"), camera("right", **keys))
    assert (verdict.word, verdict.notes) == (Word.GOOD, (f"cam: {note}",))


def test_a_hiccup_in_which_nothing_is_lost_is_no_hole() -> None:
    (reason,) = judge_files(camera(bursts=44, longest_gap=1.5, bound=1.48)).reasons
    assert "bursts" in reason


def test_a_camera_that_numbers_its_frames_and_stood_still_has_a_hole() -> None:
    (reason,) = judge_files(camera(longest_gap=4.0, missing=0, frames=181)).reasons
    assert reason.startswith("cam: right gave nothing for 4.0 s")


def test_frames_that_were_dropped_are_told_once() -> None:
    assert judge_files(camera(missing=53, dropped=53, frames=248)).reasons == (
        "cam: right dropped 53 frames: they were seen and could not be written",
    )
    assert len(judge_files(camera(missing=60, dropped=53, frames=241)).reasons) == 2


def test_a_camera_that_is_called_as_its_rig_is_named_once() -> None:
    verdict = judge_files(camera("cam", missing=3))
    assert verdict.reasons == ("cam: lacks 3 of 304 frames, by its own numbers",)


def test_a_hole_between_two_parts_of_a_camera_is_its_gap() -> None:
    parts = camera(last=104.0, frames=121), camera(extra=".part2", first=107.0, frames=91)
    (reason,) = judge_files(*parts).reasons
    assert reason == ("cam: right gave nothing for 3.0 s, from 4.0 s after the start: 89 missing at 30/s")


def test_a_video_and_its_times_are_one_source() -> None:
    times = replace(camera(dropped=5), path="raw_video_data/_iblrig_rightCamera.times.npy")
    assert judge_files(camera(dropped=5), times).reasons == (
        "cam: right dropped 5 frames: they were seen and could not be written",
    )


def test_a_rate_is_judged_in_a_short_session_where_that_is_certain() -> None:
    def judge_short(rate: float, frames: int, seconds: float) -> Word:
        short = camera(rate=rate, frames=frames, last=100.0 + seconds)
        return judge(session(cam=rig(files=[short]), running_until=100.0 + seconds)).word

    assert judge_short(10.0, 11, 1.0) is Word.DEGRADED
    assert judge_short(27.0, 28, 1.0) is Word.GOOD
    assert judge_short(27.0, 55, 2.0) is Word.GOOD
    assert judge_short(10.0, 6, 0.5) is Word.DEGRADED


def test_a_camera_that_was_slow_for_a_third_is_told_over_the_whole() -> None:
    slow = camera(rate=30.0, frames=1401, last=160.0)
    verdict = judge(session(rigs={"cam": rig(files=[slow], stopped_at=160.1)}, running_until=160.0))
    assert verdict.reasons == ("cam: gave 23.3 of 30 frames a second, taken over the whole",) or (
        verdict.reasons == ("cam: right gave 23.3 of 30 frames a second, taken over the whole",)
    )


def table(**keys: Any) -> File:
    own: dict[str, Any] = {name: keys.pop(name) for name in ("frames", "first", "last") if name in keys}
    evidence: dict[str, Any] = {"backwards": 0, "longest_gap": 2.0, "gap_at": 101.0, **keys}
    return file(path="raw_data/licks.csv", **{"frames": 30, "evidence": Evidence(**evidence)} | own)


def test_a_table_of_events_may_pause_and_end_when_it_likes() -> None:
    assert judge_files(camera("left"), table(first=103.0, last=106.0, longest_gap=1.5)).word is Word.GOOD
    assert judge_files(table(first=103.0, last=106.0, longest_gap=1.5)).reasons == ()


def test_a_table_of_events_that_ends_early_proves_nothing() -> None:
    verdict = judge_files(table(last=104.0, longest_gap=1.0))
    why = "nothing tells whether raw_data/licks.csv was recorded to the end"
    assert (verdict.word, verdict.unverified) == (Word.GOOD, {"cam": why})


def test_a_steady_table_is_judged_at_its_ends_and_a_pause_of_it_is_a_note() -> None:
    early = "cam: raw_data/licks.csv ended 6.0 s before the session did"
    assert judge_files(table(rate=100.0, last=104.0)).reasons == (early,)
    verdict = judge_files(table(rate=100.0, frames=601, longest_gap=4.0))
    assert (verdict.word, verdict.reasons) == (Word.GOOD, ())
    assert verdict.notes == (
        "cam: raw_data/licks.csv paused for 4.0 s, and is steady else: if it should never pause, write "
        "expect: {fps: 100} into its rig's config",
    )


def test_an_empty_file_is_named_and_what_lies_beside_data_may_be_empty() -> None:
    verdict = judge_files(camera(), file(path="raw_data/b.avi", bytes=0, frames=None, first=None, last=None))
    assert (verdict.word, verdict.reasons) == (Word.INCOMPLETE, ("cam: raw_data/b.avi is empty",))
    assert judge_files(camera(), file(path="raw_data/run.log", bytes=0, frames=None)).word is Word.GOOD


# -- what is not verified ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cam", "why"),
    [
        ({"says_files": False, "files": [], "clock_bound": None}, "its program tells nothing of files"),
        ({"says_files": False, "files": [], "start": RigStart()}, "its answer tells nothing of files"),
        ({"files_total": 250}, "nothing is known of 249 of its 250 files"),
        (
            {"files": [file(frames=None, first=None, last=None)]},
            "nothing tells whether raw_data/a.bin was recorded to the end",
        ),
        ({"files": [file(path="raw_data/settings.json")]}, "none of its files is data, by their names"),
    ],
)
def test_a_rig_without_a_proof_is_never_counted_as_proved(cam: Any, why: str) -> None:
    verdict = judge(session(cam=rig(**cam)))
    assert (verdict.word, verdict.unverified) == (Word.GOOD, {"cam": why})
    assert say_word("GOOD", verdict.unverified) == f"GOOD, 1 rig not verified: cam ({why})"
    assert say_short("GOOD", len(verdict.unverified)) == "GOOD, 1 rig not verified"
    assert say_meaning(Word.GOOD, verdict.unverified) == NOT_ALL_PROVED


def test_frames_are_counted_once_whatever_lies_beside_the_video() -> None:
    beside = File(
        path="raw_video_data/_iblrig_leftCamera.arrivals.npy",
        bytes=1000,
        frames=301,
        first=100.0,
        last=110.0,
        evidence=Evidence(source="left", growing=True),
    )
    video = camera("left", damaged=30)
    times = replace(video, path="raw_video_data/_iblrig_leftCamera.times.npy")
    [reason] = judge_files(beside, video, times).reasons
    assert reason.startswith("cam: left gave 30 pictures of 301 damaged")


def test_that_a_file_stopped_growing_is_told_once_where_its_last_frame_tells_it_too() -> None:
    stopped = camera("left", frames=121, last=104.0, growing=False, grew_at=104.2)
    assert judge_files(stopped).reasons == ("cam: left ended 6.0 s before the session did",)
    stopped = camera("left", growing=False, grew_at=104.2)
    assert judge_files(stopped).reasons == (
        "cam: left grew steadily, and then no more in the last 5.8 s of the session",
    )


def test_a_file_that_grew_until_the_stop_is_proved() -> None:
    grown = file(frames=None, first=None, last=None, evidence=Evidence(growing=True, grew_at=109.9))
    assert judge_files(grown) == Verdict(word=Word.GOOD)


# -- what a rig has seen itself -----------------------------------------------------------------------------


def test_what_a_rig_has_found_reaches_the_verdict() -> None:
    found = [
        Finding(level=Level.WARNING, kind="clock", text="its clock jumped by 100 ms"),
        Finding(level=Level.NOTE, kind="camera", text="right was opened again"),
    ]
    verdict = judge_files(camera(), findings=found)
    assert (verdict.word, verdict.reasons) == (Word.DEGRADED, ("cam: its clock jumped by 100 ms",))
    assert verdict.notes == ("cam: right was opened again",)


# -- honest and faulty streams, through what is counted of them ---------------------------------------------


def record(times: Sequence[float], *, asked: float | None, end: float) -> Verdict:
    """Return the verdict on a session of one camera that gave frames at these times."""
    statistics = FrameStatistics()
    statistics.extend(round(time * 1e9) for time in times)
    evidence = replace(statistics.conclude(asked=asked), source="right", stamped_by="arrival", growing=True)
    video = file(frames=len(times), first=times[0], last=times[-1], evidence=evidence)
    return judge(
        session(rigs={"cam": rig(files=[video], stopped_at=end)}, running_until=end, running_from=100.0)
    )


def shoot(rate: float, end: float, jitter: float, seed: int) -> list[float]:
    """Return the times of arrival of a camera, each late by up to so many seconds, in their order."""
    rng = random.Random(seed)
    times = [100 + n / rate + rng.random() * jitter for n in range(max(2, int((end - 100) * rate)))]
    return sorted(times)


@given(
    rate=st.floats(math.log(0.15), math.log(1000)).map(math.exp),
    frames=st.integers(2, 1500),
    jitter=st.floats(0, 0.045),
    promises=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_an_honest_camera_is_good_at_every_rate_and_nothing_is_said_of_it(
    rate: float, frames: int, jitter: float, promises: bool, seed: int
) -> None:
    end = 100 + frames / rate
    times = shoot(rate, end, jitter, seed)
    assert record(times, asked=rate if promises else None, end=end) == Verdict(word=Word.GOOD)


@given(
    rate=st.floats(5, 200),
    at=st.floats(0.1, 0.5),
    lost=st.floats(1.3, 6),
    promises=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_a_hole_is_found_at_every_rate(
    rate: float, at: float, lost: float, promises: bool, seed: int
) -> None:
    begin = 100 + 15 * at
    times = [time for time in shoot(rate, 115, 0.01, seed) if not begin < time < begin + lost]
    verdict = record(times, asked=rate if promises else None, end=115)
    assert verdict.word is Word.DEGRADED
    assert "gave nothing for" in verdict.reasons[0] or "began" in verdict.reasons[0]


@given(
    rate=st.floats(2, 200),
    share=st.floats(0.1, 0.9),
    seconds=st.floats(10, 20),
    seed=st.integers(0, 1 << 30),
)
def test_a_camera_that_gives_fewer_frames_than_asked_is_found(
    rate: float, share: float, seconds: float, seed: int
) -> None:
    times = shoot(rate * share, 100 + seconds, 0.01, seed)
    assert record(times, asked=rate, end=100 + seconds).word is Word.DEGRADED


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


@pytest.mark.parametrize(
    "cam",
    [
        {"has_ended": False, "says_files": False, "files": []},
        {"still_records": SAYS_SO},
        {"files": []},
        {"files": [file(bytes=0, frames=None)]},
        {"files": [file(frames=0)]},
    ],
)
def test_an_optional_rig_whose_data_are_not_there_leaves_the_session_as_it_is_without_it(cam: Any) -> None:
    for role, word in (("optional", Word.GOOD), ("expected", Word.INCOMPLETE)):
        verdict = judge(session(cam=rig(**cam, role=role)))
        assert verdict.word is word
        assert len(verdict.notes if word is Word.GOOD else verdict.reasons) == 1


def test_an_optional_rig_that_may_still_record_is_named_in_the_last_line() -> None:
    left = say_left(session(cam=rig(role="optional", has_ended=False, files=[], still_records=NOT_KNOWN)))
    assert left is not None
    assert left.startswith("cam may still record")


def test_a_multirig_whose_files_lie_elsewhere_is_not_called_a_foreign_one() -> None:
    kept = Finding(level=Level.NOTE, kind="process", text="keeps its data elsewhere")
    elsewhere = rig(says_files=False, files=[], start=RigStart(), findings=[kept])
    assert judge(session(cam=elsewhere)).notes == ("cam: keeps its data elsewhere",)


def test_a_rig_that_took_no_part_is_told_with_its_cause() -> None:
    absent = rig(was_started=False, files=[], role="optional", problems=["nothing listens there"])
    assert judge(session(cam=absent)).notes == ("cam: took no part: nothing listens there",)


def test_times_of_another_clock_are_told_as_such_and_compared_with_nothing() -> None:
    wall = 1_796_089_833.0
    evidence = Evidence(backwards=0, longest_gap=1.2, gap_at=wall + 3)
    table = file(path="raw_data/t.csv", first=wall, last=wall + 10, evidence=evidence)
    for files in ([table], [table, file()]):
        summary = session(cam=rig(files=files))
        verdict = judge(summary)
        assert verdict.word is Word.DEGRADED
        [reason] = verdict.reasons
        assert reason.startswith("cam: raw_data/t.csv has times of another clock (time of day?)")
        assert summary.rigs["cam"].first in (None, 100.0)


# -- notes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cam", "note"),
    [
        (
            {"says_files": False, "files": [], "clock_bound": None},
            "cam says nothing of its files: it is no multirig",
        ),
        (
            {"files": [file(blake2b=None), file(blake2b=None), file()]},
            "checksums of 2 files of cam are still being made: its manifest will hold them",
        ),
        ({"manifest": None}, "cam could not write its manifest"),
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


@pytest.mark.parametrize(
    ("seconds", "noted"),
    [
        (0.0, "it noted nothing more after the start"),
        (1.2, "the last that it noted was 1.2 s after the start"),
    ],
)
def test_a_session_whose_task_died_is_interrupted_whoever_stopped_it_then(seconds: float, noted: str) -> None:
    verdict = judge(session(recoveries=1, task_died=seconds))
    assert verdict.word is Word.INTERRUPTED
    assert verdict.reasons == (f"the task that led it died while the rigs recorded: {noted}",)


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
