"""``multirig demo``: three rigs as processes on this PC, and a whole session over them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from multirig.cli import render
from multirig.cli.main import app
from multirig.cli.session import lead, show_account
from multirig.conductor.account import Account
from multirig.conductor.conductor import Conductor
from multirig.errors import MultirigError
from multirig.logs import keep_log

READY_LIMIT = 30.0
"""Seconds that a rig process has to come up on a slow PC."""
QUIT_LIMIT = 10.0
"""Seconds that a rig process has to end by itself."""
DEMO_DATA = Path("multirig-demo")
"""Where the demo records if nothing else is said."""
SUBJECT = "demo_mouse"


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to record.")] = 5.0,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where the rigs record.")] = DEMO_DATA,
    json: Annotated[
        bool, typer.Option("--json", help="The result for machines, on standard output.")
    ] = False,
) -> None:
    """Record a session on three rigs that run on this PC: two cameras, and a monitor of this PC."""
    keep_log("conductor")
    show_account(*asyncio.run(record(seconds, data.absolute())), json=json)


def configs(data: Path, logs: Path) -> dict[str, dict[str, Any]]:
    """Return the configurations of the demo's three rigs."""
    shared = {"uri": "udp://127.0.0.1:0", "data_folder": str(data), "log_folder": str(logs)}

    def camera(label: str) -> dict[str, Any]:
        return {
            "type": "camera",
            "cameras": [{"label": label, "source": "test", "fps": 60, "size": [640, 480]}],
        }

    monitor = {
        "type": "process",
        "command": ["{python}", "-m", "multirig.examples.pc_monitor", "{folder}/pc_monitor.csv"],
        "ready": "^ready",
        "progress": r"samples (?P<frames>\d+)",
        "stop_by": {"stdin": "stop"},
        "collection": "raw_pc_data",
    }
    return {
        "monitor": {"name": "monitor", "main_sync": True, "adapter": monitor, **shared},
        "left": {"name": "left", "adapter": camera("left"), **shared},
        "right": {"name": "right", "adapter": camera("right"), **shared},
    }


async def record(seconds: float, data: Path) -> tuple[Account, Path]:
    """Start three rigs, lead a session over them, and return what was recorded and where the journal lies."""
    with tempfile.TemporaryDirectory(prefix="multirig-demo-", ignore_cleanup_errors=True) as scratch:
        async with contextlib.AsyncExitStack() as stack:
            files = {}
            for name, config in configs(data, Path(scratch)).items():
                files[name] = Path(scratch) / f"{name}.yaml"
                files[name].write_text(yaml.safe_dump(config), encoding="utf-8")
            render.say(f"starting {len(files)} rigs on this PC: {', '.join(files)}")
            processes = [await stack.enter_async_context(_rig_process(path)) for path in files.values()]
            uris = await asyncio.gather(*map(_ready, files, processes))
            conductor = Conductor(dict(zip(files, uris, strict=True)), data_folder=data)
            return await lead(conductor, SUBJECT, seconds, checks=False)


@contextlib.asynccontextmanager
async def _rig_process(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a rig in a process of its own, and end it by its keyboard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "multirig", "serve", str(config), "--plain"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        try:
            await asyncio.wait_for(process.communicate(b"quit\n"), QUIT_LIMIT)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()


async def _ready(name: str, process: asyncio.subprocess.Process) -> str:
    """Return where a rig listens, as it says itself."""
    if process.stdout is None or process.stderr is None:
        raise MultirigError(f"{name} has no output to read")
    try:
        while line := (await asyncio.wait_for(process.stdout.readline(), READY_LIMIT)).decode():
            if found := re.search(r"ready at (\S+)", line):
                return found[1]
    except asyncio.TimeoutError:
        raise MultirigError(f"the rig {name} did not come up within {READY_LIMIT:g} s") from None
    words = (await process.stderr.read()).decode(errors="replace").strip()
    raise MultirigError(f"the rig {name} did not come up: {words.removeprefix('✗ ') or 'it said nothing'}")
