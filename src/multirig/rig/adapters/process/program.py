"""The program itself: where it is, what it is called, what its exit code means."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from multirig.errors import AdapterError

POLL = 0.02
"""Seconds between two looks at a program and its output: a tick of Windows' clock, and nothing to a CPU."""

UNKNOWN_CODE = 1 << 40
"""In place of the exit code of a program that another one has started: the system tells nobody else."""

HEX_FROM = 1 << 16
"""Exit codes from here on are Windows' own (0xc0000005) and are looked up in hexadecimal."""


class Program(Protocol):
    """A program that was started, here or by a rig's program that has died since."""

    pid: int
    stdin: asyncio.StreamWriter | None

    @property
    def returncode(self) -> int | None:
        """None while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""


def find_program(name: str) -> str:
    """Return the full path of a program, or raise AdapterError."""
    found = shutil.which(name)
    if found is None:
        raise AdapterError(f"program {name!r} was not found: install it, or give its full path in command")
    # a relative path would be looked for in working_folder on POSIX, but not on Windows
    return os.path.abspath(found)


def name_program(command: str) -> str:
    """Return a name for files and messages: the last part of the path, without .exe."""
    name = re.sub(r"\.(exe|bat|cmd|com)$", "", Path(command).name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.\-]", "_", name) or "program"


def describe_exit_code(code: int) -> str:
    """Return an exit code as one would look it up: with its signal's name, or in hexadecimal."""
    if code == UNKNOWN_CODE:
        return "not known"
    if code < 0:
        with suppress(ValueError):
            return f"{code} ({signal.Signals(-code).name})"
    return f"{code:#x}" if code >= HEX_FROM else str(code)
