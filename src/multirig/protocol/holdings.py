"""What is said of collecting: which sessions a PC has, what is to be copied where, and what to be removed.

The words and their dialect stand together here: each is one object in an EXPSTATUS of wire 2.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from multirig.errors import ProtocolError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import MAX_INTEGER, Invalid, Word
from multirig.wording import clean

MAX_TOLD = 500
"""Sessions in one answer: the newest, and before them those that are not collected."""
MAX_WANTED = 1_000
"""Sessions in one wish."""
MAX_PLACE = 1_000
"""Characters of a destination."""


class Whereabouts(str, enum.Enum):
    """Where the data of a session are that one PC has recorded."""

    HERE = "here"
    """On that PC only, or not all of it elsewhere."""
    UNDER_WAY = "under way"
    """Being copied at the moment."""
    COLLECTED = "collected"
    """Here, and whole at the destination."""
    CLEARED = "cleared"
    """At the destination, where it was whole, and removed here."""
    STUCK = "stuck"
    """A person has to look."""
    IBLRIG = "iblrig"
    """Copied by iblrig's own means, and left to them."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one PC has of a session, and how much of it was collected."""

    exp_ref: ExpRef
    state: Whereabouts
    files: int = 0
    bytes: int = 0
    done: int = 0
    """Bytes that are whole at the destination."""
    rate: float | None = None
    """Bytes a second, of what is under way."""
    to: str = ""
    """The destination, as that PC calls it."""
    at: str = ""
    """When it was collected, or cleared: ISO time of day there."""
    rigs: tuple[str, ...] = ()
    """Which rigs have recorded it there."""
    why: str = ""
    """What stands in its way."""
    action: str = ""
    """What to do about that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHoldings(Word):
    """Which sessions are on your PC, and how many of them are collected?"""

    event: ClassVar[Event] = Event.EXPSTATUS
    sessions: tuple[ExpRef, ...] = ()
    """Only these; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect(Word):
    """Copy sessions to a destination; answered at once by how far it is."""

    event: ClassVar[Event] = Event.EXPSTATUS
    to: str | None
    """The destination, as that PC reaches it; None: copy no more."""
    sessions: tuple[ExpRef, ...] = ()
    """Only these; empty: all that are over."""
    rate: float | None = None
    """Bytes a second, at most."""
    is_new: bool = False
    """Whether the destination is known to be another one than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear(Word):
    """Remove sessions that are proved once more to be at a destination; answered at once."""

    event: ClassVar[Event] = Event.EXPSTATUS
    to: str
    """The destination, as that PC reaches it."""
    sessions: tuple[ExpRef, ...]
    """Which ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings(Word):
    """Which sessions are on a PC, and how many of them are collected."""

    event: ClassVar[Event] = Event.EXPSTATUS
    status: Status | None = None
    """What the rig does."""
    pc: str = ""
    """Name of the PC: several rigs may run there, over the same sessions."""
    sessions: tuple[Holding, ...] = ()
    """At most so many as one answer holds."""
    total: int = 0
    """How many there are."""
    left: int = 0
    """How many of all of them are not collected."""
    left_bytes: int = 0
    """Bytes of these that are not at a destination."""
    oldest: str = ""
    """The day of the oldest of these; ISO."""
    is_busy: bool = False
    """Whether it copies, or removes, at the moment."""
    trouble: str = ""
    """Why it cannot: the destination is away, say."""
    to: str = ""
    """Where it collects by itself; empty: it does not."""


def is_left(one: Holding) -> bool:
    """Whether a part is not at its destination, and is to be brought there by us."""
    return one.state in (Whereabouts.HERE, Whereabouts.UNDER_WAY, Whereabouts.STUCK)


def sum_up(sessions: Sequence[Holding]) -> Holdings:
    """Return what is said of all sessions on a PC: with as many of them as one answer holds.

    Parameters
    ----------
    sessions : sequence of Holding
        The newest first; of too many those that are not collected are told before the others.
    """
    left = [one for one in sessions if is_left(one)]
    chosen = set(map(id, [*left, *(one for one in sessions if not is_left(one))][:MAX_TOLD]))
    return Holdings(
        sessions=tuple(one for one in sessions if id(one) in chosen),
        total=len(sessions),
        left=len(left),
        left_bytes=sum(max(0, one.bytes - one.done) for one in left),
        oldest=min(one.exp_ref.date for one in left).isoformat() if left else "",
    )


WISHES = AskHoldings | Collect | Clear
"""What a rig hears of collecting."""


# -- as they travel -----------------------------------------------------------------------------------------


def write_ask(word: AskHoldings) -> tuple[Any, ...]:
    """Return the arguments of the message."""
    return 0, {"holdings": {"sessions": _texts(word.sessions)}}


def write_collect(word: Collect) -> tuple[Any, ...]:
    """Return the arguments of the message."""
    data: dict[str, Any] = {"to": word.to, "sessions": _texts(word.sessions)}
    if word.rate is not None:
        data["rate"] = word.rate
    if word.is_new:
        data["new"] = True
    return 0, {"collect": data}


def write_clear(word: Clear) -> tuple[Any, ...]:
    """Return the arguments of the message."""
    return 0, {"clear": {"to": word.to, "sessions": _texts(word.sessions)}}


def write_holdings(word: Holdings) -> tuple[Any, ...]:
    """Return the arguments of the message."""
    data: dict[str, Any] = {
        "pc": word.pc,
        "sessions": [write_holding(one) for one in word.sessions[:MAX_TOLD]],
        "total": word.total,
    }
    said = {
        "left": word.left,
        "left_bytes": word.left_bytes,
        "oldest": word.oldest,
        "busy": word.is_busy,
        "trouble": word.trouble,
        "to": word.to,
    }
    data |= {key: value for key, value in said.items() if value}
    return None if word.status is None else int(word.status), {"holdings": data}


def write_holding(one: Holding) -> dict[str, Any]:
    """Return it as it travels, and as it is kept."""
    data: dict[str, Any] = {"exp_ref": str(one.exp_ref), "state": one.state.value}
    said = {
        "files": one.files,
        "bytes": one.bytes,
        "done": one.done,
        "rate": one.rate,
        "to": one.to,
        "at": one.at,
        "rigs": [*one.rigs],
        "why": one.why,
        "action": one.action,
    }
    return data | {key: value for key, value in said.items() if value}


def hear_wish(data: Mapping[str, Any]) -> Word | None:
    """Return what a rig understands of an object in an EXPSTATUS; None: it is no wish of this kind."""
    match data:
        case {"holdings": {"sessions": list(names)}}:
            sessions = _refs(names)
            return _invalid("sessions") if sessions is None else AskHoldings(sessions=sessions)
        case {"collect": {"to": None}}:
            return Collect(to=None)
        case {"collect": {"to": str(to), "sessions": list(names)}}:
            return _hear_collect(to, names, data["collect"])
        case {"clear": {"to": str(to), "sessions": list(names)}}:
            sessions = _refs(names)
            if not sessions:
                return _invalid("sessions")
            return Clear(to=to, sessions=sessions) if _is_place(to) else _invalid("to")
        case {"collect": _} | {"clear": _} | {"holdings": _}:
            return _invalid("sessions")
    return None


def _hear_collect(to: str, names: list[Any], more: Mapping[str, Any]) -> Word:
    sessions, rate = _refs(names), _number(more.get("rate"))
    if sessions is None:
        return _invalid("sessions")
    if more.get("rate") is not None and not rate:
        return _invalid("rate")
    if not _is_place(to):
        return _invalid("to")
    return Collect(to=to, sessions=sessions, rate=rate, is_new=more.get("new") is True)


def hear_holdings(status: Status | None, data: Mapping[str, Any]) -> Holdings:
    """Return what a rig has said; what cannot be read of it is left out."""
    listed = data.get("sessions")
    found = [read_holding(one) for one in (listed if isinstance(listed, list) else [])[:MAX_TOLD]]
    return Holdings(
        status=status,
        pc=_text(data.get("pc")),
        sessions=tuple(one for one in found if one is not None),
        total=_count(data.get("total")),
        left=_count(data.get("left")),
        left_bytes=_count(data.get("left_bytes")),
        oldest=_text(data.get("oldest")),
        is_busy=data.get("busy") is True,
        trouble=_text(data.get("trouble")),
        to=_text(data.get("to")),
    )


def read_holding(data: object) -> Holding | None:
    """Return a holding as it has travelled; None: it cannot be read."""
    if not isinstance(data, dict):
        return None
    try:
        exp_ref, state = ExpRef.parse(str(data.get("exp_ref"))), Whereabouts(data.get("state"))
    except (ProtocolError, ValueError):
        return None
    rigs = data.get("rigs")
    return Holding(
        exp_ref=exp_ref,
        state=state,
        files=_count(data.get("files")),
        bytes=_count(data.get("bytes")),
        done=_count(data.get("done")),
        rate=_number(data.get("rate")),
        to=_text(data.get("to")),
        at=_text(data.get("at")),
        rigs=tuple(_text(one) for one in rigs[:64]) if isinstance(rigs, list) else (),
        why=_text(data.get("why")),
        action=_text(data.get("action")),
    )


def _invalid(key: str) -> Invalid:
    return Invalid(event=Event.EXPSTATUS, reason=f"EXPSTATUS: {key} of what is to be collected is not right")


def _texts(sessions: tuple[ExpRef, ...]) -> list[str]:
    return [str(one) for one in sessions]


def _refs(names: list[Any]) -> tuple[ExpRef, ...] | None:
    if len(names) > MAX_WANTED:
        return None
    try:
        return tuple(ExpRef.parse(name) for name in names)
    except (ProtocolError, ValueError, TypeError, AttributeError):
        return None


def _is_place(text: str) -> bool:
    return 0 < len(text) <= MAX_PLACE and text.isprintable()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_INTEGER:
        return None
    return float(value)


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else 0


def _text(value: object) -> str:
    return clean(value, MAX_PLACE) if isinstance(value, str) else ""
