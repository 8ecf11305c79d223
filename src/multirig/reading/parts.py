"""Which rigs' parts of a session are here: their lists of files, and the files themselves."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multirig.collect.receipts import find_cleared, say_cleared
from multirig.protocol.words import File
from multirig.record.account import Account
from multirig.record.manifest import PREFIX, SUFFIX, Manifest, find_manifests, read_manifest
from multirig.record.spelling import find_file
from multirig.record.summary import RigSummary
from multirig.wording import count, listed


class Condition(str, enum.Enum):
    """What is here of a rig's part of a session."""

    HERE = "here"
    """Its files, with the sizes that they had."""
    INCOMPLETE = "incomplete"
    """Some of its files, or files of other sizes."""
    MISSING = "missing"
    """None of its files."""
    UNKNOWN = "not known"
    """It recorded, and nothing here says what."""
    NOTHING = "took no part"
    """It recorded nothing."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A rig's part of a session."""

    rig: str
    condition: Condition
    why: str = ""
    """What is not here, in words that follow the rig's name and a colon."""
    files: tuple[File, ...] = ()
    """All that it recorded, by its manifest, or by its answer where that is not here."""
    places: Mapping[str, Path] = field(default_factory=dict)
    """Path of each file that is here → where it is."""
    manifest: Manifest | None = None
    """Its own list; None: it is not here, or damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """How much of a session is here; nothing more is claimed than can be seen now."""

    parts: Mapping[str, Part]
    """Of each rig."""

    def rigs(self, *conditions: Condition) -> tuple[str, ...]:
        """Return the rigs whose part is in one of these conditions."""
        return tuple(name for name, one in self.parts.items() if one.condition in conditions)

    @property
    def missing(self) -> dict[str, str]:
        """Rigs of which something is not here → what, and what to do."""
        lacking = (Condition.MISSING, Condition.INCOMPLETE)
        return {name: one.why for name, one in self.parts.items() if one.condition in lacking}

    @property
    def is_whole(self) -> bool | None:
        """Whether all that was recorded is here; None: of a rig that is no multirig nobody knows."""
        if self.missing:
            return False
        return None if self.rigs(Condition.UNKNOWN) else True

    def __str__(self) -> str:
        expected = [name for name, one in self.parts.items() if one.condition is not Condition.NOTHING]
        if not expected:
            return "no rigs"
        here = len(self.rigs(Condition.HERE))
        text = f"{here} of {count(len(expected), 'rig')} here"
        if lacking := listed(list(self.missing)):
            text += f", not all of {lacking}"
        if unknown := self.rigs(Condition.UNKNOWN):
            text += f", not known of {listed(unknown)}"
        return text


def look(folders: Sequence[Path], told: Account | None) -> Collection:
    """Return which rigs' parts of a session are in some folders.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Session folders, of the PC that led and of rigs, or one to which all was collected.
    told : Account, optional
        What the session was; without it only the rigs are known that have left a manifest.
    """
    manifests: dict[str, Manifest | str] = {}
    homes: dict[str, Path] = {}
    strange: dict[str, Manifest] = {}
    exp_ref = None if told is None else told.exp_ref
    for name, manifest, folder in _read_manifests(folders):
        if isinstance(manifest, Manifest) and exp_ref is not None and manifest.exp_ref != exp_ref:
            strange[name] = manifest  # copied into the wrong folder: its times are of another start
        else:
            manifests[name], homes[name] = manifest, folder
    rigs = {} if told is None else told.rigs
    parts = {}
    for name in dict.fromkeys([*rigs, *manifests, *strange]):
        if name in strange and name not in manifests:
            parts[name] = _refuse(name, strange[name], rigs.get(name), folders)
            continue
        # two rigs may name files alike: each has its own in the folder of its manifest
        home = homes.get(name)
        places = folders if home is None else [home, *(one for one in folders if one != home)]
        parts[name] = _look_at(name, manifests.get(name), rigs.get(name), places)
    return Collection(parts=parts)


def _read_manifests(folders: Iterable[Path]) -> Iterator[tuple[str, Manifest | str, Path]]:
    """Yield the name of each rig, its manifest, or why it cannot be read, and where that is."""
    for folder in folders:
        for path in find_manifests(folder):
            try:
                manifest = read_manifest(path)
            except ValueError as error:
                name = path.name.removeprefix(PREFIX).removesuffix(SUFFIX)
                yield name, f"its manifest cannot be read: {error}", folder
            else:
                yield manifest.rig, manifest, folder


def _look_at(
    name: str, manifest: Manifest | str | None, summary: RigSummary | None, folders: Sequence[Path]
) -> Part:
    files: tuple[File, ...] = ()
    if isinstance(manifest, Manifest):
        files = manifest.files
    elif summary is not None:
        files = tuple(summary.files)
    found = manifest if isinstance(manifest, Manifest) else None
    where = f"copy {_say_place(folders)} of its PC here" if summary is None else _say_where(summary, folders)
    if not files:
        condition, why = _judge_nothing(manifest, summary)
        return Part(rig=name, condition=condition, why=why, manifest=found)
    cleared = find_cleared(folders, (one.path for one in files))
    if cleared is not None:
        where = say_cleared(cleared)
    places = {one.path: path for one in files if (path := _find(one, folders)) is not None}
    lacking = [one.path for one in files if one.path not in places]
    changed = [one.path for one in files if one.path in places and not _has_size(places[one.path], one.bytes)]
    if not places or (found is None and len(lacking) + len(changed) == len(files)):
        why = f"{manifest}; " if isinstance(manifest, str) else ""
        what = f"none of its {len(files)} files is" if len(files) > 1 else f"{files[0].path} is not"
        why += f"{what} here: {where}"
        return Part(rig=name, condition=Condition.MISSING, why=why, files=files)
    why = ""
    if lacking:
        why = f"{_say_files(lacking)} not here: {where}"
    elif changed:
        why = f"{_say_files(changed)} here with another size than when recorded: {where} anew"
    return Part(
        rig=name,
        condition=Condition.INCOMPLETE if why else Condition.HERE,
        why=why,
        files=files,
        places=places,
        manifest=found,
    )


def _refuse(name: str, manifest: Manifest, summary: RigSummary | None, folders: Sequence[Path]) -> Part:
    """Return the part of a rig of which another session's lies here."""
    todo = "take its files out of this folder" if summary is None else _say_where(summary, folders)
    return Part(
        rig=name,
        condition=Condition.MISSING,
        why=f"its manifest here is of another session, {manifest.exp_ref}: {todo}",
        files=manifest.files if summary is None else tuple(summary.files) or manifest.files,
    )


def _judge_nothing(manifest: Manifest | str | None, summary: RigSummary | None) -> tuple[Condition, str]:
    """Return what is known of a rig of which no file is known."""
    if isinstance(manifest, str):
        return Condition.UNKNOWN, manifest
    if summary is None or not (summary.was_started or summary.files_total):
        return Condition.NOTHING, ""
    if manifest is not None or (summary.says_files and not summary.files_total):
        return Condition.NOTHING, "it recorded, and has no file to show for it"
    who = "it is no multirig" if summary.is_foreign else "it did not answer the stop"
    return Condition.UNKNOWN, f"{who}, and did not say what it recorded: look on its PC ({summary.address})"


def _find(file: File, folders: Sequence[Path]) -> Path | None:
    """Return where a file is: with its size, if there are several of its name."""
    found = []
    for folder in folders:
        whole = find_file(folder, file.path)
        try:
            if whole.is_file() and whole.resolve().is_relative_to(folder.resolve()):
                found.append(whole)
        except (OSError, ValueError):  # a name that this system cannot have
            continue
    fitting = (one for one in found if _has_size(one, file.bytes))
    return next(fitting, found[0] if found else None)


def _has_size(path: Path, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False


def _say_files(paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return f"{paths[0]} is"
    return f"{paths[0]} and {count(len(paths) - 1, 'more file')} are"


def _say_where(summary: RigSummary, folders: Sequence[Path]) -> str:
    return f"copy {_say_place(folders)} of its PC ({summary.address}) here"


def _say_place(folders: Sequence[Path]) -> str:
    subject, day, number = Path(os.path.abspath(folders[0])).parts[-3:]
    return f"Subjects/{subject}/{day}/{number}"
