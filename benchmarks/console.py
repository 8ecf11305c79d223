"""What the web console costs, how soon it shows a change, and whether a session's start notices it.

32 real rigs in four processes, each with a heartbeat a second to the console; ``multirig console`` as a
program of its own; three visitors in Debian's Chromium (any other that Playwright knows will do), each with
cookies and a web socket of its own, all on the page of the lab. Everything is on this one computer, the
browser too, so that rigs, conductor, console and browser wait for each other's processors. Pages on other
computers are imitated by a program that fetches whatever a page does, and draws nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.field import SECOND, Member
from benchmarks.offsets import percentile
from multirig.lifecycle.rig_states import RigState

RIGS = 32
PROCESSES = 4
FILMED = 2
"""Rigs of each process that have two cameras."""
BROWSERS = 3
SETTLE = 6.0
"""Seconds after which what begins with a page or a session is over."""
SPELL = 20.0
"""Seconds for which the console's processor time is counted."""
SPELLS = 2
ONE_BY_ONE = 10
"""Sessions with one rig, each of which changes its state four times."""
ALL_AT_ONCE = 3
"""Sessions with all rigs, in which all change their states in the same moment."""
DWELL = 0.6
"""Seconds for which a rig stays in a state, so that it has to be shown before the next one comes."""
SESSIONS = 8
"""Whose start is timed, in each block."""
BLOCKS = 3
"""Of sessions without a console, and with one in both ways; in turn."""
ONE, ALL = "one rig at a time", f"all {RIGS} at once"
WITHOUT, ELSEWHERE, HERE = "without", "pages on other computers", "browsers on this one"
CLAIM_CORE = 25.0
"""Percent of one core that the console takes, at most."""
CLAIM_SHOWN = 300.0
"""Milliseconds from a rig's change of state until a page shows it, in 95 of 100 cases, at most.

It is claimed of one rig at a time. Where all change at once it was not kept, with the browsers on two cores
that the rigs share: that figure is told, and not claimed.
"""
CLAIM_START = 1.1
"""Of a start without a console, at most; or what its own blocks differ, where that is more.

It is claimed of a console whose pages are open on other computers. With three browsers that draw on two cores
which the rigs share it was not kept: that figure is told, and not claimed.
"""
BROWSER = "chromium", "google-chrome", "chrome", "msedge"
WORDS = {
    RigState.INITIALIZED.value: "Set to start",
    RigState.RUNNING.value: "Recording",
    RigState.STOPPED.value: "Stopped",
    RigState.CONNECTED.value: "Ready",
}
"""What a card shows in a state that lasts."""
LIMIT = 30.0
"""Seconds that anything may take."""
_WATCH = """
  window.seen = [];
  window.shown = window.counted = 0;
  const known = new Map();
  const look = (changes) => {
    const now = Date.now() / 1000;
    const isFrames = (one) => one?.previousElementSibling?.textContent === "frames";
    window.counted += new Set(changes.map((one) => one.target.parentElement).filter(isFrames)).size;
    for (const card of document.querySelectorAll("[data-rig]")) {
      const word = card.querySelector(".state span")?.textContent;
      if (known.get(card.dataset.rig) === word) continue;
      known.set(card.dataset.rig, word);
      window.seen.push([card.dataset.rig, word, now]);
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  document.addEventListener("load", (event) => { if (event.target.tagName === "IMG") window.shown++; }, true);
"""
"""Notes each word of a card with the time of day, from when on the document holds it; counts pictures and
new counts of frames.
"""

_COUNTS = "[window.shown, window.counted]"


class Program:
    """``multirig console`` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        state = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "multirig", "console", "--port", "0", "--no-browser"],
            cwd=folder,
            env={**os.environ, "MULTIRIG_RIGS": str(folder)}
            | {key: str(folder / name) for key, name in state.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        found = re.search(r"ready at (\S+)", line)
        if found is None:
            raise RuntimeError(f"the console does not come: {line!r}")
        self.url = found[1]
        self.reloads: list[float] = []
        """When a page gave up its web socket, and was loaded anew."""
        self._known = psutil.Process(self._process.pid)

    def seconds(self) -> float:
        """Return what it has had of the processors, without the session's own process; seconds."""
        times = self._known.cpu_times()
        return float(times.user + times.system)

    def leading(self) -> list[psutil.Process]:
        """Return the processes that lead a session."""
        return [one for one in self._known.children() if "multirig.dashboard.leading" in one.cmdline()]

    def end(self) -> None:
        """End it as Ctrl-C does."""
        self._process.terminate()
        try:
            self._process.wait(LIMIT)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]


@dataclass(frozen=True)
class Lab:
    """The rigs, and the program that leads sessions with them without a console."""

    folder: Path
    rigs: list[Member]
    ports: dict[str, int]
    conductor: Member
    one: Member
    """Leads the first rig alone."""

    def changes(self) -> list[tuple[str, str, float]]:
        """Return each change of state since the last call: rig, state, time of day in seconds."""
        return [tuple(change) for process in self.rigs for change in process.ask("changed")]

    def spread(self) -> float:
        """Return the time between the first and the last start since the last call; seconds."""
        stamps: list[int] = []
        for process in self.rigs:
            for found in process.ask("starts").values():
                stamps += [day for day, _ in found]
        if len(stamps) != RIGS:
            raise RuntimeError(f"{len(stamps)} of {RIGS} rigs have started")
        return (max(stamps) - min(stamps)) / SECOND


def _start(kind: str, folder: Path, *options: object) -> Member:
    command = [sys.executable, "-m", "benchmarks.members", kind, "127.0.0.1", str(folder)]
    return Member([*command, *map(str, options)], host="127.0.0.1", ahead=0)


@contextlib.contextmanager
def _lab() -> Iterator[Lab]:
    members: list[Member] = []

    def start(kind: str, *options: object) -> Member:
        members.append(_start(kind, folder, *options))
        return members[-1]

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        share = RIGS // PROCESSES
        try:
            rigs = [start("rigs", number * share, share, FILMED) for number in range(PROCESSES)]
            ports = {name: port for one in rigs for name, port in one.ready()["ports"].items()}
            uris = [f"udp://127.0.0.1:{port}" for port in ports.values()]
            (folder / "remote_rigs.yaml").write_text(
                "".join(f"{name}: {uri}\n" for name, uri in zip(ports, uris, strict=True))
            )
            conductor, one = start("conductor", *uris), start("conductor", uris[0])
            conductor.ready()
            one.ready()
            yield Lab(folder, rigs, ports, conductor, one)
        finally:
            for member in members:
                member.end()
            for member in members:
                member.wait()


@contextlib.contextmanager
def _console(lab: Lab) -> Iterator[tuple[Program, list[Any]]]:
    """Start a console, and open it in every browser."""
    from playwright.sync_api import sync_playwright

    program = Program(lab.folder)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=next(filter(None, map(shutil.which, BROWSER)), None), args=["--no-sandbox"]
            )
            pages = [browser.new_context().new_page() for _ in range(BROWSERS)]
            for page in pages:
                page.add_init_script(_WATCH)
                page.goto(program.url)
                page.wait_for_function(
                    "(count) => [...document.querySelectorAll('.rig .state')]"
                    ".filter((one) => one.innerText.includes('Ready')).length === count",
                    arg=RIGS,
                    timeout=LIMIT * 1000,
                )
            time.sleep(SETTLE)
            for page in pages:
                page.on("load", lambda _: program.reloads.append(time.time()))
            yield program, pages
            browser.close()
    finally:
        program.end()


# -- what it costs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Percent of one core, of each spell, and what the pages saw meanwhile."""

    console: list[float] = field(default_factory=list)
    leading: list[float] = field(default_factory=list)
    """Of the process that leads the session."""
    pictures: list[float] = field(default_factory=list)
    """That each page has shown in a second."""
    browsers: list[float] = field(default_factory=list)
    """Of all processes of the browser together."""
    frames: list[float] = field(default_factory=list)
    """How often in a second each page has shown that a rig has more frames."""


def _count(program: Program, pages: list[Any]) -> Cost:
    cost = Cost()
    for _ in range(SPELLS):
        leading = program.leading()
        before_it = [page.evaluate(_COUNTS) for page in pages]
        browsers = [one for one in psutil.Process().children(recursive=True) if _draws(one)]
        drawn = _used(browsers)
        before, lead_before, began = program.seconds(), _used(leading), time.monotonic()
        time.sleep(SPELL)
        seconds = time.monotonic() - began
        cost.console.append(100 * (program.seconds() - before) / seconds)
        cost.browsers.append(100 * (_used(browsers) - drawn) / seconds)
        if leading:
            cost.leading.append(100 * (_used(leading) - lead_before) / seconds)
        for page, known in zip(pages, before_it, strict=True):
            shown, counted = page.evaluate(_COUNTS)
            cost.pictures.append((shown - known[0]) / seconds)
            cost.frames.append((counted - known[1]) / seconds)
    return cost


def _draws(process: psutil.Process) -> bool:
    """Whether a process is one of the browser's."""
    try:
        return any(one in process.name() for one in ("chrom", "msedge"))
    except psutil.Error:
        return False


def _used(processes: list[psutil.Process]) -> float:
    times = [one.cpu_times() for one in processes]
    return sum(float(one.user + one.system) for one in times)


def _record(page: Any) -> None:
    """Select all rigs and start a session, as an operator does."""
    for box in page.locator("[data-rig] [role=checkbox]").all():
        if box.get_attribute("aria-checked") != "true":
            box.click()
    page.get_by_label("Subject").fill("bench")
    page.get_by_role("button", name=f"Start recording bench on {RIGS} rigs").click(timeout=LIMIT * 1000)
    session = page.get_by_role("region", name="Session")
    session.get_by_role("heading", name="Recording", exact=True).wait_for(timeout=LIMIT * 1000)


def measure_cost(lab: Lab) -> dict[str, Cost]:
    """Return what the console takes while nothing is recorded, and while it has all rigs record."""
    with _console(lab) as (program, pages):
        idle = _count(program, pages)
        _record(pages[0])
        time.sleep(SETTLE)
        recording = _count(program, pages)
        pages[0].get_by_role("button", name="Stop", exact=True).click()
        pages[0].get_by_role("button", name="New session").click(timeout=LIMIT * 1000)
    return {"idle": idle, "recording": recording}


# -- how soon it shows ---------------------------------------------------------------------------------------


def measure_shown(lab: Lab) -> dict[str, list[float]]:
    """Return how long each page took to show each change of a state that lasts; seconds, ascending."""
    found: dict[str, list[float]] = {}
    with _console(lab) as (_, pages):
        for kind, leading, sessions in (
            (ONE, lab.one, ONE_BY_ONE),
            (ALL, lab.conductor, ALL_AT_ONCE),
        ):
            lab.changes()
            for _ in range(sessions):
                for step in ("prepare", "start", "stop", "clean_up"):
                    leading.ask(step)
                    time.sleep(DWELL)
            time.sleep(1)
            changes = lab.changes()
            seen = [page.evaluate("window.seen") for page in pages]
            found[kind] = sorted(late for one in seen for late in _delays(changes, one))
    return found


def _delays(changes: list[tuple[str, str, float]], seen: list[tuple[str, str, float]]) -> Iterator[float]:
    """Yield how long after each change the word for it was there."""
    for rig, state, at in changes:
        if (word := WORDS.get(state)) is None:
            continue
        shown = [when for who, what, when in seen if who == rig and what == word and when >= at - 0.002]
        # what is shown only after the state was left again, or never, counts as the longest that there is
        yield min(shown, default=at + LIMIT) - at


# -- whether a start notices ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Starts:
    """Of each session: how long its start took, and how far apart its rigs began; seconds."""

    took: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)


def _lead(lab: Lab, into: Starts) -> None:
    for number in range(SESSIONS + 1):
        for process in lab.rigs:
            process.ask("starts")
        lab.conductor.ask("prepare")
        took = lab.conductor.ask("start")
        spread = lab.spread()
        if number > 0:  # the first warms up
            into.took.append(took)
            into.spread.append(spread)
        lab.conductor.ask("stop")
        lab.conductor.ask("clean_up")


@contextlib.contextmanager
def _visited_from_elsewhere(lab: Lab) -> Iterator[None]:
    """Start a console whose pages are open on other computers: all is sent, and nothing drawn here."""
    program = Program(lab.folder)
    try:
        visitors = _start("visitors", lab.folder, program.url, BROWSERS)
        try:
            visitors.ready()
            time.sleep(SETTLE)
            before = visitors.ask("seen")
            yield
            after = visitors.ask("seen")
            if not all(after[what] > before[what] for what in ("pictures", "updates")):
                raise RuntimeError(f"the visitors have seen nothing: {before}, {after}")
        finally:
            visitors.end()
            visitors.wait()
    finally:
        program.end()


def measure_starts(lab: Lab) -> dict[str, list[Starts]]:
    """Return the starts of each block of sessions: without a console, and with one."""
    blocks: dict[str, list[Starts]] = {kind: [] for kind in (WITHOUT, ELSEWHERE, HERE)}
    for _ in range(BLOCKS):
        for kind, around in ((WITHOUT, None), (ELSEWHERE, _visited_from_elsewhere), (HERE, _console)):
            with contextlib.nullcontext() if around is None else around(lab):
                blocks[kind].append(Starts())
                _lead(lab, blocks[kind][-1])
    return blocks


# -- all of it -----------------------------------------------------------------------------------------------


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    with _lab() as lab:
        costs = measure_cost(lab)
        for state, cost in costs.items():
            each = ", ".join(f"{one:.1f}" for one in cost.console)
            leading = f"; the session's own process {median(cost.leading):.1f} %" if cost.leading else ""
            say(
                f"  {state:<10} {each} % of one core{leading}; all browsers "
                f"{median(cost.browsers):.0f} %; on each page "
                f"{median(cost.pictures):.1f} pictures and {median(cost.frames):.1f} new counts of frames a "
                "second"
            )
        for state, cost in costs.items():
            claim(f"{state}: the console's share of one core", median(cost.console), CLAIM_CORE, "%")
        shown = measure_shown(lab)
        for kind, found in shown.items():
            p50, p95 = (percentile(found, percent) * 1e3 for percent in (50, 95))
            say(
                f"  a change of state on a page, {kind}: median {p50:.0f} ms, p95 {p95:.0f} ms, last "
                f"{found[-1] * 1e3:.0f} ms ({len(found)} words)"
            )
        claim(f"{ONE}: p95 until it is shown", percentile(shown[ONE], 95) * 1e3, CLAIM_SHOWN, "ms")
        _report_starts(measure_starts(lab), claim, say)


def _report_starts(
    blocks: dict[str, list[Starts]], claim: Callable[..., None], say: Callable[[str], None]
) -> None:
    for what, words in (("took", "until all record"), ("spread", "first to last start")):
        every = {kind: [getattr(one, what) for one in found] for kind, found in blocks.items()}
        medians = {kind: median(chain.from_iterable(found)) for kind, found in every.items()}
        for kind, found in every.items():
            listed = sorted(chain.from_iterable(found))
            each = ", ".join(f"{median(one) * 1e3:.2f}" for one in found)
            say(
                f"  {words}, {kind:<24} median {medians[kind] * 1e3:6.2f} ms, p95 "
                f"{percentile(listed, 95) * 1e3:6.2f} ms ({len(listed)} starts; block by block {each})"
            )
        without = sorted(median(one) for one in every[WITHOUT])
        noise = without[-1] / without[0]
        say(f"         {words}: blocks without a console differ by {noise:.2f} x among themselves")
        claim(
            f"{words}, {ELSEWHERE}, against {WITHOUT}",
            medians[ELSEWHERE] / medians[WITHOUT],
            max(CLAIM_START, noise),
        )
        say(f"         {words}, {HERE}, against {WITHOUT}: {medians[HERE] / medians[WITHOUT]:.2f} x")
