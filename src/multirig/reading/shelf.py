"""The files of a session: which is meant by a name, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from multirig.errors import ConfigError, NotHere
from multirig.reading.contents import FileRow
from multirig.reading.frames import Video
from multirig.reading.packages import need
from multirig.reading.parts import Collection
from multirig.reading.rows import Rows
from multirig.reading.streams import Stream, choose, find_streams
from multirig.wording import listed

MAX_CHOICES = 20
"""Sources that a message names."""


class Shelf:
    """Finds a session's files.

    Parameters
    ----------
    files : Rows of FileRow
        All of them.
    collected : Collection
        Which rigs' parts are here.
    folders : sequence of pathlib.Path
        Where the session lies.
    """

    def __init__(self, files: Rows[FileRow], collected: Collection, folders: Sequence[Path]) -> None:
        self._files = files
        self._collected = collected
        self._folders = folders
        listed_files: dict[str, list[str]] = {}
        for one in files:
            listed_files.setdefault(one.rig, []).append(one.path)
        self.streams = tuple(find_streams(listed_files))
        """What times and frames can be asked for."""

    def choose(self, source: str, what: str) -> Stream:
        """Return what a name means, of what has times (``times``), or a video (``raw``).

        Raises
        ------
        ConfigError
            It means none, or several.
        NotHere
            The part of the rig of that name is not here.
        """
        found = [one for one in choose(self.streams, source) if one.has(what)]
        if len(found) == 1:
            return found[0]
        if found:
            names = listed([one.name for one in found], most=MAX_CHOICES)
            raise ConfigError(f"{source}: means {names}: name one of them")
        part = self._collected.parts.get(source)
        if part is not None and part.why and not part.places:
            raise NotHere(f"{source}: {part.why}")
        kind = "no video" if what == "raw" else "no times"
        there = listed([one.name for one in self.streams if one.has(what)], most=MAX_CHOICES)
        raise ConfigError(
            f"{source}: has {kind} here: there is {there or 'nothing that has'}{self._say_missing()}"
        )

    def look_up(self, path: str) -> tuple[Path, str, str]:
        """Return where a file is, by its path or name, whose it is (a rig's, or empty), and its path.

        Raises
        ------
        ConfigError
            There is none, or several are called so.
        NotHere
            Its rig's part is not here.
        """
        wanted = path.replace("\\", "/")
        same: list[FileRow] = []
        for is_meant in (
            lambda one: one.path == wanted,
            lambda one: f"{one.rig}/{one.path}" == wanted,
            lambda one: PurePosixPath(one.path).name == wanted,
            lambda one: f"{one.rig}/{PurePosixPath(one.path).name}" == wanted,
        ):
            same = same or [one for one in self._files if is_meant(one)]
        if len(same) > 1:
            names = listed([f"{one.rig}/{one.path}".lstrip("/") for one in same], most=MAX_CHOICES)
            raise ConfigError(f"{path}: means {names}: name one of them")
        if same:
            return self.find(same[0].path, same[0].rig), same[0].rig, same[0].path
        for folder in self._folders:  # what multirig has written of the session is no data, and not listed
            if (found := _find_beside(folder, wanted)) is not None:
                return found, "", found.relative_to(folder).as_posix()
        raise ConfigError(f"{path}: there is no such file in {self._folders[0]}{self._say_missing()}")

    def find(self, path: str, rig: str) -> Path:
        """Return where a file is that is listed.

        Raises
        ------
        NotHere
            Its rig's part is not here.
        """
        row = self._row(path, rig)
        if row.place is None:
            why = self._collected.missing.get(rig)
            raise NotHere(f"{rig or path}: {why or f'{path} is not here: copy it into {self._folders[0]}'}")
        return row.place

    def read_times(self, stream: Stream) -> list[Any]:
        """Return the times of each part of a camera's frames, mapped from the disk.

        Raises
        ------
        ConfigError
            They cannot be read.
        NotHere
            Its rig's part is not here.
        """
        found = [_read_times(self.find(path, stream.rig)) for path in stream.files["times"]]
        if len(found) > 1:
            limits = self._pair(stream, [len(one) for one in found])
            found = [one[:limit] for one, limit in zip(found, limits, strict=True)]
        return found

    def open_videos(self, stream: Stream) -> tuple[list[Video], list[int | None]]:
        """Return the parts of a camera's video, and how many frames of each count; None: all.

        Raises
        ------
        ConfigError
            Their times cannot be read.
        NotHere
            Its rig's part is not here.
        """
        videos = [Video(self.find(path, stream.rig)) for path in stream.files["raw"]]
        if len(videos) == 1:
            return videos, [None]
        return videos, [len(one) for one in self.read_times(stream)]

    def _pair(self, stream: Stream, counts: Sequence[int]) -> list[int]:
        """Return how many frames of each part have a picture and a time: a rig that died lost some of one."""
        videos = stream.files.get("raw", ())
        if len(videos) != len(counts):
            raise ConfigError(
                f"{stream.name}: has {len(videos)} parts of video and {len(counts)} of times: "
                "name one by its path"
            )
        limits = []
        for path, times in zip(videos, counts, strict=True):
            row = self._row(path, stream.rig)
            is_told = row.frames == times or row.place is None
            limits.append(times if is_told or row.place is None else min(times, len(Video(row.place))))
        return limits

    def _row(self, path: str, rig: str) -> FileRow:
        return next(one for one in self._files if (one.path, one.rig) == (path, rig))

    def _say_missing(self) -> str:
        return "".join(f"; {name}: {why}" for name, why in self._collected.missing.items())


def _find_beside(folder: Path, wanted: str) -> Path | None:
    """Return a file of that path, or the only one of that name, in a folder."""
    whole = folder / wanted
    if whole.is_file() and whole.resolve().is_relative_to(folder.resolve()):
        return whole
    found = [one for one in folder.rglob("*") if one.name == wanted and one.is_file()]
    return found[0] if len(found) == 1 else None


def _read_times(path: Path) -> Any:
    numpy = need("numpy", "times")
    try:
        found = numpy.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())}): is it whole?") from None
    if found.ndim != 1 or found.dtype.kind not in "fiu":
        raise ConfigError(f"{path}: holds no row of times, but {found.dtype} in the shape {found.shape}")
    return found
