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
    """A camera's label, or the path of the table's first part."""
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
    found: dict[tuple[str, str, bool], dict[str, dict[int, str]]] = {}
    for rig, paths in files.items():
        for path in sorted(paths):
            one = PurePosixPath(path)
            if match := _CAMERA.fullmatch(one.name):
                key, what = (rig, match["label"], True), match["what"]
            elif (match := _TABLE.fullmatch(one.name)) and not one.name.startswith(_OURS):
                key, what = (rig, str(one.with_name(f"{match['label']}{one.suffix}")), False), "table"
            else:
                continue
            found.setdefault(key, {}).setdefault(what, {})[int(match["part"] or 1)] = path
    return [
        Stream(
            rig=rig,
            label=label,
            is_camera=is_camera,
            files={what: tuple(parts[number] for number in sorted(parts)) for what, parts in kinds.items()},
        )
        for (rig, label, is_camera), kinds in found.items()
    ]


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
    of_label = [one for one in everything if name in (one.label, PurePosixPath(one.label).name)]
    return of_label + [one for one in everything if one.rig == name and one not in of_label]
