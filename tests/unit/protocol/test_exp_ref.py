import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.errors import LocalProtocolError
from multirig.protocol.exp_ref import ExpRef, check_subject

DAY = datetime.date(2024, 5, 6)
SUBJECTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,20}", fullmatch=True).filter(
    lambda text: text.upper() not in {"CON", "PRN", "AUX", "NUL"} and text[:3].upper() not in {"COM", "LPT"}
)


@pytest.mark.parametrize(
    "value",
    [
        "2024-05-06_2_SP_01",
        "2024-05-06_002_SP_01",
        " 2024-05-06_02_SP_01\n",
        ExpRef(DAY, 2, "SP_01"),
        {"date": "2024-05-06", "sequence": 2, "subject": "SP_01"},
        {"date": "2024-05-06T11:12:13", "sequence": "002", "subject": "SP_01"},
        {"date": DAY, "sequence": 2, "subject": "SP_01", "lab": "mylab"},
        {"date": datetime.datetime(2024, 5, 6, 11), "sequence": 2, "subject": "SP_01"},
    ],
    ids=repr,
)
def test_every_form_of_a_reference_is_the_same_reference(value):
    assert ExpRef.parse(value) == ExpRef(DAY, 2, "SP_01")


@given(date=st.dates(min_value=datetime.date(1000, 1, 1)), sequence=st.integers(1, 999), subject=SUBJECTS)
def test_a_reference_reads_back_from_its_text_padded_or_not(date, sequence, subject):
    exp_ref = ExpRef(date, sequence, subject)
    assert ExpRef.parse(str(exp_ref)) == exp_ref
    assert ExpRef.parse(f"{date.isoformat()}_{sequence:03d}_{subject}") == exp_ref


def test_the_text_is_unpadded_and_the_folder_is_padded():
    exp_ref = ExpRef(DAY, 2, "SP_01")
    assert str(exp_ref) == "2024-05-06_2_SP_01"
    assert exp_ref.folder_parts() == ("SP_01", "2024-05-06", "002")


def test_references_are_ordered_by_day_then_number():
    texts = ["2024-05-07_1_a", "2024-05-06_10_a", "2024-05-06_2_b"]
    assert [str(one) for one in sorted(map(ExpRef.parse, texts))] == texts[::-1]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        7,
        [],
        {},
        "2024-05-06",
        "2024-05-06_2",
        "2024-05-06_2_",
        "2024-05-06_0_x",
        "2024-05-06_1000_x",
        "2024-13-06_2_x",
        "2024-02-30_2_x",
        "06-05-2024_2_x",
        "2024-05-06_2_../x",
        "2024-05-06_2_a/b",
        {"date": "2024-05-06", "sequence": 2},
        {"date": "2024-05-06", "sequence": 2, "subject": None},
        {"date": "2024-05-06", "sequence": 2, "subject": ""},
        {"date": "2024-05-06", "sequence": None, "subject": "x"},
        {"date": "2024-05-06", "sequence": True, "subject": "x"},
        {"date": "2024-05-06", "sequence": 2.5, "subject": "x"},
        {"date": "2024-05-06", "sequence": 0, "subject": "x"},
        {"date": None, "sequence": 2, "subject": "x"},
        {"date": "tomorrow", "sequence": 2, "subject": "x"},
    ],
    ids=repr,
)
def test_what_is_no_reference_is_refused_in_one_line(value):
    with pytest.raises(LocalProtocolError, match="is not an experiment reference") as caught:
        ExpRef.parse(value)
    assert len(str(caught.value).splitlines()) == 1


@given(value=st.one_of(st.text(), st.from_regex(r"\d{4}-\d\d-\d\d_\d{1,4}_.*", fullmatch=True)))
def test_any_text_is_a_reference_or_is_refused(value):
    try:
        exp_ref = ExpRef.parse(value)
    except LocalProtocolError:
        return
    assert ExpRef.parse(str(exp_ref)) == exp_ref


@pytest.mark.parametrize("sequence", [0, -1, 1000, True])
def test_a_sequence_outside_of_1_to_999_is_refused(sequence):
    with pytest.raises(LocalProtocolError, match="outside 1 to 999"):
        ExpRef(DAY, sequence, "x")


@pytest.mark.parametrize(
    "subject", ["SP_01", "x", "007", "ZFM-0123", "a.b", "Ämne", "ibl_witten_27", "console"]
)
def test_a_subject_that_can_name_a_folder_is_accepted(subject):
    assert check_subject(subject) == subject


@pytest.mark.parametrize(
    "subject",
    [
        "",
        None,
        7,
        ".",
        "..",
        "a/b",
        "a\\b",
        "a:b",
        "a b",
        "a.",
        "_a",
        "-a",
        "a\n",
        "a" * 65,
        "CON",
        "nul",
        "com1",
        "aux.txt",
        "COM¹",
        "lpt²",
        "com³.a",
    ],
    ids=repr,
)
def test_a_subject_that_cannot_name_a_folder_on_every_system_is_refused(subject):
    with pytest.raises(LocalProtocolError, match="subject"):
        check_subject(subject)
