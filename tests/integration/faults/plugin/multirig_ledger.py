"""An adapter that proves what it did: every hook in a ledger of the rig's, numbered rows while it records."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar

from multirig.errors import AdapterError
from multirig.rig.adapter import Adapter, Health

ROW = 64
"""Bytes of a row, its end included."""


@dataclass(kw_only=True)
class Ledger(Adapter):
    """Writes rows as long as it records; what it was asked to do stands in the ledger."""

    resumes: ClassVar[bool] = True
    ledger: Path
    """One line for each hook: its name and the reference; it outlives the program."""
    every: float = 0.01
    """Seconds between two writes."""
    rows: int = 1
    """Rows in each write."""
    delay: dict[str, float] = field(default_factory=dict)
    """Seconds that a hook takes after it is in the ledger."""

    def __post_init__(self) -> None:
        self._file: BinaryIO | None = None
        self._writing: asyncio.Task[None] | None = None
        self._count = 0
        self._began = 0.0

    async def initialise(self) -> None:
        """Be slow, if so told."""
        await self._note("initialise")

    async def start(self) -> None:
        """Begin to write rows."""
        await self._note("start")
        self._record()

    async def resume(self) -> None:
        """Go on in a further file."""
        await self._note("resume")
        self._record()

    def _record(self) -> None:
        """Write rows from now on, never into a file that is there already."""
        number = len(list(self.session.folder.glob("rows-*.txt")))
        self._file = (self.session.folder / f"rows-{number}.txt").open("xb", buffering=0)
        self._count, self._began = 0, time.perf_counter()
        self._writing = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Close the file; what is in it stays."""
        await self._note("stop")
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
            self._writing = None
        if self._file is not None:
            self._file.close()
            self._file = None

    async def cleanup(self) -> None:
        """Be slow, if so told."""
        await self._note("cleanup")

    async def watch(self) -> None:
        """Fail when a row cannot be written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled() and (error := self._writing.exception()) is not None:
                reason = error.strerror if isinstance(error, OSError) else error
                raise AdapterError(f"cannot write the rows: {reason}; free some space on that PC")

    def health(self) -> Health:
        """Return how many rows were written."""
        elapsed = time.perf_counter() - self._began
        return Health(frames=self._count, bytes=self._count * ROW, rate=self._count / max(elapsed, 1e-3))

    async def _write(self) -> None:
        while self._file is not None:
            rows = b"".join(b"%0*d\n" % (ROW - 1, self._count + number) for number in range(self.rows))
            self._file.write(rows)
            self._count += self.rows
            await asyncio.sleep(self.every)

    async def _note(self, hook: str) -> None:
        with self.ledger.open("a", encoding="utf-8") as file:
            file.write(f"{hook} {self.session.exp_ref}\n")
        await asyncio.sleep(self.delay.get(hook, 0.0))
