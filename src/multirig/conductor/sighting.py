"""What is known of a rig by looking on."""

from __future__ import annotations

from dataclasses import dataclass, field

from multirig.protocol.events import SECOND
from multirig.protocol.words import Info, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One rig at a moment, whoever leads it."""

    name: str
    """As the rigs file has it."""
    uri: str
    """Where it was said to listen."""
    address: str | None = None
    """Where it was found; None: its name is not known on this network."""
    is_here: bool = False
    """Whether it runs on the observer's PC."""
    is_multirig: bool = False
    """Whether it reports how it is of its own accord; a foreign peer is asked now and then."""
    at: int
    """When all this was known: ns on a clock of the observer's PC."""
    heard_at: int | None = None
    """When it was last heard, on the same clock. None: never."""
    info: Info | None = None
    """Its last answer to who it is."""
    report: Report = field(default_factory=Report)
    """How it is, by its own last word; empty before it is heard."""
    problem: str | None = None
    """Why it is not heard, and the next action, in words that follow its name."""
    offset: float | None = None
    """Its clock minus this PC's (``time.perf_counter()`` of both); seconds. None: not known."""
    bound: float | None = None
    """By how much that may be wrong, either way; seconds."""
    round_trip: float | None = None
    """Of a message and its answer, at best; seconds."""

    @property
    def is_foreign(self) -> bool:
        """Whether it is heard and speaks IBL's wire only, so that it can report little."""
        return self.heard_at is not None and not self.is_multirig

    @property
    def heard_ago(self) -> float | None:
        """Seconds since it was last heard; None: never."""
        return None if self.heard_at is None else max(0.0, (self.at - self.heard_at) / SECOND)
