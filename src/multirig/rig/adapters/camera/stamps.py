"""By whose clock the frames of a source are stamped."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from av.video.frame import VideoFrame

from multirig.rig.adapters.camera.frame_clock import SECOND, FrameClock, Moment, arrived

STAMPED = frozenset(
    "asf avfoundation dash dshow flv hls live_flv matroska,webm mov,mp4,m4a,3gp,3g2,mj2 mpeg mpegts nut ogg "
    "rtp rtsp sdp video4linux2,v4l2".split()
)
"""FFmpeg's inputs in which each frame has the time of whoever made it. In all others (a series of JPEG
pictures, bare H.264, a screen) FFmpeg itself counts frames, or looks at its clock when it reads."""
KERNEL = "video4linux2,v4l2"
"""Whose stamps are made by Linux when a frame is there, mostly on the clock that is this PC's here too."""
FRESH = 10 * SECOND
"""A kernel's stamp that is not older is on this PC's clock."""


class Stamper:
    """Tells when the frames of one source were there.

    Parameters
    ----------
    form : str
        FFmpeg's name of the input.
    asked : mapping
        Options for it.
    """

    def __init__(self, form: str, asked: Mapping[str, str]) -> None:
        # that one has FFmpeg put its own clock in the place of the source's
        is_stamped = form in STAMPED and asked.get("use_wallclock_as_timestamps", "0") == "0"
        self._clock = FrameClock() if is_stamped else None
        self._is_kernel = form == KERNEL and sys.platform == "linux"

    def stamp(self, arrival: int, frame: VideoFrame) -> Moment:
        """Return when a frame was there that came at that time of this PC's clock."""
        if self._clock is None or frame.pts is None or frame.time_base is None:
            return arrived(arrival)
        return self.place(
            arrival, frame.pts * frame.time_base.numerator * SECOND // frame.time_base.denominator
        )

    def place(self, arrival: int, stamp: int) -> Moment:
        """Return the same of a frame with that stamp, in nanoseconds."""
        if self._clock is None:
            return arrived(arrival)
        if self._is_kernel and 0 <= arrival - stamp < FRESH:
            return Moment(arrival, stamp, by_source=True)
        epoch, at = self._clock.add(stamp, arrival)
        return Moment(arrival, at, by_source=True, epoch=epoch, stamp=stamp)
