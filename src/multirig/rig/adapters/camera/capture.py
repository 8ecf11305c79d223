"""One camera's thread: holds the source open and gives its frames to the recording."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import chain
from threading import Event, Thread

from av.video.frame import VideoFrame

from multirig.errors import AdapterError
from multirig.rig.adapters.camera.live import LivePicture
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.promise import promise, resolve
from multirig.rig.adapters.camera.recording import Recording
from multirig.rig.adapters.camera.source import DEFAULT_FPS, Source, complain, explain

log = logging.getLogger(__name__)


class Capture:
    """Reads one source from `open` until `release`.

    A live source is read all the time, and its frames are thrown away while nothing is recorded: so the first
    recorded frame is a fresh one. The test pattern and files wait at their first frame and play from each
    start of a recording, each frame at its absolute due time on this PC's monotonic clock, so that errors do
    not add up.
    """

    def __init__(self, options: CameraOptions) -> None:
        self.options = options
        self.error: AdapterError | None = None
        """Why the source failed."""
        self.opened = promise()
        """Done when there was a first frame, or `error` says why not."""
        self.closed = promise()
        """Done when the source is let go of."""
        self.size: tuple[int, int] | None = None
        """Width and height of the source's pictures; known when it is open."""
        self.rate = options.fps or DEFAULT_FPS
        """Frames per second, as the source says; known when it is open."""
        self.live = LivePicture(options.label)
        """What the camera sees now; while it records, the last frame that is in the video."""
        self._due = 0
        self._recording: Recording | None = None
        self._changed = Event()
        self._released = False
        # a daemon, not a worker of asyncio's pool: a driver that hangs must not keep the rig from ending
        self._thread = Thread(target=self._run, name=f"capture-{options.label}", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def record(self, recording: Recording) -> None:
        """Give the frames from now on to this recording, until it ends."""
        self._due = time.perf_counter_ns()
        self._recording = recording
        self._changed.set()

    def release(self) -> None:
        """Let go of the source, as soon as the read that is under way returns."""
        self._released = True
        self._recording = None
        self._changed.set()

    def find_failure(self, now: int) -> AdapterError | None:
        """Return why the source failed, or that a recording has waited too long for its next frame."""
        if not self.error and self._wanted() and now - self._due > self.options.patience:
            return complain(self.options, "gives no frames, or too slowly")
        return self.error

    def _wanted(self) -> Recording | None:
        recording = self._recording
        return recording if recording and not recording.ended else None

    def _run(self) -> None:
        try:
            while not self._released:
                with Source(self.options) as source, self.live:
                    self.rate = source.rate
                    if self.options.kind.live:
                        self._forward(source)
                    else:
                        self._play(source)
        except AdapterError as error:
            self.error = error
        except Exception as error:
            log.exception("camera %s: reading failed", self.options.label)
            self.error = explain(self.options, "can no longer be read", error)
        finally:
            resolve(self.opened)
            resolve(self.closed)

    def _forward(self, source: Source) -> None:
        """Give each frame of a live source to the recording of the moment."""
        for arrival, frame in source.read():
            if self._released:
                return
            if frame is not None:
                self._due = arrival
                self._show(arrival, frame)
            self._deliver(self._wanted(), arrival, frame)
        raise complain(self.options, "has ended")

    def _play(self, source: Source) -> None:
        """Show the first frame, wait for a recording, and play into it."""
        frames = self._schedule(source)
        first = next(((offset, frame) for offset, frame in frames if frame is not None), None)
        if first is None:
            raise complain(self.options, "holds no picture")
        self._show(time.perf_counter_ns(), first[1])
        recording = self._await_recording()
        if recording is None:
            return
        begin = time.perf_counter_ns()
        for offset, frame in chain((first,), frames):
            if not self._wait_until(begin + offset, recording):
                return
            self._deliver(recording, time.perf_counter_ns(), frame)
        recording.finish()

    def _schedule(self, source: Source) -> Iterator[tuple[int, VideoFrame | None]]:
        """Give each frame with its due time in nanoseconds from the first one."""
        interval = round(NANOSECONDS / source.rate)
        begin, offset = 0, -interval
        while True:
            first: float | None = None
            for _, frame in source.read():
                offset += interval
                if frame and frame.pts is not None and frame.time_base:
                    seconds = float(frame.pts * frame.time_base)
                    first = seconds if first is None else first
                    offset = begin + round((seconds - first) * NANOSECONDS)
                yield offset, frame
            if not self.options.loop or offset < begin:
                return
            begin = offset + interval
            source.rewind()

    def _show(self, stamp: int, frame: VideoFrame) -> None:
        if self._wanted() is None:
            self.live.show(stamp, frame)
        if not self.opened.done():
            self.size = (frame.width, frame.height)
            resolve(self.opened)

    def _await_recording(self) -> Recording | None:
        while True:
            # cleared before it is looked at what has changed, so that no change is slept through
            self._changed.clear()
            recording = self._wanted()
            if recording or self._released:
                return recording
            self._changed.wait()

    def _wait_until(self, due: int, recording: Recording) -> bool:
        """Return at the due time, or at once and False if the recording ends before."""
        self._due = due
        while self._wanted() is recording:
            left = due - time.perf_counter_ns()
            if left <= 0:
                return True
            self._changed.wait(left / NANOSECONDS)
            self._changed.clear()
        return False

    def _deliver(self, recording: Recording | None, stamp: int, frame: VideoFrame | None) -> None:
        if recording is None:
            return
        if frame is None:
            recording.drop()
        else:
            recording.offer(stamp, frame)
