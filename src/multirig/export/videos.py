"""The cameras of a session: where their videos are here, and the time of each picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, NotHere
from multirig.export.naming import object_name, plain
from multirig.reading.frames import Video
from multirig.reading.packages import need
from multirig.reading.session import LoadedSession
from multirig.reading.shelf import Shelf
from multirig.reading.streams import Stream
from multirig.record.sources import Source, find_sources
from multirig.wording import count, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Cameras:
    """The cameras of a session."""

    here: tuple[Camera, ...]
    """Those whose videos and times are here."""
    absent: Mapping[str, str]
    """Those whose files are not here, ``rig/label`` → that, in a sentence."""
    told: Mapping[str, str]
    """What else is not taken, or not as it lies there: ``rig/label`` → why, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One camera, of which a video and the times of its pictures are here."""

    stream: str
    """What `LoadedSession` calls it: ``rig/label``."""
    rig: str
    """Its rig; empty: no list says whose it is."""
    name: str
    """What it is called in the file."""
    places: tuple[Path, ...]
    """Its video; the parts of a camera that was away in order."""
    first_frames: tuple[int, ...]
    """How many frames are in the parts before each."""
    times: Any
    """Of all parts: seconds from the start of the session, float64."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None: not known."""
    remarks: str = ""
    """What is known of its times and of what it lost."""


def find_cameras(session: LoadedSession) -> Cameras:
    """Return the cameras of a session."""
    shelf = Shelf(session.files, session.collected, session.folders)
    streams = [one for one in shelf.streams if one.is_camera]
    sources = {
        (part.rig, source.name): source
        for part in session.collected.parts.values()
        for source in find_sources(part.files)
    }
    cameras: list[Camera] = []
    absent: dict[str, str] = {}
    told: dict[str, str] = {}
    labels = [one.label for one in streams]
    for stream in streams:
        wanted = stream.label if labels.count(stream.label) == 1 else stream.name
        name = object_name(wanted, {one.name for one in cameras})
        try:
            camera, remark = _read(session, shelf, stream, name, sources.get((stream.rig, stream.label)))
        except NotHere:
            absent[stream.name] = "its video, or the times of it, were not there when this file was written"
            continue
        except (ConfigError, OSError) as error:
            told[stream.name] = f"its video is left out: {error}"
            continue
        cameras.append(camera)
        if remark:
            told[stream.name] = remark
    return Cameras(here=tuple(cameras), absent=absent, told=told)


def _read(
    session: LoadedSession, shelf: Shelf, stream: Stream, name: str, source: Source | None
) -> tuple[Camera, str]:
    """Return a camera, and what is not taken of it.

    Raises
    ------
    ConfigError
        Its video or its times are not here, or they do not fit.
    """
    numpy = need("numpy", "times")
    if not stream.has("raw") or not stream.has("times"):
        raise ConfigError(
            "nothing tells the times of its pictures" if stream.has("raw") else "there are only its times"
        )
    places = tuple(shelf.find(path, stream.rig) for path in stream.files["raw"])
    for place in places:
        _check_is_text(place)
    parts = shelf.read_times(stream)
    if len(parts) != len(places):
        raise ConfigError(
            f"it has {count(len(places), 'part')} of video and {len(parts)} of times: look which is missing"
        )
    times = numpy.asarray(session.times(stream.name), numpy.float64)
    remark = ""
    if len(parts) == 1:
        times, remark = _fit(session, stream, places[0], times)
    lengths = [len(one) for one in parts[:-1]]
    return (
        Camera(
            stream=stream.name,
            rig=stream.rig,
            name=name,
            places=places,
            first_frames=tuple(sum(lengths[:place]) for place in range(len(parts))),
            times=times,
            size=_find_size(session, stream),
            remarks="" if source is None else plain(" ".join(_remark(source))),
        ),
        remark,
    )


def _check_is_text(place: Path) -> None:
    """Refuse a path that no other file can name: Linux takes any bytes for one."""
    try:
        str(place.resolve()).encode()
    except UnicodeEncodeError:
        shown = str(place).encode(errors="replace").decode()
        raise ConfigError(f"{shown}: is a path that is no text: give its folder another name") from None


def _fit(session: LoadedSession, stream: Stream, place: Path, times: Any) -> tuple[Any, str]:
    """Return the times of the frames that are in a video: of a rig that died one goes on behind the other."""
    row = next(one for one in session.files if (one.path, one.rig) == (stream.files["raw"][0], stream.rig))
    pictures = row.frames
    if pictures is None or place.stat().st_size != row.bytes:
        try:
            pictures = len(Video(place))
        except ConfigError as error:
            return times, f"how many frames its video has is not known: {error}"
    if pictures == len(times):
        return times, ""
    fewer = min(pictures, len(times))
    numbers = f"{count(pictures, 'frame')} and {count(len(times), 'time')}"
    return times[:fewer], f"its video has {numbers}: the first {fewer} are taken"


def _find_size(session: LoadedSession, stream: Stream) -> tuple[int, int] | None:
    part = session.collected.parts.get(stream.rig)
    for one in () if part is None else part.files:
        if stream.holds(one.path) and one.evidence is not None and one.evidence.size is not None:
            return one.evidence.size
    return None


_STAMPED: Mapping[str, str] = {
    "source": "Times are those of the camera's own clock or stream.",
    "arrival": "Times are those at which frames reached their PC.",
}


def _remark(source: Source) -> Iterator[str]:
    """Yield what is known of the times of a camera's pictures, and of those that are not there."""
    stamped = {one.stamped_by for one in source.evidence if one.stamped_by is not None}
    yield from (_STAMPED[one] for one in sorted(stamped) if one in _STAMPED)
    if bounds := [one.bound for one in source.evidence if one.bound]:
        yield f"They may be off their PC's clock by {span(max(bounds))}, besides the camera's own delay."
    for of, what in (
        ("missing", "Frames missing by the camera's own numbers, or by its rate"),
        ("dropped", "Frames that were seen and could not be written"),
        ("damaged", "Pictures that came damaged"),
    ):
        if (number := source.total(of)) is not None:
            yield f"{what}: {number}."
