"""Who is recorded, when, and under which number: exactly one main sync says so, and all must agree."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace

from multirig.errors import (
    AgreementError,
    DateMismatch,
    NoMainSync,
    ProtocolError,
    SeveralMainSyncs,
    SubjectMismatch,
)
from multirig.lifecycle.days import object_to_day
from multirig.lifecycle.handing_over import not_handed_over
from multirig.lifecycle.leader import led_by_another
from multirig.lifecycle.obedience import set_up_otherwise
from multirig.lifecycle.owners import find_clash
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import Info

THIS_PC = "this PC"
"""How the conductor's own PC is called among the rigs."""


def agree(
    answers: Mapping[str, Info],
    *,
    subject: str,
    date: datetime.date,
    here: ExpRef | None = None,
    takes_over: bool = False,
    zone: datetime.tzinfo | None = None,
) -> ExpRef:
    """Return the experiment reference that all accept.

    Parameters
    ----------
    answers : mapping of str to Info
        What each rig has said of itself.
    subject : str
        Who shall be recorded.
    date : datetime.date
        Today, on the conductor's PC.
    here : ExpRef, optional
        The reference that the conductor's own PC offers, where that is the main sync.
    takes_over : bool
        Whether rigs that another conductor leads are taken over.
    zone : datetime.tzinfo, optional
        Of the conductor's PC; without it, days are compared as each PC writes them.

    Raises
    ------
    NoMainSync, SeveralMainSyncs, SubjectMismatch, DateMismatch, AgreementError
        One line that names each rig concerned and what it said; no rig has been touched.
    """
    for name, info in answers.items():  # first, since a main sync that is set up otherwise gives no number
        if info.set_up_for and info.set_up_for != subject:
            raise SubjectMismatch(f"{name} {set_up_otherwise(info.set_up_for, subject)}")
    leaders = [name for name, info in answers.items() if info.main_sync]
    if here is not None:
        leaders.append(THIS_PC)
    if not leaders:
        asked = ", ".join(answers) or "no rig"
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
    exp_ref = _reference(leader, answers[leader]) if here is None else _above_all(here, answers)
    if exp_ref.subject != subject:
        raise SubjectMismatch(
            f"{leader} is at subject {exp_ref.subject} ({exp_ref}), you asked for {subject}: "
            "correct the subject, or end the session there first"
        )
    if exp_ref.date != date:
        raise DateMismatch(_say_day(leader, answers.get(leader), exp_ref.date, date, zone))
    for name, info in answers.items():
        if name != leader:
            _check_follower(name, info, exp_ref, zone)
    if (clash := find_clash(answers)) is not None:
        raise AgreementError("{} and {} {}".format(*clash))
    if not takes_over:
        _check_led(answers)
    return exp_ref


def _above_all(here: ExpRef, answers: Mapping[str, Info]) -> ExpRef:
    """Return the first number from this one on that is free on every rig."""
    least = [info.min_sequence for info in answers.values() if info.min_sequence is not None]
    return replace(here, sequence=max([here.sequence, *least]))


def _reference(leader: str, info: Info) -> ExpRef:
    if info.exp_ref is not None:
        return info.exp_ref
    if info.strange_ref is not None:
        try:
            return ExpRef.parse(info.strange_ref)
        except ProtocolError as error:
            raise AgreementError(f"{leader} is the main sync, but {error}") from None
    why = info.failure or "start its session first"
    raise AgreementError(f"{leader} is the main sync but gave no experiment reference: {why}")


def _check_follower(name: str, info: Info, exp_ref: ExpRef, zone: datetime.tzinfo | None) -> None:
    theirs = info.exp_ref
    if (objection := object_to_day(info, exp_ref.date, zone)) is not None:
        raise DateMismatch(f"{name} {objection}")
    if info.status is not Status.RUNNING or theirs is None:
        return
    if theirs.subject != exp_ref.subject:
        raise SubjectMismatch(f"{name} is recording {theirs}: end that session first", busy=name)
    if theirs != exp_ref:
        text = f"{name} is recording {theirs}, not {exp_ref}: end that session first"
        raise AgreementError(text, busy=name)


def _say_day(
    leader: str,
    info: Info | None,
    theirs: datetime.date,
    date: datetime.date,
    zone: datetime.tzinfo | None,
) -> str:
    objection = object_to_day(info, date, zone) if info is not None else None
    cure = "set the clock that is wrong, or end yesterday's session first"
    return f"{leader} {objection or f'is at {theirs}, this PC at {date}: {cure}'}"


def check_handed_over(answers: Mapping[str, Info]) -> None:
    """Raise AgreementError where it was decided that a rig is not handed over."""
    for name, info in answers.items():
        if info.led_by is not None and info.decided is not None:
            raise AgreementError(f"{name} {not_handed_over(info.led_by, info.decided)}")


def _check_led(answers: Mapping[str, Info]) -> None:
    for name, info in answers.items():
        if info.led_by is not None:
            raise AgreementError(f"{name} {led_by_another(info.led_by)}")
