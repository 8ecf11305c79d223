"""The newest picture of each camera of the lab, asked for while a page is open.

However many cameras there are, only so many pictures are shown in a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from multirig.conductor.observer import Observer
from multirig.errors import MultirigError

EVERY = 0.7
"""Seconds between two pictures of a camera, at least."""
AT_MOST = 12.0
"""Pictures a second of all cameras together: more keep a browser busy that also has a session to show."""
LIMIT = 1.0
"""Seconds that a rig has to send its pictures."""

log = logging.getLogger("multirig.console")


@dataclass(frozen=True, slots=True)
class Shot:
    """The newest picture of a camera."""

    number: int
    """Counts up with each picture."""
    jpeg: bytes


class Gallery:
    """Asks the rigs in turn for what their cameras see."""

    def __init__(
        self, observer: Observer, count: Callable[[], Mapping[str, int]], on_new: Callable[[], None]
    ) -> None:
        self._observer = observer
        self._count = count
        self._on_new = on_new
        self._shots: dict[tuple[str, str], Shot] = {}

    def shot(self, rig: str, label: str) -> Shot | None:
        """Return the newest picture of a camera."""
        return self._shots.get((rig, label))

    def picture(self, rig: str, label: str) -> bytes | None:
        """Return that picture, a JPEG file."""
        shot = self.shot(rig, label)
        return shot.jpeg if shot is not None else None

    async def keep_asking(self) -> None:
        """Ask for pictures, round after round."""
        while True:
            length, turns = plan_round(self._count())
            await asyncio.gather(
                asyncio.sleep(length), *(self._ask(name, delay) for name, delay in turns.items())
            )

    async def _ask(self, name: str, delay: float) -> None:
        """Ask a rig for its pictures after so many seconds."""
        await asyncio.sleep(delay)
        try:
            found = await asyncio.wait_for(self._observer.pictures(name), LIMIT)
        except (MultirigError, asyncio.TimeoutError):
            return  # the next one may come
        except Exception:
            log.exception("the pictures of %s could not be shown", name)
            return
        for picture in found:
            before = self._shots.get((name, picture.label))
            if before is None or before.jpeg != picture.jpeg:
                number = 1 if before is None else before.number + 1
                self._shots[name, picture.label] = Shot(number, picture.jpeg)
                self._on_new()


def plan_round(cameras: Mapping[str, int]) -> tuple[float, dict[str, float]]:
    """Return how long a round takes in which each rig is asked once, and when in it each is; seconds.

    `cameras` says how many each rig has. They take turns, so that their pictures come one by one.
    """
    length = max(EVERY, sum(cameras.values()) / AT_MOST)
    return length, {name: length * place / len(cameras) for place, name in enumerate(cameras)}
