"""How the pictures of a source are kept in a video: as they come, as far as H.264 holds them."""

from __future__ import annotations

from dataclasses import dataclass

from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

UNKNOWN, LIMITED, FULL = 0, 1, 2
"""Colour ranges, as FFmpeg numbers them: luma 16 to 235 is black to white, or 0 to 255."""
RANGES = {LIMITED: "limited", FULL: "full"}
"""Their names."""

_NOT_SAID = 2
"""FFmpeg's number for a matrix, primaries or a transfer that nobody has told."""
_RGB, _BT601 = 0, 6
"""FFmpeg's numbers of two matrices: none at all, and the one that its scaler and OpenCV take untold."""
_SRGB = (1, 13)
"""Primaries and transfer of what a computer calls RGB."""
_CHROMA = {(8, 8): "420", (8, 16): "422", (16, 16): "444"}
"""How many of 16 columns and lines have a colour of their own, and what that is called."""
_TWINS = {f"yuv{one}p": f"yuvj{one}p" for one in _CHROMA.values()}
_TWINS |= {full: limited for limited, full in _TWINS.items()}
"""Formats that differ in the range alone that FFmpeg's scaler takes them to have."""
_NO_COLOUR, _NO_COLOUR_10 = b"\x80", b"\x00\x02"
"""A sample of chroma that is none."""
_MOST_BITS = 10
"""What libx264 takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What a video is made of."""

    encoder: str
    """FFmpeg's name of it."""
    format: str
    """FFmpeg's name of the pixel format that the encoder is given."""
    size: tuple[int, int]
    """Width and height."""
    colour_range: int
    """`UNKNOWN` where the source does not say: whoever reads the video takes it as the source would be."""
    matrix: int = _NOT_SAID
    """FFmpeg's number."""
    primaries: int = _NOT_SAID
    """FFmpeg's number."""
    transfer: int = _NOT_SAID
    """FFmpeg's number."""
    bits_lost: int = 0
    """Bits of each of the source's values that are not kept, the lowest."""

    @property
    def range_name(self) -> str | None:
        """What its range is called; None where the source does not say."""
        return RANGES.get(self.colour_range)

    @property
    def name(self) -> str:
        """What FFmpeg calls the pixel format that a reader finds in the video, its range put aside."""
        if self.encoder == "libx264rgb":
            return "gbrp"
        return {"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p"}.get(
            self.format, self.format.replace("yuvj", "yuv")
        )


def choose_pixels(
    frame: VideoFrame, *, size: tuple[int, int] | None, lossless: bool, untold: int = UNKNOWN
) -> Pixels:
    """Choose how a source's pictures are kept; the first of them says what they are.

    Grey stays as it is, with colours that are none, since few players show a video without. Colours are kept
    for half the columns and lines, as every player and camera chip takes them, unless the video is lossless
    or its size is odd: H.264 has no odd sizes with fewer colours.

    Parameters
    ----------
    frame : VideoFrame
        The first one.
    size : tuple of int or None
        Width and height of the video; None: the source's.
    lossless : bool
        Whether all that H.264 can hold is to be kept.
    untold : int
        Colour range of a source that does not say which it has.
    """
    form, name = frame.format, frame.format.name
    width, height = size or (frame.width, frame.height)
    is_rgb = _is_rgb(form)
    each = [one.bits for one in form.components]
    bits = sum(each) if name.startswith("bayer") else max(each)
    is_deep = bits > 8
    if is_rgb and lossless and not is_deep:
        return Pixels(
            encoder="libx264rgb",
            format="bgr24" if name == "bgr24" else "rgb24",
            size=(width, height),
            colour_range=FULL,
            matrix=_RGB,
        )
    chroma = _choose_chroma(form, (width, height), lossless=lossless)
    # of deep RGB FFmpeg's scaler makes what has limited range
    colour_range = LIMITED if is_rgb and is_deep else find_range(frame, untold)
    if not is_deep and _chroma(form) == chroma and name.startswith("nv"):
        wanted = name  # as it comes: nothing is to be copied
    elif is_deep:
        wanted = f"yuv{chroma}p10le"
    else:
        wanted = f"yuvj{chroma}p" if _is_full(form) and colour_range == FULL else f"yuv{chroma}p"
    return Pixels(
        encoder="libx264",
        format=wanted,
        size=(width, height),
        colour_range=colour_range,
        matrix=_BT601 if is_rgb else frame.colorspace,
        primaries=_SRGB[0] if is_rgb else getattr(frame, "color_primaries", _NOT_SAID),
        transfer=_SRGB[1] if is_rgb else getattr(frame, "color_trc", _NOT_SAID),
        bits_lost=max(0, bits - _MOST_BITS),
    )


def convert(frame: VideoFrame, pixels: Pixels) -> VideoFrame:
    """Return a picture as the video takes it; the same one where it comes so.

    FFmpeg's scaler fits values into the range that the name of a format stands for. Where that is not to be,
    planes are copied: not every PyAV tells the scaler otherwise.
    """
    (width, height), form = pixels.size, pixels.format
    if (frame.format.name, frame.width, frame.height) == (form, width, height):
        return frame
    if _is_grey(frame.format):
        depth = "gray10le" if form.endswith("10le") else "gray"
        return _copy_planes(frame.reformat(width, height, format=depth), form)
    twin = _TWINS.get(form)
    if twin is not None and _is_full(frame.format) != form.startswith("yuvj"):
        return _copy_planes(frame.reformat(width, height, format=twin), form)
    return frame.reformat(width, height, format=form)


def _copy_planes(frame: VideoFrame, form: str) -> VideoFrame:
    """Return a picture of another format with the same values; colours that it has not are none."""
    copy = VideoFrame(frame.width, frame.height, form)
    for number, plane in enumerate(copy.planes):
        if number < len(frame.planes):
            plane.update(_take_lines(frame.planes[number], plane.line_size))
        elif form.endswith("10le"):
            plane.update(_NO_COLOUR_10 * (plane.buffer_size // 2))
        else:
            plane.update(_NO_COLOUR * plane.buffer_size)
    return copy


def _take_lines(plane: VideoPlane, length: int) -> bytes:
    """Return the lines of a plane, each of that many bytes with what pads it."""
    data, old = bytes(plane), plane.line_size
    if old == length:
        return data
    kept = min(old, length)
    return b"".join(
        data[place : place + kept].ljust(length, b"\0") for place in range(0, old * plane.height, old)
    )


def _is_full(form: VideoFormat) -> bool:
    """Whether FFmpeg's scaler takes a format for one of full range, whatever a tag says."""
    return form.name.startswith("yuvj") or _is_grey(form) or _is_rgb(form)


def find_range(frame: VideoFrame, untold: int) -> int:
    """Return the colour range of a picture, or `untold`."""
    if frame.color_range in RANGES and not frame.format.name.startswith("yuvj"):
        return frame.color_range
    return FULL if _is_full(frame.format) else untold


def _is_grey(form: VideoFormat) -> bool:
    return form.name.startswith(("gray", "ya", "mono"))


def _is_rgb(form: VideoFormat) -> bool:
    return form.is_rgb or form.has_palette or form.name.startswith("bayer")


def _chroma(form: VideoFormat) -> str | None:
    return _CHROMA.get((form.chroma_width(16), form.chroma_height(16)))


def _choose_chroma(form: VideoFormat, size: tuple[int, int], *, lossless: bool) -> str:
    width, height = size
    if width % 2:
        return "444"
    wanted = "420" if _is_grey(form) or not lossless else _chroma(form) or "444"
    return "422" if height % 2 and wanted == "420" else wanted
