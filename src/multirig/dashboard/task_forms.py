"""A task's own parameters as fields of a form, made from its ``extra_parser``; and back into its options.

To load a task is to run its code, so the console has that done by a process of its own: `read_form`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import enum
import inspect
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from multirig.errors import ConfigError, MultirigError
from multirig.ibl.task_arguments import task_parser
from multirig.ibl.task_loading import find_task
from multirig.protocol.codec import plain

READ_LIMIT = 20.0
"""Seconds that a task's file may take to be loaded."""
_RIGS, _CHECK, _TAKE_OVER = "--remote", "--no-check", "--take-over"
"""Options of a task with rigs that the console has its own fields for."""


class Kind(str, enum.Enum):
    """What a field takes."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    CHOICE = "choice"
    """One of `Field.choices`."""
    FLAG = "flag"
    """Yes or no."""
    LIST = "list"
    """Several texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One parameter of a task."""

    name: str
    """In `Order.parameters`; the argument of the task's constructor."""
    flag: str
    """The option, such as ``--duration``; empty: it has none, and stands for itself."""
    label: str
    kind: Kind
    default: Any = None
    """Plain values; None: nothing."""
    choices: Sequence[str] = ()
    help: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a task wants to know, and may be given."""

    title: str
    """What the task says of itself in a line."""
    takes_rigs: bool
    fields: Sequence[Field] = ()


_FORM = TypeAdapter(Form)


def describe_task(task: str) -> Form:
    """Return the form of a task; loads it into this process.

    Parameters
    ----------
    task : str
        ``file.py``, ``file.py:Class``, ``module`` or ``module:Class``.

    Raises
    ------
    ConfigError
        There is no such task, or it cannot be loaded.
    """
    cls = find_task(task)
    parser = extra_parser(cls, task)
    words = inspect.cleandoc(cls.__doc__).splitlines() if cls.__doc__ else []
    return Form(title=words[0] if words else "", takes_rigs=takes_rigs(parser), fields=find_fields(parser))


def extra_parser(cls: Any, task: str) -> argparse.ArgumentParser:
    """Return the parser of a task's own options.

    Raises
    ------
    ConfigError
        The task cannot make it.
    """
    try:
        parser = cls.extra_parser()
    except Exception as error:
        raise ConfigError(
            f"{task}: its options cannot be read ({type(error).__name__}: {error}): correct its extra_parser"
        ) from error
    if not isinstance(parser, argparse.ArgumentParser):
        raise ConfigError(f"{task}: its extra_parser returns no argparse.ArgumentParser: correct it")
    return parser


def takes_rigs(parser: argparse.ArgumentParser) -> bool:
    """Whether a task with these options can take rigs along."""
    return any(_RIGS in action.option_strings for action in parser._actions)


def find_fields(parser: argparse.ArgumentParser) -> list[Field]:
    """Return the fields for a task's own options: without those that every task has, or a task with rigs."""
    return [_field(parser, action) for action in _own_actions(parser) if action.help != argparse.SUPPRESS]


def to_options(parser: argparse.ArgumentParser, parameters: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return parameters as they would be typed: the options, and what stands for itself at the end.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        What the task's ``extra_parser`` returns.
    parameters : mapping of str to Any
        Values by the names of the fields; None, or an empty text, leaves the task's default.

    Raises
    ------
    ConfigError
        The task has no such parameter, or takes no such value.
    """
    actions = {action.dest: action for action in _own_actions(parser)}
    if unknown := [name for name in parameters if name not in actions]:
        known = ", ".join(actions) or "none of its own"
        raise ConfigError(f"the task has no parameter {', '.join(unknown)}; it has {known}")
    options: list[str] = []
    rest: list[str] = []
    for name, action in actions.items():
        value = parameters.get(name)
        if value is None or value == "":
            continue
        (options if action.option_strings else rest).extend(_typed(action, value))
    return options, rest


async def read_form(task: str, limit: float = READ_LIMIT) -> Form:
    """Return the form of a task; loads it in a process of its own.

    Raises
    ------
    MultirigError
        There is no such task, or it cannot be loaded in time; one line.
    """
    command = (sys.executable, "-m", "multirig.dashboard.leading", "--describe", task)
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, **options
    )
    try:
        printed, errors = await asyncio.wait_for(process.communicate(), limit)
    except asyncio.TimeoutError:
        raise MultirigError(
            f"{task} was not loaded within {limit:g} s: what it does on import belongs into start_hardware"
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return _understand(task, printed.decode(errors="replace"), errors.decode(errors="replace"))


def form_to_json(form: Form) -> Any:
    """Return a form as plain values."""
    return _FORM.dump_python(form, mode="json")


# -- inside -------------------------------------------------------------------------------------------------


def _understand(task: str, printed: str, errors: str) -> Form:
    """Return what the process has found: its last line, whatever the task has printed before."""
    lines = printed.strip().splitlines()
    try:
        told = json.loads(lines[-1]) if lines else None
        if isinstance(told, dict) and "error" in told:
            raise MultirigError(str(told["error"]))
        return _FORM.validate_python(told)
    except (ValueError, ValidationError):
        last = next(
            (line.strip() for line in reversed(errors.splitlines()) if line.strip()), "it ended early"
        )
        raise MultirigError(f"{task} cannot be loaded: {last}") from None


def _own_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    usual = {option for action in task_parser()._actions for option in action.option_strings}
    return [
        action
        for action in parser._actions
        if not {*action.option_strings} & {*usual, _RIGS, _CHECK, _TAKE_OVER}
        and not isinstance(action, argparse._SubParsersAction | argparse._VersionAction)
        and action.dest != argparse.SUPPRESS
    ]


def _field(parser: argparse.ArgumentParser, action: argparse.Action) -> Field:
    kind = _kind(action)
    default = None if action.default is argparse.SUPPRESS else action.default
    if kind is Kind.FLAG:
        default = bool(default) if _is_truth(action) else False
    try:
        default = plain(default, action.dest)
    except MultirigError:
        default = str(default)
    unit = action.metavar if isinstance(action.metavar, str) else ""
    label = action.dest.replace("_", " ").strip().capitalize()
    return Field(
        name=action.dest,
        flag=max(action.option_strings, key=len, default="") if not _negated(action) else _positive(action),
        label=f"{label} ({unit.lower()})" if unit and unit.lower() != action.dest.lower() else label,
        kind=kind,
        default=default,
        choices=tuple(map(str, action.choices or ())) if kind in (Kind.CHOICE, Kind.LIST) else (),
        help=_help(parser, action),
        required=action.required and kind is not Kind.FLAG,
    )


def _kind(action: argparse.Action) -> Kind:
    if isinstance(action, argparse._CountAction):
        return Kind.INTEGER
    if action.nargs == 0:
        return Kind.FLAG
    if action.nargs not in (None, "?", 1) or _is_repeated(action):
        return Kind.LIST
    if action.choices is not None:
        return Kind.CHOICE
    if action.type is int:
        return Kind.INTEGER
    is_number = isinstance(action.default, int | float) and not isinstance(action.default, bool)
    return Kind.NUMBER if action.type is float or is_number else Kind.TEXT


def _is_repeated(action: argparse.Action) -> bool:
    return isinstance(action, argparse._AppendAction | argparse._ExtendAction)


def _is_truth(action: argparse.Action) -> bool:
    """Whether a flag says yes or no to its parameter, and not something else."""
    return bool(_negated(action)) or (action.nargs == 0 and isinstance(action.const, bool))


def _negated(action: argparse.Action) -> list[str]:
    """Return the options that say no, of an option that has both."""
    if not isinstance(action, argparse.BooleanOptionalAction):
        return []
    return [option for option in action.option_strings if option.startswith("--no-")]


def _positive(action: argparse.Action) -> str:
    no = _negated(action)
    return max((option for option in action.option_strings if option not in no), key=len, default="")


def _typed(action: argparse.Action, value: Any) -> list[str]:
    """Return a value as it would be typed behind its option."""
    flag = max(action.option_strings, key=len, default="")
    if isinstance(action, argparse._CountAction):
        return [flag] * int(value)
    if no := _negated(action):
        return [_positive(action) if value else no[0]]
    if action.nargs == 0:
        is_wanted = bool(value) == action.const if isinstance(action.const, bool) else bool(value)
        return [flag] if is_wanted else []
    if _kind(action) is Kind.LIST:
        texts = [_text(one) for one in (shlex.split(value) if isinstance(value, str) else value)]
        if not flag or not texts:
            return texts
        return [f"{flag}={one}" for one in texts] if action.nargs is None else [flag, *texts]
    return [f"{flag}={_text(value)}"] if flag else [_text(value)]


def _text(value: Any) -> str:
    """Return a value as people type it: a field for numbers gives 5.0 where somebody has typed 5."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    try:
        words = parser._get_formatter()._expand_help(action) if action.help else ""
    except (KeyError, TypeError, ValueError):  # a percent sign that is meant as one
        words = action.help or ""
    return " ".join(words.split())
