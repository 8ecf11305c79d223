"""What happened in a session: its journal, replayed once. Pure.

All that is known of a session afterwards (its account, story, picture, verdict, tables and page) is a fold
over its `History`, and what a page shows while it is led is a fold over the same happenings as they come.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import ClockRead, HandingTold, Heard, Marked, Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Noticed
from multirig.protocol.events import Received, Replied
from multirig.protocol.words import Word
from multirig.record.entries import BEGINNING, Entry

Happening: TypeAlias = Moved | Progressed | Noticed | HandingTold | Heard | Marked
"""What comes of an input: the session is in another state, a rig has its outcome in a step, something is
noticed of a rig, a rig says whether it is handed over, a rig says something unasked, a marker is set."""
_HAPPENINGS = (Moved, Progressed, Noticed, HandingTold, Heard, Marked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a journal, and what came of it."""

    at: int
    """Nanoseconds on the session clock."""
    wall: str
    """ISO time of day on the conductor's PC."""
    kind: str
    """Name of the input, or of the note."""
    event: Any
    """The machine's input; None for a note."""
    before: SessionState
    after: SessionState
    word: Word | None = None
    """What a rig said, where the input is that."""
    happenings: Sequence[Happening] = ()
    has_run: bool = False
    """Whether all have begun to record by now."""
    version: str | None = None
    """Of the multirig that wrote a note."""
    pc: str | None = None
    """Who leads from here on, where a note says it: the name of the PC."""
    person: str | None = None
    """The same: the name of the person."""

    @property
    def time(self) -> float:
        """Seconds since 1970 on the conductor's PC."""
        return datetime.datetime.fromisoformat(self.wall).timestamp()

    @property
    def is_beginning(self) -> bool:
        """Whether an attempt at the session begins here."""
        return self.kind == BEGINNING


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All moments of a session, oldest first."""

    moments: Sequence[Moment]
    machine: SessionMachine = field(repr=False)
    """As it was at the end."""
    unreadable: Sequence[int] = ()
    """Lines of the journal that cannot be read."""

    @property
    def last_attempt(self) -> Sequence[Moment]:
        """The moments of the last attempt at the session: it alone counts."""
        begins = max((place for place, one in enumerate(self.moments) if one.is_beginning), default=0)
        return self.moments[begins:]

    @property
    def clocks(self) -> Iterator[ClockRead]:
        """What was read of the rigs' clocks in the last attempt, oldest first."""
        return (one.event for one in self.last_attempt if isinstance(one.event, ClockRead))


class Replay:
    """Feeds a machine with the lines of a journal, one after the other."""

    def __init__(self) -> None:
        self.machine = SessionMachine()
        self.unreadable: list[int] = []
        """Numbers of the lines that could not be read so far."""

    def run(self, lines: Iterable[tuple[int, Entry | None]]) -> Iterator[Moment]:
        """Yield what came of each line that can be read.

        Parameters
        ----------
        lines : iterable of (int, Entry or None)
            With their numbers, oldest first; None for one that cannot be read.
        """
        for number, entry in lines:
            if entry is None:
                self.unreadable.append(number)
            else:
                yield self.take(entry)

    def feed(self, entry: Entry) -> Iterable[Any]:
        """Feed the machine with a line; return its effects."""
        if entry.kind == BEGINNING:  # another program made the attempt before, or had given it up
            self.machine = SessionMachine()
        return () if entry.event is None else self.machine.handle(entry.event, entry.at)

    def take(self, entry: Entry) -> Moment:
        """Take a line; return what came of it."""
        event = entry.event
        before = SessionState.IDLE if entry.kind == BEGINNING else self.machine.state
        happenings = tuple(effect for effect in self.feed(entry) if isinstance(effect, _HAPPENINGS))
        if isinstance(event, Marked):
            happenings = (event,)
        machine = self.machine
        return Moment(
            at=entry.at,
            wall=entry.wall,
            kind=entry.kind,
            event=event,
            word=event.word if isinstance(event, Received | Replied) else None,
            before=before,
            after=machine.state,
            happenings=happenings,
            has_run=machine.has_run,
            version=str(entry.data.get("version", "?")) if event is None else None,
            pc=_name(entry, "pc"),
            person=_name(entry, "person"),
        )


def _name(entry: Entry, key: str) -> str | None:
    """Return a name in a note."""
    found = entry.data.get(key) if entry.event is None else None
    return found if isinstance(found, str) and found else None


def rebuild(entries: Iterable[Entry]) -> SessionMachine:
    """Return the session machine that the lines of a journal make, oldest first."""
    replay = Replay()
    for entry in entries:
        list(replay.feed(entry))
    return replay.machine


def retrace(lines: Iterable[tuple[int, Entry | None]]) -> History:
    """Return the history that the lines of a journal make; see `Replay.run`."""
    replay = Replay()
    moments = list(replay.run(lines))
    return History(moments=moments, machine=replay.machine, unreadable=replay.unreadable)


def find_rig(event: Any) -> str | None:
    """Return which rig's outcome in a step an input is; None where it is none."""
    match getattr(event, "key", None):
        case (_, str(name), *_):
            return name
    return None
