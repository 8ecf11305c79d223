"""What lies beside a session's data for IBL's copiers: one description, and a flag when all is over.

Several may record into one folder: a task and the cameras of its PC, say. iblrig copies a folder as one
device, so that there is one description of all of them, and the flag waits for the last.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import yaml
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from multirig import formats
from multirig.config import YamlLoader, parse_yaml
from multirig.errors import ConfigError, MultirigError
from multirig.folders import (
    DESCRIPTION_NAME,
    WHOLE_NAME,
    described_device,
    description_name,
    list_device_descriptions,
)
from multirig.transfer.describing import BEHAVIOR, EPHYS, Description, choose_device, merge, subtract
from multirig.writing import patiently, write_whole

NAME = "_multirig_transfer.json"
"""In a session folder: who records there, for those that come after."""
FLAG = "transfer_me.flag"
"""In a session folder: IBL's copiers take what carries it, and take it away."""
LOCK = ".multirig_transfer.lock"
FORMAT = 1
"""Of the file."""
LOCK_LIMIT = 5.0
"""Seconds: a file is written in far less; a lock that cannot be had holds up nobody."""
SAME_START = 2.0
"""Seconds by which the start of one process may seem to differ."""
FOREIGN = "iblrig"
"""Who has recorded what a description of others says."""

log = logging.getLogger("multirig.transfer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one recorder says of its part of a session."""

    device: str
    """As which it is copied, where it is alone: behavior, video, ephys, …"""
    description: Description
    """The experiment description of what it records."""
    server: str | None = None
    """Folder of the subjects on the server; None: not known here."""
    is_open: bool = True
    """Whether it may still write."""
    has_data: bool = False
    """Whether anything was recorded, once it is over."""
    pid: int | None = None
    """The program that records, where it ends with its part."""
    since: float | None = None
    """When that was started, seconds since 1970."""

    @property
    def is_over(self) -> bool:
        """Whether it writes no more; a program that is gone does not."""
        return not self.is_open or (self.pid is not None and not _lives(self.pid, self.since))


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A session folder, as IBL's copiers are to see it."""

    exp_ref: str
    format: int = FORMAT
    parts: dict[str, Part] = field(default_factory=dict)
    """By recorder."""
    stubs: tuple[str, ...] = ()
    """Devices that the server knows of by us."""
    told: str = ""
    """Mark of what we wrote there last."""
    is_held: bool = False
    """Whether it is not to be copied: the copy of another PC would be lost by it."""

    @property
    def device(self) -> str:
        """As which the folder is copied."""
        return choose_device(one.device for one in self.parts.values())

    @property
    def description(self) -> Description:
        """Of all that is recorded in the folder."""
        first = sorted(self.parts.items(), key=lambda one: (one[1].device != self.device, one[0]))
        return merge(part.description for _, part in first)

    @property
    def server(self) -> Path | None:
        """Folder of the subjects on the server; None: nobody knows."""
        return next((Path(one.server) for one in self.parts.values() if one.server), None)

    @property
    def is_over(self) -> bool:
        """Whether nobody writes into the folder any more."""
        return all(one.is_over for one in self.parts.values())

    @property
    def is_shared(self) -> bool:
        """Whether others than multirig have described what they record here; they enter it themselves."""
        return FOREIGN in self.parts

    @property
    def conflict(self) -> str | None:
        """Why IBL's copiers cannot take the folder as a whole; None: they can."""
        devices = {one.device for one in self.parts.values()}
        if EPHYS not in devices or len(devices) == 1:
            return None
        others = ", ".join(sorted(devices - {EPHYS}))
        return (
            f"ephys and {others} share one session folder, which iblrig copies as {self.device}, and leaves "
            "SpikeGLX's files where they are: give the ephys rig a data_folder of its own"
        )


def open_part(folder: Path, exp_ref: str, who: str, part: Part) -> Handover:
    """Say that somebody records in a session folder; the flag of an earlier recording is taken away.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder.
    exp_ref : str
        Of the session.
    who : str
        Who records: a rig's name, or a task's collection.
    part : Part
        What is recorded.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    with _changing(folder, exp_ref) as change:
        return change.put({**change.now.parts, who: part})


def close_part(folder: Path, exp_ref: str, who: str, part: Part) -> Handover | None:
    """Say that a recorder is done; the last one leaves the flag, if anything was recorded.

    Returns
    -------
    Handover or None
        None: nothing was recorded by anybody, and nothing remains of what was said.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    with _changing(folder, exp_ref) as change:
        parts = {name: one for name, one in change.now.parts.items() if name != who}
        if part.has_data:
            parts[who] = replace(part, is_open=False)
        return change.put(parts) if parts else change.withdraw()


def note_stub(folder: Path, device: str, told: str) -> None:
    """Keep in mind as which device the server knows of a folder, and by what."""
    with _changing(folder) as change:
        now = replace(change.now, stubs=(device,), told=told)
        if now != change.now and now.parts:
            change.write(now)


def hold(folder: Path, *, is_held: bool) -> None:
    """Let a folder not be copied, or let it be copied after all."""
    with _changing(folder) as change:
        now = change.now
        if now.parts and now.is_held != is_held:
            change.write(replace(now, is_held=is_held))
            if is_held:
                (folder / FLAG).unlink(missing_ok=True)
            elif now.is_over:
                (folder / FLAG).touch()


def settle(folder: Path) -> Handover | None:
    """Return what is known of a folder, and leave the flag where whoever recorded has gone without a word."""
    with _changing(folder) as change:
        parts = change.now.parts
        if any(one.is_open and one.is_over for one in parts.values()):
            return change.put(parts)
        return change.now if parts else None


class _Change:
    """A folder while nobody else changes it."""

    def __init__(self, folder: Path, exp_ref: str) -> None:
        self._folder = folder
        self.now = _read(folder, exp_ref)
        self._seen: dict[Path, bytes] = {}
        """The descriptions whose content is taken over."""

    def put(self, parts: Mapping[str, Part]) -> Handover:
        """Write who records; what others have described beside us is kept."""
        was_ready = bool(self.now.parts) and not any(one.is_open for one in self.now.parts.values())
        gone = {
            name: replace(one, is_open=False, has_data=True)
            for name, one in parts.items()
            if one.is_open and one.is_over
        }
        new = replace(self.now, parts={**parts, **gone, **self._find_foreign()})
        self.write(new)
        self._write_description(new)
        flag = self._folder / FLAG
        if not new.is_over:
            flag.unlink(missing_ok=True)
        elif not was_ready and not new.is_held:  # a copier that was quick has taken it away already
            flag.touch()
        return new

    def write(self, new: Handover) -> None:
        """Write who records."""
        write_whole(self._folder / NAME, _adapter().dump_json(new, indent=1) + b"\n")
        self.now = new

    def withdraw(self) -> Handover | None:
        """Take away all that was written: nothing was recorded."""
        if foreign := self._find_foreign():
            return self.put(foreign)
        self._remove_descriptions()
        for path in (self._folder / NAME, self._folder / FLAG):
            path.unlink(missing_ok=True)
        return None

    def _write_description(self, new: Handover) -> None:
        path = self._folder / description_name(new.device)
        # whatever encoding iblrig reads with, on whichever system
        content = yaml.safe_dump(new.description, sort_keys=True, allow_unicode=False).encode()
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)
        self._remove_descriptions(but=path)  # a copier takes the first that it finds
        whole = self._folder / DESCRIPTION_NAME
        if whole.exists():
            patiently(lambda: os.replace(whole, self._folder / WHOLE_NAME))

    def _remove_descriptions(self, but: Path | None = None) -> None:
        """Remove what was taken over; what a program has written just now waits for the next change."""
        for path, content in self._seen.items():
            if path != but and path.exists() and path.read_bytes() == content:
                patiently(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]

    def _find_foreign(self) -> dict[str, Part]:
        """Return what others have described here, such as a task of iblrig's own."""
        told = self.now.description if self.now.parts else {}
        found: dict[str, Part] = {}
        for path in [*list_device_descriptions(self._folder), self._folder / DESCRIPTION_NAME]:
            if not path.exists():
                continue
            try:
                content = path.read_bytes()
                there = _parse(content, path)
            except (OSError, ConfigError) as error:
                log.warning("%s", error)
                continue
            device = described_device(path.name)
            if device is not None:
                self._seen[path] = content
            elif not there.get("tasks"):  # all rigs of a session without a task
                continue
            more = subtract(there, told, is_there=self._has)
            known = found.get(FOREIGN) or self.now.parts.get(FOREIGN)
            if more.get("tasks") or more.get("devices"):
                found[FOREIGN] = Part(
                    # iblrig's own task adds itself to whatever description it finds
                    device=BEHAVIOR if device is None or more.get("tasks") else device,
                    description=merge((known.description, more)) if known else more,
                    server=known.server if known else None,
                    is_open=False,
                    has_data=True,
                )
        return found

    def _has(self, collection: str) -> bool:
        return bool(collection) and (self._folder / collection).is_dir()


@contextlib.contextmanager
def _changing(folder: Path, exp_ref: str = "") -> Iterator[_Change]:
    lock = FileLock(folder / LOCK, timeout=LOCK_LIMIT)
    try:
        lock.acquire()
    except (Timeout, OSError, NotImplementedError) as error:  # some network drives know no locks
        log.warning("%s: its lock cannot be had (%s); it is changed without", folder, error)
    try:
        yield _Change(folder, exp_ref)
    finally:
        lock.release()


def _read(folder: Path, exp_ref: str) -> Handover:
    path = folder / NAME
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it holds no keys")
        number = formats.check_format(found.get(formats.KEY), FORMAT, path)
        return _adapter().validate_python({**found, formats.KEY: number})
    except FileNotFoundError:
        return Handover(exp_ref=exp_ref)
    except (ValueError, ValidationError, MultirigError, RecursionError) as error:
        log.warning("%s is not used: %s", path, " ".join(str(error).split()))
        return Handover(exp_ref=exp_ref)


def _parse(content: bytes, path: Path) -> Description:
    found = parse_yaml(content.decode("utf-8", "replace"), path, YamlLoader)
    if not isinstance(found, dict):
        return {}
    for key in ("devices", "sync"):
        if not _is_nested(found.get(key) or {}):
            raise ConfigError(
                f"{path}: is no experiment description: {key} holds no names with keys below them"
            )
    return found


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        each is None or isinstance(each, Mapping) for each in value.values()
    )


def this_program() -> tuple[int, float | None]:
    """Return the number of this process, and when it was started."""
    try:
        return os.getpid(), psutil.Process().create_time()
    except psutil.Error:
        return os.getpid(), None


def _lives(pid: int, since: float | None) -> bool:
    try:
        process = psutil.Process(pid)
        born = process.create_time()
        return process.status() != psutil.STATUS_ZOMBIE and (since is None or abs(born - since) < SAME_START)
    except psutil.Error:
        return psutil.pid_exists(pid) and since is None


@cache
def _adapter() -> TypeAdapter[Handover]:
    return TypeAdapter(Handover)


def is_taken(folder: Path) -> bool:
    """Whether iblrig's ``transfer_data`` has copied a session folder: all was over, and its flag is gone."""
    path = folder / NAME
    if not path.is_file() or (folder / FLAG).exists():
        return False
    try:
        found = _adapter().validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return False
    return bool(found.parts) and found.is_over and not found.is_held
