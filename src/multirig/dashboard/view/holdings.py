"""Where the data of sessions are: how far each has come, what is left, what is wrong, what may be cleared."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from multirig import wording
from multirig.collect.overview import (
    KEPT_DAYS,
    THIS_PC,
    WORST_FIRST,
    Grouped,
    Parts,
    Who,
    choose_old,
    choose_one_each,
    group,
    name_of,
    seconds_left,
)
from multirig.conductor.sighting import Sighting
from multirig.config import CollectRules
from multirig.config.collect import AFTER_SESSION
from multirig.dashboard.view.cards import WHO_OPERATES
from multirig.dashboard.view.tones import ICONS, Tone
from multirig.lifecycle.defects import Kind, find
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Holding, Whereabouts, is_left
from multirig.protocol.words import RigState
from multirig.wording import size

OVERDUE_DAYS = 3
"""Days after which it is told that a session is not collected: as long as a weekend and a day."""
MAX_DAYS = 36_500
_SHORT = (Kind.DISK, Kind.FULL)
_FREE = frozenset({RigState.CONNECTED, RigState.BROKEN})
"""States in which a rig may look at its disk: nobody records there."""
_LOOKS: Mapping[Whereabouts, tuple[str, Tone, str]] = {
    Whereabouts.HERE: ("on the PC", Tone.WARNING, "computer"),
    Whereabouts.UNDER_WAY: ("on the way", Tone.BUSY, "upload"),
    Whereabouts.COLLECTED: ("collected", Tone.GOOD, ICONS[Tone.GOOD]),
    Whereabouts.CLEARED: ("collected, cleared", Tone.GOOD, "cloud_done"),
    Whereabouts.STUCK: ("needs you", Tone.BAD, ICONS[Tone.BAD]),
    Whereabouts.IBLRIG: ("iblrig's", Tone.PLAIN, "info"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsNow:
    """What is known of where the data are."""

    today: datetime.date
    parts: Parts
    rigs: Sequence[Sighting] = ()
    """As they are seen."""
    is_known: bool = True
    """Whether the PCs were asked since the console was started."""
    rules: CollectRules | None = None
    problem: str = ""
    """Why it cannot be collected at all."""
    own_free: int | None = None
    """Bytes on the disk of this PC; None: not known."""
    is_held_up: bool = False
    """Whether a session is led from here: nothing is begun meanwhile."""
    operates: bool = True
    """Whether who sees the page may press its buttons; else it is said who can."""

    @property
    def silent(self) -> dict[str, str]:
        """Which rigs are not asked now, and why; of them is shown what they said last."""
        return {rig.name: why for rig in self.rigs if (why := why_silent(rig)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line with its colour and icon."""

    text: str
    tone: Tone
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """What a PC copies at the moment."""

    text: str
    progress: float
    """From 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """What one PC has of a session."""

    who: str
    word: str
    tone: Tone
    icon: str
    size: str
    to: str
    since: str
    note: str
    """What stands in its way, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataView:
    """The box on where the data are, as it is shown."""

    summary: Note
    alarms: tuple[Note, ...]
    backlog: tuple[str, ...]
    moving: tuple[Moving, ...]
    rows: tuple[PartRow, ...]
    """Of one session: who has something of it."""
    destination: str
    """Where it is collected, and when; what to do where nobody has said that."""
    needs_place: bool
    """Whether the destination has to be asked for."""
    last_place: str
    """Where something was collected last; empty: nothing was."""
    can_collect: bool
    can_clear: bool
    can_stop: bool
    why_not: str | None
    """Why nothing can be begun now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearView:
    """What would be removed, or what became of it."""

    question: str
    """What is asked, or said in the end."""
    rows: tuple[PartRow, ...]
    sessions: tuple[str, ...]
    """Of each row, the session."""
    button: str | None
    """What stands on the button that removes; None: there is nothing to remove."""
    tone: Tone = Tone.PLAIN
    is_over: bool = True
    """Whether nothing is under way."""


def why_silent(rig: Sighting) -> str | None:
    """Return why a rig is not asked for anything now; None: it is, or will be."""
    if rig.problem is not None:
        return rig.problem
    if rig.is_foreign:
        return "speaks IBL's wire, which cannot collect: iblrig copies its data"
    if rig.report.doing is not None and rig.report.doing not in _FREE:
        return "is in a session: it is asked when that is over"
    return None


# -- one session --------------------------------------------------------------------------------------------


def say_sessions(parts: Parts, wanted: Iterable[str]) -> dict[str, Note]:
    """Return in a few words where the data of sessions are, by their references."""
    only = set(wanted)
    by_session: dict[ExpRef, list[tuple[str, Holding]]] = {}
    for names, held in group(parts).items():
        for exp_ref, one in held.items():
            by_session.setdefault(exp_ref, []).append((name_of(names), one))
    return {
        name: _say_session(by_pc) for exp_ref, by_pc in by_session.items() if (name := str(exp_ref)) in only
    }


def _say_session(by_pc: Sequence[tuple[str, Holding]]) -> Note:
    held = [one for _, one in by_pc]
    first = _first_state(held)
    word, tone, icon = _LOOKS[first]
    whose = [who for who, one in by_pc if one.state is first]
    match first:
        case Whereabouts.UNDER_WAY:
            whole = sum(one.bytes for one in held)
            done = sum(one.done for one in held)
            word = f"{word} {done / whole:.0%}" if whole else word
        case Whereabouts.HERE:
            word = f"on {wording.listed(whose)}"
        case Whereabouts.STUCK:
            word = f"{wording.listed(whose)}: needs you"
        case Whereabouts.COLLECTED if any(one.state is Whereabouts.CLEARED for one in held):
            word = f"{word}, still on {wording.listed(whose)}"
    return Note(text=word, tone=tone, icon=icon)


def _first_state(held: Sequence[Holding]) -> Whereabouts:
    return next(state for state in WORST_FIRST if any(one.state is state for one in held))


def say_part(one: Holding) -> str:
    """Return how far a part is, in words."""
    word = _LOOKS[one.state][0]
    return f"{word} {_say_progress(one)}" if one.state is Whereabouts.UNDER_WAY else word


def _say_progress(one: Holding) -> str:
    if not one.bytes:
        return "…"
    bits = [f"{one.done / one.bytes:.0%} of {size(one.bytes)}"]
    if one.why:
        return f"{bits[0]}: {one.why}"
    if one.rate and (left := seconds_left(one)) is not None:
        bits += [f"{size(one.rate)}/s", f"{wording.about(left)} left"]
    return ", ".join(bits)


def _row(who: str, one: Holding) -> PartRow:
    _, tone, icon = _LOOKS[one.state]
    note = "" if one.state is Whereabouts.UNDER_WAY else one.why
    if one.action:
        note = f"{note}; {one.action}" if note else one.action
    return PartRow(
        who=who,
        word=say_part(one),
        tone=tone,
        icon=icon,
        size=size(one.bytes),
        to=one.to,
        since=one.at[:16].replace("T", " "),
        note=note,
    )


# -- the box ------------------------------------------------------------------------------------------------


def view_data(now: HoldingsNow, exp_ref: ExpRef | None = None) -> DataView:
    """Return what the box on the data shows: of all sessions, or of one."""
    grouped = group(now.parts)
    if exp_ref is not None:
        grouped = {who: {exp_ref: held[exp_ref]} for who, held in grouped.items() if exp_ref in held}
    alarms = tuple(_find_alarms(now, grouped, is_of_all=exp_ref is None))
    backlog = tuple(_say_backlog(now, grouped)) if exp_ref is None else ()
    why_not = "a session goes on: collect and clear when it is over" if now.is_held_up else None
    is_busy = bool(_busy(now))
    held = _all(grouped)
    has_left = any(is_left(one) for one in held)
    is_ready = why_not is None and now.is_known
    return DataView(
        summary=_summarise(now, held, is_of_one=exp_ref is not None),
        alarms=alarms,
        backlog=backlog,
        moving=tuple(_moving(now, grouped)),
        rows=tuple(_row(who, one) for who, one in _list_parts(now.parts, exp_ref)) if exp_ref else (),
        destination=_say_destination(now.rules),
        needs_place=now.rules is None,
        last_place=max(((one.at, one.to) for one in _all(group(now.parts)) if one.to), default=("", ""))[1],
        can_collect=is_ready and not is_busy and has_left,
        can_clear=is_ready and not is_busy and any(one.state is Whereabouts.COLLECTED for one in held),
        can_stop=is_busy,
        why_not=why_not,
    )


def find_alarm(now: HoldingsNow) -> str | None:
    """Return the alarm that whoever looks at the lab should read; None: there is none, or nobody collects."""
    if not _is_used(now):
        return None
    alarms = _find_alarms(now, group(now.parts), is_of_all=True)
    return next((one.text for one in alarms if one.tone is not Tone.PLAIN), None)


def _is_used(now: HoldingsNow) -> bool:
    """Whether the lab collects."""
    return now.rules is not None or any(one.to for held in now.parts.held.values() for one in held.values())


def _summarise(now: HoldingsNow, held: Sequence[Holding], *, is_of_one: bool) -> Note:
    left = [one for one in held if is_left(one)]
    if not now.is_known:
        return Note(text="asking the PCs…", tone=Tone.BUSY, icon=ICONS[Tone.BUSY])
    if not held:
        text = "no PC that answers has any of it" if is_of_one else "no PC that answers has a session"
        return Note(text=text, tone=Tone.PLAIN, icon=ICONS[Tone.PLAIN])
    if is_of_one:
        word, tone, icon = _LOOKS[_first_state(held)]
        return Note(text=f"not collected yet: {word}" if left else word, tone=tone, icon=icon)
    if not left:
        return Note(text="all that the PCs have is collected", tone=Tone.GOOD, icon=ICONS[Tone.GOOD])
    refs = {one.exp_ref for one in left}
    total = sum(one.bytes - one.done for one in left)
    if more := [one for one in now.parts.uncounted.values() if one.sessions > len(refs)]:
        most = max(one.sessions for one in more)
        text = f"at least {wording.count(most, 'session')} not collected"
        return Note(text=text, tone=Tone.WARNING, icon=ICONS[Tone.WARNING])
    tone = Tone.BUSY if _busy(now) else Tone.WARNING
    text = f"{wording.count(len(refs), 'session')} not collected, {size(total)}"
    return Note(text=text, tone=tone, icon=ICONS[tone])


def _say_backlog(now: HoldingsNow, grouped: Grouped) -> Iterable[str]:
    for who, held in grouped.items():
        if held and (left := now.parts.backlog(who[0])) is not None:
            yield (
                f"{name_of(who)}: {wording.count(left.sessions, 'session')} not collected, "
                f"{size(left.bytes)}, the oldest of {say_day(left.oldest, now.today)}"
            )


def _busy(now: HoldingsNow) -> set[str]:
    """Return who copies or clears; of who is not heard nobody knows."""
    return now.parts.busy - now.silent.keys()


def _moving(now: HoldingsNow, grouped: Grouped) -> Iterable[Moving]:
    for who, held in grouped.items():
        if not {*who} - now.silent.keys():
            continue
        for one in held.values():
            if one.state is Whereabouts.UNDER_WAY:
                progress = min(1.0, one.done / one.bytes) if one.bytes else 0.0
                yield Moving(text=f"{name_of(who)}: {one.exp_ref}, {_say_progress(one)}", progress=progress)


def _say_destination(rules: CollectRules | None) -> str:
    if rules is None:
        return "multirig.yaml says no destination: it is asked for"
    when = "after each session" if rules.when == AFTER_SESSION else f"each day {rules.when}"
    return f"to {rules.to}, {when}"


def _find_alarms(now: HoldingsNow, grouped: Grouped, *, is_of_all: bool) -> Iterable[Note]:
    if now.problem:
        yield _alarm(now.problem, Tone.BAD)
    silent = now.silent
    for who, why in now.parts.trouble.items():
        is_of_it = is_of_all or any(who in names for names in grouped)
        if is_of_it and who not in silent:
            yield _alarm(f"{who}: {why}")
    if is_of_all and (overdue := _say_overdue(now, grouped)) is not None:
        yield _alarm(overdue)
    for names, held in grouped.items():
        if is_of_all and (full := _say_full(now, names, held)) is not None:
            yield _alarm(full)
    for names, held in grouped.items():
        stuck = [one for one in held.values() if one.state is Whereabouts.STUCK]
        if is_of_all and stuck:
            first, more = stuck[0], len(stuck) - 1
            others = f" (and {wording.count(more, 'more session')})" if more else ""
            action = f"; {first.action}" if first.action else ""
            yield _alarm(f"{name_of(names)}, {first.exp_ref}: {first.why}{action}{others}", Tone.BAD)
    for who, why in silent.items():
        held = next((held for names, held in grouped.items() if who in names), {})
        if any(is_left(one) for one in held.values()):
            yield Note(text=f"{who} {why}", tone=Tone.PLAIN, icon=ICONS[Tone.PLAIN])


def _alarm(text: str, tone: Tone = Tone.WARNING) -> Note:
    return Note(text=text, tone=tone, icon=ICONS[tone])


def _say_overdue(now: HoldingsNow, grouped: Grouped) -> str | None:
    """Return what should have been collected long ago, in a lab that collects."""
    if not _is_used(now):
        return None
    last = now.today - datetime.timedelta(days=OVERDUE_DAYS)
    late = [one for one in _all(grouped) if is_left(one) and one.bytes and one.exp_ref.date < last]
    if not late:
        return None
    refs = {one.exp_ref for one in late}
    whose = [name_of(who) for who, pc in grouped.items() if any(one in late for one in pc.values())]
    oldest = say_day(min(one.date for one in refs), now.today)
    verb = "is" if len(refs) == 1 else "are"
    looks = "look there at what stands in its way"
    advice = f"press Collect on the page History, or {looks}"
    if not now.operates:
        advice = f"{WHO_OPERATES} can collect them on the page History, or {looks}"
    return (
        f"{wording.count(len(refs), 'session')} on {wording.listed(whose)} {verb} not collected for more "
        f"than {OVERDUE_DAYS} days, the oldest of {oldest}: {advice}"
    )


def _say_full(now: HoldingsNow, who: Who, held: Mapping[ExpRef, Holding]) -> str | None:
    """Return what to do about a disk that fills up with what is collected."""
    seen = [rig.report for rig in now.rigs if rig.name in who]
    rooms = [one.disk_free for one in seen if one.disk_free is not None]
    if THIS_PC in who and now.own_free is not None:
        rooms.append(now.own_free)
    if not rooms:
        return None
    free, is_short = min(rooms), any(find(kind, one) is not None for one in seen for kind in _SHORT)
    name = name_of(who)
    old = choose_old(Parts({name: dict(held)}), 0 if is_short else KEPT_DAYS, now.today)
    room = sum(one.bytes for one in old.get(name, ()))
    if not room or not (is_short or free < room):
        return None
    advice = "press Clear…" if now.operates else f"{WHO_OPERATES} can clear them"
    return (
        f"the disk of {name} has {size(free)} free, and {size(room)} of collected sessions could be "
        f"cleared: {advice} on the page History"
    )


def _all(grouped: Grouped) -> list[Holding]:
    return [one for held in grouped.values() for one in held.values()]


def _list_parts(parts: Parts, exp_ref: ExpRef) -> list[tuple[str, Holding]]:
    return [(name_of(who), held[exp_ref]) for who, held in group(parts).items() if exp_ref in held]


def say_day(day: datetime.date, today: datetime.date) -> str:
    """Return a day as people say it: ``3 November``, with the year where it is another one."""
    year = "" if day.year == today.year else f" {day.year}"
    return f"{day.day} {_MONTHS[day.month - 1]}{year}"


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


# -- clearing -----------------------------------------------------------------------------------------------


def read_days(value: object) -> int | None:
    """Return how many days somebody has typed; None: it is no such number."""
    try:
        days = float(str(value).strip())
    except ValueError:
        return None
    return int(days) if 0 <= days <= MAX_DAYS and days == int(days) else None


def choose_doomed(now: HoldingsNow, days: int, exp_ref: ExpRef | None = None) -> dict[str, list[Holding]]:
    """Return by PC what would be removed; of rigs that are not heard nothing, of those on one PC by one."""
    wanted = () if exp_ref is None else (exp_ref,)
    return choose_one_each(now.parts, days, now.today, wanted, silent=now.silent.keys())


def view_doomed(now: HoldingsNow, doomed: Mapping[str, Sequence[Holding]], days: int | None) -> ClearView:
    """Return what is asked before anything is removed."""
    if days is None:
        return ClearView(
            question="type a number of days, 0 or more", rows=(), sessions=(), button=None, tone=Tone.BAD
        )
    rows = _flat(doomed)
    if not rows:
        old = f" and {wording.count(days, 'day')} old" if days else ""
        return ClearView(
            question=f"nothing is to be removed: nothing here is collected{old}",
            rows=(),
            sessions=(),
            button=None,
        )
    total = size(sum(one.bytes for _, one in rows))
    whose = wording.listed(list(doomed))
    return ClearView(
        question=(
            "Each file is read back at its destination once more, then it is removed here. Lists, journals "
            "and verdicts stay."
        ),
        rows=tuple(_row(who, one) for who, one in rows),
        sessions=tuple(str(one.exp_ref) for _, one in rows),
        button=f"Remove {total} from {whose}",
    )


def view_cleared(now: HoldingsNow, doomed: Mapping[str, Sequence[Holding]]) -> ClearView:
    """Return what became of what was to be removed."""
    held = now.parts.held
    after = {
        who: [held.get(who, {}).get(one.exp_ref, one) for one in before] for who, before in doomed.items()
    }
    is_over = not (_busy(now) & after.keys())
    freed = size(sum(one.bytes for _, one in _flat(after) if one.state is Whereabouts.CLEARED))
    left = [(who, one) for who, one in _flat(after) if one.state is not Whereabouts.CLEARED]
    trouble = {who: why for who, why in now.parts.trouble.items() if who in after}
    rows = tuple(_say_kept(_row(who, one), trouble.get(who, ""), is_over=is_over) for who, one in left)
    if not is_over:
        question, tone = f"reading back and removing… {freed} are free so far", Tone.BUSY
    elif left:
        question = f"{freed} are free; {wording.count(len(left), 'part')} could not be removed"
        tone = Tone.WARNING
    else:
        question, tone = f"{freed} are free; the lists and journals are still there", Tone.GOOD
    sessions = tuple(str(one.exp_ref) for _, one in left)
    return ClearView(question=question, rows=rows, sessions=sessions, button=None, tone=tone, is_over=is_over)


def _say_kept(row: PartRow, trouble: str, *, is_over: bool) -> PartRow:
    tone = Tone.WARNING if is_over else Tone.BUSY
    word = "still there" if is_over else "being read back"
    note = (row.note or trouble) if is_over else ""
    return replace(row, word=word, tone=tone, icon=ICONS[tone], note=note)


def _flat(held: Mapping[str, Sequence[Holding]]) -> list[tuple[str, Holding]]:
    return [(who, one) for who, pc in held.items() for one in pc]
