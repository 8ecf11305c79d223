"""Whether clocks are good enough for a session to start: what speaks against it, and what follows. Pure."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multirig.lifecycle.session_events import ClockRead
from multirig.protocol.events import SECOND

THIS_PC = "this PC"


class Reaction(str, enum.Enum):
    """What follows from something that is wrong with a clock."""

    IGNORE = "ignore"
    """Nothing."""
    FLAG = "flag"
    """It is told, and the session starts."""
    REFUSE = "refuse"
    """The session does not start."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockGate:
    """What follows from what may be wrong with clocks when a session starts."""

    unknown: Reaction = Reaction.FLAG
    """A rig's clock is not known: it speaks IBL's wire, or nothing has come through yet."""
    wide: Reaction = Reaction.FLAG
    """It is known, but not within `max_bound`."""
    max_bound: int = SECOND // 200
    """Nanoseconds either way."""
    stepped: Reaction = Reaction.FLAG
    """It has jumped since the rigs agreed."""
    midnight: Reaction = Reaction.REFUSE
    """It is another day on a rig than here, or has become one here since the rigs agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Something is wrong with a clock."""

    rig: str
    """Or this PC."""
    text: str
    """In words, with what to do about it."""
    reaction: Reaction


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownClock:
    """What is known of a rig's clock and day when a session starts."""

    read: ClockRead | None = None
    """None: nothing."""
    steps_before: int = 0
    """Jumps that were known when the rigs agreed."""
    date: datetime.date | None = None
    """Which day it was by the rig's clock when it agreed."""
    round_trip: float | None = None
    """Seconds that an answer takes, where that is all that is known."""


def judge_clocks(
    gate: ClockGate, clocks: Mapping[str, KnownClock], *, date: datetime.date, today: datetime.date
) -> Sequence[Objection]:
    """Return what speaks against a start, rig by rig.

    Parameters
    ----------
    gate : ClockGate
        What follows from what.
    clocks : mapping of str to KnownClock
        By rig.
    date : datetime.date
        On this PC, when the rigs agreed.
    today : datetime.date
        On this PC, now.
    """
    out = [one for name, known in clocks.items() for one in _judge(gate, name, known, date)]
    if today != date:
        text = f"it was {date} when the rigs agreed, and is {today} now: agree again for a number of today"
        out.append(Objection(rig=THIS_PC, text=text, reaction=gate.midnight))
    return [one for one in out if one.reaction is not Reaction.IGNORE]


def _judge(gate: ClockGate, name: str, known: KnownClock, date: datetime.date) -> Sequence[Objection]:
    out = []
    read = known.read
    if read is None:
        if known.round_trip is None:
            text = "nothing is known of its clock: are its UDP ports open?"
        else:
            took = f"{known.round_trip * 1e3:.1f} ms"
            text = f"nothing is known of its clock but that an answer takes {took}: it speaks IBL's wire"
        out.append(Objection(rig=name, text=text, reaction=gate.unknown))
    else:
        if read.bound > gate.max_bound:
            text = (
                f"its clock is known within {read.bound / 1e6:.3g} ms only (max_bound is "
                f"{gate.max_bound / 1e6:g} ms): look at the network between it and this PC"
            )
            out.append(Objection(rig=name, text=text, reaction=gate.wide))
        if read.steps > known.steps_before:
            text = "its clock has jumped: did that PC sleep, or is it a virtual machine that stood still?"
            out.append(Objection(rig=name, text=text, reaction=gate.stepped))
    if known.date not in (None, date):
        text = f"it was {known.date} there and {date} here when the rigs agreed: set the clock that is wrong"
        out.append(Objection(rig=name, text=text, reaction=gate.midnight))
    return out
