"""Where the data of sessions are, in the words of the page."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from multirig.collect.overview import THIS_PC, Parts
from multirig.conductor.sighting import Sighting
from multirig.config import CollectRules
from multirig.dashboard.view.cards import WHO_OPERATES
from multirig.dashboard.view.holdings import (
    MAX_DAYS,
    HoldingsNow,
    choose_doomed,
    find_alarm,
    read_days,
    say_day,
    say_sessions,
    view_cleared,
    view_data,
    view_doomed,
)
from multirig.dashboard.view.tones import Tone
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Holding, Holdings, Whereabouts
from multirig.protocol.words import Report, RigState

TODAY = datetime.date(2026, 11, 30)
SERVER = "/mnt/lab"
GB = 10**9


def ref(number: int = 1, day: datetime.date = TODAY) -> ExpRef:
    return ExpRef(day, number, "SP_01")


def part(state: Whereabouts = Whereabouts.HERE, exp_ref: ExpRef | None = None, **more: Any) -> Holding:
    is_there = state in (Whereabouts.COLLECTED, Whereabouts.CLEARED)
    known: dict[str, Any] = {
        "bytes": 2 * GB,
        "files": 3,
        "done": 2 * GB if is_there else 0,
        "to": SERVER if is_there else "",
    }
    return Holding(exp_ref=exp_ref or ref(), state=state, **(known | more))


def parts(busy: tuple[str, ...] = (), **held: Any) -> Parts:
    known = Parts()
    for who, told in held.items():
        name = THIS_PC if who == "own" else who
        known.take(name, Holdings(pc=f"pc of {who}", sessions=tuple(told), is_busy=who in busy))
    return known


def now(known: Parts, **more: Any) -> HoldingsNow:
    return HoldingsNow(today=TODAY, parts=known, **more)


def seen(name: str, **report: Any) -> Sighting:
    return Sighting(
        name=name,
        uri="udp://192.168.1.20",
        at=0,
        heard_at=0,
        is_multirig=True,
        report=Report(**({"state": RigState.CONNECTED} | report)),
    )


# -- a session in the list -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "words", "tone"),
    [
        ({"cam": [part()], "own": [part()]}, "on this PC and cam", Tone.WARNING),
        ({"cam": [part(Whereabouts.COLLECTED)], "own": [part()]}, "on this PC", Tone.WARNING),
        (
            {"cam": [part(Whereabouts.UNDER_WAY, done=GB)], "own": [part(Whereabouts.COLLECTED)]},
            "on the way 75%",
            Tone.BUSY,
        ),
        ({"cam": [part(Whereabouts.STUCK)], "own": [part()]}, "cam: needs you", Tone.BAD),
        ({"cam": [part(Whereabouts.COLLECTED)]}, "collected", Tone.GOOD),
        (
            {"cam": [part(Whereabouts.CLEARED)], "own": [part(Whereabouts.COLLECTED)]},
            "collected, still on this PC",
            Tone.GOOD,
        ),
        ({"cam": [part(Whereabouts.CLEARED)]}, "collected, cleared", Tone.GOOD),
        ({"cam": [part(Whereabouts.IBLRIG)]}, "iblrig's", Tone.PLAIN),
    ],
)
def test_of_several_parts_the_one_that_is_furthest_from_the_server_is_told(
    held: dict[str, Any], words: str, tone: Tone
) -> None:
    said = say_sessions(parts(**held), [str(ref())])[str(ref())]
    assert (said.text, said.tone) == (words, tone)


def test_of_a_session_of_which_nobody_has_said_anything_nothing_is_told() -> None:
    assert say_sessions(parts(cam=[part(exp_ref=ref(2))]), [str(ref())]) == {}


# -- the box -------------------------------------------------------------------------------------------------


def test_before_the_pcs_were_asked_nothing_can_be_begun() -> None:
    shown = view_data(now(parts(cam=[part()]), is_known=False))
    assert shown.summary.text == "asking the PCs…"
    assert [shown.can_collect, shown.can_clear, shown.can_stop] == [False] * 3


def test_what_is_left_is_summed_up_and_told_by_pc_with_its_oldest_day() -> None:
    old = ref(day=datetime.date(2026, 11, 3))
    shown = view_data(now(parts(video=[part(), part(exp_ref=old, done=GB)], own=[part()])))
    assert shown.summary.text == "2 sessions not collected, 5.0 GB"
    assert shown.backlog == (
        "this PC: 1 session not collected, 2.0 GB, the oldest of 30 November",
        "video: 2 sessions not collected, 3.0 GB, the oldest of 3 November",
    )
    assert shown.can_collect
    assert shown.needs_place
    assert shown.destination == "multirig.yaml says no destination: it is asked for"


def test_where_it_is_collected_is_said_with_the_time() -> None:
    for rules, words in (
        (CollectRules(to=SERVER), "to /mnt/lab, after each session"),
        (CollectRules(to=SERVER, when="at 20:00"), "to /mnt/lab, each day at 20:00"),
    ):
        shown = view_data(now(parts(cam=[part()]), rules=rules))
        assert shown.destination == words
        assert not shown.needs_place


def test_what_is_on_its_way_is_shown_with_rate_and_the_time_that_is_left() -> None:
    moving = part(Whereabouts.UNDER_WAY, done=GB, rate=50e6)
    shown = view_data(now(parts(busy=("cam",), cam=[moving])))
    [one] = shown.moving
    assert one.text == "cam: 2026-11-30_1_SP_01, 50% of 2.0 GB, 50.0 MB/s, 20 s left"
    assert one.progress == 0.5
    assert shown.can_stop
    assert [shown.can_collect, shown.can_clear] == [False] * 2
    waiting = replace(moving, why="waits while this PC records")
    [one] = view_data(now(parts(busy=("cam",), cam=[waiting]))).moving
    assert one.text.endswith("50% of 2.0 GB: waits while this PC records")


def test_a_part_without_a_byte_is_no_division_by_zero() -> None:
    [one] = view_data(now(parts(cam=[part(Whereabouts.UNDER_WAY, bytes=0)]))).moving
    assert one.progress == 0.0


def test_while_a_session_goes_on_nothing_can_be_begun_and_it_is_said_why() -> None:
    shown = view_data(now(parts(cam=[part(), part(Whereabouts.COLLECTED, ref(2))]), is_held_up=True))
    assert [shown.can_collect, shown.can_clear] == [False] * 2
    assert shown.why_not == "a session goes on: collect and clear when it is over"


def test_all_that_is_collected_can_be_cleared_and_not_collected_again() -> None:
    shown = view_data(now(parts(cam=[part(Whereabouts.COLLECTED)])))
    assert (shown.summary.text, shown.summary.tone) == ("all that the PCs have is collected", Tone.GOOD)
    assert (shown.can_collect, shown.can_clear) == (False, True)
    assert shown.last_place == SERVER


def test_of_one_session_each_pc_has_a_row_with_what_stands_in_its_way_and_the_next_action() -> None:
    stuck = part(Whereabouts.STUCK, why="a.bin: another file lies there", action="rename it")
    there = part(Whereabouts.COLLECTED, at="2026-11-30T20:01:02+01:00")
    shown = view_data(now(parts(cam=[stuck, part(exp_ref=ref(2))], own=[there])), ref())
    assert [(row.who, row.word, row.note) for row in shown.rows] == [
        (THIS_PC, "collected", ""),
        ("cam", "needs you", "a.bin: another file lies there; rename it"),
    ]
    assert (shown.rows[0].since, shown.rows[0].to, shown.rows[0].size) == (
        "2026-11-30 20:01",
        SERVER,
        "2.0 GB",
    )
    assert shown.summary.text == "not collected yet: needs you"
    assert shown.backlog == ()


def test_rigs_of_one_pc_that_have_the_same_sessions_are_one() -> None:
    both = part(rigs=("cam", "main"))
    known = Parts()
    for who in ("cam", "main"):
        known.take(who, Holdings(pc="video-pc", sessions=(both,)))
    assert view_data(now(known)).backlog == (
        "cam and main: 1 session not collected, 2.0 GB, the oldest of 30 November",
    )
    known.take(THIS_PC, Holdings(pc="video-pc", sessions=(both,)))
    assert [row.who for row in view_data(now(known), ref()).rows] == [THIS_PC]
    known.take("other", Holdings(pc="another-pc", sessions=(both,)))
    assert [row.who for row in view_data(now(known), ref()).rows] == [THIS_PC, "other"]


# -- alarms --------------------------------------------------------------------------------------------------


def alarms(known: Parts, **more: Any) -> list[str]:
    return [one.text for one in view_data(now(known, **more)).alarms]


OLD = ref(day=datetime.date(2026, 11, 26))
RULES = CollectRules(to=SERVER)


def test_what_is_not_collected_for_days_is_an_alarm_in_a_lab_that_collects() -> None:
    [said] = alarms(parts(video=[part(exp_ref=OLD)]), rules=RULES)
    assert said == (
        "1 session on video is not collected for more than 3 days, the oldest of 26 November: press "
        "Collect on the page History, or look there at what stands in its way"
    )
    assert alarms(parts(video=[part(exp_ref=OLD)])) == []  # nobody has ever collected here
    assert find_alarm(now(parts(video=[part(exp_ref=OLD)]))) is None
    assert find_alarm(now(parts(video=[part(exp_ref=OLD)]), rules=RULES)) == said
    three_days = ref(day=datetime.date(2026, 11, 27))
    assert alarms(parts(video=[part(exp_ref=three_days)]), rules=RULES) == []


def test_who_may_only_look_is_told_who_can_do_something() -> None:
    late = parts(video=[part(exp_ref=OLD)])
    [said] = alarms(late, rules=RULES, operates=False)
    assert f"{WHO_OPERATES} can collect them on the page History" in said
    full = parts(own=[part(Whereabouts.COLLECTED, ref(day=datetime.date(2026, 10, 1)))])
    [said] = alarms(full, own_free=GB, operates=False)
    assert said.endswith(f"could be cleared: {WHO_OPERATES} can clear them on the page History")


def test_a_destination_that_is_away_is_told_by_whom_it_was_missed() -> None:
    known = parts(cam=[part()])
    known.trouble["cam"] = "/mnt/lab is not there: connect the share or the disk, or make the folder"
    assert alarms(known) == [f"cam: {known.trouble['cam']}"]
    assert find_alarm(now(known, rules=RULES)) == f"cam: {known.trouble['cam']}"


def test_why_nothing_at_all_is_collected_goes_first() -> None:
    known = parts(cam=[part(exp_ref=OLD)])
    shown = view_data(now(known, rules=RULES, problem="destination 'x' is no whole path"))
    assert shown.alarms[0].text == "destination 'x' is no whole path"
    assert shown.alarms[0].tone is Tone.BAD


def test_a_disk_that_fills_up_with_what_could_be_cleared_is_told() -> None:
    month_old = part(Whereabouts.COLLECTED, ref(day=datetime.date(2026, 10, 1)), bytes=300 * GB)
    known = parts(video=[month_old])
    full = seen("video", disk_free=100 * GB)
    assert alarms(known, rigs=[full]) == [
        "the disk of video has 100.0 GB free, and 300.0 GB of collected sessions could be cleared: "
        "press Clear… on the page History"
    ]
    assert alarms(known, rigs=[seen("video", disk_free=400 * GB)]) == []
    young = parts(video=[part(Whereabouts.COLLECTED, bytes=300 * GB)])
    assert alarms(young, rigs=[full]) == []
    [said] = alarms(young, rigs=[seen("video", disk_free=100 * GB, hours_left=0.5)])  # the rig itself says so
    assert "300.0 GB of collected sessions could be cleared" in said
    [said] = alarms(parts(own=[month_old]), own_free=GB)
    assert said.startswith("the disk of this PC has 1.0 GB free")


def test_what_needs_a_person_is_told_with_the_action() -> None:
    stuck = part(Whereabouts.STUCK, why="a.bin: is not on its disk", action="put it back")
    assert alarms(parts(cam=[stuck, replace(stuck, exp_ref=ref(2))])) == [
        "cam, 2026-11-30_1_SP_01: a.bin: is not on its disk; put it back (and 1 more session)"
    ]


def test_a_rig_that_is_not_heard_or_is_in_a_session_is_said_to_be_so_and_is_no_alarm() -> None:
    known = parts(cam=[part()])
    silent = replace(seen("cam"), problem="does not answer: is its PC on?")
    for rig, words in (
        (silent, "cam does not answer: is its PC on?"),
        (seen("cam", state=RigState.RUNNING), "cam is in a session: it is asked when that is over"),
        (replace(seen("cam"), is_multirig=False), "cam speaks IBL's wire, which cannot collect: iblrig"),
    ):
        [said] = view_data(now(known, rigs=[rig])).alarms
        assert said.text.startswith(words)
        assert said.tone is Tone.PLAIN
        assert find_alarm(now(known, rigs=[rig], rules=RULES)) is None
    assert view_data(now(known, rigs=[seen("cam")])).alarms == ()


# -- clearing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "days"),
    [
        ("30", 30),
        (0, 0),
        (7.0, 7),
        (" 5 ", 5),
        ("-1", None),
        ("1.5", None),
        ("", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        (MAX_DAYS + 1, None),
    ],
)
def test_days_are_a_whole_number(typed: object, days: int | None) -> None:
    assert read_days(typed) == days


def test_only_what_is_collected_and_old_enough_is_listed_and_of_rigs_that_are_not_heard_nothing() -> None:
    known = parts(
        cam=[part(Whereabouts.COLLECTED, OLD), part(Whereabouts.COLLECTED, ref(2)), part(exp_ref=ref(3))],
        far=[part(Whereabouts.COLLECTED, OLD)],
    )
    state = now(known, rigs=[seen("cam"), replace(seen("far"), problem="does not answer")])
    doomed = choose_doomed(state, 4)
    assert {who: [one.exp_ref for one in held] for who, held in doomed.items()} == {"cam": [OLD]}
    assert choose_doomed(state, 5) == {}
    assert [one.exp_ref for one in choose_doomed(state, 0, ref(2))["cam"]] == [ref(2)]
    shown = view_doomed(state, doomed, 4)
    assert shown.button == "Remove 2.0 GB from cam"
    assert (shown.sessions, [row.who for row in shown.rows]) == (("2026-11-26_1_SP_01",), ["cam"])


def test_where_there_is_nothing_to_remove_there_is_no_button() -> None:
    state = now(parts(cam=[part()]))
    shown = view_doomed(state, {}, 30)
    assert shown.question == "nothing is to be removed: nothing here is collected and 30 days old"
    assert shown.button is None
    assert view_doomed(state, {}, None).question == "type a number of days, 0 or more"


def test_rigs_of_one_pc_are_told_once() -> None:
    both = part(Whereabouts.COLLECTED, rigs=("cam", "main"))
    known = Parts()
    for who in ("cam", "main"):
        known.take(who, Holdings(pc="video-pc", sessions=(both,)))
    assert list(choose_doomed(now(known), 0)) == ["cam"]
    away = replace(seen("cam"), problem="does not answer")
    assert list(choose_doomed(now(known, rigs=[away, seen("main")]), 0)) == ["main"]


def test_what_came_of_it_is_told_while_it_goes_on_and_in_the_end() -> None:
    first, second = part(Whereabouts.COLLECTED), part(Whereabouts.COLLECTED, ref(2))
    doomed = {"cam": [first, second]}
    gone = part(Whereabouts.CLEARED)
    shown = view_cleared(now(parts(busy=("cam",), cam=[gone, second])), doomed)
    assert shown.question == "reading back and removing… 2.0 GB are free so far"
    assert ([row.word for row in shown.rows], shown.is_over) == (["being read back"], False)
    kept = replace(second, why="not cleared: a.bin is not whole at /mnt/lab any more")
    shown = view_cleared(now(parts(cam=[gone, kept])), doomed)
    assert shown.question == "2.0 GB are free; 1 part could not be removed"
    assert [(row.word, row.note) for row in shown.rows] == [("still there", kept.why)]
    shown = view_cleared(now(parts(cam=[gone, part(Whereabouts.CLEARED, ref(2))])), doomed)
    assert shown.question == "4.0 GB are free; the lists and journals are still there"
    assert (shown.rows, shown.is_over, shown.tone) == ((), True, Tone.GOOD)
    away = parts(cam=[first, second])
    away.trouble["cam"] = "/mnt/lab is not there"
    assert [row.note for row in view_cleared(now(away), doomed).rows] == ["/mnt/lab is not there"] * 2


def test_a_day_of_another_year_is_said_with_it() -> None:
    assert say_day(datetime.date(2026, 11, 3), TODAY) == "3 November"
    assert say_day(datetime.date(2025, 1, 31), TODAY) == "31 January 2025"


def test_a_pc_that_falls_silent_while_it_copies_holds_up_nobody() -> None:
    moving = part(Whereabouts.UNDER_WAY, done=GB, rate=1e6)
    known = parts(("cams",), cams=[moving], mics=[part(exp_ref=ref(2))])
    gone = replace(seen("cams"), problem="does not answer")
    view = view_data(now(known, is_known=True, rigs=(gone, seen("mics"))))
    assert (view.can_stop, view.can_collect, view.moving) == (False, True, ())
