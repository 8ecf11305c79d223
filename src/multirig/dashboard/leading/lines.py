"""One JSON object a line: how a console and a session's process talk, over a connection on this PC."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

HOST = "127.0.0.1"

_Result = TypeVar("_Result")


class Lines:
    """One conversation."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sending = asyncio.Lock()

    async def read_text(self) -> bytes | None:
        """Return the next line as it is; None at the end, or where it is too long."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            return None
        return line[:-1]

    async def read(self) -> dict[str, Any] | None:
        """Return the next object; one without keys where the line holds none, None at the end."""
        if (line := await self.read_text()) is None:
            return None
        try:
            value = json.loads(line)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def write_text(self, line: str) -> None:
        """Send a line as it is, without waiting for the other side."""
        self._writer.write(line.encode() + b"\n")

    def write(self, value: Mapping[str, Any]) -> None:
        """Send an object, without waiting for the other side."""
        self.write_text(json.dumps(value))

    async def send(self, value: Mapping[str, Any], limit: float) -> None:
        """Send an object, and wait until it has left; asyncio.TimeoutError where nobody takes it."""
        async with self._sending:
            self.write(value)
            await within(limit, self._writer.drain())

    def drop(self) -> None:
        """Hang up, without waiting for what the other side has not taken."""
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def within(limit: float, doing: Coroutine[Any, Any, _Result]) -> _Result:
    """Wait as `asyncio.wait_for` does, which before Python 3.12 may miss that it is cancelled itself."""
    task = asyncio.ensure_future(doing)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit)
        if not done:
            raise asyncio.TimeoutError
        return task.result()
    finally:
        task.cancel()
