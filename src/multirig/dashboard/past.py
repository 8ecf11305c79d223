"""What was recorded on this PC, and what was never ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from multirig.config.conductor import ConsoleRules
from multirig.dashboard.view.history import find_session
from multirig.dashboard.view.lab import Abandoned
from multirig.errors import ConfigError, MultirigError
from multirig.record.catalogue import Catalogue
from multirig.record.places import find_places
from multirig.record.recovery import find_open

log = logging.getLogger("multirig.console")


class PastSessions:
    """The catalogue of the session folders, and what the form offers because of it."""

    def __init__(self, subjects_folder: Path, rules: ConsoleRules, on_change: Callable[[], None]) -> None:
        self.subjects_folder = subjects_folder
        self.catalogue = Catalogue(self.places)
        self.subjects: list[str] = []
        """Who may be recorded: those seen before, and those of the config."""
        self.projects: list[str] = []
        self.procedures: list[str] = []
        self.abandoned: tuple[Abandoned, ...] = ()
        """Sessions whose program has died."""
        self._rules = rules
        self._on_change = on_change

    def places(self) -> list[Path]:
        """Return the folders ``…/Subjects`` of this PC: what is recorded from here, and what elsewhere."""
        return find_places(None, self.subjects_folder)

    def find(self, subject: str, date: str, number: str) -> Path:
        """Return the folder of the session of which an address speaks; those recorded from here go first.

        Raises
        ------
        ConfigError
            There is none, or the address names no session.
        """
        for place in self.places():
            folder = find_session(place, subject, date, number)
            if folder.is_dir():
                return folder
        raise ConfigError(f"there is no session {number} of {subject} on {date} on this PC")

    async def refresh(self) -> None:
        """Look into the folders, and take up what is new."""
        try:
            await asyncio.to_thread(self._look)
        except Exception:
            log.exception("the session folders could not be looked into")
            return
        self._on_change()

    def _look(self) -> None:
        catalogue, rules = self.catalogue, self._rules
        catalogue.refresh()
        self.subjects = _merged(catalogue.subjects(), rules.subjects)
        self.projects = _merged(rules.projects, catalogue.projects())
        self.procedures = _merged(rules.procedures, catalogue.procedures())
        self.abandoned = tuple(
            Abandoned(
                folder=str(session.folder),
                exp_ref=str(session.exp_ref),
                state=str(session.state),
                rigs=session.rigs,
            )
            for session in find_open(*self.places())
        )

    async def last_rigs(self) -> tuple[str, ...]:
        """Return who took part in the last session."""
        try:
            last = await asyncio.to_thread(self.catalogue.search, limit=1)
        except MultirigError as error:
            log.warning("%s", error)
            return ()
        return tuple(last[0].rigs) if last else ()


def _merged(first: Iterable[str], then: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))
