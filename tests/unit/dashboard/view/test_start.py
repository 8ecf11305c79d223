import pytest

from multirig.conductor.sighting import Sighting
from multirig.dashboard.view.start import Draft, make_order, view_start
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Report, RigState


def rig(name, *, problem=None, **known):
    report = Report(**{"state": RigState.CONNECTED, **known})
    return Sighting(name=name, uri="udp://h:1", at=1, heard_at=1, report=report, problem=problem)


RIGS = [rig("monitor", main_sync=True), rig("left"), rig("right")]
READY = Draft(subject="SP_01", rigs=("left", "monitor"))


def said(draft=READY, rigs=RIGS, is_led=False):
    return view_start(draft, rigs, is_led=is_led)


def test_a_form_with_subject_and_rigs_can_start():
    view = said()
    assert view.can_start
    assert view.button == "Start recording SP_01 on 2 rigs"
    assert view.why_not is None
    assert view.warnings == ()
    assert view.numbered_by == "monitor"


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (Draft(), "Who is recorded? Fill in the subject"),
        (Draft(subject="SP_01"), "Which rigs take part? Tick them"),
        (Draft(subject="../x", rigs=("left",)), "cannot name a folder"),
        (Draft(subject="con", rigs=("left",)), "a device on Windows"),
        (Draft(subject="SP_01", rigs=("left",), minutes=0), "longer than nothing"),
        (Draft(subject="SP_01", rigs=("left",), minutes=1e300), "a session cannot last"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(draft, words):
    view = said(draft)
    assert not view.can_start
    assert words in view.why_not


def test_there_is_one_session_at_a_time():
    assert said(is_led=True).why_not == "A session goes on: it has to end first"


def test_a_task_needs_no_rigs():
    assert said(Draft(subject="SP_01", task="tasks/x.py")).can_start


def test_two_main_syncs_are_refused_before_anybody_is_asked():
    rigs = [rig("a", main_sync=True), rig("b", main_sync=True)]
    view = said(Draft(subject="SP_01", rigs=("a", "b")), rigs)
    assert view.why_not.startswith("a and b are main syncs, and one session has one")


@pytest.mark.parametrize(
    ("known", "draft", "words"),
    [
        (
            {"problem": "has not been heard for 9 s"},
            READY,
            "left has not been heard for 9 s; or leave it out",
        ),
        ({"failure": "x", "state": RigState.BROKEN}, READY, "left is broken: press Clean up on its card"),
        (
            {"state": RigState.RUNNING, "exp_ref": ExpRef.parse("2026-11-26_1_A"), "led_by": "pc-2"},
            READY,
            "left is running 2026-11-26_1_A, led by pc-2: tick Take over",
        ),
        ({"subject": "OTHER"}, READY, "left is set up for OTHER, not for SP_01: type 'subject SP_01' there"),
        (
            {"hours_left": 0.5},
            Draft(subject="SP_01", rigs=("left",), minutes=60),
            "the disk of left has room for 30 min: free space, or plan a shorter session",
        ),
    ],
)
def test_what_may_keep_it_from_beginning_is_said_before(known, draft, words):
    view = said(draft, [RIGS[0], rig("left", **known)])
    assert view.can_start
    assert any(words in one for one in view.warnings)


def test_an_order_holds_what_is_filled_in_in_the_order_of_the_rigs_file():
    order = make_order(
        Draft(
            subject=" SP_01 ",
            rigs=("right", "left"),
            minutes=1.5,
            projects=("p",),
            procedures=("q",),
            task=" t.py ",
            parameters={"n": 1},
            user=" ",
        ),
        RIGS,
        rigs_file="/r.yaml",
        data_folder="/d",
        lab="lab",
    )
    assert (order.subject, list(order.rigs), order.seconds) == ("SP_01", ["left", "right"], 90)
    assert (order.task, order.parameters, order.user) == ("t.py", {"n": 1}, None)
    assert (list(order.projects), list(order.procedures)) == (["p"], ["q"])


def test_this_pc_gives_the_number_where_no_chosen_rig_does():
    where = {"rigs_file": "/r.yaml", "data_folder": "/d", "lab": "lab"}
    assert make_order(Draft(subject="a", rigs=("left",)), RIGS, **where).main_sync
    assert said(Draft(subject="a", rigs=("left",))).numbered_by == "this PC"
    assert not make_order(READY, RIGS, **where).main_sync


@pytest.mark.parametrize(
    ("subject", "known", "said_of_it"),
    [
        (
            "mouse_12",
            ["mouse_1"],
            "mouse_12 (not mouse_1?) is a new subject: it was never recorded on this PC",
        ),
        ("rat_7", ["mouse_1"], "rat_7 is a new subject: it was never recorded on this PC"),
        ("mouse_1", ["mouse_1"], None),
        ("mouse_1", [], None),  # nobody was recorded yet: all are new
        ("../x", ["mouse_1"], None),  # there is something worse to say of it
    ],
)
def test_a_subject_that_is_new_is_said_with_the_one_that_may_be_meant(subject, known, said_of_it):
    draft = Draft(subject=subject, rigs=("left",))
    assert view_start(draft, RIGS, is_led=False, subjects=known).news == said_of_it
