"""What a PC's key is good for."""

from __future__ import annotations

from enum import Enum


class Role(str, Enum):
    """What the holder of a key may do in its lab."""

    LEAD = "lead"
    """Lead sessions, and all that the other roles may."""
    LOOK = "look"
    """See how rigs are and what their cameras see, and change nothing."""
    RIG = "rig"
    """Be led: record."""

    def __str__(self) -> str:
        return self.value

    @property
    def leads(self) -> bool:
        """Whether rigs do what it says."""
        return self is Role.LEAD

    @property
    def looks(self) -> bool:
        """Whether rigs tell it how they are."""
        return self is not Role.RIG

    @property
    def is_led(self) -> bool:
        """Whether others take what it says of itself for a rig's word."""
        return self is not Role.LOOK


MEANING = {
    Role.LEAD: "may lead sessions, look on, and be led",
    Role.LOOK: "may look on, and change nothing",
    Role.RIG: "may be led, and records",
}
"""The roles in words, for screens."""
