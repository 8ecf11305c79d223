"""Record how busy this PC is: CPU and network counters, 100 times a second, into a CSV file.

Run ``python -m multirig.examples.pc_monitor FILE.csv``.
It ends on a line ``stop`` or the end of its input, or on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

REPORT = 0.5
"""Seconds between two reports; what was sampled before a report is on disk by then."""

CPU_WINDOW = 0.5
"""Seconds over which the CPU's load is taken: the system counts in ticks of 10 to 16 ms, too coarse alone."""

LONGEST_SLEEP = 0.1
"""Seconds: how long a request to stop may wait at a low rate."""

MAX_RATE = 1000.0
"""Hz; the counters cost up to a millisecond."""


class Stop:
    """Whether the program was asked to stop; a plain flag, because a signal may come while a lock is held."""

    requested = False

    def request(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask; also a signal handler."""
        self.requested = True

    def listen(self) -> None:
        """Ask at a line ``stop`` or the end of the input."""
        # os.read, not sys.stdin: a thread that holds sys.stdin's lock would crash the interpreter's exit
        pending = b""
        while True:
            try:
                received = os.read(0, 4096)
            except OSError:
                received = b""
            if not received:
                return self.request()
            *lines, pending = (pending + received).split(b"\n")
            if any(line.strip() == b"stop" for line in lines):
                return self.request()


class CpuLoad:
    """The CPU's load in percent over the last half second."""

    def __init__(self) -> None:
        self._history: deque[tuple[float, float, float]] = deque()

    def sample(self, now: float) -> float:
        """Return the load, 0 to 100, of all cores together."""
        times = psutil.cpu_times()._asdict()
        # Linux counts a guest's time a second time in user and nice
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        busy = total - times["idle"] - times.get("iowait", 0.0)
        self._history.append((now, busy, total))
        while self._history[0][0] < now - CPU_WINDOW:
            self._history.popleft()
        _, first_busy, first_total = self._history[0]
        elapsed = total - first_total
        return min(100.0, max(0.0, 100.0 * (busy - first_busy) / elapsed)) if elapsed > 0 else 0.0


@contextmanager
def fine_timer() -> Iterator[None]:
    """Let sleeps end within a millisecond: Windows wakes a program each 15.6 ms unless it asks."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.winmm.timeBeginPeriod(1)
        try:
            yield
        finally:
            ctypes.windll.winmm.timeEndPeriod(1)
    else:
        yield


def record(path: Path, rate: float, stop: Stop) -> tuple[int, int]:
    """Sample until asked to stop.

    Parameters
    ----------
    path : Path
        File to write; must not exist.
    rate : float
        Hz. Sample k is due at the start + k / rate, whatever came before.

    Returns
    -------
    samples, skipped : int
        Rows written; due times that passed before the program came to them.
    """
    samples = skipped = 0
    with path.open("x", encoding="ascii", newline="") as file:
        file.write("perf_counter,cpu_percent,bytes_sent,bytes_recv\n")
        file.flush()
        print("ready", flush=True)
        load = CpuLoad()
        began = reported = time.perf_counter()
        due = 0
        while not stop.requested:
            now = time.perf_counter()
            if now >= reported + REPORT:
                reported += REPORT
                file.flush()
                print(f"samples {samples}", flush=True)
            wait = began + due / rate - now
            if wait > 0:
                time.sleep(min(wait, LONGEST_SLEEP))
                continue
            current = int((now - began) * rate)
            skipped += max(0, current - due)
            due = max(due, current) + 1
            network = psutil.net_io_counters()
            sent, received = (network.bytes_sent, network.bytes_recv) if network else (0, 0)
            file.write(f"{now:.9f},{load.sample(now):.1f},{sent},{received}\n")
            samples += 1
    print(f"samples {samples}", flush=True)
    return samples, skipped


def main() -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="pc_monitor", description="Record CPU and network counters into a CSV file."
    )
    parser.add_argument("file", type=Path, help="file to write; must not exist")
    parser.add_argument("--rate", type=float, default=100.0, help="samples a second (default: %(default)s)")
    options = parser.parse_args()
    if not 0 < options.rate <= MAX_RATE:
        parser.error(f"--rate must be above 0 and at most {MAX_RATE:g}")

    stop = Stop()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop.request)
    threading.Thread(target=stop.listen, daemon=True).start()
    try:
        with fine_timer():
            samples, skipped = record(options.file, options.rate, stop)
    except OSError as error:
        print(f"pc_monitor: cannot write {options.file}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"stopped: {samples} samples, {skipped} skipped because they were late")
    return 0


if __name__ == "__main__":
    sys.exit(main())
