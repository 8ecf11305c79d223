"""What the console knows at a moment: plain values, which the pure `view` turns into what is shown.

They also cross from the session's own process to the console, as JSON.
"""

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
class RigNow:
    """What is known of one rig, whoever leads it."""

    name: str
    uri: str
    role: str = "expected"
    """What its loss means to a session: essential, expected or optional."""
    state: str | None = None
    """The rig's own word (``connected``, ``running``…); None: it has not been heard."""
    is_armed: bool = False
    """Whether it could begin to record at once, and waits for the instant to do so."""
    is_foreign: bool = False
    """Whether it speaks IBL's wire only, and can tell little."""
    heard_ago: float | None = None
    """Seconds since it was last heard; None: never."""
    problem: str | None = None
    """Why it is not heard, in one line."""
    failure: str | None = None
    """What is broken on it, in one line."""
    stalled: float | None = None
    """Seconds for which its recording has not grown, where that is too long."""
    gap: str | None = None
    """Since when it does not record though the session goes on: ISO time."""
    conductor: str | None = None
    """Who leads it now."""
    exp_ref: str | None = None
    subject: str | None = None
    """Whom it is set up for, or records."""
    adapter: str | None = None
    """Kind of its adapter: camera, process…"""
    main_sync: bool = False
    version: str | None = None
    """Of multirig on it."""
    frames: int | None = None
    bytes: int | None = None
    dropped: int | None = None
    rate: float | None = None
    """Frames per second."""
    disk_free: int | None = None
    """Bytes."""
    hours_left: float | None = None
    """Hours of recording for which that is enough, at the rate of now or of the last recordings."""
    offset: float | None = None
    """Its clock minus this PC's, seconds."""
    bound: float | None = None
    """By how much `offset` may be wrong, seconds either way."""
    pictures: Sequence[str] = ()
    """Labels of the cameras of which there is a live picture."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNow:
    """How far a rig is in a step."""

    rig: str
    step: Step
    outcome: Outcome
    reason: str | None = None
    """Why it failed, in one line with what to do next."""


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
    news: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What each rig last said while it records: state, health."""
    findings: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """What the look at each PC found: check, level, text."""
    spread: str | None = None
    """How near to each other the rigs started, in words."""
    trouble: Trouble | None = None
    is_over: bool = False
    """Whether its process has nothing more to do."""
    verdict: str | None = None
    """A `Word`, once it is over and there is a journal."""
