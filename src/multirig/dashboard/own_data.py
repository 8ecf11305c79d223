"""What lies on this PC of the sessions: copied and cleared by a program of its own, which steps aside."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from multirig.collect.calling import CollectWorker
from multirig.collect.parts import find_sessions
from multirig.errors import MultirigError
from multirig.pc.recording import RecordingSign
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Clear, Collect, Holdings


class OwnData:
    """Obeys for this PC what is wished of all.

    Parameters
    ----------
    places : callable
        Returns the folders ``…/Subjects`` of this PC; it may block.
    """

    def __init__(self, places: Callable[[], list[Path]]) -> None:
        self.free: int | None = None
        """Bytes on the fullest of its disks; None: not known yet."""
        self._places = places
        self._sign = RecordingSign("console")
        self._worker: CollectWorker | None = None
        self._finding = asyncio.Lock()
        self._is_busy = False

    def rest(self, *, is_led: bool) -> None:
        """Let copies on this PC wait while a session is led from here, and go on after it."""
        if is_led:
            self._sign.put_up()
        else:
            self._sign.take_down()

    async def say(self, wish: AskHoldings | Collect | Clear) -> Holdings | MultirigError:
        """Begin what is wished, and return how far it is."""
        worker = await self._find_worker()
        wanted: tuple[ExpRef, ...] = () if isinstance(wish, Collect) and wish.to is None else wish.sessions
        try:
            match wish:
                case Collect():
                    await worker.collect(wish)
                case Clear():
                    await worker.clear(wish)
        except OSError as error:
            return MultirigError(f"the program that copies cannot be started: {error}")
        told = replace(await worker.look(wanted), pc=socket.gethostname())
        self._is_busy = told.is_busy
        return told

    async def list_sessions(self) -> list[ExpRef]:
        """Return which sessions have a folder here."""
        return await asyncio.to_thread(self._list)

    async def measure(self) -> None:
        """Look how much room there is."""
        self.free = await asyncio.to_thread(self._measure)

    async def close(self) -> None:
        """End the program that copies: what it was at goes on from there another time."""
        self._sign.take_down()
        if self._worker is not None:
            await self._worker.close()

    def _list(self) -> list[ExpRef]:
        found: list[ExpRef] = []
        for place in self._places():
            with contextlib.suppress(OSError):
                found += find_sessions(place)
        return found

    def _measure(self) -> int | None:
        found = []
        for place in self._places():
            with contextlib.suppress(OSError):
                found.append(shutil.disk_usage(place).free)
        return min(found, default=None)

    async def _find_worker(self) -> CollectWorker:
        """Return the program that copies; another one where sessions lie in other folders by now."""
        async with self._finding:
            roots = tuple(await asyncio.to_thread(self._places))
            if self._worker is not None and self._worker.roots != roots and not self._is_busy:
                await self._worker.close()
                self._worker = None
            if self._worker is None:
                self._worker = CollectWorker(*roots)
            return self._worker
