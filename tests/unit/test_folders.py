import datetime
from pathlib import Path

import pytest

from multirig.errors import ConfigError, LocalProtocolError, MultirigError
from multirig.folders import next_exp_ref, session_folder
from multirig.protocol.exp_ref import ExpRef

DAY = datetime.date(2024, 5, 6)


@pytest.fixture
def day(tmp_path):
    folder = tmp_path / "mylab" / "Subjects" / "SP_01" / "2024-05-06"
    folder.mkdir(parents=True)
    return folder


def test_a_session_lies_where_ibl_puts_it():
    found = session_folder(Path("data"), "mylab", ExpRef(DAY, 2, "SP_01"))
    assert found == Path("data/mylab/Subjects/SP_01/2024-05-06/002")


def test_the_first_session_of_a_day_is_number_one_and_creates_nothing(tmp_path):
    assert next_exp_ref(tmp_path / "none", "mylab", "SP_01", DAY) == ExpRef(DAY, 1, "SP_01")
    assert list(tmp_path.iterdir()) == []


def test_the_next_number_follows_the_highest_not_the_first_gap(tmp_path, day):
    for name in ("001", "002", "007"):
        (day / name).mkdir()
    assert next_exp_ref(tmp_path, "mylab", "SP_01", DAY) == ExpRef(DAY, 8, "SP_01")


def test_an_unpadded_folder_counts(tmp_path, day):
    (day / "12").mkdir()
    assert next_exp_ref(tmp_path, "mylab", "SP_01", DAY).sequence == 13


def test_files_and_other_names_are_ignored(tmp_path, day):
    (day / "001").mkdir()
    (day / "050").write_text("a file")
    for name in ("backup", "002_copy", "1000", "٠٠٣", "-4"):
        (day / name).mkdir()
    assert next_exp_ref(tmp_path, "mylab", "SP_01", DAY).sequence == 2


def test_other_days_subjects_and_labs_do_not_count(tmp_path, day):
    (day / "005").mkdir()
    assert next_exp_ref(tmp_path, "mylab", "SP_01", datetime.date(2024, 5, 7)).sequence == 1
    assert next_exp_ref(tmp_path, "mylab", "SP_02", DAY).sequence == 1
    assert next_exp_ref(tmp_path, "other", "SP_01", DAY).sequence == 1


def test_after_999_there_is_no_number(tmp_path, day):
    (day / "999").mkdir()
    with pytest.raises(MultirigError, match=r"session 999 is there already.*rename") as caught:
        next_exp_ref(tmp_path, "mylab", "SP_01", DAY)
    assert str(day) in str(caught.value)


def test_a_day_that_is_a_file_is_refused_by_name(tmp_path, day):
    day.rmdir()
    day.write_text("")
    with pytest.raises(ConfigError, match=r"cannot be read.*check data_folder"):
        next_exp_ref(tmp_path, "mylab", "SP_01", DAY)


@pytest.mark.parametrize("lab", ["", "..", "a/b", "a b"])
def test_a_lab_that_cannot_name_a_folder_is_refused(tmp_path, lab):
    with pytest.raises(ConfigError, match=r"lab .* cannot name a folder"):
        next_exp_ref(tmp_path, lab, "SP_01", DAY)


def test_a_subject_that_cannot_name_a_folder_is_refused(tmp_path):
    with pytest.raises(LocalProtocolError, match="subject"):
        next_exp_ref(tmp_path, "mylab", "../x", DAY)
