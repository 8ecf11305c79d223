"""``multirig rehearse``: lets everything go wrong that can, in a lab that does not exist."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multirig.cli import render
from multirig.cli.program import FAILED, app
from multirig.cli.rehearse_live import rehearse_live
from multirig.cli.rigs import RigsFile
from multirig.cli.session import DEFAULT_DATA
from multirig.conductor.rehearsal import LONGEST, SECONDS
from multirig.errors import ConfigError
from multirig.wording import listed

if TYPE_CHECKING:
    from multirig.sim.search import Report

SAY_EVERY = 500
"""Seeds between two lines on how far it is."""


@app.command()
def rehearse(
    seed: Annotated[
        int | None, typer.Option(min=0, help="Show one false lab: what happens in it, and its verdict.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Run so many false labs, and count what happens.")] = 1000,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    processes: Annotated[int, typer.Option(min=1, help="How many at once.")] = os.cpu_count() or 1,
    live: Annotated[
        bool, typer.Option("--live", help="Make a short test recording on real rigs, and remove it.")
    ] = False,
    remote: Annotated[
        list[str] | None,
        typer.Option("--remote", "-r", help="With --live: rigs, by name or address."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=LONGEST, help="With --live: how long to record.")
    ] = SECONDS,
    data: Annotated[
        Path, typer.Option(help="With --live: where this PC's part of a session would go.")
    ] = DEFAULT_DATA,
    rigs_file: RigsFile = None,
    json: Annotated[bool, typer.Option("--json", help="With --live: the result for machines.")] = False,
) -> int:
    """Lead sessions through losses, crashes and partitions, drawn from seeds, with no rig and no network.

    The real programs run in virtual time. What must hold whatever breaks is watched; a seed in which it does
    not is the same again on every PC.

    With --live: check real rigs and let them record for a few seconds, to see that they are ready.
    """
    if live:
        return rehearse_live(remote or [], seconds, data, rigs_file, json=json)
    if remote:
        raise ConfigError("--remote is for a rehearsal on real rigs: add --live")
    if seed is not None:
        return _show_one(seed)
    # a laboratory that does not exist is loaded by the command that wants one, and not by each of the others
    from multirig.sim.lab import run
    from multirig.sim.scenario import draw
    from multirig.sim.search import shrink, simulate_all

    report = simulate_all(range(first, first + seeds), processes, _say_progress)
    render.show_rehearsal(report)
    if not report.failed:
        return 0
    smallest = shrink(draw(report.failed[0]))
    result = run(smallest)
    render.show_lines("the first failing seed, made as small as it still fails", smallest.lines())
    render.show_lines("what happens then", result.trace())
    render.show_lines("what does not hold", map(str, result.violations))
    render.say(f"once more: multirig rehearse --seed {report.failed[0]}")
    return FAILED


def _show_one(seed: int) -> int:
    from multirig.sim.lab import run
    from multirig.sim.scenario import draw

    scenario = draw(seed)
    result = run(scenario)
    render.show_lines(f"seed {seed}", scenario.lines())
    render.show_lines("what happens", result.trace())
    if not result.violations:
        render.show_lines("verdict", ["everything that is promised has held"])
        return 0
    render.show_lines("what does not hold", map(str, result.violations))
    return FAILED


def _say_progress(report: Report) -> None:
    if report.seeds % SAY_EVERY == 0:
        failed = f" ({listed([*map(str, report.failed)])})" if report.failed else ""
        render.say(f"{report.seeds} seeds, {len(report.failed)} of them fail{failed}")
