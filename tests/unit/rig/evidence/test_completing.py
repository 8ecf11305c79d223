"""Files whose adapter tells nothing of them, or not all: real files."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Evidence, Expected, File
from multirig.rig.adapter import Session
from multirig.rig.evidence.completing import complete
from multirig.rig.evidence.growth import Growth
from multirig.rig.evidence.tables import read_table

SECOND = 1_000_000_000
STOPPED = 20 * SECOND


@pytest.fixture
def session(tmp_path: Path) -> Session:
    exp_ref = ExpRef(datetime.date(2026, 1, 31), 1, "SP_01")
    folder = tmp_path / "raw_data"
    folder.mkdir()
    return Session(
        exp_ref=exp_ref,
        session_folder=tmp_path,
        folder=folder,
        to_session_time=lambda at: at + SECOND,
        rig="cam",
    )


def write(session: Session, name: str, content: str) -> File:
    path = session.folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return File(path=f"raw_data/{name}", bytes=path.stat().st_size)


def rows(*times: float) -> str:
    return "perf_counter,x\n" + "".join(f"{time:.6f},1\n" for time in times)


def table(session: Session, *times: float, **more: Any) -> File:
    file = write(session, "signal.csv", rows(*times))
    given: dict[str, Any] = {"stopped": STOPPED, "expected": Expected(), **more}
    (found,) = complete([file], session, Growth(), **given)
    return found


def test_a_steady_table_has_its_rate_and_its_longest_pause(session: Session) -> None:
    times = [n / 100 for n in range(1000) if not 300 <= n < 700]
    found = table(session, *times)
    assert (found.frames, found.first, found.last) == (600, 1.0, pytest.approx(10.99))
    assert found.evidence is not None
    assert found.evidence.rate == pytest.approx(100, rel=0.01)
    assert (found.evidence.longest_gap, found.evidence.gap_at) == (pytest.approx(4.01), pytest.approx(3.99))
    assert (found.evidence.backwards, found.evidence.missing) == (0, None)


def test_a_table_of_events_has_no_rate(session: Session) -> None:
    evidence = table(session, 0.1, 0.15, 3.0, 3.01, 9.0, 9.3, 9.31, 12.0).evidence
    assert evidence is not None
    assert (evidence.rate, evidence.longest_gap) == (None, pytest.approx(5.99))


def test_rows_whose_times_fall_are_counted_and_equal_ones_are_not(session: Session) -> None:
    evidence = table(session, 1.0, 1.1, 1.1, 1.2, 0.9, 1.3).evidence
    assert evidence is not None
    assert evidence.backwards == 1


def test_rubbish_and_a_torn_row_are_passed_over(session: Session) -> None:
    file = write(session, "a.csv", rows(1.0, 1.1) + "\0\0\nnan,2\n1.2,1\n1.")
    read = read_table(session.session_folder / file.path, lambda at: at, until=float("inf"))
    assert read is not None
    assert read.longest_gap == pytest.approx(0.1)


def test_nothing_is_known_of_a_table_for_which_there_is_no_time(session: Session) -> None:
    found = table(session, 1.0, 1.1, 1.2, patience=-1.0)
    assert (found.frames, found.evidence) == (3, Evidence(growing=True, grew_at=21.0))


def test_what_an_adapter_says_goes_before_and_is_completed(session: Session) -> None:
    told = Evidence(source="left", growing=True, expected=Expected(fps=30.0))
    file = File(path="raw_data/left.mp4", bytes=10, frames=3, evidence=told)
    (found,) = complete(
        [file], session, Growth(), stopped=STOPPED, expected=Expected(fps=60.0, longest_gap=0.1)
    )
    assert found.evidence is not None
    assert found.evidence.source == "left"
    assert found.evidence.expected == Expected(fps=30.0, longest_gap=0.1)


def test_what_the_config_expects_is_said_of_each_file(session: Session) -> None:
    file = File(path="raw_data/a.avi", bytes=10)
    (found,) = complete([file], session, Growth(), stopped=STOPPED, expected=Expected(fps=60.0))
    assert found.evidence == Evidence(expected=Expected(fps=60.0))
    assert complete([file], session, Growth(), stopped=STOPPED, expected=Expected()) == [file]


def test_a_clock_that_stood_still_in_most_rows_does_not_rise(session: Session) -> None:
    for times, backwards in (([5.0] * 100, 99), ([*(n / 10 for n in range(30)), *[3.0] * 50], 49)):
        found = table(session, *times)
        assert found.evidence is not None
        assert found.evidence.backwards == backwards


def test_rows_that_come_in_blocks_and_a_few_that_are_alike_are_honest(session: Session) -> None:
    blocks = [n // 32 / 10 for n in range(320)]
    for times in (blocks, [1.0, 1.0, 1.0, 2.0], [n / 10 for n in range(20)] + [2.0, 2.0]):
        found = table(session, *times)
        assert found.evidence is not None
        assert found.evidence.backwards == 0
