"""The three rigs of the demo, as processes on this PC."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from multirig.cli import render
from multirig.errors import MultirigError
from multirig.pc.signals import END, calling_on_signals

READY_LIMIT = 30.0
"""Seconds that a rig process has to come up on a slow PC."""
QUIT_LIMIT = 10.0
"""Seconds that a rig process has to end by itself."""
_OWN_GROUP: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


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


@dataclass(kw_only=True)
class DemoRig:
    """A rig in a process of its own."""

    process: asyncio.subprocess.Process
    uri: str = ""
    """Where it listens, by its own word."""
    reading: asyncio.Task[str]
    """Reads what it prints, since a full pipe would hold it up; its result is the last line."""


@contextlib.asynccontextmanager
async def run_rigs(data: Path) -> AsyncIterator[dict[str, DemoRig]]:
    """Run three rigs on this PC until the end, whatever ends it."""
    with (
        _hang_up_as_ctrl_c(),
        tempfile.TemporaryDirectory(prefix="multirig-demo-", ignore_cleanup_errors=True) as scratch,
    ):
        async with contextlib.AsyncExitStack() as stack:
            files = {}
            for name, config in configs(data, Path(scratch)).items():
                files[name] = Path(scratch) / f"{name}.yaml"
                files[name].write_text(yaml.safe_dump(config), encoding="utf-8")
            render.say(f"starting {len(files)} rigs on this PC: {', '.join(files)}")
            ready = {name: asyncio.get_running_loop().create_future() for name in files}
            rigs = {
                name: await stack.enter_async_context(_rig(path, ready[name])) for name, path in files.items()
            }
            await asyncio.gather(*(_come_up(name, one, ready[name]) for name, one in rigs.items()))
            yield rigs


def _hang_up_as_ctrl_c() -> AbstractContextManager[None]:
    """Take a closed terminal, or a wish to end, as Ctrl-C: the rigs have sessions of their own, and go on."""
    return calling_on_signals(lambda _: signal.raise_signal(signal.SIGINT), END)


@contextlib.asynccontextmanager
async def _rig(config: Path, ready: asyncio.Future[str]) -> AsyncIterator[DemoRig]:
    """Run a rig in a process of its own, which Ctrl-C does not reach, and end it by its keyboard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "multirig", "serve", str(config), "--plain", "--until-closed"),  # also where this is killed
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        **_OWN_GROUP,
    )
    rig = DemoRig(process=process, reading=asyncio.create_task(_read(process, ready)))
    try:
        yield rig
    finally:
        try:
            await asyncio.wait_for(_quit(process), QUIT_LIMIT)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
        await rig.reading


async def _quit(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError):  # it has ended by itself
            process.stdin.write(b"quit\n")
            await process.stdin.drain()
    await process.wait()


async def _read(process: asyncio.subprocess.Process, ready: asyncio.Future[str]) -> str:
    """Read all that a rig prints, and return the last line; hand on where it listens."""
    last = ""
    while process.stdout is not None and (line := (await process.stdout.readline()).decode(errors="replace")):
        last = line.strip() or last
        if (found := re.search(r"ready at (\S+)", line)) and not ready.done():
            ready.set_result(found[1])
    return last


async def _come_up(name: str, rig: DemoRig, ready: asyncio.Future[str]) -> None:
    """Wait until a rig listens.

    Raises
    ------
    MultirigError
        It does not; by its own last words, if it has ended.
    """
    await asyncio.wait({ready, rig.reading}, timeout=READY_LIMIT, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        rig.uri = ready.result()
    elif rig.reading.done():
        words = rig.reading.result().removeprefix("✗ ") or "it said nothing"
        raise MultirigError(f"the rig {name} did not come up: {words}")
    else:
        raise MultirigError(f"the rig {name} did not come up within {READY_LIMIT:g} s")
