"""A program whose rig's own program has died: kept in mind on the disk, found again, taken back or ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import TypeAdapter, ValidationError

from multirig.rig.adapters.process.program import UNKNOWN_CODE
from multirig.writing import write_whole

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("multirig.rig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A program that was started, as its rig remembers it."""

    pid: int
    birth: str
    """When it was, by the system: another program of the same number has another one."""
    name: str
    exp_ref: str
    """The session for which it was started."""
    folder: str
    """Where it writes."""
    logs: dict[str, int]
    """Bytes that stood in each of its logs before."""

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        return find_birth(self.pid) == self.birth

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid}), started for {self.exp_ref}"


def find_birth(pid: int) -> str | None:
    """Return when a living program was started; None: there is none of this number."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists():  # it is no Linux
            return repr(process.create_time())
        # counted since the PC was started: a clock that is set does not change it
        ticks = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{ticks}"
    except (psutil.Error, OSError, IndexError):
        return None


def remember(path: Path | None, started: Started) -> None:
    """Keep what finds a program again; a disk that does not take it is logged."""
    if path is None:
        return
    try:
        write_whole(path, json.dumps(asdict(started)).encode())
    except OSError as error:
        log.error("which program was started cannot be kept in %s: %s", path, error.strerror or error)


def forget(path: Path | None) -> None:
    """Forget a program: it has gone."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()


def recall(path: Path | None) -> Started | None:
    """Return the program that a rig had started and that still runs."""
    if path is None:
        return None
    try:
        started = TypeAdapter(Started).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return started if started.lives else None


class Foreign:
    """A running program that another one has started: nobody here has its input, or learns its exit code."""

    stdin: asyncio.StreamWriter | None = None

    def __init__(self, started: Started) -> None:
        self.pid = started.pid
        self._started = started

    @property
    def returncode(self) -> int | None:
        """None while it runs, and then what says that its exit code is not known."""
        return None if self._started.lives else UNKNOWN_CODE

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, signal.Signals(number))
