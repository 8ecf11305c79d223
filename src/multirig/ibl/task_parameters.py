"""A task's parameters: what its classes and the file beside it say, the more special one winning."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from multirig.config import SharedLoader, parse_pairs, read_text
from multirig.ibl.bunch import Bunch, bunched

FILE_NAME = "task_parameters.yaml"


def task_file(task: type) -> Path | None:
    """Return the file that a class is written in; None for one typed at a prompt."""
    try:
        return Path(inspect.getfile(task)).resolve()
    except (TypeError, OSError):
        return None


def read_task_parameters(task: type, file: str | Path | None = None) -> Bunch:
    """Return a task's parameters, sorted by name.

    Parameters
    ----------
    task : type
        Each class of its hierarchy may name a ``base_parameters_file``.
    file : str or pathlib.Path, optional
        The most special file; without it ``task_parameters.yaml`` beside the class's file, if there.

    Raises
    ------
    ConfigError
        A named file is missing, or holds no ``name: value`` pairs.
    """
    files = [Path(base) for cls in task.__mro__ if (base := cls.__dict__.get("base_parameters_file"))]
    files.reverse()
    if file is not None:
        files.append(Path(file))
    elif (source := task_file(task)) is not None and (beside := source.with_name(FILE_NAME)).exists():
        files.append(beside)
    parameters: dict[str, Any] = {}
    for path in files:
        parameters |= parse_pairs(read_text(path), path, example="REWARD_AMOUNT: 1.5", loader=SharedLoader)
    result: Bunch = bunched(dict(sorted(parameters.items(), key=lambda each: str(each[0]))))
    return result
