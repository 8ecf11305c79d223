"""What ``collect``, ``clear`` and ``history`` share: the PCs of a lab, what each has, how that is shown."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from rich.text import Text

from multirig.cli import render
from multirig.collect.collector import Collector
from multirig.collect.ledger import Ledger
from multirig.collect.overview import (
    THIS_PC,
    Parts,
    group,
    name_of,
    note_told,
    read_told,
    seconds_left,
)
from multirig.conductor.collecting import wish_of_rigs
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.config import CollectRules, Uri, load_collect_rules
from multirig.errors import ConfigError, LocalProtocolError, MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import MAX_TOLD, AskHoldings, Holding, Holdings, Whereabouts, is_left
from multirig.reading.places import find_subjects
from multirig.wording import count, duration, size

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


def find_rules(rigs_file: Path | None) -> CollectRules | None:
    """Return what the ``multirig.yaml`` beside the rigs file, or else the user's own, says of collecting."""
    return load_collect_rules(find_rigs_file(rigs_file))


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


def ask_all(lab: Lab, wanted: Sequence[ExpRef] = (), *, is_kept: bool = True) -> Parts:
    """Return what all PCs say of sessions; of a PC that is away what it has said last."""
    parts = Parts()
    own = Collector(lab.roots).look(wanted)
    parts.take(THIS_PC, Holdings(pc=socket.gethostname(), sessions=tuple(own), total=len(own)))
    if lab.rigs:
        answers = asyncio.run(wish_of_rigs(lab.rigs, AskHoldings(sessions=tuple(wanted))))
        ledger = Ledger()
        before = read_told(ledger)
        for who, told in answers.items():
            if isinstance(told, MultirigError):
                parts.held[who] = before.get(who, {})
            parts.take(who, told)
            if isinstance(told, Holdings) and told.total > len(told.sessions):
                _ask_rest(lab, who, [one.exp_ref for one in own], parts)
        if is_kept and not wanted:
            note_told(ledger, {who: one for who, one in answers.items() if isinstance(one, Holdings)})
    return parts


def _ask_rest(lab: Lab, who: str, here: Sequence[ExpRef], parts: Parts) -> None:
    """Ask a rig by name for what its answer had no room for: of sessions that have a folder on this PC."""
    rest = [one for one in here if one not in parts.held[who]]
    for first in range(0, len(rest), MAX_TOLD):
        ask = AskHoldings(sessions=tuple(rest[first : first + MAX_TOLD]))
        parts.take(who, asyncio.run(wish_of_rigs({who: lab.rigs[who]}, ask))[who], is_part=True)


# -- shown --------------------------------------------------------------------------------------------------


def say_state(one: Holding) -> Text:
    """Return where a part is, in a word or two, with how far it has come."""
    word, style = _LOOKS[one.state]
    if one.state is Whereabouts.UNDER_WAY and one.bytes:
        word += f" {one.done / one.bytes:.0%}"
        if one.why:  # it stands still
            word += f", {one.why}"
        elif one.rate and (left := seconds_left(one)) is not None:
            word += f", {size(one.rate)}/s, {duration(left)} left"
    return Text(word, style)


def show_parts(parts: Parts, sessions: Iterable[ExpRef]) -> None:
    """Print where each part of sessions is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("session", "PC", "data", "where", "since"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "data" else "left")
    notes: list[tuple[str, Holding]] = []
    grouped = group(parts)
    for exp_ref in sessions:
        name = str(exp_ref)
        for names, held in grouped.items():
            if (one := held.get(exp_ref)) is None:
                continue
            since = one.at[:16].replace("T", " ") if one.at else ""
            table.add_row(name, name_of(names), size(one.bytes), say_state(one), since)
            name = ""
            if one.why and one.state is not Whereabouts.UNDER_WAY:
                notes.append((f"{exp_ref}, {name_of(names)}", one))
    render.print_table(table)
    for who, one in notes:
        render.say(f"{who}: {one.why}" + (f"; {one.action}" if one.action else ""))
    for who, why in parts.trouble.items():
        render.warn(f"{who}: {why}")


def show_backlog(parts: Parts) -> None:
    """Print how much is not collected yet, and where it lies."""
    for names in group(parts):
        if (left := parts.backlog(names[0])) is not None:
            render.say(
                f"{name_of(names)}: {count(left.sessions, 'session')} not collected, {size(left.bytes)}, "
                f"the oldest of {left.oldest}"
            )


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
