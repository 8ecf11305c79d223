"""Which files of a session belong together: a camera's video and times in parts, a table's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_CAMERA = re.compile(
    r"_iblrig_(?P<label>.+)Camera\.(?P<what>raw|times|arrivals)(?:\.part(?P<part>[0-9]+))?\.(?:mp4|npy)"
)
"""As the camera adapter names them: ONE's names."""
_TABLE = re.compile(r"(?P<label>.+?)(?:\.part(?P<part>[0-9]+))?\.csv", re.IGNORECASE)
_OURS = "_multirig_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What one source gave: a camera, or a program that writes a table."""

    rig: str
    """Name of its rig; empty: no list says whose it is."""
    label: str
    """A camera's label, of a copy of its files with their folder; or the path of the table's first part."""
    is_camera: bool
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What it is (``raw``, ``times``, ``arrivals``, ``table``) → the paths of its parts in order."""

    @property
    def name(self) -> str:
        """What it is asked for by, whatever else there is."""
        return f"{self.rig}/{self.label}" if self.rig else self.label

    def has(self, what: str) -> bool:
        """Return whether it has a video (``raw``), or a time for each of its frames or rows (``times``)."""
        return what in self.files or (what == "times" and not self.is_camera)

    def holds(self, path: str) -> bool:
        """Return whether a file is part of it."""
        return any(path in paths for paths in self.files.values())


def find_streams(files: Mapping[str, Iterable[str]]) -> list[Stream]:
    """Return what belongs together among the files of each rig.

    Parameters
    ----------
    files : mapping of str to iterable of str
        Each rig's files: paths in the session folder, with forward slashes.
    """
    found: dict[tuple[str, str, bool, str], dict[str, dict[int, str]]] = {}
    for rig, paths in files.items():
        for path in sorted(paths):
            one = PurePosixPath(path)
            if match := _CAMERA.fullmatch(one.name):
                key, what = (rig, match["label"], True, str(one.parent)), match["what"]
            elif (match := _TABLE.fullmatch(one.name)) and not one.name.startswith(_OURS):
                whole = str(one.with_name(f"{match['label']}{one.suffix}"))
                key, what = (rig, whole, False, ""), "table"
            else:
                continue
            found.setdefault(key, {}).setdefault(what, {})[int(match["part"] or 1)] = path
    plain = _find_plain(key for key in found if key[2])
    return [
        Stream(
            rig=rig,
            label=label if not is_camera or (rig, label, folder) in plain else f"{folder}/{label}",
            is_camera=is_camera,
            files={what: tuple(parts[number] for number in sorted(parts)) for what, parts in kinds.items()},
        )
        for (rig, label, is_camera, folder), kinds in found.items()
    ]


def _find_plain(cameras: Iterable[tuple[str, str, bool, str]]) -> set[tuple[str, str, str]]:
    """Return which cameras are meant by their labels: not the copies and revisions that lie beside them.

    What a rig lists goes before what nobody does, and what lies in the outermost folder before all else.
    """
    best: dict[tuple[str, str], list[str]] = {}
    known = list(cameras)
    listed = {label for rig, label, _, _ in known if rig}
    for rig, label, _, folder in known:
        if rig or label not in listed:
            best.setdefault((rig, label), []).append(folder)
    found = set()
    for (rig, label), folders in best.items():
        depth = min(one.count("/") for one in folders)
        outermost = [one for one in folders if one.count("/") == depth]
        if len(outermost) == 1:
            found.add((rig, label, outermost[0]))
    return found


def choose(streams: Iterable[Stream], name: str) -> list[Stream]:
    """Return the streams that a name may mean: a label, ``rig/label``, a file, or a rig.

    One that is a camera's label and the name of its own rig too means that camera, whatever else there is.
    """
    everything = list(streams)
    path = name.replace("\\", "/")
    exact = [
        [one for one in everything if one.name == name],
        [one for one in everything if one.holds(path)],
        [one for one in everything if one.rig == name and one.label == name],
    ]
    for found in exact:
        if found:
            return found
    of_label = [
        one
        for one in everything
        if name == one.label or (not one.is_camera and name == PurePosixPath(one.label).name)
    ]
    return of_label + [one for one in everything if one.rig == name and one not in of_label]
