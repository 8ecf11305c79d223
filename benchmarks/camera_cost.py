"""What a camera costs the processor, against a bare loop of PyAV and against ffmpeg's own program.

All three decode the same MJPEG film, 1280 × 1024 at 60 frames a second, and encode it by the same settings.
Each runs in a process of its own, in turn; counted is its processor's time, but for what it takes to load.
"""

from __future__ import annotations

import asyncio
import datetime
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from pydantic import TypeAdapter

from multirig.protocol.exp_ref import ExpRef
from multirig.rig.adapter import Session
from multirig.rig.adapters.camera import Camera

FPS, SIZE, FRAMES = 60, (1280, 1024), 240
ROUNDS = 5
PATIENCE = 60.0
"""Seconds that a busy computer may need for the film."""
CLAIM = 1.10
"""Times the processor's time of the bare loop, at most, in the median over the rounds."""


def make_film(path: Path) -> None:
    """Write the film: a gradient that moves, with some noise, as a dim camera has it."""
    chance = np.random.default_rng(1)
    wave = np.tile(np.linspace(0, 255, SIZE[0]), (SIZE[1], 1))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        noise = [chance.normal(0, 4, (SIZE[1], SIZE[0])) for _ in range(4)]
        for number in range(FRAMES):
            grey = np.clip(np.roll(wave, number * 4, 1) + noise[number % 4], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        container.mux(stream.encode(None))


def run_bare(film: Path, folder: Path) -> float:
    """Decode and encode by a loop that does nothing else; return the processor's seconds."""
    began = time.process_time()
    with av.open(str(film)) as source, av.open(str(folder / "bare.mp4"), "w") as out:
        source.streams.video[0].thread_type = "SLICE"
        options = {"preset": "ultrafast", "crf": "23", "tune": "zerolatency"}
        stream: Any = out.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.thread_count = FPS, 1
        for frame in source.decode(video=0):
            picture = frame.reformat(*SIZE, format="yuv420p")
            picture.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return time.process_time() - began


def run_ours(film: Path, folder: Path) -> float:
    """Record the film as it is played, by the camera adapter; return the processor's seconds."""
    began = time.process_time()
    asyncio.run(_record(film, folder))
    return time.process_time() - began


async def _record(film: Path, folder: Path) -> None:
    (folder / "raw_video_data").mkdir()
    # the queue holds the whole film, so that a busy computer drops no frame of it
    options = {"label": "left", "source": str(film), "queue": FRAMES}
    camera = TypeAdapter(Camera).validate_python({"cameras": [options], "min_free_gb": 0})
    camera.session = Session(
        exp_ref=ExpRef(datetime.date(2024, 5, 6), 1, "bench"),
        session_folder=folder,
        folder=folder / "raw_video_data",
        to_session_time=lambda stamp: stamp,
    )
    await camera.initialise()
    await camera.start()
    deadline = time.monotonic() + PATIENCE
    while camera.health().frames < FRAMES - 1 and time.monotonic() < deadline:
        await asyncio.sleep(0.25)
    await camera.stop()
    await camera.cleanup()
    if camera.health().frames != FRAMES:
        raise RuntimeError(f"only {camera.health().frames} of {FRAMES} frames were recorded")


def run_ffmpeg(film: Path, folder: Path) -> float:
    """Let ffmpeg's own program do it; return the processor's seconds."""
    command = ["ffmpeg", "-loglevel", "error", "-threads", "1", "-i", str(film), "-c:v", "libx264"]
    command += ["-preset", "ultrafast", "-crf", "23", "-tune", "zerolatency", "-threads", "1", "-g", str(FPS)]
    command += ["-pix_fmt", "yuv420p", str(folder / "ffmpeg.mp4")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


KINDS: dict[str, Callable[[Path, Path], float]] = {
    "a bare loop of PyAV": run_bare,
    "multirig": run_ours,
    "ffmpeg's program": run_ffmpeg,
}


def measure() -> dict[str, list[float]]:
    """Return the processor's seconds of each, round by round."""
    kinds = [kind for kind in KINDS if kind != "ffmpeg's program" or shutil.which("ffmpeg")]
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as place:
        film = Path(place) / "film.avi"
        make_film(film)
        for number in range(ROUNDS + 1):
            for kind in kinds if number % 2 else reversed(kinds):
                with tempfile.TemporaryDirectory() as folder:
                    command = [sys.executable, "-m", "benchmarks.camera_cost", kind, str(film), folder]
                    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                if number:  # the first round warms up
                    spent[kind].append(float(done.stdout))
    return spent


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    spent = measure()
    bare = spent["a bare loop of PyAV"]
    for kind, seconds in spent.items():
        ratios = [one / other for one, other in zip(seconds, bare, strict=True)]
        say(
            f"  {kind:<20} {median(seconds) / FRAMES * 1e3:6.2f} ms of the processor a frame, "
            f"{median(ratios):.3f} x ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    ratio = median(one / other for one, other in zip(spent["multirig"], bare, strict=True))
    claim("a camera's processor time against a bare loop of PyAV", ratio, CLAIM)


if __name__ == "__main__":
    print(KINDS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3])))
