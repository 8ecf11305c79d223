"""Decodes pictures, and tells which of them came damaged: they are recorded all the same, and counted."""

from __future__ import annotations

import av.error
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

ODD_CAMERA = 10
"""Pictures after which a camera of whose JPEGs FFmpeg likes none is taken to make them so."""
_END, _SCAN = b"\xff\xd9", b"\xff\xda"
"""What ends a JPEG, and what begins the part that is the picture; neither can stand within that part."""
_DAMAGED = "damaged"


def is_damaged(frame: VideoFrame) -> bool:
    """Return whether a picture came damaged; said by a `Decoder` before it gives the picture away."""
    return frame.opaque == _DAMAGED


def is_cut_off(jpeg: bytes) -> bool:
    """Return whether a JPEG has no end: cameras pad behind it, and there may be a small picture before."""
    end = jpeg.rfind(_END)
    return end < 0 or jpeg.find(_SCAN, end) >= 0


class Decoder:
    """Decodes the packets of one stream, in turn.

    Parameters
    ----------
    stream : VideoStream
        Of which nothing has been decoded yet.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._owes = False
        """Whether a damaged packet has given no picture yet."""
        self._is_jpeg = stream.codec_context.name == "mjpeg"
        if self._is_jpeg:
            self._jpegs = _Jpegs()
            # FFmpeg conceals what is wrong in a JPEG and does not tell, unless it is to give up there
            stream.codec_context.options = {"err_detect": "explode"}

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Return the pictures that are complete with this packet.

        Raises
        ------
        av.error.InvalidDataError
            Nothing can be seen in it.
        """
        self._owes |= packet.is_corrupt
        if self._is_jpeg and packet.size:
            frames, is_whole = self._jpegs.decode(packet)
            self._owes |= not is_whole
        else:
            frames = packet.decode()
        for frame in frames:
            if self._owes or frame.is_corrupt:
                frame.opaque = _DAMAGED
                self._owes = False
        return frames


class _Jpegs:
    """Decodes JPEGs strictly, and those that are not right in a second way.

    What all pictures of a camera have in common is no damage: some cameras write no end, others odd headers.
    """

    def __init__(self) -> None:
        self._lenient = CodecContext.create("mjpeg", "r")
        self._lenient.thread_count = 1
        self._ends = False
        """Whether one had its end."""
        self._refused: int | None = 0
        """How many were not right before the first one that was; None: there was one."""

    def decode(self, packet: Packet[VideoStream]) -> tuple[list[VideoFrame], bool]:
        """Return the picture, and whether it is whole."""
        is_cut = is_cut_off(bytes(packet))
        self._ends |= not is_cut
        is_whole = not (is_cut and self._ends)
        if self._refused is None or self._refused < ODD_CAMERA:
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                if self._refused is None:
                    is_whole = False
                else:
                    self._refused += 1
            else:
                self._refused = None
                return frames, is_whole
        return [one for one in self._lenient.decode(packet) if isinstance(one, VideoFrame)], is_whole
