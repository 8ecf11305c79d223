"""Who leads a rig: one conductor at a time, for as long as it is heard."""

from __future__ import annotations

from dataclasses import dataclass

from multirig.protocol.events import SECOND, Address, Token
from multirig.protocol.messages import Status

BEAT_EVERY = SECOND // 4
"""Between two heartbeats, both ways: even where a third is lost, one in `SILENT_AFTER` arrives."""
SILENT_AFTER = SECOND * 17 // 10
"""Whoever is not heard for so long is silent; with the pause between two looks it is noticed within 2 s."""
MAX_NAMES = 64
"""Conductors whose names are remembered."""
MAX_NAME = 300
"""Characters of a name."""


@dataclass(slots=True, kw_only=True)
class Leader:
    """The conductor that leads a rig."""

    token: Token
    """Of the last command: where it is, and which program it is."""
    name: str
    """Of its PC, where it has said so."""
    heard: int
    """When something last came from it; ns on the rig's clock."""

    @property
    def address(self) -> Address:
        """Where it is."""
        return self.token.address

    @property
    def beats(self) -> bool:
        """Whether it sends heartbeats: IBL's conductors do not."""
        return self.token.wire == 2

    def is_sender_of(self, token: Token) -> bool:
        """Whether a request comes from it; on wire 1.0 every program of that PC is the same conductor."""
        if token.wire != self.token.wire:
            return token.address == self.token.address
        if self.beats:
            return token.peer == self.token.peer
        return token.address.host == self.token.address.host

    def is_silent(self, now: int) -> bool:
        """Whether it should have been heard and was not."""
        return self.beats and now - self.heard > SILENT_AFTER

    def __str__(self) -> str:
        return f"{self.name} ({self.address.host})" if self.name else str(self.address)


class Leadership:
    """Keeps who leads a rig, and tells who may command it."""

    def __init__(self) -> None:
        self.leader: Leader | None = None
        """The conductor that leads this rig."""
        self.begun_from: str | None = None
        """IP address of the PC whose conductor has begun to record."""
        self.begun_by: str | None = None
        """That conductor, in words."""
        self.beat_at: int | None = None
        """When it is told next how the rig is."""
        self._names: dict[str, str] = {}
        """Of conductors, by boot id."""

    def note_name(self, boot: str, name: str) -> None:
        """Note how the PC of a conductor is called."""
        self._names.pop(boot, None)
        while len(self._names) >= MAX_NAMES:
            del self._names[next(iter(self._names))]
        self._names[boot] = name[:MAX_NAME]

    def hear(self, who: object, now: int) -> None:
        """Take a sign of life: of a program by its boot id, of a foreign peer by its address."""
        leader = self.leader
        if leader is not None and who == (leader.token.peer if leader.beats else leader.address):
            leader.heard = now

    def take(self, token: Token, now: int) -> Leader:
        """Note who leads from now on."""
        self.leader = Leader(token=token, name=self._name(token), heard=now)
        self.beat_at = now if self.leader.beats else None
        return self.leader

    def name(self, token: Token) -> str:
        """Return in words who asks for something."""
        return str(Leader(token=token, name=self._name(token), heard=0))

    def _name(self, token: Token) -> str:
        return self._names.get(token.peer, "") if token.wire == 2 else ""

    def note_beginning(self, token: Token | None) -> None:
        """Note who has begun what is recorded; None: nobody yet."""
        self.begun_from = token.address.host if token is not None else None
        self.begun_by = str(self.leader) if token is not None else None

    def is_beat_due(self, now: int) -> bool:
        """Whether it is time to tell it how the rig is."""
        return self.beat_at is not None and self.beat_at <= now

    def begin_beat(self, now: int) -> Leader | None:
        """Return who is told now how the rig is, and again every while; None: nobody who expects that."""
        leader = self.leader
        if leader is None or not leader.beats:
            self.beat_at = None
            return None
        self.beat_at = now + BEAT_EVERY
        return leader

    def is_lost(self, limit: int, now: int) -> bool:
        """Whether a leader that sends heartbeats was not heard for so long."""
        return self.leader is not None and self.leader.beats and now - self.leader.heard > limit

    def end(self) -> None:
        """Nobody leads any more."""
        self.leader = self.begun_from = self.begun_by = None

    def is_led_by(self, token: Token) -> bool:
        """Whether a request comes from whoever leads."""
        return self.leader is not None and self.leader.is_sender_of(token)

    def object_to(self, token: Token | None, status: Status, now: int) -> str | None:
        """Return why somebody may not command this rig, if another one leads it."""
        leader = self.leader
        if token is None or leader is None or leader.is_sender_of(token) or leader.is_silent(now):
            return None
        if not leader.beats and status is Status.STOPPED:
            return None  # nothing tells whether it is still there, and nothing is recorded
        return led_by_another(str(leader))

    def is_back(self, token: Token, status: Status, now: int) -> bool:
        """Whether somebody who is back in the session of this rig may lead it again."""
        return self.is_its_own(token) or self.object_to(token, status, now) is None

    def is_its_own(self, token: Token) -> bool:
        """Whether somebody is on the PC that leads, or that has begun: another may have joined since."""
        leads_from = self.leader.address.host if self.leader is not None else None
        return token.address.host in (leads_from, self.begun_from)


def led_by_another(leader: str) -> str:
    """Return in which words a rig refuses whoever does not lead it."""
    return f"is led by {leader}: end the session there, or take it over (--take-over)"
