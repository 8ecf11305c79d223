"""Keeps this PC from going to sleep while a session needs it.

Each system has its own way, and each ends with this program, however that ends.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import sys
import threading

CLOSE_LIMIT = 2.0
"""Seconds that the end of this program waits for the system to be told."""
END_LIMIT = 1.0
"""Seconds that the program which keeps the system awake has to end, before it is killed."""
ES_CONTINUOUS = 0x80000000
"""Windows: until the next call of the same thread."""
ES_SYSTEM_REQUIRED = 0x00000001
"""Windows: no sleep for want of a touch; the screen may go dark."""

log = logging.getLogger("multirig.pc")


class Awake:
    """Asks the system to stay awake, and lets it sleep again; neither call waits for anything.

    Parameters
    ----------
    why : str
        For whoever asks the system what keeps it awake.
    """

    def __init__(self, why: str) -> None:
        self._why = why
        self._wanted = False
        self._orders: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def keep(self, wanted: bool) -> None:  # noqa: FBT001  a switch: it is all that is asked
        """Keep the system awake from now on, or let it sleep."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._thread is None:
            # Windows knows who asked by the thread: it must be the same one that takes it back
            self._thread = threading.Thread(target=self._work, name="awake", daemon=True)
            self._thread.start()
        self._orders.put(wanted)

    def close(self) -> None:
        """Let the system sleep and end."""
        thread, self._thread = self._thread, None
        self._wanted = False
        if thread is not None:
            self._orders.put(None)
            thread.join(CLOSE_LIMIT)

    def _work(self) -> None:
        child: subprocess.Popen[bytes] | None = None
        while (wanted := self._orders.get()) is not None:
            if sys.platform == "win32":
                _tell_windows(wanted=wanted)
                continue
            _end(child)
            child = _begin(self._why) if wanted else None
        if sys.platform == "win32":
            _tell_windows(wanted=False)
        _end(child)


def awake_command(system: str, why: str, pid: int) -> list[str] | None:
    """Return the program that keeps a system awake as long as it runs; None: there is none."""
    match system:
        case "darwin":
            return ["caffeinate", "-i", "-w", str(pid)]
        case "linux":
            # cat ends with its standard input, which ends with us
            return ["systemd-inhibit", "--what=sleep:idle", "--who=multirig", f"--why={why}", "cat"]
    return None


def _begin(why: str) -> subprocess.Popen[bytes] | None:
    command = awake_command(sys.platform, why, os.getpid())
    if command is None or shutil.which(command[0]) is None:
        return None
    try:
        # out of reach of a Ctrl-C that is meant for this program
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        log.info("the system cannot be kept awake: %s", error)
        return None


def _end(child: subprocess.Popen[bytes] | None) -> None:
    """End the program that keeps the system awake."""
    if child is None:
        return
    child.terminate()
    try:
        child.communicate(timeout=END_LIMIT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def _tell_windows(*, wanted: bool) -> None:
    if sys.platform == "win32":
        import ctypes

        flags = ES_CONTINUOUS | ES_SYSTEM_REQUIRED if wanted else ES_CONTINUOUS
        if not ctypes.windll.kernel32.SetThreadExecutionState(flags):
            log.info("the system cannot be kept awake: Windows refuses")
