"""A program whose rig's own program has died: kept in mind on the disk, found again, taken back or ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import TypeAdapter

from multirig.errors import ConfigError, LocalProtocolError, why_not
from multirig.formats import KEY, check_format
from multirig.protocol.exp_ref import ExpRef
from multirig.rig.adapters.process.program import UNKNOWN_CODE
from multirig.rig.keepsake import Keepsake
from multirig.writing import write_whole

if TYPE_CHECKING:
    import asyncio

FORMAT = 2
"""Of what is kept of a program; 1 did not say which rig had started it."""

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
    rig: str = ""
    """The rig that has started it."""
    addresses: list[str] = field(default_factory=list)
    """Where that rig listened."""
    served_by: int = 0
    """The process of that rig's own program."""
    served_since: str = ""
    """When that was started, as `birth`."""

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        return find_birth(self.pid) == self.birth

    @property
    def session(self) -> ExpRef | None:
        """The session for which it was started; None: what stands there is no reference."""
        try:
            return ExpRef.parse(self.exp_ref)
        except LocalProtocolError:
            return None

    @property
    def is_served(self) -> bool:
        """Whether the rig's own program still runs that watches it."""
        return bool(self.served_since) and find_birth(self.served_by) == self.served_since

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


def remember(keepsake: Keepsake | None, started: Started) -> None:
    """Keep what finds a program again; a disk that does not take it is logged."""
    if keepsake is None:
        return
    own = os.getpid()
    noted = replace(
        started,
        rig=keepsake.rig,
        addresses=[*keepsake.addresses],
        served_by=own,
        served_since=find_birth(own) or "",
    )
    for path in (keepsake.path, _entry(keepsake, started.pid)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({KEY: FORMAT, **asdict(noted)}).encode())
        except OSError as error:
            log.error("which program was started cannot be kept in %s: %s", path, why_not(error))


def forget(keepsake: Keepsake | None, pid: int) -> None:
    """Forget a program: it has gone."""
    if keepsake is None:
        return
    kept = read_started(keepsake.path)
    if kept is None or kept.pid == pid:
        with contextlib.suppress(OSError):
            keepsake.path.unlink()
    with contextlib.suppress(OSError):
        _entry(keepsake, pid).unlink()


def recall(keepsake: Keepsake | None) -> list[Started]:
    """Return the programs of a rig that still run: also those of one that had its name or its address."""
    if keepsake is None:
        return []
    kept = read_started(keepsake.path)
    own = [kept] if kept is not None and kept.lives else []
    noted = [one for one in _list_left(keepsake) if _is_of(one, keepsake)]
    return [*own, *(one for one in noted if one.pid not in _pids(own))]


def find_strangers(keepsake: Keepsake | None) -> list[Started]:
    """Return the programs of other rigs of this PC that still run, and are watched by nobody."""
    if keepsake is None:
        return []
    own = _pids(recall(keepsake))
    return [one for one in _list_left(keepsake) if one.pid not in own]


def _list_left(keepsake: Keepsake) -> list[Started]:
    """Return what stands in the register and is left; what has gone is struck out."""
    found = []
    for path in sorted(keepsake.register.glob("*.json")):
        started = read_started(path)
        if started is not None and started.lives:
            if not started.is_served:
                found.append(started)
        elif started is not None:
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _is_of(started: Started, keepsake: Keepsake) -> bool:
    return started.rig == keepsake.rig or not {*keepsake.addresses}.isdisjoint(started.addresses)


def _pids(programs: list[Started]) -> set[int]:
    return {one.pid for one in programs}


def _entry(keepsake: Keepsake, pid: int) -> Path:
    return keepsake.register / f"{pid}.json"


def read_started(path: Path) -> Started | None:
    """Return what a file says of a program that was started; None: it says nothing that is known."""
    try:
        told = json.loads(path.read_bytes())
        check_format(told.get(KEY) if isinstance(told, dict) else None, FORMAT, path)
        return TypeAdapter(Started).validate_python(told)
    except ConfigError as error:
        log.error("%s", error)
    except (OSError, ValueError):  # pydantic's errors are ValueErrors
        pass
    return None


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
