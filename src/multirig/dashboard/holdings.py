"""What each PC has of the sessions, how much of it is collected, and what is wished of that from the page."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from multirig.collect.ledger import Ledger
from multirig.collect.overview import THIS_PC, Parts, by_destination, may_be_tried_again, note_told, read_told
from multirig.collect.places import open_destination
from multirig.collect.schedule import SETTLE, Schedule
from multirig.conductor.collecting import wish_of_rigs
from multirig.config import CollectRules
from multirig.dashboard.led import LedSession
from multirig.dashboard.own_data import OwnData
from multirig.dashboard.rigs import WatchedRigs
from multirig.dashboard.view.holdings import HoldingsNow, find_alarm, why_silent
from multirig.errors import MultirigError, why_not
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import (
    WISHES,
    AskHoldings,
    Clear,
    Collect,
    Holding,
    Holdings,
    is_left,
)

EVERY = 60.0
"""Seconds between two looks at all that the PCs have, while somebody looks or something is under way."""
SELDOM = 600.0
"""The same while nobody looks: each is a walk over the disks of all PCs."""
TICK = 1.0
"""Seconds between two looks at what is under way, while somebody looks."""
LOOKS_ON = 5.0
"""Seconds for which a page that was shown counts as looked at."""
JUDGED_EVERY = 5.0
"""Seconds between two looks for an alarm: pages are shown far more often."""
MOST = 100
"""Sessions that are asked for while a PC is at work: the oldest, which come first."""

MOST_AT_ONCE = 400
"""Sessions that are asked for by name at once: fewer than one answer holds."""

log = logging.getLogger("multirig.console")

Doomed = Mapping[str, Sequence[Holding]]
"""What is to be removed, by PC."""


class LabHoldings:
    """Asks this PC and the rigs, in tasks of its own, and tells them what is wished.

    Parameters
    ----------
    rigs : WatchedRigs
    session : LedSession
        From its beginning until its rigs record, nobody is asked for anything.
    places : callable
        Returns the folders ``…/Subjects`` of this PC; it may block.
    rules : CollectRules or None
        What ``multirig.yaml`` says of collecting.
    on_change : callable
    """

    def __init__(
        self,
        rigs: WatchedRigs,
        session: LedSession,
        places: Callable[[], list[Path]],
        rules: CollectRules | None,
        on_change: Callable[[], None],
    ) -> None:
        self.version = 0
        """Raised with everything that becomes known."""
        self._rigs, self._session = rigs, session
        self._rules, self._on_change = rules, on_change
        self._own = OwnData(places)
        self._parts = Parts()
        self._problem = ""
        """Why it cannot be collected at all."""
        self._is_known = False
        self._looked_on = self._asked_at = float("-inf")
        self._alarms: dict[bool, tuple[float, str | None]] = {}
        """For who operates, and for who only looks: what they should read, and when that was found."""
        self._unnamed: set[str] = set()
        """PCs that have more sessions than one answer names."""
        self._clearing: dict[str, tuple[ExpRef, ...]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._is_question = False
        """Whether nothing is lost where that is given up."""
        self._schedule = None if rules is None else Schedule(rules)

    # -- what is known ------------------------------------------------------------------------------------

    def now(self, *, operates: bool = True) -> HoldingsNow:
        """Return what is known, for a page that shows it now, to whom may press its buttons or not."""
        self._looked_on = time.monotonic()
        return self._peek(operates=operates)

    def alarm(self, *, operates: bool = True) -> str | None:
        """Return what whoever looks at the lab should read; None: nothing."""
        now = time.monotonic()
        judged_at, alarm = self._alarms.get(operates, (float("-inf"), None))
        if now - judged_at > JUDGED_EVERY:
            alarm = find_alarm(self._peek(operates=operates))
            self._alarms[operates] = now, alarm
        return alarm

    def _peek(self, *, operates: bool) -> HoldingsNow:
        return HoldingsNow(
            today=datetime.date.today(),
            parts=self._parts,
            rigs=self._rigs.now(),
            is_known=self._is_known,
            rules=self._rules,
            problem=self._problem,
            own_free=self._own.free,
            is_held_up=self._session.is_led,
            operates=operates,
        )

    # -- life ---------------------------------------------------------------------------------------------

    def jobs(self) -> Sequence[Coroutine[None, None, None]]:
        """Return what goes on until it is cancelled."""
        return self._keep_looking(), self._keep_collecting()

    def follow_session(self, *, is_over: bool) -> None:
        """Let copies on this PC wait while a session is led from here, and collect when it is over."""
        self._own.rest(is_led=self._session.is_led)
        if is_over:
            self._asked_at = float("-inf")
            if self._schedule is not None:
                self._schedule.note_session_over()

    def step_aside(self) -> None:
        """Ask nobody any more: a session begins."""
        self._own.rest(is_led=True)
        if self._asking is not None:
            self._asking.cancel()

    async def close(self) -> None:
        """Ask no more; rigs copy on by themselves, this PC goes on another time."""
        if self._asking is not None:
            self._asking.cancel()
        await self._own.close()

    async def _keep_looking(self) -> None:
        with contextlib.suppress(MultirigError, OSError):
            self._parts.held = await asyncio.to_thread(lambda: read_told(Ledger()))
        while True:
            await asyncio.sleep(TICK)
            try:
                await self._look_if_due()
            except Exception:
                log.exception("what the PCs have of the sessions could not be looked at")

    async def _look_if_due(self) -> None:
        now = time.monotonic()
        is_seen = now - self._looked_on < LOOKS_ON
        if now - self._asked_at >= (EVERY if is_seen or self._parts.busy else SELDOM):
            await self.look()
        elif is_seen and self._parts.busy:
            self._parts.busy &= {*self._reached()}  # of who is not heard nobody knows
            await self._together([self._follow(who) for who in sorted(self._parts.busy)])

    async def _keep_collecting(self) -> None:
        if self._schedule is None:
            return
        while True:
            await self._schedule.wait(self._has_left)
            while self._session.is_led:
                await asyncio.sleep(SETTLE)
            try:
                await self.collect()
            except MultirigError as error:
                log.warning("it could not be collected: %s", error)
            except Exception:
                log.exception("it could not be collected")

    async def _has_left(self) -> bool:
        held = [one for held in self._parts.held.values() for one in held.values()]
        return not self._is_known or any(may_be_tried_again(one) for one in held)

    # -- asking -------------------------------------------------------------------------------------------

    async def look(self, *, is_thorough: bool = False) -> None:
        """Ask all PCs that do not record for what they have; of the first time, or if it is wanted, for all.

        What an answer has no room for is asked for by name: of sessions that have a folder on this PC.
        """
        asked = self._reached()
        self._asked_at = time.monotonic()
        if not await self._together([self._say(who, AskHoldings()) for who in asked]):
            return
        if is_thorough or not self._is_known:
            here = await self._own.list_sessions()
            if not await self._together(
                [self._ask_rest(who, here, is_thorough=is_thorough) for who in self._unnamed & {*asked}]
            ):
                return
        self._asked_at, self._is_known = time.monotonic(), True
        self._parts.keep_only({THIS_PC, *self._rigs.entries})
        await asyncio.gather(asyncio.to_thread(self._keep_told, set(asked)), self._own.measure())
        self._note()

    def _keep_told(self, asked: set[str]) -> None:
        """Keep what rigs have said, for when they are away."""
        rigs = asked - {THIS_PC} - self._parts.trouble.keys()
        held = {who: tuple(self._parts.held.get(who, {}).values()) for who in rigs}
        note_told(Ledger(), {who: Holdings(sessions=told) for who, told in held.items()})

    async def _together(self, work: Sequence[Coroutine[Any, Any, None]], *, is_wish: bool = False) -> bool:
        """Do it all at once, one such lot after the other; False: not, or not all, since a session begins."""
        while self._asking is not None and not self._asking.done():
            if is_wish and self._is_question:  # whoever has pressed a button waits for nobody's answer
                self._asking.cancel()
            await asyncio.wait({self._asking})
        if self._session.is_before_recording:
            for one in work:
                one.close()
            return False
        self._asking = task = asyncio.create_task(_gather(work))
        self._is_question = not is_wish
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        return not task.cancelled()

    async def _follow(self, who: str) -> None:
        """Ask a PC that is at work how far it is; once it is done, all are asked for all that they have."""
        if who not in self._reached():
            return
        held = self._parts.held.get(who, {}).values()
        left = sorted((one.exp_ref for one in held if is_left(one)), key=lambda one: (one.date, one.sequence))
        wanted = (*self._clearing.get(who, ()), *left)
        await self._say(who, AskHoldings(sessions=wanted[:MOST]))
        if who not in self._parts.busy:
            self._clearing.pop(who, None)
            self._asked_at = float("-inf")

    async def _ask_rest(self, who: str, sessions: Sequence[ExpRef], *, is_thorough: bool) -> None:
        known = self._parts.held.get(who, {})
        rest = [one for one in sessions if is_thorough or one not in known]
        for first in range(0, len(rest), MOST_AT_ONCE):
            await self._say(who, AskHoldings(sessions=tuple(rest[first : first + MOST_AT_ONCE])))

    async def _say(self, who: str, wish: WISHES) -> None:
        """Say to a PC what is wished, and take what it answers."""
        told: Holdings | MultirigError
        if who == THIS_PC:
            told = await self._own.say(wish)
        else:
            try:
                told = (await wish_of_rigs({who: self._rigs.uri(who)}, wish))[who]
            except (MultirigError, OSError) as error:
                told = error if isinstance(error, MultirigError) else MultirigError(why_not(error))
        self._parts.take(who, told, is_part=bool(wish.sessions))
        if isinstance(told, Holdings) and told.total > len(told.sessions):
            self._unnamed.add(who)
        is_begun = isinstance(wish, Clear) or (isinstance(wish, Collect) and wish.to is not None)
        if is_begun and isinstance(told, Holdings):
            self._parts.busy.add(who)  # it may not have begun when it answered
        self._note()

    def _reached(self) -> list[str]:
        """Return which PCs may be asked now."""
        rigs = [rig.name for rig in self._rigs.now() if rig.heard_at is not None and why_silent(rig) is None]
        return [THIS_PC, *rigs]

    def _note(self) -> None:
        self.version += 1
        self._on_change()

    # -- what is wished -----------------------------------------------------------------------------------

    async def collect(
        self, to: str | None = None, sessions: Sequence[ExpRef] = (), *, by: str | None = None
    ) -> None:
        """Let this PC and all rigs that are heard copy sessions to a destination, and go on.

        Parameters
        ----------
        to : str, optional
            The destination, as each PC reaches it; by default the one of ``multirig.yaml``.
        sessions : sequence of ExpRef
            Only these; empty: all that are over.
        by : str, optional
            Name of who wants it; without, it was time.

        Raises
        ------
        MultirigError
            A session goes on, or there is no such destination.
        """
        self._refuse_while_led()
        place = (to or "").strip() or (self._rules.to if self._rules is not None else "")
        if not place:
            raise MultirigError("say where to: a folder, as in /mnt/lab or Z:\\lab, or a remote of rclone")
        try:
            (await asyncio.to_thread(open_destination, place)).close()
        except MultirigError as error:
            self._problem = self._problem if to else str(error)
            self._note()
            raise
        self._problem = ""
        rate = None if self._rules is None else self._rules.rate
        log.info("%s collects %s to %s", by or "the console", _list(sessions), place)
        wish = Collect(to=place, sessions=tuple(sessions), rate=rate)
        await self._wish([self._say(who, wish) for who in self._reached()])

    async def stop(self, *, by: str | None = None) -> None:
        """Let all PCs copy no more, until they are told."""
        log.info("%s lets all PCs copy no more", by or "the console")
        await self._wish([self._say(who, Collect(to=None)) for who in self._reached()])

    async def clear(self, doomed: Doomed, *, by: str | None = None) -> None:
        """Let PCs remove what is proved once more to be at its destination, and go on.

        Raises
        ------
        MultirigError
            A session goes on.
        """
        self._refuse_while_led()
        for who, held in doomed.items():
            for to, refs in by_destination(held):
                log.warning("%s clears from %s, at %s: %s", by or "the console", who, to, _list(refs))

        async def say_all(who: str, held: Sequence[Holding]) -> None:
            for to, refs in by_destination(held):
                self._clearing[who] = (*self._clearing.get(who, ()), *refs)
                await self._say(who, Clear(to=to, sessions=refs))

        await self._wish([say_all(who, held) for who, held in doomed.items()])

    async def _wish(self, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Say what is wished to all that it concerns. Raises MultirigError: not all were told."""
        if not await self._together(work, is_wish=True):
            raise MultirigError("a session begins, and not all PCs were told: do it again when that is over")

    def _refuse_while_led(self) -> None:
        if self._session.is_led:
            raise MultirigError("a session goes on: do it when that is over")


async def _gather(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work)


def _list(sessions: Sequence[ExpRef]) -> str:
    return ", ".join(map(str, sessions)) or "all sessions"
