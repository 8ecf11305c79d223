"""``multirig run``: a session from agreement to clean-up, plain or a task's, with its progress shown."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from typer.core import TyperCommand

from multirig.cli import render
from multirig.cli.program import FAILED, app
from multirig.cli.rigs import RigsFile
from multirig.conductor.conductor import Conductor, Progress
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.config import Uri, load_conductor_config
from multirig.errors import ConfigError, MultirigError, SessionFailed
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.logs import keep_log
from multirig.protocol import words
from multirig.protocol.exp_ref import check_subject
from multirig.protocol.messages import Event
from multirig.record.account import Account, account
from multirig.record.trouble import find_trouble
from multirig.record.verdict import Word

WATCH_EVERY = 0.5
"""Seconds between two looks at the figures while the rigs record."""
DEFAULT_DATA = Path("data")
"""Where a session's journal goes if nothing else is said."""
_TASK = "multirig.task"
_IMPATIENCE = "the operator pressed Ctrl-C twice"


class _Run(TyperCommand):
    """``run`` with a task as its first argument hands everything to it: a task has options of its own."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[TASK]", *super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-"):
            ctx.meta[_TASK] = args
            return []
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        if _TASK not in ctx.meta:
            return super().invoke(ctx)
        from multirig.cli.task import run_task

        task, *arguments = ctx.meta[_TASK]
        return run_task(task, arguments)


@app.command("run", cls=_Run)
def run_session(
    subject: Annotated[str, typer.Option("--subject", "-s", help="Nickname of the animal.")],
    remote: Annotated[
        list[str] | None,
        typer.Option("--remote", "-r", help="Rigs, by name or address: --remote cameras ephys."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long to record; without it, until Ctrl-C.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where this PC's part of the session goes.")] = DEFAULT_DATA,
    lab: Annotated[str, typer.Option(help="Name of the lab's folder.")] = "mylab",
    main_sync: Annotated[
        bool, typer.Option("--main-sync", help="This PC gives the session its number.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Lead rigs that another PC leads; it is told.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Begin without a look at disks, folders and devices.")
    ] = False,
    rigs_file: RigsFile = None,
    json: Annotated[
        bool, typer.Option("--json", help="The result for machines, on standard output.")
    ] = False,
) -> None:
    """Record a session on several rigs until Ctrl-C, or run a TASK with them.

    TASK is file.py, file.py:Class or module:Class, and comes first; its options: multirig run TASK --help.
    """
    keep_log("conductor")
    rigs, policies = choose_rigs(remote or [], rigs_file)
    settings = load_conductor_config(find_rigs_file(rigs_file))
    conductor = Conductor(
        rigs,
        policies=policies,
        data_folder=data,
        lab=lab,
        main_sync=main_sync,
        clock_gate=settings.clock.to_gate(),
    )
    leading = lead(conductor, subject, seconds, takes_over=take_over, checks=not no_check)
    show_account(*asyncio.run(leading), json=json)


def show_account(told: Account, folder: Path, *, json: bool) -> None:
    """Print what a session was.

    Raises
    ------
    typer.Exit
        It is not GOOD; what the operator has interrupted counts as good where all rigs are well.
    """
    if json:
        render.show_json({**told.to_json(), "session_folder": str(folder)})
    else:
        render.show_summary(told, folder)
    if told.verdict is not Word.GOOD and not (told.interruption == _IMPATIENCE and told.is_whole):
        raise typer.Exit(FAILED)


def choose_rigs(remote: list[str], rigs_file: Path | None) -> tuple[dict[str, Uri], dict[str, RigPolicy]]:
    """Return the chosen rigs' addresses, and what those mean to the session that the rigs file names.

    Names are looked up, addresses are taken as they are.
    """
    names = [one for one in remote if "://" not in one]
    chosen: Mapping[str, Uri] = {}
    policies: dict[str, RigPolicy] = {}
    if names or not remote:
        roster = Roster.load(find_rigs_file(rigs_file))
        if not remote:
            known = (
                ", ".join(roster.entries) or "none yet; add one: multirig rigs add cameras udp://192.168.1.20"
            )
            raise ConfigError(f"say which rigs take part: --remote NAME...; known: {known}")
        chosen, policies = roster.select(names), roster.policies(names)
    return {one: chosen[one] if one in chosen else Uri.parse(one) for one in remote}, policies


async def lead(
    conductor: Conductor,
    subject: str,
    seconds: float | None,
    *,
    takes_over: bool = False,
    checks: bool = True,
) -> tuple[Account, Path]:
    """Lead a whole session and return what was recorded, and where the journal lies.

    Ctrl-C ends a recording in good order, and before it everything at once; a second one while the rigs stop
    interrupts them.

    Raises
    ------
    typer.Abort
        It was ended before anything was recorded; every rig has been let go.
    """
    check_subject(subject)  # before anybody is asked
    ended = asyncio.Event()
    steps = Steps(conductor, ended)
    with ctrl_c(ended):
        async with conductor:
            agreeing = conductor.agree(subject, takes_over=takes_over, checks=checks, seconds=seconds)
            await steps.take("agree", agreeing)
            render.show_troubles(conductor.findings)
            folder = conductor.session_folder
            if folder is None:
                raise ConfigError("a session needs a folder for its journal")
            await steps.take("initialise", conductor.init())
            await steps.take("start", conductor.start())
            show_start(conductor)
            await watch_and_end(conductor, steps, ended, seconds)
    return await asyncio.to_thread(account, folder), folder


def show_start(conductor: Conductor) -> None:
    """Print how near to each other the rigs started, and what is wrong with clocks."""
    for one in conductor.objections:
        render.alarm_line(one.rig, one.text)
    if (spread := conductor.start_spread) is not None:
        render.spread_line(spread)


async def watch_and_end(
    conductor: Conductor, steps: Steps, ended: asyncio.Event, seconds: float | None
) -> None:
    """Watch a recording until it is time, then stop it and let the rigs go."""
    try:
        await _watch(conductor, ended, seconds)
    finally:
        ended.clear()
        await stop(conductor, steps, ended)
    await steps.show("clean up", conductor.cleanup())


class Steps:
    """Shows a step while it goes on, for which rigs it waits, and what is noticed meanwhile."""

    def __init__(self, conductor: Conductor, ended: asyncio.Event) -> None:
        self._rigs = list(conductor.rigs)
        self._ended = ended
        self._waiting: list[str] = []
        self._failed = 0
        self._name = ""
        self._status = render.err.status("")
        conductor.on_progress(self._show)
        conductor.on_notice(_show_notice)
        conductor.on_message(lambda rig, word: _show_alarm(conductor, rig, word))

    async def take(self, name: str, step: Coroutine[Any, Any, Any]) -> None:
        """Show a step until it is done, or until the operator has enough."""
        going = asyncio.ensure_future(self.show(name, step))
        enough = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({going, enough}, return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()
        if not going.done():
            going.cancel()
            with contextlib.suppress(asyncio.CancelledError, MultirigError):
                await going
            raise typer.Abort
        await going

    async def show(self, name: str, step: Awaitable[Any]) -> None:
        """Show a step until it is done, and say how long it took."""
        self._name, self._waiting, self._failed = name, list(self._rigs), 0
        self._status.update(render.waiting_text(name, self._waiting))
        began = time.perf_counter()
        with self._status if render.err.is_terminal else contextlib.nullcontext():
            await step
        render.step_line(name, len(self._rigs), self._failed, time.perf_counter() - began)

    def _show(self, progress: Progress) -> None:
        if progress.rig in self._waiting:
            self._waiting.remove(progress.rig)
        self._status.update(render.waiting_text(self._name, self._waiting))
        if isinstance(progress.outcome, MultirigError):
            self._failed += 1
            if progress.event in _ENDINGS:  # a beginning that fails raises, with all of its causes
                name = _STEPS.get(progress.event, progress.event.name)
                render.outcome_line(name, progress.rig, progress.outcome)


async def stop(conductor: Conductor, steps: Steps, again: asyncio.Event) -> None:
    """Stop every rig; a second Ctrl-C does not wait for the slow ones."""
    stopping = asyncio.ensure_future(steps.show("stop", conductor.stop()))
    impatience = asyncio.ensure_future(again.wait())
    await asyncio.wait({stopping, impatience}, return_when=asyncio.FIRST_COMPLETED)
    impatience.cancel()
    if not stopping.done():
        render.say("interrupting the rigs that are still stopping")
        with contextlib.suppress(MultirigError):
            await conductor.interrupt(_IMPATIENCE)
    try:
        await stopping
    except SessionFailed:
        if conductor.state is not SessionState.STOPPED:
            raise


async def _watch(conductor: Conductor, ended: asyncio.Event, seconds: float | None) -> None:
    """Show what the rigs record until it is time; what is typed meanwhile becomes markers."""
    began = time.perf_counter()
    has_keyboard = sys.stdin is not None and sys.stdin.isatty()
    said = "recording; Ctrl-C ends the session" if seconds is None else f"recording for {seconds:g} s"
    render.say(f"{said}, a line that you type becomes a marker" if has_keyboard else said)
    marking = asyncio.ensure_future(_mark_lines(conductor, began)) if has_keyboard else None
    try:
        await _show_recording(conductor, ended, seconds, began)
    finally:
        if marking is not None:
            marking.cancel()
            await asyncio.gather(marking, return_exceptions=True)


async def _mark_lines(conductor: Conductor, began: float) -> None:
    """Set a marker for each line that is typed; a keyboard that is taken away ends nothing."""
    from multirig.ibl.net.rigs import read_stdin  # not for those who have no keyboard

    if hasattr(
        signal, "SIGTTIN"
    ):  # in the background there is no keyboard; the session is not to stand still
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    async for line in read_stdin():
        if line.strip():
            try:
                at = conductor.mark(line)
            except MultirigError as error:
                render.show_error(error)
            else:
                render.say(f"{at - began:.1f} s  marker: {' '.join(line.split())}")


async def _show_recording(
    conductor: Conductor, ended: asyncio.Event, seconds: float | None, began: float
) -> None:
    """Show what the rigs record until it is time."""
    live = (
        Live(render.watch_table(0, {}), console=render.err, auto_refresh=False, transient=True)
        if render.err.is_terminal
        else contextlib.nullcontext()
    )
    with live as screen:
        while conductor.state is SessionState.RUNNING:
            now = time.perf_counter()
            if screen is not None:
                screen.update(render.watch_table(now - began, conductor.news()), refresh=True)
            if seconds is not None and now - began >= seconds:
                return
            left = WATCH_EVERY if seconds is None else min(WATCH_EVERY, began + seconds - now)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ended.wait(), left)
                return


def _show_notice(noticed: Noticed) -> None:
    if noticed.notice in (Notice.BACK, Notice.GROWING, Notice.RESUMED):
        render.say(f"{noticed.rig}: {noticed.text}")
    else:
        render.alarm_line(noticed.rig, noticed.text)


def _show_alarm(conductor: Conductor, rig: str, word: words.Word) -> None:
    """Show what a rig says by itself; how it records is noticed, and shown as that."""
    if isinstance(word, words.Report):
        return
    trouble = find_trouble(word, is_running=conductor.state is SessionState.RUNNING)
    if trouble:
        render.alarm_line(rig, trouble)


_ENDINGS = frozenset({Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP})
_STEPS = {
    Event.EXPINFO: "agree",
    Event.EXPINIT: "initialise",
    Event.EXPSTART: "start",
    Event.EXPEND: "stop",
    Event.EXPINTERRUPT: "interrupt",
    Event.EXPCLEANUP: "clean up",
}


@contextlib.contextmanager
def ctrl_c(ended: asyncio.Event) -> Any:
    """Turn Ctrl-C and SIGTERM into the wish to end the session, while there is one."""
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set)) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
