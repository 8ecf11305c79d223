"""What a rig looks at now and then: its disk, its leader, its adapter's proof of recording."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from multirig.lifecycle.rig_events import Measured, PicturesOffered, SpaceMeasured
from multirig.lifecycle.rig_states import RigState
from multirig.rig.parts import Parts
from multirig.rig.recording import Recording

HEALTH_EVERY = 0.5
"""Seconds between two looks at the adapter's proof of recording."""
LOOKS_AT_FILES = 2
"""In that time, at how its files grow: so two seconds are enough to tell that they grow evenly."""

log = logging.getLogger("multirig.rig")


class Gauges:
    """Tells the rig's rules what changes without their doing.

    Parameters
    ----------
    parts : Parts
        The rig.
    recording : Recording
        What its adapter records.
    name_pictures : callable
        Returns of which cameras there can be live pictures.
    """

    def __init__(
        self, parts: Parts, recording: Recording, name_pictures: Callable[[], tuple[str, ...]]
    ) -> None:
        self._config = parts.config
        self._machine = parts.machine
        self._computer = parts.computer
        self._storage = parts.storage
        self._feed = parts.feed
        self._recording = recording
        self._name_pictures = name_pictures
        self._space: tuple[int, float | None] | None = None
        """Bytes that were free, and bytes that are recorded a second, when it was looked last."""
        self._is_alone = False
        """Whether whoever leads is not heard."""

    async def keep_looking(self) -> None:
        """Look now and then."""
        while True:
            await self.look_at_disk()
            self._look_at_leader()
            if (labels := self._name_pictures()) != self._machine.cameras:
                self._feed(PicturesOffered(labels=labels))
            if self._machine.state is RigState.RUNNING:
                self._storage.mark_alive()
            if self._recording.session is not None:
                self._recording.look()
                self._feed(Measured(health=self._recording.health, findings=self._recording.findings))
            looks = LOOKS_AT_FILES if self._machine.state is RigState.RUNNING else 1
            for _ in range(looks):
                if self._machine.state is RigState.RUNNING:
                    await self._recording.look_at_files()
                await asyncio.sleep(HEALTH_EVERY / looks)

    async def look_at_disk(self) -> None:
        """Look how much is free, and for how many hours of recording that is enough."""
        try:
            free = await self._storage.measure_space()
        except OSError:
            return
        self._recording.note_room(free)
        is_running = self._machine.state is RigState.RUNNING
        rate = (self._recording.find_rate() if is_running else None) or self._storage.usual_rate
        if (free, rate) != self._space:
            self._space = free, rate
            hours = None if rate is None else round(free / rate / 3600, 2)
            self._feed(SpaceMeasured(free=free, hours_left=hours))

    def _look_at_leader(self) -> None:
        """Say once that whoever leads is not heard, and once that it is again."""
        leader = self._machine.leader
        if leader is None and not self._is_alone:
            return
        silent = leader is not None and leader.is_silent(self._computer.read_clock())
        if silent and not self._is_alone:
            wait = self._config.on_lost_conductor.stop_after
            then = "the rig goes on" if wait is None else f"a recording is stopped after {wait:g} s"
            log.warning("%s: %s is not heard any more; %s", self._config.name, leader, then)
        elif self._is_alone and leader is not None and not silent:
            log.warning("%s: %s is heard again", self._config.name, leader)
        self._is_alone = silent
