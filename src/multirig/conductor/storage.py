"""Where this PC's part of the sessions lies: the only place at which a conductor touches a disk."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Protocol

from multirig.conductor.journal import JournalFile, LockedFile
from multirig.folders import DESCRIPTION_NAME, is_data_name, next_exp_ref_in, subjects_folder
from multirig.lifecycle.session import SessionMachine
from multirig.protocol.exp_ref import ExpRef
from multirig.record.account import write_verdict
from multirig.record.journal import holds_recording, holds_start, replay
from multirig.record.places import find_places, note_place
from multirig.record.recovery import OpenSession, find_leader, find_open_of


class Storage(Protocol):
    """The folder of a lab's subjects on a disk; what it does may block."""

    path: Path | None
    """On this PC's own disk; None: it lies on none."""

    def folder(self, exp_ref: ExpRef) -> Path:
        """Return where a session lies; nothing is created."""

    def next_exp_ref(self, subject: str, date: datetime.date) -> ExpRef:
        """Return the number behind the highest one of a day."""

    def has_data(self, exp_ref: ExpRef) -> bool:
        """Whether there is more of a session than what we ourselves write before a start."""

    def holds_start(self, exp_ref: ExpRef) -> bool:
        """Whether a session was started under its number, by its journal."""

    def holds_recording(self, exp_ref: ExpRef) -> bool:
        """Whether a session was recorded under its number, and is over, by its journal."""

    def find_leader(self, exp_ref: ExpRef) -> str | None:
        """Return which program on this PC leads a session now, in words; None: none does."""

    def replay(self, folder: Path) -> SessionMachine:
        """Return the machine of a session as it was when its journal ends.

        Raises
        ------
        ConfigError
            There is no journal, or it cannot be read.
        """

    def open_journal(self, folder: Path) -> JournalFile:
        """Go on with the journal in a session folder, which is made, behind its last whole line.

        Raises
        ------
        ConfigError
            The folder cannot be written, or another program on this PC leads the session in it.
        """

    def write_verdict(self, folder: Path) -> list[str]:
        """Write what a session was, by its journal, beside the journal; return what could not be written."""

    def find_open(self, exp_ref: ExpRef) -> OpenSession | None:
        """Return the session of that reference if this PC has begun it, and it was never ended."""

    def measure_space(self) -> int | None:
        """Return the bytes that are free; None: that is not known."""


class SubjectsFolder:
    """A folder ``…/Subjects`` on this PC.

    Parameters
    ----------
    path : pathlib.Path
        It need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._subjects = path

    def folder(self, exp_ref: ExpRef) -> Path:
        """Return where a session lies; nothing is created."""
        return self._subjects.joinpath(*exp_ref.folder_parts())

    def next_exp_ref(self, subject: str, date: datetime.date) -> ExpRef:
        """Return the number behind the highest one of a day."""
        return next_exp_ref_in(self._subjects, subject, date)

    def has_data(self, exp_ref: ExpRef) -> bool:
        """Whether there is more of a session than what we ourselves write before a start."""
        folder = self.folder(exp_ref)
        return folder.is_dir() and any(
            is_data_name(path.name) and path.name != DESCRIPTION_NAME for path in folder.iterdir()
        )

    def holds_start(self, exp_ref: ExpRef) -> bool:
        """Whether a session was started under its number, by its journal."""
        return holds_start(self.folder(exp_ref))

    def holds_recording(self, exp_ref: ExpRef) -> bool:
        """Whether a session was recorded under its number, and is over, by its journal."""
        return holds_recording(self.folder(exp_ref))

    def find_leader(self, exp_ref: ExpRef) -> str | None:
        """Return which program on this PC leads a session now, in words; None: none does."""
        return find_leader(self.folder(exp_ref))

    def replay(self, folder: Path) -> SessionMachine:
        """Return the machine of a session as it was when its journal ends."""
        return replay(folder)

    def open_journal(self, folder: Path) -> JournalFile:
        """Go on with the journal in a session folder; see `Storage.open_journal`."""
        file = LockedFile(folder)
        note_place(self._subjects)
        return file

    def write_verdict(self, folder: Path) -> list[str]:
        """Write what a session was, by its journal, beside the journal; return what could not be written."""
        return write_verdict(folder)

    def find_open(self, exp_ref: ExpRef) -> OpenSession | None:
        """Return the session of that reference if this PC has begun it anywhere, and it was never ended."""
        return find_open_of(exp_ref, *find_places(None, self._subjects))

    def measure_space(self) -> int | None:
        """Return the bytes that are free; None: that is not known."""
        try:
            return shutil.disk_usage(self._subjects).free
        except OSError:
            return None


def open_storage(data_folder: str | Path | Storage | None, lab: str) -> Storage | None:
    """Return where sessions go that are to lie in a data folder of a lab.

    Raises
    ------
    ConfigError
        The lab cannot name a folder.
    """
    if isinstance(data_folder, str | Path):
        return SubjectsFolder(subjects_folder(Path(data_folder), lab))
    return data_folder
