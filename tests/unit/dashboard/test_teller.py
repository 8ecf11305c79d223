from __future__ import annotations

import datetime

from multirig.dashboard.leading.teller import MAX_KEPT, Teller, say_trouble
from multirig.dashboard.snapshot import Order, Outcome, Step
from multirig.errors import (
    AdapterError,
    AgreementError,
    ConfigError,
    SessionFailed,
    SubjectMismatch,
    Unconfirmed,
)
from multirig.lifecycle.clock_gate import Objection, Reaction
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import HandingTold, Heard, Marked, Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.pc.finding import Finding, Level
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import File, Receipt, Report, RigState, Stopped
from multirig.record.account import Account
from multirig.record.history import Happening, History, Moment
from multirig.record.summary import RigSummary
from multirig.record.timing import Spread
from multirig.record.verdict import Word

AT = 1_000_000.0


def make_teller(**keys: object) -> Teller:
    order = {"subject": "SP_01", "rigs": ("main", "cam"), "rigs_file": "rigs.yaml", "data_folder": "data"}
    return Teller(Order(**(order | keys)))  # type: ignore[arg-type]


def move(teller: Teller, *states: SessionState, at: float = AT) -> None:
    for state in states:
        teller.take(Moved(state=state, exp_ref=ExpRef.parse("2026-11-26_1_SP_01")), at)


def answer(teller: Teller, event: Event, rig: str, outcome: object = None) -> None:
    told = outcome if outcome is not None else Receipt(event=event)
    teller.take(Progressed(number=1, event=event, rig=rig, outcome=told), AT)  # type: ignore[arg-type]


def moment(happening: Happening, at: float) -> Moment:
    wall = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()
    running = SessionState.RUNNING
    return Moment(at=0, wall=wall, kind="", event=None, before=running, after=running, happenings=[happening])


def outcomes(teller: Teller, step: Step) -> dict[str, Outcome]:
    return {one.rig: one.outcome for one in teller.now.steps if one.step is step}


def test_a_step_waits_for_each_rig_until_it_has_answered() -> None:
    teller = make_teller()
    move(teller, SessionState.AGREEING)
    assert teller.now.step is Step.AGREE
    assert outcomes(teller, Step.AGREE) == {"main": Outcome.WAITING, "cam": Outcome.WAITING}
    answer(teller, Event.EXPINFO, "cam")
    assert outcomes(teller, Step.AGREE) == {"main": Outcome.WAITING, "cam": Outcome.DONE}


def test_a_rig_that_cannot_is_told_with_its_reason_in_one_line() -> None:
    teller = make_teller()
    move(teller, SessionState.INITIALIZING)
    answer(teller, Event.EXPINIT, "cam", AdapterError("no camera\nis plugged in"))
    failed = next(one for one in teller.now.steps if one.rig == "cam")
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, "no camera is plugged in")


def test_what_keeps_a_rig_from_hearing_us_is_told_while_it_is_waited_for() -> None:
    teller = make_teller()
    move(teller, SessionState.STOPPING)
    answer(teller, Event.EXPEND, "main")
    obstacles = {"main": "nothing listens there", "cam": "nothing listens there"}
    teller.take_obstacles(lambda rig: obstacles[rig])
    reasons = {one.rig: one.reason for one in teller.now.steps}
    assert reasons == {"main": None, "cam": "nothing listens there"}
    teller.take_obstacles(lambda rig: None)
    assert {one.reason for one in teller.now.steps} == {None}


def test_whoever_is_not_waited_for_any_more_is_no_step() -> None:
    teller = make_teller()
    move(teller, SessionState.INITIALIZING)
    answer(teller, Event.EXPINIT, "main")
    move(teller, SessionState.INTERRUPTING)
    assert outcomes(teller, Step.INITIALISE) == {"main": Outcome.DONE}


def test_what_a_rig_answers_to_another_question_changes_no_step() -> None:
    teller = make_teller()
    move(teller, SessionState.AGREEING)
    answer(teller, Event.EXPINFO, "cam")
    before = teller.now
    answer(teller, Event.EXPINFO, "cam", Unconfirmed("does not hear EXPINFO"))
    answer(teller, Event.EXPSTATUS, "cam")
    assert teller.now is before


def test_a_step_that_is_taken_again_begins_anew() -> None:
    teller = make_teller()
    move(teller, SessionState.INTERRUPTING)
    answer(teller, Event.EXPINTERRUPT, "cam", Unconfirmed("silent"))
    move(teller, SessionState.STOPPED, SessionState.INTERRUPTING)
    assert outcomes(teller, Step.INTERRUPT) == {"main": Outcome.WAITING, "cam": Outcome.WAITING}


def test_it_tells_when_all_recorded_and_when_that_ended() -> None:
    teller = make_teller()
    move(teller, SessionState.STARTING)
    move(teller, SessionState.RUNNING, at=AT)
    move(teller, SessionState.STOPPING, at=AT + 60)
    move(teller, SessionState.STOPPED, SessionState.CLEANING, SessionState.IDLE, at=AT + 70)
    assert (teller.now.began_at, teller.now.ended_at) == (AT, AT + 60)
    teller.take_folder("data/001")
    assert (teller.now.exp_ref, teller.now.folder) == ("2026-11-26_1_SP_01", "data/001")


def test_a_session_that_was_recovered_goes_on_counting_from_its_own_start() -> None:
    teller = make_teller()
    began = Moved(state=SessionState.RUNNING, exp_ref=None)
    lost = Noticed(rig="cam", notice=Notice.LOST, text="is lost")
    teller.catch_up(
        History(moments=[moment(began, AT - 600), moment(lost, AT - 60)], machine=SessionMachine())
    )
    assert [(one.rig, one.at) for one in teller.now.alarms] == [("cam", AT - 60)]
    move(teller, SessionState.RECOVERING, SessionState.RECOVERED, SessionState.RUNNING)
    assert teller.now.began_at == AT - 600
    teller.take(Marked(text="back again", at=0), AT)
    assert teller.now.markers[0].seconds == 600


def test_each_change_has_a_revision_and_nothing_new_has_none() -> None:
    teller = make_teller()
    findings = {"cam": [Finding(check="disk", level=Level.WARNING, text="nearly full")]}
    spread = Spread(seconds=0.001, bound=0.0001, rigs=2, earliest="main", latest="cam")
    for _ in range(2):
        teller.take_findings(findings)
        teller.take_spread(spread)
        teller.take_reports({"cam": Report(state=RigState.RUNNING)})
    assert teller.now.revision == 3
    assert teller.now.findings == {"cam": ({"check": "disk", "level": "warning", "text": "nearly full"},)}
    assert teller.now.spread == "2 rigs started within 1.00 ms ± 0.10 ms of each other: main first, cam last"


def test_news_of_a_rig_that_is_well_again_is_no_bad_alarm() -> None:
    teller = make_teller()
    teller.take(Noticed(rig="cam", notice=Notice.SILENT, text="is not heard any more"), AT)
    teller.take(Noticed(rig="cam", notice=Notice.BACK, text="is heard again"), AT + 1)
    assert [(one.number, one.rig, one.is_bad) for one in teller.now.alarms] == [
        (1, "cam", True),
        (2, "cam", False),
    ]


def test_what_a_rig_says_by_itself_is_an_alarm_when_something_is_wrong() -> None:
    teller = make_teller()
    move(teller, SessionState.RUNNING)
    teller.take(Heard(rig="cam", word=Report(status=Status.RUNNING, failure="elsewhere")), AT)
    teller.take(Heard(rig="cam", word=Stopped()), AT)
    assert [one.text for one in teller.now.alarms] == ["said EXPEND: it was stopped at its own screen"]


def test_clocks_that_were_bad_at_the_start_are_told_once() -> None:
    teller = make_teller()
    objections = [Objection(rig="cam", text="nothing is known of its clock", reaction=Reaction.FLAG)]
    teller.take_objections(objections, AT)
    teller.take_objections(objections, AT + 1)
    assert len(teller.now.alarms) == 1


def test_a_clock_that_jumps_while_the_rigs_record_is_an_alarm() -> None:
    teller = make_teller()
    teller.take_jumps({"cam": 2, "main": 0}, AT)
    teller.take_jumps({"cam": 2, "main": 1}, AT + 1)
    teller.take_jumps({"cam": 2, "main": 1}, AT + 2)
    assert [(one.rig, one.at) for one in teller.now.alarms] == [("main", AT + 1)]


def test_alarms_and_markers_are_kept_to_the_last_hundred() -> None:
    teller = make_teller()
    for number in range(MAX_KEPT + 20):
        teller.warn("cam", f"alarm {number}", AT)
        teller.take(Marked(text=f"marker {number}", at=0), AT)
    assert (len(teller.now.alarms), teller.now.alarms[-1].number) == (MAX_KEPT, MAX_KEPT + 20)
    assert teller.now.markers[0].text == "marker 20"


def test_a_failed_step_names_the_rig_the_step_and_why() -> None:
    teller = make_teller()
    move(teller, SessionState.INITIALIZING)
    error = SessionFailed("initialise", {"cam": AdapterError("no camera")}, "the others were cleaned up")
    teller.take_trouble(error, "initialise")
    trouble = teller.now.trouble
    assert trouble is not None
    assert (trouble.step, trouble.causes) == ("initialise", {"cam": "no camera"})
    assert trouble.text == "initialise failed on cam: no camera (the others were cleaned up)"
    assert outcomes(teller, Step.INITIALISE)["cam"] is Outcome.FAILED


def test_several_causes_stand_in_one_line() -> None:
    error = SessionFailed("start", {"main": ConfigError("no space"), "cam": ConfigError("no\ncamera")})
    assert say_trouble(error, "start").text == "start failed on main, cam: main: no space; cam: no camera"


def test_a_rig_that_disagrees_is_named_though_it_has_answered() -> None:
    teller = make_teller()
    move(teller, SessionState.AGREEING)
    answer(teller, Event.EXPINFO, "cam")
    teller.take_trouble(SubjectMismatch("cam is set up for subject SP_02, you asked for SP_01"), "agree")
    failed = next(one for one in teller.now.steps if one.rig == "cam")
    assert failed.reason == "is set up for subject SP_02, you asked for SP_01"
    assert teller.now.trouble is not None
    assert teller.now.trouble.causes == {"cam": failed.reason}


def test_what_no_rig_did_is_this_pc() -> None:
    trouble = say_trouble(AgreementError("no main sync among main, cam"), "agree", ["main", "cam"])
    assert trouble.causes == {"this PC": "no main sync among main, cam"}
    assert say_trouble(ValueError(), "lead").text == "ValueError"


def test_a_rig_that_is_not_reached_at_all_has_failed_to_agree() -> None:
    teller = make_teller()
    teller.take_trouble(SessionFailed("connect", {"cam": Unconfirmed("is not found")}), "agree")
    assert outcomes(teller, Step.AGREE) == {"cam": Outcome.FAILED}


def test_a_session_that_is_over_says_so() -> None:
    teller = make_teller()
    move(teller, SessionState.CLEANING)
    video = File(path="a.mp4", bytes=900, frames=30)
    cam = RigSummary(address="udp://h:1", says_files=True, files=[video], bytes_total=900, dropped=2)
    foreign = RigSummary(address="udp://h:2")
    told = Account(
        verdict=Word.DEGRADED,
        reasons=["cam: dropped 2 frames"],
        unverified={"foreign": "its program tells nothing of files"},
        rigs={"cam": cam, "foreign": foreign},
    )
    teller.finish(told)
    now = teller.now
    assert (now.is_over, now.verdict, now.step) == (True, "DEGRADED", None)
    assert (now.reasons, now.unverified) == (("cam: dropped 2 frames",), told.unverified)
    assert now.recorded == {"cam": {"frames": 30, "bytes": 900, "dropped": 2}}


def test_a_session_that_got_no_further_than_agreeing_is_over_without_a_word() -> None:
    teller = make_teller()
    teller.finish(None)
    assert (teller.now.is_over, teller.now.verdict) == (True, None)


def test_what_becomes_of_a_take_over_is_told_and_is_no_bad_alarm() -> None:
    teller = make_teller()
    text = "asks the person there whether this PC may take it over from pc (10.0.0.1) (30 s)"
    teller.take(HandingTold(rig="cam", text=text), AT)
    [alarm] = teller.now.alarms
    assert (alarm.rig, alarm.text, alarm.is_bad) == ("cam", text, False)


def test_refused_messages_are_told_of_each_address_and_a_flood_of_them_in_few_lines() -> None:
    teller = make_teller()
    for count in (1, 1, 3, 12, 99, 4_000):
        teller.take_refused({"192.168.1.77": count}, AT)
    told = [(one.rig, one.text, one.is_bad) for one in teller.now.alarms]
    why = "refused messages from 192.168.1.77: this PC's log says why"
    first = (None, "1 refused message from 192.168.1.77: this PC's log says why", False)
    assert told == [first, (None, f"12 {why}", False), (None, f"4000 {why}", False)]
