"""Who is recorded, when, and under which number: exactly one main sync says so, and all must agree."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from multirig.errors import (
    AgreementError,
    DateMismatch,
    MultirigError,
    NoMainSync,
    ProtocolError,
    SeveralMainSyncs,
    SubjectMismatch,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Message, Status

THIS_PC = "this PC"
"""How the conductor's own PC is called among the rigs."""


SET_UP_FOR = "set_up_for"
"""Key in an EXPINFO: the subject that an operator has chosen at a rig; it takes part in no other session."""


LED_BY = "led_by"
"""Key in an EXPINFO: the conductor that leads the rig, where that is not the asker."""
TAKE_OVER = "take_over"
"""Key in an EXPINFO: whoever asks leads the rig from now on, whoever did before."""
RECOVER = "recover"
"""Key in an EXPINFO: whoever asks is back in its session and leads the rig unless another one does by now."""


def led_by_another(leader: str) -> str:
    """Return in which words a rig refuses whoever does not lead it."""
    return f"is led by {leader}: end the session there, or take it over (--take-over)"


def set_up_otherwise(theirs: str, asked: str) -> str:
    """Return in which words a rig that is set up for a subject refuses another one."""
    return (
        f"is set up for subject {theirs}, you asked for {asked}: correct the subject, "
        f"or type 'subject {asked}' at that PC"
    )


def information(message: Message) -> tuple[Status | None, Mapping[str, Any]]:
    """Return status and data of an EXPINFO; foreign peers leave out either."""
    status, data = [*message.args, None, None][:2]
    try:
        known = Status.parse(status)
    except ProtocolError:
        known = None
    return known, data if isinstance(data, dict) else {}


def agree(
    answers: Mapping[str, Message],
    *,
    subject: str,
    date: datetime.date,
    here: ExpRef | None = None,
    takes_over: bool = False,
) -> ExpRef:
    """Return the experiment reference that all accept.

    Parameters
    ----------
    answers : mapping of str to Message
        Each rig's EXPINFO.
    subject : str
        Who shall be recorded.
    date : datetime.date
        Today, on the conductor's PC.
    here : ExpRef, optional
        The reference that the conductor's own PC offers, where that is the main sync.
    takes_over : bool
        Whether rigs that another conductor leads are taken over.

    Raises
    ------
    NoMainSync, SeveralMainSyncs, SubjectMismatch, DateMismatch, AgreementError
        One line that names each rig concerned and what it said; no rig has been touched.
    """
    said = {name: information(message) for name, message in answers.items()}
    for name, (_, data) in said.items():  # first, since a main sync that is set up otherwise gives no number
        chosen = data.get(SET_UP_FOR)
        if isinstance(chosen, str) and chosen and chosen != subject:
            raise SubjectMismatch(f"{name} {set_up_otherwise(chosen, subject)}")
    leaders = [name for name, (_, data) in said.items() if data.get("main_sync") is True]
    if here is not None:
        leaders.append(THIS_PC)
    if not leaders:
        asked = ", ".join(said) or "no rig"
        raise NoMainSync(
            f"no main sync among {asked}: set 'main_sync: true' in the config of exactly one rig, "
            "or let this PC be it (--main-sync)"
        )
    if len(leaders) > 1:
        raise SeveralMainSyncs(
            f"{len(leaders)} main syncs: {', '.join(leaders)}; only one PC may own the experiment's number: "
            "set 'main_sync: false' on the others"
        )
    leader = leaders[0]
    exp_ref = here or _reference(leader, said[leader][1])
    if exp_ref.subject != subject:
        raise SubjectMismatch(
            f"{leader} is at subject {exp_ref.subject} ({exp_ref}), you asked for {subject}: "
            "correct the subject, or end the session there first"
        )
    if exp_ref.date != date:
        raise DateMismatch(
            f"{leader} is at {exp_ref.date}, this PC at {date}: set the clock that is wrong, "
            "or end yesterday's session first"
        )
    for name, (status, data) in said.items():
        if name != leader:
            _check_follower(name, status, data, exp_ref)
    for name, (_, data) in said.items():
        if isinstance(theirs := data.get(LED_BY), str) and not takes_over:
            raise AgreementError(f"{name} {led_by_another(theirs)}")
    return exp_ref


def _reference(leader: str, data: Mapping[str, Any]) -> ExpRef:
    if not data.get("exp_ref"):
        why = data.get("failure") or "start its session first"
        raise AgreementError(f"{leader} is the main sync but gave no experiment reference: {why}")
    try:
        return ExpRef.parse(data["exp_ref"])
    except MultirigError as error:
        raise AgreementError(f"{leader} is the main sync, but {error}") from None


def _check_follower(name: str, status: Status | None, data: Mapping[str, Any], exp_ref: ExpRef) -> None:
    today = _day(data.get("date"))
    if today is not None and today != exp_ref.date:
        raise DateMismatch(f"{name} is at {today}, the session at {exp_ref.date}: set the clock of that PC")
    if status is not Status.RUNNING:
        return
    try:
        theirs = ExpRef.parse(data.get("exp_ref"))
    except MultirigError:
        return
    if theirs.subject != exp_ref.subject:
        raise SubjectMismatch(f"{name} is recording {theirs}: end that session first")
    if theirs != exp_ref:
        raise AgreementError(f"{name} is recording {theirs}, not {exp_ref}: end that session first")


def _day(value: object) -> datetime.date | None:
    """Return the day of an ISO date or time; what a foreign peer writes in another way says nothing."""
    try:
        return datetime.date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
