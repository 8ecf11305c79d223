"""A rig without a device: takes as long as it is told, fails when it is told."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from multirig.errors import AdapterError, ConfigError
from multirig.rig.adapter import Adapter, File, Health, Picture
from multirig.rig.inspection import CLOCK_COLUMN, list_recorded_files

Hook: TypeAlias = Literal["initialise", "start", "resume", "stop", "cleanup"]

FILE_NAME = "fake.csv"
PULSES_FILE_NAME = "fake_pulses.csv"
"""What a device that records the sync line of this rig would have written."""
PART_NAME = "fake.part{}.csv"
"""Of a recording that was resumed: it is the second part at least."""
PICTURE = base64.b64decode(
    "/9j//gAQTGF2YzYyLjI4LjEwMgD/2wBDAAgYGBwYHCEhISEhISckJygoKCcnJycoKCgrKyszMzMrKysoKCsrMDAzMzc5NzQ0MzQ5"
    "OTw8PEhIRUVUVFdnZ3z/xABlAAEBAQEBAAAAAAAAAAAAAAAFAAQDAgEBAQAAAAAAAAAAAAAAAAAAAAEQAAEDAwMEAQUBAQEAAAAA"
    "AAECAwARMRJBIVJhcVGBMqJCcjPRsSKCEQEAAAAAAAAAAAAAAAAAAAAA/8AAEQgAMABAAwEiAAIRAAMRAP/aAAwDAQACEQMRAD8A"
    "ZDqXBi7U+HPuT35Cvsb0mJxstkVoQbKSapPY9NZjiDbpQCn5IPySbH+HqJEHyi6mgoFbVVJFwaZJ7gXGtRCIFKUTQ0CM1nFH1Kpx"
    "GvithAzobU4dh3OiepOk3FaGwUt0VUbuEb76JBttsdTOC3chikYI4gk16k6+7Q2BSlKB1SooIUk0IsYvRD9sW3OIFEr8U4nTfYmk"
    "OQ2pw7DudE9SdJvLiWhRr/o6uEUP/jjtc3MD1glj9gyXcI2KR+f+0Hu8MW4pw5KNTEA6lwYu1Phz7k9+Qr7G9JicbLZFaEGykmqT"
    "2PTWBjlKUCiaGgRms4o+pVOI18VsJpwSx+wZLuEbFI/P/aD3eGLcU4clGpgaVu5DFIwRxBJr1J192hspQKINulAKfkg/JJsf4eoh"
    "8oC6mgoFbVVJFwaZJ7gXGtRCJ1SooIUk0IsYvRD9sW3OIFEr8U4nTfYmkD//2Q=="
)
"""What its cameras see: a cross of 64 by 48 pixels, a JPEG file."""


@dataclass(kw_only=True)
class Fake(Adapter):
    """Scripted delays and failures, for rehearsal and tests.

    A hook first takes its delay, then hangs, then fails, then does its work: each only where it is named.

    Raises
    ------
    ConfigError
        A number is negative, or `fail_times` names a hook that `fail` does not.
    """

    delay: dict[Hook, float] = field(default_factory=dict)
    """Seconds that a hook takes."""
    fail: dict[Hook, str] = field(default_factory=dict)
    """Message of the AdapterError that a hook raises."""
    fail_times: dict[Hook, int] = field(default_factory=dict)
    """Only so many first calls of a hook fail; without it each does."""
    hang: list[Hook] = field(default_factory=list)
    """Hooks that never return, until they are cancelled."""
    fail_after: float | None = None
    """Seconds of recording after which it fails by itself, and gives no more frames."""
    rate: float = 100.0
    """Frames per second."""
    write_file: bool = True
    """Whether `stop` writes ``fake.csv``, one row a frame with its time."""
    cameras: list[str] = field(default_factory=list)
    """Labels of cameras of which it shows a live picture, always the same one."""
    resumes: bool = False  # type: ignore[misc]  # of a class elsewhere, here what it is told
    """Whether it goes on after a restart of the rig's program, and then writes ``fake.part2.csv``."""

    def __post_init__(self) -> None:
        numbers = {
            **{f"delay: {hook}": seconds for hook, seconds in self.delay.items()},
            **{f"fail_times: {hook}": count for hook, count in self.fail_times.items()},
            "fail_after": self.fail_after or 0.0,
            "rate": self.rate,
        }
        for key, number in numbers.items():
            if not 0 <= number < float("inf"):
                raise ConfigError(f"{key}: {number} is not possible: give 0 or more")
        if unknown := self.fail_times.keys() - self.fail.keys():
            raise ConfigError(f"fail_times: {', '.join(sorted(unknown))} has no message: name it in fail too")
        self.calls: list[str] = []
        self._counts: Counter[str] = Counter()
        self._began: float | None = None
        self._ended: float | None = None
        self._bytes = 0
        self._file_name = FILE_NAME

    async def initialise(self) -> None:
        """Forget the last session."""
        await self._play("initialise")
        if self._ended is not None:
            self._forget()

    async def start(self) -> None:
        """Begin to count frames."""
        await self._play("start")
        self._begin(FILE_NAME)

    async def resume(self) -> None:
        """Begin to count frames anew, for a file of their own.

        Raises
        ------
        AdapterError
            It does not resume.
        """
        await self._play("resume")
        if not self.resumes:
            await super().resume()
        part = 2
        while (self.session.folder / PART_NAME.format(part)).exists():
            part += 1
        self._begin(PART_NAME.format(part))

    async def stop(self) -> None:
        """End the counting; write the file."""
        await self._play("stop")
        if self._began is None or self._ended is not None:
            return
        ended = time.perf_counter()
        if self.write_file:
            frames = self._count_frames(self._began, ended)
            path = self.session.folder / self._file_name
            self._bytes = await asyncio.to_thread(_write_frames, path, self._began, self.rate, frames)
        self._ended = ended

    async def cleanup(self) -> None:
        """Forget the session."""
        await self._play("cleanup")
        self._forget()

    async def watch(self) -> None:
        """Fail once `fail_after` seconds of recording are over."""
        if self.fail_after is None:
            await super().watch()
        else:
            now = time.perf_counter()
            began = now if self._began is None else self._began
            await asyncio.sleep(max(0.0, began + self.fail_after - now))
            raise AdapterError(
                f"the scripted failure after {self.fail_after:g} s: see fail_after in the rig config"
            )

    async def pulse(self, seconds: float) -> int | None:
        """Note in ``fake_pulses.csv`` when the edge would have risen; hold nothing for so long."""
        rose = time.perf_counter()
        path = self.session.folder / PULSES_FILE_NAME
        await asyncio.gather(asyncio.sleep(seconds), asyncio.to_thread(_note_pulse, path, rose))
        return None

    def health(self) -> Health:
        """Return the frames that a device of that rate would have given since the start."""
        if self._began is None:
            return Health(frames=0, rate=0.0)
        now = time.perf_counter()
        failed = self.fail_after is not None and now >= self._began + self.fail_after
        return Health(
            frames=self._count_frames(self._began, now if self._ended is None else self._ended),
            bytes=self._bytes,
            rate=self.rate if self._ended is None and not failed else 0.0,
        )

    def pictures(self) -> list[Picture]:
        """Return a grey picture with a cross for each of its cameras."""
        now = time.perf_counter_ns()
        return [Picture(label=label, jpeg=PICTURE, at=now) for label in self.cameras]

    def picture_labels(self) -> Sequence[str]:
        """Return the labels of its cameras."""
        return self.cameras

    def files(self) -> list[File]:
        """Return what was written, with frames and times."""
        return list_recorded_files(self.session, self.owns())

    def _begin(self, file_name: str) -> None:
        if self._began is None or self._ended is not None:
            self._forget()
            self._file_name = file_name
            self._began = time.perf_counter()

    def _forget(self) -> None:
        self._began = self._ended = None
        self._bytes = 0

    async def _play(self, hook: Hook) -> None:
        self.calls.append(hook)
        if delay := self.delay.get(hook):
            await asyncio.sleep(delay)
        if hook in self.hang:
            await asyncio.Event().wait()
        if hook in self.fail and self._counts[hook] < self.fail_times.get(hook, float("inf")):
            self._counts[hook] += 1
            raise AdapterError(self.fail[hook])

    def _count_frames(self, began: float, now: float) -> int:
        """Frame k (from 0) has come once (k + 1) / rate seconds are over."""
        elapsed = now - began
        if self.fail_after is not None:
            elapsed = min(elapsed, self.fail_after)
        return int(elapsed * self.rate)


def _note_pulse(path: Path, rose: float) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(f"{CLOCK_COLUMN}\n{rose:.9f}\n" if file.tell() == 0 else f"{rose:.9f}\n")


def _write_frames(path: Path, began: float, rate: float, frames: int) -> int:
    """Return the size of what was written."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{CLOCK_COLUMN},frame\n")
        file.writelines(f"{began + (frame + 1) / rate:.9f},{frame}\n" for frame in range(frames))
        return file.tell()
