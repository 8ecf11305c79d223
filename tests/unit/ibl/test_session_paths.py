"""Which session of the day, and which collection in it."""

from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.ibl.session_paths import latest_session, next_collection


def test_the_latest_session_is_the_one_with_the_highest_number(tmp_path: Path):
    for name in ("002", "010", "009", "notes", "0100"):
        (tmp_path / name).mkdir()
    (tmp_path / "011").write_text("no folder")
    assert latest_session(tmp_path) == tmp_path / "010"


def test_no_session_to_append_to_is_an_error_that_says_what_to_do(tmp_path: Path):
    for day in (tmp_path, tmp_path / "never"):
        with pytest.raises(
            ConfigError, match=r"no session to append to .*: run the first task without --append"
        ):
            latest_session(day)


def test_a_collection_gets_one_more_than_the_highest_number(tmp_path: Path):
    assert next_collection(tmp_path / "never") == "raw_task_data_00"
    assert next_collection(tmp_path) == "raw_task_data_00"
    for name in ("raw_task_data_00", "raw_task_data_07", "raw_task_data_9", "raw_video_data_08"):
        (tmp_path / name).mkdir()
    assert next_collection(tmp_path) == "raw_task_data_08"
    assert next_collection(tmp_path, "raw_video_data") == "raw_video_data_09"


def test_a_hundred_collections_are_enough(tmp_path: Path):
    (tmp_path / "raw_task_data_99").mkdir()
    with pytest.raises(ConfigError, match="begin a new session"):
        next_collection(tmp_path)
