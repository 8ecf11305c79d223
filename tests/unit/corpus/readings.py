"""The one place where the corpus of version 0.1 asks today's code to read files; mend this, never the data.

`ADDED` names what later code says more than 0.1 did: each is a change that was meant. And 0.1 counted what
happened from when all rigs recorded, and its files and picture from when the first one began; now all counts
from the agreed start. What is told today is counted back here, to the nanosecond.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from multirig.cli import render
from multirig.cli.main import load_commands
from multirig.record.account import FILE_NAME as VERDICT_NAME
from multirig.record.account import account
from multirig.record.catalogue import Catalogue
from multirig.record.history import History
from multirig.record.journal import FILE_NAME as JOURNAL_NAME
from multirig.record.journal import read_history as read_journal
from multirig.record.manifest import check, find_manifests, read_manifest
from multirig.record.plot import compose
from multirig.record.recount import summarise
from multirig.record.story import tell
from multirig.record.summary import Summary
from multirig.record.time_files import OFFSETS_NAME, STARTS_NAME, write_offsets, write_starts
from multirig.record.verdict import MEANING, NOT_ALL_PROVED, Word
from multirig.rig.memory import read_memory

ADDED = frozenset(
    {
        "agreed_start",
        "cut_off",
        "format",
        "evidence",
        "findings",
        "pc",
        "person",
        "task_died",
        "still_records",
        "unverified",
        "unwritten",
    }
)
"""Keys, at any depth, that 0.1 did not write."""
WIDTH = 160
_UNVERIFIED = re.compile(r", \d+ rigs? not verified: .*?  session ")
"""Of a verdict: 0.1 took the word of a rig that can prove nothing."""

__all__ = ["ADDED", "JOURNAL_NAME", "OFFSETS_NAME", "STARTS_NAME", "VERDICT_NAME"]


def to_plain(value: Any) -> Any:
    """Return it as a file of JSON would give it back."""
    return load_json(json.dumps(value, default=str))


def load_json(text: str) -> Any:
    """Return what stands there, times to the nanosecond."""
    return json.loads(text, parse_float=lambda number: _round(float(number)))


def without_added(told: Any) -> Any:
    """Return it without what 0.1 did not write."""
    match told:
        case dict():
            return {key: without_added(one) for key, one in told.items() if key not in ADDED}
        case list():
            return [without_added(one) for one in told]
    return told


def read_account(folder: Path, count: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """Return the account of a session as its journal gives it; the version of the program says nothing."""
    told = without_added(to_plain((count or _count_back)(account(folder)).to_json()))
    told.pop("version")
    told.pop("remarks")  # of the session as a whole; 0.1 had those of its rigs
    return told


def read_summary(folder: Path) -> dict[str, Any]:
    """Return what the journal tells, without the verdict."""
    told = without_added(to_plain(_summarise(read_journal(folder)).to_json()))
    told.pop("remarks", None)
    return told


def _summarise(history: History) -> Summary:
    return summarise(history.moments, history.unreadable)


def _count_back(told: Any) -> Any:
    """Count the times of a summary, or an account, from when all rigs recorded."""
    if told.running_from is None:
        return told
    rigs = [one for rig in told.rigs.values() for one in rig.remarks]
    for one in (*told.remarks, *told.happenings, *told.markers, *rigs):
        if one.seconds is not None:
            one.seconds = _round(one.seconds + told.zero - told.running_from)
    if (reasons := getattr(told, "reasons", None)) is not None and told.length is not None:
        told.reasons = [_count_end_back(one, told.length) for one in reasons]
    return told


def _count_end_back(reason: str, length: float) -> str:
    return re.sub(
        r"(interrupted|recover'|stop') \S+ s after the start", rf"\1 {length:.1f} s after the start", reason
    )


def _round(seconds: float) -> float:
    return round(seconds, 9)


def _find_old_zero(told: Summary) -> float:
    """Return when the first rig began."""
    firsts = [rig.first for rig in told.rigs.values() if rig.first is not None]
    starts = [rig.started_at for rig in told.rigs.values() if rig.started_at is not None]
    return min([*firsts, *starts], default=0.0)


def read_story(folder: Path) -> list[dict[str, Any]]:
    """Return the journal in words."""
    moments = read_journal(folder).moments
    lines = [to_plain({**asdict(line), "kind": line.kind.value}) for line in tell(moments)]
    zero = 0
    for line, moment in zip(lines, moments, strict=True):
        if line["seconds"] is None:
            zero = 0
        else:
            zero = zero or moment.at
            line["seconds"] = (moment.at - zero) / 1e9
    return lines


def read_picture(folder: Path) -> dict[str, Any]:
    """Return what a picture of the session would show."""
    history = read_journal(folder)
    lines = list(tell(history.moments))
    summary = _summarise(history)
    summary.agreed_start = _find_old_zero(summary)
    told = without_added(to_plain(asdict(compose(history, summary, lines))))
    told["axis"] = told["axis"].replace("the agreed start", "the first rig began to record")
    return told


def read_tables(folder: Path) -> dict[str, str]:
    """Return the tables of clocks and starts, by file, as they would be written today."""
    clocks = read_journal(folder).clocks
    return {OFFSETS_NAME: write_offsets(clocks), STARTS_NAME: write_starts(account(folder))}


def replay(folder: Path) -> dict[str, Any]:
    """Return where a session is when its journal is fed into a machine."""
    machine = read_journal(folder).machine
    return {
        "state": machine.state.value,
        "exp_ref": None if machine.exp_ref is None else str(machine.exp_ref),
        "rigs": {name: str(address) for name, address in machine.rigs.items()},
        "roles": {name: one.role.value for name, one in machine.policies.items()},
        "has_run": machine.has_run,
        "joins": machine.joins,
        "last_number": machine.last_number,
        "lost": None if machine.lost is None else [machine.lost.rig, machine.lost.notice.value],
        "ended": {name: str(one) for name, one in machine.ended.items()},
        "found": {name: str(one) for name, one in machine.found.items()},
    }


def read_history(subjects: Path, index: Path) -> list[dict[str, Any]]:
    """Return the sessions below a folder as the catalogue lists them."""
    catalogue = Catalogue(subjects, index)
    catalogue.refresh()
    rows = [to_plain(one.to_json()) for one in catalogue.search()]
    return [without_added({key: one for key, one in row.items() if key != "folder"}) for row in rows]


@contextmanager
def _on_a_wide_screen() -> Iterator[io.StringIO]:
    text = io.StringIO()
    before = render.out, render.err
    render.out = render.err = Console(file=text, width=WIDTH, highlight=False, color_system=None)
    try:
        with redirect_stdout(text):
            yield text
    finally:
        render.out, render.err = before


@cache
def _command() -> Any:
    return typer.main.get_command(load_commands())


def show(folder: Path, *options: str) -> str:
    """Return what ``multirig show`` prints of a folder, which is called ``<folder>``."""
    with _on_a_wide_screen() as text:
        _command().main(["show", str(folder), *options], standalone_mode=False, prog_name="multirig")
    told = _UNVERIFIED.sub("  session ", text.getvalue()).replace(NOT_ALL_PROVED, MEANING[Word.GOOD])
    for spelt in (json.dumps(str(folder))[1:-1], str(folder)):  # Windows' backslashes are two in JSON
        told = told.replace(spelt, "<folder>")
    return told


def show_as_json(folder: Path) -> dict[str, Any]:
    """Return what ``multirig show --json`` says of a session."""
    told = without_added(load_json(show(folder, "--json")))
    told.pop("version")
    told.pop("remarks")  # of the session as a whole; 0.1 had those of its rigs
    return told


def read_manifests(folder: Path) -> dict[str, Any]:
    """Return the manifests in a folder, by file."""
    return {one.name: without_added(to_plain(asdict(read_manifest(one)))) for one in find_manifests(folder)}


def verify(folder: Path) -> list[dict[str, Any]]:
    """Return what has become of the files of each manifest."""
    return [to_plain({**asdict(one), "condition": one.condition.value}) for one in check(folder)]


def read_rig_memory(path: Path) -> dict[str, Any] | None:
    """Return what a rig still knows after its program has died."""
    memory = read_memory(path)
    if memory is None:
        return None
    return {
        "state": memory.state.value,
        "exp_ref": None if memory.exp_ref is None else str(memory.exp_ref),
        "started": list(map(str, memory.started)),
        "stopped": list(map(str, memory.stopped)),
    }
