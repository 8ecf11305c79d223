"""``multirig serve``: a rig at work, until Ctrl-C."""

from __future__ import annotations

import asyncio
import datetime
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from multirig.cli import render
from multirig.cli.program import app
from multirig.config import RigConfig, Uri, load_rig_config
from multirig.errors import ConfigError, MultirigError
from multirig.logs import keep_log
from multirig.pc.finding import Level
from multirig.pc.network import check_network, find_listeners
from multirig.pc.reader import this_pc
from multirig.pc.signals import calling_on_signals
from multirig.rig.lock import InstanceLock
from multirig.rig.service import RigService

REFRESH = 0.5
"""Seconds between two looks at the status line."""
HELP = "type: start SUBJECT, stop, subject SUBJECT, quit"

log = logging.getLogger("multirig.rig")


@app.command()
def serve(
    config: Annotated[Path, typer.Argument(metavar="RIG.yaml", help="The rig's configuration.")],
    plain: Annotated[
        bool, typer.Option(help="A line for each change instead of a live line; so it is without a screen.")
    ] = False,
    keyboard: Annotated[
        bool, typer.Option(help="Read commands: start SUBJECT, stop, subject SUBJECT, quit.")
    ] = True,
    until_closed: Annotated[
        bool, typer.Option("--until-closed", help="End with whoever started it: when its input is closed.")
    ] = False,
    subject: Annotated[
        str | None, typer.Option(help="Who is recorded here; sessions of other subjects are refused.")
    ] = None,
    registers: Annotated[
        bool,
        typer.Option("--register", help="Enter this rig in the list of rigs, for those who lead sessions."),
    ] = False,
    rigs_file: Annotated[
        Path | None,
        typer.Option("--rigs-file", help="That list; otherwise MULTIRIG_RIGS, or the user's own."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="At which address others reach it, if this PC has several."),
    ] = None,
) -> None:
    """Run a rig until Ctrl-C: it answers conductors and drives its adapter."""
    settings = load_rig_config(config)
    if not registers and (address is not None or rigs_file is not None):
        raise ConfigError("--address and --rigs-file are of use together with --register only: add it")
    if until_closed and not keyboard:
        raise ConfigError("--until-closed reads the keyboard: leave --no-keyboard out")
    host, shared = _find_entry(address, rigs_file) if registers else (None, None)
    log_file = keep_log(settings.name, settings.log_folder)
    lock = InstanceLock(settings.name, settings.log_folder)
    lock.acquire()
    try:
        rig = _Rig(
            settings,
            log_file,
            plain=plain or not render.out.is_terminal,
            keyboard=keyboard,
            until_closed=until_closed,
            subject=subject,
            rigs_file=shared,
            address=host,
        )
        asyncio.run(rig.run())
    finally:
        lock.release()


def _find_entry(address: str | None, rigs_file: Path | None) -> tuple[str | None, Path]:
    """Return the address that is to stand in the list of rigs, and the list."""
    from multirig.conductor.registration import check_address  # not for those who do not register
    from multirig.conductor.roster import find_rigs_file

    return None if address is None else check_address(address), find_rigs_file(rigs_file)


class _Rig:
    """A rig service with a screen and a keyboard."""

    def __init__(
        self,
        config: RigConfig,
        log_file: Path | None,
        *,
        plain: bool,
        keyboard: bool,
        until_closed: bool,
        subject: str | None,
        rigs_file: Path | None,
        address: str | None,
    ) -> None:
        self._service = RigService(
            config,
            on_news=self._show_change if plain else lambda: None,
            on_warning=render.warn,
            subject=subject,
        )
        self._log_file = log_file
        self._plain = plain
        self._keyboard = keyboard
        self._until_closed = until_closed
        self._rigs_file = rigs_file
        """Where the rig enters itself, if it does."""
        self._address = address
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Serve until somebody wants an end."""
        loop = asyncio.get_running_loop()
        with calling_on_signals(lambda _: loop.call_soon_threadsafe(self._ended.set)):
            await self._service.open()
            where = " ".join(map(str, self._service.addresses))
            self._say(f"{self._service.config.name} ready at {where}")
            if self._log_file is not None:
                self._say(f"log: {self._log_file}")
            if self._service.machine.subject is not None:
                self._say_subject()
            tasks = [
                asyncio.create_task(one)
                for one in (self._obey(), self._show(), self._register(), self._look())
            ]
            try:
                await self._ended.wait()
            finally:
                for task in tasks:
                    task.cancel()
                for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(outcome, Exception):
                        log.error("a part of the screen or the keyboard failed", exc_info=outcome)
                await self._service.close()
            self._say(f"{self._service.config.name} ended")

    @staticmethod
    def _say(text: str) -> None:
        """Print a line at once: whoever started this process may be waiting for it."""
        render.out.print(text, soft_wrap=True, markup=False)
        sys.stdout.flush()

    async def _register(self) -> None:
        """Enter the rig in the rigs file; it serves meanwhile, and also where that cannot be done."""
        if self._rigs_file is None:
            return
        from multirig.conductor.registration import register

        listening = [Uri(one.scheme, one.host, one.port) for one in self._service.addresses]
        name = self._service.config.name
        done = await asyncio.to_thread(register, self._rigs_file, name, listening, self._address)
        if done.is_doubtful:
            log.warning("%s", done.text)
            render.warn(done.text)
        else:
            log.info("%s", done.text)
            self._say(done.text)

    async def _look(self) -> None:
        """Say what keeps the PC that leads from reaching this rig, where the system tells."""
        at = [(one.scheme, one.host, one.port) for one in self._service.addresses]
        for one in await asyncio.to_thread(check_network, this_pc(), find_listeners(at)):
            if one.level in (Level.WARNING, Level.FAILURE):
                log.warning("%s: %s", one.check, one.text)
                render.warn(one.text)

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

    def _say_subject(self) -> None:
        subject = self._service.machine.subject
        whom = f"subject {subject}" if subject is not None else "any subject"
        self._say(f"{self._service.config.name} is set up for {whom}")

    async def _obey(self) -> None:
        """Do what is typed; a closed keyboard is no command, unless that is wanted."""
        if not self._keyboard:
            return
        from multirig.ibl.net.rigs import read_stdin  # not for those who only lead

        async for line in read_stdin():
            word, _, rest = line.strip().partition(" ")
            try:
                await self._do(word.lower(), rest.strip())
            except MultirigError as error:
                render.show_error(error)
        if self._until_closed:
            self._ended.set()

    async def _do(self, word: str, rest: str) -> None:
        match word:
            case "quit":
                self._ended.set()
            case "stop":
                await self._service.stop_here()
            case "subject":
                self._service.choose_subject(rest or None)
                self._say_subject()
            case "start" if subject := rest or self._service.machine.subject:
                self._say(f"recording {await self._service.start_here(subject)}")
            case "":
                pass
            case _:
                self._say(HELP)
