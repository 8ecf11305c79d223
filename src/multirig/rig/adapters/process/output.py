"""What the program says: stdout and stderr, each kept in a log and followed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from multirig.folders import OURS
from multirig.rig.adapter import Session
from multirig.writing import file_name

CHUNK = 1 << 18
"""Bytes of output read at a time, few enough that other threads get their turn between two."""

STREAMS = ("stdout", "stderr")

MAX_LINE = 1 << 16
"""Bytes without a line end after which a line is taken as it is, so that a binary flood needs no memory."""


@dataclass(slots=True, kw_only=True)
class Look:
    """What one look at the program's output brought."""

    is_ready: bool = False
    frames: int | None = None
    dropped: int | None = None
    failure: str | None = None
    failure_log: Path | None = None
    has_more: bool = False


class Output:
    """A log that the program writes, read behind it line by line."""

    def __init__(self, path: Path, at: int | None = None) -> None:
        self.path = path
        self.last_line = ""
        self.has_more = False
        """Whether the last reading left something to read."""
        self._file = path.open("rb", buffering=0)
        self._file.seek(*((0, os.SEEK_END) if at is None else (at,)))
        self._rest = b""

    def read_lines(self, *, is_final: bool) -> list[str]:
        """Return the lines that have come; waits for the disk."""
        self._file.seek(self._file.tell())  # a C runtime may remember where the file once ended
        received = self._file.read(CHUNK)
        self.has_more = len(received) == CHUNK
        # ffmpeg ends its progress lines with a carriage return alone
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + received)
        if len(self._rest) > MAX_LINE or (is_final and not self.has_more):
            lines.append(self._rest)
            self._rest = b""
        texts = [line.decode("utf-8", "replace") for line in lines if line]
        if texts:
            self.last_line = texts[-1]
        return texts

    def close(self) -> None:
        """Let go of the file, which Windows could not move before."""
        self._file.close()


class Outputs:
    """The program's stdout and stderr, and what is looked for in them."""

    def __init__(
        self,
        session: Session,
        name: str,
        *,
        ready: re.Pattern[str] | None,
        progress: re.Pattern[str] | None,
        failure: re.Pattern[str] | None,
    ) -> None:
        self._place = session.folder
        # rigs may run one program into one folder: each has logs of its own
        self._name = f"{file_name(session.rig)}.{name}"
        self._ready = ready
        self._progress = progress
        self._failure = failure
        self._outputs: list[Output] = []
        self.began_at: dict[str, int] = {}
        """Bytes that stood in each log before."""

    @property
    def log(self) -> Path:
        """The log to look into when something is wrong."""
        return self._get_log("stderr")

    @property
    def last_error(self) -> str:
        """The last line on stderr so far; open() has been called."""
        return self._outputs[1].last_line

    def open(self, logs: ExitStack) -> list[BinaryIO]:
        """Open what the program writes its stdout and stderr to, and read behind it; waits for the disk."""
        opened: list[BinaryIO] = []
        for stream in STREAMS:
            path = self._get_log(stream)
            # appended to: a second start within a session must not lose what the first one said
            opened.append(logs.enter_context(path.open("ab", buffering=0)))
            self.began_at[stream] = path.stat().st_size
            self._outputs.append(Output(path))
        return opened

    def reopen(self, logs: Mapping[str, int]) -> None:
        """Read what a program writes that was started before, from where it began; waits for the disk."""
        self._outputs = [Output(self._get_log(stream), logs.get(stream, 0)) for stream in STREAMS]

    def read(self, *, is_final: bool) -> Look:
        """Return what the program said since the last look; waits for the disk."""
        look = Look()
        for output in self._outputs:
            for line in output.read_lines(is_final=is_final):
                if self._ready is not None and self._ready.search(line):
                    look.is_ready = True
                self._look_for_progress(line, look)
                if self._failure is not None and self._failure.search(line):
                    look.failure, look.failure_log = look.failure or line, look.failure_log or output.path
            look.has_more |= output.has_more
        return look

    def _look_for_progress(self, line: str, look: Look) -> None:
        if self._progress is None or (match := self._progress.search(line)) is None:
            return
        told = match.groupdict()
        with suppress(TypeError, ValueError):
            look.dropped = int(told.get("dropped") or "")
        with suppress(TypeError, ValueError):
            look.frames = int(told.get("frames") or "")

    def close(self) -> None:
        """Let go of the files."""
        for output in self._outputs:
            output.close()

    def _get_log(self, stream: str) -> Path:
        return self._place / f"{OURS}{self._name}.{stream}.log"
