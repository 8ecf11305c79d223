from dataclasses import replace
from typing import Any

from multirig.conductor.sighting import Sighting
from multirig.dashboard.view.cards import FACTS, ROLES, make_card, make_cards
from multirig.dashboard.view.tones import Tone
from multirig.lifecycle.policy import Role
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import Gap, Health, Report, RigState

NOW = 100 * SECOND
REF = ExpRef.parse("2026-11-26_1_SP_01")
SEEN = ("name", "is_multirig", "heard_at", "problem", "offset", "bound")
HEALTH = ("frames", "bytes", "dropped", "rate")


def rig(**known):
    seen = {key: known.pop(key) for key in SEEN if key in known}
    health = {key: known.pop(key) for key in HEALTH if key in known}
    report = Report(**{"state": RigState.CONNECTED, **known}, health=Health(**health) if health else None)
    usual: dict[str, Any] = {"name": "left", "is_multirig": True, "heard_at": NOW - SECOND // 5}
    return Sighting(**usual | seen, uri="udp://h:11001", at=NOW, report=report)


def card(*, role=Role.EXPECTED, selected=False, led_here=False, **known):
    return make_card(rig(**known), role, is_selected=selected, led_here=led_here)


def facts(card):
    return {one.label: one.value for one in card.facts}


def test_a_rig_that_waits_is_ready():
    made = card(adapter="camera")
    assert (made.word, made.tone, made.trouble) == ("Ready", Tone.GOOD, None)
    assert made.about == "camera"


def test_a_rig_that_was_never_heard_is_looked_for_before_it_is_missed():
    made = card(state=None, heard_at=None)
    assert (made.word, made.tone) == ("Looking for it", Tone.PLAIN)
    made = card(state=None, heard_at=None, problem="does not answer: is multirig serve running there?")
    assert (made.word, made.tone) == ("Not heard", Tone.BAD)
    assert made.trouble == "does not answer: is multirig serve running there?"


def test_what_a_silent_rig_last_said_is_not_shown_as_its_state():
    made = card(
        state=RigState.RUNNING,
        problem="has not been heard for 12 s",
        heard_at=NOW - 12 * SECOND,
        cameras=("left",),
    )
    assert (made.word, made.icon) == ("Not heard", "cloud_off")
    assert made.pictures == ()
    assert facts(made)["heard"] == "12 s ago"


def test_a_recording_shows_what_comes_in():
    made = card(state=RigState.RUNNING, frames=12345, rate=59.94, dropped=0, exp_ref=REF, led_by="pc")
    assert made.word == "Recording"
    assert made.tone is Tone.RECORDING
    assert facts(made) == {"frames": "12\u202f345", "rate": "59.9/s", "dropped": "0", "heard": "now"}
    assert made.about == "2026-11-26_1_SP_01, led by pc"


def test_a_device_without_frames_shows_its_bytes():
    assert facts(card(state=RigState.RUNNING, bytes=2_500_000))["written"] == "2.5 MB"


def test_a_rig_that_is_led_from_here_says_so():
    made = card(state=RigState.RUNNING, exp_ref=REF, led_by="pc", led_here=True)
    assert made.about == "2026-11-26_1_SP_01, led from here"


def test_a_rig_that_records_for_somebody_else_can_be_stopped():
    assert card(state=RigState.RUNNING, exp_ref=REF, led_by="pc").can_stop
    assert not card(state=RigState.RUNNING, exp_ref=REF, led_by="pc", led_here=True).can_stop
    assert not card(state=RigState.CONNECTED).can_stop


def test_a_rig_that_another_pc_wants_says_where_the_answer_is_given():
    made = card(state=RigState.RUNNING, exp_ref=REF, led_by="pc (10.0.0.1)", wanted_by="two (10.0.0.2)")
    assert made.trouble == "two (10.0.0.2) wants to take it over: type yes or no at its keyboard"
    assert made.trouble_tone is Tone.WARNING
    broken = card(state=RigState.BROKEN, failure="no light", wanted_by="two (10.0.0.2)")
    assert broken.trouble == "no light"


def test_a_broken_rig_says_why_and_can_be_cleaned_up():
    made = card(state=RigState.BROKEN, failure="start: the camera is in use: close the other program")
    assert (made.word, made.tone) == ("Broken", Tone.BAD)
    assert made.trouble == "start: the camera is in use: close the other program"
    assert made.can_clean_up
    assert not card(state=RigState.BROKEN, failure="x", led_here=True).can_clean_up


def test_a_stalled_recording_is_the_trouble_though_the_state_is_fine():
    made = card(state=RigState.RUNNING, stalled=7.4)
    assert made.tone is Tone.RECORDING
    assert made.trouble_tone is Tone.BAD
    assert made.trouble == "nothing has come in for 7 s: look at its device"


def test_a_gap_tells_since_when():
    made = card(state=RigState.STOPPED, gap=Gap(since="2026-11-26T21:04:05.123+01:00"))
    assert made.trouble.startswith("has not recorded since 21:04:05")


def test_little_room_on_the_disk_is_a_warning_and_none_is_bad_while_it_records():
    assert card(disk_free=5_000_000_000, hours_left=0.5).trouble_tone is Tone.WARNING
    made = card(state=RigState.RUNNING, disk_free=100_000_000, hours_left=0.05)
    assert made.trouble_tone is Tone.BAD
    assert made.trouble == "its disk is full in about 3 min: free space in its data folder"
    assert facts(made)["disk"] == "100.0 MB free, 3 min left"


def test_lost_frames_and_a_wide_clock_are_warnings():
    assert card(state=RigState.RUNNING, dropped=3).trouble.startswith("3 frames lost so far")
    assert card(state=RigState.RUNNING, dropped=1).trouble.startswith("1 frame lost so far")
    wide = card(offset=0.1, bound=0.02)
    assert wide.trouble == "its clock is known within 20 ms only: check the network to it"


def test_a_clock_is_shown_with_its_bound():
    assert facts(card(offset=-0.0000123, bound=0.0000301))["clock"] == "-12 µs ± 30 µs"
    assert facts(card(offset=3671.5, bound=0.0003))["clock"] == "+1.0 h ± 0.30 ms"


def test_a_peer_of_ibl_tells_its_state_only():
    made = card(is_multirig=False, state=None, status=Status.RUNNING)
    assert made.word == "Recording"
    assert made.about == "speaks IBL's protocol: it tells its state only"
    assert facts(made) == {"heard": "now"}


def test_what_an_earlier_session_has_left_can_be_cleaned_up():
    made = card(state=RigState.STOPPED, exp_ref=REF)
    assert made.trouble == "an earlier session was not cleaned up here: press Clean up"
    assert made.can_clean_up
    assert card(state=RigState.STOPPED, exp_ref=REF, led_by="pc").trouble is None


def test_a_main_sync_and_whom_it_is_set_up_for_are_told():
    made = card(adapter="process", main_sync=True, subject="SP_01")
    assert made.about == "process, main sync, set up for SP_01"


def test_a_role_is_told_where_it_is_not_the_usual_one():
    assert card(adapter="camera", role=Role.OPTIONAL).about == "camera, optional"
    assert card(adapter="camera").about == "camera"


def test_every_role_can_be_chosen():
    assert list(ROLES) == [one.value for one in Role]


def test_a_state_of_a_later_version_is_shown_by_what_it_means_to_ibl():
    made = card(state=None, status=Status.RUNNING)
    assert (made.word, made.tone) == ("Recording", Tone.RECORDING)


def test_cards_come_in_the_order_of_the_rigs():
    made = make_cards([rig(name="b"), rig(name="a")], {"b": Role.ESSENTIAL}, selected=["a"], led=[])
    assert [(one.name, one.is_selected, one.role) for one in made] == [
        ("b", False, "essential"),
        ("a", True, "expected"),
    ]


def test_every_figure_of_a_card_is_among_those_for_which_the_page_has_room():
    known = {"frames": 1, "rate": 1.0, "dropped": 0, "disk_free": 1, "offset": 0.0}
    counted, written = (
        card(state=RigState.RUNNING, **known),
        card(state=RigState.RUNNING, **{**known, "frames": None}, bytes=1),
    )
    for made in (counted, written):
        assert list(facts(made)) == [one for one in FACTS if one in facts(made)]
    assert {*facts(counted), *facts(written)} == {*FACTS}


def test_a_rig_that_is_open_to_all_says_so_also_while_it_records():
    for state in (RigState.CONNECTED, RigState.RUNNING):
        made = card(state=state, is_open=True)
        assert made.trouble == "is open: whoever reaches it may command it (open: true in its file)"
    assert card(state=RigState.BROKEN, failure="no light", is_open=True).trouble.startswith("no light")


def test_a_wish_to_take_over_a_rig_of_this_pc_is_answered_here_and_of_another_pc_there():
    wanted = {"state": RigState.RUNNING, "wanted_by": "scanner-pc (10.0.0.9)", "asking": 12.4}
    shown: dict[str, Any] = {"is_selected": False, "led_here": False}
    for is_here, operates, says in (
        (True, True, "say yes or no here, or type it at its keyboard"),
        (True, False, "an account that may operate can say yes or no here, or type it at its keyboard"),
        (False, True, "type yes or no at its keyboard"),
    ):
        made = make_card(replace(rig(**wanted), is_here=is_here), operates=operates, **shown)
        assert made.trouble == f"scanner-pc (10.0.0.9) wants to take it over (12 s): {says}"
        assert made.wanted_by == ("scanner-pc (10.0.0.9)" if is_here else None)
    gone = replace(rig(**wanted), is_here=True, problem="is not heard: start it")
    assert make_card(gone, **shown).wanted_by is None
