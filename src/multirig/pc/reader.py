"""How this PC is asked: its programs, its files, its registry; a test puts its own answers in their place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multirig.pc.connected import list_networks

RUN_LIMIT = 1.5
"""Seconds that a program of the system may take to answer."""


def _run(command: Sequence[str]) -> str:
    """Return what a program of the system prints; empty where it is not there or fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RUN_LIMIT,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def _read(path: str) -> str | None:
    """Return a small text file; None where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _registry(key: str, name: str | None) -> object:
    """Return a value below HKEY_LOCAL_MACHINE; without a name, True if the key is there; None: it is not."""
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
                return True if name is None else winreg.QueryValueEx(opened, name)[0]
        except OSError:
            return None
    return None


def _registry_values(key: str) -> Mapping[str, object]:
    """Return all values of a key below HKEY_LOCAL_MACHINE; none where it is not there."""
    found: dict[str, object] = {}
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
                for place in range(winreg.QueryInfoKey(opened)[1]):
                    name, value, _ = winreg.EnumValue(opened, place)
                    found[name] = value
        except OSError:
            pass  # it is not there, or changes just now
    return found


def _service(name: str) -> str | None:
    """Return the status of a Windows service, such as running; None where it cannot be told."""
    if sys.platform == "win32":
        import psutil

        try:
            return psutil.win_service_get(name).status()
        except psutil.Error:
            return None
    return None


def _is_administrator() -> bool:
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The ways to ask a PC."""

    system: str
    """As in ``sys.platform``."""
    run: Callable[[Sequence[str]], str]
    read: Callable[[str], str | None]
    registry: Callable[[str, str | None], object]
    service: Callable[[str], str | None]
    registry_values: Callable[[str], Mapping[str, object]] = lambda key: {}
    networks: Callable[[], Sequence[tuple[str, int]]] = lambda: []
    """Name and category of each network that it is in."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the environment."""
    is_administrator: Callable[[], bool] = lambda: False
    """Whether this program may change what holds for all users of Windows."""


def this_pc() -> Reader:
    """Return the ways to ask the PC on which this runs."""
    return Reader(
        system=sys.platform,
        run=_run,
        read=_read,
        registry=_registry,
        service=_service,
        registry_values=_registry_values,
        networks=list_networks,
        variables=os.environ,
        is_administrator=_is_administrator,
    )
