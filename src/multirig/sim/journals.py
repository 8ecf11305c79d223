"""A conductor's disk that does not exist: it forgets what was not synced when the power fails."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from multirig.errors import ConfigError
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.exp_ref import ExpRef
from multirig.record.entries import parse_journal
from multirig.record.history import History, retrace
from multirig.record.recount import summarise
from multirig.sim.disk import next_free

SUBJECTS = Path("/data/Subjects")


@dataclass(slots=True)
class JournalData:
    """What is in a journal."""

    data: bytes = b""
    """With the operating system: it survives the death of the program."""
    synced: int = 0
    """Bytes that survive the death of the PC."""

    @property
    def holds_start(self) -> bool:
        """Whether a session was started under its number."""
        return b'"trigger":"start"' in self.data

    def replay(self) -> History:
        """Return what it holds, replayed."""
        return retrace(enumerate(parse_journal(self.data)))


class JournalDisk:
    """The sessions on a conductor's PC; a `multirig.conductor.storage.Storage`."""

    path: Path | None = None

    def __init__(self) -> None:
        self.journals: dict[ExpRef, JournalData] = {}
        """By session; in the order in which they were begun."""
        self.opened: OpenJournal | None = None
        """The one that the living program writes."""

    def folder(self, exp_ref: ExpRef) -> Path:
        """Return where a session lies."""
        return SUBJECTS.joinpath(*exp_ref.folder_parts())

    def next_exp_ref(self, subject: str, date: datetime.date) -> ExpRef:
        """Return the number behind the highest one of a day."""
        return next_free(self.journals, subject, date)

    def has_data(self, exp_ref: ExpRef) -> bool:
        """Say that no task has written anything here."""
        return False

    def holds_start(self, exp_ref: ExpRef) -> bool:
        """Whether a session was started under its number."""
        return exp_ref in self.journals and self.journals[exp_ref].holds_start

    def holds_recording(self, exp_ref: ExpRef) -> bool:
        """Whether a session was recorded under its number, and is over."""
        if exp_ref not in self.journals:
            return False
        summary = summarise(self.journals[exp_ref].replay().moments)
        return summary.state == SessionState.IDLE.value and summary.running_from is not None

    def find_leader(self, exp_ref: ExpRef) -> None:
        """No other program of the simulated PC writes here."""

    def replay(self, folder: Path) -> SessionMachine:
        """Return the machine of a session as it was when its journal ends."""
        return self.journals[_exp_ref_of(folder)].replay().machine

    def open_journal(self, folder: Path) -> OpenJournal:
        """Go on with a journal, without what a crash left unfinished there."""
        if self.opened is not None:
            raise ConfigError(f"another program on this PC leads the session in {folder}")
        journal = self.journals.setdefault(_exp_ref_of(folder), JournalData())
        journal.data = journal.data[: journal.data.rfind(b"\n") + 1]
        self.opened = OpenJournal(self, journal)
        return self.opened

    def write_verdict(self, folder: Path) -> list[str]:
        """Write nothing: the judgement is made when the world ends."""
        return []

    def measure_space(self) -> int | None:
        """Know nothing of a disk that does not exist."""
        return None

    def find_open(self, exp_ref: ExpRef) -> None:
        """Return nothing: whoever comes back to this disk goes on with what is open."""

    def find_newest(self, is_open: Callable[[SessionMachine], bool]) -> Path | None:
        """Return the folder of the newest session that is open."""
        for exp_ref, journal in reversed(self.journals.items()):
            if is_open(journal.replay().machine):
                return self.folder(exp_ref)
        return None

    def lose_program(self) -> None:
        """Take the open file back from a program that has died: nothing that it does counts any more."""
        if self.opened is not None:
            self.opened.is_lost = True
            self.opened = None

    def lose_power(self, part: float) -> None:
        """Keep what was synced, and a part of the rest, maybe half a line."""
        for journal in self.journals.values():
            kept = journal.synced + int(part * (len(journal.data) - journal.synced))
            journal.data = journal.data[:kept]


class OpenJournal:
    """A journal's file in the hands of a program."""

    def __init__(self, disk: JournalDisk, journal: JournalData) -> None:
        self.journal = journal
        self.is_lost = False
        self._disk = disk

    def write(self, data: bytearray) -> int:
        """Hand bytes to the system."""
        if not self.is_lost:
            self.journal.data += data
        return len(data)

    def sync(self) -> None:
        """Let them survive the death of the PC."""
        if not self.is_lost:
            self.journal.synced = len(self.journal.data)

    def take_rest(self) -> bytes:
        """Return nothing: all was written here."""
        return b""

    def is_there(self) -> bool:
        """Whether it is still where it was opened."""
        return True

    def keep_rest(self, rest: bytes) -> str:
        """Have nothing to keep."""
        return ""

    def close(self) -> None:
        """Let another program go on with it."""
        if self._disk.opened is self:
            self._disk.opened = None


def _exp_ref_of(folder: Path) -> ExpRef:
    subject, date, number = folder.parts[-3:]
    return ExpRef.parse(f"{date}_{number}_{subject}")
