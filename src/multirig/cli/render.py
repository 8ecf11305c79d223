"""The one place that prints."""

from __future__ import annotations

import datetime
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from multirig import wording
from multirig.errors import MultirigError
from multirig.lifecycle.rig_states import RigState
from multirig.pc.finding import Finding, Level
from multirig.protocol import words
from multirig.record.account import Account
from multirig.record.catalogue import NO_VERDICT, NOT_OVER, Listed
from multirig.record.story import Line, say_marker
from multirig.record.summary import Incident
from multirig.record.timing import Spread, say_spread
from multirig.record.verdict import Word, say_meaning
from multirig.rig.manifest import Checked, Condition
from multirig.rig.snapshot import Snapshot

if TYPE_CHECKING:
    from multirig.conductor.rehearsal import Rehearsed
    from multirig.sim.search import Report

out = Console(highlight=False, soft_wrap=False)
"""What was asked for."""
err = Console(highlight=False, stderr=True)
"""What is going on, and what went wrong."""
SHOWN_MARKERS = 20
"""Markers that stand among what happened: a task may mark each of a thousand trials."""

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


_VERDICTS = {
    Word.GOOD: ("✓", "bold green"),
    Word.DEGRADED: ("!", "bold yellow"),
    Word.INCOMPLETE: ("✗", "bold red"),
    Word.INTERRUPTED: ("✗", "bold red"),
    Word.ABORTED: ("✗", "bold red"),
}
_WORDS = {**{str(word): look for word, look in _VERDICTS.items()}, NOT_OVER: ("…", "bold yellow")}
_WORDS[NO_VERDICT] = ("·", "dim")


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
    sys.stdout.write(json.dumps(data, indent=2) + "\n")
    sys.stdout.flush()


def ask(question: str) -> str:
    """Ask the person at the PC, and return the answer."""
    err.print(Text.assemble(("? ", "bold cyan"), question, " "), end="", soft_wrap=True)
    return input()


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


def status_line(snapshot: Snapshot) -> Text:
    """Return a rig's one line: state, exp_ref, frames, MB, disk free, conductor."""
    health = snapshot.health
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
    if snapshot.failure is not None:
        parts.append((snapshot.failure, "bold yellow"))
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (text, style) in enumerate(parts):
        line.append("  " if number else "")
        line.append(text, style)
    return line


def step_line(name: str, rigs: int, failed: int, seconds: float) -> None:
    """Print on how many rigs a step is done."""
    mark = ("! ", "bold yellow") if failed else ("✓ ", "green")
    count = f"{rigs - failed} of {rigs} rigs" if failed else wording.count(rigs, "rig")
    err.print(Text.assemble(mark, f"{name:<11}", (f"{count} in {wording.duration(seconds)}", "dim")))


def waiting_text(name: str, rigs: Iterable[str]) -> Text:
    """Return which rigs a step waits for."""
    return Text.assemble(f"{name:<11}", (f"waits for {', '.join(rigs) or 'the end of it'}", "dim"))


def outcome_line(step: str, rig: str, outcome: words.Word | MultirigError) -> None:
    """Print that a rig could not do a step."""
    err.print(Text.assemble(("✗ ", "bold red"), f"{step:<11}", (rig, "bold"), f": {outcome}"), soft_wrap=True)


def alarm_line(rig: str, text: str) -> None:
    """Print that something is wrong on a rig that records."""
    err.print(Text.assemble(("! ", "bold yellow"), (rig, "bold"), f": {text}"), soft_wrap=True)


def watch_table(elapsed: float, reports: Mapping[str, words.Report]) -> Group:
    """Return what every rig records now."""
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
    return Group(Text.assemble(("● ", "bold red"), f"recording for {wording.duration(elapsed)}"), table)


def show_verdict(told: Account) -> None:
    """Print what a session turned out to be, and why."""
    mark, style = _VERDICTS[told.verdict] if told.is_final else ("…", "bold yellow")
    title = Text.assemble((f"{mark} ", style), (told.headline if told.is_final else "NOT OVER", style))
    title.append("  session ")
    title.append(told.exp_ref or "without a number", "bold")
    if told.began:
        title.append(f"  {told.began[:19].replace('T', ' ')}", "dim")
    out.print(title, soft_wrap=True)
    meaning = say_meaning(told.verdict, told.unverified)
    if not told.is_final:
        meaning = (
            f"it is {told.state}, as far as its journal tells; if it ended so: {told.verdict}, {meaning}"
        )
    out.print(Text(f"  {meaning}"), soft_wrap=True)
    for reason in told.reasons:
        out.print(Text.assemble((f"  {mark} ", style), reason), soft_wrap=True)
    for note in told.notes:
        out.print(Text(f"  · {note}", "dim"), soft_wrap=True)


def show_sessions(sessions: Iterable[Listed]) -> None:
    """Print a list of sessions: when, which number, who, what it turned out to be and why."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("began", "no", "subject", "verdict", "length", "rigs"):
        table.add_column(heading, justify="right" if heading in ("no", "length") else "left", no_wrap=True)
    if not out.is_terminal:
        table.add_column("why", no_wrap=True)
    reasons = []
    for one in sessions:
        began = one.date.isoformat()
        if one.began_at is not None:
            began += datetime.datetime.fromtimestamp(one.began_at).strftime(" %H:%M")
        mark, style = _WORDS[one.word]
        length = "" if one.seconds is None else wording.duration(one.seconds)
        verdict = Text(f"{mark} {one.headline}", style)
        row: list[Any] = [began, str(one.number), Text(one.subject), verdict, length, ", ".join(one.rigs)]
        reasons.append(Text(f"  {one.reason}", "dim" if one.verdict is None else "") if one.reason else None)
        table.add_row(*row, *([] if out.is_terminal else [Text(one.reason)]))
    if not out.is_terminal:
        print_table(table)
        return
    for line, reason in zip(out.render_lines(table, pad=False), [None, *reasons], strict=True):
        out.print(Text.assemble(*((part.text, part.style or "") for part in line)), soft_wrap=True)
        if reason is not None:  # a sentence: in a column it would be read word by word
            out.print(reason, soft_wrap=True)


def show_summary(told: Account, folder: object | None = None) -> None:
    """Print what a session was: the verdict, each rig, each file, each step, what happened."""
    show_verdict(told)
    if folder is not None:
        out.print(Text(f"  {folder}", "dim"), soft_wrap=True)
    if told.rigs or told.own_files:
        print_table(_files_table(told))
    bounds = [rig.clock_bound for rig in told.rigs.values() if rig.clock_bound is not None]
    if bounds:
        out.print(
            Text(f"  times from the beginning; clocks agree within ±{wording.duration(max(bounds))}", "dim")
        )
    if told.steps:
        steps = "  ".join(f"{step.name} {wording.duration(step.seconds)}" for step in told.steps)
        out.print(Text(f"  {steps}", "dim"))
    show_timing(told)
    marked = [
        Incident(seconds=one.seconds, rig=None, text=f"marked: {say_marker(one.text, one.data)}")
        for one in told.markers[:SHOWN_MARKERS]
    ]
    happened = [*told.happenings, *marked]
    for one in sorted(happened, key=lambda one: float("-inf") if one.seconds is None else one.seconds):
        when = wording.since(one.seconds)
        out.print(Text.assemble((f"  {when:>10}  ", "dim"), (one.rig or "session", "bold"), f"  {one.text}"))
    if left := len(told.markers) - len(marked):
        out.print(Text(f"  and {wording.count(left, 'more marker')}: --journal tells them all", "dim"))


def spread_line(spread: Spread) -> None:
    """Print how near to each other the rigs have just started."""
    err.print(Text(f"  {say_spread(spread, 'started')}", "dim"), soft_wrap=True)


def show_timing(told: Account) -> None:
    """Print how near to each other the rigs started, and what is known of each clock."""
    for spread, what in ((told.start_spread, "started"), (told.first_spread, "had their first frame")):
        if spread is not None:
            out.print(Text(f"  {say_spread(spread, what)}"), soft_wrap=True)
    for name, rig in told.silent_starts.items():
        within = "" if rig.started_within is None else f" {wording.duration(rig.started_within)} later"
        line = f"{name} does not tell when it started: between the command and its answer{within}"
        out.print(Text(f"  {line}", "dim"), soft_wrap=True)
    for name, rig in told.rigs.items():
        if (clock := rig.clock) is not None:
            figures = (
                f"{wording.ahead(clock.offset)} ± {wording.span(clock.bound)}",
                f"drift {clock.drift:+.2f} ppm",
                f"round trip {wording.span(clock.round_trip)}",
                wording.count(clock.readings, "reading"),
                *([wording.count(len(clock.jumps), "jump")] if clock.jumps else ()),
            )
            out.print(Text(f"  clock of {name}: {', '.join(figures)}", "dim"), soft_wrap=True)
        elif rig.was_started and rig.clock_bound is None:
            reason = "it is no multirig" if rig.is_foreign else "nobody read it"
            out.print(Text(f"  clock of {name}: not known, {reason}", "dim"), soft_wrap=True)


def _files_table(told: Account) -> Table:
    zero = told.zero
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("rig", "file", "size", "frames", "first frame", "last frame"):
        justify: Literal["left", "right"] = "left" if heading in ("rig", "file") else "right"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading not in ("rig", "file"))
    for name, rig in told.rigs.items():
        shown = ""
        for number, one in enumerate(rig.files):
            folder_name, _, file_name = one.path.rpartition("/")
            if folder_name != shown or number == 0:
                table.add_row(Text(name if number == 0 else ""), Text(f"{folder_name}/", "dim"))
                shown = folder_name
            times = ("" if at is None else f"{at - zero:+.4f} s" for at in (one.first, one.last))
            frames = "" if one.frames is None else str(one.frames)
            table.add_row("", Text(file_name), wording.size(one.bytes), frames, *times)
        if not rig.files:
            table.add_row(Text(name), f"{rig.files_total} files", wording.size(rig.bytes_total))
    for number, own in enumerate(told.own_files):
        table.add_row("this PC" if number == 0 else "", Text(own.path), wording.size(own.bytes))
    if left := told.own_files_total - len(told.own_files):
        table.add_row("", f"and {left} more", "")
    return table


def show_story(lines: Iterable[Line]) -> None:
    """Print a journal for people: the time of day, the time since all rigs record, who, and what."""
    for line in lines:
        since = wording.since(line.seconds, digits=3)
        time = line.wall[11:23]
        out.print(
            Text.assemble((f"{time}  {since:>12}  ", "dim"), (f"{line.who:<12}", "bold"), f"  {line.what}"),
            soft_wrap=True,
        )


def checked_line(one: Checked) -> None:
    """Print what has become of a file."""
    mark, style = ("✓", "green") if one.condition is Condition.WHOLE else ("·", "dim")
    if not one.condition.is_fine:
        mark, style = "✗", "bold red"
    out.print(
        Text.assemble(
            (f"{mark} {one.condition:<9}", style), (one.rig, "bold"), f"  {one.path}: {one.detail}"
        ),
        soft_wrap=True,
    )


def show_check(found: Iterable[Checked]) -> None:
    """Print how many files are what they were."""
    counts = Counter(one.condition for one in found)
    words = ", ".join(f"{counts[one]} {one}" for one in Condition if counts[one]) or "no files are listed"
    is_fine = all(one.is_fine for one in counts)
    out.print(Text.assemble(("✓ ", "green") if is_fine else ("✗ ", "bold red"), words))


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
    out.print(Text(heading, "bold"))
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
