"""What a session's own process and the console say to each other, as JSON: an order, and how far it is."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Step(str, enum.Enum):
    """A step of a session, as people call it."""

    AGREE = "agree"
    INITIALISE = "initialise"
    ARM = "arm"
    """Open files and triggers, and wait for the instant that is agreed."""
    START = "start"
    STOP = "stop"
    INTERRUPT = "interrupt"
    CLEAN_UP = "clean up"


class Outcome(str, enum.Enum):
    """How far a rig has come in a step."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an operator has asked for with the button Start, or that an open session be recovered."""

    subject: str
    rigs: Sequence[str] = ()
    """Names in the rigs file, in the order in which they start."""
    rigs_file: str
    """Path of the rigs file."""
    data_folder: str
    """Where this PC's part goes."""
    lab: str = "mylab"
    main_sync: bool = False
    """Whether this PC gives the number."""
    seconds: float | None = None
    """Planned duration; None: until it is stopped."""
    ends_itself: bool = True
    """Whether it is stopped when the planned duration is over; a task ends by its own rule."""
    task: str | None = None
    """File or module of the task; None: the rigs alone record."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The task's own, by the names of its ``extra_parser``."""
    projects: Sequence[str] = ()
    procedures: Sequence[str] = ()
    user: str | None = None
    checks: bool = True
    """Whether every PC is looked at before anybody is touched."""
    takes_over: bool = False
    """Whether rigs are led that another conductor leads."""
    recover: str | None = None
    """Folder of a session whose conductor has died; then all else is as the journal says."""
    recover_ends: bool = False
    """Whether that session is not recorded on, but stopped and cleaned up."""
    by: str | None = None
    """Name of who has asked for it; None: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNow:
    """How far a rig is in a step."""

    rig: str
    step: Step
    outcome: Outcome
    reason: str | None = None
    """Why it failed, in one line with what to do next; while it waits, what keeps the rig from hearing us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that was noticed of a rig, or of this PC."""

    number: int
    """Counts up in a session: whoever knows number 7 wants those from 8 on."""
    at: float
    """Seconds since 1970."""
    rig: str | None
    text: str
    """One line."""
    is_bad: bool = True
    """False: it is well again, or good to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerNow:
    """A marker that was set."""

    seconds: float
    """Since all rigs record."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a session could not begin or go on."""

    step: str
    """Which step: one of `Step`, or in words what was done before the first (``load the task``)."""
    causes: Mapping[str, str] = field(default_factory=dict)
    """Rig by rig, one line each; ``this PC`` for what no rig did."""
    text: str = ""
    """The whole in one line with the next action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNow:
    """A session that is led from here, as its own process tells."""

    revision: int = 0
    """Counts up with each change."""
    order: Order
    state: str = "idle"
    """A `SessionState`'s value."""
    step: Step | None = None
    """Which step goes on now."""
    exp_ref: str | None = None
    folder: str | None = None
    """This PC's session folder."""
    began_at: float | None = None
    """When all rigs recorded: seconds since 1970."""
    ended_at: float | None = None
    """When the recording ended: seconds since 1970."""
    steps: Sequence[StepNow] = ()
    """Every step of every rig so far, in order; a rig's latest word on a step replaces the one before."""
    alarms: Sequence[Alarm] = ()
    """The last hundred."""
    markers: Sequence[MarkerNow] = ()
    """The last hundred."""
    multirigs: Sequence[str] = ()
    """Rigs that report how they are of their own accord; the others only their leader may ask."""
    findings: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """What the look at each PC found: check, level, text."""
    spread: str | None = None
    """How near to each other the rigs started, in words."""
    trouble: Trouble | None = None
    is_over: bool = False
    """Whether its process has nothing more to do."""
    verdict: str | None = None
    """A `Word`, once it is over and there is a journal."""
    reasons: Sequence[str] = ()
    """Why it is not GOOD, the gravest first."""
    unverified: Mapping[str, str] = field(default_factory=dict)
    """Rigs of which nothing proves that they recorded to the end, and why."""
    recorded: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    """By rig, once it is over: frames, bytes and dropped frames of its final account."""
