"""Files read from their disk, or from the server of a share, and not from what this PC still remembers."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from multirig.collect.hashing import PIECE

Pieces = Callable[[Callable[[], memoryview]], Iterator[bytes | memoryview]]
"""Yields a file in pieces, in memory that it is given for each."""
_PAGE = 4096
"""Bytes that a disk gives at once, at least: what passes no cache is read in whole ones."""


@contextlib.contextmanager
def open_past_cache(path: Path) -> Iterator[Pieces]:
    """Open a file anew, after the system was told to forget it; it must be on its disk already.

    On Windows it is opened without the cache of files, which holds for shares too. Where a system has no such
    way, it is read as it comes.
    """
    if sys.platform == "win32":
        with _open_windows(path) as pieces:
            yield pieces
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        elif sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(fd, 48, 1)  # F_NOCACHE
        yield lambda lend: _read_into(fd, lend)
    finally:
        os.close(fd)


def _read_into(fd: int, lend: Callable[[], memoryview]) -> Iterator[memoryview]:
    while got := os.readv(fd, [piece := lend()]):
        yield piece[:got]


@contextlib.contextmanager
def _open_windows(path: Path) -> Iterator[Pieces]:
    """Open a file by CreateFileW with FILE_FLAG_NO_BUFFERING: pieces and memory in whole pages."""
    import ctypes as _ctypes
    from ctypes import wintypes

    ctypes: Any = _ctypes  # much of it is there on Windows only
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateFileW.restype = wintypes.HANDLE
    read, share, exists, no_buffering, sequential = 0x80000000, 7, 3, 0x20000000, 0x08000000
    handle = wintypes.HANDLE(
        kernel.CreateFileW(str(path), read, share, None, exists, no_buffering | sequential, None)
    )
    if handle.value in (None, wintypes.HANDLE(-1).value):
        raise ctypes.WinError(ctypes.get_last_error())

    def pieces(lend: Callable[[], memoryview]) -> Iterator[bytes]:
        size = PIECE // _PAGE * _PAGE  # in memory of its own, which begins at a page
        with mmap.mmap(-1, size) as memory:  # begins at a page
            buffer = (ctypes.c_char * size).from_buffer(memory)
            try:
                done = wintypes.DWORD()
                while True:
                    if not kernel.ReadFile(handle, buffer, size, ctypes.byref(done), None):
                        error = ctypes.get_last_error()
                        if error == 38:  # ERROR_HANDLE_EOF
                            return
                        raise ctypes.WinError(error)
                    if not done.value:
                        return
                    yield memory[: done.value]
            finally:
                del buffer

    try:
        yield pieces
    finally:
        kernel.CloseHandle(handle)
