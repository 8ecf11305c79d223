"""The life of a rig: the one table of what may happen when, and what a state is called on the wire."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from multirig.errors import IllegalTransition
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import RigState as RigState


class RigTrigger(enum.Enum):
    """What can happen to a rig."""

    INIT = "EXPINIT"
    INIT_AGAIN = "EXPINIT, again for the same reference"
    START = "EXPSTART"
    RESUME = "EXPSTART, to go on after a restart"
    END = "EXPEND or EXPINTERRUPT"
    CLEANUP = "EXPCLEANUP"
    DONE = "the adapter has done it"
    FAILED = "the adapter could not do it"
    BROKE = "the adapter failed by itself"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class RigTransition:
    """One cell of the table."""

    to: RigState
    hooks: tuple[str, ...] = ()
    """Hooks of the adapter to run; none in a moving state means: wait for those that run."""
    preempts: bool = False
    """Cancel the hooks that run instead of waiting for them."""


S, T, X = RigState, RigTrigger, RigTransition

RIG_TABLE: Mapping[tuple[RigState, RigTrigger], RigTransition] = {
    (S.CONNECTED, T.INIT): X(S.INITIALIZING, ("initialise",)),
    (S.CONNECTED, T.START): X(S.STARTING, ("initialise", "start")),
    (S.CONNECTED, T.END): X(S.CONNECTED),
    (S.CONNECTED, T.CLEANUP): X(S.CONNECTED),
    (S.INITIALIZING, T.INIT_AGAIN): X(S.INITIALIZING),
    (S.INITIALIZING, T.END): X(S.STOPPING, ("stop",), preempts=True),
    (S.INITIALIZING, T.CLEANUP): X(S.CLEANING, ("stop", "cleanup"), preempts=True),
    (S.INITIALIZING, T.DONE): X(S.INITIALIZED),
    (S.INITIALIZING, T.FAILED): X(S.FAILING, ("stop",)),
    (S.INITIALIZED, T.INIT): X(S.INITIALIZING, ("cleanup", "initialise")),
    (S.INITIALIZED, T.INIT_AGAIN): X(S.INITIALIZED),
    (S.INITIALIZED, T.START): X(S.STARTING, ("start",)),
    (S.INITIALIZED, T.END): X(S.STOPPING, ("stop",)),
    (S.INITIALIZED, T.CLEANUP): X(S.CLEANING, ("cleanup",)),
    (S.STARTING, T.START): X(S.STARTING),
    (S.STARTING, T.END): X(S.STOPPING, ("stop",), preempts=True),
    (S.STARTING, T.CLEANUP): X(S.CLEANING, ("stop", "cleanup"), preempts=True),
    (S.STARTING, T.DONE): X(S.RUNNING),
    (S.STARTING, T.FAILED): X(S.FAILING, ("stop",)),
    (S.RUNNING, T.INIT_AGAIN): X(S.RUNNING),
    (S.RUNNING, T.START): X(S.RUNNING),
    (S.RUNNING, T.END): X(S.STOPPING, ("stop",)),
    (S.RUNNING, T.CLEANUP): X(S.CLEANING, ("stop", "cleanup")),
    (S.RUNNING, T.BROKE): X(S.FAILING, ("stop",)),
    (S.STOPPING, T.END): X(S.STOPPING),
    (S.STOPPING, T.CLEANUP): X(S.CLEANING, ("stop", "cleanup")),
    (S.STOPPING, T.DONE): X(S.STOPPED),
    (S.STOPPING, T.FAILED): X(S.BROKEN),
    (S.STOPPED, T.INIT): X(S.INITIALIZING, ("cleanup", "initialise")),
    (S.STOPPED, T.RESUME): X(S.STARTING, ("initialise", "resume")),
    (S.STOPPED, T.END): X(S.STOPPED),
    (S.STOPPED, T.CLEANUP): X(S.CLEANING, ("cleanup",)),
    (S.CLEANING, T.END): X(S.CLEANING),
    (S.CLEANING, T.CLEANUP): X(S.CLEANING),
    (S.CLEANING, T.DONE): X(S.CONNECTED),
    (S.CLEANING, T.FAILED): X(S.BROKEN),
    (S.FAILING, T.END): X(S.STOPPING),
    (S.FAILING, T.CLEANUP): X(S.CLEANING, ("stop", "cleanup")),
    (S.FAILING, T.DONE): X(S.BROKEN),
    (S.FAILING, T.FAILED): X(S.BROKEN),
    (S.BROKEN, T.END): X(S.STOPPING, ("stop",)),
    (S.BROKEN, T.CLEANUP): X(S.CLEANING, ("stop", "cleanup")),
}
"""Every legal step; what is not here does not happen."""

MOVING = frozenset({S.INITIALIZING, S.STARTING, S.STOPPING, S.CLEANING, S.FAILING})
"""States in which hooks of the adapter run; answers wait for the end of it."""

STATUS: Mapping[RigState, Status] = {
    S.CONNECTED: Status.CONNECTED,
    S.INITIALIZING: Status.CONNECTED,
    S.INITIALIZED: Status.INITIALIZED,
    S.STARTING: Status.INITIALIZED,
    S.RUNNING: Status.RUNNING,
    S.STOPPING: Status.RUNNING,
    S.STOPPED: Status.STOPPED,
    S.CLEANING: Status.STOPPED,
    S.FAILING: Status.STOPPED,
    S.BROKEN: Status.STOPPED,
}
"""What a state is called on the wire: a recording counts as running until it is closed."""

SATISFIED: Mapping[Event, frozenset[RigState]] = {
    Event.EXPINIT: frozenset({S.INITIALIZED, S.RUNNING}),
    Event.EXPSTART: frozenset({S.RUNNING}),
    Event.EXPEND: frozenset({S.STOPPED, S.CONNECTED}),
    Event.EXPINTERRUPT: frozenset({S.STOPPED, S.CONNECTED}),
    Event.EXPCLEANUP: frozenset({S.CONNECTED}),
}
"""In which state a command is done."""


def next_transition(state: RigState, trigger: RigTrigger) -> RigTransition:
    """Return what a trigger does in a state; IllegalTransition if the table does not say."""
    try:
        return RIG_TABLE[state, trigger]
    except KeyError:
        raise IllegalTransition(state, trigger, f"{trigger} is not possible while {state}") from None
