"""The camera adapter: all cameras of one rig."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import av.logging
from pydantic import AfterValidator, Field

from multirig.errors import AdapterError
from multirig.rig.adapter import Adapter, File, Health, Picture
from multirig.rig.adapters.camera.capture import Capture
from multirig.rig.adapters.camera.options import CameraOptions
from multirig.rig.adapters.camera.promise import wait_all
from multirig.rig.adapters.camera.recording import Recording
from multirig.rig.adapters.camera.source import DEFAULT_FPS, DEFAULT_SIZE, complain, look_for
from multirig.rig.adapters.camera.times import read_ends

WATCH_INTERVAL = 0.1
"""Seconds between two looks at the threads."""
STOP_LIMIT = 10.0
"""Seconds in which the frames that wait must be encoded; after that they are given up."""
CLOSE_LIMIT = 5.0
"""Seconds in which files must then be closed, and sources let go of."""
GIGABYTE = 1_000_000_000
ROOM = 60.0
"""Seconds of recording for which there must be room on the disk."""
BITS_PER_PIXEL = 0.25
"""What a noisy picture needs at the usual quality and the quickest preset."""

Part: TypeAlias = Capture | Recording
"""What may fail on its own: the reading of a source, or the writing of its video."""

log = logging.getLogger(__name__)


def check_labels(cameras: list[CameraOptions]) -> list[CameraOptions]:
    """Return the cameras if each has a label of its own, else raise ValueError."""
    seen = set()
    for camera in cameras:
        # Windows and macOS take Left and left for one file
        label = camera.label.lower()
        if label in seen:
            raise ValueError(f"label {camera.label!r} is used twice: give each camera its own")
        seen.add(label)
    return cameras


@dataclass(kw_only=True)
class Camera(Adapter):
    """Records one or more cameras: an MP4 (H.264) and a file of frame times for each.

    Each camera has two threads of its own, one that reads the source and one that encodes; the event loop
    never waits for either. In ``session.folder`` lie, for each camera:

    ``_iblrig_<label>Camera.raw.mp4``
        H.264 with the frames' true times; playable up to its last frame if the process is killed.
    ``_iblrig_<label>Camera.times.npy``
        float64 seconds on the conductor's clock, one for each frame in the video. After a kill it holds at
        least what there was at the last flush (once a second), and the shorter of the two files counts.

    A recording that is resumed after a kill goes on in files of its own, ``….raw.part2.mp4`` and
    ``….times.part2.npy``.

    Raises
    ------
    ConfigError
        PyAV is not installed; raised when this module's package is imported.
    """

    resumes: ClassVar[bool] = True
    cameras: Annotated[list[CameraOptions], Field(min_length=1), AfterValidator(check_labels)]
    """The cameras of this rig."""
    collection: str = "raw_video_data"
    min_free_gb: Annotated[float, Field(ge=0)] = 1.0
    """Gigabytes that must be free on the disk before a session."""

    def __post_init__(self) -> None:
        # libav would write on the operator's screen, from any of its threads
        av.logging.set_level(None)
        self._captures: dict[str, Capture] = {}
        self._recordings: list[Recording] = []
        self._current: dict[str, Recording] = {}
        self._is_recording = False
        self._told: set[Part] = set()

    def check(self) -> None:
        """Look whether every source is there; none is opened."""
        for options in self.cameras:
            if options.label not in self._captures:
                look_for(options)

    async def initialise(self) -> None:
        """Check the disk, open every camera and wait for its first picture."""
        await self._check_disk()
        if not self._is_recording:
            self._recordings = [one for one in self._recordings if one.session.folder == self.session.folder]
            self._current = {}
        for options in self.cameras:
            capture = self._captures.get(options.label)
            if capture is None or capture.closed.done():
                self._captures[options.label] = capture = Capture(options)
                capture.open()
        captures = list(self._captures.values())
        await wait_all((one.opened for one in captures), max(one.open_limit for one in self.cameras))
        failures: dict[Part, AdapterError] = {
            one: failure for one in captures if (failure := find_open_failure(one))
        }
        if failures:
            await self._release()
            raise self._tell(failures)

    async def arm(self) -> None:
        """Open the files of all cameras."""
        if not self._is_recording:
            self._open_files()

    async def start(self) -> None:
        """Begin to record with all cameras at once; return when each has a frame in its video."""
        await self.arm()
        # the threads wait already: from the first camera to the last it takes microseconds
        for label, recording in self._current.items():
            self._captures[label].record(recording)
        current = list(self._current.values())
        deadline = time.monotonic() + max(one.stall_limit for one in self.cameras)
        while time.monotonic() < deadline and not all(one.began.done() for one in current):
            await wait_all((one.began for one in current), WATCH_INTERVAL)
            if self._find_failures():
                break
        failures = self._find_failures()
        if not failures:
            late = [one for one in current if not one.began.done()]
            failures = {one: complain(one.options, "gave no frame after the start") for one in late}
        if failures:
            raise self._tell(failures)

    async def resume(self) -> None:
        """Record on with all cameras, into further files; those of before the restart stay as they are."""
        await self.start()  # a recording never writes into files that are there

    async def stop(self) -> None:
        """Encode the frames that wait and close the files; in bounded time, whatever cameras and disk do.

        Raises
        ------
        AdapterError
            Files could not be closed as they should, or a camera had failed and no hook has said so yet.
        """
        self._is_recording = False
        current = list(self._current.values())
        for recording in current:
            recording.finish()
        await wait_all((one.finished for one in current), STOP_LIMIT)
        for recording in current:
            recording.abandon()
        await wait_all((one.finished for one in current), CLOSE_LIMIT)
        failures = {
            one: one.error for one in self._parts() if one.error is not None and one not in self._told
        }
        for one in current:
            if not one.finished.done():
                failures[one] = AdapterError(
                    f"camera {one.options.label}: {one.session.folder} takes no more data and the files are "
                    "still open: check the disk, then restart this rig"
                )
        if failures:
            raise self._tell(failures)

    async def cleanup(self) -> None:
        """Let go of the cameras."""
        try:
            await self.stop()
        finally:
            stuck = await self._release()
        if stuck:
            raise self._tell({one: complain(one.options, "does not let go") for one in stuck})

    async def watch(self) -> None:
        """Raise AdapterError when a camera, its encoder or the disk fails or stands still."""
        while True:
            failures = self._find_failures()
            if failures:
                raise self._tell(failures)
            await asyncio.sleep(WATCH_INTERVAL)

    def health(self) -> Health:
        """Return the sums over all cameras; `rate` is that of the last second."""
        now = time.perf_counter_ns()
        return Health(
            frames=sum(one.frames for one in self._recordings),
            bytes=sum(one.bytes for one in self._recordings),
            dropped=sum(one.dropped for one in self._recordings),
            rate=sum(one.measure_rate(now) for one in self._recordings),
        )

    def pictures(self) -> list[Picture]:
        """Return the newest frame of each camera that is open; the picture before where frames wait."""
        found = []
        for label, capture in tuple(self._captures.items()):
            recording = self._current.get(label)
            is_behind = recording is not None and recording.is_behind
            picture = capture.live.last if is_behind else capture.live.take()
            if picture is not None:
                found.append(picture)
        return found

    def picture_labels(self) -> Sequence[str]:
        """Return the labels of the cameras that are open."""
        return [label for label, capture in self._captures.items() if capture.live.can_be_seen]

    def files(self) -> list[File]:
        """Return the videos and frame times of these cameras, those of before a restart too."""
        known: dict[Path, Recording] = {}
        for one in self._recordings:
            if one.video and one.times:
                known[one.video.path] = known[one.times.path] = one
        labels = "|".join(one.label for one in self.cameras)
        mine = re.compile(rf"_iblrig_({labels})Camera\.(raw|times)(\.part\d+)?\.(mp4|npy)")
        found = []
        for path in sorted(self.session.folder.iterdir()):
            if mine.fullmatch(path.name):
                recording = known.get(path)
                frames: int | None
                if recording is None:
                    frames, first, last = read_earlier(path)
                else:
                    frames, (first, last) = recording.frames, recording.span or (None, None)
                found.append(
                    File(
                        path=path.relative_to(self.session.session_folder).as_posix(),
                        bytes=path.stat().st_size,
                        frames=frames,
                        first=first,
                        last=last,
                    )
                )
        return found

    def describe(self) -> Mapping[str, Any]:
        """Return label, size and frame rate of each camera, as the source says once it is open."""
        cameras = []
        for options in self.cameras:
            capture = self._captures.get(options.label)
            size = options.size or (capture.size if capture else None)
            fps = capture.rate if capture else options.fps
            cameras.append({"label": options.label, "size": list(size) if size else None, "fps": fps})
        return {"cameras": cameras}

    def experiment_description(self) -> Mapping[str, Any]:
        """Return where the videos lie, and which line of the main sync shows the frames of each camera."""
        cameras = {
            one.label: {"collection": self.collection, "sync_label": one.sync_label or one.label}
            for one in self.cameras
        }
        return {"devices": {"cameras": cameras}}

    def _open_files(self) -> None:
        missing = [one.label for one in self.cameras if one.label not in self._captures]
        if missing:
            raise AdapterError(f"camera {', '.join(missing)} is not open: initialise first")
        failures = self._find_failures()
        if failures:
            raise self._tell(failures)
        self._is_recording = True
        self._told.clear()
        self._current = {
            one.label: Recording(one, self.session, self._captures[one.label].live.show)
            for one in self.cameras
        }
        self._recordings.extend(self._current.values())
        for label, recording in self._current.items():
            recording.open(self._captures[label].rate)

    async def _release(self) -> list[Capture]:
        """Let go of every source; return those that did not in time."""
        captures, self._captures = list(self._captures.values()), {}
        for capture in captures:
            capture.release()
        # the read that is under way may take as long as a camera may stand still
        patience = max(one.stall_limit for one in self.cameras)
        await wait_all((one.closed for one in captures), patience + CLOSE_LIMIT)
        return [one for one in captures if not one.closed.done()]

    async def _check_disk(self) -> None:
        folder = self.session.folder
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        except OSError as error:
            raise AdapterError(f"{folder} cannot be reached ({error.strerror}): check the disk") from error
        wanted = max(self.min_free_gb * GIGABYTE, sum(map(estimate_room, self.cameras)))
        if free < wanted:
            raise AdapterError(
                f"the disk of {folder} is full: {free / GIGABYTE:.2f} GB are free and "
                f"{wanted / GIGABYTE:.2f} GB are wanted: free space, or lower min_free_gb"
            )

    def _parts(self) -> list[Part]:
        return [*self._captures.values(), *self._current.values()]

    def _find_failures(self) -> dict[Part, AdapterError]:
        now = time.perf_counter_ns()
        return {one: failure for one in self._parts() if (failure := one.find_failure(now))}

    def _tell(self, failures: Mapping[Part, AdapterError]) -> AdapterError:
        """Return one error for all of them, and remember of whom it has been told."""
        self._told.update(failures)
        return AdapterError("; ".join(one.message for one in failures.values()))


def read_earlier(path: Path) -> tuple[int | None, float | None, float | None]:
    """Return frames, first and last time of a file that an earlier run wrote, as far as its times tell.

    How many pictures a video holds that was cut off, only decoding it could tell; that is left out.
    """
    if path.suffix != ".npy":
        return None, None, None
    try:
        return read_ends(path)
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error)
        return None, None, None


def find_open_failure(capture: Capture) -> AdapterError | None:
    """Return why a camera is not open."""
    if capture.error:
        return capture.error
    if not capture.opened.done():
        return complain(capture.options, f"gave no picture in {capture.options.open_limit:g} s")
    return None


def estimate_room(options: CameraOptions) -> float:
    """Return the bytes that a minute of a camera needs."""
    width, height = options.size or DEFAULT_SIZE
    return width * height * (options.fps or DEFAULT_FPS) * ROOM * BITS_PER_PIXEL / 8
