"""A rig's time stamps on the session clock, by a table of readings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multirig.errors import SyncError
from multirig.sync import OFFSETS_NAME, offset_bounds, to_session_time

HEADER = "rig,session_time_s,offset_s,bound_s,drift_ppm,round_trip_s\n"


def write(folder: Path, *rows: tuple[object, ...]) -> Path:
    lines = (",".join("" if cell is None else f"{cell}" for cell in row) + "\n" for row in rows)
    (folder / OFFSETS_NAME).write_text(HEADER + "".join(lines), encoding="utf-8")
    return folder


def steady(rig="cam", begin=100, end=160, offset=5000.0, drift=20.0, bound=50e-6):
    """Return readings each 5 s of a clock that drifts evenly."""
    return [
        (rig, f"{at:.9f}", f"{offset + (at - begin) * drift * 1e-6:.9f}", f"{bound:.9f}", drift, "0.0001")
        for at in range(begin, end + 1, 5)
    ]


def test_between_readings_the_clock_goes_along_a_line(tmp_path):
    write(tmp_path, *steady())
    assert to_session_time([5100.0, 5102.50005], "cam", tmp_path) == pytest.approx([100.0, 102.5], abs=2e-9)
    assert all(50e-6 <= bound < 55e-6 for bound in offset_bounds([5100.0, 5102.5], "cam", tmp_path))


def test_outside_of_them_the_drift_goes_on_and_the_bound_widens(tmp_path):
    write(tmp_path, *steady())
    hour = 3600.0
    rig_time = 5160.0 + 60 * 20e-6 + hour * (1 + 20e-6)
    assert to_session_time([rig_time], "cam", tmp_path) == pytest.approx([160.0 + hour], abs=1e-6)
    assert offset_bounds([rig_time], "cam", tmp_path) == pytest.approx([50e-6 + hour * 10e-6], rel=0.01)
    assert to_session_time([5000.0 + 40.0 - 60 * 20e-6], "cam", tmp_path) == pytest.approx([40.0], abs=1e-6)


def test_after_a_session_of_seconds_the_bound_knows_how_little_is_known_of_the_drift(tmp_path):
    one, other = (
        ("cam", "100.0", "5000.0", "0.000002", 0.0, "0"),
        ("cam", "100.04", "5000.0", "0.000002", 0.0, "0"),
    )
    write(tmp_path, one, other)
    true = 3.0 * 40e-6  # a drift of 40 ppm
    [time], [bound] = (of([5103.04 + true], "cam", tmp_path) for of in (to_session_time, offset_bounds))
    assert abs(time - 103.04) <= bound
    assert bound <= 2e-6 + 3.1 * 200e-6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offset=st.integers(-(10**15), 10**15),
    drift=st.floats(-200, 200),
    times=st.lists(st.integers(0, 120 * 10**9), min_size=1, max_size=20),
)
def test_whole_nanoseconds_come_back_within_the_bound_whatever_the_uptime(tmp_path, offset, drift, times):
    def rig_clock(at: int) -> int:
        return at + offset + round((at - 30 * 10**9) * drift * 1e-6)

    rows = [
        (
            "cam",
            f"{at}.000000000",
            *(
                f"{ns // 10**9}.{ns % 10**9:09d}" if ns >= 0 else f"-{-ns // 10**9}.{-ns % 10**9:09d}"
                for ns in [rig_clock(at * 10**9) - at * 10**9]
            ),
            "0.000000010",
            drift,
            "",
        )
        for at in range(30, 91, 5)
    ]
    write(tmp_path, *rows)
    stamps = [rig_clock(at) for at in times]
    back = to_session_time(stamps, "cam", tmp_path, unit="ns")
    bounds = offset_bounds(stamps, "cam", tmp_path, unit="ns")
    assert all(isinstance(one, int) for one in [*back, *bounds])
    assert all(abs(one - at) <= bound for one, at, bound in zip(back, times, bounds, strict=True))


def test_no_line_is_drawn_across_a_step(tmp_path):
    """The rig's PC slept for a minute, between 160 and 165 s."""
    write(tmp_path, *steady(end=160), *steady(begin=165, end=200, offset=5060.0))
    before, after = 5160.0 + 60 * 20e-6, 5225.0
    found = to_session_time([before + 1.0, after - 1.0], "cam", tmp_path)
    assert found == pytest.approx([161.0, 164.0], abs=1e-4)
    assert to_session_time([after + 1.0], "cam", tmp_path) == pytest.approx([166.0], abs=1e-4)
    near_the_step, well_after = offset_bounds([after - 1.0, after + 5.0], "cam", tmp_path)
    assert near_the_step == pytest.approx(60.0, abs=0.01)
    assert well_after < 60e-6


def test_a_rig_that_was_started_again_has_two_clocks(tmp_path):
    write(tmp_path, *steady(end=160), *steady(begin=200, end=240, offset=-150.0))
    found = to_session_time([5130.0, 60.0], "cam", tmp_path)
    assert found == pytest.approx([130.0, 210.0], abs=0.002)


def test_readings_without_an_offset_are_passed_over(tmp_path):
    rows = [("old", 100, None, None, None, 0.001), ("cam", 101, None, None, None, None), *steady()]
    write(tmp_path, *rows)
    assert to_session_time([5100.0], "cam", tmp_path) == [100.0]
    with pytest.raises(SyncError, match="the clock of old was never read: align it by sync pulses instead"):
        to_session_time([5100.0], "old", tmp_path)


def test_one_reading_is_enough(tmp_path):
    write(tmp_path, ("cam", "100.0", "5000.0", "0.00005", "", ""))
    assert to_session_time([5110.0], "cam", tmp_path) == [110.0]


def test_an_unknown_rig_is_told_which_there_are(tmp_path):
    write(tmp_path, *steady("cam"), *steady("ephys"))
    with pytest.raises(SyncError, match="no rig is called cams: there are cam, ephys"):
        to_session_time([1.0], "cams", tmp_path)


def test_a_folder_without_the_table_is_told(tmp_path):
    with pytest.raises(SyncError, match=f"there is no {OFFSETS_NAME}: give the folder that holds it"):
        to_session_time([1.0], "cam", tmp_path)


def test_the_file_itself_may_be_given(tmp_path):
    write(tmp_path, *steady())
    assert to_session_time([5100.0], "cam", tmp_path / OFFSETS_NAME) == [100.0]


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_told(tmp_path):
    write(tmp_path, *steady())
    path = tmp_path / OFFSETS_NAME
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + "cam,165.0,50", encoding="utf-8")
    assert to_session_time([5100.0], "cam", tmp_path) == [100.0]
    path.write_text(whole + "cam,165.0,fifty,0.1,20,0\n", encoding="utf-8")
    with pytest.raises(SyncError, match="line 15 cannot be read"):
        to_session_time([5100.0], "cam", tmp_path)
    path.write_text("rig,offset_s\n", encoding="utf-8")
    with pytest.raises(SyncError, match="the column session_time_s is missing"):
        to_session_time([5100.0], "cam", tmp_path)


def test_another_unit_is_refused(tmp_path):
    write(tmp_path, *steady())
    with pytest.raises(SyncError, match="unit 'ms' is not known"):
        to_session_time([1.0], "cam", tmp_path, unit="ms")  # type: ignore[arg-type]


def test_an_array_gives_an_array_in_its_own_unit(tmp_path):
    numpy = pytest.importorskip("numpy")
    write(tmp_path, *steady())
    seconds = to_session_time(numpy.array([5100.0, 5110.0002]), "cam", tmp_path)
    assert seconds.dtype == numpy.float64
    assert numpy.allclose(seconds, [100.0, 110.0])
    whole = to_session_time(numpy.array([5_100_000_000_000]), "cam", tmp_path, unit="ns")
    assert whole.dtype == numpy.int64
    assert whole.tolist() == [100_000_000_000]


def test_an_array_is_placed_as_its_times_are_one_by_one(tmp_path):
    jumped = [("cam", f"{at:.9f}", f"{offset:.9f}", "0.000020000", 15.0, "0.0001") for at, offset in JUMPED]
    write(tmp_path, *jumped)
    np = pytest.importorskip("numpy")
    own = np.concatenate([np.linspace(5050, 5250, 4001), [float(at) + offset for at, offset in JUMPED]])
    cases: list[tuple[Any, Any]] = [("s", own), ("ns", np.rint(own * 1e9).astype(np.int64))]
    for unit, times in cases:
        for convert in (to_session_time, offset_bounds):
            one_by_one = convert(times.tolist(), "cam", tmp_path, unit=unit)
            at_once = convert(times, "cam", tmp_path, unit=unit)
            assert isinstance(at_once, np.ndarray)
            assert np.max(np.abs(at_once - one_by_one)) <= (1.5e-9 if unit == "s" else 1)
    [alone] = to_session_time(np.array([5100.5]), "cam", write(tmp_path, *jumped[:1]))
    assert alone == pytest.approx(to_session_time([5100.5], "cam", tmp_path)[0], abs=2e-9)


JUMPED = [
    (100, 5000.0),
    (110, 5000.00015),
    (130, 5000.00045),
    (140, 5003.0),
    (160, 5003.0003),
    (161, 5003.0003),
]
