"""What the conductor has marked, on the rig's PC beside the data: a table, a line a marker."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from multirig.errors import why_not
from multirig.rig.adapter import Adapter, Marker, Session
from multirig.wording import to_cell
from multirig.writing import file_name

HEADER = ("session_time_s", "text", "data")
"""Seconds on the session clock, the words, and what goes with them as JSON."""

log = logging.getLogger("multirig.rig")


def markers_name(rig: str) -> str:
    """Return the name of a rig's markers: no two rigs share one, and every system can file it."""
    return f"_multirig_markers.{file_name(rig)}.csv"


def append_marker(path: Path, marker: Marker) -> None:
    """Write a marker at the end of the table; what was written before stays whatever comes.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    lines = io.StringIO(newline="")
    rows = csv.writer(lines, lineterminator="\n")
    with path.open("ab") as file:  # closed after each line: nothing is lost, and Windows may move it
        if file.tell() == 0:
            rows.writerow(HEADER)
        rows.writerow((f"{marker.at:.9f}", to_cell(marker.text), json.dumps(marker.data)))
        file.write(lines.getvalue().encode(errors="replace"))


class MarkerTable:
    """Writes a session's markers and hands them to the adapter; whatever that does, the recording goes on.

    Parameters
    ----------
    rig : str
        Name of the rig.
    adapter : Adapter
        Which may write them into its data too.
    write : callable
        Writes a marker into the session.
    """

    def __init__(
        self, rig: str, adapter: Adapter, write: Callable[[Session, Marker], Awaitable[None]]
    ) -> None:
        self._rig = rig
        self._adapter = adapter
        self._write = write
        self._turn = asyncio.Lock()
        """Held while a marker is written: one after the other, as they came."""
        self._has_complained = False
        """Whether this session's log says already that markers are missing on the disk."""
        self._has_adapter_complained = False

    def begin(self) -> None:
        """Begin another session."""
        self._has_complained = self._has_adapter_complained = False

    def hand_over(self, marker: Marker) -> None:
        """Let the adapter have a marker."""
        try:
            self._adapter.mark(marker)
        except Exception:
            if not self._has_adapter_complained:
                log.exception("the adapter could not take the marker %r; the recording goes on", marker.text)
            self._has_adapter_complained = True

    async def write(self, session: Session, marker: Marker) -> None:
        """Write a marker into the session's table."""
        async with self._turn:
            try:
                await self._write(session, marker)
            except OSError as error:
                if not self._has_complained:
                    path = session.session_folder / markers_name(self._rig)
                    reason = why_not(error)
                    log.error("%s misses markers: %s; the conductor's journal has them", path, reason)
                self._has_complained = True

    async def settled(self) -> None:
        """Wait until all that came before is written."""
        async with self._turn:
            pass
