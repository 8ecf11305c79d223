"""The journal of one session on this PC: begun with the agreement, and judged when the session is over."""

from __future__ import annotations

import asyncio
import datetime
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from multirig.conductor import numbering
from multirig.conductor.journal import FolderInUse as FolderInUse
from multirig.conductor.journal import Journal
from multirig.conductor.room import watch_room
from multirig.conductor.storage import Storage
from multirig.conductor.surroundings import in_thread
from multirig.errors import AgreementError
from multirig.lifecycle.watch import Notice
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Info, RigState
from multirig.record.entries import BEGINNING, RECOVERY
from multirig.record.recovery import OpenSession


class SessionJournal:
    """Writes down what happens to a session; without a storage, nothing.

    Parameters
    ----------
    storage : Storage, optional
        Where sessions lie on this PC.
    wall : callable
        Returns the time of day, with its zone.
    tell : callable
        Is told of the disk: that it is nearly full or takes no more, and when there is room again.
    leader : mapping of str to str, optional
        Who leads it, for its first line: ``pc``, and ``person`` where that is known.
    """

    def __init__(
        self,
        storage: Storage | None,
        wall: Callable[[], datetime.datetime],
        tell: Callable[[Notice, str], None] = lambda notice, text: None,
        leader: Mapping[str, str] | None = None,
    ) -> None:
        self.storage = storage
        self.losses: list[str] = []
        """What could not be written where it belongs, in words that follow the name of this PC."""
        self._tell = tell
        self._watching: asyncio.Task[None] | None = None
        """Looks at the room on the disk."""
        self._wall = wall
        self._leader = leader
        self._journal: Journal | None = None
        self._judging: asyncio.Task[list[str]] | None = None
        """Writes the verdict."""

    def begin(self, kind: str = BEGINNING) -> bool:
        """Keep what happens from now on; return whether that is wanted."""
        if self.storage is not None:
            self._journal = Journal(
                self.storage.open_journal,
                wall=self._wall,
                beginning=kind,
                leader=self._leader,
                tell=self._tell,
            )
        return self._journal is not None

    def reopen(self, folder: Path) -> None:
        """Go on where the journal in a session folder ends; see `Journal.open`. Needs no event loop."""
        if self.begin(RECOVERY) and self._journal is not None:
            self._journal.open(folder)

    async def open(self, exp_ref: ExpRef, *, joins: bool, appends: bool) -> None:
        """Let everything stand in the session's folder from now on.

        Raises
        ------
        AgreementError
            The session may not go into that folder.
        FolderInUse
            Another program on this PC leads the session in it.
        ConfigError
            The folder cannot be written.
        """
        storage, journal = self.storage, self._journal
        if storage is None or journal is None:
            return
        look = functools.partial(numbering.object_to, exp_ref, storage, joins, appends)
        if not joins and not appends and (leader := await asyncio.to_thread(storage.find_leader, exp_ref)):
            raise FolderInUse(
                f"{leader} records {exp_ref} now: end it there, or let another PC be the main sync"
            )
        if objection := await asyncio.to_thread(look):
            raise AgreementError(objection)
        await asyncio.to_thread(journal.open, storage.folder(exp_ref))
        self.watch_room()

    async def check_own(self, information: Mapping[str, Info]) -> None:
        """Say it where rigs are still in a session that this PC has begun, and never ended.

        Raises
        ------
        AgreementError
            Names it, and what to do.
        """
        if (storage := self.storage) is None:
            return
        busy = [info for info in information.values() if info.doing not in (None, RigState.CONNECTED)]
        for exp_ref in dict.fromkeys(info.exp_ref for info in busy if info.exp_ref is not None):
            own: OpenSession | None = await asyncio.to_thread(storage.find_open, exp_ref)
            if own is not None:
                raise AgreementError(own.say())

    def watch_room(self) -> None:
        """Look at the room on the disk from now on, until it is closed."""
        if self._watching is None and self.storage is not None and self.storage.path is not None:
            self._watching = asyncio.ensure_future(
                watch_room(self.storage.measure_space, self._tell, self._look)
            )

    def _look(self) -> None:
        if self._journal is not None:
            self._journal.look()

    def append(self, event: Any, at: int) -> None:
        """Write down an input of the machine, before anything that follows from it leaves this PC."""
        if self._journal is not None:
            self._journal.write_down(event, at)

    async def sync(self) -> None:
        """Let what happened survive even the death of the PC.

        Raises
        ------
        ConfigError
            The disk does not take it.
        """
        if self._journal is not None:
            await asyncio.to_thread(self._journal.sync)

    async def try_to_sync(self) -> None:
        """Sync, unless the disk does not take it, which is logged."""
        if self._journal is not None:
            await in_thread(self._journal.try_to_sync)

    def close(self, *, is_over: bool) -> None:
        """Write nothing more; where the session is over, let the verdict on it be written."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        journal, self._journal = self._journal, None
        if journal is None:
            return
        journal.close()
        if journal.loss is not None:
            self.losses.append(journal.loss)
        if is_over and self.storage is not None and journal.folder is not None:
            write = functools.partial(self.storage.write_verdict, journal.folder)
            self._judging = asyncio.create_task(in_thread(write))

    async def judged(self) -> None:
        """Return when the verdict has been written, where the session is over."""
        judging, self._judging = self._judging, None
        if judging is not None:
            await asyncio.wait([judging])
            self.losses += judging.result()
