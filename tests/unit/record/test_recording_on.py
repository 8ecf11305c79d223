"""Which rigs may still record, by what they were told and what they have said."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from multirig.lifecycle.session_events import AgreeRequested, RigsChosen, StepRequested
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.events import (
    WITHDRAWN,
    Address,
    Received,
    Refused,
    Relocated,
    Replied,
    TimedOut,
    Token,
    Unreached,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import AskInfo, CleanedUp, Ready, Report, RigState, Started, Stopped, Word
from multirig.record.history import Moment
from multirig.record.left import NOT_KNOWN, SAYS_SO, say_left
from multirig.record.recording_on import RecordingOn
from multirig.record.summary import RigSummary, Summary
from multirig.record.verdict import Word as Verdict
from multirig.record.verdict import judge

S = SessionState
CAM = Address("udp", "10.0.0.2", 11001)
KEY = (-1, "cam")


def moment(event: Any, before: SessionState = S.STOPPING, word: Word | None = None) -> Moment:
    return Moment(at=0, wall="", kind="", event=event, before=before, after=before, word=word)


def reply(word: Word, before: SessionState = S.STOPPING) -> Moment:
    return moment(Replied(address=CAM, key=KEY, word=word), before, word)


def failed(kind: Callable[..., Any], before: SessionState = S.STARTING, **more: Any) -> Moment:
    return moment(kind(address=CAM, key=KEY, **more), before)


CHOSEN = moment(RigsChosen(rigs={"cam": CAM}), S.IDLE)
STARTED = reply(Started(), S.STARTING)


def why(*moments: Moment) -> str | None:
    recording = RecordingOn()
    for one in (CHOSEN, *moments):
        recording.take(one)
    return recording.why("cam")


@pytest.mark.parametrize(
    "began",
    [
        STARTED,
        failed(TimedOut, confirmed=False),
        failed(Unreached, reason="no way there"),
        failed(Refused, reason=WITHDRAWN),
    ],
)
def test_a_rig_that_may_have_begun_records_until_it_says_otherwise(began: Moment) -> None:
    assert why(began) == NOT_KNOWN
    assert why(began, failed(TimedOut, S.STOPPING, confirmed=True)) == NOT_KNOWN
    assert why(began, reply(Stopped(status=Status.STOPPED))) is None
    assert why(began, reply(CleanedUp(), S.CLEANING)) is None


def test_a_rig_that_has_refused_to_start_or_was_not_told_does_not_record() -> None:
    assert why(failed(Refused, reason="no light")) is None
    assert why(failed(TimedOut, S.INITIALIZING, confirmed=True)) is None


def test_a_rig_that_was_told_to_get_ready_and_does_not_confirm_its_end_may_record() -> None:
    told = moment(StepRequested(number=1, trigger=SessionTrigger.INIT), S.AGREED)
    gone = failed(Unreached, S.INTERRUPTING, reason="nothing listens there")
    assert why(told, gone) == NOT_KNOWN
    assert why(told, gone, reply(CleanedUp(), S.CLEANING)) is None
    assert why(told, reply(Stopped(status=Status.STOPPED), S.INTERRUPTING), gone) is None
    assert why(gone) is None


def test_a_stop_that_may_have_been_echoed_late_counts_only_with_a_clean_up() -> None:
    """A peer of IBL's may answer with the bytes that it was sent, and so does a slow network."""
    told = moment(StepRequested(number=1, trigger=SessionTrigger.INIT), S.AGREED)
    echoed = reply(Stopped(exp_ref=ExpRef.parse("2024-05-06_1_SP_01")), S.INTERRUPTING)
    silent = failed(TimedOut, S.CLEANING, confirmed=True)
    assert why(told, STARTED, echoed) is None
    assert why(told, STARTED, echoed, silent) == NOT_KNOWN
    assert why(told, STARTED, echoed, reply(CleanedUp(), S.CLEANING)) is None
    assert why(told, STARTED, reply(Stopped()), silent) is None  # as iblrig's services say it: [4, []]


def test_a_rig_that_says_after_the_stop_that_it_records_is_believed() -> None:
    running = reply(Stopped(status=Status.RUNNING))
    assert why(STARTED, running) == SAYS_SO
    assert why(STARTED, running, reply(CleanedUp(), S.CLEANING)) == SAYS_SO
    assert why(STARTED, running, reply(CleanedUp(status=Status.CONNECTED), S.CLEANING)) is None


def test_what_a_rig_says_by_itself_counts_wherever_it_is_by_then() -> None:
    there = Address("udp", "10.0.0.78", 11001)
    stopped = Report(status=Status.STOPPED, state=RigState.STOPPED)
    heard = Received(address=there, word=stopped, token=Token(there, 2, 1, "b"))
    assert why(STARTED, moment(heard, S.RUNNING, stopped)) == NOT_KNOWN
    moved = moment(Relocated(address=CAM, now_at=there), S.RUNNING)
    assert why(STARTED, moved, moment(heard, S.RUNNING, stopped)) is None
    noticed = Noticed(rig="cam", notice=Notice.STOPPED, text="", report=stopped)
    assert why(STARTED, moment(noticed, S.RUNNING)) is None


def test_a_rig_that_another_session_has_taken_over_is_not_left() -> None:
    assert why(STARTED, moment(Noticed(rig="cam", notice=Notice.TAKEN_OVER, text=""), S.RUNNING)) is None


def summary(**whys: str | None) -> Summary:
    rigs = {
        name: RigSummary(address=f"udp://{name}:1", was_started=True, has_ended=True, still_records=one)
        for name, one in whys.items()
    }
    return Summary(state=S.IDLE.value, running_from=1.0, running_until=9.0, rigs=rigs)


def test_the_last_line_names_who_may_record_and_the_command() -> None:
    assert say_left(summary(cam=None)) is None
    assert say_left(summary(cam=NOT_KNOWN, eye=None, ephys=NOT_KNOWN)) == (
        "cam and ephys may still record: once they can be reached, "
        "'multirig stop udp://cam:1 udp://ephys:1' ends that, from any PC"
    )
    assert say_left(summary(cam=SAYS_SO)) == "cam says that it still records: stop it there"


def test_a_session_whose_rig_says_that_it_records_is_not_good() -> None:
    verdict = judge(summary(cam=SAYS_SO))
    assert verdict.word is Verdict.INCOMPLETE
    assert "cam says that it still records: stop it there" in verdict.reasons


@pytest.mark.parametrize("takes_over", [True, False])
def test_a_rig_that_was_taken_over_as_it_recorded_records_on_until_it_says_otherwise(
    *, takes_over: bool
) -> None:
    """Whoever led it does not any more; one that was only joined is somebody else's."""
    ask = AskInfo(subject="SP_01")
    date = datetime.date(2024, 5, 6)
    agree = AgreeRequested(number=1, subject="SP_01", date=date, ask=ask, takes_over=takes_over)
    ready = reply(Ready(status=Status.RUNNING), S.INITIALIZING)
    assert why(moment(agree, S.IDLE), ready) == (SAYS_SO if takes_over else None)
    assert why(moment(agree, S.IDLE), ready, reply(Stopped(status=Status.STOPPED))) is None
