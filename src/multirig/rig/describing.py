"""What others may know of a rig: its device, its next number, what speaks for and against a session."""

from __future__ import annotations

import asyncio
import datetime
import logging
from dataclasses import replace

from multirig.config import Limits
from multirig.errors import MultirigError
from multirig.lifecycle.rig_events import Describe, Described, PicturesTaken
from multirig.lifecycle.rig_states import RigState
from multirig.pc.finding import Finding, plain_findings
from multirig.protocol.codec import plain
from multirig.protocol.dialect import STEPS
from multirig.protocol.events import Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Info
from multirig.rig.adapter import below
from multirig.rig.limits import widen
from multirig.rig.parts import Parts
from multirig.rig.pipeline import describe_rig
from multirig.rig.preflight import check_rig
from multirig.rig.viewfinder import Viewfinder
from multirig.sync.pulses import PULSES_NAME
from multirig.version import __version__
from multirig.wording import discreet_values

log = logging.getLogger("multirig.rig")

_USUAL = Limits()


def unusual_limits(limits: Limits) -> dict[str, float] | None:
    """Return the limits of a rig's steps that are not as on most rigs; None: all are."""
    return {
        step: seconds for step in STEPS if (seconds := getattr(limits, step)) != getattr(_USUAL, step)
    } or None


class Describer:
    """Gathers what a rig says of itself.

    Parameters
    ----------
    parts : Parts
        The rig.
    """

    def __init__(self, parts: Parts) -> None:
        self._config = parts.config
        self._adapter = parts.adapter
        self._machine = parts.machine
        self._computer = parts.computer
        self._storage = parts.storage
        self._feed = parts.feed
        self._viewfinder = Viewfinder(
            parts.adapter,
            # a start has its instant, which nothing is to come near
            is_busy=lambda: parts.machine.state is RigState.STARTING,
            clock=parts.computer.read_clock,
            begin_thread=parts.computer.begin_thread,
        )
        self._checking = asyncio.Lock()

    async def describe(self, effect: Describe) -> None:
        """Gather what a conductor asks for."""
        space = self._machine.space
        info = Info(
            name=self._config.name,
            date=self._today().isoformat(),
            adapter=self._config.adapter.type,
            collection=self._adapter.collection,
            folder=self._storage.folder_mark,
            disk_free=0 if space is None else space.free,
            version=__version__,
        )
        if effect.room is None:  # IBL's peers have no use for more
            info = replace(
                info,
                time=self._read_time(),
                limits=unusual_limits(widen(self._config.limits, self._adapter.least_limits())),
                min_sequence=await self._find_least(effect),
            )
        try:
            info = replace(info, device=discreet_values(plain(self._adapter.describe(), "device")))
        except Exception:
            log.exception("the adapter's description of its device failed")
        try:
            info = replace(info, writes=tuple(self._name_files()))
        except Exception:
            log.exception("the adapter's list of what it writes failed")
        try:
            info = replace(info, experiment_description=describe_rig(self._config, self._adapter))
        except Exception:
            log.exception("the adapter's part of the experiment description failed")
        if effect.subject is not None:
            try:
                free = await self.find_free(effect.subject, at_least=effect.at_least)
                info = replace(info, exp_ref=free)
            except (MultirigError, OSError) as error:
                log.error("no number for subject %r: %s", effect.subject, error)
                info = replace(info, failure=str(error))
        if effect.check is not None:
            found = plain_findings(await self._check(effect.check.seconds))
            info = replace(info, preflight=tuple(found), time=self._read_time())
        self._feed(Described(token=effect.token, info=info, room=effect.room, whose=effect.whose))

    async def take_pictures(self, token: Token) -> None:
        """Get a live picture of each camera."""
        self._feed(PicturesTaken(token=token, pictures=await self._viewfinder.look()))

    def name_pictures(self) -> tuple[str, ...]:
        """Return of which cameras there can be live pictures now."""
        return self._viewfinder.labels()

    async def _find_least(self, effect: Describe) -> int | None:
        """Return the lowest number that is free here, for who counts on another PC; None: what it has is."""
        offered = effect.offered
        if effect.follows is None:
            return None
        try:
            free = await self.find_free(effect.follows, offered.date if offered is not None else None)
        except (MultirigError, OSError) as error:
            log.error("no number for subject %r: %s", effect.follows, error)
            return None
        least = offered.sequence if offered is not None else effect.at_least
        return free.sequence if free.sequence > least else None

    async def find_free(self, subject: str, date: datetime.date | None = None, at_least: int = 1) -> ExpRef:
        """Return a subject's next number that is free here and was never used; see `Storage.find_free`."""
        free = await self._storage.find_free(subject, date or self._today())
        return self._machine.numbers.skip_used(replace(free, sequence=max(free.sequence, at_least)))

    async def _check(self, seconds: float | None) -> list[Finding]:
        """Return what speaks for and against a session of that length on this PC."""
        is_idle = self._machine.state is RigState.CONNECTED
        async with self._checking:  # whoever asks a hundred times has no hundred threads
            return await check_rig(self._config, self._adapter, seconds, is_idle=is_idle)

    def _name_files(self) -> list[str]:
        """Return what is written here, the adapter's files and ours, which bear no name of the rig."""
        pulses = [below(self._adapter.collection, PULSES_NAME)] if self._config.sync_pulses else []
        return [*self._adapter.owns(), *pulses]

    def _read_time(self) -> str:
        return self._computer.read_wall_clock().isoformat(timespec="milliseconds")

    def _today(self) -> datetime.date:
        return self._computer.read_wall_clock().date()
