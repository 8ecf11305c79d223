"""The rigs of this lab: who stands in the rigs file, and what an observer sees of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from multirig.conductor.observer import Observer
from multirig.conductor.roster import Roster, RosterEntry, add_rig, remove_rig, set_role
from multirig.conductor.sighting import Sighting
from multirig.config import Uri
from multirig.errors import ConfigError
from multirig.keyring.saying import say_leading_access
from multirig.lifecycle.observer import Attending
from multirig.lifecycle.policy import Role
from multirig.protocol.words import Decide


class WatchedRigs:
    """Follows the rigs file, and watches whoever stands in it."""

    def __init__(self, file: Path, on_change: Callable[[], None]) -> None:
        self.file = file
        self.entries: Mapping[str, RosterEntry] = {}
        """What the rigs file says of each."""
        self.problem: str | None = None
        """Why the rigs file cannot be read; the rigs of before are watched on."""
        self.observer = Observer()
        self.cautions = tuple(one.text for one in say_leading_access(self.observer.access))
        """What this PC believes without a proof, or soon can prove no more."""
        self._on_change = on_change
        self._stamp: tuple[int, int] | None = None

    async def open(self) -> None:
        """Begin to watch."""
        await self.observer.open()
        self.observer.on_change(lambda _: self._on_change())
        await self.follow_file()

    async def close(self) -> None:
        """Watch no more."""
        await self.observer.close()

    def now(self) -> list[Sighting]:
        """Return what is known of each rig, in the order of the file."""
        return list(self.observer.sightings().values())

    def roles(self) -> dict[str, Role]:
        """Return what the loss of each rig means to a session."""
        return {name: entry.role for name, entry in self.entries.items()}

    def uri(self, name: str) -> Uri:
        """Return where a rig listens. Raises ConfigError where there is no such rig."""
        if name not in self.entries:
            raise ConfigError(f"there is no rig {name} in {self.file}")
        return self.entries[name].uri

    def only_known(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return those names that stand in the rigs file."""
        return tuple(name for name in names if name in self.entries)

    async def follow_file(self) -> None:
        """Read the rigs file where it has changed."""
        try:
            status = self.file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = (0, 0)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            roster = await asyncio.to_thread(Roster.load, self.file)
        except ConfigError as error:
            self.problem = str(error)
        else:
            self.problem, self.entries = None, roster.entries
            await self.observer.follow({name: entry.uri for name, entry in roster.entries.items()})
        self._on_change()

    async def add(
        self, name: str, uri: str, role: str = Role.EXPECTED.value, *, replaces: bool = False
    ) -> None:
        """Enter a rig in the rigs file, or give it another address and role.

        Raises
        ------
        ConfigError
            The name or the address is no good, or the file cannot be changed.
        """
        name = name.strip()
        await asyncio.to_thread(add_rig, self.file, name, uri.strip(), replace=replaces)
        await asyncio.to_thread(set_role, self.file, name, Role(role))
        await self.follow_file()

    async def remove(self, name: str) -> None:
        """Take a rig out of the rigs file. Raises ConfigError if that cannot be done."""
        await asyncio.to_thread(remove_rig, self.file, name)
        await self.follow_file()

    def attend(self, *, is_attended: bool) -> None:
        """Say whether somebody is before a page who may let rigs of this PC be taken over."""
        self.observer.runtime.feed(Attending(is_attended=is_attended))

    async def decide(self, name: str, asker: str, *, allows: bool, by: str | None) -> None:
        """Say whether a rig of this PC may be taken over. Raises MultirigError where that does not count."""
        await self.observer.decide(name, Decide(allows=allows, asker=asker, by=by))
        self._on_change()

    async def ping(self, name: str) -> str:
        """Ask a rig now, and return in one line how that went."""
        sighting = await self.observer.ping(name)
        self._on_change()
        if sighting.problem is not None:
            return f"{name} {sighting.problem}"
        took = "" if sighting.round_trip is None else f" in {sighting.round_trip * 1000:.1f} ms"
        return f"{name} answers{took}"
