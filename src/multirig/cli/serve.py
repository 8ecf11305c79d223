"""``multirig serve``: a rig at work, until Ctrl-C."""

from __future__ import annotations

import asyncio
import datetime
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.beside import tell_access, tell_changed_access, tell_network, wait_until_asked
from multirig.cli.program import app
from multirig.cli.waiting import run_when_all_is_there
from multirig.config import CollectRules, RigConfig, Uri, load_collect_rules, load_rig_config
from multirig.errors import ConfigError, MultirigError
from multirig.logs import keep_log
from multirig.pc.console import without_marking
from multirig.pc.signals import calling_on_signals
from multirig.rig.lock import InstanceLock, keeper_lock
from multirig.rig.service import RigService

REFRESH = 0.5
"""Seconds between two looks at the status line."""
HELP = "type: start SUBJECT, stop, subject SUBJECT, quit; yes or no when asked"

log = logging.getLogger("multirig.rig")


@app.command()
def serve(
    config: Annotated[Path, typer.Argument(metavar="RIG.yaml", help="The rig's configuration.")],
    plain: Annotated[
        bool, typer.Option(help="A line for each change instead of a live line; so it is without a screen.")
    ] = False,
    keyboard: Annotated[
        bool, typer.Option(help="Read commands: start SUBJECT, stop, subject SUBJECT, quit, yes, no.")
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
    waits: Annotated[
        bool, typer.Option("--wait", help="Wait for an address, or a drive, that is not there yet.")
    ] = False,
    stays: Annotated[
        bool, typer.Option("--stay", help="Start it again after a crash; what multirig install makes use of.")
    ] = False,
) -> None:
    """Run a rig until Ctrl-C: it answers conductors and drives its adapter."""
    if stays:
        from multirig.cli.staying import stay  # not for those who are run once

        stay(config, lambda: _open_log(config), keeper_lock(config))
        return
    if not registers and (address is not None or rigs_file is not None):
        raise ConfigError("--address and --rigs-file are of use together with --register only: add it")
    if until_closed and not keyboard:
        raise ConfigError("--until-closed reads the keyboard: leave --no-keyboard out")

    def run() -> None:
        settings = load_rig_config(config)
        rules = load_collect_rules(config)
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
                lock=lock,
                collect=rules,
            )
            with without_marking():
                asyncio.run(rig.run())
        finally:
            lock.release()

    if waits:
        run_when_all_is_there(run, keeper_lock(config).has_to_end)
    else:
        run()


def _open_log(config: Path) -> Path | None:
    """Open the log of a rig, if its config can be read."""
    try:
        settings = load_rig_config(config)
    except ConfigError:
        return None
    return keep_log(settings.name, settings.log_folder)


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
        lock: InstanceLock,
        collect: CollectRules | None,
    ) -> None:
        self._service = RigService(
            config,
            on_news=self._show_change if plain else lambda: None,
            on_warning=render.warn,
            subject=subject,
            collect=collect,
        )
        self._log_file = log_file
        self._plain = plain
        self._keyboard = keyboard
        self._until_closed = until_closed
        self._rigs_file = rigs_file
        """Where the rig enters itself, if it does."""
        self._address = address
        self._lock = lock
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
            tell_access(self._service.access, self._say)
            if self._service.machine.subject is not None:
                self._say_subject()
            keys = tell_changed_access(self._service.access, self._say)
            works = (self._obey(), self._show(), self._register(), self._look(), self._heed(), keys)
            tasks = [asyncio.create_task(one) for one in works]
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
        await tell_network([(one.scheme, one.host, one.port) for one in self._service.addresses])

    async def _heed(self) -> None:
        """End when another program of this user asks for it, as `uninstall` does: after the session."""
        await wait_until_asked(self._lock, self._service.snapshot, self._say)
        self._ended.set()

    async def _show(self) -> None:
        if self._plain:
            return
        if self._keyboard:
            render.out.print(HELP, style="dim")
        line = render.status_line(self._service.snapshot())
        with render.changing_line(line) as live:
            while True:
                now = self._service.snapshot()
                live.update(render.status_line(now), refresh=True)
                says = "yes or no?" if now.question is not None else now.state
                render.name_window(" ".join(str(one) for one in (now.name, says, now.exp_ref) if one))
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

        self._service.attend(is_attended=not self._until_closed)  # else a program holds it, not a person
        async for line in read_stdin():
            word, _, rest = line.strip().partition(" ")
            try:
                await self._do(word.lower(), rest.strip())
            except MultirigError as error:
                render.show_error(error)
        self._service.attend(is_attended=False)
        if self._until_closed:
            self._ended.set()

    async def _do(self, word: str, rest: str) -> None:
        match word:
            case "quit":
                self._ended.set()
            case "stop":
                await self._service.stop_here()
            case "yes" | "no":
                self._service.answer(allows=word == "yes")
            case "subject":
                self._service.choose_subject(rest or None)
                self._say_subject()
            case "start" if subject := rest or self._service.machine.subject:
                self._say(f"recording {await self._service.start_here(subject)}")
            case "":
                pass
            case _:
                self._say(HELP)
