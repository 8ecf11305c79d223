"""Opens a camera's source with FFmpeg and reads its frames."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame

from multirig.errors import AdapterError, why_not
from multirig.rig.adapters.camera.damage import Decoder
from multirig.rig.adapters.camera.options import CameraOptions, Kind

DEFAULT_FPS = 30.0
DEFAULT_SIZE = (640, 480)

KNOCK_LIMIT = 1.0
"""Seconds in which a network camera must take a connection."""
_PORTS = {"rtsp": 554, "http": 80, "https": 443}
"""The usual port of streams that come over a connection."""
_DEVICE_FORMAT = {"linux": "v4l2", "win32": "dshow", "darwin": "avfoundation"}

_ADVICE = {
    Kind.PATTERN: "check source and format",
    Kind.FILE: "check the path",
    Kind.DEVICE: "check that it is plugged in, that its name is right and that no other program uses it",
    Kind.URL: "check the address, the network and the camera's power",
}

_LOCKED = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
_WHO = "give its user and its password in the address, as http://USER:PASSWORD@camera/…"

_AMBIGUOUS = re.compile(r"\w+://[^@]*([/?#].*@|@.*@)")
"""A URL in which the host is not where FFmpeg looks for it, if what stands before the last @ is who looks."""


def approximate_rate(fps: float) -> Fraction:
    """Return the frame rate as FFmpeg writes it: 29.97 is 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


class Source:
    """An open source; a context manager that is used by one thread only.

    Raises
    ------
    AdapterError
        It cannot be opened or holds no video.
    """

    def __init__(self, options: CameraOptions) -> None:
        self.options = options
        self._container = _open(options)

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def rate(self) -> float:
        """Frames per second, as configured or else as the source says; a file knows its own."""
        told = self._container.streams.video[0].average_rate
        asked = None if self.options.kind is Kind.FILE and told else self.options.fps
        return asked or float(told or DEFAULT_FPS)

    @property
    def form(self) -> str:
        """FFmpeg's name of the input."""
        return str(self._container.format.name)

    def read(self) -> Iterator[tuple[int, VideoFrame | None]]:
        """Give each frame with the time at which its data arrived.

        Yields
        ------
        arrival : int
            ``time.perf_counter_ns()`` before the picture is decoded.
        frame : VideoFrame or None
            None where the data could not be decoded.
        """
        decoder = Decoder(self._container.streams.video[0])
        for packet in self._container.demux(video=0):
            arrival = time.perf_counter_ns()
            try:
                frames = decoder.decode(packet)
            except av.error.InvalidDataError:
                yield arrival, None
                continue
            for frame in frames:
                yield arrival, frame

    def rewind(self) -> None:
        """Begin again; the source is opened anew, since not every format can be wound back."""
        self.close()
        self._container = _open(self.options)

    def close(self) -> None:
        """Let go of the device or file."""
        self._container.close()


def complain(options: CameraOptions, what: str, advice: str | None = None) -> AdapterError:
    """Return the one line for the operator: which camera, what is wrong, what to do."""
    advice = advice or _ADVICE[options.kind]
    if _AMBIGUOUS.match(options.source):
        advice = "write / ? # and @ of a user or a password as %2F %3F %23 and %40, or " + advice
    return AdapterError(f"camera {options.label}: {options.name} {what}: {advice}")


def explain(options: CameraOptions, what: str, error: Exception) -> AdapterError:
    """Complain with the reason that FFmpeg or the system gives."""
    if isinstance(error, _LOCKED):
        return complain(options, "does not let this PC in", _WHO)
    if isinstance(error, av.error.ExitError):
        # what libav says when its interrupt callback ends a read that has waited too long
        reason = "it does not answer"
    elif isinstance(error, ConnectionRefusedError):
        reason = "Connection refused"  # Windows has words of its own for it, in its own language
    else:
        reason = why_not(error)
    return complain(options, f"{what} ({reason.replace(options.source, options.name)})")


def look_for(options: CameraOptions) -> None:
    """Raise AdapterError if a source is not there; it is not opened, since another program may use it."""
    match options.kind:
        case Kind.FILE if not Path(options.source).is_file():
            raise complain(options, "is not there")
        case Kind.DEVICE if (node := _device_node(options)) is not None:
            if not node.exists():
                raise complain(options, "is not there")
            if not os.access(node, os.R_OK):
                raise AdapterError(
                    f"camera {options.label}: this user may not read {node}: sudo usermod -aG video $USER"
                )
        case Kind.URL:
            _knock(options)


def _device_node(options: CameraOptions) -> Path | None:
    """Return the file that is the device, on systems where it is one."""
    if sys.platform == "linux" and options.source.isdecimal():
        return Path(f"/dev/video{options.source}")
    return Path(options.source) if options.source.startswith("/dev/") else None


def _knock(options: CameraOptions) -> None:
    """See whether somebody listens at the address of a stream, where one can see that."""
    url = urlsplit(options.source)
    try:
        port = url.port or _PORTS.get(url.scheme)
        if url.hostname and port and url.scheme in _PORTS:
            socket.create_connection((url.hostname, port), timeout=KNOCK_LIMIT).close()
    except (OSError, ValueError) as error:
        raise explain(options, "does not answer", error) from None


def _open(options: CameraOptions) -> InputContainer:
    if sys.platform == "win32" and options.kind is Kind.URL:
        _knock(options)  # there FFmpeg tries for long where a connection is refused, and has no word for it
    try:
        container = _open_input(options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise explain(options, "cannot be opened", error) from error
    if not container.streams.video:
        container.close()
        raise complain(options, "holds no video")
    # libav's frame threads hold back a frame each: the picture must come out as it comes in
    container.streams.video[0].thread_type = "SLICE"
    return container


def _open_input(options: CameraOptions) -> InputContainer:
    source, form = options.source, options.format
    asked: dict[str, str] = {}
    match options.kind:
        case Kind.PATTERN:
            form = "lavfi"
            if options.source == "test":
                width, height = options.size or DEFAULT_SIZE
                source = f"testsrc2=size={width}x{height}:rate={approximate_rate(options.fps or DEFAULT_FPS)}"
        case Kind.DEVICE:
            form = form or _DEVICE_FORMAT.get(sys.platform, "v4l2")
            if source.isdecimal() and form == "v4l2":
                source = f"/dev/video{source}"
            elif source.isdecimal() and form == "dshow":
                raise ValueError("on Windows a camera is chosen by its name, video=NAME")
            if options.fps:
                asked["framerate"] = str(approximate_rate(options.fps))
            if options.size:
                asked["video_size"] = "{}x{}".format(*options.size)
            if options.pixel_format:
                asked["pixel_format"] = options.pixel_format
    return av.open(
        source,
        "r",
        format=form,
        options=asked | options.options,
        timeout=(options.first_patience, options.patience),
    )
