"""``python -m tests.windows``: runs the tests with a real Python for Windows, under Wine, and counts.

Without arguments all that makes sense there is run, with ``--part`` what is tried for each change, with paths
of tests those alone. With ``--here`` the Python that runs this is tried: on Windows itself, and on macOS.
"""

from __future__ import annotations

import argparse
import collections
import io
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.windows.wine import ROOT, NoWine, Windows

FOLDER = ROOT / ".venv-windows"
FROM_HERE = ["tests/windows"]
"""Programs of Windows' Python and of this one, together; run by this one."""
SET_UP = ["tests/windows/test_set_up.py"]
"""Goes through the how-to, and draws its pictures where that is wanted."""
IMAGES = "docs/images"
MIXED = ["tests/windows/test_mixed.py", "tests/windows/test_session_end.py"]


class Part(NamedTuple):
    """Tests that are run in one process."""

    name: str
    paths: Sequence[str]
    limit: float
    """Seconds, for what hangs; the part that is not done then has failed."""
    is_pure: bool = False
    """Needs no real time, so whatever fails is not tried again."""
    more: Mapping[str, str] = {}
    """For the environment of the tests."""


SCRATCH = "multirig-tests"
"""On Windows' disk C:."""
UNIT, INTEGRATION = "tests/unit", "tests/integration"
SLOW = (f"{UNIT}/sim", f"{UNIT}/cli/test_main.py")
NOT_THERE = (f"{UNIT}/truth",)
"""The truth suite's programs end by signals that Windows has not."""
PURE = Part(
    "pure rooms, without simulated labs",
    [UNIT, *(f"--ignore={one}" for one in (*SLOW, *NOT_THERE))],
    1200,
    True,
)
LABS = Part("simulated labs", SLOW, 800, True)
SOCKETS = Part(
    "sockets, logs, this PC, its keys",
    [f"{INTEGRATION}/{one}" for one in ("test_transports.py", "test_logs.py", "pc", "keyring")],
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
RECORD = Part(
    "journals, verdicts, catalogue, reading back",
    [f"{INTEGRATION}/{one}" for one in ("record", "reading", "export")],
    600,
)
PEERS = Part(
    "IBL's peers",
    [
        f"{INTEGRATION}/iblutil",
        # how they leave their sockets to the loop is theirs
        *("-W", "default::pytest.PytestUnraisableExceptionWarning"),
    ],
    900,
)
LOSS = Part(
    "200 sessions over UDP at 20 % loss, 200 over TCP",
    [f"{INTEGRATION}/faults/test_endurance.py"],
    1200,
    more={"MULTIRIG_ENDURE": "1"},
)

WHOLE = [PURE, LABS, SOCKETS, RIGS, PROGRAMS, CONDUCTOR, RECORD, PEERS, LOSS]
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


class Here:
    """The Python that runs this, on Windows or macOS themselves."""

    def run(
        self, *arguments: str, limit: float, more: Mapping[str, str], shows: bool
    ) -> tuple[int | None, str]:
        """Run it until it ends or its time is over; return its exit code and what it printed."""
        with subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            is_late = threading.Event()

            def give_up() -> None:
                is_late.set()
                process.kill()

            timer = threading.Timer(limit, give_up)
            timer.start()
            lines = []
            for line in process.stdout or ():
                lines.append(line)
                if shows:
                    print(line, end="", flush=True)
            process.wait()
            timer.cancel()
        return None if is_late.is_set() else process.returncode, "".join(lines)


def run_part(python: Windows | Here, part: Part, scratch: str) -> Outcome:
    """Run a part with a Python, show what it prints, and count."""
    print(f"--- {part.name}", flush=True)
    code, printed = python.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--color=no", "--tb=short"),
        *("-rfEsR", "--timeout=60", f"--basetemp={scratch}", *part.paths, *(() if part.is_pure else AGAIN)),
        limit=part.limit,
        more=part.more,
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


def run_from_here(windows: Windows, tests: Sequence[str], **more: str) -> Outcome:
    """Run, with this Python, tests that start programs of both systems."""
    options = ("-q", "-p", "no:cacheprovider", "--timeout=180", *AGAIN, "-rR")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=ROOT,
        env={**os.environ, "MULTIRIG_WINDOWS": str(windows.folder), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    return Outcome(
        "sessions with both systems, commands, console", count(done.stdout), {}, done.returncode == 0
    )


def main() -> int:
    """Run what the command line says."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe of Windows holds only its own letters
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    parser = argparse.ArgumentParser(prog="python -m tests.windows", description=__doc__)
    parser.add_argument("tests", nargs="*", help="paths of tests, and options of pytest; without them all")
    parser.add_argument("--part", action="store_true", help="what is tried for each change")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pure", action="store_true", help="of that only what needs no real time")
    which.add_argument("--timed", action="store_true", help="of that only what does")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures of the how-to anew")
    parser.add_argument(
        "--here", action="store_true", help="with this Python: on Windows itself, and on macOS"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where Windows' Python lies, or is put")
    told, more = parser.parse_known_args()
    begin = time.monotonic()
    parts = FOR_EACH_CHANGE if told.part else WHOLE
    if told.pure or told.timed:
        parts = [one for one in parts if one.is_pure == told.pure]
    if told.tests or more:
        parts = [Part("what was asked for", [*told.tests, *more], 3600)]
    if told.here:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            outcomes = [run_part(Here(), part, str(Path(scratch, "tests"))) for part in parts]
        return tell(f"Python {platform.python_version()} on {platform.system()}", outcomes, begin)
    try:
        windows = Windows(told.folder)
        windows.prepare()
    except NoWine as error:
        print(error)
        return 2
    print(f"Windows' Python is ready after {time.monotonic() - begin:.0f} s", flush=True)
    outcomes = []
    with windows.running():
        if told.pictures:
            outcomes.append(run_from_here(windows, SET_UP, MULTIRIG_SCREENSHOTS=IMAGES))
            return tell("Windows' Python under Wine", outcomes, begin)
        for part in parts:
            windows.forget(SCRATCH)
            outcomes.append(run_part(windows, part, rf"C:\{SCRATCH}"))
        if not (told.tests or more or told.pure):
            print("--- programs of both systems", flush=True)
            outcomes.append(run_from_here(windows, MIXED if told.part else FROM_HERE))
    return tell("Windows' Python under Wine", outcomes, begin)


def tell(python: str, outcomes: Sequence[Outcome], begin: float) -> int:
    """Print all counts; return the exit code."""
    seconds = time.monotonic() - begin
    total: collections.Counter[str] = collections.Counter()
    lacking: collections.Counter[str] = collections.Counter()
    print(f"\n{python}:")
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
