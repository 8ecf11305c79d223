"""A long session read back: six hours of three cameras of 60 frames a second, a table, 5,000 markers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas

import multirig
from benchmarks import record
from multirig.protocol.words import File
from multirig.record.account import write_verdict
from multirig.record.journal import FILE_NAME
from multirig.rig.manifest import Manifest, Moment, write_manifest

HOURS, FPS, ROWS = 6, 60, 100
CAMERAS = ("left", "right", "body")
ROUNDS = 5
LINES = 5_000
"""Of the journal: nearly all of them markers."""
CLAIM = 8.0
"""Times a bare `numpy.load` of the same files that a session with all frame times may cost."""
CLAIM_TABLE = 8.0
"""Times a bare `pandas.read_csv` that a table on the session's time may cost."""


TABLE, OURS = f"pandas.read_csv of {HOURS * 3600 * ROWS:,} rows", "load, and the same on the session's time"


def write_session(folder: Path) -> list[Path]:
    """Write a session; return the files of its frame times."""
    (folder / "raw_video_data").mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(record.write_journal(LINES))
    write_verdict(folder)
    paths = []
    for label in CAMERAS:
        path = folder / "raw_video_data" / f"_iblrig_{label}Camera.times.npy"
        np.save(path, 3.25 + np.arange(HOURS * 3600 * FPS) / FPS)
        paths.append(path)
    (folder / "raw_pc_data").mkdir()
    table = folder / "raw_pc_data" / "pc.csv"
    rows = "".join(f"{10 + row / ROWS:.6f},{row}\n" for row in range(HOURS * 3600 * ROWS))
    table.write_text(f"perf_counter,row\n{rows}", encoding="utf-8")
    names = [path.relative_to(folder).as_posix() for path in (*paths, table)]
    files = tuple(File(path=name, bytes=(folder / name).stat().st_size) for name in names)
    moment = Moment(wall="2026-01-31T12:00:00.000+00:00", clock=3.25)
    write_manifest(
        folder,
        Manifest(
            rig="left",
            exp_ref=record.EXP_REF,
            version="0",
            adapter="camera",
            agreed_start=3.25,
            started=moment,
            stopped=moment,
            files=files,
        ),
    )
    return paths


def measure() -> dict[str, float]:
    """Return what each takes, in seconds: the middle one of several rounds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bench" / "2026-01-31" / "001"
        paths = write_session(folder)

        def read_all() -> list[Any]:
            session = multirig.load(folder)
            return [session.times(label) for label in CAMERAS]

        def read_one() -> Any:
            return multirig.load(folder).times("left", raw=True)[-1]

        ways: dict[str, Callable[[], Any]] = {
            "numpy.load of all frame times": lambda: [np.load(path) for path in paths],
            "load, and all frame times": read_all,
            "load alone": lambda: multirig.load(folder),
            "load, and the last time of one camera": read_one,
            TABLE: lambda: pandas.read_csv(folder / "raw_pc_data" / "pc.csv"),
            OURS: lambda: multirig.load(folder).table("pc.csv"),
        }
        took: dict[str, list[float]] = {what: [] for what in ways}
        for _ in range(ROUNDS):
            for what, way in ways.items():
                began = time.perf_counter()
                way()
                took[what].append(time.perf_counter() - began)
        return {what: median(some) for what, some in took.items()}


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    took = measure()
    for what, seconds in took.items():
        say(f"  {what:<40} {seconds * 1e3:8.2f} ms")
    whole, bare = took["load, and all frame times"], took["numpy.load of all frame times"]
    claim("a session with all frame times against numpy.load", whole / bare, CLAIM)
    claim("a table against pandas.read_csv", took[OURS] / took[TABLE], CLAIM_TABLE)
