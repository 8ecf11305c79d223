"""What a rig still knows after its program has died: which session it was in, and which numbers are used."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from multirig.errors import AdapterError, MultirigError, why_not
from multirig.formats import KEY, check_format
from multirig.lifecycle.rig_events import Memory
from multirig.protocol.words import Gap
from multirig.writing import file_name, write_whole

FORMAT = 2
"""Of the file; that of 0.1 has no number."""

log = logging.getLogger("multirig.rig")


def memory_file(data_folder: Path, name: str) -> Path:
    """Return where a rig keeps its memory; rigs that share a data folder have one each."""
    return data_folder / f".multirig_{file_name(name)}.json"


def read_memory(path: Path) -> Memory | None:
    """Return what a rig knew; None if there is nothing, or nothing that can be read."""
    try:
        data = path.read_bytes()
        memory = _adapter().validate_json(data)
        check_format(json.loads(data).get(KEY), FORMAT, path)
        return memory
    except FileNotFoundError:
        return None
    except (OSError, ValueError, MultirigError) as error:
        log.error("what this rig was doing before cannot be read from %s: %s", path, error)
        return None


def write_memory(path: Path, memory: Memory) -> None:
    """Put it on the disk; whoever looks finds the old or the new, even after a power cut.

    Raises
    ------
    AdapterError
        The disk does not take it.
    """
    try:
        told = {KEY: FORMAT, **_adapter().dump_python(memory, mode="json")}
        write_whole(path, json.dumps(told, indent=1).encode())
    except OSError as error:
        raise AdapterError(f"cannot write {path}: {why_not(error)}; check data_folder and the disk") from None


class MemoryKeeper:
    """Keeps the newest memory of a rig, one after the other, and each once.

    Parameters
    ----------
    write : callable
        Puts a memory where it survives the death of the program; AdapterError if that cannot be.
    """

    def __init__(self, write: Callable[[Memory], Awaitable[None]]) -> None:
        self.newest: Memory | None = None
        """What must survive."""
        self._write = write
        self._written: Memory | None = None
        self._turn = asyncio.Lock()

    def note_written(self, memory: Memory) -> None:
        """Note what is there already."""
        self._written = memory

    async def keep_newest(self) -> None:
        """Keep what must survive, if that can be."""
        await self.keep()

    async def keep(self) -> str | None:
        """Keep what must survive; return why that was not possible."""
        async with self._turn:
            memory = self.newest
            if memory is None or memory == self._written:
                return None
            try:
                await self._write(memory)
            except AdapterError as error:
                return str(error)
            self._written = memory
        return None


def mark_alive(path: Path) -> None:
    """Note that the rig still records: the file's time says until when, if the program dies."""
    try:
        os.utime(path)
    except OSError as error:
        log.debug("%s cannot be marked: %s", path, error)


def find_gap(path: Path, folder: Path, now: datetime.datetime) -> Gap:
    """Return since when nothing was recorded: the last time of which anything tells.

    Parameters
    ----------
    path : Path
        The rig's memory.
    folder : Path
        Where the recording lies.
    now : datetime.datetime
        Time of day, with its zone.
    """
    times = [one.stat().st_mtime for one in (path, *folder.rglob("*")) if one.is_file()]
    last = datetime.datetime.fromtimestamp(max(times, default=now.timestamp())).astimezone()
    last = min(last, now)  # a clock that was set back
    return Gap(
        since=last.isoformat(timespec="milliseconds"),
        until=now.isoformat(timespec="milliseconds"),
        seconds=round((now - last).total_seconds(), 3),
    )


def end_gap(gap: Gap, now: datetime.datetime) -> Gap:
    """Return a gap that ends now."""
    seconds = (now - datetime.datetime.fromisoformat(str(gap.since))).total_seconds()
    return replace(gap, until=now.isoformat(timespec="milliseconds"), seconds=round(seconds, 3))


@cache
def _adapter() -> TypeAdapter[Memory]:
    return TypeAdapter(Memory)
