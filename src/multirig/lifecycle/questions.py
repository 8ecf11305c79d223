"""Questions to rigs beside the steps of a session, and who has asked to be informed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multirig.lifecycle.broadcast import Broadcast
from multirig.lifecycle.session_events import AskRequested, Finished, Progressed
from multirig.lifecycle.step import LinkOutcome
from multirig.protocol.events import SECOND, Address
from multirig.protocol.messages import Event

INFORMED_FOR = 10 * SECOND
"""Longer than copies of an answer are sent: a peer that asks again by then has been told already."""


class Questions:
    """Keeps what was asked of rigs for somebody who waits for the answers."""

    def __init__(self) -> None:
        self._open: dict[int, Broadcast] = {}
        self._informed: dict[Address, int] = {}
        """When we last answered each peer's EXPINFO."""

    def ask(self, event: AskRequested, rigs: Mapping[str, Address]) -> list[Any]:
        """Ask rigs something."""
        names = tuple(rigs) if event.rigs is None else event.rigs
        chosen = {name: rigs[name] for name in names if name in rigs}
        if not chosen:
            return [Finished(number=event.number, outcomes={})]
        broadcast = self._open[event.number] = Broadcast(
            number=event.number,
            word=event.word,
            rigs=chosen,
            limit=event.limit,
            overtakes=event.word.event is Event.EXPINTERRUPT,
            needs_reply=event.needs_reply,
            gives_up=True,
        )
        return list(broadcast.sends())

    def take(self, number: object, name: str, event: LinkOutcome) -> list[Any] | None:
        """Take what came of a question to a rig; None: it is no question of these."""
        asked = self._open.get(number) if isinstance(number, int) else None
        if asked is None:
            return None
        if not asked.awaits(name):
            return []
        outcome = asked.judge(name, event)
        news = Progressed(number=asked.number, event=asked.word.event, rig=name, outcome=outcome)
        if not asked.take(name, outcome):
            return [news]
        del self._open[asked.number]
        return [news, Finished(number=asked.number, outcomes=asked.ordered(asked.rigs))]

    def may_inform(self, address: Address, now: int) -> bool:
        """Whether an EXPINFO is a question: one that soon follows our answer may answer that, without end.

        What a rig answers to a conductor that has died comes to its successor as a question.
        """
        self._informed = {peer: at for peer, at in self._informed.items() if now - at < INFORMED_FOR}
        if address in self._informed:
            return False
        self._informed[address] = now
        return True
