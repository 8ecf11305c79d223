"""A task's command line, with iblrig's options."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError


def task_parser(
    parents: Sequence[argparse.ArgumentParser] | None = None, prog: str | None = None
) -> argparse.ArgumentParser:
    """Return a parser of the options that every task has, and of those of its own.

    Parameters
    ----------
    parents : sequence of argparse.ArgumentParser, optional
        What the task's ``extra_parser`` returns.
    prog : str, optional
        What the program is called in its help.

    Raises
    ------
    ConfigError
        The task's own options clash with these.
    """
    parser = argparse.ArgumentParser(prog=prog, parents=list(parents or []))
    try:
        _add_options(parser)
    except argparse.ArgumentError as error:
        raise ConfigError(
            f"the task's own options clash with those of every task: {error}: rename it"
        ) from error
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-s", "--subject", required=True, help="nickname of the animal")
    add("-u", "--user", help="who registers the session in Alyx")
    add("-p", "--projects", nargs="+", default=[], metavar="NAME", help="projects, as Alyx knows them")
    add(
        *("-c", "--procedures"),
        nargs="+",
        default=[],
        metavar="NAME",
        help="what is done, as Alyx knows it; quotes around each",
    )
    add(
        *("-w", "--weight"),
        type=float,
        dest="subject_weight_grams",
        metavar="GRAMS",
        help="weight of the animal, which is asked otherwise",
    )
    add("--no-interactive", dest="interactive", action="store_false", help="ask nothing")
    add("--append", action="store_true", help="go on in today's latest session of this animal")
    add("--stub", type=Path, metavar="FILE", help="experiment description to begin with")
    add("--log-level", default="INFO", metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    add("--wizard", action="store_true", help="for programs with windows that start a task")


def get_task_arguments(
    parents: Sequence[argparse.ArgumentParser] | None = None, args: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the arguments of a task's constructor from its command line.

    Parameters
    ----------
    parents : sequence of argparse.ArgumentParser, optional
        What the task's ``extra_parser`` returns.
    args : sequence of str, optional
        The command line; that of this process if it is not said.

    Returns
    -------
    dict

    Examples
    --------
    >>> get_task_arguments(args=["--subject", "SP_01", "--user", "anna"])["iblrig_settings"]
    {'ALYX_USER': 'anna'}
    """
    return to_arguments(task_parser(parents).parse_args(args))


def to_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was parsed as arguments of a task's constructor."""
    arguments = dict(vars(options))
    user = arguments.pop("user")
    if user is not None:
        arguments["iblrig_settings"] = {"ALYX_USER": user}
    return arguments


def add_rig_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a task that takes rigs along; iblrig's choice world has ``--remote`` already."""
    with contextlib.suppress(argparse.ArgumentError):
        parser.add_argument(
            "--remote",
            dest="remote_rigs",
            action="append",
            nargs="+",
            metavar="NAME",
            help="rigs that take part, by their names in the rigs file",
        )
    parser.add_argument(
        "--take-over",
        dest="take_over",
        action="store_true",
        help="lead the rigs also where another PC leads them; while it is heard, they ask there first",
    )
    parser.add_argument(
        "--no-check",
        dest="check_rigs",
        action="store_false",
        help="begin without a look at disks, folders and devices",
    )
