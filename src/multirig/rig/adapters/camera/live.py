"""What one camera sees now: a small JPEG picture, made from the newest frame when somebody asks."""

from __future__ import annotations

from fractions import Fraction
from threading import Lock
from types import TracebackType

from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter

from multirig.rig.adapter import MAX_PICTURE, Picture

MAX_WIDTH = 240
"""Pixels: what a card shows."""
MAX_HEIGHT = 320
"""Pixels, for a camera that stands upright."""
QUANTISERS = (3, 6, 12, 24, 31)
"""JPEG's coarseness, the best first; the last one is the coarsest there is."""
MIN_WIDTH = 16
"""Pixels; a picture that is too large even so has no use."""


class LivePicture:
    """Holds a camera's newest frame, not a copy, and makes a picture of it when asked.

    `show` is called for each frame and waits for nobody. A context manager: a driver's frames may lie in
    memory that goes with it, so that at the end, before the source is closed, the frame is let go of.

    Parameters
    ----------
    label : str
        Of the camera.
    """

    def __init__(self, label: str) -> None:
        self.last: Picture | None = None
        """The picture that was made last; None before the first, and when the source is closed."""
        self._label = label
        self._newest: tuple[int, VideoFrame] | None = None
        self._is_open = False
        self._lock = Lock()
        """Held while a picture is made, by `take` and never by `show`."""
        # its own: the frame's would be used by the encoder's thread at the same time
        self._reformatter = VideoReformatter()

    def __enter__(self) -> LivePicture:
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        with self._lock:
            self._newest = self.last = None

    @property
    def can_be_seen(self) -> bool:
        """Whether there is a frame."""
        return self._newest is not None

    def show(self, stamp: int, frame: VideoFrame) -> None:
        """Take the newest frame, that came at that time of this PC's clock, in nanoseconds."""
        self._newest = (stamp, frame)
        if not self._is_open:  # from an encoder that ends late
            self._newest = None

    def take(self) -> Picture | None:
        """Return a picture of the newest frame; None where there is no frame, or none that can be shown."""
        with self._lock:
            self._take()
            return self.last

    def _take(self) -> None:
        newest = self._newest  # a local: the frame must not outlive the lock
        if newest is not None and (self.last is None or self.last.at != newest[0]):
            jpeg = encode_small(newest[1], self._reformatter)
            self.last = Picture(label=self._label, jpeg=jpeg, at=newest[0]) if jpeg is not None else None


def fit(width: int, height: int, max_width: int = MAX_WIDTH) -> tuple[int, int]:
    """Return an even width and height of the same shape, at most so wide, and never larger than before."""
    scale = min(1.0, max_width / width, MAX_HEIGHT / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def encode_small(frame: VideoFrame, reformatter: VideoReformatter, limit: int = MAX_PICTURE) -> bytes | None:
    """Return a small JPEG picture of a frame, as good as fits into so many bytes.

    Returns
    -------
    bytes or None
        None where it does not fit however coarse and small it is.
    """
    width = MAX_WIDTH
    while width >= MIN_WIDTH:
        small = reformatter.reformat(frame, *fit(frame.width, frame.height, width), format="yuvj420p")
        for quantiser in QUANTISERS:
            jpeg = _encode(small, quantiser)
            if len(jpeg) <= limit:
                return jpeg
        width //= 2
    return None


def _encode(picture: VideoFrame, quantiser: int) -> bytes:
    encoder: VideoCodecContext = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1  # a picture is no work for several
    encoder.options = {"qmin": str(quantiser), "qmax": str(quantiser)}
    picture.pts, picture.time_base, picture.pict_type = 0, encoder.time_base, PictureType.NONE
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
