"""``multirig run TASK``: a task from its file, with its own options, alone or with rigs."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from multirig.cli import accounts, render
from multirig.cli.around import AfterSession, folder_of, warn_of_access
from multirig.cli.program import FAILED, UNVERIFIED
from multirig.conductor.roster import VARIABLE as RIGS_VARIABLE
from multirig.conductor.surroundings import read_access
from multirig.errors import MultirigError
from multirig.ibl.task_arguments import task_parser, to_arguments
from multirig.ibl.task_end import say_end
from multirig.ibl.task_loading import explain_failure, find_task, raw_data_folder
from multirig.logs import keep_log
from multirig.pc.signals import END, EndedBySignal, calling_on_signals, end_program
from multirig.record import journal
from multirig.record.account import Account, account
from multirig.record.left import say_left
from multirig.record.verdict import Word


def run_task(task: str, arguments: list[str]) -> None:
    """Run a task with what its command line says.

    Parameters
    ----------
    task : str
        ``file.py``, ``file.py:Class``, ``module`` or ``module:Class``.
    arguments : list of str
        The options, multirig's and the task's own.

    Raises
    ------
    MultirigError
        The task could not be begun, or it failed; the message says where its data are.
    typer.Exit
        The task is done, and the session over its rigs is not GOOD.
    """
    keep_log("task")
    cls = find_task(task)
    options, is_strict = _parse(cls, task, arguments)
    warn_of_access(read_access())
    after = AfterSession.load()
    session: Any = None
    with _sigterm():
        try:
            session = cls(**options)
            session.run()
        except MultirigError:
            _say_where(session)
            _say_verdict(session)
            raise
        except Exception as error:
            _say_verdict(session)
            raise explain_failure(error, cls, session) from error
        except BaseException as error:
            _say_where(session)
            _say_verdict(session)
            if isinstance(error, SystemExit) and not isinstance(error, EndedBySignal):
                # its code is the task's own: whoever called this program reads ours
                raise MultirigError(say_end(error)) from error
            raise
    _say_where(session)
    told = _say_verdict(session)
    after.collect_of(session)
    if told is not None and told.verdict is not Word.GOOD:
        raise typer.Exit(FAILED)
    if is_strict and told is not None and told.unverified:
        raise typer.Exit(UNVERIFIED)


# -- its options ------------------------------------------------------------------------------------------


def _parse(cls: Any, task: str, arguments: list[str]) -> tuple[dict[str, Any], bool]:
    """Return the arguments of the constructor, and whether every rig must be verified.

    A wrong option ends the program as argparse does, with 2.
    """
    parser = task_parser([cls.extra_parser()], prog=f"multirig run {task}")
    parser.description = inspect.cleandoc(cls.__doc__).splitlines()[0] if cls.__doc__ else None
    ours = parser.add_argument_group("on this PC")
    for name, kind, words in (
        ("--data", Path, "data folder, instead of the one in iblrig_settings.yaml"),
        ("--lab", str, "name of the lab's folder, instead of ALYX_LAB there"),
        ("--rigs-file", Path, "the list of rigs; otherwise MULTIRIG_RIGS, or the user's own"),
    ):
        # an option of the task's own with that name is the task's
        with contextlib.suppress(argparse.ArgumentError):
            ours.add_argument(name, type=kind, dest=_private(name), help=words, metavar=name[2:].upper())
    with contextlib.suppress(argparse.ArgumentError):
        words = "exit code 4 where a rig of a GOOD session is not verified"
        ours.add_argument("--strict", action="store_true", dest=_private("--strict"), help=words)
    options, rest = parser.parse_known_args(arguments)
    if any(each.partition("=")[0] == "--remote" for each in rest):
        parser.error(
            "this task takes no rigs: derive its class from multirig.ibl.NetworkSession for --remote"
        )
    if any(each == "--main-sync" for each in rest):
        parser.error("--main-sync is not for a task: write MAIN_SYNC: true into its hardware settings")
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    data, lab, rigs_file = (
        vars(options).pop(_private(name), None) for name in ("--data", "--lab", "--rigs-file")
    )
    is_strict = bool(vars(options).pop(_private("--strict"), False))
    if rigs_file is not None:
        os.environ[RIGS_VARIABLE] = str(rigs_file.resolve())
    chosen = to_arguments(options)
    settings: dict[str, Any] = chosen.get("iblrig_settings", {})
    if data is not None:
        settings |= {"iblrig_local_data_path": data.resolve(), "iblrig_local_subjects_path": None}
    if lab is not None:
        settings["ALYX_LAB"] = lab
    return chosen | ({"iblrig_settings": settings} if settings else {}), is_strict


def _private(option: str) -> str:
    """Return a name that no option of a task has."""
    return f"multirig {option}"


# -- what became of it ------------------------------------------------------------------------------------


def _say_where(session: Any) -> None:
    if folder := raw_data_folder(session):
        render.say(f"data are in {folder}")


def _say_verdict(session: Any) -> Account | None:
    """Print what became of the session on the task's rigs, and return it; None without rigs."""
    folder = folder_of(session)
    if folder is None or not (folder / journal.FILE_NAME).is_file():
        return None
    told = account(folder)
    accounts.show_verdict(told)
    if (left := say_left(told)) is not None:
        render.warn_at_last(left)
    return told


@contextlib.contextmanager
def _sigterm() -> Iterator[None]:
    """Let SIGTERM, and a closed terminal, end the task like an exception: its hardware is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with calling_on_signals(end_program, END):
        yield
