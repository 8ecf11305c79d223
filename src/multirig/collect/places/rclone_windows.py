"""A program that ends with ours on Windows: it is put into a job that the system ends when we are gone."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

_KILL_ON_CLOSE, _EXTENDED = 0x2000, 9
_NO_WINDOW = 0x08000000


class Job:
    """All that is in it ends when it is closed, or our program has ended.

    Raises
    ------
    OSError
        The system has none.
    """

    def __init__(self) -> None:
        import ctypes as _ctypes
        from ctypes import wintypes

        ctypes: Any = _ctypes  # much of it is there on Windows only

        class Basic(ctypes.Structure):  # type: ignore[misc]
            _fields_ = (
                ("times", ctypes.c_int64 * 2),
                ("flags", wintypes.DWORD),
                ("sizes", ctypes.c_size_t * 2),
                ("processes", wintypes.DWORD),
                ("affinity", ctypes.c_size_t),
                ("classes", wintypes.DWORD * 2),
            )

        class Extended(ctypes.Structure):  # type: ignore[misc]
            _fields_ = (("basic", Basic), ("io", ctypes.c_uint64 * 6), ("memory", ctypes.c_size_t * 4))

        self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        self._kernel.CreateJobObjectW.restype = wintypes.HANDLE
        self._handle = wintypes.HANDLE(self._kernel.CreateJobObjectW(None, None))
        limits = Extended()
        limits.basic.flags = _KILL_ON_CLOSE
        if not self._handle or not self._kernel.SetInformationJobObject(
            self._handle, _EXTENDED, ctypes.byref(limits), ctypes.sizeof(limits)
        ):
            raise ctypes.WinError(ctypes.get_last_error())
        self._as_handle = wintypes.HANDLE

    def take(self, process: subprocess.Popen[bytes]) -> None:
        """Put a program into it. Raises OSError."""
        handle = self._as_handle(int(process._handle))  # type: ignore[attr-defined]
        if not self._kernel.AssignProcessToJobObject(self._handle, handle):
            raise OSError("a program cannot be put into a job")

    def close(self) -> None:
        """End all that is in it."""
        self._kernel.CloseHandle(self._handle)


def run_in_job(command: Sequence[str], keys: Mapping[str, Any]) -> tuple[subprocess.Popen[bytes], Job]:
    """Start a program in a job of its own, without a window."""
    job = Job()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, creationflags=_NO_WINDOW, **keys)
    try:
        job.take(process)
    except OSError:
        process.kill()
        raise
    return process, job
