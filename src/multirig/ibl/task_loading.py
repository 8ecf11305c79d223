"""A task's class from its file or module, and one line on whatever goes wrong in its code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from multirig.errors import ConfigError, MultirigError

PREFERRED = "Session"
"""What iblrig calls the class of a task."""
_MEMBERS = ("run", "_run", "start_hardware", "extra_parser")
"""By these a task is known, whether it derives from iblrig's base session or from ours."""
_EXAMPLE = "give a task such as my_task.py, my_task.py:Session or my_package.my_task:Session"


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


def explain_failure(error: Exception, cls: Any, session: Any) -> MultirigError:
    """Return one line on what went wrong in a task's own code, and where; the stack is for the log.

    Parameters
    ----------
    error : Exception
        What the constructor or ``run`` raised.
    cls : type
        The task.
    session : object or None
        Of that class; None: there is none yet.
    """
    folder = raw_data_folder(session)
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


def raw_data_folder(session: Any) -> Path | None:
    """Return where a task's own data are, if it has written any."""
    paths = getattr(session, "paths", None)
    folder = paths.get("SESSION_RAW_DATA_FOLDER") if paths is not None else None
    return folder if folder is not None and folder.exists() else None
