"""How wrong the times of frames are, held against sources whose truth is known, and whether the bound holds.

Each source shows the number of each frame in its picture and tells when frame 0 was due, so that the truth of
each recorded frame is known. The least delay of all, that no recording can see, is taken off. The cameras run
in processes of their own, on this computer's clock; what they send is held up once for 1.5 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from benchmarks.camera_sources import CYCLE, DARKEST, FPS, HICCUP, RTSP, SIZE, STEP, read_numbers
from benchmarks.ports import free_ports
from multirig.protocol.exp_ref import ExpRef
from multirig.rig.adapter import Evidence, Session
from multirig.rig.adapters.camera import Camera

SECONDS = 14.0
"""Of recording."""
SYSTEM_PYTHON = "/usr/bin/python3"
CORES = 2
"""Which are kept busy."""
CLAIM = 2.0
"""Milliseconds that a frame's time may be off where the source has a clock, whatever is held up."""
QUICK = {"probesize": "20000", "analyzeduration": "500000"}
SOURCES: dict[str, dict[str, Any]] = {
    "RTSP": {"source": "rtsp://127.0.0.1:{port}/camera", "options": {"rtsp_transport": "tcp"} | QUICK},
    "MPEG-TS over UDP": {"source": "udp://127.0.0.1:{port}", "format": "mpegts", "options": QUICK},
    "MPEG-TS over TCP": {"source": "tcp://127.0.0.1:{port}", "format": "mpegts", "options": QUICK},
    "MJPEG over HTTP": {"source": "http://127.0.0.1:{port}/", "format": "mpjpeg"},
}
"""What stands in a rig's configuration for each kind of camera."""
LOADS = ("idle", "busy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of one recording; seconds."""

    times: np.ndarray
    arrivals: np.ndarray | None
    evidence: Evidence


def measure(kind: str, load: str) -> Errors:
    """Record a source once; return by how much each frame's time was off."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as folder, _busy(CORES if load == "busy" else 0):
        with _run(kind, port) as source:
            options = SOURCES[kind] | {"source": SOURCES[kind]["source"].format(port=port)}
            session, camera = asyncio.run(_record(Path(folder), options))
            began = int(_read_line(source)) / 1e9
        return _compare(session, camera, began)


def _compare(session: Session, camera: Camera, began: float) -> Errors:
    stem = session.folder / "_iblrig_leftCamera"
    times = np.load(f"{stem}.times.npy")
    arrivals = Path(f"{stem}.arrivals.npy")
    came = np.load(arrivals) if arrivals.exists() else times
    numbers = read_numbers(f"{stem}.raw.mp4")
    due = began + numbers / FPS
    # the number that is shown tells not which round it is of
    due += round(float(np.median(times - due)) * FPS / CYCLE - 0.4) * CYCLE / FPS
    least = np.min(came - due)
    [evidence] = [one.evidence for one in camera.files() if one.path.endswith("times.npy")]
    if evidence is None:
        raise RuntimeError("the camera tells nothing of its times")
    return Errors(
        times=times - due - least,
        arrivals=None if came is times else came - due - least,
        evidence=evidence,
    )


async def _record(folder: Path, options: dict[str, Any]) -> tuple[Session, Camera]:
    session_folder = folder / "bench"
    (session_folder / "raw_video_data").mkdir(parents=True)
    camera = TypeAdapter(Camera).validate_python(
        {"cameras": [{"label": "left", **options}], "min_free_gb": 0}
    )
    camera.session = Session(
        exp_ref=ExpRef(datetime.date(2024, 5, 6), 1, "bench"),
        session_folder=session_folder,
        folder=session_folder / "raw_video_data",
        to_session_time=lambda stamp: stamp,
    )
    await camera.initialise()
    await camera.start()
    await asyncio.sleep(SECONDS)
    await camera.stop()
    await camera.cleanup()
    return camera.session, camera


@contextlib.contextmanager
def _run(kind: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a camera in a process of its own while the block lasts."""
    if kind == "RTSP":
        figures = (port, *SIZE, FPS, CYCLE, STEP, DARKEST, *HICCUP)
        command = [SYSTEM_PYTHON, "-c", RTSP, *map(str, figures)]
    else:
        command = [sys.executable, "-m", "benchmarks.camera_sources", kind, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            _read_line(process)
            yield process
        finally:
            process.kill()


def _read_line(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError("the camera does not come")
    return line


@contextlib.contextmanager
def _busy(cores: int) -> Iterator[None]:
    """Keep cores busy while the block lasts."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def can_serve_rtsp() -> bool:
    """Whether this computer has GStreamer's RTSP server."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    with contextlib.suppress(OSError):
        return subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0
    return False


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    outside = 0
    for kind in SOURCES:
        if kind == "RTSP" and not can_serve_rtsp():
            say("  RTSP was not measured: GStreamer's server (gir1.2-gst-rtsp-server-1.0) is not here")
            continue
        for load in LOADS:
            found = measure(kind, load)
            off = np.abs(found.times) * 1e3
            told = found.evidence
            bound = "none" if told.bound is None else f"{told.bound * 1e3:.2f} ms"
            came = "" if found.arrivals is None else f"; arrivals up to {np.max(found.arrivals) * 1e3:.0f} ms"
            say(
                f"  {kind:<17} {load}: median {np.median(off):.3f} ms, p99 {np.percentile(off, 99):.3f} ms, "
                f"most {np.max(off):.3f} ms, bound {bound}, by {told.stamped_by}, "
                f"{told.bursts} in bursts, {len(off)} frames{came}"
            )
            if told.stamped_by == "source" and told.bound is not None:  # of arrivals it is an estimate
                outside += int(np.sum(off > told.bound * 1e3))
                claim(f"{kind}, {load}: the worst frame", float(np.max(off)), CLAIM, "ms")
    claim("frames outside of their bound", outside, 0, "frames")
