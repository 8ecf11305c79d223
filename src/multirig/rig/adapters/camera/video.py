"""One H.264 video in an MP4 file that is whole at every moment."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from multirig.rig.adapters.camera.disk import SealedFile
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.pixels import FULL, LIMITED, RANGES, UNKNOWN, choose_pixels, convert
from multirig.rig.adapters.camera.source import approximate_rate

CLOCK_RATE = 90_000
"""Ticks a second of the video's own time stamps: MPEG's, which every player knows."""

_FLAGS = "hybrid_fragmented+frag_every_frame+empty_moov"
"""While it is written each frame is a fragment of its own: a killed process loses one frame at most, and no
reader takes what stands at the head of the file for all that there is.
When it is closed the index is written and the file is a plain MP4 (FFmpeg 7.1 and later)."""
_UNTOLD = {None: UNKNOWN, "limited": LIMITED, "full": FULL}


def choose_last_length(frames: int, last: int, told: Fraction) -> int:
    """Return how long the last frame of a video is shown, of which nothing follows to tell it; ticks.

    A video's rate is its frames by its length, and many a program cuts the digits of 29.9993 off. So the
    length is that of a rate that people name, where the last frame lies within a period of where it would be.

    Parameters
    ----------
    frames : int
        In the video.
    last : int
        When the last one is shown, ticks from the first.
    told : Fraction
        Frames a second that the source has promised.
    """
    rates = [told]
    if frames > 1 and last > 0:
        mean = Fraction((frames - 1) * CLOCK_RATE, last)
        rates += [Fraction(round(mean)), Fraction(round(mean * 1001 / 1000) * 1000, 1001)]
    for rate in rates:
        if rate > 0:
            # rounded down, so that the rate is never just below
            length = int(frames * CLOCK_RATE / rate) - last
            if 0 < length < 2 * CLOCK_RATE / rate:
                return length
    return max(1, last // (frames - 1))


class Video:
    """Encodes frames into a new file; used by one thread only.

    Parameters
    ----------
    path : Path
        The file; must not exist yet.
    first : VideoFrame
        The first frame, not written yet: it tells what the source's pictures are made of.
    rate : float
        Frames per second that are expected; the true times of the frames go into the video.
    options : CameraOptions
        How to encode.
    """

    def __init__(self, path: Path, first: VideoFrame, rate: float, options: CameraOptions) -> None:
        self.path = path
        self.frames = 0
        """Frames in the file."""
        self.pixels = choose_pixels(
            first, size=options.size, lossless=options.crf == 0, untold=_UNTOLD[options.colour_range]
        )
        """How its pictures are kept."""
        self._first: int | None = None
        self._last_tick = -1
        self._rate = approximate_rate(rate)
        self._is_indexed = False
        self._file = SealedFile(path)
        # players and editors look for the range there too; without one there is nothing to say
        flags = _FLAGS + ("+write_colr" if self.pixels.colour_range in RANGES else "")
        self._container = av.open(
            self._file, "w", format="mp4", options={"movflags": flags, "flush_packets": "1"}
        )
        # of 10 bits crf 0 is not lossless: x264 counts it from -12 there
        quality = {"crf": str(options.crf)} if options.crf else {"qp": "0"}
        stream = self._container.add_stream(
            self.pixels.encoder,
            rate=self._rate,
            # no frame waits for a later one: each is in the file as soon as it is encoded
            options={"preset": options.preset, **quality, "tune": "zerolatency"},
        )
        self._stream = cast(VideoStream, stream)
        self._stream.width, self._stream.height = self.pixels.size
        self._stream.pix_fmt = self.pixels.format
        context = self._stream.codec_context
        context.color_range, context.colorspace = self.pixels.colour_range, self.pixels.matrix
        context.color_primaries, context.color_trc = self.pixels.primaries, self.pixels.transfer
        context.time_base = Fraction(1, CLOCK_RATE)
        context.gop_size = max(1, round(rate))
        context.thread_count = options.threads

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self._file.size

    def write(self, stamp: int, frame: VideoFrame) -> None:
        """Encode one frame that was taken at that time of this PC's clock, in nanoseconds."""
        if self._first is None:
            self._first = stamp
        picture = convert(frame, self.pixels)
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
            # each as if it were the last, whose length alone the muxer takes from here
            packet.duration = choose_last_length(self.frames + 1, self._last_tick, self._rate)
            self._container.mux(packet)
            self._file.mark_whole()
            self.frames += 1
