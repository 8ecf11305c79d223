"""Who is heard, who records, who does not: heartbeats, judged while a session goes on."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.defects import DISK, Kind, find, is_known, list_found
from multirig.lifecycle.leader import SILENT_AFTER
from multirig.protocol.events import SECOND
from multirig.protocol.words import Finding, Report, RigState


class Notice(str, enum.Enum):
    """What a conductor notices of a rig by itself while a session goes on."""

    SILENT = "silent"
    """Nothing was heard of it for a while; it may record on."""
    BACK = "back"
    """It is heard again, and is what it was."""
    LOST = "lost"
    """It has been silent for so long that the session goes on, or ends, without it."""
    BROKEN = "broken"
    """It says that its recording failed."""
    STOPPED = "stopped"
    """It says that it does not record any more, and nobody here has asked for that."""
    STALLED = "stalled"
    """It says that it records, but nothing comes in."""
    GROWING = "growing"
    """What was stalled grows again."""
    DISK = "disk"
    """Its disk is full, or will be soon."""
    ROOM = "room"
    """There is room on it again."""
    FOUND = "found"
    """It says that a part of what was to be recorded is lost, or not to be trusted."""
    RESTARTED = "restarted"
    """Its program was started anew in the middle of the session."""
    RESUMED = "resumed"
    """It records again, after a gap."""
    WANTED = "wanted"
    """Another conductor wants to take it over, and the person there is asked."""
    TAKEN_OVER = "taken over"
    """Another conductor leads it now."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """A change in what is known of a rig; an input that the journal holds, and news for the operator."""

    rig: str
    notice: Notice
    text: str
    """One line: what is the matter, what is done about it, and what to do next."""
    report: Report | None = None
    """What the rig last said of itself."""


def find_noticed(noticed: Noticed) -> list[Finding]:
    """Return what a rig has found itself, where that is noticed."""
    report = noticed.report if noticed.notice is Notice.FOUND else None
    return [one for one in report.findings if one.text == noticed.text] if report is not None else []


def notice_here(notice: Notice, text: str) -> Noticed:
    """Return what is noticed of the PC that leads."""
    return Noticed(rig=THIS_PC, notice=notice, text=text)


LOST_AFTER = 15 * SECOND
"""Whoever is silent for so long is lost: a program that hangs, a PC that restarts, a cable that is out."""
OLD_BEATS = 3
"""So many heartbeats in a row may still speak of the time before the recording."""
STOOD_STILL = 2 * SECOND
"""A look that comes so late is no matter of a busy moment: the program, or the PC, did not run."""
GRAVE = frozenset({Notice.LOST, Notice.BROKEN, Notice.STOPPED, Notice.RESTARTED})
"""What ends a session where it happens to an essential rig."""


@dataclass(slots=True)
class _Watched:
    """One rig, as it was last heard."""

    heard: int
    silent_after: int
    lost_after: int
    beats: bool
    report: Report | None = None
    has_run: bool = False
    """Whether it has said in this recording that it records."""
    old_beats: int = 0
    notice: Notice | None = None
    """What is the matter now; None: it records."""
    is_stalled: bool = False
    shortage: int = 0
    """How short of room its disk was, as far as that was noticed."""
    found: list[Finding] = field(default_factory=list)
    """What it has found itself, as far as that was noticed."""
    wanted_by: str | None = None
    """Who wants to take it over, as far as that was noticed."""


class Watch:
    """Turns what is heard of the rigs, and what is not, into what must be noticed."""

    def __init__(self) -> None:
        self._rigs: dict[str, _Watched] = {}
        self._until: int | None = None

    def begin(
        self, multirigs: Iterable[str], polled: Mapping[str, int], now: int, until: int | None = None
    ) -> None:
        """Begin to watch a recording.

        Parameters
        ----------
        multirigs : iterable of str
            Rigs that send heartbeats.
        polled : mapping of str to int
            Rigs that are asked for their status, and how often: nanoseconds between two questions.
        now : int
        until : int, optional
            When it is planned to end; None: that is not known.
        """
        self._until = until
        self._rigs = {name: _Watched(now, SILENT_AFTER, LOST_AFTER, True) for name in multirigs}
        for name, every in polled.items():
            self._rigs[name] = _Watched(now, every * 5 // 2, max(LOST_AFTER, every * 5), False)

    def end(self) -> None:
        """Nothing is watched any more."""
        self._rigs.clear()

    def reports(self) -> dict[str, Report]:
        """Return what each rig last said of itself."""
        return {name: one.report for name, one in self._rigs.items() if one.report is not None}

    def knows(self, name: str, notice: Notice) -> bool:
        """Whether that is the matter with a rig."""
        return name in self._rigs and self._rigs[name].notice is notice

    def note(self, noticed: Noticed) -> None:
        """Take what is known of a rig from now on."""
        if (one := self._rigs.get(noticed.rig)) is None:
            return
        match noticed.notice:
            case Notice.STALLED | Notice.GROWING:
                one.is_stalled = noticed.notice is Notice.STALLED
            case Notice.DISK | Notice.ROOM | Notice.WANTED:
                pass  # it records all the same
            case Notice.FOUND:
                one.found += find_noticed(noticed)
            case Notice.BACK | Notice.RESUMED:
                one.notice, one.has_run, one.is_stalled = None, True, False
            case _:
                one.notice = noticed.notice

    def hear(self, name: str, report: Report | None, now: int) -> Noticed | None:
        """Take a sign of life, and perhaps what the rig says of itself."""
        if (one := self._rigs.get(name)) is None:
            return None
        silence, one.heard = now - one.heard, now
        if report is None:
            return None
        one.report = report
        if one.notice in (Notice.TAKEN_OVER, Notice.RESTARTED):
            return None  # until somebody does something about it
        if (by := report.taken_over_by) is not None:
            return self._noticed(
                name, Notice.TAKEN_OVER, f"is led by {by} now; this PC does not stop it any more"
            )
        wanted_by, one.wanted_by = one.wanted_by, report.wanted_by
        if report.wanted_by not in (None, wanted_by):
            text = f"{report.wanted_by} wants to take it over: the person there is asked"
            return self._noticed(name, Notice.WANTED, text)
        if report.doing is RigState.RUNNING:
            one.has_run, one.old_beats = True, 0
            return self._hear_running(name, one, report, silence) or self._hear_disk(name, one, report, now)
        return self._hear_trouble(name, one, report)

    def _hear_running(self, name: str, one: _Watched, report: Report, silence: int) -> Noticed | None:
        if one.notice is not None:
            text = f"is heard again and records; it was silent for {silence / SECOND:.1f} s"
            if one.notice not in (Notice.SILENT, Notice.LOST):
                text = "records again"
            return self._noticed(name, Notice.BACK, text)
        defect = find(Kind.STALLED, report)
        if defect is not None and not one.is_stalled:
            return self._noticed(name, Notice.STALLED, f"says that it records, but {defect.text}")
        if defect is None and one.is_stalled:
            return self._noticed(name, Notice.GROWING, "grows again")
        new = next((found for found in list_found(report) if not is_known(found, one.found)), None)
        return None if new is None else self._noticed(name, Notice.FOUND, new.text)

    def _hear_disk(self, name: str, one: _Watched, report: Report, now: int) -> Noticed | None:
        """Notice once that a disk will be full, once that it is about to be, and once that it is."""
        if any(finding.kind == DISK for finding in report.findings):
            return None  # it says so itself
        left = None if self._until is None else max(0, self._until - now) / SECOND
        defect = find(Kind.FULL, report, left) or find(Kind.DISK, report, left)
        shortage = 0 if defect is None else 3 if defect.kind is Kind.FULL else 1 + defect.is_grave
        if defect is not None and shortage > one.shortage:
            one.shortage = shortage
            return self._noticed(name, Notice.DISK, defect.text)
        if defect is None and one.shortage > 1:
            one.shortage = 0
            return self._noticed(name, Notice.ROOM, "its disk has room again")
        return None

    def _hear_trouble(self, name: str, one: _Watched, report: Report) -> Noticed | None:
        if one.notice in (Notice.BROKEN, Notice.STOPPED):
            return None
        if (defect := find(Kind.BROKEN, report)) is not None:
            return self._noticed(name, Notice.BROKEN, defect.text)
        if report.is_resuming:
            return None
        one.old_beats += 1
        if one.has_run or one.old_beats > OLD_BEATS or not one.beats:
            text = f"is {report.doing}: it was stopped at its own keyboard or screen"
            return self._noticed(name, Notice.STOPPED, text)
        return None

    def check(self, now: int, stood_still: int = 0) -> list[Noticed]:
        """Return who has become silent, or was silent for too long.

        Parameters
        ----------
        now : int
        stood_still : int
            By how much this look comes too late: for so long this PC heard nobody, whoever spoke.
        """
        found = []
        if self._rigs and stood_still > STOOD_STILL:
            for one in self._rigs.values():
                one.heard = min(now, one.heard + stood_still)
            text = (
                f"it stood still for {stood_still / SECOND:.0f} s (asleep, or stopped) and heard no rig "
                "meanwhile; what the rigs record is not touched by that"
            )
            found.append(notice_here(Notice.FOUND, text))
        for name, one in self._rigs.items():
            silence = now - one.heard
            if one.notice is None and silence > one.silent_after:
                text = f"is not heard any more (since {silence / SECOND:.1f} s); it may still record"
                found.append(self._noticed(name, Notice.SILENT, text))
            elif one.notice is Notice.SILENT and silence > one.lost_after:
                text = f"was not heard for {silence / SECOND:.0f} s: look at its screen and its network cable"
                found.append(self._noticed(name, Notice.LOST, text))
        return found

    def _noticed(self, name: str, notice: Notice, text: str) -> Noticed:
        return Noticed(rig=name, notice=notice, text=text, report=self._rigs[name].report)
