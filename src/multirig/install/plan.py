"""What is written and which commands are run to have something started at log-on. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import PurePath


class Way(enum.Enum):
    """Who starts it."""

    TASK = "Task Scheduler"
    STARTUP = "Startup folder"
    SYSTEMD = "systemd"
    LAUNCHD = "launchd"

    def __str__(self) -> str:
        return self.value


WAYS = {"windows": Way.TASK, "linux": Way.SYSTEMD, "macos": Way.LAUNCHD}
"""By system, as it is named on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where files of this user go on a system, and who that is."""

    tasks: PurePath
    """XML files for Windows' Task Scheduler, which keeps copies of its own."""
    startup: PurePath
    """Windows' Startup folder."""
    units: PurePath
    """systemd's units of this user."""
    agents: PurePath
    """launchd's agents of this user."""
    logs: PurePath
    """multirig's logs."""
    user: str
    """Who logs on: on Windows a security identifier or DOMAIN\\name; on macOS the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one job is registered with one system, and taken away again."""

    way: Way
    label: str
    """What the system calls it."""
    file: PurePath
    content: bytes
    encoding: str
    """Of the content, to show it."""
    register: tuple[tuple[str, ...], ...] = ()
    """From the next log-on on; nothing is started, nothing that runs is touched."""
    start: tuple[tuple[str, ...], ...] = ()
    """And now."""
    unregister: tuple[tuple[str, ...], ...] = ()
    """No more from the next log-on on; what runs is not touched."""
    forget: tuple[tuple[str, ...], ...] = ()
    """When it has ended, and the file is gone."""
    look: tuple[str, ...] = ()
    """Exit code 0: it is registered; none: it is where the file is."""

    def show(self) -> str:
        """Return the file's content as text."""
        return self.content.decode(self.encoding).replace("\r\n", "\n")
