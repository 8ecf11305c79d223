"""What is copied to the server beside the data: names that other rooms give to their files."""

from __future__ import annotations

from fnmatch import fnmatch

from multirig.folders import WHOLE_NAME, is_data_name
from multirig.record.account import FILE_NAME as VERDICT_NAME
from multirig.record.journal import FILE_NAME as JOURNAL_NAME
from multirig.record.manifest import manifest_name
from multirig.record.time_files import OFFSETS_NAME, STARTS_NAME
from multirig.transfer.folder import FLAG, LOCK, NAME
from multirig.transfer.server import LEADERS, OURS


def test_the_leading_pc_s_files_are_those_that_it_writes() -> None:
    assert set(LEADERS) == {JOURNAL_NAME, VERDICT_NAME, OFFSETS_NAME, STARTS_NAME, WHOLE_NAME}


def test_a_rig_s_manifest_is_among_what_is_copied() -> None:
    assert any(fnmatch(manifest_name("cameras"), pattern) for pattern in OURS)


def test_neither_our_files_nor_flags_count_as_data() -> None:
    assert not any(map(is_data_name, (*LEADERS, *OURS, NAME, FLAG, LOCK)))
    assert is_data_name("_iblrig_leftCamera.raw.mp4")
