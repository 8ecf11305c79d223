"""What a rig does of collecting: the sessions in its data folder are copied by a program of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace

from multirig.collect.calling import CollectWorker
from multirig.collect.overview import may_be_tried_again
from multirig.collect.schedule import Schedule
from multirig.config import CollectRules
from multirig.lifecycle.rig_events import Gather, Gathered
from multirig.pc.recording import RecordingSign
from multirig.protocol.holdings import AskHoldings, Clear, Collect, Holdings, Whereabouts
from multirig.protocol.words import RigState

LOOK_EVERY = 5.0
"""Seconds between two looks at how far the program that copies is."""

log = logging.getLogger("multirig.collect")


class Collecting:
    """Obeys what is wished of the sessions on this PC, and collects by itself where the config says so.

    Parameters
    ----------
    worker : CollectWorker
        The program that copies.
    sign : RecordingSign
        Put up while this rig is in a session: copies on this PC wait, whatever program makes them.
    rules : CollectRules, optional
        Of the config; None: only what is wished.
    feed : callable
        Takes the answers.
    warn : callable
        Is given a line for whoever sits here, once, where what is to be collected cannot be.
    """

    def __init__(
        self,
        worker: CollectWorker,
        sign: RecordingSign,
        rules: CollectRules | None,
        feed: Callable[[Gathered], None],
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._worker, self._sign, self._rules, self._feed, self._warn = worker, sign, rules, feed, warn
        self._told = ""
        """What the person here was told last."""
        self._schedule = None if rules is None else Schedule(rules)

    async def obey(self, asked: Gather) -> None:
        """Begin what is wished, and answer at once how far it is."""
        trouble = ""
        sessions = () if isinstance(asked.wish, Collect) and asked.wish.to is None else asked.wish.sessions
        try:
            match asked.wish:
                case Collect() as wish:
                    log.info("told to collect to %s: %s", wish.to, ", ".join(map(str, sessions)) or "all")
                    await self._worker.collect(wish)
                case Clear() as wish:
                    log.warning("told to clear what is at %s: %s", wish.to, ", ".join(map(str, sessions)))
                    await self._worker.clear(wish)
                case AskHoldings():
                    pass
        except OSError as error:
            trouble = f"the program that copies cannot be started: {error}"
        holdings = await self._worker.look(sessions)
        self._feed(Gathered(token=asked.token, holdings=self._complete(holdings, trouble)))

    def _complete(self, holdings: Holdings, trouble: str) -> Holdings:
        """Return what is answered, with what the program that copies does not know."""
        return replace(
            holdings,
            pc=socket.gethostname(),
            trouble=trouble or holdings.trouble,
            to=self._rules.to if self._rules is not None else "",
        )

    def enter(self, state: RigState) -> None:
        """Let copies wait from before a recording until its session is over."""
        if state not in (RigState.CONNECTED, RigState.BROKEN):
            self._sign.put_up()
        elif self._sign.take_down() and self._schedule is not None:
            self._schedule.note_session_over()

    async def keep_collecting(self) -> None:
        """Collect by the config, until it is cancelled."""
        if self._rules is None or self._schedule is None:
            return
        while True:
            await self._schedule.wait(self._has_left)
            try:
                await self._worker.collect(Collect(to=self._rules.to, rate=self._rules.rate))
                await self._follow()
            except OSError as error:
                log.warning("the program that copies cannot be started: %s", error)

    async def _follow(self) -> None:
        """Wait until it has done what it can, and tell the person here of what it could not."""
        while True:
            holdings = await self._worker.look()
            if not holdings.is_busy:
                break
            await asyncio.sleep(LOOK_EVERY)
        stuck = next((one for one in holdings.sessions if one.state is Whereabouts.STUCK), None)
        text = holdings.trouble
        if not text and stuck is not None:
            text = f"{stuck.exp_ref} needs you: {stuck.why}; {stuck.action}"
        if text and text != self._told:
            self._warn(f"not collected: {text}")
        self._told = text

    async def _has_left(self) -> bool:
        holdings = await self._worker.look() if self._worker.is_running else None
        return holdings is None or any(map(may_be_tried_again, holdings.sessions))

    async def close(self) -> None:
        """End the program that copies."""
        self._sign.take_down()
        await self._worker.close()
