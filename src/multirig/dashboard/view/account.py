"""A session that is over: what it turned out to be, what was recorded, and how it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multirig import wording
from multirig.dashboard.view.cards import Fact
from multirig.dashboard.view.history import judge_word
from multirig.dashboard.view.session import Entry
from multirig.dashboard.view.tones import ICONS, Tone, worst_tone
from multirig.lifecycle.policy import Role
from multirig.protocol.words import File, Level
from multirig.record.account import Account
from multirig.record.catalogue import NOT_OVER, Listed
from multirig.record.limits import TOLERANCE, is_of_other_clock
from multirig.record.story import CONDUCTOR, say_leader, say_marker
from multirig.record.summary import RigSummary
from multirig.record.timing import say_spread
from multirig.record.verdict import say_meaning
from multirig.wording import size

SHOWN_ENTRIES = 200
"""Markers, and happenings, that are shown."""
NOT_TOLD = "–"
"""Stands where a rig tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A file; its times are seconds from the beginning, on the session clock."""

    path: str
    size: str
    frames: str
    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGroup:
    """What one rig recorded, or this PC."""

    who: str
    summary: str
    """How many files, how big, how many frames were lost."""
    dropped: str
    """Frames that could not be written."""
    tone: Tone
    """WARNING where its files are missing or not known."""
    dropped_tone: Tone
    rows: tuple[FileRow, ...]
    more: str | None
    """How many files are not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRow:
    """What is known of a rig's clock, by the last reading."""

    rig: str
    offset: str
    bound: str
    drift: str
    round_trip: str
    readings: str
    jumps: str
    tone: Tone
    unknown: str | None
    """Why nothing is known of it; then the other fields are empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RigFindings:
    """What is to be said of a rig."""

    rig: str
    about: str
    """Its address, and what its loss means."""
    tone: Tone
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """A session, as its page shows it."""

    exp_ref: str
    subject: str
    word: str
    """The verdict, with the rigs that are not verified, or what stands in place of it."""
    tone: Tone
    icon: str
    meaning: str
    has_journal: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    files: tuple[FileGroup, ...]
    clocks: tuple[ClockRow, ...]
    rigs: tuple[RigFindings, ...]
    markers: tuple[Entry, ...]
    more_markers: str | None
    happenings: tuple[Entry, ...]
    more_happenings: str | None
    unknown: tuple[str, ...]
    """What nobody can tell of this session."""


def view_account(told: Account, *, name: str = "session without a number") -> AccountView:
    """Return how a session's account is shown.

    Parameters
    ----------
    told : Account
        What the journal tells.
    name : str
        What it is called where its journal knows no number: that of its folder.
    """
    word = str(told.verdict) if told.is_final else NOT_OVER
    tone, meaning = judge_word(word)
    if told.is_final:
        meaning = say_meaning(told.verdict, told.unverified)
    else:
        _, if_so = judge_word(str(told.verdict))
        meaning = (
            f"it is {told.state}, as far as its journal tells; if it ended so: {told.verdict}, {if_so}; "
            "if nobody leads it any more, it can be taken up again on the page Lab"
        )
    markers = [
        _entry(one.seconds, "", say_marker(one.text, one.data), Tone.PLAIN, "bookmark")
        for one in told.markers[:SHOWN_ENTRIES]
    ]
    happenings = [
        _entry(one.seconds, one.rig or "session", one.text, Tone.PLAIN)
        for one in told.happenings[:SHOWN_ENTRIES]
    ]
    return AccountView(
        exp_ref=told.exp_ref or name,
        subject=told.subject or "",
        word=told.headline if told.is_final else word,
        tone=tone,
        icon=ICONS[tone],
        meaning=meaning,
        has_journal=True,
        reasons=tuple(told.reasons),
        notes=tuple(told.notes),
        facts=tuple(_facts(told)),
        files=tuple(_group_files(told)),
        clocks=tuple(_clock_row(name, rig) for name, rig in told.rigs.items()),
        rigs=tuple(_find(name, rig) for name, rig in told.rigs.items()),
        markers=tuple(markers),
        more_markers=_say_more(len(told.markers) - len(markers), "marker"),
        happenings=tuple(happenings),
        more_happenings=_say_more(len(told.happenings) - len(happenings), "event"),
        unknown=tuple(_list_unknown(told)),
    )


def view_listed(one: Listed) -> AccountView:
    """Return how a session is shown of which there is no journal to read, only what its folder tells."""
    tone, meaning = judge_word(one.word)
    length = NOT_TOLD if one.seconds is None else wording.stopwatch(one.seconds)
    facts = [Fact(label="Recorded for", value=length)]
    if one.task:
        facts.append(Fact(label="Task", value=one.task))
    facts.append(Fact(label="Files", value=_say_files(one.files, one.bytes)))
    return AccountView(
        exp_ref=one.exp_ref,
        subject=one.subject,
        word=one.headline,
        tone=tone,
        icon=ICONS[tone],
        meaning=meaning,
        has_journal=False,
        reasons=(one.reason,) if one.reason else (),
        notes=(),
        facts=tuple(facts),
        files=(),
        clocks=(),
        rigs=(),
        markers=(),
        more_markers=None,
        happenings=(),
        more_happenings=None,
        unknown=(),
    )


# -- the session as a whole ----------------------------------------------------------------------------------


def _facts(told: Account) -> Iterator[Fact]:
    yield Fact(label="Began", value=_say_moment(told.began))
    yield _say_length(told)
    if leader := say_leader(told.pc, told.person).removeprefix("led "):
        yield Fact(label="Led", value=leader)
    yield Fact(label="Rigs", value=", ".join(told.rigs) or "none")
    for spread, label, what in (
        (told.start_spread, "Start", "started"),
        (told.first_spread, "First frames", "had their first frame"),
    ):
        if spread is not None:
            yield Fact(label=label, value=say_spread(spread, what))
    if told.steps:
        steps = ", ".join(f"{one.name} {wording.span(one.seconds)}" for one in told.steps)
        yield Fact(label="Steps took", value=steps)
    files = sum(rig.files_total for rig in told.rigs.values()) + told.own_files_total
    volume = sum(rig.bytes_total for rig in told.rigs.values()) + told.own_bytes_total
    yield Fact(label="Files", value=_say_files(files, volume))
    if told.attempts > 1:
        yield Fact(label="Attempts", value=f"{told.attempts}; what is shown here is of the last one")
    yield Fact(label="Judged by", value=f"multirig {told.version}")


def _say_length(told: Account) -> Fact:
    begin, end = told.running_from, told.running_until
    if begin is None:
        return Fact(label="Recorded for", value="it never recorded on all rigs", tone=Tone.BAD)
    if end is None:
        until = "until the end of its journal" if told.ended_at is not None else ""
        shown = NOT_TOLD if told.ended_at is None else wording.stopwatch(told.ended_at - begin)
        return Fact(label="Recorded for", value=f"{shown} {until}".strip(), tone=Tone.WARNING)
    return Fact(label="Recorded for", value=wording.stopwatch(end - begin))


def _say_moment(time: str | None) -> str:
    """Return an ISO time of day without what nobody reads."""
    return NOT_TOLD if time is None else time[:19].replace("T", " ")


def _say_files(count: int, volume: int) -> str:
    return f"{wording.count(count, 'file')}, {size(volume)}" if count else "no files"


def _say_more(left: int, what: str) -> str | None:
    return (
        f"and {wording.grouped(left)} more {what if left == 1 else what + 's'}: see the journal"
        if left > 0
        else None
    )


def _list_unknown(told: Account) -> Iterator[str]:
    """Yield what nobody can tell, so that nobody takes an empty field for a good one."""
    for name, rig in told.silent_starts.items():
        within = "" if rig.started_within is None else f", {wording.span(rig.started_within)} later"
        yield f"when {name} started: it does not tell; it was between the command and its answer{within}"
    for name, rig in told.rigs.items():
        if rig.has_ended and not rig.says_files:
            yield f"what {name} wrote: it does not tell; look into its own folder"
        elif rig.was_started and not rig.has_ended and told.is_final:
            yield f"what {name} wrote: it did not tell when it was stopped; look into its own folder"
        if (why := told.unverified.get(name)) and rig.says_files:
            yield f"whether {name} recorded to the end: {why}"
        if rig.was_started and rig.has_ended and rig.dropped is None:
            yield f"whether {name} lost frames: it does not tell"
    if told.unreadable:
        lines = ", ".join(map(str, told.unreadable[:10]))
        more = f" and {len(told.unreadable) - 10} more" if len(told.unreadable) > 10 else ""
        yield f"what stood in the journal's lines that cannot be read: {lines}{more}"


# -- files ---------------------------------------------------------------------------------------------------


def _group_files(told: Account) -> Iterator[FileGroup]:
    zero = told.zero
    for name, rig in told.rigs.items():
        rows = tuple(_file_row(one, zero) for one in rig.files)
        dropped = rig.dropped
        is_missing = rig.was_started and not rig.files_total
        summary = _say_files(rig.files_total, rig.bytes_total)
        if rig.frames is not None:
            summary += f", {wording.grouped(rig.frames)} frames"
        if not rig.says_files:
            summary = "it does not tell its files" if rig.has_ended else "nothing is known of its files"
        yield FileGroup(
            who=name,
            summary=summary,
            dropped=NOT_TOLD if dropped is None else wording.grouped(dropped),
            tone=Tone.WARNING if is_missing else Tone.PLAIN,
            dropped_tone=Tone.WARNING if dropped else Tone.PLAIN,
            rows=rows,
            more=_say_unnamed(rig.files_total - len(rows)),
        )
    if told.own_files_total:
        rows = tuple(
            FileRow(path=one.path, size=size(one.bytes), frames="", first="", last="")
            for one in told.own_files
        )
        yield FileGroup(
            who=CONDUCTOR,
            summary=_say_files(told.own_files_total, told.own_bytes_total),
            dropped="",
            tone=Tone.PLAIN,
            dropped_tone=Tone.PLAIN,
            rows=rows,
            more=_say_unnamed(told.own_files_total - len(rows)),
        )


def _say_unnamed(left: int) -> str | None:
    return f"and {wording.count(left, 'more file')}" if left > 0 else None


def _file_row(file: File, zero: float) -> FileRow:
    return FileRow(
        path=file.path,
        size=size(file.bytes),
        frames=NOT_TOLD if file.frames is None else wording.grouped(file.frames),
        first=_say_time(file.first, zero),
        last=_say_time(file.last, zero),
    )


def _say_time(at: float | None, zero: float) -> str:
    if is_of_other_clock(at, zero):
        return "other clock"
    return NOT_TOLD if at is None else wording.since(at - zero, digits=4)


# -- rigs ----------------------------------------------------------------------------------------------------


def _clock_row(name: str, rig: RigSummary) -> ClockRow:
    clock = rig.clock
    if clock is None:
        if not rig.was_started:
            unknown = "not known: it was not started"
        elif rig.clock_bound is not None:
            unknown = f"by its own word its times are right within ± {wording.span(rig.clock_bound)}"
        else:
            unknown = f"not known: {'it is no multirig' if rig.is_foreign else 'nobody read it'}"
        return ClockRow(
            rig=name,
            offset="",
            bound="",
            drift="",
            round_trip="",
            readings="",
            jumps="",
            tone=Tone.PLAIN,
            unknown=unknown,
        )
    jumps = [wording.since(one.size, digits=3) for one in clock.jumps]
    return ClockRow(
        rig=name,
        offset=wording.ahead(clock.offset),
        bound=f"± {wording.span(clock.bound)}",
        drift=f"{clock.drift:+.2f} ppm",
        round_trip=wording.span(clock.round_trip),
        readings=wording.grouped(clock.readings),
        jumps=", ".join(jumps) or "none",
        tone=Tone.WARNING if jumps else Tone.PLAIN,
        unknown=None,
    )


def _find(name: str, rig: RigSummary) -> RigFindings:
    """Return what is to be said of a rig, the faults first."""
    tone = Tone.WARNING if rig.role == Role.OPTIONAL.value else Tone.BAD
    entries = [_entry(None, "", one, tone) for one in rig.problems]
    entries += [_entry(None, "", _say_gap(one), Tone.WARNING) for one in rig.gaps]
    entries += [
        _entry(None, "", one.text, Tone.PLAIN if one.level is Level.NOTE else Tone.WARNING)
        for one in rig.findings
        if one.text not in rig.problems
    ]
    if dropped := rig.dropped:
        lost = f"{wording.count(dropped, 'frame')} lost: seen, and not written"
        entries.append(_entry(None, "", lost, Tone.WARNING))
    if rig.ended_early is not None and rig.ended_early > TOLERANCE:
        early = f"its recording had ended {wording.span(rig.ended_early)} before the session was told to stop"
        entries.append(_entry(None, "", early, Tone.WARNING))
    entries += [_entry(one.seconds, "", one.text, Tone.PLAIN) for one in rig.remarks]
    if not entries and rig.was_started and rig.has_ended:
        entries.append(_entry(None, "", "nothing went wrong", Tone.GOOD))
    elif not entries:
        what = "it has not been told to stop yet" if rig.was_started else "it was not started"
        entries.append(_entry(None, "", what, Tone.PLAIN))
    return RigFindings(
        rig=name,
        about=rig.address if rig.role == Role.EXPECTED.value else f"{rig.address}, {rig.role}",
        tone=worst_tone(one.tone for one in entries),
        entries=tuple(entries),
    )


def _say_gap(gap: Mapping[str, Any]) -> str:
    begin, end = (str(gap.get(key) or "?") for key in ("from", "to"))
    seconds = gap.get("seconds")
    length = "" if seconds is None else f" ({wording.span(seconds)})"
    return (
        f"recorded nothing from {begin[11:19] or begin} to {end[11:19] or end}{length}: its program had died"
    )


def _entry(seconds: float | None, who: str, text: str, tone: Tone, icon: str | None = None) -> Entry:
    return Entry(when=wording.since(seconds), who=who, text=text, tone=tone, icon=icon or ICONS[tone])
