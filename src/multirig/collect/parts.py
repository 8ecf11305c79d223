"""What of a session lies on this PC: each file of its folder, and what the rigs' lists say of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from multirig.collect.receipts import is_receipt, part_id
from multirig.collect.states import Here
from multirig.errors import LocalProtocolError, why_not
from multirig.folders import OURS, is_description
from multirig.protocol.exp_ref import ExpRef
from multirig.record.journal import FILE_NAME as JOURNAL_NAME
from multirig.record.manifest import find_manifests, read_manifest
from multirig.record.spelling import find_file, spell
from multirig.transfer.folder import NAME as TRANSFER_NAME
from multirig.transfer.folder import is_taken

DESCRIPTIONS = "_multirig_descriptions"
"""Folder at a destination for what several PCs describe under one name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file of a part of a session."""

    name: str
    """Relative to the session folder, with forward slashes, as a list would have it."""
    here: Here | None
    """None: a list has it, and it is not there."""
    blake2b: str | None = None
    """Its checksum, by the rig's list."""
    is_listed: bool = False
    """Whether it stands in the list of a rig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one PC has of a session."""

    root: Path
    """The folder ``…/<lab>/Subjects``."""
    exp_ref: ExpRef
    items: tuple[Item, ...] = ()
    """By name."""
    problems: tuple[str, ...] = ()
    """What could not be looked at: nothing of it is collected before that is put right."""
    is_iblrigs: bool = False
    """Whether iblrig's ``transfer_data`` has taken it: it is its own then."""
    written_at: float = 0.0
    """When anything in it was last changed; seconds since 1970."""
    rigs: tuple[str, ...] = ()
    """Whose lists there are."""
    is_leaders: bool = False
    """Whether the PC that led has it: the journal lies here."""

    @property
    def folder(self) -> Path:
        """The session folder."""
        return self.root.joinpath(*self.exp_ref.folder_parts())

    @property
    def prefix(self) -> str:
        """Where it goes at a destination: ``<lab>/Subjects/<subject>/<date>/<NNN>``."""
        return PurePosixPath(self.root.parent.name, self.root.name, *self.exp_ref.folder_parts()).as_posix()

    def target(self, name: str) -> str:
        """Return where a file goes, below the session folder there.

        Each PC describes its own devices, several of them under one name: the description of who led is the
        session's, the others lie in a folder of their own.
        """
        if is_description(name) and not self.is_leaders:
            return f"{DESCRIPTIONS}/{part_id(self.root)}/{name}"
        return name

    @property
    def bytes(self) -> int:
        """Of all files that are here."""
        return sum(one.here.bytes for one in self.items if one.here is not None)


def find_sessions(root: Path) -> Iterator[ExpRef]:
    """Yield each session below a folder ``…/Subjects``, the oldest day first.

    Raises
    ------
    OSError
        The folder cannot be listed.
    """
    found = []
    for subject in _folders(root):
        for day in _folders(subject):
            for number in _folders(day):
                try:
                    exp_ref = ExpRef.parse(f"{day.name}_{int(number.name)}_{subject.name}")
                except (ValueError, LocalProtocolError):
                    continue
                if root.joinpath(*exp_ref.folder_parts()) == number:
                    found.append(exp_ref)
    yield from sorted(found, key=lambda one: (one.date, one.subject, one.sequence))


def _folders(place: Path) -> list[Path]:
    with os.scandir(place) as found:
        return [Path(one.path) for one in found if not one.name.startswith(".") and one.is_dir()]


def look_at(root: Path, exp_ref: ExpRef) -> Part:
    """Return what lies on this PC of a session.

    Parameters
    ----------
    root : pathlib.Path
        The folder ``…/<lab>/Subjects``.
    exp_ref : ExpRef
        Of the session.
    """
    folder = root.joinpath(*exp_ref.folder_parts())
    problems: list[str] = []
    said: dict[str, tuple[int, str | None]] = {}
    rigs = []
    for path in find_manifests(folder):
        try:
            manifest = read_manifest(path)
        except ValueError as error:
            problems.append(f"{path.name} cannot be read: {error}")
            continue
        rigs.append(manifest.rig)
        said |= {one.path: (one.bytes, one.blake2b) for one in manifest.files}
    items: dict[str, Item] = {}
    newest = 0
    for path, found in _walk(folder, problems):
        name = spell(path.relative_to(folder).as_posix())
        size, digest = said.get(name, (None, None))
        here = Here(bytes=found.st_size, changed_at=found.st_mtime_ns, said=size)
        items[name] = Item(name=name, here=here, blake2b=digest, is_listed=name in said)
        newest = max(newest, found.st_mtime_ns)
    for name, (_, digest) in said.items():
        if name not in items:
            item = _look_for(folder, name, said[name][0], digest)
            items[name] = item
    return Part(
        root=root,
        exp_ref=exp_ref,
        items=tuple(items[name] for name in sorted(items)),
        problems=tuple(problems),
        is_iblrigs=is_taken(folder),
        written_at=newest / 1e9,
        rigs=tuple(sorted(rigs)),
        is_leaders=JOURNAL_NAME in items,
    )


def _look_for(folder: Path, name: str, size: int, digest: str | None) -> Item:
    """Return a file that a list has, and that was not met: anybody may have written the list."""
    try:
        place = find_file(folder, name)
        if place.resolve().is_relative_to(folder.resolve()):
            found = place.stat()
            here = Here(bytes=found.st_size, changed_at=found.st_mtime_ns, said=size)
            if stat.S_ISREG(found.st_mode):
                return Item(name=name, here=here, blake2b=digest, is_listed=True)
    except (OSError, ValueError, RuntimeError):
        pass
    return Item(name=name, here=None, blake2b=digest, is_listed=True)


def _walk(folder: Path, problems: list[str]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield each file of a session folder that is to be copied; what links to another disk, too."""
    seen = {os.path.realpath(folder)}

    def refuse(error: OSError) -> None:
        problems.append(f"{error.filename or folder} cannot be listed: {why_not(error)}")

    for where, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        kept = []
        for name in sorted(folders):
            place = os.path.realpath(os.path.join(where, name))
            if place not in seen:  # a link to a folder above would have no end
                seen.add(place)
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            if not _is_wanted(name):
                continue
            path = Path(where, name)
            try:
                found = path.stat()
            except FileNotFoundError:
                if path.is_symlink():
                    problems.append(f"{path} is a link to nothing: connect the disk, or remove the link")
                continue
            except OSError as error:
                problems.append(f"{path} cannot be read: {why_not(error)}")
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, found


def _is_wanted(name: str) -> bool:
    """Whether a file of that name is copied: no lock, flag or list that says how far a copy has come."""
    return not (
        name.endswith(".flag")
        or name == TRANSFER_NAME
        or name.startswith((f".{OURS}", ".multirig"))
        or is_receipt(name)
    )
