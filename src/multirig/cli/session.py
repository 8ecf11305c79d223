"""``multirig run``: a session from agreement to clean-up, plain or a task's, with its progress shown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from multirig.cli import accounts, render
from multirig.cli.around import AfterSession, warn_of_access
from multirig.cli.chosen import choose_rigs
from multirig.cli.program import FAILED, UNVERIFIED, app
from multirig.cli.rigs import RigsFile
from multirig.cli.screen import showing
from multirig.conductor.conductor import Conductor
from multirig.conductor.leading import IMPATIENT, EndedEarly, Step, Wishes, lead
from multirig.conductor.roster import find_rigs_file
from multirig.conductor.session import Session
from multirig.config import check_length, load_conductor_config
from multirig.errors import ConfigError
from multirig.logs import keep_log
from multirig.protocol.exp_ref import check_subject
from multirig.record.account import Account, account, mind_losses
from multirig.record.left import say_left
from multirig.record.verdict import Word

DEFAULT_DATA = Path("data")
"""Where a session's journal goes if nothing else is said."""
_TASK = "multirig.task"


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
        float | None,
        typer.Option(callback=check_length, help="How long to record; without it, until Ctrl-C."),
    ] = None,
    data: Annotated[Path, typer.Option(help="Where this PC's part of the session goes.")] = DEFAULT_DATA,
    lab: Annotated[str, typer.Option(help="Name of the lab's folder.")] = "mylab",
    main_sync: Annotated[
        bool, typer.Option("--main-sync", help="This PC gives the session its number.")
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Lead rigs that another PC leads; while it is heard, they ask first."
        ),
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Begin without a look at disks, folders and devices.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 4 where a rig of a GOOD session is not verified.")
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
    settings, after = load_conductor_config(find_rigs_file(rigs_file)), AfterSession.load(rigs_file)
    check_subject(subject)  # before anybody is asked
    conductor = Conductor(
        rigs,
        policies=policies,
        data_folder=data,
        lab=lab,
        main_sync=main_sync,
        clock_gate=settings.clock.to_gate(),
    )
    warn_of_access(conductor.pc.access)

    async def record() -> tuple[Account, Path]:
        from multirig.ibl.plain_description import PlainDescription

        described = PlainDescription(conductor.rigs)
        session = conductor.session(
            subject,
            info=described.info,
            takes_over=take_over,
            checks=not no_check,
            seconds=seconds,
        )

        async def describe() -> None:
            await described.write(session)

        return await record_session(session, Wishes(seconds), prepare=describe)

    told, folder = asyncio.run(record())
    try:
        show_account(told, folder, json=json, strict=strict)
    finally:
        after.collect(folder, conductor.rigs)


def show_account(told: Account, folder: Path, *, json: bool, strict: bool = False) -> None:
    """Print what a session was.

    Raises
    ------
    typer.Exit
        It is not GOOD; what the operator has interrupted counts as good where all rigs are well. Or, where
        that is wanted, a rig is not verified.
    """
    if json:
        render.show_json({**told.to_json(), "session_folder": str(folder)})
    else:
        accounts.show_summary(told, folder)
    if (left := say_left(told)) is not None:
        render.warn_at_last(left)
    if told.verdict is not Word.GOOD and not (told.interruption in IMPATIENT and told.is_whole):
        raise typer.Exit(FAILED)
    if strict and told.unverified:
        raise typer.Exit(UNVERIFIED)


async def record_session(
    session: Session, wishes: Wishes, *, prepare: Step | None = None
) -> tuple[Account, Path]:
    """Lead a whole session, show it, and return what was recorded and where the journal lies.

    Parameters
    ----------
    session : Session
        A new one.
    wishes : Wishes
        What the operator wants.
    prepare : callable, optional
        Is awaited when the rigs have agreed, and before one is touched.

    Raises
    ------
    typer.Abort
        It was ended before anything was recorded; every rig has been released.
    """
    if session.journal.storage is None:
        raise ConfigError("a session needs a folder for its journal")
    try:
        with wishes.heeding_signals():
            async with session.conductor, showing(session, wishes):
                await lead(session, wishes, prepare=prepare)
    except BaseException as error:
        await asyncio.to_thread(_warn_of_left, session)
        if isinstance(error, EndedEarly):
            raise typer.Abort from None
        raise
    folder = session.folder
    if folder is None:
        raise ConfigError("the rigs have not agreed on a session")
    told = await asyncio.to_thread(account, folder)
    mind_losses(told, session.journal.losses)
    return told, folder


def _warn_of_left(session: Session) -> None:
    """Name in the last line the rigs that may still record, where a session has failed."""
    if session.folder is None or not session.has_touched_rigs:
        return
    try:
        left = say_left(account(session.folder))
    except ConfigError:  # it has no journal: nothing was begun
        return
    if left is not None:
        render.warn_at_last(left)
