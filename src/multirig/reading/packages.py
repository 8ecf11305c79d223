"""Packages that only reading, and what stands on it, needs: loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from multirig.errors import ConfigError


def need(name: str, what: str, *, extra: str = "data") -> Any:
    """Return a package.

    Parameters
    ----------
    name : str
        As it is imported.
    what : str
        What needs it, in words that begin the message.
    extra : str
        Which of multirig's extras brings it.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != name.partition(".")[0]:
            raise
        package = {"av": "PyAV"}.get(name, name)
        raise ConfigError(f"{what} needs {package}: pip install 'multirig[{extra}]'") from None
