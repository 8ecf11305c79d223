"""What is known of the sessions on all PCs."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from multirig.collect.ledger import Ledger
from multirig.collect.overview import (
    Backlog,
    Parts,
    by_destination,
    choose_old,
    choose_one_each,
    note_told,
    read_told,
)
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import MAX_WANTED, Holding, Holdings, Whereabouts

DAY = datetime.date(2026, 11, 1)


def holding(number: int, state: Whereabouts = Whereabouts.COLLECTED, to: str = "/mnt/lab") -> Holding:
    return Holding(exp_ref=ExpRef(DAY, number, "SP_01"), state=state, bytes=100, to=to)


def test_an_answer_on_some_sessions_leaves_the_others_as_they_were() -> None:
    parts = Parts()
    parts.take("cam", Holdings(sessions=(holding(1, Whereabouts.HERE), holding(2)), is_busy=True))
    parts.take("cam", Holdings(sessions=(holding(1),)), is_part=True)
    assert [one.state for one in parts.held["cam"].values()] == [Whereabouts.COLLECTED] * 2
    assert parts.busy == set()
    parts.take("cam", Holdings(sessions=(holding(2),)))
    assert list(parts.held["cam"]) == [holding(2).exp_ref]


def test_a_pc_that_does_not_answer_keeps_what_it_had_and_is_not_cleared() -> None:
    parts = Parts()
    parts.take("cam", Holdings(sessions=(holding(1),)))
    assert choose_old(parts, 30, DAY + datetime.timedelta(days=30)) == {"cam": [holding(1)]}
    assert choose_old(parts, 30, DAY + datetime.timedelta(days=29)) == {}
    parts.take("cam", MultirigError("is gone"))
    assert parts.held["cam"]
    assert choose_old(parts, 0, DAY) == {}


def test_a_wish_to_clear_goes_to_each_destination_apart() -> None:
    held = [holding(1), holding(2, to="Z:\\lab"), holding(3)]
    assert by_destination(held) == [
        ("/mnt/lab", (held[0].exp_ref, held[2].exp_ref)),
        ("Z:\\lab", (held[1].exp_ref,)),
    ]
    many = [replace(holding(1), exp_ref=ExpRef(DAY, 1, f"SP_{number}")) for number in range(MAX_WANTED + 1)]
    assert [len(refs) for _, refs in by_destination(many)] == [MAX_WANTED, 1]


def test_what_pcs_have_said_is_read_again_and_what_is_damaged_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "register.sqlite")
    note_told(ledger, {"cam": Holdings(sessions=(holding(1), holding(2)))})
    ledger.note_told("main", [("2026-11-01_1_SP_01", "{"), ("2026-11-01_2_SP_01", '{"state": "x"}')])
    assert read_told(ledger) == {"cam": {one.exp_ref: one for one in (holding(1), holding(2))}}


def test_what_an_answer_has_no_room_for_is_as_it_was_and_is_counted() -> None:
    parts = Parts()
    parts.take("cam", Holdings(sessions=(holding(1),)), is_part=True)
    told = Holdings(
        sessions=(holding(2, Whereabouts.HERE),), total=900, left=700, left_bytes=5, oldest="2026-01-31"
    )
    parts.take("cam", told)
    assert len(parts.held["cam"]) == 2
    assert parts.backlog("cam") == Backlog(sessions=700, bytes=5, oldest=datetime.date(2026, 1, 31))
    parts.take(
        "cam", Holdings(sessions=(holding(2, Whereabouts.HERE),), total=1, left=1, oldest="2026-11-01")
    )
    assert parts.backlog("cam") == Backlog(sessions=1, bytes=100, oldest=DAY)
    assert parts.backlog("nobody") is None


def test_a_session_that_lies_in_two_folders_of_a_pc_is_there_with_both() -> None:
    rig = replace(holding(1, Whereabouts.HERE, to=""), rigs=("cam",), files=2)
    led = replace(holding(1), done=100, files=3)
    parts = Parts()
    for told in ((rig, led), (led, rig)):
        parts.take("this PC", Holdings(sessions=told))
        [one] = parts.held["this PC"].values()
        assert (one.state, one.files, one.bytes, one.done) == (Whereabouts.HERE, 5, 200, 100)
        assert (one.rigs, one.to) == (("cam",), "/mnt/lab")


def test_what_two_rigs_on_one_pc_have_is_removed_once_and_by_one_that_is_heard() -> None:
    parts = Parts()
    held = (replace(holding(1), rigs=("cams", "mics")),)
    for rig in ("cams", "mics"):
        parts.take(rig, Holdings(pc="VIDEO-1", sessions=held))
    parts.take("ephys", Holdings(pc="EPHYS-1", sessions=held))
    assert list(choose_one_each(parts, 0, DAY)) == ["cams", "ephys"]
    assert list(choose_one_each(parts, 0, DAY, silent={"cams"})) == ["mics", "ephys"]


def test_nothing_is_known_of_a_rig_that_is_not_of_the_lab_any_more() -> None:
    parts = Parts()
    parts.take("cam", Holdings(pc="X", sessions=(holding(1),), is_busy=True, trouble="the share is away"))
    parts.keep_only({"ephys"})
    assert parts == Parts()


def test_what_was_on_the_way_when_a_pc_was_heard_last_is_not_any_more(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "register.sqlite")
    moving = replace(holding(1, Whereabouts.UNDER_WAY), done=40, rate=5.0)
    note_told(ledger, {"cam": Holdings(sessions=(moving,))})
    [told] = read_told(ledger)["cam"].values()
    assert (told.state, told.rate, told.done) == (Whereabouts.HERE, None, 40)
