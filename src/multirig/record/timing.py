"""What is known of a rig's clock, when it started, and how near to each other several did. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from multirig.lifecycle.session_events import ClockRead
from multirig.protocol.words import RigStart
from multirig.wording import span

_SECOND = 1e9


@dataclass(slots=True, kw_only=True)
class ClockJump:
    """A rig's clock jumped against the session clock: it slept, or was a virtual machine that stood still."""

    after: float
    """Seconds on the session clock: the last reading before it."""
    before: float
    """Seconds on the session clock: the first reading behind it."""
    size: float
    """Seconds by which the rig's clock was ahead all at once; negative: behind."""


@dataclass(slots=True, kw_only=True)
class ClockSummary:
    """What was read of a rig's clock while the session was led; the figures are of the last reading."""

    at: float
    """When, in seconds on the session clock."""
    offset: float
    """The rig's clock minus the session clock, in seconds."""
    bound: float
    """Seconds by which the offset may be wrong, either way."""
    drift: float
    """How much faster the rig's clock runs, in parts per million."""
    round_trip: float
    """Seconds that the quickest of the recent exchanges took."""
    steps: int
    """How often that clock has jumped, as far as it was noticed."""
    readings: int = 1
    worst_bound: float | None = None
    """The widest bound from the start until the stop; None: it was not read in between."""
    jumps: list[ClockJump] = field(default_factory=list)
    """Those between two readings, oldest first."""

    @classmethod
    def begin(cls, read: ClockRead) -> ClockSummary:
        """Return what the first reading tells."""
        return cls(
            at=read.at / _SECOND,
            offset=read.offset / _SECOND,
            bound=read.bound / _SECOND,
            drift=read.drift,
            round_trip=read.round_trip / _SECOND,
            steps=read.steps,
        )

    def take(self, read: ClockRead) -> None:
        """Take one more reading."""
        at, offset = read.at / _SECOND, read.offset / _SECOND
        if read.steps > self.steps:  # fewer: another conductor, or another life of the rig, counts anew
            self.jumps.append(ClockJump(after=self.at, before=at, size=offset - self.offset))
        self.at, self.offset, self.bound = at, offset, read.bound / _SECOND
        self.drift, self.round_trip = read.drift, read.round_trip / _SECOND
        self.steps = read.steps
        self.readings += 1

    def hold_worst(self) -> None:
        """Keep the present bound if none was wider."""
        self.worst_bound = max(self.bound, self.worst_bound or 0.0)


@dataclass(slots=True, kw_only=True)
class Spread:
    """How near to each other several rigs did something."""

    seconds: float
    """From the earliest to the latest."""
    bound: float
    """Seconds by which that may be wrong, either way, since each clock may be off."""
    rigs: int
    """How many rigs tell it."""
    earliest: str
    latest: str


def find_start_spread(starts: Mapping[str, RigStart | None]) -> Spread | None:
    """Return how near to each other the rigs' adapters were told to start, by those that say when."""
    instants = {name: start.instant for name, start in starts.items() if start is not None}
    return find_spread({name: instant for name, instant in instants.items() if instant is not None})


def find_spread(times: Mapping[str, tuple[float, float]]) -> Spread | None:
    """Return how near to each other the rigs did something; None for fewer than two of them.

    Parameters
    ----------
    times : mapping of str to (float, float)
        For each rig its time and the bound of that, in seconds on the session clock.

    Notes
    -----
    The bound is what the extreme rigs' bounds come to together, and more where another rig is so badly known
    that it may have been earlier or later than they were.
    """
    if len(times) < 2:
        return None
    earliest, latest = (
        min(times, key=lambda name: times[name][0]),
        max(times, key=lambda name: times[name][0]),
    )
    seconds = times[latest][0] - times[earliest][0]
    widest = max(at + bound for at, bound in times.values()) - min(at - bound for at, bound in times.values())
    return Spread(seconds=seconds, bound=widest - seconds, rigs=len(times), earliest=earliest, latest=latest)


def say_spread(spread: Spread, what: str) -> str:
    """Return in words how near to each other several rigs did something."""
    near = f"{span(spread.seconds)} ± {span(spread.bound)}"
    order = f"{spread.earliest} first, {spread.latest} last"
    return f"{spread.rigs} rigs {what} within {near} of each other: {order}"
