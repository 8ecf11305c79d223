"""Which cameras this PC has, and whether one of them gives a picture."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TEST = "test"
"""Source that draws a picture, and needs no device."""
VIDEO = Path("/sys/class/video4linux")
BY_ID = Path("/dev/v4l/by-id")
DEVICES = Path("/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCamera:
    """A camera of this PC."""

    source: str
    """As a rig's config takes it."""
    name: str
    """As its maker calls it."""


def check_installed() -> None:
    """Raise ConfigError, which says how to mend it, if what drives cameras is not installed."""
    importlib.import_module("multirig.rig.adapters.camera")


def find_cameras() -> list[FoundCamera]:
    """Return the cameras of this PC; none is opened.

    Raises
    ------
    ConfigError
        What drives cameras is not installed; the message says how to.
    """
    check_installed()
    system: str = sys.platform
    if system == "linux":
        return find_linux_cameras(VIDEO, BY_ID, DEVICES)
    import av
    import av.error

    form = "dshow" if system == "win32" else "avfoundation"
    try:
        found = av.enumerate_input_devices(form)
    except (AttributeError, ValueError, OSError, av.error.FFmpegError):
        return []  # an older PyAV, or a system that does not tell
    pairs = [
        (one.name, one.description) for one in found if not one.media_types or "video" in one.media_types
    ]
    return name_windows_cameras(pairs) if form == "dshow" else name_mac_cameras(pairs)


def find_linux_cameras(video: Path, by_id: Path, devices: Path) -> list[FoundCamera]:
    """Return the cameras that the kernel knows, each at a path that stays with it where there is one.

    Parameters
    ----------
    video : pathlib.Path
        ``/sys/class/video4linux``.
    by_id : pathlib.Path
        ``/dev/v4l/by-id``.
    devices : pathlib.Path
        ``/dev``.
    """
    lasting = {}
    if by_id.is_dir():
        lasting = {one.resolve().name: one for one in sorted(by_id.iterdir(), reverse=True)}
    found = []
    for node in sorted(video.glob("video*"), key=lambda one: (len(one.name), one.name)):
        if _read(node / "index") not in ("", "0"):
            continue  # what a camera tells beside its pictures
        path = lasting.get(node.name, devices / node.name)
        found.append(FoundCamera(source=path.as_posix(), name=_read(node / "name") or node.name))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def name_windows_cameras(devices: Iterable[tuple[str, str]]) -> list[FoundCamera]:
    """Return cameras by the name that Windows shows, or by the device's own where that name is no address.

    Parameters
    ----------
    devices : iterable of tuple of str
        Of each the name that no other has, and the one that Windows shows.
    """
    devices = list(devices)
    shown = Counter(name for _, name in devices)
    return [
        # FFmpeg parts video=…:audio=… at the colon
        FoundCamera(
            source=f"video={name if name and shown[name] == 1 and ':' not in name else own}", name=name or own
        )
        for own, name in devices
    ]


def name_mac_cameras(devices: Iterable[tuple[str, str]]) -> list[FoundCamera]:
    """Return cameras by their number; a screen that could be filmed is none."""
    return [
        FoundCamera(source=number, name=name)
        for number, name in devices
        if number.isdecimal() and not name.lower().startswith("capture screen")
    ]


def try_camera(label: str, source: str) -> str:
    """Open a camera, take one picture, and return its size and rate in words.

    Raises
    ------
    AdapterError
        It gives none; one line with the cause.
    ConfigError
        What drives cameras is not installed.
    ValueError
        The label or the source is none.
    """
    from multirig.rig.adapters.camera import CameraOptions
    from multirig.rig.adapters.camera.source import Source, complain

    options = CameraOptions(label=label, source=source)
    with Source(options) as opened:
        for _, frame in opened.read():
            if frame is not None:
                return f"{frame.width} × {frame.height} at {opened.rate:g} a second"
    raise complain(options, "gives no picture")
