"""The one place that prints; what sessions were is printed by `multirig.cli.accounts`, through it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from multirig import wording
from multirig.errors import ConfigError, MultirigError
from multirig.lifecycle.rig_states import RigState
from multirig.pc.console import is_console
from multirig.pc.finding import Finding, Level
from multirig.protocol import words

if TYPE_CHECKING:
    from multirig.conductor.rehearsal import Rehearsed
    from multirig.rig.snapshot import Snapshot
    from multirig.sim.search import Report


class _Careful(Console):
    """Shows text from elsewhere, such as a name in a journal, as text: it moves no cursor."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return what is printed; what Rich says to the terminal itself stays as it is."""
        for one in super().render(renderable, options):
            if one.control or one.text.isprintable():
                yield one
            else:
                yield Segment(wording.clean(one.text, sys.maxsize, keep="\n"), one.style)


out: Console = _Careful(highlight=False, soft_wrap=False)
"""What was asked for."""
err: Console = _Careful(highlight=False, stderr=True)
"""What is going on, and what went wrong."""

PIPE_WIDTH = 10_000
"""Columns of a table that goes into a file or another program: nothing is wrapped."""
_last: list[str] = []

_COLOURS = {
    RigState.CONNECTED: "green",
    RigState.INITIALIZED: "cyan",
    RigState.RUNNING: "bold red",
    RigState.BROKEN: "bold yellow",
    RigState.FAILING: "bold yellow",
}
_MARKS = {
    Level.OK: ("✓", "green"),
    Level.NOTE: ("·", "dim"),
    Level.WARNING: ("!", "bold yellow"),
    Level.FAILURE: ("✗", "bold red"),
}


def print_table(table: Table) -> None:
    """Print a table; where it is no terminal each row is one line, as `grep` and `cut` like it."""
    if out.is_terminal:
        out.print(table)
        return
    for line in out.render_lines(table, out.options.update(width=PIPE_WIDTH), pad=False):
        out.print(Text("".join(part.text for part in line).rstrip()), soft_wrap=True)


def show_error(error: BaseException) -> None:
    """Print an error for the person at the PC: its words, no stack."""
    err.print(Text.assemble(("✗ ", "bold red"), wording.discreet(str(error))), soft_wrap=True)


def show_json(data: Any) -> None:
    """Print plain values for a machine, and nothing else, on standard output."""
    show_text(json.dumps(data, indent=2) + "\n")


def show_text(text: str) -> None:
    """Print text for a machine as it is, and nothing else, on standard output."""
    sys.stdout.write(text)
    sys.stdout.flush()


def has_keyboard() -> bool:
    """Whether a person can type to this program."""
    return is_console(sys.stdin)


def ask(question: str) -> str:
    """Ask the person at the PC, and return the answer."""
    ask_for(question)
    return input()


def confirm(question: str, *, yes: bool, nothing: str) -> None:
    """Let the operator say that it is meant.

    Parameters
    ----------
    question : str
    yes : bool
        Whether that was said already, by an option.
    nothing : str
        What was not done, where the answer is no.

    Raises
    ------
    ConfigError
        Nobody is there to be asked.
    typer.Abort
        It is not meant.
    """
    if yes:
        return
    if not has_keyboard():
        raise ConfigError(f"nobody is there to confirm it: give --yes; {nothing}")
    if not ask(question).strip().lower().startswith("y"):
        say(nothing)
        raise typer.Abort


def ask_for(question: str) -> None:
    """Print a question; what is typed then somebody else reads."""
    err.print(Text.assemble(("? ", "bold cyan"), question, " "), end="", soft_wrap=True)


def say_answer(question: str, answer: str) -> None:
    """Print what is taken for an answer where nobody is asked."""
    err.print(Text.assemble(("? ", "bold cyan"), f"{question}? ", (answer, "bold")), soft_wrap=True)


def done(text: str) -> None:
    """Print that something is done as it was wanted."""
    err.print(Text.assemble(("✓ ", "green"), text), soft_wrap=True)


def warn_at_last(text: str) -> None:
    """Keep what the person at the PC must not overlook for the last line, whatever else is printed."""
    if text not in _last:
        _last.append(text)


def say_last() -> None:
    """Print what was kept for the last line."""
    while _last:
        err.print(Text.assemble(("✗ ", "bold red"), (_last.pop(0), "bold")), soft_wrap=True)


def warn(text: str) -> None:
    """Print what the person at the PC should look after; the program goes on."""
    err.print(Text.assemble(("! ", "bold yellow"), text), soft_wrap=True)


def say(text: str) -> None:
    """Print a line on what is going on."""
    err.print(Text(text), soft_wrap=True)


@contextmanager
def changing_line(line: RenderableType) -> Iterator[Live]:
    """Show a last line that changes; whatever is printed meanwhile, on either stream, stands above it."""
    with Live(line, console=out, auto_refresh=False, transient=True) as live:
        shares = err.is_terminal
        if shares:
            err.push_render_hook(live)  # else a warning stands on the same line
        try:
            yield live
        finally:
            if shares:
                err.pop_render_hook()


def status_line(snapshot: Snapshot) -> Text:
    """Return a rig's one line: state, exp_ref, frames, MB, disk free, conductor."""
    health = snapshot.health
    if snapshot.question is not None:
        return Text(snapshot.question, "bold yellow")  # to be read to its end, on as many lines as it takes
    parts: list[tuple[str, str]] = [
        (snapshot.name, "bold"),
        (str(snapshot.state), _COLOURS.get(snapshot.state, "cyan")),
    ]
    if snapshot.subject is not None:
        parts.append((f"for {snapshot.subject}", "bold"))
    if snapshot.exp_ref is not None:
        parts.append((str(snapshot.exp_ref), "bold"))
        if health.frames is not None:
            rate = f" at {wording.rate(health.rate)}" if health.rate is not None else ""
            parts.append((f"{health.frames} frames{rate}", ""))
        parts.append((wording.size(health.bytes), ""))
        if health.dropped:
            parts.append((f"{health.dropped} dropped", "bold yellow"))
    parts.append((f"{wording.size(snapshot.disk_free)} free", "dim"))
    if snapshot.conductor is not None:
        parts.append((f"led by {snapshot.conductor}", "dim"))
    if snapshot.conductor_silent is not None:
        parts.append((f"not heard for {wording.duration(snapshot.conductor_silent)}", "bold yellow"))
    if snapshot.is_open:
        parts.append(("open to all", "bold yellow"))
    if (refused := wording.refused(snapshot.refused)) is not None:
        parts.append((refused, "bold yellow"))
    if snapshot.failure is not None:
        parts.append((snapshot.failure, "bold yellow"))
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (text, style) in enumerate(parts):
        line.append("  " if number else "")
        line.append(text, style)
    return line


def name_window(text: str) -> None:
    """Write what a program does on its window and in the task bar; Windows gives the old name back."""
    global _window
    if sys.platform == "win32" and out.is_terminal and text != _window:
        _window = text
        out.set_window_title(text)


_window = ""


def step_line(name: str, rigs: int, failed: int, seconds: float) -> None:
    """Print on how many rigs a step is done."""
    mark = ("! ", "bold yellow") if failed else ("✓ ", "green")
    count = f"{rigs - failed} of {rigs} rigs" if failed else wording.count(rigs, "rig")
    err.print(Text.assemble(mark, f"{name:<11}", (f"{count} in {wording.duration(seconds)}", "dim")))


def waiting_text(name: str, rigs: Iterable[str], refused: Mapping[str, int] | None = None) -> Text:
    """Return which rigs a step waits for, and who was refused lately: messages of each address."""
    waits = f"waits for {', '.join(rigs) or 'the end of it'}"
    return Text.assemble(f"{name:<11}", (waits, "dim"), *_refused(refused))


def outcome_line(step: str, rig: str, outcome: words.Word | MultirigError) -> None:
    """Print that a rig could not do a step."""
    err.print(Text.assemble(("✗ ", "bold red"), f"{step:<11}", (rig, "bold"), f": {outcome}"), soft_wrap=True)


def alarm_line(rig: str, text: str) -> None:
    """Print that something is wrong on a rig that records."""
    err.print(Text.assemble(("! ", "bold yellow"), (rig, "bold"), f": {text}"), soft_wrap=True)


def watch_table(
    elapsed: float, reports: Mapping[str, words.Report], refused: Mapping[str, int] | None = None
) -> Group:
    """Return what every rig records now, and who was refused lately: messages of each address."""
    table = Table(box=None, pad_edge=False)
    for heading in ("rig", "state", "frames", "rate", "size", "dropped"):
        table.add_column(heading, justify="left" if heading in ("rig", "state") else "right", style="")
    for rig, report in reports.items():
        health = report.health or words.Health()
        rate, frames = health.rate, health.frames
        table.add_row(
            Text(rig),
            Text(str(report.doing or "?"), "bold yellow" if report.failure else "red"),
            "" if frames is None else str(frames),
            "" if rate is None else wording.rate(rate),
            wording.size(health.bytes),
            "" if report.health is None else str(health.dropped),
        )
    said = f"recording for {wording.duration(elapsed)}"
    return Group(Text.assemble(("● ", "bold red"), said, *_refused(refused)), table)


def _refused(counts: Mapping[str, int] | None) -> list[tuple[str, str]]:
    said = wording.refused(counts or {})
    return [] if said is None else [(f"  {said}", "bold yellow")]


def show_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a plain table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    print_table(table)


def show_lines(heading: str, lines: Iterable[str]) -> None:
    """Print lines under a heading, each as it is."""
    out.print(Text(heading, "bold"), soft_wrap=True)
    for line in lines:
        out.print(Text(f"  {line}"), soft_wrap=True)


def show_rehearsal(report: Report) -> None:
    """Print what came of many seeds."""
    mark = ("! ", "bold yellow") if report.failed else ("✓ ", "green")
    counts = report.counts
    title = f"{report.seeds} seeds, {len(report.failed)} of them fail"
    out.print(Text.assemble(mark, (title, "bold")))
    groups = {
        "sessions": "sessions",
        "verdicts": "verdict",
        "steps": "step",
        "faults": "fault",
        "datagrams": "datagrams",
        "states at the end": "session",
        "violations": "violation",
    }
    for heading, kind in groups.items():
        found = {key: count for key, count in sorted(counts.items()) if key.split(" ")[0] == kind}
        if found:
            words = (f"{key.removeprefix(kind).strip() or 'all'} {count}" for key, count in found.items())
            out.print(Text(f"  {heading}: {', '.join(words)}"), soft_wrap=True)
    for violation in report.violations:
        out.print(Text(f"  {violation}", "bold yellow"), soft_wrap=True)


def show_findings(found: Mapping[str, Sequence[Finding]]) -> None:
    """Print what speaks for and against a session, PC by PC, and what it comes to."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, findings in found.items():
        for number, one in enumerate(findings):
            mark, colour = _MARKS[one.level]
            style = "" if one.level in (Level.OK, Level.NOTE) else colour
            what = Text.assemble((f"{mark} ", colour), one.check)
            table.add_row(Text(name if number == 0 else "", "bold"), what, Text(one.text, style))
    print_table(table)
    counts = Counter(one.level for findings in found.values() for one in findings)
    words = ", ".join(wording.count(counts[level], str(level)) for level in (Level.FAILURE, Level.WARNING))
    graver = (level for level in (Level.FAILURE, Level.WARNING) if counts[level])
    mark, colour = _MARKS[next(graver, Level.OK)]
    ending = "put right what failed before a session" if counts[Level.FAILURE] else "a session can begin"
    out.print(Text.assemble((f"{mark} ", colour), (f"{words}: {ending}", "bold")))


def show_troubles(found: Mapping[str, Sequence[Finding]]) -> None:
    """Print the warnings and failures of a check, one a line."""
    for name, findings in found.items():
        for one in findings:
            if one.level in (Level.WARNING, Level.FAILURE):
                mark, colour = _MARKS[one.level]
                line = Text.assemble(
                    (f"{mark} ", colour), f"{one.check:<11}", (name, "bold"), f": {one.text}"
                )
                err.print(line, soft_wrap=True)


def show_rehearsed(rehearsed: Mapping[str, Rehearsed], *, ready: bool) -> None:
    """Print what each rig has recorded in a rehearsal, and whether it is ready."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("rig", "", "frames", "rate", "size", "a second", "dropped"):
        table.add_column(heading, justify="left" if heading in ("rig", "") else "right")
    for name, one in rehearsed.items():
        if one.problems:
            word = Text("✗ not ready", "bold red")
        else:
            word = Text("✓ ready", "green") if one.was_tried else Text("· not asked", "dim")
        figures = (
            "" if one.frames is None else str(one.frames),
            "" if one.rate is None else wording.rate(one.rate),
            wording.size(one.bytes),
            f"{wording.size(one.bytes_per_second)}/s",
            str(one.dropped),
        )
        table.add_row(Text(name, "bold"), word, *(figures if one.bytes else ()))
    print_table(table)
    for name, one in rehearsed.items():
        for problem in one.problems:
            out.print(Text.assemble(("✗ ", "bold red"), (name, "bold"), f": {problem}"), soft_wrap=True)
        if not one.was_tried and not one.problems:
            text = f"· {name} is no multirig, or an older one: it cannot rehearse, look at it yourself"
            out.print(Text(text, "dim"), soft_wrap=True)
    mark, colour = _MARKS[Level.OK if ready else Level.FAILURE]
    out.print(Text.assemble((f"{mark} ", colour), ("ready" if ready else "not ready", "bold")))
