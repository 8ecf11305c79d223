"""What a rig config says of one camera."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from multirig.config import Expect
from multirig.wording import discreet_address

NANOSECONDS = 1_000_000_000

SLOW_PERIODS = 3
"""Periods of its rate for which a slow camera is waited for, where that is longer than its limits."""

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"]


class Kind(Enum):
    """How a source gives its frames."""

    PATTERN = "a picture that FFmpeg draws"
    FILE = "a video file"
    DEVICE = "a camera of this PC"
    URL = "a network stream"

    @property
    def live(self) -> bool:
        """Whether the source sets the pace; the others are paced by this PC's clock."""
        return self in (Kind.DEVICE, Kind.URL)


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height if H.264 can hold them with half as many colours (yuv420p), else raise."""
    if any(side <= 0 or side % 2 for side in size):
        raise ValueError("width and height must be positive even numbers")
    return size


class CameraOptions(BaseModel):
    """One camera of the list ``cameras``."""

    # a device number or a label such as 1 may be written in YAML without quotes
    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, use_attribute_docstrings=True
    )

    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$", max_length=64)]
    """Letters and digits; names the files, ``_iblrig_<label>Camera.raw.mp4``."""
    source: Annotated[str, Field(min_length=1)]
    """``test``, a device (``/dev/video0``, ``video=Integrated Camera``, ``0``), a URL or a file."""
    fps: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Frames per second asked of a device or of the test pattern; a file and a URL keep their own."""
    size: Annotated[tuple[int, int], AfterValidator(check_size)] | None = None
    """Width and height in pixels: asked of a device, and of the recorded video; None keeps the source's."""
    format: str | None = None
    """FFmpeg's input format where the usual one of this system is not meant: ``v4l2``, ``dshow``, …"""
    pixel_format: str | None = None
    """Pixel format asked of a device, such as ``yuyv422``."""
    colour_range: Literal["full", "limited"] | None = None
    """What of a value is black and white where the source does not say: ``full``, 0 and 255, or ``limited``,
    16 and 235, for which every program takes it otherwise."""
    options: dict[str, str] = Field(default_factory=dict)
    """FFmpeg's own options for the source, such as ``input_format: mjpeg`` or ``rtsp_transport: tcp``."""
    loop: bool = False
    """Whether a file begins again at its end; otherwise this camera's recording ends with it."""
    sync_label: Annotated[str, Field(min_length=1)] | None = None
    """Name of the main sync's line that shows this camera's frames, for the description; None: its label."""
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    """Quality of the video: 0 is lossless, 18 looks lossless, larger is smaller."""
    preset: Preset = "ultrafast"
    """Effort of the encoder: slower presets make smaller files and need more of the processor."""
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    """Threads of the encoder."""
    queue: Annotated[int, Field(ge=1)] = 60
    """Frames that may wait for the encoder; when it is full, frames are dropped and counted."""
    latency: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Seconds from the exposure of a frame to its time, as a light has shown: taken off each time."""
    expect: Expect = Expect()
    """What is expected of this camera, besides what its rig's ``expect`` says."""
    open_limit: Annotated[float, Field(gt=0)] = 10.0
    """Seconds in which the source must open and show a first picture; three periods of `fps` at least."""
    stall_limit: Annotated[float, Field(gt=0)] = 5.0
    """Seconds without a frame, or behind the due time, after which the source has failed and is opened again;
    three periods of `fps` at least."""

    @property
    def kind(self) -> Kind:
        """How the source gives its frames, read from the way it is written."""
        if self.source == "test" or self.format == "lavfi":
            return Kind.PATTERN
        if "://" in self.source:
            return Kind.URL
        if self.format or self.source.isdecimal() or self.source.startswith(("/dev/", "video=")):
            return Kind.DEVICE
        return Kind.FILE

    @property
    def name(self) -> str:
        """The source as it may be shown: without what a URL says of who looks."""
        return discreet_address(self.source)

    @property
    def latency_ns(self) -> int:
        """The latency in nanoseconds."""
        return round(self.latency * NANOSECONDS)

    @property
    def patience(self) -> float:
        """Seconds without a frame after which the source has failed; a slow camera is waited for."""
        return max(self.stall_limit, self._slow)

    @property
    def first_patience(self) -> float:
        """Seconds in which the source must open and show a first picture."""
        return max(self.open_limit, self._slow)

    @property
    def _slow(self) -> float:
        return SLOW_PERIODS / self.fps if self.fps else 0.0
