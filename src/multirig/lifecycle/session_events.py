"""What goes between the machine of a session and the conductor that leads it."""

from __future__ import annotations

import datetime
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.errors import MultirigError
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.protocol.events import SECOND, Address
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import AlyxToken, AskInfo, Word

BY = "by"
"""Key of a step's data, and of a marker's: the name of who has asked for it."""

# -- events from the conductor ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RigsChosen:
    """The rigs of the session, in the order in which they are started."""

    rigs: Mapping[str, Address]
    policies: Mapping[str, RigPolicy] = field(default_factory=dict)
    """What those mean to the session of which something else is to be said than usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreeRequested:
    """Find the experiment reference."""

    number: int
    subject: str
    date: datetime.date
    ask: AskInfo
    """What the rigs are asked, and told of the experiment."""
    here: ExpRef | None = None
    """The reference that this PC offers, where it is the main sync."""
    takes_over: bool = False
    """Lead rigs that another conductor leads, from the next step on."""
    seconds: float | None = None
    """How long it shall be; None: until it is ended."""
    zone: datetime.timezone | None = None
    """Of this PC; None: days are compared as each PC writes them."""
    by_task: bool = False
    """Whether a task leads it, without which nothing goes on as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFound:
    """Rigs were left in a session of which this PC has no journal; it can be recovered, and ended."""

    exp_ref: ExpRef | None
    """None: they have named none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequested:
    """Take the next step; `Finished` with this number tells how it went."""

    number: int
    trigger: SessionTrigger
    data: Mapping[str, Any] = field(default_factory=dict)
    """Goes along in the message (the error of an interrupt); all but `BY`, which is for the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequested:
    """Ask rigs something outside of the steps; `Finished` with this number brings the answers."""

    number: int
    word: Word
    rigs: tuple[str, ...] | None = None
    """None: all."""
    limit: int = 10 * SECOND
    needs_reply: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Complained:
    """What a rig said by itself could not be handled on this PC."""

    rig: str
    event: Event
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShared:
    """There is an Alyx token for some of the rigs, for when they ask."""

    token: AlyxToken
    rigs: Container[str]
    """Who may be given it: those that may have it in clear, and those whose links are sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRead:
    """What is known of a rig's clock; all times in nanoseconds."""

    rig: str
    at: int
    """When, on the session clock."""
    offset: int
    """The rig's clock minus the session clock."""
    bound: int
    """By how much that may be wrong, either way."""
    drift: float
    """How much faster the rig's clock runs, in parts per million."""
    round_trip: int
    """The shortest of the recent exchanges."""
    steps: int = 0
    """How often that clock has jumped, as far as it was noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Something happened in the experiment that is to be found again in the data."""

    text: str
    at: int
    """When, on the session clock; ns."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """More on it; anything that JSON can carry."""


# -- effects for the conductor ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A rig has its outcome; the others may still be at it."""

    number: int
    event: Event
    rig: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A step or a question is at its end."""

    number: int
    outcomes: Mapping[str, Outcome]
    error: MultirigError | None = None
    """Why the step failed as a whole; everything has been rolled back by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingTold:
    """A rig that another conductor leads says what becomes of the wish to take it over."""

    rig: str
    text: str
    """One line, which follows the rig's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The session is in another state."""

    state: SessionState
    exp_ref: ExpRef | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A peer said something by itself."""

    rig: str
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Nanoseconds that each step may take on a rig: a little more than a rig gives its adapter."""

    agree: int = 10 * SECOND
    initialise: int = 35 * SECOND
    start: int = 35 * SECOND
    lead: int = SECOND // 4
    """From the command to the instant at which all begin: the slowest rig must have heard it by then."""
    stop: int = 65 * SECOND
    cleanup: int = 35 * SECOND
