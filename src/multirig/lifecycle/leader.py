"""Who leads a rig: one conductor at a time, for as long as it is heard."""

from __future__ import annotations

from dataclasses import dataclass

from multirig.protocol.events import SECOND, Address, Token

BEAT_EVERY = SECOND // 4
"""Between two heartbeats, both ways: even where a third is lost, one in `SILENT_AFTER` arrives."""
SILENT_AFTER = SECOND * 17 // 10
"""Whoever is not heard for so long is silent; with the pause between two looks it is noticed within 2 s."""


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
