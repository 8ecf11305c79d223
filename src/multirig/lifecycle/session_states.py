"""The life of a session: the one table of what may happen when, and what is sent on the way."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from multirig.errors import IllegalTransition
from multirig.protocol.messages import Event


class SessionState(enum.Enum):
    """Where a session is."""

    IDLE = "idle"
    AGREEING = "agreeing"
    AGREED = "agreed"
    INITIALIZING = "initialising"
    INITIALIZED = "initialised"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    INTERRUPTING = "interrupting"
    STOPPED = "stopped"
    CLEANING = "cleaning up"
    ABORTING = "aborting"
    """A start failed: everybody is told to stop."""
    ROLLING_BACK = "rolling back"
    """A beginning failed: everybody is told to clean up."""
    RECOVERING = "recovering"
    """A conductor that died is back, and asks everybody."""
    RECOVERED = "recovered"
    """It knows what everybody does, and waits for the operator's choice."""

    def __str__(self) -> str:
        return self.value


class SessionTrigger(enum.Enum):
    """What can happen to a session."""

    AGREE = "agree"
    INIT = "initialise"
    START = "start"
    STOP = "stop"
    INTERRUPT = "interrupt"
    CLEANUP = "clean up"
    ABANDON = "abandon"
    RECOVER = "recover"
    FIND = "find"
    GO_ON = "go on"
    ALL_DONE = "every rig has done it"
    SOME_FAILED = "a rig could not do it"

    def __str__(self) -> str:
        return self.value


S, T = SessionState, SessionTrigger

SESSION_TABLE: Mapping[tuple[SessionState, SessionTrigger], SessionState] = {
    (S.IDLE, T.AGREE): S.AGREEING,
    (S.IDLE, T.FIND): S.RECOVERED,
    (S.AGREEING, T.ALL_DONE): S.AGREED,
    (S.AGREEING, T.SOME_FAILED): S.IDLE,
    (S.AGREED, T.AGREE): S.AGREEING,
    (S.AGREED, T.ABANDON): S.IDLE,
    (S.AGREED, T.INIT): S.INITIALIZING,
    (S.AGREED, T.INTERRUPT): S.INTERRUPTING,
    (S.AGREED, T.CLEANUP): S.CLEANING,
    (S.INITIALIZING, T.ALL_DONE): S.INITIALIZED,
    (S.INITIALIZING, T.SOME_FAILED): S.ROLLING_BACK,
    (S.INITIALIZING, T.INTERRUPT): S.INTERRUPTING,
    (S.INITIALIZED, T.START): S.STARTING,
    (S.INITIALIZED, T.INTERRUPT): S.INTERRUPTING,
    (S.INITIALIZED, T.CLEANUP): S.CLEANING,
    (S.STARTING, T.ALL_DONE): S.RUNNING,
    (S.STARTING, T.SOME_FAILED): S.ABORTING,
    (S.STARTING, T.INTERRUPT): S.INTERRUPTING,
    (S.RUNNING, T.STOP): S.STOPPING,
    (S.RUNNING, T.INTERRUPT): S.INTERRUPTING,
    (S.STOPPING, T.ALL_DONE): S.STOPPED,
    (S.STOPPING, T.SOME_FAILED): S.STOPPED,
    (S.STOPPING, T.INTERRUPT): S.INTERRUPTING,
    (S.INTERRUPTING, T.ALL_DONE): S.STOPPED,
    (S.INTERRUPTING, T.SOME_FAILED): S.STOPPED,
    (S.STOPPED, T.INTERRUPT): S.INTERRUPTING,
    (S.STOPPED, T.CLEANUP): S.CLEANING,
    (S.CLEANING, T.ALL_DONE): S.IDLE,
    (S.CLEANING, T.SOME_FAILED): S.IDLE,
    (S.ABORTING, T.ALL_DONE): S.ROLLING_BACK,
    (S.ABORTING, T.SOME_FAILED): S.ROLLING_BACK,
    (S.ROLLING_BACK, T.ALL_DONE): S.IDLE,
    (S.ROLLING_BACK, T.SOME_FAILED): S.IDLE,
    **{(state, T.RECOVER): S.RECOVERING for state in S if state not in (S.IDLE, S.AGREEING)},
    (S.RECOVERING, T.ALL_DONE): S.RECOVERED,
    (S.RECOVERING, T.SOME_FAILED): S.RECOVERED,
    (S.RECOVERED, T.GO_ON): S.RUNNING,
    (S.RECOVERED, T.STOP): S.STOPPING,
    (S.RECOVERED, T.INTERRUPT): S.INTERRUPTING,
    (S.RECOVERED, T.CLEANUP): S.CLEANING,
}
"""Every legal step; what is not here does not happen."""

REQUESTS = frozenset({T.AGREE, T.INIT, T.START, T.STOP, T.INTERRUPT, T.CLEANUP})
"""What somebody may ask for; the other triggers happen by themselves."""

EVENT_OF: Mapping[SessionState, Event] = {
    S.AGREEING: Event.EXPINFO,
    S.INITIALIZING: Event.EXPINIT,
    S.STARTING: Event.EXPSTART,
    S.STOPPING: Event.EXPEND,
    S.INTERRUPTING: Event.EXPINTERRUPT,
    S.CLEANING: Event.EXPCLEANUP,
    S.ABORTING: Event.EXPINTERRUPT,
    S.ROLLING_BACK: Event.EXPCLEANUP,
    S.RECOVERING: Event.EXPINFO,
}
"""What is sent on entering a state."""

UNTOUCHED = frozenset({S.IDLE, S.AGREEING, S.AGREED})
"""States in which no rig has been touched, or all have been let go."""

MARKABLE = frozenset({S.STARTING, S.RUNNING, S.STOPPING, S.INTERRUPTING, S.STOPPED})
"""States in which a marker has its place in the session: a task may set one until it is over."""


def next_state(state: SessionState, trigger: SessionTrigger) -> SessionState:
    """Return where a trigger leads; IllegalTransition if the table does not say."""
    try:
        return SESSION_TABLE[state, trigger]
    except KeyError:
        raise IllegalTransition(state, trigger, f"cannot {trigger} while the session is {state}") from None
