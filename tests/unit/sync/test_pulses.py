"""The table of the pulses that a rig gave."""

from __future__ import annotations

import pytest

from multirig.errors import SyncError
from multirig.sync import PULSES_NAME, Pulse, read_pulses

TABLE = """\
session_time_s,clock_bound_s,rig_time_ns,length_s
100.5,0.00005,5100500000000,0.05
107.25,,5107250000000,0.05
"""


def test_each_pulse_has_its_time_on_both_clocks(tmp_path):
    (tmp_path / PULSES_NAME).write_text(TABLE, encoding="utf-8")
    first, second = read_pulses(tmp_path)
    assert first == Pulse(at=100.5, bound=50e-6, rig_time=5_100_500_000_000, length=0.05)
    assert second.bound is None


def test_a_session_folder_will_do_where_one_rig_gives_pulses(tmp_path):
    for collection in ("raw_a", "raw_b"):
        (tmp_path / collection).mkdir()
    (tmp_path / "raw_b" / PULSES_NAME).write_text(TABLE, encoding="utf-8")
    assert len(read_pulses(tmp_path)) == 2
    (tmp_path / "raw_a" / PULSES_NAME).write_text(TABLE, encoding="utf-8")
    with pytest.raises(SyncError, match=r"in several folders \(raw_a, raw_b\): name one of them"):
        read_pulses(tmp_path)


def test_a_session_without_pulses_is_told(tmp_path):
    with pytest.raises(SyncError, match="turn on sync_pulses"):
        read_pulses(tmp_path)


def test_a_damaged_line_is_told_by_its_number(tmp_path):
    (tmp_path / PULSES_NAME).write_text(TABLE + "x,y,z,w\n", encoding="utf-8")
    with pytest.raises(SyncError, match="line 4 cannot be read"):
        read_pulses(tmp_path)
