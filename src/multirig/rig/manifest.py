"""How a rig makes its list of what it recorded: `multirig.record.manifest`.

The list is there as soon as the recording is closed; the checksums of big files come later, made in a thread
that waits while anything is recorded on this rig.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from multirig.errors import why_not
from multirig.lifecycle.defects import DISK
from multirig.protocol.words import File, Finding, Level, Recorded
from multirig.record.manifest import CHUNK, DIGEST_SIZE, Manifest, Moment, manifest_name, write_manifest
from multirig.record.spelling import find_file, spell
from multirig.rig.adapter import Session
from multirig.version import __version__
from multirig.writing import is_full

SOON = 1.0
"""Seconds that the answer to a stop waits for checksums."""
LATER = 10.0
"""Seconds that the answer to a clean-up waits for the others."""
CLOSING = 0.5
"""Seconds that they are waited for when the rig's program ends."""

log = logging.getLogger("multirig.rig")


def _moment(session: Session) -> Moment:
    """Return the present time."""
    wall = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
    return Moment(wall=wall, clock=session.to_session_time(time.perf_counter_ns()) / 1e9)


class Checksums:
    """Writes one manifest in a thread of its own, at once, and again with the checksums when they are made.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder.
    manifest : Manifest
        Without checksums.
    quiet : threading.Event
        Set while nothing is recorded on this rig: only then the files are read.
    """

    def __init__(self, folder: Path, manifest: Manifest, quiet: threading.Event) -> None:
        self.is_written = False
        """Whether the manifest is there, with or without checksums."""
        self.problem: Exception | None = None
        """Why it is not there, or not whole."""
        self._folder = folder
        self._manifest = manifest
        self._quiet = quiet
        self._made: dict[str, str] = {}
        self._is_cancelled = False
        self._done = threading.Event()
        # a daemon: a program that ends does not wait for the checksums of an hour of video
        threading.Thread(target=self._run, name="multirig checksums", daemon=True).start()

    def cancel(self) -> None:
        """Make no more: the files are being written again, or the program ends."""
        self._is_cancelled = True
        self._done.set()

    @property
    def is_done(self) -> bool:
        """Whether no more will come."""
        return self._done.is_set()

    def wait(self, limit: float) -> dict[str, str]:
        """Return the checksums, by path, that are made within so many seconds."""
        self._done.wait(limit)
        return dict(self._made)

    def _run(self) -> None:
        try:
            write_manifest(self._folder, self._manifest)
            self.is_written = True
            # small files first: most of the list is proved at once
            for one in sorted(self._manifest.files, key=lambda one: one.bytes):
                if (digest := self._digest(one)) is not None:
                    self._made[one.path] = digest
            if self._made and not self._is_cancelled:
                files = tuple(replace(one, blake2b=self._made.get(one.path)) for one in self._manifest.files)
                write_manifest(self._folder, replace(self._manifest, files=files))
        except (OSError, ValueError) as error:  # pydantic's errors are ValueErrors
            self.problem = error
            log.error("the manifest of %s is not complete: %s", self._manifest.exp_ref, error)
        finally:
            self._done.set()

    def _digest(self, one: File) -> str | None:
        digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
        done = 0
        try:
            while not self._is_cancelled:
                self._quiet.wait()
                # not open while somebody records
                with find_file(self._folder, one.path).open("rb") as file:
                    file.seek(done)
                    while self._quiet.is_set() and not self._is_cancelled:
                        if not (chunk := file.read(CHUNK)):
                            return digest.hexdigest()
                        digest.update(chunk)
                        done += len(chunk)
        except (OSError, ValueError) as error:  # or the name is none that a disk can have
            log.error("no checksum of %s: %s", one.path, error)
        return None


class Ledger:
    """Keeps the manifests of a rig, one after the other.

    Parameters
    ----------
    rig : str
        Name of the rig.
    adapter : str
        Type of its adapter.
    """

    def __init__(self, rig: str, adapter: str) -> None:
        self._rig = rig
        self._adapter = adapter
        self._planned: float | None = None
        self._started: Moment | None = None
        self._quiet = threading.Event()
        self._quiet.set()
        self._last: Path | None = None
        """Session folder of the last recording."""
        self._checksums: dict[Path, Checksums] = {}
        """Of each session folder, until they are made."""
        self._is_closed = False

    def begin(self) -> None:
        """A session begins: checksums wait until its recording is over."""
        self._started = self._planned = None
        self._quiet.clear()

    def start(self, session: Session, planned: float | None) -> None:
        """The recording has begun, which was to begin at that time of the session's clock."""
        self._quiet.clear()
        self._started, self._planned = _moment(session), planned

    def end(self) -> None:
        """Nothing is recorded any more."""
        self._quiet.set()

    async def account(self, session: Session, files: Sequence[File]) -> Recorded:
        """Begin the manifest of a recording that is closed.

        Returns
        -------
        Recorded
            The files, each with its checksum where that was made soon enough, and the name of the manifest
            that holds them all; None if it could not be written.
        """
        self._checksums = {folder: one for folder, one in self._checksums.items() if not one.is_done}
        files = [replace(one, path=spell(one.path)) for one in files]
        if (before := self._checksums.get(session.session_folder)) is not None:
            before.cancel()  # it was stopped once more
        manifest = Manifest(
            rig=self._rig,
            exp_ref=str(session.exp_ref),
            version=__version__,
            adapter=self._adapter,
            agreed_start=self._planned,
            started=self._started,
            stopped=_moment(session),
            files=tuple(files),
        )
        self._quiet.set()
        self._last = session.session_folder
        checksums = self._checksums[self._last] = Checksums(self._last, manifest, self._quiet)
        made = await self._wait(SOON)
        return Recorded(
            files=tuple(replace(one, blake2b=made.get(one.path)) for one in files),
            is_kept=True,
            manifest=manifest_name(self._rig) if checksums.is_written else None,
            findings=tuple(self._find_problem(session, checksums)) or None,
        )

    @staticmethod
    def _find_problem(session: Session, checksums: Checksums) -> Iterator[Finding]:
        """Yield why a manifest could not be written."""
        if (problem := checksums.problem) is None:
            return
        at = session.to_session_time(time.perf_counter_ns()) / 1e9
        if is_full(problem):
            text = (
                "its disk is full: its manifest could not be written, and more may be lost; free space there"
            )
            yield Finding(level=Level.ALARM, kind=DISK, text=text, at=at, until=at)
        else:
            is_told = isinstance(problem, OSError) and problem.strerror
            why = why_not(problem) if is_told else f"{type(problem).__name__}: {problem}"
            text = f"its manifest could not be written: {why}"
            yield Finding(level=Level.NOTE, kind="file", text=text, at=at, until=at)

    async def rest(self) -> dict[str, str]:
        """Return the checksums, by path, that are made a little later."""
        return await self._wait(LATER)

    def close(self) -> None:
        """Make no more: whoever ends the program does not wait."""
        self._is_closed = True
        self._quiet.set()
        for one in self._checksums.values():
            one.cancel()

    async def _wait(self, limit: float) -> dict[str, str]:
        if self._last not in self._checksums:
            return {}
        return await asyncio.to_thread(
            self._checksums[self._last].wait, CLOSING if self._is_closed else limit
        )
