"""The list of what a rig recorded in a session, beside its data: sizes, counts, times and checksums.

A rig writes it (`multirig.rig.manifest`); whoever comes later reads it, and compares the files with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from multirig import formats
from multirig.errors import why_not
from multirig.folders import OURS
from multirig.protocol.words import File
from multirig.record.spelling import find_file, spell
from multirig.writing import file_name, write_whole

PREFIX, SUFFIX = "_multirig_manifest.", ".json"
FORMAT = 2
"""Of the file; format 1, of multirig 0.1, says no number."""
DIGEST_SIZE = 32
"""Bytes of a BLAKE2b checksum: ``b2sum --length 256`` makes the same."""
CHUNK = 1 << 20
"""Bytes that are read at once: a recording that begins waits no longer than for these."""


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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it in one piece; whoever looks finds the old or the new.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    write_whole(folder / manifest_name(manifest.rig), _adapter().dump_json(manifest, indent=1) + b"\n")


# -- what is there ------------------------------------------------------------------------------------------


class Condition(str, Enum):
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
