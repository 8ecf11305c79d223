"""``python -m tests.truth``: plays sessions with real programs and compares what is said with the truth.

Without arguments all cases are played. Exit code 0: no false GOOD, no false alarm, nothing else wrong, and
what stands in `NOT_YET` still fails.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import fnmatch
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.truth.cases import CASES, SHORT
from tests.truth.judge import Judgement, Kind, judge
from tests.truth.lab import SYSTEM_PYTHON, Lab
from tests.truth.model import Case, Truth
from tests.truth.not_yet import NOT_YET, NOT_YET_LINES

RESULTS = "results.json"
MEASURED = Path(__file__).with_name("measured.json")
"""What the last whole run has found, and what was played again after it; a table of the documentation."""
AT_ONCE = 12
"""Sessions that are played at once: they mostly wait."""
STARTING = 3
"""Of them, how many load their programs at once: that is what needs the processor."""
TRIES = 3
"""How often a case is played whose truth did not come about, as on a PC that was too busy."""


async def play(
    case: Case, folder: Path, starting: asyncio.Semaphore, *, keep: bool, first: int = 0
) -> Judgement:
    """Play a case until its truth has come about, and judge it; `first` is the number of the first try."""
    found = None
    for number in range(first, first + TRIES):
        place = folder / f"{case.name.replace('/', '_')}.{number}"
        place.mkdir(parents=True)
        outcome = await Lab(case, place, starting).play()
        found = await asyncio.to_thread(judge, outcome)
        if not keep and found.kind is Kind.RIGHT:
            shutil.rmtree(place, ignore_errors=True)
        if found.kind is not Kind.NOT_MADE:
            break
    assert found is not None
    return found


async def play_all(
    cases: Sequence[Case], folder: Path, at_once: int, *, keep: bool, quiet: bool
) -> list[Judgement]:
    """Play many cases beside each other; alone, at last, those whose truth did not come about."""
    seats, starting = asyncio.Semaphore(at_once), asyncio.Semaphore(STARTING)
    begin = time.monotonic()
    done: list[Judgement] = []

    unmade: list[Case] = []

    async def one(case: Case, *, is_alone: bool = False) -> None:
        async with seats:
            found = await play(case, folder, starting, keep=keep, first=TRIES if is_alone else 0)
        if found.kind is Kind.NOT_MADE and not is_alone:
            unmade.append(case)
            return
        done.append(found)
        expected = is_expected_to_fail(found)
        if not quiet or (found.kind is not Kind.RIGHT) != expected:
            mark = "not yet" if expected else found.kind.value
            place = f"{len(done):4}/{len(cases)} {time.monotonic() - begin:5.0f} s"
            print(f"{place}  {mark:11} {case.name}: {found.said[:300]}", flush=True)

    longest_first = sorted(cases, key=lambda case: max(case.seconds, case.limit / 4), reverse=True)
    await asyncio.gather(*map(one, longest_first))
    for case in unmade:  # a thousand pictures a second leave no time for others
        await one(case, is_alone=True)
    order = {case.name: place for place, case in enumerate(cases)}
    return sorted(done, key=lambda found: order[found.name])


def is_expected_to_fail(found: Judgement) -> bool:
    """Return whether a case stands in `NOT_YET`, or fails by nothing but `NOT_YET_LINES`."""
    if any(fnmatch.fnmatchcase(found.name, pattern) for pattern in NOT_YET):
        return True
    waits = [any(re.search(one, line) for one in NOT_YET_LINES) for line in found.lines]
    return found.kind is Kind.WRONG and bool(waits) and all(waits)


def can_be_played(case: Case) -> str | None:
    """Return why a case cannot be played on this PC; None: it can."""
    if any(cam.over == "rtsp" for rig in case.rigs for cam in rig.cams) and not has_gstreamer():
        return "Debian's GStreamer with its RTSP server is not here"
    is_root = os.geteuid() == 0 if hasattr(os, "geteuid") else False
    needs_root = case.network or case.leader_disk is not None or any(rig.disk for rig in case.rigs)
    if needs_root and not is_root:
        return "networks and disks of its own need root"
    return None


_SEEN: dict[str, bool] = {}


def has_gstreamer() -> bool:
    """Return whether the system's Python can serve RTSP."""
    if "gst" not in _SEEN:
        code = (
            "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
            "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
            "assert Gst.ElementFactory.find('x264enc')"
        )
        import subprocess

        _SEEN["gst"] = (
            Path(SYSTEM_PYTHON).exists()
            and subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False).returncode == 0
        )
    return _SEEN["gst"]


def let_programs_be_ended() -> None:
    """Let the programs of the cases end by signals that this one was begun to ignore, as by ``nohup``."""
    for name in ("SIGHUP", "SIGINT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # what is ignored is inherited, a handler is not


def tell(done: Sequence[Judgement], skipped: Sequence[tuple[Case, str]], seconds: float) -> int:
    """Print what was found; return the exit code."""
    bad = [one for one in done if one.truth is not Truth.HONEST and one.kind is not Kind.NOT_MADE]
    honest = [one for one in done if one.truth is Truth.HONEST and one.kind is not Kind.NOT_MADE]
    surprises = 0
    print()
    for pattern in NOT_YET:
        concerned = [one for one in done if fnmatch.fnmatchcase(one.name, pattern)]
        wanted = [one for one in CASES if fnmatch.fnmatchcase(one.name, pattern)]
        if len(concerned) == len(wanted) and all(one.kind is Kind.RIGHT for one in concerned):
            surprises += 1
            print(f"RIGHT NOW: {pattern}: take it out of NOT_YET")
    for words in NOT_YET_LINES:
        if not any(re.search(words, line) for one in done for line in one.lines):
            surprises += 1
            print(f"RIGHT NOW: {words}: take it out of NOT_YET_LINES")
    for one in done:
        if one.kind is not Kind.RIGHT and not is_expected_to_fail(one):
            surprises += 1
            print(f"{one.kind.value}: {one.name}\n    make truth CASES='{one.name}'")
            for line in one.lines:
                print(f"    {line}")
    for case, why in skipped:
        print(f"skipped: {case.name}: {why}")
    counts = collections.Counter(one.kind for one in done)
    false_good, false_alarm = (
        [one for one in done if one.kind is kind] for kind in (Kind.FALSE_GOOD, Kind.FALSE_ALARM)
    )
    waiting = [one for one in done if one.kind is not Kind.RIGHT and is_expected_to_fail(one)]
    print(f"false GOOD:   {len(false_good)} of {len(bad)} bad sessions")
    print(f"false alarms: {len(false_alarm)} of {len(honest)} honest sessions")
    print(
        f"{counts[Kind.WRONG]} wrong otherwise, {counts[Kind.NOT_MADE]} whose truth did not come about, "
        f"{len(waiting)} not yet mended, {len(skipped)} skipped; {seconds:.0f} s"
    )
    return 1 if surprises else 0


def count_kinds(done: Sequence[Judgement]) -> dict[str, dict[str, int]]:
    """Return how many sessions there were of each kind, and how many of them were judged falsely."""
    kinds: dict[str, dict[str, int]] = {}
    kind_of = {case.name: case.kind for case in CASES}
    for one in done:
        if one.kind is Kind.NOT_MADE:
            continue
        counted = kinds.setdefault(
            kind_of[one.name], {"bad": 0, "false GOOD": 0, "honest": 0, "false alarms": 0}
        )
        counted["honest" if one.truth is Truth.HONEST else "bad"] += 1
        counted["false GOOD"] += one.kind is Kind.FALSE_GOOD
        counted["false alarms"] += one.kind is Kind.FALSE_ALARM
    return kinds


def write_results(path: Path, done: Sequence[Judgement]) -> None:
    """Write what each case has shown."""
    results = [
        {
            **asdict(one),
            "truth": one.truth.name,
            "kind": one.kind.value,
            "facts": {name: asdict(each) for name, each in one.facts.items()},
        }
        for one in done
    ]
    path.write_text(json.dumps(results, indent=1), encoding="utf-8")


def read_results(path: Path) -> list[Judgement]:
    """Return what each case has shown in an earlier run."""
    return [
        Judgement(
            name=one["name"],
            truth=Truth[one["truth"]],
            kind=Kind(one["kind"]),
            said=one["said"],
            lines=tuple(one["lines"]),
        )
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def join(before: Sequence[Judgement], now: Sequence[Judgement]) -> list[Judgement]:
    """Return the last that each case has shown, in the order of the cases."""
    last = {one.name: one for one in [*before, *now]}
    return [last[case.name] for case in CASES if case.name in last]


def main() -> int:
    """Play what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases, with * for any text; without them all")
    parser.add_argument("--short", action="store_true", help="only the part that is played for each change")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th of them: a sample")
    parser.add_argument("--list", action="store_true", help="print the cases and what they must come to")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument(
        "--keep", metavar="FOLDER", type=Path, help="keep what was recorded, and results.json"
    )
    parser.add_argument(
        "--after", metavar="FILE", type=Path, help="results.json: let it stand for what is not played now"
    )
    parser.add_argument("--quiet", action="store_true", help="a line only for what is not as expected")
    told = parser.parse_args()
    chosen = [
        one
        for one in CASES
        if (not told.short or one.name in SHORT)
        and (not told.cases or any(fnmatch.fnmatchcase(one.name, pattern) for pattern in told.cases))
    ][:: told.every]
    if told.list:
        for one in chosen:
            print(f"{one.truth.name:8} {one.name}: {' or '.join(one.words)}")
        print(collections.Counter(one.truth.name for one in chosen))
        return 0
    if not chosen:
        print("no case has such a name")
        return 2
    reasons = {one.name: can_be_played(one) for one in chosen}
    skipped = [(one, why) for one in chosen if (why := reasons[one.name]) is not None]
    playable = [one for one in chosen if reasons[one.name] is None]
    folder = told.keep or Path(tempfile.mkdtemp(prefix="multirig-truth-"))
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    let_programs_be_ended()
    try:
        done = asyncio.run(
            play_all(playable, folder, told.at_once, keep=told.keep is not None, quiet=told.quiet)
        )
    finally:
        if told.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if told.after is not None:
        done = join(read_results(told.after), done)
    if told.keep is not None:
        write_results(told.keep / RESULTS, done)
    if len(done) == len(CASES):
        MEASURED.write_text(json.dumps({"kinds": count_kinds(done)}, indent=1) + "\n")
    return tell(done, skipped, time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(main())
