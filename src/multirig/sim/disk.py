"""The disk of a PC that does not exist: what is on it survives crashes, and it can be full or locked."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multirig.errors import AdapterError
from multirig.folders import session_folder
from multirig.lifecycle.rig_events import Memory
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Gap, Recorded
from multirig.rig.adapter import File, Marker, Session
from multirig.rig.rate import rate_since
from multirig.rig.storage import Storage
from multirig.sync.pulses import Pulse

WRITING = 0.001
"""Seconds that the disk takes for anything."""
FREE = 10**12
"""Bytes that are free on it, unless it is full."""
DATA, REHEARSALS = Path("/data"), Path("/rehearsals")


@dataclass(slots=True)
class Disk:
    """What is still there after a crash."""

    sessions: dict[ExpRef, list[int]] = field(default_factory=dict)
    """Folders, and the frames of each file that was recorded into them."""
    rehearsals: dict[Path, list[int]] = field(default_factory=dict)
    """The same of rehearsals, by their folders."""
    markers: dict[Path, list[str]] = field(default_factory=dict)
    """What was marked, by session folder."""
    pulses: dict[Path, int] = field(default_factory=dict)
    """How many sync pulses were noted, by session folder."""
    memory: Memory | None = None
    """What the rig's program still knows after its death."""
    written_at: int = 0
    """When the last sign of a recording was written; ns of the world."""
    is_emptied: bool = False
    """Whether data are moved to a server after each session: no folder tells of a number that was used."""
    is_full: bool = False
    is_locked: bool = False
    """Whether the file of the rig's memory cannot be written."""

    def parts(self, session: Session) -> list[int]:
        """Return the frames of each file of a session."""
        if is_rehearsal(session):
            return self.rehearsals.setdefault(session.session_folder, [])
        return self.sessions.setdefault(session.exp_ref, [])


class MemoryStorage(Storage):
    """A program's view of such a disk.

    Parameters
    ----------
    disk : Disk
        Of the PC.
    lab : str
        Name of the lab.
    time : callable
        Of the world; ns.
    """

    def __init__(self, disk: Disk, lab: str, time: Callable[[], int]) -> None:
        self._disk = disk
        self._lab = lab
        self._time = time
        self._rehearsals = 0
        self._digests: dict[str, str] = {}

    async def open(self) -> None:
        """Remove what earlier rehearsals have left."""
        await self.remove_rehearsal()

    async def recall(self) -> Memory | None:
        """Return what was kept last."""
        return self._disk.memory

    async def keep(self, memory: Memory) -> None:
        """Keep it, unless the file cannot be written."""
        await asyncio.sleep(WRITING)
        if self._disk.is_locked:
            raise AdapterError("cannot write the memory: permission denied; check data_folder and the disk")
        self._disk.memory = memory
        self._disk.written_at = self._time()

    def mark_alive(self) -> None:
        """Note when."""
        self._disk.written_at = self._time()

    async def find_gap(self, session: Session, now: datetime.datetime) -> Gap:
        """Return the time since the last sign."""
        seconds = (self._time() - self._disk.written_at) / SECOND
        begin = now - datetime.timedelta(seconds=seconds)
        return Gap(since=begin.isoformat(), until=now.isoformat(), seconds=round(seconds, 3))

    def place(self, exp_ref: ExpRef, *, rehearses: bool) -> Path:
        """Return the folder of a session."""
        self._rehearsals += rehearses
        return session_folder(REHEARSALS / str(self._rehearsals) if rehearses else DATA, self._lab, exp_ref)

    async def make_folder(self, session: Session) -> None:
        """Make it, unless the disk is full."""
        if self._disk.is_full:
            raise AdapterError("cannot make the folder: no space left on device; check the disk")
        self._disk.parts(session)

    async def release_folder(self, session: Session) -> None:
        """Remove a folder that is empty."""
        if not self._disk.parts(session):
            del self._disk.sessions[session.exp_ref]

    async def remove_rehearsal(self) -> None:
        """Remove them all."""
        self._disk.rehearsals.clear()

    async def find_free(self, subject: str, date: datetime.date) -> ExpRef:
        """Return the number after the highest folder that is left."""
        await asyncio.sleep(WRITING)
        return next_free(() if self._disk.is_emptied else self._disk.sessions, subject, date)

    async def measure_space(self) -> int:
        """Return all or nothing."""
        return 0 if self._disk.is_full else FREE

    async def remember_rate(self, size: int, seconds: float) -> None:
        """Keep the last one."""
        self.usual_rate = rate_since(size, seconds) or self.usual_rate

    async def append_marker(self, session: Session, marker: Marker) -> None:
        """Keep it, unless the disk is full."""
        await asyncio.sleep(WRITING)
        if self._disk.is_full:
            raise OSError("no space left on device")
        self._disk.markers.setdefault(session.session_folder, []).append(marker.text)

    async def append_pulse(self, session: Session, pulse: Pulse) -> None:
        """Count it, unless the disk is full."""
        await asyncio.sleep(WRITING)
        if self._disk.is_full:
            raise OSError("no space left on device")
        folder = session.session_folder
        self._disk.pulses[folder] = self._disk.pulses.get(folder, 0) + 1

    def note_begin(self) -> None:
        """Begin with no checksums."""
        self._digests = {}

    def keep_log(self, session: Session) -> None:
        """There is no log."""

    def note_start(self, session: Session, planned: float | None) -> None:
        """Need not be noted."""

    async def account(self, session: Session, files: Sequence[File]) -> Recorded:
        """List the files; their checksums come later."""
        self._digests = {one.path: "0" * 64 for one in files}
        return Recorded(files=tuple(files), is_kept=True, manifest="manifest.json")

    def note_end(self) -> None:
        """Need not be noted."""

    async def late_digests(self) -> dict[str, str]:
        """Return the checksums, a little later."""
        await asyncio.sleep(WRITING)
        return self._digests

    def close(self) -> None:
        """Have nothing to end."""


def is_rehearsal(session: Session) -> bool:
    """Whether a session is a test recording, by its folder."""
    return session.session_folder.parts[1] == REHEARSALS.name


def next_free(sessions: Iterable[ExpRef], subject: str, date: datetime.date, least: int = 1) -> ExpRef:
    """Return the number after the highest folder, as `multirig.folders` does."""
    taken = [one.sequence for one in sessions if one.subject == subject and one.date == date]
    return ExpRef(date, max(least, max(taken, default=0) + 1), subject)
