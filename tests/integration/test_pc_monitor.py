from __future__ import annotations

import asyncio
import csv
import datetime
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from multirig.protocol.exp_ref import ExpRef
from multirig.rig.adapter import Session
from multirig.rig.adapters.process import Process

PROGRAM = [sys.executable, "-m", "multirig.examples.pc_monitor"]

HEADER = ["perf_counter", "cpu_percent", "bytes_sent", "bytes_recv"]


@contextmanager
def running(path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The program, ready."""
    with subprocess.Popen(
        [*PROGRAM, str(path), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            yield program
        finally:
            program.kill()


def read_rows(path: Path) -> list[list[float]]:
    with path.open(newline="", encoding="ascii") as file:
        reader = csv.reader(file)
        assert next(reader) == HEADER
        return [[float(value) for value in row] for row in reader]


def test_it_samples_at_its_rate_without_drift_until_a_line_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    before = time.perf_counter()
    with running(path, "--rate", "200") as program:
        time.sleep(1.5)
        assert program.stdin is not None
        program.stdin.write("go on\nstop\n")
        program.stdin.flush()
        program.wait(5)
        output, errors = program.communicate()
    after = time.perf_counter()
    rows = read_rows(path)
    times = [row[0] for row in rows]
    *reports, summary = output.splitlines()
    skipped = int(summary.split()[3])
    assert program.returncode == 0
    assert errors == ""
    assert len(reports) in (3, 4)
    assert all(report.startswith("samples ") for report in reports)
    assert reports[-1] == f"samples {len(rows)}"
    assert summary == f"stopped: {len(rows)} samples, {skipped} skipped because they were late"
    # a rate that drifts would have lost a dozen samples to the time that each one takes
    assert len(rows) + skipped == pytest.approx((times[-1] - times[0]) * 200 + 1, abs=1.5)
    assert before < times[0] < times[-1] < after
    assert len(rows) > 100
    assert all(0 <= cpu <= 100 and sent >= 0 and received >= 0 for _, cpu, sent, received in rows)


def test_it_ends_with_its_input(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    with running(path) as program:
        output, _ = program.communicate(timeout=5)
    assert program.returncode == 0
    assert output.splitlines()[-1].startswith(f"stopped: {len(read_rows(path))} samples")


def test_it_ends_with_a_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    with running(path) as program:
        time.sleep(0.2)
        program.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
        assert program.wait(5) == 0
        assert program.stderr is not None
        assert program.stderr.read() == ""
    assert len(read_rows(path)) > 5


def test_what_it_sampled_is_on_disk_within_half_a_second(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    with running(path, "--rate", "50") as program:
        time.sleep(1.1)
        program.kill()
        program.wait()
    lines = path.read_text().splitlines()
    assert len(lines) > 30


def test_at_a_low_rate_it_still_reports_and_stops_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    with running(path, "--rate", "0.1") as program:
        time.sleep(0.7)
        before = time.monotonic()
        output, _ = program.communicate("stop\n")
        assert time.monotonic() - before < 2
    assert output.splitlines()[:2] == ["samples 1", "samples 1"]
    assert len(read_rows(path)) == 1


def test_late_samples_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    # a program that is not let run is late
    slow = (
        "import sys, time; from multirig.examples import pc_monitor as m; count = m.psutil.net_io_counters\n"
        "m.psutil.net_io_counters = lambda: (time.sleep(0.035), count())[1]\n"
        f"sys.argv = ['pc_monitor', {str(path)!r}]; sys.exit(m.main())"
    )
    done = subprocess.Popen(
        [sys.executable, "-c", slow], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with done as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.5)
        output, _ = program.communicate("stop\n")
    rows = read_rows(path)
    times = [row[0] for row in rows]
    skipped = int(output.splitlines()[-1].split()[3])
    assert skipped >= 2 * len(rows)
    assert skipped + len(rows) == pytest.approx((times[-1] - times[0]) * 100 + 1, abs=1.5)


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pc.csv"
    path.write_text("yesterday")
    done = subprocess.run([*PROGRAM, str(path)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stderr == f"pc_monitor: cannot write {path}: File exists\n"
    assert path.read_text() == "yesterday"


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "1e9", "fast"])
def test_an_impossible_rate_is_refused(tmp_path: Path, rate: str) -> None:
    done = subprocess.run(
        [*PROGRAM, str(tmp_path / "pc.csv"), f"--rate={rate}"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--rate" in done.stderr


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; import multirig.examples.pc_monitor; "
        "print([name for name in ('pydantic', 'typer', 'yaml', 'numpy', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_process_rig_records_it_and_tells_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "raw_data"
    folder.mkdir()
    adapter = TypeAdapter(Process).validate_python(
        {
            "command": ["{python}", "-m", "multirig.examples.pc_monitor", "{folder}/pc.csv"],
            "stop_by": {"stdin": "stop"},
            "ready": "^ready$",
            "progress": r"^samples (?P<frames>\d+)",
        }
    )
    adapter.session = Session(
        exp_ref=ExpRef(datetime.date(2024, 5, 6), 1, "mouse"),
        session_folder=tmp_path,
        folder=folder,
        to_session_time=lambda nanoseconds: nanoseconds + 10**9,
    )

    async def body() -> tuple[float, float]:
        await adapter.initialise()
        before = time.perf_counter()
        await adapter.start()
        await asyncio.sleep(1.2)
        rate = adapter.health().rate
        assert rate is not None
        assert 50 < rate < 150
        await adapter.stop()
        await adapter.cleanup()
        return before, time.perf_counter()

    before, after = asyncio.run(body())
    table = {entry.path: entry for entry in adapter.files()}["raw_data/pc.csv"]
    assert table.frames == len(read_rows(folder / "pc.csv"))
    assert table.frames > 50
    assert table.first is not None
    assert table.last is not None
    assert before + 1 < table.first < table.last < after + 1
