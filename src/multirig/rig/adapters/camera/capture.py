"""One camera's thread: holds the source open, and opens it again, and gives its frames to the recording."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import chain
from threading import Event, Thread

from av.video.frame import VideoFrame

from multirig.errors import AdapterError
from multirig.rig.adapters.camera.frame_clock import Moment
from multirig.rig.adapters.camera.live import LivePicture
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.promise import promise, resolve
from multirig.rig.adapters.camera.source import DEFAULT_FPS, Source, complain, explain
from multirig.rig.adapters.camera.stamps import Stamper
from multirig.rig.adapters.camera.take import Take

FIRST_WAIT = 0.1
"""Seconds before a source that has failed is opened again."""
LONGEST_WAIT = 5.0
"""Seconds to which that wait grows, while the source is away."""
SHARE_WAITED = 0.25
"""Of the time that a source is away: it comes back at most so much later than it could."""
WELL_AGAIN = 10 * NANOSECONDS
"""So long a source must have given frames for its next failure to count as the first."""
MARGIN = NANOSECONDS
"""In which libav's own time limit ends a read that waits too long; what goes on after that has hung."""

log = logging.getLogger(__name__)


def find_wait(away: float) -> float:
    """Return the seconds until a source that was not there for `away` seconds is opened again."""
    return min(max(FIRST_WAIT, SHARE_WAITED * away), LONGEST_WAIT)


class Capture:
    """Reads one source from `open` until `release`.

    A live source is read all the time, and its frames are thrown away while nothing is recorded: so the first
    recorded frame is a fresh one. When it fails after it had been there, it is opened again, until `release`.
    The test pattern and files wait at their first frame and play from each start of a recording, each frame
    at its absolute due time on this PC's monotonic clock, so that errors do not add up.

    Parameters
    ----------
    options : CameraOptions
        Of the camera.
    take : Take, optional
        What another capture has recorded of this source until it hung; then the source was there before.
    """

    def __init__(self, options: CameraOptions, take: Take | None = None) -> None:
        self.options = options
        self.error: AdapterError | None = None
        """Why the source failed, for good."""
        self.trouble: AdapterError | None = None
        """Why the source that was there is not there now."""
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
        self._was_there = take is not None
        self._due = time.perf_counter_ns()
        self._well_since: int | None = None
        self._take = take
        self._changed = Event()
        self._released = False
        # a daemon, not a worker of asyncio's pool: a driver that hangs must not keep the rig from ending
        self._thread = Thread(target=self._run, name=f"capture-{options.label}", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def record(self, take: Take) -> None:
        """Give the frames from now on to this take, until it ends."""
        self._due = time.perf_counter_ns()
        take.begin(self._due)
        self._take = take
        self._changed.set()

    def release(self) -> None:
        """Let go of the source, as soon as the read that is under way returns."""
        self._released = True
        self._take = None
        self._changed.set()

    def is_overdue(self, now: int) -> bool:
        """Whether the read that is under way has taken longer than it ever should."""
        return now - self._due > self.options.patience * NANOSECONDS + MARGIN

    def has_hung(self, now: int) -> bool:
        """Whether a recording waits for a read of which libav's time limit has made no end."""
        is_reading = self.trouble is None and not self.closed.done()
        return is_reading and self._wanted() is not None and self.is_overdue(now)

    def follow(self) -> Capture | None:
        """Leave a read that has hung; return another that opens the source anew, where it can be."""
        take = self._wanted()
        if take is not None:
            take.break_off(complain(self.options, "gives no frames, or too slowly"))
        self.release()
        return Capture(self.options, take) if self.options.kind.live else None

    def _wanted(self) -> Take | None:
        take = self._take
        return take if take and not take.ended else None

    def _run(self) -> None:
        away_since = time.monotonic()
        try:
            while not self._released:
                try:
                    self._hold()
                except AdapterError as error:
                    failure = error
                except Exception as error:
                    log.exception("camera %s: reading failed", self.options.label)
                    failure = explain(self.options, "can no longer be read", error)
                else:
                    continue
                if self._is_well():
                    away_since = time.monotonic()
                if not self._lose(failure):
                    return
                self._sleep(find_wait(time.monotonic() - away_since))
        finally:
            resolve(self.opened)
            resolve(self.closed)

    def _hold(self) -> None:
        """Open the source and give its frames until it fails, or is let go of."""
        with Source(self.options) as source, self.live:
            self.rate = source.rate
            if self.options.kind.live:
                self._forward(source)
            else:
                self._play(source)

    def _is_well(self) -> bool:
        """Whether the source was there for long; from now on it is not."""
        since, self._well_since = self._well_since, None
        return since is not None and time.perf_counter_ns() - since > WELL_AGAIN

    def _lose(self, failure: AdapterError) -> bool:
        """Tell of a failure; return whether the source is to be opened again."""
        if self._released:
            return False
        if (take := self._wanted()) is not None:
            take.break_off(failure)
        if not (self._was_there and self.options.kind.live):
            self.error = failure
            return False
        if self.trouble is None:
            log.warning("%s; it is opened again", failure.message)
        self.trouble = failure
        return True

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._released and (left := end - time.monotonic()) > 0:
            self._changed.wait(left)
            self._changed.clear()

    def _forward(self, source: Source) -> None:
        """Give each frame of a live source to the recording of the moment."""
        stamper = Stamper(source.form, self.options.options)
        for arrival, frame in source.read():
            if self._released:
                return
            take = self._wanted()
            if frame is None:
                if take is not None:
                    take.drop()
                continue
            self._due = arrival
            moment = stamper.stamp(arrival, frame)
            self._show(arrival, frame)
            if take is not None:
                take.rate = self.rate
                take.offer(moment, frame)
        raise complain(self.options, "has ended")

    def _play(self, source: Source) -> None:
        """Show the first frame, wait for a recording, and play into it."""
        frames = self._schedule(source)
        first = next(((offset, frame) for offset, frame in frames if frame is not None), None)
        if first is None:
            raise complain(self.options, "holds no picture")
        self._show(time.perf_counter_ns(), first[1])
        take = self._await_take()
        if take is None:
            return
        begin = time.perf_counter_ns()
        for offset, frame in chain((first,), frames):
            due = begin + offset
            if not self._wait_until(due, take):
                return
            now = time.perf_counter_ns()
            if now - due > self.options.patience * NANOSECONDS:
                raise complain(self.options, "gives no frames, or too slowly")
            if frame is None:
                take.drop()
            else:
                take.offer(Moment(now, due, by_source=True), frame)
        take.end_by_itself()

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
        if self._well_since is None:
            self._well_since, self._was_there, self.trouble = stamp, True, None
            self.size = (frame.width, frame.height)
        if self._wanted() is None:
            self.live.show(stamp, frame)
        if not self.opened.done():
            resolve(self.opened)

    def _await_take(self) -> Take | None:
        while True:
            # cleared before it is looked at what has changed, so that no change is slept through
            self._changed.clear()
            take = self._wanted()
            if take or self._released:
                return take
            self._changed.wait()

    def _wait_until(self, due: int, take: Take) -> bool:
        """Return at the due time, or at once and False if the recording ends before."""
        self._due = due
        while self._wanted() is take:
            left = due - time.perf_counter_ns()
            if left <= 0:
                return True
            self._changed.wait(left / NANOSECONDS)
            self._changed.clear()
        return False
