from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from multirig.protocol.exp_ref import ExpRef
from multirig.rig import inspection
from multirig.rig.adapter import File, Session
from multirig.rig.inspection import ClockTable, inspect_clock_table, list_recorded_files


def write(folder: Path, content: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content)
    return path


def test_rows_are_counted_and_their_ends_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"perf_counter,x\n10.5,1\n11.25,2\n12.000000001,3\n")
    assert inspect_clock_table(path) == ClockTable(rows=3, first=10_500_000_000, last=12_000_000_001)


def test_a_torn_last_line_is_neither_counted_nor_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"perf_counter,x\n10.5,1\n11.5,2\n12")
    assert inspect_clock_table(path) == ClockTable(rows=2, first=10_500_000_000, last=11_500_000_000)


def test_windows_line_ends_a_byte_order_mark_and_quotes_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf"perf_counter","a, b"\r\n"1.5","x"\r\n"2.5","y"\r\n')
    assert inspect_clock_table(path) == ClockTable(rows=2, first=1_500_000_000, last=2_500_000_000)


@pytest.mark.parametrize(
    "content", [b"perf_counter\n", b"perf_counter,x\n", b"perf_counter,x\n10", b"perf_counter,x\r\n"]
)
def test_a_table_without_rows_has_no_times(tmp_path: Path, content: bytes) -> None:
    assert inspect_clock_table(write(tmp_path, content)) == ClockTable(rows=0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"perf_counter",
        b"time,perf_counter\n1,2\n",
        b"perf_counter_ns,x\n1,2\n",
        b"\x00\xff\xfe\n\x00",
        b"x" * 200_000,
    ],
)
def test_another_file_is_no_clock_table(tmp_path: Path, content: bytes) -> None:
    assert inspect_clock_table(write(tmp_path, content)) is None


def test_rubbish_at_the_ends_is_passed_over_for_the_times(tmp_path: Path) -> None:
    path = write(tmp_path, b"perf_counter,x\nnan,0\n10.5,1\n11.5,2\n\0\0\0\n\xff,1\n")
    assert inspect_clock_table(path) == ClockTable(rows=5, first=10_500_000_000, last=11_500_000_000)


@pytest.mark.parametrize("rows", [100, 5_000, 150_000])
def test_a_table_of_any_length_is_counted_in_chunks(tmp_path: Path, rows: int) -> None:
    lines = [f"{1000 + row / 100:.9f},{row}\n" for row in range(rows)]
    path = write(tmp_path, ("perf_counter,x\n" + "".join(lines)).encode())
    assert inspect_clock_table(path) == ClockTable(
        rows=rows, first=1_000 * 10**9, last=1_000 * 10**9 + (rows - 1) * 10**7
    )


def test_a_row_across_two_chunks_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_CHUNK", 7)
    monkeypatch.setattr(inspection, "_END", 32)
    lines = "".join(f"{row}.5,{row}\n" for row in range(1, 1000))
    path = write(tmp_path, f"perf_counter,x\n{lines}".encode())
    assert inspect_clock_table(path) == ClockTable(rows=999, first=1_500_000_000, last=999_500_000_000)


def make_session(folder: Path) -> Session:
    collection = folder / "raw_data"
    collection.mkdir()
    return Session(
        exp_ref=ExpRef(datetime.date(2024, 5, 6), 1, "mouse"),
        session_folder=folder,
        folder=collection,
        to_session_time=lambda nanoseconds: nanoseconds + 500_000_000,
    )


def test_a_clock_table_is_listed_with_its_times_on_the_conductors_clock(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    (session.folder / "a.csv").write_bytes(b"perf_counter,x\n1.25,1\n2.25,2\n")
    (session.folder / "b.CSV").write_bytes(b"perf_counter\n")
    (session.folder / "c.csv").write_bytes(b"trial\n1\n")
    (session.folder / "d.txt").write_bytes(b"perf_counter,x\n1.25,1\n")
    assert list_recorded_files(session) == [
        File(path="raw_data/a.csv", bytes=29, frames=2, first=1.75, last=2.75),
        File(path="raw_data/b.CSV", bytes=13, frames=0),
        File(path="raw_data/c.csv", bytes=8),
        File(path="raw_data/d.txt", bytes=22),
    ]


def test_a_file_that_goes_while_it_is_listed_is_told_without_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_session(tmp_path)
    listed = [File(path="raw_data/gone.csv", bytes=3)]
    monkeypatch.setattr(inspection, "list_files", lambda session, owned: listed)
    assert list_recorded_files(session) == listed
