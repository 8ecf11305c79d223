"""One word to many rigs, and what became of it on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from multirig.errors import MultirigError, RemoteProtocolError, RigUnreachable, Unconfirmed
from multirig.protocol.events import (
    SECOND,
    Address,
    Refused,
    Replied,
    Send,
    TimedOut,
    Unreached,
)
from multirig.protocol.words import RigState, Stopped, Word

ENDED_LIMIT = 5 * SECOND
"""A rig that has told all, and may be gone, has this long to confirm that it is stopped and released."""
Outcome: TypeAlias = Word | MultirigError
"""A rig's reply, or why there is none."""


@dataclass(slots=True)
class Broadcast:
    """A word on its way to several rigs; it ends when each has an outcome."""

    number: int
    word: Word
    rigs: Mapping[str, Address]
    limit: int
    """Nanoseconds that each rig may take."""
    limits: dict[str, int] = field(default_factory=dict)
    """Of rigs that may take another time."""
    waits: dict[str, int] = field(default_factory=dict)
    """How much longer rigs may take that are told to wait for something."""
    words: dict[str, Word] = field(default_factory=dict)
    """For rigs that are told something else."""
    overtakes: bool = False
    lasting: bool = False
    needs_reply: bool = True
    gives_up: bool = False
    ended: frozenset[str] = frozenset()
    """Rigs that may be gone, and had told all before: nobody waits for them where nothing listens."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def sends(self, names: Iterable[str] | None = None) -> Iterable[Send]:
        """Return one action for each rig, or for some, in their order; keys are ``(number, rig)``."""
        return [self.send(name) for name in (self.rigs if names is None else names)]

    def send(self, name: str) -> Send:
        """Return the action for one rig."""
        return Send(
            address=self.rigs[name],
            word=self.words.get(name, self.word),
            key=(self.number, name),
            limit=self.limit_of(name) + self.waits.get(name, 0),
            overtakes=self.overtakes,
            lasting=self.lasting and name not in self.ended,
            needs_reply=self.needs_reply,
            gives_up=self.gives_up or name in self.ended,
        )

    def limit_of(self, name: str) -> int:
        """Return how long a rig may take, in nanoseconds."""
        limit = self.limits.get(name, self.limit)
        return min(limit, ENDED_LIMIT) if name in self.ended else limit

    def awaits(self, name: object) -> bool:
        """Whether a rig's outcome is still to come: the first one counts."""
        return name in self.rigs and name not in self.outcomes

    def take(self, name: str, outcome: Outcome) -> bool:
        """Note a rig's outcome; return whether all are in now."""
        self.outcomes[name] = outcome
        return len(self.outcomes) == len(self.rigs)

    def judge(self, name: str, event: Replied | Refused | TimedOut | Unreached) -> Outcome:
        """Return what an event of a link means, in words that help."""
        match event:
            case Replied(word=Stopped(state=RigState.BROKEN) as word):
                return RemoteProtocolError(" ".join((word.failure or "it is broken").split()), word)
            case Replied(word=word):
                return word
            case Refused(reason=reason):
                return RemoteProtocolError(" ".join(reason.split()))  # one line, whatever the peer wrote
            case Unreached(reason=reason):
                return RigUnreachable(f"{reason} ({self.rigs[name]})")
            case TimedOut(confirmed=True):
                return Unconfirmed(
                    f"has the {self.word.event.name} but did not answer within "
                    f"{self.limit_of(name) / SECOND:g} s; what it did is unknown: look at its screen"
                )
            case TimedOut():
                address = self.rigs[name]
                return Unconfirmed(
                    f"does not hear {self.word.event.name}: is the PC on, on this network, "
                    f"and 'multirig serve' running? ({address})"
                )

    def ordered(self, names: Iterable[str]) -> dict[str, Outcome]:
        """Return the outcomes that are in, in the order of the names and not as they came."""
        return {name: self.outcomes[name] for name in names if name in self.outcomes}
