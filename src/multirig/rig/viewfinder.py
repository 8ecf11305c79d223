"""Has the adapter take live pictures for whoever watches, so that it costs the recording nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from multirig.rig.adapter import MAX_PICTURE, MAX_PICTURE_LABEL, Adapter, Picture

TAKE_EVERY = 500_000_000
"""Nanoseconds for which pictures are new enough: however many watch, the adapter is asked no more often."""
TAKE_LIMIT = 2.0
"""Seconds that whoever asks is kept waiting by an adapter that is slow."""

log = logging.getLogger("multirig.rig")


class Viewfinder:
    """Takes pictures when somebody asks: in a thread of its own, one at a time, at most twice a second.

    Whoever asks meanwhile shares the result. An adapter that fails is complained of once, and shows nothing.
    The thread has the priority of all others: one that may be held up by other programs while it has Python's
    lock would hold up the cameras' threads with it.

    Parameters
    ----------
    adapter : Adapter
        Whose `pictures` are shown.
    is_busy : callable
        Whether this is no moment to take any: then the last ones are shown.
    clock : callable
        This PC's clock; ns.
    begin_thread : callable
        Lets a function run in a thread of that name, which does not keep the program from ending.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        is_busy: Callable[[], bool],
        clock: Callable[[], int],
        begin_thread: Callable[[Callable[[], None], str], None],
    ) -> None:
        self._adapter = adapter
        self._is_busy = is_busy
        self._clock = clock
        self._begin_thread = begin_thread
        self._shots: Sequence[Picture] = ()
        self._taken: int | None = None
        """When the adapter was asked last, on this PC's clock; ns."""
        self._taking: asyncio.Future[None] | None = None
        """Done when the thread that is at work is; None without one."""
        self._has_complained = False
        """Whether the log says already that the adapter's hooks fail."""

    async def look(self) -> tuple[Picture, ...]:
        """Return the newest pictures, with how old each is now."""
        if self._taking is None and self._is_due() and not self._is_busy():
            self._begin()
        if self._taking is not None:
            await asyncio.wait([self._taking], timeout=TAKE_LIMIT)
        now = self._clock()
        return tuple(
            replace(shot, age=None if shot.at is None else round(max(0, now - shot.at) / 1e9, 3))
            for shot in self._shots
        )

    def labels(self) -> tuple[str, ...]:
        """Return of which cameras there can be pictures now."""
        try:
            return tuple([str(label)[:MAX_PICTURE_LABEL] for label in self._adapter.picture_labels()])
        except Exception:
            if not self._has_complained:
                log.exception("the adapter could not name its cameras; it shows no pictures")
            self._has_complained = True
            return ()

    def _is_due(self) -> bool:
        return self._taken is None or self._clock() - self._taken >= TAKE_EVERY

    def _begin(self) -> None:
        self._taken = self._clock()
        loop = asyncio.get_running_loop()
        self._taking = loop.create_future()
        # not a worker of asyncio's pool: an adapter that hangs must not keep the rig from ending
        self._begin_thread(lambda: self._take(loop), "pictures")

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        shots: Sequence[Picture] = ()
        try:
            shots = _check(self._adapter.pictures())
        except Exception:
            if not self._has_complained:
                log.exception("the adapter could not take its pictures; the recording goes on")
            self._has_complained = True
        with contextlib.suppress(RuntimeError):  # the program ends
            loop.call_soon_threadsafe(self._end, shots)

    def _end(self, shots: Sequence[Picture]) -> None:
        self._shots = shots
        taking, self._taking = self._taking, None
        if taking is not None and not taking.done():
            taking.set_result(None)


def _check(pictures: Sequence[Picture]) -> Sequence[Picture]:
    """Return pictures that a message can carry.

    Raises
    ------
    ValueError
        One of them is too large for a message, or its label is.
    """
    for one in pictures:
        if len(one.jpeg) > MAX_PICTURE or len(one.label) > MAX_PICTURE_LABEL:
            raise ValueError(
                f"the picture {one.label[:MAX_PICTURE_LABEL]} has {len(one.jpeg):,} bytes and a label of "
                f"{len(one.label)} characters: at most {MAX_PICTURE:,} and {MAX_PICTURE_LABEL} can be shown"
            )
    return tuple(pictures)
