from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.errors import (
    AgreementError,
    DateMismatch,
    NoMainSync,
    SeveralMainSyncs,
    SubjectMismatch,
)
from multirig.lifecycle.agreement import THIS_PC, agree
from multirig.protocol.dialect import hear_rig
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.words import Info

TODAY = datetime.date(2024, 5, 6)
REF = ExpRef(TODAY, 2, "SP_01")


def said(status: object = 0, **data: Any) -> Info:
    return heard(status, data)


def heard(*args: Any) -> Info:
    info = hear_rig(Message(Event.EXPINFO, args))
    assert isinstance(info, Info)
    return info


LEADER = said(main_sync=True, exp_ref=str(REF))
FOLLOWER = said(main_sync=False, exp_ref=None)


def agreed(here: ExpRef | None = None, **answers: Info) -> ExpRef:
    return agree(answers, subject="SP_01", date=TODAY, here=here)


def refused(kind: type[AgreementError], here: ExpRef | None = None, **answers: Info) -> str:
    with pytest.raises(kind) as caught:
        agreed(here, **answers)
    assert caught.type is kind
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_the_main_syncs_reference_is_agreed() -> None:
    assert agreed(main=LEADER, cam=FOLLOWER) == REF


@pytest.mark.parametrize(
    "exp_ref",
    [
        "2024-05-06_2_SP_01",
        "2024-05-06_002_SP_01",
        {"date": "2024-05-06", "sequence": 2, "subject": "SP_01"},
        {"date": "2024-05-06", "sequence": "002", "subject": "SP_01"},
        {"date": "2024-05-06T14:03:00", "sequence": 2, "subject": "SP_01"},
    ],
)
def test_a_reference_is_read_in_every_form_that_peers_write(exp_ref: object) -> None:
    assert agreed(main=said(main_sync=True, exp_ref=exp_ref)) == REF


def test_scanimage_may_be_the_main_sync() -> None:
    info = {"main_sync": True, "api_version": "1.0.0", "status": 20, "exp_ref": str(REF)}
    assert agreed(scanimage=heard(20, info), cam=FOLLOWER) == REF


def test_this_pc_may_be_the_main_sync() -> None:
    assert agreed(REF, cam=FOLLOWER) == REF


def test_this_pc_alone_agrees_with_itself() -> None:
    assert agreed(REF) == REF


def test_without_a_main_sync_the_error_names_all_who_were_asked_and_what_to_do() -> None:
    message = refused(NoMainSync, cam=FOLLOWER, ephys=FOLLOWER)
    assert "cam, ephys" in message
    assert "main_sync: true" in message


def test_without_any_rig_there_is_no_main_sync() -> None:
    assert "no rig" in refused(NoMainSync)


@pytest.mark.parametrize("claim", [1, "true", None, [True], 0])
def test_only_true_claims_to_be_the_main_sync(claim: object) -> None:
    refused(NoMainSync, cam=said(main_sync=claim, exp_ref=str(REF)))


def test_two_main_syncs_are_named() -> None:
    message = refused(SeveralMainSyncs, cam=FOLLOWER, main=LEADER, ephys=LEADER)
    assert "main, ephys" in message
    assert "cam" not in message


def test_this_pc_counts_among_the_main_syncs() -> None:
    assert f"main, {THIS_PC}" in refused(SeveralMainSyncs, REF, main=LEADER)


def test_a_main_sync_at_another_subject_is_named_with_its_session() -> None:
    message = refused(SubjectMismatch, main=said(main_sync=True, exp_ref="2024-05-06_1_SP_02"))
    assert "main" in message
    assert "2024-05-06_1_SP_02" in message
    assert "SP_01" in message


def test_a_main_sync_at_another_date_is_named_with_both_dates() -> None:
    message = refused(DateMismatch, main=said(main_sync=True, exp_ref="2024-05-05_2_SP_01"))
    assert "main" in message
    assert "2024-05-05" in message
    assert "2024-05-06" in message


def test_a_rig_whose_clock_is_at_another_day_is_named() -> None:
    message = refused(DateMismatch, main=LEADER, cam=said(main_sync=False, date="2024-05-07"))
    assert message.startswith("cam is at 2024-05-07")


@pytest.mark.parametrize("date", ["2024-05-06T23:59:59", "06/05/2024", "today", "", 20240506, None, {}])
def test_a_date_that_is_today_or_none_at_all_is_no_objection(date: object) -> None:
    assert agreed(main=LEADER, cam=said(main_sync=False, date=date)) == REF


def test_a_rig_that_records_another_subject_is_named() -> None:
    busy = said(20, main_sync=False, exp_ref="2024-05-06_2_SP_02")
    assert "cam is recording 2024-05-06_2_SP_02" in refused(SubjectMismatch, main=LEADER, cam=busy)


def test_a_rig_that_records_another_number_is_named() -> None:
    busy = said("RUNNING", main_sync=False, exp_ref="2024-05-06_1_SP_01")
    message = refused(AgreementError, main=LEADER, cam=busy)
    assert "cam is recording 2024-05-06_1_SP_01, not 2024-05-06_2_SP_01" in message


def test_a_rig_that_records_this_very_session_agrees() -> None:
    assert agreed(main=LEADER, cam=said(20, main_sync=False, exp_ref="2024-05-06_002_SP_01")) == REF


def test_what_a_rig_recorded_before_does_not_matter_once_it_has_stopped() -> None:
    assert agreed(main=LEADER, cam=said(30, main_sync=False, exp_ref="2024-05-06_1_SP_01")) == REF


def test_a_rig_that_records_something_unreadable_is_left_to_refuse_by_itself() -> None:
    assert agreed(main=LEADER, cam=said(20, main_sync=False, exp_ref="calibration")) == REF


OTHERWISE = (
    "is set up for subject SP_02, you asked for SP_01: correct the subject, "
    "or type 'subject SP_01' at that PC"
)


@pytest.mark.parametrize("status", [0, 10, 30, None])
def test_a_rig_that_is_set_up_for_another_subject_is_named_with_what_to_type_there(status: object) -> None:
    cameras = said(status, main_sync=False, exp_ref=None, set_up_for="SP_02")
    assert refused(SubjectMismatch, main=LEADER, cameras=cameras) == f"cameras {OTHERWISE}"
    assert refused(SubjectMismatch, REF, cameras=cameras) == f"cameras {OTHERWISE}"


def test_a_main_sync_that_is_set_up_for_another_subject_says_so_and_not_that_it_has_no_number() -> None:
    main = said(main_sync=True, exp_ref=None, set_up_for="SP_02")
    assert refused(SubjectMismatch, main=main, cam=FOLLOWER) == f"main {OTHERWISE}"


@pytest.mark.parametrize("chosen", ["SP_01", "", None, 17, ["SP_02"]])
def test_a_rig_that_is_set_up_for_this_subject_or_for_none_agrees(chosen: object) -> None:
    assert agreed(main=LEADER, cam=said(main_sync=False, set_up_for=chosen)) == REF


def test_a_main_sync_without_a_reference_is_told_to_start() -> None:
    message = refused(AgreementError, main=said(main_sync=True, exp_ref=None))
    assert "main is the main sync but gave no experiment reference" in message
    assert "start its session" in message


def test_a_main_sync_that_says_why_it_has_no_reference_is_quoted() -> None:
    answer = said(main_sync=True, exp_ref=None, failure="/data: cannot be read (permission denied)")
    assert refused(AgreementError, main=answer).endswith("/data: cannot be read (permission denied)")


@pytest.mark.parametrize(
    "exp_ref",
    [
        "calibration",
        "2024-13-45_1_SP_01",
        "2024-05-06_0_SP_01",
        "2024-05-06_1000_SP_01",
        "2024-05-06_1_../../etc",
        {"date": "2024-05-06"},
        {"date": None, "sequence": 1, "subject": "SP_01"},
        {"date": "2024-05-06", "sequence": float("inf"), "subject": "SP_01"},
        [1],
        17,
        True,
    ],
)
def test_a_reference_that_is_none_is_an_error_in_one_line_that_names_the_rig(exp_ref: object) -> None:
    assert refused(AgreementError, main=said(main_sync=True, exp_ref=exp_ref)).startswith("main")


@pytest.mark.parametrize(
    ("args", "status", "data"),
    [
        ((), None, {}),
        ((20,), Status.RUNNING, {}),
        ((None, None), None, {}),
        (("connected", {"a": 1}), Status.CONNECTED, {"a": 1}),
        ((17, []), None, {}),
        ((True, "x"), None, {}),
        (({"main_sync": True}, 20, "more"), None, {}),
    ],
)
def test_an_info_may_lack_anything(args: tuple[Any, ...], status: Status | None, data: object) -> None:
    info = heard(*args)
    assert (info.status, info.more) == (status, data)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
infos = st.builds(
    lambda args, extra: heard(*args, extra),
    st.lists(json, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "main_sync": json | st.just(True),
            "exp_ref": json | st.just(str(REF)),
            "date": json,
            "failure": json,
            "set_up_for": json | st.just("SP_01"),
        },
    ),
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), infos | st.builds(said, json), max_size=3))
def test_whatever_rigs_say_there_is_a_reference_or_an_agreement_error(answers: dict[str, Info]) -> None:
    try:
        exp_ref = agree(answers, subject="SP_01", date=TODAY)
    except AgreementError:
        return
    assert exp_ref == REF
    assert sum(one.main_sync for one in answers.values()) == 1


TOKYO, LONDON = datetime.timezone(datetime.timedelta(hours=9)), datetime.timezone.utc


def in_tokyo(hour: int, **data: Any) -> Info:
    """Return what a PC in Tokyo says: it is the 7th there and the 6th in London, until 15 o'clock there."""
    told = datetime.datetime(2024, 5, 7, hour, 30, tzinfo=TOKYO)
    return said(date="2024-05-07", time=told.isoformat(), **data)


def test_a_rig_in_another_time_zone_whose_clock_is_right_takes_part() -> None:
    answers = {"main": LEADER, "cam": in_tokyo(8, main_sync=False)}
    assert agree(answers, subject="SP_01", date=TODAY, zone=LONDON) == REF


def test_a_rig_in_another_time_zone_whose_clock_is_a_day_ahead_is_refused_for_its_clock() -> None:
    answers = {"main": LEADER, "cam": in_tokyo(10, main_sync=False)}
    with pytest.raises(DateMismatch, match="cam is at 2024-05-07, the session at 2024-05-06: set the"):
        agree(answers, subject="SP_01", date=TODAY, zone=LONDON)


def test_a_main_sync_that_counts_another_day_for_its_time_zone_says_so() -> None:
    answers = {"main": in_tokyo(8, main_sync=True, exp_ref="2024-05-07_1_SP_01")}
    with pytest.raises(
        DateMismatch, match=r"main gives numbers of 2024-05-07, .* its time zone is UTC\+0900"
    ):
        agree(answers, subject="SP_01", date=TODAY, zone=LONDON)


def test_another_day_is_what_iblrig_calls_a_runtime_error() -> None:
    assert issubclass(DateMismatch, RuntimeError)
    assert issubclass(DateMismatch, ValueError)
