"""What is known of the sessions on all PCs of a lab: what is left to collect, and what may be cleared."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from multirig.collect.ledger import Ledger
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import (
    MAX_WANTED,
    Holding,
    Holdings,
    Whereabouts,
    is_left,
    read_holding,
    write_holding,
)
from multirig.wording import listed

THIS_PC = "this PC"
KEPT_DAYS = 30
"""Days that data stay where they were recorded, where nothing else is said."""
WORST_FIRST = (
    Whereabouts.STUCK,
    Whereabouts.UNDER_WAY,
    Whereabouts.HERE,
    Whereabouts.COLLECTED,
    Whereabouts.CLEARED,
    Whereabouts.IBLRIG,
)
"""What is said first of a session of which several PCs, or folders, have parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What of a PC is not at its destination yet."""

    sessions: int
    bytes: int
    oldest: datetime.date


@dataclass(slots=True)
class Parts:
    """What is known of the sessions on all PCs."""

    held: dict[str, dict[ExpRef, Holding]] = field(default_factory=dict)
    """By PC, or rig."""
    trouble: dict[str, str] = field(default_factory=dict)
    """What stands in the way of a PC as a whole."""
    busy: set[str] = field(default_factory=set)
    pcs: dict[str, str] = field(default_factory=dict)
    """Name of the PC on which each is: several rigs may run on one, over the same sessions."""
    uncounted: dict[str, Backlog] = field(default_factory=dict)
    """What is left on PCs that have more sessions than one answer holds."""

    def take(self, who: str, told: Holdings | MultirigError, *, is_part: bool = False) -> None:
        """Take what a PC has said: of all its sessions, or of some that it was asked for."""
        self.busy.discard(who)
        if isinstance(told, MultirigError):
            self.trouble[who] = str(told)
            return
        news: dict[ExpRef, Holding] = {}
        for one in told.sessions:
            news[one.exp_ref] = _add(news[one.exp_ref], one) if one.exp_ref in news else one
        # what an answer had no room for is as it was
        keeps = is_part or told.total > len(told.sessions)
        self.held[who] = {**self.held.get(who, {}), **news} if keeps else news
        self.trouble.pop(who, None)
        if told.trouble:
            self.trouble[who] = told.trouble
        if told.is_busy:
            self.busy.add(who)
        if told.pc:
            self.pcs[who] = told.pc
        if not is_part:
            self._count(who, told)

    def _count(self, who: str, told: Holdings) -> None:
        """Take what a PC says of all its sessions, where it cannot name them all."""
        self.uncounted.pop(who, None)
        if told.total > len(told.sessions) and told.left:
            with contextlib.suppress(ValueError):
                oldest = datetime.date.fromisoformat(told.oldest)
                self.uncounted[who] = Backlog(sessions=told.left, bytes=told.left_bytes, oldest=oldest)

    def keep_only(self, known: Collection[str]) -> None:
        """Know nothing of PCs that are not of the lab any more."""
        for gone in self.held.keys() - known:
            del self.held[gone]
            self.trouble.pop(gone, None)
            self.pcs.pop(gone, None)
            self.uncounted.pop(gone, None)
            self.busy.discard(gone)

    def backlog(self, who: str) -> Backlog | None:
        """Return how much of what a PC has is not collected; None: nothing is left."""
        return self.uncounted.get(who) or count_left(self.held.get(who, {}).values())

    def of(self, exp_ref: ExpRef) -> dict[str, Holding]:
        """Return who has something of a session."""
        return {who: held[exp_ref] for who, held in self.held.items() if exp_ref in held}

    @property
    def sessions(self) -> list[ExpRef]:
        """All that anybody has, the newest first."""
        found = {exp_ref for held in self.held.values() for exp_ref in held}
        return sorted(found, key=lambda one: (one.date, one.sequence, one.subject), reverse=True)


Who: TypeAlias = tuple[str, ...]
"""Rigs that have the same sessions: they run on one PC."""
Grouped: TypeAlias = Mapping[Who, Mapping[ExpRef, Holding]]


def group(parts: Parts) -> Grouped:
    """Return who has what, this PC first; rigs of one PC that have the very same sessions are one."""
    found: dict[tuple[object, ...], tuple[Who, Mapping[ExpRef, Holding]]] = {}
    for who in sorted(parts.held, key=lambda one: (one != THIS_PC, one)):  # not as their answers come
        held, pc = parts.held[who], parts.pcs.get(who, "")
        key: tuple[object, ...] = (who,)
        if pc and any(one.rigs for one in held.values()):
            key = (pc, frozenset((ref, one.files, one.bytes, one.rigs) for ref, one in held.items()))
        names, first = found.get(key, ((), held))
        found[key] = ((*names, who), first)
    return dict(found.values())


def name_of(who: Who) -> str:
    """Return how a PC is called."""
    return THIS_PC if THIS_PC in who else listed(who)


def _add(one: Holding, other: Holding) -> Holding:
    """Return what a PC has of a session that lies there in two folders: a rig's, and that of who led."""
    worse, better = sorted((one, other), key=lambda each: WORST_FIRST.index(each.state))
    return replace(
        worse,
        files=one.files + other.files,
        bytes=one.bytes + other.bytes,
        done=one.done + other.done,
        to=worse.to or better.to,
        rigs=tuple(sorted({*one.rigs, *other.rigs})),
    )


def may_be_tried_again(one: Holding) -> bool:
    """Whether a part is not at its destination, and may come there by itself: nobody has to look."""
    return one.state in (Whereabouts.HERE, Whereabouts.UNDER_WAY)


def count_left(held: Iterable[Holding]) -> Backlog | None:
    """Return how much of what a PC has is not collected; None: nothing is left."""
    left = [one for one in held if is_left(one)]
    if not left:
        return None
    return Backlog(
        sessions=len(left),
        bytes=sum(one.bytes - one.done for one in left),
        oldest=min(one.exp_ref.date for one in left),
    )


def seconds_left(one: Holding) -> float | None:
    """Return how long the rest of a copy takes at its rate; None: nobody knows."""
    return (one.bytes - one.done) / one.rate if one.rate and one.bytes else None


def choose_old(
    parts: Parts, days: int, today: datetime.date, wanted: Iterable[ExpRef] = ()
) -> dict[str, list[Holding]]:
    """Return by PC what may be removed: collected, and at least so many days old.

    Parameters
    ----------
    parts : Parts
        What the PCs say.
    days : int
        How long data stay where they were recorded.
    today : datetime.date
    wanted : iterable of ExpRef
        Only these; empty: all.
    """
    last, only = today - datetime.timedelta(days=days), set(wanted)
    chosen = {
        who: [one for one in held.values() if _may_go(one, last) and (not only or one.exp_ref in only)]
        for who, held in parts.held.items()
        if who not in parts.trouble
    }
    return {who: held for who, held in chosen.items() if held}


def choose_one_each(
    parts: Parts,
    days: int,
    today: datetime.date,
    wanted: Iterable[ExpRef] = (),
    *,
    silent: Collection[str] = (),
) -> dict[str, list[Holding]]:
    """Return as `choose_old` what may be removed, of rigs on one PC by one, and by none that is silent."""
    chosen = choose_old(parts, days, today, wanted)
    found: dict[str, list[Holding]] = {}
    for names in group(parts):
        asked = [who for who in names if who in chosen and who not in silent]
        found |= {who: chosen[who] for who in asked[:1]}
    return found


def _may_go(one: Holding, last: datetime.date) -> bool:
    return one.state is Whereabouts.COLLECTED and one.exp_ref.date <= last and bool(one.to)


def by_destination(held: Sequence[Holding]) -> list[tuple[str, tuple[ExpRef, ...]]]:
    """Return sessions by where they were collected, as many at a time as a wish to clear them holds."""
    found = []
    for to in sorted({one.to for one in held}):
        refs = [one.exp_ref for one in held if one.to == to]
        found += [(to, tuple(refs[first : first + MAX_WANTED])) for first in range(0, len(refs), MAX_WANTED)]
    return found


# -- what PCs that are away have said last ------------------------------------------------------------------


def read_told(ledger: Ledger) -> dict[str, dict[ExpRef, Holding]]:
    """Return what each PC has said last; what cannot be read of it is left out."""
    found: dict[str, dict[ExpRef, Holding]] = {}
    for who, _, text in ledger.told():
        try:
            one = read_holding(json.loads(text))
        except ValueError:
            continue
        if one is not None:
            if one.state is Whereabouts.UNDER_WAY:  # it was, then
                one = replace(one, state=Whereabouts.HERE, rate=None)
            found.setdefault(who, {})[one.exp_ref] = one
    return found


def note_told(ledger: Ledger, told: Mapping[str, Holdings]) -> None:
    """Keep what PCs have said of all their sessions, for when they are away."""
    for who, one in told.items():
        ledger.note_told(who, ((str(each.exp_ref), json.dumps(write_holding(each))) for each in one.sessions))
