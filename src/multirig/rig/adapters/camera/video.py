"""One H.264 video in an MP4 file that is whole at every moment."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from multirig.rig.adapters.camera.disk import SealedFile
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.source import approximate_rate

CLOCK_RATE = 90_000
"""Ticks a second of the video's own time stamps: MPEG's, which every player knows."""

_MUXER = {
    # While it is written each frame is a fragment of its own: a killed process loses one frame at most.
    # When it is closed the index is written and the file is a plain MP4 (FFmpeg 7.1 and later).
    "movflags": "hybrid_fragmented+frag_every_frame",
    "flush_packets": "1",
}


class Video:
    """Encodes frames into a new file; used by one thread only.

    Parameters
    ----------
    path : Path
        The file; must not exist yet.
    size : tuple of int
        Width and height in pixels, even.
    rate : float
        Frames per second that are expected; the true times of the frames go into the video.
    options : CameraOptions
        How to encode.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float, options: CameraOptions) -> None:
        self.path = path
        self.frames = 0
        """Frames in the file."""
        self.size = size
        """Width and height in pixels."""
        self._first: int | None = None
        self._last_tick = -1
        self._is_indexed = False
        self._file = SealedFile(path)
        self._container = av.open(self._file, "w", format="mp4", options=_MUXER)
        self._stream = self._container.add_stream(
            "libx264",
            rate=approximate_rate(rate),
            # no frame waits for a later one: each is in the file as soon as it is encoded
            options={"preset": options.preset, "crf": str(options.crf), "tune": "zerolatency"},
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, CLOCK_RATE)
        self._stream.codec_context.gop_size = max(1, round(rate))
        self._stream.codec_context.thread_count = options.threads

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self._file.size

    def write(self, stamp: int, frame: VideoFrame) -> None:
        """Encode one frame that was taken at that time of this PC's clock, in nanoseconds."""
        if self._first is None:
            self._first = stamp
        picture = frame.reformat(*self.size, format="yuv420p")
        self._last_tick = max((stamp - self._first) * CLOCK_RATE // NANOSECONDS, self._last_tick + 1)
        picture.pts = self._last_tick
        picture.time_base = Fraction(1, CLOCK_RATE)
        # a decoded picture says how it was encoded, and the encoder would take that as an order
        picture.pict_type = PictureType.NONE
        self._mux(self._stream.encode(picture))

    def close(self) -> None:
        """Write the index and close the file; after a write that failed, leave it as it was before."""
        try:
            if not self._file.failed:
                self._mux(self._stream.encode(None))
                self._container.close()
                self._is_indexed = True
        finally:
            if not self._is_indexed:
                # the last frame was still in the muxer, which writes each when the next one comes
                self.frames = max(0, self.frames - 1)
            if self._file.failed:
                with contextlib.suppress(av.error.FFmpegError, OSError):
                    self._container.close()
            self._file.close()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._container.mux(packet)
            self._file.mark_whole()
            self.frames += 1
