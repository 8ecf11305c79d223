"""The form for a session: what is filled in, whether that can begin, and the order that comes of it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multirig import wording
from multirig.conductor.sighting import Sighting
from multirig.config import check_length
from multirig.dashboard.snapshot import Order
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import check_subject
from multirig.protocol.words import RigState

THIS_PC = "this PC"
_IF_LET = ", if that PC is silent, or else the person at the rig or its config lets it"
"""What is said of a rig that another PC leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is filled in so far on one page."""

    subject: str = ""
    rigs: tuple[str, ...] = ()
    task: str = ""
    """File or module; empty: the rigs alone record."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    projects: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    user: str = ""
    minutes: float | None = None
    ends_itself: bool = True
    takes_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartView:
    """What the form says of itself."""

    can_start: bool
    button: str
    """What is written on the one button."""
    why_not: str | None
    """What is still missing, or wrong: one sentence."""
    where: str
    """On which rigs, in words."""
    news: str | None
    """What somebody should have seen before it begins, where there is such a thing: the subject is new."""
    warnings: tuple[str, ...]
    """What may keep the session from beginning, a line each."""
    numbered_by: str
    """Who gives the number."""


def view_start(
    draft: Draft, rigs: Collection[Sighting], *, is_led: bool, subjects: Collection[str] = ()
) -> StartView:
    """Return whether the session that is filled in can begin.

    Parameters
    ----------
    draft : Draft
        What is filled in.
    rigs : collection of Sighting
        All that are known.
    is_led : bool
        Whether a session goes on.
    subjects : collection of str
        Who was recorded before.
    """
    chosen = [rig for rig in rigs if rig.name in draft.rigs]
    main_syncs = [rig.name for rig in chosen if rig.report.main_sync]
    why_not = _find_objection(draft, chosen, main_syncs, is_led=is_led)
    subject = f" {draft.subject.strip()}" if draft.subject.strip() else ""
    where = f" on {wording.count(len(chosen), 'rig')}" if chosen else ""
    return StartView(
        can_start=why_not is None,
        button=f"Start recording{subject}{where}",
        why_not=why_not,
        where=f"On {wording.listed([rig.name for rig in chosen])}" if chosen else "Without rigs",
        news=_find_news(draft.subject.strip(), subjects) if why_not is None else None,
        warnings=tuple(_find_warnings(draft, chosen)),
        numbered_by=main_syncs[0] if main_syncs else THIS_PC,
    )


def _find_objection(
    draft: Draft, chosen: Sequence[Sighting], main_syncs: Sequence[str], *, is_led: bool
) -> str | None:
    if is_led:
        return "A session goes on: it has to end first"
    if not draft.subject.strip():
        return "Who is recorded? Fill in the subject"
    try:
        check_subject(draft.subject.strip())
        check_length(None if draft.minutes is None else draft.minutes * 60)
    except MultirigError as error:
        return str(error)
    if not chosen and not draft.task.strip():
        return "Which rigs take part? Tick them"
    if len(main_syncs) > 1:
        return (
            f"{wording.listed(main_syncs)} are main syncs, and one session has one: "
            "select one of them only, or set main_sync: false in the other's config"
        )
    if draft.minutes is not None and draft.minutes <= 0:
        return "The planned duration has to be longer than nothing; leave it empty to record until Stop"
    return None


def _find_news(subject: str, subjects: Collection[str]) -> str | None:
    if not subjects or subject in subjects:
        return None
    near = difflib.get_close_matches(subject, subjects, n=1, cutoff=0.6)
    meant = f" (not {near[0]}?)" if near else ""
    return f"{subject}{meant} is a new subject: it was never recorded on this PC"


def _find_warnings(draft: Draft, chosen: Sequence[Sighting]) -> list[str]:
    found = []
    subject = draft.subject.strip()
    for rig in chosen:
        report = rig.report
        is_free = report.doing is RigState.CONNECTED
        if rig.problem is not None:
            found.append(f"{rig.name} {rig.problem}; or leave it out: untick it")
        elif report.failure is not None:
            found.append(f"{rig.name} is broken: press Clean up on its card")
        elif report.doing is not None and not is_free and report.exp_ref is not None:
            leader = f", led by {report.led_by}" if report.led_by else ""
            end = "tick Take over to lead it from here"
            if draft.takes_over:
                end = f"it will be taken over{_IF_LET if leader else ''}"
            found.append(f"{rig.name} is {report.doing} {report.exp_ref}{leader}: {end}")
        elif subject and is_free and (other := report.subject) and other != subject:
            found.append(
                f"{rig.name} is set up for {other}, not for {subject}: type 'subject {subject}' there"
            )
        if draft.minutes and report.hours_left is not None and report.hours_left * 60 < draft.minutes:
            found.append(
                f"the disk of {rig.name} has room for {wording.about(report.hours_left * 3600)}: "
                "free space, or plan a shorter session"
            )
    return found


def make_order(
    draft: Draft, rigs: Collection[Sighting], *, rigs_file: str, data_folder: str, lab: str
) -> Order:
    """Return what is asked for when the button is pressed.

    The PC of the console gives the number where no chosen rig is a main sync.
    """
    chosen = [rig for rig in rigs if rig.name in draft.rigs]
    return Order(
        subject=draft.subject.strip(),
        rigs=[rig.name for rig in chosen],
        rigs_file=rigs_file,
        data_folder=data_folder,
        lab=lab,
        main_sync=not any(rig.report.main_sync for rig in chosen),
        seconds=None if draft.minutes is None else draft.minutes * 60,
        ends_itself=draft.ends_itself,
        task=draft.task.strip() or None,
        parameters=dict(draft.parameters),
        projects=list(draft.projects),
        procedures=list(draft.procedures),
        user=draft.user.strip() or None,
        takes_over=draft.takes_over,
    )
