"""What is done with rigs between sessions: each PC is looked at, and one that was left over is cleaned up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from multirig.conductor.conductor import Conductor
from multirig.conductor.leading import Wishes, taken_up
from multirig.conductor.left import FoundRig, end_left, find_rigs, group, make_conductor, name_left
from multirig.dashboard.led import LedSession
from multirig.dashboard.rigs import WatchedRigs
from multirig.errors import MultirigError
from multirig.folders import subjects_folder
from multirig.protocol.messages import Event
from multirig.record.places import find_places
from multirig.record.recovery import find_open

CLEAN_UP_LIMIT = 40.0
"""Seconds that a rig has to release its device."""


class Upkeep:
    """Asks rigs that no session of this console holds."""

    def __init__(
        self,
        rigs: WatchedRigs,
        session: LedSession,
        *,
        data_folder: Path,
        lab: str,
        on_change: Callable[[], None],
    ) -> None:
        self.findings: Mapping[str, list[dict[str, str]]] = {}
        """What the last look has found on each PC."""
        self.is_checking = False
        self._rigs = rigs
        self._session = session
        self._data_folder = data_folder
        self._lab = lab
        self._on_change = on_change

    async def check(self, names: Sequence[str] = (), seconds: float | None = None) -> None:
        """Look at some PCs or at all, as before a session of so many seconds; the page shows what is found.

        Raises `MultirigError` where a session is led from here, or there is no such rig.
        """
        if self._session.is_led:
            raise MultirigError("a session goes on: look at the PCs before the next one")
        rigs = {name: self._rigs.uri(name) for name in names or self._rigs.entries}
        gives_number = not any(rig.report.main_sync for rig in self._rigs.now() if rig.name in rigs)
        self.is_checking = True
        self._on_change()
        try:
            conductor = Conductor(
                rigs,
                data_folder=self._data_folder,
                lab=self._lab,
                main_sync=gives_number,
                only_looks=True,
            )
            async with conductor:
                found = await conductor.check(seconds)
            self.findings = {pc: [finding.to_json() for finding in list_] for pc, list_ in found.items()}
        finally:
            self.is_checking = False
            self._on_change()

    def forget_findings(self) -> None:
        """Show no more what the last look has found."""
        self.findings = {}
        self._on_change()

    async def look_at(self, name: str) -> FoundRig:
        """Ask a rig what it records, and for whom. Raises MultirigError where this console leads it."""
        if name in self._session.rigs:
            raise MultirigError(f"{name} is in the session that goes on: stop that")
        [found] = await find_rigs({name: self._rigs.uri(name)})
        return found

    async def stop(self, found: FoundRig) -> None:
        """End what a rig records, whoever began it, and release it.

        Raises
        ------
        MultirigError
            It could not be done, or the rig may still record.
        """
        places = find_places(None, subjects_folder(self._data_folder, self._lab))
        opened = await asyncio.to_thread(find_open, *places)
        for left in group([found], opened):
            async with taken_up(make_conductor(left)) as session:
                await end_left(session, Wishes())
        if name_left(again := await find_rigs({found.name: found.uri})):
            raise MultirigError(f"{found.name} {again[0].say()}: it may still record; look at its screen")

    async def clean_up(self, name: str) -> None:
        """Release a rig that an earlier session has left as it was.

        Raises
        ------
        MultirigError
            It could not be done.
        """
        if name in self._session.rigs:
            raise MultirigError(f"{name} is in the session that goes on: stop that first")
        async with Conductor({name: self._rigs.uri(name)}) as conductor:
            outcomes = await conductor.request(Event.EXPCLEANUP, {}, limit=CLEAN_UP_LIMIT)
        if isinstance(error := outcomes[name], MultirigError):
            raise error
