"""What is wrong with a rig, by its own report: one judge, and one set of words for all who show it."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from multirig import wording
from multirig.protocol.words import Finding, Level, Report, RigState

LITTLE_ROOM = 1.0
"""Hours of recording below which a disk is worth a warning, where nobody knows how long it will be."""
LEAST_ROOM = 0.5
"""Hours for which a disk must be good, however short the recording is planned to be."""
NO_ROOM = 0.1
"""Hours below which it is about to end a recording."""
DISK = "disk"
"""Kind of what a rig finds itself of a disk that is full."""
FULL = 100_000
"""Free bytes below which a disk takes nothing more that is worth the name."""
NEARLY_FULL = 100_000_000
"""Free bytes below which it is told in any case, where nobody knows how long they last."""
AT_ONCE = 0.02
"""Seconds by which the time of one finding may change as the clocks are known better."""
_NUMBER = re.compile(r"\b\d+(\.\d+)?\b")
_LEFT_OVER = frozenset({RigState.BROKEN, RigState.STOPPED, RigState.INITIALIZED})


class Kind(enum.Enum):
    """What may be wrong, the gravest first."""

    BROKEN = "broken"
    """Something failed, and is remembered until a clean-up."""
    GAP = "gap"
    """It does not record, though its session is running."""
    STALLED = "stalled"
    """It records, and nothing comes in."""
    FOUND = "found"
    """It has seen itself that something is lost, or not to be trusted."""
    FULL = "full"
    """Its disk is full."""
    DISK = "disk"
    """Its disk will be full too soon."""
    DROPPED = "dropped"
    """It loses frames."""
    LEFT_OVER = "left over"
    """An earlier session holds it, and nobody leads that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """Something that is wrong with a rig."""

    kind: Kind
    text: str
    """What is the matter and what to do next, in words that follow the rig's name and a colon."""
    is_grave: bool = False
    """Whether data is lost unless somebody does something."""


def list_found(report: Report) -> Iterator[Finding]:
    """Yield what a rig has seen itself that is wrong."""
    return (one for one in report.findings if one.level is not Level.NOTE)


def is_same_moment(one: Finding, other: Finding) -> bool:
    """Return whether two findings are about the same that happened at one time."""
    if one.at is None or other.at is None:
        return (one.kind, one.at, one.text) == (other.kind, other.at, other.text)
    return one.kind == other.kind and abs(one.at - other.at) <= AT_ONCE


def is_known(one: Finding, known: Iterable[Finding]) -> bool:
    """Return whether a finding was told already: it may count on, and know its time better."""
    words = _NUMBER.sub("", one.text)
    return any(is_same_moment(one, other) and words == _NUMBER.sub("", other.text) for other in known)


def find(kind: Kind, report: Report, seconds: float | None = None) -> Defect | None:
    """Return what of one kind is wrong with a rig, or None; see `judge`."""
    return next((defect for defect in judge(report, seconds) if defect.kind is kind), None)


def judge(report: Report, seconds: float | None = None) -> Iterator[Defect]:
    """Yield what is wrong with a rig, the gravest first.

    `seconds` is for how long it shall still record, where that is known.
    """
    runs = report.doing is RigState.RUNNING
    if report.failure is not None or report.doing in (RigState.FAILING, RigState.BROKEN):
        text = report.failure or f"is {report.doing}"
        yield Defect(kind=Kind.BROKEN, text=text, is_grave=True)
    if (gap := report.gap) is not None and gap.until is None and (since := gap.since):
        text = f"has not recorded since {since[11:19] or since}: look at its program"
        yield Defect(kind=Kind.GAP, text=text, is_grave=True)
    if report.stalled is not None:
        text = f"nothing has come in for {report.stalled:.0f} s: look at its device"
        yield Defect(kind=Kind.STALLED, text=text, is_grave=True)
    for one in list_found(report):
        yield Defect(kind=Kind.FOUND, text=one.text, is_grave=one.level is Level.ALARM)
    if (short := _judge_disk(report, seconds)) is not None:
        yield short
    if runs and report.health is not None and (lost := report.health.dropped):
        text = f"{wording.count(lost, 'frame')} lost so far: its disk or processor is too slow"
        yield Defect(kind=Kind.DROPPED, text=text)
    if report.state in _LEFT_OVER and report.led_by is None:
        yield Defect(kind=Kind.LEFT_OVER, text="an earlier session was not cleaned up here")


def _judge_disk(report: Report, seconds: float | None) -> Defect | None:
    """Return what is wrong with its disk: it is full, or will be soon."""
    if any(one.kind == DISK for one in report.findings):
        return None  # it says so itself
    free, hours, runs = report.disk_free, report.hours_left, report.doing is RigState.RUNNING
    cure = "free space in its data folder"
    if free is not None and free < FULL and report.state is not None:
        lost = ", and what it records is lost" if runs else ""
        return Defect(kind=Kind.FULL, text=f"its disk is full{lost}: {cure}", is_grave=runs)
    if hours is not None and hours >= 0:
        needed = LITTLE_ROOM if seconds is None else max(LEAST_ROOM, seconds / 3600)
        left = wording.about(hours * 3600)
        early = ", before the planned end" if seconds is not None and hours * 3600 < seconds else ""
        text = f"its disk is full in about {left}{early}" if runs else f"its disk has room for {left} only"
        is_grave = runs and hours < NO_ROOM
        return Defect(kind=Kind.DISK, text=f"{text}: {cure}", is_grave=is_grave) if hours < needed else None
    if free is not None and 0 < free < NEARLY_FULL:
        text = f"its disk is nearly full ({wording.size(free)} free): {cure}"
        return Defect(kind=Kind.DISK, text=text, is_grave=runs)
    return None
