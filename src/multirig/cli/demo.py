"""``multirig demo``: three rigs as processes on this PC, a whole session over them, and more if you like."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
import yaml

from multirig.cli import render
from multirig.cli.demo_rigs import DemoRig, run_rigs
from multirig.cli.program import app
from multirig.cli.session import record_session, show_account
from multirig.cli.typed import join, program
from multirig.conductor.conductor import Conductor
from multirig.conductor.leading import Wishes
from multirig.config import check_length
from multirig.config.conductor import FILE_NAME
from multirig.logs import keep_log
from multirig.record.account import Account
from multirig.writing import write_whole

DEMO_DATA = Path("multirig-demo")
"""Where the demo records if nothing else is said."""
SUBJECT = "demo_mouse"
RIGS_NAME = "remote_rigs.yaml"
"""List of the rigs that are kept, in the data folder."""
CONDUCTOR_FILE = f"""\
# What the console offers for the rigs of multirig demo --keep.
console:
  subjects: [{SUBJECT}]
  tasks: ["multirig.examples.tasks.spontaneous:Session"]
  data_folder: .
"""


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0.5, callback=check_length, help="How long to record.")] = 5.0,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where the rigs record.")] = DEMO_DATA,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the rigs running afterwards, until Ctrl-C.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="The result for machines, on standard output.")
    ] = False,
) -> None:
    """Record a session on three rigs that run on this PC: two cameras, and a monitor of this PC."""
    keep_log("conductor")
    if keep:
        asyncio.run(_record_and_keep(seconds, data.absolute(), data, json=json))
    else:
        show_account(*asyncio.run(record(seconds, data.absolute())), json=json)


async def record(seconds: float, data: Path) -> tuple[Account, Path]:
    """Start three rigs, lead a session over them, and return what was recorded and where the journal lies."""
    async with run_rigs(data) as rigs:
        return await _lead(rigs, seconds, data)


async def _record_and_keep(seconds: float, data: Path, shown: Path, *, json: bool) -> None:
    """Record a session, show it, and leave the rigs running until Ctrl-C.

    Parameters
    ----------
    seconds : float
        How long to record.
    data, shown : pathlib.Path
        Where the rigs record: in full, and as it was typed.
    json : bool
        Show it for machines.
    """
    async with run_rigs(data) as rigs:
        told, folder = await _lead(rigs, seconds, data)
        _write_files(data, {name: one.uri for name, one in rigs.items()})
        try:
            show_account(told, folder, json=json)
        finally:  # also after a session that is not good
            words = ["console", "--rigs-file", str(shown / RIGS_NAME), "--data", str(shown)]
            render.say(f"the rigs go on until Ctrl-C; in another terminal type: {program()} {join(words)}")
            wishes = Wishes()
            wishes.attend()
            with wishes.heeding_signals(wishes.stop):
                await _watch(rigs, wishes.end)


async def _lead(rigs: Mapping[str, DemoRig], seconds: float, data: Path) -> tuple[Account, Path]:
    conductor = Conductor({name: one.uri for name, one in rigs.items()}, data_folder=data)
    return await record_session(conductor.session(SUBJECT), Wishes(seconds))


async def _watch(rigs: Mapping[str, DemoRig], ended: asyncio.Event) -> None:
    """Return when it is to end; a rig that ends before that is told."""
    ending = asyncio.create_task(ended.wait())
    left = dict(rigs)
    while not ending.done():
        reading = [one.reading for one in left.values()]
        await asyncio.wait({ending, *reading}, return_when=asyncio.FIRST_COMPLETED)
        for name in [name for name, one in left.items() if one.reading.done() and not ending.done()]:
            del left[name]
            render.warn(f"the rig {name} has ended: press Ctrl-C to end the others too, and begin again")


def _write_files(data: Path, rigs: Mapping[str, str]) -> None:
    """Write which rigs there are, and what the console offers, unless somebody has changed that."""
    heading = "# The rigs of multirig demo --keep while it runs; each time they are elsewhere.\n"
    write_whole(data / RIGS_NAME, (heading + yaml.safe_dump(dict(rigs), sort_keys=False)).encode())
    if not (data / FILE_NAME).exists():
        write_whole(data / FILE_NAME, CONDUCTOR_FILE.encode())
