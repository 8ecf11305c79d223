"""The program that copies, as the one that has started it speaks with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Clear, Collect, Holdings, hear_holdings

ANSWER_LIMIT = 20.0
"""Seconds that it has to look at the sessions on its disk."""
END_LIMIT = 3.0
"""Seconds that it has to end."""
MAX_LINE = 8 << 20
"""Bytes of one of its answers."""

log = logging.getLogger("multirig.collect")


class CollectWorker:
    """A program of its own, started when it is needed, and ended with this one.

    Parameters
    ----------
    root : pathlib.Path
        Folder ``…/<lab>/Subjects``, whose sessions it copies.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Holdings]] = {}
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()

    async def collect(self, wish: Collect) -> None:
        """Begin to copy, or copy no more."""
        if wish.to is None:
            if self.is_running:
                await self._say({"do": "end"})
            return
        await self._say(
            {
                "do": "collect",
                "to": wish.to,
                "sessions": _texts(wish.sessions),
                "rate": wish.rate,
                "new": wish.is_new,
            }
        )

    async def clear(self, wish: Clear) -> None:
        """Begin to remove what is proved to be at its destination."""
        await self._say({"do": "clear", "to": wish.to, "sessions": _texts(wish.sessions)})

    async def look(self, sessions: Sequence[ExpRef] = ()) -> Holdings:
        """Return which sessions there are, and how far they have come."""
        number = next(self._numbers)
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._say({"do": "look", "sessions": _texts(sessions), "number": number})
            return await asyncio.wait_for(answered, ANSWER_LIMIT)
        except (TimeoutError, asyncio.TimeoutError, OSError) as error:
            why = "it does not answer" if not isinstance(error, OSError) else str(error)
            return Holdings(trouble=f"the program that copies cannot be asked: {why}")
        finally:
            del self._waiting[number]

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def close(self) -> None:
        """End it: what it was at goes on from there another time."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_LIMIT)
        except (TimeoutError, asyncio.TimeoutError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            self._reading.cancel()

    # -- inside -----------------------------------------------------------------------------------------

    async def _say(self, what: dict[str, Any]) -> None:
        process = await self._get()
        if process.stdin is None:
            raise OSError("it cannot be reached")
        process.stdin.write(json.dumps(what).encode() + b"\n")
        await process.stdin.drain()

    async def _get(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self._process
            more: dict[str, Any] = {"start_new_session": True}
            if sys.platform == "win32":
                more = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "multirig.collect",
                str(self._root),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                limit=MAX_LINE,
                env={**os.environ, "PYTHONIOENCODING": "utf-8"},
                **more,
            )
            self._reading = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        async for line in process.stdout:
            try:
                told = json.loads(line)
                answered = self._waiting.get(told["number"])
                if answered is not None and not answered.done():
                    answered.set_result(hear_holdings(None, told["holdings"]))
            except (ValueError, KeyError, TypeError):
                log.warning("the program that copies said what cannot be read: %.200r", line)
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(OSError("it has ended"))


def _texts(sessions: Sequence[ExpRef]) -> list[str]:
    return [str(one) for one in sessions]
