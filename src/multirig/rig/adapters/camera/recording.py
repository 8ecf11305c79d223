"""One recording of one camera: a queue, and the thread that encodes what comes out of it."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from av.video.frame import VideoFrame

from multirig.errors import AdapterError, why_not
from multirig.rig.adapter import Evidence, Expected, Session
from multirig.rig.adapters.camera.damage import is_damaged
from multirig.rig.adapters.camera.frame_clock import Moment
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.promise import promise, resolve
from multirig.rig.adapters.camera.sameness import Sameness
from multirig.rig.adapters.camera.times import TICK, FrameTimes
from multirig.rig.adapters.camera.video import Video

FLUSH_INTERVAL = NANOSECONDS
"""How often the frame times are brought to disk."""
RATE_WINDOW = NANOSECONDS
"""Over how long the frame rate is counted."""
log = logging.getLogger(__name__)


class Recording:
    """Writes the frames that it is offered into a video and a file of frame times.

    The files are made when the first frame comes. Where the session already has files of this camera, from
    before a restart, these are left as they are and the new ones are called ``part2`` and so on.

    Parameters
    ----------
    options : CameraOptions
        Of the camera.
    session : Session
        What is recorded, and where.
    show : callable, optional
        Takes each frame, with its time, once it is in the video and nothing here needs it any more.
    """

    def __init__(
        self,
        options: CameraOptions,
        session: Session,
        show: Callable[[int, VideoFrame], None] = lambda stamp, frame: None,
    ) -> None:
        self.options = options
        self.dropped = 0
        """Frames that were seen and are not in the video."""
        self.error: AdapterError | None = None
        """Why the recording failed."""
        self.damaged = 0
        """Frames in the video that came damaged."""
        self.damaged_since: int | None = None
        """When the first of them came; this PC's clock, ns."""
        self.damaged_at = 0
        """When the last of them came."""
        self.sameness = Sameness()
        """Whether its pictures change, and keep their size."""
        self.has_failed_disk = False
        """Whether it was the disk that failed."""
        self.has_frames = False
        """Whether it was offered a frame."""
        self.number = 1
        """Which of the parts in the session's folder it is; known when the first frame is written."""
        self.began = promise()
        """Done when the first frame is in the video, or will never be."""
        self.finished = promise()
        """Done when the files are closed."""
        self.video: Video | None = None
        self.times: FrameTimes | None = None
        self.session = session
        self._show = show
        self._asked = options.fps
        self._queue: SimpleQueue[tuple[Moment, VideoFrame] | None] = SimpleQueue()
        self._rate = 0.0
        self._since = self._opened_at = 0
        self._ended = False
        self._abandoned = False
        self._busy_since: int | None = None
        # a daemon: an encoder that hangs on a dead disk must not keep the rig from ending
        self._thread = Thread(target=self._run, name=f"encode-{options.label}", daemon=True)

    def open(self, rate: float, since: int) -> None:
        """Start the thread; `rate` is the frames per second that are expected, none older than `since`."""
        self._rate = rate
        if not self.options.kind.live:  # what it draws, or what stands in the file
            self._asked = rate
        self._since = since
        self._opened_at = time.perf_counter_ns()
        self._thread.start()

    def begin(self, now: int) -> None:
        """Take no frame of before that time, unless there was one; ns."""
        if not self.has_frames:
            self._since = now

    def offer(self, moment: Moment, frame: VideoFrame) -> None:
        """Take a frame without waiting; it is dropped, and counted, when too many wait already."""
        # a frame of just before the start may be offered just after it
        if self._ended or moment.at - self.options.latency_ns < self._since:
            return
        self.has_frames = True
        if self._queue.qsize() >= self.options.queue:
            self.dropped += 1
            return
        self._queue.put((moment, frame))

    def drop(self) -> None:
        """Count a frame that came and could not be read."""
        if not self._ended:
            self.dropped += 1

    def finish(self) -> None:
        """Take no more frames; the files are closed when those that wait are encoded."""
        if not self._ended:
            self._ended = True
            self._queue.put(None)

    def abandon(self) -> None:
        """Close the files without the frames that still wait; they count as dropped."""
        self._abandoned = True
        self.finish()

    def find_failure(self, now: int) -> AdapterError | None:
        """Return why the disk failed, or that one frame has kept encoder or disk busy for too long."""
        busy_since = self._busy_since
        if busy_since is not None and now - busy_since > self.options.patience * NANOSECONDS:
            return AdapterError(
                f"camera {self.options.label}: {self.session.folder} takes no more data: check the disk"
            )
        return self.error if self.has_failed_disk else None

    @property
    def is_behind(self) -> bool:
        """Whether frames wait for the encoder."""
        return not self._queue.empty()

    @property
    def ended(self) -> bool:
        """Whether it takes no more frames."""
        return self._ended

    @property
    def frames(self) -> int:
        """Frames in the video."""
        return self.video.frames if self.video else 0

    @property
    def bytes(self) -> int:
        """Bytes of video and frame times on disk."""
        return (self.video.bytes if self.video else 0) + (self.times.bytes if self.times else 0)

    @property
    def evidence(self) -> Evidence:
        """What is known of what it holds; all of it when it is finished."""
        found = self.times.evidence if self.times else Evidence()
        pixels = self.video.pixels if self.video else None
        expected = self.options.expect.to_expected()
        return replace(
            found,
            expected=None if expected == Expected() else expected,
            source=self.options.label,
            asked=self._asked,
            dropped=self.dropped,
            damaged=self.damaged,
            size=pixels.size if pixels else None,
            pixel_format=pixels.name if pixels else None,
            colour_range=pixels.range_name if pixels else None,
        )

    @property
    def span(self) -> tuple[float, float] | None:
        """First and last frame, seconds on the conductor's clock; known when it is finished."""
        return self.times.span if self.times else None

    def measure_rate(self, now: int) -> float:
        """Return the frames per second of the last second; 0 when the recording has ended."""
        if self.times is None or self.finished.done():
            return 0.0
        # a recording that has just begun is measured over its age, but not over next to nothing
        window = min(RATE_WINDOW, max(now - self._opened_at, RATE_WINDOW // 4))
        return self.times.count_since(now - window) * NANOSECONDS / window

    def _run(self) -> None:
        try:
            self._encode()
        except Exception as error:
            log.exception("camera %s: the recording failed", self.options.label)
            self.error = self._explain(error)
            self.has_failed_disk = isinstance(error, OSError)
        finally:
            self._ended = True
            self._busy_since = None
            self.dropped += self._count_left()
            resolve(self.began)
            resolve(self.finished)

    def _encode(self) -> None:
        first = self._queue.get()
        if first is None:
            return
        moment, frame = first
        self.video, times_path = self._make_video(frame)
        try:
            self.times = FrameTimes(
                times_path,
                self.session.to_session_time,
                latency=self.options.latency_ns,
                keeps_arrivals=moment.by_source and self.options.kind.live,
            )
            self._write_all(self.video, self.times, first)
        finally:
            try:
                self.video.close()
            finally:
                if self.times:
                    self.times.close(self.video.frames)

    def _write_all(self, video: Video, times: FrameTimes, item: tuple[Moment, VideoFrame] | None) -> None:
        last = 0
        flush_at = time.perf_counter_ns() + FLUSH_INTERVAL
        while item is not None:
            if self._abandoned:
                self.dropped += 1
            else:
                self._busy_since = now = time.perf_counter_ns()
                moment, frame = item
                last = max(moment.at, last + TICK)
                video.write(last, frame)
                times.append(moment)
                self.sameness.look(frame, moment.arrival)
                if is_damaged(frame):
                    self.damaged += 1
                    self.damaged_since = self.damaged_since or moment.arrival
                    self.damaged_at = moment.arrival
                resolve(self.began)
                self._show(moment.arrival, frame)
                if now >= flush_at:
                    times.flush()
                    flush_at = now + FLUSH_INTERVAL
                self._busy_since = None
            item = self._queue.get()

    def _count_left(self) -> int:
        """Return how many frames wait for an encoder that has failed."""
        left = 0
        while not self._queue.empty():
            left += self._queue.get() is not None
        return left

    def _make_video(self, first: VideoFrame) -> tuple[Video, Path]:
        """Make the video of the next part that is not there yet; return it, and where its times belong."""
        folder, stem = self.session.folder, f"_iblrig_{self.options.label}Camera"
        while True:
            extra = f".part{self.number}" if self.number > 1 else ""
            video, times = folder / f"{stem}.raw{extra}.mp4", folder / f"{stem}.times{extra}.npy"
            if not times.exists():
                with contextlib.suppress(FileExistsError):
                    return Video(video, first, self._rate, self.options), times
            self.number += 1

    def _explain(self, error: Exception) -> AdapterError:
        camera, folder = f"camera {self.options.label}", self.session.folder
        match error:
            case OSError(errno=errno.ENOSPC):
                text = f"{camera}: the disk of {folder} is full: free space and begin a new session"
            case OSError():
                text = f"{camera}: cannot write to {folder} ({why_not(error)}): check the disk"
            case _:
                text = f"{camera}: recording failed ({error!r}): the log tells where; begin a new session"
        return AdapterError(f"{text}; what was written is kept")
