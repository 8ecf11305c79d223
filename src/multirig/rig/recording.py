"""What a rig's adapter records now, and the proof of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from multirig.lifecycle.defects import DISK, FULL
from multirig.protocol.events import SECOND
from multirig.rig.adapter import Adapter, Expected, File, Finding, Health, Level, Session, list_files
from multirig.rig.evidence.completing import complete
from multirig.rig.evidence.counting import Counting
from multirig.rig.evidence.growth import Growth
from multirig.rig.evidence.places import find_missing, find_odd
from multirig.rig.evidence.wholeness import describe_breaks, describe_losses, describe_rate
from multirig.rig.rate import rate_since
from multirig.wording import discreet

LOOKING_COSTS = 25
"""Times as long as a look at all files took nobody looks again."""

log = logging.getLogger("multirig.rig")


class Recording:
    """The session that an adapter is in, from its initialisation to its clean-up.

    Parameters
    ----------
    adapter : Adapter
        Which records.
    clock : callable
        This PC's own; ns.
    find_jumps : callable
        Returns how the clock by which times are stamped has jumped since a time of this PC.
    """

    def __init__(
        self, adapter: Adapter, clock: Callable[[], int], find_jumps: Callable[[int], Sequence[Finding]]
    ) -> None:
        self.session: Session | None = None
        """None between two sessions."""
        self.was_started = False
        """Whether the adapter was told to start: then the session's number is used up."""
        self.is_rehearsal = False
        """Whether nothing of it is kept."""
        self.health = Health()
        self.findings: tuple[Finding, ...] = ()
        """What was seen since it began."""
        self._full: list[Finding] = []
        """Times in which its disk was full."""
        self.growth = Growth()
        """How its files have grown."""
        self._counting = Counting()
        """How many frames its adapter has counted."""
        self._of_files: tuple[Finding, ...] = ()
        """What the sizes of its files tell, once they are closed."""
        self._adapter = adapter
        self._clock = clock
        self._find_jumps = find_jumps
        self._since: int | None = None
        """When it had begun, until another session begins."""
        self._stopped: int | None = None
        """When it was told to stop."""
        self._look_again: int | None = None
        """When its files may be looked at again; None: at once."""
        self._began: int | None = None
        """When the adapter had begun to record."""
        self.is_open = False
        """Whether it records, or its files are being closed: what the disk does not take then is lost."""
        self._has_complained = False
        """Whether this session's log says already that the adapter cannot tell its health."""

    def enter(self, session: Session, *, is_rehearsal: bool, was_started: bool = False) -> None:
        """Begin a session, or go on with one that has been started."""
        self.session = self._adapter.session = session
        self.is_rehearsal = is_rehearsal
        self.was_started = was_started
        self.health, self.findings = Health(), ()
        self._full = []
        self._counting = Counting()
        self.growth, self._of_files, self._stopped = Growth(), (), None
        self._began = self._since = None
        self.is_open = False
        self._has_complained = False

    def leave(self) -> None:
        """End the session."""
        self.session = None
        self.is_open = False
        self.health, self.findings = Health(), ()

    def note_start(self) -> None:
        """Note that the adapter has begun to record."""
        self._began = self._since = self._clock()
        self.is_open = True

    def note_stop(self) -> None:
        """Note that the adapter is told to stop: what its files do from now on proves nothing."""
        self._stopped = self._stopped or self._clock()

    def add(self, findings: Sequence[Finding]) -> None:
        """Take what was found of it by others."""
        is_told = any(one.kind == DISK for one in self._full)
        self._of_files += tuple(one for one in findings if one.kind != DISK or not is_told)

    async def look_at_files(self) -> None:
        """Look how far its files have grown; of thousands less often, so that it costs little."""
        session, began = self.session, self._clock()
        if session is None or self._stopped is not None or began < (self._look_again or began):
            return
        try:
            found = await asyncio.to_thread(list_files, session, self._adapter.owns())
        except OSError:
            return
        if self.session is session and self._stopped is None:
            self.growth.look({one.path: one.bytes for one in found}, self._clock())
        now = self._clock()
        self._look_again = now + (now - began) * LOOKING_COSTS

    async def complete(self, files: Sequence[File], expected: Expected) -> list[File]:
        """Return its files with all that can be known of them."""
        if self.session is None:
            return list(files)
        stopped = self._stopped or self._clock()
        completed = await asyncio.to_thread(
            complete, files, self.session, self.growth, stopped=stopped, expected=expected
        )
        await self._judge_sizes(self.session, completed, expected)
        return completed

    async def _judge_sizes(self, session: Session, files: Sequence[File], expected: Expected) -> None:
        """Find what the sizes of the files tell that is no matter of one that is there."""
        owned = self._adapter.owns()
        at = session.to_session_time(self._clock()) / SECOND
        try:
            there = await asyncio.to_thread(list_files, session, owned)
            odd = await asyncio.to_thread(lambda: tuple(find_odd(session.session_folder, there, at)))
        except OSError:
            return
        sizes = {one.path: one.bytes for one in there}
        began = self._clock() if self._since is None else self._since
        losses = self.growth.find_losses(sizes, self._clock())
        self._of_files = (
            *find_missing(owned, there, at),
            *odd,
            *describe_losses(losses, session, began),
            *describe_rate(self._counting, files, session, began, expected),
            *describe_breaks(self.growth, files, session, began, expected),
        )

    def take_seconds(self) -> float | None:
        """Return for how long it has recorded, once; None where that is not known."""
        began, self._began = self._began, None
        return None if began is None else (self._clock() - began) / SECOND

    def look(self) -> None:
        """Ask the adapter for its proof of recording; an adapter that cannot tell leaves the last one."""
        try:
            health = self._adapter.health()
            findings = tuple(replace(one, text=discreet(one.text)) for one in self._adapter.findings())
            if not isinstance(health, Health):
                raise TypeError(f"health returns {health!r:.80} and no Health")
        except Exception:
            if not self._has_complained:
                log.exception("the adapter's health report failed")
            self._has_complained = True
        else:
            if self._stopped is None:
                self._counting.look(health.frames, self._clock())
            jumps = () if self._since is None else self._find_jumps(self._since)
            self.health = health
            self.findings = (*findings, *jumps, *self._full, *self._of_files)

    def note_room(self, free: int) -> None:
        """Note until its files are closed since when its disk is full, and when there is room again."""
        session = self.session
        if session is None or not self.is_open:
            return
        at = session.to_session_time(self._clock()) / SECOND
        lasts = bool(self._full) and self._full[-1].until is None
        if free < FULL and not lasts:
            text = f"its disk is full, and what it records is lost: free space in {session.session_folder}"
            self._full.append(Finding(level=Level.ALARM, kind=DISK, text=text, at=at))
        elif free >= FULL and lasts:
            self._full[-1] = replace(self._full[-1], until=at)

    def find_rate(self) -> float | None:
        """Return how many bytes a second are recorded; None while that is not known."""
        if self._began is None:
            return None
        return rate_since(self.health.bytes, (self._clock() - self._began) / SECOND)
