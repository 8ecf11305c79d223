"""A rig's own list of what it recorded, beside the data: sizes, counts, times and checksums.

The list is there as soon as the recording is closed; the checksums of big files come later, made in a thread
that waits while anything is recorded on this rig.
"""

from __future__ import annotations

import asyncio
import datetime
import enum
import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from multirig import formats
from multirig.errors import why_not
from multirig.lifecycle.defects import DISK
from multirig.protocol.words import File, Finding, Level, Recorded
from multirig.rig.adapter import OURS, Session
from multirig.rig.spelling import find_file, spell
from multirig.version import __version__
from multirig.writing import file_name, is_full, write_whole

PREFIX, SUFFIX = "_multirig_manifest.", ".json"
FORMAT = 2
"""Of the file; format 1, of multirig 0.1, says no number."""
DIGEST_SIZE = 32
"""Bytes of a BLAKE2b checksum: ``b2sum --length 256`` makes the same."""
CHUNK = 1 << 20
"""Bytes that are read at once: a recording that begins waits no longer than for these."""

SOON = 1.0
"""Seconds that the answer to a stop waits for checksums."""
LATER = 10.0
"""Seconds that the answer to a clean-up waits for the others."""
CLOSING = 0.5
"""Seconds that they are waited for when the rig's program ends."""

log = logging.getLogger("multirig.rig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time on both clocks."""

    wall: str
    """ISO time of day on the rig's PC, with its zone."""
    clock: float
    """Seconds on the session's clock: the conductor's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a rig recorded in one session."""

    format: int = FORMAT
    """Of this file; without it 1."""
    rig: str
    """Name of the rig."""
    exp_ref: str
    """Experiment reference of the session: ``yyyy-mm-dd_n_subject``."""
    version: str
    """Of multirig on the rig."""
    adapter: str
    """Type of the rig's adapter."""
    agreed_start: float | None = None
    """At which instant this rig was to start, in seconds on the session's clock.

    None: nobody had said, or the rig's program was started again in the middle of the recording.
    """
    started: Moment | None
    """None: the rig's program was started again in the middle of the recording."""
    stopped: Moment
    """When the recording was closed."""
    files: tuple[File, ...]
    """All of them, by path."""


def manifest_name(rig: str) -> str:
    """Return the name of a rig's manifest: no two rigs share one, and every system can file it."""
    return f"{PREFIX}{file_name(rig)}{SUFFIX}"


def _moment(session: Session) -> Moment:
    """Return the present time."""
    wall = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
    return Moment(wall=wall, clock=session.to_session_time(time.perf_counter_ns()) / 1e9)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it in one piece; whoever looks finds the old or the new.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    write_whole(folder / manifest_name(manifest.rig), _adapter().dump_json(manifest, indent=1) + b"\n")


# -- checksums ----------------------------------------------------------------------------------------------


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


# -- what is there ------------------------------------------------------------------------------------------


class Condition(str, enum.Enum):
    """What has become of a file since its manifest was written."""

    WHOLE = "whole"
    UNPROVED = "unproved"
    """The size is right, and there is no checksum to compare with."""
    CHANGED = "changed"
    MISSING = "missing"
    UNLISTED = "unlisted"
    """It lies beside files of a manifest, and stands in none."""

    def __str__(self) -> str:
        return self.value

    @property
    def is_fine(self) -> bool:
        """Whether nothing is known to be wrong."""
        return self in (Condition.WHOLE, Condition.UNPROVED, Condition.UNLISTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file, looked at again."""

    rig: str
    path: str
    condition: Condition
    detail: str
    """One line: what was found."""


def find_manifests(folder: Path) -> list[Path]:
    """Return the manifests in a session folder, by name."""
    try:
        return sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))
    except OSError:
        return []


def read_manifest(path: Path) -> Manifest:
    """Return a manifest.

    Raises
    ------
    ValueError
        It cannot be read, or is of a format that is not known here; the message says why, in words.
    """
    try:
        found = _keys().validate_json(path.read_bytes())
        number = formats.check_format(found.get(formats.KEY), FORMAT, path, found.get("version"))
        return _adapter().validate_python({**found, formats.KEY: number})
    except OSError as error:
        raise ValueError(why_not(error)) from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"it is damaged{f' at {where}' if where else ''}") from None


def check(folder: Path) -> Iterator[Checked]:
    """Look at each file of each manifest in a session folder, and yield what is found.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder.
    """
    listed: set[Path] = set()
    for path in find_manifests(folder):
        try:
            manifest = read_manifest(path)
        except ValueError as error:
            rig = path.name.removeprefix(PREFIX).removesuffix(SUFFIX)
            detail = f"the manifest cannot be read: {error}"
            yield Checked(rig=rig, path=path.name, condition=Condition.CHANGED, detail=detail)
            continue
        for one in manifest.files:
            place = _find(folder, one.path)
            if isinstance(place, Path):
                condition, detail = _check(place, one)
                listed.add(place)
            else:
                condition, detail = Condition.MISSING, place
            yield Checked(rig=manifest.rig, path=one.path, condition=condition, detail=detail)
    yield from _find_unlisted(folder, listed)


def _find_unlisted(folder: Path, listed: Set[Path]) -> Iterator[Checked]:
    """Yield what lies beside files that stand in a manifest, and stands in none itself."""
    for place in sorted({one.parent for one in listed}):
        try:
            beside = sorted(one for one in place.iterdir() if one.is_file() and one not in listed)
        except OSError:
            continue
        for path in beside:
            if not path.name.startswith((OURS, f".{OURS}")) and place != folder:
                name = spell(path.relative_to(folder).as_posix())
                detail = "stands in no manifest: it came later, or is no rig's"
                yield Checked(rig="", path=name, condition=Condition.UNLISTED, detail=detail)


def _find(folder: Path, path: str) -> Path | str:
    """Return where a file of a manifest belongs; or why it can be nowhere: anybody may have written it."""
    try:
        found = find_file(folder, path)
        if not found.resolve().is_relative_to(folder.resolve()):
            return "lies outside of the session folder"
        found.is_file()
    except (OSError, ValueError, RuntimeError):  # a NUL in it, too long, links in a circle
        return "is a path that no file can have"
    return found


def _check(path: Path, one: File) -> tuple[Condition, str]:
    if not path.is_file():
        return Condition.MISSING, "is not there"
    try:
        size = path.stat().st_size
        if size != one.bytes:
            return Condition.CHANGED, f"has {size} bytes, and had {one.bytes}"
        if one.blake2b is None:
            return Condition.UNPROVED, "has the right size; no checksum was made of it"
        return _compare(path, one.blake2b)
    except OSError as error:
        return Condition.CHANGED, f"cannot be read: {why_not(error)}"


def _compare(path: Path, blake2b: str) -> tuple[Condition, str]:
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blake2b:
        return Condition.CHANGED, "has another checksum than when it was recorded"
    return Condition.WHOLE, "has the size and the checksum that it had"


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


@cache
def _keys() -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(dict[str, Any])


def manifest_schema() -> dict[str, Any]:
    """Return the JSON schema of a manifest."""
    return _adapter().json_schema()
