"""A terminal that may be closed, or a program that reads no more, while this one has work to end."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO, cast

from multirig.pc.console import write_anything
from multirig.writing import is_full

OUTPUT_LOST = "the disk is full to which the output goes: what was printed is not whole there"


class _Lasting:
    """A stream of text; where nobody is left to read it, what is written is lost, and nothing fails by it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_full = False
        """Whether what was written is lost since its disk is full: it was no terminal."""

    def write(self, text: str) -> int:
        """Write a text, if anybody is there."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self.is_full |= is_full(error)
            self._lose()
            return len(text)

    def flush(self) -> None:
        """Let what was written be read, if anybody is there."""
        try:
            self._stream.flush()
        except OSError as error:
            self.is_full |= is_full(error)
            self._lose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self) -> None:
        """Let everything go nowhere from now on, also what is written past this stream."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def outlive_terminal() -> None:
    """Let nothing of this program fail since its terminal was closed, or cannot show what it prints."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        write_anything(stream)
        if stream is not None and not isinstance(stream, _Lasting):
            setattr(sys, name, cast("TextIO", _Lasting(stream)))


def is_output_lost() -> bool:
    """Whether a disk did not take all of what was printed, now that nothing is to follow."""
    if not isinstance(sys.stdout, _Lasting):  # a program without a console may have none
        return False
    sys.stdout.flush()
    return sys.stdout.is_full
