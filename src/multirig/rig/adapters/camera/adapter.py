"""The camera adapter: all cameras of one rig."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import av.logging
from av.video.frame import VideoFrame
from pydantic import AfterValidator, Field

from multirig.errors import AdapterError, why_not
from multirig.rig.adapter import Adapter, File, Finding, Health, Picture, below
from multirig.rig.adapters.camera.account import list_recorded
from multirig.rig.adapters.camera.capture import Capture
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.promise import wait_all
from multirig.rig.adapters.camera.recording import Recording
from multirig.rig.adapters.camera.source import DEFAULT_FPS, DEFAULT_SIZE, complain, look_for
from multirig.rig.adapters.camera.take import Gap, Take
from multirig.wording import size

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

Part: TypeAlias = Capture | Take | Recording
"""What may fail on its own: the reading of a source, or the writing of its video."""


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
    never waits for either. A live source that fails is opened again and goes on in files of its own,
    ``….raw.part2.mp4`` and ``….times.part2.npy``; of that `findings` tells, and the other cameras notice
    nothing. In ``session.folder`` lie, for each camera:

    ``_iblrig_<label>Camera.raw.mp4``
        H.264 with the frames' true times; playable up to its last frame if the process is killed.
    ``_iblrig_<label>Camera.times.npy``
        float64 seconds on the conductor's clock, one for each frame in the video. After a kill it holds at
        least what there was at the last flush (once a second), and the shorter of the two files counts.

    A recording that is resumed after a kill goes on in further parts, too.

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
    give_up_after: Annotated[float, Field(gt=0)] = 60.0
    """Seconds in which no camera of this rig gives anything, after which its recording counts as failed."""

    def __post_init__(self) -> None:
        # libav would write on the operator's screen, from any of its threads
        av.logging.set_level(None)
        self._captures: dict[str, Capture] = {}
        self._takes: dict[str, Take] = {}
        """What is recorded, or was last."""
        self._earlier: list[Take] = []
        """What was recorded before it in the same session."""
        self._is_recording = False
        self._told: set[Part] = set()

    def check(self) -> None:
        """Look whether every source is there; none is opened."""
        for options in self.cameras:
            if options.label not in self._captures:
                look_for(options)

    def least_limits(self) -> Mapping[str, float]:
        """Return for how long cameras are waited for that are slow, or were given time."""
        return {
            "initialise": max(one.first_patience for one in self.cameras) + CLOSE_LIMIT,
            "start": max(one.patience for one in self.cameras) + CLOSE_LIMIT,
            "cleanup": max(one.stall_limit for one in self.cameras) + STOP_LIMIT + 3 * CLOSE_LIMIT,
        }

    async def initialise(self) -> None:
        """Check the disk, open every camera and wait for its first picture."""
        await asyncio.to_thread(check_room, self.session.folder, self.cameras, self.min_free_gb)
        if not self._is_recording:
            takes = [*self._earlier, *self._takes.values()]
            self._earlier = [one for one in takes if one.session.folder == self.session.folder]
            self._takes = {}
        captures = []
        for options in self.cameras:
            capture = self._captures.get(options.label)
            if capture is not None and capture.trouble is not None and not self._is_recording:
                capture.release()  # it waits to open its source again: who asks now is not to wait for that
                capture = None
            if capture is None or capture.closed.done():
                self._captures[options.label] = capture = Capture(options)
                capture.open()
            captures.append(capture)
        await wait_all((one.opened for one in captures), max(one.first_patience for one in self.cameras))
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
        for label, take in self._takes.items():
            self._captures[label].record(take)
        takes = list(self._takes.values())
        deadline = time.monotonic() + max(one.patience for one in self.cameras)
        while time.monotonic() < deadline and not all(has_begun(one) for one in takes):
            await wait_all((one.parts[0].began for one in takes), WATCH_INTERVAL)
            if self._find_failures():
                break
        failures = self._find_failures()
        if not failures:
            late = [one for one in takes if not has_begun(one)]
            failures = {
                one: self._captures[one.options.label].trouble
                or complain(one.options, "gave no frame after the start")
                for one in late
            }
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
        takes = list(self._takes.values())
        for take in takes:
            take.finish()
        parts = [part for take in takes for part in take.parts]
        await wait_all((one.finished for one in parts), STOP_LIMIT)
        for take in takes:
            take.abandon()
        await wait_all((one.finished for one in parts), CLOSE_LIMIT)
        failures: dict[Part, AdapterError] = {
            part: error
            for take in takes
            for part, error in take.find_errors().items()
            if part not in self._told
        }
        for one in parts:
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
        """Raise AdapterError when the disk fails or stands still, or no camera at all can be had for long."""
        while True:
            now = time.perf_counter_ns()
            replace_hung(self._captures, now)
            if failures := self._find_failures():
                raise self._tell(failures)
            if lost := find_lost(self._takes.values(), now, self.give_up_after):
                reasons = "; ".join(gap.reason.message for gap in lost)
                raise AdapterError(f"no camera has given anything for {self.give_up_after:g} s: {reasons}")
            await asyncio.sleep(WATCH_INTERVAL)

    def health(self) -> Health:
        """Return the sums over all cameras; `rate` is that of the last second."""
        now = time.perf_counter_ns()
        takes = [*self._earlier, *self._takes.values()]
        parts = [part for take in takes for part in take.parts]
        return Health(
            frames=sum(one.frames for one in parts),
            bytes=sum(one.bytes for one in parts),
            dropped=sum(one.dropped for one in takes),
            rate=sum(one.measure_rate(now) for one in parts),
        )

    def findings(self) -> Sequence[Finding]:
        """Return which cameras gave nothing, when and why, and which have ended by themselves."""
        return [finding for take in self._takes.values() for finding in take.findings()]

    def pictures(self) -> list[Picture]:
        """Return the newest frame of each camera that is open; the picture before where frames wait."""
        found = []
        for label, capture in tuple(self._captures.items()):
            take = self._takes.get(label)
            is_behind = take is not None and take.is_behind
            picture = capture.live.last if is_behind else capture.live.take()
            if picture is not None:
                found.append(picture)
        return found

    def picture_labels(self) -> Sequence[str]:
        """Return the labels of the cameras that are open."""
        return [label for label, capture in self._captures.items() if capture.live.can_be_seen]

    def owns(self) -> Sequence[str]:
        """Return the names of the files of each camera."""
        return [below(self.collection, f"_iblrig_{one.label}Camera.*") for one in self.cameras]

    def files(self) -> list[File]:
        """Return the videos and frame times of these cameras, those of before a restart too."""
        parts = [part for take in (*self._earlier, *self._takes.values()) for part in take.parts]
        return list_recorded(self.session, [one.label for one in self.cameras], parts)

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
        self._is_recording = True
        self._told.clear()
        self._takes = {
            one.label: Take(one, self.session, self._captures[one.label].rate, partial(self._show, one.label))
            for one in self.cameras
        }

    def _show(self, label: str, stamp: int, frame: VideoFrame) -> None:
        """Let it be seen what is in the video."""
        if (capture := self._captures.get(label)) is not None:
            capture.live.show(stamp, frame)

    async def _release(self) -> list[Capture]:
        """Let go of every source; return those that did not in time."""
        captures, self._captures = list(self._captures.values()), {}
        for capture in captures:
            capture.release()
        # the read that is under way may take as long as a camera may stand still
        patience = max(one.stall_limit for one in self.cameras)
        await wait_all((one.closed for one in captures), patience + CLOSE_LIMIT)
        now = time.perf_counter_ns()
        # a slow camera's thread ends with its next frame
        return [one for one in captures if not one.closed.done() and one.is_overdue(now)]

    def _find_failures(self) -> dict[Part, AdapterError]:
        now = time.perf_counter_ns()
        return {part: why for take in self._takes.values() for part, why in take.find_failures(now).items()}

    def _tell(self, failures: Mapping[Part, AdapterError]) -> AdapterError:
        """Return one error for all of them, and remember of whom it has been told."""
        self._told.update(failures)
        return AdapterError("; ".join(one.message for one in failures.values()))


def replace_hung(captures: dict[str, Capture], now: int) -> None:
    """Open anew what a thread that hangs holds open."""
    for label, capture in tuple(captures.items()):
        if capture.has_hung(now) and (follower := capture.follow()) is not None:
            captures[label] = follower
            follower.open()


def has_begun(take: Take) -> bool:
    """Whether a frame is in the video, or will never be."""
    return take.parts[0].began.done()


def find_lost(takes: Iterable[Take], now: int, limit: float) -> list[Gap]:
    """Return the gaps of all cameras, if none gives anything and none has for so many seconds."""
    gaps = [take.gap for take in takes if not take.ended]
    lost = [gap for gap in gaps if gap is not None]
    newest = max((gap.began for gap in lost), default=now)
    return lost if len(lost) == len(gaps) and now - newest > limit * NANOSECONDS else []


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


def check_room(folder: Path, cameras: Sequence[CameraOptions], least: float) -> None:
    """Raise AdapterError where the disk has not so many gigabytes free, or too little for a minute."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise AdapterError(f"{folder} cannot be reached ({why_not(error)}): check the disk") from error
    wanted = max(least * GIGABYTE, sum(map(estimate_room, cameras)))
    if free < wanted:
        cure = "free space, or lower min_free_gb" if wanted == least * GIGABYTE else "free space"
        figures = [f"{amount / GIGABYTE:.2f} GB" for amount in (free, wanted)]
        if wanted < GIGABYTE / 100:
            figures = [size(free), size(wanted)]
        raise AdapterError(
            f"the disk of {folder} is full: {figures[0]} are free and {figures[1]} are wanted: {cure}"
        )
