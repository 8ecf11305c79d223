"""What ``collect``, ``clear`` and ``history`` share: the PCs of a lab, what each has, how that is shown."""

from __future__ import annotations

import asyncio
import datetime
import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from rich.text import Text

from multirig.cli import render
from multirig.collect.collector import Collector
from multirig.collect.ledger import Ledger
from multirig.conductor.collecting import wish_of_rigs
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.config import Uri
from multirig.errors import ConfigError, LocalProtocolError, MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import (
    AskHoldings,
    Holding,
    Holdings,
    Whereabouts,
    read_holding,
    write_holding,
)
from multirig.reading.places import find_subjects
from multirig.wording import count, duration, size

THIS_PC = "this PC"
_LOOKS = {
    Whereabouts.HERE: ("on the PC", "yellow"),
    Whereabouts.UNDER_WAY: ("on the way", "cyan"),
    Whereabouts.COLLECTED: ("collected", "green"),
    Whereabouts.CLEARED: ("cleared", "dim"),
    Whereabouts.STUCK: ("needs you", "bold red"),
    Whereabouts.IBLRIG: ("iblrig's", "dim"),
}


@dataclass(slots=True)
class Lab:
    """Who has sessions: this PC, and the rigs of the rigs file."""

    roots: tuple[Path, ...]
    """Folders ``…/Subjects`` of this PC."""
    rigs: Mapping[str, Uri] = field(default_factory=dict)

    @classmethod
    def find(cls, data: Path | None, lab: str | None, rigs_file: Path | None, *, is_alone: bool) -> Lab:
        """Return who there is; a PC without a rigs file is alone."""
        roots = tuple(one for one in find_subjects(data, lab) if one.is_dir())
        if is_alone:
            return cls(roots)
        path = find_rigs_file(rigs_file)
        if rigs_file is None and not path.is_file():
            return cls(roots)
        return cls(roots, {name: entry.uri for name, entry in Roster.load(path).entries.items()})


def parse_sessions(names: Iterable[str] | None) -> tuple[ExpRef, ...]:
    """Return sessions by their references. Raises ConfigError."""
    found = []
    for name in names or ():
        try:
            found.append(ExpRef.parse(name))
        except (ValueError, LocalProtocolError):
            raise ConfigError(
                f"{name!r:.60} is no session: write its reference, as in 2026-01-31_1_SP_01 "
                "(multirig history lists them)"
            ) from None
    return tuple(found)


@dataclass(slots=True)
class Parts:
    """What is known of the sessions on all PCs."""

    held: dict[str, dict[ExpRef, Holding]] = field(default_factory=dict)
    """By PC, or rig."""
    trouble: dict[str, str] = field(default_factory=dict)
    """What stands in the way of a PC as a whole."""
    busy: set[str] = field(default_factory=set)

    def take(self, who: str, told: Holdings | MultirigError, *, is_part: bool = False) -> None:
        """Take what a PC has said: of all its sessions, or of some that it was asked for."""
        self.busy.discard(who)
        if isinstance(told, MultirigError):
            self.trouble[who] = str(told)
            return
        news = {one.exp_ref: one for one in told.sessions}
        self.held[who] = {**self.held.get(who, {}), **news} if is_part else news
        self.trouble.pop(who, None)
        if told.trouble:
            self.trouble[who] = told.trouble
        if told.is_busy:
            self.busy.add(who)

    def of(self, exp_ref: ExpRef) -> dict[str, Holding]:
        """Return who has something of a session."""
        return {who: held[exp_ref] for who, held in self.held.items() if exp_ref in held}

    @property
    def sessions(self) -> list[ExpRef]:
        """All that anybody has, the newest first."""
        found = {exp_ref for held in self.held.values() for exp_ref in held}
        return sorted(found, key=lambda one: (one.date, one.sequence, one.subject), reverse=True)


def ask_all(lab: Lab, wanted: Sequence[ExpRef] = (), *, is_kept: bool = True) -> Parts:
    """Return what all PCs say of sessions; of a PC that is away what it has said last."""
    parts = Parts()
    own = Collector(lab.roots).look(wanted)
    parts.take(THIS_PC, Holdings(pc=socket.gethostname(), sessions=tuple(own), total=len(own)))
    if lab.rigs:
        answers = asyncio.run(wish_of_rigs(lab.rigs, AskHoldings(sessions=tuple(wanted))))
        ledger = Ledger()
        kept = {(pc, ref): told for pc, ref, told in ledger.told()}
        for who, told in answers.items():
            parts.take(who, told)
            if isinstance(told, Holdings):
                if is_kept and not wanted:
                    ledger.note_told(
                        who, ((str(one.exp_ref), json.dumps(write_holding(one))) for one in told.sessions)
                    )
                continue
            before = (read_holding(json.loads(text)) for (pc, _), text in kept.items() if pc == who)
            parts.held[who] = {one.exp_ref: one for one in before if one is not None}
    return parts


# -- shown --------------------------------------------------------------------------------------------------


def say_state(one: Holding) -> Text:
    """Return where a part is, in a word or two, with how far it has come."""
    word, style = _LOOKS[one.state]
    if one.state is Whereabouts.UNDER_WAY and one.bytes:
        word += f" {one.done / one.bytes:.0%}"
        if one.rate:
            left = (one.bytes - one.done) / one.rate
            word += f", {size(one.rate)}/s, {duration(left)} left"
    return Text(word, style)


def show_parts(parts: Parts, sessions: Iterable[ExpRef]) -> None:
    """Print where each part of sessions is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("session", "PC", "data", "where", "since"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "data" else "left")
    notes: list[tuple[str, Holding]] = []
    for exp_ref in sessions:
        name = str(exp_ref)
        for who, one in parts.of(exp_ref).items():
            since = one.at[:16].replace("T", " ") if one.at else ""
            table.add_row(name, who, size(one.bytes), say_state(one), since)
            name = ""
            if one.why:
                notes.append((f"{exp_ref}, {who}", one))
    render.print_table(table)
    for who, one in notes:
        render.say(f"{who}: {one.why}" + (f"; {one.action}" if one.action else ""))
    for who, why in parts.trouble.items():
        render.warn(f"{who}: {why}")


def show_backlog(parts: Parts) -> None:
    """Print how much is not collected yet, and where it lies."""
    for who, held in parts.held.items():
        left = [one for one in held.values() if is_left(one)]
        if left:
            total = sum(one.bytes - one.done for one in left)
            oldest = min(one.exp_ref.date for one in left)
            render.say(
                f"{who}: {count(len(left), 'session')} not collected, {size(total)}, the oldest of {oldest}"
            )


def is_left(one: Holding) -> bool:
    """Whether a part is not at its destination, and is to be brought there by us."""
    return one.state in (Whereabouts.HERE, Whereabouts.UNDER_WAY, Whereabouts.STUCK)


def progress_line(parts: Parts, began: datetime.datetime) -> Text:
    """Return one line: how far all PCs are."""
    bits = []
    for who, held in parts.held.items():
        moving = [one for one in held.values() if one.state is Whereabouts.UNDER_WAY]
        left = [one for one in held.values() if is_left(one)]
        if moving:
            bits.append(f"{who} {moving[0].exp_ref} {say_state(moving[0]).plain.removeprefix('on the way ')}")
        elif who in parts.busy:
            bits.append(f"{who} {count(len(left), 'session')} to do")
    elapsed = (datetime.datetime.now() - began).total_seconds()
    return Text.assemble(("↑ ", "bold cyan"), f"{duration(elapsed)}  ", " · ".join(bits) or "looking")
