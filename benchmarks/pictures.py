"""What live pictures cost a rig that records two cameras: frames, and time of its processor.

The rig is ``multirig serve`` in a process of its own, the cameras are FFmpeg's test pattern, encoded as ever.
Whole sessions, in turn with and without somebody who watches both cameras.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.ports import free_ports
from multirig.conductor.conductor import Conductor
from multirig.protocol.messages import Event
from multirig.protocol.words import Report, Stopped, Word

CAMERAS, FPS, SIZE = ("left", "right"), 60, (640, 480)
PAIRS = 5
"""Sessions of each kind."""
SECONDS = 8.0
"""Of recording in a session."""
WATCH_EVERY = 0.5
"""Seconds between two pictures: as often as a rig makes them."""
READY_LIMIT = 15.0
CLAIM_LOST = 0.0
CLAIM_CPU = 1.1
"""Times the processor's time without pictures, at most, in the median over the pairs."""
KINDS = PLAIN, WATCHED = ("without pictures", "with pictures")


async def measure() -> dict[str, Any]:
    """Return frames lost and processor's seconds of each session, by kind, and pictures seen."""
    lost: dict[str, list[int]] = {kind: [] for kind in KINDS}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    seen: list[int] = []
    with tempfile.TemporaryDirectory() as folder, _serve(Path(folder)) as (process, uri):
        async with Conductor({"cameras": uri}, data_folder=Path(folder) / "pc", main_sync=True) as conductor:
            await _wait_until_ready(conductor)
            for number in range(PAIRS + 1):
                for kind in KINDS if number % 2 else reversed(KINDS):
                    before = _spent(process)
                    sizes: list[int] = []
                    frames = await _record(conductor, sizes if kind == WATCHED else None)
                    if number:  # the first pair warms up
                        cpu[kind].append(_spent(process) - before)
                        lost[kind].append(frames)
                        seen += sizes
    ratio = median(one / bare for one, bare in zip(cpu[WATCHED], cpu[PLAIN], strict=True))
    return {"lost": lost, "cpu": cpu, "ratio": ratio, "seen": seen}


@contextlib.contextmanager
def _serve(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Run a rig with two cameras while the block lasts."""
    uri = f"udp://127.0.0.1:{free_ports(1)[0]}"
    cameras = [{"label": label, "source": "test", "fps": FPS, "size": SIZE} for label in CAMERAS]
    config = {
        "name": "cameras",
        "uri": uri,
        "data_folder": str(folder / "rig"),
        "adapter": {"type": "camera", "cameras": cameras, "min_free_gb": 0},
    }
    (folder / "cameras.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "multirig", "serve", str(folder / "cameras.yaml")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield psutil.Process(process.pid), uri
        finally:
            process.terminate()


async def _wait_until_ready(conductor: Conductor) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + READY_LIMIT
    while True:
        [answer] = (await conductor.request(Event.EXPINFO, 0, {}, limit=1.0)).values()
        if isinstance(answer, Word):
            return
        if loop.time() > end:
            raise RuntimeError(f"the rig does not come: {answer}")
        await asyncio.sleep(0.1)


async def _record(conductor: Conductor, sizes: list[int] | None) -> int:
    """Record a session, watched or not; return how many frames were lost."""
    session = conductor.session("bench")
    await session.agree()
    await session.init()
    await session.start()
    async with _watch(conductor, sizes) if sizes is not None else contextlib.nullcontext():
        await asyncio.sleep(SECONDS)
    ended = (await session.stop())["cameras"]
    [now] = (await conductor.request(Event.EXPSTATUS, 0)).values()
    await session.cleanup()
    if not isinstance(ended, Stopped) or ended.recorded is None:
        raise RuntimeError(f"the session has failed: {ended}")
    if not isinstance(now, Report) or now.health is None:
        raise RuntimeError(f"the rig does not say what it has lost: {now}")
    files = ended.recorded.files or ()
    recorded = sum(file.frames or 0 for file in files if file.path.endswith(".mp4"))
    dropped = now.health.dropped
    if recorded + dropped < 0.9 * len(CAMERAS) * FPS * SECONDS:
        raise RuntimeError(f"only {recorded} frames were recorded, and {dropped} were lost")
    return dropped


@contextlib.asynccontextmanager
async def _watch(conductor: Conductor, sizes: list[int]) -> AsyncIterator[None]:
    """Look at all cameras meanwhile, and note how large the pictures are."""

    async def look() -> None:
        while True:
            [answer] = (await conductor.request(Event.EXPSTATUS, 0, {"pictures": True})).values()
            if isinstance(answer, Report):
                sizes.extend(len(one.jpeg) for one in answer.pictures or ())
            await asyncio.sleep(WATCH_EVERY)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    result = asyncio.run(measure())
    for kind in KINDS:
        spent = result["cpu"][kind]
        say(
            f"  {kind:<18} {median(spent):6.2f} s of the processor in a session of {SECONDS:g} s "
            f"({min(spent):.2f} to {max(spent):.2f})"
        )
    seen = result["seen"]
    say(f"  {len(seen)} pictures of {median(seen):,.0f} bytes, the largest {max(seen):,}")
    for kind in KINDS:
        claim(f"frames lost {kind}", sum(result["lost"][kind]), CLAIM_LOST, "frames")
    claim("the rig's processor with pictures against without", result["ratio"], CLAIM_CPU)


if __name__ == "__main__":
    print(asyncio.run(measure()))
