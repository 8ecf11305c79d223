"""``python -m tests.windows``: runs the tests with a real Python for Windows, under Wine, and counts.

Without arguments all that makes sense there is run, with ``--part`` what is tried for each change, with paths
of tests those alone.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.windows.wine import ROOT, NoWine, Windows

FOLDER = ROOT / ".venv-windows"
MIXED = "tests/windows"
"""Sessions of Windows' Python and this one's, led by either; run by this one."""
SET_UP = f"{MIXED}/test_set_up.py"
"""Goes through the how-to, and draws its pictures where that is wanted; takes a minute."""
IMAGES = "docs/images"


class Part(NamedTuple):
    """Tests that are run in one process."""

    name: str
    paths: Sequence[str]
    limit: float
    """Seconds, for what hangs; the part that is not done then has failed."""
    is_pure: bool = False
    """Needs no real time, so whatever fails is not tried again."""


SCRATCH = "multirig-tests"
"""On Windows' disk C:."""
UNIT, INTEGRATION = "tests/unit", "tests/integration"
SLOW = (f"{UNIT}/sim", f"{UNIT}/cli/test_main.py")
NOT_THERE = (f"{UNIT}/truth",)
"""The truth suite's programs end by signals that Windows has not."""
PURE = Part(
    "pure rooms, without simulated labs",
    [UNIT, *(f"--ignore={one}" for one in (*SLOW, *NOT_THERE))],
    600,
    True,
)
LABS = Part("simulated labs", SLOW, 800, True)
SOCKETS = Part(
    "sockets, logs, this PC",
    [f"{INTEGRATION}/{one}" for one in ("test_transports.py", "test_logs.py", "pc")],
    300,
)
RIGS = Part(
    "rigs",
    [
        f"{INTEGRATION}/rig/test_{one}.py"
        for one in ("service", "lock", "fake", "manifest", "loading", "pulses", "preflight", "camera")
    ],
    400,
)
PROGRAMS = Part("programs that rigs drive", [f"{INTEGRATION}/rig/test_process.py"], 400)
CONDUCTOR = Part("conductor", [f"{INTEGRATION}/conductor"], 1200)
RECORD = Part("journals, verdicts, catalogue", [f"{INTEGRATION}/record"], 600)

WHOLE = [PURE, LABS, SOCKETS, RIGS, PROGRAMS, CONDUCTOR, RECORD]
FOR_EACH_CHANGE = [PURE, SOCKETS, PROGRAMS]


class Outcome(NamedTuple):
    """What became of a part."""

    name: str
    counts: dict[str, int]
    lacking: dict[str, int]
    """Tests that were skipped, by what Wine lacks."""
    is_well: bool


AGAIN = ("--reruns=2", "--reruns-delay=2")
"""What needs real time may fail once on a PC that is busy with others."""


def run_part(windows: Windows, part: Part) -> Outcome:
    """Run a part with Windows' Python, show what it prints, and count."""
    windows.forget(SCRATCH)
    code, printed = windows.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--color=no", "--tb=short"),
        *(
            "-rfEsR",
            "--timeout=60",
            rf"--basetemp=C:\{SCRATCH}",
            *part.paths,
            *(() if part.is_pure else AGAIN),
        ),
        limit=part.limit,
        shows=True,
    )
    if code is None:
        print(f"{part.name}: not done after {part.limit:g} s")
    return Outcome(part.name, count(printed), count_lacking(printed), code == 0)


def count(printed: str) -> dict[str, int]:
    """Return the counts of pytest's last line."""
    found = re.findall(r"^(?:=+ )?((?:\d+ \w+,? ?)+)in [\d.]+s", printed, re.MULTILINE)
    return {what: int(number) for number, what in re.findall(r"(\d+) (\w+)", found[-1])} if found else {}


def count_lacking(printed: str) -> dict[str, int]:
    """Return how many tests were skipped since Wine lacks what."""
    found: collections.Counter[str] = collections.Counter()
    for number, what in re.findall(r"^SKIPPED \[(\d+)\] .*: Wine lacks (.+)$", printed, re.MULTILINE):
        found[what] += int(number)
    return dict(found)


def run_mixed(windows: Windows, *tests: str, **environment: str) -> Outcome:
    """Run the sessions of both systems with this Python."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--timeout=180",
            *AGAIN,
            "-rR",
            *tests,
        ],
        cwd=ROOT,
        env={**os.environ, "MULTIRIG_WINDOWS": str(windows.folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    return Outcome("sessions with both systems", count(done.stdout), {}, done.returncode == 0)


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.windows", description=__doc__)
    parser.add_argument("tests", nargs="*", help="paths of tests, and options of pytest; without them all")
    parser.add_argument("--part", action="store_true", help="what is tried for each change")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures of the how-to anew")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where Windows' Python lies, or is put")
    told, more = parser.parse_known_args()
    begin = time.monotonic()
    try:
        windows = Windows(told.folder)
        windows.prepare()
    except NoWine as error:
        print(error)
        return 2
    print(f"Windows' Python is ready after {time.monotonic() - begin:.0f} s", flush=True)
    parts = FOR_EACH_CHANGE if told.part else WHOLE
    if told.pictures:
        parts = []
    elif told.tests or more:
        parts = [Part("what was asked for", [*told.tests, *more], 3600)]
    outcomes = []
    with windows.running():
        for part in parts:
            print(f"--- {part.name}", flush=True)
            outcomes.append(run_part(windows, part))
        if not (told.tests or more):
            print("--- sessions with both systems", flush=True)
            mixed = [MIXED, f"--ignore={SET_UP}"] if told.part else [MIXED]
            if told.pictures:
                outcomes.append(run_mixed(windows, SET_UP, MULTIRIG_SCREENSHOTS=IMAGES))
            else:
                outcomes.append(run_mixed(windows, *mixed))
    return tell(outcomes, time.monotonic() - begin)


def tell(outcomes: Sequence[Outcome], seconds: float) -> int:
    """Print all counts; return the exit code."""
    total: collections.Counter[str] = collections.Counter()
    lacking: collections.Counter[str] = collections.Counter()
    print("\nWindows' Python under Wine:")
    for one in outcomes:
        total.update(one.counts)
        lacking.update(one.lacking)
        said = ", ".join(f"{number} {what}" for what, number in one.counts.items()) or "not done"
        print(f"  {'✓' if one.is_well else '✗'} {one.name}: {said}")
    for what, number in sorted(lacking.items()):
        print(f"  skipped, since Wine lacks {what}: {number}")
    print(
        f"  {total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped; {seconds:.0f} s"
    )
    return 0 if all(one.is_well for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
