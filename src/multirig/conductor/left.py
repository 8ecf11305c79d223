"""Recordings that somebody has left: whose they are, and how they are ended, from any PC.

The one way for ``multirig stop``, for ``multirig recover --stop``, and for the button on a rig's card.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from multirig.conductor.conductor import Conductor
from multirig.conductor.leading import Choice, Wishes, lead_on
from multirig.conductor.session import Session
from multirig.config import Uri
from multirig.errors import MultirigError, SessionFailed
from multirig.lifecycle.going_on import find_kept
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_events import SessionFound
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import Info
from multirig.record.recovery import OpenSession
from multirig.transports.base import Network
from multirig.wording import duration

LOOK_LIMIT = 5.0
"""Seconds that a rig has to say what it records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRig:
    """A rig that was asked what it records, and for whom."""

    name: str
    uri: Uri
    info: Info | None = None
    """What it says; None: it has not answered."""
    problem: str | None = None
    """Why it has not answered."""
    at: datetime.datetime
    """When it was asked, on this PC."""

    @property
    def doing(self) -> RigState | None:
        """Its state; None: not known."""
        return None if self.info is None else self.info.doing

    @property
    def records(self) -> bool:
        """Whether it says that it records."""
        return self.info is not None and self.info.status is Status.RUNNING

    @property
    def is_free(self) -> bool:
        """Whether it is in no session."""
        return self.doing is RigState.CONNECTED

    @property
    def is_led(self) -> bool:
        """Whether somebody leads it who is heard: it was not left."""
        return self.info is not None and self.info.led_by is not None

    @property
    def is_left(self) -> bool:
        """Whether it is in a session that nobody leads any more."""
        return self.info is not None and not self.is_free and not self.is_led

    def say(self) -> str:
        """Return what it does, for whom and since when, in words that follow its name."""
        info = self.info
        if info is None:
            return f"does not answer: {self.problem}"
        if self.is_free:
            return "is in no session, and records nothing"
        what = (
            f"records {info.exp_ref or 'a session without a number'}" if self.records else f"is {self.doing}"
        )
        if not self.records and info.exp_ref is not None:
            what += f" in {info.exp_ref}"
        if not self.records and info.failure is not None:
            what += f" ({info.failure})"
        if info.recording_for is not None:
            since = self.at - datetime.timedelta(seconds=info.recording_for)
            day = "" if since.date() == self.at.date() else f"{since:%Y-%m-%d} "
            what += f" since {day}{since:%H:%M:%S} ({duration(info.recording_for)})"
        if info.begun_by is not None:
            what += f", begun by {info.begun_by}"
        if self.is_led:
            return f"{what}, and is led by {info.led_by}, which is heard"
        return what if info.begun_by is None else f"{what}, which is not heard any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSession:
    """A session that some rigs are left in."""

    exp_ref: ExpRef | None
    """None: the rigs name none."""
    rigs: Mapping[str, FoundRig]
    folder: Path | None = None
    """Where its journal is, if this PC has it and knows all of its rigs."""


async def find_rigs(rigs: Mapping[str, Uri], *, network: Network | None = None) -> list[FoundRig]:
    """Ask rigs what they record, and for whom; nobody is touched.

    Parameters
    ----------
    rigs : mapping of str to Uri
        Name of each rig and where it listens.
    network : Network, optional
        For tests without a network.
    """
    return [*await asyncio.gather(*(_find(name, uri, network) for name, uri in rigs.items()))]


async def _find(name: str, uri: Uri, network: Network | None) -> FoundRig:
    now = datetime.datetime.now().astimezone()
    try:
        async with Conductor({name: uri}, network=network) as conductor:
            outcomes = await conductor.request(Event.EXPINFO, 0, {"whose": True}, limit=LOOK_LIMIT)
    except MultirigError as error:
        cause = getattr(error, "causes", {}).get(name, error)
        return FoundRig(name=name, uri=uri, problem=str(cause), at=now)
    match outcomes[name]:
        case Info() as info:
            return FoundRig(name=name, uri=uri, info=info, at=now)
        case outcome:
            return FoundRig(name=name, uri=uri, problem=str(outcome), at=now)


def group(found: Iterable[FoundRig], open_here: Iterable[OpenSession]) -> list[LeftSession]:
    """Return the sessions that rigs are left in, with the journal of each that this PC has begun.

    Parameters
    ----------
    found : iterable of FoundRig
        Those that shall be released.
    open_here : iterable of OpenSession
        Sessions of this PC that were never ended.
    """
    sessions: dict[ExpRef | None, dict[str, FoundRig]] = {}
    for rig in found:
        sessions.setdefault(rig.info.exp_ref if rig.info is not None else None, {})[rig.name] = rig
    folders = {one.exp_ref: one for one in open_here}
    out = []
    for exp_ref, rigs in sessions.items():
        known = folders.get(exp_ref) if exp_ref is not None else None
        is_whole = known is not None and {*known.rigs} <= rigs.keys()
        folder = known.folder if known is not None and is_whole else None
        out.append(LeftSession(exp_ref=exp_ref, rigs=rigs, folder=folder))
    return out


def make_conductor(left: LeftSession, *, network: Network | None = None) -> Conductor:
    """Return what ends a session that was left: by its journal, or by what its rigs say."""
    if left.folder is not None:
        return Conductor.from_journal(left.folder, network=network)
    uris = {name: rig.uri for name, rig in left.rigs.items()}
    return Conductor.from_rigs(uris, SessionFound(exp_ref=left.exp_ref), network=network)


async def end_left(session: Session, wishes: Wishes) -> None:
    """Stop what rigs record, whoever began it, and release them.

    Parameters
    ----------
    session : Session
        The one of `multirig.conductor.leading.taken_up`.
    wishes : Wishes
        What the operator wants.

    Raises
    ------
    SessionFailed
        No rig was handed over by the conductor that leads it, or by whoever is there.
    MultirigError
        It could not be done.
    """

    async def stop() -> Choice:
        found = session.conductor.exchange.machine.found
        kept = {name: kept for name, one in found.items() if (kept := find_kept(one)) is not None}
        if kept and len(kept) == len(found):
            raise SessionFailed("stop", kept, "no rig has been touched")
        return Choice.STOP

    await lead_on(session, wishes, stop, takes_over=True)


def name_left(found: Sequence[FoundRig]) -> list[str]:
    """Return who may still record, by name."""
    return [rig.name for rig in found if rig.records or rig.info is None]
