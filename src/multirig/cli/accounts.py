"""Sessions that were, printed: what they turned out to be, what they hold, what happened, and when."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from multirig import wording
from multirig.cli import render
from multirig.record.account import Account
from multirig.record.catalogue import NO_VERDICT, NOT_OVER, Listed
from multirig.record.limits import is_of_other_clock
from multirig.record.manifest import Checked, Condition
from multirig.record.story import Line, say_marker
from multirig.record.summary import Incident
from multirig.record.timing import Spread, say_spread
from multirig.record.verdict import Word, say_meaning

SHOWN_MARKERS = 20
"""Markers that stand among what happened: a task may mark each of a thousand trials."""

_VERDICTS = {
    Word.GOOD: ("✓", "bold green"),
    Word.DEGRADED: ("!", "bold yellow"),
    Word.INCOMPLETE: ("✗", "bold red"),
    Word.INTERRUPTED: ("✗", "bold red"),
    Word.ABORTED: ("✗", "bold red"),
}
_WORDS = {**{str(word): look for word, look in _VERDICTS.items()}, NOT_OVER: ("…", "bold yellow")}
_WORDS[NO_VERDICT] = ("·", "dim")


def show_verdict(told: Account) -> None:
    """Print what a session turned out to be, and why."""
    mark, style = _VERDICTS[told.verdict] if told.is_final else ("…", "bold yellow")
    title = Text.assemble((f"{mark} ", style), (told.headline if told.is_final else "NOT OVER", style))
    title.append("  session ")
    title.append(told.exp_ref or "without a number", "bold")
    if told.began:
        title.append(f"  {told.began[:19].replace('T', ' ')}", "dim")
    if told.person:
        title.append(f"  led by {told.person}", "dim")
    render.out.print(title, soft_wrap=True)
    meaning = say_meaning(told.verdict, told.unverified)
    if not told.is_final:
        meaning = (
            f"it is {told.state}, as far as its journal tells; if it ended so: {told.verdict}, {meaning}"
        )
    render.out.print(Text(f"  {meaning}"), soft_wrap=True)
    for reason in told.reasons:
        render.out.print(Text.assemble((f"  {mark} ", style), reason), soft_wrap=True)
    for note in told.notes:
        render.out.print(Text(f"  · {note}", "dim"), soft_wrap=True)


def show_sessions(sessions: Iterable[Listed]) -> None:
    """Print a list of sessions: when, which number, who, what it turned out to be and why."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("began", "no", "subject", "verdict", "length", "rigs"):
        table.add_column(heading, justify="right" if heading in ("no", "length") else "left", no_wrap=True)
    if not render.out.is_terminal:
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
        table.add_row(*row, *([] if render.out.is_terminal else [Text(one.reason)]))
    if not render.out.is_terminal:
        render.print_table(table)
        return
    for line, reason in zip(render.out.render_lines(table, pad=False), [None, *reasons], strict=True):
        render.out.print(Text.assemble(*((part.text, part.style or "") for part in line)), soft_wrap=True)
        if reason is not None:  # a sentence: in a column it would be read word by word
            render.out.print(reason, soft_wrap=True)


def show_summary(told: Account, folder: object | None = None) -> None:
    """Print what a session was: the verdict, each rig, each file, each step, what happened."""
    show_verdict(told)
    if folder is not None:
        render.out.print(Text(f"  {folder}", "dim"), soft_wrap=True)
    if told.rigs or told.own_files:
        render.print_table(_files_table(told))
    bounds = [rig.clock_bound for rig in told.rigs.values() if rig.clock_bound is not None]
    if bounds:
        render.out.print(
            Text(
                f"  times from the agreed start; clocks agree within ±{wording.duration(max(bounds))}", "dim"
            )
        )
    if told.steps:
        steps = "  ".join(f"{step.name} {wording.duration(step.seconds)}" for step in told.steps)
        render.out.print(Text(f"  {steps}", "dim"))
    show_timing(told)
    marked = [
        Incident(seconds=one.seconds, rig=None, text=f"marked: {say_marker(one.text, one.data)}")
        for one in told.markers[:SHOWN_MARKERS]
    ]
    happened = [*told.happenings, *marked]
    for one in sorted(happened, key=lambda one: float("-inf") if one.seconds is None else one.seconds):
        when = wording.since(one.seconds)
        render.out.print(
            Text.assemble((f"  {when:>10}  ", "dim"), (one.rig or "session", "bold"), f"  {one.text}")
        )
    if left := len(told.markers) - len(marked):
        render.out.print(Text(f"  and {wording.count(left, 'more marker')}: --journal tells them all", "dim"))


def spread_line(spread: Spread) -> None:
    """Print how near to each other the rigs have just started."""
    render.err.print(Text(f"  {say_spread(spread, 'started')}", "dim"), soft_wrap=True)


def show_timing(told: Account) -> None:
    """Print how near to each other the rigs started, and what is known of each clock."""
    for spread, what in ((told.start_spread, "started"), (told.first_spread, "had their first frame")):
        if spread is not None:
            render.out.print(Text(f"  {say_spread(spread, what)}"), soft_wrap=True)
    for name, rig in told.silent_starts.items():
        within = "" if rig.started_within is None else f" {wording.duration(rig.started_within)} later"
        line = f"{name} does not tell when it started: between the command and its answer{within}"
        render.out.print(Text(f"  {line}", "dim"), soft_wrap=True)
    for name, rig in told.rigs.items():
        if (clock := rig.clock) is not None:
            figures = (
                f"{wording.ahead(clock.offset)} ± {wording.span(clock.bound)}",
                f"drift {clock.drift:+.2f} ppm",
                f"round trip {wording.span(clock.round_trip)}",
                wording.count(clock.readings, "reading"),
                *([wording.count(len(clock.jumps), "jump")] if clock.jumps else ()),
            )
            render.out.print(Text(f"  clock of {name}: {', '.join(figures)}", "dim"), soft_wrap=True)
        elif rig.was_started and rig.clock_bound is None:
            reason = "it is no multirig" if rig.is_foreign else "nobody read it"
            render.out.print(Text(f"  clock of {name}: not known, {reason}", "dim"), soft_wrap=True)


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
            times = (_say_time(at, zero) for at in (one.first, one.last))
            frames = "" if one.frames is None else str(one.frames)
            table.add_row("", Text(file_name), wording.size(one.bytes), frames, *times)
        if not rig.files:
            table.add_row(Text(name), f"{rig.files_total} files", wording.size(rig.bytes_total))
    for number, own in enumerate(told.own_files):
        table.add_row("this PC" if number == 0 else "", Text(own.path), wording.size(own.bytes))
    if left := told.own_files_total - len(told.own_files):
        table.add_row("", f"and {left} more", "")
    return table


def _say_time(at: float | None, zero: float) -> str:
    if is_of_other_clock(at, zero):
        return "other clock"
    return "" if at is None else f"{at - zero:+.4f} s"


def show_story(lines: Iterable[Line]) -> None:
    """Print a journal for people: the time of day, the time since the agreed start, who, and what."""
    for line in lines:
        since = wording.since(line.seconds, digits=3)
        time = line.wall[11:23]
        render.out.print(
            Text.assemble((f"{time}  {since:>12}  ", "dim"), (f"{line.who:<12}", "bold"), f"  {line.what}"),
            soft_wrap=True,
        )


def checked_line(one: Checked) -> None:
    """Print what has become of a file."""
    mark, style = ("✓", "green") if one.condition is Condition.WHOLE else ("·", "dim")
    if not one.condition.is_fine:
        mark, style = "✗", "bold red"
    render.out.print(
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
    render.out.print(Text.assemble(("✓ ", "green") if is_fine else ("✗ ", "bold red"), words))
