"""Ports, and processes that serve on them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def free_ports(count: int) -> list[int]:
    """Return UDP ports that were free a moment ago, for peers that cannot be asked for any free one."""
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in opened:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return ports


class Peers:
    """Peers in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ports: list[int] = json.loads(self._line())

    def arrivals(self) -> list[int]:
        """Return when EXPSTART messages came since the last call, in ns; blocks a moment."""
        if self._process.stdin is None:
            raise RuntimeError("the peers' process has no input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: list[int] = json.loads(self._line())
        return found

    def _line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the peers' process has no output")
        return self._process.stdout.readline()


@contextmanager
def peers(kind: str, count: int) -> Iterator[Peers]:
    """Run peers in a process of their own while the block lasts."""
    command = [sys.executable, "-m", "benchmarks.peers", kind, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peers(process)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
