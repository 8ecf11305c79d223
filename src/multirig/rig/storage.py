"""Where a rig keeps what must last: its memory, its sessions' folders, what lies beside the data."""

from __future__ import annotations

import asyncio
import datetime
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from multirig.config import RigConfig
from multirig.errors import AdapterError, ConfigError, NotThereYet, why_not
from multirig.folders import next_exp_ref, session_folder
from multirig.lifecycle.rig_events import Memory
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Gap, Recorded
from multirig.rig.adapter import File, Marker, Session
from multirig.rig.data_folder import append_pulse, free_bytes, mark_folder, remove_empty
from multirig.rig.keepsake import Keepsake, programs_folder
from multirig.rig.manifest import Ledger
from multirig.rig.markers import append_marker, markers_name
from multirig.rig.memory import find_gap, mark_alive, memory_file, read_memory, write_memory
from multirig.rig.rate import rate_file, recall_rate, remember_rate
from multirig.rig.rehearsal import rehearsal_folder, remove_rehearsal
from multirig.rig.session_log import SessionLog, session_log_name
from multirig.sync.pulses import Pulse

MAKING_LIMIT = 5.0
"""Seconds that a folder may take when nobody wants it any more."""


class Storage(ABC):
    """What a rig keeps, whatever becomes of its program; the simulator has one in its memory."""

    usual_rate: float | None = None
    """Bytes a second, as the last recordings had; None: not known yet."""
    keepsake: Keepsake | None = None
    """Where an adapter may keep what it must find again; None: nowhere."""
    folder_mark: str | None = None
    """The same for all rigs that write below one folder, once it is open; None: not known."""

    @abstractmethod
    async def open(self) -> None:
        """Get ready, and remove what an earlier rehearsal has left; ConfigError if that cannot be."""

    @abstractmethod
    async def recall(self) -> Memory | None:
        """Return what the rig knew before its program died, if it did."""

    @abstractmethod
    async def keep(self, memory: Memory) -> None:
        """Keep what the rig must still know then; AdapterError if that cannot be."""

    @abstractmethod
    def mark_alive(self) -> None:
        """Note that the rig still records."""

    @abstractmethod
    async def find_gap(self, session: Session, now: datetime.datetime) -> Gap:
        """Return since when nothing was recorded, as `multirig.rig.memory.find_gap` does."""

    @abstractmethod
    def place(self, exp_ref: ExpRef, *, rehearses: bool) -> Path:
        """Return the folder of a session, which may not exist; a rehearsal has one of its own."""

    @abstractmethod
    async def make_folder(self, session: Session) -> None:
        """Make the folder that an adapter writes to; AdapterError if that cannot be."""

    @abstractmethod
    async def release_folder(self, session: Session) -> None:
        """Give a session's number back: nothing was recorded under it."""

    @abstractmethod
    async def remove_rehearsal(self) -> None:
        """Remove what was recorded in a rehearsal."""

    @abstractmethod
    async def find_free(self, subject: str, date: datetime.date) -> ExpRef:
        """Return the next free number of a subject on a day, as `multirig.folders.next_exp_ref` does."""

    @abstractmethod
    async def measure_space(self) -> int:
        """Return the bytes that are free where the data goes; OSError if that is not known."""

    @abstractmethod
    async def remember_rate(self, size: int, seconds: float) -> None:
        """Note how much a recording has taken."""

    @abstractmethod
    async def append_marker(self, session: Session, marker: Marker) -> None:
        """Write a marker into the session; OSError if the disk does not take it."""

    @abstractmethod
    async def append_pulse(self, session: Session, pulse: Pulse) -> None:
        """Write a sync pulse into the session; OSError if the disk does not take it."""

    # -- the list of what was recorded ------------------------------------------------------------------

    @abstractmethod
    def note_begin(self) -> None:
        """Note that a session begins."""

    @abstractmethod
    def keep_log(self, session: Session) -> None:
        """Keep what the log says of a session with its data, from its beginning: there will be some."""

    @abstractmethod
    def note_start(self, session: Session, planned: float | None) -> None:
        """Note that its recording has begun, and when that was to be: seconds on the session's clock."""

    @abstractmethod
    async def account(self, session: Session, files: Sequence[File]) -> Recorded:
        """Write the list of what was recorded; return what `multirig.rig.manifest.Ledger.account` does."""

    @abstractmethod
    def note_end(self) -> None:
        """Note that the session is over."""

    @abstractmethod
    async def late_digests(self) -> dict[str, str]:
        """Return the checksums, by path, that were not ready when the files were listed."""

    @abstractmethod
    def close(self) -> None:
        """Do no more: the program ends."""


class DiskStorage(Storage):
    """On the disk of this PC, in threads, so that nobody waits for it.

    Parameters
    ----------
    config : RigConfig
        Of the rig: its name and folders.
    """

    def __init__(self, config: RigConfig) -> None:
        self._config = config
        self._memory_file = memory_file(config.data_folder, config.name)
        self.keepsake = Keepsake(
            path=self._memory_file.with_suffix(".program.json"),
            register=programs_folder(),
            rig=config.name,
            # at "any free port" another rig may listen as well
            addresses=tuple(str(one) for one in config.uri if one.port),
        )
        self._rate_file = rate_file(config.data_folder, config.name)
        self._rehearsals = rehearsal_folder(config.data_folder, config.name)
        self._ledger = Ledger(config.name, config.adapter.type)
        self._log = SessionLog()

    async def open(self) -> None:
        """Make the data folder, and recall the rate of the last recordings."""
        folder = self._config.data_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            kind = ConfigError if isinstance(error, PermissionError | FileExistsError) else NotThereYet
            raise kind(
                f"rig {self._config.name}: cannot make data_folder {folder}: {why_not(error)}; "
                "choose a folder that you may write"
            ) from None
        self._log.open()
        await self.remove_rehearsal()
        self.usual_rate = await asyncio.to_thread(recall_rate, self._rate_file, self._config.adapter)
        self.folder_mark = await asyncio.to_thread(mark_folder, folder, self._config.lab)

    async def recall(self) -> Memory | None:
        """Read the rig's memory."""
        return await asyncio.to_thread(read_memory, self._memory_file)

    async def keep(self, memory: Memory) -> None:
        """Write the rig's memory."""
        await asyncio.to_thread(write_memory, self._memory_file, memory)

    def mark_alive(self) -> None:
        """Touch the rig's memory."""
        mark_alive(self._memory_file)

    async def find_gap(self, session: Session, now: datetime.datetime) -> Gap:
        """Look when anything was written last."""
        return await asyncio.to_thread(find_gap, self._memory_file, session.folder, now)

    def place(self, exp_ref: ExpRef, *, rehearses: bool) -> Path:
        """Return a session's folder; a new one for each rehearsal: adapters count on in one they know."""
        data = self._rehearsals / secrets.token_hex(4) if rehearses else self._config.data_folder
        return session_folder(data, self._config.lab, exp_ref)

    async def make_folder(self, session: Session) -> None:
        """Make a session's folder and those above it."""
        folder = session.folder
        making = asyncio.ensure_future(asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True))
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:  # a folder that comes late would keep its number used
            await asyncio.wait([making], timeout=MAKING_LIMIT)
            raise
        except OSError as error:
            raise AdapterError(
                f"cannot make {folder}: {why_not(error)}; check data_folder and the disk"
            ) from None

    async def release_folder(self, session: Session) -> None:
        """Remove a session's folder and those above it that are empty."""
        await asyncio.to_thread(remove_empty, session)

    async def remove_rehearsal(self) -> None:
        """Remove the folder of this rig's rehearsals."""
        await asyncio.to_thread(remove_rehearsal, self._rehearsals)

    async def find_free(self, subject: str, date: datetime.date) -> ExpRef:
        """Look for the highest number that has a folder."""
        return await asyncio.to_thread(
            next_exp_ref, self._config.data_folder, self._config.lab, subject, date
        )

    async def measure_space(self) -> int:
        """Ask the system."""
        return await asyncio.to_thread(free_bytes, self._config.data_folder)

    async def remember_rate(self, size: int, seconds: float) -> None:
        """Write it down, and read what counts from now on."""
        path, adapter = self._rate_file, self._config.adapter
        await asyncio.to_thread(remember_rate, path, adapter, size, seconds)
        self.usual_rate = await asyncio.to_thread(recall_rate, path, adapter)

    async def append_marker(self, session: Session, marker: Marker) -> None:
        """Write a line of the rig's table."""
        path = session.session_folder / markers_name(self._config.name)
        await asyncio.to_thread(append_marker, path, marker)

    async def append_pulse(self, session: Session, pulse: Pulse) -> None:
        """Write a line of the rig's table."""
        await asyncio.to_thread(append_pulse, session.folder, pulse)

    def note_begin(self) -> None:
        """Let the checksums wait, and take down what the log says."""
        self._ledger.begin()
        self._log.begin()

    def keep_log(self, session: Session) -> None:
        """Begin to write it, except that of a rehearsal."""
        if not session.session_folder.is_relative_to(self._rehearsals):
            self._log.keep_in(session.session_folder / session_log_name(self._config.name))

    def note_start(self, session: Session, planned: float | None) -> None:
        """Note when it was, and when it was to be on the session's clock."""
        self._ledger.start(session, planned)

    async def account(self, session: Session, files: Sequence[File]) -> Recorded:
        """Write the manifest, and begin to make its checksums."""
        return await self._ledger.account(session, files)

    def note_end(self) -> None:
        """Let the checksums be made, and end the session's log."""
        self._ledger.end()
        self._log.end()

    async def late_digests(self) -> dict[str, str]:
        """Wait some more for the checksums."""
        return await self._ledger.rest()

    def close(self) -> None:
        """Make no more checksums, and end the session's log."""
        self._ledger.close()
        self._log.close()
