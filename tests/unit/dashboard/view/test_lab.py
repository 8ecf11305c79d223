from dataclasses import replace

from multirig.conductor.sighting import Sighting
from multirig.dashboard.snapshot import Order, SessionNow
from multirig.dashboard.view.lab import Abandoned, LabNow, view_lab
from multirig.dashboard.view.start import Draft
from multirig.dashboard.view.tones import Tone
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Report, RigState

CONNECTED = Report(state=RigState.CONNECTED)
LEFT = Sighting(name="left", uri="udp://h:1", at=1, heard_at=1, is_multirig=True, report=CONNECTED)
EPHYS = replace(LEFT, name="ephys", uri="udp://h:2")
ORDER = Order(subject="SP_01", rigs=["left"], rigs_file="/r", data_folder="/d")
RUNNING = SessionNow(order=ORDER, state="running", began_at=900.0, exp_ref="2026-11-26_1_SP_01")


def view(**known):
    return view_lab(LabNow(**{"now": 1000.0, "rigs": [LEFT, EPHYS], **known}))


def said(**known):
    headline = view(**known).headline
    return headline.tone, headline.text


def test_a_lab_that_is_well_says_so():
    assert said() == (Tone.GOOD, "All is well: 2 rigs ready")


def test_an_empty_lab_says_how_to_begin():
    assert said(rigs=[]) == (Tone.PLAIN, "No rigs yet: press Add a rig, and give its name and address")


def test_the_gravest_trouble_is_the_headline():
    full = replace(CONNECTED, hours_left=0.5, disk_free=1)
    rigs = [replace(LEFT, report=full), replace(EPHYS, problem="is not heard: start it")]
    assert said(rigs=rigs) == (Tone.BAD, "ephys is not heard: start it (and 1 more rig with trouble)")


def test_rigs_that_are_looked_for_or_in_a_session_are_no_trouble():
    unheard = replace(EPHYS, heard_at=None, report=Report())
    assert said(rigs=[LEFT, unheard]) == (Tone.PLAIN, "Looking for ephys")
    busy = replace(
        EPHYS,
        report=Report(state=RigState.RUNNING, exp_ref=ExpRef.parse("2026-11-26_1_A"), led_by="pc"),
    )
    assert said(rigs=[LEFT, busy]) == (Tone.BUSY, "ephys is in a session")


def test_a_wrong_rigs_file_comes_before_all_else():
    assert said(problem="rigs.yaml: line 3 is no YAML")[0] is Tone.BAD


def test_who_may_only_look_is_told_who_can_press_and_not_to_press_what_is_not_there():
    left = replace(LEFT, report=Report(state=RigState.STOPPED, exp_ref=ExpRef.parse("2026-11-26_1_A")))
    abandoned = [Abandoned(folder="/d", exp_ref="2026-11-26_1_A", state="running", rigs=("left",))]
    can = "an account that may operate can"
    for known, pressed, looked in (
        ({"rigs": []}, "press Add a rig, and give its name and address", f"No rigs yet: {can} add one"),
        ({"rigs": [left]}, ": press Clean up", f": {can} clean it up"),
        (
            {"abandoned": abandoned},
            ": take it up again, or clean it up",
            f": {can} take it up again, or clean",
        ),
        (
            {"session": RUNNING, "is_lost": True},
            "has died: take it up again",
            f"died: {can} take it up again",
        ),
    ):
        assert pressed in said(**known)[1]
        text = said(**known, operates=False)[1]
        assert looked in text
        assert "press" not in text


def test_who_was_refused_stands_below_the_sentence_whatever_that_says():
    assert view().refused is None
    told = view(refused={"10.0.0.9": 1, "192.168.1.77": 3}, session=RUNNING)
    assert told.refused == "3 refused messages from 192.168.1.77"
    assert told.headline.tone is Tone.RECORDING


def test_a_pc_that_believes_strangers_says_so_while_nothing_is_worse():
    assert said(caution="OPEN: rigs need not prove") == (Tone.WARNING, "OPEN: rigs need not prove")
    sick = [replace(LEFT, problem="is not heard: start it"), EPHYS]
    assert said(caution="OPEN: rigs need not prove", rigs=sick)[1].startswith("left is not heard")


def test_a_recording_is_the_headline_and_its_sick_rig_even_more():
    assert said(session=RUNNING) == (Tone.RECORDING, "Recording SP_01, on left")
    sick = replace(LEFT, report=Report(state=RigState.RUNNING, stalled=9.0))
    assert said(session=RUNNING, rigs=[sick])[1].startswith("left: nothing has come in for 9 s")


def test_trouble_of_a_rig_that_takes_no_part_does_not_hide_the_recording():
    assert said(session=RUNNING, rigs=[LEFT, replace(EPHYS, problem="is not heard")])[0] is Tone.RECORDING


def test_a_session_whose_program_died_can_be_taken_up():
    shown = view(session=RUNNING, is_lost=True)
    assert shown.headline.text == "The program that led 2026-11-26_1_SP_01 has died: take it up again"
    left = Abandoned(folder="/d", exp_ref="2026-11-26_1_SP_01", state="running", rigs=("left",))
    assert said(abandoned=[left]) == (
        Tone.WARNING,
        "2026-11-26_1_SP_01 was never ended: take it up again, or clean it up",
    )
    assert view(abandoned=[left], session=RUNNING).abandoned == ()


def test_the_title_of_the_tab_shows_a_recording_and_trouble_from_afar():
    assert view().title == "multirig"
    assert view(session=RUNNING).title == "● 01:40 – multirig"
    assert view(rigs=[replace(LEFT, problem="x")]).title == "⚠ multirig"


def finding(level, check="disk"):
    return {"check": check, "level": level, "text": "is so"}


def check(**found):
    return view(
        findings={pc.replace("_", " "): [finding(one) for one in levels] for pc, levels in found.items()}
    ).check


def test_nothing_is_said_of_a_check_before_there_is_one():
    assert view().check is None


def test_a_check_that_finds_nothing_says_so_and_hides_the_rest():
    said = check(left=["ok", "note"], this_PC=["ok"])
    assert (said.summary, said.tone) == ("2 PCs looked at: nothing speaks against a session", Tone.GOOD)
    assert said.troubles == ()
    assert [(one.pc, one.tone) for one in said.rest] == [
        ("left", Tone.GOOD),
        ("left", Tone.PLAIN),
        ("this PC", Tone.GOOD),
    ]


def test_what_is_to_be_looked_after_does_not_keep_a_session_from_beginning():
    said = check(left=["warning", "ok"])
    assert (said.summary, said.tone) == (
        "1 PC looked at: a session can begin, and 1 thing to look after",
        Tone.WARNING,
    )


def test_what_a_session_would_fail_of_comes_first():
    said = check(left=["warning"], ephys=["ok", "failure"])
    assert (said.summary, said.tone) == ("A session would fail on ephys: put this right first", Tone.BAD)
    assert [(one.pc, one.tone) for one in said.troubles] == [("ephys", Tone.BAD), ("left", Tone.WARNING)]


def test_only_rigs_that_are_selected_are_marked_so():
    shown = view(draft=Draft(rigs=("ephys",)))
    assert [one.is_selected for one in shown.cards] == [False, True]


def test_nothing_can_start_while_a_session_goes_on():
    assert not view(session=RUNNING, draft=Draft(subject="a", rigs=("left",))).start.can_start
