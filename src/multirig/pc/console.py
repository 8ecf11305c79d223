"""Whether somebody sits in front of a stream, and how to write to one where nobody does."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO


def is_console(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal, at which a person reads or types.

    Windows takes ``NUL``, where nobody is, for one too; it is told apart by what only a console can.
    """
    if stream is None:
        return False
    try:
        if not stream.isatty():
            return False
        number = stream.fileno()
    except (OSError, ValueError):
        return False
    return _has_mode(number) if sys.platform == "win32" else True


def write_anything(stream: TextIO | None) -> None:
    """Let every letter be written to a stream: one that it does not know as ``?``, never as an error.

    What goes into a pipe or a file is UTF-8, whatever the language of the system: Windows would take
    the letters of one language alone.
    """
    if isinstance(stream, io.TextIOWrapper):
        if is_console(stream):
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding="utf-8", errors="replace")


if sys.platform == "win32":
    _INPUT, _QUICK_EDIT, _EXTENDED = -10, 0x0040, 0x0080

    @contextlib.contextmanager
    def without_marking() -> Iterator[None]:
        """Let a click into the window mark no text meanwhile: that would hold up all output."""
        import ctypes

        kernel = ctypes.WinDLL("kernel32")
        kernel.GetStdHandle.restype = ctypes.c_void_p
        kernel.GetConsoleMode.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        kernel.SetConsoleMode.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        console, mode = kernel.GetStdHandle(_INPUT), ctypes.c_uint32()
        if not kernel.GetConsoleMode(console, ctypes.byref(mode)):
            yield
            return
        kernel.SetConsoleMode(console, (mode.value & ~_QUICK_EDIT) | _EXTENDED)
        try:
            yield
        finally:
            kernel.SetConsoleMode(console, mode.value)

    def forget_typed() -> None:
        """Forget what was typed at this program's keyboard and not read yet."""
        import msvcrt

        if is_console(sys.stdin):
            while msvcrt.kbhit():
                msvcrt.getwch()

    def _has_mode(number: int) -> bool:
        import ctypes
        import msvcrt

        kernel = ctypes.WinDLL("kernel32")
        kernel.GetConsoleMode.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        mode = ctypes.c_uint32()
        return bool(kernel.GetConsoleMode(msvcrt.get_osfhandle(number), ctypes.byref(mode)))

else:

    @contextlib.contextmanager
    def without_marking() -> Iterator[None]:
        """Do nothing: elsewhere marking holds up nothing."""
        yield

    def forget_typed() -> None:
        """Forget what was typed at this program's keyboard and not read yet."""
        import termios

        if is_console(sys.stdin):
            with contextlib.suppress(termios.error):
                termios.tcflush(sys.stdin, termios.TCIFLUSH)

    def _has_mode(number: int) -> bool:
        """Do nothing: elsewhere a terminal is one."""
        return number >= 0
