from dataclasses import replace

import pytest

from multirig.dashboard.snapshot import (
    Alarm,
    MarkerNow,
    Order,
    Outcome,
    SessionNow,
    Step,
    StepNow,
    Trouble,
)
from multirig.dashboard.view.session import Phase, view_session
from multirig.dashboard.view.tones import Tone
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.words import Health, Report, RigState

ORDER = Order(subject="SP_01", rigs=["left", "ephys"], rigs_file="/r", data_folder="/d", seconds=600.0)


def view(now=1000.0, reports=None, **known):
    return view_session(SessionNow(**{"order": ORDER, **known}), now, reports or {})


@pytest.mark.parametrize("state", list(SessionState))
def test_every_state_of_a_session_has_a_name(state):
    shown = view(state=state.value)
    assert shown.title
    assert shown.phase is not Phase.OVER


def test_a_beginning_shows_each_rig_in_each_step():
    steps = [
        StepNow(rig="left", step=Step.AGREE, outcome=Outcome.DONE),
        StepNow(rig="ephys", step=Step.AGREE, outcome=Outcome.DONE),
        StepNow(rig="left", step=Step.INITIALISE, outcome=Outcome.WAITING),
        StepNow(rig="left", step=Step.INITIALISE, outcome=Outcome.DONE),
        StepNow(rig="ephys", step=Step.INITIALISE, outcome=Outcome.WAITING),
    ]
    shown = view(state="initialising", steps=steps)
    assert shown.columns == ("agree", "initialise", "arm", "start")
    left, ephys = shown.rows
    assert [one.word for one in left.cells] == ["done", "done", "not yet", "not yet"]
    assert [one.word for one in ephys.cells] == ["done", "waiting", "not yet", "not yet"]
    assert shown.can_interrupt
    assert not shown.can_stop
    assert not shown.can_mark


def test_a_rig_that_starts_is_armed_first_as_those_who_look_on_see():
    steps = [StepNow(rig="left", step=Step.START, outcome=Outcome.WAITING)]
    session = SessionNow(order=ORDER, state="starting", steps=steps)
    report = Report(state=RigState.STARTING)
    words = [one.word for one in view_session(session, 0.0, {"left": report}).rows[0].cells]
    assert words == ["not yet", "not yet", "waiting", "waiting"]
    armed = replace(report, armed=True)
    words = [one.word for one in view_session(session, 0.0, {"left": armed}).rows[0].cells]
    assert words == ["not yet", "not yet", "done", "waiting"]
    done = replace(session, steps=[replace(steps[0], outcome=Outcome.DONE)])
    assert [one.word for one in view_session(done, 0.0, {}).rows[0].cells][2:] == ["done", "done"]


def test_a_beginning_that_failed_says_which_rig_which_step_and_why():
    shown = view(
        state="idle",
        is_over=True,
        steps=[
            StepNow(rig="left", step=Step.INITIALISE, outcome=Outcome.DONE),
            StepNow(rig="ephys", step=Step.INITIALISE, outcome=Outcome.FAILED, reason="no probe: plug it in"),
        ],
        trouble=Trouble(
            step="initialise", causes={"ephys": "no probe: plug it in"}, text="initialise failed"
        ),
    )
    assert shown.phase is Phase.OVER
    assert (shown.title, shown.tone) == ("It did not begin", Tone.BAD)
    assert shown.trouble == "initialise failed"
    assert shown.causes == (("ephys", "no probe: plug it in"),)
    assert shown.rows[1].reason == "initialise: no probe: plug it in"
    assert shown.rows[1].cells[1].tone is Tone.BAD
    assert not shown.can_interrupt


def test_a_recording_shows_the_time_what_is_left_and_what_comes_in():
    reports = {"left": Report(health=Health(frames=1500, rate=60.0, dropped=2)), "ephys": Report()}
    shown = view(state="running", began_at=850.0, reports=reports)
    assert shown.phase is Phase.RECORDING
    assert shown.elapsed == "02:30"
    assert shown.progress == pytest.approx(0.25)
    assert shown.remaining == "stops by itself in 07:30"
    assert shown.rows[0].progress == "1\u202f500 frames, 60.0/s, 2 dropped"
    assert shown.rows[1].progress == ""
    assert shown.columns == ()
    assert (shown.can_stop, shown.can_interrupt, shown.can_mark) == (True, True, True)


def test_a_recording_that_runs_over_says_by_how_much():
    shown = view(state="running", began_at=300.0)
    assert shown.progress == 1.0
    assert shown.remaining == "01:40 longer than planned"


def test_the_watch_stands_still_when_the_recording_has_ended():
    assert view(state="stopping", began_at=400.0, ended_at=460.0).elapsed == "01:00"


def test_alarms_and_markers_come_newest_first():
    shown = view(
        state="running",
        began_at=900.0,
        alarms=[
            Alarm(number=1, at=910.0, rig="left", text="is not heard"),
            Alarm(number=2, at=915.0, rig="left", text="is heard again", is_bad=False),
            Alarm(number=3, at=920.0, rig=None, text="the disk fills up"),
        ],
        markers=[MarkerNow(seconds=1.0, text="one"), MarkerNow(seconds=61.0, text="two")],
    )
    assert [one.text for one in shown.alarms] == ["the disk fills up", "is heard again", "is not heard"]
    assert [one.who for one in shown.alarms] == ["this PC", "left", "left"]
    assert [one.tone for one in shown.alarms] == [Tone.BAD, Tone.GOOD, Tone.BAD]
    assert shown.alarms[0].when == "00:20"
    assert shown.newest_alarm == 3
    assert [(one.when, one.text) for one in shown.markers] == [("01:01", "two"), ("00:01", "one")]


def test_a_session_that_is_over_shows_its_verdict_and_where_to_read_more():
    shown = view(
        state="idle",
        is_over=True,
        verdict="DEGRADED",
        began_at=900.0,
        ended_at=960.0,
        exp_ref="2026-11-26_2_SP_01",
        folder="/d/mylab/Subjects/SP_01/2026-11-26/002",
    )
    assert (shown.title, shown.tone, shown.elapsed) == ("DEGRADED", Tone.WARNING, "01:00")
    assert shown.meaning == "it was recorded to its end, and something is wrong with a part of it"
    assert shown.page == "/session/SP_01/2026-11-26/002"
    assert not shown.can_stop


def test_the_rigs_and_the_task_stand_under_the_title():
    assert view().subtitle == "SP_01, on left and ephys"
    order = Order(subject="a", rigs=[], rigs_file="/r", data_folder="/d", task="my_task.py")
    assert view(order=order).subtitle == "a, task my_task.py"
