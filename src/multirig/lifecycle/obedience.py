"""Which commands a rig obeys: pure judgements, each of one question, for the machine that walks the table."""

from __future__ import annotations

from collections.abc import Mapping

from multirig.errors import IllegalTransition
from multirig.lifecycle.rig_states import STATUS, RigState, RigTrigger
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import (
    CleanUp,
    Command,
    Initialise,
    Interrupt,
    Marker,
    Start,
    Stop,
)

BUSY = frozenset({RigState.INITIALIZING, RigState.STARTING, RigState.RUNNING, RigState.STOPPING})
"""States in which a rig is deaf to whoever leads another session."""
MARKED = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING})
"""States in which a marker has its place in what is recorded here."""
_INITIALISED = frozenset({RigState.INITIALIZING, RigState.INITIALIZED, RigState.RUNNING})
_TRIGGERS: Mapping[type[Command], RigTrigger] = {
    Initialise: RigTrigger.INIT,
    Start: RigTrigger.START,
    Stop: RigTrigger.END,
    Interrupt: RigTrigger.END,
    CleanUp: RigTrigger.CLEANUP,
}


def choose_trigger(command: Command, state: RigState, own: ExpRef | None, *, can_resume: bool) -> RigTrigger:
    """Return what a command sets off.

    Parameters
    ----------
    command : Command
    state : RigState
        Of the rig.
    own : ExpRef or None
        Of the session that it is in.
    can_resume : bool
        Whether a recording that was cut off can go on.
    """
    trigger = _TRIGGERS[type(command)]
    if isinstance(command, Start) and command.resume and can_resume:
        return RigTrigger.RESUME
    if trigger is RigTrigger.INIT and state in _INITIALISED and command.exp_ref in (None, own):
        return RigTrigger.INIT_AGAIN
    return trigger


def begins(command: Command, wanted: ExpRef | None, own: ExpRef | None) -> bool:
    """Whether a command begins a session, and does not go on with the one that has begun."""
    return isinstance(command, Initialise) or (isinstance(command, Start) and wanted != own)


def is_free(state: RigState, own: ExpRef | None) -> bool:
    """Whether no session goes on here: the last one is over, cleaned up or not."""
    return own is None or STATUS[state] is Status.STOPPED


def object_to_reference(command: Command, state: RigState, own: ExpRef | None) -> str | None:
    """Return why a command that names another session is refused, if it is."""
    theirs = command.exp_ref
    if theirs is None or own is None or theirs == own:
        return None
    if state in BUSY:
        return f"is {state} {own}; end that session first (asked for {theirs})"
    if state is RigState.INITIALIZED and not isinstance(command, Initialise):
        # also the EXPEND of an earlier session, which a rig that was deaf gets when it is back
        return f"is {state} for {own}, not for {theirs}"
    return None


def object_to_beginning(
    command: Command, wanted: ExpRef | None, *, rehearses: bool, is_used: bool, subject: str | None
) -> str | None:
    """Return why no session can begin by a command.

    Parameters
    ----------
    command : Command
    wanted : ExpRef or None
        Under which number.
    rehearses : bool
        Whether it is only tried: then whoever is recorded here, and under which numbers, is not touched.
    is_used : bool
        Whether the number has been recorded here already.
    subject : str or None
        For whom the rig is set up.
    """
    if isinstance(command, Start) and wanted is None:
        return "EXPSTART names no experiment reference and none was given before"
    if rehearses or wanted is None or not isinstance(command, Initialise | Start):
        return None
    if is_used:
        return f"{wanted} has been recorded here already; begin a new session to get a new number"
    if subject not in (None, wanted.subject):
        return set_up_otherwise(str(subject), wanted.subject)
    return None


def set_up_otherwise(theirs: str, asked: str) -> str:
    """Return in which words a rig that is set up for a subject refuses another one."""
    return (
        f"is set up for subject {theirs}, you asked for {asked}: correct the subject, "
        f"or type 'subject {asked}' at that PC"
    )


def explain(error: IllegalTransition, state: RigState, own: ExpRef | None, failure: str | None) -> str:
    """Return why a command is not possible now."""
    if failure is not None:
        return f"is {state}: {failure}; clean it up first"
    return f"{error} {own}" if own else str(error)


def is_of_session(marker: Marker, state: RigState, own: ExpRef | None) -> bool:
    """Whether a marker has its place in what is recorded here: not a late one, of a session that is over."""
    return state in MARKED and own is not None and marker.exp_ref == own
