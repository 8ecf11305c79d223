"""Which files there are of a rig's cameras, and what they hold."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from multirig.rig.adapter import Evidence, File, Session
from multirig.rig.adapters.camera.options import NANOSECONDS
from multirig.rig.adapters.camera.recording import Recording
from multirig.rig.adapters.camera.times import read_times
from multirig.rig.evidence.frames import FrameStatistics

log = logging.getLogger(__name__)


def list_recorded(session: Session, labels: Iterable[str], parts: Iterable[Recording]) -> list[File]:
    """Return videos, frame times and arrivals of these cameras, those of before a restart too."""
    known: dict[Path, File] = {}
    for part in parts:
        known |= _describe(part)
    mine = re.compile(rf"_iblrig_({'|'.join(labels)})Camera\.(raw|times|arrivals)(\.part\d+)?\.(mp4|npy)")
    found = []
    for path in sorted(session.folder.iterdir()):
        if name := mine.fullmatch(path.name):
            file = known.get(path) or _read_earlier(path, name[1])
            relative = path.relative_to(session.session_folder).as_posix()
            found.append(replace(file, path=relative, bytes=path.stat().st_size))
    return found


def _describe(part: Recording) -> dict[Path, File]:
    """Return the files of a part; path and size are filled in later."""
    if part.video is None or part.times is None:
        return {}
    first, last = part.span or (None, None)
    file = File(path="", bytes=0, frames=part.frames, first=first, last=last, evidence=part.evidence)
    files = {part.video.path: file, part.times.path: file}
    if part.times.arrivals is not None:
        files[part.times.arrivals.path] = replace(file, evidence=Evidence(source=part.options.label))
    return files


def _read_earlier(path: Path, label: str) -> File:
    """Return what a file of an earlier run holds, as far as its times tell.

    How many pictures a video holds that was cut off, only decoding it could tell; that is left out.
    """
    nothing = File(path="", bytes=0)
    if path.suffix != ".npy":
        return nothing
    try:
        times = read_times(path)
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error)
        return nothing
    statistics = FrameStatistics()
    statistics.extend(round(one * NANOSECONDS) for one in times)
    first, last = (times[0], times[-1]) if times else (None, None)
    evidence = replace(statistics.conclude(), source=label)
    return File(path="", bytes=0, frames=len(times), first=first, last=last, evidence=evidence)
