"""An adapter drives one acquisition program or device.

Write one by subclassing `Adapter` as a dataclass: its fields are its keys in the rig config, checked by type.
Four small hooks, each safe to call twice; everything else has a default::

    @dataclass(kw_only=True)
    class Photometry(Adapter):
        port: str
        collection: str = "raw_photometry_data"

        async def start(self) -> None:
            self.device = await open_device(self.port, self.session.folder / "signal.csv")

        async def stop(self) -> None:
            await self.device.close()

and name it in the entry point group ``multirig.adapters``.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import ConfigDict

from multirig.errors import AdapterError
from multirig.folders import OURS
from multirig.lifecycle.owners import EVERYTHING, is_owned
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Evidence as Evidence
from multirig.protocol.words import Expected as Expected
from multirig.protocol.words import File as File
from multirig.protocol.words import Finding as Finding
from multirig.protocol.words import Health as Health
from multirig.protocol.words import Level as Level
from multirig.protocol.words import Marker as Marker
from multirig.protocol.words import Picture as Picture
from multirig.record.spelling import spell
from multirig.rig.keepsake import Keepsake
from multirig.rig.keepsake import Left as Left
from multirig.sync.pulses import PULSES_NAME

MAX_PICTURE = 12_000
"""Bytes of one live picture: three at least fit into one datagram, as text and beside the report."""
MAX_PICTURE_LABEL = 64
"""Characters of the label of a live picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What an adapter is told of the session that it records."""

    exp_ref: ExpRef
    """Date, sequence and subject."""
    session_folder: Path
    """``<data_folder>/<lab>/Subjects/<subject>/<date>/<NNN>`` on this PC."""
    folder: Path
    """``session_folder / collection``; it exists; write everything there."""
    to_session_time: Callable[[int], int]
    """From this PC's ``time.perf_counter_ns()`` to the conductor's, both in nanoseconds, as known now."""
    rig: str = "rig"
    """Name of the rig, for what is written beside its data."""


@runtime_checkable
class TakesBack(Protocol):
    """An adapter whose program records on by itself when the rig's own program has died."""

    keepsake: Keepsake | None
    """Where it keeps what it must find again then; None: nowhere. Set by the rig."""

    async def take_back(self) -> bool:
        """Go on with the recording of the session, if it has gone on; called in place of all other hooks."""

    def find_left(self) -> Left:
        """Return what earlier lives of this rig, and of others on this PC, have left; called in a thread."""

    async def end_orphan(self) -> None:
        """End what an earlier life of this rig has left; AdapterError if that cannot be."""


@dataclass(kw_only=True)
class Adapter(ABC):
    """Drives one acquisition program or device; see the module's text for how to write one."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    resumes: ClassVar[bool] = False
    """Whether `resume` can go on with a recording that the death of the rig's program has cut off."""
    collection: str = "raw_data"
    """Folder inside the session folder for what this adapter writes."""
    session: Session = field(init=False, repr=False, compare=False)
    """Set by the rig before `initialise`."""

    async def initialise(self) -> None:  # noqa: B027  many devices have nothing to open
        """Open the program or device and check that it could record now; raise AdapterError if not."""

    def check(self) -> None:  # noqa: B027  many devices tell nothing before they are opened
        """Raise AdapterError if it could not record now; called in a thread of its own, between sessions.

        Look only at what disturbs nobody and is quick (two seconds are allowed): is the program installed, is
        the device plugged in? Open and start nothing.
        """

    async def arm(self) -> None:  # noqa: B027  many devices begin at once
        """Do what takes time before a start: open files, arm a trigger; called directly before `start`.

        All rigs of a session are armed, wait for one instant, and then `start` is called on all at once.
        """

    def least_limits(self) -> Mapping[str, float]:
        """Return for how many seconds its steps must be waited for, where that may be long.

        By the names of the keys of ``limits`` in a rig's config (initialise, start, stop, cleanup): where
        less stands there, this counts, on this rig and for whoever leads.
        """
        return {}

    @abstractmethod
    async def start(self) -> None:
        """Begin to record; return when recording has really begun.

        What is done before the first ``await`` is done at the instant that the rigs have agreed upon.
        """

    async def resume(self) -> None:
        """Go on with a session that this program, before it died, had begun to record.

        Called instead of `start` where `resumes` is true. What lies in the session's folder already is data:
        write into further files, and list the old ones among them.
        """
        raise AdapterError("this adapter cannot go on after a restart of the rig's program")

    @abstractmethod
    async def stop(self) -> None:
        """End the recording and close its files; also called after a failure or in the middle of a start."""

    async def cleanup(self) -> None:  # noqa: B027  many devices have nothing to let go of
        """Let go of the program or device; the rig is then ready for another session."""

    async def watch(self) -> None:
        """Raise AdapterError as soon as the recording fails by itself; cancelled when it is stopped."""
        await asyncio.Event().wait()

    async def pulse(self, seconds: float) -> int | None:
        """Raise the sync line, hold it for so long and let it fall; called at random times while it records.

        Only where the rig's config says ``sync_pulses``. Whatever records the line can be aligned with the
        session afterwards: see `multirig.sync.align`.

        Returns
        -------
        int or None
            When the edge rose, on ``time.perf_counter_ns()``, where the driver knows it better than that it
            was after this call.
        """
        raise AdapterError("this adapter has no sync line")

    def health(self) -> Health:
        """Return the proof of recording, without waiting for anything."""
        files = list_files(self.session, self.owns())
        # pulses go on when the device does not
        return Health(bytes=sum(entry.bytes for entry in files if not entry.path.endswith(PULSES_NAME)))

    def findings(self) -> Sequence[Finding]:
        """Return what was seen since the recording began that its leader must know, without waiting.

        For what costs a part of the recording and not all of it: one camera of several that gives nothing, a
        program that says that it loses data. The verdict is drawn from all of them, and those that last are
        told while it records.
        """
        return ()

    def pictures(self) -> list[Picture]:
        """Return what each camera sees now; by default there is none.

        Called only while somebody watches, at most twice a second, in a thread of its own: no two calls at
        once, and none in the middle of a start. Be quick (some milliseconds), and cost no frame: where frames
        wait to be written, return the last pictures again. May be called at any time, between sessions too.
        Name the cameras in `picture_labels`, or nobody will ask.
        """
        return []

    def picture_labels(self) -> Sequence[str]:
        """Return of which cameras `pictures` can show something now, without waiting for anything."""
        return ()

    def mark(self, marker: Marker) -> None:  # noqa: B027  the rig itself keeps a table of all
        """Take a marker of the conductor, to write it into the data or to tell the program; return at once.

        Called while the recording starts, goes on or stops. Markers of the same moment may come in any order.
        """

    def owns(self) -> Sequence[str]:
        """Return what it writes: patterns of paths below the session folder, where ``*`` stands for anything.

        By default that is all in its collection. Rigs that would write each other's files are not let into
        one session; where several write into one collection, each names what is its own.
        """
        return [below(self.collection, EVERYTHING)]

    def files(self) -> list[File]:
        """Return what was recorded; called after `stop`, in a thread of its own."""
        return list_files(self.session, self.owns())

    def describe(self) -> Mapping[str, Any]:
        """Return what others may know of the device (model, labels); goes into EXPINFO."""
        return {}

    def experiment_description(self) -> Mapping[str, Any]:
        """Return this rig's part of the experiment description; goes into EXPINFO.

        Returns
        -------
        mapping
            ``{"devices": {kind: {label: {"collection": …, …}}}}``, and on a main sync perhaps
            ``"sync": {name: {"collection": …, "acquisition_software": …}}``. Without devices the rig's name
            is taken: ``cameras:left`` is the device ``left`` of the kind ``cameras``.
        """
        return {}


def below(collection: str, name: str) -> str:
    """Return the path of a file in a collection, or a pattern of such paths, below the session folder."""
    return (PurePosixPath(collection.replace("\\", "/")) / name).as_posix()


def list_files(session: Session, owned: Iterable[str] = (EVERYTHING,)) -> list[File]:
    """Return the data below the session's collection folder, by name, without our own logs.

    Parameters
    ----------
    session : Session
    owned : iterable of str
        Only what fits one of these patterns, as `Adapter.owns` returns them.
    """
    found = {}
    # a program may rename or remove its files and folders at any time; walk() takes no notice
    for where, _, names in os.walk(session.folder):
        for name in names:
            path = Path(where, name)
            relative = spell(path.relative_to(session.session_folder).as_posix())
            is_ours = name.startswith(OURS) and name != PULSES_NAME
            if not is_ours and is_owned(relative, owned):
                # not from the folder's entry, which Windows brings up to date only when the file is closed
                try:
                    found[path] = File(path=relative, bytes=path.stat().st_size)
                except FileNotFoundError:
                    continue
    return [found[path] for path in sorted(found)]
