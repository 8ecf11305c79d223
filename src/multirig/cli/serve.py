"""``multirig serve``: a rig at work, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from multirig.cli import render
from multirig.cli.main import app, keep_log
from multirig.config import RigConfig, load_rig_config
from multirig.errors import MultirigError
from multirig.rig.lock import InstanceLock
from multirig.rig.service import RigService

REFRESH = 0.5
"""Seconds between two looks at the status line."""
HELP = "type: start SUBJECT, stop, quit"


@app.command()
def serve(
    config: Annotated[Path, typer.Argument(metavar="RIG.yaml", help="The rig's configuration.")],
    plain: Annotated[
        bool, typer.Option(help="A line for each change instead of a live line; so it is without a screen.")
    ] = False,
    keyboard: Annotated[bool, typer.Option(help="Read commands: start SUBJECT, stop, quit.")] = True,
) -> None:
    """Run a rig until Ctrl-C: it answers conductors and drives its adapter."""
    settings = load_rig_config(config)
    log = keep_log(settings.name, settings.log_folder)
    lock = InstanceLock(settings.name, settings.log_folder)
    lock.acquire()
    try:
        rig = _Rig(settings, log, plain=plain or not render.out.is_terminal, keyboard=keyboard)
        asyncio.run(rig.run())
    finally:
        lock.release()


class _Rig:
    """A rig service with a screen and a keyboard."""

    def __init__(self, config: RigConfig, log: Path, *, plain: bool, keyboard: bool) -> None:
        self._service = RigService(config, on_news=self._show_change if plain else lambda: None)
        self._log = log
        self._plain = plain
        self._keyboard = keyboard
        self._ended = asyncio.Event()
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Serve until somebody wants an end."""
        with _signals(self._ended):
            await self._service.open()
            where = " ".join(map(str, self._service.addresses))
            self._say(f"{self._service.config.name} ready at {where}")
            self._say(f"log: {self._log}")
            if self._keyboard and sys.stdin is not None:
                _read_lines(self._lines)
            tasks = [asyncio.create_task(self._obey()), asyncio.create_task(self._show())]
            try:
                await self._ended.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._service.close()
            self._say(f"{self._service.config.name} ended")

    @staticmethod
    def _say(text: str) -> None:
        """Print a line at once: whoever started this process may be waiting for it."""
        render.out.print(text, soft_wrap=True, markup=False)
        sys.stdout.flush()

    async def _show(self) -> None:
        if self._plain:
            return
        if self._keyboard:
            render.out.print(HELP, style="dim")
        line = render.status_line(self._service.snapshot())
        with Live(line, console=render.out, auto_refresh=False, transient=True) as live:
            while True:
                live.update(render.status_line(self._service.snapshot()), refresh=True)
                await asyncio.sleep(REFRESH)

    def _show_change(self) -> None:
        snapshot = self._service.snapshot()
        change = " ".join(str(part) for part in (snapshot.state, snapshot.exp_ref, snapshot.failure) if part)
        time = datetime.datetime.now().strftime("%H:%M:%S")
        self._say(f"{time} {snapshot.name} is {change}")

    async def _obey(self) -> None:
        while True:
            word, _, rest = (await self._lines.get()).strip().partition(" ")
            try:
                match word.lower():
                    case "quit":
                        self._ended.set()
                    case "stop":
                        await self._service.stop_here()
                    case "start" if rest.strip():
                        exp_ref = await self._service.start_here(rest.strip())
                        self._say(f"recording {exp_ref}")
                    case "":
                        pass
                    case _:
                        self._say(HELP)
            except MultirigError as error:
                render.show_error(error)


def _read_lines(lines: asyncio.Queue[str]) -> None:
    """Read the keyboard in a thread that ends with the process; a closed keyboard is no command."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(ValueError, OSError, RuntimeError):  # stdin closed, or the loop has ended
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, name="keyboard", daemon=True).start()


@contextlib.contextmanager
def _signals(ended: asyncio.Event) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the closing of a Windows console end the rig in good order."""
    loop = asyncio.get_running_loop()
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set)) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
