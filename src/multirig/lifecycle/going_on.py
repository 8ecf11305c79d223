"""Whether a session that was recovered can go on, by what each rig has said of itself."""

from __future__ import annotations

from collections.abc import Mapping

from multirig.errors import MultirigError, RemoteProtocolError, SessionFailed, Unconfirmed
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.handing_over import not_handed_over
from multirig.lifecycle.leader import led_by_another
from multirig.lifecycle.members import Members
from multirig.lifecycle.policy import Role
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import Info


def find_missing(
    members: Members, found: Mapping[str, Outcome], exp_ref: ExpRef | None
) -> dict[str, MultirigError]:
    """Return the rigs that do not record, and why.

    Parameters
    ----------
    members : Members
        The rigs of the session.
    found : mapping of str to Word or MultirigError
        What each has said of itself.
    exp_ref : ExpRef or None
        The session.
    """
    out: dict[str, MultirigError] = {}
    for name in members.rigs:
        match found.get(name):
            case MultirigError() as error:
                out[name] = error
            case Info(led_by=str()) as info if (kept := find_kept(info)) is not None:
                out[name] = kept
            case Info(status=Status.RUNNING) as info if info.exp_ref == exp_ref:
                pass
            case Info(status=status, state=state):
                said = state or (status.name if status is not None else "?")
                out[name] = RemoteProtocolError(f"does not record {exp_ref}; it is {said}")
            case _:
                out[name] = Unconfirmed("was not asked")
    return out


def find_kept(outcome: Outcome | None) -> MultirigError | None:
    """Return why a rig, by what it said of itself, is led by another conductor still; None: it is not."""
    match outcome:
        case Info(led_by=str(theirs), decided=str(why)):
            return RemoteProtocolError(not_handed_over(theirs, why))
        case Info(led_by=str(theirs)):
            return RemoteProtocolError(led_by_another(theirs))
    return None


def object_to_going_on(
    members: Members, missing: Mapping[str, MultirigError], *, has_run: bool
) -> SessionFailed | None:
    """Return why a session that was recovered cannot go on.

    Parameters
    ----------
    members : Members
        The rigs of the session.
    missing : mapping of str to MultirigError
        Those that do not record.
    has_run : bool
        Whether all had begun to record: what all have begun goes on as it would with a conductor that lives.
    """
    serious = members.serious(missing)
    if has_run:
        serious = {name: error for name, error in serious.items() if members.role(name) is Role.ESSENTIAL}
    if not serious and len(missing) < len(members.rigs):
        return None
    return SessionFailed("going on", serious or dict(missing), "the session can be stopped or cleaned up")


def fail_beginning(
    step: str, causes: Mapping[str, MultirigError], left: Mapping[str, MultirigError], members: Members
) -> SessionFailed:
    """Return why a session has not begun, once everything is rolled back.

    Parameters
    ----------
    step : str
        What failed.
    causes : mapping of str to MultirigError
        Why, by rig.
    left : mapping of str to MultirigError
        Rigs that have not confirmed the roll-back.
    members : Members
        The rigs of the session.
    """
    unconfirmed = [name for name in left if name not in causes]
    if unconfirmed:
        consequence = f"everything was rolled back, but not confirmed by {', '.join(unconfirmed)}: look there"
    else:
        consequence = "the other rigs were stopped and cleaned up"
    if members.spared:
        consequence += f"; {', '.join(sorted(members.spared))} was recording before and goes on"
    return SessionFailed(step, dict(causes), consequence)
