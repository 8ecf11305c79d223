"""``multirig run TASK``: a task from its file, with its own options, alone or with rigs."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import inspect
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from multirig.cli import render
from multirig.cli.main import FAILED, keep_log
from multirig.conductor import journal
from multirig.conductor.account import account
from multirig.conductor.roster import VARIABLE as RIGS_VARIABLE
from multirig.conductor.verdict import Word
from multirig.errors import ConfigError, MultirigError
from multirig.ibl.task_arguments import task_parser, to_arguments

PREFERRED = "Session"
"""What iblrig calls the class of a task."""
_MEMBERS = ("run", "_run", "start_hardware", "extra_parser")
"""By these a task is known, whether it derives from iblrig's base session or from ours."""
_EXAMPLE = "give a task such as my_task.py, my_task.py:Session or my_package.my_task:Session"


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
    options = _parse(cls, task, arguments)
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
            raise _explain(error, cls, session) from error
        except BaseException:
            _say_where(session)
            _say_verdict(session)
            raise
    _say_where(session)
    if _say_verdict(session) not in (None, Word.GOOD):
        raise typer.Exit(FAILED)


# -- which task -------------------------------------------------------------------------------------------


def find_task(task: str) -> Any:
    """Return a task's class.

    Raises
    ------
    ConfigError
        No such file, module or class, several classes to choose from, or it cannot be loaded.
    """
    head, separator, name = task.rpartition(":")
    if not separator or not head or not name.isidentifier():
        head, name = task, ""  # also C:\tasks\my_task.py
    module = _load_file(Path(head)) if head.endswith(".py") else _load_module(head)
    if name:
        found = getattr(module, name, None)
        if found is None:
            names = [each.__name__ for each in _tasks_of(module)]
            raise ConfigError(f"{head} has no class {name}: it has {', '.join(names) or 'no task at all'}")
        if not _is_task(found):
            raise ConfigError(
                f"{task} is no task: derive it from multirig.ibl.NetworkSession, "
                "and write its start_hardware and _run"
            )
        return found
    preferred = getattr(module, PREFERRED, None)
    if preferred is not None and _is_task(preferred):
        return preferred
    found = _tasks_of(module)
    if len(found) > 1:
        choices = ", ".join(f"{head}:{each.__name__}" for each in found)
        raise ConfigError(f"{head} has several tasks: give one of {choices}")
    if not found:
        raise ConfigError(
            f"{head} has no task: derive a class from multirig.ibl.NetworkSession, "
            "and write its start_hardware and _run"
        )
    return found[0]


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file: {_EXAMPLE}")
    path = path.resolve()
    # the task's own folder first, as Python has it; a name of our own, for a task may be called random.py
    sys.path.insert(0, str(path.parent))
    name = "multirig_task_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: cannot be loaded as Python: {_EXAMPLE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _cannot_load(str(path), error) from error
    return module


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{name!r} is neither a file nor a module: {_EXAMPLE}")
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"there is no module {error.name}: {_EXAMPLE}") from error
        raise _cannot_load(name, error) from error


def _cannot_load(what: str, error: Exception) -> ConfigError:
    if isinstance(error, SyntaxError):
        where = f"{Path(error.filename or what).name}, line {error.lineno}"
        return ConfigError(f"{what} is no Python: {error.msg} ({where}): correct that line")
    where = f" ({place})" if (place := _place(error, None)) else ""
    return ConfigError(f"{what} cannot be loaded: {_words(error)}{where}")


def _is_task(found: Any) -> bool:
    return (
        inspect.isclass(found)
        and not inspect.isabstract(found)
        and all(callable(getattr(found, member, None)) for member in _MEMBERS)
    )


def _tasks_of(module: ModuleType) -> list[Any]:
    """Return the tasks that the module itself defines."""
    return [each for each in vars(module).values() if _is_task(each) and each.__module__ == module.__name__]


# -- its options ------------------------------------------------------------------------------------------


def _parse(cls: Any, task: str, arguments: list[str]) -> dict[str, Any]:
    """Return the arguments of the constructor; a wrong option ends the program as argparse does, with 2."""
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
    options, rest = parser.parse_known_args(arguments)
    if any(each.partition("=")[0] == "--remote" for each in rest):
        parser.error(
            "this task takes no rigs: derive its class from multirig.ibl.NetworkSession for --remote"
        )
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    data, lab, rigs_file = (
        vars(options).pop(_private(name), None) for name in ("--data", "--lab", "--rigs-file")
    )
    if rigs_file is not None:
        os.environ[RIGS_VARIABLE] = str(rigs_file.resolve())
    chosen = to_arguments(options)
    settings: dict[str, Any] = chosen.get("iblrig_settings", {})
    if data is not None:
        settings |= {"iblrig_local_data_path": data.resolve(), "iblrig_local_subjects_path": None}
    if lab is not None:
        settings["ALYX_LAB"] = lab
    return chosen | ({"iblrig_settings": settings} if settings else {})


def _private(option: str) -> str:
    """Return a name that no option of a task has."""
    return f"multirig {option}"


# -- what became of it ------------------------------------------------------------------------------------


def _explain(error: Exception, cls: Any, session: Any) -> MultirigError:
    """Return one line on what went wrong in a task's own code, and where; the stack is in the log."""
    folder = _folder(session)
    place = _place(error, cls)
    where = f" ({place})" if place else ""
    data = f"; data are in {folder}" if folder else "; nothing was recorded on this PC"
    return MultirigError(f"task failed: {_words(error)}{where}{data}")


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: Exception, cls: Any) -> str:
    """Return the last line of the task's own file on the way to the error, else the last line of all."""
    frames = traceback.extract_tb(error.__traceback__)
    try:
        own = inspect.getfile(cls)
    except TypeError:
        own = ""
    found = [each for each in frames if each.filename == own] or frames[-1:]
    return f"{Path(found[-1].filename).name}, line {found[-1].lineno}" if found else ""


def _folder(session: Any) -> Path | None:
    paths = getattr(session, "paths", None)
    folder = paths.get("SESSION_RAW_DATA_FOLDER") if paths is not None else None
    return folder if folder is not None and folder.exists() else None


def _say_where(session: Any) -> None:
    if folder := _folder(session):
        render.say(f"data are in {folder}")


def _say_verdict(session: Any) -> Word | None:
    """Print what became of the session on the task's rigs, and return it; None without rigs."""
    paths = getattr(session, "paths", None)
    folder = paths.get("SESSION_FOLDER") if paths is not None else None
    if folder is None or not (Path(folder) / journal.FILE_NAME).is_file():
        return None
    told = account(Path(folder))
    render.show_verdict(told)
    return told.verdict


@contextlib.contextmanager
def _sigterm() -> Iterator[None]:
    """Let SIGTERM, and a closed Windows console, end the task like an exception: its hardware is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
